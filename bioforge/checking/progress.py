"""How far a check has come, on a line of its own that leaves no trace."""

from __future__ import annotations

import math
import time
from typing import TextIO

from bioforge.checking.checker import Tally

_AFTER, _EVERY = 2.0, 0.5
"""Seconds: a short check shows nothing."""


class Progress:
    """Written to a terminal that may also show results: they ask for room first."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False
        self._began = self._last = math.inf

    def __call__(self, tally: Tally) -> None:
        """Show the counts, now and then."""
        now = time.monotonic()
        if self._began == math.inf:
            # Loading the judge does not count.
            self._began = self._last = now
        if now - self._began > _AFTER and now - self._last > _EVERY:
            self._last = now
            rate = tally.sentences / (now - self._began)
            text = f"{tally.sentences:,} sentences, {tally.findings:,} unacceptable, {rate:,.0f} a second"
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Make room for a line of text."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
