"""The evaluation page in a real browser: it judges anew as Python does, and 2,000 pictures do not freeze it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusionad.calibration import calibrate
from diffusionad.metrics.counts import clopper_pearson
from diffusionad.report.gallery import Gallery
from diffusionad.report.html import write_report
from diffusionad.report.page import Card, KindRow, Page

CUT = 0.3

LOOK = """
const text = (id) => document.getElementById(id).innerText.replace(/\\s+/g, " ");
const look = () => ({ overkill: text("overkill"), escapes: text("escapes"), promise: text("promise"),
  shift: text("shift-overkill"), missed: document.querySelector("td[data-kind]").textContent,
  position: text("position"),
  cards: document.querySelectorAll("#cards > li").length, first: document.querySelector("#cards .path").textContent,
  wrong: document.querySelectorAll("#cards .mistake").length, images: document.images.length });
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    rng = np.random.default_rng(0)
    good, bad, known = rng.beta(2, 8, 1500), rng.beta(6, 4, 500), np.sort(rng.beta(2, 8, 80))
    threshold = 0.5
    gallery = Gallery(threshold=threshold, map_threshold=threshold)
    picture, truth = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8), np.eye(24, dtype=bool)
    for kind, scores in (("good", good), ("scratch", bad)):
        for number, score in enumerate(scores.tolist()):
            said = "anomalous" if score > threshold else "good"
            heat = np.full((24, 24), score, np.float32)
            mask = None if kind == "good" else truth
            gallery.add(Card(f"{kind}/{number}", kind, said, score, 0.5, picture, picture, heat, mask))  # type: ignore[arg-type]
    missed = int((bad <= threshold).sum())
    shown = Page(
        title="Many",
        bundle="b",
        data="d",
        made="now",
        figures={},
        threshold=threshold,
        promise="stored promise",
        overkill=(int((good > threshold).sum()), 1500),
        escapes=(missed, 500),
        unjudged=(),
        kinds=[KindRow("scratch", 500, None, None, None, missed)],
        scores={"good": good.tolist(), "scratch": bad.tolist()},
        provenance={},
        calibration=known.tolist(),
        pro=[(0.0, 0.0), (0.1, 0.8), (0.3, 1.0)],
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, shown, gallery)
    return path, shown


def test_moving_the_threshold_judges_anew_as_python_does(
    page: tuple[Path, Page], browse: Callable[[Path, str], dict[str, Any]]
) -> None:
    path, shown = page
    assert path.stat().st_size < 20_000_000
    body = (
        LOOK
        + f"""
        const before = look(), field = document.getElementById("cut-number"), begun = performance.now();
        field.value = "{CUT}"; field.dispatchEvent(new Event("change")); await wait(100);
        const moved = look();
        document.getElementById("next").click(); await wait(20);
        const second = look();
        document.body.dispatchEvent(new KeyboardEvent("keydown", {{ key: "p", bubbles: true }})); await wait(20);
        const back = look();
        const kind = document.getElementById("kind");
        kind.value = "wrong"; kind.dispatchEvent(new Event("change"));
        const wrong = look();
        document.getElementById("cut-back").click(); await wait(100);
        return {{ before, moved, second, back, wrong, last: look() }};
        """
    )
    seen = browse(path, body)
    good, bad = np.array(shown.scores["good"]), np.array(shown.scores["scratch"])
    rejected, passed = int((good > CUT).sum()), int((bad <= CUT).sum())
    low, high = clopper_pearson(rejected, 1500)
    assert seen["before"]["promise"] == "stored promise"
    assert f"{shown.overkill[0]} of 1500" in seen["before"]["overkill"]
    assert f"{rejected} of 1500" in seen["moved"]["overkill"]
    assert f"true rate {low:.1%} to {high:.1%}" in seen["moved"]["overkill"]
    assert f"{passed} of 500" in seen["moved"]["escapes"]
    assert seen["moved"]["missed"] == str(passed)
    assert seen["moved"]["shift"].startswith(f"{rejected / 1500 * 990:.0f} good parts rejected")
    allowed = sum(score > CUT for score in shown.calibration) + 1
    assert f"at most {allowed} in 81 good pictures" in seen["moved"]["promise"]
    assert allowed == round(calibrate(shown.calibration, 0.5).p_value(np.nextafter(CUT, 1)) * 81)
    for state in seen.values():
        assert state["cards"] == 12
        assert state["images"] < 40
    assert seen["second"]["position"] == "13 to 24 of 2000"
    assert seen["back"] == seen["moved"]
    assert seen["wrong"]["position"] == f"1 to 12 of {rejected + passed}"
    assert seen["wrong"]["wrong"] == 12
    assert seen["last"]["overkill"] == seen["before"]["overkill"]


def test_the_page_shows_the_nearest_picture_first(page: tuple[Path, Page]) -> None:
    text = page[0].read_text()
    assert '"rows":[{"path":"' in text
    assert "2000 of 2000 pictures are listed; 60 with all their pictures, 1940 with a thumbnail" in text
