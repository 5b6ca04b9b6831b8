"""How well scores and maps tell defective from good: exact, bounded in memory, numpy only.

ranking   AUROC, average precision, F1-max of one score per picture
pixels    the same over all pixels of a data set, and AUPRO, map by map
tallies   sorted values with counts: what both are computed from
"""

from __future__ import annotations

from diffusionad.metrics.pixels import PixelMetrics, PixelResult
from diffusionad.metrics.ranking import auroc, average_precision, f1_max

__all__ = ["PixelMetrics", "PixelResult", "auroc", "average_precision", "f1_max"]
