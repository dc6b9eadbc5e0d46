"""How well a writer predicts texts: perplexity and bits a byte."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bioforge.data.store import DataSet
from bioforge.errors import UserError
from bioforge.evaluation.judge import held_out
from bioforge.generation.metrics import prediction
from bioforge.generation.writer import Writer, begin_token, decode
from bioforge.models.by_length import in_order_of_length
from bioforge.models.store import ModelInfo
from bioforge.runs import recipe as recipes
from bioforge.training.objective import Writing
from bioforge.training.tokens import encode

_MAX_TOKENS = 4096


@dataclass(frozen=True)
class WriterScore:
    """End tokens count as predictions; texts cut at the model's length count as far as they were read."""

    rows: str
    """`held out` or `all rows`."""
    documents: int
    tokens: int
    truncated: int
    loss: float
    """Nats a token."""
    perplexity: float
    perplexity_interval: tuple[float, float]
    """95 %, bootstrap over documents, as the other."""
    bits_per_byte: float
    """Comparable between tokenizers, as perplexity is not."""
    bits_per_byte_interval: tuple[float, float]


@torch.inference_mode()
def evaluate_writer(writer: Writer, info: ModelInfo, data: DataSet) -> WriterScore:
    """Measured on the rows held out from the model's training, or on all rows of data it never saw.

    Raises UserError for data without biographies.
    """
    if data.info.kind != "bios":
        raise UserError(
            f"data set '{data.info.name}' holds judged sentences; a writer is measured on biographies"
        )
    rows = held_out(info, data)
    name = "held out" if rows else "all rows"
    rows = rows or data.rows
    tokenizer, model = writer.tokenizer, writer.model.eval()
    begin, end = begin_token(tokenizer), tokenizer.eos_token_id
    assert isinstance(end, int)
    recipe = recipes.preset("bios", "balanced")
    objective = Writing(tokenizer, recipe, info.max_length, begin, end, end)
    encoded = encode(objective, rows)
    losses = np.zeros(len(rows))
    for batch in in_order_of_length(encoded.lengths.tolist(), 16, _MAX_TOKENS):
        _, at_positions = objective.losses(model, [encoded.examples[i] for i in batch], model.device)
        losses[batch] = at_positions.sum(-1).double().cpu().numpy()
    targets = [objective.targets(example) for example in encoded.examples]
    read = [len(decode(tokenizer, example.ids).encode()) for example in encoded.examples]
    told = prediction(losses.tolist(), targets, read)
    return WriterScore(
        rows=name,
        documents=len(rows),
        tokens=sum(targets),
        truncated=encoded.truncated,
        loss=told.loss,
        perplexity=told.perplexity,
        perplexity_interval=told.perplexity_interval,
        bits_per_byte=told.bits_per_byte,
        bits_per_byte_interval=told.bits_per_byte_interval,
    )
