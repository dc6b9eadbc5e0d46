"""Drawing texts from a causal language model: batched, cached, seeded, stoppable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from bioforge.errors import UserError
from bioforge.generation.sampling import Sampling as Sampling
from bioforge.models.bases import length_limit
from bioforge.models.loading import load_model, load_tokenizer


@dataclass(frozen=True)
class Text:
    text: str
    """The prompt and what follows it."""
    tokens: int
    """New tokens drawn, the end token included."""
    ended: bool
    """Whether the model ended the text itself, rather than the length limit."""


OnText = Callable[[int, str], None]
"""Called with the index of a text and what it grew by."""


class _Stop(StoppingCriteria):
    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        del scores
        return torch.full((input_ids.shape[0],), self._asked(), dtype=torch.bool, device=input_ids.device)


class _Streamer(BaseStreamer):
    """Hands over texts as they settle: whole characters only, none taken back."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, n: int, on_text: OnText) -> None:
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._ids: list[list[int]] = [[] for _ in range(n)]
        self._said = [0] * n

    def put(self, value: torch.Tensor) -> None:
        """The prompt comes first, then one token a text at each step."""
        for index, ids in enumerate(value.reshape(len(self._ids), -1).tolist()):
            self._ids[index] += ids
            text = decode(self._tokenizer, self._ids[index])
            if not text.endswith("\N{REPLACEMENT CHARACTER}"):
                self._say(index, text)

    def end(self) -> None:
        for index, ids in enumerate(self._ids):
            self._say(index, decode(self._tokenizer, ids))

    def _say(self, index: int, text: str) -> None:
        if len(text) > self._said[index]:
            self._on_text(index, text[self._said[index] :])
            self._said[index] = len(text)


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def begin_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token every training text began with.

    Raises UserError for a tokenizer with neither begin nor end token.
    """
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id):
        if isinstance(token, int):
            return token
    raise UserError("the base's tokenizer names no begin or end token; choose another base")


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    n: int,
    sampling: Sampling,
    seed: int,
    *,
    first: int | None = None,
    on_text: OnText | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Text]:
    """`n` texts that start with `prompt`, drawn in one batch.

    The same model, arguments and `seed` give the same texts; torch's random state is left as it was.
    `first` replaces the begin token. `on_text` receives the texts as they grow, side by side.

    Raises UserError where prompt and new tokens do not fit the model.
    """
    start = begin_token(tokenizer) if first is None else first
    end = tokenizer.eos_token_id
    prompt_ids: Any = (
        tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"] if prompt else []
    )
    ids = [start, *prompt_ids]
    limit = length_limit(model.config.to_dict())
    room = limit - len(ids) if limit else sampling.max_new_tokens
    if room < 1:
        raise UserError(f"the prompt has {len(ids):,} tokens and the model takes {limit:,}; shorten it")
    inputs = torch.tensor([ids] * n, device=model.device)
    drawing: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        drawing = {
            "do_sample": True,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "temperature": sampling.temperature,
        }
    was_training = model.training
    drawn_by: Any = model.generate
    model.eval()
    devices = [model.device] if model.device.type == "cuda" else []
    apple = torch.mps.get_rng_state() if model.device.type == "mps" else None
    try:
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seed)
            output = drawn_by(
                inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=min(sampling.max_new_tokens, room),
                use_cache=True,
                bos_token_id=start,
                eos_token_id=end,
                pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
                streamer=_Streamer(tokenizer, n, on_text) if on_text else None,
                stopping_criteria=StoppingCriteriaList([_Stop(should_stop)] if should_stop else []),
                **drawing,
            )
    finally:
        if apple is not None:
            torch.mps.set_rng_state(apple)
        model.train(was_training)
    return [_text(tokenizer, row.tolist(), len(ids), end) for row in output]


def _text(tokenizer: PreTrainedTokenizerBase, ids: list[int], given: int, end: Any) -> Text:
    drawn = ids[given:]
    ended = end in drawn
    if ended:
        drawn = drawn[: drawn.index(end) + 1]
    return Text(decode(tokenizer, ids[:given] + drawn), len(drawn), ended)


@dataclass(frozen=True)
class Writer:
    """A loaded model with its tokenizer, on the best device at hand."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path) -> Writer:
        model = load_model(folder, "bios")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device), load_tokenizer(folder))  # type: ignore[arg-type]

    def write(
        self,
        prompt: str,
        n: int,
        sampling: Sampling,
        seed: int,
        on_text: OnText | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> list[Text]:
        return generate(
            self.model, self.tokenizer, prompt, n, sampling, seed, on_text=on_text, should_stop=should_stop
        )
