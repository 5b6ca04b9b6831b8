"""The bundle's small good pictures: bounded, readable, and the nearest is the nearest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from diffusionad import Inspector
from diffusionad.bundle import load_bundle, recalibrate
from diffusionad.data import find_samples, read_picture
from diffusionad.errors import BundleError
from diffusionad.neighbours import FILE, MOST, Neighbours


def test_a_training_picture_is_nearest_to_itself(trained: Path, data: Path) -> None:
    inspector = Inspector.load(trained / "bundle")
    stored = json.loads((trained / "bundle" / FILE).read_text())
    named = {sample.path.name: sample.path for sample in find_samples(data) if sample.split == "train"}
    for name in stored["names"]:
        nearest = inspector(named[name]).nearest
        assert nearest is not None
        assert nearest.name == name
        assert nearest.difference < 3
    assert "/" not in "".join(stored["names"])


def test_a_bar_lies_further_from_good_parts_than_a_good_part(trained: Path, data: Path) -> None:
    inspector = Inspector.load(trained / "bundle")
    far = {}
    for kind in ("good", "bar"):
        verdicts = [inspector(path) for path in sorted((data / "test" / kind).iterdir())]
        far[kind] = [verdict.nearest.difference for verdict in verdicts if verdict.nearest]
        assert len(far[kind]) == 6
    assert max(far["good"]) < min(far["bar"])


def test_any_number_of_pictures_is_kept_small_and_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 65535, (40, 60, 3), dtype=np.uint16) for _ in range(230)]
    text = Neighbours.choose([f"{i}.png" for i in range(230)], pictures).to_text()
    assert len(text) < 1_200_000
    (tmp_path / FILE).write_text(text)
    read = Neighbours.read(tmp_path / FILE)
    names = json.loads(text)["names"]
    assert len(names) == 77 <= MOST
    assert read.nearest(pictures[int(names[5].split(".")[0])]).name == names[5]
    assert read.thumbnail(names[5]).shape == (96, 96, 3)


def test_a_new_threshold_keeps_them_and_older_bundles_do_without(trained: Path, tmp_path: Path, data: Path) -> None:
    bundle = load_bundle(Path(shutil.copytree(trained / "bundle", tmp_path / "bundle")))
    assert bundle.calibration is not None
    again = recalibrate(bundle, bundle.calibration)
    assert again.neighbours is not None
    manifest = json.loads((again.folder / "manifest.json").read_text())
    assert manifest.pop(FILE)
    (again.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=FILE):  # a file that nobody vouches for
        load_bundle(again.folder)
    (again.folder / FILE).unlink()
    assert Inspector.load(again.folder)(next((data / "test" / "good").iterdir())).nearest is None


@pytest.mark.parametrize(
    "harm", ["{}", "[]", "no json", '{"names": ["a"], "sheet": "AAAA"}', '{"names": [], "sheet": ""}']
)
def test_a_broken_file_is_refused(tmp_path: Path, harm: str) -> None:
    (tmp_path / FILE).write_text(harm)
    with pytest.raises(BundleError, match="cannot be read"):
        Neighbours.read(tmp_path / FILE)


def test_the_size_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    text = Neighbours.choose(["a"], [read_like()]).to_text()
    (tmp_path / FILE).write_text(json.dumps({**json.loads(text), "names": ["a"] * 40}))
    with pytest.raises(BundleError, match="size"):
        Neighbours.read(tmp_path / FILE)


def read_like() -> np.ndarray:
    return np.full((20, 20, 3), 90, np.uint8)


def test_pictures_of_a_file_are_compared_as_the_networks_see_them(trained: Path, data: Path) -> None:
    inspector = Inspector.load(trained / "bundle")
    path = next((data / "test" / "bar").iterdir())
    assert inspector(path).nearest == inspector(read_picture(path)).nearest
