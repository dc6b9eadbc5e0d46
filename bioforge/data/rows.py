"""The rows of a data set: one JSON object a line in a file that is only ever read row by row.

Beside the rows lies their index: where each line begins, and a short digest of each text, which tells
equal texts without reading them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, overload

from bioforge.errors import UserError
from bioforge.files import write_bytes

ROWS, INDEX = "rows.jsonl", "rows.index"
_SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Row:
    """One biography, or one judged sentence."""

    text: str
    row: int
    """1-based row in the imported file."""
    split: str = "train"
    label: int | None = None
    """1 acceptable, 0 not; None for biographies."""
    source: str = ""
    mark: str = ""


def digest(text: str) -> int:
    """64 bits that tell texts apart: a million texts share one with a probability of 3 in 100 million."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), sys.byteorder)


@dataclass
class Index:
    """`starts`: n + 1 places in the rows file, in bytes. `digests`: n digests of the texts."""

    starts: array[int] = field(default_factory=lambda: array("Q", [0]))
    digests: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, line: bytes, text: str) -> None:
        self.starts.append(self.starts[-1] + len(line))
        self.digests.append(digest(text))

    def write(self, path: Path, fingerprint: str) -> None:
        content = self.starts.tobytes() + self.digests.tobytes()
        write_bytes(path, _seal(fingerprint, content) + content)
        path.chmod(0o444)

    @classmethod
    def read(cls, path: Path, fingerprint: str) -> Index | None:
        """None where there is no whole index to the rows of that fingerprint."""
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        content = raw[_SEAL:]
        if raw[:_SEAL] != _seal(fingerprint, content):
            return None
        numbers = array("Q", content)
        rows = len(numbers) // 2
        return cls(numbers[: rows + 1], numbers[rows + 1 :])


def _seal(fingerprint: str, content: bytes) -> bytes:
    """Binds an index to its rows, and to the byte order it is in."""
    return hashlib.sha256(f"{fingerprint} {sys.byteorder} ".encode() + content).digest()


class Rows(Sequence[Row]):
    """All rows of a file, or those at some positions: a view that reads a row when it is asked for."""

    def __init__(self, path: Path, index: Index, positions: Sequence[int] | None = None) -> None:
        self.path = path
        self.positions: Sequence[int] = range(len(index.digests)) if positions is None else positions
        self._index = index

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> Row | Rows:
        if isinstance(place, slice):
            return Rows(self.path, self._index, self.positions[place])
        return next(self._read([self.positions[place]]))

    def __iter__(self) -> Iterator[Row]:
        return self._read(self.positions)

    def digests(self) -> Iterator[int]:
        """The digest of each text, without reading any."""
        return map(self._index.digests.__getitem__, self.positions)

    def at(self, places: Iterable[int]) -> Rows:
        return Rows(self.path, self._index, array("Q", map(self.positions.__getitem__, places)))

    def _read(self, positions: Iterable[int]) -> Iterator[Row]:
        starts = self._index.starts
        try:
            with self.path.open("rb") as stream:
                for position in positions:
                    stream.seek(starts[position])
                    yield parse(stream.read(starts[position + 1] - starts[position]))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"{self.path} was changed or removed while it was read; import it again"
            ) from error


def line_of(row: Row) -> bytes:
    """A row as its line of the rows file; what is empty is left out."""
    values = {
        "label": row.label,
        "mark": row.mark,
        "row": row.row,
        "source": row.source,
        "split": row.split,
        "text": row.text,
    }
    kept = {key: value for key, value in values.items() if value not in (None, "")}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def parse(line: bytes) -> Row:
    return Row(**json.loads(line))


def open_rows(folder: Path, fingerprint: str) -> Rows:
    """The rows in a data set's folder; an index that is missing or damaged is made anew."""
    path = folder / ROWS
    index = Index.read(folder / INDEX, fingerprint)
    if index is None:
        with path.open("rb") as stream:
            index = _index_of(stream)
        with contextlib.suppress(OSError):
            index.write(folder / INDEX, fingerprint)
    return Rows(path, index)


def _index_of(lines: BinaryIO) -> Index:
    index = Index()
    for line in lines:
        index.add(line, parse(line).text)
    return index
