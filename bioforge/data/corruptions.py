"""Sentences made wrong on purpose: material for a judge to learn from before, or beside, real judgements.

Each way breaks one thing that grammars describe: order, a missing or surplus word, agreement and tense, case
and reflexives, articles, prepositions, auxiliaries, question words, argument structure. A corruption is not
always unacceptable ("She sings" from "She sang"), so what it teaches is a direction, not a verdict.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[\w'’-]+|[^\w\s]")
_CLOSING = re.compile(r"\s+([.,;:!?%)\]}”’])")
_OPENING = re.compile(r"([(\[{“$])\s+")
_CLASSES = (
    "a an the this that these those some any every each no",
    "in on at of to for from with by about over under into through between after before",
    "is are was were be been being am",
    "has have had having",
    "do does did done doing",
    "can could will would may might must shall should",
    "he him his himself",
    "she her hers herself",
    "they them their themselves",
    "it its itself",
    "we us our ourselves",
    "i me my myself",
    "who whom whose which what that",
    "where when why how whether if",
    "and or but because although while unless",
    "there it",
    "more most much many",
    "himself herself itself themselves myself ourselves",
)
"""Words that stand in one another's place, mostly wrongly."""
_KIN: dict[str, list[str]] = defaultdict(list)
for _line in _CLASSES:
    for _word in _line.split():
        _KIN[_word] += [other for other in _line.split() if other != _word]
_SMALL = sorted(_KIN)
_SUFFIXES = ("", "s", "es", "ed", "d", "ing", "er", "ers", "ly", "est", "en", "n", "ion", "ions", "al")
_SHORTEST_STEM = 3
_TRIES = 6
"""Ways tried on a sentence that some do not fit."""

Words = list[str]


def words_of(sentence: str) -> Words:
    """Words and marks of punctuation, in order."""
    return _WORD.findall(sentence)


def sentence_of(words: Sequence[str]) -> str:
    """Words put together again, with a capital first letter."""
    text = _OPENING.sub(r"\1", _CLOSING.sub(r"\1", " ".join(words)))
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Lexicon:
    """What to replace words by: forms of the same stem, and words as frequent as the texts have them."""

    forms: dict[str, list[str]]
    words: list[str]

    @classmethod
    def of(cls, sentences: Iterable[str]) -> Lexicon:
        counts = Counter(
            word.lower() for sentence in sentences for word in words_of(sentence) if word.isalpha()
        )
        by_stem: dict[str, set[str]] = defaultdict(set)
        for word in counts:
            for suffix in _SUFFIXES:
                stem = word.removesuffix(suffix) if suffix else word
                if len(stem) >= _SHORTEST_STEM and (not suffix or stem != word):
                    by_stem[stem].add(word)
        forms: dict[str, set[str]] = defaultdict(set)
        for stem, family in by_stem.items():
            # With neither the bare stem nor a third form among them, words that merely begin alike would be kin.
            if len(family) > 2 or {stem, f"{stem}e", f"{stem}y"} & counts.keys():
                for word in family:
                    forms[word] |= family - {word}
        kept = {word: sorted(family) for word, family in forms.items() if family}
        return cls(kept, sorted(word for word in counts.elements() if word not in _KIN))


def _places(words: Words, fits: Callable[[str], bool]) -> list[int]:
    return [place for place, word in enumerate(words) if fits(word)]


def _is_word(word: str) -> bool:
    return word[0].isalnum()


class Corruptor:
    """Breaks sentences by chance: the same `draw` and `lexicon` break them in the same way."""

    def __init__(self, draw: random.Random, lexicon: Lexicon) -> None:
        self._draw, self._lexicon = draw, lexicon
        self._ways: dict[Callable[[Words], Words | None], float] = {
            self._kin: 3.0,
            self._reflect: 3.0,
            self._drop: 2.0,
            self._insert: 1.5,
            self._swap: 1.5,
            self._replace: 1.5,
            self._move: 1.0,
            self._drop_end: 1.0,
            self._exchange: 0.5,
        }
        """How often each way is taken, in proportion."""

    def corrupt(self, sentence: str) -> str | None:
        """`sentence` with one thing, or sometimes two, gone wrong; None where nothing could be done to it."""
        words = words_of(sentence)
        before = sentence_of(words)
        for _ in range(1 if self._draw.random() < 0.75 else 2):
            changed = self._once(words)
            if changed is None:
                return None
            words = changed
        after = sentence_of(words)
        return None if after.lower() == before.lower() else after

    def _once(self, words: Words) -> Words | None:
        for _ in range(_TRIES):
            way = self._draw.choices(list(self._ways), list(self._ways.values()))[0]
            changed = way(list(words))
            if changed is not None and changed != words:
                return changed
        return None

    def _swap(self, words: Words) -> Words | None:
        """Two neighbours change places."""
        places = [at for at in range(len(words) - 1) if _is_word(words[at]) and _is_word(words[at + 1])]
        if not places:
            return None
        at = self._draw.choice(places)
        words[at], words[at + 1] = words[at + 1], words[at]
        return words

    def _move(self, words: Words) -> Words | None:
        """A word, or two together, go elsewhere."""
        places = _places(words, _is_word)
        if len(places) < 4:
            return None
        at, size = self._draw.choice(places[:-1]), self._draw.choice((1, 1, 2))
        taken = words[at : at + size]
        rest = words[:at] + words[at + size :]
        to = self._draw.randrange(max(1, len(rest) - 1))
        return rest[:to] + taken + rest[to:]

    def _drop(self, words: Words) -> Words | None:
        """A word is missing; small words twice as often."""
        places = _places(words, _is_word)
        if len(places) < 3:
            return None
        weights = [2.0 if words[at].lower() in _KIN else 1.0 for at in places]
        del words[self._draw.choices(places, weights)[0]]
        return words

    def _drop_end(self, words: Words) -> Words | None:
        """The sentence stops too early: an object or a complement is missing."""
        places = _places(words, _is_word)
        if len(places) < 5:
            return None
        last = places[-self._draw.randint(1, 3)]
        return words[:last] + [word for word in words[last:] if not _is_word(word)][-1:]

    def _insert(self, words: Words) -> Words | None:
        """A word too many: a small one, or one of the sentence's own."""
        places = _places(words, _is_word)
        if not places:
            return None
        word = (
            words[self._draw.choice(places)].lower()
            if self._draw.random() < 0.3
            else self._draw.choice(_SMALL)
        )
        words.insert(self._draw.choice(places), word)
        return words

    def _kin(self, words: Words) -> Words | None:
        """Another word of its class: him for he, on for in, which for whom, are for is."""
        places = _places(words, lambda word: word.lower() in _KIN)
        if not places:
            return None
        at = self._draw.choice(places)
        words[at] = self._draw.choice(_KIN[words[at].lower()])
        return words

    def _reflect(self, words: Words) -> Words | None:
        """Another form of the word: walk for walked, dogs for dog."""
        places = _places(words, lambda word: word.lower() in self._lexicon.forms)
        if not places:
            return None
        at = self._draw.choice(places)
        words[at] = self._draw.choice(self._lexicon.forms[words[at].lower()])
        return words

    def _replace(self, words: Words) -> Words | None:
        """A word of any other kind: a verb that takes no object, a noun where a verb should be."""
        places = _places(words, lambda word: word.isalpha() and word.islower() and word not in _KIN)
        if not places or not self._lexicon.words:
            return None
        words[self._draw.choice(places)] = self._draw.choice(self._lexicon.words)
        return words

    def _exchange(self, words: Words) -> Words | None:
        """Two words far from each other change places."""
        places = _places(words, _is_word)
        if len(places) < 4:
            return None
        one, other = self._draw.sample(places, 2)
        words[one], words[other] = words[other], words[one]
        return words
