"""Which file system a path is on, as far as that tells who else can see it."""

from pathlib import Path

_SHARED = (
    "nfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "cifs",
    "smb",
    "afs",
    "panfs",
    "wekafs",
    "9p",
)
"""Beginnings of the names in /proc/mounts, after `fuse.`."""


def shared_type(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system that `path` is on; None if it is none, or unknown."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = path.absolute().resolve()
    found, kind = Path("/"), ""
    for line in lines:
        _, folder, name = line.split(" ")[:3]
        mount = Path(folder.replace("\\040", " "))
        # Of several mounts on one folder the last one counts.
        if place.is_relative_to(mount) and len(mount.parts) >= len(found.parts):
            found, kind = mount, name
    return kind if kind.removeprefix("fuse.").startswith(_SHARED) else None
