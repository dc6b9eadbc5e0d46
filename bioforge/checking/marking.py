"""Which words of a refused sentence hurt: those without which, or in another form, it would fare best.

Leave-one-out (Li, Monroe and Jurafsky 2016) and, since taking out a verb mends no agreement, also one other form of
each word: `bench/marking.py` measures how often that finds the word that is wrong (docs/results.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bioforge.judging.judge import Judge

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_MOST_WORDS = 80
"""A longer sentence would cost thousands of forward passes, and no word stands out in it."""
_LONGEST = 4_000
"""Characters; a longer sentence is none, and would be held once for each trial."""
_AT_ONCE = 256
"""Trials judged together; a judge that is asked for more at once takes the time to load torch."""
_AS_MUCH = 0.5
"""Words are marked that gain at least this share of what the best one gains, in log-odds."""
_MOST_MARKS = 3

_SETS = (
    "am is are", "was were", "has have", "does do", "doesn't don't", "hasn't haven't", "isn't aren't",
    "wasn't weren't", "a an", "this these", "that those", "much many", "little few",
    "myself himself ourselves", "himself herself themselves", "itself themselves", "yourself himself",
    "he him", "she her", "they them", "i me", "we us", "who which", "to of at", "for of", "in on at",
)  # fmt: skip
_OTHERS: dict[str, list[str]] = {}
for _words in map(str.split, _SETS):
    for _word in _words:
        _OTHERS.setdefault(_word, []).extend(other for other in _words if other != _word)


@dataclass(frozen=True)
class Mark:
    """A word, by its place in the sentence."""

    start: int
    end: int
    probability: float
    """Of the sentence without the word, or with its best other form."""


@dataclass(frozen=True)
class Trial:
    """A sentence with one word taken out or changed."""

    start: int
    end: int
    text: str


def marks(judge: Judge, sentence: str, probability: float) -> tuple[Mark, ...]:
    """The words that hurt a `sentence` of this `probability`, most hurtful first; none where every change is for the worse."""
    some = trials(sentence)
    reached: list[float] = []
    for first in range(0, len(some), _AT_ONCE):
        found, _ = judge.probabilities([trial.text for trial in some[first : first + _AT_ONCE]])
        reached += found
    return _best(probability, some, reached)


def trials(sentence: str) -> list[Trial]:
    """`sentence` without each of its words in turn, and with each in its other forms."""
    words = list(_WORD.finditer(sentence)) if len(sentence) <= _LONGEST else []
    if not 1 < len(words) <= _MOST_WORDS:
        return []
    found = []
    for word in words:
        start, end = word.span()
        before, after = sentence[:start], sentence[end:]
        rest = before + after.lstrip() if not before else before.rstrip() + after
        found.append(Trial(start, end, rest[:1].upper() + rest[1:]))
        found += [Trial(start, end, before + other + after) for other in forms(word[0])]
    return found


def forms(word: str) -> list[str]:
    """What `word` may have been meant to be: its like among the small words, else with another ending."""
    low = word.lower().replace("’", "'")
    others = _OTHERS.get(low)
    if others is None:
        others = _endings(low) if len(low) > 3 else []
    return [other.capitalize() if word[0].isupper() else other for other in others]


def _endings(word: str) -> list[str]:
    found = [word[:-1] if word.endswith("s") else word + "s"]
    if word.endswith("ing"):
        return [*found, word[:-3], word[:-3] + "e"]
    if word.endswith("ed"):
        return [*found, word[:-2], word[:-1]]
    if word.endswith("ly"):
        return [*found, word[:-2]]
    return [*found, word + "ing", word + "ed", word + "ly"]


def best_words(some: Sequence[Trial], reached: Sequence[float]) -> dict[tuple[int, int], float]:
    """The best probability that a change of each word reaches, by its start and end."""
    words: dict[tuple[int, int], float] = {}
    for trial, value in zip(some, reached, strict=True):
        place = (trial.start, trial.end)
        words[place] = max(value, words.get(place, 0.0))
    return words


def _best(probability: float, some: Sequence[Trial], reached: Sequence[float]) -> tuple[Mark, ...]:
    words = best_words(some, reached)
    base = _log_odds(probability)
    gains = {place: _log_odds(value) - base for place, value in words.items()}
    most = max(gains.values(), default=0.0)
    if most <= 0:
        return ()
    order = sorted(
        (place for place in gains if gains[place] >= _AS_MUCH * most), key=lambda place: -gains[place]
    )
    return tuple(Mark(*place, words[place]) for place in order[:_MOST_MARKS])


def _log_odds(probability: float) -> float:
    kept = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(kept / (1 - kept))
