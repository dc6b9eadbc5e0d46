"""Requests to a running worker: lines appended to its control file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

Request = Literal["stop", "save", "sample"]


def send(path: Path, request: Request, **details: Any) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"request": request, **details}) + "\n")


class ControlReader:
    """Gives each request once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def poll(self) -> list[dict[str, Any]]:
        try:
            if self._path.stat().st_size == self._offset:
                return []
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                chunk = stream.read()
        except FileNotFoundError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        requests = []
        for line in whole.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                requests.append(value)
        return requests
