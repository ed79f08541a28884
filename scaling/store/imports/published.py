"""Published measurements: a folder of two CSV files, checked as a whole.

`measurements.csv` has one number a row; `model_profile.csv` says what a model costs. A family
without a profile (a loss tried on another family's network) is imported without GFLOPs, and so
stays out of fits over compute.
"""

from pathlib import Path

from scaling.errors import DataError
from scaling.store.imports.csv_files import (
    fraction,
    name,
    positive,
    positive_count,
    read_csv,
    words,
)
from scaling.store.imports.records import Imported, Measured

MEASUREMENTS = {
    "family": name,
    "model": name,
    "dataset": name,
    "schedule": name,
    "samples_seen": positive_count,
    "task": name,
    "metric": name,
    "value": fraction,
    "source": words,
}
PROFILE = {
    "family": name,
    "model": name,
    "image_size": positive_count,
    "params_million": positive,
    "image_params_million": positive,
    "text_params_million": positive,
    "forward_gflops_per_sample": positive,
}
_CELL = ("family", "model", "dataset", "schedule", "samples_seen", "task", "metric")


def recognises(path: Path) -> bool:
    """Whether `path` looks like such a folder."""
    return (path / "measurements.csv").is_file()


def read_published(folder: Path) -> Imported:
    """What is in `folder`; raises `DataError` with everything that is wrong with a file."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder with measurements.csv and model_profile.csv")
    profiles = {
        (row.values["family"], row.values["model"]): row.values
        for row in read_csv(folder / "model_profile.csv", PROFILE, unique=("family", "model"))
    }
    path = folder / "measurements.csv"
    measurements = []
    for row in read_csv(path, MEASUREMENTS, unique=_CELL):
        profile = profiles.get((row.values["family"], row.values["model"]))
        measurements.append(
            Measured(
                place=f"line {row.line}",
                **row.values,
                params=round(profile["params_million"] * 1e6) if profile else None,
                gflops_per_sample=profile["forward_gflops_per_sample"] if profile else None,
            )
        )
    return Imported(
        path=folder,
        measurements_file=path,
        study=folder.resolve().name,
        measurements=measurements,
        compute="forward GFLOPs per sample of model_profile.csv",
    )
