"""A generated sample set: pictures of a small machined part, good and defective, with exact true masks."""

from diffusionad.demo.defects import DEFECTS
from diffusionad.demo.sample_set import DrawnSample, draw_defective, draw_good, write_sample_set

__all__ = ["DEFECTS", "DrawnSample", "draw_defective", "draw_good", "write_sample_set"]
