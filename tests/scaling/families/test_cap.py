import torch

from scaling.families import FAMILIES
from scaling.families._towers import CAP
from scaling.families.cap.network import Cap
from scaling.families.mammut.network import Mammut

TINY = CAP["tiny-b"]


def test_weights_of_mammut_load_and_captions_are_as_likely() -> None:
    torch.manual_seed(0)
    mammut, cap = Mammut(TINY), Cap(TINY)
    torch.nn.init.normal_(mammut.text.text_projection)
    cap.load_state_dict(mammut.state_dict())
    images = torch.randn(3, 3, 16, 16)
    tokens = torch.randint(1, TINY.vocab_size, (3, TINY.context_length))

    outputs = cap(images, tokens)

    assert (dict(outputs.features), dict(outputs.scalars)) == ({}, {})
    assert torch.equal(outputs.sums["caption"], mammut(images, tokens).sums["caption"])
    assert cap(images, tokens, captions=False) == ({}, {}, {})


def test_what_captioning_does_not_use_is_frozen_and_nothing_else() -> None:
    frozen = {name for name, p in Cap(TINY).named_parameters() if not p.requires_grad}

    assert frozen == {"logit_scale", "visual.proj", "visual.ln_post.weight", "visual.ln_post.bias"}


def test_cap_has_no_features_to_ask_for() -> None:
    network = FAMILIES.get("cap").build("tiny-a")

    assert FAMILIES.get("cap").abilities == {"captions", "patches"}
    assert not hasattr(network, "encode_image")
    assert not hasattr(network, "encode_text")
