"""Methods side by side on the same pictures: a process each, our exact metrics, one table and one page."""

from __future__ import annotations

from diffusionad.benchmark.methods import METHODS, NOT_RUN, Method, Spec, parse_methods
from diffusionad.benchmark.running import Asked, Row, run_benchmark

__all__ = ["METHODS", "NOT_RUN", "Asked", "Method", "Row", "Spec", "parse_methods", "run_benchmark"]
