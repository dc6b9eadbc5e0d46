"""Findings in SARIF 2.1.0, the OASIS standard for results of static analysis."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bioforge import __version__
from bioforge.checking.checker import Outcome, Tally
from bioforge.checking.reports import Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULE = "unacceptable-sentence"


class SarifReport(Report):
    """One run; written as findings come, so that only the counts are held."""

    def begin(self) -> None:
        rule = {
            "id": _RULE,
            "name": "UnacceptableSentence",
            "shortDescription": {"text": "The sentence may not be acceptable English."},
            "fullDescription": {
                "text": "A trained judge gives the probability that a sentence is acceptable English; this one is below the threshold."
            },
            "help": {
                "text": "Read the sentence, the marked words first. If it is right, exempt it with a comment: <!-- bioforge: ignore -->"
            },
            "defaultConfiguration": {"level": "warning"},
        }
        tool = {"driver": {"name": "bioforge", "version": __version__, "rules": [rule]}}
        run = {
            "tool": tool,
            "columnKind": "unicodeCodePoints",
            "properties": self.judge,
        }
        self.stream.write(
            f'{{"$schema": {json.dumps(_SCHEMA)}, "version": "2.1.0", "runs": [{json.dumps(run)[:-1]}, "results": ['
        )
        self._between = "\n"

    def add(self, outcome: Outcome) -> None:
        if not outcome.acceptable:
            # ASCII, so that no name and no sentence can break it.
            self.stream.write(f"{self._between}  {json.dumps(_result(outcome))}")
            self._between = ",\n"

    def end(self, tally: Tally) -> None:
        notes = [
            {"level": level, "message": {"text": _message(item.message)}}
            for level, items in (("error", tally.problems), ("note", tally.skipped))
            for item in items
        ]
        invocation: dict[str, Any] = {"executionSuccessful": not tally.problems}
        if notes:
            invocation["toolExecutionNotifications"] = notes
        self.stream.write(f'\n], "invocations": [{json.dumps(invocation)}]}}]}}\n')


def _result(outcome: Outcome) -> dict[str, Any]:
    text = outcome.sentence.text
    result: dict[str, Any] = {
        "ruleId": _RULE,
        "ruleIndex": 0,
        "level": "warning",
        "message": {
            "text": _message(f"Perhaps no acceptable English (probability {outcome.probability:.2f}): {text}")
        },
        "properties": {"probability": round(outcome.probability, 6)},
    }
    if outcome.source.name:
        location: dict[str, Any] = {
            "physicalLocation": {
                "artifactLocation": _artifact(outcome.source.name),
                "region": _region(outcome, 0, len(text)),
            }
        }
        if outcome.marks:
            location["annotations"] = [
                {
                    **_region(outcome, mark.start, mark.end),
                    "message": {"text": _message(f"{text[mark.start : mark.end]}: this word hurts")},
                }
                for mark in outcome.marks
            ]
        result["locations"] = [location]
    return result


def _artifact(name: str) -> dict[str, str]:
    """A reference relative to where the check runs; what lies elsewhere has its whole address."""
    path = Path(name)
    inside = os.path.relpath(path)
    if inside.startswith(".."):
        return {"uri": path.resolve().as_uri()}
    return {"uri": quote(os.fsencode(Path(inside).as_posix())), "uriBaseId": "%SRCROOT%"}


def _region(outcome: Outcome, start: int, end: int) -> dict[str, int]:
    first, last = outcome.sentence.position(start), outcome.sentence.end_of(end)
    return {
        "startLine": first.line,
        "startColumn": first.column,
        "endLine": last.line,
        "endColumn": last.column,
    }


def _message(text: str) -> str:
    """Braces stand for themselves when doubled (section 3.11.5)."""
    return text.encode("utf-8", "replace").decode().replace("{", "{{").replace("}", "}}")
