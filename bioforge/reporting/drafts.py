"""What is said of a text that was written, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bioforge.drafting.cleaning import NO_WHOLE_SENTENCE
from bioforge.drafting.draft import Draft, Outcome
from bioforge.drafting.order import Order
from bioforge.reporting.text import count, one_line, safe

_QUOTED = 60


def numbered(number: int, draft: Draft, trim: bool = True) -> tuple[str, str]:
    """A text among several, and what is known of it; an ellipsis where it was cut inside a sentence."""
    whole = draft.ended or (trim and NO_WHOLE_SENTENCE not in draft.flaws)
    return f"{number}: {safe(draft.text)}{'' if whole else ' …'}", f"   {facts(draft)}"


def facts(draft: Draft) -> str:
    """Seed, score and why, place, copying, in one line."""
    found = [f"seed {draft.seed}"]
    if draft.score is not None:
        found.append(f"score {draft.score:.2f}")
    if draft.weakest is not None:
        found.append(f"weakest sentence {draft.weakest:.2f}: “{one_line(draft.weakest_sentence, _QUOTED)}”")
    if draft.place is not None:
        found.append(f"place {draft.place} of {count(draft.of, 'draft')}")
    if draft.copied and draft.copied.words:
        found.append(
            f"longest copy {count(draft.copied.words, 'word')}: “{one_line(draft.copied.span, _QUOTED)}”, "
            f"{draft.copied.share:.0%} copied"
        )
    found += [*draft.flaws, *([f"{count(draft.trimmed, 'character')} trimmed"] if draft.trimmed else [])]
    return " · ".join(found)


def ranking_facts(draft: Draft) -> str:
    """What a judge and the training texts say of a draft, in one short line; "" where neither was asked."""
    found = []
    if draft.mean is not None and draft.weakest is not None:
        found.append(f"acceptability {draft.mean:.2f}, weakest sentence {draft.weakest:.2f}")
    if draft.place is not None:
        found.append(f"place {draft.place} of {count(draft.of, 'draft')}")
    if draft.copied and draft.copied.words:
        found.append(
            f"longest copy {count(draft.copied.words, 'word')}: “{one_line(draft.copied.span, _QUOTED)}”"
        )
    elif draft.copied:
        found.append("nothing copied")
    return " · ".join([*found, *draft.flaws])


def cut(draft: Draft) -> str:
    """What to say of a text that the model did not end; "" where it did."""
    if draft.ended:
        return ""
    trimmed = f"; {count(draft.trimmed, 'character')} after its last whole sentence left out"
    return f"(cut at {draft.tokens} tokens{trimmed if draft.trimmed else ''}; --max-new-tokens allows more)"


def shortfall(outcome: Outcome, order: Order) -> str:
    """Why there are fewer texts than were asked for; "" where there are not."""
    if len(outcome.texts) >= order.n:
        return ""
    missed = Counter(_kind(miss, order) for draft in outcome.drafts for miss in draft.misses)
    again = sum(not draft.misses for draft in outcome.drafts) - len(outcome.texts)
    missed.update({"say the same as another": again} if again else {})
    reasons = ", ".join(f"{number} {kind}" for kind, number in missed.most_common())
    whose = f" for '{one_line(outcome.prompt.text, 40)}'" if len(order.prompts) > 1 else ""
    scores = [draft.score for draft in outcome.drafts if draft.score is not None]
    best = f"; the best scores {max(scores):.2f}" if scores and order.min_score is not None else ""
    return (
        f"{len(outcome.texts)} of {order.n} texts found{whose}, in {count(outcome.rounds, 'round')} "
        f"and {count(len(outcome.drafts), 'draft')}: {reasons}{best}; {_advice(outcome, order, again)}"
    )


def _advice(outcome: Outcome, order: Order, again: int) -> str:
    """What would help, not what would draw the same once more."""
    most = order.sampling.max_new_tokens
    if order.length.is_set and any(draft.misses and draft.tokens >= most for draft in outcome.drafts):
        return "ask for less, or for more --max-new-tokens"
    if order.sampling.temperature == 0:
        return "at --temperature 0 every draft is the same; a higher one draws others"
    if again:
        return "ask for less, for more --drafts, or for a higher --temperature"
    return "ask for less, or for more --rounds"


def _kind(miss: str, order: Order) -> str:
    if miss.startswith("scores"):
        return f"score below {order.min_score:.2f}"
    return (
        f"copy more than {order.max_copy} words"
        if miss.startswith("copies")
        else miss.replace("holds", "hold")
    )


def summary(outcomes: Sequence[Outcome]) -> str:
    texts = sum(len(outcome.texts) for outcome in outcomes)
    return f"{count(texts, 'text')} of {count(sum(len(outcome.drafts) for outcome in outcomes), 'draft')}"
