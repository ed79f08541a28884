"""What is left out of captions, and that leaving it out changes nothing but the last bits."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scaling.families import FAMILIES, Family
from scaling.families._captions import Targets, within_caption, without_padding
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Padding, Recipe

MODEL = "tiny-b"
WORDS = FAMILIES.get("clip").models[MODEL].vocab_size
CAPTIONING = [name for name in FAMILIES.names() if "captions" in FAMILIES.get(name).abilities]
SHORT = torch.tensor(
    [[1, 4, 0, 9, 70, 0, 0, 0, 0, 0, 0, 0], [1, 5, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
)
"""Two captions of 5 and 3 tokens; id 0 within the first is a word."""


@pytest.fixture(params=CAPTIONING)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES.get(request.param)


def recipe_of(pad: Padding = "attend") -> Recipe:
    return Recipe(batch_size=4, learning_rate=1e-3, warmup_samples=4, pad=pad)


def build(family: Family, dtype: torch.dtype, pad: Padding = "attend") -> nn.Module:
    """Away from the symmetric start."""
    torch.manual_seed(0)
    network = family.build(MODEL, recipe_of(pad)).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def batch_of(family: Family, longest: int, dtype: torch.dtype, count: int = 4) -> Batch:
    config = family.models[MODEL]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 16, 16, generator=generator, dtype=dtype)
    tokens = torch.zeros(count, config.context_length, dtype=torch.int64)
    for row in range(count):
        length = max(2, longest - row)
        tokens[row, :length] = torch.randint(1, WORDS - 1, (length,), generator=generator)
        tokens[row, length - 1] = WORDS - 1
    return Batch(images, tokens)


def test_padding_is_what_follows_the_last_word() -> None:
    assert without_padding(SHORT).tolist() == SHORT[:, :8].tolist()
    assert without_padding(SHORT, beyond=4).shape == (2, 12)
    assert without_padding(torch.zeros(2, 12, dtype=torch.int64)).shape == (2, 0)
    assert within_caption(SHORT).sum(1).tolist() == [5, 3]


def test_padding_and_the_first_token_are_no_targets() -> None:
    every, real = (Targets.of(SHORT, drop_padding=drop) for drop in (False, True))

    assert every.ids_N.reshape(2, -1)[:, :5].tolist() == [[4, -1, 9, 70, -1], [5, 70, -1, -1, -1]]
    assert every.rows_N is None
    assert real.ids_N.tolist() == [4, 9, 70, 5, 70]
    assert real.rows_N is not None
    assert real.rows_N.tolist() == [0, 2, 3, 11, 12]


@pytest.mark.parametrize("pad", ["attend", "mask"])
@pytest.mark.parametrize("name", FAMILIES.names())
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["fp64", "fp32"]
)
@pytest.mark.parametrize("longest", [5, 7, 8, 16])
def test_leaving_padding_out_changes_nothing(
    name: str, dtype: torch.dtype, tolerance: float, longest: int, pad: Padding
) -> None:
    family = FAMILIES.get(name)
    batch = batch_of(family, longest, dtype)

    def results(trim: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        network = build(family, dtype, pad)
        network.trim_captions = trim
        terms = Gradients(family, recipe_of(pad)).backward(network, batch)
        return terms, {name: p.grad for name, p in network.named_parameters() if p.requires_grad}

    (terms, gradients), (whole_terms, whole) = results(trim=True), results(trim=False)

    torch.testing.assert_close(terms, whole_terms, rtol=tolerance, atol=tolerance)
    scale = max(gradient.abs().max() for gradient in whole.values()).item()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(
            gradient, whole[parameter], rtol=0, atol=tolerance * scale, msg=parameter
        )


def test_the_caption_loss_is_the_cross_entropy_of_all_logits(family: Family) -> None:
    network = build(family, torch.float64)
    images, tokens = batch_of(family, 7, torch.float64)

    logits = network.caption_logits(images, tokens)
    expected = nn.functional.cross_entropy(
        logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0, reduction="sum"
    )

    assert logits.shape == (4, tokens.shape[1] - 1, WORDS)
    torch.testing.assert_close(network(images, tokens).sums["caption"], expected)
    assert not network(images, tokens, captions=False).sums


def test_a_caption_is_as_likely_as_its_tokens_are(family: Family) -> None:
    network = build(family, torch.float64).eval()
    images, tokens = batch_of(family, 7, torch.float64)

    with torch.inference_mode():
        found = network.caption_log_likelihood(images, tokens)
        one_by_one = torch.stack(
            [
                -network(images[i : i + 1], tokens[i : i + 1]).sums["caption"]
                for i in range(len(images))
            ]
        )

    torch.testing.assert_close(found, one_by_one)


def test_several_captions_of_an_image_are_read_as_if_each_were_alone(family: Family) -> None:
    network = build(family, torch.float64).eval()
    images, tokens = batch_of(family, 8, torch.float64, count=6)

    with torch.inference_mode():
        together = network.caption_log_likelihood(images[:2], tokens)
        alone = network.caption_log_likelihood(images[:2].repeat_interleave(3, 0), tokens)

    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_the_loss_is_near_that_of_fp32_under_autocast(family: Family) -> None:
    network = build(family, torch.float32)
    batch = batch_of(family, 7, torch.float32)

    exact = network(*batch).sums["caption"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(*batch).sums["caption"]

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=2e-2)


def test_an_untrained_captioner_finds_all_words_equally_likely(family: Family) -> None:
    images, tokens = batch_of(family, 9, torch.float32)

    total = family.build(MODEL)(images, tokens).sums["caption"]

    count = family.counts(tokens)["caption"]
    assert (total / count).item() == pytest.approx(math.log(WORDS))


BLIND: list[dict[str, object]] = [
    {},
    {"pool_type": "eos", "eos_id": WORDS - 1},
    {"proj_type": "none", "width": 16, "heads": 1},
    {"proj_bias": True},
]
SEEING: list[dict[str, object]] = [
    {"pool_type": "last"},
    {"no_causal_mask": True},
    {"embed_cls": True},
]


@pytest.mark.parametrize(
    ("custom_text", "text", "is_trimmed"),
    [
        *((custom_text, text, True) for text in BLIND for custom_text in (True, False)),
        *((True, text, False) for text in SEEING),
        (False, {"pool_type": "last"}, False),
    ],
    ids=str,
)
def test_text_towers_of_open_clip_are_trimmed_where_they_do_not_see_padding(
    custom_text: bool, text: dict[str, object], is_trimmed: bool, tmp_path: Path
) -> None:
    content = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 64, "layers": 1},
        "text_cfg": {"width": 64, "heads": 4, "layers": 2, "context_length": 20, **text},
        "custom_text": custom_text,
    }
    path = tmp_path / "towers.json"
    path.write_text(json.dumps(content))
    torch.manual_seed(0)
    network = FAMILIES.get("clip").build(str(path)).double()
    lengths: list[int] = []
    tower = network.text if custom_text else network
    tower.transformer.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    tokens = torch.zeros(2, 20, dtype=torch.int64)
    tokens[:, :6] = SHORT[:, :6] * 100
    tokens[0, 4] = tokens[1, 2] = WORDS - 1 if "pool_type" in text else 49407

    trimmed = network.encode_text(tokens)
    network.trim_captions = False
    whole = network.encode_text(tokens)

    torch.testing.assert_close(trimmed, whole, rtol=1e-12, atol=1e-12)
    assert (lengths[0] == 8) is is_trimmed
