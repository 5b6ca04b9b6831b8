"""`diffusionad report lot`: what a lot's verdicts come to, on one page that is signed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from diffusionad.bundle import Bundle, load_bundle
from diffusionad.cli.screen import Screen, share
from diffusionad.errors import DataError, UsageError
from diffusionad.files import file_hash, write_json
from diffusionad.lot import Lot, Prices, examine_lot, read_labels
from diffusionad.report.certificate import Certificate, lot_record, write_certificate
from diffusionad.report.html import rate
from diffusionad.report.records import read_verdicts
from diffusionad.structures import Verdict
from diffusionad.version import __version__

__all__ = ["lot"]


def lot(
    verdicts: Path,
    *,
    out: Path,
    bundle: Path | None = None,
    labels: Path | None = None,
    cost_overkill: float | None = None,
    cost_escape: float | None = None,
    defective: str | None = None,
    false_discoveries: str = "10%",
    name: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Certify a lot: counts, bounds for overkill and escape, costs, pictures to look at again, drift, provenance.

    Exit code 0, 1: there is a drift alarm, 3: some pictures could not be judged.

    Example: diffusionad report lot out/verdicts.jsonl --bundle runs/part/bundle --labels sample.csv --out certificate

    Args:
        verdicts: File verdicts.jsonl that `predict` wrote, in the order in which the pictures were taken.
        out: Folder for certificate.html and lot.json.
        bundle: The bundle that judged; needed for the recheck list and for drift.
        labels: CSV with the columns path and label (good, or a kind of defect) for some or all pictures.
        cost_overkill: What a good part costs that is rejected, in any currency.
        cost_escape: What a defective part costs that is passed.
        defective: Share of defective parts that the line makes, such as 1/500; else that among the labels.
        false_discoveries: Expected share of good pictures in the recheck list, at most.
        name: Heading, such as "Lot 4711".
        json: Print one JSON object instead of text.
    """
    screen = Screen(json)
    if (cost_overkill is None) != (cost_escape is None):
        raise UsageError("A cost curve needs both --cost-overkill and --cost-escape.")
    prices = None
    if cost_overkill is not None and cost_escape is not None:
        prices = Prices(cost_overkill, cost_escape, None if defective is None else share(defective))
    judged = [verdict for verdict, _ in read_verdicts(verdicts)]
    opened = None if bundle is None else load_bundle(bundle)
    if opened is not None:
        _check_same(judged, opened, verdicts)
    found = examine_lot(
        judged,
        {} if labels is None else read_labels(labels, judged),
        opened.calibration if opened else None,
        prices=prices,
        false_discoveries=share(false_discoveries),
    )
    page = Certificate(
        name or f"Lot of {verdicts.resolve().parent.name}",
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        found,
        _promise(judged, opened),
        _provenance(judged, opened, verdicts, labels),
    )
    write_certificate(out / "certificate.html", page)
    write_json(out / "lot.json", lot_record(page))
    _show(screen, found)
    screen.say(f"Certificate: {out / 'certificate.html'}")
    screen.result(lot_record(page))
    alarm = found.drift is not None and bool(found.drift.alarms)
    return 3 if found.counts["error"] else 1 if alarm else 0


def _show(screen: Screen, found: Lot) -> None:
    counts = ", ".join(f"{count} {word}" for word, count in found.counts.items())
    screen.say(f"{len(found.verdicts)} pictures: {counts}.")
    for word, count in (("Overkill", found.overkill), ("Escape", found.escapes)):
        screen.say(f"{word}: {f'{count[0]} of {count[1]}, ' if count[1] else ''}{rate(count)}.")
    if found.costs is not None:
        stored = found.costs.stored
        now = f"{stored.cost:,.2f} at this threshold, " if stored else ""
        screen.say(f"1,000 parts cost {now}{found.costs.cheapest.cost:,.2f} at {found.costs.cheapest.threshold:.4f}.")
    if found.recheck is not None:
        screen.say(found.recheck.sentence())
    if found.drift is not None:
        names = ", ".join(alarm.name for alarm in found.drift.alarms)
        screen.say(f"Drift: alarm on {names}." if names else "Drift: no alarm.")
    for reason in found.silence.values():
        screen.say(f"left out: {reason}")


def _check_same(judged: list[Verdict], bundle: Bundle, verdicts: Path) -> None:
    others = {verdict.bundle for verdict in judged} - {bundle.key}
    if others:
        raise DataError(
            f"{verdicts} was judged by {min(others) or 'an unknown bundle'}, not by {bundle.folder} as it is now "
            f"({bundle.key}): give the bundle that judged, or judge anew.",
            code="data.other_bundle",
        )


def _promise(judged: list[Verdict], bundle: Bundle | None) -> str:
    own = bundle.calibration if bundle else None
    if own is not None and {verdict.threshold for verdict in judged} <= {
        one.threshold for one in (own, *own.groups.values())
    }:
        return own.sentence()
    shares = {verdict.promised for verdict in judged if verdict.verdict != "error"}
    if not shares or None in shares:
        return "The threshold of these verdicts promises nothing about false alarms."
    worst = max(value for value in shares if value is not None)
    return (
        f"At most {worst:.2%} of good pictures are called anomalous, as long as they are taken like the calibration's."
    )


def _provenance(judged: list[Verdict], bundle: Bundle | None, verdicts: Path, labels: Path | None) -> dict[str, str]:
    thresholds = Counter(verdict.threshold for verdict in judged)
    runtimes = sorted(
        {f"{r.runtime}, {r.processor}, {r.threads} threads" for r in (v.runtime for v in judged) if r is not None}
    )
    told = {
        "Verdicts": f"{verdicts.resolve()}, sha256 {file_hash(verdicts)}",
        "Bundle that judged": ", ".join(sorted({verdict.bundle for verdict in judged} - {""})) or "not recorded",
        "Thresholds": ", ".join("none" if t is None else f"{t!r} ({n} pictures)" for t, n in thresholds.items()),
        "Region filter": ", ".join(sorted({v.region_filter for v in judged if v.region_filter})) or "none: all count",
        "Ran on": "; ".join(runtimes) or "not recorded",
        "Labels": f"{labels.resolve()}, sha256 {file_hash(labels)}" if labels else "none",
    }
    if bundle is not None:
        origin, own = bundle.origin, bundle.calibration
        told |= {
            "Bundle": f"{bundle.folder.resolve()}, network sha256 {file_hash(bundle.network)}, "
            f"diffusionad {bundle.version}",
            "Training": f"{origin.trained} good pictures of {origin.category} from {origin.data}, seed "
            f"{bundle.config.seed}, {origin.images} images seen in {origin.seconds:.0f} s on {origin.device}",
            "Calibration set": "none"
            if own is None
            else f"{own.n} good pictures, sessions: {', '.join(sorted(set(own.sessions))) or 'not recorded'}; rule "
            f"{own.rule}, asked for {own.requested:g}; sha256 of the scores' file "
            f"{file_hash(bundle.folder / 'calibration.json')}",
        }
    return told | {"Certificate made with": f"diffusionad {__version__}"}
