"""One inference path: all runtimes agree, the same picture keeps its score, broken pictures are never good."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad import Inspector
from diffusionad.bundle import load_bundle
from diffusionad.data import read_picture
from diffusionad.errors import UsageError
from diffusionad.inspector import Runtime
from diffusionad.structures import FloatMap
from diffusionad.structures import Image as FloatImage


@pytest.fixture(scope="module", params=["onnx", pytest.param("openvino", marks=pytest.mark.openvino), "torch"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    chosen: Runtime = request.param
    return chosen


@pytest.fixture(scope="module")
def inspector(trained: Path, runtime: Runtime) -> Inspector:
    return Inspector.load(trained / "bundle", runtime)


@pytest.fixture(scope="module")
def pictures(data: Path) -> list[Path]:
    return sorted((data / "test").rglob("*.png"))


def test_every_runtime_agrees_on_every_map_and_verdict(
    trained: Path, inspector: Inspector, pictures: list[Path]
) -> None:
    usual = Inspector.load(trained / "bundle")
    for path in pictures:
        one, other = inspector(path), usual(path)
        assert one.anomaly_map is not None
        assert other.anomaly_map is not None
        assert np.abs(one.anomaly_map - other.anomaly_map).max() < 1e-4
        assert one.verdict == other.verdict
    assert len(pictures) == 12


def test_a_picture_keeps_its_score_in_any_order_and_in_a_new_inspector(
    trained: Path, runtime: Runtime, inspector: Inspector, pictures: list[Path]
) -> None:
    forward = [inspector(path).score for path in pictures]
    backward = [verdict.score for verdict in Inspector.load(trained / "bundle", runtime).stream(reversed(pictures))]
    assert forward == backward[::-1]
    assert len(set(forward)) == len(forward)


def test_a_file_and_its_array_get_the_same_verdict(inspector: Inspector, pictures: list[Path]) -> None:
    by_path, by_array = inspector(pictures[0]), inspector(read_picture(pictures[0]))
    assert by_path.score == by_array.score
    assert by_path.regions == by_array.regions


def test_sixteen_bits_of_the_same_picture_score_the_same(inspector: Inspector, pictures: list[Path]) -> None:
    shallow = read_picture(pictures[0])
    deep = shallow.astype(np.uint16) * 257
    assert inspector(deep).score == pytest.approx(inspector(shallow).score, abs=2e-3)


def test_grey_arrays_are_taken_for_their_repetition(inspector: Inspector, pictures: list[Path]) -> None:
    colour = read_picture(pictures[0])
    assert inspector(colour[:, :, 0]).score == inspector(colour).score


@pytest.mark.parametrize(
    "array", [np.zeros((40, 40, 3), np.float32), np.zeros((40, 40, 4), np.uint8), np.zeros((4, 40, 3), np.uint8)]
)
def test_arrays_that_are_no_pictures_are_errors_never_good(inspector: Inspector, array: np.ndarray) -> None:
    verdict = inspector(array)
    assert verdict.verdict == "error"
    assert verdict.error_code == "picture.unsupported"
    assert np.isnan(verdict.score)


def test_a_broken_file_is_an_error_never_good(inspector: Inspector, pictures: list[Path], tmp_path: Path) -> None:
    whole = pictures[0].read_bytes()
    for name, content in (("zero.png", b""), ("cut.png", whole[: len(whole) // 2]), ("text.png", b"hello")):
        (tmp_path / name).write_bytes(content)
        verdict = inspector(tmp_path / name)
        assert verdict.verdict == "error"
        assert name in (verdict.error or "")
    assert inspector(tmp_path / "missing.png").error_code == "picture.missing"


def test_networks_that_answer_nan_judge_nothing(inspector: Inspector, pictures: list[Path]) -> None:
    def silent(image: FloatImage) -> tuple[np.ndarray, FloatImage]:
        return np.full(image.shape[1:], np.nan, np.float32), image

    verdict = Inspector(inspector.bundle, silent)(pictures[0])
    assert (verdict.verdict, verdict.error_code) == ("error", "picture.nonfinite")


def test_the_verdict_follows_the_threshold_and_outlines_what_it_found(
    inspector: Inspector, pictures: list[Path]
) -> None:
    for path in pictures:
        verdict = inspector(path)
        assert verdict.threshold is not None
        assert (verdict.verdict == "anomalous") == (verdict.score > verdict.threshold)
        assert bool(verdict.regions) == (verdict.verdict == "anomalous")
        for region in verdict.regions:
            x, y, width, height = region.box
            assert 0 <= x < x + width <= 48
            assert 0 <= y < y + height <= 48
            assert region.peak > verdict.threshold


def test_without_a_threshold_there_is_a_score_and_no_verdict(trained: Path, pictures: list[Path]) -> None:
    bundle = replace(load_bundle(trained / "bundle"), calibration=None)
    verdict = Inspector(bundle, Inspector.load(trained / "bundle")._backend)(pictures[0])
    assert (verdict.verdict, verdict.p_value, verdict.regions) == ("review", None, ())
    assert 0 <= verdict.score <= 1


def test_a_picture_of_another_size_is_judged_at_its_native_size(inspector: Inspector, pictures: list[Path]) -> None:
    large = np.asarray(Image.open(pictures[-1]).resize((160, 96)))
    verdict = inspector(large)
    assert verdict.native_size == (96, 160)
    assert verdict.anomaly_map is not None
    assert verdict.anomaly_map.shape == (32, 32)


def test_an_unknown_runtime_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="onnx, openvino, torch"):
        Inspector.load(trained / "bundle", runtime="cuda")  # type: ignore[arg-type]


@pytest.mark.openvino
def test_pictures_judged_abreast_come_in_order_with_the_scores_they_have_alone(
    trained: Path, pictures: list[Path]
) -> None:
    alone = Inspector.load(trained / "bundle", "openvino")
    together = list(Inspector.load(trained / "bundle", "openvino", abreast=3).stream(pictures))
    assert [verdict.path for verdict in together] == [str(path) for path in pictures]
    assert [verdict.score for verdict in together] == [alone(path).score for path in pictures]


class Meeting:
    """A backend; it counts how many calls are answered at the same time, and each waits a while for `meet` of them."""

    def __init__(self, meet: int) -> None:
        self._meet, self._here, self._met = meet, 0, threading.Condition()
        self.most = 0

    def __call__(self, image: FloatImage) -> tuple[FloatMap, FloatImage]:
        with self._met:
            self._here += 1
            self.most = max(self.most, self._here)
            self._met.notify_all()
            self._met.wait_for(lambda: self.most >= self._meet, 0.2)
            self._here -= 1
        return np.zeros(image.shape[1:], np.float32), image


@pytest.mark.parametrize("abreast", [1, 2, 3])
def test_a_stream_asks_as_many_times_at_once_as_the_backend_takes(
    trained: Path, pictures: list[Path], abreast: int
) -> None:
    backend = Meeting(abreast + 1)  # one more than may come
    list(Inspector(load_bundle(trained / "bundle"), backend, abreast=abreast).stream(pictures[:6]))
    assert backend.most == abreast


def test_fewer_than_one_at_the_same_time_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="not 0"):
        Inspector.load(trained / "bundle", abreast=0)
