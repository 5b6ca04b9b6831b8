"""Large pictures: no seam, no tile forgotten, the same score, regions and figures as of a map that exists whole."""

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
from diffusionad.data import find_samples, read_mask, resize, resize_mask
from diffusionad.evaluation import evaluate
from diffusionad.prediction import predict
from diffusionad.report.records import as_record
from diffusionad.scoring import find_regions, image_score
from diffusionad.structures import Image as FloatImage
from diffusionad.sweeping import MAP_SIDE
from diffusionad.tensors import to_image

RNG = np.random.default_rng(0)
SMALL = (
    "data.size=[32, 32]",
    "data.fit=tile",
    "denoiser.width=8",
    "denoiser.multipliers=[1, 2]",
    "denoiser.patch=2",
    "segmenter.widths=[8, 8]",
    "training.batch=4",
)


def dark(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
    """A network that finds what is dark, pixel by pixel: its map depends on the picture alone, not on the tile."""
    return np.ascontiguousarray((1 - image[0]) / 2), image


def tiled(bundle: Bundle, threshold: float = 0.5, **settings: object) -> Bundle:
    config, calibration = bundle.config, bundle.calibration
    assert calibration is not None
    data = config.data.model_copy(update={"fit": "tile", **settings})
    return replace(
        bundle,
        config=config.model_copy(update={"data": data}),
        calibration=replace(calibration, threshold=threshold),
    )


@pytest.fixture(scope="module")
def bundle(trained: Path) -> Bundle:
    return load_bundle(trained / "bundle")


def sheet(rng: np.random.Generator, height: int = 90, width: int = 130) -> np.ndarray:
    """A light weave, [H, W, 3] uint8."""
    rows, columns = np.mgrid[:height, :width]
    grey = 190 + 20 * np.sin(rows / 2) + 20 * np.sin(columns / 3) + rng.normal(0, 4, (height, width))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("native", "tile"), [((90, 130), None), ((90, 130), (40, 64)), ((20, 130), None), ((9, 11), None)]
)
def test_a_network_that_looks_at_pixels_gives_the_map_of_the_whole_picture(
    bundle: Bundle, native: tuple[int, int], tile: tuple[int, int] | None
) -> None:
    picture = RNG.integers(0, 256, (*native, 3), dtype=np.uint8)
    inspector = Inspector(tiled(bundle, 0.3, tile=tile), dark)
    verdict, view = inspector(picture), inspector.view(native)
    expected = dark(to_image(resize(picture, view.working)))[0]
    assert verdict.anomaly_map is not None
    assert verdict.reconstruction is not None
    np.testing.assert_allclose(verdict.anomaly_map, expected, atol=1e-6)
    np.testing.assert_array_equal(verdict.reconstruction, resize(picture, view.working))
    assert verdict.score == image_score(verdict.anomaly_map, 1)  # 50 at 256 x 256 is 1 at 32 x 32
    found = tuple(replace(region, p_value=None) for region in verdict.regions)
    assert found == find_regions(verdict.anomaly_map, 0.3, native)
    assert (verdict.judged_box, verdict.judged_share) == ((0, 0, native[1], native[0]), 1)


def test_the_map_of_a_huge_picture_is_reduced_and_nothing_small_is_lost(bundle: Bundle) -> None:
    picture = np.full((40, 3000, 3), 255, np.uint8)
    picture[21, 2345] = 0
    inspector = Inspector(tiled(bundle), dark)
    verdict, whole = inspector(picture), inspector(picture, full_map=True)
    assert verdict.anomaly_map is not None
    assert whole.anomaly_map is not None
    assert whole.anomaly_map.shape == (40, 3000)
    assert verdict.anomaly_map.shape == (14, 1000)
    assert max(verdict.anomaly_map.shape) <= MAP_SIDE
    assert np.argwhere(verdict.anomaly_map == 1).tolist() == [[7, 781]]
    assert verdict.score == whole.score == 1
    assert [region.box for region in verdict.regions] == [(2345, 21, 1, 1)]
    assert verdict.reconstruction is not None
    assert verdict.reconstruction.shape == (14, 1000, 3)
    assert verdict.reconstruction[7, 781].tolist() == [227, 227, 227]  # one black pixel among nine


def test_a_defect_across_tiles_is_one_region(bundle: Bundle) -> None:
    picture = np.full((120, 150, 3), 255, np.uint8)
    picture[10:110, 40:44] = 0
    assert [region.box for region in Inspector(tiled(bundle), dark)(picture).regions] == [(40, 10, 4, 100)]


def test_regions_beyond_the_bound_are_told(bundle: Bundle) -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[::2, ::2] = 0
    verdict = Inspector(tiled(bundle), dark)(picture)
    assert (len(verdict.regions), verdict.regions_left_out) == (1000, 1500)
    assert as_record(verdict)["regions_left_out"] == 1500


def test_one_network_answer_that_is_not_finite_judges_nothing(bundle: Bundle) -> None:
    def fails_once(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
        return np.where(image[0] < -0.9, np.float32(np.nan), np.float32(0)), image

    picture = np.full((100, 100, 3), 255, np.uint8)
    assert Inspector(tiled(bundle), fails_once)(picture).verdict == "good"
    picture[99, 99] = 0
    assert Inspector(tiled(bundle), fails_once)(picture).error_code == "picture.nonfinite"


@pytest.mark.parametrize("tile", [None, (48, 48)])
def test_figures_are_those_of_the_whole_maps(
    bundle: Bundle, tmp_path: Path, tile: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionad.sweeping.MAP_SIDE", 50)  # what is drawn is reduced, figures must not be
    monkeypatch.setattr("diffusionad.metrics.pixels._BATCH", 1000)
    root = write_sheets(tmp_path / "sheets", train=0, test=3)
    inspector, pixels, truth = Inspector(tiled(bundle, tile=tile), dark), [], []
    samples = [sample for sample in find_samples(root) if sample.split == "test"]
    for sample in samples:
        values = inspector(sample.path, full_map=True).anomaly_map
        assert values is not None
        mask = np.zeros((90, 130), np.bool_) if sample.mask_path is None else read_mask(sample.mask_path, (90, 130))
        pixels.append(values.ravel())
        truth.append(resize_mask(mask, inspector.view((90, 130)).working).ravel())
    figures = evaluate(inspector, samples, tmp_path / "out", data="sheets").figures
    assert figures["pixel_auroc"] == pytest.approx(roc_auc_score(np.hstack(truth), np.hstack(pixels)), abs=1e-9)
    ap = average_precision_score(np.hstack(truth), np.hstack(pixels))
    assert figures["pixel_ap"] == pytest.approx(ap, abs=1e-9)
    overlays = list((tmp_path / "out" / "overlays").rglob("*.png"))
    assert len(overlays) == 6
    with Image.open(overlays[0]) as drawn:
        assert drawn.size == (130, 90)


def write_sheets(root: Path, *, train: int, test: int) -> Path:
    rng, masks = np.random.default_rng(1), root / "ground_truth" / "spot"
    for folder in (root / "train" / "good", root / "test" / "good", root / "test" / "spot", masks):
        folder.mkdir(parents=True)
    for index in range(max(1, train)):
        Image.fromarray(sheet(rng)).save(root / "train" / "good" / f"{index:03d}.png")
    for index in range(test):
        Image.fromarray(sheet(rng)).save(root / "test" / "good" / f"{index:03d}.png")
        mask, bad = np.zeros((90, 130), np.uint8), sheet(rng)
        mask[20 + index : 32, 70:82] = 255
        bad[mask > 0] = 30
        Image.fromarray(bad).save(root / "test" / "spot" / f"{index:03d}.png")
        Image.fromarray(mask).save(masks / f"{index:03d}_mask.png")
    return root


def test_training_calibration_and_judging_see_the_same_tiles(tmp_path: Path) -> None:
    root = write_sheets(tmp_path / "sheets", train=12, test=1)
    run = train(root, tmp_path / "run", preset="tiny", images=16, settings=SMALL)
    inspector, calibration = Inspector.load(run.bundle.folder), run.bundle.calibration
    assert calibration is not None
    good = sorted((root / "train" / "good").iterdir())
    assert set(calibration.scores) <= {inspector(path).score for path in good}
    by_torch = Inspector.load(run.bundle.folder, runtime="torch")
    one, other = inspector(good[0]), by_torch(good[0])
    assert one.anomaly_map is not None
    assert other.anomaly_map is not None
    assert one.anomaly_map.shape == (90, 130)
    assert np.abs(one.anomaly_map - other.anomaly_map).max() < 1e-4
    counts = predict(inspector, iter(good[:2]), tmp_path / "verdicts")
    assert counts.error == 0
    again = train(root, tmp_path / "again", preset="tiny", images=16, settings=SMALL, cache=tmp_path / "cache")
    assert again.bundle.calibration == calibration, "the seed decides the tiles, and the cache changes nothing"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"data": {"tile": (512, 512)}}, "give fit=tile"),
        ({"data": {"fit": "tile", "tile": (64, 512)}}, "nothing is enlarged"),
        ({"data": {"fit": "tile", "overlap": 0.7}}, "less than or equal to 0.5"),
        ({"data": {"fit": "tile"}, "normality": {"places": "local"}}, "leave it at auto"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config.model_validate(settings)


def test_one_habit_for_all_places_where_places_mean_nothing() -> None:
    assert Config.model_validate({"data": {"fit": "tile"}}).pooled
    assert Config.model_validate({"normality": {"places": "pooled"}}).pooled
    assert not Config().pooled


@pytest.mark.openvino
@pytest.mark.parametrize(("fit", "expected"), [("tile", 1), ("stretch", 3)])
def test_tiled_pictures_are_judged_one_after_the_other(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fit: str, expected: int
) -> None:
    monkeypatch.setattr("diffusionad.inspector.load_bundle", lambda folder: tiled(bundle, fit=fit))
    assert Inspector.load("bundle", "openvino", abreast=3)._abreast == expected
