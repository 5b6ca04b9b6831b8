"""Foreign bytes against the readers: python benchmarks/fuzz_decode.py [--seconds 600] [--target picture|mask|manifest].

Coverage-guided by atheris (pip install atheris): Pillow's and our Python code is instrumented, Pillow's C code is not.
A seed file of every format and storage is made here and mutated. The law: a reader gives a lawful answer or raises a
DiffusionADError whose message is one line, within 10 seconds a file and 1.5 GB. Other exceptions are collected by kind
and place, and fuzzing goes on; a crash, a hang or too much memory ends the fuzzing process, is collected too, and a new
process goes on.
Appends a row a target to results/fuzz.csv, and leaves the offending files in --keep.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path

COLUMNS = ("date", "target", "engine", "seconds", "executions", "findings", "kinds", "commit", "cpu")
MAX_PIXELS = 1_000_000
LIMITS = ("-rss_limit_mb=1500", "-timeout=10", "-max_len=8192", "-print_final_stats=1", "-verbosity=0")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--target", choices=list(SEEDS), default="picture")
    arguments.add_argument("--to", type=Path, default=Path("results/fuzz.csv"))
    arguments.add_argument("--keep", type=Path, default=Path("runs/fuzz"))
    arguments.add_argument("--inside", type=Path, help="for the fuzzing process alone: its folder")
    given = arguments.parse_args()
    if given.inside:
        fuzz(given.target, given.inside, given.seconds)
        return
    given.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        executions, crashes = rounds(given.target, Path(folder), given.seconds, given.keep)
        seconds = time.monotonic() - begun
        found = json.loads(read(Path(folder, "found.json"), "{}"))
    write_row(given, executions, round(seconds, 1), sorted(set(found) | set(crashes)))


def rounds(target: str, folder: Path, seconds: int, keep: Path) -> tuple[int, list[str]]:
    """Fuzz until the time is over, in as many processes as crashes make necessary."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(SEEDS[target]()):
        (corpus / f"seed{number:03d}").write_bytes(content)
    executions, crashes, end = 0, [], time.monotonic() + seconds
    while (left := int(end - time.monotonic())) >= 2:
        command = [sys.executable, __file__, "--target", target, "--inside", str(folder), "--seconds", str(left)]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        counted = re.search(r"number_of_executed_units:\s*(\d+)", ended.stderr)
        executions += int(counted.group(1)) if counted else 0
        if ended.returncode:
            kind = re.search(r"ERROR: libFuzzer: (.*)", ended.stderr)
            crashes.append(kind.group(1)[:60] if kind else f"ended with {ended.returncode}")
            sys.stderr.write(ended.stderr[-2000:])
            for file in folder.glob("out-*"):
                file.rename(keep / f"{target}-{file.name}")
            if not counted:
                break
    for file in folder.glob("found-*"):
        (keep / f"{target}-{file.name}").write_bytes(file.read_bytes())
    return executions, crashes


def write_row(given: argparse.Namespace, executions: int, seconds: float, kinds: list[str]) -> None:
    from record import commit, cpu

    row = {
        "date": datetime.now(UTC).date().isoformat(),
        "target": given.target,
        "engine": "atheris",
        "seconds": seconds,
        "executions": executions,
        "findings": len(kinds),
        "kinds": "; ".join(kinds),
        "commit": commit(),
        "cpu": cpu(),
    }
    print(row)
    new = not given.to.exists()
    with given.to.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def fuzz(target: str, folder: Path, seconds: int) -> None:
    """The fuzzing process: never returns."""
    import atheris

    with atheris.instrument_imports(include=["PIL", "diffusionad"], enable_loader_override=False):
        from diffusionad.errors import DiffusionADError, LayoutError

        read_one = TARGETS[target]()
    warnings.simplefilter("ignore")
    found: dict[str, str] = json.loads(read(folder / "found.json", "{}"))
    file = folder / ("file.csv" if target == "manifest" else "file.png")

    def one(content: bytes) -> None:
        path = file.with_suffix(".jsonl") if target == "manifest" and content[:1] == b"{" else file
        path.write_bytes(content)
        try:
            read_one(path)
        except DiffusionADError as error:
            if "\n" in str(error) and not isinstance(error, LayoutError):  # which shows the tree it expects
                note("message of several lines", content)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            note(f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}", content)

    def note(kind: str, content: bytes) -> None:
        if kind not in found:
            found[kind] = f"found-{len(found):02d}"
            (folder / found[kind]).write_bytes(content)
            (folder / "found.json").write_text(json.dumps(found))

    flags = [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={folder}/out-", str(folder / "corpus")]
    atheris.Setup([sys.argv[0], *flags], one)
    atheris.Fuzz()


def read(path: Path, otherwise: str) -> str:
    return path.read_text() if path.exists() else otherwise


def picture_target():
    import numpy as np

    from diffusionad.data import picture_size, read_picture, read_stored

    def one(path: Path) -> None:
        picture = read_picture(path, max_pixels=MAX_PIXELS)
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.dtype in (np.uint8, np.uint16)
        assert picture.shape[:2] == picture_size(path), "header and pixels agree"
        assert (read_stored(path, max_pixels=MAX_PIXELS).picture == picture).all(), "both readings agree"

    return one


def mask_target():
    import numpy as np

    from diffusionad.data import is_mask_empty, picture_size, read_mask

    def one(path: Path) -> None:
        mask = read_mask(path, picture_size(path, max_pixels=MAX_PIXELS))
        assert mask.ndim == 2
        assert mask.dtype == np.bool_
        assert mask.any() != is_mask_empty(path), "both readings agree"

    return one


def manifest_target():
    from diffusionad.data import find_samples

    def one(path: Path) -> None:
        for name in ("a.png", "b.png"):
            path.with_name(name).touch()
        for sample in find_samples(path, "manifest", None):
            assert sample.path.is_file()
            assert not {"/", "\\", "\0"} & set(sample.category + sample.defect)
            assert sample.category not in ("", ".", "..")

    return one


def picture_seeds() -> list[bytes]:
    """A small file of every format and way to store pixels that is read, and of many that are refused."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (10, 12), dtype=np.uint16))
    exif = Image.Exif()
    exif[274], exif[306] = 6, "2026:01:02 03:04:05"
    tall = {"exif": exif.tobytes(), "icc_profile": b"profile"}
    wanted = [(rgb.convert(mode), "PNG", {}) for mode in ("RGB", "L", "P", "1", "RGBA", "LA")]
    wanted += [(deep, "PNG", {}), (rgb, "PNG", tall), (rgb.convert("P"), "PNG", {"transparency": 3})]
    wanted += [(rgb.convert(mode), "JPEG", {}) for mode in ("RGB", "L", "CMYK")]
    wanted += [(rgb, "JPEG", {"progressive": True}), (rgb, "JPEG", tall)]
    wanted += [(rgb.convert(mode), "BMP", {}) for mode in ("RGB", "L", "P", "1")]
    wanted += [(rgb.convert(mode), "TIFF", {}) for mode in ("RGB", "L", "P", "1", "RGBA", "CMYK", "LAB", "F", "I")]
    wanted += [(rgb, "TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
    wanted += [
        (deep, "TIFF", {}),
        (deep, "TIFF", {"big_tiff": True}),
        (rgb.convert("1"), "TIFF", {"compression": "group4"}),
    ]
    wanted += [(rgb, "TIFF", {"save_all": True, "append_images": [rgb]}), (rgb, "TIFF", tall)]
    wanted += [(rgb, "WEBP", {}), (rgb.convert("RGBA"), "WEBP", {"lossless": True}), (rgb, "WEBP", tall)]
    wanted += [(rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(90)]})]
    return [encoded(*one) for one in wanted]


def encoded(picture, kind: str, options: dict) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def manifest_seeds() -> list[bytes]:
    return [
        b"path,label,mask,split,category,session\na.png,good,,train,part,1\nb.png,scratch,a.png,test,part,2\n",
        b"path\na.png\n",
        b'{"path": "a.png", "label": "good", "session": null}\n{"path": "b.png", "label": "dent", "split": "test"}\n',
        '\ufeffpath,label\n"a.png","d\u00e9faut"\n'.encode(),
    ]


TARGETS = {"picture": picture_target, "mask": mask_target, "manifest": manifest_target}
SEEDS = {"picture": picture_seeds, "mask": picture_seeds, "manifest": manifest_seeds}


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
