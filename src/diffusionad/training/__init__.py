"""Training: needs the extra `train`."""

from diffusionad.training.plan import plan
from diffusionad.training.runs import TrainedRun, train
from diffusionad.training.tuning import fine_tune

__all__ = ["TrainedRun", "fine_tune", "plan", "train"]
