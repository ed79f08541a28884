"""Scaling laws: from measured points to fits, intervals and a comparison that can be believed.

`analyse` is the entry point. The steps below it stand alone: `fitting.frontier` picks the best
error at each compute, `fitting.fit` fits a law to it, `fitting.resample` bootstraps both,
`fitting.compare` sets two fits side by side, and `fitting.plots`, which alone needs matplotlib,
draws them.

Words: a **cell** is one measured point; a **series** the cells of one family in one setting
(study, dataset, schedule, task, metric); compute is total forward GFLOPs; error is a fraction, or
a loss.
"""

from fitting.analysis import Analysis, Failure, analyse
from fitting.compare import BetterAt, Comparison, Crossing
from fitting.errors import FitError
from fitting.fit import Fit, FitStatus
from fitting.frontier import Frontier
from fitting.laws import LAWS, AnchoredLaw, Law, SaturatingPowerLaw
from fitting.options import Options
from fitting.prediction import Prediction, Score
from fitting.resample import Refits
from fitting.series import Series, Setting
from fitting.series_fit import SeriesFit
from fitting.surfaces import model_frontier

__all__ = [
    "LAWS",
    "Analysis",
    "AnchoredLaw",
    "BetterAt",
    "Comparison",
    "Crossing",
    "Failure",
    "Fit",
    "FitError",
    "FitStatus",
    "Frontier",
    "Law",
    "Options",
    "Prediction",
    "Refits",
    "SaturatingPowerLaw",
    "Score",
    "Series",
    "SeriesFit",
    "Setting",
    "analyse",
    "model_frontier",
]
