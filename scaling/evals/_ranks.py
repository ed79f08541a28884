"""Where the right answer stands among the candidates."""

import numpy as np
from numpy.typing import NDArray


def rank_of(answers: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many candidates come before the answer, by descending score and then by index.

    `scores` (queries, candidates), `answers` (queries,) candidate indices. Because ties go by
    index, a network that finds everything equally likely gets chance level, not everything right.
    """
    answer_scores = scores[np.arange(len(answers)), answers][:, None]
    is_earlier = np.arange(scores.shape[1])[None, :] < answers[:, None]
    before = (scores > answer_scores) | ((scores == answer_scores) & is_earlier)
    return np.asarray(before.sum(axis=1))
