"""Judging stored verdicts anew gives what judging the pictures anew would have given."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffusionad import Inspector, Verdict
from diffusionad.errors import DataError, UsageError
from diffusionad.prediction import predict
from diffusionad.region_filter import RegionFilter
from diffusionad.rejudging import rejudge
from diffusionad.report.exports import parse_formats, write_exports
from diffusionad.report.records import as_record, from_record, read_verdicts
from diffusionad.scoring import settled
from diffusionad.structures import Region

FILTER = "area > 60 and peak > 0.5"


@pytest.fixture(scope="module")
def judged(trained: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("judged")
    broken = out / "broken.png"
    broken.write_bytes(b"")
    paths = [*sorted((data / "test").rglob("*.png")), broken]
    inspector = Inspector.load(trained / "bundle", scale=0.1)
    predict(inspector, iter(paths), out, overlays=False, maps=True, reconstructions=True)
    return out / "verdicts.jsonl"


def without_time(verdict: Verdict) -> dict[str, object]:
    return {**as_record(verdict), "milliseconds": 0}


def test_a_line_comes_back_as_the_verdict(judged: Path, trained: Path) -> None:
    inspector = Inspector.load(trained / "bundle", scale=0.1)
    for verdict, _ in read_verdicts(judged):
        assert without_time(verdict) == without_time(inspector(verdict.path))
        assert verdict.bundle == inspector.bundle.key
        assert verdict.runtime is not None
        assert verdict.runtime.runtime.startswith("onnxruntime ")
        for region in as_record(verdict)["regions"]:
            assert region["area_mm2"] == pytest.approx(region["area"] * 0.01)


def test_maps_and_reconstructions_lie_beside_as_the_line_says(judged: Path, trained: Path) -> None:
    inspector = Inspector.load(trained / "bundle")
    for verdict, files in [*read_verdicts(judged)][::5]:
        found = inspector(verdict.path)
        if found.reconstruction is None or found.anomaly_map is None:
            assert files == {"map": None, "reconstruction": None}
            continue
        with Image.open(judged.parent / str(files["reconstruction"])) as kept:
            assert np.array_equal(np.asarray(kept), found.reconstruction)
        assert np.array_equal(np.load(judged.parent / str(files["map"])), found.anomaly_map)


def test_a_filter_does_not_pass_a_picture_whose_regions_are_not_all_known() -> None:
    small = Region((0, 0, 2, 2), 4, 0.9)
    seen = Verdict("a", "review", 0.8, None, 0.1, (), (99, 99), 1.0, regions_left_out=3)
    strict = RegionFilter.parse("area > 20")
    assert settled(seen, 0.5, (small,), strict).verdict == "review"
    assert settled(seen, 0.5, (small,), None).verdict == "anomalous"
    assert settled(replace(seen, regions_left_out=0), 0.5, (small,), strict).verdict == "good"
    assert settled(seen, 0.85, (), strict).regions_left_out == 0


@pytest.mark.parametrize("region_filter", [None, FILTER])
@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
def test_another_threshold_and_filter_give_what_the_network_would(
    judged: Path, trained: Path, tmp_path: Path, region_filter: str | None, quantile: float
) -> None:
    scores = [verdict.score for verdict, _ in read_verdicts(judged) if not math.isnan(verdict.score)]
    threshold = float(np.quantile(scores, quantile))
    chosen = RegionFilter.parse(region_filter) if region_filter else None
    inspector = Inspector.load(trained / "bundle", scale=0.1, region_filter=chosen)
    assert inspector.bundle.calibration is not None
    changed = replace(inspector.bundle.calibration, threshold=threshold)
    inspector.bundle = replace(inspector.bundle, calibration=changed)
    out = judged.with_name("anew.jsonl")
    counts, _ = rejudge(judged, out, threshold=threshold, region_filter=chosen, calibration=changed)
    anew = [verdict for verdict, _ in read_verdicts(out)]
    assert counts.total == len(anew) == 13
    for verdict in anew:
        known = without_time(inspector(verdict.path))
        if verdict.verdict != "error":
            known["promised"] = (sum(s > threshold for s in changed.scores) + 1) / (changed.n + 1)
            known["promised"] = known["promised"] if changed.promised is not None else None
        got = without_time(verdict)
        if verdict.verdict == "error":
            known |= {"threshold": got["threshold"], "scale": got["scale"]}
        assert got == known


def test_a_picture_without_a_region_that_counts_is_good_and_the_regions_are_kept(judged: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.jsonl"
    before = {verdict.path: verdict for verdict, _ in read_verdicts(judged)}
    counts, changed = rejudge(judged, out, region_filter=RegionFilter.parse("peak > 1"))
    assert counts.anomalous == 0
    assert changed == sum(verdict.verdict == "anomalous" for verdict in before.values()) > 0
    for verdict, _ in read_verdicts(out):
        assert verdict.dropped == before[verdict.path].regions
    again, _ = rejudge(out, tmp_path / "again.jsonl")
    assert again.anomalous == changed


def test_regions_that_are_not_known_are_not_guessed(judged: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) | {"map": None} for line in judged.read_text().splitlines()]
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match="--maps"):
        rejudge(bare, tmp_path / "out.jsonl", threshold=0.0, region_filter=RegionFilter.parse(FILTER))
    assert not (tmp_path / "out.jsonl").exists()
    counts, _ = rejudge(bare, tmp_path / "out.jsonl", threshold=0.0)  # verdicts need scores only
    assert counts.anomalous == 12
    rejudge(bare, tmp_path / "same.jsonl", region_filter=RegionFilter.parse(FILTER))


@pytest.mark.parametrize(
    "harm",
    [
        "not json",
        "[]",
        '{"verdict": "good"}',
        "cut",
        '{"path": "a", "verdict": "fine", "score": 0.1}',
        "nan",
        "map",
        "outside",
    ],
)
def test_lines_that_are_no_verdicts_are_named(judged: Path, tmp_path: Path, harm: str) -> None:
    lines = judged.read_text().splitlines()
    anomalous = next(line for line in lines if json.loads(line)["verdict"] == "anomalous")
    changed = {
        "cut": anomalous[:-20],
        "nan": json.dumps(json.loads(anomalous) | {"score": float("nan")}),
        "map": json.dumps(json.loads(anomalous) | {"map": "maps/none.npy"}),
        "outside": json.dumps(json.loads(anomalous) | {"map": "../../x.npy"}),
    }
    path = tmp_path / "verdicts.jsonl"
    path.write_text(changed.get(harm, harm) + "\n")
    with pytest.raises(DataError) as refused:
        rejudge(path, tmp_path / "out.jsonl")
    assert ("x.npy" in str(refused.value)) if harm == "outside" else ("map" in harm or "Line 1" in str(refused.value))
    assert not (tmp_path / "out.jsonl").exists()


def test_other_programs_get_the_same_numbers(judged: Path) -> None:
    verdicts = [verdict for verdict, _ in read_verdicts(judged)]
    csv_file, coco_file = write_exports(judged, parse_formats("csv, coco"))
    with csv_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["verdict"] for row in rows] == [verdict.verdict for verdict in verdicts]
    assert [row["score"] for row in rows] == ["" if v.verdict == "error" else repr(v.score) for v in verdicts]
    coco = json.loads(coco_file.read_text())
    assert len(coco["images"]) == len(verdicts) - 1
    by_picture = {image["id"]: image["file_name"] for image in coco["images"]}
    for verdict in verdicts:
        found = [item for item in coco["annotations"] if by_picture[item["image_id"]] == verdict.path]
        assert [(tuple(item["bbox"]), item["area"], item["score"]) for item in found] == [
            (region.box, region.area, region.peak) for region in verdict.regions
        ]
    assert [item["id"] for item in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))


def test_parquet_holds_every_field(judged: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    (path,) = write_exports(judged, parse_formats("parquet"))
    rows = parquet.read_table(path).to_pylist()
    for row, (verdict, _) in zip(rows, read_verdicts(judged), strict=True):
        record = as_record(verdict)
        row = {**row, "conditions": dict(row["conditions"]), "runtime": row["runtime"] and json.loads(row["runtime"])}
        nearest = {"name": row["nearest"], "difference": row.pop("difference")}
        row["nearest"] = nearest if nearest["name"] is not None else None
        assert row == {name: value for name, value in record.items() if name not in ("map", "reconstruction")}


def test_names_of_formats_are_checked_before_any_picture_is_judged() -> None:
    with pytest.raises(UsageError, match="coco, csv, parquet"):
        parse_formats("csv,xml")
    assert parse_formats("") == ()


def test_earlier_versions_of_a_line_are_read() -> None:
    stored = {"path": "a", "verdict": "good", "score": 0.1, "threshold": None, "p_value": None, "regions": []}
    stored |= {"native_size": [9, 8], "milliseconds": 1, "error_code": None, "error": None}
    assert from_record(stored).score == 0.1
