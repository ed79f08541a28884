"""How fast models were trained: what plans of later grids are made from."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from scaling.store.tables import AttemptRow, TrialRow


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The training of a model on one kind of device, all attempts together."""

    family: str
    model: str
    device: str
    """As torch names it, or 'cpu'."""
    samples: int
    seconds: float
    """Of one device: see `scaling.trial.Throughput`."""
    latest: str
    """When the last of the attempts began."""


def throughputs(connection: Connection) -> list[Measured]:
    """What attempts of all studies say about their pace, by family, model and device."""
    device = AttemptRow.versions["device"].as_string()
    keys = (TrialRow.family, TrialRow.model, device)
    found = connection.execute(
        select(
            *keys,
            func.sum(AttemptRow.trained_samples),
            func.sum(AttemptRow.trained_seconds),
            func.max(AttemptRow.started),
        )
        .join(TrialRow, TrialRow.id == AttemptRow.trial_id)
        .where(AttemptRow.trained_seconds > 0, device.is_not(None))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        Measured(
            family=family,
            model=model,
            device=name,
            samples=int(samples),
            seconds=seconds,
            latest=latest,
        )
        for family, model, name, samples, seconds, latest in found
    ]
