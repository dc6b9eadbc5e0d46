"""How good a draft is by a judge of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bioforge.drafting.draft import Draft
from bioforge.judging.judge import Judge
from bioforge.judging.sentences import Span, split


@dataclass(frozen=True)
class _Judged:
    draft: Draft
    spans: list[Span]


def scored(drafts: Sequence[Draft], judge: Judge) -> list[Draft]:
    """The drafts with their scores, all sentences judged together.

    The score is the mean of two figures: the mean acceptability of the sentences, and that of the weakest. So one
    bad sentence costs more than its share, and does not decide alone. Sentences that the prompt holds whole are
    not the writer's and do not count; a draft that adds nothing scores 0.
    """
    judged = [
        _Judged(draft, [span for span in split(draft.text) if span[1] > len(draft.prompt)])
        for draft in drafts
    ]
    sentences = [each.draft.text[start:end] for each in judged for start, end in each.spans]
    probabilities = iter([verdict.probability for verdict in judge.verdicts(sentences)])
    found = []
    for each in judged:
        of_each = [next(probabilities) for _ in each.spans]
        if not of_each:
            found.append(replace(each.draft, score=0.0))
            continue
        weakest = min(range(len(of_each)), key=of_each.__getitem__)
        start, end = each.spans[weakest]
        mean = sum(of_each) / len(of_each)
        found.append(
            replace(
                each.draft,
                score=(mean + of_each[weakest]) / 2,
                mean=mean,
                weakest=of_each[weakest],
                weakest_sentence=each.draft.text[start:end],
            )
        )
    return found


def ranked(drafts: Sequence[Draft]) -> list[Draft]:
    """Best first: those without flaws before those with, by score, then as they were drawn."""
    return sorted(drafts, key=lambda draft: (bool(draft.flaws), -(draft.score or 0.0)))
