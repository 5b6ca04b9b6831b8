"""The bundle: a folder with a trained model, its settings, its threshold and its card. No code, no pickle.

model.safetensors   averaged weights of both networks, normality
model.onnx          one file, the fixed noise inside; image -> pred_score, anomaly_map, reconstruction
config.json         schema version, package version, resolved settings, what it was trained on
calibration.json    the threshold and the scores behind it; {} before calibration
card.md             the same for people
good.json           small good training pictures with their names; missing in bundles of earlier versions
roi.png             with a region of interest only: 1 bit a pixel, white is judged, at the training pictures' size
artifact.json       exported bundles only: which runtime in which precision, and how it judged beside model.onnx
selftest.npy        exported bundles only: a picture at working size whose score artifact.json holds
network.*           exported bundles only: what that runtime runs, where it is not model.onnx
manifest.json       sha256 of each of the above
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diffusionad.artifact import Artifact
from diffusionad.calibration import Calibration, from_json
from diffusionad.config import Config
from diffusionad.data.roi import mask_png, read_roi_mask
from diffusionad.errors import BundleError, CalibrationError, DataError
from diffusionad.files import file_hash, refused, sync, write_bytes, write_json, write_text
from diffusionad.neighbours import FILE as NEIGHBOURS
from diffusionad.structures import BoolMap
from diffusionad.version import __version__

__all__ = [
    "SCHEMA_VERSION",
    "Bundle",
    "Origin",
    "install_bundle",
    "install_export",
    "load_bundle",
    "recalibrate",
    "write_bundle",
]

SCHEMA_VERSION = 7

_CONTENT = ("model.safetensors", "model.onnx", "config.json", "calibration.json", "card.md")
_ROI = "roi.png"
_ARTIFACT, _SELF_TEST = "artifact.json", "selftest.npy"
_NETWORKS = ("network.xml", "network.bin", "network.onnx", "network.pt2")
_OPTIONAL = (NEIGHBOURS, _ROI, _ARTIFACT, _SELF_TEST, *_NETWORKS)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from.

    Attributes:
        data: name of the data set's folder.
        category: product class.
        trained, validated: good pictures that trained it and that chose its weights.
        foreground: which was chosen, such as "object" or "texture" (`diffusionad.data.Foregrounds`).
        images: images seen.
        seconds: time in the training loop.
        device: where.
        image_auroc, pixel_ap: held-out figures with planted defects; they promise nothing about real ones.
        hashes: first 16 hexadecimal digits of the sha256 of each picture that trained or chose, real defects too.
        real_defects: real defective pictures that trained; they chose neither weights nor threshold.
    """

    data: str
    category: str
    trained: int
    validated: int
    foreground: str
    images: int
    seconds: float
    device: str
    image_auroc: float
    pixel_ap: float
    hashes: tuple[str, ...]
    real_defects: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was verified: every file is there and has the hash of the manifest.

    Attributes:
        folder: where it lies.
        version: package version that wrote it.
        config: the resolved settings.
        origin: where the model comes from.
        calibration: the threshold; None when the bundle is not calibrated.
        key: first 12 hexadecimal digits of the manifest's sha256: names this very model and threshold.
        roi: [H, W] bool, the region of interest at native size of the training pictures; None: all is judged.
        artifact: of an exported bundle, what runs its networks; None: model.onnx with ONNX Runtime in fp32.
    """

    folder: Path
    version: str
    config: Config
    origin: Origin
    calibration: Calibration | None
    key: str
    roi: BoolMap | None = field(default=None, repr=False, compare=False)
    artifact: Artifact | None = None

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def network(self) -> Path:
        """The file that judges: model.onnx, or that of the artifact (of two, the one with the graph)."""
        return next((self.folder / name for name in _NETWORKS if (self.folder / name).is_file()), self.onnx)

    @property
    def self_test(self) -> Path:
        """The picture of an exported bundle, [H, W, C] at working size."""
        return self.folder / _SELF_TEST

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def neighbours(self) -> Path | None:
        """The small good training pictures; None in bundles of earlier versions."""
        path = self.folder / NEIGHBOURS
        return path if path.is_file() else None


def write_bundle(
    folder: Path,
    *,
    config: Config,
    origin: Origin,
    calibration: Calibration | None,
    weights: Path,
    onnx: Path,
    neighbours: str | None = None,
    roi: BoolMap | None = None,
) -> Bundle:
    """Write a whole bundle, or nothing: it is made beside `folder` and then takes its place. Raises ResourceError.

    `neighbours` is the content of good.json; None leaves it out.
    """
    with _Replacement(folder) as made:
        if roi is not None:
            write_bytes(made / _ROI, mask_png(roi))
        shutil.copyfile(weights, made / "model.safetensors")
        shutil.copyfile(onnx, made / "model.onnx")
        if neighbours is not None:
            write_text(made / NEIGHBOURS, neighbours)
        _write_settings(made, config, origin)
        _write_promise(made, config, origin, calibration)
    return load_bundle(folder)


def recalibrate(bundle: Bundle, calibration: Calibration) -> Bundle:
    """The same model with another threshold, in the same folder. Raises ResourceError."""
    folder = bundle.folder.resolve()
    with _Replacement(folder) as made:
        for name in ("model.safetensors", "model.onnx", "config.json", *_present(folder)):
            shutil.copyfile(folder / name, made / name)
        _write_promise(made, bundle.config, bundle.origin, calibration)
    return load_bundle(folder)


def install_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """Copy a bundle to `folder`, byte by byte, whole or not at all; what was there goes. Raises ResourceError."""
    source = bundle.folder.resolve()
    with _Replacement(folder) as made:
        for name in (*_CONTENT, *_present(source), "manifest.json"):
            shutil.copyfile(source / name, made / name)
    return load_bundle(folder)


def install_export(
    bundle: Bundle, folder: Path, artifact: Artifact, files: Sequence[Path], calibration: Calibration | None
) -> Bundle:
    """Write the same model to `folder` with other networks to judge by, whole or not at all. Raises ResourceError.

    `files` are the self-test picture and what the runtime runs, by their names.
    """
    source = bundle.folder.resolve()
    with _Replacement(folder) as made:
        for name in ("model.safetensors", "model.onnx", "config.json", *_present(source)):
            shutil.copyfile(source / name, made / name)
        for file in files:
            shutil.copyfile(file, made / file.name)
        write_json(made / _ARTIFACT, artifact.to_json())
        _write_promise(made, bundle.config, bundle.origin, calibration)
    return load_bundle(folder)


def load_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: not a bundle, a file missing or changed, or written by a newer version.
    """
    _recover(folder)
    if _is_newer(folder):  # before its files are missed: a newer bundle may hold others
        raise _newer(folder)
    manifest = _read_json(folder, "manifest.json")
    if not isinstance(manifest, dict) or set(manifest) - set(_OPTIONAL) != set(_CONTENT):
        raise BundleError(
            f"{folder}/manifest.json does not list the files of a bundle: copy the bundle anew from where it was made."
        )
    if unlisted := set(_present(folder)) - set(manifest):
        raise BundleError(
            f"{folder}/manifest.json does not know {', '.join(sorted(unlisted))}, which lies beside it: "
            "copy the bundle anew from where it was made.",
            code="bundle.changed",
        )
    for name in manifest:
        if not (folder / name).is_file():
            raise BundleError(f"{name} is missing from the bundle {folder}: copy the whole folder anew.")
        if file_hash(folder / name) != manifest[name]:
            raise BundleError(
                f"{name} in the bundle {folder} is not what was written there (its sha256 differs): copy it anew.",
                code="bundle.changed",
            )
    settings = _read_json(folder, "config.json")
    if not isinstance(settings, dict) or not isinstance(settings.get("schema_version"), int):
        raise _newer(folder)
    if settings["schema_version"] < SCHEMA_VERSION:
        raise BundleError(
            f"The bundle {folder} was written by diffusionad {settings.get('version')}, which put networks together "
            f"differently (schema {settings['schema_version']}, this version reads {SCHEMA_VERSION}): judge with that "
            "version, or train again.",
            code="bundle.older",
        )
    try:
        config = Config.model_validate(settings["config"])
        origin = Origin(**{**settings["origin"], "hashes": tuple(settings["origin"]["hashes"])})
        stored = _read_json(folder, "calibration.json")
        calibration = from_json(stored) if stored else None
        roi = read_roi_mask(folder / _ROI) if _ROI in manifest else None
        artifact = Artifact.from_json(_read_json(folder, _ARTIFACT)) if _ARTIFACT in manifest else None
    except (KeyError, TypeError, ValueError, ValidationError, CalibrationError, DataError) as error:
        raise BundleError(f"The settings of the bundle {folder} cannot be read: {error}.") from None
    judges = next((name for name in _NETWORKS if name in manifest), "model.onnx")
    if (artifact is None) != (_SELF_TEST not in manifest) or (artifact is None and judges != "model.onnx"):
        raise BundleError(f"Of the export in the bundle {folder} a part is missing: copy it anew, or export it again.")
    if calibration and calibration.artifact not in (None, manifest[judges]):
        raise BundleError(
            f"The threshold of the bundle {folder} was made with another network than its {judges}: nothing it "
            "promises holds. Copy the bundle anew, or calibrate the one this network comes from.",
            code="bundle.calibration",
        )
    if (roi is None) != (config.data.roi is None):
        raise BundleError(f"{_ROI} and the settings of the bundle {folder} contradict each other: copy it anew.")
    key = file_hash(folder / "manifest.json")[:12]
    return Bundle(folder, str(settings.get("version")), config, origin, calibration, key, roi, artifact)


class _Replacement:
    """A folder made beside the real one; takes its place when everything inside went well."""

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()  # through links, and "." would be gone after the swap
        self._folder = folder
        self._made = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        self._old = _set_aside(folder)

    def __enter__(self) -> Path:
        try:
            _recover(self._folder)
            shutil.rmtree(self._made, ignore_errors=True)
            self._made.mkdir(parents=True)
        except OSError as error:
            raise refused(self._folder, error) from error
        return self._made

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self._take_place()
        except OSError as failure:
            error = failure
        finally:
            shutil.rmtree(self._made, ignore_errors=True)
        if isinstance(error, OSError):
            raise refused(self._folder, error) from error

    def _take_place(self) -> None:
        names = (*_CONTENT, *_present(self._made))
        manifest = self._made / "manifest.json"
        if not manifest.exists():  # a copy keeps its own, byte by byte
            write_json(manifest, {name: file_hash(self._made / name) for name in names})
        for name in (*names, manifest.name):
            sync(self._made / name)
        sync(self._made)
        shutil.rmtree(self._old, ignore_errors=True)
        if self._folder.exists():
            self._folder.replace(self._old)
        try:
            self._made.replace(self._folder)
        except OSError:
            _recover(self._folder)
            raise
        sync(self._folder.parent)
        shutil.rmtree(self._old, ignore_errors=True)


def _present(folder: Path) -> tuple[str, ...]:
    """Those of the files a bundle may lack that are there."""
    return tuple(name for name in _OPTIONAL if (folder / name).is_file())


def _set_aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _recover(folder: Path) -> None:
    """Bring back what a crash between two renames had set aside."""
    if not folder.exists() and _set_aside(folder).is_dir():
        _set_aside(folder).replace(folder)


def _write_settings(folder: Path, config: Config, origin: Origin) -> None:
    content = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "origin": asdict(origin),
    }
    write_json(folder / "config.json", content)


def _write_promise(folder: Path, config: Config, origin: Origin, calibration: Calibration | None) -> None:
    write_json(folder / "calibration.json", calibration.to_json() if calibration else {})
    write_text(folder / "card.md", _card(config, origin, calibration))


def _card(config: Config, origin: Origin, calibration: Calibration | None) -> str:
    height, width = config.data.size
    promise = calibration.sentence() if calibration else "Not calibrated: it gives scores, no verdicts."
    rows: Mapping[str, Any] = {
        "Trained on": f"{origin.trained} good pictures of {origin.data} ({origin.category})",
        **({"Real defects": f"{origin.real_defects} trained too; none chose anything"} if origin.real_defects else {}),
        "Weights chosen on": f"{origin.validated} held-out good pictures with planted defects",
        "Preset, seed": f"{config.preset}, {config.seed}",
        "Working size": f"{height} x {width} pixels",
        "Training": f"{origin.images} images seen in {origin.seconds / 60:.1f} minutes on {origin.device}",
        "Held-out figures": f"image AUROC {origin.image_auroc:.3f}, pixel AP {origin.pixel_ap:.3f} on planted defects",
        "Foreground": origin.foreground,
        "Judged": "the region of interest in roi.png alone" if config.data.roi else "whole pictures",
        "Written by": f"diffusionad {__version__}",
    }
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"# Model card\n\nFinds defects on pictures like those it was trained on (DiffusionAD).\n\n| | |\n|---|---|\n"
        f"{lines}\n\n## Threshold\n\n{promise}\n\n## Limits\n\n"
        "Judges only pictures taken as the training pictures were: same product, camera, light and position. "
        "Held-out figures come from planted defects and promise nothing about real ones.\n"
    )


def _is_newer(folder: Path) -> bool:
    try:
        return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["schema_version"]) > SCHEMA_VERSION
    except (OSError, ValueError, TypeError, KeyError):
        return False  # whatever is wrong is told when the files are verified


def _newer(folder: Path) -> BundleError:
    return BundleError(
        f"The bundle {folder} has a schema version that diffusionad {__version__} does not know (it reads "
        f"{SCHEMA_VERSION}): install a newer diffusionad.",
        code="bundle.newer",
    )


def _read_json(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{folder} is not a bundle: it has no {name}. Give the folder `bundle` inside a training run."
        ) from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder / name} cannot be read ({error}): copy the bundle anew.") from None
