"""The configuration from which open_clip builds the same network."""

import dataclasses
from typing import TYPE_CHECKING, Any

from scaling.families._images import MEAN, STD

if TYPE_CHECKING:
    from torch import nn

    from scaling.families._towers import ModelConfig
    from scaling.weights.files import Weights

PREPROCESSING = {"mean": list(MEAN), "std": list(STD)}
"""What `open_clip_config.json` says of images, which are resized as open_clip does by default."""


def open_clip_name(family: str, model: str) -> str:
    """What a file with the configuration is called, and with it the model in open_clip.

    As the study's table has it, `ViT-B-32` and `coca_ViT-B-32`. SigLIP's is `siglip_ViT-B-16`:
    what open_clip calls `ViT-B-16-SigLIP` is another network.
    """
    for mark in ("open_clip:", "timm:"):
        model = model.removeprefix(mark)
    # PATH.json#DIGEST: the file's name.
    bare = model.partition("#")[0].removesuffix(".json").replace("\\", "/").rpartition("/")[2]
    return bare if family == "clip" else f"{family}_{bare}"


def open_clip_configuration(
    config: "ModelConfig", network: "nn.Module", weights: "Weights"
) -> dict[str, Any] | None:
    """The content of that file for a `network` of this `config`; None if open_clip has none such.

    It is open_clip's network if it is an object of open_clip's own class. A CoCa whose class token
    sees what it should (`pad: mask`) is none: open_clip's configurations cannot ask for it.
    """
    content = _content(config, network)
    if content is None:
        return None
    content.pop("init_logit_bias", None)
    if "logit_bias" in weights:
        # Without it, open_clip builds no bias; what it is set to is overwritten by the weights.
        content["init_logit_bias"] = weights["logit_bias"].item()
    return {key: _written_out(key, its) for key, its in content.items()}


def _content(config: "ModelConfig", network: "nn.Module") -> dict[str, Any] | None:
    from open_clip.coca_model import CoCa
    from open_clip.model import CLIP, CustomTextCLIP

    from scaling.families._open_clip import OpenClipConfig
    from scaling.families._open_clip_coca import coca_content
    from scaling.families._towers import ViTConfig
    from scaling.families.clip.network import open_clip_content

    if isinstance(network, CLIP | CustomTextCLIP):
        return open_clip_content(config)
    if not isinstance(network, CoCa) or network.text.correct_cls_mask:
        return None
    if isinstance(config, OpenClipConfig):
        return dict(config.content)
    assert isinstance(config, ViTConfig)
    return {"embed_dim": config.embed_dim, **coca_content(config), "custom_text": True}


_ALWAYS = frozenset(
    {"image_size", "patch_size", "width", "layers", "heads", "context_length", "vocab_size"}
)


def _written_out(key: str, value: Any) -> Any:
    """A section of the configuration as open_clip writes them: sizes, and what is no default.

    That a key such as `hf_model_name` is there, be it null, is a statement to open_clip.
    """
    from open_clip.coca_model import MultimodalCfg
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    schemas = {
        "vision_cfg": CLIPVisionCfg,
        "text_cfg": CLIPTextCfg,
        "multimodal_cfg": MultimodalCfg,
    }
    if key not in schemas:
        return value
    defaults = {field.name: field.default for field in dataclasses.fields(schemas[key])}
    return {
        name: its
        for name, its in value.items()
        if name in _ALWAYS or name not in defaults or its != defaults[name]
    }
