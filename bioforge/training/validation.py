"""Measuring a model on held-out rows without leaving a trace in the training's random state."""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel

from bioforge.judging.metrics import accuracy, mcc
from bioforge.models.by_length import in_order_of_length
from bioforge.training.objective import Judging, Objective, Writing
from bioforge.training.team import ALONE, Team
from bioforge.training.tokens import Encoded

MAX_TOKENS = 4096
"""In one forward pass: a vocabulary's worth of logits for each of them must fit in memory."""


@torch.no_grad()
def validate(
    model: PreTrainedModel,
    objective: Objective,
    rows: Encoded,
    batch_size: int,
    max_tokens: int = MAX_TOKENS,
    team: Team = ALONE,
) -> tuple[dict[str, float], list[float]]:
    """Metrics over all of `rows`, and of each row its probability of being acceptable, or its loss in nats.

    Writers: `loss` in nats a target and `perplexity`. Judges: `loss`, `accuracy`, `mcc`. Every target
    weighs the same, however the rows fall into batches and the batches to the processes of `team`.
    """
    was_training = model.training
    model.eval()
    total, targets = 0.0, 0
    found: dict[int, float] = {}
    batches = in_order_of_length(widths_of(objective, rows), batch_size, max_tokens)
    try:
        for turn in range(0, len(batches), team.size):
            # All processes compute as often; who has no batch left repeats the last one for nothing.
            batch = batches[min(turn + team.rank, len(batches) - 1)]
            examples = [rows.examples[index] for index in batch]
            counts = turn + team.rank < len(batches)
            if isinstance(objective, Writing):
                of_rows = objective.row_losses(model, examples, model.device)
                loss = sum(of_rows)
            else:
                assert isinstance(objective, Judging)
                scores = objective.logits(model, examples, model.device).log_softmax(-1).tolist()
                loss = -sum(row[example.label] for row, example in zip(scores, examples, strict=True))
                of_rows = [math.exp(good) for _, good in scores]
            if counts:
                found |= dict(zip(batch, of_rows, strict=True))
                total += loss
                targets += sum(objective.targets(example) for example in examples)
    finally:
        model.train(was_training)
    parts = team.tell((total, targets, found))
    mean = sum(total for total, _, _ in parts) / sum(targets for _, targets, _ in parts)
    everywhere = {index: value for _, _, part in parts for index, value in part.items()}
    in_order = [everywhere[index] for index in range(len(rows.table))]
    if isinstance(objective, Writing):
        return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}, in_order
    labels = rows.labels
    predictions = [int(probability >= 0.5) for probability in in_order]
    return {
        "loss": mean,
        "accuracy": accuracy(labels, predictions),
        "mcc": mcc(labels, predictions),
    }, in_order


def widths_of(objective: Objective, rows: Encoded) -> list[int]:
    """Tokens that each of `rows` takes alone, padding counted."""
    return [objective.width([example]) for example in rows.examples]


def score(metrics: dict[str, float]) -> float:
    """What the best checkpoint is chosen by, higher is better: MCC for judges, minus the loss for writers."""
    return metrics["mcc"] if "mcc" in metrics else -metrics["loss"]
