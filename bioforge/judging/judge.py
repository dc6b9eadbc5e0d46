"""What every judge can do, whichever way it computes. Light: no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bioforge.models.store import ModelInfo

_READ_AHEAD = 4096
"""Sentences sorted by length together; also bounds the memory a stream of sentences needs."""


@dataclass(frozen=True)
class Verdict:
    sentence: str
    probability: float
    """Of being acceptable, 0 to 1."""
    acceptable: bool
    truncated: bool
    """Whether the sentence is longer than what the judge reads."""


class Judge(ABC):
    """Acceptable or not: verdicts of a trained classifier."""

    info: ModelInfo

    @property
    def threshold(self) -> float:
        return 0.5 if self.info.threshold is None else self.info.threshold

    @abstractmethod
    def probabilities(
        self, sentences: Sequence[str], threshold: float | None = None
    ) -> tuple[list[float], list[bool]]:
        """Probability of `acceptable` for each sentence, and whether it was cut at what the judge reads.

        Those near `threshold`, the judge's own if None, are computed with more care.
        """

    def verdicts(self, sentences: Iterable[str], threshold: float | None = None) -> Iterator[Verdict]:
        """One verdict a sentence, in order, in constant memory."""
        cut = self.threshold if threshold is None else threshold
        stream = iter(sentences)
        while chunk := list(islice(stream, _READ_AHEAD)):
            probabilities, truncated = self.probabilities(chunk, cut)
            for sentence, probability, cut_short in zip(chunk, probabilities, truncated, strict=True):
                yield Verdict(sentence, probability, probability >= cut, cut_short)


def open_judge(folder: Path) -> Judge:
    """The judge in a model's folder, ready to judge.

    Raises UserError where the folder holds no judge.
    """
    from bioforge.judging.torch_judge import TorchJudge

    return TorchJudge.load(folder)
