"""What counts as a word where texts are compared.

Runs of letters and digits, apostrophes inside them included, without regard to case and to what stands between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """The words as they are compared, each with where it starts and ends in `text`."""
    for found in _WORD.finditer(text):
        yield found.group().replace("’", "'").casefold(), found.start(), found.end()
