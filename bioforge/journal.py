"""Small histories in the data folder: one JSON object a line, the newest last.

A line that a crash cut off, or that somebody damaged, is passed over; the others stand.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import types
import uuid
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from filelock import FileLock

from bioforge.files import write_text

_Entry = TypeVar("_Entry")
_LOCK_S = 4
"""How long another app may hold a history before we give up: we may be quitting."""


def local_date(created: str) -> str:
    """When an entry was made, to the minute, by the clock of this place."""
    try:
        return dt.datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, TypeError):
        return "–"


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, values: dict[str, Any], id: str | None = None) -> str:
        """Add `values` under `id`, in place of what was put under it before, or under a new id; returns the id."""
        values = {
            "id": id or new_id(),
            "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            **values,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if id and any(old["id"] == id for old in self._lines()):
                self._replace(id, values)
            else:
                self._append(values)
        return str(values["id"])

    def read(self, kind: type[_Entry]) -> list[_Entry]:
        """Every entry as `kind(**values)`, newest first; `kind` is a dataclass."""
        hints = get_type_hints(kind)
        found: dict[str, _Entry] = {}
        for values in self._lines():
            if not all(_fits(value, hints.get(name, object)) for name, value in values.items()):
                continue
            try:
                entry = kind(**values)
            except TypeError:
                continue
            found.pop(values["id"], None)
            found[values["id"]] = entry
        return list(reversed(found.values()))

    def remove(self, id: str) -> None:
        """Take an entry out of the file, and not just out of sight."""
        if not self._path.exists():
            return
        with self._lock():
            self._replace(id)

    def _replace(self, id: str, *new: dict[str, Any]) -> None:
        others = [values for values in self._lines() if values["id"] != id]
        write_text(self._path, "".join(map(_line, [*others, *new])))

    def _append(self, values: dict[str, Any]) -> None:
        with self._path.open("ab+") as stream:
            # What a crash cut off must not swallow this line too.
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(_line(values).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in raw.split(b"\n"):
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(values, dict) and isinstance(values.get("id"), str):
                found.append(values)
        return found

    def _lock(self) -> FileLock:
        return FileLock(self._path.with_suffix(".lock"), timeout=_LOCK_S)


def new_id() -> str:
    return uuid.uuid4().hex[:12]


def _line(values: dict[str, Any]) -> str:
    # Half a character, as a paste may contain, cannot be written.
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def _fits(value: object, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_fits(value, one) for one in hint.__args__)
    # JSON has 1 for 1.0.
    return isinstance(value, (int, float) if hint is float else get_origin(hint) or hint)
