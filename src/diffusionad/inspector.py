"""Array or path in, Verdict out: the one inference path, which evaluation, server and export parity use."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from diffusionad.bundle import Bundle, load_bundle
from diffusionad.data import Framing, View, read_picture
from diffusionad.errors import BundleError, PictureError, ResourceError, UsageError
from diffusionad.scoring import find_regions, image_score, top_k_for, top_k_inside
from diffusionad.structures import FloatMap, Image, Outcome, Picture, Region, Verdict
from diffusionad.sweeping import Sweep, sweep
from diffusionad.tensors import to_image, to_picture

__all__ = ["Backend", "Inspector", "OnnxBackend", "Runtime"]

Runtime = Literal["onnx", "torch"]


class Backend(Protocol):
    """image [C, H, W] -> (anomaly_map [H, W] 0..1, reconstruction [C, H, W]); the same for the same image."""

    def __call__(self, image: Image) -> tuple[FloatMap, Image]: ...


class Inspector:
    """Judges pictures with a bundle.

    Example:
        >>> inspector = Inspector.load("runs/bottle/bundle")  # doctest: +SKIP
        >>> inspector("part.png").verdict  # doctest: +SKIP
        'good'

    Args:
        bundle: the model, its settings and its threshold.
        backend: what runs the networks.
    """

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        self.bundle = bundle
        self._backend = backend
        data = bundle.config.data
        self._framing = Framing(data.fit, data.size, data.tile, data.overlap)
        self._top_k = top_k_for(self._framing.size, bundle.config.top_k)

    @classmethod
    def load(cls, folder: str | Path, runtime: Runtime = "onnx") -> Inspector:
        """Open a bundle with ONNX Runtime (needs no torch) or with torch.

        Raises:
            BundleError: the bundle is damaged, incomplete or too new.
            UsageError: unknown runtime.
            ResourceError: torch is not installed.
        """
        bundle = load_bundle(Path(folder))
        if runtime == "onnx":
            return cls(bundle, OnnxBackend(bundle.onnx))
        if runtime == "torch":
            return cls(bundle, _torch_backend(bundle))
        raise UsageError(f'Unknown runtime "{runtime}". Known runtimes: onnx, torch.')

    def __call__(self, source: str | Path | Picture, *, full_map: bool = False) -> Verdict:
        """Judge one picture: a file, or an array [H, W, 3] or [H, W], uint8 0..255 or uint16 0..65535.

        A picture that cannot be read gets the verdict "error", never "good". Without calibration the verdict of a
        readable picture is "review": there is a score and no threshold.

        With `data.fit=tile` score and regions come from every pixel, but the map of the verdict is at most
        `sweeping.MAP_SIDE` pixels long, each of its pixels the highest of its block; `full_map` keeps all of it.
        """
        begun = time.perf_counter()
        name = "<array>" if isinstance(source, np.ndarray) else str(source)
        try:
            picture = _as_picture(source) if isinstance(source, np.ndarray) else read_picture(Path(source))
            verdict = self._judge(name, picture, full_map)
        except PictureError as error:
            verdict = Verdict(
                name,
                "error",
                float("nan"),
                self.threshold,
                None,
                (),
                (0, 0),
                0.0,
                error_code=error.code,
                error=str(error),
            )
        return replace(verdict, milliseconds=(time.perf_counter() - begun) * 1e3)

    def stream(self, sources: Iterable[str | Path]) -> Iterator[Verdict]:
        """Verdicts one after the other; memory does not grow with their number."""
        for source in sources:
            yield self(source)

    @property
    def threshold(self) -> float | None:
        """Score above which a picture is anomalous; None when the bundle is not calibrated."""
        return self.bundle.calibration.threshold if self.bundle.calibration else None

    def view(self, native_size: tuple[int, int]) -> View:
        """What is seen of a picture of `native_size` (H, W) pixels, and where at working size."""
        return self._framing.view(native_size)

    def outcome(self, picture: Picture) -> Outcome:
        """What the networks say of a picture at native size, before any threshold.

        Raises:
            PictureError: the networks' answer is not finite.
        """
        view = self.view((picture.shape[0], picture.shape[1]))
        return self.outcome_of(view.picture(picture), view)

    def outcome_of(self, picture: Picture, view: View) -> Outcome:
        """The same for what `view` made of a picture, [H, W, 3] at working size. The map is 0 where nothing is judged.

        Raises:
            PictureError: the networks' answer is not finite.
        """
        return self._seen(picture, view, None, False).outcome

    def _seen(self, picture: Picture, view: View, threshold: float | None, full_map: bool) -> Sweep:
        """Score and map, and the regions above `threshold` (None: no regions)."""
        tiling = self._framing.tiling(view)
        if tiling is not None:
            return sweep(
                self._answer,
                picture,
                view,
                tiling,
                top_k=self._top_k,
                threshold=threshold,
                full_map=full_map,
            )
        anomaly_map, reconstruction = self._answer(to_image(picture))
        top_k, anomaly_map = top_k_inside(self._top_k, view.judged), view.silenced(anomaly_map)
        score = image_score(anomaly_map, top_k)
        regions = () if threshold is None or score <= threshold else _regions(anomaly_map, threshold, view)
        return Sweep(Outcome(score, anomaly_map, reconstruction), regions, 0)

    def _answer(self, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = self._backend(image)
        if not np.isfinite(anomaly_map).all():
            raise PictureError(
                "The networks' answer is not finite: the picture cannot be judged.", code="picture.nonfinite"
            )
        return anomaly_map, reconstruction

    def _judge(self, name: str, picture: Picture, full_map: bool) -> Verdict:
        view, calibration = self.view((picture.shape[0], picture.shape[1])), self.bundle.calibration
        found = self._seen(view.picture(picture), view, self.threshold, full_map)
        outcome, score = found.outcome, found.outcome.image_score
        seen = Verdict(
            name,
            "review",
            score,
            None,
            None,
            (),
            view.native,
            0.0,
            outcome.anomaly_map,
            to_picture(outcome.reconstruction),
            judged_box=view.source,
            judged_share=view.judged_share,
        )
        if calibration is None:
            return seen
        anomalous = score > calibration.threshold
        return replace(
            seen,
            verdict="anomalous" if anomalous else "good",
            threshold=calibration.threshold,
            p_value=calibration.p_value(score),
            regions=found.regions if anomalous else (),
            regions_left_out=found.regions_left_out if anomalous else 0,
        )


class OnnxBackend:
    """Runs model.onnx with ONNX Runtime on the CPU.

    Raises:
        BundleError: the file is not an ONNX model that this ONNX Runtime can run.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            # From bytes: a model read from memory cannot reach for external data outside the bundle.
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises many kinds, none of them documented
            raise BundleError(f"{path} cannot be run by ONNX Runtime {onnxruntime.__version__}: {error}.") from None

    def __call__(self, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = self._session.run(["anomaly_map", "reconstruction"], {"image": image[None]})
        return anomaly_map[0], reconstruction[0]


def _regions(anomaly_map: FloatMap, threshold: float, view: View) -> tuple[Region, ...]:
    found = find_regions(view.shown(anomaly_map), threshold, view.source_size)
    return tuple(replace(region, box=view.box_to_native(region.box)) for region in found)


def _torch_backend(bundle: Bundle) -> Backend:
    try:
        from diffusionad.assembly import TorchBackend
    except ImportError:
        raise ResourceError(
            'The torch runtime needs torch: pip install "diffusionad[train]".', code="extra.missing"
        ) from None
    return TorchBackend(bundle.config, bundle.weights)


def _as_picture(array: NDArray[Any]) -> Picture:
    if array.dtype not in (np.uint8, np.uint16):
        raise PictureError(
            f"An array of {array.dtype} was given; uint8 0..255 or uint16 0..65535 is needed.",
            code="picture.unsupported",
        )
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or min(array.shape[:2]) < 8:
        raise PictureError(
            f"An array of shape {array.shape} was given; [H, W, 3] or [H, W] of 8 pixels or more is needed.",
            code="picture.unsupported",
        )
    return array
