"""Comments in a text that keep sentences from being checked."""

from __future__ import annotations

import re

_COMMENT = re.compile(
    r"<!--[ \t]*bioforge:[ \t]*(ignore(?:-start|-end)?)[ \t]*-->"
    r"|(?:(?<=\s)|^)(?:#|//|%)[ \t]*bioforge:[ \t]*(ignore(?:-start|-end)?)[ \t]*$"
)


class Suppression:
    """Reads a file's lines in order and remembers what its comments said.

    `ignore` at the end of a line means that line, on a line of its own the next one that is not blank;
    `ignore-start` and `ignore-end` enclose lines.
    """

    def __init__(self) -> None:
        self._off = False
        self._next = False

    def read(self, line: str) -> tuple[str, bool]:
        """The line, its end left out, with comments blanked; and whether to check nothing that touches it."""
        if "bioforge:" not in line and not self._next:
            return line, self._off
        found = [one or other for one, other in _COMMENT.findall(line)]
        clean = _COMMENT.sub(lambda match: " " * len(match[0]), line)
        alone = not clean.strip()
        ignored = self._off or (self._next and not alone) or ("ignore" in found and not alone)
        if not alone or "ignore" in found:
            self._next = alone
        for word in found:
            if word != "ignore":
                self._off = word == "ignore-start"
        return clean, ignored or self._off
