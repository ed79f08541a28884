"""Which law of two variables is fitted to which metric, and how: the same for every contestant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitting.loss import LEAST_SQUARES, LOG_DELTA, Loss
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
