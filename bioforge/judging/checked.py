"""A text that a judge has read. Light: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Judged:
    """A sentence's place in the text, and what the judge thinks of it."""

    start: int
    end: int
    probability: float
    """Of being acceptable, 0 to 1."""
    truncated: bool
    """Whether the sentence is longer than what the judge reads."""


@dataclass(frozen=True)
class Checked:
    text: str
    sentences: Sequence[Judged]
    model: str
    threshold: float
    """The judge's own: lowest probability that counts as acceptable."""

    @classmethod
    def of(cls, text: str, model: str, reply: dict[str, Any]) -> Checked:
        """From the reply of the tasks `models.judge_text` and `models.judge_file`."""
        return cls(text, [Judged(*values) for values in reply["sentences"]], model, reply["threshold"])

    def sentence(self, index: int) -> str:
        found = self.sentences[index]
        return self.text[found.start : found.end]

    def weak(self, threshold: float) -> int:
        """How many sentences fall below `threshold`."""
        return sum(found.probability < threshold for found in self.sentences)

    @cached_property
    def mean(self) -> float:
        """Mean probability; there must be a sentence."""
        return sum(found.probability for found in self.sentences) / len(self.sentences)

    def next_weak(self, threshold: float, after: int) -> int | None:
        """The first weak sentence after the one at `after`, going round at the end."""
        count = len(self.sentences)
        for step in range(1, count + 1):
            index = (after + step) % count
            if self.sentences[index].probability < threshold:
                return index
        return None
