"""A batch job for SLURM that trains a grid: Ray on every node, and the driver on the first."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from scaling.database import Database
from scaling.errors import ScalingError

_LEAST_SECONDS = 120
"""What a job needs beside the time to save: Ray takes up to a minute to start."""

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a batch job asks SLURM for, and what it runs."""

    name: str
    grid: Path
    db: Database
    checkpoints: str
    """A folder, absolute, or an address."""
    bin_folder: Path
    """Where `scaling`, `ray` and `python` are."""
    nodes: int
    gpus_per_node: int
    seconds: int
    """The limit of the job."""
    cpus_per_node: int | None = None
    """None takes whole nodes."""
    directives: tuple[str, ...] = ()
    """Further `#SBATCH` options, such as `--partition=gpu`."""
    setup: tuple[str, ...] = ()
    """Lines of shell that prepare each node, such as `module load cuda`."""
    run_options: tuple[str, ...] = ()
    """Further options of `scaling run`."""
    seconds_to_save: int = 180
    """How long before the limit trials are asked to save."""
    most_restarts: int = 100

    def __post_init__(self) -> None:
        """Raise `ScalingError` for what SLURM or the script cannot do."""
        if self.seconds < self.seconds_to_save + _LEAST_SECONDS:
            raise ScalingError(
                f"--time: {self.seconds} s are too short: {self.seconds_to_save} s are kept for "
                f"saving (--save-seconds), and Ray needs up to {_LEAST_SECONDS} s to start"
            )
        for text in (*self.directives, *self.setup):
            if "\n" in text:
                raise ScalingError(f"{text!r} is more than one line")


def parse_time(text: str) -> int:
    """Seconds of a limit as SLURM writes it: minutes, H:M:S, D-H, D-H:M:S and so on.

    Raises `ScalingError` for anything else.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ScalingError(
            f"--time: {text!r} is no limit that SLURM knows; write hours:minutes:seconds "
            "(06:00:00), days-hours (2-00) or minutes (90)"
        )
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    # Without days, one number is minutes, two are minutes and seconds (sbatch --time).
    hours, minutes, seconds = {1: (0, *numbers, 0), 2: (0, *numbers)}.get(len(numbers), numbers)
    return (hours * 60 + minutes) * 60 + seconds


def script(job: Job) -> str:
    """The text of the file for `sbatch`."""
    directives = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        "--ntasks-per-node=1",
        f"--gpus-per-node={job.gpus_per_node}" if job.gpus_per_node else "",
        f"--cpus-per-task={job.cpus_per_node}" if job.cpus_per_node else "--exclusive",
        f"--time={_slurm_time(job.seconds)}",
        f"--signal=B:USR1@{job.seconds_to_save}",
        "--requeue",
        "--open-mode=append",
        "--no-kill",
        f"--output={job.name}-%j.log",
        *job.directives,
    ]
    values = {
        "grid": job.grid,
        "db": job.db,
        "checkpoints": job.checkpoints,
        "gpus_per_node": job.gpus_per_node,
        "seconds_limit": job.seconds,
        "seconds_to_save": job.seconds_to_save,
        "most_restarts": job.most_restarts,
    }
    lines = [
        "#!/bin/bash",
        f"# Trains {' '.join(str(job.grid).split())}; written by `scaling slurm`.",
        "# Submit it with `sbatch THIS_FILE`, again if need be: each job goes on where the last",
        "# one was. Follow it with `scaling status`.",
        *(f"#SBATCH {directive}" for directive in directives if directive),
        "",
        "set -euo pipefail",
        "",
        *(f"{name}={shlex.quote(str(value))}" for name, value in values.items()),
        f"run_options=({shlex.join(job.run_options)})",
        f"export PATH={shlex.quote(str(job.bin_folder))}:$PATH",
        *job.setup,
        _BODY,
    ]
    return "\n".join(lines)


def _slurm_time(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{days}-{clock}" if days else clock


_BODY = r"""
# Ports and a folder of this job's own: nodes may be shared with other jobs that use Ray.
port=$((20000 + SLURM_JOB_ID % 6000 * 2))
export port agent_port=$((port + 1))
export ray_folder=${TMPDIR:-/tmp}/ray-$SLURM_JOB_ID
# Ray's sockets lie below that folder, and their paths may have 107 characters.
if [ ${#ray_folder} -gt 40 ]; then ray_folder=/tmp/ray-$SLURM_JOB_ID; fi
# This script runs on the first node. If its first address is not the one that others reach it at,
# set head_ip yourself.
export head_ip=${head_ip:-$(hostname -I | cut -d ' ' -f 1)} gpus_per_node
# Nobody without the token may use this cluster; it never leaves the job's environment.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

# shellcheck disable=SC2329  # `srun` calls it.
start_node() {  # On each node, until the step ends.
  local place=(--address="$head_ip:$port")
  if [ "$SLURM_NODEID" -eq 0 ]; then
    place=(--head --node-ip-address="$head_ip" --port="$port" --include-dashboard=false)
  else
    until (: < "/dev/tcp/$head_ip/$port") 2> /dev/null; do sleep 1; done
  fi
  trap 'rm -rf "$ray_folder"' EXIT
  trap : TERM  # Ray is told as well, and ends first.
  ray start "${place[@]}" --block --temp-dir="$ray_folder" --num-cpus="$SLURM_CPUS_ON_NODE" \
    --num-gpus="$gpus_per_node" --dashboard-agent-listen-port="$agent_port" \
    --min-worker-port=0 --max-worker-port=0 --object-store-memory=100000000 > /dev/null
}
export -f start_node

# One step over all nodes; a node that fails does not end the others.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
  --cpus-per-task="$SLURM_CPUS_ON_NODE" --overlap --no-kill --kill-on-bad-exit=0 \
  bash -c start_node &
cluster=$!
stop_cluster() {
  kill -TERM "$cluster" 2> /dev/null || true
  wait "$cluster" 2> /dev/null || true
}
trap stop_cluster EXIT
# SLURM sends USR1 some time before the limit, and TERM before it takes the nodes away.
driver='' asked=''
# shellcheck disable=SC2329  # The trap calls it.
stop_driver() {
  # Asked once, trials save and stop; asked again, they would stop at once.
  if [ -n "$driver" ] && [ -z "$asked" ]; then kill -TERM "$driver" 2> /dev/null || true; fi
  asked=yes woken=yes
}
trap stop_driver USR1 TERM INT
python -m scaling.orchestrator.await_nodes "$head_ip:$port" "$SLURM_JOB_NUM_NODES" &
nodes=$!
wait -n "$nodes" "$cluster" || true
if ! kill -0 "$cluster" 2> /dev/null; then
  echo "Ray has not started: see above" >&2
  kill "$nodes" 2> /dev/null || true
  exit 1
fi
wait "$nodes"

end=${SLURM_JOB_END_TIME:-$(($(date +%s) + seconds_limit))}
deadline=$(date -d "@$((end - seconds_to_save - 30))" +%Y-%m-%dT%H:%M:%S)
scaling run "$grid" --db "$db" --checkpoints "$checkpoints" --address "$head_ip:$port" \
  --deadline "$deadline" "${run_options[@]}" &
driver=$!
if [ -n "$asked" ]; then kill -TERM "$driver"; fi

# A signal ends `wait` before the driver has ended.
while true; do
  woken='' code=0
  wait "$driver" || code=$?
  if [ -z "$woken" ]; then break; fi
done
stop_cluster

# 0: all is done. 1: some trial failed, and all others are done. 3: the deadline came first.
# 130: asked to stop. Otherwise the driver itself failed, which another try would not mend.
if [ "$code" -eq 3 ] || [ "$code" -eq 130 ]; then
  if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most_restarts" ]; then
    echo "not finished after $most_restarts restarts; submit this again to go on" >&2
    exit "$code"
  fi
  echo "not finished; back into the queue" >&2
  trap '' TERM USR1  # SLURM ends this script to put it back.
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$code"
"""
