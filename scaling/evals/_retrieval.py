"""Retrieval as CLIP_benchmark does it: all images against all captions, recall in the top k."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaling.evals._ranks import rank_of
from scaling.evals._subject import Features


def retrieval_metrics(
    images: Features,
    captions: Features,
    image_of_caption: NDArray[np.int64],
    at: Sequence[int] = (5,),
) -> dict[str, float]:
    """Recall at each k of `at`, both ways; every image has at least one caption.

    `image_retrieval_recall@k` is the share of captions whose image is among the k most similar
    images; `text_retrieval_recall@k` is the share of images with at least one caption of their own
    among the k most similar captions.
    """
    scores_TI = captions @ images.T
    image_ranks_T = rank_of(image_of_caption, scores_TI)
    caption_ranks_I = rank_of(_best_own_caption(scores_TI, image_of_caption), scores_TI.T)
    return {
        f"{way}_retrieval_recall@{k}": float(np.mean(ranks < k))
        for k in at
        for way, ranks in (("image", image_ranks_T), ("text", caption_ranks_I))
    }


def _best_own_caption(
    scores_TI: NDArray[np.float32], image_of_caption: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each image the most similar of its own captions, the first of equals."""
    own_scores = scores_TI[np.arange(len(image_of_caption)), image_of_caption]
    # Sorted by image, then by descending score; the first row of each image is its best caption.
    order = np.lexsort((-own_scores, image_of_caption))
    _, firsts = np.unique(image_of_caption[order], return_index=True)
    return np.asarray(order[firsts])
