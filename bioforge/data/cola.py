"""Reading acceptability judgements: CoLA as published, GLUE's forms, and files shaped like them.

Source: tutorial 2, section 2.2; Warstadt et al. 2019, "Neural Network Acceptability Judgments".
"""

from __future__ import annotations

import csv
import io
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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


def read_cola(path: Path) -> ColaFile:
    """Read the published zip, its folder, or one TSV, keeping the official splits.

    Raises UserError, naming file and row, for wrong labels or columns and for archives that are
    damaged, hostile or hold no CoLA.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        sources = _files_of_folder(path)
    elif zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        sources = _files_of_zip(path)
    else:
        sources = [(str(path), _SPLIT_OF_FILE.get(path.stem, TRAIN), read_bytes(path))]
    judgements: list[Judgement] = []
    encodings: list[str] = []
    empty = 0
    for where, split, raw in sources:
        text, encoding = decode(raw, where)
        rows, dropped = _parse(where, text, split)
        judgements += rows
        empty += dropped
        encodings.append(encoding)
    if not any(row.split == TRAIN for row in judgements):
        raise UserError(f"{path} holds no training sentences; CoLA's are in in_domain_train.tsv")
    if sum(row.split == TRAIN for row in judgements) < 2:
        raise UserError(f"{path} holds one training sentence; a judge needs at least two, one of each label")
    return ColaFile(judgements, encodings[0], empty, [where for where, _, _ in sources])


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


def _parse(where: str, text: str, split: str) -> tuple[list[Judgement], int]:
    lines = text.split("\n")
    first = lines[0].rstrip("\r")
    delimiter = "\t" if "\t" in first else ","
    cells = first.split("\t") if delimiter == "\t" else next(csv.reader([first]), [])
    columns = [cell.strip().lower() for cell in cells]
    if "sentence" in columns or "text" in columns:
        return _parse_header_form(where, text, split, columns, delimiter)
    return _parse_four_columns(where, lines, split)


def _parse_four_columns(where: str, lines: list[str], split: str) -> tuple[list[Judgement], int]:
    """CoLA's own form: source, label, author's mark, sentence; no header and no quoting."""
    rows: list[Judgement] = []
    empty = 0
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r").split("\t")
        if cells == [""]:
            continue
        if len(cells) != 4:
            raise UserError(
                f"{where}, row {number}: {len(cells)} tab-separated columns, expected 4 "
                "(source, label, mark, sentence) or a header with 'sentence' and 'label'"
            )
        source, label, mark, sentence = cells
        if not sentence.strip():
            empty += 1
            continue
        rows.append(
            Judgement(
                sentence.strip(), _label(where, number, label), split, source.strip(), mark.strip(), number
            )
        )
    return rows, empty


def _parse_header_form(
    where: str, text: str, split: str, columns: list[str], delimiter: str
) -> tuple[list[Judgement], int]:
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
        quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE,
        strict=True,
    )
    records: list[list[str]] = []
    try:
        records += reader
    except csv.Error as error:
        raise UserError(f"{where}, row {len(records)}: {error}; is a quotation mark left open?") from error
    rows: list[Judgement] = []
    empty = 0
    for number, cells in enumerate(records[1:], 1):
        if not cells:
            continue
        if len(cells) != len(columns):
            raise UserError(
                f"{where}, row {number}: {len(cells)} columns where the header has {len(columns)}"
            )
        sentence = cells[sentence_at].strip()
        if not sentence:
            empty += 1
            continue
        source = cells[source_at].strip() if source_at is not None else ""
        rows.append(Judgement(sentence, _label(where, number, cells[label_at]), split, source, "", number))
    return rows, empty


def _label(where: str, row: int, cell: str) -> int:
    if cell.strip() not in ("0", "1"):
        raise UserError(
            f"{where}, row {row}: the label is {cell.strip()!r}; it must be 0 (unacceptable) or 1 (acceptable)"
        )
    return int(cell)
