"""Reading biographies from CSV, TSV and JSON Lines (tutorial 1, "Create Training Set")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bioforge.data.decode import open_text
from bioforge.data.table import Ragged, Table, choose_column, listed, read_table
from bioforge.errors import UserError

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"})
"""Cells that count as empty, as `DataFrame.dropna` has it in the tutorial."""
MAX_CELL = 5_000_000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Biographies:
    """A file of biographies that is known to be readable; iterating reads it, a `(row, text)` at a time.

    Iterating raises UserError, naming file and row, for a cell that is no text, and for too few texts.
    """

    table: Table
    column: str
    column_guessed: bool
    max_cell: int
    empty: int = 0
    """Rows without text, among those read so far."""

    @property
    def encoding(self) -> str:
        return self.table.file.encoding

    @property
    def delimiter(self) -> str | None:
        return self.table.delimiter

    @property
    def ragged(self) -> int:
        return self.table.ragged

    def __iter__(self) -> Iterator[tuple[int, str]]:
        path = self.table.file.path
        texts, self.empty = 0, 0
        for record in self.table.records():
            if isinstance(record, Ragged):
                continue
            row, cells = record
            try:
                text = cell_text(cells.get(self.column), self.column, self.max_cell)
            except UserError as error:
                raise UserError(f"{path}, row {row}: {error}") from error
            if text:
                texts += 1
                yield row, text
            else:
                self.empty += 1
        if texts + self.empty != self.table.size:
            raise UserError(f"{path} was changed while it was read; import it again")
        refused = too_few(self.column, texts, self.empty)
        if refused:
            raise UserError(f"{path}{refused}")


@dataclass(frozen=True)
class BiosFile:
    """What a small file of biographies holds: `texts` with their row numbers, and how it was read."""

    texts: list[str]
    rows: list[int]
    """1-based data row of each text, the header not counted."""
    column: str
    column_guessed: bool
    encoding: str
    delimiter: str | None
    empty: int
    ragged: int

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return zip(self.rows, self.texts, strict=True)


def read_bios(
    path: Path, column: str | None = None, *, skip_ragged: bool = False, max_cell: int = MAX_CELL
) -> BiosFile:
    """All of `open_bios` at once.

    Raises UserError, naming file and row, for whatever cannot be read exactly.
    """
    file = open_bios(path, column, skip_ragged=skip_ragged, max_cell=max_cell)
    rows, texts = map(list, zip(*file, strict=True))
    return BiosFile(
        texts,
        rows,
        file.column,
        file.column_guessed,
        file.encoding,
        file.delimiter,
        file.empty,
        file.ragged,
    )


def open_bios(
    path: Path,
    column: str | None = None,
    *,
    skip_ragged: bool = False,
    max_cell: int = MAX_CELL,
    check: Callable[[], None] = lambda: None,
) -> Biographies:
    """See that `path` is a table, and find the column of texts by its usual names where it is not given.

    `max_cell` is the longest cell taken, in characters, 0 for no limit: a huge one is nearly always a
    quotation mark left open. `check` is called now and then, and may raise to stop.

    Raises UserError, naming file and row, for whatever cannot be read exactly.
    """
    table = read_table(open_text(path), column, check)
    if table.first_ragged and not skip_ragged:
        first = table.first_ragged
        more = f" (and {table.ragged - 1:,} more such rows)" if table.ragged > 1 else ""
        raise UserError(
            f"{path}, row {first.row} (line {first.line}): {first.message}{more}; "
            "put texts that hold the delimiter in quotation marks, or pass --skip-ragged"
        )
    if not table.size:
        raise UserError(f"{path}: {all_ragged(table)}")
    chosen, guessed = choose_column(table, column)
    if chosen is None:
        raise UserError(
            f"{path}: which column holds the texts? Name it with --column. Its columns: {listed(table.columns)}"
        )
    return Biographies(table, chosen, guessed, max_cell)


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
    return f"all {table.ragged:,} rows have more or fewer fields than the header"


def too_few(column: str, texts: int, empty: int) -> str:
    """What to say after the file's name where there is too little to train on, else ""."""
    if not texts:
        return f": all {empty:,} rows of '{column}' are empty; choose another with --column"
    if texts == 1:
        return " holds one text; training needs at least two, one to learn from and one to check"
    return ""
