"""Suffix arrays over numbers, by prefix doubling (Manber and Myers 1993; Larsson and Sadakane 2007)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def suffix_array(numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """The places of `numbers`, `(n,)`, ordered by what follows each: `(n,)`.

    Every document in `numbers` ends in a negative number that occurs once. So no two suffixes are equal beyond
    a document's end, and the number of rounds is the logarithm of the longest repeated stretch.
    """
    size = len(numbers)
    suffixes = np.argsort(numbers, kind="stable").astype(np.int32)
    first = _first_of_equals(numbers[suffixes])
    rank = np.empty(size, np.int32)
    rank[suffixes] = first
    tied = _tied(first, np.arange(size, dtype=np.int32))
    known = 1
    while len(tied):
        # Ties agree on `known` numbers, none of them an end: what follows those lies in the same document.
        places = suffixes[tied]
        keys = rank[places].astype(np.int64) * size + rank[places + known]
        order = np.argsort(keys, kind="stable")
        places = places[order]
        first = tied[_first_of_equals(keys[order])]
        suffixes[tied] = places
        rank[places] = first
        tied = _tied(first, tied)
        known *= 2
    return suffixes


def _first_of_equals(ordered: NDArray[np.integer]) -> NDArray[np.int32]:
    """For each entry the index of the first that equals it."""
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first: NDArray[np.int32] = np.where(starts, np.arange(len(ordered), dtype=np.int32), np.int32(0))
    np.maximum.accumulate(first, out=first)
    return first


def _tied(first: NDArray[np.int32], places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Those of `places` that share their `first` with a neighbour."""
    same = first[1:] == first[:-1]
    tied: NDArray[np.int32] = places[np.concatenate([same, [False]]) | np.concatenate([[False], same])]
    return tied


def longest_match(
    numbers: NDArray[np.int32], suffixes: NDArray[np.int32], query: Sequence[int]
) -> tuple[int, int]:
    """How many numbers the longest beginning of `query` that occurs in `numbers` has, and a place where it does."""
    low, high = 0, len(suffixes)
    for length, wanted in enumerate(query):

        def at(row: int, length: int = length) -> int:
            return int(numbers[suffixes[row] + length])

        rows = range(len(suffixes))
        lower = bisect_left(rows, wanted, low, high, key=at)
        upper = bisect_right(rows, wanted, lower, high, key=at)
        if lower == upper:
            return length, int(suffixes[low])
        low, high = lower, upper
    return len(query), int(suffixes[low])
