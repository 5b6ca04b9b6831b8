"""The page of a lot: what a quality engineer signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffusionad.files import write_text
from diffusionad.lot import Costs, Lot
from diffusionad.metrics.counts import clopper_pearson
from diffusionad.report.charts import costs_chart
from diffusionad.report.html import environment

__all__ = ["Certificate", "lot_record", "write_certificate"]

MOST_LISTED = 1000
"""Rows of a table; all of them stand in lot.json."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the page shows.

    Attributes:
        title, made: heading, date and time.
        lot: the figures.
        promise: what the threshold promises, in one sentence.
        provenance: name to text.
    """

    title: str
    made: str
    lot: Lot
    promise: str
    provenance: Mapping[str, str]


def write_certificate(path: Path, page: Certificate) -> None:
    """Write the page as one HTML file, whole or not at all. Raises ResourceError."""
    lot, costs = page.lot, page.lot.costs
    chart = None
    if costs is not None:
        points = [(point.threshold, point.cost) for point in costs.points]
        chart = costs_chart(points, costs.stored.threshold if costs.stored else None, costs.cheapest.threshold)
    template = environment().get_template("certificate.html.j2")
    text = template.render(
        page=page,
        lot=lot,
        chart=chart,
        most=MOST_LISTED,
        labels=_labels(lot),
        costs=_costs(costs) if costs else [lot.silence["costs"]],
        drift=_drift(lot),
        unjudged=[one for one in lot.verdicts if one.verdict == "error"],
    )
    write_text(path, text)


def lot_record(page: Certificate) -> dict[str, Any]:
    """The same for machines: figures, bounds, lists and provenance, without the verdicts themselves."""
    lot = page.lot
    return {
        "title": page.title,
        "made": page.made,
        "counts": dict(lot.counts),
        "promise": page.promise,
        "labelled": dict(lot.labelled),
        "labels_speak_for_the_lot": lot.fair,
        "overkill": _bounded(lot.overkill),
        "escapes": _bounded(lot.escapes),
        "mistakes": [{"path": path, "label": label, "verdict": verdict} for path, label, verdict in lot.mistakes],
        "costs": asdict(lot.costs) if lot.costs else None,
        "recheck": {
            "pictures": [lot.verdicts[place].path for place in lot.recheck.chosen],
            "level": lot.recheck.level,
            "false_discoveries": lot.recheck.requested,
        }
        if lot.recheck
        else None,
        "drift": asdict(lot.drift) if lot.drift else None,
        "unjudged": [{"path": one.path, "error": one.error} for one in lot.verdicts if one.verdict == "error"],
        "missing": dict(lot.silence),
        "provenance": dict(page.provenance),
    }


def _bounded(count: tuple[int, int]) -> dict[str, Any]:
    low, high = clopper_pearson(*count) if count[1] else (None, None)
    return {"count": count[0], "of": count[1], "low": low, "high": high, "sure": 0.95}


def _labels(lot: Lot) -> str:
    known = sum(lot.labelled.values())
    if not known:
        return (
            "No picture of this lot is labelled (--labels), so how often the verdicts are wrong is not measured here."
        )
    said = f"Labels are known for {known} of {len(lot.verdicts)} pictures. A picture to review is neither mistake."
    if lot.fair:
        return f"{said} The ranges hold for the lot if these were drawn from it blindly."
    return (
        f"{said} Pictures of some verdicts were labelled more often than others: these rates are those of the labelled "
        "pictures, not of the lot. Label a blind sample of the lot."
    )


def _costs(costs: Costs) -> list[str]:
    prices = costs.prices
    said = [
        f"A good part that is rejected costs {prices.overkill:g}, a defective part that is passed costs "
        f"{prices.escape:g}; {costs.defective:.2%} of the parts are taken to be defective"
        + (", as among the labelled pictures." if prices.defective is None else ".")
    ]
    if costs.stored is not None:
        said.append(f"At this threshold, {costs.stored.threshold:.4f}, 1,000 parts cost {costs.stored.cost:,.2f}.")
    else:
        said.append("The verdicts have several thresholds (groups), so none is marked.")
    said.append(
        f"The cheapest threshold for these pictures is {costs.cheapest.threshold:.4f}: 1,000 parts cost "
        f"{costs.cheapest.cost:,.2f}. It was found with the very labels that it is priced with, so it looks cheaper "
        "here than it will be."
    )
    said.append("A picture below the threshold counts as passed; the time of a person who reviews has no price here.")
    return said


def _drift(lot: Lot) -> str:
    watched = lot.drift
    if watched is None:
        return lot.silence["drift"]
    judged = sum(one.verdict != "error" for one in lot.verdicts)
    said = (
        f"{watched.sentence()} Watched, in the order of the file and below the calibrated threshold: "
        f"{', '.join(name.replace('_', ' ') for name in watched.names)}."
    )
    if 2 * watched.pictures < judged:
        said += " Most pictures lie above the threshold and were not watched: a strong drift can hide there."
    return said
