"""An export is a bundle that judges as its origin does, says so, and is refused where it does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from diffusionad import Inspector
from diffusionad.artifact import Artifact, Target
from diffusionad.backends import OnnxBackend, OpenVinoBackend, never_compiles_in_bf16, openvino_core
from diffusionad.bundle import install_bundle, load_bundle
from diffusionad.cli import main
from diffusionad.config import resolve
from diffusionad.data import find_samples
from diffusionad.deployment import Exported, export_bundle
from diffusionad.errors import BundleError, ExportError, ResourceError, UsageError
from diffusionad.files import file_hash, write_json
from diffusionad.structures import FloatMap, Image, Sample
from diffusionad.tensors import to_image

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def good(data: Path) -> list[Sample]:
    return [sample for sample in find_samples(data) if sample.is_good]


@pytest.fixture(scope="module")
def exported(trained: Path, good: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_bundle(trained / "bundle", good, tmp_path_factory.mktemp("out") / "fp32", "openvino", "fp32")


def test_an_export_judges_as_its_origin_and_says_on_what(trained: Path, exported: Exported, data: Path) -> None:
    origin, new = Inspector.load(trained / "bundle"), Inspector.load(exported.bundle.folder)
    for path in sorted((data / "test").rglob("*.png")):
        before, after = origin(path), new(path)
        assert after.score == pytest.approx(before.score, abs=1e-4)
        assert after.runtime is not None
        assert after.runtime.runtime.startswith("openvino ")
        assert after.runtime.runtime.endswith(" fp32")
    parity = exported.artifact.parity
    assert parity is not None
    assert parity.good == parity.planted == 14
    assert parity.map_difference < 1e-3
    assert (parity.flips_beyond, parity.region_recall) in ((0, 1.0), (0, None))


def test_the_threshold_comes_from_the_very_network_that_judges(exported: Exported, good: list[Sample]) -> None:
    bundle, inspector = exported.bundle, Inspector.load(exported.bundle.folder)
    assert bundle.calibration is not None
    assert bundle.calibration.artifact == file_hash(bundle.folder / "network.xml")
    fresh = [sample for sample in good if file_hash(sample.path)[:16] not in bundle.origin.hashes]
    assert bundle.calibration.scores == tuple(sorted(inspector(sample.path).score for sample in fresh))


def test_a_quantised_export_has_int8_in_the_networks_only(
    trained: Path, good: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = export_bundle(trained / "bundle", good, tmp_path / "int8", "openvino", "int8", guard=1.0)
    assert capsys.readouterr().out == ""
    assert made.artifact.precision == "int8"
    xml = (made.bundle.folder / "network.xml").read_text()
    assert "FakeQuantize" in xml
    for line in xml.splitlines():
        if 'type="FakeQuantize"' in line:
            assert "normality/" not in line
    origin, new = Inspector.load(trained / "bundle"), Inspector.load(made.bundle.folder)
    scores = [(origin(sample.path).score, new(sample.path).score) for sample in good[:4]]
    assert all(abs(before - after) < 0.2 for before, after in scores)
    assert any(before != after for before, after in scores)


def test_int8_for_onnx_runtime_has_it_in_the_networks_only(
    trained: Path, good: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    made = export_bundle(trained / "bundle", good, tmp_path / "int8", "onnx", "int8", guard=1.0)
    assert capsys.readouterr().out == ""
    assert made.bundle.network == made.bundle.folder / "network.onnx"
    assert made.artifact.made_on.runtime.endswith(" int8")
    nodes = onnx.load(made.bundle.network).graph.node
    quantised = {name for node in nodes if node.op_type == "QuantizeLinear" for name in node.input[:1]}
    assert quantised
    for node in nodes:
        if node.name.startswith("normality/"):
            assert node.op_type not in ("QuantizeLinear", "DequantizeLinear")
    origin, new = Inspector.load(trained / "bundle"), Inspector.load(made.bundle.folder)
    scores = [(origin(sample.path).score, new(sample.path).score) for sample in good[:4]]
    assert all(abs(before - after) < 0.2 for before, after in scores)
    assert any(before != after for before, after in scores)


def test_what_judges_otherwise_beyond_the_guard_is_not_exported(
    trained: Path, good: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = OpenVinoBackend.__call__

    def inverted(self: OpenVinoBackend, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = judge(self, image)
        return 1 - anomaly_map, reconstruction

    monkeypatch.setattr(OpenVinoBackend, "__call__", inverted)
    with pytest.raises(ExportError, match="Nothing was exported") as caught:
        export_bundle(trained / "bundle", good, tmp_path / "out", "openvino", "fp32", guard=0.0)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()
    assert json.loads((tmp_path / "out.refused.json").read_text())["parity"]["flips_beyond"] > 0


def test_another_score_of_the_self_test_picture_is_refused(exported: Exported, tmp_path: Path) -> None:
    copy = install_bundle(exported.bundle, tmp_path / "copy")
    stored = json.loads((copy.folder / "artifact.json").read_text())
    write_json(copy.folder / "artifact.json", {**stored, "expected": stored["expected"] + 0.1})
    manifest = json.loads((copy.folder / "manifest.json").read_text())
    changed = {**manifest, "artifact.json": file_hash(copy.folder / "artifact.json")}
    write_json(copy.folder / "manifest.json", changed)
    with pytest.raises(BundleError, match="does not hold on this machine") as caught:
        Inspector.load(copy.folder)
    assert caught.value.code == "bundle.self_test"


def test_a_truncated_network_is_a_sentence(exported: Exported, tmp_path: Path) -> None:
    for name in ("network.xml", "network.bin"):
        content = (exported.bundle.folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == "network.xml" else content)
    with pytest.raises(BundleError, match="cannot be run by OpenVINO"):
        OpenVinoBackend(tmp_path / "network.xml")


def test_a_precision_that_the_processor_lacks_is_refused_or_stated(exported: Exported) -> None:
    path = exported.bundle.folder / "network.xml"
    if {"avx512_bf16", "amx_bf16"} & set(exported.artifact.made_on.instructions):
        assert OpenVinoBackend(path, "bf16").runtime.endswith(" bf16")
        return
    with pytest.raises(ResourceError, match="does not compute in bf16") as caught:
        OpenVinoBackend(path, "bf16")
    assert caught.value.code == "runtime.precision"


@pytest.mark.parametrize(("taps", "is_refused"), [((1, 15), True), ((1, 13), False), ((19, 1), False)])
def test_a_filter_that_openvino_never_compiles_in_bf16_is_refused(taps: tuple[int, int], is_refused: bool) -> None:
    from openvino import Model, opset13

    image = opset13.parameter([1, 3, 32, 32], np.float32)
    kernel = opset13.constant(np.ones((3, 1, 1, *taps), np.float32))
    filtered = opset13.group_convolution(image, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    assert never_compiles_in_bf16(Model([filtered], [image])) is is_refused


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_no_network_of_ours_holds_such_a_filter(preset: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from diffusionad.assembly import build_detector
    from diffusionad.export import to_onnx

    to_onnx(build_detector(resolve(preset)), tmp_path / "network.onnx")
    assert not never_compiles_in_bf16(openvino_core().read_model(tmp_path / "network.onnx"))


def test_a_program_of_torch_is_checked_as_any_export_and_opened_by_others_only(
    trained: Path, good: list[Sample], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    made = export_bundle(trained / "bundle", good, tmp_path / "program", "torch-export", "fp32")
    parity, network = made.artifact.parity, made.bundle.folder / "network.pt2"
    assert parity is not None
    assert (parity.good, parity.flips) == (14, 0)
    assert parity.map_difference < 1e-5
    assert made.bundle.calibration is not None
    assert made.bundle.calibration.artifact == file_hash(network)
    picture = np.load(made.bundle.self_test, allow_pickle=False)
    with torch.no_grad():
        score, *_ = torch.export.load(network).module()(torch.from_numpy(to_image(picture)[None]))
    assert float(score) == pytest.approx(made.artifact.expected, abs=1e-6)
    with pytest.raises(UsageError, match="not opened here") as caught:
        Inspector.load(made.bundle.folder)
    assert caught.value.code == "bundle.runtime"


def test_a_file_for_any_batch_gives_each_image_the_map_it_has_alone(
    trained: Path, good: list[Sample], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    made = export_bundle(trained / "bundle", good, tmp_path / "batch", "onnx", "fp32", any_batch=True)
    assert made.bundle.network.name == "network.onnx"
    assert made.artifact.parity is not None
    assert made.artifact.parity.map_difference < 1e-5
    inspector = Inspector.load(made.bundle.folder)
    images = np.stack([to_image(inspector.see(sample.path).picture) for sample in good[:3]])
    alone, origin = OnnxBackend(made.bundle.network), OnnxBackend(trained / "bundle" / "model.onnx")
    maps, reconstructions = alone._session.run(["anomaly_map", "reconstruction"], {"image": images})
    for image, found, reconstruction in zip(images, maps, reconstructions, strict=True):
        np.testing.assert_array_equal(found, alone(image)[0])
        np.testing.assert_array_equal(reconstruction, alone(image)[1])
        np.testing.assert_allclose(found, origin(image)[0], atol=1e-5)


@pytest.mark.parametrize(("target", "precision"), [("openvino", "fp32"), ("onnx", "int8")])
def test_only_onnx_in_fp32_takes_any_batch(trained: Path, good: list[Sample], target: Target, precision: str) -> None:
    with pytest.raises(UsageError, match="any batch"):
        export_bundle(trained / "bundle", good, Path("never"), target, precision, any_batch=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("target", "precision"), [("onnx", "bf16"), ("torch-export", "int8"), ("tensorrt", "fp32")])
def test_exports_that_do_not_exist_are_named(trained: Path, good: list[Sample], target: str, precision: str) -> None:
    with pytest.raises(UsageError, match="onnx is fp32 or int8"):
        export_bundle(trained / "bundle", good, Path("never"), target, precision)  # type: ignore[arg-type]


def test_an_export_is_not_exported_again_and_runs_with_nothing_else(
    trained: Path, exported: Exported, good: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="export its origin"):
        export_bundle(exported.bundle.folder, good, tmp_path / "again", "onnx", "fp32")
    with pytest.raises(UsageError, match="its threshold holds for that alone"):
        Inspector.load(exported.bundle.folder, "torch")


def test_only_pictures_that_trained_are_too_few(trained: Path, good: list[Sample], tmp_path: Path) -> None:
    known = load_bundle(trained / "bundle").origin.hashes
    trained_on = [sample for sample in good if file_hash(sample.path)[:16] in known]
    with pytest.raises(UsageError, match="did not train the bundle; 0 of"):
        export_bundle(trained / "bundle", trained_on, tmp_path / "out", "onnx", "fp32")


def test_an_artifact_comes_back_as_it_was(exported: Exported) -> None:
    assert Artifact.from_json(json.loads(json.dumps(exported.artifact.to_json()))) == exported.artifact
    with pytest.raises(ValueError, match="is known"):
        Artifact.from_json({**exported.artifact.to_json(), "runtime": "shell"})


def test_openvino_reports_to_nobody_and_leaves_the_environment_alone(exported: Exported) -> None:
    before = os.environ.get("CI")
    OpenVinoBackend(exported.bundle.folder / "network.xml")
    assert os.environ.get("CI") == before


def test_the_command_exports_and_the_result_predicts(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["export", str(trained / "bundle"), str(data), "--out", str(tmp_path / "out"), "--to", "onnx", "--json"])
    assert leaving.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["artifact"]["runtime"] == "onnx"
    assert np.isfinite(told["threshold"])
    picture = next((data / "test").rglob("*.png"))
    with pytest.raises(SystemExit) as leaving:
        main(["predict", str(tmp_path / "out"), str(picture), "--out", str(tmp_path / "verdicts")])
    assert leaving.value.code in (0, 1)
