"""Training: needs the extra `train`."""

from diffusionad.training.plan import plan
from diffusionad.training.runs import TrainedRun, train

__all__ = ["TrainedRun", "plan", "train"]
