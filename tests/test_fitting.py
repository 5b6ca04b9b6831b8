"""Other aspects: padding and what a crop leaves out have no say in scores, regions, figures or training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from diffusionad import Inspector, train
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.config import Config
from diffusionad.data import read_mask, read_picture
from diffusionad.data.fit import Fit
from diffusionad.evaluation import evaluate
from diffusionad.prediction import predict
from diffusionad.report.records import as_record
from diffusionad.structures import Image as FloatImage
from diffusionad.structures import Sample

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "training.batch=4",
)


def draw_part(rng: np.random.Generator) -> np.ndarray:
    """A grey disc on a light ground, [48, 96, 3] uint8."""
    rows, columns = np.mgrid[:48, :96]
    grey = np.where(np.hypot(rows - 24, columns - 48) < 17, 110.0, 215.0) + rng.normal(0, 4, (48, 96))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def loud(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds everything anomalous."""
    return np.ones(image.shape[1:], np.float32), image


def dark(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds what is dark: a map in 0..1 that depends on the picture alone."""
    return np.ascontiguousarray((1 - image[0]) / 2), image


def fitted(bundle: Bundle, fit: Fit) -> Bundle:
    config = bundle.config
    return replace(bundle, config=config.model_copy(update={"data": config.data.model_copy(update={"fit": fit})}))


@pytest.fixture(scope="module")
def bundle(trained: Path) -> Bundle:
    return load_bundle(trained / "bundle")


@pytest.fixture
def wide(tmp_path: Path) -> list[Sample]:
    """Three good and three defective pictures of 40 x 100 pixels with masks; a dark border on the left of each."""
    rng, samples = np.random.default_rng(0), []
    for index in range(6):
        picture = rng.integers(140, 200, (40, 100, 3), dtype=np.uint8)
        picture[:, :20] = 0
        mask = np.zeros((40, 100), np.uint8)
        mask_path = None
        if index >= 3:
            mask[10:22, 40 + index : 60 + index] = 255
            mask[5:15, 0:8] = 255
            picture[mask > 0] = 60
            mask_path = tmp_path / f"{index}_mask.png"
            Image.fromarray(mask).save(mask_path)
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
        defect = "good" if index < 3 else "spot"
        samples.append(Sample(tmp_path / f"{index}.png", "test", "part", defect, mask_path))
    return samples


def test_padding_is_never_anomalous(bundle: Bundle) -> None:
    verdict = Inspector(fitted(bundle, "pad"), loud)(np.zeros((40, 100, 3), np.uint8))
    assert verdict.anomaly_map is not None
    rows = np.flatnonzero(verdict.anomaly_map.any(axis=1))
    assert (rows[0], rows[-1]) == (9, 21)  # 100 x 40 in 32 x 32 is 32 x 13
    assert verdict.score == 1
    assert [region.box for region in verdict.regions] == [(0, 0, 100, 40)]
    assert (verdict.judged_box, verdict.judged_share) == ((0, 0, 100, 40), 1)


def test_few_judged_pixels_still_make_a_full_score(bundle: Bundle) -> None:
    many = replace(bundle, config=bundle.config.model_copy(update={"top_k": 50_000}))
    verdict = Inspector(fitted(many, "pad"), loud)(np.zeros((8, 100, 3), np.uint8))
    assert verdict.score == 1


def test_a_crop_says_what_it_judged_and_puts_regions_in_their_place(bundle: Bundle) -> None:
    verdict = Inspector(fitted(bundle, "crop"), loud)(np.zeros((40, 100, 3), np.uint8))
    assert [region.box for region in verdict.regions] == [(30, 0, 40, 40)]
    record = as_record(verdict)
    assert record["judged_box"] == [30, 0, 40, 40]
    assert record["judged_share"] == 0.4
    assert record["native_size"] == [40, 100]


def test_what_a_crop_leaves_out_has_no_say_and_what_it_sees_has(bundle: Bundle) -> None:
    inspector = Inspector(fitted(bundle, "crop"), dark)
    picture = np.full((40, 100, 3), 200, np.uint8)
    outside, inside = picture.copy(), picture.copy()
    outside[:, :30] = 0
    inside[:, 40:50] = 0
    assert inspector(outside).score == inspector(picture).score
    assert inspector(inside).score > inspector(picture).score


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_figures_are_those_of_the_judged_pixels(bundle: Bundle, wide: list[Sample], tmp_path: Path, fit: Fit) -> None:
    inspector, values, truth = Inspector(fitted(bundle, fit), dark), [], []
    for sample in wide:
        verdict, view = inspector(sample.path), inspector.view((40, 100))
        assert verdict.anomaly_map is not None
        mask = np.zeros((40, 100), np.bool_) if sample.is_good else read_mask(sample.mask_path, (40, 100))  # type: ignore[arg-type]
        x, y, width, height = view.target
        values.append(verdict.anomaly_map[y : y + height, x : x + width].ravel())
        truth.append(view.mask(mask)[y : y + height, x : x + width].ravel())
    figures = evaluate(inspector, wide, tmp_path / "out", data="part").figures
    assert figures["pixel_auroc"] == pytest.approx(roc_auc_score(np.hstack(truth), np.hstack(values)), abs=1e-9)
    ap = average_precision_score(np.hstack(truth), np.hstack(values))
    assert figures["pixel_ap"] == pytest.approx(ap, abs=1e-9)


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_figures_at_native_size_are_those_of_the_grown_maps(
    bundle: Bundle, wide: list[Sample], tmp_path: Path, fit: Fit
) -> None:
    inspector, values, truth = Inspector(fitted(bundle, fit), dark), [], []
    for sample in wide:
        verdict, view = inspector(sample.path), inspector.view((40, 100))
        assert verdict.anomaly_map is not None
        mask = np.zeros((40, 100), np.bool_) if sample.is_good else read_mask(sample.mask_path, (40, 100))  # type: ignore[arg-type]
        (left, top, across, down), (x, y, width, height) = view.target, view.source
        part = Image.fromarray(verdict.anomaly_map[top : top + down, left : left + across])
        values.append(np.asarray(part.resize((width, height), Image.Resampling.BILINEAR)).ravel())
        truth.append(mask[y : y + height, x : x + width].ravel())
    figures = evaluate(inspector, wide, tmp_path / "out", data="part", metrics_at="native").figures
    assert figures["pixel_auroc"] == pytest.approx(roc_auc_score(np.hstack(truth), np.hstack(values)), abs=1e-9)
    ap = average_precision_score(np.hstack(truth), np.hstack(values))
    assert figures["pixel_ap"] == pytest.approx(ap, abs=1e-9)


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_overlays_show_the_whole_picture_and_heat_only_where_it_was_judged(
    bundle: Bundle, wide: list[Sample], tmp_path: Path, fit: Fit
) -> None:
    predict(Inspector(fitted(bundle, fit), loud), [wide[0].path], tmp_path / "out")
    drawn = np.asarray(Image.open(next((tmp_path / "out" / "overlays").iterdir())))
    picture = read_picture(wide[0].path)
    assert drawn.shape == picture.shape
    changed = (drawn != picture).any(axis=2)
    assert changed[:, 36:64].mean() > 0.95
    assert changed[:, :20].any() == (fit == "pad")


def test_training_and_judging_see_padded_pictures_alike(tmp_path: Path) -> None:
    rng, folder = np.random.default_rng(1), tmp_path / "good"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(draw_part(rng)).save(folder / f"{index:02d}.png")
    run = train(folder, tmp_path / "run", preset="tiny", images=8, settings=(*SMALL, "data.fit=pad"))
    inspector, calibration = Inspector.load(run.bundle.folder), run.bundle.calibration
    assert inspector.bundle.config.data.fit == "pad"
    assert calibration is not None
    scores = {inspector(path).score for path in folder.iterdir()}
    assert set(calibration.scores) <= scores
    verdict = inspector(folder / "00.png")
    assert verdict.anomaly_map is not None
    assert not verdict.anomaly_map[:8].any()
    assert verdict.anomaly_map[8:24].all()
    assert not verdict.anomaly_map[24:].any()


def test_an_unknown_fit_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'stretch', 'pad', 'crop' or 'tile'"):
        Config.model_validate({"data": {"fit": "squeeze"}})
