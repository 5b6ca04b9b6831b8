"""Defects drawn into normal images, so that good pictures are all that training needs."""

from diffusionad.synthesis.defects import DEFECTS
from diffusionad.synthesis.operations import OPERATIONS, Recipe
from diffusionad.synthesis.pasting import RealDefect, paste
from diffusionad.synthesis.synthesizer import Synthesizer, SyntheticPair
from diffusionad.synthesis.textures import Textures

__all__ = ["DEFECTS", "OPERATIONS", "RealDefect", "Recipe", "Synthesizer", "SyntheticPair", "Textures", "paste"]
