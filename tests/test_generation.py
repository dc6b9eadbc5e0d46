"""Drawing texts: seeded, stopped by the end token or on request, never past the model's limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bioforge.errors import UserError
from bioforge.generation.writer import Sampling, Writer, begin_token

SHORT = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def writer(tiny_gpt2: Path) -> Writer:
    return Writer.load(tiny_gpt2)


def test_same_seed_same_texts_and_the_random_state_is_left_alone(writer: Writer) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (writer.write("Born in", 3, SHORT, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert torch.equal(before, torch.get_rng_state())
    assert len({text.text for text in one}) == 3
    assert all(text.text.startswith("Born in") for text in one)


def test_streamed_text_is_the_text(writer: Writer) -> None:
    said: list[str] = []
    (text,) = writer.write("Zoë plays", 1, Sampling(60), 3, on_text=lambda _, more: said.append(more))
    assert "".join(said) == text.text
    assert len(said) > 10


def test_texts_end_at_the_end_token(writer: Writer) -> None:
    end = writer.tokenizer.eos_token_id
    assert isinstance(end, int)
    with torch.no_grad():
        embedding: Any = writer.model.get_input_embeddings()
        weight = embedding.weight
        kept = weight[end].clone()
        weight[end] *= 20
        try:
            texts = writer.write("", 20, Sampling(200), 1)
        finally:
            weight[end] = kept
    ended = [text for text in texts if text.ended]
    assert ended and all(text.tokens < 200 for text in ended)
    assert not any("<|endoftext|>" in text.text for text in texts)


def test_no_randomness_at_temperature_zero(writer: Writer) -> None:
    texts = writer.write("Born", 2, Sampling(10, temperature=0), 1) + writer.write(
        "Born", 1, Sampling(10, temperature=0), 2
    )
    assert len({text.text for text in texts}) == 1


def test_a_request_to_stop_is_heard_between_tokens(writer: Writer) -> None:
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 5

    (text,) = writer.write("Born", 1, Sampling(100), 1, should_stop=enough)
    assert text.tokens == 5 and not text.ended


def test_prompt_and_text_stay_within_the_model(writer: Writer) -> None:
    (text,) = writer.write("word " * 60, 1, Sampling(10_000), 1)
    assert text.tokens <= 256
    with pytest.raises(UserError, match="the model takes 256; shorten it"):
        writer.write("word " * 600, 1, SHORT, 1)


def test_a_prompt_that_spells_a_special_token_stays_text(writer: Writer) -> None:
    (text,) = writer.write("<|endoftext|> and", 1, SHORT, 1)
    assert text.text.startswith("<|endoftext|> and")


def test_the_begin_token_is_the_one_training_used(writer: Writer) -> None:
    assert begin_token(writer.tokenizer) == writer.tokenizer.eos_token_id
