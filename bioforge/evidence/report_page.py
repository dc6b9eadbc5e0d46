"""A report as one HTML file that needs nothing else: no script, no font, no other file, no network."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest

from bioforge.evidence import telling
from bioforge.evidence.facts import Facts, thinned
from bioforge.evidence.figures import judged_pictures, training_pictures, writing_pictures
from bioforge.evidence.pages import line, render
from bioforge.evidence.report import Report
from bioforge.files import human_size
from bioforge.journal import local_date
from bioforge.reporting.tables import summary
from bioforge.reporting.text import duration, headline, metric

_SAMPLE, _SENTENCE, _COMMAND = 700, 300, 4000
"""Characters shown of a text."""
_ROWS = 60
"""Of the summary table."""


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    note: str


def mark_of(run: str) -> str:
    """What tells a file as a report of that run, whatever its name looks like."""
    return f"bioforge report {hashlib.sha256(run.encode('utf-8', 'replace')).hexdigest()[:16]}"


def page_of(report: Report) -> str:
    facts = report.facts
    columns, rows = summary(facts.validations)
    return render(
        "bioforge.evidence",
        "report.html",
        report=report,
        facts=facts,
        mark=mark_of(facts.info.name),
        created=local_date(facts.info.created),
        what="judge" if facts.info.task == "cola" else "writer",
        state=telling.state_sentence(facts),
        findings=_findings(facts),
        tiles=tiles(report),
        training=training_pictures(facts),
        writing=writing_pictures(report),
        columns=columns,
        rows=[rows[place] for place in thinned(range(len(rows)), _ROWS)],
        validations=len(rows),
        splits=[
            {
                "name": telling.split_name(split.split),
                "role": telling.chosen_sentence(facts, split.decided),
                "sentence": telling.judged_sentence(split),
                "figures": judged_pictures(split),
                "facts": split,
            }
            for split in report.judged
        ],
        texts=[
            {
                "name": telling.split_name(split.split),
                "role": telling.chosen_sentence(facts, number == 0),
                "sentence": telling.written_sentence(split),
            }
            for number, split in enumerate(report.written)
        ],
        samples=list(zip_longest(facts.samples.shown, report.copies)),
        recipe=[
            (name, _setting(value), _setting(facts.preset[name]) if name in facts.preset else None)
            for name, value in asdict(facts.recipe).items()
            if name not in ("task", "preset")
        ],
        data=_data(report),
        machine=_machine(facts),
        sample_length=_SAMPLE,
        sentence_length=_SENTENCE,
        command_length=_COMMAND,
    )


def _findings(facts: Facts) -> list[str]:
    if not facts.validations:
        return telling.not_finite_sentences(facts)
    return [
        telling.trend_sentence(facts.trend, telling.is_over(facts)),
        telling.best_sentence(facts),
        *telling.not_finite_sentences(facts),
    ]


def tiles(report: Report) -> list[Tile]:
    """The few figures that tell most."""
    found = []
    for judged in report.judged:
        name, size = telling.split_name(judged.split), judged.sentences
        alike = telling.one_verdict(judged)
        note = f"calls all {alike}" if alike else telling.interval(judged.interval, size)
        if telling.one_label(judged):
            found.append(
                Tile(f"Accuracy, {name}", f"{judged.accuracy:.3f}", f"all {telling.one_label(judged)}")
            )
        else:
            found.append(Tile(f"MCC, {name}", f"{judged.mcc:.3f}", note))
    for written in report.written:
        name, size = telling.split_name(written.split), written.texts
        shown_as = partial(metric, "perplexity")
        note = telling.interval(written.perplexity_interval, size, shown_as)
        found.append(Tile(f"Perplexity, {name}", shown_as(written.perplexity), note))
        note = telling.interval(written.bits_per_byte_interval, size)
        found.append(Tile(f"Bits a byte, {name}", f"{written.bits_per_byte:.3f}", note))
    facts = report.facts
    if not found and facts.validations:
        latest = facts.validations[-1]
        name, _, value = headline(latest.metrics).partition(" ")
        found.append(Tile(f"Latest validation: {name}", value, f"step {latest.step:,}"))
    found.append(Tile("Time at work", duration(facts.seconds), "h:mm:ss"))
    steps = f"of {facts.state.steps:,}" if facts.state.steps else ""
    found.append(Tile("Steps", f"{facts.state.step:,}", steps))
    return found


def _setting(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return line(str(value)) if value != "" else "–"


def _data(report: Report) -> list[tuple[str, str]]:
    facts, here = report.facts, report.data
    found = [("Name", line(facts.data["name"])), ("Fingerprint", facts.data["fingerprint"])]
    found.append(("Imported from", line(facts.data.get("file", "–"))))
    if facts.started:
        started = facts.started
        found.append(("Rows learnt from", f"{started.train_rows - started.made_up:,}"))
        if started.made_up:
            found.append(("Corruptions of them", f"{started.made_up:,}"))
        found.append(("Rows validated on", f"{started.validation_rows:,}"))
        found.append(("Cut at the limit", f"{started.truncated:,} rows, at {started.max_length:,} tokens"))
    if here:
        found.append(
            ("Rows by split", ", ".join(f"{name} {number:,}" for name, number in here.splits.items()))
        )
    if here and here.labels:
        found.append(("Acceptable", f"{here.labels.get('1', 0):,} of {here.size:,}"))
    return found


def _machine(facts: Facts) -> list[tuple[str, str]]:
    found = [("Base", f"{line(facts.base.name)} ({line(facts.base.source)})")]
    started = facts.started
    if started:
        learn = f", {started.trained:,} of them learn" if 0 < started.trained < started.parameters else ""
        found += [
            ("Parameters", f"{started.parameters:,}{learn}"),
            ("Device", f"{started.device}, {started.precision}"),
            ("Processes", f"{started.processes:,}"),
        ]
    found.append(("Sessions", f"{facts.sessions:,}"))
    if facts.tokens_per_second is not None:
        found.append(("Speed", f"{facts.tokens_per_second:,.0f} tokens a second"))
        found.append(("Most memory", human_size(facts.memory_bytes)))
    versions = {"bioforge": facts.info.version, **(started.versions if started else {})}
    found.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return found
