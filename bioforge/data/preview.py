"""A look at a file before it is imported: what it is, its first rows, and all that is wrong with it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bioforge.data import bios, cola
from bioforge.data.decode import open_text
from bioforge.data.rows import digest
from bioforge.data.store import Kind
from bioforge.data.table import Ragged, Table, choose_column, read_table
from bioforge.errors import UserError

FIRST_ROWS = 50
_COLA_COLUMNS = ["source", "label", "mark", "sentence"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one row; a fatal one stops the import."""

    row: int
    """1-based row in its file."""
    column: str
    """Empty where the whole row is meant."""
    message: str
    fatal: bool
    split: str = ""
    """Which of CoLA's files the row is in."""


@dataclass(frozen=True)
class Preview:
    kind: Kind
    encoding: str
    delimiter: str | None
    columns: list[str]
    """What can be chosen from; empty where the file names no columns."""
    column: str | None
    """The column of texts; None for CoLA, and where the user must choose."""
    column_guessed: bool
    total: int
    """Rows of data, bad ones too."""
    header: list[str]
    rows: list[tuple[int, list[str]]]
    """The first rows, as cells under `header`."""
    problems: list[Problem]
    """Every one of them, those that stop the import first, then in the order of the rows."""
    ragged: int
    """How many of the problems go away when ragged rows are left out."""
    refusal: str
    """Why nothing can be imported even without the ragged rows; empty where something can."""
    texts: list[str]
    """What would be imported, repeated texts too."""
    splits: dict[str, int] = field(default_factory=dict)
    """Sentences by split, for CoLA."""
    labels: dict[str, int] = field(default_factory=dict)
    """Sentences by label, `{"0": …, "1": …}`, for CoLA."""

    @property
    def fatal(self) -> int:
        return sum(problem.fatal for problem in self.problems)

    def hindrance(self, *, skip_ragged: bool) -> str:
        """Why the file cannot be imported so, for the user to mend; empty where it can."""
        if self.ragged and not skip_ragged and not self.refusal:
            return "ragged rows: leave them out, or mend the file"
        return self.refusal


def suggested_name(path: Path) -> str:
    """A name for the data set made from the file's."""
    stem = path.name.split(".")[0] if path.is_file() else path.name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:60] or "data"


def preview(path: Path, column: str | None = None) -> Preview:
    """Look at the file, folder or zip at `path` as an import would read it.

    What looks like CoLA is taken for it, unless a `column` of texts is named.
    Raises UserError, in one line, for what cannot be read at all or lacks the wanted column.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if is_folder:
        if not cola.is_cola_folder(path):
            raise UserError(f"{path} is a folder without CoLA's files in it; choose a file")
        return _of_cola(path)
    # Office documents are zips too; what they are is said below.
    if path.suffix.lower() in ("", ".zip") and cola.is_zip(path):
        return _of_cola(path)
    file = open_text(path)
    with file.open(newline="") as text:
        head = text.read(cola.SAMPLE_CHARACTERS)
    if column is None and cola.is_cola_text(head):
        return _of_cola(path, cola.columns_of(head))
    return _of_table(read_table(file, column), column)


def _of_table(table: Table, wanted: str | None) -> Preview:
    column, guessed = choose_column(table, wanted)
    texts, problems, refusal = _texts_of(table, column)
    return Preview(
        kind="bios",
        encoding=table.file.encoding,
        delimiter=table.delimiter,
        columns=table.columns,
        column=column,
        column_guessed=guessed,
        total=table.size + table.ragged,
        header=table.columns,
        rows=[
            (row, ["" if cells.get(name) is None else str(cells[name]) for name in table.columns])
            for row, cells in table.first[:FIRST_ROWS]
        ],
        problems=_in_order(problems),
        ragged=table.ragged,
        refusal=refusal,
        texts=texts,
    )


def _texts_of(table: Table, column: str | None) -> tuple[list[str], list[Problem], str]:
    """The texts of a column, the problems of the rows and its cells, and why they will not do."""
    texts: list[str] = []
    problems: list[Problem] = []
    first_row: dict[int, int] = {}
    empty = 0
    refusal = "" if column is not None else "choose the column that holds the texts"
    for record in table.records():
        if isinstance(record, Ragged):
            problems.append(Problem(record.row, "", record.message, fatal=True))
        elif column is not None:
            row, cells = record
            try:
                text = bios.cell_text(cells.get(column), column)
            except UserError as error:
                problems.append(Problem(row, column, str(error), fatal=True))
                refusal = refusal or f"row {row:,}: {error}"
                continue
            if not text:
                empty += 1
                problems.append(Problem(row, column, "empty, is left out", fatal=False))
                continue
            earlier = first_row.setdefault(digest(text), row)
            if earlier != row:
                problems.append(Problem(row, column, f"the same text as in row {earlier:,}", fatal=False))
            texts.append(text)
    if column is not None and not table.size:
        refusal = bios.all_ragged(table)
    elif column is not None:
        refusal = refusal or bios.too_few(column, len(texts), empty).removeprefix(":").strip()
    return texts, problems, refusal


def _of_cola(path: Path, columns: list[str] | None = None) -> Preview:
    found = cola.survey(path)
    problems = [Problem(bad.row, "", bad.message, True, bad.split) for bad in found.faults]
    problems += [Problem(row, "sentence", "empty, is left out", False, split) for split, row in found.empty]
    first: dict[tuple[str, str], cola.Judgement] = {}
    for judgement in found.judgements:
        earlier = first.setdefault((judgement.split, judgement.sentence), judgement)
        if earlier is not judgement:
            other = " with the other label" if earlier.label != judgement.label else ""
            message = f"the same sentence as in row {earlier.row:,}{other}"
            problems.append(Problem(judgement.row, "sentence", message, False, judgement.split))
    refusal = cola.too_few(found.judgements)
    if found.faults:
        refusal = f"row {found.faults[0].row:,}: {found.faults[0].message}"
    return Preview(
        kind="cola",
        encoding=found.encoding,
        delimiter=None,
        columns=columns or [],
        column=None,
        column_guessed=False,
        total=len(found.judgements) + len(found.empty) + len(found.faults),
        header=_COLA_COLUMNS,
        rows=[
            (row.row, [row.source, str(row.label), row.mark, row.sentence])
            for row in found.judgements[:FIRST_ROWS]
        ],
        problems=_in_order(problems),
        ragged=0,
        refusal=refusal,
        texts=[row.sentence for row in found.judgements],
        splits=dict(Counter(row.split for row in found.judgements)),
        labels=dict(sorted(Counter(str(row.label) for row in found.judgements).items())),
    )


def _in_order(problems: list[Problem]) -> list[Problem]:
    splits = {name: place for place, name in enumerate(("", *cola.SPLITS))}
    return sorted(problems, key=lambda problem: (not problem.fatal, splits[problem.split], problem.row))
