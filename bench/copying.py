"""Telling copies among a million texts: seconds and memory to make the index once, and to ask it.

    python -m bench.copying --rows 1000000 --words 20

Texts are drawn by a seeded generator as unevenly as words are, each tenth holds a stretch of an earlier one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from bench import results
from bioforge.data.rows import Row
from bioforge.drafting.copies import Copies, make, open_made

_VOCABULARY = 200_000
_BLOCK = 10_000
_ASKED = 20


class Generated(Sequence[Row]):
    """Rows made as they are read, the same at every reading."""

    def __init__(self, count: int, words: int) -> None:
        self._count = count
        self._words = words
        share = 1 / np.arange(10, _VOCABULARY + 10)
        self._sums = np.cumsum(share) / share.sum()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        raise NotImplementedError("read in order")

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, self._count, _BLOCK):
            draw = np.random.default_rng(first)
            size = min(_BLOCK, self._count - first)
            drawn = np.searchsorted(self._sums, draw.random((size, self._words)))
            half = self._words // 2
            drawn[10::10, :half] = drawn[:-10:10, half : 2 * half]
            for row, numbers in enumerate(drawn.tolist(), first + 1):
                yield Row(" ".join([f"w{number}" for number in numbers]), row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=20)
    asked = parser.parse_args()
    rows = Generated(asked.rows, asked.words)
    before = peak()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        began = time.monotonic()
        sum(len(row.text) for row in rows)
        reading = time.monotonic() - began
        began = time.monotonic()
        make(folder, rows, lambda said: print(said, file=sys.stderr, flush=True))
        making = time.monotonic() - began
        after = peak()
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        began = time.monotonic()
        copies = open_made(folder)
        assert copies
        opening = time.monotonic() - began
        asking = ask(copies, rows)
    head = (
        "texts",
        "words",
        "made in",
        "of it the generator",
        "memory before",
        "peak",
        "on disk",
        "opened in",
        "a text of 100 words",
    )
    line = [
        f"{asked.rows:,}",
        f"{asked.rows * asked.words:,}",
        f"{making:.0f} s",
        f"{reading:.0f} s",
        f"{before:.0f} MB",
        f"{after:.0f} MB",
        f"{size:.0f} MB",
        f"{opening:.1f} s",
        f"{asking * 1000:.0f} ms",
    ]
    results.keep(
        "copying",
        "## Telling copies\n\n"
        f"`python -m bench.copying --rows {asked.rows} --words {asked.words}`; {results.machine()}; other work ran beside it.\n\n"
        + results.table(head, [line]),
    )


def ask(copies: Copies, rows: Generated) -> float:
    """Seconds a text of about a hundred words, put together of pieces of what is there."""
    pieces = [row.text for row, _ in zip(rows, range(_ASKED * 5), strict=False)]
    texts = [" ".join(" ".join(piece.split()[:20]) for piece in pieces[at::_ASKED]) for at in range(_ASKED)]
    began = time.monotonic()
    found = [copies.of(text) for text in texts]
    seconds = time.monotonic() - began
    assert all(copied.words >= min(20, len(pieces[0].split())) for copied in found)
    return seconds / len(texts)


def peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
