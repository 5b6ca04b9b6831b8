"""Laws of regions of interest: polygons by their centres, masks as drawn, one sentence for every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from diffusionad.data import Framing, inside_polygon, read_roi, roi_at
from diffusionad.data.fit import Fit
from diffusionad.data.roi import mask_png, read_roi_mask
from diffusionad.errors import DataError, PictureError

SQUARE = [[2, 2], [8, 2], [8, 6], [2, 6]]


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def crossings(x: float, y: float, corners: np.ndarray) -> int:
    """How many edges a ray to the right from (x, y) meets: the textbook's test, pixel by pixel."""
    found = 0
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) > x:
            found += 1
    return found


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(8, 24), st.integers(8, 24)),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=9),
)
def test_a_polygon_holds_the_pixels_whose_centre_a_ray_says_is_inside(
    size: tuple[int, int], shares: list[tuple[float, float]]
) -> None:
    # an offset that no centre lies on: where a centre is on an edge, rounding decides
    corners = np.array(shares) * (size[1], size[0]) * 0.98 + 0.0123
    expected = [[crossings(c + 0.5, r + 0.5, corners) % 2 == 1 for c in range(size[1])] for r in range(size[0])]
    np.testing.assert_array_equal(inside_polygon(corners, size), expected)


def test_pixels_fractions_holes_and_the_picture_agree(tmp_path: Path) -> None:
    hole = [[3, 3], [5, 3], [5, 5], [3, 5]]
    expected = np.zeros((10, 20), np.bool_)
    expected[2:6, 2:8] = True
    expected[3:5, 3:5] = False
    pixels = {"units": "pixels", "polygons": [SQUARE], "holes": [hole], "size": [20, 10]}
    shares = {
        "units": "fractions",
        "polygons": [[[x / 20, y / 10] for x, y in SQUARE]],
        "holes": [[[x / 20, y / 10] for x, y in hole]],
    }
    Image.fromarray(expected.astype(np.uint8)).save(tmp_path / "roi.png")
    for path in (written(tmp_path / "a.json", pixels), written(tmp_path / "b.JSON", shares), tmp_path / "roi.png"):
        np.testing.assert_array_equal(read_roi(path, (10, 20)), expected)
    both = {"units": "pixels", "polygons": [SQUARE, [[0, 0], [20, 0], [20, 10], [0, 10]]]}
    assert read_roi(written(tmp_path / "c.json", both), (10, 20)).all()


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("", "data.roi", "0 bytes"),
        ("polygon", "data.roi", "not JSON"),
        ("[" * 100_000, "data.roi", "not JSON"),
        ([], "data.roi", "units and polygons"),
        ({"units": "pixels", "polygons": [SQUARE], "colour": 3}, "data.roi", "nothing else"),
        ({"units": "mm", "polygons": [SQUARE]}, "data.roi", "'mm'"),
        ({"units": "pixels", "polygons": []}, "data.roi", "at least one"),
        ({"units": "pixels", "polygons": {"a": 1}}, "data.roi", "list of polygons"),
        ({"units": "pixels", "polygons": [SQUARE, SQUARE[:2]]}, "data.roi", "number 2 of its polygons"),
        ({"units": "pixels", "polygons": [[[1, 2], [3, "4"], [5, 6]]]}, "data.roi", "which is not"),
        ({"units": "pixels", "polygons": [[[1, 2], [3, True], [5, 6]]]}, "data.roi", "which is not"),
        ('{"units": "pixels", "polygons": [[[1, 2], [NaN, 2], [5, 6]]]}', "data.roi", "outside the picture"),
        ({"units": "pixels", "polygons": [[[1, 2], [20.1, 2], [5, 6]]]}, "data.roi", r"0\.\.20 x 0\.\.10"),
        ({"units": "fractions", "polygons": [SQUARE]}, "data.roi", r"0\.\.1 x 0\.\.1"),
        ({"units": "pixels", "polygons": [SQUARE], "size": [10, 20]}, "data.roi_size", "20 x 10"),
        ({"units": "pixels", "polygons": [[[1, 1], [5, 5], [9, 9]]]}, "data.roi", "marks no pixel"),
        ({"units": "pixels", "polygons": [SQUARE], "holes": [SQUARE]}, "data.roi", "marks no pixel"),
    ],
)
def test_every_fault_of_a_drawing_has_a_sentence(tmp_path: Path, content: Any, code: str, says: str) -> None:
    path = written(tmp_path / "roi.json", content)
    with pytest.raises(DataError, match=says) as caught:
        read_roi(path, (10, 20))
    assert caught.value.code == code
    assert "roi.json" in str(caught.value)


def test_every_fault_of_a_picture_has_a_sentence(tmp_path: Path) -> None:
    for name, size, code, says in (
        ("small.png", (8, 18), "data.roi_size", "18 x 8"),
        ("large.png", (20, 40), "data.roi_size", "40 x 20"),
        ("empty.png", (10, 20), "data.roi", "marks no pixel"),
    ):
        Image.fromarray(np.full(size, 0 if name == "empty.png" else 255, np.uint8)).save(tmp_path / name)
        with pytest.raises(DataError, match=says) as caught:
            read_roi(tmp_path / name, (10, 20))
        assert caught.value.code == code
    (tmp_path / "text.png").write_text("text")
    for name in ("text.png", "missing.png", "missing.json"):
        with pytest.raises(DataError, match=name) as caught:
            read_roi(tmp_path / name, (10, 20))
        assert caught.value.code == "data.roi"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), size=st.tuples(st.integers(8, 40), st.integers(8, 40)), share=st.floats(0.01, 1))
def test_a_region_survives_its_file_and_any_resize(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], share: float
) -> None:
    rng = np.random.default_rng(seed)
    roi = rng.random((30, 20)) < share
    roi[3, 4] = True
    path = tmp_path_factory.getbasetemp() / "kept.png"
    path.write_bytes(mask_png(roi))
    np.testing.assert_array_equal(read_roi_mask(path), roi)
    assert roi_at(roi, size).any()
    assert roi_at(np.ones((30, 20), np.bool_), size).all()
    np.testing.assert_array_equal(roi_at(roi, (60, 40)), roi.repeat(2, axis=0).repeat(2, axis=1))


@settings(max_examples=80, deadline=None)
@given(
    fit=st.sampled_from(["stretch", "pad", "crop", "tile"]),
    native=st.tuples(st.integers(16, 90), st.integers(16, 90)),
    data=st.data(),
)
def test_what_is_judged_lies_inside_the_region_and_what_is_seen(
    fit: Fit, native: tuple[int, int], data: st.DataObject
) -> None:
    roi = np.zeros(native, np.bool_)
    top, left = data.draw(st.integers(0, native[0] - 4)), data.draw(st.integers(0, native[1] - 4))
    tall, wide = data.draw(st.integers(4, native[0] - top)), data.draw(st.integers(4, native[1] - left))
    roi[top : top + tall, left : left + wide] = True
    bare, framing = Framing(fit, (32, 32)).view(native), Framing(fit, (32, 32), roi=roi)
    x, y, width, height = bare.source
    if not roi[y : y + height, x : x + width].any():
        with pytest.raises(PictureError, match="Nothing of the region"):
            framing.view(native)
        return
    view = framing.view(native)
    assert view is framing.view(native)
    seen = np.zeros(native, np.bool_)
    seen[y : y + height, x : x + width] = True
    assert view.judged is not None
    assert view.judged_native is not None
    np.testing.assert_array_equal(view.judged_native, roi & seen)
    assert view.judged.any()
    if bare.judged is not None:
        assert not (view.judged & ~bare.judged).any()
    loud = view.silenced(np.ones(view.working, np.float32))
    np.testing.assert_array_equal(loud == 1, view.judged)
    # the box holds what is seen of the region, to a working pixel
    across, down = width / bare.target[2] + 1, height / bare.target[3] + 1
    rows, columns = np.nonzero(view.judged_native)
    box = view.judged_box
    assert abs(box[0] - columns.min()) <= across
    assert abs(box[1] - rows.min()) <= down
    assert abs(box[0] + box[2] - columns.max() - 1) <= across
    assert abs(box[1] + box[3] - rows.max() - 1) <= down
    assert 0 < view.judged_share <= bare.judged_share


def test_a_picture_of_another_aspect_is_refused_and_of_another_scale_is_not() -> None:
    roi = np.zeros((40, 60), np.bool_)
    roi[:20] = True
    framing = Framing("stretch", (32, 32), roi=roi)
    for native in ((40, 60), (80, 120), (20, 30), (81, 121)):
        judged = framing.view(native).judged
        assert judged is not None
        assert (judged[:15].all(), judged[17:].any()) == (True, False)
    with pytest.raises(PictureError, match="60 x 40") as caught:
        framing.view((60, 40))
    assert caught.value.code == "picture.roi"
