"""Requests to a running worker: lines appended to its control file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from bioforge.runs.tail import Tail

Request = Literal["stop", "save", "sample"]


def send(path: Path, request: Request, **details: Any) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"request": request, **details}) + "\n")


class ControlReader:
    """Gives each request once."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)

    def poll(self) -> list[dict[str, Any]]:
        requests = []
        for line in self._tail.poll():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                requests.append(value)
        return requests
