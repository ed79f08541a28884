import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor, nn

from scaling.cli.app import main
from scaling.families import FAMILIES
from scaling.train.checkpoints import load
from scaling.trial import Checkpoint
from scaling.weights import load_network

GRID = """
study: small
families: [clip, siglip, coca, mammut]
models: [tiny-a]
samples_seen: [256]
datasets: {shapes: {kind: shapes}}
schedules: [const-cooldown]
recipes: [{batch_size: 32, learning_rate: 4e-3, warmup: 64 samples, precision: fp32}]
evaluate: [shapes_retrieval]
"""

Command = Callable[..., str]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `scaling run` has trained a trunk and a cooldown of four families."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "grid.yaml").write_text(GRID)
    command = [sys.executable, "-m", "scaling", "run", "grid.yaml", "--executor", "local"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def scaling(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command there; gives what it says, and fails where the exit code is another."""
    monkeypatch.chdir(trained)

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(["checkpoints", *map(str, words)])
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return run


@pytest.fixture
def listed(scaling: Command) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(scaling("ls", "--json"))
    return rows


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    config = FAMILIES.get("clip").models["tiny-a"]
    images = torch.randn(8, 3, config.image_size, config.image_size)
    return images, torch.randint(1, config.vocab_size, (8, config.context_length))


def trained_network(rows: list[dict[str, Any]], family: str) -> nn.Module:
    """The network of the cooldown's checkpoint, as the trainer restores it."""
    (row,) = (row for row in rows if row["trial"].startswith(f"{family}-tiny-a-cooldown"))
    checkpoint = Checkpoint(
        trial_id=row["trial"],
        samples_seen=row["samples_seen"],
        path=Path(row["path"]),
        sha256=row["sha256"],
        bytes=row["bytes"],
    )
    network = FAMILIES.get(family).build("tiny-a")
    network.load_state_dict(load(checkpoint, torch.device("cpu"))["network"])
    return network.eval()


def assert_same_features(ours: nn.Module, theirs: nn.Module) -> None:
    images, tokens = inputs()
    with torch.inference_mode():
        for here, there in (
            (ours.encode_image(images), theirs.eval().encode_image(images, normalize=True)),
            (ours.encode_text(tokens), theirs.encode_text(tokens, normalize=True)),
        ):
            torch.testing.assert_close(there, here, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip", "coca"])
def test_a_network_trained_here_gives_the_same_features_in_open_clip(
    family: str, scaling: Command, listed: list[dict[str, Any]], tmp_path: Path
) -> None:
    said = scaling("export", f"{family}-tiny-a-cooldown", "-o", tmp_path / "out")

    exported, name = tmp_path / "out" / "epoch_1.pt", open_clip_name(family)
    assert f"create_model({name!r}, pretrained={str(exported)!r})" in said
    open_clip.add_model_config(tmp_path / "out")
    theirs = open_clip.create_model(name, pretrained=str(exported))
    ours = trained_network(listed, family)
    assert_same_features(ours, theirs)
    assert torch.equal(ours.logit_scale, theirs.logit_scale)
    assert (ours.logit_bias is None) == (theirs.logit_bias is None) == (family != "siglip")


def open_clip_name(family: str) -> str:
    return "tiny-a" if family == "clip" else f"{family}_tiny-a"


@pytest.mark.parametrize("family", ["clip", "siglip", "coca"])
def test_a_folder_of_safetensors_is_all_that_open_clip_needs(
    family: str, scaling: Command, listed: list[dict[str, Any]], tmp_path: Path
) -> None:
    scaling("export", f"{family}-tiny-a-c", "-o", tmp_path / "out", "--format", "safetensors")

    theirs = open_clip.create_model(f"local-dir:{tmp_path / 'out'}")

    assert_same_features(trained_network(listed, family), theirs)


@pytest.mark.parametrize("file_format", ["open-clip", "safetensors"])
def test_mammut_comes_back_under_the_names_of_the_study(
    file_format: str, scaling: Command, listed: list[dict[str, Any]], tmp_path: Path
) -> None:
    trial = "mammut-tiny-a-c"
    said = json.loads(scaling("export", trial, "-o", tmp_path, "--format", file_format, "--json"))

    network = load_network(Path(said["weights"]), "mammut", "tiny-a")

    assert said["configuration"] is None
    assert "map_viz2txt_kv" in network.state_dict()
    assert_equal_weights(network, trained_network(listed, "mammut"))


def assert_equal_weights(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_the_file_says_what_it_is_of(scaling: Command, tmp_path: Path) -> None:
    scaling("export", "clip-tiny-a-trunk", "--at", "192", "-o", tmp_path)

    content = torch.load(tmp_path / "epoch_1.pt", weights_only=True)

    assert content["epoch"] == 1
    assert content["name"].startswith("clip-tiny-a-trunk-")
    assert content["samples_seen"] == 192


def test_checkpoints_are_listed_with_their_digests(listed: list[dict[str, Any]]) -> None:
    assert len(listed) == 8
    assert {row["samples_seen"] for row in listed} == {192, 256}
    assert all(
        row["present"] and Path(row["path"]).stat().st_size == row["bytes"] for row in listed
    )


def test_the_list_is_cut_nowhere(scaling: Command, listed: list[dict[str, Any]]) -> None:
    lines = scaling("ls", "siglip").splitlines()

    assert len(lines) == 3
    assert all(row["path"] in line for row, line in zip(listed[-2:], lines[1:], strict=True))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clop-tiny-a", "-o", "x"], "nearest: clip-tiny-a-"),
        (["clip", "-o", "x"], "2 trials begin with 'clip'; write more of one: clip-tiny-a-cool"),
        (["clip-tiny-a-c", "-o", "x", "--at", "64"], "has checkpoints at 256"),
        (["clip-tiny-a-c", "-o", "x", "--at", "many"], "--at: 'many' is not a count"),
        (["clip-tiny-a-c", "-o", "grid.yaml"], "grid.yaml: is a file"),
        (["clip-tiny-a-c", "-o", "x", "--checkpoints", "elsewhere"], "missing"),
        (["clip-tiny-a-c", "-o", "x", "--db", "none.db"], "there is no store at none.db"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_bad_requests_are_one_message(words: list[str], message: str, scaling: Command) -> None:
    said = scaling("export", *words, code=2)

    assert message in said
    assert "Traceback" not in said
    assert not Path("x").exists()


def test_no_file_is_written_over(scaling: Command, tmp_path: Path) -> None:
    scaling("export", "clip-tiny-a-c", "-o", tmp_path)
    before = (tmp_path / "epoch_1.pt").read_bytes()

    said = scaling("export", "siglip-tiny-a-c", "-o", tmp_path, code=2)

    assert "epoch_1.pt: is there already" in said
    assert (tmp_path / "epoch_1.pt").read_bytes() == before
    assert not list(tmp_path.glob("*siglip*"))


def test_a_damaged_checkpoint_is_not_exported(
    scaling: Command, listed: list[dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "copied"
    shutil.copytree("results.checkpoints", root)
    file = root / Path(listed[0]["path"]).relative_to("results.checkpoints")
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    said = scaling(
        "export", listed[0]["trial"], "-o", tmp_path / "out", "--checkpoints", root, code=2
    )

    assert "not the file that was saved" in said
    assert not (tmp_path / "out").exists()
