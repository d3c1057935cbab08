"""Processor, memory and GPUs of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch


def hardware(processes: int = 1) -> dict[str, Any]:
    """Processor, cores, threads, memory and GPUs of this machine.

    ``processes`` are those of the run, over all hosts.
    """
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "processes": processes,
        "system": platform.platform(),
    }


def processor() -> str:
    """Name of the processor, as the kernel says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def has_accelerator() -> bool:
    """Whether torch sees a GPU or another accelerator."""
    return torch.accelerator.is_available()


def gpu_memory(device: str | torch.device | None = None) -> int | None:
    """Bytes of a GPU; ``None`` where there is none."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(device or 0).total_memory


def has_bf16() -> bool:
    """Whether this processor is fast in bf16: with AMX or AVX512-BF16.

    ``frtune.environment.precision`` says what the device in use computes in.
    """
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
