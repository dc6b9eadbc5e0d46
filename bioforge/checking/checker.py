"""Sources through the judge, in constant memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bioforge.checking.changes import touched
from bioforge.checking.inputs import Problem, Source, sentences_of
from bioforge.checking.marking import Mark, marks
from bioforge.checking.sentence import Sentence
from bioforge.errors import EmptyFileError, NoTextError, UserError
from bioforge.judging.judge import Judge, in_chunks

_FIRST, _MOST = 32, 1024
"""Sentences judged together: few at first, for an early answer, then more, for speed."""


@dataclass(frozen=True)
class Outcome:
    source: Source
    sentence: Sentence
    probability: float
    """Of being acceptable, 0 to 1."""
    acceptable: bool
    truncated: bool
    """Whether the sentence is longer than what the judge reads."""
    marks: tuple[Mark, ...] = ()
    """The words that hurt, most hurtful first; only of what is not acceptable, and not of all where that is much."""


@dataclass
class Tally:
    """What was seen so far."""

    sentences: int = 0
    findings: int = 0
    problems: list[Problem] = dataclasses.field(default_factory=list)
    skipped: list[Problem] = dataclasses.field(default_factory=list)
    """Files that are empty, and those met in a folder that hold no text."""

    def count(self, outcome: Outcome) -> None:
        self.sentences += 1
        self.findings += not outcome.acceptable


def to_check(
    sources: Iterable[Source],
    tally: Tally,
    *,
    ignored: Callable[[str], bool] | None = None,
    changed: Mapping[Path, list[range] | None] | None = None,
    stdin: Callable[[], BinaryIO],
) -> Iterator[tuple[Source, Sentence]]:
    """Every sentence that is to be judged; what cannot be read is noted in `tally`, and the rest goes on.

    Of files only what touches the lines that `changed` has for them, if it is given.
    """
    for source in sources:
        try:
            lines = changed[source.path] if changed and source.path else None
            for sentence in sentences_of(source, stdin):
                here = touched(sentence.start.line, sentence.end.line, lines)
                if here and not (ignored and ignored(sentence.text)):
                    yield source, sentence
        except UserError as error:
            problem = Problem(source.name, str(error))
            # What is no text was not meant to be checked; what could not be read may well have been.
            harmless = isinstance(error, EmptyFileError) or (source.found and isinstance(error, NoTextError))
            (tally.skipped if harmless else tally.problems).append(problem)


def outcomes(
    sentences: Iterable[tuple[Source, Sentence]], judge: Judge, threshold: float, *, most_marked: int
) -> Iterator[Outcome]:
    """What the judge says of each, in order; words are marked in the first `most_marked` of those it refuses."""
    left = most_marked
    for chunk in in_chunks(sentences, lambda item: len(item[1].text), _FIRST, _MOST):
        texts = [sentence.text for _, sentence in chunk]
        for (source, sentence), probability, cut in zip(
            chunk, *judge.probabilities(texts, threshold), strict=True
        ):
            acceptable = probability >= threshold
            found: tuple[Mark, ...] = ()
            if left and not acceptable:
                left -= 1
                found = marks(judge, sentence.text, probability)
            yield Outcome(source, sentence, probability, acceptable, cut, found)
