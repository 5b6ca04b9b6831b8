"""Lots: figures against an independent count, drift and recheck lists as calibration says them, a page that is safe."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusionad.calibration import Calibration, calibrate, recheck
from diffusionad.cli.app import main
from diffusionad.errors import DataError, UsageError
from diffusionad.lot import Lot, Prices, examine_lot, read_labels
from diffusionad.metrics.counts import clopper_pearson
from diffusionad.report.certificate import Certificate, lot_record, write_certificate
from diffusionad.report.records import as_record
from diffusionad.structures import GOOD, Verdict

RNG = np.random.default_rng(3)
SCORES = RNG.beta(2, 8, 200)
LIGHT = RNG.normal(0.5, 0.01, 200)
KNOWN: Calibration = calibrate(SCORES.tolist(), 0.02, conditions={"brightness": LIGHT.tolist()})


def judged(path: str, score: float, brightness: float = 0.5, said: str | None = None) -> Verdict:
    verdict = said or KNOWN.judge(score)
    known = {"conditions": {"brightness": brightness}, "promised": KNOWN.promised}
    return Verdict(path, verdict, score, KNOWN.threshold, KNOWN.p_value(score), (), (8, 8), 1.0, **known)  # type: ignore[arg-type]


def broken(path: str) -> Verdict:
    return Verdict(
        path, "error", math.nan, KNOWN.threshold, None, (), (0, 0), 0.0, error_code="picture.truncated", error="cut"
    )


def stream(seed: int, n: int, shift_from: int | None = None) -> list[Verdict]:
    """Good pictures taken as the calibration's; from `shift_from` on it is lighter."""
    rng = np.random.default_rng(seed)
    lights = rng.normal(0.5, 0.01, n)
    if shift_from is not None:
        lights[shift_from:] += 0.02
    return [
        judged(f"{i}.png", score, light) for i, (score, light) in enumerate(zip(rng.beta(2, 8, n), lights, strict=True))
    ]


def with_defects() -> tuple[list[Verdict], dict[int, str]]:
    rng = np.random.default_rng(5)
    scores = [*rng.beta(2, 8, 150), *rng.beta(6, 6, 50)]
    verdicts = [judged(f"{i}.png", score) for i, score in enumerate(scores)]
    return verdicts, {i: GOOD if i < 150 else "dent" for i in range(200)}


def test_counts_and_mistakes_are_those_of_the_verdicts() -> None:
    verdicts, labels = with_defects()
    verdicts = [*verdicts, broken("x.png"), replace(verdicts[0], verdict="review")]
    labels |= {200: GOOD, 201: GOOD}
    lot = examine_lot(verdicts, labels, KNOWN)
    rejected = [v.path for v in verdicts[:150] if v.score > KNOWN.threshold]
    passed = [v.path for v in verdicts[150:200] if v.score <= KNOWN.threshold]
    assert rejected
    assert passed
    assert lot.overkill == (len(rejected), 151)  # the review counts among the good, the broken one nowhere
    assert lot.escapes == (len(passed), 50)
    assert sorted(path for path, _, _ in lot.mistakes) == sorted([*rejected, *passed])
    assert sum(lot.counts.values()) == 202
    assert lot.counts["error"] == lot.counts["review"] == 1
    assert lot.fair


def test_labels_drawn_from_the_rejected_do_not_speak_for_the_lot() -> None:
    verdicts, labels = with_defects()
    only = {i: label for i, label in labels.items() if verdicts[i].verdict == "anomalous"}
    assert not examine_lot(verdicts, only, KNOWN).fair


def test_the_cost_curve_is_what_each_threshold_would_have_cost() -> None:
    verdicts, labels = with_defects()
    costs = examine_lot(verdicts, labels, KNOWN, prices=Prices(2.0, 30.0, 0.05)).costs
    assert costs is not None
    good, bad = np.array([v.score for v in verdicts[:150]]), np.array([v.score for v in verdicts[150:]])

    def paid(cut: float) -> float:
        return 1000 * (0.95 * 2.0 * float((good > cut).mean()) + 0.05 * 30.0 * float((bad <= cut).mean()))

    for point in [*costs.points, costs.cheapest]:
        assert point.cost == pytest.approx(paid(point.threshold))
    assert costs.stored is not None
    assert costs.stored.cost == pytest.approx(paid(KNOWN.threshold))
    assert costs.cheapest.cost == pytest.approx(min(paid(cut) for cut in np.linspace(0, 1, 5001)), rel=0.02)
    assert costs.cheapest.cost <= min(paid(cut) for cut in np.linspace(0, 1, 5001)) + 1e-9
    labelled = examine_lot(verdicts, labels, KNOWN, prices=Prices(2.0, 30.0)).costs
    assert labelled is not None
    assert labelled.defective == pytest.approx(0.25)


def test_the_recheck_list_is_that_of_the_p_values() -> None:
    verdicts, _ = with_defects()
    lot = examine_lot([broken("x.png"), *verdicts], {}, KNOWN, false_discoveries=0.2)
    assert lot.recheck is not None
    expected = recheck([v.p_value or 1 for v in verdicts], 0.2, KNOWN.n)
    assert expected.chosen
    assert [lot.verdicts[i].path for i in lot.recheck.chosen] == [verdicts[i].path for i in expected.chosen]
    few = examine_lot([judged("odd.png", 0.99), *stream(1, 2000)], {}, KNOWN, false_discoveries=0.01)
    assert few.recheck is None
    assert "more)" in few.silence["recheck"]


def test_drift_names_its_cause_and_the_picture_at_which_it_was_told() -> None:
    verdicts = stream(2, 600, shift_from=200)
    mixed = [
        one for i, good in enumerate(verdicts) for one in ([judged(f"bad{i}", 0.9), good] if i % 10 == 0 else [good])
    ]
    lot = examine_lot(mixed, {}, KNOWN)
    assert lot.drift is not None
    assert [alarm.name for alarm in lot.drift.alarms] == ["brightness"]
    alarm = lot.drift.alarms[0]
    assert alarm.rising
    assert mixed.index(verdicts[200]) <= alarm.place < mixed.index(verdicts[500])


def test_a_lot_with_defects_and_no_drift_seldom_alarms() -> None:
    alarms = 0
    for seed in range(100):
        lot = examine_lot([judged("bad", 0.95), *stream(seed + 10, 80), judged("bad", 0.9)], {}, KNOWN)
        assert lot.drift is not None
        alarms += bool(lot.drift.alarms)
    assert alarms <= 5  # at most 1 % of lots: more than 5 of 100 has a chance below 0.001


@pytest.mark.parametrize(
    "prices", [Prices(-1, 1), Prices(math.nan, 1), Prices(1, math.inf), Prices(1, 1, 0.0), Prices(1, 1, 1.0)]
)
def test_prices_that_cannot_be_are_refused(prices: Prices) -> None:
    with pytest.raises(UsageError):
        examine_lot(stream(0, 3), {}, None, prices=prices)


def test_an_empty_lot_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        examine_lot([], {}, None)


def test_labels_name_pictures_by_path_or_by_a_name_that_is_one_picture(tmp_path: Path) -> None:
    verdicts = [judged("a/1.png", 0.1), judged("b/1.png", 0.1), judged("b/2.png", 0.1)]
    table = tmp_path / "labels.csv"
    table.write_text("\ufeffpath,label,who\nb/1.png,OK,me\n2.png,dent,me\n", encoding="utf-8")
    assert read_labels(table, verdicts) == {1: GOOD, 2: "dent"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\n1.png,good\n", "names 2 pictures"),
        ("path,label\n9.png,good\n", "names 0 pictures"),
        ("path,label\n2.png,\n", "no label"),
        ("path,label\n2.png,good\nb/2.png,dent\n", "second time"),
        ("file,label\n2.png,good\n", "path and label are needed"),
        ("", "path and label are needed"),
    ],
)
def test_labels_that_cannot_be_are_refused(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_labels(table, [judged("a/1.png", 0.1), judged("b/1.png", 0.1), judged("b/2.png", 0.1)])
    assert caught.value.code == "data.labels"


def a_page(lot: Lot) -> Certificate:
    return Certificate("Lot <1> & more", "now", lot, KNOWN.sentence(), {"Seed": "7"})


def test_the_page_says_the_bounds_and_lets_no_name_become_markup(
    tmp_path: Path, browse: Callable[[Path, str], dict[str, Any]]
) -> None:
    verdicts, labels = with_defects()
    verdicts = [replace(verdicts[0], path="<script>alert(1)</script>.png", score=0.99, p_value=KNOWN.p_value(0.99),
                        verdict="anomalous"), *verdicts[1:], *stream(4, 1800), broken("\u202egnp.exe")]  # fmt: skip
    lot = examine_lot(verdicts, labels, KNOWN, prices=Prices(2.0, 30.0), false_discoveries=0.5)
    path = tmp_path / "certificate.html"
    write_certificate(path, a_page(lot))
    seen = browse(
        path,
        """const part = (id) => document.querySelector(`section[aria-labelledby="${id}"]`);
        const text = (id) => part(id).innerText.replace(/\\s+/g, " ");
        return { scripts: document.scripts.length, rates: text("h-rates"), counts: text("h-counts"),
          unjudged: text("h-unjudged"), wrong: part("h-mistakes").querySelectorAll("tbody tr").length,
          first: text("h-mistakes"), lowest: document.querySelectorAll("circle.lowest").length,
          links: [...document.links].every((link) => document.getElementById(link.hash.slice(1))) };""",
    )
    low, high = clopper_pearson(*lot.escapes)
    assert seen["scripts"] == 1  # the probe's own
    assert f"true rate {low:.1%} to {high:.1%}" in seen["rates"]
    assert f"{lot.escapes[0]} of {lot.escapes[1]}" in seen["rates"]
    assert seen["counts"].startswith("Verdicts on 2001 pictures")
    assert "\\u202egnp.exe" in seen["unjudged"]
    assert seen["wrong"] == len(lot.mistakes)
    assert "<script>alert(1)</script>.png" in seen["first"]
    assert seen["lowest"] == 1
    assert seen["links"]
    assert path.stat().st_size < 1_000_000


def test_the_record_is_json_and_holds_what_the_page_says() -> None:
    verdicts, labels = with_defects()
    lot = examine_lot(verdicts, labels, KNOWN, prices=Prices(2.0, 30.0))
    record = json.loads(json.dumps(lot_record(a_page(lot)), allow_nan=False))
    low, high = clopper_pearson(*lot.overkill)
    assert record["overkill"] == {"count": lot.overkill[0], "of": 150, "low": low, "high": high, "sure": 0.95}
    assert len(record["mistakes"]) == len(lot.mistakes)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_report_lot_certifies_what_predict_wrote(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(trained / "bundle")
    run("predict", bundle, str(data / "test"), "--out", str(tmp_path), "--no-overlays")
    labels = tmp_path / "labels.csv"
    rows = [f"{path},{path.parent.name}" for path in sorted((data / "test").rglob("*.png"))]
    labels.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    capsys.readouterr()
    lot = ["report", "lot", str(tmp_path / "verdicts.jsonl"), "--out", str(tmp_path / "lot"), "--json"]
    code = run(*lot, "--bundle", bundle, "--labels", str(labels), "--cost-overkill", "1", "--cost-escape", "9")
    record = json.loads(capsys.readouterr().out)
    assert code in (0, 1)
    assert record == json.loads((tmp_path / "lot" / "lot.json").read_text())
    assert sum(record["counts"].values()) == record["overkill"]["of"] + record["escapes"]["of"] == 12
    assert "seed 0" in record["provenance"]["Training"]
    assert "sha256" in record["provenance"]["Calibration set"]
    line = json.loads((tmp_path / "verdicts.jsonl").read_text().splitlines()[0])
    (tmp_path / "verdicts.jsonl").write_text(json.dumps(line | {"bundle": "other"}) + "\n")
    assert run(*lot, "--bundle", bundle) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "data.other_bundle"


def test_one_price_alone_is_wrong_use(tmp_path: Path) -> None:
    lines = tmp_path / "verdicts.jsonl"
    lines.write_text(json.dumps(as_record(judged("1.png", 0.1))) + "\n")
    assert run("report", "lot", str(lines), "--out", str(tmp_path), "--cost-escape", "9") == 2
