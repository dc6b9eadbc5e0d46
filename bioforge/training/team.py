"""Several processes at one training: each takes its share of every step, and all decide alike.

The engine is torch.distributed through Accelerate. A single process goes the same way, with nobody to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process's number (rank) among `size` of them."""

    rank: int = 0
    size: int = 1

    def tell(self, word: T) -> list[T]:
        """What every process has to say, in order of rank; waits until all have spoken."""
        if self.size == 1:
            return [word]
        words: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(words, word)
        return words

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """`value` added up over all processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(value)
        return value

    def shares(self, items: Sequence[T]) -> list[Sequence[T]]:
        """Each item to one process: every process gets like lengths where `items` are sorted by length."""
        return [items[rank :: self.size] for rank in range(self.size)]


ALONE = Team()


class Shared(nn.Module):
    """A model as all processes compute with it.

    DDP and FSDP act when the module they wrap is called: a task that uses the model runs in there.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self._no_split_modules = model._no_split_modules  # where FSDP may cut

    def tie_weights(self) -> None:
        self.model.tie_weights()

    def forward(self, task: Callable[[PreTrainedModel], T]) -> T:
        return task(self.model)
