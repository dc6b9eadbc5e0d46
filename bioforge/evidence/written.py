"""How well a run's writer predicts texts it did not learn from, and how much its samples say by heart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from bioforge.drafting.copies import copies_at_hand
from bioforge.errors import UserError
from bioforge.evidence.facts import Facts
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.runs.events import Sample
from bioforge.runs.outcome import Written

_RESAMPLES = 2000
_PIECE = 200
"""Resamples at once."""


@dataclass(frozen=True)
class WrittenSplit:
    split: str
    texts: int
    tokens: int
    """Predicted, the texts' ends among them."""
    perplexity: float
    perplexity_interval: tuple[float, float]
    bits_per_byte: float
    """Comparable between tokenizers, as perplexity is not."""
    bits_per_byte_interval: tuple[float, float]
    """Both 95 %, bootstrap over texts."""


@dataclass(frozen=True)
class SampleCopies:
    """Of one sample."""

    step: int
    words: int
    """Of the longest stretch that stands in a training text."""
    share: float
    """Of stretches of eight words that do."""
    row: int | None
    """Of a training text with that stretch."""


def written_split(part: Written) -> WrittenSplit:
    """Raises UserError where `part` does not fit itself."""
    try:
        nats, targets, read = (np.asarray(of, dtype=float) for of in (part.nats, part.targets, part.bytes))
        if not (nats.ndim == 1 and 0 < len(nats) == len(targets) == len(read)):
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(f"what was kept of split '{part.split}' is no list of losses") from None
    draws = _resampled(np.stack([nats, targets, read]))
    bits = nats / math.log(2)
    return WrittenSplit(
        split=part.split,
        texts=len(nats),
        tokens=int(targets.sum()),
        perplexity=float(_perplexity(nats.sum() / targets.sum())),
        perplexity_interval=_interval(_perplexity(draws[0] / draws[1])),
        bits_per_byte=float(bits.sum() / read.sum()),
        bits_per_byte_interval=_interval(draws[0] / math.log(2) / draws[2]),
    )


def _perplexity(loss: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return np.exp(np.minimum(loss, 700.0))


def _resampled(of_texts: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Sums over texts drawn with replacement, (3, resamples) from (3, texts)."""
    draw, texts = np.random.default_rng(0), of_texts.shape[1]
    pieces = [
        draw.multinomial(texts, np.full(texts, 1 / texts), size=_PIECE) for _ in range(_RESAMPLES // _PIECE)
    ]
    return np.concatenate([of_texts @ piece.T for piece in pieces], axis=1)


def _interval(values: np.typing.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def copies_of(
    home: Home, facts: Facts, samples: list[Sample], say: Callable[[str], None]
) -> tuple[list[SampleCopies], str]:
    """What each sample shares with the texts that the run learns from; or none, and why that cannot be told."""
    copies, why_not = copies_at_hand(home, _learner(facts), None, say)
    if copies is None:
        return [], why_not.removeprefix("note: ")
    found = [(sample, copies.of(sample.text, len(sample.prompt))) for sample in samples]
    return [SampleCopies(sample.step, same.words, same.share, same.row) for sample, same in found], ""


def _learner(facts: Facts) -> ModelInfo:
    """The run's model, whether it was published yet or not: what it learnt from decides."""
    return ModelInfo(
        name=facts.info.name,
        task=facts.info.task,
        base=facts.base.name,
        base_source=facts.base.source,
        created=facts.info.created,
        run=facts.info.name,
        data=facts.data["name"],
        data_fingerprint=facts.data["fingerprint"],
        recipe=asdict(facts.recipe),
        metrics={},
        step=0,
        max_length=0,
    )
