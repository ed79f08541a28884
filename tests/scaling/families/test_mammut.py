import math

import pytest
import torch

from scaling.families import FAMILIES
from scaling.families.mammut.network import Mammut
from scaling.train.gradients import Batch, Gradients
from scaling.trial import Recipe

MAMMUT = FAMILIES.get("mammut")
TINY = MAMMUT.models["tiny-c"]


@pytest.fixture
def network() -> Mammut:
    torch.manual_seed(0)
    network = Mammut(TINY)
    torch.nn.init.normal_(network.text.text_projection)
    return network.eval()


def random_batch(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(count, 3, TINY.image_size, TINY.image_size)
    tokens = torch.randint(1, TINY.vocab_size, (count, TINY.context_length))
    return images, tokens


@pytest.mark.parametrize("model", ["ViT-S-32", "ViT-B-16"])
def test_parameters_are_called_what_released_checkpoints_call_them(model: str) -> None:
    config = MAMMUT.models[model]
    with torch.device("meta"):
        shapes = {name: tuple(p.shape) for name, p in Mammut(config).state_dict().items()}
    width, vision = config.text_width, config.vision_width

    assert shapes["logit_scale"] == ()
    assert shapes["map_viz2txt_kv"] == (vision, width)
    assert shapes["text.token_embedding.weight"] == (49408, width)
    assert shapes["text.positional_embedding"] == (77, width)
    assert shapes["text.text_projection"] == (width, 49408)
    assert shapes["text.resblocks.0.attn.in_proj_weight"] == (3 * width, width)
    assert shapes["text.resblocks.1.mlp.c_fc.weight"] == (4 * width, width)
    assert shapes["text.cross_attn.5.ln_1_kv.weight"] == (width,)
    assert shapes["text.cross_attn.0.mlp.c_proj.weight"] == (width, 4 * width)
    assert shapes["visual.proj"] == (vision, config.embed_dim)
    assert "text.cross_attn.6.ln_1.weight" not in shapes
    has_mlp = config.has_mlp
    assert ("text.resblocks.0.mlp.c_fc.weight" in shapes) is has_mlp
    assert ("text.resblocks.2.ln_2.weight" in shapes) is has_mlp
    roots = {name.split(".")[0] for name in shapes}
    assert roots == {"logit_scale", "map_viz2txt_kv", "text", "visual"}


def test_captioning_is_causal(network: Mammut) -> None:
    images, tokens = random_batch()
    changed = tokens.clone()
    changed[:, 8] = 1 + tokens[:, 8] % (TINY.vocab_size - 1)

    one, other = (network.caption_logits(images, t) for t in (tokens, changed))

    torch.testing.assert_close(one[:, :8], other[:, :8])
    assert (one[:, 8:] - other[:, 8:]).abs().amax(dim=(0, 2)).min() > 1e-4


def test_captioning_sees_the_image_and_the_text_feature_does_not(network: Mammut) -> None:
    (images, tokens), (others, _) = random_batch(), random_batch()

    one, other = (network.caption_logits(these, tokens) for these in (images, others))
    features, same_features = (network(these, tokens).features for these in (images, others))

    assert not torch.allclose(one, other)
    torch.testing.assert_close(features["text_features"], same_features["text_features"])


def test_every_position_of_the_text_attends_to_every_other(network: Mammut) -> None:
    _, tokens = random_batch(1)
    embedded = network.text._embed(tokens).detach().requires_grad_()
    network.text._embed = lambda _: embedded

    network.text(tokens)[0, 0].square().sum().backward()

    assert (embedded.grad[0].abs().sum(dim=-1) > 0).all()


def test_image_feature_is_the_mean_over_all_tokens_with_the_class_token(network: Mammut) -> None:
    images, _ = random_batch()

    _, tokens = network.visual(images)

    assert tokens.shape == (3, TINY.image_tokens, TINY.vision_width)
    pooled = network.visual.ln_post(tokens.mean(dim=1)) @ network.visual.proj
    torch.testing.assert_close(
        network.encode_image(images), torch.nn.functional.normalize(pooled, dim=-1)
    )


def test_an_untrained_captioner_finds_all_words_equally_likely() -> None:
    images, tokens = random_batch()

    total = Mammut(TINY)(images, tokens).sums["caption"]

    count = MAMMUT.counts(tokens)["caption"]
    assert (total / count).item() == pytest.approx(math.log(TINY.vocab_size))


def test_padding_is_masked_where_the_recipe_says_so(network: Mammut) -> None:
    masking = Mammut(TINY, pad="mask").eval()
    masking.load_state_dict(network.state_dict())
    _, tokens = random_batch()
    tokens[0, 6:] = 0
    tokens[1, 3] = 0  # within a caption id 0 is a word

    seen, hidden = network.encode_text(tokens), masking.encode_text(tokens)

    torch.testing.assert_close(hidden[1:], seen[1:])
    torch.testing.assert_close(hidden[:1], network.encode_text(tokens[:1, :6]))
    assert torch.nn.functional.cosine_similarity(hidden[0], seen[0], dim=0) < 0.99
    recipe = Recipe(batch_size=1, learning_rate=1.0, warmup_samples=1, pad="mask")
    assert (MAMMUT.build("tiny-a", recipe).pad, MAMMUT.build("tiny-a").pad) == ("mask", "attend")


def test_the_recipe_weights_the_caption_loss() -> None:
    network, (images, tokens) = Mammut(TINY), random_batch()

    def caption_term(weight: float) -> float:
        recipe = Recipe(
            batch_size=3, learning_rate=1e-3, warmup_samples=3, caption_loss_weight=weight
        )
        gradients = Gradients(MAMMUT, recipe)
        return gradients.backward(network, Batch(images, tokens))["caption"].item()

    assert caption_term(2.0) == pytest.approx(2 * caption_term(1.0))
