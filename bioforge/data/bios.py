"""Reading biographies from CSV, TSV and JSON Lines (tutorial 1, "Create Training Set")."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioforge.data.decode import decode, read_bytes
from bioforge.errors import UserError

COLUMN_GUESSES = ("bio_main", "bio", "biography", "text", "description", "content", "about", "summary")
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"})
"""Cells that count as empty, as `DataFrame.dropna` has it in the tutorial."""
MAX_CELL = 5_000_000
_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_SAMPLE_RECORDS = 50
_END = "end"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class BiosFile:
    """What a file of biographies holds: `texts` with their row numbers, and how it was read."""

    texts: list[str]
    rows: list[int]
    """1-based data row of each text, the header not counted."""
    column: str
    column_guessed: bool
    encoding: str
    delimiter: str | None
    empty: int
    ragged: int


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

    columns: list[str]
    records: list[tuple[int, dict[str, Any]]]
    """1-based data row, and its cells by column."""
    ragged: list[Ragged]
    encoding: str
    delimiter: str | None
    """What stands between the fields, in a word; None for JSON."""


def read_table(path: Path, text: str, encoding: str, column: str | None = None) -> Table:
    """Read the decoded `text` of `path` as CSV, TSV or JSON Lines; a wanted `column` helps to tell which.

    Raises UserError for a file that is none of them or has no rows at all.
    """
    if not text.strip():
        raise UserError(f"{path} is empty")
    delimiter: str | None = None
    ragged: list[Ragged] = []
    if _is_json(path, text):
        records = list(_json_records(path, text))
        columns = list(dict.fromkeys(key for _, record in records for key in record))
    else:
        delimiter = _find_delimiter(text, column, path)
        columns, records, ragged = _csv_records(path, text, delimiter)
    if not records and not ragged:
        raise UserError(f"{path} {'holds no rows' if delimiter is None else 'has a header and no rows'}")
    return Table(columns, records, ragged, encoding, _DELIMITERS.get(delimiter or ""))


def read_bios(
    path: Path, column: str | None = None, *, skip_ragged: bool = False, max_cell: int = MAX_CELL
) -> BiosFile:
    """Read the biographies in `path`; `column` is found by its usual names where it is not given.

    `max_cell` is the longest cell taken, in characters, 0 for no limit: a huge one is nearly always a
    quotation mark left open.

    Raises UserError, naming file and row, for whatever cannot be read exactly.
    """
    text, encoding = decode(read_bytes(path), str(path))
    table = read_table(path, text, encoding, column)
    if table.ragged and not skip_ragged:
        first = table.ragged[0]
        more = f" (and {len(table.ragged) - 1:,} more such rows)" if len(table.ragged) > 1 else ""
        raise UserError(
            f"{path}, row {first.row} (line {first.line}): {first.message}{more}; "
            "put texts that hold the delimiter in quotation marks, or pass --skip-ragged"
        )
    if not table.records:
        raise UserError(f"{path}: {all_ragged(table)}")
    chosen, guessed = choose_column(path, table, column)
    if chosen is None:
        raise UserError(
            f"{path}: which column holds the texts? Name it with --column. Its columns: {_listed(table.columns)}"
        )
    texts, rows, empty = [], [], 0
    for row, record in table.records:
        try:
            cleaned = cell_text(record.get(chosen), chosen, max_cell)
        except UserError as error:
            raise UserError(f"{path}, row {row}: {error}") from error
        if not cleaned:
            empty += 1
            continue
        texts.append(cleaned)
        rows.append(row)
    refused = too_few(chosen, len(texts), empty)
    if refused:
        raise UserError(f"{path}{refused}")
    return BiosFile(texts, rows, chosen, guessed, encoding, table.delimiter, empty, len(table.ragged))


def cell_text(value: object, column: str, max_cell: int = MAX_CELL) -> str:
    """The text in a cell of `column`; "" where it counts as empty.

    Raises UserError for what is no text, holds half a character, or is longer than `max_cell`.
    """
    if value is not None and not isinstance(value, str):
        raise UserError(f"'{column}' is {type(value).__name__}, not text")
    if _LONE_SURROGATE.search(value or ""):
        raise UserError(f"'{column}' holds half a character (a lone \\ud800 to \\udfff)")
    cleaned = (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()
    if cleaned in MISSING:
        return ""
    if max_cell and len(cleaned) > max_cell:
        raise UserError(
            f"'{column}' is {len(cleaned):,} characters long, the limit is {max_cell:,}; "
            "is a quotation mark left open? (--max-cell 0 takes any length)"
        )
    return cleaned


def all_ragged(table: Table) -> str:
    return f"all {len(table.ragged):,} rows have more or fewer fields than the header"


def too_few(column: str, texts: int, empty: int) -> str:
    """What to say after the file's name where there is too little to train on, else ""."""
    if not texts:
        return f": all {empty:,} rows of '{column}' are empty; choose another with --column"
    if texts == 1:
        return " holds one text; training needs at least two, one to learn from and one to check"
    return ""


def _is_json(path: Path, text: str) -> bool:
    return path.suffix.lower() in {".jsonl", ".ndjson", ".json"} or text.lstrip()[:1] == "{"


def _json_records(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    if text.lstrip().startswith("["):
        values = _parse_json(path, text, "")
        numbered = list(enumerate(values, 1))
    else:
        # Not splitlines(): U+2028 and its like are legal inside a JSON string.
        lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        numbered = [(number, _parse_json(path, line, f", line {number}")) for number, line in lines]
    for number, value in numbered:
        if not isinstance(value, dict):
            raise UserError(f'{path}, row {number}: expected an object such as {{"bio_main": "…"}}')
        yield number, value


def _parse_json(path: Path, text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = where or f", line {error.lineno}"
        raise UserError(f"{path}{where}: not valid JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}{where}: JSON that cannot be read ({error})") from error


def _reader(text: str, delimiter: str) -> Any:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _find_delimiter(text: str, column: str | None, path: Path) -> str:
    """The delimiter under which the first records have the same number of fields, more than one.

    A header that holds the wanted column decides; then the file's suffix; then the widest table.
    """
    best, best_score = ",", (False, False, False, 0)
    for delimiter in _DELIMITERS:
        records = []
        try:
            for record in _reader(text, delimiter):
                if record:
                    records.append(record)
                if len(records) > _SAMPLE_RECORDS:
                    break
        except csv.Error:
            continue
        header = [name.strip() for name in records[0]] if records else []
        same = all(len(record) == len(header) for record in records)
        named = bool({column} & set(header)) if column else bool(set(COLUMN_GUESSES) & set(header))
        suffix = (path.suffix.lower() in {".tsv", ".tab"}) == (delimiter == "\t")
        width = len(header) if len(header) > 1 else 0
        score = (named, same and width > 0, suffix, width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _csv_records(
    path: Path, text: str, delimiter: str
) -> tuple[list[str], list[tuple[int, dict[str, Any]]], list[Ragged]]:
    _refuse_open_quote(path, text, delimiter)
    reader = _reader(text, delimiter)
    header: list[str] | None = None
    records: list[tuple[int, dict[str, Any]]] = []
    ragged: list[Ragged] = []
    row = 0
    start = 1
    for fields in reader:
        line, start = start, reader.line_num + 1
        if not fields:
            continue
        if header is None:
            header = [name.strip() for name in fields]
            repeated = [name for name in header if header.count(name) > 1]
            if repeated:
                raise UserError(f"{path}: two columns are named '{repeated[0]}'; rename one")
            continue
        row += 1
        if len(fields) != len(header):
            ragged.append(Ragged(row, line, len(fields), len(header)))
            continue
        records.append((row, dict(zip(header, fields, strict=True))))
    assert header is not None
    return header, records, ragged


def _refuse_open_quote(path: Path, text: str, delimiter: str) -> None:
    """The lenient reader takes a quotation mark left open as a cell that holds the rest of the file."""
    # A line put after the end is a record of its own, unless a quotation mark is open there.
    reader = _reader(f"{text}\n{_END}", delimiter)
    start = next_start = 1
    closed = False
    for record in reader:
        start, next_start = next_start, reader.line_num + 1
        closed = record == [_END]
    if not closed:
        raise UserError(f"{path}, line {start}: a quotation mark is opened and never closed")


def choose_column(path: Path, table: Table, wanted: str | None) -> tuple[str | None, bool]:
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
        raise UserError(f"{path} has no column '{wanted}'; {hint}Its columns: {_listed(columns)}")
    by_lower_case = {name.lower(): name for name in reversed(columns)}
    for guess in COLUMN_GUESSES:
        if guess in by_lower_case:
            return by_lower_case[guess], False
    if len(columns) == 1:
        return columns[0], False
    sample = [record for _, record in table.records[:_SAMPLE_RECORDS]]
    length = {
        name: sum(len(value) for record in sample if isinstance(value := record.get(name), str))
        for name in columns
    }
    ranked = sorted(columns, key=lambda name: length[name], reverse=True)
    if ranked and length[ranked[0]] > 3 * length[ranked[1]]:
        return ranked[0], True
    return None, False


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:12]) + (" …" if len(columns) > 12 else "")
