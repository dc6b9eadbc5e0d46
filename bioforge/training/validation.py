"""Measuring a model on held-out rows without leaving a trace in the training's random state."""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel

from bioforge.judging.metrics import accuracy, mcc
from bioforge.models.batching import in_order_of_length
from bioforge.training.objective import Encoded, Objective

_MAX_TOKENS = 4096
"""In one forward pass: a vocabulary's worth of logits for each of them must fit in memory."""


@torch.inference_mode()
def validate(
    model: PreTrainedModel, objective: Objective, rows: Encoded, batch_size: int, device: torch.device
) -> tuple[dict[str, float], list[float]]:
    """Metrics over all of `rows`, and for judges each row's probability of being acceptable.

    Writers: `loss` in nats a target and `perplexity`. Judges: `loss`, `accuracy`, `mcc`. Every target
    weighs the same, however the rows fall into batches.
    """
    was_training = model.training
    model.eval()
    total, targets = 0.0, 0
    judging = rows.examples[0].label >= 0
    probabilities = [0.0] * len(rows.examples)
    for batch in in_order_of_length(rows.lengths, batch_size, _MAX_TOKENS):
        examples = [rows.examples[index] for index in batch]
        loss, logits = objective.loss_sum(model, examples, device)
        total += loss.item()
        targets += sum(objective.targets(example) for example in examples)
        if judging:
            for index, probability in zip(batch, logits.float().softmax(-1)[:, 1].tolist(), strict=True):
                probabilities[index] = probability
    model.train(was_training)
    mean = total / targets
    if not judging:
        return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}, []
    labels = [example.label for example in rows.examples]
    predictions = [int(probability >= 0.5) for probability in probabilities]
    metrics = {"loss": mean, "accuracy": accuracy(labels, predictions), "mcc": mcc(labels, predictions)}
    return metrics, probabilities


def score(metrics: dict[str, float]) -> float:
    """What the best checkpoint is chosen by, higher is better: MCC for judges, minus the loss for writers."""
    return metrics["mcc"] if "mcc" in metrics else -metrics["loss"]
