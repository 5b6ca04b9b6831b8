from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from diffusionad.report.charts import BOTTOM, TOP, histogram, roc
from diffusionad.report.gallery import BYTES, ROWS, THUMBNAIL_BYTES, THUMBNAILS, Gallery, _thumbnail
from diffusionad.report.html import fraction, rate, render, write_report
from diffusionad.report.page import Card, KindRow, Page

HOSTILE = '</script><script>alert(\'x\')</script>"><img src=http://x onerror="a()"> {{ 7*7 }}\n\u202egnp\udcff.png'

PICTURE = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)


def a_card(score: float, *, defect: str = "good", verdict: str = "good", path: str = "a.png") -> Card:
    mask = None if defect == "good" else np.eye(16, dtype=bool)
    anomaly_map = np.full((16, 16), score, np.float32)
    return Card(path, defect, verdict, score, 0.25, PICTURE, PICTURE, anomaly_map, mask)  # type: ignore[arg-type]


def a_page(**changes: object) -> Page:
    page = Page(
        title="Flange",
        bundle="flange.bundle",
        data="data/flange",
        made="2026-01-02 03:04",
        figures={"image_auroc": 0.98765, "pixel_auroc": None, "aupro": 0.9996},
        threshold=0.5,
        promise="At most 5 % of good parts are rejected.",
        overkill=(1, 20),
        escapes=(0, 0),
        unjudged=(),
        kinds=[KindRow("scratch", 7, 0.9, None, 0.5, 1)],
        scores={"good": [0.1, 0.2, 0.6], "scratch": [0.4, 0.9]},
        provenance={"Settings": "seed = 0"},
    )
    return replace(page, **changes)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(page: Page, cards: Sequence[Card] = (), **gallery: object) -> Reader:
    kept = Gallery(threshold=page.threshold, **gallery)  # type: ignore[arg-type]
    for card in cards:
        kept.add(card)
    return Reader(render(page, kept))


def test_hostile_text_stays_text_everywhere(tmp_path: Path) -> None:
    page = a_page(
        **dict.fromkeys(("title", "bundle", "data", "made", "promise"), HOSTILE),
        figures={HOSTILE: 0.5},
        unjudged=[(HOSTILE, HOSTILE)],
        kinds=[KindRow(HOSTILE, 1, None, None, None, None)],
        provenance={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
    )
    gallery = Gallery(threshold=0.5, map_threshold=0.2)
    gallery.add(replace(a_card(0.3, path=HOSTILE), defect=HOSTILE, verdict=HOSTILE))  # type: ignore[arg-type]
    write_report(tmp_path / "report.html", page, gallery)
    found = Reader((tmp_path / "report.html").read_bytes().decode("utf-8"))
    plain = read(a_page(unjudged=[("a", "b")], versions={"a": "b"}), [a_card(0.3)], map_threshold=0.2)
    assert len(found.named("script")) == len(plain.named("script")) == 2
    assert not any(tag.get("src") for tag in found.named("img"))
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags}
    for _, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/webp;base64,"))
    shown = "".join(found.words)
    assert shown.count("<img src=http://x onerror=") >= 10
    content = json.loads(next(words for words in found.words if words.startswith('{"threshold"')))
    assert content["rows"][0]["path"].startswith("</script><script>alert('x')")
    assert "{{ 7*7 }}" in shown
    assert "\\n\\u202egnp\\udcff.png" in shown
    assert "\u202e" not in shown


def test_page_asks_nothing_of_the_network() -> None:
    page = read(a_page(), [a_card(0.4)])
    policy = next(tag["content"] for tag in page.named("meta") if "http-equiv" in tag)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    assert not page.named("link")
    text = render(a_page(), Gallery(threshold=0.5))
    assert "://" not in text
    assert "fetch(" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_every_id_is_there_once_and_every_reference_meets_one() -> None:
    page = read(a_page(), [a_card(0.4), a_card(0.6, defect="scratch", verdict="anomalous")])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "aria-labelledby"):
            value = attributes.get(name) or ""
            if value and not value.startswith("data:"):
                assert value.removeprefix("#") in ids


def test_what_is_unknown_is_said() -> None:
    words = " ".join("".join(read(a_page()).words).split())
    assert "Pixel AUROC not measured" in words
    assert "Pixel AP not measured" in words
    assert "AUPRO 0.999" in words
    assert "Escape defects passed not measured" in words
    assert "1 of 20" in words
    uncalibrated = " ".join("".join(read(a_page(threshold=None), [a_card(0.2)]).words).split())
    assert "not calibrated" in uncalibrated
    empty = " ".join("".join(read(a_page(scores={}, kinds=[], provenance={})).words).split())
    assert "good (0)" in empty
    assert "needs good and defective pictures" in empty


def test_fractions_are_cut_not_rounded() -> None:
    assert fraction(0.99999) == "0.999"
    assert fraction(0.57) == "0.570"
    assert fraction(1.0) == "1.000"
    assert fraction(None) == fraction(float("nan")) == "not measured"


def test_rate_has_the_exact_range() -> None:
    assert rate((0, 20)) == "0.0%, true rate 0.0% to 16.8% (95 % sure)"
    assert rate((5, 50)) == "10.0%, true rate 3.3% to 21.8% (95 % sure)"


def test_histogram_counts_every_picture_once() -> None:
    rng = np.random.default_rng(1)
    good, defective = rng.beta(1, 20, 300).tolist(), rng.beta(5, 2, 77).tolist()
    chart = histogram(good, [*defective, float("nan")], 0.3)
    assert chart is not None
    assert sum(bar.count for bar in chart.good) == 300
    assert sum(bar.count for bar in chart.defective) == 77
    for bar in (*chart.good, *chart.defective):
        assert bar.y >= TOP - 0.2
        assert bar.y + bar.height <= BOTTOM + 2.2
    drawn = read(a_page(scores={"good": good, "scratch": defective}, threshold=0.3)).named("rect")
    assert sum(int(bar["data-count"] or 0) for bar in drawn) == 377


@pytest.mark.parametrize("scores", [[0.0], [1e-9, 2e-9], [1.0] * 5, [0.003, 0.0031]])
def test_histogram_of_narrow_scores(scores: list[float]) -> None:
    chart = histogram(scores, [], None)
    assert chart is not None
    assert sum(bar.count for bar in chart.good) == len(scores)
    assert len(chart.x_ticks) >= 2


def test_roc_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(2)
    good, defective = rng.normal(0.3, 0.1, 60).round(2), rng.normal(0.45, 0.1, 40).round(2)
    chart = roc(good.tolist(), defective.tolist(), 0.4)
    assert chart is not None
    points = np.array([[float(side) for side in point.split(",")] for point in chart.line.split()])
    points = (points - points[0]) / (points[-1] - points[0])
    area = float(np.sum(np.diff(points[:, 0]) * (points[1:, 1] + points[:-1, 1]) / 2))
    pairs = (defective[:, None] > good).mean() + (defective[:, None] == good).mean() / 2
    assert area == pytest.approx(pairs, abs=2e-3)
    assert roc([0.1], [], 0.4) is None


def test_gallery_keeps_mistakes_then_the_nearest() -> None:
    gallery = Gallery(4, threshold=0.5)
    scores = np.random.default_rng(3).permutation(np.linspace(0.0, 0.49, 40))
    for index, score in enumerate(scores):
        gallery.add(a_card(float(score), path=f"calm-{score:.3f}"))
        if index == 11:
            gallery.add(a_card(0.01, defect="crack", path="missed"))
        if index == 30:
            gallery.add(a_card(0.99, verdict="anomalous", path="alarm"))
    tiles = [row for row in gallery.rows() if row.tile]
    near = [f"calm-{score:.3f}" for score in sorted(scores)[-2:]]
    assert [tile.path for tile in tiles] == [near[1], near[0], *sorted(["missed", "alarm"], reverse=True)]
    assert [tile.mistake for tile in tiles if tile.mistake] == ["missed defect", "false alarm"]
    assert gallery.seen == len(gallery.rows()) == 42
    assert all(bool(row.thumbnail) != bool(row.tile) for row in gallery.rows())


def test_gallery_without_threshold_keeps_the_highest_scores() -> None:
    gallery = Gallery(2, threshold=None)
    for score in (0.2, 0.9, float("nan"), 0.4):
        gallery.add(a_card(score, verdict="review"))
    assert [row.score for row in gallery.rows() if row.tile] == [0.9, 0.4]


def test_mistakes_of_review_are_none() -> None:
    gallery = Gallery(threshold=0.5)
    gallery.add(a_card(0.6, defect="crack", verdict="review"))
    gallery.add(a_card(0.6, verdict="review"))
    assert [row.mistake for row in gallery.rows()] == [None, None]


def test_the_worst_picture_stays_within_its_share_of_20_megabytes() -> None:
    noise = np.random.default_rng(4).integers(0, 255, (700, 640, 3), dtype=np.uint8)
    anomaly_map = np.random.default_rng(5).random((700, 640), dtype=np.float32)
    gallery = Gallery(60, threshold=0.5, map_threshold=0.5)
    gallery.add(Card("noise", "crack", "good", 0.2, None, noise, noise, anomaly_map, anomaly_map > 0.9))
    small = _thumbnail(Card("noise", "crack", "good", 0.2, None, noise, noise, anomaly_map, None))
    assert len(small) <= THUMBNAIL_BYTES * 4 / 3 + 200
    (row,) = gallery.rows()
    tile = row.tile
    assert tile is not None
    uris = (tile.picture, tile.reconstruction, tile.heat, tile.found_outline or "", tile.true_outline or "")
    assert sum(map(len, uris)) <= BYTES / 60 * 4 / 3 + 200
    frame = len(render(a_page(provenance={"long": "x" * 3_000_000}), Gallery(threshold=0.5)))
    line = 700  # of a listed picture without its thumbnail: a long name, three regions
    assert frame + (BYTES + THUMBNAILS * THUMBNAIL_BYTES) * 4 / 3 + ROWS * line * 0.25 < 20_000_000


def test_a_gallery_of_another_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.4"):
        render(a_page(), Gallery(threshold=0.4))
    with pytest.raises(ValueError):
        Gallery(0, threshold=None)
