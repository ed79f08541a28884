"""Images a second of zero-shot evaluations, as ratios against CLIP_benchmark's own loop.

    python benchmarks/eval_throughput.py

Both evaluate the same weights in fp32 on the same shards in the webdataset layout: JPEGs of 256 to
500 px, read, decoded, cut to 224 px by open_clip's transform, and seen by the network; and their
numbers must be equal. The baseline is `clip_benchmark.metrics.*.evaluate` on open_clip's own
network, its set built by CLIP_benchmark and loaded by as many processes as there are cores.

Every number is of a process of its own; the two take turns, and the better of two counts. Time
begins with the model built and ends with the metrics. The ratio is of wall time, and beside it of
CPU time, which other programs disturb less.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SHARDS = 4
SIZES = ((500, 375), (375, 500), (256, 256), (333, 400))
"""Width and height of pictures, in turn."""


class Case(NamedTuple):
    """What is evaluated."""

    pictures: int
    classes: int
    """Each with as many prompts as there are templates; none for retrieval."""
    templates: int = 1


CASES = {
    "pictures": Case(192, 10),
    "as ImageNet": Case(96, 10, templates=16),  # 1.6 prompts a picture, as there are of ImageNet
    "retrieval": Case(96, 0),  # 5 captions a picture
}
MODELS = ("ViT-S-32", "ViT-B-32")
WORDS = ("one", "red", "dog", "cat", "sky", "tree", "river", "small", "old", "on", "in", "the")


def write_set(folder: Path, case: Case) -> None:
    """A set of the case, in `folder`."""
    from scaling.datasets._shard_tools.writing import Sample, new_shard

    generator = np.random.default_rng(0)
    (folder / "test").mkdir(parents=True)
    (folder / "test" / "nshards.txt").write_text(str(SHARDS))
    if case.classes:
        names = [" ".join(generator.choice(WORDS, 2)) + f" {n}" for n in range(case.classes)]
        templates = [f"a photo {'very ' * n}of a {{c}}." for n in range(case.templates)]
        (folder / "classnames.txt").write_text("\n".join(names))
        (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    else:
        (folder / "dataset_type.txt").write_text("retrieval")
    for shard in range(SHARDS):
        with new_shard(folder / "test" / f"{shard}.tar", {}) as writer:
            for row in range(case.pictures // SHARDS):
                files = {"jpg": _photograph(generator, *SIZES[row % 4])}
                if case.classes:
                    files["cls"] = str(generator.integers(case.classes)).encode()
                else:
                    lines = [" ".join(generator.choice(WORDS, 11)) for _ in range(5)]
                    files["txt"] = "\n".join(lines).encode()
                writer.add(Sample(f"{shard}{row:05d}", files))


def _photograph(generator: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG of quality 90 whose amplitude falls as 1 / frequency, as it does in photographs."""
    from PIL import Image

    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    phases = np.exp(2j * np.pi * generator.random((3, *frequency.shape)))
    channels = np.fft.irfft2(phases / np.maximum(frequency, 1 / width), s=(height, width))
    means = generator.uniform(40, 215, size=(3, 1, 1))
    pixels = means + 40 * channels / channels.std()
    buffer = io.BytesIO()
    image = Image.fromarray(np.moveaxis(pixels, 0, -1).clip(0, 255).astype(np.uint8))
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def network_of(model: str) -> Any:
    """Weights as initialised but larger, so that features tell pictures and texts apart."""
    import torch

    from scaling.families import FAMILIES

    torch.manual_seed(0)
    network = FAMILIES.get("clip").build(model).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.mul_(1.5)
    return network


def ours(folder: Path, model: str, case: Case) -> tuple[float, Mapping[str, float]]:
    """Seconds and metrics of a task, measured as at a checkpoint."""
    from scaling.evals._declared import Task
    from scaling.evals._evaluation import Evaluation
    from scaling.evals._measured import measure
    from scaling.evals._subject import Subject
    from scaling.families import FAMILIES

    network, config = network_of(model), FAMILIES.get("clip").models[model]
    kind, truth = (
        ("zeroshot_classification", "labels")
        if case.classes
        else ("zeroshot_retrieval", "captions")
    )
    chosen = {"kind": "webdataset", "folder": str(folder), "truth": truth}
    task = Task.parse("task", {"kind": kind, "set": chosen})
    began = time.perf_counter()
    values = measure(task, Subject(network, config, Evaluation())).values
    return time.perf_counter() - began, values


def theirs(folder: Path, model: str, case: Case) -> tuple[float, Mapping[str, float]]:
    """Seconds and metrics of CLIP_benchmark's own evaluation."""
    import open_clip
    import torch
    from clip_benchmark.datasets.builder import build_wds_dataset, image_captions_collate_fn
    from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
    from open_clip.transform import image_transform

    from scaling.families import FAMILIES
    from scaling.families.clip.network import open_clip_content

    def number(value: Any) -> float:
        return float(value.item() if isinstance(value, np.ndarray) else value)

    # Version 1.6.2 takes `float` of an array of one element, which numpy 2.4 refuses.
    zeroshot_classification.float = number
    config = FAMILIES.get("clip").models[model]
    network = open_clip.CLIP(**open_clip_content(config)).eval()
    network.load_state_dict(network_of(model).state_dict())
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    began = time.perf_counter()
    dataset = build_wds_dataset("set", image_transform(224, is_train=False), data_dir=str(folder))
    collate = None if case.classes else image_captions_collate_fn
    loader = torch.utils.data.DataLoader(
        dataset.batched(64, collation_fn=collate) if collate else dataset.batched(64),
        batch_size=None,
        num_workers=torch.get_num_threads(),
    )
    if not case.classes:
        values = zeroshot_retrieval.evaluate(network, loader, tokenizer, "cpu", amp=False)
    else:
        loader.dataset.classes = dataset.classes
        values = zeroshot_classification.evaluate(
            network, loader, tokenizer, dataset.classes, dataset.templates, "cpu", amp=False
        )
    return time.perf_counter() - began, values


class Measured(NamedTuple):
    """The best of several processes."""

    seconds: float
    cpu_seconds: float
    values: dict[str, float]


def one(side: str, folder: Path, model: str, case: Case) -> None:
    """Evaluate in this process, and print what it took."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    before = _cpu_seconds()
    seconds, values = {"ours": ours, "theirs": theirs}[side](folder, model, case)
    print(json.dumps([seconds, _cpu_seconds() - before, values]))


def _cpu_seconds() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(its.ru_utime + its.ru_stime for its in map(resource.getrusage, who))


def measured(side: str, folder: Path, model: str, case: str, cores: int) -> Measured:
    """What one process took."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    command += ["--models", model, "--cases", case]
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def compare(folder: Path, model: str, case: str, cores: int, turns: int) -> str:
    """A row of the table; exits if the numbers differ."""
    found: dict[str, list[Measured]] = {"theirs": [], "ours": []}
    for _ in range(turns):
        for side, its in found.items():
            its.append(measured(side, folder, model, case, cores))
    their_values, our_values = (its[0].values for its in found.values())
    for name, value in our_values.items():
        if abs(value - their_values[name]) > 1e-6:
            sys.exit(f"{model}, {case}: {name} is {value} here and {their_values[name]} there")
    pictures = CASES[case].pictures
    wall = {side: min(one.seconds for one in its) for side, its in found.items()}
    cpu = {side: min(one.cpu_seconds for one in its) for side, its in found.items()}
    return (
        f"| {model} | {case} | {pictures / wall['theirs']:.1f} | {pictures / wall['ours']:.1f} "
        f"| {wall['theirs'] / wall['ours']:.2f}x | {cpu['theirs'] / cpu['ours']:.2f}x |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        one(asked.side, asked.folder, asked.models[0], CASES[asked.cases[0]])
        return
    print("| model | case | theirs, images/s | ours, images/s | ratio | by CPU time |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for case in asked.cases:
            write_set(Path(folder) / case, CASES[case])
            for model in asked.models:
                row = compare(Path(folder) / case, model, case, asked.cores, asked.turns)
                print(row, flush=True)


if __name__ == "__main__":
    main()
