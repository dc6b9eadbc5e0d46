"""Small histories in the data folder: one JSON object a line, appended.

A line that a crash cut off, or that somebody damaged, is passed over; the others stand.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from bioforge.files import write_text

_Entry = TypeVar("_Entry")


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
        """Append `values` under a new id, or in place of what was put under `id`; returns the id."""
        id = id or uuid.uuid4().hex[:12]
        created = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        line = json.dumps({"id": id, "created": created, **values}, ensure_ascii=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(), self._path.open("ab+") as stream:
            # What a crash cut off must not swallow this line too.
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(line.encode("utf-8", "replace") + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return id

    def read(self, kind: Callable[..., _Entry]) -> list[_Entry]:
        """Every entry as `kind(**values)`, newest first; of those with the same id, the last one put."""
        found: dict[str, _Entry] = {}
        for values in self._lines():
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
            kept = [json.dumps(v, ensure_ascii=False) + "\n" for v in self._lines() if v["id"] != id]
            write_text(self._path, "".join(kept))

    def _lines(self) -> list[dict[str, Any]]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in raw.split(b"\n"):
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if isinstance(values, dict) and isinstance(values.get("id"), str):
                found.append(values)
        return found

    def _lock(self) -> FileLock:
        return FileLock(self._path.with_suffix(".lock"))
