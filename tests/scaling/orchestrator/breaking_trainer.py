"""The real trainer, which raises once a trial is somewhere: `SCALING_TEST_RAISE` says where.

TRIAL SAMPLES: part of the trial's id; what it must have seen.
"""

import os
from collections.abc import Iterator

from scaling import train as real
from scaling.trial import CurvePoint, Event, Work


def train(work: Work) -> Iterator[Event]:
    part, samples_seen = os.environ.get("SCALING_TEST_RAISE", "nobody 0").split()
    for event in real.train(work):
        yield event
        is_late = isinstance(event, CurvePoint) and event.samples_seen > int(samples_seen)
        if part in work.trial.id and is_late:
            raise ValueError("a bug in the trainer")
