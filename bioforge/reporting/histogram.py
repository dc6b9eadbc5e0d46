"""A length distribution as bars of text (tutorial 1, "Create Training Set")."""

from __future__ import annotations

from collections.abc import Sequence

from bioforge.reporting.text import bar_of_eighths

_BINS = 12


def histogram(values: Sequence[int], *, limit: int | None = None, width: int = 40) -> list[str]:
    """One line a bin, from 0 to the largest value; where `limit` falls, a line says how many lie beyond it.

    The last bin gathers the longest tail, so that one huge value does not flatten the rest.
    """
    ordered = sorted(values)
    top = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    size = max(1, -(-(top + 1) // _BINS))
    counts = [0] * _BINS
    for value in ordered:
        counts[min(_BINS - 1, value // size)] += 1
    while len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    most = max(counts)
    lines = []
    marked = limit is None
    for index, count in enumerate(counts):
        low, high = index * size, (index + 1) * size - 1
        if not marked and limit is not None and low > limit:
            lines.append(_limit_line(ordered, limit))
            marked = True
        last = index == len(counts) - 1 and ordered[-1] > high
        label = f"{low:>5}+     " if last else f"{low:>5}–{high:<5}"
        bar = bar_of_eighths(round(8 * width * count / most))
        lines.append(f"{label} {bar or ('▏' if count else '')} {count:,}")
    if not marked and limit is not None:
        lines.append(_limit_line(ordered, limit))
    return lines


def _limit_line(values: Sequence[int], limit: int) -> str:
    over = sum(value > limit for value in values)
    return f"{'':>5}───── limit {limit:,}: {over:,} of {len(values):,} beyond it ({100 * over / len(values):.1f} %)"
