"""The paper's tables beside what this package measures; needs the extra `train`."""

from diffusionad.reproduction.ablation import ablate
from diffusionad.reproduction.runs import Asked, reproduce
from diffusionad.reproduction.sizes import measure_sizes
from diffusionad.reproduction.strips import write_strips
from diffusionad.reproduction.timing import time_a_step

__all__ = ["Asked", "ablate", "measure_sizes", "reproduce", "time_a_step", "write_strips"]
