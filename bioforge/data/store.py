"""Imported data sets: immutable rows with a fingerprint, one folder each."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bioforge.data.bios import BiosFile
from bioforge.data.cola import ColaFile
from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, remove_folder, sha256_of, visible_folders, write_json
from bioforge.paths import Home, check_name

Kind = Literal["bios", "cola"]
_PROGRESS_EVERY = 500


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


@dataclass(frozen=True)
class WordCounts:
    """Words a text, split at white space."""

    mean: float
    median: float
    p95: float
    longest: int


@dataclass(frozen=True)
class DataInfo:
    """What `data.json` says of a data set; enough for every listing without reading its rows."""

    name: str
    kind: Kind
    fingerprint: str
    """SHA-256 of the rows file: equal fingerprints mean equal data."""
    imported: str
    file: str
    file_sha256: str
    encoding: str
    delimiter: str | None
    column: str | None
    splits: dict[str, int]
    labels: dict[str, int]
    """Sentences by label, `{"0": …, "1": …}`; empty for biographies."""
    words: WordCounts
    empty: int
    duplicates: int
    """Rows whose text occurred before."""
    ragged: int

    @property
    def size(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class DataSet:
    info: DataInfo
    rows: tuple[Row, ...]

    def split(self, name: str) -> list[Row]:
        return [row for row in self.rows if row.split == name]


def rows_of_bios(file: BiosFile, *, drop_duplicates: bool = False) -> list[Row]:
    seen: set[str] = set()
    rows = []
    for text, number in zip(file.texts, file.rows, strict=True):
        if drop_duplicates and text in seen:
            continue
        seen.add(text)
        rows.append(Row(text, number))
    return rows


def rows_of_cola(file: ColaFile) -> list[Row]:
    return [
        Row(
            judgement.sentence,
            judgement.row,
            judgement.split,
            judgement.label,
            judgement.source,
            judgement.mark,
        )
        for judgement in file.judgements
    ]


def word_counts(rows: list[Row]) -> WordCounts:
    counts = sorted(len(row.text.split()) for row in rows)
    p95 = counts[min(len(counts) - 1, int(0.95 * len(counts)))]
    return WordCounts(round(statistics.fmean(counts), 1), statistics.median(counts), p95, counts[-1])


def add(
    home: Home,
    name: str,
    kind: Kind,
    rows: list[Row],
    path: Path,
    file: BiosFile | ColaFile,
    progress: Callable[[int, int], None] | None = None,
) -> DataInfo:
    """Keep `rows` as data set `name`; importing the very same rows again is no error.

    `progress` is told how many of all rows are done, and may raise to stop before anything is written.
    Raises UserError where other data has that name.
    """
    check_name(name, "data")
    lines = []
    for done, row in enumerate(rows):
        if progress and done % _PROGRESS_EVERY == 0:
            progress(done, len(rows))
        lines.append(json.dumps(_row_to_json(row), ensure_ascii=False, sort_keys=True))
    payload = ("\n".join(lines) + "\n").encode()
    fingerprint = hashlib.sha256(payload).hexdigest()
    target = home.data / name
    if target.exists():
        existing = info(home, name)
        if existing.fingerprint == fingerprint:
            return existing
        raise UserError(
            f"a data set '{name}' exists with other contents; choose another --name, "
            f"or remove it: bioforge data remove {name}"
        )
    texts = [row.text for row in rows]
    described = DataInfo(
        name=name,
        kind=kind,
        fingerprint=fingerprint,
        imported=dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        file=path.name,
        file_sha256=sha256_of(path) if path.is_file() else "",
        encoding=file.encoding,
        delimiter=file.delimiter if isinstance(file, BiosFile) else None,
        column=file.column if isinstance(file, BiosFile) else None,
        splits=dict(Counter(row.split for row in rows)),
        labels=dict(sorted(Counter(str(row.label) for row in rows if row.label is not None).items())),
        words=word_counts(rows),
        empty=file.empty,
        duplicates=len(texts) - len(set(texts)),
        ragged=file.ragged if isinstance(file, BiosFile) else 0,
    )
    try:
        with new_folder(target) as folder:
            (folder / "rows.jsonl").write_bytes(payload)
            write_json(folder / "data.json", asdict(described))
            for written in folder.iterdir():
                written.chmod(0o444)
    except FileExistsError:
        return add(home, name, kind, rows, path, file, progress)
    return described


def _row_to_json(row: Row) -> dict[str, object]:
    return {key: value for key, value in asdict(row).items() if value not in (None, "")}


def info(home: Home, name: str) -> DataInfo:
    """Raises UserError where there is no such data set."""
    path = home.data / check_name(name, "data") / "data.json"
    if not path.is_file():
        names = [folder.name for folder in visible_folders(home.data)]
        known = (
            f"; there are: {', '.join(names)}" if names else "; import one: bioforge data import bios FILE"
        )
        raise UserError(f"no data set '{name}'{known}")
    try:
        values = read_json(path)
        described = DataInfo(**{**values, "words": WordCounts(**values["words"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"data set '{name}' is damaged ({path}: {error}); remove it and import it again"
        ) from error
    if described.name != name:
        raise UserError(
            f"data set '{name}' is a copy of the folder of '{described.name}'; "
            "remove it, or import its file again under that name"
        )
    return described


def check_free(home: Home, name: str) -> None:
    """Raises UserError for what is no name, and for the name of a data set that is here."""
    if (home.data / check_name(name, "data")).exists():
        raise UserError(f"a data set '{name}' exists; choose another name")


def listing(home: Home) -> tuple[list[DataInfo], list[str]]:
    """All data sets, newest first, and what is wrong with those that cannot be read."""
    infos: list[DataInfo] = []
    damaged: list[str] = []
    for path in visible_folders(home.data):
        try:
            infos.append(info(home, path.name))
        except UserError as error:
            damaged.append(str(error))
    return sorted(infos, key=lambda item: item.imported, reverse=True), damaged


def load(home: Home, name: str) -> DataSet:
    """Read a data set and verify that its rows are the imported ones.

    Raises UserError where it is unknown or was changed on disk.
    """
    described = info(home, name)
    path = home.data / name / "rows.jsonl"
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"data set '{name}' has lost its rows ({path}); remove it and import it again"
        ) from error
    if hashlib.sha256(payload).hexdigest() != described.fingerprint:
        raise UserError(f"data set '{name}' was changed on disk ({path}); remove it and import it again")
    rows = tuple(Row(**json.loads(line)) for line in payload.decode().split("\n") if line)
    return DataSet(described, rows)


def remove(home: Home, name: str) -> None:
    """Remove a data set, a damaged one too.

    Raises UserError where there is no such data set.
    """
    folder = home.data / check_name(name, "data")
    if not folder.is_dir():
        info(home, name)
    remove_folder(folder)
