"""Waits for the nodes of a Ray cluster: a program of its own, run as `await_nodes HOST:PORT N`.

It ends with 0 once N nodes are there, or after five minutes with what came; with 1 if no node
came at all.
"""

import sys
import time

from scaling.errors import ResourceError
from scaling.orchestrator.cluster import Cluster

_SECONDS = 300.0
_SECONDS_BETWEEN_LOOKS = 1.0


def await_nodes(address: str, wanted: int, seconds: float = _SECONDS) -> int:
    """How many nodes there are at `address`: `wanted`, or fewer after so many seconds."""
    deadline = time.monotonic() + seconds
    cluster, nodes = Cluster(address), 0
    while nodes < wanted and time.monotonic() < deadline:
        try:
            nodes = len(cluster.start())
        except ResourceError:
            nodes = 0
        if nodes < wanted:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    cluster.stop()
    return nodes


def main(address: str, wanted: int) -> int:
    """Wait, say so if nodes are missing, and say by the exit code whether there is any."""
    nodes = await_nodes(address, wanted)
    if nodes < wanted:
        sys.stderr.write(f"{nodes} of {wanted} nodes came; going on without the others\n")
    return 0 if nodes else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
