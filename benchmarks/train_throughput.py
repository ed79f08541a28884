"""Speed of training against open_clip's own, at equal losses: same network, batches, precision.

    python benchmarks/train_throughput.py                       # all that this machine can do
    PYTHONPATH=. python benchmarks/train_throughput.py --device cuda --json gpu.json
    PYTHONPATH=. python benchmarks/train_throughput.py --device cpu --models clip:tiny-b

With `--device`, steps on batches in memory alone: it needs torch (2.11 or newer) and
open_clip_torch, and no more of what runs grids. Without it, whole programs on shards come first
(`training_programs.py`), on the CPU's cores.

MFU counts 3 times the forward pass of the profile's `full` convention, over the peak of the named
GPU for dense bf16 products: the FLOPs of full captions and of every score product, whether a loop
computes them or not. Compile time is what the first steps take beyond as many later ones.
"""

import argparse
import gc
import json
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import open_clip
import torch
from training_loops import (
    Batch,
    Case,
    Difference,
    Drawn,
    Here,
    Loop,
    OpenClip,
    difference,
    forward_gflops,
)

T = TypeVar("T")
ON_GPU = ("clip:ViT-B-32@1024", "clip:ViT-L-14@256", "mammut:ViT-B-32@512")
ON_CPU = ("clip:tiny-b@64", "clip:tiny-d@64", "mammut:tiny-b@64")
PEAK_TFLOPS = {
    "B200": 2250,
    "GH200": 989,
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
}
"""Dense bf16, by NVIDIA's data sheets; the first name that fits counts."""
WARMUP_STEPS = 5
DISTINCT_BATCHES = 4


class Measured(NamedTuple):
    """One loop on one case."""

    samples_per_second: float
    warmup_seconds: float
    """Of the first steps, beyond what as many later ones take: compiling, above all."""
    peak_gib: float | None


def measure(make: Callable[[], Loop], batches: Sequence[Batch], steps: int) -> Measured:
    """Time `steps` steps after a few that do not count."""
    device = batches[0][0].device
    _collect(device)
    loop = make()
    warmup = _seconds(loop, _cycle(batches, WARMUP_STEPS), device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    took = _seconds(loop, _cycle(batches, steps), device)
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    extra = warmup - WARMUP_STEPS * took / steps
    return Measured(steps * len(batches[0][0]) / took, extra, peak)


def _seconds(loop: Loop, batches: Sequence[Batch], device: torch.device) -> float:
    """On a CPU, seconds of its one thread: what else the machine does counts less."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    _wait_for(device)
    began = clock()
    loop.run(batches)
    _wait_for(device)
    return clock() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _collect(device: torch.device) -> None:
    """Nothing of the loop before bears on the next: memory, compiled code, what it switched on."""
    gc.collect()
    torch.compiler.reset()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = False
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _cycle(batches: Sequence[Batch], count: int) -> list[Batch]:
    return [batches[step % len(batches)] for step in range(count)]


def contestants(case: Case, total_steps: int, *, compiled: bool) -> dict[str, Callable[[], Loop]]:
    """What is timed, by name."""
    makers: dict[str, Callable[[], Loop]] = {
        "here": lambda: Here(case, total_steps),
        "open_clip": lambda: OpenClip(case, total_steps),
    }
    if compiled:
        makers["here, compiled"] = lambda: Here(case, total_steps, compiled=True)
        makers["open_clip --torchcompile"] = lambda: OpenClip(case, total_steps, compiled=True)
    return makers


def equal_losses(case: Case, batches: Sequence[Batch], *, compiled: bool) -> dict[str, Difference]:
    """How far losses are from open_clip's, with a step on each batch, by loop."""
    makers = contestants(case, len(batches), compiled=compiled)
    _collect(case.device)
    theirs = makers["open_clip"]().losses(batches)
    differences = {}
    for name in [name for name in makers if name.startswith("here")]:
        _collect(case.device)
        differences[name] = difference(makers[name]().losses(batches), theirs)
    return differences


def compare(case: Case, options: argparse.Namespace) -> dict[str, object]:
    """Every contestant in turn, `options.rounds` times; the best round of each is printed."""
    batches = [case.batch(number) for number in range(DISTINCT_BATCHES)]
    total = WARMUP_STEPS + options.steps
    best: dict[str, Measured] = {}
    for _ in range(options.rounds):
        for name, make in contestants(case, total, compiled=options.compile).items():
            found = _attempt(name, lambda make=make: measure(make, batches, options.steps))
            if found and (name not in best or found > best[name]):
                best[name] = found
    peak = _peak_tflops(case.device, options.peak_tflops)
    baseline = best.get("open_clip")
    for name, found in best.items():
        print(f"  {name:26} {_in_words(case, found, peak, baseline)}", flush=True)
    differences = _attempt(
        "losses",
        lambda: equal_losses(case, Drawn(case, options.equal_steps), compiled=options.compile),
    )
    for name, found in (differences or {}).items():
        print(
            f"  {name}: losses of {options.equal_steps} steps differ from open_clip's by "
            f"{found.mean:.1e} on average and {found.largest:.1e} at most, relative",
            flush=True,
        )
    loops = {name: found._asdict() for name, found in best.items()}
    return {"loops": loops, "loss_differences": differences, "peak_tflops": peak}


def _attempt(what: str, work: Callable[[], T]) -> T | None:
    """A failure is told, and what comes after it is measured all the same.

    So that one call on a machine that is lent by the minute brings back all that it can.
    """
    try:
        return work()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        reason = (str(error).strip() or "no message").splitlines()[0]
        print(f"  {what}: failed: {type(error).__name__}: {reason}", flush=True)
        return None


def _in_words(case: Case, found: Measured, peak: float | None, baseline: Measured | None) -> str:
    flops = 3e9 * forward_gflops(case) * found.samples_per_second
    words = [f"{found.samples_per_second:9,.0f} samples/s"]
    if baseline:
        words.append(f"{found.samples_per_second / baseline.samples_per_second:5.2f} times")
    words.append(f"MFU {flops / (1e12 * peak):5.1%}" if peak else f"{flops / 1e9:,.1f} GFLOP/s")
    if found.peak_gib is not None:
        words.append(f"peak {found.peak_gib:.1f} GiB")
    words.append(f"first {WARMUP_STEPS} steps {found.warmup_seconds:+.1f} s")
    return ", ".join(words)


def _peak_tflops(device: torch.device, given: float | None) -> float | None:
    if given or device.type != "cuda":
        return given
    name = torch.cuda.get_device_name(device)
    known = next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)
    if known is None:
        print(f"  the peak of {name} is not known: no MFU without --peak-tflops")
    return known


def in_memory(options: argparse.Namespace) -> None:
    """Steps on batches in memory, for every model asked for."""
    device = torch.device(options.device)
    names = options.models or (ON_GPU if device.type == "cuda" else ON_CPU)
    print(f"steps on batches in memory: {_where(device)}")
    results = {}
    for name in names:
        model, _, batch_size = name.partition("@")
        family, _, model = model.partition(":")
        rows = int(batch_size or 64)
        while rows:
            case = Case(family, model, rows, options.precision or "bf16", device)
            print(f"{family} {model}, batch {rows}, {case.precision}:", flush=True)
            try:
                found = _attempt(name, lambda case=case: compare(case, options))
                results[name] = {"batch_size": rows, **(found or {})}
                break
            except torch.OutOfMemoryError:
                print(f"  {rows} rows exceed the memory: all loops again with half", flush=True)
                rows //= 2
        if options.json:
            record = {"where": _where(device), "options": vars(options), "cases": results}
            options.json.write_text(json.dumps(record, indent=1, default=str))


def _where(device: torch.device) -> str:
    versions = (
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"open_clip {open_clip.__version__}"
    )
    if device.type != "cuda":
        return f"one thread of {platform.machine()}, CPU seconds, {versions}"
    return (
        f"{torch.cuda.get_device_name(device)}, {_product_tflops(device):.0f} TFLOP/s in an "
        f"8192 x 8192 x 8192 bf16 product, {versions}"
    )


def _product_tflops(device: torch.device, size: int = 8192, repeats: int = 20) -> float:
    """What the machine gives a large product of random matrices, to read an MFU by."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    _wait_for(device)
    began = time.perf_counter()
    for _ in range(repeats):
        left @ right
    _wait_for(device)
    return repeats * 2 * size**3 / (time.perf_counter() - began) / 1e12


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--models", nargs="+", metavar="FAMILY:MODEL[@BATCH]")
    parser.add_argument(
        "--precision", choices=("bf16", "fp32"), help="default: bf16; programs both"
    )
    parser.add_argument("--steps", type=int, default=50, help="timed steps")
    parser.add_argument("--equal-steps", type=int, default=100, help="steps of equal losses")
    parser.add_argument("--rounds", type=int, default=1, help="the best counts")
    parser.add_argument("--cores", nargs="+", type=int, default=(1, 2), help="of whole programs")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    parser.add_argument("--peak-tflops", type=float, help="of a GPU that is not listed")
    parser.add_argument("--json", type=Path, help="where to write everything as well")
    options = parser.parse_args()
    torch.set_num_threads(1)  # what a worker does on a CPU
    if options.device is None:
        from training_programs import compare_programs

        both = ("bf16", "fp32")
        compare_programs(
            options.rounds, options.cores, (options.precision,) if options.precision else both
        )
    if options.device in (None, "cuda") and not torch.cuda.is_available():
        print("no GPU here: steps on batches in GPU memory are not measured")
        return
    options.device = options.device or "cuda"
    if options.compile is None:
        options.compile = options.device == "cuda"
    in_memory(options)


if __name__ == "__main__":
    main()
