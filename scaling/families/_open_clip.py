"""Networks that open_clip builds from a JSON configuration, by how a grid spells them.

| spelling | network |
| --- | --- |
| `open_clip:NAME` | the configuration NAME that open_clip ships |
| `PATH.json` | a file in the same format |
| `timm:NAME` | timm's image tower NAME beside the text tower of ViT-B-32 |

Found without importing torch, save for timm's.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from scaling.errors import ScalingError, unknown
from scaling.families._open_clip_coca import coca_config
from scaling.families._towers import ModelConfig, ViTConfig

OPEN_CLIP, TIMM, JSON = "open_clip:", "timm:", ".json"
_CLIP_VOCABULARY = 49408


class ModelNotFoundError(ScalingError, KeyError):
    """No network is spelled so, or the family does not train it."""

    def __str__(self) -> str:
        """The message as it is; `KeyError` would show it in quotes."""
        return str(self.args[0])


@dataclass(frozen=True, kw_only=True)
class OpenClipConfig(ModelConfig):
    """A configuration of open_clip: what its factory makes a network of."""

    text: str
    """Canonical JSON: two configurations are equal if this is."""
    source: str = field(compare=False)
    """How it was spelled, for messages."""

    @cached_property
    def content(self) -> dict[str, Any]:
        """The configuration: `embed_dim`, `vision_cfg`, `text_cfg`, and what else there is."""
        content: dict[str, Any] = json.loads(self.text)
        return content


class OpenModels(Mapping[str, ModelConfig]):
    """The sizes of a family, and any network of open_clip's by its spelling.

    Iteration gives the sizes alone. `models[name]` raises `ModelNotFoundError`, a `KeyError`, with
    the nearest name.
    """

    def __init__(
        self, family: str, sizes: Mapping[str, ViTConfig], *, has_captioner: bool = False
    ) -> None:
        """`has_captioner`: whether it is CoCa, whose configurations have a `multimodal_cfg`."""
        self._family = family
        self._sizes = sizes
        self._has_captioner = has_captioner

    def __getitem__(self, name: str) -> ModelConfig:
        """See `OpenModels`."""
        if name in self._sizes:
            return self._sizes[name]
        content = configuration(name)
        if content is None:
            known = [*self._sizes, *(f"{OPEN_CLIP}{shipped}" for shipped in _shipped())]
            raise ModelNotFoundError(unknown(f"model of {self._family}", name, known))
        if has_captioner := "multimodal_cfg" in content:
            reason = "has a captioner (multimodal_cfg), so that it is a model of coca"
        else:
            reason = "has no captioner (multimodal_cfg)"
        if has_captioner != self._has_captioner:
            raise ModelNotFoundError(f"{name}: is no model of {self._family}: it {reason}")
        config = _config(name, content)
        return self._with_captioner(name, config) if has_captioner else config

    def _with_captioner(self, name: str, config: OpenClipConfig) -> ViTConfig:
        """Such networks are ours, of sizes; open_clip's own leaves its head unset."""
        try:
            return coca_config(config.content)
        except ValueError as error:
            raise ModelNotFoundError(
                f"{name}: is no model of {self._family}:\n  {error}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        """The names of the sizes."""
        return iter(self._sizes)

    def __len__(self) -> int:
        """How many sizes there are."""
        return len(self._sizes)


def canonical_name(name: str) -> str:
    """`PATH.json` as `PATH.json#DIGEST`, every other name as it is.

    The digest makes what is in the file part of a trial's identity; a worker that finds something
    else in it refuses. Raises `ModelNotFoundError` if the file cannot be read.
    """
    if not name.endswith(JSON):
        return name
    return f"{name}#{_digest(_read(name, Path(name)))}"


def configuration(name: str) -> dict[str, Any] | None:
    """What open_clip's factory would be given for `name`; None if it is no spelling of ours."""
    if name.startswith(OPEN_CLIP):
        shipped = name.removeprefix(OPEN_CLIP)
        if shipped not in _shipped():
            raise ModelNotFoundError(unknown("configuration of open_clip", shipped, _shipped()))
        return _read(name, _shipped()[shipped])
    if name.startswith(TIMM):
        return _timm(name.removeprefix(TIMM))
    path, _, digest = name.partition("#")
    if not path.endswith(JSON):
        return None
    content = _read(path, Path(path))
    if digest and digest != _digest(content):
        raise ModelNotFoundError(
            f"{path}: has changed since this trial was planned (it was {digest}, it is "
            f"{_digest(content)}); put it back, or plan again"
        )
    return content


def _config(name: str, content: dict[str, Any]) -> OpenClipConfig:
    vision, text = content["vision_cfg"], content["text_cfg"]
    image_size = vision.get("image_size", 224)
    if isinstance(image_size, list):
        if len(set(image_size)) != 1:
            raise ModelNotFoundError(f"{name}: vision_cfg.image_size: {image_size} is not square")
        image_size = image_size[0]
    if tokenizer := text.get("hf_tokenizer_name") or text.get("hf_model_name"):
        raise ModelNotFoundError(
            f"{name}: reads captions with the Hugging Face tokenizer {tokenizer!r}, which is not "
            "supported; a JSON file with the same towers reads them with CLIP's: leave out "
            f"text_cfg.hf_tokenizer_name and write vocab_size {_CLIP_VOCABULARY}"
        )
    vocab_size = text.get("vocab_size", _CLIP_VOCABULARY)
    if vocab_size < _CLIP_VOCABULARY:
        raise ModelNotFoundError(
            f"{name}: text_cfg.vocab_size: {vocab_size} is less than the {_CLIP_VOCABULARY} of "
            "CLIP's tokenizer"
        )
    return OpenClipConfig(
        image_size=image_size,
        context_length=text.get("context_length", 77),
        vocab_size=vocab_size,
        text=_canonical(content),
        source=name,
    )


def _read(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelNotFoundError(f"{name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelNotFoundError(f"{name}: is not JSON: {error}") from error
    towers = ("vision_cfg", "text_cfg")
    if not (
        isinstance(content, dict)
        and isinstance(content.get("embed_dim"), int)
        and all(isinstance(content.get(tower), dict) for tower in towers)
    ):
        raise ModelNotFoundError(
            f"{name}: is not a configuration of open_clip: it needs embed_dim, a number, and "
            "vision_cfg and text_cfg, objects"
        )
    return content


@cache
def _shipped() -> Mapping[str, Path]:
    """The configurations that open_clip ships, by name."""
    found = importlib.util.find_spec("open_clip")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "model_configs"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def _timm(name: str) -> dict[str, Any]:
    """An image tower of timm, pooled as it pools itself, beside the text tower of ViT-B-32."""
    import timm

    if name not in (names := timm.list_models()):
        raise ModelNotFoundError(unknown("image tower of timm", name, names))
    defaults = timm.get_pretrained_cfg(name)
    assert defaults is not None
    _, height, width = defaults.input_size
    return {
        "embed_dim": 512,
        "vision_cfg": {
            "timm_model_name": name,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": height if height == width else [height, width],
        },
        "text_cfg": {"context_length": 77, "width": 512, "heads": 8, "layers": 12},
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()[:8]


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
