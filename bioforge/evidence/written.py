"""How well a run's writer predicts texts it did not learn from, and how much its samples say by heart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from bioforge.drafting.copies import copies_at_hand
from bioforge.evidence.facts import Facts
from bioforge.generation.metrics import prediction
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.runs.events import Sample
from bioforge.runs.outcome import Written


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
    told = prediction(part.nats, part.targets, part.bytes)
    return WrittenSplit(
        split=part.split,
        texts=len(part.nats),
        tokens=sum(part.targets),
        perplexity=told.perplexity,
        perplexity_interval=told.perplexity_interval,
        bits_per_byte=told.bits_per_byte,
        bits_per_byte_interval=told.bits_per_byte_interval,
    )


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
