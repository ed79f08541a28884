"""Whole training programs on the CPU, from shards to a checkpoint: ours and open_clip's.

Part of `train_throughput.py`. Each program is a process of its own, bound to the cores that it
may use, which imports everything, waits to be started, and is timed from there until it has
written its checkpoint: set-up, data workers, decoding, tokens, steps, reports and saving are in.
"""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

BATCH_SIZE, STEPS, SHARDS = 256, 32, 4
SAMPLES = BATCH_SIZE * STEPS
IMAGE_SIZE = 32
MODEL = {
    "embed_dim": 64,
    "vision_cfg": {
        **{"image_size": IMAGE_SIZE, "patch_size": 8, "width": 64, "layers": 4},
        "head_width": 16,
    },
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 4},
}
"""14 MFLOP a forward pass; captions are read by CLIP's tokenizer, as open_clip has no other."""
LIMIT_SECONDS = 240
"""Two threads wait for each other actively: where other programs use the cores, that can take for
ever. A layout that has taken so long is given up."""


class Layout(NamedTuple):
    """How many programs run side by side on how many cores, and how each uses them."""

    name: str
    side_by_side: int = 1
    threads: int = 1
    workers: int | None = None
    """Data processes of open_clip's; None is this project's own program."""


LAYOUTS = {
    1: (
        Layout("one trial"),
        Layout("open_clip, 1 thread, 2 data workers", workers=2),
        Layout("open_clip, 1 thread, data in process", workers=0),
    ),
    2: (
        Layout("two trials side by side, 1 thread each", side_by_side=2),
        Layout("one trial, 1 thread, reading ahead on the other core"),
        Layout("open_clip, 2 threads, 2 data workers", threads=2, workers=2),
        Layout("open_clip, 1 thread, 2 data workers", workers=2),
        Layout("two open_clip programs, 1 thread each, data in process", 2, workers=0),
    ),
}
"""By number of cores: ours first, then what open_clip is compared in."""


class Timed(NamedTuple):
    """All programs of a layout together."""

    samples_per_second: float
    samples_per_cpu_second: float

    def best_of(self, other: "Timed") -> "Timed":
        """The better of each."""
        return Timed(*map(max, self, other))


def compare_programs(repeats: int, on_cores: Sequence[int], precisions: Sequence[str]) -> None:
    """Print the best of `repeats` rounds of every layout, which take turns, by number of cores."""
    cores = sorted(os.sched_getaffinity(0))
    print(
        f"whole programs, CLIP of width 64 on {IMAGE_SIZE}-pixel PNGs in shards, batch "
        f"{BATCH_SIZE}, {STEPS} steps, best of {repeats}"
    )
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "tiny64.json").write_text(json.dumps(MODEL))
        _write_shards(where)
        for count in on_cores:
            if count > len(cores):
                print(f"no {count} cores here")
                continue
            for precision in precisions:
                best: dict[str, Timed] = {}
                for _ in range(repeats):
                    for layout in LAYOUTS[count]:
                        timed = _run(layout, cores[:count], precision, where)
                        if timed is None:
                            print(f"  {layout.name}: given up after {LIMIT_SECONDS} s")
                            continue
                        best[layout.name] = timed.best_of(best.get(layout.name, timed))
                _show(count, precision, best)


def _show(cores: int, precision: str, best: dict[str, Timed]) -> None:
    print(f"{precision} on {'one core' if cores == 1 else f'{cores} cores'}:")
    ours = next(iter(best.values()))
    for name, timed in best.items():
        times = [f"{mine / other:.2f}" for mine, other in zip(ours, timed, strict=True)]
        print(
            f"  {name:56} {timed.samples_per_second:6,.0f} samples/s, "
            f"{timed.samples_per_cpu_second:6,.0f} a CPU second; the first is {times[0]} and "
            f"{times[1]} times as fast",
            flush=True,
        )


def _run(layout: Layout, cores: Sequence[int], precision: str, where: Path) -> Timed | None:
    """None if it took too long."""
    share = len(cores) // layout.side_by_side
    programs = [
        _Program(
            {
                "cores": cores[number * share : (number + 1) * share],
                **{"workers": layout.workers, "precision": precision, "seed": number},
            },
            where,
            layout.threads,
        )
        for number in range(layout.side_by_side)
    ]
    try:
        for program in programs:
            program.expect("ready")
        began = time.perf_counter()
        for program in programs:
            program.go()
        cpu_seconds = sum(float(program.expect("done")) for program in programs)
        took = time.perf_counter() - began
    except TimeoutError:
        return None
    finally:
        for program in programs:
            program.end()
    samples = SAMPLES * layout.side_by_side
    return Timed(samples / took, samples / cpu_seconds)


class _Program:
    """A process that runs `_be_a_program`; what it says is kept in case it fails."""

    def __init__(self, task: dict[str, object], where: Path, threads: int) -> None:
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(task), str(where)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            text=True,
            # Its data workers end with it.
            start_new_session=True,
        )
        self._too_late = threading.Timer(LIMIT_SECONDS, self._kill)
        self._was_killed = False

    def go(self) -> None:
        """Let it begin."""
        self._too_late.start()
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def expect(self, word: str) -> str:
        """What follows `word` at the beginning of a line that the program prints."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.removeprefix(word)
        if self._was_killed:
            raise TimeoutError
        self._stderr.seek(0)
        raise RuntimeError(f"a program ended before it was {word}:\n{self._stderr.read()[-2000:]}")

    def end(self) -> None:
        """Nothing of it is left."""
        self._too_late.cancel()
        if self._process.poll() is None:
            self._kill()
        self._process.communicate()
        self._stderr.close()

    def _kill(self) -> None:
        self._was_killed = True
        os.killpg(self._process.pid, signal.SIGKILL)


def _write_shards(where: Path) -> None:
    """The embedded data as PNGs and captions."""
    from PIL import Image

    from scaling.datasets.shapes import ShapesOptions, ShapesStream

    stream, each = ShapesStream(ShapesOptions(), seed=0), SAMPLES // SHARDS
    for shard in range(SHARDS):
        samples = stream.read(shard * each, each, IMAGE_SIZE)
        with tarfile.open(where / f"{shard:02}.tar", "w") as tar:
            for row, (image, caption) in enumerate(
                zip(samples.images, samples.captions, strict=True)
            ):
                png = io.BytesIO()
                Image.fromarray(image).save(png, "png")
                for kind, content in (("png", png.getvalue()), ("txt", caption.encode())):
                    member = tarfile.TarInfo(f"{shard:02}{row:06}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def _ours(where: Path, precision: str, seed: int) -> None:
    from scaling.families._open_clip import canonical_name
    from scaling.train import train
    from scaling.trial import Cosine, Data, Recipe, Stop, Work

    recipe = Recipe(
        batch_size=BATCH_SIZE, learning_rate=1e-3, warmup_samples=2048, precision=precision
    )
    trial = Cosine(
        family="clip",
        model=canonical_name(str(where / "tiny64.json")),
        data=Data(kind="webdataset", options={"shards": _pattern(where)}),
        recipe=recipe,
        samples_seen=SAMPLES,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Work(
            trial=trial,
            stops=(Stop(samples_seen=SAMPLES),),
            checkpoints=(),
            directory=Path(folder),
        )
        for _ in train(work, device="cpu"):
            pass


def _theirs(where: Path, precision: str, seed: int, workers: int) -> None:
    import open_clip_train.data
    from open_clip_train.main import main

    # webdataset 1.0 marks the end of each shard, which open_clip 3.3 fails on.
    expand = open_clip_train.data.tar_file_expander
    open_clip_train.data.tar_file_expander = partial(expand, eof_value=None)
    with tempfile.TemporaryDirectory() as logs:
        main(
            [
                *("--model", "tiny64", "--train-data", _pattern(where), "--seed", str(seed)),
                *("--dataset-type", "webdataset", "--train-num-samples", str(SAMPLES)),
                *("--workers", str(workers), "--batch-size", str(BATCH_SIZE), "--epochs", "1"),
                *("--precision", "fp32" if precision == "fp32" else "amp_bfloat16"),
                *("--lr", "1e-3", "--warmup", str(2048 // BATCH_SIZE), "--wd", "0.2"),
                *("--beta1", "0.9", "--beta2", "0.95", "--eps", "1e-6", "--grad-clip-norm", "1"),
                *("--logs", logs, "--device", "cpu"),
            ]
        )


def _pattern(where: Path) -> str:
    return f"{where}/{{00..{SHARDS - 1:02}}}.tar"


def _cpu_seconds() -> float:
    """Of this process and of its data workers, which have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _be_a_program(task: str, folder: str) -> None:
    options, where = json.loads(task), Path(folder)
    os.sched_setaffinity(0, {int(core) for core in options["cores"]})
    import open_clip

    import scaling.datasets.webdataset
    import scaling.train.worker  # noqa: F401

    os.environ["SCALING_CACHE"] = str(where / "cache")
    open_clip.add_model_config(where / "tiny64.json")
    print("ready", flush=True)
    sys.stdin.readline()
    before = _cpu_seconds()
    shared = (where, options["precision"], options["seed"])
    if options["workers"] is None:
        _ours(*shared)
    else:
        _theirs(*shared, options["workers"])
    print("done", _cpu_seconds() - before, flush=True)


if __name__ == "__main__":
    _be_a_program(*sys.argv[1:])
