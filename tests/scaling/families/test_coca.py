"""Our CoCa against open_clip's own, with the same weights."""

import math

import pytest
import torch
from open_clip.coca_model import CoCa
from open_clip.loss import CoCaLoss
from torch import Tensor

from scaling.families import FAMILIES
from scaling.families._open_clip_coca import coca_content
from scaling.families._towers import COCA
from scaling.families.coca.network import Coca
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Padding, Recipe

FAMILY = FAMILIES.get("coca")
TINY = COCA["tiny-c"]


def networks(pad: Padding = "attend") -> tuple[Coca, CoCa]:
    """Ours and open_clip's, in double precision, with the same weights, none of them zero."""
    torch.manual_seed(0)
    ours = Coca(TINY, pad=pad).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    theirs = CoCa(TINY.embed_dim, **coca_content(TINY)).double()
    theirs.load_state_dict(ours.state_dict())
    theirs.text.correct_cls_mask = pad == "mask"
    return ours, theirs


def batch_of(lengths: tuple[int, ...] = (3, 5, 16, 15)) -> tuple[Tensor, Tensor]:
    """Captions of all kinds of length: the longest has no padding."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(len(lengths), 3, 16, 16, generator=generator, dtype=torch.float64)
    tokens = torch.zeros(len(lengths), TINY.context_length, dtype=torch.int64)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = torch.randint(1, TINY.vocab_size, (length,), generator=generator)
    return images, tokens


@pytest.mark.parametrize("pad", ["attend", "mask"])
@pytest.mark.parametrize("trim", [True, False])
@pytest.mark.parametrize("lengths", [(3, 5, 16, 15), (3, 5, 4), (7, 2), (8, 3)])
def test_features_and_loss_are_open_clips(
    lengths: tuple[int, ...], trim: bool, pad: Padding
) -> None:
    ours, theirs = networks(pad)
    ours.trim_captions = trim
    images, tokens = batch_of(lengths)
    expected = theirs(images, tokens)

    outputs = ours(images, tokens)

    for name, feature in outputs.features.items():
        torch.testing.assert_close(feature, expected[name], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.caption_logits(images, tokens), expected["logits"])
    measure = CoCaLoss(caption_loss_weight=2.0, clip_loss_weight=1.0)
    contrastive, caption = measure(**expected)
    recipe = Recipe(
        batch_size=len(images), learning_rate=1.0, warmup_samples=1, caption_loss_weight=2.0
    )
    terms = Gradients(FAMILY, recipe).backward(ours, Batch(images, tokens))
    torch.testing.assert_close(terms["contrastive"], contrastive.detach())
    torch.testing.assert_close(terms["caption"], caption.detach())
    (contrastive + caption).backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-9, atol=1e-10, msg=name)


def test_the_class_token_sees_padding_only_where_published() -> None:
    for pad, differs in (("attend", True), ("mask", False)):
        network, _ = networks(pad)
        _, tokens = batch_of((5,))
        feature = network.encode_text(tokens)
        with torch.no_grad():
            network.text.token_embedding.weight[0] += 1.0
        assert torch.equal(network.encode_text(tokens), feature) is not differs


def test_captioning_sees_the_image_and_the_text_feature_does_not() -> None:
    network, _ = networks()
    images, tokens = batch_of()

    one, other = (network(these, tokens) for these in (images, images.flip(0)))

    assert one.sums["caption"] != other.sums["caption"]
    torch.testing.assert_close(one.features["text_features"], other.features["text_features"])


def test_the_head_starts_at_zero_and_learns_in_the_first_step() -> None:
    network = Coca(TINY)
    images, tokens = batch_of()
    outputs = network(images.float(), tokens)

    outputs.sums["caption"].backward()

    head = network.text_decoder.text_projection
    assert not head.any()
    count = FAMILY.counts(tokens)["caption"]
    assert (outputs.sums["caption"] / count).item() == pytest.approx(math.log(TINY.vocab_size))
    assert head.grad is not None
    assert head.grad.abs().max() > 0


def test_the_recipe_says_whether_padding_is_seen() -> None:
    recipe = Recipe(batch_size=1, learning_rate=1.0, warmup_samples=1, pad="mask")

    assert FAMILY.build("tiny-a", recipe).text.correct_cls_mask is True
    assert FAMILY.build("tiny-a").text.correct_cls_mask is False
