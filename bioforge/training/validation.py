"""Measuring a model on held-out rows without leaving a trace in the training's random state."""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel

from bioforge.judging.metrics import accuracy, mcc
from bioforge.models.batching import in_order_of_length
from bioforge.training.objective import Encoded, Judging, Objective

MAX_TOKENS = 4096
"""In one forward pass: a vocabulary's worth of logits for each of them must fit in memory."""


@torch.inference_mode()
def validate(
    model: PreTrainedModel,
    objective: Objective,
    rows: Encoded,
    batch_size: int,
    device: torch.device,
    max_tokens: int = MAX_TOKENS,
) -> tuple[dict[str, float], list[float]]:
    """Metrics over all of `rows`, and for judges each row's probability of being acceptable.

    Writers: `loss` in nats a target and `perplexity`. Judges: `loss`, `accuracy`, `mcc`. Every target
    weighs the same, however the rows fall into batches.
    """
    was_training = model.training
    model.eval()
    total, targets = 0.0, 0
    probabilities: dict[int, float] = {}
    try:
        for batch in in_order_of_length(rows.lengths, batch_size, max_tokens):
            examples = [rows.examples[index] for index in batch]
            targets += sum(objective.targets(example) for example in examples)
            if isinstance(objective, Judging):
                scores = objective.logits(model, examples, device).log_softmax(-1).tolist()
                for index, example, (bad, good) in zip(batch, examples, scores, strict=True):
                    total -= good if example.label == 1 else bad
                    probabilities[index] = math.exp(good)
            else:
                total += objective.loss_sum(model, examples, device).item()
    finally:
        model.train(was_training)
    mean = total / targets
    if not isinstance(objective, Judging):
        return {"loss": mean, "perplexity": math.exp(min(mean, 700.0))}, []
    labels = [example.label for example in rows.examples]
    in_order = [probabilities[index] for index in range(len(labels))]
    predictions = [int(probability >= 0.5) for probability in in_order]
    return {
        "loss": mean,
        "accuracy": accuracy(labels, predictions),
        "mcc": mcc(labels, predictions),
    }, in_order


def score(metrics: dict[str, float]) -> float:
    """What the best checkpoint is chosen by, higher is better: MCC for judges, minus the loss for writers."""
    return metrics["mcc"] if "mcc" in metrics else -metrics["loss"]
