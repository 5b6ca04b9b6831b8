"""The object is found where it was drawn; a texture gets random parts; every choice says what it chose."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from diffusionad.data import Foregrounds, find_foregrounds
from diffusionad.data.foreground import foreground_from_folder
from diffusionad.errors import DataError, ResourceError, TooFewPicturesError, UsageError
from diffusionad.structures import Sample

SIZE = (96, 96)


def disc(y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(rows - y, columns - x) <= radius


def part(
    seed: int, *, radius: float = 26, light: int = 0, background: int = 180, play: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """A dark ring with a hole of background colour in it, somewhere near the centre, on a noisy table."""
    rng = np.random.default_rng(seed)
    y, x = 48 + rng.integers(-play, play + 1, 2)
    truth = disc(y, x, radius)
    picture = background + light + rng.normal(0, 4, (*SIZE, 3))
    picture[truth] = rng.normal((70, 40, 30), 15, (int(truth.sum()), 3))
    picture[disc(y, x, radius / 3)] = background + light
    return np.clip(picture, 0, 255).astype(np.uint8), truth


def overlap(found: np.ndarray | None, truth: np.ndarray) -> float:
    assert found is not None
    return float((found & truth).sum() / (found | truth).sum())


def found_in(parts: list[tuple[np.ndarray, np.ndarray]], rule: str = "auto") -> Foregrounds:
    return find_foregrounds(rule, [picture for picture, _ in parts])


def check_covered(found: Foregrounds, parts: list[tuple[np.ndarray, np.ndarray]], least: float = 0.85) -> None:
    for mask, (_, truth) in zip(found.masks, parts, strict=True):
        assert mask is not None
        assert mask.dtype == np.bool_
        assert overlap(mask, truth) > least
        assert not np.any(truth & ~mask), "the object is covered whole"


def test_object_is_found_with_its_hole_filled() -> None:
    parts = [part(seed, light=seed % 5 * 4) for seed in range(12)]
    found = found_in(parts)
    assert found.kind == "object"
    assert "plain background" in found.reason
    check_covered(found, parts)
    check_covered(found_in(parts, "statistics"), parts)


def test_light_that_falls_off_is_still_background() -> None:
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    fall = (1 - 0.35 * (x**2 + y**2) + 0.1 * x)[..., None]
    parts = [((picture * np.clip(fall, 0, 1)).astype(np.uint8), truth) for picture, truth in map(part, range(12))]
    found = found_in(parts)
    assert found.kind == "object"
    check_covered(found, parts)


def test_each_picture_has_its_own_background() -> None:
    parts = [part(seed, background=level) for seed, level in enumerate((110, 140, 160, 180, 220, 250))]
    found = found_in(parts)
    assert found.kind == "object"
    check_covered(found, parts)


def test_an_object_always_at_one_place_has_one_mask() -> None:
    parts = [part(seed, play=0) for seed in range(12)]
    odd = part(99, play=0)
    odd[0][:20, :60] = 0  # a shadow that touches the border
    found = found_in([*parts, odd])
    assert found.kind == "aligned"
    assert all(mask is not None and np.array_equal(mask, found.masks[0]) for mask in found.masks)
    check_covered(found, [*parts, odd])


def test_an_aligned_object_that_fills_the_picture_is_taken_whole() -> None:
    board = np.kron(np.random.default_rng(0).integers(30, 220, (16, 16, 3)), np.ones((6, 6, 1)))
    boards = [np.clip(board + np.random.default_rng(i).normal(0, 6, board.shape), 0, 255) for i in range(6)]
    found = find_foregrounds("auto", [picture.astype(np.uint8) for picture in boards])
    assert found.kind == "aligned"
    assert all(mask is not None and mask.all() for mask in found.masks)


def textures() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    lit = 90 + 130 * np.exp(-2 * (x**2 + y**2))[..., None]
    return {
        "coarse": [rng.integers(60, 200, (*SIZE, 3), dtype=np.uint8) for _ in range(5)],
        "fine": [np.clip(rng.normal(120, 3, (*SIZE, 3)), 0, 255).astype(np.uint8) for _ in range(5)],
        "blank": [np.zeros((*SIZE, 3), dtype=np.uint8)] * 3,
        "lit in the middle": [np.clip(lit + rng.normal(0, 8, lit.shape), 0, 255).astype(np.uint8) for _ in range(5)],
        "one": [rng.integers(60, 200, (*SIZE, 3), dtype=np.uint8)],
    }


@pytest.mark.parametrize("kind", list(textures()))
def test_textures_get_random_parts(kind: str) -> None:
    pictures = textures()[kind]
    found = find_foregrounds("auto", pictures)
    assert (found.kind, found.masks) == ("texture", [None] * len(pictures))
    assert found.reason
    with pytest.raises(DataError, match="needs an object on a plain background"):
        find_foregrounds("statistics", pictures)


def test_implausible_mask_gives_way_to_the_mean() -> None:
    parts = [part(seed) for seed in range(12)]
    odd = [part(1, radius=5)[0], np.full((*SIZE, 3), 20, np.uint8), np.full((*SIZE, 3), 180, np.uint8)]
    found = find_foregrounds("auto", [picture for picture, _ in parts] + odd)
    first, second, third = found.masks[-3:]
    assert overlap(first, disc(48, 48, 28)) > 0.7
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)


def test_crumbs_and_rails_beside_the_object_are_left_out() -> None:
    parts = [part(seed) for seed in range(12)]
    parts[3][0][4:9, 4:9] = 0
    parts[5][0][88:] = 0
    found = found_in(parts)
    assert found.masks[3] is not None
    assert not found.masks[3][:10, :10].any()
    assert found.masks[5] is not None
    assert not found.masks[5][90:].any()


def test_sixteen_bits_give_the_mask_of_eight() -> None:
    pictures = [part(seed)[0] for seed in range(6)]
    deep = [picture.astype(np.uint16) * 16 for picture in pictures]  # 12 bits in 16
    for shallow, found in zip(
        find_foregrounds("auto", pictures).masks, find_foregrounds("auto", deep).masks, strict=True
    ):
        assert found is not None
        assert overlap(shallow, found) > 0.95


def test_same_pictures_give_the_same_answer_whatever_their_number() -> None:
    pictures = [part(seed)[0] for seed in range(60)]
    for first, again in zip(
        find_foregrounds("auto", pictures).masks, find_foregrounds("auto", pictures).masks, strict=True
    ):
        np.testing.assert_array_equal(first, again)


def test_refusals() -> None:
    with pytest.raises(TooFewPicturesError):
        find_foregrounds("auto", [])
    with pytest.raises(UsageError, match="differ in size"):
        find_foregrounds("auto", [np.zeros((16, 16, 3), np.uint8), np.zeros((16, 17, 3), np.uint8)])


def test_whole_and_texture_do_not_look() -> None:
    pictures = [part(seed)[0] for seed in range(3)]
    assert all(mask is not None and mask.all() for mask in find_foregrounds("whole", pictures).masks)
    assert find_foregrounds("texture", pictures).masks == [None] * 3


def test_grabcut_refines_outlines_and_is_the_same_each_time() -> None:
    pytest.importorskip("cv2")
    parts = [part(seed) for seed in range(4)]
    found, again = found_in(parts, "grabcut"), found_in(parts, "grabcut")
    for mask, twin, (_, truth) in zip(found.masks, again.masks, parts, strict=True):
        assert overlap(mask, truth) > 0.85
        np.testing.assert_array_equal(mask, twin)


def test_grabcut_without_opencv_names_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ResourceError, match=r'pip install "diffusionad\[grabcut\]"') as caught:
        found_in([part(0)], "grabcut")
    assert caught.value.code == "extra.missing"


def network(
    path: Path, *, sigmoid: bool = True, size: object = 48, channels: int = 3, scale: float = -20, **meta: str
) -> Path:
    """A salient-object network of three nodes: what is darker than the middle of the range is the object."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["grey", "scale"], ["logit"]),
        helper.make_node("Sigmoid" if sigmoid else "Identity", ["logit"], ["likely"]),
    ]
    graph = helper.make_graph(
        nodes,
        "salient",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, size, size])],
        [helper.make_tensor_value_info("likely", TensorProto.FLOAT, [1, 1, size, size])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(made, meta)
    onnx.save(made, path)
    return path


@pytest.mark.parametrize("size", [48, 96, "side"])
def test_a_network_of_the_user_finds_the_object(tmp_path: Path, size: object) -> None:
    parts = [part(seed) for seed in range(3)]
    path = network(tmp_path / "net.onnx", size=size)
    for rule in (f"model {path}", str(path)):
        found = found_in(parts, rule)
        assert found.kind == "model"
        assert "net.onnx" in found.reason
        for mask, (picture, _) in zip(found.masks, parts, strict=True):
            assert overlap(mask, picture.mean(axis=2) < 127.5) > 0.9  # mean 0.5: the middle of the range is 0


def test_the_mean_in_the_networks_metadata_counts(tmp_path: Path) -> None:
    parts = [part(seed) for seed in range(3)]
    path = network(tmp_path / "net.onnx", mean="0.8,0.8,0.8", std="0.2, 0.2, 0.2")
    found = found_in(parts, f"model {path}")
    for mask in found.masks:
        assert mask is not None
        assert mask.all(), "all is darker than 0.8"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigmoid": False}, "end the network with a sigmoid"),
        ({"sigmoid": False, "scale": float("nan")}, "end the network with a sigmoid"),
        ({"channels": 1}, r"one input of \[1, 3, H, W\]"),
        ({"mean": "0.5"}, "three numbers"),
        ({"std": "1,0,1"}, "three numbers"),
    ],
)
def test_networks_that_cannot_be_used_say_why(tmp_path: Path, options: dict[str, object], said: str) -> None:
    path = network(tmp_path / "net.onnx", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=said):
        found_in([part(0)], f"model {path}")


def test_networks_that_are_none_or_find_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    for name in ("text.onnx", "missing.onnx"):
        with pytest.raises(UsageError, match=name):
            found_in([part(0)], f"model {tmp_path / name}")
    bright = network(tmp_path / "net.onnx", mean="-1,-1,-1")
    with pytest.raises(DataError, match="found no object in any picture"):
        found_in([part(0)], f"model {bright}")


def drawn_masks(root: Path) -> tuple[Path, list[Sample]]:
    masks = root / "masks"
    masks.mkdir()
    samples = []
    for stem, name in (("a", "a.png"), ("b", "b_mask.png")):
        picture, truth = part(ord(stem))
        Image.fromarray(picture).save(root / f"{stem}.jpg")
        Image.fromarray(truth).save(masks / name)
        samples.append(Sample(root / f"{stem}.jpg", "train", "part", "good"))
    return masks, samples


def test_drawn_masks_are_matched_by_stem_and_resized(tmp_path: Path) -> None:
    masks, samples = drawn_masks(tmp_path)
    found = foreground_from_folder(masks, samples[::-1], (48, 48))
    for mask, stem in zip(found, "ba", strict=True):
        assert mask.shape == (48, 48)
        assert overlap(mask, part(ord(stem))[1][::2, ::2]) > 0.9


def test_drawn_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    masks, samples = drawn_masks(tmp_path)
    stranger = Sample(tmp_path / "c.jpg", "train", "part", "good")
    with pytest.raises(DataError, match=r"c\.jpg"):
        foreground_from_folder(masks, [*samples, stranger], SIZE)
    with pytest.raises(DataError, match="does not exist"):
        foreground_from_folder(tmp_path / "nowhere", samples, SIZE)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(masks / "a.png")
    with pytest.raises(DataError, match="is empty"):
        foreground_from_folder(masks, samples, SIZE)
    Image.fromarray(np.ones((20, 20), np.uint8)).save(masks / "a.png")
    with pytest.raises(DataError, match="20 x 20"):
        foreground_from_folder(masks, samples, SIZE)
    Image.fromarray(np.ones(SIZE, np.uint8)).save(masks / "a.bmp")
    with pytest.raises(DataError, match="one stem"):
        foreground_from_folder(masks, samples, SIZE)
