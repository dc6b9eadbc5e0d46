"""A search's folder: what was asked for, and the journal of its trials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, visible_folders, write_bytes, write_json
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs.folder import TRIALS
from bioforge.searching.space import Dimension

_NAMES = {"fingerprint": "contents of the data", "settings": "--set"}


@dataclass(frozen=True)
class Asked:
    """`search.json`: all that decides a search besides how many trials it makes."""

    name: str
    task: Task
    data: str
    fingerprint: str
    base: str
    preset: str
    settings: list[str]
    seed: int | None
    over: list[Dimension]


@dataclass(frozen=True)
class SearchFolder:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "journal.log"

    @property
    def group(self) -> str:
        """Of its runs; no name of a model can be the same."""
        return f"{TRIALS}{self.name}"

    def asked(self) -> Asked:
        """Raises UserError where the record is damaged."""
        try:
            values: dict[str, Any] = read_json(self.path / "search.json")
            return Asked(**{**values, "over": [Dimension(**item) for item in values["over"]]})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"search '{self.name}' is damaged: search.json cannot be read ({error})"
            ) from error

    def mend_journal(self) -> None:
        """Drop a last line that was cut off as it was written; only for who holds the search."""
        if not self.journal.exists():
            return
        whole = self.journal.read_bytes()
        kept = whole[: whole.rfind(b"\n") + 1]
        if kept != whole:
            write_bytes(self.journal, kept)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the search, so that of two processes one conducts it.

        Raises UserError where another process holds it.
        """
        lock = FileLock(self.path / "lock", mode=0o644)
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            raise UserError(
                f"another process conducts the search '{self.name}'; see how far it is: bioforge search show {self.name}"
            ) from None
        try:
            yield
        finally:
            lock.release()


def open_search(home: Home, asked: Asked) -> SearchFolder:
    """The search of that name, made where there is none.

    Raises UserError where it is there and asks for something else.
    """
    folder = SearchFolder(home.searches / check_name(asked.name, "search"))
    if not folder.path.is_dir():
        # Of two that begin it at once, the later one finds it.
        with contextlib.suppress(FileExistsError), new_folder(folder.path) as staging:
            write_json(staging / "search.json", asdict(asked))
    known, wanted = asdict(folder.asked()), asdict(asked)
    changed = [_NAMES.get(key, key) for key in wanted if known[key] != wanted[key]]
    if changed:
        raise UserError(
            f"there is a search '{asked.name}' with other words ({', '.join(changed)}); choose another --name"
        )
    return folder


def find_search(home: Home, name: str) -> SearchFolder:
    """Raises UserError where there is none of that name."""
    folder = SearchFolder(home.searches / check_name(name, "search"))
    if (folder.path / "search.json").is_file():
        return folder
    names = [path.name for path in visible_folders(home.searches)]
    known = (
        f"there are: {', '.join(names)}" if names else "start one: bioforge search cola DATA --over lr,batch"
    )
    raise UserError(f"no search '{name}'; {known}")
