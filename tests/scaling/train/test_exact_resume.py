"""However a trial is cut into pieces, it gives the same numbers, bit for bit."""

import dataclasses
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from small_trials import facts, only, stops, trunk

from scaling.datasets import DATASETS
from scaling.train import train
from scaling.trial import (
    Checkpoint,
    Cooldown,
    CurvePoint,
    Data,
    Event,
    Measurement,
    Progress,
    Stop,
    Work,
)

Run = Callable[..., list[Event]]


@pytest.mark.parametrize("family", ["clip", "mammut"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_interrupted_and_resumed_equals_uninterrupted(
    run: Run, family: str, precision: str
) -> None:
    trial = trunk(family, precision=precision)
    whole = run(trial, stops(256, 512))

    first = run(trial, stops(256))
    second = run(trial, stops(512), tuple(only(Checkpoint, first)))

    assert facts(first + second) == facts(whole)


@pytest.mark.parametrize("optimizer", ["adafactor", "adopt", "lamb", "lion", "muon", "sgd"])
def test_every_optimizer_that_the_documentation_names_resumes_exactly(
    run: Run, optimizer: str
) -> None:
    trial = trunk("mammut", optimizer=optimizer, learning_rate=1e-3)
    half, end = (Stop(samples_seen=count) for count in (64, 128))
    whole = run(trial, (half, end))

    first = run(trial, (half,))
    second = run(trial, (end,), tuple(only(Checkpoint, first)))

    assert facts(first + second) == facts(whole)


def test_a_cooldown_does_not_depend_on_how_its_trunk_was_cut(run: Run) -> None:
    trial = trunk()
    shared = {"family": trial.family, "model": trial.model, "data": trial.data}
    cooldown = Cooldown(**shared, recipe=trial.recipe, branch_point=384, samples_seen=512)
    (start,) = only(Checkpoint, run(trial, stops(384)))
    whole = run(cooldown, stops(512), (start,))

    first = run(trial, stops(128))
    resumed = only(Checkpoint, run(trial, stops(384), tuple(only(Checkpoint, first))))
    half = run(cooldown, stops(448), tuple(resumed))
    rest = run(cooldown, stops(512), (*resumed, *only(Checkpoint, half)))

    by_cuts = only(Checkpoint, rest) + only(Measurement, rest)
    assert facts(by_cuts) == facts(only(Checkpoint, whole) + only(Measurement, whole))


def test_a_worker_that_stops_between_its_stops_loses_nothing(run: Run, tmp_path: Path) -> None:
    trial = trunk()
    whole = run(trial, stops(256, 512))

    work = Work(trial=trial, stops=stops(256, 512), checkpoints=(), directory=tmp_path / "killed")
    generator = train(work, device="cpu")
    cut_short = list(
        itertools.takewhile(
            lambda e: not (isinstance(e, CurvePoint) and e.samples_seen > 300), generator
        )
    )
    generator.close()
    rest = run(trial, stops(512), tuple(only(Checkpoint, cut_short)))

    assert not list((tmp_path / "killed").glob("*.tmp"))
    done = [event for event in cut_short if getattr(event, "samples_seen", 0) <= 256]
    assert facts(done + rest) == facts(whole)


def test_measuring_an_older_checkpoint_trains_nothing_and_disturbs_nothing(run: Run) -> None:
    trial = trunk()
    whole = run(trial, stops(128, 256, 512))
    early, later, _ = only(Checkpoint, whole)

    again = run(trial, stops(128, 512, task="shapes_classification"), (early, later))

    assert facts(only(Checkpoint, again)) == facts(only(Checkpoint, whole)[2:])
    assert {e.samples_seen for e in only(Measurement, again)} == {128, 512}
    assert min(e.samples_seen for e in only(CurvePoint, again)) > 256


def test_a_stop_that_has_its_checkpoint_yields_measurements_only(run: Run) -> None:
    trial = trunk()
    first = run(trial, stops(128))

    again = run(trial, stops(128), tuple(only(Checkpoint, first)))

    assert facts(again) == facts(only(Measurement, first))


def test_curve_points_are_neither_doubled_nor_lost(run: Run) -> None:
    trial = trunk("clip")
    whole = [e.samples_seen for e in only(CurvePoint, run(trial, stops(1024)))]

    pieces, checkpoints = [], ()
    for stop in (32, 96, 352, 608, 1024):
        events = run(trial, stops(stop), checkpoints)
        checkpoints = (*checkpoints, *only(Checkpoint, events))
        pieces += [e.samples_seen for e in only(CurvePoint, events)]

    assert pieces == whole
    assert whole[0] == 32
    assert np.diff(np.log2(whole)).max() <= 1.0
    assert len(whole) >= 16


def test_random_numbers_of_others_neither_change_a_trial_nor_are_changed(
    run: Run, tmp_path: Path
) -> None:
    trial = trunk()
    undisturbed = run(trial, stops(128))
    torch.manual_seed(7)
    expected = torch.rand(3)

    torch.manual_seed(7)
    work = Work(trial=trial, stops=stops(128), checkpoints=(), directory=tmp_path / "disturbed")
    disturbed, drawn = [], []
    for event in train(work, device="cpu"):
        disturbed.append(event)
        if len(drawn) < 3 and isinstance(event, CurvePoint):
            drawn.append(torch.rand(1))

    assert facts(disturbed) == facts(undisturbed)
    assert torch.equal(torch.cat(drawn), expected)


@pytest.mark.parametrize("options", [{}, {"resample": True, "draft": True}, {"sources": 2}])
@pytest.mark.parametrize("cores", ["1", "2"])
def test_training_on_shards_resumes_exactly_too(
    run: Run,
    tmp_path: Path,
    options: dict[str, object],
    cores: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = DATASETS.get("shapes")
    images, captions = shapes.open(shapes.options(), 0).read(0, 200, 16)
    for shard in range(2):
        with webdataset.TarWriter(str(tmp_path / f"{shard}.tar")) as writer:
            for row in range(shard, 200, 2):
                png = io.BytesIO()
                Image.fromarray(images[row]).save(png, "png")
                writer.write(
                    {"__key__": f"{row:06d}", "png": png.getvalue(), "txt": captions[row]}
                )
    data = Data(kind="webdataset", options={"shards": f"{tmp_path}/{{0..1}}.tar", **options})
    if "sources" in options:
        sources = [{"shards": f"{tmp_path}/{n}.tar", "weight": 1 + n} for n in range(2)]
        data = Data(kind="webdataset", options={"sources": sources})
    trial = dataclasses.replace(trunk("clip"), data=data)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole = run(trial, stops(256, 512))

    monkeypatch.setenv("OMP_NUM_THREADS", cores)  # with two, batches are read ahead
    first = run(trial, stops(256))
    second = run(trial, stops(512), tuple(only(Checkpoint, first)))

    assert facts(first + second) == facts(whole)


def test_a_trial_says_how_many_samples_were_broken(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    png = io.BytesIO()
    Image.new("RGB", (16, 16)).save(png, "png")
    with webdataset.TarWriter(str(tmp_path / "0.tar")) as writer:
        for row in range(32):
            image = b"no picture" if row == 5 else png.getvalue()
            writer.write({"__key__": f"{row:06d}", "png": image, "txt": "a red circle"})
    data = Data(kind="webdataset", options={"shards": str(tmp_path / "0.tar")})

    run(dataclasses.replace(trunk("clip"), data=data), stops(64))

    assert "2 samples up to 64 were broken; others took their places" in caplog.text


def test_another_seed_is_another_result(run: Run) -> None:
    trial = trunk()
    other = dataclasses.replace(trial, seed=1)

    assert [e.sha256 for e in only(Checkpoint, run(trial, stops(64)))] != [
        e.sha256 for e in only(Checkpoint, run(other, stops(64)))
    ]


def test_progress_says_what_is_happening(run: Run) -> None:
    phases = [e.phase for e in only(Progress, run(trunk(), stops(64)))]

    assert phases[-2:] == ["save", "evaluate"]
