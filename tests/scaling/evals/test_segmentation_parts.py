"""Counts, windows and the head in closed form against slow and plain versions of themselves."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scaling.evals._segmentation import windows as windows_module
from scaling.evals._segmentation.closed_form import FOLDS, Sums, class_shares, solution
from scaling.evals._segmentation.confusion import Confusion
from scaling.evals._segmentation.windows import (
    likeliest,
    scaled_pictures,
    sliding_logits,
    windows,
)
from scaling.evaluation_sets import IGNORED, Picture


def plain_scores(
    truth: list[NDArray[np.uint8]], predicted: list[NDArray[np.int64]], classes: int
) -> dict[str, float]:
    """The definitions, by sets of pixels."""
    pixels = [
        (n, place, int(own[place]), int(other[place]))
        for n, (own, other) in enumerate(zip(truth, predicted, strict=True))
        for place in np.ndindex(own.shape)
        if own[place] != IGNORED
    ]
    ious, recalls = [], []
    for label in range(classes):
        is_so = {(n, place) for n, place, own, _ in pixels if own == label}
        is_said = {(n, place) for n, place, _, other in pixels if other == label}
        if is_so | is_said:
            ious.append(len(is_so & is_said) / len(is_so | is_said))
        if is_so:
            recalls.append(len(is_so & is_said) / len(is_so))
    return {
        "mean_iou": float(np.mean(ious)),
        "pixel_accuracy": float(np.mean([own == other for _, _, own, other in pixels])),
        "mean_accuracy": float(np.mean(recalls)),
    }


@pytest.mark.parametrize(
    ("true_classes", "said_classes"),
    [((0, 1, 2, 3), (0, 1, 2, 3)), ((0, 2), (0, 2)), ((0, 2), (0, 1)), ((0, 1, IGNORED), (1, 3))],
    ids=["all", "one in neither", "one predicted alone", "ignored pixels"],
)
def test_scores_are_those_of_sets_of_pixels(
    true_classes: tuple[int, ...], said_classes: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(0)
    shapes = [(5, 7), (4, 4), (9, 2)]
    truth = [generator.choice(true_classes, size=shape).astype(np.uint8) for shape in shapes]
    said = [generator.choice(said_classes, size=shape) for shape in shapes]
    confusion = Confusion(4)

    for own, other in zip(truth, said, strict=True):
        confusion.add(own, other)

    assert confusion.scores() == pytest.approx(plain_scores(truth, said, 4), abs=1e-12)


def test_counts_are_exact_where_floats_would_not_be() -> None:
    confusion = Confusion(2)
    confusion.counts[0, 0] = 2**53

    confusion.add(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.int64))

    assert confusion.counts[0, 0] == 2**53 + 1


@pytest.mark.parametrize("length", [16, 17, 31, 32, 33, 100])
def test_windows_cover_everything_as_evenly_as_they_can(length: int) -> None:
    found = windows(length, 16)

    covered = np.zeros(length, int)
    for window in found:
        assert window.stop - window.start == 16
        covered[window] += 1
    assert covered.min() == 1
    assert len(found) == -(-length // 16)
    starts = [window.start for window in found]
    assert np.ptp(np.diff(starts)) <= 1 if len(starts) > 1 else True


def test_logits_are_means_over_windows_at_the_pixels_they_are_of() -> None:
    images = np.random.default_rng(0).integers(256, size=(2, 8, 19, 3), dtype=np.uint8)

    def brightness(part: NDArray[np.uint8]) -> torch.Tensor:
        """Each pixel is a patch here: what comes back must be the picture."""
        assert part.shape[1:3] == (8, 8)
        return torch.from_numpy(part.astype(np.float32)).permute(0, 3, 1, 2)

    logits = sliding_logits(images, 8, brightness)

    np.testing.assert_allclose(logits.permute(0, 2, 3, 1).numpy(), images, rtol=1e-6)


@pytest.mark.parametrize("together", [1, 60, 2**26])
def test_classes_interpolated_a_few_at_a_time_are_the_same(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_module, "_NUMBERS_AT_ONCE", together)
    logits = torch.randn(2, 7, 4, 6, generator=torch.Generator().manual_seed(0))

    found = likeliest(logits, (5, 4))

    whole = torch.nn.functional.interpolate(logits, (5, 4), mode="bilinear").argmax(dim=1)
    np.testing.assert_array_equal(found, whole.numpy())


class Given:
    """See `scaling.evaluation_sets.Pictures`."""

    def __init__(self, sizes: list[tuple[int, int] | None]) -> None:
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, position: int, /) -> Picture | None:
        size = self.sizes[position]
        if size is None:
            return None
        return Picture(np.zeros((*size, 3), np.uint8), np.full(size, position % 7, np.uint8))


def test_every_picture_is_read_once_with_those_of_its_size() -> None:
    sizes = [(20, 30), None, (30, 20), (20, 30), (500, 20)] * 60

    found = list(scaled_pictures(Given(sizes), 10))

    positions = [n for part in found for n in part.positions]
    assert sorted(positions) == [n for n, size in enumerate(sizes) if size]
    for part in found:
        assert min(part.images.shape[1:3]) == 10
        assert {sizes[n] for n in part.positions} == {part.masks.shape[1:3]}
        assert part.masks[:, 0, 0].tolist() == [n % 7 for n in part.positions]


def test_shares_of_classes_are_of_the_pixels_that_have_one() -> None:
    generator = np.random.default_rng(0)
    masks = generator.choice([0, 1, 2, IGNORED], size=(3, 12, 12)).astype(np.uint8)
    masks[0, :4, :4] = IGNORED

    shares, weights = class_shares(masks, side=3, classes=3)

    for n, row, column in np.ndindex(3, 3, 3):
        patch = masks[n, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
        known = patch[patch != IGNORED]
        assert weights[n, row * 3 + column] == len(known) / 16
        expected = np.bincount(known, minlength=3) / max(1, len(known))
        np.testing.assert_allclose(shares[n, row * 3 + column], expected)


def drawn(count: int = 4000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of three classes, one of them frequent: normal, with the same covariance."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.multinomial(torch.tensor([0.8, 0.15, 0.05]), count, True, generator=generator)
    centres = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [0.0, 3, 0]])
    noise = torch.randn(count, 3, generator=generator)
    spread = torch.tensor([[1.0, 0, 0], [0.5, 1, 0], [0, 0, 100.0]])
    return centres[labels] + noise @ spread.T, labels, torch.ones(count, dtype=torch.float64)


def sums_of(
    features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, classes: int = 3
) -> Sums:
    sums = Sums(features.shape[1], classes, torch.device("cpu"))
    shares = torch.nn.functional.one_hot(labels, classes).double()
    for fold in range(FOLDS):
        own = slice(fold, None, FOLDS)
        sums.add(features[own], shares[own], weights[own], fold)
    return sums


def posteriors(head: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    rows = torch.cat([features.double(), torch.ones(len(features), 1, dtype=torch.float64)], 1)
    return (rows @ head).softmax(dim=1)


def test_the_closed_form_recovers_the_posterior_of_classes() -> None:
    """Linear discriminants of normal classes with one covariance are Bayes' rule."""
    features, labels, weights = drawn(40_000)

    found = posteriors(sums_of(features, labels, weights).head(1e-6), features)

    centres = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [0.0, 3, 0]])
    spread = torch.tensor([[1.0, 0, 0], [0.5, 1, 0], [0, 0, 100.0]])
    true = torch.distributions.MultivariateNormal(centres, scale_tril=spread)
    joint = true.log_prob(features[:, None]) + torch.tensor([0.8, 0.15, 0.05]).log()
    difference = (found - joint.softmax(dim=1)).abs()
    assert difference.mean() < 0.01
    assert difference.max() < 0.1


def test_a_rare_class_between_others_is_not_hidden() -> None:
    """Regression of indicators never predicts it: Hastie et al., figure 4.2."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 3
    features = labels[:, None] * 4.0 + torch.randn(3000, 1, generator=generator)

    head = sums_of(features, labels, torch.ones(3000, dtype=torch.float64)).head(1e-6)

    said = posteriors(head, features).argmax(dim=1)
    assert (said == labels).double().mean() > 0.95


def test_the_unit_of_features_does_not_matter() -> None:
    features, labels, weights = drawn()

    here = sums_of(features, labels, weights)
    there = sums_of(features * torch.tensor([1e3, 1.0, 1e-3]), labels, weights)

    torch.testing.assert_close(
        posteriors(here.head(0.1), features),
        posteriors(there.head(0.1), features * torch.tensor([1e3, 1.0, 1e-3])),
        rtol=1e-5,
        atol=1e-6,
    )
    assert here.best_strength((1e-3, 1e-1, 10)) == there.best_strength((1e-3, 1e-1, 10))


def test_the_strength_is_that_of_plain_cross_validation() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(60, 30, generator=generator)
    labels = (features[:, 0] + torch.randn(60, generator=generator) > 0).long()
    weights = torch.rand(60, generator=generator).double()
    strengths = (1e-4, 1e-2, 1.0, 100.0)
    shares = torch.nn.functional.one_hot(labels, 2).double()
    rows = torch.cat([features, torch.ones(60, 1)], dim=1).double()

    def error(strength: float) -> float:
        total = 0.0
        for fold in range(FOLDS):
            is_own = torch.arange(60) % FOLDS == fold
            weighted = rows[~is_own] * weights[~is_own, None]
            fitted = solution(weighted.T @ rows[~is_own], weighted.T @ shares[~is_own], strength)
            residuals = (shares[is_own] - rows[is_own] @ fitted) ** 2
            total += float((residuals * weights[is_own, None]).sum())
        return total

    best = sums_of(features, labels, weights, 2).best_strength(strengths)

    assert best == min(strengths, key=error)
    assert best not in (strengths[0], strengths[-1])


def test_constant_features_and_absent_classes_do_no_harm() -> None:
    features, labels, weights = drawn()
    constant = torch.cat([features, torch.full((len(features), 1), 3.0)], dim=1)

    head = sums_of(constant, labels, weights, classes=5).head(1e-4)

    assert head.isfinite().all()
    found = posteriors(head, constant)
    assert found[:, 3:].max() == 0
    plain = posteriors(sums_of(features, labels, weights).head(1e-4), features)
    torch.testing.assert_close(found[:, :3], plain, atol=1e-6, rtol=0)
