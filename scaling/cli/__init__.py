"""The command line: one module per command, each importing what it needs when it runs."""

from scaling.cli.app import main

__all__ = ["main"]
