"""Drawing texts from a causal language model: batched, cached, seeded, stoppable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
)

from bioforge.errors import UserError
from bioforge.generation.drawing import Drawing, OnText, Stopping, Streamer, banned_tokens
from bioforge.generation.drawing import decode as decode
from bioforge.generation.sampling import Sampling as Sampling
from bioforge.generation.sampling import following
from bioforge.models.bases import length_limit
from bioforge.models.loading import load_model, load_tokenizer

_AT_ONCE = 32
"""Texts drawn side by side; more are drawn after one another."""


@dataclass(frozen=True)
class Text:
    text: str
    """The prompt and what follows it."""
    tokens: int
    """New tokens drawn, the end token included."""
    ended: bool
    """Whether the model ended the text itself, rather than the length limit."""
    seed: int = 0
    """With the prompt and the settings, all that decides the text."""


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
    """`n` texts that start with `prompt`: the first from `seed`, the second from `seed + 1`, and so on.

    As `draw` in all else.
    """
    return draw(
        model,
        tokenizer,
        [prompt] * n,
        [following(seed, index) for index in range(n)],
        sampling,
        first=first,
        on_text=on_text,
        should_stop=should_stop,
    )


def draw(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: Sampling,
    *,
    first: int | None = None,
    banned: Sequence[str] = (),
    no_repeat: int = 0,
    on_text: OnText | None = None,
    should_stop: Callable[[], bool] | None = None,
    enough: Callable[[str], bool] | None = None,
) -> list[Text]:
    """A text for each prompt and its seed, side by side.

    The same model, prompt, settings and seed give the same text, whatever is drawn beside it; torch's random
    state is not touched. `first` replaces the begin token. `banned` words are avoided in their usual spellings,
    and no `no_repeat` tokens in a row come twice (0: they may). `on_text` receives the texts as they grow. A text
    is stopped where `enough` says so of it.

    Raises UserError where a prompt and new tokens do not fit the model.
    """
    start = begin_token(tokenizer) if first is None else first
    ids = [[start, *_encoded(tokenizer, prompt)] for prompt in prompts]
    limit = length_limit(model.config.to_dict())
    rooms = [sampling.max_new_tokens if limit is None else limit - len(given) for given in ids]
    if min(rooms) < 1:
        longest = max(map(len, ids))
        raise UserError(f"the prompt has {longest:,} tokens and the model takes {limit:,}; shorten it")
    texts: dict[int, Text] = {}
    # Those that have the same room: a short prompt beside a long one gets no less than it gets alone.
    for room in sorted({min(room, sampling.max_new_tokens) for room in rooms}):
        group = [at for at in range(len(ids)) if min(rooms[at], sampling.max_new_tokens) == room]
        for begin in range(0, len(group), _AT_ONCE):
            batch = group[begin : begin + _AT_ONCE]
            if texts and should_stop and should_stop():
                texts |= {at: Text(prompts[at], 0, False, seeds[at]) for at in batch}
                continue
            drawn = _draw_batch(
                model,
                tokenizer,
                [ids[at] for at in batch],
                [seeds[at] for at in batch],
                replace(sampling, max_new_tokens=room),
                banned_tokens(tokenizer, banned),
                no_repeat,
                _renumbered(on_text, batch) if on_text else None,
                should_stop,
                enough,
            )
            texts.update(zip(batch, drawn, strict=True))
    return [texts[at] for at in range(len(ids))]


def _encoded(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    if not prompt:
        return []
    ids: Any = tokenizer(prompt, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return list(ids)


def _renumbered(on_text: OnText, batch: list[int]) -> OnText:
    return lambda index, more: on_text(batch[index], more)


def _draw_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: list[list[int]],
    seeds: list[int],
    sampling: Sampling,
    banned: list[list[int]],
    no_repeat: int,
    on_text: OnText | None,
    should_stop: Callable[[], bool] | None,
    enough: Callable[[str], bool] | None,
) -> list[Text]:
    end: Any = tokenizer.eos_token_id
    padding = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    width = max(map(len, ids))
    inputs = torch.tensor([[padding] * (width - len(given)) + given for given in ids], device=model.device)
    attention = torch.tensor([[0] * (width - len(given)) + [1] * len(given) for given in ids])
    stopping = Stopping(tokenizer, ids, width, should_stop, enough)
    drawing = LogitsProcessorList([Drawing(sampling, seeds)] if sampling.temperature > 0 else [])
    was_training = model.training
    drawn_by: Any = model.generate
    model.eval()
    try:
        with torch.inference_mode():
            output = drawn_by(
                inputs,
                attention_mask=attention.to(model.device),
                max_new_tokens=sampling.max_new_tokens,
                do_sample=False,
                use_cache=True,
                bos_token_id=ids[0][0],
                eos_token_id=end,
                pad_token_id=padding,
                bad_words_ids=banned or None,
                no_repeat_ngram_size=no_repeat or None,
                logits_processor=drawing,
                streamer=Streamer(tokenizer, ids, on_text) if on_text else None,
                stopping_criteria=StoppingCriteriaList([stopping]),
            )
    finally:
        model.train(was_training)
    texts = []
    for given, row, drawn, seed in zip(ids, output[:, width:].tolist(), stopping.drawn, seeds, strict=True):
        new = row[:drawn]
        ended = end in new
        if ended:
            new = new[: new.index(end) + 1]
        texts.append(Text(decode(tokenizer, given + new), len(new), ended, seed))
    return texts


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

    def draw(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        banned: Sequence[str] = (),
        no_repeat: int = 0,
        on_text: OnText | None = None,
        should_stop: Callable[[], bool] | None = None,
        enough: Callable[[str], bool] | None = None,
    ) -> list[Text]:
        return draw(
            self.model,
            self.tokenizer,
            prompts,
            seeds,
            sampling,
            banned=banned,
            no_repeat=no_repeat,
            on_text=on_text,
            should_stop=should_stop,
            enough=enough,
        )
