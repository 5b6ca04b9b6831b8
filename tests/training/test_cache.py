"""The cache: what comes out is what went in, damage is seen, two processes do not disturb each other."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad.config import Config
from diffusionad.errors import PictureError, ResourceError
from diffusionad.files import file_hash
from diffusionad.training import cache as cache_module
from diffusionad.training import data as data_module
from diffusionad.training.cache import Cache, Pictures
from diffusionad.training.data import read_good_pictures

RNG = np.random.default_rng(0)
NATIVE = (70, 90)


def picture_of(shape: tuple[int, ...] = (20, 30, 3), dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def never() -> tuple[np.ndarray, tuple[int, int]]:
    raise AssertionError("decoded although it is in the cache")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_what_comes_out_is_what_went_in_also_for_a_new_cache(tmp_path: Path, dtype: type, channels: int) -> None:
    picture = picture_of((20, 30, channels), dtype)
    first = Cache(tmp_path, {"size": [20, 30]}).entry("a", lambda: (picture, NATIVE))
    again = Cache(tmp_path, {"size": [20, 30]}).entry("a", never)
    for entry in (first, again):
        np.testing.assert_array_equal(entry.open(), picture)
        assert (entry.open().dtype, entry.native) == (picture.dtype, NATIVE)
    assert not again.open().flags.writeable
    held = Pictures([picture, again])
    np.testing.assert_array_equal(held[0], held[1])
    assert [len(held), len(held[:1]), len(held.at([1, 1, 0]))] == [2, 1, 3]


def test_another_file_or_setting_is_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = set()
    for digest, settings in (("a", {}), ("b", {}), ("a", {"fit": "pad"}), ("a", {"fit": "crop"})):
        paths.add(Cache(tmp_path, settings).entry(digest, lambda: (picture_of(), NATIVE)).path)
    monkeypatch.setattr(cache_module, "POLICY", 0)
    paths.add(Cache(tmp_path, {}).entry("a", lambda: (picture_of(), NATIVE)).path)
    assert len(paths) == 5


@pytest.mark.parametrize("damage", ["pixel", "cut", "empty", "longer", "head", "text", "shape"])
def test_damage_is_seen_when_it_is_opened_and_the_picture_made_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    picture, cache = picture_of(), Cache(tmp_path, {})
    path = cache.entry("a", lambda: (picture, NATIVE)).path
    content = bytearray(path.read_bytes())
    if damage == "pixel":
        content[-7] ^= 1
    changed = {
        "cut": content[:-1],
        "empty": b"",
        "longer": bytes(content) + b"x",
        "head": b"\0" * 100 + bytes(content[100:]),
        "text": b"hello",
        "shape": bytes(content).replace(b"[20, 30, 3]", b"[10, 60, 3]"),
    }
    path.write_bytes(bytes(changed.get(damage, content)))
    calls = []
    entry = cache.entry("a", lambda: calls.append(1) or (picture, NATIVE))
    np.testing.assert_array_equal(entry.open(), picture)
    assert calls == [1]
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(cache.entry("a", never).open(), picture)


def test_a_picture_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> tuple[np.ndarray, tuple[int, int]]:
        raise PictureError("cut off", code="picture.truncated")

    with pytest.raises(PictureError):
        Cache(tmp_path, {}).entry("a", broken)
    assert files(tmp_path) == []


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(ResourceError, match="disk is full") as told:
            Cache(tmp_path, {}).entry("a", lambda: (picture_of((90, 90, 3)), NATIVE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.code == "disk.full"
    assert files(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_told_but_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = picture_of()
    Cache(tmp_path / "cache", {}).entry("a", lambda: (picture, NATIVE))

    def read_only(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    np.testing.assert_array_equal(Cache(tmp_path / "cache", {}).entry("a", never).open(), picture)
    with pytest.raises(ResourceError, match=r"Read-only file system\. Give another folder with --cache") as told:
        Cache(tmp_path / "cache", {}).entry("b", lambda: (picture, NATIVE))
    assert told.value.code == "disk.refused"


def test_a_file_that_goes_during_a_run_is_told(tmp_path: Path) -> None:
    entry = Cache(tmp_path, {}).entry("a", lambda: (picture_of(), NATIVE))
    entry.path.write_bytes(entry.path.read_bytes()[:-1])
    with pytest.raises(ResourceError, match="leave the cache alone"):
        entry.open()
    entry.path.unlink()
    with pytest.raises(ResourceError) as told:
        entry.open()
    assert told.value.code == "cache.gone"


def _fill(folder: str, made: object) -> None:
    cache = Cache(Path(folder), {})
    for number in range(30):
        picture = np.full((40, 40, 3), number, np.uint8)

        def decode(picture: np.ndarray = picture, number: int = number) -> tuple[np.ndarray, tuple[int, int]]:
            made.put(number)  # type: ignore[attr-defined]
            return picture, NATIVE

        np.testing.assert_array_equal(cache.entry(str(number), decode).open(), picture)


def test_two_processes_make_every_entry_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    made = context.SimpleQueue()
    both = [context.Process(target=_fill, args=(str(tmp_path), made)) for _ in range(2)]
    for process in both:
        process.start()
    numbers = [made.get() for _ in range(30)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(numbers) == list(range(30))
    assert made.empty()
    assert len(files(tmp_path)) == 30


def test_a_set_that_does_not_fit_streams_and_is_the_same_set(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"data": {"size": (32, 32)}})
    held = read_good_pictures(data, config, "auto", None, spill=tmp_path / "spill")
    assert (held.cache, files(tmp_path)) == (None, [])
    monkeypatch.setattr(data_module, "free_memory", lambda: 40 * 32 * 32 * 3 * 4 - 1)
    streamed = read_good_pictures(data, config, "auto", None, spill=tmp_path / "spill")
    assert streamed.cache == tmp_path / "spill"
    assert len(files(tmp_path / "spill")) == 40
    assert (streamed.key, streamed.hashes, streamed.kind) == (held.key, held.hashes, held.kind)
    for one, other in zip((held.training, held.calibration), (streamed.training, streamed.calibration), strict=True):
        assert one.views == other.views
        for index in range(len(one.samples)):
            np.testing.assert_array_equal(one.pictures[index], other.pictures[index])
            np.testing.assert_array_equal(one.foregrounds[index], other.foregrounds[index])
            assert isinstance(other.pictures[index], np.memmap)


def test_a_second_run_decodes_nothing_and_sees_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"data": {"size": (32, 32), "fit": "pad"}})
    first = read_good_pictures(data, config, "auto", None, spill=tmp_path, cache=tmp_path / "cache")

    def refuse(path: Path, *_: object) -> None:
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr(data_module, "see", refuse)
    moved = config.model_copy(update={"seed": 3, "data": config.data.model_copy(update={"shift": 0.5})})
    again = read_good_pictures(data, moved, "auto", None, spill=tmp_path, cache=tmp_path / "cache")
    assert again.key == first.key
    seen = [
        {
            sample.path: picture.tobytes()
            for part in (good.training, good.validation, good.calibration)
            for sample, picture in zip(part.samples, part.pictures, strict=True)
        }
        for good in (first, again)
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 40


def test_a_broken_picture_is_left_out_with_a_cache_too(data: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for index in range(12):
        Image.fromarray(picture_of((48, 48, 3))).save(good / f"{index:02d}.png")
    (good / "cut.png").write_bytes((good / "00.png").read_bytes()[:300])
    read = read_good_pictures(good, Config(), "auto", None, spill=tmp_path, cache=tmp_path / "cache")
    assert [Path(path).name for path, _ in read.unreadable] == ["cut.png"]
    assert len(files(tmp_path / "cache")) == 12
    assert file_hash(good / "00.png")[:16] in {
        *read.hashes,
        *(file_hash(s.path)[:16] for s in read.calibration.samples),
    }
