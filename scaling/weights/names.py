"""What the same parameter is called in files of different writers."""

from collections.abc import Callable, Collection

from scaling.weights.files import Weights

_WRAPPERS = ("module.", "_orig_mod.")
"""What `DistributedDataParallel` and `torch.compile` put before the names of what they wrap."""

_TEXT = "text."
_TEXT_TOWER = (
    "token_embedding.",
    "positional_embedding",
    "transformer.",
    "ln_final.",
    "text_projection",
)
"""The text tower, which open_clip's CLIP has at its root and its CustomTextCLIP under `text.`"""

OPENAI_MARKS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Numbers among the weights of OpenAI's own files, and of no one else's."""


def without_wrappers(weights: Weights) -> Weights:
    """`weights` as the network itself calls them, whatever it was wrapped in."""
    unwrapped = {name.replace("_orig_mod.", ""): tensor for name, tensor in weights.items()}
    while unwrapped and all(name.startswith(_WRAPPERS) for name in unwrapped):
        unwrapped = {name.partition(".")[2]: tensor for name, tensor in unwrapped.items()}
    return unwrapped


def called_as(weights: Weights, names: Collection[str]) -> Weights:
    """`weights` with the text tower where a network with these `names` has it."""

    def known(candidate: Weights) -> int:
        return len(candidate.keys() & set(names))

    return max((_renamed(weights, how) for how in _PLACES), key=known)


def _as_is(name: str) -> str:
    return name


def _at_root(name: str) -> str:
    bare = name.removeprefix(_TEXT)
    return bare if bare.startswith(_TEXT_TOWER) else name


def _under_text(name: str) -> str:
    return _TEXT + name if name.startswith(_TEXT_TOWER) else name


_PLACES: tuple[Callable[[str], str], ...] = (_as_is, _at_root, _under_text)


def _renamed(weights: Weights, how: Callable[[str], str]) -> Weights:
    return {how(name): tensor for name, tensor in weights.items()}
