import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.datasets._webdataset.tar import DamagedTarError, members

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])


def tar_of(files: list[tuple[str, int, bytes]], format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, size, kind in files:
            info = tarfile.TarInfo(name)
            info.type, info.mtime = kind, 1.5  # pax has a record for a fraction of a second
            info.size = size if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(bytes(size)))
    return buffer.getvalue()


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(files=st.lists(st.tuples(NAMES, st.integers(0, 1500), KINDS), max_size=8))
def test_files_are_those_that_tarfile_finds(
    format: int, files: list[tuple[str, int, bytes]]
) -> None:
    content = tar_of(files, format)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        theirs = [(m.name, m.offset_data, m.size) for m in tar if m.isfile()]

    ours = [tuple(member) for member in members(io.BytesIO(content), len(content))]

    assert [file[1:] for file in ours] == [file[1:] for file in theirs]
    assert [name.rstrip("/") for name, *_ in ours] == [name for name, *_ in theirs]


def test_a_name_in_two_parts_is_put_together() -> None:
    name = "/".join(["a" * 60, "b" * 60, "0.txt"])
    content = tar_of([(name, 3, tarfile.REGTYPE)], tarfile.USTAR_FORMAT)

    assert next(members(io.BytesIO(content), len(content))).name == name


def test_a_size_beyond_octal_digits_is_read() -> None:
    info = tarfile.TarInfo("large.bin")
    info.size = 9 * 2**30
    header = info.tobuf(tarfile.GNU_FORMAT)

    assert next(members(io.BytesIO(header), 10 * 2**30)).bytes == info.size


FILES = [(f"{n}.txt", 700, tarfile.REGTYPE) for n in range(4)]


@pytest.mark.parametrize(
    ("cut", "whole", "where"),
    [
        (1536 * 2 + 900, 2, "at byte 3,072: the file ends within this member"),
        (1536 * 2 + 100, 2, "at byte 3,072: the file ends without the mark"),
        (1536 * 4, 4, "at byte 6,144: the file ends without the mark"),
    ],
)
def test_what_is_before_the_end_of_a_cut_tar_is_read(cut: int, whole: int, where: str) -> None:
    content = tar_of(FILES, tarfile.USTAR_FORMAT)[:cut]
    walk = members(io.BytesIO(content), len(content))

    assert [next(walk).name for _ in range(whole)] == [name for name, *_ in FILES[:whole]]
    with pytest.raises(DamagedTarError, match=where):
        next(walk)


def test_junk_amid_a_tar_is_damage_and_not_its_end() -> None:
    content = bytearray(tar_of(FILES, tarfile.USTAR_FORMAT))
    content[1536:2048] = b"\x07" * 512

    with pytest.raises(DamagedTarError, match="at byte 1,536: this is not the header"):
        list(members(io.BytesIO(content), len(content)))
