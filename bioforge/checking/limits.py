"""How many findings make a check fail."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bioforge.errors import UserError

_LIMIT = re.compile(r"(\d+)|(\d+(?:\.\d+)?)\s*%|never")


@dataclass(frozen=True)
class FailOn:
    """A number of findings, or a share of all sentences, from which on a check fails; neither: never."""

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """`3`, `2.5%` or `never`.

        Raises UserError for anything else, and for zero, which would fail every check.
        """
        match = _LIMIT.fullmatch(text.strip())
        count = int(match[1]) if match and match[1] else None
        share = float(match[2]) / 100 if match and match[2] else None
        if not match or count == 0 or (share is not None and not 0 < share <= 1):
            raise UserError(f"fail-on is a number from 1, a share such as 5%, or never; not '{text}'")
        return cls(count, share)

    def reached(self, findings: int, sentences: int) -> bool:
        if self.count is not None:
            return findings >= self.count
        return self.share is not None and findings > 0 and findings >= self.share * sentences
