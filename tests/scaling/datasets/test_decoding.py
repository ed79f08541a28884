"""Crops are open_clip's, and broken pictures raise what is expected of them."""

import contextlib
import io
import random

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torchvision.transforms import Compose
from torchvision.transforms import functional as torchvision

from scaling.datasets._shapes.scenes import Key
from scaling.datasets._webdataset import decoding
from scaling.datasets._webdataset.decoding import (
    UNREADABLE,
    center_crop,
    decode,
    draft_crop,
    random_crop,
)


def noise(*size: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8))


def smooth(*size: int) -> Image.Image:
    """A picture with the spectrum of a photograph, about 1 / frequency."""
    small = [noise(-(-size[0] // k), -(-size[1] // k)).resize(size[::-1]) for k in (4, 16, 64)]
    mean = np.mean([np.asarray(image, float) for image in small], axis=0)
    return Image.fromarray(mean.astype(np.uint8))


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(40, 40), (61, 37), (37, 61), (16, 16), (300, 200)])
def test_center_crop_is_open_clips_evaluation_transform(size: tuple[int, int]) -> None:
    image = noise(*size)
    transform = open_clip.image_transform(16, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
    assert isinstance(transform, Compose)

    theirs = (transform(image) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()

    np.testing.assert_array_equal(center_crop(image, 16), theirs)


@pytest.mark.parametrize("size", [(61, 37), (300, 200)])
def test_random_crop_is_open_clips_training_transform_of_the_same_box(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = noise(*size)
    transform = open_clip.image_transform(16, is_train=True, mean=(0, 0, 0), std=(1, 1, 1))
    crop = transform.transforms[0]
    torch.manual_seed(0)
    for _ in range(5):
        state = torch.get_rng_state()
        top, left, height, width = crop.get_params(image, crop.scale, crop.ratio)
        torch.set_rng_state(state)
        theirs = (transform(image) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        monkeypatch.setattr(decoding, "_random_box", lambda *_, b=(left, top, width, height): b)

        ours = random_crop(image, 16, Key(0).generator(0, 0))

        np.testing.assert_array_equal(ours, theirs)


def test_boxes_are_distributed_as_torchvision_draws_them() -> None:
    crop = open_clip.image_transform(16, is_train=True, mean=(0, 0, 0), std=(1, 1, 1)).transforms[
        0
    ]
    image, generator = noise(300, 200), Key(0).generator(0, 0)
    torch.manual_seed(0)

    theirs = np.array([crop.get_params(image, crop.scale, crop.ratio) for _ in range(2000)])
    ours = np.array([decoding._random_box(200, 300, generator) for _ in range(2000)])[
        :, [1, 0, 3, 2]
    ]

    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), rtol=0.02, atol=1)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.1)


@pytest.mark.parametrize("crop", ["random", "center"])
@pytest.mark.parametrize("side", [60, 130, 300, 520])
def test_draft_stays_near_the_full_decode(crop: decoding.Crop, side: int) -> None:
    encoded = jpeg(smooth(side, side + 40))
    full = decode(encoded)
    whole = center_crop(full, 64) if crop == "center" else random_crop(full, 64, _generator())

    draft = draft_crop(encoded, 64, crop, _generator())

    difference = np.abs(draft.astype(int) - whole)
    assert difference.mean() < 5
    if crop == "center" and side < 128:
        assert not difference.any()


def test_draft_decodes_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, convert = [], Image.Image.convert

    def noting_the_size(image: Image.Image, mode: str) -> Image.Image:
        sizes.append(image.size)
        return convert(image, mode)

    monkeypatch.setattr(Image.Image, "convert", noting_the_size)

    for size in (64, 128, 256):
        draft_crop(jpeg(smooth(512, 512)), size, "center", _generator())

    assert sizes == [(64, 64), (128, 128), (256, 256)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_what_is_broken_raises_what_is_skipped(format: str) -> None:
    buffer = io.BytesIO()
    smooth(60, 50).save(buffer, format)
    whole, draw = buffer.getvalue(), random.Random(0)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(draw.choice([1, 4, 40])):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        cut = bytes(broken[: draw.choice([len(broken), draw.randrange(len(broken))])])
        for read in (decode, lambda e: draft_crop(e, 16, "random", _generator())):
            with contextlib.suppress(UNREADABLE):
                read(cut)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1", "LA", "I;16"])
def test_every_mode_becomes_rgb_as_torchvision_sees_it(mode: str) -> None:
    image = smooth(40, 30).convert("L").convert("I;16") if mode == "I;16" else smooth(40, 30)
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG" if mode in ("L", "CMYK") else "PNG")

    decoded = decode(buffer.getvalue())

    assert torchvision.pil_to_tensor(decoded).shape == (3, 40, 30)


def _generator() -> np.random.Generator:
    return Key(1).generator(0, 0)
