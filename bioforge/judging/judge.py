"""What every judge can do, whichever way it computes. Light: no torch."""

from __future__ import annotations

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bioforge.errors import UserError
from bioforge.judging.characters import whole
from bioforge.judging.labels import check_labels
from bioforge.models.store import ModelInfo

_READ_AHEAD = 4096
"""Sentences sorted by length together; also bounds the memory a stream of sentences needs."""
_CHARACTERS_AT_ONCE = 1_000_000
"""And characters, for what is no prose may have lines of any length."""
_CHARACTERS_A_TOKEN = 64
"""Far more than prose has: a judge is given all that it reads, and its tokenizer, which keeps the rest too, not much else."""
_MANY = 512
"""Sentences that take longer without a GPU than torch takes to load."""

_Item = TypeVar("_Item")


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
        return self.info.cut

    @abstractmethod
    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        """As `probabilities`, of sentences that have a UTF-8 form."""

    def probabilities(
        self, sentences: Sequence[str], threshold: float | None = None
    ) -> tuple[list[float], list[bool]]:
        """Probability of `acceptable` for each sentence, and whether it was cut at what the judge reads.

        Those near `threshold`, the judge's own if None, are computed with more care.
        """
        cut = self.threshold if threshold is None else threshold
        most = _CHARACTERS_A_TOKEN * self.info.max_length
        found, truncated = self.compute([whole(sentence[:most]) for sentence in sentences], cut)
        return found, [
            short or len(sentence) > most for sentence, short in zip(sentences, truncated, strict=True)
        ]

    def verdicts(self, sentences: Iterable[str], threshold: float | None = None) -> Iterator[Verdict]:
        """One verdict a sentence, in order, in constant memory."""
        cut = self.threshold if threshold is None else threshold
        for chunk in in_chunks(sentences, len, _READ_AHEAD, _READ_AHEAD):
            probabilities, truncated = self.probabilities(chunk, cut)
            for sentence, probability, cut_short in zip(chunk, probabilities, truncated, strict=True):
                yield Verdict(sentence, probability, probability >= cut, cut_short)


def in_chunks(
    items: Iterable[_Item], length: Callable[[_Item], int], first: int, most: int
) -> Iterator[list[_Item]]:
    """`items` in lists of `first` of them, then of twice as many each time up to `most`; of fewer where those are long.

    `length` is an item's, in characters.
    """
    chunk: list[_Item] = []
    held, size = 0, first
    for item in items:
        chunk.append(item)
        held += length(item)
        if len(chunk) >= size or held >= _CHARACTERS_AT_ONCE:
            yield chunk
            chunk, held, size = [], 0, min(most, 2 * size)
    if chunk:
        yield chunk


def open_judge(folder: Path, say: Callable[[str], None] | None = None) -> Judge:
    """The judge in a model's folder, ready to judge; `say` is told why it takes long, should it.

    Raises UserError where the folder holds no judge.
    """
    check_labels(folder)
    with contextlib.suppress(UserError):
        return _open_quick(folder)
    from bioforge.judging.exporting import export_once

    export_once(folder, say)
    with contextlib.suppress(UserError):
        return _open_quick(folder)
    return _open_torch(folder)


def _open_quick(folder: Path) -> Judge:
    """By the exported form; raises UserError where there is none."""
    return _QuickJudge(folder) if _may_have_gpu() else _open_exported(folder)


def _open_exported(folder: Path) -> Judge:
    from bioforge.judging.exported import ExportedJudge

    return ExportedJudge.load(folder)


def _open_torch(folder: Path) -> Judge:
    from bioforge.judging.torch_judge import TorchJudge

    return TorchJudge.load(folder)


def _may_have_gpu() -> bool:
    """Told without loading torch."""
    return shutil.which("nvidia-smi") is not None


class _QuickJudge(Judge):
    """Answers a few sentences at once; when there are many it turns to torch and the GPU, and stays with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._judge = _open_exported(folder)
        self._is_torch = False
        self.info = self._judge.info

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        if len(sentences) > _MANY and not self._is_torch:
            self._judge, self._is_torch = _open_torch(self._folder), True
        return self._judge.compute(sentences, threshold)
