"""Following a file that another process appends lines to."""

from __future__ import annotations

from pathlib import Path


class Tail:
    """Each `poll` gives the whole lines that came since; half a line waits for its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def poll(self) -> list[bytes]:
        try:
            size = self._path.stat().st_size
            if size == self._offset:
                return []
            if size < self._offset:
                # Cut short by someone: what comes now begins in front of where we were.
                self._offset, self._rest = 0, b""
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                chunk = stream.read()
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return lines
