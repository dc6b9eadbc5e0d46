"""One token a step for texts side by side, each drawn from a seed of its own, each stopped on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase, StoppingCriteria
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.streamers import BaseStreamer

from bioforge.generation.sampling import Sampling

OnText = Callable[[int, str], None]
"""Called with the index of a text and what it grew by."""


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class Drawing(LogitsProcessor):
    """Scores whose greatest is a fair draw: probabilities, each divided by exponential noise.

    The noise of a row comes from the row's seed alone, so a text does not depend on those drawn beside it
    (but for what the model's own arithmetic differs by between batches).
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self._narrow: list[Any] = [TemperatureLogitsWarper(float(sampling.temperature))]
        if sampling.top_k > 0:
            self._narrow.append(TopKLogitsWarper(int(sampling.top_k)))
        if sampling.top_p < 1:
            self._narrow.append(TopPLogitsWarper(float(sampling.top_p)))
        # On the CPU wherever the model is: the same seed gives the same noise on every device.
        self._draws = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        for narrow in self._narrow:
            scores = narrow(input_ids, scores)
        noise = torch.empty(scores.shape, dtype=torch.float32)
        for row, draw in zip(noise, self._draws, strict=True):
            row.exponential_(generator=draw)
        noise = noise.clamp_min_(torch.finfo(noise.dtype).tiny).to(scores.device)
        return scores.float().softmax(-1) / noise  # type: ignore[return-value]


class Stopping(StoppingCriteria):
    """Stops all texts when asked to, and each of them when there is enough of it."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[list[int]],
        width: int,
        asked: Callable[[], bool] | None,
        enough: Callable[[str], bool] | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._width = width
        self._asked = asked
        self._enough = enough
        self.drawn: list[int | None] = [None] * len(prompts)
        """How many tokens each text had when there was enough of it."""

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        del scores
        if self._enough:
            for index, ids in enumerate(input_ids[:, self._width :].tolist()):
                if self.drawn[index] is None and self._enough(
                    decode(self._tokenizer, self._prompts[index] + ids)
                ):
                    self.drawn[index] = len(ids)
        asked = self._asked is not None and self._asked()
        stopped = [asked or drawn is not None for drawn in self.drawn]
        return torch.tensor(stopped, device=input_ids.device)


class Streamer(BaseStreamer):
    """Hands over texts as they settle: whole characters only, none taken back."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]], on_text: OnText
    ) -> None:
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._ids = [list(prompt) for prompt in prompts]
        self._said = [0] * len(prompts)
        self._begun = False

    def put(self, value: torch.Tensor) -> None:
        """The prompts come first, padded, then one token a text at each step."""
        tokens = value.tolist() if self._begun else [None] * len(self._ids)
        self._begun = True
        for index, token in enumerate(tokens):
            if token is not None:
                self._ids[index].append(token)
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


def banned_tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[list[int]]:
    """The usual token sequences of `words`: as they are, in small, large and title case, with and without a space."""
    forms = {
        space + form
        for word in words
        for form in (word, word.lower(), word.upper(), word.capitalize(), word.title())
        for space in ("", " ")
    }
    ids: Any = [tokenizer(form, add_special_tokens=False)["input_ids"] for form in sorted(forms)]
    return [sequence for sequence in ids if sequence]
