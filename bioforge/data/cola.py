"""Reading acceptability judgements: CoLA as published, GLUE's forms, and files shaped like them.

Source: tutorial 2, section 2.2; Warstadt et al. 2019, "Neural Network Acceptability Judgments".
"""

from __future__ import annotations

import csv
import io
import stat
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from bioforge.data.decode import decode, read_bytes
from bioforge.errors import UserError

TRAIN, DEV, IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV = "train", "dev", "in_domain_dev", "out_of_domain_dev"
SPLITS = (TRAIN, DEV, IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV)
_SPLIT_OF_FILE = {
    "in_domain_train": TRAIN,
    "in_domain_dev": IN_DOMAIN_DEV,
    "out_of_domain_dev": OUT_OF_DOMAIN_DEV,
    "train": TRAIN,
    "dev": DEV,
    "validation": DEV,
}
_SUFFIXES = (".tsv", ".csv", ".txt")
LABELS = ("0", "1")
_SAMPLE_ROWS = 50
SAMPLE_CHARACTERS = 200_000
_MAX_UNPACKED = 200_000_000
_MAX_RATIO = 200


@dataclass(frozen=True)
class Judgement:
    """One sentence with its label: 1 acceptable, 0 not."""

    sentence: str
    label: int
    split: str
    source: str
    mark: str
    row: int
    """1-based row in its file."""


@dataclass(frozen=True)
class ColaFile:
    judgements: list[Judgement]
    encoding: str
    empty: int
    files: list[str]


@dataclass(frozen=True)
class Fault:
    """A row that cannot be read, and why."""

    where: str
    split: str
    row: int
    message: str


@dataclass
class Survey:
    """All that a file, folder or zip holds, the rows that cannot be read too."""

    judgements: list[Judgement] = field(default_factory=list)
    empty: list[tuple[str, int]] = field(default_factory=list)
    """Split and row of each empty sentence."""
    faults: list[Fault] = field(default_factory=list)
    encoding: str = ""
    files: list[str] = field(default_factory=list)


def read_cola(path: Path) -> ColaFile:
    """Read the published zip, its folder, or one TSV, keeping the official splits.

    Raises UserError, naming file and row, for wrong labels or columns and for archives that are
    damaged, hostile or hold no CoLA.
    """
    found = survey(path)
    if found.faults:
        first = found.faults[0]
        raise UserError(f"{first.where}, row {first.row}: {first.message}")
    refused = too_few(found.judgements)
    if refused:
        raise UserError(f"{path} {refused}")
    return ColaFile(found.judgements, found.encoding, len(found.empty), found.files)


def survey(path: Path) -> Survey:
    """Read everything, bad rows noted instead of refused.

    Raises UserError for what holds no CoLA at all.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        sources = _files_of_folder(path)
    elif is_zip(path):
        sources = _files_of_zip(path)
    else:
        sources = [(str(path), _SPLIT_OF_FILE.get(path.stem, TRAIN), read_bytes(path))]
    found = Survey(files=[where for where, _, _ in sources])
    for where, split, raw in sources:
        text, encoding = decode(raw, where)
        found.encoding = found.encoding or encoding
        _parse(where, text, split, found)
    return found


def too_few(judgements: list[Judgement]) -> str:
    """What to say after the file's name where there is too little to train on, else ""."""
    training = sum(row.split == TRAIN for row in judgements)
    if not training:
        return "holds no training sentences; CoLA's are in in_domain_train.tsv"
    if training == 1:
        return "holds one training sentence; a judge needs at least two, one of each label"
    return ""


def is_zip(path: Path) -> bool:
    return zipfile.is_zipfile(path) or path.suffix.lower() == ".zip"


def is_cola_folder(folder: Path) -> bool:
    """Whether CoLA's files lie in `folder` or up to two folders down, where the published zip has them."""
    return any(
        path.suffix.lower() in _SUFFIXES
        for depth in ("", "*/", "*/*/")
        for stem in ("in_domain_train", "train")
        for path in folder.glob(f"{depth}{stem}.*")
    )


def is_cola_text(text: str) -> bool:
    """Whether most of a file's first rows are judged sentences in one of the forms read here, with a label of 0 or 1."""
    lines = [line.rstrip("\r") for line in text[:SAMPLE_CHARACTERS].split("\n") if line.strip()]
    if not lines:
        return False
    try:
        columns, delimiter = _header(lines[0])
        cells = list(csv.reader(lines[:_SAMPLE_ROWS], delimiter=delimiter, quoting=_quoting(delimiter)))
    except csv.Error:
        return False
    width, label_at = 4, 1
    if "label" in columns and ("sentence" in columns or "text" in columns):
        width, label_at = len(columns), columns.index("label")
        cells = cells[1:]
    elif delimiter != "\t" or len(columns) != width or columns[label_at].isidentifier():
        return False
    return sum(len(row) == width and row[label_at].strip() in LABELS for row in cells) > len(cells) / 2


def columns_of(text: str) -> list[str]:
    """The columns that a file of judged sentences names; none in CoLA's own form."""
    line = text.split("\n", 1)[0].rstrip("\r")
    columns, delimiter = _header(line)
    if "label" not in columns:
        return []
    return [
        cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, quoting=_quoting(delimiter)))
    ]


def _quoting(delimiter: str) -> Literal[0, 3]:
    """GLUE's TSV files know no quotation marks."""
    return csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE


def _files_of_folder(folder: Path) -> list[tuple[str, str, bytes]]:
    found = {
        path.stem: path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
        and path.stem in _SPLIT_OF_FILE
        and "tokenized" not in path.relative_to(folder).parts
    }
    chosen = _choose_files(list(found), str(folder))
    return [(str(found[stem]), _SPLIT_OF_FILE[stem], read_bytes(found[stem])) for stem in chosen]


def _files_of_zip(path: Path) -> list[tuple[str, str, bytes]]:
    """CoLA's files, read in memory: nothing is ever unpacked to disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_hostile(path, archive.infolist())
            found = {}
            for info in archive.infolist():
                name = PurePosixPath(info.filename)
                if (
                    name.suffix.lower() in _SUFFIXES
                    and name.stem in _SPLIT_OF_FILE
                    and "tokenized" not in name.parts
                    and "__MACOSX" not in name.parts
                ):
                    found[name.stem] = info
            chosen = _choose_files(list(found), str(path))
            return [
                (f"{path}!{found[s].filename}", _SPLIT_OF_FILE[s], archive.read(found[s])) for s in chosen
            ]
    except (zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is a damaged or truncated zip ({error}); download it again") from error
    except (RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise UserError(f"{path} cannot be unpacked: {error}") from error


def _refuse_hostile(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total = 0
    for info in members:
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or any(":" in part for part in name.parts[:1]):
            raise UserError(f"{path} holds '{info.filename}', a path that leads outside it; not imported")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{path} holds '{info.filename}', a link; not imported")
        total += info.file_size
        if total > _MAX_UNPACKED or info.file_size > _MAX_RATIO * max(info.compress_size, 1000):
            raise UserError(
                f"{path}: '{info.filename}' unpacks to far more than CoLA's size (a zip bomb?); not imported"
            )


def _choose_files(stems: list[str], where: str) -> list[str]:
    """Official names win over GLUE's where a folder holds both."""
    official: list[str] = [
        stem for stem in ("in_domain_train", "in_domain_dev", "out_of_domain_dev") if stem in stems
    ]
    if "in_domain_train" in official:
        return official
    glue: list[str] = [stem for stem in ("train", "dev", "validation") if stem in stems]
    if "dev" in glue and "validation" in glue:
        glue.remove("validation")
    if not glue:
        raise UserError(
            f"{where} holds no CoLA: expected in_domain_train.tsv, in_domain_dev.tsv and out_of_domain_dev.tsv, "
            "or GLUE's train.tsv and dev.tsv"
        )
    return glue


def _header(line: str) -> tuple[list[str], str]:
    """The columns that a first line would name, and its delimiter."""
    delimiter = "\t" if "\t" in line else ","
    cells = line.split("\t") if delimiter == "\t" else next(csv.reader([line]), [])
    return [cell.strip().lower() for cell in cells], delimiter


def _parse(where: str, text: str, split: str, found: Survey) -> None:
    lines = text.split("\n")
    columns, delimiter = _header(lines[0].rstrip("\r"))
    if "sentence" in columns or "text" in columns:
        _parse_header_form(where, text, split, columns, delimiter, found)
    else:
        _parse_four_columns(where, lines, split, found)


def _parse_four_columns(where: str, lines: list[str], split: str, found: Survey) -> None:
    """CoLA's own form: source, label, author's mark, sentence; no header and no quoting."""
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r").split("\t")
        if cells == [""]:
            continue
        if len(cells) != 4:
            message = (
                f"{len(cells)} tab-separated columns, expected 4 "
                "(source, label, mark, sentence) or a header with 'sentence' and 'label'"
            )
            found.faults.append(Fault(where, split, number, message))
            continue
        source, label, mark, sentence = cells
        _take(
            found, where, Judgement(sentence.strip(), 0, split, source.strip(), mark.strip(), number), label
        )


def _parse_header_form(
    where: str, text: str, split: str, columns: list[str], delimiter: str, found: Survey
) -> None:
    """GLUE's form: a header naming at least `sentence` (or `text`) and `label`."""
    if "label" not in columns:
        raise UserError(
            f"{where} has no 'label' column (a test file without judgements?); it has: {', '.join(columns)}"
        )
    sentence_at = columns.index("sentence" if "sentence" in columns else "text")
    label_at = columns.index("label")
    source_at = columns.index("source") if "source" in columns else None
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=_quoting(delimiter),
        strict=True,
    )
    records: list[list[str]] = []
    try:
        records += reader
    except csv.Error as error:
        raise UserError(f"{where}, row {len(records)}: {error}; is a quotation mark left open?") from error
    for number, cells in enumerate(records[1:], 1):
        if not cells:
            continue
        if len(cells) != len(columns):
            message = f"{len(cells)} columns where the header has {len(columns)}"
            found.faults.append(Fault(where, split, number, message))
            continue
        source = cells[source_at].strip() if source_at is not None else ""
        _take(
            found, where, Judgement(cells[sentence_at].strip(), 0, split, source, "", number), cells[label_at]
        )


def _take(found: Survey, where: str, judgement: Judgement, cell: str) -> None:
    """Note a row by what it holds: no sentence, no label that can be read from `cell`, or both."""
    label = cell.strip()
    if not judgement.sentence:
        found.empty.append((judgement.split, judgement.row))
    elif label not in LABELS:
        message = f"the label is {label!r}; it must be 0 (unacceptable) or 1 (acceptable)"
        found.faults.append(Fault(where, judgement.split, judgement.row, message))
    else:
        found.judgements.append(replace(judgement, label=int(label)))
