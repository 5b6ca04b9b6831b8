"""Measurements against other people's code, and laws: order, threads, broken files, small records."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d

from diffusionad.data import day_in, find_samples
from diffusionad.doctor import examine
from diffusionad.doctor.looking import Look, Unread, look_at, look_at_all
from diffusionad.doctor.looks import robust_z, strangeness
from diffusionad.doctor.twins import difference_hash
from diffusionad.structures import Sample


def a_look(path: Path) -> Look:
    look = look_at(Sample(path, "train", "part", "good"))
    assert isinstance(look, Look)
    return look


def test_sharpness_and_exposure_are_those_of_an_independent_computation(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (601, 47), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    look = a_look(tmp_path / "a.png")
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    assert look.sharpness == pytest.approx(convolve2d(picture.astype(float), kernel, mode="valid").var(), rel=1e-5)
    assert look.level == np.median(picture)
    assert look.clipped == pytest.approx(np.isin(picture, (0, 1, 254, 255)).mean())
    assert look.size == (601, 47)


def test_a_record_keeps_no_picture(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((500, 700, 3), np.uint8)).save(tmp_path / "a.png")
    thumbnail = a_look(tmp_path / "a.png").thumbnail
    assert thumbnail.shape == (64, 64, 3)
    assert thumbnail.dtype == np.uint8
    assert thumbnail.base is None


def test_order_and_results_do_not_depend_on_threads(part: Path) -> None:
    samples = find_samples(part)
    one, many = list(look_at_all(samples, workers=1)), list(look_at_all(samples, workers=5))
    assert [look.sample for look in one] == [look.sample for look in many] == samples
    for a, b in zip(one, many, strict=True):
        assert isinstance(a, Look)
        assert isinstance(b, Look)
        assert (a.digest, a.sharpness, a.level, a.mask) == (b.digest, b.sharpness, b.level, b.mask)
        assert np.array_equal(a.thumbnail, b.thumbnail)


def harm(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, zero, flip, fill or replace bytes at random."""
    body = bytearray(content)
    at, length = int(rng.integers(len(body))), int(rng.integers(1, len(body)))
    kind = rng.integers(5)
    if kind == 0:
        return bytes(body[:at])
    if kind == 1:
        body[at : at + length] = bytes(len(body[at : at + length]))
    elif kind == 2:
        for place in rng.integers(len(body), size=20):
            body[place] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        body[8:] = rng.bytes(len(body) - 8)
    else:
        return rng.bytes(at)
    return bytes(body)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "webp"])
@pytest.mark.filterwarnings("default")
def test_no_broken_picture_ever_stops_the_rest(part: Path, ending: str) -> None:
    rng = np.random.default_rng(sum(ending.encode()))
    for index in range(20):
        path = part / "train" / "good" / f"harmed{index:02d}.{ending}"
        Image.open(part / "train" / "good" / f"{index:03d}.png").save(path)
        path.write_bytes(harm(path.read_bytes(), rng))
    examination = examine(part, false_alarms=0.1)
    seen = {look.sample.path.name for look in examination.seen.looks}
    assert {f"{index:03d}.png" for index in range(60)} <= seen
    assert len(examination.seen.looks) + len(examination.seen.unread) == 92
    assert examination.seen.unread
    named = {path for finding in examination.findings for path in finding.paths}
    assert {item.sample.path for item in examination.seen.unread} <= named


def test_a_file_that_vanishes_is_unread_not_a_crash(tmp_path: Path) -> None:
    unread = look_at(Sample(tmp_path / "gone.png", "train", "part", "good"))
    assert isinstance(unread, Unread)
    assert unread.code == "picture.missing"


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("cam_20261122.png", date(2026, 11, 22)),
        ("2026-11-22T09-30.png", date(2026, 11, 22)),
        ("20261122093015_7.png", date(2026, 11, 22)),
        ("20260231.png", None),
        ("part_1202611225.png", None),
        ("2026-1122.png", None),
        ("000123.png", None),
    ],
)
def test_days_in_names(name: str, day: date | None) -> None:
    assert day_in(name) == day


def test_difference_hash_is_the_sign_of_differences() -> None:
    ramp = np.repeat(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))[..., None], 3, axis=2)
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0
    assert difference_hash(ramp // 2 + 60) == 2**64 - 1


def test_robust_z_is_blind_to_the_outlier_itself() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    assert robust_z(values, 0.1) == pytest.approx((values - 3) / 1.4826)
    assert robust_z(np.array([5.0, 5.0, 6.0]), 0.5) == pytest.approx([0, 0, 2])


def test_strangeness_does_not_mind_light_but_places(part: Path) -> None:
    looks = [a_look(path).thumbnail for path in sorted((part / "train" / "good").glob("*.png"))]
    lighter = [np.clip(one.astype(int) + index % 3, 0, 255).astype(np.uint8) for index, one in enumerate(looks)]
    assert strangeness(lighter) == pytest.approx(strangeness(looks), rel=0.02)
    spoiled = [one.copy() for one in looks]
    spoiled[17][30:36, 30:36] = 0
    assert int(strangeness(spoiled).argmax()) == 17
