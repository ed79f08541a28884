"""The store with 1,000,000 measurements: imported, read for a fit, and recorded into.

    python -P benchmarks/store.py [--rows 1000000] [--folder FOLDER]

`-P` keeps this folder's `fitting.py` from the place of the package.

Baseline of the import: `sqlalchemy.orm.Session.add` of the same rows, committed or flushed one by
one, or all at once. Baseline of reading: the joined rows of `Reader.points`, into pandas.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from scaling.grid import expand, parse_grid
from scaling.plan import Plan
from scaling.points import Selection, load_points
from scaling.store import Store
from scaling.store.imports import Imported, Measured, record
from scaling.store.states import TrialState
from scaling.store.tables import MeasurementRow, Row, TrialRow
from scaling.trial import Measurement

METRICS = ("acc1", "acc5", "mean_per_class_recall", "ece", "loss_nll")
TASKS = tuple(f"task{number:02}" for number in range(20))
LENGTHS = tuple(1_280_000 * 2**power for power in range(10))
MODELS = tuple(f"ViT-{number}" for number in range(10))
BASELINES = {"commit each": 2_000, "flush each": 10_000, "one commit": 50_000}
"""Rows added by each way of the ORM; of so many each takes as long as the next."""
RECORDS = 2_000
GRID: dict[str, Any] = {
    "study": "own",
    "families": ["clip"],
    "models": ["tiny-a"],
    "samples_seen": [1024],
    "datasets": {"shapes": {"kind": "shapes"}},
    "schedules": ["cosine"],
    "recipes": [{"batch_size": 64, "learning_rate": 1e-3, "warmup": "256 samples"}],
    "evaluate": ["shapes_classification"],
}


def numbers() -> Iterator[Measured]:
    """Training runs of two families, two datasets and two schedules, with more and more seeds."""
    random, run = Random(0), 0
    while True:
        size = run // 2 % len(MODELS)
        shared: dict[str, Any] = {
            "family": ("clip", "mammut")[run % 2],
            "model": MODELS[size],
            "dataset": ("datacomp", "dfn")[run // 20 % 2],
            "schedule": ("cosine", "const")[run // 40 % 2],
            "params": 10_000_000 * (1 + size),
            "gflops_per_sample": 1.0 + size,
            "seed": run // 80,
            "trial": "run",
            "source": "",
        }
        for samples_seen in LENGTHS:
            error = 0.2 + 50 * (shared["gflops_per_sample"] * samples_seen) ** -0.45
            for task in TASKS:
                for metric in METRICS:
                    value = 1 - error * random.uniform(0.97, 1.03)
                    yield Measured(
                        place="",
                        samples_seen=samples_seen,
                        task=task,
                        metric=metric,
                        value=value,
                        **shared,
                    )
        run += 1


@contextmanager
def clocked(what: str, rows: int) -> Iterator[list[float]]:
    """Print the wall and CPU seconds of what is inside; leaves the wall seconds a row."""
    seconds: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield seconds
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seconds += [wall / rows, cpu / rows]
    print(
        f"{what}: {rows:,} rows, {wall:.2f} s, {cpu:.2f} s of CPU, {wall / rows * 1e6:.1f} us each"
    )


def by_orm(path: Path, way: str, rows: int) -> list[float]:
    """Seconds a row, wall and CPU, of `Session.add`, with the store's tables and settings."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        Row.metadata.create_all(connection)
    trial = {"family": "clip", "model": "M", "kind": "imported", "identity": {}, "seed": 0}
    with Session(engine) as session:
        session.connection().exec_driver_sql("PRAGMA synchronous = NORMAL")
        found = list(islice(numbers(), rows))
        ids = [f"{each.family}-{each.model}-{each.dataset}-{each.seed}" for each in found]
        session.add_all(
            TrialRow(id=name, source="", state=TrialState.IMPORTED, **trial) for name in set(ids)
        )
        session.commit()
        with clocked(f"  ORM, {way}", rows) as seconds:
            for number, (name, each) in enumerate(zip(ids, found, strict=True)):
                session.add(
                    MeasurementRow(
                        trial_id=name,
                        samples_seen=number,
                        task=each.task,
                        metric=each.metric,
                        value=each.value,
                        source=each.source,
                    )
                )
                if way == "commit each":
                    session.commit()
                elif way == "flush each":
                    session.flush()
            session.commit()
    engine.dispose()
    return seconds


def import_them(db: Path, rows: int) -> None:
    """The import's own path against the ORM's."""
    imported = Imported(
        path=db,
        measurements_file=db,
        study="large",
        compute="",
        measurements=list(islice(numbers(), rows)),
    )
    with Store(db) as store, clocked("import", rows) as ours:
        record(store, imported)
    for way, count in BASELINES.items():
        theirs = by_orm(db.with_name(f"{way}.db"), way, min(count, rows))
        wall, cpu = (its / our for its, our in zip(theirs, ours, strict=True))
        print(f"    {wall:.1f} times the import's wall time, {cpu:.1f} times its CPU time")


def read_them(db: Path, rows: int) -> None:
    """What `scaling fit` asks for, with and without a task, and the command."""
    for words, selection in {
        "everything's main metrics": Selection(),
        "one task": Selection(task=TASKS[1]),
        "every metric": Selection(metric="all"),
    }.items():
        with clocked(f"fit's query, {words}", rows):
            points, _ = load_points(db, selection)
        print(f"    {len(points):,} points")
    with Store.read(db) as store, clocked("baseline: joined rows, one metric", rows):
        pd.DataFrame(store.points(metric="acc1"))
    command = ["fit", "--compare", "clip", "mammut", "--task", TASKS[1], "--dataset", "dfn"]
    with clocked(f"scaling {' '.join(command)} --schedule cosine --db", rows):
        subprocess.run(
            [sys.executable, "-m", "scaling", *command, "--schedule", "cosine", "--db", str(db)],
            check=True,
            capture_output=True,
        )


def own_plan() -> Plan:
    """One trial of ours."""
    return expand(parse_grid(GRID, "grid.yaml"), text="", source="grid.yaml")


def scan(db: Path, seconds: float) -> None:
    """Read every measurement again and again, as a process of its own."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with Store.read(db) as store:
            store.columns("published", {})


def record_while(db: Path, reader: bool) -> None:
    """Milliseconds of one `Store.record` of one measurement."""
    scanning = [sys.executable, "-P", __file__, "--scan", str(db)]
    process = subprocess.Popen(scanning) if reader else None
    if process:
        time.sleep(3)  # It imports first.
    plan, took = own_plan(), []
    trial_id = plan.trials[0].trial.id
    with Store(db) as store:
        store.record_plan(plan)
        attempt = store.start_attempt(trial_id)
        for number in range(RECORDS):
            event = Measurement(
                trial_id=trial_id,
                samples_seen=1024 * (number + 1),
                task="shapes_classification",
                metric=str(reader),
                value=0.5,
            )
            began = time.perf_counter()
            store.record(trial_id, attempt, [event])
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
        assert process is None or process.poll() is None, "the reader must outlive the records"
    if process:
        process.kill()
        process.wait()
    p50, p99 = np.percentile(took, [50, 99])
    words = "while a reader scans" if reader else "alone"
    print(f"recording one measurement {words}, ms: p50 {p50:.2f}, p99 {p99:.2f}, {max(took):.1f}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--scan", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.scan:
        scan(asked.scan, seconds=300)
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        db = Path(folder) / "results.db"
        import_them(db, asked.rows)
        read_them(db, asked.rows)
        for reader in (False, True):
            record_while(db, reader)


if __name__ == "__main__":
    main()
