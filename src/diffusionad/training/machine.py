"""Devices, precision and processes: Lightning Fabric's, chosen for this machine."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import nn

from diffusionad.config import TrainingSettings
from diffusionad.errors import ResourceError, UsageError

__all__ = ["free_memory", "lay_out", "open_fabric"]

WIDE = 64
"""Channels of the first level from which a CPU step is faster with channels last."""


def open_fabric(device: str, devices: int, num_nodes: int, settings: TrainingSettings) -> Fabric:
    """A launched Fabric: device auto, cpu or cuda; `devices` processes on each of `num_nodes` nodes.

    Raises:
        UsageError: unknown device, or a batch that the processes cannot share evenly.
        ResourceError: cuda asked for and not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f'Unknown device "{device}". Known devices: auto, cpu, cuda.')
    if device == "cuda" and not torch.cuda.is_available():
        raise ResourceError("No CUDA device can be used here: give --device cpu, or look at nvidia-smi.", code="device")
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    processes = devices * num_nodes
    if settings.batch % processes:
        raise UsageError(f"training.batch={settings.batch} cannot be shared evenly by {processes} processes.")
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        num_nodes=num_nodes,
        strategy="ddp" if processes > 1 else "auto",
        precision=_precision(settings.precision, kind),
    )
    fabric.launch()
    if kind == "cpu" and sys.platform == "linux":
        _keep_freed_memory()
    return fabric


def free_memory() -> int:
    """Bytes that programs may still take: what Linux calls available, within the limit of a container.

    Where neither can be told: half of the machine's memory.
    """
    free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))]
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no container, or "max": no limit
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        free.append(max(0, limit - used))
    return min(free)


def lay_out(module: nn.Module, device: torch.device, width: int) -> None:
    """Weights with channels last on GPUs, and on CPUs for denoisers of `WIDE` channels or more: below, it is slower."""
    if device.type == "cuda" or width >= WIDE:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in torch, not in its stubs


def _keep_freed_memory() -> None:
    """Let the allocator keep large freed blocks: given back, every step pays page faults for them, 15-25 % of its time
    (measured on two cores, glibc). Peak memory stays the same.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # absent outside glibc
    if adjust is not None:
        adjust(trim_threshold, 2**31 - 1)
        adjust(mmap_max, 0)


def _precision(asked: Literal["auto", "fp32", "bf16"], kind: str) -> Literal["bf16-mixed", "32-true"]:
    """bf16 only where the hardware computes in it: emulated, it is ten times slower than fp32."""
    native = torch.cuda.is_bf16_supported() if kind == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if asked == "bf16" or (asked == "auto" and native) else "32-true"
