"""Ctrl-C and SIGTERM as a request: the first asks, a second insists."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from scaling.trial import Work

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def saving_on_sigterm(work: Work) -> Iterator[None]:
    """Within, SIGTERM asks the attempt that this process makes to save and stop.

    As a machine sends it to all processes before it takes its resources back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: work.stop_file.touch())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class StopRequest:
    """Whether somebody asked this process to stop while the `with` lasts.

    Signals reach the main thread only; elsewhere (in some notebooks) nothing is caught.
    """

    def __init__(self) -> None:
        """Nobody asked yet."""
        self.is_made = False
        self.is_preemption = False
        """Whether it came from a machine that wants its resources back, not from a person."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Catch the signals from here on."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._asked) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the signals to whoever had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.is_made:
            raise KeyboardInterrupt
        self.is_made = True
        self.is_preemption = number == signal.SIGTERM
