"""Token sequences of unequal length as rectangular tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase


def pad(sequences: Sequence[Sequence[int]], value: int, width: int = 0) -> torch.Tensor:
    """Right-padded `(batch, width)` int64 tensor; `width` 0 takes the longest sequence's length."""
    width = width or max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *([value] * (width - len(sequence)))] for sequence in sequences])


def mask(sequences: Sequence[Sequence[int]], width: int = 0) -> torch.Tensor:
    """1 where `pad` puts a token, 0 where it pads."""
    return pad([[1] * len(sequence) for sequence in sequences], 0, width)


def encode_sentences(
    tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str], max_length: int
) -> tuple[list[list[int]], list[bool]]:
    """Token ids of each sentence with the special tokens around it, and whether it was cut at `max_length`.

    A sentence that spells out a special token is text like any other.
    """
    encoded: Any = tokenizer(list(sentences), split_special_tokens=True, verbose=False)
    ids: list[list[int]] = encoded["input_ids"]
    long = [index for index, sequence in enumerate(ids) if len(sequence) > max_length]
    if long:
        cut: Any = tokenizer(
            [sentences[index] for index in long],
            split_special_tokens=True,
            truncation=True,
            max_length=max_length,
            verbose=False,
        )
        for index, sequence in zip(long, cut["input_ids"], strict=True):
            ids[index] = sequence
    is_long = set(long)
    return ids, [index in is_long for index in range(len(ids))]
