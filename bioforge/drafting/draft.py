"""A draft and all that is known of it. Light: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bioforge.drafting.prompts import Prompt

COLUMNS = ("text", "prompt", "seed", "score", "weakest", "weakest_sentence", "copied_words", "copied_span")
"""What is said of a text in a table of texts, behind its fields."""


@dataclass(frozen=True)
class Copied:
    """What a text shares with the training texts."""

    words: int
    """Of the longest stretch that stands in a training text word for word."""
    span: str
    """That stretch, as it stands in the text."""
    row: int | None
    """1-based row, in the imported file, of a training text that has it; None where nothing is shared."""
    share: float
    """Of all stretches of `NGRAM` words: how many stand in a training text; 0 for shorter texts."""


@dataclass(frozen=True)
class Draft:
    text: str
    """The prompt and what follows it, cleaned."""
    tokens: int
    ended: bool
    """Whether the model ended the text itself."""
    seed: int
    prompt: str
    fields: Mapping[str, str] = field(default_factory=dict)
    trimmed: int = 0
    """Characters taken off the end."""
    flaws: tuple[str, ...] = ()
    """What is wrong with it; such drafts rank last."""
    misses: tuple[str, ...] = ()
    """What it was asked to hold to and does not; such drafts are never handed over."""
    score: float | None = None
    """0 to 1 (`ranking`); None where no judge was asked."""
    mean: float | None = None
    """Acceptability of its sentences."""
    weakest: float | None = None
    weakest_sentence: str = ""
    copied: Copied | None = None
    """None where it was not measured."""
    place: int | None = None
    """1 for the best of its prompt's drafts, where a judge chose."""
    of: int = 1
    """So many drafts there were for its prompt."""


@dataclass(frozen=True)
class Outcome:
    """What came of one prompt."""

    prompt: Prompt
    texts: Sequence[Draft]
    """At most as many as were asked for, the best first where a judge chose."""
    drafts: Sequence[Draft]
    """All there were, in the order they were drawn."""
    rounds: int
