"""Which precisions a machine computes natively."""

from __future__ import annotations

import torch


def computes_bf16(device: str) -> bool:
    """Whether bf16 is native, hence faster than float32, on this machine.

    A CPU needs AVX-512 BF16 or AMX: elsewhere bf16 is emulated and slower.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False
