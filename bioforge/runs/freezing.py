"""What a recipe's `freeze` names: the embeddings, and layers by number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bioforge.errors import UserError

_SPAN = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


@dataclass(frozen=True)
class Frozen:
    embeddings: bool
    layers: frozenset[int]
    """From 0."""


def parse_freeze(text: str, layers: int | None) -> Frozen:
    """Read `none`, `embeddings`, `0-5`, or several with commas; ranges include both ends.

    Raises UserError for anything else, and for layers beyond `layers`, where that is known.
    """
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return Frozen(False, frozenset())
    numbers: set[int] = set()
    for word in words:
        if word == "embeddings":
            continue
        span = _SPAN.fullmatch(word)
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if first > last:
            raise UserError(
                f"freeze={text}: expected none, embeddings, layers such as 0-5, or both with a comma, not '{word}'"
            )
        if layers is not None and last >= layers:
            raise UserError(f"freeze={text}: the base has {layers} layers, 0 to {layers - 1}")
        numbers.update(range(first, last + 1))
    return Frozen("embeddings" in words, frozenset(numbers))
