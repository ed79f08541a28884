"""`scaling fit --target`: computes, written as such or as a model and its samples seen."""

from typing import TYPE_CHECKING

from scaling.errors import ScalingError, unknown
from scaling.units import parse_count

if TYPE_CHECKING:
    from scaling.database import Database
    from scaling.points import Selection


def targets(written: list[str], db: "Database", selection: "Selection") -> tuple[float, ...]:
    """Computes in GFLOPs; MODEL@SAMPLES becomes what that costs in each selected family."""
    found: set[float] = set()
    models = {word.partition("@")[0] for word in written if "@" in word}
    costs = _costs(db, selection, models) if models else {}
    for word in written:
        model, at, samples = word.partition("@")
        try:
            if at:
                if model not in costs:
                    raise ValueError(unknown("model", model, costs))
                found |= {gflops * parse_count(samples) for gflops in costs[model]}
            else:
                found.add(_number(word))
        except ValueError as error:
            raise ScalingError(f"--target {word}: {error}") from error
    return tuple(sorted(found))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(
            "write GFLOPs such as 2.6e12, or MODEL@SAMPLES such as ViT-L-14@12.8B"
        ) from None


def _costs(db: "Database", selection: "Selection", asked: set[str]) -> dict[str, set[float]]:
    """GFLOPs per sample of each model in the selected families (default: all) that have it.

    `asked` are looked up besides the sizes of the families: they may be spelled as networks of
    open_clip.

    Families that only were imported have the models that were measured.
    """
    from scaling.families import FAMILIES
    from scaling.points import load_points

    costs: dict[str, set[float]] = {}
    for name in selection.families or FAMILIES.names():
        if name not in FAMILIES:
            continue
        family = FAMILIES.get(name)
        for model in {*family.models, *(model for model in asked if model in family.models)}:
            profile = family.profile(model)
            costs.setdefault(model, set()).add(getattr(profile, f"{selection.compute}_gflops"))
    points = load_points(db, selection)[0]
    imported = points[~points["family"].isin(FAMILIES.names())]
    for _, rows in imported.groupby(["family", "model"]):
        cost = (rows["compute_gflops"] / rows["samples_seen"]).median()
        costs.setdefault(str(rows["model"].iloc[0]), set()).add(float(cost))
    return costs
