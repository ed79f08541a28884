"""No process outlives its driver, not even a driver that is killed."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

_VARIABLE = "SCALING_RUN"


class Guard:
    """Marks the processes that this one starts from here on, and has them ended with it."""

    def __init__(self, *, of_ray: bool = False) -> None:
        """Start the program that waits for the end; see `reaper`.

        With `of_ray`, the processes of a Ray session that this process begins are ended too.
        """
        mark = f"{uuid.uuid4()}"
        program = Path(__file__).with_name("reaper.py")
        environment = {name: text for name, text in os.environ.items() if name != _VARIABLE}
        session = [str(os.getpid())] if of_ray else []
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(program), f"{_VARIABLE}={mark}", *session],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What ends the driver's process group, Ctrl-C on a terminal say, is not to end it.
            start_new_session=True,
        )
        os.environ[_VARIABLE] = mark

    def release(self) -> None:
        """End what is still there, now."""
        os.environ.pop(_VARIABLE, None)
        assert self._reaper.stdin
        self._reaper.stdin.close()
        self._reaper.wait()
