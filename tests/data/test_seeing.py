"""JPEGs decoded at a reduced scale: never less than needed, close to the whole, and the same for everybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from diffusionad import Inspector
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.config import resolve
from diffusionad.data import REDUCTIONS, Framing, find_samples, read_picture, read_reduced, resize, see
from diffusionad.data.fit import SPARE, Fit
from diffusionad.errors import PictureError
from diffusionad.evaluation import evaluate
from diffusionad.prediction import predict
from diffusionad.structures import Image as FloatImage
from diffusionad.tensors import to_image
from diffusionad.training.data import read_good_pictures

RNG = np.random.default_rng(0)


def photo(path: Path, size: tuple[int, int], **options: object) -> Path:
    """Blurred noise of (H, W) pixels, with structure of some pixels as a lens leaves it."""
    picture = Image.fromarray(RNG.integers(0, 255, (*size, 3), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(5))
    stretched = np.asarray(picture).astype(np.float32)
    stretched = (stretched - stretched.min()) / (stretched.max() - stretched.min()) * 255
    Image.fromarray(stretched.astype(np.uint8)).save(path, **({"quality": 92} | options))
    return path


@settings(max_examples=40, deadline=None)
@given(
    native=st.tuples(st.integers(16, 400), st.integers(16, 400)),
    size=st.tuples(st.integers(8, 48), st.integers(8, 48)),
    fit=st.sampled_from(["stretch", "pad", "crop"]),
)
def test_the_scale_is_the_smallest_that_is_enough(
    tmp_path_factory: pytest.TempPathFactory, native: tuple[int, int], size: tuple[int, int], fit: Fit
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jpg"
    Image.new("RGB", native[::-1], (90, 120, 30)).save(path)
    view = Framing(fit, size).view(native)
    found = read_reduced(path, lambda whole: view.enough)
    assert found.native == native
    lawful = [
        part
        for part in (1, *REDUCTIONS)
        if all(side // part >= least for side, least in zip(native, view.enough, strict=True))
    ]
    part = max(lawful, default=1)
    assert found.picture.shape[:2] == tuple(-(-side // part) for side in native)
    seen = view.picture(found.picture)
    assert seen.shape == (*size, 3)
    assert np.abs(seen.astype(int) - read_picture(path)[0, 0]).max() <= 1


@settings(max_examples=30, deadline=None)
@given(
    native=st.tuples(st.integers(120, 300), st.integers(120, 300)),
    size=st.tuples(st.integers(8, 14), st.integers(8, 14)),
    fit=st.sampled_from(["stretch", "pad", "crop"]),
)
def test_a_reduced_picture_stays_in_place_also_where_its_sides_do_not_divide(
    tmp_path_factory: pytest.TempPathFactory, native: tuple[int, int], size: tuple[int, int], fit: Fit
) -> None:
    """On ramps a shift by a pixel of the file shows as a level or two; sides off by up to 7 pixels would show as 11."""
    path = tmp_path_factory.getbasetemp() / "ramp.jpg"
    down, across = (np.linspace(0, 255, side) for side in native)
    ramps = np.stack(np.broadcast_arrays(down[:, None], across[None, :], 128.0), axis=2)
    Image.fromarray(ramps.astype(np.uint8)).save(path, quality=100, subsampling=0)
    view = Framing(fit, size).view(native)
    reduced = read_reduced(path, lambda whole: view.enough).picture
    assert reduced.shape[0] < native[0]
    shown, whole = view.picture(reduced).astype(int), view.picture(read_picture(path)).astype(int)
    assert np.abs(shown - whole).max() <= 4  # the last block of a JPEG repeats its edge
    assert np.abs(shown - whole).mean() < 1


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_a_reduced_picture_differs_little_from_the_whole(tmp_path: Path, fit: Fit) -> None:
    path = photo(tmp_path / "part.jpg", (601, 803))
    framing = Framing(fit, (64, 64))
    view = framing.view((601, 803))
    reduced, whole = see(path, framing).picture.astype(int), view.picture(read_picture(path)).astype(int)
    assert read_reduced(path, lambda native: view.enough).picture.shape[0] < 601
    assert np.abs(reduced - whole).mean() < 1
    assert np.corrcoef(reduced.ravel(), whole.ravel())[0, 1] > 0.99


def test_what_is_not_much_larger_and_what_is_no_jpeg_is_decoded_whole(tmp_path: Path) -> None:
    framing = Framing("stretch", (64, 64))
    for name, size in (("near.jpg", (64 * 2 * SPARE - 1, 400)), ("large.png", (600, 800))):
        path = photo(tmp_path / name, size) if name.endswith("jpg") else tmp_path / name
        if name.endswith("png"):
            Image.fromarray(RNG.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
        np.testing.assert_array_equal(see(path, framing).picture, resize(read_picture(path), (64, 64)))


@pytest.mark.parametrize("progressive", [False, True])
def test_grey_and_cut_off_jpegs_keep_their_policies(tmp_path: Path, progressive: bool) -> None:
    framing, path = Framing("stretch", (32, 32)), photo(tmp_path / "part.jpg", (400, 400), progressive=progressive)
    for mode in ("L", "CMYK"):
        Image.open(path).convert(mode).save(tmp_path / "odd.jpg", quality=95)
        whole = resize(read_picture(tmp_path / "odd.jpg"), (32, 32)).astype(int)
        assert np.abs(see(tmp_path / "odd.jpg", framing).picture - whole).mean() < 2
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(PictureError) as caught:
        see(path, framing)
    assert caught.value.code == "picture.truncated"


class Watching:
    """A network that remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[FloatImage] = []

    def __call__(self, image: FloatImage) -> tuple[np.ndarray, FloatImage]:
        self.shown.append(image)
        return np.ascontiguousarray((1 - image[0]) / 2), image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for split, count in (("train", 12), ("test", 2)):
        folder = tmp_path / "set" / split / "good"
        folder.mkdir(parents=True)
        for index in range(count):
            photo(folder / f"{index:02d}.jpg", (300, 420))
    return tmp_path / "set"


@pytest.mark.parametrize(("fit", "cached"), [("stretch", False), ("pad", True), ("crop", False)])
def test_training_predict_and_evaluate_see_the_same_pixels(
    trained: Path, photos: Path, tmp_path: Path, fit: Fit, cached: bool
) -> None:
    cache = tmp_path / "cache" if cached else None
    config = resolve("tiny", settings=("data.size=[32, 32]", f"data.fit={fit}"))
    good = read_good_pictures(photos, config, "auto", None, spill=tmp_path / "spill", cache=cache)
    bundle: Bundle = load_bundle(trained / "bundle")
    data = bundle.config.data.model_copy(update={"fit": fit})
    watching = Watching()
    inspector = Inspector(replace(bundle, config=bundle.config.model_copy(update={"data": data})), watching)
    portions = (good.training, good.validation, good.calibration)
    learned = {s.path: to_image(p) for part in portions for s, p in zip(part.samples, part.pictures, strict=True)}
    paths = sorted(learned)
    assert len(paths) == 12
    predict(inspector, paths, tmp_path / "predicted")
    samples = [
        replace(sample, split="test") for sample in find_samples(photos, "mvtec", None) if sample.split == "train"
    ]
    evaluate(inspector, sorted(samples, key=lambda sample: sample.path), tmp_path / "evaluated", data="part")
    assert len(watching.shown) == 24
    for path, predicted, evaluated in zip(paths, watching.shown[:12], watching.shown[12:], strict=True):
        np.testing.assert_array_equal(predicted, learned[path])
        np.testing.assert_array_equal(evaluated, learned[path])
