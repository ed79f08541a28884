"""An attempt at a trial, in the process that makes it; the driver hears of it through messages.

The same generator runs in a Ray actor and in a plain loop. Free of SQL: workers never see the
store.
"""

import importlib
import logging
import os
import platform
import socket
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from scaling.errors import NoRoomError, ScalingError, StorageError
from scaling.full_disk import doing_without, is_full_disk
from scaling.orchestrator.fitting_rows import fitting
from scaling.orchestrator.mirror import InPlace, mirrored
from scaling.orchestrator.stalls import writing_stacks
from scaling.train import Diverged, Preempted
from scaling.trial import CurvePoint, Event, Measurement, Throughput, Work

TRAINER = "scaling.train:train"
"""Where the generator stands that trains, as 'module:function'."""


@dataclass(frozen=True)
class Hello:
    """The first message of an attempt: the process that makes it."""

    host: str
    pid: int
    versions: dict[str, Any]
    """See `scaling.store.Worker`."""


@dataclass(frozen=True)
class Batch:
    """Events in the order in which they were yielded; all metrics of a task, or none."""

    events: tuple[Event, ...]


CrashKind = Literal["bug", "setup", "no-room", "oom", "diverged", "preempted"]


@dataclass(frozen=True)
class Crash:
    """The last message of an attempt that an exception ended."""

    kind: CrashKind
    text: str
    rows: int | None = None
    """How many were computed at once, if that exceeded the memory and fewer may not."""


Message = Hello | Batch | Crash


def attempt(trainer: str, work: Work, log: Path, **rank: Any) -> Iterator[Message]:
    """Do `work`, say what comes of it; an exception becomes a `Crash`, its traceback a `log`.

    One of several processes is told which one it is by `rank`, keywords of the trainer.
    """
    processes = rank["world"].size if "world" in rank else 1
    work, rows, notes = fitting(work, versions()["device"], processes)
    found = {**versions(), "execution": asdict(work.execution), "rows": rows}
    yield Hello(socket.gethostname(), os.getpid(), found)
    try:
        with (
            mirrored(work, log) as mirror,
            closing(_events(trainer, work, log, rank)) as events,
        ):
            yield from _told(events, mirror, log, rows, [*notes])
    except StorageError as error:
        # Nothing is told that is not kept; the trial goes on from what is.
        yield Crash("setup", _in_words(error))
    except OSError as error:
        if not is_full_disk(error):
            raise
        yield Crash("no-room", _in_words(error))


def _events(
    trainer: str, work: Work, log: Path, rank: Mapping[str, Any]
) -> Generator[Event, None, None]:
    with _logging_to(log), writing_stacks(log, work.stall_seconds) as heard:
        for event in _load(trainer)(work, **rank):
            heard(event)
            yield event


def _told(
    events: Iterable[Event], mirror: InPlace, log: Path, rows: int | None, gathered: list[Event]
) -> Iterator[Batch | Crash]:
    """All that is told of `events`, the `gathered` ones first, once it is kept."""
    try:
        for event in events:
            gathered.append(event)
            # Metrics wait for what follows them, which shows that their task has ended.
            if not isinstance(event, Measurement | CurvePoint | Throughput):
                yield Batch(mirror.keep(gathered))
                gathered.clear()
        yield Batch(mirror.keep(gathered))
    except StorageError:
        raise
    except Preempted as request:
        yield Batch(mirror.keep(without_torn_task(gathered)))
        yield Crash("preempted", str(request))
    except Exception as error:  # noqa: BLE001  # whatever it is, it fails this trial and no other
        with doing_without():
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        yield Batch(mirror.keep(without_torn_task(gathered)))
        kind = _kind(error)
        text = f"{_in_words(error)} (traceback: {mirror.log})"
        yield Crash(kind, text, rows if kind == "oom" else None)


def without_torn_task(events: Iterable[Event]) -> tuple[Event, ...]:
    """`events` without the metrics at their end: the task may have had more when it was cut."""
    whole = list(events)
    last = whole[-1] if whole else None
    while whole and isinstance(last, Measurement) and _same_task(whole[-1], last):
        whole.pop()
    return tuple(whole)


@cache
def versions() -> dict[str, str]:
    """What may change a result, without importing any of it where there is no GPU."""
    found = {
        name: _version(package)
        for name, package in (
            ("torch", "torch"),
            ("ray", "ray"),
            ("open_clip", "open_clip_torch"),
            ("timm", "timm"),
            ("scaling", "scaling"),
        )
    }
    return {**found, "python": platform.python_version(), "device": _device()}


def _same_task(event: Event, other: Measurement) -> bool:
    return isinstance(event, Measurement) and (
        (event.samples_seen, event.task) == (other.samples_seen, other.task)
    )


def _load(trainer: str) -> Callable[..., Iterator[Event]]:
    module, _, function = trainer.partition(":")
    loaded: Callable[..., Iterator[Event]] = getattr(importlib.import_module(module), function)
    return loaded


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _device() -> str:
    # Ray hides the GPUs that a slot does not own; without any, torch need not be asked.
    if not os.path.exists("/dev/nvidiactl") or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return "cpu"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _kind(error: Exception) -> CrashKind:
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, NoRoomError) or is_full_disk(error):
        return "no-room"
    if isinstance(error, ScalingError):
        return "setup"
    # torch.OutOfMemoryError, by name because torch may not be imported here.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    return "bug"


def _in_words(error: Exception) -> str:
    """The exception in one line."""
    text = " ".join(str(error).split()) or "no message"
    known = isinstance(error, ScalingError | Diverged)
    return text if known else f"{type(error).__name__}: {text}"


@contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    """What this package logs goes to a file, made with the first line."""
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("scaling")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        with doing_without():
            handler.close()
