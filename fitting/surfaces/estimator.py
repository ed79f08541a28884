"""Which law of two variables is fitted to which metric, and how: the same for every contestant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitting.errors import FitError
from fitting.loss import LEAST_SQUARES, LOG_DELTA, Loss, loss_named
from fitting.surfaces.chinchilla import Chinchilla
from fitting.surfaces.fit import fit_surface
from fitting.surfaces.saturating import WEAK_PRIOR, SaturatingSurface

if TYPE_CHECKING:
    from fitting.prior import Penalty
    from fitting.surfaces.cells import Cells
    from fitting.surfaces.fit import SurfaceFit
    from fitting.surfaces.law import SurfaceLaw


@dataclass(frozen=True, kw_only=True)
class SurfaceEstimator:
    """What is done to every series alike."""

    law: SurfaceLaw
    loss: Loss
    penalty: Penalty | None

    def apply(self, cells: Cells) -> SurfaceFit:
        """Fit; raises `FitError` if the cells cannot determine the law."""
        return fit_surface(self.law, cells, loss=self.loss, penalty=self.penalty)


LOG_HUBER = Loss(in_logs=True, delta=LOG_DELTA)
FOR_FRACTIONS = SurfaceEstimator(law=SaturatingSurface(), loss=LEAST_SQUARES, penalty=WEAK_PRIOR)
"""For errors that are fractions: 1 - accuracy, 1 - recall."""
FOR_LOSSES = SurfaceEstimator(law=Chinchilla(), loss=LOG_HUBER, penalty=None)
"""For losses, which have no chance level."""
SURFACE_LAWS: dict[str, SurfaceLaw] = {
    law.name: law for law in (Chinchilla(), SaturatingSurface())
}


def surface_estimator(
    *, is_fraction: bool, law: str | None = None, loss: str | None = None
) -> SurfaceEstimator:
    """The estimator for a metric, with the law and the loss that are named instead of its own.

    The weak prior speaks of errors that are fractions, in the units of their residuals, and so
    stays away from losses and logarithms. Raises `FitError` for an unknown name.
    """
    own = FOR_FRACTIONS if is_fraction else FOR_LOSSES
    if law is not None and law not in SURFACE_LAWS:
        raise FitError(f"unknown surface {law!r} (known: {', '.join(sorted(SURFACE_LAWS))})")
    chosen = own.law if law is None else SURFACE_LAWS[law]
    usual = FOR_LOSSES if chosen.name == FOR_LOSSES.law.name else FOR_FRACTIONS
    minimised = usual.loss if loss is None else loss_named(loss)
    speaks = is_fraction and not minimised.in_logs
    return SurfaceEstimator(law=chosen, loss=minimised, penalty=usual.penalty if speaks else None)
