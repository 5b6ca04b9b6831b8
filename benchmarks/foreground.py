"""How well each foreground finds the object: python benchmarks/foreground.py DATA [--to results/foreground.csv].

DATA holds data sets in the MVTec layout. Intersection over union (IoU) with the true outline, where one is known:

mvtec_bottle  A disc seen from above on white. Along the middle row and the middle column of each 256 x 256 picture,
              the outermost crossings of grey level 155 (half way between the rim, about 60, and white) are the ends of
              a chord; centre and radius are their means. Over the 209 good pictures: centre (127.8, 127.9), radius
              113.8, standard deviations 0.6, 0.5 and 0.4 pixels. The outline is soft over about 7 pixels.
aws_cookie    Six of the 31 good pictures (384 x 512), every sixth by name, outlined by hand on a twofold enlargement
              with a grid. The polygons below are made from pictures of the repository
              aws-samples/amazon-lookout-for-vision, licensed CC BY-SA 4.0; so are the polygons.

Other sets have no outline that may be shown or was drawn; for them the row says what was chosen. Pictures at 128 x 128.
With --masks FOLDER, a sheet of each set and choice is written there to be looked at (some sets may not be passed on).
"""

from __future__ import annotations

import argparse
import csv
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from record import commit, cpu

from diffusionad.data import find_foregrounds, find_samples, read_picture, resize, resize_mask
from diffusionad.errors import DiffusionADError
from diffusionad.training.strip import with_foreground

SIZE = (128, 128)
RULES = ("auto", "statistics", "grabcut", "whole")
COLUMNS = (
    "date", "dataset", "foreground", "chosen", "reason", "pictures", "outlined", "iou_mean", "iou_min", "ms_a_picture",
    "commit", "cpu",
)  # fmt: skip

POLYGONS = {
    "normal-1": (
        "160,400 180,365 235,295 300,258 400,242 470,242 545,268 600,312 640,360 655,400 665,470 650,505 638,540 "
        "630,600 605,660 580,710 530,760 470,780 380,792 320,783 250,750 200,710 170,660 155,620 155,560 153,490 "
        "158,440"
    ),
    "normal-15": (
        "405,257 460,257 520,270 570,303 605,345 625,390 650,470 665,500 670,560 677,590 665,640 630,700 590,750 "
        "550,785 490,803 430,812 380,800 320,785 300,740 265,705 215,670 190,625 167,570 172,520 183,450 205,390 "
        "230,350 280,310 340,275"
    ),
    "normal-20": (
        "270,222 330,205 365,190 400,182 450,183 500,200 550,235 580,275 582,320 592,380 593,440 597,540 590,600 "
        "592,700 588,740 555,780 500,800 450,812 400,808 370,800 355,775 300,757 265,755 220,745 185,705 165,665 "
        "160,620 160,590 165,560 160,500 170,430 180,380 195,310 200,285 235,253 258,252 258,235"
    ),
    "normal-26": (
        "200,287 260,265 300,250 350,242 400,250 455,280 480,310 530,345 580,385 640,435 680,490 678,515 690,550 "
        "718,585 712,615 692,630 675,680 660,720 635,765 600,785 550,805 500,818 470,808 440,800 400,790 330,775 "
        "260,750 215,715 170,690 110,635 75,585 65,540 68,500 100,455 125,395 155,340"
    ),
    "normal-31": (
        "200,280 260,245 320,222 400,215 480,208 540,232 590,265 620,320 632,385 628,450 615,520 603,600 590,670 "
        "555,710 480,752 400,760 300,770 245,768 200,745 160,690 142,640 135,570 132,500 140,430 150,360 175,310"
    ),
    "normal-9": (
        "215,280 240,245 270,232 320,228 340,212 400,217 430,220 480,210 520,213 565,235 595,265 613,310 618,380 "
        "622,460 620,550 610,620 612,680 600,720 570,775 540,835 480,855 400,850 310,845 245,820 210,770 195,700 "
        "182,670 180,600 185,540 190,450 195,380 205,310"
    ),
}
"""(x, y) along the outline, in pixels of an enlargement by two."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--sets", nargs="*")
    arguments.add_argument("--model", help="also measure this salient-object network (.onnx)")
    arguments.add_argument("--to", type=Path, default=Path("results/foreground.csv"))
    arguments.add_argument("--masks", type=Path)
    given = arguments.parse_args()
    names = given.sets or sorted(folder.name for folder in given.data.iterdir() if (folder / "train" / "good").is_dir())
    rows = []
    for name in names:
        samples = [one for one in find_samples(given.data / name, "auto", None) if one.split == "train" and one.is_good]
        pictures = [resize(read_picture(one.path), SIZE) for one in samples]
        outlines = [outline(name, one.path) for one in samples]
        for rule in (*RULES, *([f"model {given.model}"] if given.model else [])):
            row, masks = measure(rule, pictures, outlines)
            rows.append(
                {"date": datetime.now(UTC).date().isoformat(), "dataset": name, **row, "commit": commit(), "cpu": cpu()}
            )
            print(rows[-1], flush=True)
            if given.masks and masks:
                given.masks.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sheet_of(pictures, masks)).save(given.masks / f"{name}_{rule.split()[0]}.png")
    new = not given.to.exists()
    with given.to.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def measure(rule: str, pictures: list, outlines: list) -> tuple[dict, list]:
    begun = time.perf_counter()
    try:
        found = find_foregrounds(rule, pictures)
    except DiffusionADError as error:
        row = {"foreground": rule, "chosen": "error", "reason": str(error), "pictures": len(pictures)}
        return row, []
    taken = (time.perf_counter() - begun) * 1000 / len(pictures)
    masks = [np.ones(SIZE, dtype=np.bool_) if mask is None else mask for mask in found.masks]
    overlaps = [
        (mask & true).sum() / (mask | true).sum()
        for mask, true in zip(masks, outlines, strict=True)
        if true is not None
    ]
    row = {
        "foreground": rule,
        "chosen": found.kind,
        "reason": found.reason,
        "pictures": len(pictures),
        "outlined": len(overlaps),
        "iou_mean": round(float(np.mean(overlaps)), 4) if overlaps else "",
        "iou_min": round(float(np.min(overlaps)), 4) if overlaps else "",
        "ms_a_picture": round(taken, 1),
    }
    return row, masks


def outline(name: str, path: Path) -> np.ndarray | None:
    """The true object at `SIZE`, where it is known."""
    if name == "mvtec_bottle":
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"), dtype=np.float64)
        middle = grey.shape[0] // 2
        (left, right), (top, bottom) = ends(grey[middle]), ends(grey[:, middle])
        y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
        radius = (right - left + bottom - top) / 4
        return resize_mask(np.hypot(x - (left + right) / 2, y - (top + bottom) / 2) <= radius, SIZE)
    if name == "aws_cookie" and path.stem in POLYGONS:
        points = [tuple(int(number) / 2 for number in point.split(",")) for point in POLYGONS[path.stem].split()]
        drawn = Image.new("1", (384, 512))
        ImageDraw.Draw(drawn).polygon(points, fill=1)
        return resize_mask(np.asarray(drawn), SIZE)
    return None


def ends(line: np.ndarray, level: float = 155.0) -> tuple[float, float]:
    """Where a line of grey levels first and last crosses `level`, between pixels."""

    def first(levels: np.ndarray) -> float:
        at = int(np.argmax(levels < level))
        return at - 1 + (levels[at - 1] - level) / (levels[at - 1] - levels[at])

    return first(line), len(line) - 1 - first(line[::-1])


def sheet_of(pictures: list, masks: list) -> np.ndarray:
    shown = np.unique(np.linspace(0, len(pictures) - 1, 12).astype(int))
    pairs = [np.concatenate([pictures[i], with_foreground(pictures[i], masks[i])], axis=1) for i in shown]
    pairs += [np.zeros_like(pairs[0])] * (-len(pairs) % 4)
    rows = [np.concatenate(pairs[start : start + 4], axis=1) for start in range(0, len(pairs), 4)]
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
