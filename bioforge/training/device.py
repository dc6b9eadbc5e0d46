"""Which device computes, and in which precision."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys

import psutil
import torch

from bioforge.models.precision import computes_bf16


def choose() -> str:
    """`cuda`, `mps` or `cpu`, the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def name(device: str) -> str:
    """The device as its maker calls it."""
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    if device == "mps":
        return "mps (Apple GPU)"
    threads = torch.get_num_threads()
    return f"cpu ({platform.processor() or platform.machine()}, {threads} thread{'s' if threads > 1 else ''})"


def precision(wanted: str, device: str) -> str:
    """`fp32` or `bf16`."""
    if wanted == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    return wanted


def tokens_per_pass(device: str) -> int:
    """How many tokens to compute at once: beyond this a pass costs memory and gains no speed."""
    return 2048 if device == "cpu" else 32_768


def memory_slack() -> int:
    """How far resident memory may grow beyond what is in use before freed memory is handed back, in bytes."""
    return int(psutil.virtual_memory().total // 4)


def release_freed_memory() -> None:
    """Hand freed memory back to the system, where it is the GPU's or glibc's to give.

    Batches of ever other lengths leave holes between the blocks in use, and without this resident memory
    grows for hours (docs/decisions/0005-memory.md).
    """
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def memory_bytes(device: str) -> int:
    """Peak memory of the GPU, or the process's present resident memory."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return int(psutil.Process().memory_info().rss)
