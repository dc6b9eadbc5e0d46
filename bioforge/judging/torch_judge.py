"""Judging with torch: on a GPU where there is one, and the measure for every other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bioforge.judging.judge import Judge
from bioforge.models.batching import encode_sentences, mask, pad
from bioforge.models.by_length import in_order_of_length
from bioforge.models.loading import load_model, load_tokenizer
from bioforge.models.precision import computes_bf16
from bioforge.models.store import ModelInfo, read_info

_TOKENS = {"cpu": 512}
"""In one forward pass, padding counted: on a CPU larger ones are no faster and hold more padding."""
_FEW = 32
"""So few sentences are quick in float32 too."""
_UNSURE = 0.2
"""Log-odds; bf16 was never seen to move a sentence by more than 0.16."""


@dataclass(frozen=True)
class TorchJudge(Judge):
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    info: ModelInfo

    @classmethod
    def load(cls, folder: Path) -> TorchJudge:
        """Raises UserError where the folder holds no judge."""
        info = read_info(folder)
        model = load_model(folder, "cola").eval()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device), load_tokenizer(folder), info)

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        info = self.info
        return probabilities_of(
            self.model, self.tokenizer, sentences, info.max_length, threshold, info.temperature
        )


@torch.inference_mode()
def probabilities_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[str],
    max_length: int,
    threshold: float,
    temperature: float = 1.0,
) -> tuple[list[float], list[bool]]:
    """Probability of `acceptable` for each sentence, and whether it was cut at `max_length` tokens.

    Many sentences are computed in bf16 where that is native; those it leaves near `threshold`, or near a half,
    are computed again in float32, so that bf16 decides nothing (docs/results.md). Log-odds are divided by
    `temperature` (Guo et al. 2017).
    """
    ids, truncated = encode_sentences(tokenizer, sentences, max_length)
    padding = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0
    if len(ids) <= _FEW or not computes_bf16(model.device.type):
        return (_margins(model, ids, padding) / temperature).sigmoid().tolist(), truncated
    with torch.autocast(model.device.type, torch.bfloat16):
        margins = _margins(model, ids, padding)
    cuts = torch.tensor([threshold, 0.5], dtype=margins.dtype).logit() * temperature
    unsure = ((margins[:, None] - cuts).abs() < _UNSURE).any(1).nonzero().flatten()
    if len(unsure):
        margins[unsure] = _margins(model, [ids[index] for index in unsure.tolist()], padding)
    return (margins / temperature).sigmoid().tolist(), truncated


def _margins(model: PreTrainedModel, ids: Sequence[Sequence[int]], padding: int) -> torch.Tensor:
    """Log-odds of `acceptable`, `(len(ids),)`, float64 on the CPU."""
    margins = torch.zeros(len(ids), dtype=torch.float64)
    lengths = [len(sequence) for sequence in ids]
    for batch in in_order_of_length(lengths, len(ids), _TOKENS.get(model.device.type, 8192)):
        sequences = [ids[index] for index in batch]
        inputs, attention = pad(sequences, padding).to(model.device), mask(sequences).to(model.device)
        logits = model(input_ids=inputs, attention_mask=attention).logits.cpu().double()
        margins[batch] = logits[:, 1] - logits[:, 0]
    return margins
