"""How much a writer says by heart: what its texts share with those it learnt from, beside what others' texts do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.drafting.copies import NGRAM, Copies, Say, copies_at_hand, data_of
from bioforge.drafting.words import words_of
from bioforge.generation.sampling import Sampling
from bioforge.generation.writer import Writer
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.reporting.text import one_line
from bioforge.runs import recipe as recipes

SAMPLES = 32
_TOKENS = 96


@dataclass(frozen=True)
class Shared:
    """Of some texts."""

    texts: int
    longest: int
    """Words, of the longest stretch any of them shares with a training text."""
    span: str
    row: int | None
    """Of a training text that has it."""
    median: float
    """Words, of the longest stretch of each text."""
    share: float
    """Of stretches of eight words that stand in a training text, mean over texts."""


@dataclass(frozen=True)
class Memory:
    samples: Shared
    held_out: Shared | None
    """Texts the writer never saw, cut to as many words: what is normal. None where none were held out."""


def memory_of(
    home: Home, writer: Writer, info: ModelInfo, samples: int, say: Say
) -> tuple[Memory | None, str]:
    """What a writer of the store says by heart, or why that cannot be told."""
    copies, why_not = copies_at_hand(home, info, None, say)
    if copies is None:
        return None, why_not
    say(f"writing {samples} texts, to see what it says by heart")
    held_out = train_and_validation(data_of(home, info), *recipes.from_json(info.recipe).split)[1]
    return measure_memory(writer, copies, held_out, samples), ""


def measure_memory(writer: Writer, copies: Copies, held_out: Sequence[Row], samples: int = SAMPLES) -> Memory:
    """Of texts without a prompt, from the seeds 0, 1, 2, …; with the same writer the same figures."""
    texts = [text.text for text in writer.draw([""] * samples, range(samples), Sampling(_TOKENS))]
    return Memory(shared(copies, texts), shared(copies, cut_alike(held_out, texts)) if held_out else None)


def cut_alike(rows: Sequence[Row], texts: Sequence[str]) -> list[str]:
    """As many of `rows`' texts as there are, from evenly over all, each cut to the words of one of `texts`."""
    chosen = [rows[place].text for place in range(0, len(rows), max(1, len(rows) // len(texts)))][
        : len(texts)
    ]
    return [
        _first_words(text, sum(1 for _ in words_of(like)))
        for text, like in zip(chosen, islice(cycle(texts), len(chosen)), strict=True)
    ]


def _first_words(text: str, count: int) -> str:
    ends = [end for _, _, end in words_of(text)]
    return text[: ends[min(count, len(ends)) - 1]] if ends and count else ""


def shared(copies: Copies, texts: Sequence[str]) -> Shared:
    found = [copies.of(text) for text in texts]
    most = max(found, key=lambda copied: copied.words)
    return Shared(
        texts=len(found),
        longest=most.words,
        span=most.span,
        row=most.row,
        median=statistics.median(copied.words for copied in found),
        share=statistics.fmean(copied.share for copied in found),
    )


def memory_lines(memory: Memory) -> list[str]:
    """For a reader: what was written, and what is normal."""
    lines = [f"  by heart       {_told(memory.samples, 'texts it wrote')}"]
    if memory.samples.longest:
        lines.append(f"                 “{one_line(memory.samples.span, 100)}” (row {memory.samples.row})")
    if memory.held_out:
        lines.append(f"  what is normal {_told(memory.held_out, 'held-out texts of the same length')}")
    return lines


def _told(shared: Shared, what: str) -> str:
    return (
        f"{shared.texts} {what}: longest copy {shared.longest} words (median {shared.median:g}), "
        f"{shared.share:.1%} of {NGRAM}-word stretches copied"
    )
