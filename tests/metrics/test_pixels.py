from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from diffusionad.errors import DataError
from diffusionad.metrics import PixelMetrics, PixelResult, pixels
from diffusionad.metrics.tallies import coarse

Pictures = list[tuple[np.ndarray, np.ndarray]]


def pictures(seed: int, levels: int | None, count: int = 6, side: int = 24) -> Pictures:
    """Random maps, higher on anomalous pixels; `levels` distinct values make ties; every third picture is good."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        mask = np.zeros((side, side + number), np.bool_)
        if number % 3:
            mask |= ndimage.gaussian_filter(rng.normal(size=mask.shape), 2.0) > 0.12
        values = np.clip(rng.random(mask.shape) * 0.8 + 0.2 * mask, 0, 1)
        made.append(((np.round(values * levels) / levels if levels else values).astype(np.float32), mask))
    return made


def measured(given: Pictures, **settings: int) -> PixelResult:
    metrics = PixelMetrics(**settings)
    for anomaly_map, true_mask in given:
        metrics.add(anomaly_map, true_mask)
    return metrics.result()


def pro_by_brute_force(given: Pictures, limit: float = 0.3) -> float:
    """Threshold by threshold, region by region, as the definition is written."""
    regions = []
    for values, mask in given:
        numbers, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [values[numbers == number] for number in range(1, count + 1)]
    good = np.concatenate([values[~mask] for values, mask in given])
    thresholds = np.unique(np.concatenate([values.ravel() for values, _ in given]))[::-1]
    rates = [0.0] + [float((good >= t).mean()) for t in thresholds]
    overlaps = [0.0] + [float(np.mean([(region >= t).mean() for region in regions])) for t in thresholds]
    area = 0.0
    for x0, x1, y0, y1 in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if x0 >= limit:
            break
        end = min(x1, limit)
        y_end = y1 if x1 <= limit else y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@pytest.mark.parametrize("levels", [None, 1, 2, 10, 255])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_scikit_learn_and_brute_force_pro(seed: int, levels: int | None) -> None:
    given = pictures(seed, levels)
    result = measured(given)
    scores = np.concatenate([values.ravel() for values, _ in given])
    labels = np.concatenate([mask.ravel() for _, mask in given])
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert result.pixel_auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert result.pixel_ap == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert result.pixel_f1_max == pytest.approx(np.max(2 * precision * recall / (precision + recall)), abs=1e-12)
    reached = scores >= np.float32(result.f1_threshold)
    assert 2 * (reached & labels).sum() / (reached.sum() + labels.sum()) == pytest.approx(
        result.pixel_f1_max, abs=1e-12
    )
    assert result.aupro == pytest.approx(pro_by_brute_force(given), abs=1e-12)
    assert not result.rounded


def test_perfect_prediction_is_exactly_one_holes_included() -> None:
    ring = np.zeros((20, 20), np.bool_)
    ring[4:15, 4:15] = True
    ring[7:12, 7:12] = False  # a hole is good, as the mask says
    ring[9, 9] = True  # an island in it is a region of its own
    given = [(ring.astype(np.float32), ring), (np.zeros((20, 20), np.float32), np.zeros((20, 20), np.bool_))]
    assert astuple(measured(given)) == (1.0, 1.0, 1.0, 1.0, 1.0, False)


def test_filling_the_hole_costs() -> None:
    ring = np.zeros((20, 20), np.bool_)
    ring[4:15, 4:15] = True
    filled = ring.astype(np.float32)
    ring[7:12, 7:12] = False
    result = measured([(filled, ring)])
    rate = 25 / (~ring).sum()
    assert result.aupro == pytest.approx((rate / 2 + 0.3 - rate) / 0.3, abs=1e-12)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[2, 2] = True
    mask[5:15, 5:15] = True
    only_small, only_large = np.zeros((2, 20, 20), np.float32)
    only_small[2, 2] = 1
    only_large[5:15, 5:15] = 1
    small, large = measured([(only_small, mask)]), measured([(only_large, mask)])
    assert small.aupro == pytest.approx(large.aupro, abs=1e-12)
    # from 1/2 at no false positives straight to 1 at all of them; at 0.3 the height is 0.65
    assert small.aupro == pytest.approx((0.5 + 0.65) / 2, abs=1e-12)


def test_a_constant_map_knows_nothing() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[:2] = True
    result = measured([(np.full((10, 10), 0.5, np.float32), mask)])
    assert result.pixel_auroc == 0.5
    assert result.pixel_ap == pytest.approx(0.2, abs=1e-12)
    assert result.pixel_f1_max == pytest.approx(2 * 0.2 / 1.2, abs=1e-12)
    assert result.aupro == pytest.approx(0.15, abs=1e-12)


def test_the_worst_prediction_is_zero() -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[:2] = True
    result = measured([((~mask).astype(np.float32), mask)])
    assert (result.pixel_auroc, result.aupro) == (0.0, 0.0)


def test_without_both_kinds_of_pixel_there_are_no_figures() -> None:
    values = np.full((4, 4), 0.5, np.float32)
    nothing = (None, None, None, None, None, False)
    assert astuple(PixelMetrics().result()) == nothing
    assert astuple(measured([(values, np.zeros((4, 4), np.bool_))])) == nothing
    assert astuple(measured([(values, np.ones((4, 4), np.bool_))])) == nothing


@pytest.mark.parametrize("batch", [1, 1000, 10**9])
def test_order_batches_and_looking_in_between_do_not_matter(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = pictures(2, 50, count=12)
    expected = measured(given)
    monkeypatch.setattr(pixels, "_BATCH", batch)
    metrics = PixelMetrics()
    for anomaly_map, true_mask in reversed(given):
        metrics.add(anomaly_map, true_mask)
        metrics.result()
    assert astuple(metrics.result()) == pytest.approx(astuple(expected), abs=1e-12)


def test_what_was_added_may_be_overwritten() -> None:
    given = pictures(3, None)
    metrics = PixelMetrics()
    for anomaly_map, true_mask in given:
        own_map, own_mask = anomaly_map.copy(), true_mask.copy()
        metrics.add(own_map, own_mask)
        own_map[:], own_mask[:] = 0, True
    assert metrics.result() == measured(given)


@pytest.mark.parametrize("batch", [1, 10**9])
def test_beyond_the_limit_figures_are_exact_for_maps_rounded_down(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_BATCH", batch)
    given = [(values**8, mask) for values, mask in pictures(4, None)]  # many values too small for 2^-24 to tell apart
    result = measured(given, distinct_limit=500)
    grid = [(coarse(values), mask) for values, mask in given]
    assert max(float((values - near).max()) for (values, _), (near, _) in zip(given, grid, strict=True)) < 2.0**-24
    assert result.rounded
    assert astuple(result)[:-1] == pytest.approx(astuple(measured(grid))[:-1], abs=1e-12)
    assert astuple(result)[:-1] == pytest.approx(astuple(measured(given))[:-1], abs=1e-4)


def test_memory_does_not_grow_with_the_number_of_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_BATCH", 1)
    metrics = PixelMetrics()
    for _ in range(30):
        for anomaly_map, true_mask in pictures(5, 100):
            metrics.add(anomaly_map, true_mask)
    held = [value for value in vars(metrics).values() if hasattr(value, "counts")]
    assert len(held) == 2
    assert all(len(each.values) <= 101 for each in held)
    waiting = sum(piece.size for part in vars(metrics).values() if isinstance(part, list) for piece in part)
    assert waiting <= 2 * 101  # rows wait until they are half as many as the distinct values


@pytest.mark.parametrize(
    ("anomaly_map", "true_mask", "said"),
    [
        (np.zeros((4, 4), np.float32), np.zeros((4, 5), np.bool_), r"\(4, 4\) and \(4, 5\)"),
        (np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 4), np.bool_), "one size"),
        (np.zeros((4, 4)), np.zeros((4, 4), np.bool_), "float64 and bool"),
        (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8), "float32 and uint8"),
        (np.full((4, 4), np.nan, np.float32), np.zeros((4, 4), np.bool_), "outside 0..1"),
        (np.full((4, 4), 1.5, np.float32), np.zeros((4, 4), np.bool_), "outside 0..1"),
        (np.full((4, 4), -0.1, np.float32), np.zeros((4, 4), np.bool_), "outside 0..1"),
    ],
)
def test_what_cannot_be_counted_is_refused(anomaly_map: np.ndarray, true_mask: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        PixelMetrics().add(anomaly_map, true_mask)


def test_pixels_that_are_not_judged_are_as_if_they_were_not_there() -> None:
    given = pictures(3, None)
    metrics, rng = PixelMetrics(), np.random.default_rng(0)
    for values, mask in given:
        judged = np.zeros(mask.shape, np.bool_)
        judged[:, 5:-4] = True
        noise = np.where(judged, values, rng.random(mask.shape, dtype=np.float32))
        metrics.add(noise, np.where(judged, mask, rng.random(mask.shape) < 0.5), judged)
    assert metrics.result() == measured([(values[:, 5:-4], mask[:, 5:-4]) for values, mask in given])
    with pytest.raises(DataError, match="What is judged"):
        metrics.add(values, mask, mask[1:])


def test_the_drawn_curve_has_the_area_of_aupro() -> None:
    metrics = pixels.PixelMetrics()
    for values, mask in pictures(6, None):
        metrics.add(values, mask)
    points = np.array(metrics.pro())
    assert (np.diff(points, axis=0) >= 0).all()
    assert points[-1, 0] == pytest.approx(pixels.FPR_LIMIT)
    area = np.trapezoid(points[:, 1], points[:, 0]) / pixels.FPR_LIMIT
    assert area == pytest.approx(metrics.result().aupro, abs=5e-3)
    assert pixels.PixelMetrics().pro() == ()
