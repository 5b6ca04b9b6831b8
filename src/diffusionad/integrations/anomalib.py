"""DiffusionAD as a model of anomalib (2.3 and 2.7): our training step and our detector, its engine and data.

    anomalib train --model diffusionad.integrations.anomalib.DiffusionAD --data Folder --data.root ./part ...

Pictures are resized and not normalised; scores lie in [0, 1]. The noise of inference is a buffer, so what is exported
scores the same picture the same. `Engine.export` writes a file for its inferencers that resizes, judges and decides by
the bundle's threshold. Apart from our own `diffusionad train`: there is no foreground, no averaging of
weights and no choice among them, and the last weights count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib import LearningType
from anomalib.data import InferenceBatch
from anomalib.models.components import AnomalibModule
from anomalib.post_processing import PostProcessor
from anomalib.pre_processing import PreProcessor
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms.v2 import Resize

from diffusionad.assembly import build_detector, build_pairs
from diffusionad.bundle import Bundle, Origin, load_bundle, write_bundle
from diffusionad.config import Config, resolve
from diffusionad.detector import Detector
from diffusionad.export import to_onnx
from diffusionad.structures import Picture
from diffusionad.training.habit import MOST, fit_normality
from diffusionad.training.loop import tensors_of
from diffusionad.training.state import save_weights
from diffusionad.training.step import TrainingStep

__all__ = ["DiffusionAD"]

HELD_OUT = 10
"""One good picture of so many sets the units of normality and is not fitted."""


class _Judging(nn.Module):
    """images [B, C, H, W] in 0..1 -> scores [B] and maps [B, 1, H, W] in 0..1."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> InferenceBatch:
        score, anomaly_map, _ = self.detector(image * 2 - 1)
        return InferenceBatch(pred_score=score, anomaly_map=anomaly_map[:, None])


class _Deciding(nn.Module):
    """Their post-processing as it stands now, in plain numbers: `torch.export` cannot ask whether a buffer is NaN."""

    def __init__(self, theirs: PostProcessor) -> None:
        super().__init__()
        self._of_image = float(theirs.image_threshold), float(theirs.image_max - theirs.image_min)
        self._of_pixel = float(theirs.pixel_threshold), float(theirs.pixel_max - theirs.pixel_min)

    def forward(self, judged: InferenceBatch) -> InferenceBatch:
        score, label = self._decided(judged.pred_score, *self._of_image)
        anomaly_map, mask = self._decided(judged.anomaly_map, *self._of_pixel)
        return InferenceBatch(pred_score=score, pred_label=label, anomaly_map=anomaly_map, pred_mask=mask)

    @staticmethod
    def _decided(values: Tensor, threshold: float, span: float) -> tuple[Tensor, Tensor | None]:
        """Values with the threshold at one half, and what lies beyond it; as they are where one is not known."""
        if math.isnan(threshold) or math.isnan(span):
            return values, None
        moved = ((values - threshold) / span + 0.5).clamp(0, 1)
        return moved, moved > 0.5


class DiffusionAD(AnomalibModule):  # type: ignore[misc]  # anomalib has no types here
    """The model.

    Args:
        preset: tiny, small, base, journal or paper-v1.
        settings: "section.key=value" each.
        seed: decides the first weights and every draw.
        pre_processor, post_processor, evaluator, visualizer: as of any model of anomalib.

    Raises:
        UsageError: an unknown preset or setting.
    """

    post_processor: Any

    def __init__(
        self,
        preset: str = "small",
        settings: Sequence[str] = (),
        seed: int = 0,
        pre_processor: PreProcessor | bool = True,
        post_processor: Any = True,
        evaluator: Any = True,
        visualizer: Any = True,
    ) -> None:
        config = resolve(preset, settings=settings, overrides={"seed": seed})
        if pre_processor is True:
            pre_processor = self.configure_pre_processor(config.data.size)
        super().__init__(
            pre_processor=pre_processor, post_processor=post_processor, evaluator=evaluator, visualizer=visualizer
        )
        self.config = config
        self.model = _Judging(build_detector(config))
        self._seen = 0

    @classmethod
    def from_bundle(cls, folder: str | Path) -> DiffusionAD:
        """With the settings, weights and threshold of a bundle, if it has one. Raises BundleError.

        The label is the bundle's verdict. Scores and maps are moved as anomalib does it, so that the threshold lies at
        one half and all of 0..1 stays inside: (score - threshold) / (2 max(threshold, 1 - threshold)) + 0.5.
        """
        bundle = load_bundle(Path(folder))
        made = cls(preset=bundle.config.preset, seed=bundle.config.seed)
        made._take(bundle.config)
        made.model.detector.load_state_dict(load_file(bundle.weights))
        if bundle.calibration is not None:
            made._decide_at(bundle.calibration.threshold)
        return made

    def to_bundle(self, folder: str | Path, data: str = "anomalib") -> Bundle:
        """Write a bundle without threshold, which `diffusionad calibrate` sets. Raises ResourceError."""
        folder = Path(folder)
        weights, onnx = (folder.with_name(f".{folder.name}.{end}") for end in ("safetensors", "onnx"))
        detector = build_detector(self.config)
        detector.load_state_dict({name: it.cpu() for name, it in self.model.detector.state_dict().items()})
        origin = Origin(data, data, 0, 0, "unknown", self._seen, 0.0, "anomalib", 0.0, 0.0, ())
        try:
            save_weights(weights, detector.state_dict())
            to_onnx(detector, onnx)
            return write_bundle(folder, config=self.config, origin=origin, calibration=None, weights=weights, onnx=onnx)
        finally:
            weights.unlink(missing_ok=True)
            onnx.unlink(missing_ok=True)

    def to_onnx(
        self,
        export_root: Path | str,
        model_file_name: str = "model",
        input_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> Path:
        """One picture of the working size in, or of `input_size`; opset 18. Both can be said otherwise in `kwargs`."""
        kwargs = {"opset_version": 18, "dynamic_axes": {}, "dynamo": True, "external_data": False, **kwargs}
        theirs = self.post_processor
        if type(theirs) is PostProcessor:
            self.post_processor = _Deciding(theirs)
        try:
            written: Path = super().to_onnx(export_root, model_file_name, input_size or self.config.data.size, **kwargs)
        finally:
            self.post_processor = theirs
        return written

    def _take(self, config: Config) -> None:
        self.config, self.model = config, _Judging(build_detector(config))
        self.pre_processor = self.configure_pre_processor(config.data.size)

    def _decide_at(self, threshold: float) -> None:
        """Tell their post-processor where good ends, and a range in which it moves no score out of 0..1."""
        range_of_scores = 2 * max(threshold, 1 - threshold)
        for what in ("image", "pixel"):
            for name, value in (
                (f"_{what}_threshold", threshold),
                (f"{what}_min", 0.0),
                (f"{what}_max", range_of_scores),
            ):
                getattr(self.post_processor, name).fill_(value)

    @staticmethod
    def configure_pre_processor(image_size: tuple[int, int] | None = None) -> PreProcessor:
        """Resize, and nothing else."""
        return PreProcessor(transform=Resize(image_size or (256, 256), antialias=True))

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        return {"num_sanity_val_steps": 0, "gradient_clip_val": self.config.training.clip}

    @property
    def learning_type(self) -> LearningType:
        return LearningType.ONE_CLASS

    def training_step(self, batch: Any, *_: object, **__: object) -> Tensor:
        """Plant defects in a batch of theirs, and take our losses."""
        pictures = list(_pictures(batch.image))
        pairs = build_pairs(self.config, pictures, [None] * len(pictures), (), "pair")
        drawn = tensors_of(pairs.batch(self._seen, len(pictures)), slice(None), self.device)
        self._seen += len(pictures)
        denoising, mapped = TrainingStep(self.model.detector, self.config.diffusion, self.config.loss)(**drawn)
        loss: Tensor = denoising + mapped
        self.log("train_loss", loss.item(), on_epoch=True, prog_bar=True, logger=True)
        return loss

    def on_train_end(self) -> None:
        """Fit what is usual, on the pictures of the training loader."""
        shown: list[Picture] = []
        for batch in self.trainer.train_dataloader:
            image = self.pre_processor.transform(batch.image) if self.pre_processor else batch.image
            shown.extend(_pictures(image))
            if len(shown) >= MOST:
                break
        fitted = [it for place, it in enumerate(shown) if place % HELD_OUT] or shown
        self.model.eval()
        fit_normality(self.model.detector, fitted, shown[::HELD_OUT], self.device)

    def validation_step(self, batch: Any, *_: object, **__: object) -> Any:
        return batch.update(**self.model(batch.image)._asdict())

    def configure_optimizers(self) -> Any:
        """AdamW with a rate for each network, warmed up, then a cosine to the end."""
        settings, detector = self.config.training, self.model.detector
        rates = ((detector.denoiser, settings.denoiser_rate), (detector.segmenter, settings.segmenter_rate))
        groups = [{"params": list(it.parameters()), "lr": rate} for it, rate in rates if it is not None]
        optimizer = torch.optim.AdamW(groups, betas=(0.9, settings.beta2), weight_decay=settings.decay)
        steps = max(1, int(self.trainer.estimated_stepping_batches))

        def share(step: int) -> float:
            warm = min(1.0, (step + 1) * settings.batch / max(settings.warmup_images, 1))
            return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _pictures(images: Tensor) -> Iterator[Picture]:
    """[H, W, C] uint8 of each of [B, C, H, W] in 0..1."""
    for image in images.detach().cpu().float().clamp(0, 1):
        yield np.ascontiguousarray((image * 255).round().byte().permute(1, 2, 0).numpy())
