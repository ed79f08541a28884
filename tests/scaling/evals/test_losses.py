import math
from typing import Any

import numpy as np
import pytest
import torch

from scaling.datasets._shapes.held_out import captioned_images
from scaling.errors import DataError
from scaling.evals._declared import Task
from scaling.evals._evaluation import Evaluation
from scaling.evals._subject import Subject
from scaling.families import FAMILIES, find_model
from scaling.families._images import to_inputs
from scaling.families._tokenizers import tokenize

CPU = torch.device("cpu")
HELD_OUT = {"kind": "shapes", "content": "captions", "count": 192, "captions_each": 1}


def losses_of(family: str, **declared: Any) -> dict[str, float]:
    torch.manual_seed(0)
    network = FAMILIES.get(family).build("tiny-a").eval()
    task = Task.parse("own", {"kind": "losses", **declared})
    subject = Subject(
        network, find_model(family, "tiny-a"), Evaluation(), family=FAMILIES.get(family)
    )
    return dict(task.of_kind.measure(task.choices(), subject))


def test_the_contrastive_loss_is_the_cross_entropy_both_ways_within_batches() -> None:
    torch.manual_seed(0)
    network: Any = FAMILIES.get("clip").build("tiny-a").eval()
    images, captions, _ = captioned_images(192, 1, 16)
    tokens = torch.from_numpy(tokenize(captions, find_model("clip", "tiny-a")))
    expected = []
    for first in (0, 64, 128):
        rows = slice(first, first + 64)
        with torch.inference_mode():
            image = network.encode_image(to_inputs(images[rows], CPU))
            text = network.encode_text(tokens[rows])
            logits = network.logit_scale.exp() * image @ text.T
        own = torch.arange(64)
        both = [torch.nn.functional.cross_entropy(one, own) for one in (logits, logits.T)]
        expected.append(float(sum(both)) / 2)

    found = losses_of("clip", set=HELD_OUT, batch_size=64)

    assert found == {"contrastive_loss": pytest.approx(np.mean(expected), rel=1e-5)}


@pytest.mark.parametrize(
    ("family", "metrics"),
    [
        ("siglip", {"contrastive_loss"}),
        ("coca", {"contrastive_loss", "caption_loss"}),
        ("mammut", {"contrastive_loss", "caption_loss"}),
        ("cap", {"caption_loss"}),
    ],
)
def test_a_family_has_the_losses_that_it_is_trained_with(family: str, metrics: set[str]) -> None:
    found = losses_of(family, set=HELD_OUT, batch_size=64)

    assert set(found) == metrics
    if "caption_loss" in found:  # An untrained network knows nothing of 71 words.
        assert found["caption_loss"] == pytest.approx(math.log(71), abs=0.8)


def test_pairs_that_fill_no_batch_are_left_out() -> None:
    whole = losses_of("clip", set={**HELD_OUT, "count": 128}, batch_size=64)

    assert losses_of("clip", set={**HELD_OUT, "count": 128}, batch_size=64) == whole
    with pytest.raises(DataError, match="less than a batch of 256"):
        losses_of("clip", set={**HELD_OUT, "count": 128}, batch_size=256)


def test_a_stream_is_taken_from_its_beginning() -> None:
    data = {"kind": "shapes", "seed": 7}

    first = losses_of("mammut", data=data, samples=256, batch_size=128)
    second = losses_of("mammut", data={**data, "seed": 8}, samples=256, batch_size=128)

    assert first == losses_of("mammut", data=data, samples="0.000256M", batch_size=128)
    assert first != second
