"""Losses (METHOD section 2: paper Eq. 6 and 7, journal version of the noise loss)."""

from __future__ import annotations

from torch import Tensor
from torch import sigmoid as to_map
from torch.nn import functional as F

__all__ = ["focal", "image_loss", "map_loss", "noise_loss", "total_loss"]


def noise_loss(
    clean_hat: Tensor,
    clean: Tensor,
    snr: Tensor,
    share: Tensor,
    cap: float | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """|eps - eps_hat|^2, written in clean images: it equals snr |x0 - x0_hat|^2.

    Args:
        clean_hat: one-step estimate, [B, C, H, W].
        clean: the truth, [B, C, H, W].
        snr: signal-to-noise ratio of each sample's step, [B].
        share: [B] how much each sample counts: 1 for normal samples, 0 for the others in the journal version.
            A batch in which none counts has the loss 0 by construction.
        cap: bound of the weight (Hang et al. 2023); None is the paper's loss.
        known: [B, 1, H, W] bool, the pixels whose truth is known; the others do not count. None: all of them.

    Paper: Eq. 3; Eq. 6
    """
    weight = (snr if cap is None else snr.clamp(max=cap)).to(clean_hat.dtype)
    error = (clean_hat - clean).square()
    if known is not None:
        error = error * known.to(error.dtype)
        weight = weight * known.numel() / known.shape[0] / known.flatten(1).sum(dim=1).clamp(min=1)
    each = error.flatten(1).mean(dim=1) * weight
    return (each * share).sum() / share.sum().clamp(min=1)


def focal(logits: Tensor, true_mask: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Focal loss (Lin et al. 2017, Eq. 5), mean over pixels; logits and true_mask [B, 1, H, W].

    `alpha` weighs anomalous pixels, 1 - alpha normal ones; computed from logits, so that it never overflows.
    """
    target = true_mask.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = (to_map(logits) - target).abs().clamp(min=1e-6)  # below it missed ** gamma has no finite slope, gamma < 1
    return ((alpha * target + (1 - alpha) * (1 - target)) * missed**gamma * entropy).mean()


def image_loss(logits: Tensor, top_k: int) -> Tensor:
    """-log of the image score, from logits [B, 1, H, W]: something in each picture is anomalous, nobody knows where.

    The score is taken of the mean of the `top_k` highest logits: multiple instance learning with a soft maximum.
    """
    highest = logits.flatten(1).topk(top_k, dim=1).values
    return F.softplus(-highest.mean(dim=1)).mean()


def map_loss(
    logits: Tensor,
    true_mask: Tensor,
    *,
    alpha: float,
    gamma: float,
    focal_weight: float,
    smooth_weight: float = 1.0,
) -> Tensor:
    """L_mask = smooth_weight * SmoothL1(M_hat, M) + focal_weight * focal(M_hat, M); the paper's smooth_weight is 1.

    Paper: Eq. 7
    """
    smooth = F.smooth_l1_loss(to_map(logits), true_mask.to(logits.dtype))
    return smooth_weight * smooth + focal_weight * focal(logits, true_mask, alpha=alpha, gamma=gamma)


def total_loss(noise: Tensor, mapped: Tensor) -> Tensor:
    """L_total = L_noise + L_mask, scalars.

    Paper: Eq. 8
    """
    return noise + mapped
