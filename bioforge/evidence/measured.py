"""One run's figure on each split it held out: MCC of a judge, bits a byte of a writer, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from bioforge.data.cola import DEV, IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.generation.metrics import prediction
from bioforge.judging.metrics import mcc, mcc_interval, verdicts
from bioforge.models.card import FEWEST
from bioforge.runs.outcome import HELD_OUT, Judged, Outcome, Written

_WHERE = {
    OUT_OF_DOMAIN_DEV: "out of domain",
    IN_DOMAIN_DEV: "in domain",
    DEV: "on the dev split",
    HELD_OUT: "on held-out rows",
}


@dataclass(frozen=True)
class Figure:
    split: str
    metric: str
    examples: int
    value: float
    low: float
    """Of the 95 % bootstrap interval over examples."""
    high: float

    @property
    def interval(self) -> str:
        """For a table; a dash where the examples are too few for one."""
        return f"{self.low:.3f} to {self.high:.3f}" if self.examples >= FEWEST else "–"


def where(split: str) -> str:
    """A split within a sentence."""
    return _WHERE.get(split, f"on {split}")


def figures(outcome: Outcome) -> list[Figure]:
    """The split the run was validated on, then those that decided nothing."""
    threshold = 0.5 if outcome.threshold is None else outcome.threshold
    return [
        *(_judged(part, threshold) for part in outcome.judged),
        *(_written(part) for part in outcome.written),
    ]


def _judged(part: Judged, threshold: float) -> Figure:
    said = verdicts(part.probabilities, threshold)
    return Figure(part.split, "MCC", len(said), mcc(part.labels, said), *mcc_interval(part.labels, said))


def _written(part: Written) -> Figure:
    told = prediction(part.nats, part.targets, part.bytes)
    return Figure(part.split, "bits a byte", len(part.nats), told.bits_per_byte, *told.bits_per_byte_interval)
