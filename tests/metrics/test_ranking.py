from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from diffusionad.errors import DataError
from diffusionad.metrics import auroc, average_precision, f1_max

pairs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]) | st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=60
)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_equals_scikit_learn_ties_included(rows: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assume(labels.any() and not labels.all())
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1, threshold = f1_max(scores, labels)
    assert f1 == pytest.approx((2 * precision * recall / np.maximum(precision + recall, 1e-300)).max(), abs=1e-12)
    assert f1_score(labels, scores >= threshold) == pytest.approx(f1, abs=1e-12)


def test_equals_scikit_learn_on_many_pictures() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(20_000) < 0.03
    scores = np.round(rng.normal(labels.astype(float)), 2)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_worked_by_hand() -> None:
    scores, labels = [0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]
    assert auroc(scores, labels) == 3.5 / 4
    assert average_precision(scores, labels) == 0.5 * 1 + 0.5 * 2 / 3
    assert f1_max(scores, labels) == (0.8, 0.5)
    assert f1_max([0.9, 0.5, 0.5, 0.5], [1, 0, 1, 0]) == (2 / 3, 0.9), "the highest of equal thresholds"


def test_order_of_pictures_and_scale_of_scores_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.random(300) < 0.3, np.round(rng.random(300), 1)
    shuffled = rng.permutation(300)
    for measure in (auroc, average_precision):
        assert measure(scores, labels) == measure(scores[shuffled], labels[shuffled]) == measure(scores * 4, labels)
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels), abs=1e-12)


@pytest.mark.parametrize("measure", [auroc, average_precision, f1_max])
@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([0.1, 0.2], [1, 1], "No good picture among 2"),
        ([0.1, 0.2], [0, 0], "No defective picture among 2"),
        ([], [], "No defective picture among 0"),
        ([0.1, float("nan")], [0, 1], "1 of 2 scores are not finite"),
        ([0.1, float("inf")], [0, 1], "1 of 2 scores are not finite"),
        ([0.1, 0.2], [0, 1, 1], "shapes"),
        ([[0.1, 0.2]], [[0, 1]], "shapes"),
        ([0.1, 0.2], [0, 2], "Labels are 0"),
    ],
)
def test_what_cannot_be_measured_is_named(measure, scores, labels, said: str) -> None:
    with pytest.raises(DataError, match=said):
        measure(scores, labels)
