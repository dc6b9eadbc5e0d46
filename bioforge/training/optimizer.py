"""AdamW and the learning-rate schedule."""

from __future__ import annotations

import torch
from torch import nn

from bioforge.runs.recipe import Recipe


def adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with decoupled weight decay on matrices only: biases and norms, all vectors, are spared.

    Sources: Loshchilov and Hutter 2019; tutorial 2, appendix A2.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = trained[0].device.type in {"cpu", "cuda"}
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, eps=recipe.epsilon, fused=fused)


def warmup(recipe: Recipe, total: int) -> int:
    """Warm-up in steps: `warmup_steps` itself, or as a share of `total` where it is below 1."""
    return round(recipe.warmup_steps * total) if recipe.warmup_steps < 1 else int(recipe.warmup_steps)


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Rate of step `step` (from 0): linear up to the peak, then linear down to 0 after `total` steps.

    The same numbers as transformers' `get_linear_schedule_with_warmup`.
    """
    rising = warmup(recipe, total)
    if step < rising:
        return recipe.learning_rate * step / max(1, rising)
    return recipe.learning_rate * max(0.0, (total - step) / max(1, total - rising))
