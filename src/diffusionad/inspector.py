"""Array or path in, Verdict out: the one inference path, which evaluation, server and export parity use."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diffusionad.backends import Backend, OnnxBackend
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.conditions import conditions
from diffusionad.data import Framing, Seen, View, pooled, resize, see
from diffusionad.errors import PictureError, ResourceError, UsageError
from diffusionad.fingerprint import fingerprint
from diffusionad.neighbours import Neighbours
from diffusionad.region_filter import RegionFilter
from diffusionad.scoring import find_regions, image_score, pixels_for, settled, top_k_inside
from diffusionad.structures import FloatMap, Image, Outcome, Picture, Region, Spread, Verdict
from diffusionad.sweeping import Sweep, map_factor, sweep
from diffusionad.tensors import to_image, to_picture

__all__ = ["Backend", "Inspector", "OnnxBackend", "Runtime"]

Runtime = Literal["onnx", "torch"]


class Inspector:
    """Judges pictures with a bundle.

    Example:
        >>> inspector = Inspector.load("runs/bottle/bundle")  # doctest: +SKIP
        >>> inspector("part.png").verdict  # doctest: +SKIP
        'good'

    Args:
        bundle: the model, its settings and its threshold.
        backend: what runs the networks.
        region_filter: which regions count; a picture of which none counts is good. None: all count.
        scale: millimetres a native pixel; None where unknown.
        others: backends with other draws of the noise, which tell the spread of a score.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        region_filter: RegionFilter | None = None,
        scale: float | None = None,
        others: Sequence[Backend] = (),
    ) -> None:
        self.bundle = bundle
        self._others = [Inspector(bundle, other) for other in others]
        self.neighbours = Neighbours.read(bundle.neighbours) if bundle.neighbours else None
        self._region_filter = region_filter
        self._scale = scale
        self._runtime = fingerprint(getattr(backend, "runtime", type(backend).__name__))
        self._backend = backend
        config, data = bundle.config, bundle.config.data
        self._framing = Framing(data.fit, data.size, data.tile, data.overlap, bundle.roi)
        self._top_k, self._least = pixels_for(self._framing.size, config.score, config.top_k, config.percentile)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        runtime: Runtime = "onnx",
        *,
        region_filter: RegionFilter | None = None,
        scale: float | None = None,
        draws: int = 1,
    ) -> Inspector:
        """Open a bundle with ONNX Runtime (needs no torch) or with torch. Arguments as of the class.

        With `draws` above 1 each picture is also judged with that many draws of the noise, to tell the spread of its
        score; it takes as many times as long.

        Raises:
            BundleError: the bundle is damaged, incomplete or too new.
            UsageError: unknown runtime; draws below 1, or more than 1 of a bundle or runtime that cannot.
            ResourceError: torch is not installed.
        """
        bundle = load_bundle(Path(folder))
        if runtime == "onnx":
            backend = OnnxBackend(bundle.onnx)
            others = _other_draws(bundle, backend, draws)
            return cls(bundle, backend, region_filter=region_filter, scale=scale, others=others)
        if runtime == "torch" and draws == 1:
            return cls(bundle, _torch_backend(bundle), region_filter=region_filter, scale=scale)
        if runtime == "torch":
            raise UsageError("Several draws of the noise are made by the runtime onnx only.")
        raise UsageError(f'Unknown runtime "{runtime}". Known runtimes: onnx, torch.')

    def __call__(self, source: str | Path | Picture, group: str | None = None, *, full_map: bool = False) -> Verdict:
        """Judge one picture: a file, or an array [H, W, 3] or [H, W], uint8 0..255 or uint16 0..65535.

        With `data.channels` a file of so many grey pages, or an array [H, W, channels]. An array is never decoded at a
        reduced scale, so that of a JPEG much larger than needed can score a little differently than its file.

        Where the calibration has groups, `group` names that of the picture; None: that of the nearest folder on its
        path which is called like one. A group that the calibration does not have is judged with the threshold of all.

        A picture that cannot be read gets the verdict "error", never "good". Without calibration the verdict of a
        readable picture is "review": there is a score and no threshold.

        With `data.fit=tile` score and regions come from every pixel, but the map of the verdict is at most
        `sweeping.MAP_SIDE` pixels long, each of its pixels the highest of its block; `full_map` keeps all of it.
        """
        begun = time.perf_counter()
        name = "<array>" if isinstance(source, np.ndarray) else str(source)
        try:
            chosen = group if group is not None else self._group_of(source)
            verdict = self._judge(name, self.see(source), chosen, full_map)
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
                bundle=self.bundle.key,
                runtime=self._runtime,
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

    def see(self, source: str | Path | Picture) -> Seen:
        """What the networks will see of a file, or of an array as `__call__` takes it.

        Raises:
            PictureError: it cannot be read, or does not fit the region of interest.
        """
        if not isinstance(source, np.ndarray):
            return see(Path(source), self._framing, self.bundle.config.data.channels)
        picture = _as_picture(source, self.bundle.config.data.channels)
        view = self.view((picture.shape[0], picture.shape[1]))
        return Seen(view.picture(picture), view)

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
                least=self._least,
                threshold=threshold,
                full_map=full_map,
            )
        anomaly_map, reconstruction = self._answer(to_image(picture))
        top_k, anomaly_map = top_k_inside(self._top_k, view.judged), view.silenced(anomaly_map)
        score = image_score(anomaly_map, top_k, self._least)
        regions = () if threshold is None or score <= threshold else _regions(anomaly_map, threshold, view)
        return Sweep(Outcome(score, anomaly_map, reconstruction), regions, 0)

    def _answer(self, image: Image) -> tuple[FloatMap, Image]:
        anomaly_map, reconstruction = self._backend(image)
        if not np.isfinite(anomaly_map).all():
            raise PictureError(
                "The networks' answer is not finite: the picture cannot be judged.", code="picture.nonfinite"
            )
        return anomaly_map, reconstruction

    def conditions(self, picture: Picture, view: View, outcome: Outcome) -> dict[str, float]:
        """What a picture was taken under, from what `view` made of it and what the networks said of that.

        Of a tiled picture at the size of the reconstruction that is kept.
        """
        judged, anomaly_map, size = view.judged, outcome.anomaly_map, outcome.reconstruction.shape[1:]
        if size != view.working:
            factor = map_factor(view.working)
            picture, judged = (
                resize(picture, (size[0], size[1])),
                None if judged is None else judged[::factor, ::factor],
            )
            if anomaly_map.shape != size:
                anomaly_map = pooled(anomaly_map[None], factor, np.maximum)[0]
        return conditions(to_image(picture), outcome.reconstruction, anomaly_map, judged)

    def _spread(self, score: float, shown: Seen) -> Spread | None:
        if not self._others:
            return None
        scores = [score, *(other.outcome_of(shown.picture, shown.view).image_score for other in self._others)]
        return Spread(len(scores), float(np.mean(scores)), float(np.std(scores, ddof=1)))

    def _group_of(self, source: str | Path | Picture) -> str | None:
        calibration = self.bundle.calibration
        if calibration is None or not calibration.groups or isinstance(source, np.ndarray):
            return None
        return next((name for name in reversed(Path(source).parts[:-1]) if name in calibration.groups), None)

    def _judge(self, name: str, shown: Seen, group: str | None, full_map: bool) -> Verdict:
        view, calibration = shown.view, self.bundle.calibration
        own = None if calibration is None else calibration.of(group)
        found = self._seen(shown.picture, view, own.threshold if own else None, full_map)
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
            judged_box=view.judged_box,
            judged_share=view.judged_share,
            conditions=self.conditions(shown.picture, view, outcome),
            scale=self._scale,
            bundle=self.bundle.key,
            runtime=self._runtime,
            nearest=self.neighbours.nearest(shown.picture) if self.neighbours else None,
            spread=self._spread(score, shown),
        )
        if calibration is None or own is None:
            return seen
        known = replace(
            seen,
            promised=own.promised,
            p_value=calibration.p_value(score, group),
            lower=calibration.lower.threshold if calibration.lower else None,
            group=group if group in calibration.groups else None,
            regions_left_out=found.regions_left_out,
        )
        listed = found.regions if score > own.threshold else ()
        outlined = tuple(replace(one, p_value=calibration.region_p_value(one.peak, group)) for one in listed)
        return settled(known, own.threshold, outlined, self._region_filter)


def _other_draws(bundle: Bundle, backend: OnnxBackend, draws: int) -> list[Backend]:
    if draws < 1:
        raise UsageError(f"The noise is drawn once or more often, not {draws} times.")
    config, diffusion = bundle.config, bundle.config.diffusion
    is_usual = config.networks.startswith("denoiser") and diffusion.noise == "gaussian"
    if draws > 1 and not (is_usual and diffusion.reconstruction == "norm-guided"):
        raise UsageError(
            f"Several draws are made of Gaussian noise and norm-guided reconstruction only; this bundle has "
            f"networks={config.networks}, noise={diffusion.noise}, reconstruction={diffusion.reconstruction}: use one."
        )
    return [backend.with_draw(bundle.config.seed, draw) for draw in range(1, draws)]


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


def _as_picture(array: NDArray[Any], channels: int | None) -> Picture:
    if array.dtype not in (np.uint8, np.uint16):
        raise PictureError(
            f"An array of {array.dtype} was given; uint8 0..255 or uint16 0..65535 is needed.",
            code="picture.unsupported",
        )
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3 if channels is None else 1, axis=2)
    if array.ndim != 3 or array.shape[2] != (channels or 3) or min(array.shape[:2]) < 8:
        wanted = "[H, W, 3] or [H, W]" if channels is None else f"[H, W, {channels}]"
        raise PictureError(
            f"An array of shape {array.shape} was given; {wanted} of 8 pixels or more is needed.",
            code="picture.unsupported",
        )
    return array
