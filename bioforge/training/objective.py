"""What is learnt: turning rows into token ids, batches into tensors, and outputs into a loss.

A loss is always a sum over targets with the number of targets beside it, so that any grouping into
batches, accumulated batches and processes averages to the same gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bioforge.data.rows import Row
from bioforge.models.batching import encode_sentences, pad
from bioforge.models.batching import mask as mask_of
from bioforge.runs.recipe import Recipe
from bioforge.training.head import IGNORED, language_model_loss
from bioforge.training.packing import packed_losses


@dataclass(frozen=True)
class Example:
    ids: list[int]
    label: int = IGNORED
    row: int = 0
    """Row in the imported file; 0 of a sentence from elsewhere."""
    target: float = IGNORED
    """Probability of `acceptable` to learn: the label, or what a teacher says (`lessons.py`)."""


class Objective(Protocol):
    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...

    def tokenize(self, rows: Sequence[Row]) -> tuple[list[list[int]], list[bool]]:
        """Token ids of each row, and whether it was cut."""
        ...

    def treatment(self) -> dict[str, Any]:
        """What the token ids depend on besides rows and tokenizer."""
        ...

    def targets(self, example: Example) -> int:
        """How many predictions of `example` count in the loss."""
        ...

    def width(self, examples: Sequence[Example]) -> int:
        """Tokens each of `examples` takes in a batch, padding counted."""
        ...

    def loss_sum(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> torch.Tensor:
        """Loss summed over all targets, a float32 scalar."""
        ...


def _width(recipe: Recipe, max_length: int, examples: Sequence[Example]) -> int:
    if recipe.padding == "max_length":
        return max_length
    return max(len(example.ids) for example in examples)


@dataclass(frozen=True)
class Writing:
    """Next-token prediction over whole documents: begin token, text, end token (tutorial 1)."""

    tokenizer: PreTrainedTokenizerBase
    recipe: Recipe
    max_length: int
    begin: int
    end: int
    padding: int

    def tokenize(self, rows: Sequence[Row]) -> tuple[list[list[int]], list[bool]]:
        texts = [row.text for row in rows]
        # A text that spells out a special token must not become one.
        encoded: Any = self.tokenizer(
            texts, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        sequences = [[self.begin, *ids, self.end] for ids in encoded["input_ids"]]
        cut = [len(ids) > self.max_length for ids in sequences]
        last = [self.end] if self.recipe.keep_end else []
        for index in (index for index, is_cut in enumerate(cut) if is_cut):
            sequences[index] = [*sequences[index][: self.max_length - len(last)], *last]
        return sequences, cut

    def treatment(self) -> dict[str, Any]:
        return {
            "task": "bios",
            "begin": self.begin,
            "end": self.end,
            "keep_end": self.recipe.keep_end,
            "max_length": self.max_length,
        }

    def width(self, examples: Sequence[Example]) -> int:
        if self.recipe.packing:
            return -(-sum(len(example.ids) for example in examples) // len(examples))
        return _width(self.recipe, self.max_length, examples)

    @property
    def _learns_padding(self) -> bool:
        """Padding to the longest of a batch is none of a text's: it would count by what lies beside the text."""
        return self.recipe.loss_on_padding and self.recipe.padding == "max_length"

    def targets(self, example: Example) -> int:
        if self._learns_padding:
            return self.max_length - 1
        return len(example.ids) - 1

    def loss_sum(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> torch.Tensor:
        if self.recipe.packing:
            return packed_losses(model, [example.ids for example in examples], device)[0]
        return self.losses(model, examples, device)[0]

    def row_losses(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> list[float]:
        """Loss of each example, summed over its targets; nothing to learn from."""
        if self.recipe.packing:
            ids = [example.ids for example in examples]
            at_tokens = packed_losses(model, ids, device)[1][0]
            parts = torch.split(at_tokens, [len(text) for text in ids])
            return [part.double().sum().item() for part in parts]
        return self.losses(model, examples, device)[1].double().sum(-1).tolist()

    def losses(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed loss, and the loss at each position `(batch, width)`, 0 where there is nothing to predict."""
        ids = [example.ids for example in examples]
        width = self.width(examples)
        inputs = pad(ids, self.padding, width).to(device)
        if self._learns_padding:
            targets = inputs
            mask = mask_of(ids, width).to(device)
        else:
            # Padding is told by length, not by id: the end token may well be the padding token, and must be
            # learnt. A causal model needs no mask for padding on the right, and is faster without one.
            targets = pad(ids, IGNORED, width).to(device)
            mask = None
        labels = F.pad(targets[:, 1:], (0, 1), value=IGNORED)
        return language_model_loss(model, inputs, mask, labels, IGNORED)


@dataclass(frozen=True)
class Judging:
    """Acceptable or not, from the pooled sentence (tutorial 2)."""

    tokenizer: PreTrainedTokenizerBase
    recipe: Recipe
    max_length: int
    padding: int

    def tokenize(self, rows: Sequence[Row]) -> tuple[list[list[int]], list[bool]]:
        return encode_sentences(self.tokenizer, [row.text for row in rows], self.max_length)

    def treatment(self) -> dict[str, Any]:
        return {"task": "cola", "max_length": self.max_length}

    def width(self, examples: Sequence[Example]) -> int:
        return _width(self.recipe, self.max_length, examples)

    def targets(self, example: Example) -> int:
        return int(example.label != IGNORED)

    def loss_sum(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> torch.Tensor:
        good = torch.tensor([example.target for example in examples], device=device)
        return F.cross_entropy(
            self.logits(model, examples, device), torch.stack([1 - good, good], 1), reduction="sum"
        )

    def logits(
        self, model: PreTrainedModel, examples: Sequence[Example], device: torch.device
    ) -> torch.Tensor:
        """Scores of unacceptable and acceptable, `(batch, 2)`, float32."""
        width = self.width(examples)
        ids = [example.ids for example in examples]
        inputs = pad(ids, self.padding, width).to(device)
        mask = mask_of(ids, width).to(device)
        scores: torch.Tensor = model(input_ids=inputs, attention_mask=mask).logits
        return scores.float()
