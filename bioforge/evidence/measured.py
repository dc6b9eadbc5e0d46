"""One run's figure on each split it held out: MCC of a judge, bits a byte of a writer, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from bioforge.models.card import FEWEST
from bioforge.runs.outcome import Outcome
from bioforge.training.measures import measures_of

_METRICS = {"mcc": "MCC", "bits_per_byte": "bits a byte"}


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
    def has_interval(self) -> bool:
        """Whether the examples are enough for one."""
        return self.examples >= FEWEST and self.high > self.low

    @property
    def interval(self) -> str:
        """For a table; a dash where the examples are too few for one."""
        return f"{self.low:.3f} to {self.high:.3f}" if self.examples >= FEWEST else "–"


def figures(outcome: Outcome) -> list[Figure]:
    """The split the run was validated on, then those that decided nothing."""
    return [
        Figure(measure.split, _METRICS[measure.metric], measure.rows, measure.value, *measure.interval)
        for measure in measures_of(outcome)
        if measure.metric in _METRICS
    ]
