"""What cleaning and ranking do to a writer's texts: raw drafts, the same cleaned, the best of each four.

    python -m bench.writing --writer starter-writer --judges starter-judge starter-judge-large --texts 256

A judge that chose is never the one that measures. Writes its section of docs/results.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench import results
from bioforge.data.split import train_and_validation
from bioforge.drafting.cleaning import sentence_ends
from bioforge.drafting.copies import NGRAM, data_of, open_copies
from bioforge.drafting.desk import cleaned
from bioforge.drafting.draft import Draft
from bioforge.drafting.order import Order
from bioforge.drafting.prompts import Prompt
from bioforge.drafting.ranking import ranked, scored
from bioforge.drafting.words import words_of
from bioforge.evaluation.memory import cut_alike, shared
from bioforge.generation.sampling import Sampling
from bioforge.generation.writer import Text, Writer
from bioforge.judging.judge import open_judge
from bioforge.models import store
from bioforge.paths import home
from bioforge.runs import recipe as recipes

_TOKENS = 64
_GROUP = 4
_RESAMPLES = 5000
_TIMID = 0.3


@dataclass(frozen=True)
class Measures:
    ends: float
    """Share of texts that end where a sentence does."""
    distinct: float
    """Different pairs of words among all pairs (Li et al. 2016)."""
    repeated: float
    """Share of stretches of four words that came before in the same text."""
    words: float

    def cells(self) -> list[str]:
        return [f"{self.ends:.1%}", f"{self.distinct:.3f}", f"{self.repeated:.2%}", f"{self.words:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writer", required=True)
    parser.add_argument("--judges", nargs=2, required=True)
    parser.add_argument("--texts", type=int, default=128)
    asked = parser.parse_args()
    writer = Writer.load(store.folder(home(), asked.writer))
    began = time.monotonic()
    texts = draw(writer, asked.texts, 1.0)
    timid = draw(writer, 32, _TIMID)
    seconds = time.monotonic() - began
    tokens = sum(text.tokens for text in [*texts, *timid])
    pieces = [
        f"## The writer's texts\n\n`python -m bench.writing --writer {asked.writer} --judges {' '.join(asked.judges)}`; "
        f"{results.machine()}; other work ran beside it (drawing took {seconds:.0f} s, {tokens / seconds:.0f} tokens a second). "
        f"{asked.texts} drafts without a prompt, at most {_TOKENS} tokens, from the seeds 0 to {asked.texts - 1}; "
        f"{len(timid)} more at temperature {_TIMID}, where models go round in circles.",
        cleaning(texts, timid),
        *ranking(texts, asked.judges),
        copying(asked.writer, texts),
    ]
    results.keep("writing", "\n\n".join(pieces))


def draw(writer: Writer, count: int, temperature: float) -> list[Text]:
    sampling = Sampling(_TOKENS, temperature=temperature)
    found = []
    for first in range(0, count, 32):
        seeds = range(first, min(first + 32, count))
        found += writer.draw([""] * len(seeds), seeds, sampling)
        print(f"writing: {len(found)} of {count} at temperature {temperature}", file=sys.stderr, flush=True)
    return found


def drafts_of(texts: Sequence[Text]) -> list[Draft]:
    order = Order([Prompt("")], 1, Sampling(_TOKENS), 0)
    return [cleaned(text, order.prompts[0], order) for text in texts]


def measures(texts: Sequence[str]) -> Measures:
    words = [[word for word, _, _ in words_of(text)] for text in texts]
    pairs = [pair for each in words for pair in pairwise(each)]
    fours = [list(zip(each, each[1:], each[2:], each[3:], strict=False)) for each in words]
    again = sum(len(each) - len(set(each)) for each in fours)
    return Measures(
        ends=statistics.fmean(len(text.rstrip()) in sentence_ends(text.rstrip())[-1:] for text in texts),
        distinct=len(set(pairs)) / len(pairs),
        repeated=again / sum(len(each) for each in fours),
        words=statistics.fmean(len(each) for each in words),
    )


def cleaning(texts: Sequence[Text], timid: Sequence[Text]) -> str:
    rows = []
    for name, drawn in (("temperature 1", texts), (f"temperature {_TIMID}", timid)):
        drafts = drafts_of(drawn)
        whole = [draft.text for draft in drafts if not draft.flaws]
        rows.append([f"{name}, as drawn", *measures([text.text for text in drawn]).cells(), f"{len(drawn)}"])
        rows.append(["cleaned", *measures([draft.text for draft in drafts]).cells(), f"{len(drafts)}"])
        rows.append(["cleaned, those without flaws", *measures(whole).cells(), f"{len(whole)}"])
    head = ("drafts", "end at a sentence's end", "distinct-2", "4-grams repeated", "words", "texts")
    return results.table(head, rows)


def ranking(texts: Sequence[Text], judges: Sequence[str]) -> list[str]:
    """Kept: of each four drafts, in the order they were drawn, the best."""
    drafts = drafts_of(texts)
    by_judge = {name: scored(drafts, open_judge(store.folder(home(), name))) for name in judges}
    rows = []
    for chooser, measurer in (judges, judges[::-1]):
        kept, all_of_group, judged = [], [], by_judge[measurer]
        mean_of = {draft.seed: draft.mean or 0.0 for draft in judged}
        for first in range(0, len(drafts), _GROUP):
            group = by_judge[chooser][first : first + _GROUP]
            kept.append(mean_of[ranked(group)[0].seed])
            all_of_group.append(statistics.fmean(mean_of[draft.seed] for draft in group))
        gained = np.array(kept) - np.array(all_of_group)
        draws = np.random.default_rng(0).integers(len(gained), size=(_RESAMPLES, len(gained)))
        low, high = np.quantile(gained[draws].mean(1), [0.025, 0.975])
        rows.append(
            [
                chooser,
                measurer,
                f"{statistics.fmean(all_of_group):.3f}",
                f"{statistics.fmean(kept):.3f}",
                f"{gained.mean():+.3f} ({low:+.3f} to {high:+.3f})",
            ]
        )
    return [
        f"Mean acceptability of a text's sentences: of all drafts, and of the best of each {_GROUP}, "
        f"{len(drafts) // _GROUP} times, by a judge that did not choose (95 %: bootstrap over the choices):",
        results.table(("chosen by", "measured by", "all drafts", "kept", "gained"), rows),
    ]


def copying(name: str, texts: Sequence[Text]) -> str:
    info = store.info(home(), name)
    copies = open_copies(home(), info, lambda _: None)
    held = train_and_validation(data_of(home(), info), *recipes.from_json(info.recipe).split)[1]
    drawn = [text.text for text in texts]
    rows = [
        [what, f"{each.texts}", f"{each.longest}", f"{each.median:g}", f"{each.share:.2%}"]
        for what, each in (
            ("drafts", shared(copies, drawn)),
            ("held-out texts, cut to as many words", shared(copies, cut_alike(held, drawn))),
        )
    ]
    head = ("", "texts", "longest copy, words", "its median", f"{NGRAM}-word stretches copied")
    return "What they share with the texts that were learnt from:\n\n" + results.table(head, rows)


if __name__ == "__main__":
    main()
