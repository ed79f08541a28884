"""What every storage does: a folder, and addresses of two file systems of fsspec."""

import hashlib
import multiprocessing
import os
from pathlib import Path

import pytest

from scaling.errors import StorageError
from scaling.storage import Remote, Storage, is_address, storage_at
from scaling.trial import Checkpoint

PATH = Path("trial", "x.pt")


@pytest.fixture(params=["folder", "file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    root = {
        "folder": tmp_path / "place",
        "file": f"file://{tmp_path}/place/",
        "memory": f"memory://{tmp_path.name}",
    }[request.param]
    return storage_at(root, tmp_path)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    found = storage_at(f"file://{tmp_path}/place", tmp_path)
    assert isinstance(found, Remote)
    return found


def checkpoint(data: bytes = b"weights") -> Checkpoint:
    return Checkpoint(
        trial_id="trial",
        samples_seen=64,
        path=PATH,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )


def test_what_is_read_is_what_was_written(storage: Storage) -> None:
    storage.write(PATH, b"first")
    storage.write(PATH, b"second")

    assert storage.read(PATH) == b"second"
    assert storage.read(PATH, start=2) == b"cond"
    assert storage.names(Path("trial")) == ["x.pt"]
    assert storage.sizes([PATH, Path("trial", "y.pt"), Path("other", "x.pt")]) == {PATH: 6}


def test_what_is_not_there_is_empty_and_can_be_deleted(storage: Storage) -> None:
    storage.delete(PATH)

    assert storage.read(PATH) == b""
    assert storage.names(Path("trial")) == []
    assert storage.sizes([PATH]) == storage.sizes([PATH, Path("trial", "y.pt")]) == {}


def test_appending_makes_a_file_and_adds_to_it(storage: Storage) -> None:
    storage.append(PATH, b"one ")
    storage.append(PATH, b"two")

    assert storage.read(PATH) == b"one two"


def test_a_checkpoint_is_fetched_and_what_was_fetched_goes(storage: Storage) -> None:
    storage.check()
    storage.write(PATH, b"weights")

    with storage.fetched(storage.handed_out(checkpoint())) as here:
        assert here.path.read_bytes() == b"weights"
    assert here.path.exists() is not isinstance(storage, Remote)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"", "x.pt: cannot be downloaded: FileNotFoundError"),
        (b"weightz", r"x.pt: not the file that was saved: .* \(7 of 7 bytes\); delete it"),
    ],
)
def test_a_checkpoint_that_is_not_what_was_saved_is_not_given(
    remote: Remote, stored: bytes, message: str
) -> None:
    if stored:
        remote.write(PATH, stored)

    with pytest.raises(StorageError, match=message), remote.fetched(checkpoint()):
        pytest.fail("it was given")

    assert list(remote.scratch.iterdir()) == []


def test_an_upload_that_arrives_in_part_has_no_name(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.storage.remote._SECONDS_BETWEEN_TRIES", ())
    local = tmp_path / "x.pt"
    local.write_bytes(b"weight")

    with pytest.raises(StorageError, match="cannot be uploaded: OSError: 6 of 7 bytes have"):
        remote.upload(Checkpoint(**{**vars(checkpoint()), "path": local}))

    assert remote.names(Path("trial")) == ["x.pt.part"]


def test_a_storage_that_fails_for_a_while_is_waited_for(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaling.storage.remote._SECONDS_BETWEEN_TRIES", (0.01, 0.01))
    blocked = tmp_path / "place" / "trial"
    blocked.parent.mkdir()
    blocked.touch()  # A file where a folder is wanted.
    monkeypatch.setattr("time.sleep", lambda seconds: blocked.unlink(missing_ok=True))

    remote.write(PATH, b"at last")

    assert remote.read(PATH) == b"at last"


def fetch(storage: Remote, folder: Path, ready: "multiprocessing.synchronize.Barrier") -> None:
    with storage.fetched(checkpoint()) as here:
        (folder / f"{os.getpid()}").write_text(str(here.path.stat().st_ino))
        ready.wait()


def test_processes_of_a_machine_share_what_they_fetch(remote: Remote, tmp_path: Path) -> None:
    remote.write(PATH, b"weights")
    seen = tmp_path / "seen"
    seen.mkdir()
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(3)
    processes = [context.Process(target=fetch, args=(remote, seen, ready)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0

    assert len({path.read_text() for path in seen.iterdir()}) == 1
    assert list(remote.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s5://bucket/x", "unknown protocol 's5'; did you mean 's3'"),
        ("ssh://host/x", r"reads and writes ssh:// is not installed.*\(.*paramiko"),
        ("s3:/bucket/x", "give an address as text, 's3://bucket/x'"),
    ],
)
def test_an_address_that_nothing_reaches_is_refused(address: str, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        storage_at(address)


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="/file/x: cannot be written to: NotADirectoryError"):
        storage_at(f"file://{tmp_path}/file/x", tmp_path).check()


def test_folders_are_no_addresses() -> None:
    assert not any(map(is_address, ["results.checkpoints", "/a/b", "C:/a", Path("a/b")]))
    assert all(map(is_address, ["s3://bucket", "gs://bucket/a b", "file:///a"]))
