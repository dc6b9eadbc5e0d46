"""What is asked of a writer: how many texts, what they must hold to, how many drafts. Light: no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bioforge.data.decode import decode, read_bytes
from bioforge.drafting.cleaning import Length
from bioforge.drafting.prompts import Prompt, check_unicode
from bioforge.errors import UserError
from bioforge.generation.sampling import Sampling

_DRAFTS_A_TEXT = 4
"""To choose from, where a judge chooses."""
_RANGE = re.compile(r"\s*(\d*)\s*(?:[-–]\s*(\d*))?\s*")


@dataclass(frozen=True)
class Order:
    """For each prompt `n` texts that hold to what is demanded of them."""

    prompts: Sequence[Prompt]
    n: int
    sampling: Sampling
    seed: int
    drafts: int | None = None
    """A round and prompt; None: what is enough."""
    rounds: int = 3
    """At most so many, where drafts of one are not enough."""
    is_judged: bool = False
    min_score: float | None = None
    max_copy: int | None = None
    """Words in a row that may stand in a training text."""
    length: Length = field(default_factory=Length)
    banned: Sequence[str] = ()
    no_repeat: int = 0
    trim: bool = True

    def __post_init__(self) -> None:
        """Raises UserError for what cannot be met whatever is drawn."""
        if self.drafts is not None and self.drafts < self.n:
            raise UserError(f"--drafts {self.drafts}: fewer than the {self.n} texts asked for")
        if not self.trim and self.length.is_set:
            raise UserError(
                "--no-trim: a text of a wanted length ends at a sentence; leave one of the two out"
            )
        pattern = banned_pattern(self.banned)
        for prompt in self.prompts:
            if pattern and (found := pattern.search(prompt.text)):
                raise UserError(f"the prompt itself holds the banned word '{found.group()}'")

    @property
    def per_round(self) -> int:
        if self.drafts is not None:
            return self.drafts
        return self.n * _DRAFTS_A_TEXT if self.is_judged else self.n

    @property
    def demands(self) -> bool:
        """Whether there is anything that a draft could miss."""
        return (
            self.min_score is not None or self.max_copy is not None or self.length.is_set or bool(self.banned)
        )

    @property
    def is_plain(self) -> bool:
        """Whether one text is asked for, and whatever is drawn is good: it can be shown as it comes."""
        single = self.n == 1 and len(self.prompts) == 1
        return single and not self.demands and not self.is_judged and self.per_round == 1


def read_length(words: str | None, sentences: int | None) -> Length:
    """From `60-120`, `60-` or `-120`, or a number of words, which means a tenth more or less.

    Raises UserError for anything else.
    """
    if words is None:
        return Length(sentences=sentences)
    found = _RANGE.fullmatch(words)
    low, high = (found.group(1), found.group(2)) if found else ("", "")
    if not low and not high:
        raise UserError(f"--words {words}: write a range such as 60-120, 60- or -120")
    if high is None:
        count = int(low)
        least, most = count - count // 10, count + count // 10
    else:
        least, most = int(low or 0), int(high) if high else 0
    if (high or high is None) and (most < least or most == 0):
        raise UserError(f"--words {words}: no text can have so many words")
    return Length(least, most or None, sentences)


def read_banned(words: Sequence[str], path: Path | None) -> list[str]:
    """Words, or several words in a row, given one by one and in a file one a line.

    Raises UserError for an empty word and for one that is no UTF-8.
    """
    for word in words:
        check_unicode(word, "--ban")
    lines = decode(read_bytes(path), str(path))[0].splitlines() if path else []
    found = [" ".join(word.split()) for word in [*words, *lines] if word.strip()]
    if any(not word.strip() for word in words):
        raise UserError("--ban: an empty word cannot be banned")
    return list(dict.fromkeys(found))


def banned_pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    """Finds any of `words` that stands by itself, whatever its case and the white space between its parts."""
    if not words:
        return None
    each = (r"\s+".join(re.escape(part) for part in word.split()) for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(each)})(?!\w)", re.IGNORECASE)
