"""Which sequences are computed together. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence


def in_order_of_length(lengths: Sequence[int], batch_size: int, max_tokens: int = 8192) -> list[list[int]]:
    """Batches of indices, longest first: little padding, and a lack of memory shows at once.

    No batch exceeds `batch_size` sequences or, padding counted, `max_tokens` (a single longer one aside).
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not batches or len(batches[-1]) == room:
            batches.append([])
            room = max(1, min(batch_size, max_tokens // max(1, lengths[index])))
        batches[-1].append(index)
    return batches
