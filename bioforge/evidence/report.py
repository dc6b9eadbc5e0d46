"""All that can be told of a run, and what cannot be told and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bioforge.data import store as data_store
from bioforge.data.store import DataInfo, DataSet
from bioforge.errors import UserError
from bioforge.evidence.facts import Facts, facts_of, plain
from bioforge.paths import Home
from bioforge.runs.events import Finished
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import OUTCOME, Lengths, Outcome, lengths_of, outcome_of

if TYPE_CHECKING:  # numpy is loaded only where there is something to compute
    from bioforge.evidence.judged import JudgedSplit
    from bioforge.evidence.written import SampleCopies, WrittenSplit


@dataclass(frozen=True)
class Report:
    facts: Facts
    data: DataInfo | None
    """None where the data set is gone."""
    judged: list[JudgedSplit]
    written: list[WrittenSplit]
    lengths: Lengths | None
    copies: list[SampleCopies]
    """Of the samples in `facts`, in their order; none where that cannot be told."""
    missing: list[str]
    """What is not here, and why, a sentence each."""


def report_of(run: RunFolder, say: Callable[[str], None] = lambda _: None, *, copies: bool = True) -> Report:
    """All of it, or all but what samples share with the training texts, which can take seconds.

    `say` is told of what takes a while. Raises UserError for a damaged run.
    """
    facts = facts_of(run)
    outcome = outcome_of(run)
    missing: list[str] = []
    data, why_not = data_at_hand(run.home, facts)
    if outcome is None:
        missing.append(_no_outcome(facts))
    judged, written = _measured(run, outcome, data)
    if judged and data is None:
        missing.append(f"MCC by source and by length, and the mistakes: {why_not}.")
    lengths = lengths_of(run)
    if lengths is None:
        missing.append(
            "How long the training texts are: this run did not come so far as to count them, or was made "
            "before runs kept that."
        )
    copied: list[SampleCopies] = []
    if copies and facts.samples.shown:
        from bioforge.evidence.written import copies_of

        copied, untold = copies_of(run.home, facts, facts.samples.shown, say)
        missing += [f"What samples share with the training texts: {untold}."] if untold else []
    return Report(facts, data.info if data else None, judged, written, lengths, copied, missing)


def data_at_hand(home: Home, facts: Facts) -> tuple[DataSet | None, str]:
    """The data set that the run learnt from, whatever its name is now, or why it is not here."""
    name, fingerprint = facts.data["name"], facts.data["fingerprint"]
    for described in data_store.listing(home)[0]:
        if described.fingerprint == fingerprint:
            try:
                return data_store.load(home, described.name), ""
            except UserError as error:
                return None, str(error)
    return None, f"the data set '{name}' it learnt from is not in the store any more; import its file again"


def _measured(
    run: RunFolder, outcome: Outcome | None, data: DataSet | None
) -> tuple[list[JudgedSplit], list[WrittenSplit]]:
    if outcome is None:
        return [], []
    from bioforge.evidence.judged import judged_split
    from bioforge.evidence.written import written_split

    try:
        judged = [
            judged_split(part, outcome.cut, number == 0, data) for number, part in enumerate(outcome.judged)
        ]
    except UserError as error:
        raise UserError(f"run '{run.name}' is damaged: {OUTCOME} cannot be read ({error})") from error
    return judged, [written_split(part) for part in outcome.written]


def _no_outcome(facts: Facts) -> str:
    what = (
        "How good the judge is on each held-out sentence"
        if facts.info.task == "cola"
        else "Perplexity and bits a byte on the held-out texts"
    )
    if isinstance(facts.ending, Finished):
        return (
            f"{what}: this run was made before runs kept that. "
            f"Measure its model: bioforge evaluate {facts.ending.model} {facts.data['name']}"
        )
    return f"{what}: only a finished run has them, and this one is {facts.state.status}."


def as_json(report: Report) -> dict[str, Any]:
    """Everything, nan as null; the fields of `run.json` come first."""
    facts = report.facts
    known = {field: getattr(facts, field) for field in facts.__dataclass_fields__ if field != "info"}
    return {
        **asdict(facts.info),
        **plain(known),
        "dataset": plain(report.data),
        "judged": plain(report.judged),
        "written": plain(report.written),
        "lengths": plain(report.lengths),
        "copies": plain(report.copies),
        "missing": report.missing,
    }
