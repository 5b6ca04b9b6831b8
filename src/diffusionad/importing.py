"""Data sets of other programs as a manifest of ours: Lookout for Vision, COCO, and anomalib's Folder.

Pictures stay where they are. Masks are written anew beside the manifest, one byte a pixel, 255 where the defect is,
because each program means something else by a colour. Nothing is guessed: what cannot be read or found is an error that
names it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from diffusionad.data import find_pictures
from diffusionad.errors import DataError, ResourceError, UsageError
from diffusionad.files import write_bytes, write_text
from diffusionad.structures import GOOD, BoolMap

__all__ = ["KINDS", "Imported", "import_data"]

Kind = Literal["lookout", "coco", "anomalib"]
Split = Literal["train", "test"]

_GOOD = frozenset({"good", "normal", "ok", "background", "no_anomaly"})
_ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it.

    Attributes:
        manifest: the file.
        good, defective: pictures.
        masks: written.
    """

    manifest: Path
    good: int
    defective: int
    masks: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A picture; `mask` is worked out only when it is written."""

    path: Path
    label: str
    mask: Callable[[], BoolMap] | None = None
    split: str = ""


def import_data(kind: Kind, source: Path, out: Path, root: Path | None = None, split: Split | None = None) -> Imported:
    """Write `out`, a manifest, and its masks in the folder masks_<name> beside it.

    Args:
        kind: lookout (JSON lines), coco (JSON) or anomalib (YAML or JSON with the settings of `Folder`).
        source: the file.
        out: a .csv file.
        root: folder that pictures are looked for in; None: that of `source`.
        split: of all pictures; None: as the source says, else good ones train and defective ones test.

    Raises:
        UsageError: an unknown kind, or `out` is no .csv.
        DataError: the source, a picture or a mask cannot be read or found.
        ResourceError: YAML cannot be read without PyYAML; the disk is full.
    """
    if kind not in KINDS:
        raise UsageError(f'Unknown kind "{kind}". Known kinds: {", ".join(KINDS)}.')
    if out.suffix.lower() != ".csv":
        raise UsageError(f"The manifest is a .csv file; {out} is not.")
    rows = list(KINDS[kind](source, source.parent if root is None else root))
    if not rows:
        raise DataError(f"{source} names no picture.", code="data.import")
    text, masks, folder = io.StringIO(), 0, out.parent / f"masks_{out.stem}"
    writer = csv.writer(text)
    writer.writerow(["path", "label", "mask", "split"])
    for number, row in enumerate(rows):
        mask = ""
        if row.mask is not None and row.label != GOOD:
            path = folder / f"{number:06d}_{row.path.stem[:80]}.png"
            stream = io.BytesIO()
            Image.fromarray(row.mask().astype(np.uint8) * 255).save(stream, format="png")
            write_bytes(path, stream.getvalue())
            masks, mask = masks + 1, _from(out, path)
        writer.writerow([_from(out, row.path), row.label, mask, split or row.split])
    write_text(out, text.getvalue())
    good = sum(row.label == GOOD for row in rows)
    return Imported(out, good, len(rows) - good, masks)


def _lookout(source: Path, root: Path) -> Iterator[_Row]:
    """A manifest of Lookout for Vision: a JSON object a line, masks with a colour a class."""
    for number, line in enumerate(_text(source).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{source}, line {number}"
        one = _object(line, where)
        picture = _found(one.get("source-ref"), root, where)
        reference = next((key for key in one if key.endswith("mask-ref")), None)
        label = next((key for key in one if key.endswith("label") and isinstance(one[key], int)), None)
        if label is None:
            raise _refused(where, "has no anomaly-label")
        told = str(_at(one, f"{label}-metadata", "class-name") or (_ANOMALY if one[label] else GOOD))
        if not one[label] or told.casefold() in _GOOD:
            yield _Row(picture, GOOD)
            continue
        if reference is None:
            yield _Row(picture, told)
            continue
        colours = _at(one, f"{reference}-metadata", "internal-color-map") or {}
        classes = [str(it.get("class-name")) for it in colours.values() if not _is_background(it)]
        mask = _found(one[reference], root, where)
        yield _Row(picture, classes[0] if len(classes) == 1 else told, _colour_mask(mask, picture, colours, where))


def _is_background(one: Mapping[str, Any]) -> bool:
    return str(one.get("class-name")).casefold() in _GOOD


def _colour_mask(mask: Path, picture: Path, colours: Mapping[str, Any], where: str) -> Callable[[], BoolMap]:
    """Pixels nearer to the colour of a class than to that of the background, which is white where it is not told."""

    def read() -> BoolMap:
        try:
            shades = [
                (ImageColor.getrgb(str(one["hex-color"]))[:3], not _is_background(one)) for one in colours.values()
            ]
            with Image.open(mask) as image, Image.open(picture) as shown:
                if image.size != shown.size:
                    raise ValueError(f"the mask {mask.name} is {image.size}, its picture {shown.size} (width, height)")
                pixels = np.asarray(image.convert("RGB"), np.int32)
        except (OSError, ValueError, KeyError) as error:
            raise _refused(where, f"has a mask that cannot be read: {error}") from None
        if all(anomalous for _, anomalous in shades):
            shades.append(((255, 255, 255), False))
        apart = np.stack([np.square(pixels - np.array(shade)).sum(axis=2) for shade, _ in shades])
        anomalous: BoolMap = np.array([it for _, it in shades])[apart.argmin(axis=0)]
        return anomalous

    return read


def _coco(source: Path, root: Path) -> Iterator[_Row]:
    """A COCO file: polygons, run lengths or boxes; a picture without annotation is good."""
    content = _object(_text(source), str(source))
    try:
        names = {one["id"]: str(one["name"]) for one in content.get("categories", [])}
        drawn: dict[Any, list[Mapping[str, Any]]] = {}
        for one in content.get("annotations", []):
            drawn.setdefault(one["image_id"], []).append(one)
        images = [(it["id"], it["file_name"], (int(it["height"]), int(it["width"]))) for it in content["images"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(str(source), f"is not COCO: {type(error).__name__} {error}") from None
    if lost := set(drawn) - {image for image, *_ in images}:
        raise _refused(str(source), f"has annotations of pictures that it does not list, such as {next(iter(lost))!r}")
    for image, file_name, size in images:
        picture, where = _found(file_name, root, str(source)), f"{source}, picture {file_name}"
        bad = [one for one in drawn.get(image, []) if names.get(one.get("category_id"), "").casefold() not in _GOOD]
        if not bad:
            yield _Row(picture, GOOD)
            continue
        largest = max(bad, key=lambda one: float(one.get("area") or 0))
        label = names.get(largest.get("category_id"), _ANOMALY)
        yield _Row(picture, label, lambda bad=bad, size=size, where=where: _outlined(bad, size, where))  # type: ignore[misc]


def _outlined(annotations: list[Mapping[str, Any]], size: tuple[int, int], where: str) -> BoolMap:
    """[H, W] of everything that the annotations cover."""
    covered = np.zeros(size, np.bool_)
    for one in annotations:
        try:
            shape = one.get("segmentation")
            if isinstance(shape, dict):
                covered |= _run_lengths(shape["counts"], (int(shape["size"][0]), int(shape["size"][1])))
            elif shape:
                canvas = Image.new("1", (size[1], size[0]))
                for polygon in shape:
                    ImageDraw.Draw(canvas).polygon([float(at) for at in polygon], fill=1)
                covered |= np.asarray(canvas, np.bool_)
            else:
                x, y, width, height = (float(at) for at in one["bbox"])
                covered[max(0, round(y)) : round(y + height), max(0, round(x)) : round(x + width)] = True
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _refused(where, f"has an annotation that cannot be read: {type(error).__name__} {error}") from None
    return covered


def _run_lengths(counts: list[int] | str, size: tuple[int, int]) -> BoolMap:
    """Runs down the columns, off and on in turn; as text in COCO's six-bit code, less the run before last."""
    runs = list(counts) if isinstance(counts, list) else _decoded(counts)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    if len(flat) != size[0] * size[1]:
        raise ValueError(f"{len(flat)} pixels in runs for {size[0]} x {size[1]}")
    return flat.reshape(size, order="F")


def _decoded(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        value |= (code & 0x1F) << shift
        shift += 5
        if code & 0x20:
            continue
        if code & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def _anomalib(source: Path, root: Path) -> Iterator[_Row]:
    """The settings of anomalib's Folder: its folders of good and abnormal pictures, and masks by name."""
    content = _yaml(source) if source.suffix.lower() in (".yaml", ".yml") else _object(_text(source), str(source))
    content = content.get("data", content)
    told = content.get("init_args", content) if isinstance(content, dict) else {}
    if not isinstance(told, dict) or not told.get("normal_dir"):
        raise _refused(str(source), "does not hold the settings of anomalib's Folder: normal_dir is missing")
    base = root / str(told.get("root") or "")
    masks: dict[str, Path] = {}
    for folder in _folders(base, told.get("mask_dir"), source):
        masks |= {path.stem: path for path in find_pictures([folder])}
    for key, is_good, split in (
        ("normal_dir", True, "train"),
        ("normal_test_dir", True, "test"),
        ("abnormal_dir", False, "test"),
    ):
        for folder in _folders(base, told.get(key), source):
            for path in find_pictures([folder]):
                mask = masks.get(path.stem) or masks.get(f"{path.stem}_mask")
                label = GOOD if is_good else folder.name
                yield _Row(path, label, None if mask is None else _grey_mask(mask, f"{source}, {path.name}"), split)


def _folders(base: Path, named: Any, source: Path) -> list[Path]:
    folders = [base / str(one) for one in ([] if not named else named if isinstance(named, list) else [named])]
    for folder in folders:
        if not folder.is_dir():
            raise _refused(str(source), f"names the folder {folder}, which is not there; give --root")
    return folders


def _grey_mask(mask: Path, where: str) -> Callable[[], BoolMap]:
    def read() -> BoolMap:
        try:
            with Image.open(mask) as image:
                anomalous: BoolMap = np.asarray(image.convert("L")) > 0
        except OSError as error:
            raise _refused(where, f"has a mask that cannot be read: {error}") from None
        return anomalous

    return read


def _yaml(source: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ResourceError(
            "YAML needs PyYAML: pip install pyyaml, or save it as JSON.", code="extra.missing"
        ) from None
    try:
        content = yaml.safe_load(_text(source))
    except yaml.YAMLError as error:
        raise _refused(str(source), f"is not YAML: {error}") from None
    return content if isinstance(content, dict) else {}


def _found(reference: object, root: Path, where: str) -> Path:
    """The file that a path or an address such as s3://bucket/a/b.png means, by as much of its end as is there."""
    if not isinstance(reference, str) or not reference:
        raise _refused(where, "names no picture")
    parts = [part for part in PurePosixPath(urlsplit(reference).path.lstrip("/")).parts if part not in ("..", ".")]
    plain = Path(reference)
    if "://" not in reference and plain.is_absolute() and plain.is_file():
        return plain
    for first in range(len(parts)):
        path = root.joinpath(*parts[first:])
        if path.is_file():
            return path
    raise _refused(where, f"names {reference!r}, which is not below {root}; give --root, the folder of the pictures")


def _from(manifest: Path, path: Path) -> str:
    """As a manifest names it: relative where both lie in one tree, absolute elsewhere."""
    here, there = manifest.parent.resolve(), path.resolve()
    shared = os.path.commonpath([here, there])
    return os.path.relpath(there, here) if shared != os.sep else str(there)


def _text(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source} cannot be read: {error}.", code="data.import") from None


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(where, f"is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _refused(where, "is not a JSON object")
    return content


def _at(one: Mapping[str, Any], first: str, second: str) -> Any:
    inner = one.get(first)
    return inner.get(second) if isinstance(inner, dict) else None


def _refused(where: str, what: str) -> DataError:
    return DataError(f"{where}, {what}.", code="data.import")


KINDS: Mapping[str, Callable[[Path, Path], Iterator[_Row]]] = {
    "lookout": _lookout,
    "coco": _coco,
    "anomalib": _anomalib,
}
"""Name -> what reads it."""
