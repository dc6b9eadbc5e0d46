"""An average of the weights along the way: often better than the last ones, at the price of one more copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bioforge.runs.recipe import Recipe
from bioforge.training.treatments import trained


class Average:
    """Exponential moving average of what learns, in float32; nothing at all where the recipe wants none.

    Short trainings would remember the base too long, so the decay rises to `average_decay`: after step t it
    is (1 + t) / (10 + t) at most, and the average spans about the last tenth of the way.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._decay = recipe.average_decay
        self._weights = trained(model) if recipe.average == "ema" else {}
        self.averages = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        if self.averages:
            average: Any = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
            average(list(self.averages.values()), list(self._weights.values()), step)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model computes with the averages; afterwards it has its own weights back, bit for bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # By exchange, not by copy: it takes no memory, so it cannot stop half way for want of it.
        for name, weight in self._weights.items():
            weight.data, self.averages[name] = self.averages[name], weight.data

    def load(self, averages: dict[str, torch.Tensor]) -> None:
        for name, average in averages.items():
            self.averages[name].copy_(average)
