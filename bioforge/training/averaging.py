"""An average of the weights along the way: often better than the last ones, at the price of one more copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bioforge.runs.recipe import Recipe
from bioforge.training.treatments import trained

_FILE = "average.safetensors"


class Average:
    """Exponential moving average of what learns, in float32; nothing at all where the recipe wants none.

    Short trainings would remember the base too long, so the decay rises to `average_decay`: after step t it
    is (1 + t) / (10 + t) at most, and the average spans about the last tenth of the way.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._decay = recipe.average_decay
        self._weights = trained(model) if recipe.average == "ema" else {}
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        if self._averages:
            average: Any = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
            average(list(self._averages.values()), list(self._weights.values()), step)

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
        for name, weight in self._weights.items():
            own = weight.clone()
            weight.copy_(self._averages[name])
            self._averages[name].copy_(own)

    def save(self, checkpoint: Path) -> None:
        if self._averages:
            save_file(self._averages, checkpoint / _FILE)

    def load(self, checkpoint: Path) -> None:
        if self._averages:
            for name, average in load_file(checkpoint / _FILE).items():
                self._averages[name].copy_(average)
