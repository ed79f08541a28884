import time

import numpy as np
import pytest
from pydantic import ValidationError

from scaling.datasets import DATASETS
from scaling.datasets._shapes.captions import write_captions
from scaling.datasets._shapes.held_out import CLASS_NAMES, captioned_images, classified_images
from scaling.datasets._shapes.pictures import _COLOURS as PALETTE
from scaling.datasets._shapes.pictures import masks, render
from scaling.datasets._shapes.scenes import Key, Scenes, Stage, draw_scenes
from scaling.datasets.shapes import ShapesOptions, ShapesStream
from scaling.vocabulary import COLOURS, SHAPES, VOCABULARY

SHAPES_KIND = DATASETS.get("shapes")


def stream(seed: int = 0, **options: object) -> ShapesStream:
    return SHAPES_KIND.open(ShapesOptions(**options), seed)


def scenes_of(seed: int, count: int) -> Scenes:
    return draw_scenes(Key(seed).generator(Stage.SCENES, 0), count)


@pytest.mark.parametrize("options", [{}, {"unique": 1500}, {"caption_noise": 0.5}])
@pytest.mark.parametrize("image_size", [16, 64])
def test_a_sample_does_not_depend_on_how_the_stream_is_read(
    options: dict[str, float], image_size: int
) -> None:
    images, captions = stream(**options).read(990, 100, image_size)

    for first, count in [(990, 1), (1000, 48), (1020, 8), (1089, 1)]:
        part = stream(**options).read(first, count, image_size)
        rows = slice(first - 990, first - 990 + count)
        np.testing.assert_array_equal(part.images, images[rows])
        assert list(part.captions) == list(captions[rows])


def test_images_are_rgb_bytes_of_the_size_asked_for() -> None:
    for size in (16, 32, 224):
        images = stream().read(0, 3, size).images
        assert images.shape == (3, size, size, 3)
        assert images.dtype == np.uint8


def test_no_two_samples_are_the_same() -> None:
    images = stream().read(0, 4096, 16).images

    assert len(np.unique(images.reshape(4096, -1), axis=0)) == 4096


@pytest.mark.parametrize("other", [stream(seed=1), ShapesStream(ShapesOptions(seed=1), 0)])
def test_another_seed_gives_other_samples(other: ShapesStream) -> None:
    assert (
        (stream().read(0, 64, 16).images != other.read(0, 64, 16).images).any(axis=(1, 2, 3)).all()
    )


def test_the_number_of_unique_samples_is_known() -> None:
    assert stream(unique=1200).unique_samples == 1200
    assert stream().unique_samples is None


def test_unique_samples_repeat_in_another_order_and_are_shared_by_trials() -> None:
    def content(of: ShapesStream, first: int) -> tuple[list[bytes], list[str]]:
        images, captions = of.read(first, 1200, 16)
        return [image.tobytes() for image in images], list(captions)

    first, second = (content(stream(unique=1200), start) for start in (0, 1200))
    other_trial = content(stream(seed=5, unique=1200), 0)

    assert first != second != other_trial
    pairs = [sorted(zip(*seen, strict=True)) for seen in (first, second, other_trial)]
    assert pairs[0] == pairs[1] == pairs[2]
    assert len(set(first[0])) == 1200


def test_noise_changes_captions_but_not_pictures() -> None:
    clean, noisy = stream().read(0, 512, 16), stream(caption_noise=1.0).read(0, 512, 16)

    np.testing.assert_array_equal(clean.images, noisy.images)
    changed = np.mean([a != b for a, b in zip(clean.captions, noisy.captions, strict=True)])
    assert 0.6 < changed < 0.95


@pytest.mark.parametrize(("noise", "wrong"), [(0.0, 0.0), (0.5, 0.205), (1.0, 0.41)])
def test_noise_is_the_share_of_replaced_attributes(noise: float, wrong: float) -> None:
    # A replaced colour is drawn from all ten: 9 of 10 are wrong. 1 - E[q] = 1 - 1.2/2.2.
    scenes = scenes_of(0, 20_000)
    captions = write_captions(scenes, Key(0).generator(Stage.CAPTIONS, 0), noise)

    said = [next((w for w in c.split() if w in COLOURS), None) for c in captions]
    true = [COLOURS[index] for index in scenes.colours_N2[:, 0]]
    alone = ~scenes.has_second_N
    misses = [s != t for s, t, one in zip(said, true, alone, strict=True) if s and one]
    assert np.mean(misses) == pytest.approx(wrong, abs=0.012)


def test_clean_captions_say_only_what_is_there() -> None:
    scenes = scenes_of(1, 2000)
    for n, caption in enumerate(write_captions(scenes, Key(1).generator(Stage.CAPTIONS, 0))):
        objects = 2 if scenes.has_second_N[n] else 1
        there = {SHAPES[i] for i in scenes.shapes_N2[n, :objects]}
        there |= {COLOURS[i] for i in scenes.colours_N2[n, :objects]}
        words = set(caption.split())
        assert words & {*SHAPES, *COLOURS} <= there, caption
        assert words <= set(VOCABULARY)


def test_relations_in_captions_are_those_of_the_picture() -> None:
    scenes = scenes_of(2, 3000)
    found = masks(scenes, 32)
    middle = np.arange(32) - 15.5
    checked = 0
    for n, caption in enumerate(write_captions(scenes, Key(2).generator(Stage.CAPTIONS, 0))):
        first, second = scenes.shapes_N2[n]
        direction = {"left": (1, -1), "right": (1, 1), "above": (0, -1), "below": (0, 1)}
        said = [word for word in direction if word in caption.split()]
        if not said or first == second:
            continue
        axis, sign = direction[said[0]]
        centres = [
            (middle * (found[n] == 1 + shape).sum(axis=1 - axis)).sum()
            / (found[n] == 1 + shape).sum()
            for shape in (first, second)
        ]
        assert np.sign(centres[0] - centres[1]) == sign, caption
        checked += 1
    assert checked > 700


def test_masks_mark_where_the_object_was_painted() -> None:
    scenes = scenes_of(3, 500)
    scenes.has_second_N[:] = False
    scenes.difficulty_N[:] = 0
    scenes.textures_N2[:] = 0
    images = render(scenes, 32, Key(3).generator(32, 0)).astype(int)
    found = masks(scenes, 32)

    for n in range(500):
        assert set(np.unique(found[n])) == {0, 1 + scenes.shapes_N2[n, 0]}
        colour = 255 * PALETTE[scenes.colours_N2[n, 0]]
        ground = images[n][0, 0]
        way = colour - ground
        share = ((images[n] - ground) * way).sum(axis=-1) / np.square(way).sum()
        assert (found[n][share > 0.55] > 0).all()
        assert (found[n][share < 0.45] == 0).all()


def test_no_held_out_picture_is_ever_trained_on() -> None:
    held_out = {image.tobytes() for image in classified_images(20, 16)[0]}
    held_out |= {image.tobytes() for image in captioned_images(500, 5, 16)[0]}
    trained = {
        image.tobytes() for seed in (0, 1) for image in stream(seed).read(0, 8192, 16).images
    }

    assert len(held_out) == 2500
    assert not held_out & trained
    assert Key(1).generator(0, 0).random() != Key(1, held_out=True).generator(0, 0).random()


def test_held_out_classes_are_balanced_and_every_image_has_its_captions() -> None:
    _, labels = classified_images(20, 16)
    _, captions, image_of_caption = captioned_images(500, 5, 16)

    assert np.bincount(labels).tolist() == [20] * len(CLASS_NAMES)
    assert len(captions) == 2500
    assert np.bincount(image_of_caption).tolist() == [5] * 500


def test_common_objects_are_far_more_common_than_rare_ones() -> None:
    scenes = scenes_of(4, 50_000)
    classes = scenes.shapes_N2[:, 0] * len(COLOURS) + scenes.colours_N2[:, 0]
    counts = np.sort(np.bincount(classes, minlength=100))

    assert counts[-1] / counts[0] == pytest.approx(100**0.8, rel=0.4)
    assert counts[0] > 0


@pytest.mark.parametrize(
    "options", [{"caption_noise": 1.5}, {"unique": 0}, {"seed": -1}, {"captionnoise": 0.1}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ShapesOptions(**options)


def test_generating_is_much_faster_than_training_on_it() -> None:
    started = time.process_time()
    ShapesStream(ShapesOptions(seed=123), 0).read(0, 8192, 16)

    # 25,000 a second on an idle core; the smallest model trains on 5,000.
    assert 8192 / (time.process_time() - started) > 8000
