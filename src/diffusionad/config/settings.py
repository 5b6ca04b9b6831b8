"""Settings: typed, closed, complete; each field says what it means."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Config",
    "DataSettings",
    "DenoiserSettings",
    "DiffusionSettings",
    "Kind",
    "LossSettings",
    "NormalitySettings",
    "SegmenterSettings",
    "SynthesisSettings",
    "TrainingSettings",
]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Levels = Annotated[tuple[Positive, ...], Field(min_length=1)]
Kind = Literal["texture", "rearranged", "scratch", "patch", "tone", "smear", "warp"]
Operation = Literal[
    "auto_contrast", "brightness", "equalize", "gamma", "hue", "invert", "posterize", "rotate", "sharpness", "solarize"
]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Closed):
    """What the networks see and which good pictures are held back."""

    size: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]] = (128, 128)
    """Working size (H, W) in pixels: that of pictures and maps."""
    shrink: Annotated[int, Field(ge=1, le=8)] = 1
    """The networks see a picture so many times smaller a side; the filter bank of `normality` sees all of it."""
    brightness: Literal["logarithmic", "linear"] = "logarithmic"
    """The scale on which the networks see it: logarithmic, where contrasts are as strong in the dark as in the light,
    or linear (the paper's). The filter bank always sees contrasts."""
    fit: Literal["stretch", "pad", "crop", "tile"] = "stretch"
    """How a picture becomes the working size: stretch (the paper's), pad (keeps the aspect), crop (the middle only),
    tile (all of it, in overlapping tiles)."""
    tile: tuple[Positive, Positive] | None = None
    """Size (H, W) of a tile in native pixels, at least `size`; None: `size`, so that nothing is resized."""
    overlap: float = Field(0.25, ge=0, le=0.5)
    """Share of a tile's side that it shares with the next at least."""
    foreground: str = "auto"
    """Where defects are planted: auto, statistics, grabcut, "model FILE.onnx", whole, texture, or a folder of masks."""
    channels: Annotated[int, Field(ge=1, le=32)] | None = None
    """Grey pages of each file, such as one part under that many lights; None: one picture in colour or grey."""
    roi: str | None = None
    """File of the region of interest, a mask or polygons, outside of which nothing is judged; None: all is judged."""
    validation_share: Share = 0.1
    """Good pictures held back for selection with synthetic defects, at most 16."""
    calibration_share: Share = 0.2
    """Good pictures held back for the threshold."""
    shift: Share = 0.02
    """Largest shift of a training picture, as a share of its side."""
    light: Share = 0.05
    """Largest change of a training picture's brightness and contrast."""

    @model_validator(mode="after")
    def _tiles_shrink(self) -> DataSettings:
        if self.tile is not None and self.fit != "tile":
            raise ValueError(f"tile is the size of tiles: give fit=tile with it, not {self.fit}")
        if self.tile is not None and (self.tile[0] < self.size[0] or self.tile[1] < self.size[1]):
            raise ValueError(
                f"a tile of {self.tile} native pixels is smaller than size {self.size}: nothing is enlarged"
            )
        return self

    @model_validator(mode="after")
    def _something_trains(self) -> DataSettings:
        if self.calibration_share == 0 or self.validation_share + self.calibration_share > 0.8:
            raise ValueError(
                "calibration_share is above 0, and with validation_share at most 0.8: the rest is trained on"
            )
        return self


class SynthesisSettings(_Closed):
    """How defects are planted (METHOD section 4)."""

    anomalous_share: Share = 0.5
    """Share of synthetic samples in a batch."""
    kinds: dict[Kind, Annotated[float, Field(ge=0)]] = {
        "texture": 1.0,
        "rearranged": 1.0,
        "scratch": 0.7,
        "patch": 1.0,
        "tone": 0.7,
        "smear": 0.5,
        "warp": 0.5,
    }
    """Relative weight of each kind of defect; the paper's are texture and rearranged."""
    normal_share: tuple[Share, Share] = (0.2, 0.8)
    """Bounds of the share of the normal image kept inside a defect (the paper's beta)."""
    operations: tuple[Operation, ...] = ()
    """What makes content inconsistent; none: all ten of the authors' code. v1 names seven."""
    operation_count: Annotated[int, Field(ge=1, le=10)] = 3
    """How many different operations are applied; 2 in v1."""
    grid: Annotated[int, Field(ge=2, le=32)] = 8
    """Tiles a side into which a rearranged picture is cut."""
    rearrange_textures: bool = True
    """Draw the kind rearranged for textures too; the authors fill their defects with texture pictures only."""
    shown_share: Share = 0.25
    """With real defects: share of the anomalous samples that are their pictures as they are."""
    pasted_share: Share = 0.25
    """With real defects that have masks: share of the anomalous samples with one of them pasted into a good picture."""

    @model_validator(mode="after")
    def _something_is_drawn(self) -> SynthesisSettings:
        if self.shown_share + self.pasted_share > 1:
            raise ValueError("shown_share and pasted_share are parts of the anomalous samples, together at most 1")
        if not any(self.kinds.values()):
            raise ValueError("kinds must give at least one kind of defect a weight above 0")
        if self.normal_share[0] > self.normal_share[1]:
            raise ValueError("normal_share is (low, high)")
        if self.operations and (names := len(set(self.operations))) < max(self.operation_count, len(self.operations)):
            raise ValueError(f"operation_count {self.operation_count} different ones cannot be chosen from {names}")
        return self


class DiffusionSettings(_Closed):
    """Noise, on images in [-1, 1] (METHOD: unit trap), and how it is removed."""

    steps: Positive = 1000
    schedule: Literal["linear", "cosine"] = "linear"
    """Shape of the betas; cosine (Nichol and Dhariwal 2021) has no use for beta_start and beta_end."""
    beta_start: float = Field(1e-4, gt=0, lt=1)
    beta_end: float = Field(2e-2, gt=0, lt=1)
    noise: Literal["gaussian", "simplex", "perlin"] = "gaussian"
    """What disturbs, of unit variance; simplex is AnoDDPM's."""
    octaves: Positive = 6
    persistence: float = Field(0.8, gt=0, le=1)
    noise_cells: float = Field(4.0, gt=0)
    """Of simplex and Perlin noise: octaves, amplitude of each as a share of the coarser one's, and cells of the
    coarsest one along the shorter side. AnoDDPM's are 6, 0.8 and 4."""
    reconstruction: Literal["norm-guided", "one-step", "averaged", "iterative"] = "norm-guided"
    """Journal version: norm-guided. v1: averaged. one-step and iterative begin at t_fine. Only norm-guided trains at
    two noise scales, the others draw one step from fine_range."""
    t_averaged: Annotated[tuple[int, ...], Field(min_length=1)] = (191, 331)
    """Steps whose maps are averaged; v1's 100 and 200 on [0, 1] images are 191 and 331 here."""
    stride: Positive = 1
    """Steps taken at a time by the iterative reconstruction."""
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    """With fresh noise at every step of the iterative reconstruction, or without."""
    prediction: Literal["eps", "x0"] = "x0"
    """What the denoiser's output means: the noise (paper) or the clean image."""
    fine_range: tuple[int, int] = (250, 438)
    """Training draws the fine step from [low, high); the authors' is (0, 438), ours stays near inference."""
    coarse_range: tuple[int, int] = (438, 650)
    """Training draws the coarse step from [low, high); the authors' is (438, 1000)."""
    t_fine: int = 331
    t_coarse: int = 530
    """Steps of inference: the authors' 200 and 400 on [0, 1] images are 331 and 530 here."""
    guidance_weight: Share = 1.0
    """w of the norm guidance; above 1 the coarse share w (1 - alpha_bar) could pass 1."""

    @model_validator(mode="after")
    def _steps_exist(self) -> DiffusionSettings:
        for low, high in (self.fine_range, self.coarse_range):
            if not 0 <= low < high <= self.steps:
                raise ValueError(f"the step range [{low}, {high}) does not lie in [0, {self.steps})")
        if not all(0 <= step < self.steps for step in (self.t_fine, self.t_coarse, *self.t_averaged)):
            raise ValueError(f"t_fine, t_coarse and t_averaged lie in 0..{self.steps - 1}")
        return self

    @property
    def passes(self) -> int:
        """How often inference asks the denoiser for one picture."""
        if self.reconstruction == "iterative":
            return self.t_fine // self.stride + 1
        return {"norm-guided": 2, "averaged": len(self.t_averaged)}.get(self.reconstruction, 1)


class DenoiserSettings(_Closed):
    """The denoising U-Net."""

    width: Positive = 32
    multipliers: Levels = (1, 2, 2)
    blocks: Positive = 1
    attention_levels: tuple[int, ...] = ()
    """Levels (0 = finest) with self-attention beside that in the middle: it costs more than all else on a CPU."""
    heads: Positive = 4
    patch: Positive = 4
    embedding: Literal["additive", "scale_shift"] = "scale_shift"
    groups: Positive = 8

    @model_validator(mode="after")
    def _parts_divide(self) -> DenoiserSettings:
        deepest = len(self.multipliers) - 1
        if not all(0 <= level <= deepest for level in self.attention_levels):
            raise ValueError(f"attention_levels lie in 0..{deepest}")
        if self.width % 2 or self.width % min(self.groups, self.width):
            raise ValueError(f"width {self.width} must be even and a multiple of {self.groups} groups")
        for level in (*self.attention_levels, deepest):
            channels = self.width * self.multipliers[level]
            if channels % self.heads:
                raise ValueError(f"the {channels} channels of level {level} cannot be shared by {self.heads} heads")
        return self


class SegmenterSettings(_Closed):
    """The segmentation U-Net."""

    widths: Levels = (16, 32, 48, 64)
    patch: Positive = 2
    norm: Literal["batch", "group"] = "group"
    difference: bool = True
    """Also show it |picture - reconstruction|; the paper shows the two alone."""

    @model_validator(mode="after")
    def _groups_divide(self) -> SegmenterSettings:
        if self.norm == "group" and any(width % min(8, width) for width in self.widths):
            raise ValueError("widths must be multiples of 8, the groups of its group norm")
        return self


class NormalitySettings(_Closed):
    """What good pictures usually show at each place: in the residual, and to a bank of filters. Not in the paper."""

    widths: tuple[Annotated[float, Field(gt=0, le=0.1)], ...] = (1 / 180, 1 / 85, 1 / 43)
    """Blurs of the residual, as shares of the shorter side; none: no normality, the segmenter alone decides."""
    places: Literal["auto", "local", "pooled"] = "auto"
    """local: each place by its own habit; pooled: one habit for all places (textures); auto: pooled for tiles."""


class LossSettings(_Closed):
    """L = noise + map (METHOD section 2). A weight of 0 switches a part off."""

    alpha: Share = 0.5
    gamma: float = Field(4.0, ge=0)
    focal_weight: float = Field(5.0, ge=0)
    smooth_weight: float = Field(1.0, ge=0)
    noise_weight: float = Field(1.0, ge=0)
    """Weight of the noise loss; of the autoencoder's loss, where that takes the denoiser's place."""
    noise_on: Literal["normal", "all"] = "normal"
    """normal (journal version): the normal samples count. all (v1): synthetic ones too, against the noise that was
    drawn, so that planted defects are also learned as something to keep."""
    snr_cap: float = Field(5.0, gt=0)
    """Weight of a step in the noise loss, in signal-to-noise ratio, when the network predicts x0 (Hang et al. 2023)."""
    repair_weight: float = Field(1.0, ge=0)
    """Weight of the noise loss on synthetic samples against their clean image; 0 in the paper."""

    @model_validator(mode="after")
    def _one_truth(self) -> LossSettings:
        if self.noise_on == "all" and self.repair_weight:
            raise ValueError("noise_on=all counts synthetic samples as they are: it needs repair_weight=0")
        if not (self.smooth_weight or self.focal_weight):
            raise ValueError("smooth_weight or focal_weight must be above 0, or the segmenter learns nothing")
        return self


class TrainingSettings(_Closed):
    """The loop. Its clock counts images seen."""

    images: Positive | None = None
    """Stop after so many images; with `max_seconds` too, whichever ends first."""
    epochs: Positive | None = None
    """So many passes over the training pictures instead: becomes `images` when they are counted."""
    max_seconds: float | None = Field(None, gt=0)
    batch: Positive = 8
    denoiser_rate: float = Field(1e-3, gt=0)
    segmenter_rate: float = Field(1e-3, gt=0)
    warmup_images: int = Field(100, ge=0)
    rates: Literal["cosine", "constant"] = "cosine"
    """Course of both rates after the warm-up."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Memory of AdamW's second moment; Adam's default, with decay 0 the authors' optimiser, is 0.999."""
    decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    ema_images: float = Field(400, ge=0)
    """Half-life of the averaged weights, in images; shorter early in training. 0: the weights as they are."""
    validations: Positive = 8
    """How often a run is scored on held-out good pictures with synthetic defects."""
    checkpoint_seconds: float = Field(60, gt=0)
    strip_seconds: float = Field(120, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 where the hardware computes in it, else fp32."""


class Config(_Closed):
    """Everything that decides what is trained; saved with every run and bundle."""

    preset: str = "small"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    networks: Literal["denoiser+segmenter", "segmenter", "autoencoder+segmenter", "denoiser"] = "denoiser+segmenter"
    """The paper's two, or one of its ablations: SegmentationAD, DRAEM+, DenoisingAD."""
    difference_map: Literal["squared", "ssim"] = "squared"
    """Difference of picture and reconstruction that is the map where there is no segmenter."""
    data: DataSettings = DataSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    diffusion: DiffusionSettings = DiffusionSettings()
    denoiser: DenoiserSettings = DenoiserSettings()
    segmenter: SegmenterSettings = SegmenterSettings()
    normality: NormalitySettings = NormalitySettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    top_k: Positive = 50
    """Pixels averaged into the image score, at 256 x 256; scaled with the area."""
    score: Literal["top-k", "maximum", "percentile"] = "top-k"
    """The image score: mean of the top_k highest map pixels (the paper), the highest, or a percentile."""
    percentile: float = Field(99.5, ge=0, lt=100)
    """Which, where score is percentile."""

    @model_validator(mode="after")
    def _sizes_divide(self) -> Config:
        step = self.size_step
        if any(side % step for side in self.data.size):
            why = f" at data.shrink={self.data.shrink}" if self.data.shrink > 1 else ""
            raise ValueError(f"data.size {self.data.size} must be multiples of {step} for these networks{why}")
        return self

    @model_validator(mode="after")
    def _places_mean_something(self) -> Config:
        if self.data.fit == "tile" and self.normality.places == "local":
            raise ValueError("normality.places=local means nothing for tiles, which lie anywhere: leave it at auto")
        return self

    @property
    def channels(self) -> int:
        """C of an image; grey pictures are repeated to 3 unless `data.channels` says how many there are."""
        return self.data.channels or 3

    @property
    def pooled(self) -> bool:
        """Whether normality has one habit for all places."""
        return self.normality.places == "pooled" or (self.normality.places == "auto" and self.data.fit == "tile")

    @property
    def size_step(self) -> int:
        """The working size must be a multiple of this many pixels."""
        denoiser = self.denoiser.patch * 2 ** (len(self.denoiser.multipliers) - 1)
        segmenter = self.segmenter.patch * 2 ** (len(self.segmenter.widths) - 1)
        return math.lcm(denoiser, segmenter) * self.data.shrink

    @property
    def network_size(self) -> tuple[int, int]:
        """(H, W) at which the networks see a picture."""
        height, width = self.data.size
        return height // self.data.shrink, width // self.data.shrink

    @property
    def bare(self) -> Config:
        """The networks alone, shown what they see: what is trained before normality is fitted."""
        data = self.data.model_copy(update={"size": self.network_size, "shrink": 1, "brightness": "linear"})
        return self.model_copy(update={"data": data, "normality": NormalitySettings(widths=())})
