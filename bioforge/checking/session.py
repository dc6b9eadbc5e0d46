"""One `bioforge check` from its options to its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from bioforge.checking.changes import Changes, NoCommitError
from bioforge.checking.checker import Outcome, Tally, outcomes, to_check
from bioforge.checking.config import FORMATS, read_config
from bioforge.checking.inputs import Inputs, Problem, Source, expand
from bioforge.checking.limits import FailOn
from bioforge.checking.progress import Progress
from bioforge.checking.reports import Report
from bioforge.errors import ExitCode, UserError
from bioforge.judging.judge import Judge
from bioforge.paths import home

NOTHING = "nothing to check: give sentences, a file, a folder, or text on stdin"
_MARKED = 200
"""Findings whose words are marked; each costs as much as judging dozens of sentences."""
_WARNINGS = 5
"""So many sentences that were cut are named; the rest is counted."""


@dataclass(frozen=True)
class Request:
    """The command line; None where it leaves the choice to the configuration."""

    inputs: Sequence[str]
    model: str | None = None
    threshold: float | None = None
    format: str | None = None
    fail_on: str | None = None
    exit_zero: bool = False
    lines: bool = False
    everything: bool = False
    marks: bool = True
    stdin_name: str = ""
    since: str | None = None


@dataclass(frozen=True)
class Streams:
    out: Console
    """Results."""
    note: Callable[[str], None]
    """What is no result, a line each."""
    stdin: Callable[[], BinaryIO]
    progress: Progress | None = None


class Session:
    """Settled options, and the judge, opened when it is first needed."""

    def __init__(self, request: Request, streams: Streams, judge: Judge | None = None) -> None:
        """Raises UserError for options that cannot be."""
        self.request = request
        self.streams = streams
        self.config = read_config(_here())
        self.format = request.format or self.config.format or "text"
        if self.format not in FORMATS:
            raise UserError(f"no format '{self.format}'; there are: {', '.join(FORMATS)}")
        self.fail_on = FailOn.parse(request.fail_on or self.config.fail_on or "1")
        self._judge = judge

    def expand(self) -> Inputs:
        """Raises UserError where nothing was named at all."""
        found = expand(
            self.request.inputs,
            lines=self.request.lines,
            stdin_name=self.request.stdin_name,
            excluded=self.config.excluded,
        )
        if not any(item.strip() for item in self.request.inputs):
            raise UserError(NOTHING)
        return found

    def run(self, inputs: Inputs) -> ExitCode:
        """Check everything, write the report, and tell how it went.

        Raises UserError where nothing could be checked; input that cannot be read leaves the rest to be checked.
        """
        tally = Tally(problems=list(inputs.problems))
        if not inputs.sources and len(tally.problems) == 1 and self.format == "text":
            raise UserError(tally.problems[0].message)
        sources, changed = self._changed(inputs.sources, tally)
        if sources:
            sentences = to_check(
                sources, tally, ignored=self.config.ignores(), changed=changed, stdin=self.streams.stdin
            )
            judge = self.judge()
            threshold = self._threshold(judge)
            report = self._report(judge.info.name, threshold)
            found = outcomes(sentences, judge, threshold, most_marked=_MARKED if self.request.marks else 0)
        else:
            report = self._report(None, None)
            found = iter(())
        report.begin()
        self._write(found, report, tally)
        report.end(tally)
        return self._ended(tally)

    def _changed(
        self, sources: list[Source], tally: Tally
    ) -> tuple[list[Source], dict[Path, list[range] | None] | None]:
        """Sources in which something changed, and their changed lines; all of them where that was not asked.

        A repository met in a folder may have no such commit: it is noted in `tally`, once, and the others go on.
        """
        if self.request.since is None:
            return sources, None
        changes = Changes(self.request.since)
        lines: dict[Path, list[range] | None] = {}
        problems: dict[str, Problem] = {}
        for source in sources:
            try:
                if source.path:
                    lines[source.path] = changes.lines(source.path)
            except NoCommitError as error:
                if not source.found:
                    raise
                problems.setdefault(str(error), Problem(source.name, str(error)))
        tally.problems += problems.values()
        return [source for source in sources if not source.path or lines.get(source.path, []) != []], lines

    def judge(self) -> Judge:
        """Raises UserError where there is no such judge, or the model is none."""
        if self._judge is None:
            from bioforge.judging.judge import open_judge
            from bioforge.models import store

            name = self.request.model or self.config.model or store.default_model(home(), "cola")
            info = store.info(home(), name)
            if info.task != "cola":
                raise UserError(
                    f"the model '{name}' is a writer; use it with: bioforge generate --model {name}"
                )
            self._judge = open_judge(store.folder(home(), name), self.streams.note)
        return self._judge

    def _threshold(self, judge: Judge) -> float:
        for chosen in (self.request.threshold, self.config.threshold):
            if chosen is not None:
                return chosen
        return judge.threshold

    def _report(self, model: str | None, threshold: float | None) -> Report:
        if self.format == "text":
            from bioforge.checking.terminal import TextReport

            clear = self.streams.progress.clear if self.streams.progress else None
            return TextReport(self.streams.out, model, threshold, self.request.everything, clear)
        if self.format == "sarif":
            from bioforge.checking.sarif import SarifReport

            return SarifReport(self.streams.out.file, model, threshold)
        from bioforge.checking.reports import REPORTS

        return REPORTS[self.format](self.streams.out.file, model, threshold)

    def _write(self, found: Iterable[Outcome], report: Report, tally: Tally) -> None:
        cut = 0
        # On a terminal that takes a report for programs, a line of progress would stand within it.
        progress = (
            self.streams.progress if self.format == "text" or not self.streams.out.is_terminal else None
        )
        for outcome in found:
            tally.count(outcome)
            report.add(outcome)
            if progress:
                progress(tally)
            cut += outcome.truncated
            if outcome.truncated and cut <= _WARNINGS:
                most, text = self.judge().info.max_length, outcome.sentence.text[:60]
                self.streams.note(f"warning: only the first {most} tokens were read of: {text} …")
        if progress:
            progress.clear()
        if self.request.marks and tally.findings > _MARKED:
            self.streams.note(f"words are marked in the first {_MARKED:,} findings only")
        if cut > _WARNINGS:
            self.streams.note(f"warning: {cut - _WARNINGS:,} more sentences were read in part")

    def _ended(self, tally: Tally) -> ExitCode:
        for item in tally.skipped:
            self.streams.note(f"skipped: {item.message}")
        for item in tally.problems:
            self.streams.note(f"bioforge: {item.message}")
        if self._judge is not None and (tally.sentences or not tally.problems):
            cut = self._threshold(self._judge)
            self.streams.note(
                f"{tally.findings:,} of {tally.sentences:,} unacceptable ({self._judge.info.name}, acceptable from {cut:.2f} on)"
            )
        elif not tally.problems:
            self.streams.note("nothing to check: no file has changed, or all are excluded")
        if tally.problems:
            return ExitCode.USAGE
        if self.request.exit_zero or not self.fail_on.reached(tally.findings, tally.sentences):
            return ExitCode.OK
        return ExitCode.FOUND


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UserError("the working folder is gone; change to one that is there") from error
