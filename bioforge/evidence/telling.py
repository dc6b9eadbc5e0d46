"""What a person is told of a run, in plain sentences: the same in a terminal and on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bioforge.data.cola import DEV, IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.evidence.facts import Curve, Facts, Trend
from bioforge.models.card import FEWEST
from bioforge.reporting.text import count, duration, metric
from bioforge.runs.events import Finished
from bioforge.runs.outcome import HELD_OUT

if TYPE_CHECKING:
    from bioforge.evidence.judged import JudgedSplit
    from bioforge.evidence.written import WrittenSplit

_SPLITS = {
    IN_DOMAIN_DEV: ("in-domain dev split", "in domain"),
    OUT_OF_DOMAIN_DEV: ("out-of-domain dev split", "out of domain"),
    DEV: ("dev split", "on the dev split"),
    HELD_OUT: ("held-out rows", "on held-out rows"),
}


def split_name(split: str) -> str:
    return _SPLITS.get(split, (split, ""))[0]


def where(split: str) -> str:
    """A split at the end of a sentence."""
    return _SPLITS.get(split, ("", f"on {split}"))[1]


def is_over(facts: Facts) -> bool:
    """Whether the training came to its end."""
    return isinstance(facts.ending, Finished)


def state_sentence(facts: Facts) -> str:
    state = facts.state
    where = f"at step {state.step:,}" + (f" of {state.steps:,}" if state.steps else "")
    if isinstance(facts.ending, Finished):
        again = f", in {facts.sessions} sessions" if facts.sessions > 1 else ""
        return (
            f"Finished after {duration(facts.seconds)} (h:mm:ss) {where}{again}: {facts.ending.reason}. "
            f"The model is called '{facts.ending.model}'."
        )
    if state.status == "stopped":
        again = "it can go on from there" if facts.can_go_on else "its checkpoints are gone"
        return f"Stopped {where} ({state.message}); {again}."
    if state.status == "failed":
        return f"Failed {where}: {state.message}"
    if state.status == "interrupted":
        again = "It can go on from its last checkpoint" if facts.can_go_on else "It left no checkpoint"
        return f"Interrupted {where}: the worker ended without a word. {again}."
    if state.status == "running":
        return f"Still running, {where}; about {duration(state.eta_seconds)} (h:mm:ss) left. This is how it stood."
    return "Starting: there is nothing to see of it yet."


def trend_sentence(trend: Trend | None, over: bool) -> str:
    """Whether and where a run that was validated overfits."""
    if trend is None:
        return "No validation gave a number, so nothing tells whether it overfits."
    end = "to the end" if over else "to the latest validation"
    lowest, rise = metric("loss", trend.lowest), metric("loss", trend.rise)
    if trend.overfits and trend.lowest_step == 0:
        return (
            f"Validation loss never fell below the {lowest} from before training; it rises by {rise} {end}."
        )
    if trend.overfits:
        return (
            f"Overfitting starts at step {trend.lowest_step:,}: validation loss is lowest there ({lowest}) "
            f"and rises by {rise} {end}, while training loss falls."
        )
    if trend.last_step == 0:
        return "It was validated before the first step only, so nothing tells whether it overfits."
    if trend.lowest_step == trend.last_step:
        so_far = "It did not overfit" if over else "It does not overfit so far"
        return f"{so_far}: validation loss is lowest at the last validation ({lowest}, step {trend.last_step:,})."
    return (
        f"No overfitting to speak of: validation loss is lowest at step {trend.lowest_step:,} ({lowest}) "
        f"and {rise} higher at the last validation."
    )


def best_sentence(facts: Facts) -> str:
    if facts.best_step is None:
        return "No step was kept as the best yet."
    if facts.recipe.keep == "last":
        return f"The last weights are the model, as the recipe asks: step {facts.best_step:,}."
    by = "MCC" if facts.info.task == "cola" else "loss"
    what = "The model is" if isinstance(facts.ending, Finished) else "The best weights so far are"
    return f"{what} step {facts.best_step:,}, the one with the best validation {by}."


def not_finite_sentences(facts: Facts) -> list[str]:
    named = (("training loss", facts.loss), ("gradient norm", facts.grad_norm))
    found = [_not_finite(name, curve) for name, curve in named if curve.not_finite]
    lost = [
        item.step for item in facts.validations if str(item.metrics.get("loss")) in ("nan", "inf", "-inf")
    ]
    if lost:
        found.append(
            f"Validation loss was not a number at step {lost[0]:,}{' and later' if lost[1:] else ''}."
        )
    return found


def _not_finite(name: str, curve: Curve) -> str:
    first, last = curve.not_finite_at[0], curve.not_finite_at[-1]
    where = (
        f"at step {first:,}"
        if curve.not_finite == 1
        else f"at {curve.not_finite:,} steps, {first:,} to {last:,}"
    )
    return f"The {name} was nan or infinite {where}; such values are marked, not drawn."


def chosen_sentence(facts: Facts, decided: bool) -> str:
    """What a split of the data decided, and so how far its figures can be trusted."""
    if not decided:
        return "This split decided nothing: neither weights nor threshold were chosen on it, so its figures are honest."
    chosen = ["the kept weights"] if facts.recipe.keep == "best" else []
    if isinstance(facts.ending, Finished) and "mcc_at_threshold" in facts.ending.metrics:
        chosen += ["the temperature", "the threshold"]
    if not chosen:
        return "Nothing was chosen on these rows, so their figures are honest."
    *others, last = chosen
    what = f"{', '.join(others)} and {last}" if others else last
    return f"Chosen on these rows: {what}. So these figures flatter the model a little."


def one_verdict(split: JudgedSplit) -> str:
    """The verdict that a judge gives whatever it reads; empty for one that has learnt to tell."""
    of = split.counts
    if not of.true_positive + of.false_positive:
        return "unacceptable"
    return "" if of.true_negative + of.false_negative else "acceptable"


def one_label(split: JudgedSplit) -> str:
    """What all sentences are, so that they have no MCC; empty where they are of both kinds."""
    return {0: "unacceptable", split.sentences: "acceptable"}.get(split.acceptable, "")


def interval(
    bounds: tuple[float, float], examples: int, shown: Callable[[float], str] = "{:.3f}".format
) -> str:
    if examples < FEWEST:
        return "too few for an interval"
    low, high = map(shown, bounds)
    return f"95 %: {low} to {high}"


def judged_sentence(split: JudgedSplit) -> str:
    found = f"MCC {split.mcc:.3f} ({interval(split.interval, split.sentences)}) on {count(split.sentences, 'sentence')}"
    if one_label(split):
        found = f"{count(split.sentences, 'sentence')}, all {one_label(split)}, so there is no MCC"
    elif one_verdict(split):
        found = (
            f"It calls all {count(split.sentences, 'sentence')} {one_verdict(split)}, "
            "so it tells nothing and MCC is 0 by convention"
        )
    off = ""
    if split.calibration_error is not None:
        off = f"; probabilities are off by {split.calibration_error:.3f} on average"
    return f"{found}; accuracy {split.accuracy:.3f} at threshold {split.threshold:.2f}{off}"


def written_sentence(split: WrittenSplit) -> str:
    return (
        f"perplexity {metric('perplexity', split.perplexity)}, {split.bits_per_byte:.3f} bits a byte "
        f"({interval(split.bits_per_byte_interval, split.texts)}) on {count(split.texts, 'text')}, "
        f"{count(split.tokens, 'token')}"
    )
