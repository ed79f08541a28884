"""What lets this machine into a Ray cluster.

Ray 2.60 asks for a token by default, and finds that of `~/.ray/auth_token` by itself only for the
address 'auto' (ray/_private/worker.py, `init`); a refusal is a bare "failed to connect".
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from scaling.findings import Finding, fine, problem, warning

_MODES = ("token", "disabled")


def check(
    environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> Iterator[Finding]:
    """`RAY_AUTH_MODE`, the token, and who else can read it."""
    mode = environment.get("RAY_AUTH_MODE", "")
    if mode and mode.lower() not in _MODES:
        yield problem(f"{mode!r} is no mode", "RAY_AUTH_MODE", f"set {' or '.join(_MODES)}")
        return
    if mode.lower() == "disabled":
        yield warning(
            "whoever reaches the ports of a cluster that this machine starts can run programs",
            "RAY_AUTH_MODE=disabled",
            "unset it, and give all machines of a cluster the same ~/.ray/auth_token",
        )
        return
    said = environment.get("RAY_AUTH_TOKEN_PATH")
    path = Path(said) if said else (home or Path.home()) / ".ray" / "auth_token"
    if environment.get("RAY_AUTH_TOKEN"):
        yield fine("a token is set", "RAY_AUTH_TOKEN")
    elif path.is_file():
        yield from _file(path)
    else:
        yield _no_token(environment, path, is_needed=bool(mode or said))


def _file(path: Path) -> Iterator[Finding]:
    if _others_can_read(path):
        yield warning("others can read the token", str(path), f"chmod 600 {path}")
    else:
        yield fine("the token of this machine's clusters", str(path))


def _others_can_read(path: Path) -> bool:
    """Whether the file and every folder above it let all users of the machine in."""
    folders = path.resolve().parents
    return bool(path.stat().st_mode & 0o004) and all(
        folder.stat().st_mode & 0o001 for folder in folders
    )


def _no_token(environment: Mapping[str, str], path: Path, *, is_needed: bool) -> Finding:
    address = environment.get("RAY_ADDRESS", "auto")
    what = "there is no token, which a cluster asks for"
    if is_needed or address not in ("auto", "local"):
        return problem(
            what,
            str(path),
            "copy it from the cluster's head, or set RAY_AUTH_MODE=disabled for every process",
        )
    return fine("no token yet; Ray makes one when it first starts here", str(path))
