"""The tables. Each row's natural key is written once, and makes recording idempotent."""

from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from scaling.store.states import FailureKind, TrialState

SCHEMA_VERSION = 5
"""Kept in the store (`PRAGMA user_version`, or a table); a store with a higher one is refused, one
with a lower one is brought here by `scaling.store.migrations`."""


def _words(kind: type[StrEnum]) -> Enum:
    """A column of these words, as text that any later word fits into.

    SQLAlchemy stores a member's name by default; store what people read.
    """
    return Enum(
        kind,
        values_callable=lambda words: [its.value for its in words],
        native_enum=False,
        length=32,
    )


class Row(DeclarativeBase):
    """Base of the tables below. Times are ISO 8601 in UTC, as text: the same in every database."""

    type_annotation_map: ClassVar = {
        TrialState: _words(TrialState),
        FailureKind: _words(FailureKind),
        # Samples seen need more than 32 bits, which all integers of SQLite have.
        int: BigInteger().with_variant(Integer(), "sqlite"),
        # In the same order everywhere, whatever the language of a server.
        str: String().with_variant(String(collation="C"), "postgresql"),
        dict[str, Any]: JSON(none_as_null=True),
    }


class StudyRow(Row):
    """One question asked: a grid, or a folder of imported measurements."""

    __tablename__ = "study"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    """As in `--study`."""
    grid: Mapped[str | None]
    """The grid file as last read; None for imports."""
    held_out_above_gflops: Mapped[float | None]
    """Total forward GFLOPs above which nothing is fitted; None if nothing is held out."""
    source: Mapped[str]
    """'grid', or the folder that was imported."""
    created: Mapped[str]
    """When it was first recorded."""


class TrialRow(Row):
    """One training run, own or imported."""

    __tablename__ = "trial"

    id: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str]
    model: Mapped[str]
    kind: Mapped[str]
    """cosine, trunk, cooldown, or imported."""
    identity: Mapped[dict[str, Any]]
    """Every field that changes the result; its digest is in the id."""
    seed: Mapped[int]
    """Tells repeated training runs apart."""
    batch_size: Mapped[int | None]
    """Samples of one step, over all devices."""
    learning_rate: Mapped[float | None]
    """The highest of the schedule."""
    params: Mapped[int | None]
    """Parameters of the model."""
    gflops_per_sample_published: Mapped[float | None]
    """Forward GFLOPs of one sample, counted as published; see docs/families.md for all three."""
    gflops_per_sample_lean: Mapped[float | None]
    gflops_per_sample_full: Mapped[float | None]
    trunk_id: Mapped[str | None] = mapped_column(ForeignKey("trial.id"), index=True)
    """What a cooldown branches off."""
    source: Mapped[str]
    """'own', or the folder that it was imported from."""
    state: Mapped[TrialState]
    """pending, running, complete, failed, diverged, blocked, stopped or imported."""
    failure_kind: Mapped[FailureKind | None]
    """Why it failed, in one word (`scaling.store.states.FailureKind`)."""
    failure: Mapped[str | None]
    """The same for people."""


class CellRow(Row):
    """One combination that a study asks a number for, and the trial that gives it."""

    __tablename__ = "cell"
    natural_key: ClassVar = (
        "study_id",
        "family",
        "model",
        "dataset",
        "schedule",
        "samples_seen",
        "seed",
        "trial_id",
    )
    """With the trial, because a sweep gives one combination several."""
    __table_args__ = (UniqueConstraint(*natural_key),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id"))
    family: Mapped[str]
    model: Mapped[str]
    dataset: Mapped[str]
    """What is trained on."""
    schedule: Mapped[str]
    """Of the learning rate: cosine, const, const-cooldown."""
    samples_seen: Mapped[int]
    """When the trial is measured for it."""
    seed: Mapped[int]
    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"), index=True)
    wanted: Mapped[bool]
    """False once the grid no longer asks for it; nothing is deleted."""


class AttemptRow(Row):
    """One process's go at a trial; only the latest may record."""

    __tablename__ = "attempt"

    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    """From 1."""
    started: Mapped[str]
    ended: Mapped[str | None]
    """None while it lasts, or if its driver died."""
    outcome: Mapped[str | None]
    """done, failed, diverged, died, oom, hung, preempted, interrupted, paused or lost."""
    host: Mapped[str | None]
    """The machine of its process."""
    pid: Mapped[int | None]
    versions: Mapped[dict[str, Any] | None]
    """Of what may change a result, `execution` and `notes` included (`scaling.trial`); like host
    and pid None until the process has said so."""
    trained_samples: Mapped[int | None]
    """Of what `scaling.trial.Throughput` says; None until something is trained."""
    trained_seconds: Mapped[float | None]
    began_trial: Mapped[str | None]
    """Whose checkpoint it went on from: the trial's own or its trunk's; None if from no
    checkpoint, or if it was made before that was recorded. The same for the three below."""
    began_samples_seen: Mapped[int | None]
    began_attempt: Mapped[int | None]
    """The attempt that saved that checkpoint."""
    began_sha256: Mapped[str | None]


def _of_attempt() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["trial_id", "attempt"], ["attempt.trial_id", "attempt.number"])


class CheckpointRow(Row):
    """A file of weights, and whose."""

    __tablename__ = "checkpoint"
    natural_key: ClassVar = ("trial_id", "samples_seen")
    __table_args__ = (UniqueConstraint(*natural_key), _of_attempt())

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    samples_seen: Mapped[int]
    path: Mapped[str]
    """Relative to the folder of all checkpoints, which may move."""
    sha256: Mapped[str]
    bytes: Mapped[int]
    attempt: Mapped[int]
    """Which saved it."""
    forced: Mapped[bool | None]
    """See `scaling.trial.Checkpoint`; None where that was not recorded yet."""


class MeasurementRow(Row):
    """One metric of one evaluation task at one checkpoint."""

    __tablename__ = "measurement"
    natural_key: ClassVar = ("trial_id", "samples_seen", "task", "metric")
    __table_args__ = (UniqueConstraint(*natural_key), _of_attempt())

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    samples_seen: Mapped[int]
    task: Mapped[str]
    metric: Mapped[str]
    value: Mapped[float]
    """As the task reports it; accuracies are fractions."""
    attempt: Mapped[int | None]
    """None for imports."""
    source: Mapped[str | None]
    """What an import says about where the number stands; None for own measurements."""
    epochs: Mapped[float | None]
    """Passes over the training set by then; None if it is endless, or its size is not known."""
    evaluation_set: Mapped[str | None]
    """See `scaling.trial.Measurement`; None where that was not recorded yet."""
    skipped_images: Mapped[int | None]
    """Images of the set that could not be read."""


class CurveRow(Row):
    """Training loss of the step that ended at `samples_seen`."""

    __tablename__ = "curve"
    natural_key: ClassVar = ("trial_id", "samples_seen")
    __table_args__ = (UniqueConstraint(*natural_key), _of_attempt())

    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[str] = mapped_column(ForeignKey("trial.id"))
    samples_seen: Mapped[int]
    loss: Mapped[float]
    """Of training."""
    attempt: Mapped[int]
