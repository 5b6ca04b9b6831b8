"""On what a verdict was computed: the last digits of a score may differ between these, and only between these."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from diffusionad.structures import Fingerprint

__all__ = ["fingerprint", "processor", "usable_processors"]

_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16", "i8mm")
"""Instruction sets by which a runtime chooses its kernels, as Linux names them."""


def fingerprint(runtime: str, threads: int | None = None) -> Fingerprint:
    """The fingerprint of a runtime on this machine; `threads` None: it takes every processor it may use."""
    model, instructions = processor()
    return Fingerprint(runtime, model, instructions, threads or usable_processors())


def usable_processors() -> int:
    """Processors that this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def processor() -> tuple[str, tuple[str, ...]]:
    """Model and telling instruction sets of the first processor, as far as the system says."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        text = ""
    facts = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in text.split("\n"))}
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    model = facts.get("model name") or platform.processor() or platform.machine()
    return model, tuple(name for name in _TELLING if name in flags)
