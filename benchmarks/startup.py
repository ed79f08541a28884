"""Start-up of the commands, as ratios against importing torch and ray.

    python benchmarks/startup.py

A command line built the plain way imports what its project needs at the top; `import torch, ray`
is that baseline, measured in the same run.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPEATS = 5
BASELINE = [sys.executable, "-c", "import torch, ray"]
COMMANDS = {
    "scaling --help": ["--help"],
    "scaling plan quickstart.yaml": ["plan", str(ROOT / "experiments" / "quickstart.yaml")],
    "scaling fit (one published series)": [
        *("fit", "--compare", "clip", "mammut", "--dataset", "datacomp_1b"),
        *("--schedule", "cosine", "--task", "imagenet1k"),
    ],
}


def median_seconds(command: list[str], cwd: str) -> float:
    """Median wall time of `command` in seconds, after one run that warms the file cache."""
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def main() -> None:
    """Print a row per command."""
    scaling = [sys.executable, "-m", "scaling"]
    with tempfile.TemporaryDirectory() as folder:
        published = str(ROOT / "experiments" / "published")
        subprocess.run([*scaling, "import", published], cwd=folder, check=True)
        baseline = median_seconds(BASELINE, folder)
        print(f"baseline: import torch, ray: {baseline:.2f} s")
        for name, words in COMMANDS.items():
            seconds = median_seconds([*scaling, *words], folder)
            print(f"{name}: {seconds:.2f} s, {baseline / seconds:.1f} times quicker")


if __name__ == "__main__":
    main()
