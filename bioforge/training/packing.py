"""Texts end to end in one row instead of padded to the longest, kept apart by the attention.

Positions start again at each text, and transformers reads off them which tokens may see each other. That is
right with every attention, but only a kernel for sequences of various lengths gains by it: the others build
a mask of all tokens by all tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from bioforge.errors import UserError
from bioforge.training.head import language_model_loss

_IGNORED = -100
_ROUNDING = 1e-4
"""Nats a token: a hundred times what float32 rounds off, a fifth of the least that mixed texts differ by."""


def pack(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, positions and labels, each `(1, tokens of all texts)`.

    Labels stand where they are predicted; the last token of a text predicts nothing.
    """
    ids = [token for text in texts for token in text]
    positions = [position for text in texts for position in range(len(text))]
    labels = [token for text in texts for token in [*text[1:], _IGNORED]]
    return torch.tensor([ids]), torch.tensor([positions]), torch.tensor([labels])


def packed_losses(
    model: PreTrainedModel, texts: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed next-token loss of `texts`, as if each were computed alone, and the loss at each token."""
    inputs, positions, labels = (tensor.to(device) for tensor in pack(texts))
    return language_model_loss(model, inputs, None, labels, _IGNORED, positions)


@torch.no_grad()
def check_packing(model: PreTrainedModel, device: torch.device) -> None:
    """Raises UserError where the losses of two texts packed are not those of each alone."""
    was_training = model.training
    model.eval()
    drawn = torch.Generator().manual_seed(0)
    texts = [
        torch.randint(model.config.vocab_size, (length,), generator=drawn).tolist() for length in (12, 20)
    ]
    try:
        together = packed_losses(model, texts, device)[1][0]
        alone = torch.cat([packed_losses(model, [text], device)[1][0] for text in texts])
        apart = torch.allclose(together, alone, rtol=0, atol=_ROUNDING)
    except TypeError:  # the model takes no positions
        apart = False
    model.train(was_training)
    if not apart:
        raise UserError(
            f"packing=true: models of type {model.config.model_type} do not keep packed texts apart; set it to false"
        )
