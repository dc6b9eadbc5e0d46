"""Text into sentences, each with its place in the text. Light: no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from sentencex import get_sentence_boundaries

from bioforge.judging.characters import whole

_MARKER = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)])\s+")
"""What an item of a list begins with."""
_NARROWEST = 50
"""Lines of wrapped prose have at least so many characters; shorter ones are a list."""

Span = tuple[int, int]


def split(text: str) -> list[Span]:
    """Where each sentence of `text` starts and ends, without the white space around it.

    The end of a line ends a sentence too, unless the line is part of prose wrapped to a width. The mark
    before an item of a list belongs to no sentence.
    """
    text = whole(text)
    spans: list[Span] = []
    for start, end in _blocks(text):
        spans += ((start + first, start + last) for first, last in sentences_within(text[start:end]))
    return spans


def sentences_within(block: str) -> Iterator[Span]:
    """Where each sentence of one paragraph, heading or item starts and ends; `block` has no halves of characters."""
    for found in get_sentence_boundaries("en", block):
        piece = str(found["text"])
        first = int(found["start_index"]) + len(piece) - len(piece.lstrip())
        length = len(piece.strip())
        if length:
            yield first, first + length


def _blocks(text: str) -> Iterator[Span]:
    """Stretches that a sentence cannot reach beyond: the lines, or a whole paragraph where it is wrapped."""
    for paragraph in _paragraphs(text):
        if _is_wrapped([text[start:end] for start, end in paragraph]):
            yield paragraph[0][0], paragraph[-1][1]
        else:
            yield from paragraph


def _paragraphs(text: str) -> Iterator[list[Span]]:
    """Lines that stand together; blank lines and marks of lists part them."""
    lines: list[Span] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        mark = _MARKER.match(line)
        start = offset + (mark.end() if mark else 0)
        if lines and (mark or not line.strip()):
            yield lines
            lines = []
        offset += len(line)
        if line.strip() and start < offset:
            lines.append((start, offset))
    if lines:
        yield lines


def _is_wrapped(lines: list[str]) -> bool:
    """Whether each line ends only because the next word would not have fitted."""
    if len(lines) < 2:
        return False
    lines = [line.strip() for line in lines]
    width = max(len(line) for line in lines)
    if width < _NARROWEST or (len(lines) == 2 and not lines[1][0].islower()):
        return False
    return all(
        len(line) + 1 + len(following.split(maxsplit=1)[0]) > width for line, following in pairwise(lines)
    )
