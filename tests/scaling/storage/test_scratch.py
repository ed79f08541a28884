import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.errors import StorageError
from scaling.storage import scratch
from scaling.storage.scratch import delete_unless_held, held, sweep


def test_a_folder_lasts_as_long_as_anybody_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "a"
    with held(folder):
        with held(folder):
            (folder / "file").touch()
        delete_unless_held(folder)
        assert (folder / "file").exists()

    assert not folder.exists()
    assert folder.parent.stat().st_mode & 0o077 == 0


def test_what_a_killed_process_held_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    program = (
        "import os, pathlib, signal\n"
        "from scaling.storage.scratch import held\n"
        f"with held(pathlib.Path({str(mine / 'dead')!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    dead = subprocess.run([sys.executable, "-c", program], check=False)
    assert dead.returncode == -signal.SIGKILL
    (mine / "file").touch()
    with held(mine / "alive"):
        sweep(mine)
        assert (mine / "dead").exists(), "it may only just have been made"
        monkeypatch.setattr(scratch, "_SECONDS_UNTIL_ABANDONED", -1.0)

        sweep(mine)

        assert sorted(path.name for path in mine.iterdir()) == ["alive", "file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)

    with (
        pytest.raises(StorageError, match=r"belongs to another user; .*--scratch"),
        held(tmp_path / "a"),
    ):
        pytest.fail("it was used")
