"""What the real tools write: open_clip's trainer, and clip-benchmark on one of its checkpoints."""

import io
import json
import logging
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import open_clip_train.main
import pytest
from clip_benchmark import cli
from clip_benchmark.metrics import zeroshot_classification
from PIL import Image
from torch import Tensor

MODEL = "tiny-for-imports"
_CONTENT = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "patch_size": 16,
        "head_width": 16,
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}
CLASSES = ("red", "green", "blue")
_EACH = 4


def train(folder: Path, *flags: str, name: str = "a_run") -> Path:
    """The log folder of two epochs of 12 samples, in batches of 4, with validation after each."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{MODEL}.json"
    config.write_text(json.dumps(_CONTENT))
    open_clip.add_model_config(config)
    table = ["filepath,title"]
    for n, data in enumerate(_images()):
        (folder / f"{n}.png").write_bytes(data)
        table.append(f"{folder / f'{n}.png'},a {CLASSES[n // _EACH]} square")
    data_file = folder / "pairs.csv"
    data_file.write_text("\n".join(table) + "\n")
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        open_clip_train.main.main(
            [
                *("--model", MODEL, "--dataset-type", "csv", "--csv-separator", ","),
                *("--train-data", str(data_file), "--val-data", str(data_file)),
                *("--device", "cpu", "--precision", "fp32", "--workers", "0", "--epochs", "2"),
                *("--batch-size", "4", "--warmup", "1", "--lr", "1e-3", "--seed", "3"),
                *("--logs", str(folder / "logs"), "--name", name, "--log-every-n-steps", "1"),
                *flags,
            ]
        )
    finally:
        for handler in set(logging.root.handlers) - set(handlers):
            logging.root.removeHandler(handler)
            handler.close()
        logging.root.setLevel(level)
    return folder / "logs" / name


def evaluate(checkpoint: Path, folder: Path, output: Path) -> Path:
    """clip-benchmark's own JSON on a set of three classes: acc5 is NaN."""
    shards = folder / "wds_squares_test"
    (shards / "test").mkdir(parents=True, exist_ok=True)
    (shards / "classnames.txt").write_text("\n".join(CLASSES))
    (shards / "zeroshot_classification_templates.txt").write_text("a {c} square")
    (shards / "test" / "nshards.txt").write_text("1")
    with tarfile.open(shards / "test" / "0.tar", "w") as shard:
        for n, data in enumerate(_images()):
            for end, content in (("png", data), ("cls", str(n // _EACH).encode())):
                info = tarfile.TarInfo(f"s{n:04d}.{end}")
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
    arguments = [
        *("eval", "--model", MODEL, "--pretrained", str(checkpoint), "--dataset", "wds/squares"),
        *("--dataset_root", str(shards), "--task", "zeroshot_classification", "--no_amp"),
        *("--output", str(output), "--num_workers", "0", "--batch_size", "4", "--quiet"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["clip_benchmark", *arguments])
        # clip-benchmark 1.6.2 makes a number of an array of one, which numpy 2.4 refuses.
        patch.setattr(zeroshot_classification, "accuracy", _accuracy)
        cli.main()
    return output


def _accuracy(logits: Tensor, target: Tensor, topk: Sequence[int] = (1,)) -> list[float]:
    places = logits.argsort(dim=1, descending=True) == target[:, None]
    return [places[:, :k].any(dim=1).double().mean().item() for k in topk]


def _images() -> list[bytes]:
    random = np.random.default_rng(0)
    found = []
    for n in range(len(CLASSES) * _EACH):
        pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        pixels[..., n // _EACH] += 150
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found
