"""Texts that can be published: whole sentences, no loops, no markup. All by looking at the text alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bioforge.drafting.words import words_of
from bioforge.judging.sentences import split

NO_WHOLE_SENTENCE = "no whole sentence"
_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_NEXT = " Xavier"
"""Begins another sentence as a name does, so that the one before it is seen to end, or not to, as after `Dr.`"""
_MARKUP = re.compile(
    r"</?[A-Za-z][^>\n]*>|\[\[|\]\]|\{\{|\}\}|&(?:[a-z]{2,8}|#\d{1,6});|={2,}|\*\*|__|```|https?://|www\.|\ufffd"
)
_LONGEST_BLOCK = 30
"""Words."""
_LEAST_REPEATS, _LEAST_REPEATED = 3, 9
"""A block is a loop when it comes so often in a row and makes up so many words: `no, no, no` is none."""
_SHORT_SENTENCE = 4
"""Words; shorter sentences may well come twice."""


@dataclass(frozen=True)
class Length:
    """What a whole text shall have, prompt included; 0 and None: any."""

    least_words: int = 0
    most_words: int | None = None
    sentences: int | None = None

    @property
    def is_set(self) -> bool:
        return bool(self.least_words or self.most_words or self.sentences)

    def fits(self, text: str) -> bool:
        words = len(text.split())
        return (
            self.least_words <= words
            and (self.most_words is None or words <= self.most_words)
            and (self.sentences is None or len(split(text)) == self.sentences)
        )

    def is_reached(self, text: str) -> bool:
        """Whether a text that is still being written has come far enough, or too far."""
        if not self.is_set:
            return False
        if self.most_words and len(text.split()) > self.most_words:
            return True
        # The last of them is not known to be whole before the next begins.
        ends = [end for _, end in split(text)[:-1]]
        if self.sentences:
            return len(ends) >= self.sentences
        return bool(self.least_words) and any(len(text[:end].split()) >= self.least_words for end in ends)


@dataclass(frozen=True)
class Cleaned:
    text: str
    trimmed: int
    """Characters taken off the end."""
    flaws: tuple[str, ...]
    """What is still wrong with it, in words."""


def sentence_ends(text: str) -> list[int]:
    """Where the whole sentences of `text` end."""
    return [end for _, end in split(text + _NEXT) if end <= len(text) and _END.search(text[:end])]


def loop_start(text: str) -> int | None:
    """Where a text begins to say again what it said: a sentence a second time, or words over and over."""
    starts = []
    words = list(words_of(text))
    block = _loop_of_words([word for word, _, _ in words])
    if block is not None:
        starts.append(words[block][1])
    seen: set[tuple[str, ...]] = set()
    for start, end in split(text):
        sentence = tuple(word for word, _, _ in words_of(text[start:end]))
        if len(sentence) >= _SHORT_SENTENCE and sentence in seen:
            starts.append(start)
            break
        seen.add(sentence)
    return min(starts, default=None)


def _loop_of_words(words: Sequence[str]) -> int | None:
    """Index of the first word that a loop adds."""
    for block in range(1, min(_LONGEST_BLOCK, len(words) // _LEAST_REPEATS) + 1):
        needed = max(block * (_LEAST_REPEATS - 1), _LEAST_REPEATED - block)
        run = 0
        for index in range(block, len(words)):
            run = run + 1 if words[index] == words[index - block] else 0
            if run == needed:
                return index - needed + 1
    return None


def clean(text: str, given: int, length: Length = Length()) -> Cleaned:
    """`text` up to where its last whole sentence ends, of those before any loop and within `length`.

    The first `given` characters, the prompt, always stay. A text none of whose new sentences is whole stays as
    it is, but for a loop, and has that flaw.
    """
    flaws = []
    loop = loop_start(text)
    kept = text
    if loop is not None:
        flaws.append("repeats itself")
        kept = text[: max(len(text[:loop].rstrip()), given)]
    ends = sentence_ends(kept)
    fitting = [
        end
        for number, end in enumerate(ends, 1)
        if end > given
        and (length.most_words is None or len(kept[:end].split()) <= length.most_words)
        and (length.sentences is None or number <= length.sentences)
    ]
    # What follows an abbreviation can make it look like an end; without that, it is none.
    whole = [end for end in fitting if sentence_ends(kept[:end])[-1:] == [end]]
    if whole:
        kept = kept[: whole[-1]]
    else:
        flaws.append(NO_WHOLE_SENTENCE)
    if _MARKUP.search(kept, given):
        flaws.append("holds markup")
    return Cleaned(kept, len(text) - len(kept), tuple(flaws))
