"""From an order to texts: draw drafts, clean them, see what they miss, judge them, keep the best, draw again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bioforge.drafting.cleaning import NO_WHOLE_SENTENCE, clean, loop_start
from bioforge.drafting.copies import Copies
from bioforge.drafting.draft import Draft, Outcome
from bioforge.drafting.order import Order, banned_pattern
from bioforge.drafting.prompts import Prompt
from bioforge.drafting.ranking import ranked, scored
from bioforge.generation.drawing import OnText
from bioforge.generation.sampling import following
from bioforge.generation.writer import Text, Writer
from bioforge.judging.judge import Judge
from bioforge.judging.sentences import split


@dataclass(frozen=True)
class Desk:
    """A writer with those who look over its shoulder."""

    writer: Writer
    judge: Judge | None = None
    copies: Copies | None = None

    def write(
        self,
        order: Order,
        say: Callable[[str], None] = lambda _: None,
        on_text: OnText | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> list[Outcome]:
        """An outcome for each prompt. The same order gives the same texts.

        Seeds are counted up from the order's, draft after draft. `on_text` hears of the first round as it is drawn.
        """
        drafts: list[list[Draft]] = [[] for _ in order.prompts]
        kept: list[list[Draft]] = [[] for _ in order.prompts]
        rounds = [0] * len(order.prompts)
        used = 0
        for number in range(1, order.rounds + 1 if order.demands else 2):
            wanting = [at for at, found in enumerate(kept) if len(found) < order.n]
            if not wanting or (number > 1 and should_stop and should_stop()):
                break
            # A judge has the same choice again; else only what is missing is drawn.
            counts = [
                order.per_round if order.is_judged or number == 1 else order.n - len(kept[at])
                for at in wanting
            ]
            places = [at for at, count in zip(wanting, counts, strict=True) for _ in range(count)]
            if order.demands:
                say(f"round {number} of at most {order.rounds}: drawing {len(places):,} drafts")
            elif self.judge:
                say(f"drawing {len(places):,} drafts")
            drawn = self._round(order, places, used, on_text if number == 1 else None, should_stop)
            used += len(places)
            for at, draft in zip(places, drawn, strict=True):
                drafts[at].append(draft)
            for at in wanting:
                rounds[at] = number
                kept[at] = self._best(drafts[at])
        return [
            Outcome(prompt, kept[at][: order.n], drafts[at], rounds[at])
            for at, prompt in enumerate(order.prompts)
        ]

    def _best(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Those that miss nothing; where a judge chose, with their places among all, each text once.

        Without a judge each seed's text is handed over, one that says the same as another's too.
        """
        good = [draft for draft in drafts if not draft.misses]
        if self.judge:
            places = {draft.seed: place for place, draft in enumerate(ranked(drafts), 1)}
            once = {draft.text: draft for draft in reversed(ranked(good))}
            good = [replace(draft, place=places[draft.seed]) for draft in ranked(list(once.values()))]
        return [replace(draft, of=len(drafts)) for draft in good]

    def _round(
        self,
        order: Order,
        places: Sequence[int],
        used: int,
        on_text: OnText | None,
        should_stop: Callable[[], bool] | None,
    ) -> list[Draft]:
        texts = self.writer.draw(
            [order.prompts[at].text for at in places],
            [following(order.seed, used + index) for index in range(len(places))],
            order.sampling,
            banned=order.banned,
            no_repeat=order.no_repeat,
            on_text=on_text,
            should_stop=should_stop,
            enough=enough_for(order) if order.trim else None,
        )
        pattern = banned_pattern(order.banned)
        drafts = [
            self._draft(order, order.prompts[at], text, pattern)
            for at, text in zip(places, texts, strict=True)
        ]
        if not self.judge:
            return drafts
        return [_held_to(order, draft) for draft in scored(drafts, self.judge)]

    def _draft(self, order: Order, prompt: Prompt, text: Text, pattern: re.Pattern[str] | None) -> Draft:
        draft = cleaned(text, prompt, order)
        if self.copies:
            draft = replace(draft, copied=self.copies.of(draft.text, len(prompt.text)))
        misses = []
        if pattern and pattern.search(draft.text):
            misses.append("holds a banned word")
        if order.length.is_set and not order.length.fits(draft.text):
            misses.append("not of the length asked for")
        elif order.length.is_set and NO_WHOLE_SENTENCE in draft.flaws:
            misses.append("holds no whole new sentence")
        if order.max_copy is not None and draft.copied and draft.copied.words > order.max_copy:
            misses.append(f"copies {draft.copied.words} words")
        return replace(draft, misses=tuple(misses))


def _held_to(order: Order, draft: Draft) -> Draft:
    if order.min_score is None or (draft.score or 0.0) >= order.min_score:
        return draft
    return replace(draft, misses=(*draft.misses, f"scores {draft.score or 0.0:.2f}"))


def enough_for(order: Order) -> Callable[[str], bool]:
    """Whether a text need not go on: it goes round in circles, or has the length asked for."""
    return lambda text: loop_start(text) is not None or order.length.is_reached(text)


def cleaned(text: Text, prompt: Prompt, order: Order) -> Draft:
    """A text as a draft, trimmed unless the order says not to."""
    draft = Draft(text.text, text.tokens, text.ended, text.seed, prompt.text, prompt.fields)
    if not order.trim:
        return draft
    result = clean(text.text, len(prompt.text), order.length)
    return replace(draft, text=result.text, trimmed=result.trimmed, flaws=result.flaws)


class Settling:
    """Shows a text as it grows, up to its last whole sentence, and never takes anything back."""

    def __init__(self, prompt: str, show: Callable[[str], None]) -> None:
        self._prompt = prompt
        self._show = show
        self._text = ""
        self._shown = ""

    def grow(self, more: str) -> None:
        self._text += more
        # The last sentence still grows; of those before it, none is shown that says one before it again.
        spans = split(self._text)[:-1]
        if spans and spans[-1][1] > len(self._prompt):
            result = clean(self._text[: spans[-1][1]], len(self._prompt))
            if NO_WHOLE_SENTENCE not in result.flaws:
                self._say(result.text)

    def finish(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        if text.startswith(self._shown):
            self._show(text[len(self._shown) :])
            self._shown = text
