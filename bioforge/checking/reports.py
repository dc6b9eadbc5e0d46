"""Outcomes as JSON, JSON Lines, CSV or annotations of GitHub, written as they come."""

from __future__ import annotations

import json
from typing import IO, Any

from bioforge.checking.checker import Outcome, Tally
from bioforge.reporting.text import safe


class Report:
    """Told outcome by outcome, then what all amounted to."""

    def __init__(self, stream: IO[str], model: str | None, threshold: float | None) -> None:
        """`model` and `threshold` are None where nothing could be judged."""
        self.stream = stream
        self.judge = {"model": model, "threshold": threshold}

    def begin(self) -> None:
        """Before the first outcome."""

    def add(self, outcome: Outcome) -> None:
        raise NotImplementedError

    def end(self, tally: Tally) -> None:
        """After the last outcome."""


class JsonReport(Report):
    """One object: model, threshold, verdicts of all sentences, errors, and the counts."""

    def begin(self) -> None:
        self.stream.write(f'{_json(self.judge)[:-1]}, "verdicts": [')
        self._between = "\n"

    def add(self, outcome: Outcome) -> None:
        self.stream.write(f"{self._between}  {_json(fields(outcome))}")
        self._between = ",\n"

    def end(self, tally: Tally) -> None:
        tail = {
            "errors": [{"file": item.name, "error": item.message} for item in tally.problems],
            "skipped": [{"file": item.name, "reason": item.message} for item in tally.skipped],
            "summary": {"sentences": tally.sentences, "findings": tally.findings},
        }
        self.stream.write(f"\n], {_json(tail)[1:]}\n")


class JsonLinesReport(Report):
    """An object a sentence, with the judge and its threshold in each; then one an error."""

    def add(self, outcome: Outcome) -> None:
        self.stream.write(_json({**fields(outcome), **self.judge}) + "\n")

    def end(self, tally: Tally) -> None:
        for item in tally.problems:
            self.stream.write(_json({"file": item.name, "error": item.message}) + "\n")


class CsvReport(Report):
    COLUMNS = (
        "file", "line", "column", "end_line", "end_column", "acceptable", "probability", "truncated", "marks", "sentence",
    )  # fmt: skip

    def begin(self) -> None:
        import csv

        self._writer = csv.writer(self.stream, lineterminator="\n")
        self._writer.writerow(self.COLUMNS)

    def add(self, outcome: Outcome) -> None:
        values = fields(outcome)
        values["acceptable"] = int(outcome.acceptable)
        values["truncated"] = int(outcome.truncated)
        values["marks"] = " ".join(mark["word"] for mark in values["marks"])
        row = ["" if values[name] is None else values[name] for name in self.COLUMNS]
        self._writer.writerow([_sound(value) if isinstance(value, str) else value for value in row])


class GithubReport(Report):
    """Workflow commands, which show as annotations on the lines of a pull request; findings only."""

    def add(self, outcome: Outcome) -> None:
        if outcome.acceptable:
            return
        text = outcome.sentence.text
        properties: dict[str, Any] = {}
        if outcome.source.name:
            start, end = outcome.sentence.start, outcome.sentence.end
            properties = {"file": outcome.source.name, "line": start.line, "endLine": end.line}
            if start.line == end.line:
                properties |= {"col": start.column, "endColumn": end.column}
        properties["title"] = f"Perhaps no English: {outcome.probability:.2f}"
        words = [text[mark.start : mark.end] for mark in outcome.marks]
        hint = f" [look at: {', '.join(words)}]" if words else ""
        given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
        self.stream.write(f"::warning {given}::{_data(f'{text}{hint}')}\n")

    def end(self, tally: Tally) -> None:
        for item in tally.problems:
            self.stream.write(
                f"::error file={_property(item.name)},title=Not checked::{_data(item.message)}\n"
            )


def fields(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values; places are None for a sentence that stands in no file."""
    sentence = outcome.sentence
    named = bool(outcome.source.name)
    start, end = sentence.start, sentence.end
    return {
        "file": outcome.source.name or None,
        "line": start.line if named else None,
        "column": start.column if named else None,
        "end_line": end.line if named else None,
        "end_column": end.column if named else None,
        "sentence": sentence.text,
        "probability": round(outcome.probability, 6),
        "acceptable": outcome.acceptable,
        "truncated": outcome.truncated,
        "marks": [
            {
                "word": sentence.text[mark.start : mark.end],
                "start": mark.start,
                "end": mark.end,
                **(_place(outcome, mark.start, mark.end) if named else {}),
                "probability_without": round(mark.probability, 6),
            }
            for mark in outcome.marks
        ],
    }


def _place(outcome: Outcome, start: int, end: int) -> dict[str, int]:
    first, last = outcome.sentence.position(start), outcome.sentence.end_of(end)
    return {"line": first.line, "column": first.column, "end_line": last.line, "end_column": last.column}


def _json(value: Any) -> str:
    return _sound(json.dumps(value, ensure_ascii=False))


def _sound(text: str) -> str:
    # A file's name may hold bytes that are no Unicode; they have no form in UTF-8.
    return text.encode("utf-8", "replace").decode()


def _data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return _sound(safe(escaped))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


REPORTS: dict[str, type[Report]] = {
    "json": JsonReport,
    "jsonl": JsonLinesReport,
    "csv": CsvReport,
    "github": GithubReport,
}
