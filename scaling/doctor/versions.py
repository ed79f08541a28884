"""Versions of what computes results."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from scaling.findings import Finding, fine, problem
from scaling.store.tables import SCHEMA_VERSION

_PACKAGES = ("torch", "ray", "open_clip_torch")


def check(packages: tuple[str, ...] = _PACKAGES) -> Iterator[Finding]:
    """Python, what is installed of `packages`, and the schema that this program writes."""
    python = platform.python_version()
    found, missing = [f"python {python}", f"schema {SCHEMA_VERSION}"], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    yield fine(", ".join(found), "versions")
    if missing:
        yield problem(
            f"{', '.join(missing)} not installed", "versions", f"pip install {' '.join(missing)}"
        )
