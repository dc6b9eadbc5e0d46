"""A run as a picture of one moment, kept up to date from its events, however many there are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs import folder
from bioforge.runs.events import (
    ENDINGS,
    Checkpoint,
    Event,
    EventReader,
    Failed,
    Preparing,
    Sample,
    Started,
    Step,
    Validation,
    Warning,
)
from bioforge.runs.folder import RunFolder, RunState
from bioforge.runs.series import Series

_SAMPLES = 50
_WARNINGS = 20


@dataclass(frozen=True)
class Snapshot:
    """All a front end shows of a run."""

    state: RunState
    stage: str
    """What is being prepared, before the first step."""
    started: Started | None
    latest: Step | None
    losses: tuple[tuple[float, float], ...]
    """Step and training loss, thinned."""
    not_finite: int | None
    """The latest step whose loss was nan or infinite."""
    validations: tuple[Validation, ...]
    samples: tuple[Sample, ...]
    """The latest ones, oldest first."""
    saved: Checkpoint | None
    warnings: tuple[str, ...]
    ending: Event | None


class Follower:
    """Reads what a run said since the last `poll`; one thread at a time."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._reader = EventReader(run.events)
        self._forget()

    def _forget(self) -> None:
        self._stage = ""
        self._started: Started | None = None
        self._latest: Step | None = None
        self._losses = Series()
        self._validations: list[Validation] = []
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._saved: Checkpoint | None = None
        self._warnings: deque[str] = deque(maxlen=_WARNINGS)
        self._ending: Event | None = None

    def poll(self) -> Snapshot:
        """What there is to know now."""
        # Asked before the events are read: what a worker says last it says while it is still there.
        state = self.run.state()
        for event in self._reader.poll():
            self._take(event)
        ending = self._ending
        if state.status == "interrupted" and (ending is None or self.run.is_silent()):
            message = f"the worker ended without a word (killed, or out of memory?); see {self.run.log}"
            ending = Failed(state.step, message, fault=True)
        return Snapshot(
            state=state,
            stage=self._stage,
            started=self._started,
            latest=self._latest,
            losses=tuple(self._losses.points()),
            not_finite=self._losses.not_finite,
            validations=tuple(self._validations),
            samples=tuple(self._samples),
            saved=self._saved,
            warnings=tuple(self._warnings),
            ending=None if state.at_work else ending,
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, Step):
            self._latest = event
            self._losses.add(event.step, event.loss)
        elif isinstance(event, Preparing):
            self._stage = event.stage
            self._ending = None
        elif isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Sample):
            self._samples.append(event)
        elif isinstance(event, Validation):
            self._validations.append(event)
        elif isinstance(event, Checkpoint):
            self._saved = event
        elif isinstance(event, Warning):
            self._warnings.append(event.message)
        elif isinstance(event, ENDINGS):
            self._ending = event

    def _start(self, event: Started) -> None:
        """A resumed run takes back what was said of later steps."""
        if event.step == 0:
            self._forget()
        self._stage = ""
        self._started = event
        self._ending = None
        self._losses.rewind(event.step)
        self._validations = [item for item in self._validations if item.step <= event.step]
        kept = [item for item in self._samples if item.step <= event.step]
        self._samples = deque(kept, maxlen=_SAMPLES)
        if self._latest and self._latest.step > event.step:
            self._latest = None


@dataclass(frozen=True)
class RunLine:
    """One run in a list of runs."""

    run: RunFolder
    data: str
    base: str
    task: Task
    created: str
    state: RunState


class Board:
    """All runs with their states; a run at rest is read once."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._known: dict[str, tuple[tuple[float, ...], RunLine]] = {}

    def poll(self) -> list[RunLine]:
        """Newest first; a run whose own record is damaged is left out."""
        lines = []
        for run in folder.listing(self._home):
            date = tuple(_modified(run, name) for name in ("events.jsonl", "launch.json"))
            known = self._known.get(run.name)
            # A worker that dies leaves no trace in its files, so one at work is always asked.
            if known is None or known[0] != date or known[1].state.at_work:
                if not run.is_whole():
                    continue
                info, data, base = run.info(), run.data()["name"], run.base().name
                line = RunLine(run, data, base, info.task, info.created, run.state())
                self._known[run.name] = (date, line)
            lines.append(self._known[run.name][1])
        return lines


def _modified(run: RunFolder, name: str) -> float:
    try:
        return (run.path / name).stat().st_mtime
    except OSError:
        return 0.0
