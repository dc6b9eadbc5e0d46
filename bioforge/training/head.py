"""A language model's output layer and its loss in one step, without ever holding all logits.

The logits of 8 texts of 1,024 tokens over 50,000 entries take 1.6 GB in float32, and several copies of them
live at once. Here they exist for `_CHUNK` positions at a time, and the gradients are formed on the spot, so
nothing is computed twice (the idea of Liger's fused linear cross entropy, Hsu et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

IGNORED = -100
"""Label of what is not to be predicted."""
_CHUNK = 512
_PLAIN_HEADS = frozenset({"gpt2", "llama", "mistral", "qwen2", "qwen3", "gpt_neox", "opt"})
"""Model types whose logits are `hidden @ weight.T` and nothing else: no scale, no cap, no bias."""


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed loss, and the loss at each position `(n,)`, for `hidden (n, d)`, `weight (v, d)` and `labels (n,)`."""
        inputs, matrix = hidden.to(dtype), weight.to(dtype)
        learning, learning_weight = any(ctx.needs_input_grad[:2]), ctx.needs_input_grad[1]
        losses = torch.empty(len(labels), device=hidden.device)
        grad_hidden = torch.empty_like(inputs)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if learning_weight else None
        # Everything below works in place: fresh memory of this size is slow to come by on a CPU.
        narrow = torch.empty(min(_CHUNK, len(labels)), len(weight), dtype=dtype, device=hidden.device)
        wide = torch.empty_like(narrow, dtype=torch.float32)
        for start in range(0, len(labels), _CHUNK):
            part = slice(start, start + _CHUNK)
            target = labels[part, None]
            rows = len(target)
            logits = wide[:rows].copy_(torch.mm(inputs[part], matrix.T, out=narrow[:rows]))
            right = logits.gather(1, target)
            top = logits.amax(1, keepdim=True)
            total = logits.sub_(top).exp_().sum(1, keepdim=True)
            losses[part] = (total.log() + top - right).squeeze(1)
            if learning:
                logits.div_(total).scatter_add_(1, target, torch.full_like(total, -1.0))
                slope = narrow[:rows].copy_(logits)
                torch.mm(slope, matrix, out=grad_hidden[part])
                if grad_weight is not None:
                    grad_weight += torch.mm(slope.T, inputs[part])
        if learning:
            ctx.save_for_backward(
                grad_hidden.to(hidden.dtype), None if grad_weight is None else grad_weight.to(weight.dtype)
            )
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], None if grad_weight is None else grad_weight * grads[0], None, None


def is_plain(model: PreTrainedModel) -> bool:
    """Whether the model's logits are its last hidden states times one matrix."""
    head = model.get_output_embeddings()
    return model.config.model_type in _PLAIN_HEADS and getattr(head, "bias", None) is None


def language_model_loss(
    model: PreTrainedModel,
    inputs: torch.Tensor,
    mask: torch.Tensor | None,
    labels: torch.Tensor,
    ignored: int,
    where: Mapping[str, Any] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed next-token loss over `labels (batch, width)`, and the loss at each of its positions.

    `where` tells the model where packed texts begin (`packing.py`); None: each row is one text.

    `labels` stand where they are predicted: at each position the token that follows. Positions that hold
    `ignored` cost nothing, neither in the loss nor in the output layer. Only the sum can be learnt from.
    """
    wanted = labels != ignored
    at_positions = torch.zeros(labels.shape, device=labels.device)
    given = {"input_ids": inputs, "attention_mask": mask, "use_cache": False, **(where or {})}
    if is_plain(model):
        hidden = model.base_model(**given).last_hidden_state
        head: Any = model.get_output_embeddings()
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        total, losses = _HeadLoss.apply(hidden[wanted], head.weight, labels[wanted], dtype)  # type: ignore[no-untyped-call]
    else:
        logits = model(**given).logits
        losses = torch.nn.functional.cross_entropy(logits[wanted].float(), labels[wanted], reduction="none")
        total = losses.sum()
    at_positions[wanted] = losses.detach()
    return total, at_positions
