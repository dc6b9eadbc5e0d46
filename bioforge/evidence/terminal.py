"""A report's facts in short, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from bioforge.evidence import telling
from bioforge.evidence.facts import Facts, smoothed
from bioforge.evidence.report import Report
from bioforge.reporting.curves import draw, loss_curves
from bioforge.reporting.tables import summary_table
from bioforge.reporting.text import count, one_line, safe

if TYPE_CHECKING:
    from bioforge.evidence.judged import JudgedSplit

_HEIGHT = 16
_MISTAKES = 3


def told(report: Report, *, width: int, colour: bool) -> Iterator[RenderableType]:
    """What there is to say, from the state of the run to what is missing."""
    facts = report.facts
    yield Text(safe(telling.state_sentence(facts)))
    if facts.validations:
        yield Text(telling.trend_sentence(facts.trend, telling.is_over(facts)))
        yield Text(telling.best_sentence(facts))
    yield from map(Text, telling.not_finite_sentences(facts))
    yield Text("")
    for name, value in asdict(facts.recipe).items():
        usual = f"  (preset: {facts.preset[name]})" if name in facts.preset else ""
        yield Text(f"  {name:<22} {safe(str(value))}{usual}")
    yield Text("")
    table = summary_table(facts.validations)
    if table:
        yield table
    curves = _curves(facts, width, colour)
    if curves:
        yield curves
    for split in report.judged:
        yield from map(Text, _judged(report, split))
    for number, written in enumerate(report.written):
        yield Text(f"{telling.split_name(written.split)}: {telling.written_sentence(written)}")
        yield Text(f"  {telling.chosen_sentence(facts, number == 0)}")
    if facts.samples.written:
        of = facts.samples
        yield Text(
            f"{count(of.written, 'sample')}: {of.ended:,} ended by themselves; of those cut at the length limit, "
            f"{of.after_a_sentence:,} ended a sentence and {of.inside_a_sentence:,} did not"
        )
    for sentence in report.missing:
        yield Text(f"missing: {safe(sentence)}", style="dim")


def _judged(report: Report, split: JudgedSplit) -> Iterator[str]:
    yield f"{telling.split_name(split.split)}: {telling.judged_sentence(split)}"
    yield f"  {telling.chosen_sentence(report.facts, split.decided)}"
    of = split.counts
    yield f"  called acceptable:    {of.true_positive:>6,} rightly {of.false_positive:>6,} wrongly"
    yield f"  called unacceptable:  {of.true_negative:>6,} rightly {of.false_negative:>6,} wrongly"
    for mistake in split.rows.mistakes[:_MISTAKES] if split.rows else []:
        side = "unacceptable" if not mistake.label else "acceptable"
        yield f"  most mistaken: {mistake.probability:.2f} for “{one_line(mistake.sentence, 80)}”, which is {side}"


def _curves(facts: Facts, width: int, colour: bool) -> Text | None:
    if len(facts.loss.points) < 2:
        return None
    curves = loss_curves(smoothed(facts.loss.points), facts.validations)
    return Text.from_ansi(draw(curves, width=width, height=_HEIGHT, colour=colour))
