"""A sentence as the judge reads it, and where each of its characters stands in the file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bioforge.judging.characters import whole


class Position(NamedTuple):
    """Both from 1; a column is a Unicode code point, a tab is one."""

    line: int
    column: int


class Run(NamedTuple):
    """A stretch of a sentence that stands in one piece in the file."""

    at: int
    """Where it begins in the sentence."""
    line: int
    column: int
    width: int = 0
    """How many characters of the file stand for the whole stretch; 0: as many as are read."""


class Piece(NamedTuple):
    """Text with its place in the file, not yet part of a sentence."""

    text: str
    line: int
    column: int
    width: int = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    """One line; Unicode throughout."""
    runs: tuple[Run, ...]

    @property
    def start(self) -> Position:
        return self.position(0)

    @property
    def end(self) -> Position:
        """Behind the last character."""
        return self.end_of(len(self.text))

    def position(self, index: int) -> Position:
        """Where the character at `index` stands."""
        run = self.runs[self.run_of(index)]
        return Position(run.line, run.column if run.width else run.column + index - run.at)

    def end_of(self, index: int) -> Position:
        """Behind the character before `index`."""
        run = self.runs[self.run_of(index - 1)]
        return Position(run.line, run.column + (run.width or index - run.at))

    def run_of(self, index: int) -> int:
        """Which run the character at `index` is in."""
        return max(0, bisect_right(self.runs, index, key=lambda run: run.at) - 1)


def literal(text: str) -> Sentence:
    """A sentence that stands in no file."""
    flat = " ".join(whole(text).split())
    return Sentence(flat, (Run(0, 1, 1),))


def joined(pieces: Iterable[Piece]) -> Sentence:
    """The sentence that `pieces` make one after the other."""
    text: list[str] = []
    runs: list[Run] = []
    length = 0
    for piece in pieces:
        runs.append(Run(length, piece.line, piece.column, piece.width))
        text.append(piece.text)
        length += len(piece.text)
    return Sentence("".join(text), tuple(runs))


def part(sentence: Sentence, start: int, end: int) -> Sentence:
    """The sentence that `sentence` holds from `start` to `end`."""
    runs = []
    for index in range(sentence.run_of(start), len(sentence.runs)):
        run = sentence.runs[index]
        if run.at >= end:
            break
        column = run.column if run.width else run.column + max(0, start - run.at)
        runs.append(Run(max(run.at, start) - start, run.line, column, run.width))
    return Sentence(sentence.text[start:end], tuple(runs))
