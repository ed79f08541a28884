import math

import numpy as np
import open_clip
import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss

from scaling.datasets import DATASETS
from scaling.families import FAMILIES, Family, World
from scaling.families._images import MEAN, STD, to_inputs
from scaling.families._tokenizers import tokenize
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Recipe

CPU = torch.device("cpu")
RECIPE = Recipe(batch_size=8, learning_rate=1e-3, warmup_samples=8, precision="fp32")


def batch_of(family: Family, model: str, count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    config = family.models[model]
    dataset = DATASETS.get("shapes")
    samples = dataset.open(dataset.options(), seed=0).read(0, count, config.image_size)
    tokens = torch.from_numpy(tokenize(samples.captions, config))
    return to_inputs(samples.images, CPU), tokens


def open_clips_loss(family: Family) -> torch.nn.Module:
    loss: torch.nn.Module = SigLipLoss() if family is FAMILIES.get("siglip") else ClipLoss()
    return loss


@pytest.fixture(params=FAMILIES.names())
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


@pytest.fixture(
    params=[name for name in FAMILIES.names() if "features" in FAMILIES.get(name).abilities]
)
def comparing(request: pytest.FixtureRequest) -> Family:
    """A family with features of images and texts."""
    return FAMILIES.get(request.param)


def test_features_have_unit_norm(comparing: Family) -> None:
    network = comparing.build("tiny-b")
    images, tokens = batch_of(comparing, "tiny-b")

    for features in (network.encode_image(images), network.encode_text(tokens)):
        torch.testing.assert_close(features.norm(dim=-1), torch.ones(8))


def test_forward_and_the_encoders_agree(comparing: Family) -> None:
    network = comparing.build("tiny-b")
    images, tokens = batch_of(comparing, "tiny-b")

    outputs = network(images, tokens)

    torch.testing.assert_close(outputs.features["image_features"], network.encode_image(images))
    torch.testing.assert_close(outputs.features["text_features"], network.encode_text(tokens))


def test_same_seed_gives_the_same_weights(family: Family) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        state: dict[str, torch.Tensor] = family.build("tiny-a").state_dict()
        return state

    one, same, other = weights(0), weights(0), weights(1)

    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_every_weight_that_is_trained_gets_a_gradient(family: Family) -> None:
    network = family.build("tiny-b")
    images, tokens = batch_of(family, "tiny-b")
    if hasattr(network, "text"):  # through a head of zeros nothing flows back
        torch.nn.init.normal_(network.text.text_projection)

    Gradients(family, RECIPE).backward(network, Batch(images, tokens))

    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None] == []
    assert [name for name, p in trained.items() if not p.grad.isfinite().all()] == []


def test_contrastive_loss_is_that_of_open_clip(comparing: Family) -> None:
    network = comparing.build("tiny-b")
    images, tokens = batch_of(comparing, "tiny-b")

    features, scalars, _ = network(images, tokens)
    ours = comparing.batch_losses(features, scalars, World())["contrastive"]

    theirs = open_clips_loss(comparing)(*features.values(), **scalars)
    assert ours.item() == theirs.item()


def test_contrastive_logits_stay_in_fp32_under_bf16(comparing: Family) -> None:
    network = comparing.build("tiny-b")
    network.logit_scale.data.fill_(math.log(100))
    images, tokens = batch_of(comparing, "tiny-b")

    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, scalars, _ = network(images, tokens)
        loss = comparing.batch_losses(features, scalars, World())["contrastive"]

    image, text = (one.float() for one in features.values())
    exact = open_clips_loss(comparing)(
        image, text, **{name: one.float() for name, one in scalars.items()}
    )
    assert loss.dtype == torch.float32
    assert loss.item() == exact.item()


def test_images_are_normalised_as_open_clip_does() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(2, 5, 5, 3), dtype=np.uint8)

    ours = to_inputs(pixels, CPU)

    theirs = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(ours.permute(0, 2, 3, 1).numpy(), theirs, atol=1e-5)
    assert (MEAN, STD) == (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)


def test_clip_and_open_clip_exchange_weights() -> None:
    ours = FAMILIES.get("clip").build("ViT-S-32-alt").eval()
    theirs = open_clip.create_model("ViT-S-32-alt").eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 224, 224)
    tokens = torch.from_numpy(
        tokenize(["a dog!", "two cats"], FAMILIES.get("clip").models["ViT-S-32-alt"])
    )

    with torch.inference_mode():
        torch.testing.assert_close(
            ours.encode_image(images), theirs.encode_image(images, normalize=True)
        )
        torch.testing.assert_close(
            ours.encode_text(tokens), theirs.encode_text(tokens, normalize=True)
        )


def test_siglip_starts_from_the_papers_scale_and_bias() -> None:
    network = FAMILIES.get("siglip").build("tiny-a")

    assert network.logit_scale.exp().item() == pytest.approx(10)
    assert network.logit_bias.item() == -10
