"""A linear head in closed form: from features of patches to the classes of their pixels.

It is regularised linear discriminant analysis, which is ridge regression on the shares of classes
among a patch's pixels, scored so that a frequent class does not hide the others: where most pixels
are background, the largest of plain regression's predictions is background everywhere. A patch
weighs as much as the share of its pixels that have a class. The penalty is on features scaled to
unit variance; its strength is the one at which the regression predicts best in cross-validation
over five parts of the pictures to learn from: the scored ones have no say. Everything follows from
sums over patches, so that one pass over the pictures is enough, and all of it is in fp64.

Sources: Hoerl and Kennard 1970 (doi:10.1080/00401706.1970.10488634); Hastie, Buja and Tibshirani
1995 (doi:10.1214/aos/1176324456) for discriminants by penalised regression; Hastie et al., The
Elements of Statistical Learning, 2nd ed., sections 4.2 (what is hidden), 4.3 and 7.10.

Shapes: N patches, W width of features, C classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.errors import DataError
from scaling.evals._segmentation.segmenter import PatchEncoder, autocast
from scaling.evals._segmentation.windows import scaled_pictures, window_parts
from scaling.evaluation_sets import IGNORED, Pictures
from scaling.families._patches import side_of

FOLDS = 5

_NEVER = -1e6
"""The logit of a class that cannot be."""


class Sums:
    """All that a regression needs to know of patches, by the part that their picture is in."""

    def __init__(self, width: int, classes: int, device: torch.device) -> None:
        """Nothing is added yet."""
        size = width + 1  # the last is the intercept, 1 for every patch
        double = torch.float64
        self.gram = torch.zeros(FOLDS, size, size, dtype=double, device=device)
        self.cross = torch.zeros(FOLDS, size, classes, dtype=double, device=device)
        self.square = torch.zeros(FOLDS, dtype=double, device=device)

    def add(self, features_NW: Tensor, shares_NC: Tensor, weights_N: Tensor, fold: int) -> None:
        """Add patches of one part."""
        ones_N1 = torch.ones_like(features_NW[:, :1])
        rows = torch.cat([features_NW, ones_N1], dim=1).double()
        weighted = (rows * weights_N[:, None]).T
        self.gram[fold] += weighted @ rows
        self.cross[fold] += weighted @ shares_NC
        self.square[fold] += (weights_N[:, None] * shares_NC**2).sum()

    def best_strength(self, strengths: Sequence[float]) -> float:
        """The strength of the penalty at which regression predicts best what it has not seen."""
        gram, cross, square = self.gram.cpu(), self.cross.cpu(), self.square.cpu()
        all_gram, all_cross = gram.sum(dim=0), cross.sum(dim=0)

        def error(strength: float) -> float:
            """Squared error of each part under what was fitted to the others, over all parts."""
            total = 0.0
            for part in range(FOLDS):
                fitted = solution(all_gram - gram[part], all_cross - cross[part], strength)
                explained = (fitted * (2 * cross[part] - gram[part] @ fitted)).sum()
                total += float(square[part] - explained)
            return total

        return min(strengths, key=error)

    def head(self, strength: float) -> Tensor:
        """Coefficients (W + 1, C) of the discriminants. See `discriminants`."""
        return discriminants(self.gram.sum(dim=0).cpu(), self.cross.sum(dim=0).cpu(), strength)


def solution(gram: Tensor, cross: Tensor, strength: float) -> Tensor:
    """Coefficients (W + 1, C) of the regression, the intercept last."""
    count = gram[-1, -1]
    penalty = torch.cat([_penalty(gram), gram.new_zeros(1)])
    found: Tensor = torch.linalg.solve(gram + strength * count * penalty.diag(), cross)
    return found


def discriminants(gram: Tensor, cross: Tensor, strength: float) -> Tensor:
    """Coefficients (W + 1, C) of each class's log posterior, up to a constant of the patch.

    A class that no patch shows is never the likeliest.
    """
    count, counts_C = gram[-1, -1], cross[-1]
    is_there = counts_C > 0
    shares_C = counts_C / count
    mean_W1 = gram[:-1, -1:] / count
    centres_WC = torch.where(is_there, cross[:-1] / counts_C.clamp(min=1e-9) - mean_W1, 0.0)
    total = gram[:-1, :-1] / count - mean_W1 @ mean_W1.T
    within = total - (centres_WC * shares_C) @ centres_WC.T
    slopes_WC = torch.linalg.solve(within + strength * _penalty(gram).diag(), centres_WC)
    intercept_C = shares_C.log() - ((centres_WC / 2 + mean_W1) * slopes_WC).sum(dim=0)
    intercept_C = torch.where(is_there, intercept_C, _NEVER)
    return torch.cat([slopes_WC, intercept_C[None]])


def _penalty(gram: Tensor) -> Tensor:
    """The variances of features (W,), which scale the penalty on their coefficients."""
    count = gram[-1, -1]
    variances = gram.diagonal()[:-1] / count - (gram[-1, :-1] / count) ** 2
    # A feature that never varies says nothing, and must not make the equations singular.
    return variances.clamp(min=1e-12 * max(1.0, float(variances.max())))


def closed_form_head(
    encoder: PatchEncoder,
    pictures: Pictures,
    *,
    classes: int,
    crop: int,
    strengths: Sequence[float],
) -> nn.Linear:
    """The head for patches of `encoder`; raises `DataError` if too little is there to learn."""
    device = encoder.device
    sums: Sums | None = None
    encoder.eval()
    with torch.inference_mode(), autocast(device):
        for images, masks, positions in scaled_pictures(pictures, crop):
            resized = _nearest(masks, images.shape[1:3])
            for rows, columns in window_parts(images, crop):
                features = encoder(encoder.inputs(images[:, rows, columns])).float()
                sums = sums or Sums(features.shape[2], classes, device)
                shares, weights = class_shares(
                    resized[:, rows, columns], side_of(features.shape[1]), classes
                )
                for fold in range(FOLDS):
                    own = [row for row, n in enumerate(positions) if n % FOLDS == fold]
                    if own:
                        sums.add(
                            features[own].flatten(0, 1),
                            torch.from_numpy(shares[own]).to(device).flatten(0, 1),
                            torch.from_numpy(weights[own]).to(device).flatten(),
                            fold,
                        )
    if sums is None or int((sums.gram[:, -1, -1] > 0).sum()) < 2:
        raise DataError("fewer than two of the pictures to learn from have a pixel with a class")
    return _as_layer(sums.head(sums.best_strength(strengths)), device)


def class_shares(
    masks: NDArray[np.uint8], side: int, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each patch, the shares of classes (B, P, C) and how much of it has a class (B, P).

    `masks` (B, S, S) are cut into `side` patches a side.
    """
    count, size = masks.shape[0], masks.shape[1]
    of_patch = np.arange(size) * side // size
    patches = count * side * side
    index = np.arange(count)[:, None, None] * side**2 + of_patch[:, None] * side + of_patch
    is_known = masks != IGNORED
    pairs = np.broadcast_to(index, masks.shape)[is_known] * classes + masks[is_known]
    found = np.bincount(pairs, minlength=patches * classes).reshape(count, side**2, classes)
    known = found.sum(axis=2)
    pixels = np.bincount(index.ravel(), minlength=patches).reshape(count, side**2)
    return found / np.maximum(known, 1)[..., None], known / pixels


def _nearest(masks: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Masks (B, H, W) at another size: the pixel under the middle of each."""
    if masks.shape[1:3] == size:
        return masks
    (height, width), (rows, columns) = masks.shape[1:3], size
    row = ((np.arange(rows) + 0.5) * height / rows).astype(np.int64)
    column = ((np.arange(columns) + 0.5) * width / columns).astype(np.int64)
    return masks[:, row[:, None], column]


def _as_layer(coefficients: Tensor, device: torch.device) -> nn.Linear:
    layer = nn.Linear(len(coefficients) - 1, coefficients.shape[1], device="meta")
    layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(coefficients[:-1].T)
        layer.bias.copy_(coefficients[-1])
    return layer.to(device)
