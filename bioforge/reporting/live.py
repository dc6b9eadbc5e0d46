"""Following a run: bars and samples on a terminal, plain lines or JSON elsewhere."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.rule import Rule
from rich.text import Text

from bioforge.files import human_size
from bioforge.reporting.curves import learning_curves
from bioforge.reporting.tables import summary_table
from bioforge.reporting.text import duration, metric, safe
from bioforge.runs.events import (
    ENDINGS,
    Checkpoint,
    Event,
    EventReader,
    Failed,
    Finished,
    Preparing,
    Sample,
    Started,
    Step,
    Stopped,
    Validation,
    Warning,
    encode,
)
from bioforge.runs.folder import RunFolder

_POLL_S = 0.2


class View(Protocol):
    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


def follow(run: RunFolder, view: View, interrupted: Callable[[], bool] = lambda: False) -> Event:
    """Feed a run's events to `view` until the run ends; returns its last event.

    A worker that died without a word counts as failed. On Ctrl-C, `interrupted` says whether to go on.

    Raises KeyboardInterrupt where it says no.
    """
    reader = EventReader(run.events)
    presses = 0

    def press(*_: object) -> None:
        nonlocal presses
        presses += 1

    # An exception in the middle of a lock or of a drawing would leave either half done.
    before = signal.signal(signal.SIGINT, press)
    try:
        while True:
            # Asked before the events are read: what a worker says last it says while it is still there.
            over = not run.is_active()
            for event in reader.poll():
                if not isinstance(event, ENDINGS):
                    view.show(event)
            if over:
                last = _last_word(run)
                view.show(last)
                return last
            time.sleep(_POLL_S)
            while presses:
                presses -= 1
                if not interrupted():
                    raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
        view.close()


def _last_word(run: RunFolder) -> Event:
    return run.ending() or Failed(
        step=run.state().step,
        fault=True,
        message=f"the worker ended without a word (killed, or out of memory?); see {run.log}; "
        f"go on with: bioforge runs resume {run.name}",
    )


class JsonView:
    """Each event as one line of JSON."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def show(self, event: Event) -> None:
        self._write(encode(event))

    def close(self) -> None:
        pass


class LineView:
    """Plain lines for pipes and logs: now and then a step, and everything else."""

    def __init__(self, write: Callable[[str], object], every_seconds: float = 10.0) -> None:
        self._write = write
        self._every = every_seconds
        self._shown = 0.0
        self._steps = 0

    def show(self, event: Event) -> None:
        if isinstance(event, Started):
            self._steps = event.steps
        if isinstance(event, Step):
            if event.time - self._shown < self._every and event.step != self._steps:
                return
            self._shown = event.time
        for line in describe(event, self._steps):
            self._write(line)

    def close(self) -> None:
        pass


def describe(event: Event, steps: int) -> list[str]:
    """An event as a line or several, for logs."""
    if isinstance(event, Preparing):
        return [f"{event.stage} …"]
    if isinstance(event, Started):
        return [_started_line(event), *_truncation_line(event)]
    if isinstance(event, Step):
        return [
            f"step {event.step:,}/{steps:,}  epoch {event.epoch:.2f}  loss {metric('loss', event.loss)}  "
            f"lr {event.learning_rate:.2e}  {event.tokens_per_second:,.0f} tokens/s  "
            f"{event.examples_per_second:,.1f} texts/s  left {duration(event.eta_seconds)}"
        ]
    if isinstance(event, Sample):
        return [f"sample at step {event.step:,}: {safe(event.text)}{'' if event.ended else ' …'}"]
    if isinstance(event, Validation):
        return [_validation_line(event)]
    if isinstance(event, Checkpoint):
        return [f"checkpoint {event.folder} saved in {event.seconds:.1f} s"]
    if isinstance(event, Warning):
        return [f"warning: {event.message}"]
    if isinstance(event, Finished):
        return [_finished_line(event)]
    if isinstance(event, Stopped):
        return [f"stopped at step {event.step:,} ({event.reason})"]
    if isinstance(event, Failed):
        return [f"failed at step {event.step:,}: {event.message}"]
    return []


def _started_line(event: Started) -> str:
    again = f", going on from step {event.step:,}" if event.step else ""
    learning = f", {event.trained / 1e6:.1f} M of them learn" if 0 < event.trained < event.parameters else ""
    return (
        f"{event.device}, {event.precision}, {event.parameters / 1e6:.1f} M parameters{learning}; "
        f"{event.train_rows:,} training and {event.validation_rows:,} validation rows; "
        f"{event.steps:,} steps in {event.epochs} epochs{again}"
    )


def _truncation_line(event: Started) -> list[str]:
    if not event.truncated:
        return []
    return [
        f"warning: {event.truncated:,} of {event.train_rows:,} training rows are cut at {event.max_length:,} tokens"
    ]


def _validation_line(event: Validation) -> str:
    metrics = "  ".join(f"{name} {metric(name, value)}" for name, value in event.metrics.items())
    if not event.step:
        return f"validation before training: {metrics}"
    return (
        f"validation at epoch {event.epoch:.2f}: training loss {metric('loss', event.train_loss)}  {metrics}"
        f"{'  ★ best so far' if event.best else ''}"
    )


def _finished_line(event: Finished) -> str:
    metrics = "  ".join(f"{name} {metric(name, value)}" for name, value in event.metrics.items())
    return (
        f"finished after {duration(event.seconds)} ({event.reason}); the model '{event.model}' is step "
        f"{event.best_step:,}: {metrics}"
    )


class LiveView:
    """Bars, figures, samples as they come, and the growing validation table, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = Progress(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            expand=True,
        )
        self._step_task = self._steps.add_task("step", total=None, note="")
        self._epoch_task = self._steps.add_task("epoch", total=None, note="")
        self._figures = Text("")
        self._started: Started | None = None
        self._validations: list[Event] = []
        self._live = Live(self._picture(), console=console, refresh_per_second=8, transient=True)
        self._live.start()

    def show(self, event: Event) -> None:
        if isinstance(event, Preparing):
            self._figures = Text(f"{event.stage} …", style="dim")
        elif isinstance(event, Started):
            self._started = event
            for line in describe(event, event.steps):
                self._live.console.print(Text(line, style="dim"))
            self._steps.update(self._step_task, total=event.steps, completed=event.step)
            self._steps.update(self._epoch_task, total=event.epochs)
            self._figures = Text("first step …", style="dim")
        elif isinstance(event, Step):
            self._show_step(event)
        elif isinstance(event, Sample):
            self._live.console.print(Rule(f"sample at step {event.step:,}", style="dim", align="left"))
            self._live.console.print(Text(safe(event.text) + ("" if event.ended else " …")))
        elif isinstance(event, Validation):
            self._validations.append(event)
        elif isinstance(event, Warning):
            self._live.console.print(Text(f"warning: {event.message}", style="yellow"))
        self._live.update(self._picture())

    def _show_step(self, event: Step) -> None:
        total = self._started.steps if self._started else 0
        epochs = self._started.epochs if self._started else 0
        self._steps.update(
            self._step_task,
            completed=event.step,
            note=f"{event.step:,}/{total:,}  left {duration(event.eta_seconds)}",
        )
        self._steps.update(self._epoch_task, completed=event.epoch, note=f"{event.epoch:.2f}/{epochs}")
        self._figures = Text.assemble(
            ("loss ", "dim"),
            metric("loss", event.loss),
            ("   lr ", "dim"),
            f"{event.learning_rate:.2e}",
            ("   tokens/s ", "dim"),
            f"{event.tokens_per_second:,.0f}",
            ("   texts/s ", "dim"),
            f"{event.examples_per_second:,.1f}",
            ("   memory ", "dim"),
            human_size(event.memory_bytes),
        )

    def _picture(self) -> Group:
        table = summary_table(self._validations)
        parts: list[RenderableType] = [table, Text("")] if table else []
        return Group(*parts, self._steps, self._figures)

    def close(self) -> None:
        self._live.stop()


def closing(run: RunFolder, console: Console) -> None:
    """The tutorials' summary table and the learning curves, once a run is over."""
    events = run.history()
    table = summary_table(events)
    if table:
        console.print(table)
    curves = learning_curves(
        events, width=min(console.width, 100), colour=console.is_terminal and not console.no_color
    )
    if curves:
        console.print(Text.from_ansi(curves))
