"""Every check finds its fault, names the right files, and keeps quiet about a set without faults."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter

from diffusionad.config import resolve
from diffusionad.doctor import Finding, examine
from diffusionad.doctor.filing import FEWEST

ALLOWED = 0.1
Change = Callable[[Path, Callable[[np.ndarray], np.ndarray]], None]


def findings(root: Path, false_alarms: float = ALLOWED) -> dict[str, Finding]:
    found = examine(root, false_alarms=false_alarms).findings
    assert len({finding.code for finding in found}) == len(found)
    return {finding.code: finding for finding in found}


def names(root: Path, finding: Finding) -> list[str]:
    return [path for path, _ in finding.rows(root)]


def good(root: Path, index: int) -> Path:
    return root / "train" / "good" / f"{index:03d}.png"


def all_pictures(root: Path) -> list[Path]:
    return sorted([*(root / "train").rglob("*.png"), *(root / "test").rglob("*.png")])


def test_a_set_without_faults_has_no_finding(part: Path) -> None:
    examination = examine(part, false_alarms=ALLOWED)
    assert examination.findings == ()
    assert examination.exit_code == 0
    assert examination.counts == {"training": 60, "test_good": 6, "test_defective": 6, "unreadable": 0}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda whole: whole[: len(whole) // 2], "picture.truncated"),
        (lambda whole: b"", "picture.empty"),
        (lambda whole: b"these are words, no picture", "picture.unknown_format"),
    ],
)
def test_unreadable_pictures(part: Path, content: Callable[[bytes], bytes], code: str) -> None:
    good(part, 7).write_bytes(content(good(part, 7).read_bytes()))
    found = findings(part)
    assert set(found) == {code}
    assert found[code].severity == "broken"
    assert names(part, found[code]) == ["train/good/007.png"]


def test_a_picture_of_the_test_set_that_was_trained_on_is_a_leak(part: Path) -> None:
    shutil.copy(good(part, 3), part / "test" / "good" / "again.png")
    found = findings(part)
    assert set(found) == {"duplicate.leak"}
    assert found["duplicate.leak"].severity == "broken"
    assert names(part, found["duplicate.leak"]) == ["test/good/again.png", "train/good/003.png"]


def test_copies_within_train(part: Path) -> None:
    shutil.copy(good(part, 3), good(part, 900))
    shutil.copy(good(part, 3), good(part, 901))
    shutil.copy(good(part, 8), good(part, 902))
    found = findings(part)
    assert set(found) == {"duplicate.exact"}
    assert found["duplicate.exact"].sentence.startswith("3 pictures are copies")
    assert names(part, found["duplicate.exact"]) == [f"train/good/{n}.png" for n in ("003", "900", "901", "008", "902")]
    assert found["duplicate.exact"].remarks == ("group 1",) * 3 + ("group 2",) * 2


def test_one_picture_both_good_and_defective(part: Path) -> None:
    shutil.copy(part / "test" / "good" / "001.png", part / "test" / "bar" / "000.png")
    found = findings(part)
    assert set(found) == {"duplicate.exact", "label.contradiction"}
    assert sorted(names(part, found["label.contradiction"])) == ["test/bar/000.png", "test/good/001.png"]


@pytest.mark.parametrize(("target", "code"), [("train/good/900.jpg", "near.copy"), ("test/good/900.jpg", "near.leak")])
def test_pictures_saved_again(part: Path, target: str, code: str) -> None:
    Image.open(good(part, 5)).save(part / target, quality=95, subsampling=0)
    found = findings(part)
    assert set(found) == {code}
    assert sorted(names(part, found[code])) == sorted([target, "train/good/005.png"])


def test_near_copies_are_told_from_parts_that_lie_in_a_fixture(tmp_path: Path) -> None:
    rng, one = np.random.default_rng(0), np.full((96, 96, 3), 120.0)
    one[20:70, 30:60] = 200
    for index in range(60):
        Image.fromarray((one + rng.normal(0, 5, one.shape)).astype(np.uint8)).save(tmp_path / f"{index:02d}.png")
    assert set(findings(tmp_path)) == set()


def test_defects_among_the_good_pictures_come_first_by_strangeness(part: Path, change: Change) -> None:
    def bar(width: int) -> Callable[[np.ndarray], np.ndarray]:
        def spoil(picture: np.ndarray) -> np.ndarray:
            picture[36 : 36 + width, 20:60] = 10
            return picture

        return spoil

    change(good(part, 11), bar(2))
    change(good(part, 40), bar(9))
    found = findings(part)
    assert set(found) == {"label.suspect"}
    assert names(part, found["label.suspect"]) == ["train/good/040.png", "train/good/011.png"]


def test_the_same_picture_throughout(part: Path) -> None:
    for index in range(60):
        if index:
            shutil.copy(good(part, 0), good(part, index))
    assert set(findings(part)) == {"look.no_variation", "duplicate.exact"}


def test_a_picture_of_one_tone(part: Path, change: Change) -> None:
    change(good(part, 2), lambda picture: np.zeros_like(picture))
    found = findings(part)
    assert set(found) == {"look.blank", "label.suspect"}
    assert names(part, found["look.blank"]) == ["train/good/002.png"]


def test_a_blurred_picture(part: Path) -> None:
    Image.open(good(part, 9)).filter(ImageFilter.GaussianBlur(1.5)).save(good(part, 9))
    found = findings(part)
    assert set(found) == {"look.blur"}
    assert names(part, found["look.blur"]) == ["train/good/009.png"]


@pytest.mark.parametrize("shift", [45, -45])
def test_a_picture_in_other_light(part: Path, change: Change, shift: int) -> None:
    change(good(part, 9), lambda picture: np.clip(picture.astype(int) + shift, 0, 255).astype(np.uint8))
    found = findings(part)
    assert "look.exposure" in found
    assert set(found) <= {"look.exposure", "label.suspect"}
    assert names(part, found["look.exposure"]) == ["train/good/009.png"]


def test_a_reflection_that_clips(part: Path, change: Change) -> None:
    def glare(picture: np.ndarray) -> np.ndarray:
        picture[:25, :40] = 255
        return picture

    change(good(part, 9), glare)
    found = findings(part)
    assert set(found) == {"look.exposure", "label.suspect"}
    assert "clipped" in found["look.exposure"].remarks[0]


def test_sizes(part: Path) -> None:
    Image.open(good(part, 4)).resize((120, 120)).save(good(part, 4))
    found = findings(part)
    assert "storage.sizes" in found
    assert set(found) <= {"storage.sizes", "look.blur"}  # what is enlarged is soft as well
    assert found["storage.sizes"].severity == "note"
    assert found["storage.sizes"].remarks == ("120 x 120",)
    Image.open(good(part, 5)).crop((0, 0, 80, 60)).save(good(part, 5))
    assert findings(part)["storage.sizes"].severity == "risk"


def test_channels(part: Path) -> None:
    Image.open(good(part, 4)).convert("L").save(good(part, 4))
    found = findings(part)
    assert set(found) == {"storage.channels"}
    assert found["storage.channels"].remarks == ("grey",)
    assert "colour (71), grey (1)" in found["storage.channels"].sentence


def test_depths(part: Path) -> None:
    for path in all_pictures(part):
        Image.open(path).convert("L").save(path)
    Image.fromarray(np.array(Image.open(good(part, 4))).astype(np.uint16) * 257).save(good(part, 4))
    found = findings(part)
    assert set(found) == {"storage.depths"}
    assert names(part, found["storage.depths"]) == ["train/good/004.png"]


def test_colour_profiles(part: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(good(part, 4)).save(good(part, 4), icc_profile=profile)
    found = findings(part)
    assert set(found) == {"storage.profiles"}
    assert names(part, found["storage.profiles"]) == ["train/good/004.png"]
    for path in all_pictures(part):
        Image.open(path).save(path, icc_profile=profile)
    assert set(findings(part)) == set()


def test_rotation_flags(part: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    Image.open(good(part, 4)).save(good(part, 4), exif=turned)
    found = findings(part)
    assert set(found) == {"storage.rotations"}
    assert found["storage.rotations"].remarks == ("flag 6",)


@pytest.mark.parametrize(("factor", "code"), [(16, "storage.low_bits"), (256, "storage.padded_bits"), (257, None)])
def test_twelve_bits_in_sixteen(part: Path, factor: int, code: str | None) -> None:
    for path in all_pictures(part):
        Image.fromarray(np.array(Image.open(path).convert("L")).astype(np.uint16) * factor).save(path)
    found = findings(part)
    assert set(found) == ({code} if code else set())
    if code == "storage.low_bits":
        assert "12 bits at most" in found[code].sentence
        assert "by 16 " in found[code].advice


def test_missing_masks(part: Path) -> None:
    (part / "ground_truth" / "bar" / "002_mask.png").unlink()
    found = findings(part)
    assert set(found) == {"mask.missing"}
    assert found["mask.missing"].severity == "risk"
    assert names(part, found["mask.missing"]) == ["test/bar/002.png"]
    shutil.rmtree(part / "ground_truth")
    found = findings(part)
    assert found["mask.missing"].severity == "note"
    assert len(found["mask.missing"].paths) == 6


def soft(mask: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(mask).filter(ImageFilter.GaussianBlur(2)))


@pytest.mark.parametrize(
    ("spoil", "code", "remark"),
    [
        (lambda mask: mask * 0, "mask.empty", ""),
        (lambda mask: mask[:, :50], "mask.size", "50 x 80, its picture 80 x 80"),
        (lambda mask: np.where(np.arange(80) < 40, mask, mask // 2).astype(np.uint8), "mask.levels", "3 levels"),
        (soft, "mask.soft", None),
    ],
)
def test_masks_amiss(
    part: Path, change: Change, spoil: Callable[[np.ndarray], np.ndarray], code: str, remark: str | None
) -> None:
    change(part / "ground_truth" / "bar" / "004_mask.png", spoil)
    found = findings(part)
    assert set(found) == {code}
    assert names(part, found[code]) == ["ground_truth/bar/004_mask.png"]
    assert remark is None or found[code].remarks == (remark,)


def test_a_mask_that_cannot_be_read(part: Path) -> None:
    (part / "ground_truth" / "bar" / "004_mask.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert set(findings(part)) == {"mask.unreadable"}


def test_one_day_by_name(part: Path) -> None:
    for index in range(60):
        good(part, index).rename(good(part, index).with_name(f"cam1_20261122_0930{index:02d}.png"))
    found = findings(part)
    assert set(found) == {"session.one"}
    assert "2026-11-22" in found["session.one"].sentence
    first = part / "train" / "good" / "cam1_20261122_093000.png"
    other = first.rename(first.with_name("cam1_2026-11-23.png"))
    assert set(findings(part)) == set()
    other.rename(other.with_name("undated.png"))
    assert set(findings(part)) == set()


def test_one_day_by_exif(part: Path) -> None:
    for index in range(60):
        stamp = Image.Exif()
        stamp[306] = "2026:11:22 10:00:00"
        Image.open(good(part, index)).save(good(part, index), exif=stamp)
    assert set(findings(part)) == {"session.one"}


def test_leftovers(part: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "._001.png"):
        (part / "train" / "good" / name).write_bytes(b"x")
    found = findings(part)
    assert set(found) == {"files.leftover"}
    assert len(found["files.leftover"].paths) == 3


def test_too_few_for_the_promise_says_how_many_more(part: Path) -> None:
    found = findings(part, 0.05)
    assert set(found) == {"count.promise"}
    assert "holds back 12" in found["count.promise"].sentence
    assert "the promise takes 19" in found["count.promise"].sentence
    assert "the best possible is 0.077" in found["count.promise"].sentence
    assert found["count.promise"].advice.startswith("Record 33 more")  # of 93, training holds back 19
    assert set(findings(part, 1 / 13)) == set()
    assert set(findings(part, 0.077)) == set()


def test_counting_agrees_with_training() -> None:
    from diffusionad.doctor.filing import _held_back
    from diffusionad.training import data

    assert FEWEST == data.FEWEST
    for count in range(10, 600):
        assert len(data._split(count, resolve("small"))[2]) == _held_back(count)


def test_nine_good_pictures_are_unusable(part: Path) -> None:
    for index in range(9, 60):
        good(part, index).unlink()
    examination = examine(part, false_alarms=ALLOWED)
    assert [finding.code for finding in examination.findings] == ["count.unusable"]
    assert not examination.usable
    assert examination.exit_code == 2
    good(part, 9).write_bytes(good(part, 8).read_bytes())
    assert examine(part, false_alarms=ALLOWED).usable
