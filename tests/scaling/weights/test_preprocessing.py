import json
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image

from scaling.evals._subject import Subject
from scaling.families import FAMILIES
from scaling.families._images import MEAN, Framing, Preprocessing
from scaling.weights import WeightsError
from scaling.weights.preprocessing import Chosen, preprocessing_of

HALF = (0.5, 0.5, 0.5)
AS_CLIP = Preprocessing()
OF_SIGLIP = Preprocessing(mean=HALF, std=HALF, framing=Framing(resize="squash"))


@pytest.mark.parametrize(
    ("model", "expected", "said"),
    [
        ("ViT-B-16", AS_CLIP, "as CLIP was trained"),
        ("timm:resnet50", AS_CLIP, "as CLIP was trained"),
        ("open_clip:ViT-B-16-SigLIP", OF_SIGLIP, "open_clip's for its weights of ViT-B-16-SigLIP"),
        ("open_clip:ViT-L-14", AS_CLIP, "open_clip's weights of ViT-L-14 differ in it"),
        ("open_clip:ViT-S-32", AS_CLIP, "as CLIP was trained"),
    ],
)
def test_published_models_say_how_they_were_shown_pictures(
    model: str, expected: Preprocessing, said: str
) -> None:
    found, why = preprocessing_of(Path("epoch_1.pt"), model)

    assert found == expected
    assert said in why


def test_what_is_chosen_comes_first() -> None:
    chosen = Chosen(mean=(0.1, 0.2, 0.3), resize="longest")

    found, why = preprocessing_of(Path("epoch_1.pt"), "open_clip:ViT-B-16-SigLIP", chosen)

    assert found.mean == (0.1, 0.2, 0.3)
    assert found.std == HALF
    assert found.framing == Framing(resize="longest")
    assert why.startswith("as you say, else")


def test_the_configuration_beside_published_weights_is_read(tmp_path: Path) -> None:
    said = {"mean": 0.5, "std": [1, 1, 1], "interpolation": "bilinear", "resize_mode": None}
    config = tmp_path / "open_clip_config.json"
    config.write_text(json.dumps({"model_cfg": {}, "preprocess_cfg": said}))

    found, why = preprocessing_of(tmp_path / "open_clip_model.safetensors", "ViT-B-32")
    other, _ = preprocessing_of(tmp_path / "epoch_1.pt", "ViT-B-32")

    assert found.mean == HALF
    assert found.framing == Framing(interpolation="bilinear")
    assert "open_clip_config.json" in why
    assert other.mean == MEAN


@pytest.mark.parametrize("said", ['{"resize_mode": "cover"}', '{"mean": "grey"}', "[1]", "{"])
def test_a_configuration_that_makes_no_sense_is_refused(tmp_path: Path, said: str) -> None:
    config = tmp_path / "open_clip_config.json"
    config.write_text(f'{{"preprocess_cfg": {said}}}')

    with pytest.raises(WeightsError, match=r"open_clip_config\.json: preprocess_cfg"):
        preprocessing_of(tmp_path / "open_clip_model.safetensors", "ViT-B-32")


def test_inputs_are_those_of_open_clips_transform() -> None:
    how = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    family = FAMILIES.get("clip")
    subject = Subject(family.build("tiny-a"), family.models["tiny-a"], preprocessing=how)
    images = np.random.default_rng(0).integers(256, size=(2, 16, 16, 3), dtype=np.uint8)

    found = subject.inputs(images)

    transform = image_transform(16, is_train=False, mean=how.mean, std=how.std)
    wanted = torch.stack([transform(Image.fromarray(image)) for image in images])
    torch.testing.assert_close(found, wanted)
