"""Imported data sets: immutable rows with a fingerprint, one folder each."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import statistics
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bioforge.data.bios import Biographies, BiosFile
from bioforge.data.cola import ColaFile
from bioforge.data.rows import INDEX, ROWS, Index, Row, Rows, digest, line_of, open_rows
from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, remove_folder, sha256_of, visible_folders, write_json
from bioforge.paths import Home, check_name

Kind = Literal["bios", "cola"]
_PROGRESS_EVERY = 500


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

    @property
    def pin(self) -> dict[str, Any]:
        """What a run keeps of it, to find the same data again: `load_pinned`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "file": self.file,
        }


@dataclass(frozen=True)
class DataSet:
    info: DataInfo
    rows: Sequence[Row]

    def split(self, name: str) -> Sequence[Row]:
        if self.info.splits.keys() == {name}:
            return self.rows
        if name not in self.info.splits:
            return []
        return at(self.rows, [place for place, row in enumerate(self.rows) if row.split == name])


def at(rows: Sequence[Row], places: Iterable[int]) -> Sequence[Row]:
    """Some of the rows, which are only read where they are a file's."""
    return rows.at(places) if isinstance(rows, Rows) else [rows[place] for place in places]


def rows_of_bios(file: Iterable[tuple[int, str]], *, drop_duplicates: bool = False) -> Iterator[Row]:
    seen: set[int] = set()
    for number, text in file:
        if drop_duplicates:
            known = len(seen)
            seen.add(digest(text))
            if len(seen) == known:
                continue
        yield Row(text, number)


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


def word_counts(counts: Iterable[int]) -> WordCounts:
    """Of the words in each text."""
    ordered = sorted(counts)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return WordCounts(round(statistics.fmean(ordered), 1), statistics.median(ordered), p95, ordered[-1])


def add(
    home: Home,
    name: str,
    kind: Kind,
    rows: Iterable[Row],
    path: Path,
    file: Biographies | BiosFile | ColaFile,
    progress: Callable[[int], None] | None = None,
) -> DataInfo:
    """Keep `rows`, as they come from `file`, as data set `name`; importing the very same again is no error.

    `progress` is told how many rows are done, and may raise to stop; then, as after any error, nothing is left.
    Raises UserError where other data has that name.
    """
    check_name(name, "data")
    try:
        with new_folder(home.data / name) as folder:
            described = _write(folder, name, kind, rows, path, file, progress)
    except FileExistsError:
        existing = info(home, name)
        if existing.fingerprint == described.fingerprint:
            return existing
        raise UserError(
            f"a data set '{name}' exists with other contents; choose another --name, "
            f"or remove it: bioforge data remove {name}"
        ) from None
    return described


def _write(
    folder: Path,
    name: str,
    kind: Kind,
    rows: Iterable[Row],
    path: Path,
    file: Biographies | BiosFile | ColaFile,
    progress: Callable[[int], None] | None,
) -> DataInfo:
    """Write rows, their index and what is said of them into `folder`, keeping no text in memory."""
    hashed, index, words = hashlib.sha256(), Index(), array("Q")
    splits: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    with (folder / ROWS).open("wb") as stream:
        for done, row in enumerate(rows):
            if progress and done % _PROGRESS_EVERY == 0:
                progress(done)
            line = line_of(row)
            stream.write(line)
            hashed.update(line)
            index.add(line, row.text)
            words.append(len(row.text.split()))
            splits[row.split] += 1
            if row.label is not None:
                labels[str(row.label)] += 1
    described = DataInfo(
        name=name,
        kind=kind,
        fingerprint=hashed.hexdigest(),
        imported=dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
        file=path.name,
        file_sha256=sha256_of(path) if path.is_file() else "",
        encoding=file.encoding,
        delimiter=None if isinstance(file, ColaFile) else file.delimiter,
        column=None if isinstance(file, ColaFile) else file.column,
        splits=dict(splits),
        labels=dict(sorted(labels.items())),
        words=word_counts(words),
        empty=file.empty,
        duplicates=len(index.digests) - len(set(index.digests)),
        ragged=0 if isinstance(file, ColaFile) else file.ragged,
    )
    index.write(folder / INDEX, described.fingerprint)
    write_json(folder / "data.json", asdict(described))
    for written in folder.iterdir():
        written.chmod(0o444)
    return described


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
    """Open a data set and verify that its rows are the imported ones; none is kept in memory.

    Raises UserError where it is unknown or was changed on disk.
    """
    described = info(home, name)
    path = home.data / name / ROWS
    try:
        fingerprint = sha256_of(path)
    except OSError as error:
        raise UserError(
            f"data set '{name}' has lost its rows ({path}); remove it and import it again"
        ) from error
    if fingerprint != described.fingerprint:
        raise UserError(f"data set '{name}' was changed on disk ({path}); remove it and import it again")
    return DataSet(described, open_rows(path.parent, fingerprint))


def load_pinned(home: Home, pin: Mapping[str, Any], which: str) -> DataSet:
    """The data set that a run began with; `which` (or `whose sentences`) it learns from.

    Raises UserError where it is gone, or is another one by now.
    """
    name = pin["name"]
    again = f"bioforge data import {pin['kind']} {pin.get('file') or 'FILE'} --name {name}"
    if not (home.data / name).is_dir():
        raise UserError(f"data set '{name}', {which} this run learns from, is gone; import it again: {again}")
    data = load(home, name)
    if data.info.fingerprint != pin["fingerprint"]:
        raise UserError(
            f"data set '{name}' is not the one this run began with; remove it and import that one again: {again}"
        )
    return data


def remove(home: Home, name: str) -> None:
    """Remove a data set, a damaged one too, and what the cache made of it.

    Raises UserError where there is no such data set.
    """
    folder = home.data / check_name(name, "data")
    if not folder.is_dir():
        info(home, name)
    with contextlib.suppress(UserError, OSError):
        fingerprint = info(home, name).fingerprint
        remove_folder(home.tokens / fingerprint)
        remove_folder(home.copies / fingerprint)
        remove_folder(home.lessons / fingerprint)
    remove_folder(folder)
