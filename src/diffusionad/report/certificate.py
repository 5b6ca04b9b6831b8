"""The page of a lot: what a quality engineer signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusionad.files import write_text
from diffusionad.report.charts import Curve, costs_chart
from diffusionad.report.html import environment

__all__ = ["CertificatePage", "write_certificate"]

MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class CertificatePage:
    """What the page shows, as plain values.

    Attributes:
        title, made: heading, date and time.
        counts: verdict to number of pictures.
        promise: what the threshold promises, in one sentence.
        overkill, escapes: labelled pictures judged wrongly, of how many.
        labels: a sentence on what was labelled.
        mistakes: (path, label, verdict).
        costs: (threshold, cost of 1,000 parts) by rising threshold; () where unknown.
        costs_said: sentences on the costs; what is missing where `costs` is ().
        threshold: of the verdicts; None where they have several or none.
        cheapest: threshold with the lowest cost; None where unknown.
        recheck_said, recheck: a sentence, and (path, score, p-value) of the pictures.
        drift_said, alarms: a sentence, and (what, at which picture, direction, capital).
        drifted: whether there is an alarm; None where nothing was watched.
        unjudged: (path, reason).
        provenance: name to text.
    """

    title: str
    made: str
    counts: Mapping[str, int]
    promise: str
    overkill: tuple[int, int]
    escapes: tuple[int, int]
    labels: str
    mistakes: Sequence[tuple[str, str, str]]
    costs: Sequence[tuple[float, float]]
    costs_said: Sequence[str]
    threshold: float | None
    cheapest: float | None
    recheck_said: str
    recheck: Sequence[tuple[str, float, float]]
    drift_said: str
    alarms: Sequence[tuple[str, int, str, float]]
    drifted: bool | None
    unjudged: Sequence[tuple[str, str]]
    provenance: Mapping[str, str]


def write_certificate(path: Path, page: CertificatePage) -> None:
    """Write the page as one HTML file, whole or not at all. Raises ResourceError."""
    chart: Curve | None = costs_chart(page.costs, page.threshold, page.cheapest)
    text = environment().get_template("certificate.html.j2").render(page=page, chart=chart, most=MOST_LISTED)
    write_text(path, text)
