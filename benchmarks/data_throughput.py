"""Images a second from shards, as ratios against open_clip's own webdataset pipeline.

    python benchmarks/data_throughput.py

Both read the same shards, decode, crop at random, normalise, and tokenise captions with CLIP's
vocabulary, at the same resolution. The baseline is `open_clip_train.data.get_wds_dataset` with
open_clip's training transform, given a webdataset that does not mark the end of a shard, without
which it fails (mlfoundations/open_clip issue 935).

Every number is of a process of its own; the two take turns, and the better of two counts. With
one core it is images per second of CPU time, which other programs disturb least; with two it is
wall time: two data-loader processes there, two threads and reading ahead here. Pictures are seen
once, so that nothing comes from memory, but where it says so.

The second table trains a tiny CLIP on both pipelines: the share of time that steps wait for data.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TURNS = 2
PICTURES, TINY_PICTURES = 1664, 6656


class Case(NamedTuple):
    """What is read, and how."""

    folder: str
    size: int
    batch: int
    batches: int
    """Timed, after a first one."""
    options: dict[str, Any]
    """Of ours."""
    second_pass: bool = False
    """Time the second pass, in which ours decodes nothing."""
    baseline: str | None = None
    """The case whose baseline is this one's, if it is not its own."""


CASES = {
    "512 px JPEG to 224": Case("512", 224, 64, 12, {}),
    "512 px JPEG to 224, draft": Case(
        "512", 224, 64, 12, {"draft": True}, baseline="512 px JPEG to 224"
    ),
    "256 px JPEG to 224": Case("256", 224, 64, 24, {}),
    "16 px PNG": Case("16", 16, 256, 24, {}),
    "16 px PNG, second pass": Case("16", 16, 256, 24, {}, second_pass=True, baseline="16 px PNG"),
}
TINY = Case("16", 16, 64, 90, {})


def write_data(folder: Path) -> None:
    """Shards of noise with the spectrum of photographs, the same at 256 px, and tiny ones."""
    from scaling.datasets._shard_tools.make import ShapesShards
    from scaling.datasets._shard_tools.repack import plan_repacking, repack
    from scaling.datasets._shard_tools.writing import Sample, new_shard
    from scaling.datasets._webdataset.shards import expand
    from scaling.datasets.shapes import ShapesOptions

    captions = _captions(PICTURES)
    pictures = _photographs()
    for shard in range(4):
        with new_shard(folder / "512" / f"{shard:05d}.tar", {}) as writer:
            for row in range(PICTURES // 4):
                files = {"jpg": next(pictures), "txt": captions.pop().encode()}
                writer.add(Sample(f"{shard:05d}{row:04d}", files))
    for what in plan_repacking(
        expand(_pattern(folder, "512")), folder / "256", size=256, form="jpg", quality=95
    ):
        repack(what)
    ShapesShards(
        folder=folder / "16",
        samples=TINY_PICTURES,
        shard_size=TINY_PICTURES // 4,
        image_size=16,
        format="png",
        options=ShapesOptions(),
    ).write(lambda count: None)


def _photographs() -> Iterator[bytes]:
    """JPEGs of 512 px, quality 90: amplitude falls as 1 / frequency, as it does in photographs."""
    from PIL import Image

    generator = np.random.default_rng(0)
    across, down = np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None, :]
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / 512)
    while True:
        phases = np.exp(2j * np.pi * generator.random((2, *amplitude.shape)))
        grey, tint = np.fft.irfft2(amplitude * phases, s=(512, 512))
        channels = [grey + weight * tint for weight in (0.4, 0.0, -0.4)]
        image = 128 + 50 * np.stack(channels, axis=-1) / grey.std()
        pixels = image.clip(0, 255).astype(np.uint8)
        # Turned and mirrored, one spectrum makes eight pictures.
        for turned in (np.rot90(pixels, quarter) for quarter in range(4)):
            for view in (turned, turned[:, ::-1]):
                buffer = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(view)).save(buffer, "JPEG", quality=90)
                yield buffer.getvalue()


def _captions(count: int) -> list[str]:
    from scaling.datasets.shapes import ShapesOptions, ShapesStream

    return list(ShapesStream(ShapesOptions(), 0).read(0, count, 16).captions)


def _pattern(folder: Path, name: str) -> str:
    return f"{folder / name}/{{00000..00003}}.tar"


def ours(folder: Path, case: Case, tokenizer: Callable[[list[str]], Any]) -> Iterator[Any]:
    """Batches from our stream, read ahead as in training."""
    import torch

    from scaling.datasets import DATASETS
    from scaling.datasets._prefetch import ReadAhead
    from scaling.families._images import to_inputs

    kind = DATASETS.get("webdataset")
    options = kind.options(shards=_pattern(folder, case.folder), **case.options)
    stream = kind.open(options, 0)

    def read(first: int) -> tuple[Any, Any]:
        samples = stream.read(first, case.batch, case.size)
        return samples.images, tokenizer(list(samples.captions))

    batches = ReadAhead(read, step=case.batch, until=10**9)
    for position in range(0, 10**9, case.batch):
        images, tokens = batches.at(position)
        yield to_inputs(images, torch.device("cpu")), tokens


def theirs(
    folder: Path, case: Case, tokenizer: Callable[[list[str]], Any], workers: int
) -> Iterator[Any]:
    """Batches from open_clip's training program."""
    import open_clip
    import open_clip_train.data as training_data

    expander = training_data.tar_file_expander
    training_data.tar_file_expander = partial(expander, eof_value=None)
    args = argparse.Namespace(
        train_data=_pattern(folder, case.folder),
        train_num_samples=case.batch * 1000,
        train_data_upsampling_factors=None,
        dataset_resampled=False,
        batch_size=case.batch,
        workers=workers,
        world_size=1,
        seed=0,
    )
    transform = open_clip.image_transform(case.size, is_train=True)
    data = training_data.get_wds_dataset(
        args, transform, is_train=True, tokenizer=lambda text: tokenizer([text])
    )
    yield from data.dataloader


def _batches(whose: str, folder: Path, case: Case, cores: int, tokenizer: Any) -> Iterator[Any]:
    if whose == "ours":
        return ours(folder, case, tokenizer)
    return theirs(folder, case, tokenizer, workers=0 if cores == 1 else cores)


def read_rate(whose: str, folder: Path, case: Case, cores: int) -> float:
    """Images per second: of CPU time with one core, of wall time with more."""
    import open_clip

    clock = time.process_time if cores == 1 else time.perf_counter
    batches = _batches(whose, folder, case, cores, open_clip.get_tokenizer("ViT-B-32"))
    for _ in range(1 + (TINY_PICTURES // case.batch if case.second_pass else 0)):
        next(batches)
    began = clock()
    for _ in range(case.batches):
        next(batches)
    return case.batches * case.batch / (clock() - began)


def waiting_share(whose: str, folder: Path, cores: int) -> float:
    """Share of the time of a training run of a tiny CLIP in which steps wait for their batch."""
    import torch

    from scaling.families import FAMILIES
    from scaling.families._tokenizers import tokenize
    from scaling.train.session import Session
    from scaling.trial import Data, Recipe, Trunk

    config = FAMILIES.get("clip").models["tiny-d"]

    def tokenizer(captions: list[str]) -> torch.Tensor:
        return torch.from_numpy(tokenize(captions, config))

    recipe = Recipe(batch_size=64, learning_rate=1e-3, warmup_samples=640, precision="fp32")
    trial = Trunk(family="clip", model="tiny-d", data=Data(kind="webdataset"), recipe=recipe)
    session = Session(trial, torch.device("cpu"))
    batches = _batches(whose, folder, TINY, cores, tokenizer)
    session.step(*next(batches))
    waited, began = 0.0, time.perf_counter()
    for _ in range(TINY.batches):
        asked = time.perf_counter()
        images, tokens = next(batches)
        waited += time.perf_counter() - asked
        session.step(images, tokens)
    return waited / (time.perf_counter() - began)


def _in_process(folder: Path, what: str, whose: str, cores: int) -> float:
    words = [sys.executable, __file__, "--measure", what, whose, str(cores), str(folder)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(cores),
        "SCALING_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _measure(what: str, whose: str, cores: int, folder: Path) -> float:
    import torch

    # Decoding and steps use the other cores; torch is given one, which is its fastest here.
    torch.set_num_threads(1)
    if what == "wait":
        return waiting_share(whose, folder, cores)
    return read_rate(whose, folder, CASES[what], cores)


def compare_rates(folder: Path) -> None:
    """Print images per second, ours and the baseline's."""
    print("| images/s | cores | here | open_clip | ratio |\n| --- | --- | --- | --- | --- |")
    baselines: dict[tuple[str, int], float] = {}
    for what, case in CASES.items():
        for cores in (1, 2):
            here, there = 0.0, 0.0
            for _ in range(TURNS):
                here = max(here, _in_process(folder, what, "ours", cores))
                if case.baseline is None:
                    there = max(there, _in_process(folder, what, "theirs", cores))
            there = baselines.setdefault((case.baseline or what, cores), there)
            ratio = f"{here / there:.2f}"
            print(f"| {what} | {cores} | {here:,.0f} | {there:,.0f} | {ratio} |", flush=True)


def compare_waiting(folder: Path) -> None:
    """Print the share of a training run that is spent waiting for data."""
    print("\n| waiting for data | cores | here | open_clip |\n| --- | --- | --- | --- |")
    for cores in (1, 2):
        here, there = 1.0, 1.0
        for _ in range(TURNS):
            here = min(here, _in_process(folder, "wait", "ours", cores))
            there = min(there, _in_process(folder, "wait", "theirs", cores))
        print(f"| tiny-d, 16 px PNG | {cores} | {here:.1%} | {there:.1%} |", flush=True)


def main() -> None:
    """Write shards for a while, and print both tables."""
    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name))
        compare_rates(Path(name))
        compare_waiting(Path(name))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        what, whose, cores, folder = sys.argv[2:]
        print(json.dumps(_measure(what, whose, int(cores), Path(folder))))
    else:
        main()
