import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from scaling.weights import WeightsError
from scaling.weights.files import read_weights

WEIGHTS = {"logit_scale": torch.tensor(2.5), "visual.proj": torch.arange(6.0).reshape(2, 3)}


class CreatesFile:
    """Unpickling it opens a file for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def optimizer_state() -> dict[str, Any]:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"epoch": 3, "name": "x", "state_dict": WEIGHTS, "optimizer": optimizer_state()},
        {"format": 1, "network": WEIGHTS, "samples_seen": 64},
    ],
    ids=["bare", "open_clip", "ours"],
)
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_weights_are_found_wherever_a_file_has_them(
    tmp_path: Path, content: dict[str, Any], is_zip: bool
) -> None:
    path = tmp_path / "epoch_3.pt"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)

    found = read_weights(path)

    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    safetensors.torch.save_file(WEIGHTS, path)

    assert torch.equal(read_weights(path)["visual.proj"], WEIGHTS["visual.proj"])


def evil_files(target: Path) -> dict[str, bytes]:
    zipped, legacy = io.BytesIO(), io.BytesIO()
    content = {"state_dict": WEIGHTS, "hook": CreatesFile(target)}
    torch.save(content, zipped)
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    plain = {f"pickle-{n}": pickle.dumps(CreatesFile(target), protocol=n) for n in (2, 4)}
    return {"zip": zipped.getvalue(), "legacy": legacy.getvalue(), **plain}


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle-2", "pickle-4"])
def test_a_file_that_would_run_code_is_refused_by_name_and_runs_nothing(
    tmp_path: Path, kind: str
) -> None:
    target, path = tmp_path / "created", tmp_path / "evil.pt"
    path.write_bytes(evil_files(target)[kind])

    with pytest.raises(WeightsError, match=r"evil\.pt: refused: .* call _?io\.open"):
        read_weights(path)

    assert not target.exists()


def test_the_file_of_that_test_does_create_one_when_it_is_unpickled(tmp_path: Path) -> None:
    target = tmp_path / "created"

    pickle.loads(evil_files(target)["pickle-4"]).close()

    assert target.exists()


def test_a_torchscript_archive_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)

    with pytest.raises(WeightsError, match=r"TorchScript archive, as OpenAI.*safetensors"):
        read_weights(path)


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no weights"),
        (b"hello, world", "holds no weights"),
        (torn(saved(WEIGHTS)), "is damaged"),
        (torn(safetensors.torch.save(WEIGHTS)), "is damaged"),
        (saved([1, 2]), "holds a list"),
        (saved({"visual.proj": torch.eye(2).to_sparse()}), "visual.proj has the layout"),
        (saved({"visual.proj": torch.empty(2, device="meta")}), "visual.proj has no values"),
        (saved({"epoch": 3}), "'epoch' is a int, not a tensor.*'state_dict'"),
    ],
    ids=["empty", "text", "torn", "torn safetensors", "list", "sparse", "meta", "no weights"],
)
def test_what_is_no_file_of_weights_is_one_message(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(content)

    with pytest.raises(WeightsError, match=rf"file\.pt: .*{message}"):
        read_weights(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(WeightsError, match="is a folder"):
        read_weights(tmp_path)
