"""Which files a tar holds, and where: a walk over its headers that reads no content.

Understands the names and sizes that `tarfile`, GNU tar and webdataset write (ustar, GNU, pax), in
a quarter of the time of `tarfile`: indexes are built while training runs.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_BLOCK = 512
_ADLER = 65521
"""The prime that sums of an Adler-32 are taken modulo."""
_END = bytes(_BLOCK)
_REGULAR = (b"0", b"\0", b"7")
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, folders and pipes: nothing follows their header, whatever size it states."""
_EXTENSIONS = (b"L", b"K", b"x", b"X", b"g")
"""Headers about the next header: long names, and pax records."""


class Member(NamedTuple):
    """A regular file in a tar."""

    name: str
    offset: int
    """Where its content begins."""
    bytes: int


class DamagedTarError(Exception):
    """The tar cannot be read on from `offset`; what came before is whole."""

    def __init__(self, offset: int, reason: str) -> None:
        """`reason` completes 'at byte OFFSET: '."""
        self.offset = offset
        super().__init__(f"at byte {offset:,}: {reason}")


def members(file: BinaryIO, file_bytes: int) -> Iterator[Member]:
    """The regular files of an uncompressed tar of `file_bytes`, in its order.

    Raises `DamagedTarError` where the tar ends early or a header is none.
    """
    offset = 0
    name, size = "", -1
    while True:
        file.seek(offset)
        header = file.read(_BLOCK)
        if header == _END:
            return
        kind, stated_bytes = _kind_and_size(header, offset)
        content = offset + _BLOCK
        if size >= 0 and kind not in _EXTENSIONS:
            stated_bytes = size
        end = content if kind in _WITHOUT_CONTENT else content + stated_bytes
        if end > file_bytes:
            raise DamagedTarError(offset, "the file ends within this member")
        if kind in _EXTENSIONS:
            name, size = _extended(kind, file.read(stated_bytes), name, size)
        else:
            if kind in _REGULAR and not (path := name or _name(header)).endswith("/"):
                yield Member(path, content, stated_bytes)
            name, size = "", -1
        offset = -(-end // _BLOCK) * _BLOCK


def _kind_and_size(header: bytes, offset: int) -> tuple[bytes, int]:
    if len(header) < _BLOCK:
        raise DamagedTarError(offset, "the file ends without the mark of a tar's end")
    try:
        stated = int(header[148:156].split(b"\0")[0].strip() or b"0", 8)
        # The sum of all bytes, with the sum's own field read as eight spaces. An Adler-32 holds
        # 1 + the sum in its lower half, ten times quicker than `sum`.
        summed = (zlib.adler32(header) & 0xFFFF) - 1 - sum(header[148:156]) + 8 * ord(" ")
        if (stated - summed) % _ADLER == 0:
            return header[156:157], _number(header[124:136])
    except ValueError:
        pass
    raise DamagedTarError(offset, "this is not the header of a member of a tar")


def _number(field: bytes) -> int:
    """Octal digits, or base 256 where the first bit is set (GNU, 8 GiB and more)."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.split(b"\0")[0].strip() or b"0", 8)


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0")[0]):
        name = prefix + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _extended(kind: bytes, content: bytes, name: str, size: int) -> tuple[str, int]:
    """Name and size of the next member, as far as this extension says them."""
    if kind == b"L":
        return content.split(b"\0")[0].decode("utf-8", "surrogateescape"), size
    if kind in (b"x", b"X"):
        records = dict(_pax_records(content))
        name = records.get("path", name)
        size = int(records.get("size", size))
    return name, size


def _pax_records(content: bytes) -> Iterator[tuple[str, str]]:
    """Records 'LENGTH KEY=VALUE\\n', where LENGTH counts the whole record."""
    start = 0
    while start < len(content):
        length, space, _ = content[start : start + 20].partition(b" ")
        if not (space and length.isdigit() and int(length)):
            return
        record = content[start + len(length) + 1 : start + int(length) - 1]
        key, _, value = record.partition(b"=")
        yield (
            key.decode("utf-8", "surrogateescape"),
            value.decode("utf-8", "surrogateescape"),
        )
        start += int(length)
