"""Telling a lack of memory from other errors, without torch."""

from __future__ import annotations

_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "not enough memory",
    "bad_alloc",
)
"""What CUDA, Metal, torch's CPU allocator (Linux, Windows) and C++ itself say."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there was no memory left; several libraries say so in words only."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)
