"""A benchmark measures every method alike; what fails, hangs or answers nonsense is a row, and nothing is lost."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from diffusionad import Inspector
from diffusionad.benchmark import METHODS, NOT_RUN, Asked, Spec, parse_methods, run_benchmark
from diffusionad.benchmark.floors import Nearest, ZScore
from diffusionad.benchmark.methods import Settings
from diffusionad.benchmark.ours import Ours
from diffusionad.benchmark.page import write_page
from diffusionad.benchmark.ranking import Place, places
from diffusionad.benchmark.running import Row, folder_of, means
from diffusionad.bundle import load_bundle
from diffusionad.cli import main
from diffusionad.errors import UsageError
from diffusionad.files import alone_in
from diffusionad.metrics import auroc

ODD = """
import os, time
import numpy as np

class Knows:
    def __init__(self, settings):
        self.settings = settings
    def fit(self, pictures):
        self.count = len(pictures)
        (self.settings.out / "model.bin").write_bytes(bytes(2_000_000))
    def predict(self, path):
        bad = "bar" in str(path)
        found = np.full((32, 32), -5.0, np.float32)
        if bad:
            found[14:18, 8:24] = 900.0
        return (7.0 if bad else -3.0 + len(open(path, "rb").read()) % 97 / 100), found

class Raises(Knows):
    def fit(self, pictures):
        raise RuntimeError("the loss went away\\n  and more of it")

class Hangs(Knows):
    def fit(self, pictures):
        time.sleep(60)

class Sleeps(Knows):
    def fit(self, pictures):
        (self.settings.out / "pid").write_text(str(os.getpid()))
        time.sleep(60)

class Same(Knows):
    def predict(self, path):
        return 0.5, np.zeros((8, 8), np.float32)

class Dies(Knows):
    def fit(self, pictures):
        os.kill(os.getpid(), 9)

class Nonsense(Knows):
    def predict(self, path):
        return float("nan"), np.zeros((8, 8), np.float32)

class Holes(Knows):
    def predict(self, path):
        return super().predict(path)[0], np.full((8, 8), np.nan, np.float32)
"""


@pytest.fixture(scope="module", autouse=True)
def odd_methods(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("methods")
    (folder / "odd_methods.py").write_text(ODD)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def asked(data: Path, out: Path, *names: str, limit: float = 60.0) -> Asked:
    own = [name for name in names if ":" in name]
    methods = parse_methods([name for name in names if name not in own], own)
    return Asked([data], methods, out, limit_seconds=limit, size=(48, 48), results=out / "benchmark.csv")


def test_floors_and_anybodys_method_are_measured_by_the_same_figures(data: Path, tmp_path: Path) -> None:
    rows = {row.method: row for row in run_benchmark(asked(data, tmp_path, "zscore-64", "odd_methods:Knows"))}
    best, floor = rows["odd_methods:Knows"], rows["zscore-64"]
    assert (best.image_auroc, best.image_auroc_low, best.image_ap) == (1.0, 1.0, 1.0)
    assert (best.false_alarms, best.escapes) == ("0/6", "0/6")
    assert best.pixel_auroc is not None
    assert best.pixel_auroc > 0.7
    assert best.disk_mb == pytest.approx(2.0)
    assert floor.status == "measured"
    assert floor.image_auroc is not None
    assert floor.image_auroc_low is not None
    assert floor.image_auroc_low <= floor.image_auroc
    assert floor.peak_mb is not None
    assert floor.peak_mb > 10
    stored = list(csv.DictReader((tmp_path / "benchmark.csv").read_text().splitlines()))
    assert [row["method"] for row in stored] == list(rows)
    assert not list(tmp_path.rglob("maps"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "exit code 1: RuntimeError: the loss went away"),
        ("Hangs", "it took longer than 4 s"),
        ("Dies", "it was killed, as the system does when memory runs out"),
        ("Nonsense", "is not finite"),
        ("Holes", "is not finite"),
        ("Same", "held-out good pictures score 0.5: it has learned nothing"),
    ],
)
def test_what_goes_wrong_is_a_row_with_its_reason(data: Path, tmp_path: Path, name: str, reason: str) -> None:
    limit = 4.0 if name == "Hangs" else 60.0
    (row,) = run_benchmark(asked(data, tmp_path, f"odd_methods:{name}", limit=limit))
    assert row.status.startswith("failed: ")
    assert reason in row.status
    assert row.image_auroc is None
    write_page(tmp_path / "report.html", [row], tmp_path / "rows")
    assert name in (tmp_path / "report.html").read_text()


def test_a_benchmark_resumes_and_measures_only_what_is_missing(data: Path, tmp_path: Path) -> None:
    first = run_benchmark(asked(data, tmp_path, "nearest-32"))
    told: list[str] = []
    again = run_benchmark(asked(data, tmp_path, "nearest-32", "zscore-64"), lambda text, passing: told.append(text))
    assert again[0] == first[0]
    assert [text for text in told if "seed" in text] == ["part, zscore-64, seed 0"]


def told(folder: Path, row: Row, good: Sequence[float], defective: Sequence[float]) -> None:
    """What `row` said of the test pictures, written as a benchmark writes it."""
    folder_of(folder, row).mkdir(parents=True)
    truth = [False] * len(good) + [True] * len(defective)
    kept = {"paths": [], "scores": [*good, *defective], "defective": truth}
    (folder_of(folder, row) / "scores.json").write_text(json.dumps(kept))


def measured(method: str, image_auroc: float | None = 0.5) -> Row:
    return Row("2026-11-28", "part", method, method, 0, "measured", image_auroc)


def test_a_place_is_sure_where_no_draw_of_pictures_changes_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good, defective = rng.normal(0, 1, 60), rng.normal(1, 1, 60)
    rows = [measured(name) for name in ("perfect", "coin", "twin", "wrong")]
    told(tmp_path, rows[0], np.arange(60) / 100, np.arange(60) + 1.0)
    told(tmp_path, rows[1], good, defective)
    told(tmp_path, rows[2], rng.normal(0, 1, 60), rng.normal(1, 1, 60))
    told(tmp_path, rows[3], np.arange(60) + 1.0, np.arange(60) / 100)
    found = places(rows, tmp_path)
    assert found["perfect"] == Place(1, 1, 1)
    assert found["wrong"] == Place(4, 4, 4)
    assert {found["coin"].place, found["twin"].place} == {2, 3}
    assert (found["coin"].low, found["coin"].high) == (found["twin"].low, found["twin"].high) == (2, 3)


def test_a_method_that_is_better_on_the_very_same_pictures_is_surely_better(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good, defective = rng.normal(0, 1, 60), rng.normal(1, 1, 60)
    rows = [measured("less"), measured("more"), measured("same as more")]
    told(tmp_path, rows[0], good, defective)
    for row in rows[1:]:
        told(tmp_path, row, good, defective + 0.2)
    found = places(rows, tmp_path)
    assert found == {"less": Place(3, 3, 3), "more": Place(1, 1, 1), "same as more": Place(1, 1, 1)}


def test_what_failed_or_is_of_an_older_benchmark_has_no_place(tmp_path: Path) -> None:
    rows = [measured("failed", None), measured("old"), measured("new")]
    told(tmp_path, rows[2], [0.0, 1.0], [1.0, 2.0])
    folder_of(tmp_path, rows[1]).mkdir(parents=True)
    (folder_of(tmp_path, rows[1]) / "scores.json").write_text('{"paths": [], "scores": [0.0, 1.0]}')
    assert set(places(rows, tmp_path)) == {"new"}
    assert places(rows[:2], tmp_path) == {}


def test_names_in_a_chart_do_not_cover_each_other(tmp_path: Path) -> None:
    costs = {"median_ms": 20.0, "p95_ms": 20.0, "fit_seconds": 9.0, "peak_mb": 1.0, "disk_mb": 1.0}
    rows = [Row("", "part", name, name, 0, "measured", 0.9, **costs) for name in ("first", "second", "third")]
    for row in rows:
        told(tmp_path, row, [0.0], [1.0])
        np.save(folder_of(tmp_path, row) / "small.npy", np.zeros((2, 4, 4), np.float32))
    write_page(tmp_path / "report.html", rows, tmp_path)
    page = (tmp_path / "report.html").read_text()
    names = re.findall(r'class="name( far)?" x="([0-9.]+)" y="([0-9.]+)">(\w+)<', page.split("</svg>")[0])
    assert {name for *_, name in names} == {"first", "second", "third"}
    for (far, x, y, name), (other_far, other_x, other_y, _) in itertools.combinations(names, 2):
        is_beside = bool(far) != bool(other_far) and abs(float(x) - float(other_x)) >= 10
        assert is_beside or abs(float(y) - float(other_y)) >= 11, name


def test_no_method_outlives_a_benchmark_that_is_killed(data: Path, tmp_path: Path) -> None:
    started = [sys.executable, "-m", "diffusionad", "benchmark", str(data), "--out", str(tmp_path)]
    benchmark = subprocess.Popen([*started, "--methods", "zscore-64", "--method", "odd_methods:Sleeps"])

    def waited_for(done: Callable[[], bool]) -> bool:
        until = time.monotonic() + 60
        while not done() and time.monotonic() < until:
            time.sleep(0.05)
        return done()

    pid = tmp_path / "rows" / "part-odd_methods.Sleeps-0" / "model" / "pid"  # other folders come and go meanwhile
    try:
        assert waited_for(lambda: pid.is_file() and pid.read_text() != "")
    finally:
        benchmark.kill()
        benchmark.wait()
    worker = Path("/proc") / pid.read_text() / "status"

    def has_ended() -> bool:
        try:
            return "State:\tZ" in worker.read_text()  # ended, and nobody has asked how
        except OSError:
            return True

    assert waited_for(has_ended)


def test_two_benchmarks_in_one_folder_are_refused(data: Path, tmp_path: Path) -> None:
    with alone_in(tmp_path, "taken"), pytest.raises(UsageError, match="Another benchmark runs"):
        run_benchmark(asked(data, tmp_path, "nearest-32"))


def test_a_missing_environment_is_a_row_that_says_how_to_make_it(data: Path, tmp_path: Path) -> None:
    (row,) = run_benchmark(asked(data, tmp_path, "padim"))
    assert row.status == "failed: the environment for peers is missing: scripts/install bench"


def test_a_bundle_that_is_trained_already_is_scored_as_it_is(data: Path, trained: Path, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    (bundles / f"{data.name}-0").symlink_to(trained)
    wanted = Asked([data], parse_methods(["diffusionad-tiny"]), tmp_path, size=(48, 48), bundles=bundles)
    (row,) = run_benchmark(wanted)
    assert row.status == "measured, trained before"
    assert row.image_auroc is not None
    assert row.trained_seconds is not None


def test_ours_in_int8_is_exported_and_judges_by_a_threshold_of_its_own(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("nncf", reason="the extra int8 is not installed")
    settings = Settings(0, (48, 48), 2.0, tmp_path / "model", tmp_path / "work")
    method = Ours(settings, "tiny", bundle=str(trained / "bundle"), precision="int8")
    method.fit(sorted((data / "train" / "good").glob("*")))
    kept, before = load_bundle(tmp_path / "model" / "bundle"), load_bundle(trained / "bundle")
    assert kept.artifact is not None
    assert (kept.artifact.runtime, kept.artifact.precision) == ("openvino", "int8")
    score, _ = method.predict(next((data / "test" / "bar").glob("*")))
    assert score == pytest.approx(Inspector.load(before.folder)(next((data / "test" / "bar").glob("*"))).score, abs=0.1)
    assert kept.calibration is not None
    assert before.calibration is not None
    assert kept.calibration.artifact != before.calibration.artifact


def test_ours_is_trained_on_the_pictures_it_is_given(data: Path, tmp_path: Path) -> None:
    changes = ["data.size=[32, 32]", "data.shrink=1", "training.warmup_images=0"]
    method = Ours(Settings(0, (32, 32), 2.0, tmp_path, tmp_path / "work"), "tiny", changes)
    method.fit(sorted((data / "train" / "good").glob("*")))
    score, anomaly_map = method.predict(next((data / "test" / "bar").glob("*")))
    assert 0 <= score <= 1
    assert anomaly_map.shape == (32, 32)
    assert load_bundle(tmp_path / "bundle").origin.images > 0


def test_unknown_methods_and_those_not_run_say_why() -> None:
    with pytest.raises(UsageError, match="did you mean patchcore"):
        parse_methods(["pachcore"])
    with pytest.raises(UsageError, match="cannot be had offline"):
        parse_methods([next(iter(NOT_RUN))])
    with pytest.raises(UsageError, match="write module:Class"):
        parse_methods([], ["nowhere:Nothing"])
    assert not set(METHODS) & set(NOT_RUN)


def test_the_mean_of_a_method_that_lacks_a_row_is_not_given() -> None:
    from diffusionad.benchmark import Row

    rows = [Row("", name, "a", "", 0, "", image_auroc=value) for name, value in (("x", 0.5), ("y", 1.0))]
    rows += [Row("", name, "b", "", 0, "", image_auroc=value) for name, value in (("x", 0.5), ("y", None))]
    rows += [Row("", "x", "c", "", 0, "", image_auroc=1.0)]
    none = {"image_auroc": None}
    assert dict(means(rows, ["image_auroc"])) == {"a": {"image_auroc": 0.75}, "b": none, "c": none}


def test_floors_tell_a_bar_from_none(data: Path, tmp_path: Path) -> None:
    good, bad = sorted((data / "test" / "good").glob("*")), sorted((data / "test" / "bar").glob("*"))
    for floor in (Nearest, ZScore):
        method = floor(Settings(0, (48, 48), 1.0, tmp_path, tmp_path / "work"))
        method.fit(sorted((data / "train" / "good").glob("*")))
        scores = [method.predict(path)[0] for path in [*good, *bad]]
        assert auroc(scores, [False] * len(good) + [True] * len(bad)) == 1.0
        assert method.predict(bad[0])[1].dtype == np.float32


def test_the_command_writes_a_page_with_all_methods(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", str(data), "--methods", "nearest-32", "--method", "odd_methods:Raises"]
    with pytest.raises(SystemExit) as leaving:
        main([*words, "--size", "48", "--out", str(tmp_path / "out"), "--json"])
    assert leaving.value.code == 3
    told = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in told["rows"]] == ["nearest-32", "zscore-64", "odd_methods:Raises"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('class="dot') == 4
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_every_row_of_the_table_names_a_class_that_exists_where_it_runs() -> None:
    for spec in METHODS.values():
        module, _, name = spec.where.partition(":")
        source = Path(*module.split(".")[1:]).with_suffix(".py")
        import diffusionad

        assert f"class {name}" in (Path(diffusionad.__file__).parent / source).read_text()
    assert Spec("a:B", "title").environment == "own"
