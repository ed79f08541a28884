from pathlib import Path

import pytest
import torch

from scaling.families import FAMILIES
from scaling.train import checkpoints
from scaling.trial import Data, Recipe, Trunk
from scaling.weights import load_network
from scaling.weights.export import Exported, Format, export


def exported(family: str, folder: Path, file_format: Format = "open-clip") -> Exported:
    """A network with fresh weights, saved as a checkpoint and exported."""
    trial = Trunk(
        family=family,
        model="tiny-a",
        data=Data(kind="shapes"),
        recipe=Recipe(batch_size=32, learning_rate=1e-3, warmup_samples=32),
    )
    network = FAMILIES.get(family).build("tiny-a")
    checkpoint = checkpoints.save(
        {"format": 1, "network": network.state_dict()},
        folder / "checkpoints",
        trial_id=trial.id,
        samples_seen=64,
        attempt=1,
    )
    return export(trial, checkpoint, folder / "out", number=1, file_format=file_format)


@pytest.mark.parametrize("family", FAMILIES.names())
@pytest.mark.parametrize("file_format", ["open-clip", "safetensors"])
def test_every_family_reads_back_what_it_wrote(
    family: str, file_format: Format, tmp_path: Path
) -> None:
    torch.manual_seed(6)
    written = exported(family, tmp_path, file_format)
    torch.manual_seed(6)
    before = FAMILIES.get(family).build("tiny-a").state_dict()

    after = load_network(written.weights, family, "tiny-a").state_dict()

    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert written.params == FAMILIES.get(family).profile("tiny-a").params


def test_mammut_and_cap_read_each_other(tmp_path: Path) -> None:
    for family, other in (("mammut", "cap"), ("cap", "mammut")):
        load_network(exported(family, tmp_path / family).weights, other, "tiny-a")
