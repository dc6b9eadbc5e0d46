"""Token ids of whole data sets: made once in pieces, kept in the cache, and read through a memory map.

    cache/tokens/FINGERPRINT OF THE DATA/KEY/   ids.bin    the ids of all rows, one after another
                                                rows.npy   of each row: where its ids lie, its label and target
                                                tokens.json   checksums; last written

The key is a digest of all that the ids depend on besides the rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np
import tokenizers
import transformers
from numpy.typing import NDArray

from bioforge.cache import cached
from bioforge.data.rows import Row
from bioforge.files import (
    read_json,
    sha256_of,
    write_json,
)
from bioforge.paths import Home
from bioforge.training.head import IGNORED
from bioforge.training.objective import Example, Objective

_IDS, _ROWS, _ABOUT = "ids.bin", "rows.npy", "tokens.json"
_ROW = np.dtype(
    [("start", "<i8"), ("end", "<i8"), ("row", "<i8"), ("label", "<i4"), ("target", "<f4"), ("cut", "?")]
)
_FORMAT = 2
"""Rises with every change to how texts become ids here."""
_SMALL_FILES = (".json", ".txt", ".model", ".bpe", ".tiktoken")
_PIECE = 2000
"""Rows tokenized at once: the tokenizer needs some 10 kB for each."""
_SAY_EVERY = 5
_MOST_BYTES = 10 * 10**9
"""Kept in all; beyond it, the tokens not used for longest go."""


@dataclass(frozen=True)
class Encoded:
    """Rows as token ids, looked up when asked for."""

    ids: NDArray[Any]
    """Of all rows, and maybe of others between them, `(tokens,)`."""
    table: NDArray[Any]
    """A row each, `(rows,)`, with the fields of `_ROW`."""

    @property
    def examples(self) -> Examples:
        return Examples(self)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """In tokens, `(rows,)`."""
        lengths: NDArray[np.int64] = self.table["end"] - self.table["start"]
        return lengths

    @property
    def labels(self) -> list[int]:
        labels: list[int] = self.table["label"].tolist()
        return labels

    @property
    def truncated(self) -> int:
        """Rows that were longer than the limit."""
        return int(self.table["cut"].sum())

    def aimed(self, targets: Sequence[float]) -> Encoded:
        """The same rows with other targets to learn."""
        table = self.table.copy()
        table["target"] = targets
        return Encoded(self.ids, table)

    def at(self, positions: Sequence[int]) -> Encoded:
        return Encoded(self.ids, self.table[np.asarray(positions, dtype=np.int64)])


class Examples(Sequence[Example]):
    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return len(self._encoded.table)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        if isinstance(place, slice):
            return [self[index] for index in range(len(self))[place]]
        start, end, row, label, target, _ = self._encoded.table[place].item()
        return Example(self._encoded.ids[start:end].tolist(), label, row, target)


def encode(objective: Objective, rows: Sequence[Row]) -> Encoded:
    """The tokens of some rows, in memory."""
    ids, tables = zip(*_pieces(objective, rows), strict=True)
    return Encoded(np.concatenate(ids), np.concatenate(tables))


def _pieces(objective: Objective, rows: Sequence[Row]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The rows' ids and their part of the table, a few thousand rows at a time."""
    kind = np.uint16 if max(objective.tokenizer.get_vocab().values()) < 2**16 else np.uint32
    start = 0
    for first in range(0, len(rows), _PIECE):
        piece = list(rows[first : first + _PIECE])
        sequences, cut = objective.tokenize(piece)
        ends = start + np.cumsum([len(ids) for ids in sequences])
        table = np.zeros(len(piece), _ROW)
        table["end"] = ends
        table["start"][0], table["start"][1:] = start, ends[:-1]
        table["row"] = [row.row for row in piece]
        table["label"] = [IGNORED if row.label is None else row.label for row in piece]
        table["target"] = table["label"]
        table["cut"] = cut
        start = int(ends[-1])
        yield np.fromiter(chain.from_iterable(sequences), kind), table


def kept(
    home: Home,
    base: Path,
    objective: Objective,
    rows: Sequence[Row],
    fingerprint: str,
    say: Callable[[str], None],
) -> Encoded:
    """The tokens of all rows of the data set of that fingerprint, from the cache where they are in it.

    `base` is the folder that the tokenizer came from.

    Damaged ones are made anew. `say` is told how far it is, and may raise to stop.
    """
    folder = home.tokens / fingerprint / _key(base, objective)
    make = partial(_make, objective=objective, rows=rows, say=say)
    return cached(folder, _open, make, mark=_ABOUT, most=_MOST_BYTES)


def _key(base: Path, objective: Objective) -> str:
    """Of the base's small files, which hold its tokenizer, of treatment, and the libraries' versions."""
    files = {path.name: sha256_of(path) for path in sorted(base.iterdir()) if path.suffix in _SMALL_FILES}
    libraries = {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__}
    decided = {
        "format": _FORMAT,
        "tokenizer": files,
        "treatment": objective.treatment(),
        "libraries": libraries,
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:32]


def _make(folder: Path, objective: Objective, rows: Sequence[Row], say: Callable[[str], None]) -> None:
    tables: list[NDArray[Any]] = []
    kind = ""
    with _all_cores(), (folder / _IDS).open("wb") as stream:
        say(f"tokenizing 0 of {len(rows):,}")
        for number, (ids, table) in enumerate(_pieces(objective, rows), 1):
            stream.write(ids.tobytes())
            tables.append(table)
            kind = ids.dtype.str
            if number % _SAY_EVERY == 0:
                say(f"tokenizing {number * _PIECE:,} of {len(rows):,}")
    np.save(folder / _ROWS, np.concatenate(tables))
    checksums = {name: sha256_of(folder / name) for name in (_IDS, _ROWS)}
    write_json(folder / _ABOUT, {"ids": kind, "sha256": checksums})


@contextlib.contextmanager
def _all_cores() -> Iterator[None]:
    """Nothing else works meanwhile, so the tokenizer may use every core; the ids are the same."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name, "false")
    os.environ[name] = "true"
    try:
        yield
    finally:
        os.environ[name] = before


def _open(folder: Path) -> Encoded | None:
    """None where the tokens are not there, or not as they were written."""
    try:
        about = read_json(folder / _ABOUT)
        if any(sha256_of(folder / name) != about["sha256"][name] for name in (_IDS, _ROWS)):
            return None
        os.utime(folder / _ABOUT)
        ids = np.memmap(folder / _IDS, about["ids"], mode="r")
        return Encoded(ids, np.load(folder / _ROWS, allow_pickle=False))
    except (OSError, ValueError, KeyError, TypeError):
        return None
