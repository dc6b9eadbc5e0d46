"""Plain text into sentences, a paragraph at a time, so that a text of any length takes constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from bioforge.checking.sentence import Piece, Sentence, joined
from bioforge.checking.suppression import Suppression
from bioforge.errors import UserError
from bioforge.judging.sentences import split

LONGEST_LINE = 1_000_000
"""Characters; longer ones are data rather than prose."""
_LONGEST_PARAGRAPH = 1000
"""Lines; a longer one is cut there, which only matters to the sentence it cuts."""


def lines(stream: TextIO, where: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line, its end left out; `stream` must leave line ends as they are.

    Raises UserError for a line beyond `LONGEST_LINE`.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 2):
        number += 1
        text = line.rstrip("\r\n")
        if len(text) > LONGEST_LINE:
            raise UserError(
                f"{where}, line {number}: more than {LONGEST_LINE:,} characters; this is no prose, or lost its line ends"
            )
        yield number, text


def sentences_of_lines(stream: TextIO, where: str) -> Iterator[Sentence]:
    """Every line that is not blank is a sentence."""
    suppression = Suppression()
    for number, line in lines(stream, where):
        text, ignored = suppression.read(line)
        if not ignored and text.strip():
            yield joined([Piece(text.strip(), number, len(text) - len(text.lstrip()) + 1)])


def sentences_of_text(stream: TextIO, where: str) -> Iterator[Sentence]:
    """Sentences of prose, wrapped to a width or not."""
    for paragraph, first, ignored in _paragraphs(lines(stream, where)):
        yield from _sentences(paragraph, first, ignored)


def _paragraphs(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[list[str], int, set[int]]]:
    """Lines that stand together, the number of the first, and the numbers of those that are exempt."""
    suppression = Suppression()
    paragraph: list[str] = []
    first = 1
    ignored: set[int] = set()
    try:
        for number, line in numbered:
            text, off = suppression.read(line)
            if paragraph and (not text.strip() or len(paragraph) == _LONGEST_PARAGRAPH):
                yield paragraph, first, ignored
                paragraph, ignored = [], set()
            if not text.strip():
                continue
            if not paragraph:
                first = number
            paragraph.append(text)
            if off:
                ignored.add(number)
    except UserError:
        # What came before a line that cannot be read is read.
        yield paragraph, first, ignored
        raise
    yield paragraph, first, ignored


def _sentences(paragraph: list[str], first: int, ignored: set[int]) -> Iterator[Sentence]:
    text = "\n".join(paragraph)
    begin, index = 0, 0
    for start, end in split(text):
        while start > begin + len(paragraph[index]):
            begin += len(paragraph[index]) + 1
            index += 1
        pieces: list[Piece] = []
        offset = start - begin
        for number, piece in enumerate(text[start:end].split("\n"), first + index):
            if pieces:
                pieces.append(Piece(" ", number, 1, 1))
            column = offset + len(piece) - len(piece.lstrip()) + 1
            pieces.append(Piece(piece.strip(), number, column))
            offset = 0
        if not ignored.intersection(range(pieces[0].line, pieces[-1].line + 1)):
            yield joined(pieces)
