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


def read_bios(
    path: Path, column: str | None = None, *, skip_ragged: bool = False, max_cell: int = MAX_CELL
) -> BiosFile:
    """Read the biographies in `path`; `column` is found by its usual names where it is not given.

    `max_cell` is the longest cell taken, in characters, 0 for no limit: a huge one is nearly always a
    quotation mark left open.

    Raises UserError, naming file and row, for whatever cannot be read exactly.
    """
    text, encoding = decode(read_bytes(path), str(path))
    if not text.strip():
        raise UserError(f"{path} is empty")
    delimiter: str | None = None
    ragged = 0
    if _is_json(path, text):
        records = list(_json_records(path, text))
        columns = list(dict.fromkeys(key for _, record in records for key in record))
    else:
        delimiter = _find_delimiter(text, column, path)
        header, records, ragged = _csv_records(path, text, delimiter, skip_ragged)
        columns = header
    if not records:
        if ragged:
            raise UserError(f"{path}: all {ragged:,} rows have more or fewer fields than the header")
        raise UserError(f"{path} {'holds no rows' if delimiter is None else 'has a header and no rows'}")
    chosen, guessed = _choose_column(path, columns, column, records)
    texts, rows, empty = [], [], 0
    for row, record in records:
        value = record.get(chosen)
        if value is not None and not isinstance(value, str):
            raise UserError(f"{path}, row {row}: '{chosen}' is {type(value).__name__}, not text")
        if _LONE_SURROGATE.search(value or ""):
            raise UserError(
                f"{path}, row {row}: '{chosen}' holds half a character (a lone \\ud800 to \\udfff)"
            )
        cleaned = (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()
        if cleaned in MISSING:
            empty += 1
            continue
        if max_cell and len(cleaned) > max_cell:
            raise UserError(
                f"{path}, row {row}: '{chosen}' is {len(cleaned):,} characters long, the limit is {max_cell:,}; "
                "is a quotation mark left open? (--max-cell 0 takes any length)"
            )
        texts.append(cleaned)
        rows.append(row)
    if not texts:
        raise UserError(f"{path}: all {empty:,} rows of '{chosen}' are empty; choose another with --column")
    if len(texts) == 1:
        raise UserError(
            f"{path} holds one text; training needs at least two, one to learn from and one to check"
        )
    return BiosFile(texts, rows, chosen, guessed, encoding, _DELIMITERS.get(delimiter or ""), empty, ragged)


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
    path: Path, text: str, delimiter: str, skip_ragged: bool
) -> tuple[list[str], list[tuple[int, dict[str, Any]]], int]:
    _refuse_open_quote(path, text, delimiter)
    reader = _reader(text, delimiter)
    header: list[str] | None = None
    records: list[tuple[int, dict[str, Any]]] = []
    bad: list[tuple[int, int, int]] = []
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
            bad.append((row, line, len(fields)))
            continue
        records.append((row, dict(zip(header, fields, strict=True))))
    assert header is not None
    if bad and not skip_ragged:
        row, line, width = bad[0]
        more = f" (and {len(bad) - 1:,} more such rows)" if len(bad) > 1 else ""
        raise UserError(
            f"{path}, row {row} (line {line}): {_count(width, 'field')} where the header has {len(header)}{more}; "
            "put texts that hold the delimiter in quotation marks, or pass --skip-ragged"
        )
    return header, records, len(bad)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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


def _choose_column(
    path: Path, columns: list[str], wanted: str | None, records: list[tuple[int, dict[str, Any]]]
) -> tuple[str, bool]:
    """The column to read, and whether it was guessed."""
    listed = ", ".join(columns[:12]) + (" …" if len(columns) > 12 else "")
    if wanted is not None:
        if wanted in columns:
            return wanted, False
        lowered = {name.lower(): name for name in columns}
        close = difflib.get_close_matches(wanted.lower(), lowered, n=1, cutoff=0.5)
        hint = f"did you mean '{lowered[close[0]]}'? " if close else ""
        raise UserError(f"{path} has no column '{wanted}'; {hint}Its columns: {listed}")
    by_lower_case = {name.lower(): name for name in reversed(columns)}
    for guess in COLUMN_GUESSES:
        if guess in by_lower_case:
            return by_lower_case[guess], False
    if len(columns) == 1:
        return columns[0], False
    sample = [record for _, record in records[:_SAMPLE_RECORDS]]
    length = {
        name: sum(len(value) for record in sample if isinstance(value := record.get(name), str))
        for name in columns
    }
    ranked = sorted(columns, key=lambda name: length[name], reverse=True)
    if length[ranked[0]] > 3 * length[ranked[1]]:
        return ranked[0], True
    raise UserError(f"{path}: which column holds the texts? Name it with --column. Its columns: {listed}")
