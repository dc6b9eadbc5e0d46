"""What is said of data sets, and of files before they become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from rich.cells import cell_len, set_cell_size

from bioforge.data.preview import Preview
from bioforge.data.store import DataInfo
from bioforge.reporting.histogram import histogram
from bioforge.reporting.text import count, one_line

T = TypeVar("T")
MEASURED = 20_000
"""Texts whose lengths are measured: enough for a histogram, and quick however many there are."""


def summary(info: DataInfo) -> list[str]:
    """A data set in a few lines: where it is from, splits and balance, words, what was left out."""
    words = info.words
    lines = [f"{info.name}: {info.size:,} {'biographies' if info.kind == 'bios' else 'sentences'}"]
    details = [f"from {info.file}", info.encoding]
    if info.delimiter:
        details.append(f"{info.delimiter}-separated")
    if info.column:
        details.append(f"column '{info.column}'")
    lines.append("  " + ", ".join(details))
    if info.kind == "cola":
        lines += [f"  {line}" for line in _judged(info.splits, info.labels)]
    lines.append(
        f"  words: mean {words.mean:,.1f}, median {words.median:,.0f}, 95 % up to {words.p95:,}, longest {words.longest:,}"
    )
    dropped = f"{info.empty:,} empty rows left out, " if info.empty else "no empty rows, "
    ragged = f", {info.ragged:,} ragged rows left out" if info.ragged else ""
    lines.append(f"  {dropped}{info.duplicates:,} exact duplicates{ragged}")
    lines.append(f"  fingerprint {info.fingerprint[:16]}")
    return lines


def length_lines(
    lengths: Sequence[int], total: int, *, limit: int | None = None, width: int = 40
) -> list[str]:
    """A histogram of the lengths of a text; a last line says so where only some of `total` were measured."""
    lines = histogram(lengths, limit=limit, width=width)
    if len(lengths) < total:
        lines.append(f"measured on {len(lengths):,} of {total:,} texts")
    return lines


def spread(texts: Sequence[T], most: int = MEASURED) -> Sequence[T]:
    """All of `texts`, or at most that many at even distances."""
    return texts[:: max(1, -(-len(texts) // most))]


def preview_lines(preview: Preview) -> list[str]:
    """What a file was recognised as, and how it is read."""
    how = [preview.encoding]
    if preview.delimiter:
        how.append(f"{preview.delimiter}-separated")
    if preview.kind == "bios":
        return [f"{count(preview.total, 'row')}, {', '.join(how)}"]
    return [
        f"CoLA: {count(preview.total, 'row')}, {', '.join(how)}",
        *_judged(preview.splits, preview.labels),
    ]


def column_line(preview: Preview) -> str:
    """How the column of texts was found."""
    if preview.kind == "cola":
        return "read as judged sentences"
    if preview.column is None:
        return "which column holds the texts?"
    if preview.column_guessed:
        return "guessed: the longest texts"
    return ""


def problems_line(preview: Preview) -> str:
    """How many problems there are, and what they mean for an import."""
    if not preview.problems:
        return "no problems found" if preview.texts else ""
    line = count(len(preview.problems), "problem")
    if preview.fatal:
        stops = "stops" if preview.fatal == 1 else "stop"
        line += f", {preview.fatal:,} of them {stops} the import"
        if preview.ragged == preview.fatal:
            line += "; ragged rows can be left out"
    return line


def token_lines(tokens: Sequence[str], ids: Sequence[int], width: int) -> list[tuple[str, str]]:
    """Tokens with their ids under them, as pairs of lines no wider than `width`."""
    pairs: list[tuple[str, str]] = []
    above = below = ""
    for token, number in zip(tokens, ids, strict=True):
        shown = one_line(token, max(1, width))
        cells = max(cell_len(shown), len(str(number)))
        if above and cell_len(above) + cells > width:
            pairs.append((above.rstrip(), below.rstrip()))
            above = below = ""
        above += set_cell_size(shown, cells) + " "
        below += f"{number:<{cells}} "
    return [*pairs, (above.rstrip(), below.rstrip())] if above else pairs


def _judged(splits: dict[str, int], labels: dict[str, int]) -> list[str]:
    total = sum(labels.values())
    good = labels.get("1", 0)
    share = f" ({100 * good / total:.2f} %)" if total else ""
    return [
        ", ".join(f"{name} {size:,}" for name, size in splits.items()),
        f"acceptable {good:,} of {total:,}{share}",
    ]
