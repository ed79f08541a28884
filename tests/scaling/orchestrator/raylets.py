"""A Ray cluster of several raylets on this machine, in a process of its own that obeys stdin.

`add CPUS GPUS` adds a node, `kill NUMBER` kills the node that was added as NUMBER at once. Answers
are lines on stdout: first the address, then 'ok' after each order. It ends when stdin does.
"""

import sys

from ray.cluster_utils import Cluster

_QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
_STORE = {"object_store_memory": 80 * 2**20}


def main() -> None:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "_system_config": {**_QUICK, "health_check_failure_threshold": 2},
            **_STORE,
        },
    )
    added = []
    answer(cluster.address)
    try:
        for line in sys.stdin:
            match line.split():
                case ["add", cpus, gpus]:
                    node = cluster.add_node(num_cpus=int(cpus), num_gpus=int(gpus), **_STORE)
                    added.append(node)
                case ["kill", number]:
                    cluster.remove_node(added[int(number)], allow_graceful=False)
            answer("ok")
    finally:
        cluster.shutdown()


def answer(text: str) -> None:
    sys.__stdout__.write(text + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
