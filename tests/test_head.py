"""The chunked output layer against the plain one: same loss, same gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel

from bioforge.training import head
from bioforge.training.head import language_model_loss

IGNORED = -100


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    inputs = torch.randint(1, 600, (5, 40))
    labels = torch.nn.functional.pad(inputs[:, 1:], (0, 1), value=IGNORED)
    for row, length in enumerate((39, 7, 1, 22, 30)):
        labels[row, length:] = IGNORED
    return inputs, labels


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("chunk", [3, 64, 512])
def test_loss_and_gradients_equal_transformers_own(
    chunk: int, tiny_gpt2: Path, batch: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_CHUNK", chunk)
    inputs, labels = batch
    model: Any = GPT2LMHeadModel.from_pretrained(tiny_gpt2)
    model.eval()
    assert head.is_plain(model)
    logits = model(input_ids=inputs).logits
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    torch.autograd.backward(expected * 0.37)
    wanted = gradients(model)
    model.zero_grad()
    total, at_positions = language_model_loss(model, inputs, None, labels, IGNORED)
    torch.autograd.backward(total * 0.37)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert at_positions.sum().item() == pytest.approx(expected.item(), rel=1e-6)
    assert at_positions[labels == IGNORED].count_nonzero() == 0
    for name, gradient in gradients(model).items():
        assert torch.allclose(gradient, wanted[name], atol=1e-5), name


def test_other_heads_take_the_plain_way(
    tiny_gpt2: Path, batch: tuple[torch.Tensor, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, labels = batch
    model: Any = GPT2LMHeadModel.from_pretrained(tiny_gpt2)
    model.eval()
    with torch.no_grad():
        chunked, _ = language_model_loss(model, inputs, None, labels, IGNORED)
        monkeypatch.setattr(head, "_PLAIN_HEADS", frozenset())
        plain, _ = language_model_loss(model, inputs, None, labels, IGNORED)
    assert chunked.item() == pytest.approx(plain.item(), rel=1e-6)


def test_nothing_to_predict_costs_nothing(tiny_gpt2: Path) -> None:
    model: Any = GPT2LMHeadModel.from_pretrained(tiny_gpt2)
    labels = torch.full((2, 4), IGNORED)
    total, _ = language_model_loss(model, torch.ones(2, 4, dtype=torch.long), None, labels, IGNORED)
    assert total.item() == 0
