import numpy as np
import pytest

from scaling.datasets import DATASETS
from scaling.errors import DataError
from scaling.families import FAMILIES
from scaling.families._tokenizers import tokenize
from scaling.vocabulary import END, START, VOCABULARY, WORD_IDS

TINY = FAMILIES.get("clip").models["tiny-a"]
PUBLISHED = FAMILIES.get("clip").models["ViT-B-32"]


def test_a_caption_is_start_words_end_and_padding() -> None:
    (tokens,) = tokenize(["a red circle"], TINY)

    words = [VOCABULARY[token] for token in tokens]
    assert words == [START, "a", "red", "circle", END] + ["<pad>"] * 11


def test_the_end_has_the_highest_id_of_its_vocabulary() -> None:
    assert WORD_IDS[END] == TINY.vocab_size - 1 == max(WORD_IDS.values())
    (tokens,) = tokenize(["two cats"], PUBLISHED)
    assert tokens.max() == PUBLISHED.vocab_size - 1


def test_every_caption_of_the_embedded_dataset_fits_the_context() -> None:
    dataset = DATASETS.get("shapes")
    captions = dataset.open(dataset.options(caption_noise=1.0), seed=3).read(0, 4096, 16).captions

    tokens = tokenize(captions, TINY)

    words = (tokens != 0).sum(axis=1)
    np.testing.assert_array_equal(words, [2 + len(caption.split()) for caption in captions])
    assert words.max() == TINY.context_length


def test_too_long_a_caption_keeps_its_end() -> None:
    (tokens,) = tokenize(["red " * 40], TINY)

    assert tokens[-1] == WORD_IDS[END]
    assert (tokens[1:-1] == WORD_IDS["red"]).all()


def test_an_unknown_word_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(DataError, match="'circel'; did you mean 'circle'"):
        tokenize(["a red circel"], TINY)


def test_published_sizes_use_the_vocabulary_of_clip() -> None:
    tokens = tokenize(["a photo of a cat", "!"], PUBLISHED)

    assert tokens.dtype == np.int64
    assert tokens.shape == (2, 77)
    assert tokens[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokens[1, :3].tolist() == [49406, 256, 49407]
