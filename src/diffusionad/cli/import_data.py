"""`diffusionad import-data`: data sets of other programs as a manifest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from diffusionad.cli.screen import Screen
from diffusionad.importing import import_data as write_manifest

__all__ = ["import_data"]


def import_data(
    kind: Literal["lookout", "coco", "anomalib"],
    source: Path,
    /,
    *,
    out: Path,
    root: Path | None = None,
    split: Literal["train", "test"] | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Turn a Lookout for Vision manifest, a COCO file or an anomalib Folder configuration into a manifest.

    Pictures stay where they are; masks are written beside the manifest. `train`, `evaluate` and the others read it.

    Example: diffusionad import-data coco annotations.json --out part.csv

    Args:
        kind: lookout, coco or anomalib.
        source: The file: JSON lines, JSON, or YAML.
        out: The manifest, a .csv file.
        root: Folder of the pictures; without it, that of the source. Of s3:// addresses the end is looked for there.
        split: Of all pictures; without it, as the source says, else good ones train and defective ones test.
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    made = write_manifest(kind, source, out, root, split)
    screen.say(f"{made.good} good and {made.defective} defective pictures, {made.masks} masks: {made.manifest}")
    screen.result({**asdict(made), "manifest": str(made.manifest)})
    return 0
