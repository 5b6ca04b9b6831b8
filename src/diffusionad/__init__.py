"""DiffusionAD: learns from pictures of good parts only, then finds and outlines defects."""

__version__ = "0.1.0"
