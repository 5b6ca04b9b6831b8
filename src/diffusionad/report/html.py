"""One offline HTML file: no request leaves it, no foreign text becomes markup, and it stays small enough to mail.

Text from outside (file names, kinds of damage, settings) is escaped by the template engine; what no screen can show,
such as line breaks or right-to-left marks in a file name, is written as its escape sequence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from diffusionad.files import write_text
from diffusionad.metrics.counts import clopper_pearson
from diffusionad.metrics.pixels import FPR_LIMIT
from diffusionad.report.charts import FRAME, curve, histogram, roc
from diffusionad.report.pictures import heat

if TYPE_CHECKING:
    from diffusionad.report.gallery import Gallery, Row
    from diffusionad.report.page import Page

__all__ = ["as_script", "environment", "one_line", "render", "write_report"]

NOT_MEASURED = "not measured"

FIGURES = {
    "image_auroc": ("Image AUROC", "Tells defective from good pictures"),
    "pixel_auroc": ("Pixel AUROC", "Tells defective from good pixels"),
    "aupro": ("AUPRO", "Finds every defect, small ones count as much"),
    "pixel_ap": ("Pixel AP", "Outlines defects without false pixels"),
}
_FURTHER = {
    "image_ap": ("Image AP", "Defective pictures come first"),
    "image_f1_max": ("Image F1-max", "Best balance any threshold gives"),
    "pixel_f1_max": ("Pixel F1-max", "The same for pixels"),
}
MOST_UNJUDGED = 500
MOST_TEXT = 200_000


def write_report(path: Path, page: Page, gallery: Gallery) -> None:
    """Write the page as one HTML file under 20 MB, whole or not at all.

    Raises:
        ValueError: the gallery was ranked by another threshold than the page shows.
        ResourceError: the file cannot be written.
    """
    write_text(path, render(page, gallery))


def render(page: Page, gallery: Gallery) -> str:
    """The HTML of a page. Raises ValueError as `write_report`."""
    if page.threshold != gallery.threshold:
        raise ValueError(f"The page has the threshold {page.threshold}, its gallery {gallery.threshold}.")
    figures = {name: page.figures.get(name) for name in FIGURES} | dict(page.figures)
    rows, chart = gallery.rows(), histogram(page.scores_good, page.scores_defective, page.threshold)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            figures=[
                (*(FIGURES | _FURTHER).get(name, (name.replace("_", " "), "")), value)
                for name, value in figures.items()
            ],
            histogram=chart,
            roc=roc(page.scores_good, page.scores_defective, page.threshold),
            pro=curve(page.pro, FPR_LIMIT),
            rows=len(rows),
            tiles=sum(row.tile is not None for row in rows),
            thumbnails=sum(row.thumbnail is not None for row in rows),
            seen=gallery.seen,
            outlined=gallery.map_threshold is not None,
            scale=_scale(),
            content=as_script(_content(page, rows, chart.end if chart else 1.0)),
            unjudged=page.unjudged[:MOST_UNJUDGED],
        )
    )


def as_script(content: Any) -> Markup:
    """JSON inside a script element: no text in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def _content(page: Page, rows: Sequence[Row], end: float) -> dict[str, Any]:
    """What the script of the page judges anew and lists."""
    return {
        "threshold": page.threshold,
        "lower": page.lower,
        "end": end,
        "calibration": list(page.calibration),
        "promise": page.promise,
        "scores": {
            one_line(kind): [round(score, 9) for score in scores if math.isfinite(score)]
            for kind, scores in page.scores.items()
        },
        "overkill": list(page.overkill),
        "escapes": list(page.escapes),
        "missed": {one_line(row.defect): row.missed for row in page.kinds},
        "rows": [_listed(row) for row in rows],
    }


def _listed(row: Row) -> dict[str, Any]:
    tile = row.tile
    listed: dict[str, Any] = {"path": one_line(row.path), "defect": one_line(row.defect), "verdict": row.verdict}
    listed |= {"score": row.score if math.isfinite(row.score) else None, "p": row.p_value}
    if row.regions:
        listed["regions"] = [
            [*region.box, region.area, round(region.peak, 4), region.p_value] for region in row.regions
        ]
    if row.neighbour is not None:
        listed["neighbour"] = one_line(row.neighbour)
    if row.thumbnail:
        listed["thumbnail"] = row.thumbnail
    if tile:
        listed["tile"] = {key: value for key, value in asdict(tile).items() if value is not None}
    return listed


def environment(*packages: str) -> Environment:
    """The template engine of offline pages. Templates of `packages` come before those of a report."""
    loaders = [PackageLoader(package, "template") for package in (*packages, "diffusionad.report")]
    engine = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "fraction": fraction,
        "line": one_line,
        "long": lambda text: text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "\n[shortened]",
        "p_value": lambda value: f"{value:.2g}" if _known(value) else NOT_MEASURED,
        "score": lambda value: f"{value:.4f}" if _known(value) else "none",
        "rate": rate,
    }
    engine.filters.update(filters)
    engine.globals["frame"] = FRAME
    return engine


def fraction(value: float | None) -> str:
    """Three decimals, cut and not rounded, so that 1.000 means perfect."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    return f"{math.floor(value * 1000 + 1e-9) / 1000:.3f}"


def rate(count: tuple[int, int]) -> str:
    """The share behind "a of n" with the range it may truly lie in: 95 % after Clopper and Pearson."""
    hits, of = count
    if not of:
        return NOT_MEASURED
    low, high = clopper_pearson(hits, of)
    return f"{hits / of:.1%}, true rate {low:.1%} to {high:.1%} (95 % sure)"


def one_line(text: str) -> str:
    """Foreign text such as a file's name on one line: what no screen can show is written as its escape sequence."""
    return str(_visible(text)).replace("\n", "\\n").replace("\t", "\\t")


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _scale() -> str:
    """The heat colours as stops of a CSS gradient."""
    colours = heat(np.linspace(0, 1, 12, dtype=np.float32)[None])[0]
    return ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in colours.tolist())


def _visible(value: Any) -> Any:
    """Text with every character that cannot be shown written as its escape; other values and our markup as they are."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in value)
