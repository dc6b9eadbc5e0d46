"""Files of records, CSV, TSV and JSON Lines: streamed, once to see that all can be read, again for each use."""

from __future__ import annotations

import csv
import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from bioforge.data.decode import TextFile
from bioforge.errors import UserError

COLUMN_GUESSES = ("bio_main", "bio", "biography", "text", "description", "content", "about", "summary")
FIRST_RECORDS = 50
_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_SAMPLE_CHARACTERS = 16_000_000
_CHECK_EVERY = 1000
_END = "end"

Record = tuple[int, dict[str, Any]]
"""1-based data row, the header not counted, and its cells by column."""


@dataclass(frozen=True)
class Ragged:
    """A row with more or fewer fields than the header."""

    row: int
    line: int
    width: int
    expected: int

    @property
    def message(self) -> str:
        fields = f"{self.width} field" if self.width == 1 else f"{self.width} fields"
        return f"{fields} where the header has {self.expected}"


@dataclass(frozen=True)
class Table:
    """A file as rows of named cells, before a column is chosen."""

    file: TextFile
    columns: list[str]
    first: list[Record]
    """The first few records; `records` has all."""
    size: int
    """Records in all."""
    ragged: int
    first_ragged: Ragged | None
    delimiter: str | None
    """What stands between the fields, in a word; None for JSON."""
    records: Callable[[], Iterator[Record | Ragged]]
    """Reads the rows anew at each call."""


def read_table(file: TextFile, column: str | None = None, check: Callable[[], None] = lambda: None) -> Table:
    """See `file` as CSV, TSV or JSON Lines; a wanted `column` helps to tell which.

    Raises UserError for a file that is none of them or has no rows at all.
    """
    start = _first_character(file)
    if not start:
        raise UserError(f"{file.path} is empty")
    delimiter: str | None = None
    columns: dict[str, None] = {}
    records: Callable[[], Iterator[Record | Ragged]]
    if file.path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or start == "{":
        records = partial(iter, _json_array(file)) if start == "[" else partial(_json_lines, file)
    else:
        delimiter = _find_delimiter(file, column)
        header = _header(file, delimiter)
        columns = dict.fromkeys(header)
        records = partial(_csv_records, file, delimiter, header)
    first: list[Record] = []
    size = ragged = 0
    first_ragged = None
    for number, record in enumerate(records()):
        if number % _CHECK_EVERY == 0:
            check()
        if isinstance(record, Ragged):
            ragged += 1
            first_ragged = first_ragged or record
            continue
        size += 1
        if len(first) < FIRST_RECORDS:
            first.append(record)
        if delimiter is None:
            columns.update(dict.fromkeys(record[1]))
    if delimiter and len(columns) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{file.path}: two columns are named '{repeated}'; rename one")
    if not size and not ragged:
        raise UserError(f"{file.path} {'holds no rows' if delimiter is None else 'has a header and no rows'}")
    word = _DELIMITERS[delimiter] if delimiter else None
    return Table(file, list(columns), first, size, ragged, first_ragged, word, records)


def choose_column(table: Table, wanted: str | None) -> tuple[str | None, bool]:
    """The column to read, None where the user must say, and whether it was guessed.

    Raises UserError where the wanted one is not there.
    """
    columns = table.columns
    if wanted is not None:
        if wanted in columns:
            return wanted, False
        lowered = {name.lower(): name for name in columns}
        close = difflib.get_close_matches(wanted.lower(), lowered, n=1, cutoff=0.5)
        hint = f"did you mean '{lowered[close[0]]}'? " if close else ""
        raise UserError(f"{table.file.path} has no column '{wanted}'; {hint}Its columns: {listed(columns)}")
    by_lower_case = {name.lower(): name for name in reversed(columns)}
    for guess in COLUMN_GUESSES:
        if guess in by_lower_case:
            return by_lower_case[guess], False
    if len(columns) == 1:
        return columns[0], False
    length = {
        name: sum(len(value) for _, cells in table.first if isinstance(value := cells.get(name), str))
        for name in columns
    }
    ranked = sorted(columns, key=lambda name: length[name], reverse=True)
    if ranked and length[ranked[0]] > 3 * length[ranked[1]]:
        return ranked[0], True
    return None, False


def listed(columns: list[str]) -> str:
    return ", ".join(columns[:12]) + (" …" if len(columns) > 12 else "")


def _first_character(file: TextFile) -> str:
    """The first that is not white space, "" where there is none."""
    with file.open(newline="") as text:
        while piece := text.read(1 << 16):
            if stripped := piece.lstrip():
                return stripped[0]
    return ""


def _json_lines(file: TextFile) -> Iterator[Record]:
    # Lines end at \n alone: U+2028 and its like are legal inside a JSON string.
    with file.open(newline="\n") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                value = _parse_json(file.path, line.removesuffix("\n"), f", line {number}")
                yield number, _json_object(file.path, number, value)


def _json_array(file: TextFile) -> list[Record]:
    """Read whole: an array ends only where it ends."""
    with file.open(newline="") as text:
        values = _parse_json(file.path, text.read(), "")
    return [(number, _json_object(file.path, number, value)) for number, value in enumerate(values, 1)]


def _json_object(path: Path, number: int, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f'{path}, row {number}: expected an object such as {{"bio_main": "…"}}')
    return value


def _parse_json(path: Path, text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = where or f", line {error.lineno}"
        raise UserError(f"{path}{where}: not valid JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}{where}: JSON that cannot be read ({error})") from error


def _reader(lines: Iterable[str], delimiter: str) -> Any:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    return csv.reader(lines, delimiter=delimiter)


def _find_delimiter(file: TextFile, column: str | None) -> str:
    """The delimiter under which the first records have the same number of fields, more than one.

    A header that holds the wanted column decides; then the file's suffix; then the widest table.
    """
    best, best_score = ",", (False, False, False, 0)
    for delimiter in _DELIMITERS:
        try:
            records = _sample(file, delimiter)
        except csv.Error:
            continue
        header = [name.strip() for name in records[0]] if records else []
        same = all(len(record) == len(header) for record in records)
        named = bool({column} & set(header)) if column else bool(set(COLUMN_GUESSES) & set(header))
        suffix = (file.path.suffix.lower() in {".tsv", ".tab"}) == (delimiter == "\t")
        width = len(header) if len(header) > 1 else 0
        score = (named, same and width > 0, suffix, width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _sample(file: TextFile, delimiter: str) -> list[list[str]]:
    """The first records; under a wrong delimiter a record may have no end, so they are looked for in the first megabytes."""
    records: list[list[str]] = []
    with file.open(newline="") as text:
        read = 0

        def lines() -> Iterator[str]:
            nonlocal read
            for line in text:
                read += len(line)
                yield line
                if read > _SAMPLE_CHARACTERS:
                    return

        for record in _reader(lines(), delimiter):
            if record:
                records.append(record)
            if len(records) > FIRST_RECORDS:
                return records
    return records[:-1] if read > _SAMPLE_CHARACTERS and len(records) > 1 else records


def _header(file: TextFile, delimiter: str) -> list[str]:
    with file.open(newline="") as text:
        return [name.strip() for name in next(filter(None, _reader(text, delimiter)))]


def _csv_records(file: TextFile, delimiter: str, header: list[str]) -> Iterator[Record | Ragged]:
    with file.open(newline="") as text:
        row = -1
        for line, fields in _whole_records(file.path, text, delimiter):
            if not fields:
                continue
            row += 1
            if row == 0:
                continue
            if len(fields) == len(header):
                yield row, dict(zip(header, fields, strict=True))
            else:
                yield Ragged(row, line, len(fields), len(header))


def _whole_records(path: Path, text: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it begins on.

    Raises UserError at the end where a quotation mark was left open: the lenient reader takes that as a
    cell which holds the rest of the file.
    """
    # A line put after the end is a record of its own, unless a quotation mark is open there.
    reader = _reader(chain(text, ["\n", _END]), delimiter)
    held: tuple[int, list[str]] | None = None
    line = 1
    for fields in reader:
        if held:
            yield held
        held, line = (line, fields), reader.line_num + 1
    if held and held[1] != [_END]:
        raise UserError(f"{path}, line {held[0]}: a quotation mark is opened and never closed")
