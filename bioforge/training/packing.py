"""Texts end to end in one row instead of padded to the longest, kept apart by the attention.

Positions start again at each text, and transformers reads off them which tokens may see each other. That is
right with its own attention, but costs a mask of all tokens by all tokens; on a GPU in bf16, torch's kernel
for sequences of various lengths needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from bioforge.errors import UserError
from bioforge.training.head import IGNORED, is_plain, language_model_loss

_VARLEN = "varlen"


def pack(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, positions and labels, each `(1, tokens of all texts)`.

    Labels stand where they are predicted; the last token of a text predicts nothing.
    """
    ids = [token for text in texts for token in text]
    positions = [position for text in texts for position in range(len(text))]
    labels = [token for text in texts for token in [*text[1:], IGNORED]]
    return torch.tensor([ids]), torch.tensor([positions]), torch.tensor([labels])


def packed_losses(
    model: PreTrainedModel, texts: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed next-token loss of `texts`, as if each were computed alone, and the loss at each token `(1, tokens)`."""
    inputs, positions, labels = (tensor.to(device) for tensor in pack(texts))
    where: dict[str, Any] = {"position_ids": positions}
    if model.config._attn_implementation == _VARLEN:
        lengths = torch.tensor([0, *map(len, texts)], dtype=torch.int32, device=device)
        where["cu_seq_lens_q"] = lengths.cumsum(0, dtype=torch.int32)
        where["max_length_q"] = max(map(len, texts))
    return language_model_loss(model, inputs, None, labels, IGNORED, where)


def use_varlen_kernel(model: PreTrainedModel) -> None:
    """Let `model` attend within packed texts by torch's kernel; everything else goes as before.

    For architectures whose attention is softmax(scale * q k) v and no more.
    """
    if is_plain(model):
        AttentionInterface.register(_VARLEN, _attend)
        AttentionMaskInterface.register(_VARLEN, _mask)
        model.set_attn_implementation(_VARLEN)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention `(1, tokens, heads, size)` of `query (1, heads, tokens, size)`, texts beginning at `cu_seq_lens_q`."""
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    if dropout:
        raise UserError("packing=true knows no dropout of attention weights here; set attention_dropout=0")
    # Rotary positions make float32 of what autocast computed.
    q, k, v = (tensor[0].transpose(0, 1).to(value.dtype) for tensor in (query, key, value))
    window = others.get("sliding_window")
    mixed = varlen_attn(
        *(q, k, v, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q),
        scale=scaling,
        window_size=(window - 1 if window else -1, 0),
        enable_gqa=True,
    )
    assert isinstance(mixed, torch.Tensor)
    return mixed[None], None


def _mask(*, attention_mask: torch.Tensor | None = None, **shape: Any) -> torch.Tensor | None:
    """None in training, where texts are packed or padded on the right; a mask for generation."""
    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **shape)


@torch.no_grad()
def check_packing(model: PreTrainedModel, device: torch.device) -> None:
    """Raises UserError where a packed text's losses depend on the text before it, or are not those of it alone."""
    was_training = model.training
    model.eval()
    drawn = torch.Generator().manual_seed(0)
    one, another, text = (
        torch.randint(model.config.vocab_size, (length,), generator=drawn).tolist() for length in (12, 12, 20)
    )
    # The same shapes round alike; of other shapes, logits of about 100 in bf16 are half a nat apart.
    rounding = 0.5 if torch.is_autocast_enabled(device.type) else 1e-4
    try:
        behind_one, behind_another, alone = (
            packed_losses(model, texts, device)[1][0, -len(text) :]
            for texts in ([one, text], [another, text], [text])
        )
        apart = torch.allclose(behind_one, behind_another, rtol=0, atol=1e-4)
        apart = apart and torch.allclose(behind_one, alone, rtol=0, atol=rounding)
    except TypeError:  # the model takes no positions
        apart = False
    model.train(was_training)
    if not apart:
        raise UserError(
            f"packing=true: models of type {model.config.model_type} do not keep packed texts apart here; set it to false"
        )
