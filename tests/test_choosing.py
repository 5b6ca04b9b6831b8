"""What is chosen by a measurement on this machine: the first within the budget, and nothing silently."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from diffusionad.bundle import load_bundle
from diffusionad.choosing import fastest_runtime, milliseconds_of, preset_within, runtime_within
from diffusionad.cli import main
from diffusionad.cli.screen import milliseconds
from diffusionad.errors import UsageError
from diffusionad.structures import FloatMap, Image

pytestmark = pytest.mark.openvino


def test_the_time_of_a_backend_is_its_median() -> None:
    waits = iter([0.5, 0.01, 0.01, *[0.02] * 4, 0.2, *[0.02] * 200])

    def slow(image: Image) -> tuple[FloatMap, Image]:
        time.sleep(next(waits))
        return image[0], image

    assert 20 <= milliseconds_of(slow, np.zeros((3, 8, 8), np.float32)) < 60


def test_the_most_exact_one_within_the_budget_is_taken_and_the_rest_is_not_tried(trained: Path) -> None:
    target, precision, measured = runtime_within(load_bundle(trained / "bundle"), 1e6, [])
    assert (target, precision, list(measured.milliseconds)) == ("onnx", "fp32", ["onnx fp32"])
    assert measured.sentence().startswith("Chosen: onnx fp32.")


def test_a_budget_that_nothing_meets_says_how_long_each_takes(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"within 1e-06 ms.*onnx fp32 .* ms, openvino fp32 .* ms") as caught:
        runtime_within(load_bundle(trained / "bundle"), 1e-6, [])
    assert caught.value.code == "budget"


def test_the_choice_of_a_runtime_is_kept_and_a_broken_file_is_measured_anew(trained: Path, tmp_path: Path) -> None:
    bundle, store = load_bundle(trained / "bundle"), tmp_path / "caches" / "runtimes.json"
    chosen, told = fastest_runtime(bundle, store)
    assert told.startswith(f"Chosen: {chosen}.")
    assert list(json.loads(store.read_text()).values()) == [chosen]
    assert fastest_runtime(bundle, store) == (chosen, f"Runtime {chosen}, as measured before on this machine.")
    store.write_text("{")
    assert fastest_runtime(bundle, store)[1].startswith("Chosen:")


def test_the_larger_preset_within_the_budget_is_taken_and_never_one_that_is_only_slower() -> None:
    settings = (
        *("data.size=[32, 32]", "data.shrink=1", "segmenter.widths=[8, 8]", "segmenter.patch=2"),
        *("denoiser.width=8", "denoiser.multipliers=[1, 2]", "denoiser.attention_levels=[1]", "denoiser.patch=2"),
    )
    assert preset_within(1e6, settings).chosen == "small"


@pytest.mark.parametrize(("text", "expected"), [("25ms", 25.0), ("0.1s", 100.0), (".5 ms", 0.5)])
def test_times_of_a_picture(text: str, expected: float) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["25", "0ms", "fast", "-3ms", "1m"])
def test_what_is_no_time_of_a_picture(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time for one picture"):
        milliseconds(text)


def test_the_commands_take_a_budget_and_auto(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as leaving:
        main(["export", str(trained / "bundle"), str(data), *out, "--budget", "100s", "--json"])
    assert leaving.value.code == 0
    assert json.loads(capsys.readouterr().out)["artifact"]["runtime"] == "onnx"
    with pytest.raises(SystemExit) as leaving:
        main(["predict", str(trained / "bundle"), str(data / "test"), *out, "--runtime", "auto"])
    assert leaving.value.code in (0, 1)
    assert (tmp_path / "diffusionad" / "runtimes.json").is_file()
    with pytest.raises(SystemExit) as leaving:
        main(["train", str(data), *out, "--budget", "25ms", "--preset", "tiny"])
    assert leaving.value.code == 2
