"""Looks at a data set's pictures before anything is learned from them, and says what is wrong and what to do."""

from __future__ import annotations

from diffusionad.doctor.examining import CHECKS, Examination, examine
from diffusionad.doctor.findings import Finding
from diffusionad.doctor.page import render_findings, write_findings

__all__ = ["CHECKS", "Examination", "Finding", "examine", "render_findings", "write_findings"]
