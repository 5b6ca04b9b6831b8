"""Array or path in, Verdict out: the one inference path, which evaluation, server and export parity use."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from diffusionad.artifact import Artifact
from diffusionad.backends import Backend, OnnxBackend, OpenVinoBackend
from diffusionad.bundle import Bundle, load_bundle
from diffusionad.conditions import conditions
from diffusionad.data import Framing, Seen, View, pooled, resize, see
from diffusionad.errors import BundleError, PictureError, ResourceError, UsageError
from diffusionad.fingerprint import fingerprint
from diffusionad.neighbours import Neighbours
from diffusionad.region_filter import RegionFilter
from diffusionad.scoring import find_regions, image_score, pixels_for, settled, top_k_inside
from diffusionad.structures import Fingerprint, FloatMap, Image, Outcome, Picture, Region, Spread, Verdict
from diffusionad.sweeping import Sweep, map_factor, sweep
from diffusionad.tensors import to_image, to_picture

__all__ = ["Backend", "Inspector", "OnnxBackend", "Runtime"]

Runtime = Literal["onnx", "openvino", "torch"]

_Said = Sweep | tuple[FloatMap, Image]
"""What the networks say: of a tiled picture all that counts, of any other map and reconstruction."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A picture on its way to a verdict.

    Attributes:
        source: the file or array.
        group: whose threshold is taken.
        seen: the picture as the networks see it; None: it cannot be read.
        seconds: what it has taken so far.
        said: what the networks say, or why there is no verdict; None before they were asked.
    """

    source: str | Path | Picture
    group: str | None
    seen: Seen | None
    seconds: float
    said: _Said | PictureError | None = None


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
        abreast: pictures that the backend answers at the same time, for `stream`.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        region_filter: RegionFilter | None = None,
        scale: float | None = None,
        others: Sequence[Backend] = (),
        abreast: int = 1,
    ) -> None:
        self.bundle = bundle
        self._abreast = abreast
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
        runtime: Runtime | None = None,
        *,
        region_filter: RegionFilter | None = None,
        scale: float | None = None,
        draws: int = 1,
        abreast: int = 1,
    ) -> Inspector:
        """Open a bundle. Arguments as of the class.

        `runtime` None: what an exported bundle was exported to, else ONNX Runtime. Another one computes in fp32 from
        model.onnx, or from the weights (torch). An exported bundle judges its self-test picture first.

        With `draws` above 1 each picture is also judged with that many draws of the noise, to tell the spread of its
        score; it takes as many times as long.

        With `abreast` above 1 OpenVINO judges that many pictures of a `stream` at the same time, each with its share of
        the processors: more pictures a second, a single one takes longer, the scores stay. ONNX Runtime and torch judge
        one after the other: with them the last digit of a score depends on how many threads make it. So are pictures
        that are tiled, however large: only three are held.

        Raises:
            BundleError: the bundle is damaged, incomplete or too new, or judges otherwise than where it was made.
            UsageError: unknown runtime, or not the one of an exported bundle; draws or abreast below 1, or draws above
                it of a bundle or runtime that cannot.
            ResourceError: the runtime is not installed, or this processor lacks the precision.
        """
        bundle = load_bundle(Path(folder))
        chosen = _runtime(bundle, runtime)
        if abreast < 1:
            raise UsageError(f"One picture or more is judged at the same time, not {abreast}.")
        together = abreast if chosen == "openvino" and bundle.config.data.fit != "tile" else 1
        backend = _backend(bundle, chosen, together)
        if draws != 1 and not isinstance(backend, OnnxBackend):
            raise UsageError("Several draws of the noise are made by the runtime onnx only.")
        others = _other_draws(bundle, backend, draws) if isinstance(backend, OnnxBackend) else []
        inspector = cls(bundle, backend, region_filter=region_filter, scale=scale, others=others, abreast=together)
        if bundle.artifact is not None:
            inspector.test_itself(bundle.artifact)
        return inspector

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
        return self._settled(self._asked(self._read(source, group), full_map))

    def stream(
        self, sources: Iterable[str | Path], group: str | None = None, *, full_map: bool = False
    ) -> Iterator[Verdict]:
        """Verdicts one after the other, the same as of `__call__`, with the networks always busy.

        While they judge a picture, or as many as the backend takes abreast, a second thread takes the sources and reads
        the next one, and another makes the verdict of the last one. No verdict waits for a picture still to come.
        Memory does not grow with their number: two pictures more than are judged at the same time are held.
        """
        coming, networks = iter(sources), Semaphore(self._abreast)

        def read() -> _Case | None:
            for source in coming:
                return self._read(source, group)
            return None

        def judge(case: _Case) -> Verdict:
            with networks:
                asked = self._asked(case, full_map)
            return self._settled(asked)

        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(self._abreast + 1) as judges:
            ahead, judged = reader.submit(read), deque[Future[Verdict]]()
            while True:
                next_ones: list[Future[Any]] = [ahead, *itertools.islice(judged, 1)]
                wait(next_ones, return_when=FIRST_COMPLETED)
                if judged and (judged[0].done() or len(judged) > self._abreast):
                    yield judged.popleft().result()
                elif ahead.done():
                    case = ahead.result()
                    if case is None:
                        break
                    ahead = reader.submit(read)
                    judged.append(judges.submit(judge, case))
            for verdict in judged:
                yield verdict.result()

    def _read(self, source: str | Path | Picture, group: str | None) -> _Case:
        """First step to a verdict: what is seen of a picture, or why it cannot be judged."""
        begun, group = time.perf_counter(), self._group_of(source) if group is None else group
        try:
            seen, refused = self.see(source), None
        except PictureError as error:
            seen, refused = None, error
        return _Case(source, group, seen, time.perf_counter() - begun, refused)

    def _asked(self, case: _Case, full_map: bool) -> _Case:
        """Second step: the networks, and as little else as can be."""
        if case.seen is None:
            return case
        begun, threshold = time.perf_counter(), self._threshold_of(case.group)
        try:
            said: _Said | PictureError = self._said(case.seen.picture, case.seen.view, threshold, full_map)
        except PictureError as error:
            said = error
        return replace(case, said=said, seconds=case.seconds + time.perf_counter() - begun)

    def _settled(self, case: _Case) -> Verdict:
        """Last step: what it comes to."""
        begun, source, said = time.perf_counter(), case.source, case.said
        name = "<array>" if isinstance(source, np.ndarray) else str(source)
        if isinstance(said, PictureError):
            verdict = self._refused(name, said)
        else:
            assert case.seen is not None  # noqa: S101  (else said is why not)
            assert said is not None  # noqa: S101  (they were asked)
            verdict = self._judged(name, case.seen, said, case.group)
        return replace(verdict, milliseconds=(case.seconds + time.perf_counter() - begun) * 1e3)

    def _refused(self, name: str, error: PictureError) -> Verdict:
        return Verdict(
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

    def test_itself(self, artifact: Artifact) -> None:
        """Judge the self-test picture of an exported bundle. Raises BundleError where it scores otherwise."""
        expected, found = artifact.expected, self.score_of(np.load(self.bundle.self_test, allow_pickle=False))
        if not abs(found - expected) <= artifact.tolerance:
            there, here = artifact.made_on, self._runtime
            raise BundleError(
                f"The self-test picture of {self.bundle.folder} scores {found:.5f} here ({here.runtime}, "
                f"{here.processor}) and {expected:.5f} where it was exported ({there.runtime}, {there.processor}): "
                "its threshold does not hold on this machine. Export it here.",
                code="bundle.self_test",
            )

    @property
    def fingerprint(self) -> Fingerprint:
        """On what it computes."""
        return self._runtime

    def score_of(self, picture: Picture) -> float:
        """Image score of a picture [H, W, C] at working size, of which all is judged."""
        return image_score(self._answer(to_image(picture))[0], self._top_k, self._least)

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
        return self._found(self._said(picture, view, None, False), view, None).outcome

    def _said(self, picture: Picture, view: View, threshold: float | None, full_map: bool) -> _Said:
        """What the networks say; `threshold` and `full_map` are about tiled pictures."""
        tiling = self._framing.tiling(view)
        if tiling is None:
            return self._answer(to_image(picture))
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

    def _found(self, said: _Said, view: View, threshold: float | None) -> Sweep:
        """Score and map, and the regions above `threshold` (None: no regions)."""
        if isinstance(said, Sweep):
            return said
        anomaly_map, reconstruction = said
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

    def _threshold_of(self, group: str | None) -> float | None:
        calibration = self.bundle.calibration
        return None if calibration is None else calibration.of(group).threshold

    def _judged(self, name: str, shown: Seen, said: _Said, group: str | None) -> Verdict:
        view, calibration = shown.view, self.bundle.calibration
        own = None if calibration is None else calibration.of(group)
        found = self._found(said, view, self._threshold_of(group))
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


def _runtime(bundle: Bundle, asked: str | None) -> str:
    exported = bundle.artifact.runtime if bundle.artifact else None
    if exported == "torch-export":
        raise UsageError(
            f"{bundle.network} is for programs of your own: torch may read such a file with pickle, so it is not "
            "opened here. Judge with the bundle it was made from.",
            code="bundle.runtime",
        )
    if asked is not None and asked not in get_args(Runtime):
        raise UsageError(f'Unknown runtime "{asked}". Known runtimes: {", ".join(get_args(Runtime))}.')
    if exported is not None and asked not in (None, exported):
        raise UsageError(
            f"The bundle {bundle.folder} was exported to {exported}, and its threshold holds for that alone; for the "
            f"runtime {asked} take the bundle it was made from."
        )
    return exported or asked or "onnx"


def _backend(bundle: Bundle, runtime: str, abreast: int) -> Backend:
    if runtime == "torch":
        return _torch_backend(bundle)
    precision = bundle.artifact.precision if bundle.artifact else "fp32"
    if runtime == "openvino":
        return OpenVinoBackend(bundle.network, precision, abreast)
    return OnnxBackend(bundle.network, precision=precision)


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
