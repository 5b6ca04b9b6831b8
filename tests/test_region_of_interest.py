"""A region of interest from the file to the report: outside of it nothing is planted, judged, counted or found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from diffusionad import Inspector, train
from diffusionad.assembly import build_pairs
from diffusionad.bundle import Bundle, load_bundle, recalibrate
from diffusionad.cli.app import main
from diffusionad.config import resolve
from diffusionad.data import read_mask
from diffusionad.errors import BundleError, TooFewPicturesError
from diffusionad.evaluation import MetricsAt, evaluate
from diffusionad.files import file_hash
from diffusionad.prediction import predict
from diffusionad.structures import Image as FloatImage
from diffusionad.structures import Sample
from diffusionad.training.data import read_good_pictures

SMALL = (
    "data.size=[32, 32]",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "training.batch=4",
)
RNG = np.random.default_rng(0)
RIGHT_HALF = {"units": "fractions", "polygons": [[[0.5, 0], [1, 0], [1, 1], [0.5, 1]]]}


def loud(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds everything anomalous."""
    return np.ones(image.shape[1:], np.float32), image


def dark(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds what is dark."""
    return np.ascontiguousarray((1 - image[0]) / 2), image


def quiet(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds nothing."""
    return np.zeros(image.shape[1:], np.float32), image


@pytest.fixture(scope="module")
def roi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("roi") / "half.json"
    path.write_text(json.dumps(RIGHT_HALF))
    return path


@pytest.fixture(scope="module")
def bundle(data: Path, roi: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train(data, tmp_path_factory.mktemp("run"), preset="tiny", images=8, settings=SMALL, roi=roi).bundle


def test_the_bundle_keeps_it_at_native_size_and_through_calibration(bundle: Bundle, tmp_path: Path) -> None:
    expected = np.zeros((48, 48), np.bool_)
    expected[:, 24:] = True
    assert bundle.roi is not None
    np.testing.assert_array_equal(bundle.roi, expected)
    assert bundle.calibration is not None
    again = recalibrate(bundle, bundle.calibration)
    assert again.roi is not None
    np.testing.assert_array_equal(again.roi, expected)
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    assert manifest["roi.png"] == file_hash(bundle.folder / "roi.png")


def test_the_bundle_never_loses_it_silently(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle.folder, copy)
    (copy / "roi.png").unlink()
    with pytest.raises(BundleError, match=r"roi\.png is missing"):
        load_bundle(copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["roi.png"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="contradict"):
        load_bundle(copy)


def test_defects_are_planted_inside_alone(data: Path, roi: Path, tmp_path: Path) -> None:
    config = resolve("tiny", settings=SMALL, overrides={"data.roi": str(roi)})
    good = read_good_pictures(data, config, "auto", None, spill=tmp_path).training
    pairs = build_pairs(config, good.pictures, good.foregrounds, [], "pair", good.judged)
    masks = pairs.batch(0, 60).true_mask[:, 0]
    assert masks.any(axis=(1, 2)).sum() == 30
    assert not masks[:, :, : masks.shape[2] // 2].any()


def test_the_map_is_silent_outside_and_regions_end_at_the_line(bundle: Bundle) -> None:
    verdict = Inspector(bundle, loud)(np.zeros((48, 48, 3), np.uint8))
    assert verdict.anomaly_map is not None
    assert not verdict.anomaly_map[:, :16].any()
    assert verdict.anomaly_map[:, 16:].all()
    assert verdict.score == 1
    assert [region.box for region in verdict.regions] == [(24, 0, 24, 48)]
    assert (verdict.judged_box, verdict.judged_share) == ((24, 0, 24, 48), 0.5)


def test_what_lies_outside_has_no_say_in_the_score_and_what_lies_inside_has(bundle: Bundle) -> None:
    inspector = Inspector(bundle, dark)
    picture = np.full((48, 48, 3), 200, np.uint8)
    outside, inside = picture.copy(), picture.copy()
    outside[:, :20] = 0
    inside[:, 30:] = 0
    assert inspector(outside).score == inspector(picture).score
    assert inspector(inside).score > inspector(picture).score


def test_the_score_is_the_mean_of_the_regions_share_of_the_pixels(bundle: Bundle) -> None:
    """All pixels of the picture count into the score: of half of the picture, half as many."""
    many = replace(bundle, config=bundle.config.model_copy(update={"top_k": 65536}))
    picture = np.full((48, 48, 3), 255, np.uint8)
    picture[:, 36:] = 0
    verdict = Inspector(many, dark)(picture)
    assert verdict.anomaly_map is not None
    assert verdict.score == pytest.approx(float(verdict.anomaly_map[:, 16:].mean()), abs=1e-6)


def test_another_aspect_is_an_error_and_never_good(bundle: Bundle) -> None:
    verdict = Inspector(bundle, dark)(np.full((48, 64, 3), 255, np.uint8))
    assert (verdict.verdict, verdict.error_code) == ("error", "picture.roi")


@pytest.mark.parametrize("at", ["working", "native"])
def test_figures_count_the_inside_alone(bundle: Bundle, data: Path, tmp_path: Path, at: MetricsAt) -> None:
    inspector, samples = Inspector(bundle, dark), []
    for index in range(6):
        path = data / "test" / "bar" / f"{index:03d}.png"
        mask = data / "ground_truth" / "bar" / f"{index:03d}_mask.png"
        samples.append(Sample(path, "test", "part", "bar", mask))
        samples.append(Sample(data / "test" / "good" / f"{index:03d}.png", "test", "part", "good", None))
    values, truth = [], []
    for sample in samples:
        verdict, view = inspector(sample.path), inspector.view((48, 48))
        assert verdict.anomaly_map is not None
        mask = np.zeros((48, 48), np.bool_) if sample.mask_path is None else read_mask(sample.mask_path, (48, 48))
        if at == "working":
            values.append(verdict.anomaly_map[:, 16:].ravel())
            truth.append(view.mask(mask)[:, 16:].ravel())
        else:
            grown = Image.fromarray(verdict.anomaly_map).resize((48, 48), Image.Resampling.BILINEAR)
            values.append(np.asarray(grown)[:, 24:].ravel())
            truth.append(mask[:, 24:].ravel())
    result = evaluate(inspector, samples, tmp_path, data="part", metrics_at=at)
    assert result.metrics_at == at == json.loads((tmp_path / "metrics.json").read_text())["metrics_at"]
    expected = roc_auc_score(np.hstack(truth), np.hstack(values))
    assert result.figures["pixel_auroc"] == pytest.approx(expected, abs=1e-9)


def test_overlays_outline_it(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    path, drawn = data / "test" / "good" / "000.png", {}
    for name, network in (("loud", loud), ("quiet", quiet)):
        predict(Inspector(bundle, network), [path], tmp_path / name)
        drawn[name] = np.asarray(Image.open(next((tmp_path / name / "overlays").iterdir()))).astype(int)
    changed = (drawn["loud"] != np.asarray(Image.open(path))).any(axis=2)
    assert not changed[:, :20].any()
    assert changed[:, 24:].mean() > 0.95
    green = (drawn["quiet"] == [60, 220, 110]).all(axis=2)
    assert green[:, 24].all()
    assert set(np.flatnonzero(green.any(axis=0))) <= set(range(24, 48))


def test_a_crop_that_sees_nothing_of_it_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(np.full((48, 120), 100 + index, np.uint8)).save(folder / f"{index:02d}.png")
    path = tmp_path / "left.json"
    path.write_text(json.dumps({"units": "pixels", "polygons": [[[0, 0], [20, 0], [20, 48], [0, 48]]]}))
    with pytest.raises(TooFewPicturesError, match="Nothing of the region of interest is seen"):
        train(folder, tmp_path / "run", preset="tiny", images=8, settings=(*SMALL, "data.fit=crop"), roi=path)


def tiled(bundle: Bundle) -> Bundle:
    data = bundle.config.data.model_copy(update={"fit": "tile"})
    return replace(bundle, config=bundle.config.model_copy(update={"data": data}))


@pytest.mark.parametrize("at", ["working", "native"])
def test_tiles_honour_it_in_map_score_regions_and_figures(bundle: Bundle, tmp_path: Path, at: MetricsAt) -> None:
    """Of a picture four times as large as it was drawn on: many tiles, some inside, some outside, some across."""
    inspector, folder = Inspector(tiled(bundle), dark), tmp_path / "sheet"
    folder.mkdir()
    picture, mask = RNG.integers(180, 220, (96, 96, 3), dtype=np.uint8), np.zeros((96, 96), np.bool_)
    picture[10:30, 5:40] = 0  # outside
    Image.fromarray(picture).save(folder / "good.png")
    quiet_score = inspector(folder / "good.png").score
    assert quiet_score == inspector(np.where(np.arange(96)[None, :, None] < 48, np.uint8(255), picture)).score
    picture[40:60, 30:70], mask[40:60, 30:70] = 0, True  # across the line
    Image.fromarray(picture).save(folder / "bad.png")
    Image.fromarray(mask).save(folder / "mask.png")
    verdict = inspector(folder / "bad.png", full_map=True)
    assert verdict.anomaly_map is not None
    assert not verdict.anomaly_map[:, :48].any()
    assert verdict.anomaly_map[:, 48:].all()
    assert verdict.score > quiet_score
    assert (verdict.judged_box, verdict.judged_share) == ((48, 0, 48, 96), 0.5)
    assert verdict.regions
    assert all(region.box[0] >= 48 for region in verdict.regions)
    samples = [
        Sample(folder / "good.png", "test", "part", "good", None),
        Sample(folder / "bad.png", "test", "part", "bar", folder / "mask.png"),
    ]
    result = evaluate(inspector, samples, tmp_path / "out", data="sheet", metrics_at=at)
    good = inspector(folder / "good.png", full_map=True).anomaly_map
    assert good is not None
    values = np.hstack([values[:, 48:].ravel() for values in (good, verdict.anomaly_map)])
    truth = np.hstack([np.zeros(96 * 48, np.bool_), mask[:, 48:].ravel()])
    assert result.figures["pixel_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=1e-9)


def test_tiles_are_trained_on_inside_a_region_that_few_of_them_show(tmp_path: Path) -> None:
    folder, path = tmp_path / "good", tmp_path / "dot.json"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(RNG.integers(100, 120, (240, 320), dtype=np.uint8)).save(folder / f"{index:02d}.png")
    path.write_text(json.dumps({"units": "pixels", "polygons": [[[300, 4], [308, 4], [308, 12], [300, 12]]]}))
    overrides = {"data.roi": str(path), "data.fit": "tile"}
    config = resolve("tiny", settings=SMALL, overrides=overrides)
    good = read_good_pictures(folder, config, "auto", None, spill=tmp_path).training
    batch = build_pairs(config, good.pictures, good.foregrounds, [], "pair", good.judged).batch(0, 24)
    for judged, planted in zip(batch.judged, batch.true_mask[:, 0], strict=True):
        assert judged is not None
        assert judged.any(), "every sample shows some of the region"
        assert not (planted & ~judged).any()
    assert batch.true_mask.any(axis=(1, 2, 3)).sum() == 12


def test_the_command_takes_it_and_refuses_a_bad_one(
    data: Path, roi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", str(data), "--out", str(tmp_path / "run"), "--preset", "tiny", "--dry-run", "--json"]
    asked += [word for setting in SMALL for word in ("--set", setting)]
    assert left_with([*asked, "--roi", str(roi)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["judged share"], shown["config"]["data"]["roi"]) == (0.5, str(roi))
    (tmp_path / "bad.json").write_text("{}")
    assert left_with([*asked, "--roi", str(tmp_path / "bad.json")]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "data.roi"


def left_with(words: list[str]) -> object:
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code or 0
