"""Evaluation streams, agrees with independent references, and predict keeps memory flat."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from diffusionad import Inspector
from diffusionad.data import find_samples, read_mask, resize_mask
from diffusionad.evaluation import Evaluation, evaluate
from diffusionad.prediction import predict


@pytest.fixture(scope="module")
def evaluated(data: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    out = tmp_path_factory.mktemp("evaluated")
    return out, evaluate(Inspector.load(trained / "bundle"), find_samples(data), out, data="part")


def test_figures_equal_scikit_learn_on_the_same_maps(
    data: Path, trained: Path, evaluated: tuple[Path, Evaluation]
) -> None:
    inspector, scores, labels, pixels, truth = Inspector.load(trained / "bundle"), [], [], [], []
    for sample in find_samples(data):
        if sample.split != "test":
            continue
        verdict = inspector(sample.path)
        assert verdict.anomaly_map is not None
        scores.append(verdict.score)
        labels.append(not sample.is_good)
        mask = np.zeros((48, 48), np.bool_) if sample.mask_path is None else read_mask(sample.mask_path, (48, 48))
        pixels.append(verdict.anomaly_map.ravel())
        truth.append(resize_mask(mask, (32, 32)).ravel())
    figures = evaluated[1].figures
    assert figures["image_auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert figures["pixel_auroc"] == pytest.approx(
        roc_auc_score(np.concatenate(truth), np.concatenate(pixels)), abs=1e-9
    )
    ap = average_precision_score(np.concatenate(truth), np.concatenate(pixels))
    assert figures["pixel_ap"] == pytest.approx(ap, abs=1e-9)


def test_counts_follow_from_the_csv(evaluated: tuple[Path, Evaluation]) -> None:
    out, result = evaluated
    with (out / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    good = [row for row in rows if row["defect"] == "good"]
    bad = [row for row in rows if row["defect"] != "good"]
    assert result.overkill == (sum(row["verdict"] == "anomalous" for row in good), len(good)) == (result.overkill[0], 6)
    assert result.escapes == (sum(row["verdict"] == "good" for row in bad), len(bad))
    assert all((float(row["score"]) > float(row["threshold"])) == (row["verdict"] == "anomalous") for row in rows)
    assert json.loads((out / "metrics.json").read_text())["figures"] == result.figures


def test_a_picture_that_cannot_be_judged_counts_neither_way(
    data: Path, trained: Path, tmp_path: Path, evaluated: tuple[Path, Evaluation]
) -> None:
    import shutil

    changed = shutil.copytree(data, tmp_path / "part")
    (changed / "test" / "good" / "zero.png").touch()
    result = evaluate(Inspector.load(trained / "bundle"), find_samples(changed), tmp_path / "out", data="part")
    assert [Path(path).name for path, _ in result.unjudged] == ["zero.png"]
    assert result.figures == evaluated[1].figures
    assert result.overkill == evaluated[1].overkill


def test_a_verdict_never_waits_for_the_next_picture(data: Path, trained: Path, tmp_path: Path) -> None:
    path, known = next((data / "test" / "good").iterdir()), threading.Event()

    def camera() -> Iterator[Path]:
        yield path
        assert known.wait(60), "the verdict of the first picture waits for the second"
        assert len((tmp_path / "verdicts.jsonl").read_text().splitlines()) == 1
        yield path

    counts = predict(Inspector.load(trained / "bundle"), camera(), tmp_path, seen=lambda verdict: known.set())
    assert counts.total == 2


def test_predict_takes_pictures_as_it_needs_them(data: Path, trained: Path, tmp_path: Path) -> None:
    path = next((data / "test" / "good").iterdir())
    taken, seen = [], []

    def endless() -> Iterator[Path]:
        for number in range(300):
            taken.append(number)
            assert len(taken) - len(seen) <= 6, "pictures are taken long before they are judged"
            yield path

    counts = predict(
        Inspector.load(trained / "bundle"), endless(), tmp_path, overlays=False, seen=lambda verdict: seen.append(1)
    )
    assert counts.total == 300
    assert len((tmp_path / "verdicts.jsonl").read_text().splitlines()) == 300


def test_overlays_mark_only_what_was_found(data: Path, trained: Path, tmp_path: Path) -> None:
    paths = sorted((data / "test").rglob("*.png"))
    predict(Inspector.load(trained / "bundle"), iter(paths), tmp_path)
    drawn = sorted((tmp_path / "overlays").iterdir())
    assert len(drawn) == len(paths)
    verdicts = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    for verdict, path in zip(verdicts, drawn, strict=True):
        with Image.open(path) as overlay, Image.open(verdict["path"]) as picture:
            assert overlay.size == picture.size
