"""Ray, quietly: a cluster of this machine for as long as a run lasts, or one that stands."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaling.errors import ResourceError
from scaling.orchestrator.guard import Guard
from scaling.orchestrator.places import Node

logger = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 80 * 2**20
"""About the least that Ray takes: what goes through it are small messages; weights are files."""

_TOKEN = Path.home() / ".ray" / "auth_token"


class Cluster:
    """Connects to Ray when `start` is called, and leaves nothing behind after `stop`."""

    def __init__(self, address: str | None) -> None:
        """`address` is 'auto' or 'host:port' of a cluster; None is one of our own."""
        self._address = address
        self._is_ours = False
        self._guard: Guard | None = None

    def start(self) -> list[Node]:
        """Connect, and say what the nodes have; raises `ResourceError` if nobody answers."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self._address not in (None, "auto"):
            _check_answers(self._address)
            _use_token()
        import ray

        if not ray.is_initialized():
            self._is_ours = True
            self._connect()
        return self.nodes()

    def nodes(self) -> list[Node]:
        """The nodes that are there now, as if nothing ran on them."""
        import ray

        return [
            Node(
                id=node["NodeID"],
                cpus=node["Resources"].get("CPU", 0),
                gpus=[1.0] * int(node["Resources"].get("GPU", 0)),
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def start_again(self) -> list[Node]:
        """The nodes of a cluster of our own that takes the place of one whose node died.

        None on clusters that are not ours: whoever started those may bring nodes back.
        """
        if self._address is not None or not self._is_ours:
            return []
        logger.warning("Ray's node on this machine died; starting it again")
        self.stop()
        return self.start()

    def stop(self) -> None:
        """Disconnect, and end every process that `start` began."""
        if not self._is_ours:
            return
        import ray

        self._is_ours = False
        ray.shutdown()
        if self._guard:
            self._guard.release()

    def _connect(self) -> None:
        import ray
        import ray._private.worker

        # What workers print, and what Ray says about those that died, would go to our stdout,
        # which is for results. The flag is the one that Ray's debugger uses for this.
        ray._private.worker._worker_logs_enabled = False
        quiet = {"log_to_driver": False, "logging_level": "error"}
        if self._address is None:
            self._start_here(**quiet)
            return
        try:
            with _keeping_sigterm():
                ray.init(address=self._address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            self._is_ours = False
            if self._address == "auto":
                raise _nobody_answers(self._address, error) from error
            raise _not_let_in(self._address, error) from error

    def _start_here(self, **quiet: Any) -> None:
        """Start Ray on this machine, at the second try if the first fails."""
        import ray

        for is_last in (False, True):
            self._guard = Guard(of_ray=True)
            try:
                with _keeping_sigterm():
                    ray.init(
                        address="local",
                        include_dashboard=False,
                        object_store_memory=_OBJECT_STORE_BYTES,
                        **quiet,
                    )
            # A bare one, if a process of Ray died or was slow (`Node.__init__` in Ray 2.60).
            except Exception as error:
                ray.shutdown()
                self._guard.release()
                if is_last:
                    self._is_ours = False
                    raise ResourceError(
                        f"Ray did not start on this machine: {' '.join(str(error).split())}; "
                        "`--executor local` does without it"
                    ) from error
                logger.warning("Ray did not start (%s); once more", error)
            else:
                return


@contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Give SIGTERM back to who had it: `ray.init` takes it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_answers(address: str) -> None:
    """Raise `ResourceError` if nobody listens at 'host:port': Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ResourceError(
            f"{address!r} is not the address of a cluster; write host:port or auto"
        )
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _nobody_answers(address, error) from error


def _nobody_answers(address: str, error: Exception) -> ResourceError:
    return ResourceError(
        f"no Ray cluster answers at {address!r}: {error}; `ray start --head` starts one, and "
        "every machine of it needs the same ~/.ray/auth_token"
    )


def _not_let_in(address: str, error: Exception) -> ResourceError:
    """Somebody listens, but Ray says no more than that it failed to connect."""
    here = "is not that of the cluster" if _TOKEN.exists() else "is missing"
    return ResourceError(
        f"a program listens at {address!r}, but: {error}; if it is a Ray cluster, {_TOKEN} "
        f"on this machine {here}: copy it from the cluster's head, or set RAY_AUTH_MODE=disabled "
        "for every process of the cluster and for this one"
    )


def _use_token() -> None:
    """Let an explicit address use the token of this machine, as 'auto' does.

    Ray 2.60 asks for a token by default and only finds it by itself for 'auto'
    (ray/_private/worker.py, `init`).
    """
    if _TOKEN.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
