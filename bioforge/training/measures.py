"""The figures of a model from what it makes of each held-out example."""

from __future__ import annotations

from bioforge.generation.metrics import prediction
from bioforge.judging.metrics import accuracy, accuracy_interval, mcc, mcc_interval, verdicts
from bioforge.models.store import Measure
from bioforge.runs.outcome import Outcome


def measures_of(outcome: Outcome) -> list[Measure]:
    """Split by split; a judge's at its threshold."""
    found: list[Measure] = []
    for judged in outcome.judged:
        said = verdicts(judged.probabilities, outcome.cut)
        split, labels, rows = judged.split, judged.labels, len(judged.labels)
        found += [
            Measure(split, rows, "mcc", mcc(labels, said), mcc_interval(labels, said)),
            Measure(split, rows, "accuracy", accuracy(labels, said), accuracy_interval(labels, said)),
        ]
    for written in outcome.written:
        split, rows = written.split, len(written.nats)
        told = prediction(written.nats, written.targets, written.bytes)
        found += [
            Measure(split, rows, "perplexity", told.perplexity, told.perplexity_interval),
            Measure(split, rows, "bits_per_byte", told.bits_per_byte, told.bits_per_byte_interval),
        ]
    return found
