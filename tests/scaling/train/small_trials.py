"""Trials that take a second, and what to look at in their events."""

import dataclasses

from scaling.trial import (
    Checkpoint,
    CurvePoint,
    Data,
    Event,
    Measurement,
    Recipe,
    Stop,
    Trunk,
)

TASK = "shapes_retrieval"
RECIPE = Recipe(batch_size=32, learning_rate=4e-3, warmup_samples=128, precision="fp32")


def trunk(family: str = "mammut", model: str = "tiny-a", **recipe: object) -> Trunk:
    changed: Recipe = dataclasses.replace(RECIPE, **recipe)
    return Trunk(family=family, model=model, data=Data(kind="shapes"), recipe=changed)


def stops(*samples_seen: int, task: str = TASK) -> tuple[Stop, ...]:
    return tuple(Stop(samples_seen=count, tasks=(task,)) for count in samples_seen)


def only(kind: type, events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def facts(events: list[Event]) -> list[tuple[object, ...]]:
    """What was found, without where it was written: the last bit of every weight included."""
    return [
        ("checkpoint", event.samples_seen, event.sha256)
        if isinstance(event, Checkpoint)
        else (type(event).__name__, *event.__dict__.values())
        for event in events
        if isinstance(event, Checkpoint | Measurement | CurvePoint)
    ]
