"""Outcomes for people: place, verdict, and the sentence with the words that hurt underlined."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bioforge.checking.checker import Outcome
from bioforge.checking.reports import Report
from bioforge.reporting.text import safe

_PER_CELL = 4
"""Characters at most, on average: a letter and its marks. It keeps a row from being looked for to the end of the text."""


class TextReport(Report):
    """Sentences from the command line all; of files what is not acceptable, or all if `everything`."""

    def __init__(
        self,
        console: Console,
        model: str | None,
        threshold: float | None,
        everything: bool = False,
        make_room: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(console.file, model, threshold)
        self._console = console
        self._everything = everything
        self._make_room = make_room

    def add(self, outcome: Outcome) -> None:
        if outcome.acceptable and outcome.source.name and not self._everything:
            return
        if self._make_room:
            self._make_room()
        for line in lines(outcome, self._console.width if self._console.is_terminal else None):
            self._console.print(line, soft_wrap=True)


def lines(outcome: Outcome, width: int | None) -> Iterator[Text]:
    """The outcome in rows of at most `width` cells, or in one; below each, carets under its marked words."""
    word, style = ("acceptable  ", "green") if outcome.acceptable else ("unacceptable", "bold red")
    start = outcome.sentence.start
    where = f"{flat(outcome.source.name)}:{start.line}:{start.column}: " if outcome.source.name else ""
    head = f"{where}{word}  {outcome.probability:.2f}  "
    whole = head + flat(outcome.sentence.text)
    places = [(len(head) + mark.start, len(head) + mark.end) for mark in outcome.marks]
    styled = [(len(where), len(where) + len(word), style), *((*place, "bold red") for place in places)]
    for first, last in _rows(whole, width):
        row = Text(whole[first:last])
        for begin, end, look in styled:
            row.stylize(look, max(0, begin - first), max(0, end - first))
        yield row
        carets = _carets(whole, first, last, places)
        if carets:
            yield Text(carets, style="red")


def flat(text: str) -> str:
    """`text` on one line and harmless, each character in its place."""
    return (
        safe(text.replace("\r", " ").replace("\n", " ").replace("\t", " "))
        .encode("utf-8", "replace")
        .decode()
    )


def _rows(text: str, width: int | None) -> Iterator[tuple[int, int]]:
    """Where each row begins and ends; rows end before a word."""
    if width is None:
        yield 0, len(text)
        return
    first, most = 0, _PER_CELL * width
    while len(text) - first > most or cell_len(text[first:]) > width:
        last = first + 1
        while last < first + most and cell_len(text[first : last + 1]) <= width:
            last += 1
        space = text.rfind(" ", first + 1, last)
        last = space + 1 if space > first else last
        yield first, last
        first = last
    yield first, len(text)


def _carets(text: str, first: int, last: int, places: list[tuple[int, int]]) -> str:
    below = ""
    for begin, end in sorted(places):
        begin, end = max(begin, first), min(end, last)
        if begin < end:
            below += " " * (cell_len(text[first:begin]) - len(below)) + "^" * max(
                1, cell_len(text[begin:end])
            )
    return below
