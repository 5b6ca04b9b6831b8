from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from diffusionad.report.pictures import (
    FAINT,
    encode,
    heat,
    heat_layer,
    outline_layer,
    overlay,
    sheet,
    strip,
    to_display,
)
from diffusionad.structures import Region


def a_picture(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(20, 230, (height, width, 3), dtype=np.uint8)


def test_same_value_same_colour_whatever_else_is_in_the_map() -> None:
    alone = np.full((4, 4), 0.3, np.float32)
    beside = alone.copy()
    beside[0, 0], beside[1, 1] = 1.0, 0.0
    assert (heat(beside)[3, 3] == heat(alone)[3, 3]).all()


def test_heat_gets_lighter_all_along_and_for_every_eye() -> None:
    colours = heat(np.linspace(0, 1, 256, dtype=np.float32)[None])[0] / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance[::3]) > 0).all()
    assert luminance[0] < 0.01
    assert luminance[-1] > 0.85
    # without red and green cones (Brettel-like LMS rows): still rising
    for cone in ((0.3139, 0.6395, 0.0465), (0.1551, 0.7579, 0.0867)):
        assert (np.diff((linear @ cone)[::5]) > 0).all()


def test_values_outside_the_scale_are_cut_and_unknown_is_never_calm() -> None:
    top, bottom = heat(np.array([[1.0]], np.float32)), heat(np.array([[0.0]], np.float32))
    found = heat(np.array([[7.0, -3.0, np.nan]], np.float32))
    assert (found == np.concatenate([top, bottom, top], axis=1)).all()


@pytest.mark.parametrize("value", [0.0, FAINT])
def test_a_calm_map_leaves_the_picture_unchanged(value: float) -> None:
    picture = a_picture()
    before = picture.copy()
    assert (overlay(picture, np.full((12, 16), value, np.float32), 0.5, ()) == picture).all()
    assert (picture == before).all()
    assert heat_layer(np.full((2, 2), value, np.float32))[..., 3].max() == 0


def test_outline_encloses_exactly_what_is_above_the_threshold() -> None:
    picture = np.full((80, 80, 3), 120, np.uint8)
    anomaly_map = np.zeros((20, 20), np.float32)
    anomaly_map[5:10, 5:10] = np.float32(0.04)
    drawn = overlay(picture, anomaly_map, 0.03, ())
    assert (drawn[30, 20] == 255).all()
    assert (drawn[30, 19] == 0).all()
    assert (drawn[30, 30] == 120).all()
    assert (overlay(picture, anomaly_map, float(np.float32(0.04)), ()) == picture).all()
    assert (overlay(picture, anomaly_map, None, ()) == picture).all()


@pytest.mark.parametrize("size", [(256, 256), (300, 280), (128, 96), (31, 57)])
def test_a_single_pixel_above_the_threshold_is_outlined_at_every_size(size: tuple[int, int]) -> None:
    anomaly_map = np.zeros((128, 128), np.float32)
    anomaly_map[40, 77] = 0.02
    picture = np.full((*size, 3), 120, np.uint8)
    assert (overlay(picture, anomaly_map, 0.01, ()) == 255).all(axis=2).any()


def test_outline_is_closed_at_the_edge_of_the_picture() -> None:
    drawn = overlay(np.full((40, 40, 3), 120, np.uint8), np.ones((10, 10), np.float32), 0.5, ())
    assert (drawn[0] == 255).all()
    assert (drawn[:, -1] == 255).all()


def test_boxes_are_scaled_with_the_picture() -> None:
    region = Region((1000, 400, 400, 200), 1, 0.9)
    drawn = overlay(np.full((1000, 2000, 3), 120, np.uint8), np.zeros((8, 8), np.float32), None, [region], max_side=500)
    assert drawn.shape == (250, 500, 3)
    rows, columns = np.nonzero((drawn == 255).all(axis=2))
    assert (rows.min(), columns.min()) == (100 - 3, 250 - 3)
    assert (rows.max(), columns.max()) == (149 + 3, 349 + 3)


def test_a_box_at_the_corner_stays_inside() -> None:
    drawn = overlay(
        np.full((30, 30, 3), 120, np.uint8), np.zeros((3, 3), np.float32), None, [Region((0, 0, 30, 30), 1, 1)]
    )
    assert (drawn == 255).all(axis=2).any()


def test_outline_layer_hides_nothing_inside() -> None:
    inside = np.zeros((30, 30), bool)
    inside[10:20, 10:20] = True
    layer = outline_layer(inside, (0, 229, 255))
    assert layer[inside].max() == 0
    assert layer[9, 15].tolist() == [0, 229, 255, 255]
    assert layer[8, 15].tolist() == [0, 0, 0, 255]


def test_strip_and_sheet_sizes() -> None:
    columns = [a_picture(64, 40), a_picture(64, 70)]
    plain = strip(columns, ())
    assert plain.shape == (64, 40 + 6 + 70, 3)
    labelled = strip(columns, ["a title far too long for forty pixels\nand two lines", "map"])
    assert labelled.shape[1] == plain.shape[1]
    assert (labelled[-64:] == plain).all()
    label = labelled[:-64]
    assert label.min() < 100
    assert label[:, 41:46].min() == 255
    assert sheet([labelled, columns[0]]).shape == (labelled.shape[0] + 6 + 64, labelled.shape[1], 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: strip([], ()),
        lambda: strip([a_picture(8, 8)], ["a", "b"]),
        lambda: strip([a_picture(8, 8), a_picture(9, 8)], ()),
        lambda: strip([np.zeros((8, 8), np.uint8)], ()),
        lambda: sheet([]),
        lambda: overlay(np.zeros((8, 8, 3), np.uint16), np.zeros((8, 8), np.float32), None, ()),
    ],
)
def test_what_cannot_be_drawn_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(("form", "close"), [("png", 0.0), ("webp", 4.0), ("jpeg", 4.0)])
def test_encoded_bytes_decode_to_the_picture(form: str, close: float) -> None:
    picture = np.repeat(np.repeat(a_picture(4, 4) // 4 + 90, 16, axis=0), 16, axis=1)
    decoded = np.asarray(Image.open(BytesIO(encode(picture, form, 95))))  # type: ignore[arg-type]
    assert np.abs(decoded.astype(int) - picture).mean() <= close


def test_to_display_keeps_8_bits_and_takes_the_upper_byte_of_16() -> None:
    picture = a_picture()
    assert (to_display(picture) == picture).all()
    assert (to_display(picture.astype(np.uint16) * 257) == picture).all()
    assert to_display(np.full((1, 1, 3), 65535, np.uint16)).max() == 255
