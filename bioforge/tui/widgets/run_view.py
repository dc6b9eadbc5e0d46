"""One run as it goes: bars, figures, curves, samples, validations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.rule import Rule
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from bioforge.errors import UserError
from bioforge.files import human_size
from bioforge.models.catalog import Task
from bioforge.reporting.curves import Curve, loss_curves
from bioforge.reporting.live import describe
from bioforge.reporting.tables import summary_table
from bioforge.reporting.text import duration, metric, safe
from bioforge.runs.events import Failed, Finished, Sample, Validation
from bioforge.runs.folder import RunFolder
from bioforge.runs.follow import Follower, Snapshot
from bioforge.tui.widgets.chart import Chart

_POLL_S = 0.25
_MOST_ROWS = 50
_TABLE_WIDTH = 92
"""Columns that the validation table needs with its two columns of times."""
_ONE_LINE = ("#run-title", "#run-figures")
_NO_SAMPLES = "Samples appear here. Press p to have one written now."


@dataclass(frozen=True)
class _About:
    """What a run was asked to do; it never changes."""

    task: Task
    data: str
    base: str


class RunView(Vertical):
    """Follows a run folder; whoever else reads or stops the run, this shows it."""

    class Changed(Message):
        """The run's state is another one."""

    def __init__(self, run: RunFolder, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run = run
        self.snapshot: Snapshot | None = None
        self._about: _About | None = None
        self._follower = Follower(run)
        self._overlay: list[Curve] = []
        self._samples: tuple[Sample, ...] = ()
        self._table: tuple[tuple[Validation, ...], bool] | None = None
        self._polling = False

    def compose(self) -> ComposeResult:
        yield Static(Text(self.run.name, style="bold"), id="run-title")
        with Container(id="bars"):
            for name in ("step", "epoch"):
                with Horizontal(classes="bar-line"):
                    yield Static(name, classes="bar-name")
                    yield ProgressBar(id=f"{name}-bar", show_eta=False, show_percentage=False)
                    yield Static("", id=f"{name}-note", classes="bar-note")
        yield Static("", id="run-figures")
        yield Static("", id="run-words")
        with Horizontal(id="run-body"):
            yield Chart(id="run-chart")
            yield VerticalScroll(
                Static(Text(_NO_SAMPLES, style="dim"), id="run-samples"), id="run-samples-scroll"
            )
        yield VerticalScroll(Static("", id="run-table"), id="run-table-scroll")

    def on_mount(self) -> None:
        self.set_interval(_POLL_S, self.poll)
        self.call_after_refresh(self.poll)

    @property
    def is_in_front(self) -> bool:
        """Whether the tab that holds this view is in front."""
        return all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))

    async def poll(self) -> None:
        """Read what is new in a thread; the file may be long and the disk slow."""
        if self._polling or not self.is_in_front:
            return
        self._polling = True
        try:
            if self._about is None:
                self._about = await asyncio.to_thread(_read_about, self.run)
            snapshot = await asyncio.to_thread(self._follower.poll)
        except (UserError, OSError) as error:
            if self.is_attached:
                self.query_one("#run-words", Static).update(Text(str(error), style="red"))
            return
        finally:
            self._polling = False
        if snapshot != self.snapshot and self.is_attached:
            before, self.snapshot = self.snapshot, snapshot
            self._show(snapshot, self._about)
            if before is None or before.state.status != snapshot.state.status:
                self.post_message(self.Changed())

    async def overlay(self, other: RunFolder | None) -> None:
        """Draw another run's curves over this one's; None takes them away."""
        self._overlay = []
        if other:
            snapshot = await asyncio.to_thread(Follower(other).poll)
            self._overlay = loss_curves(snapshot.losses, snapshot.validations, of=other.name[16:])
        if self.snapshot and self.is_attached:
            self._show_curves(self.snapshot)

    @property
    def has_overlay(self) -> bool:
        return bool(self._overlay)

    def _show(self, snapshot: Snapshot, about: _About) -> None:
        state, started, latest = snapshot.state, snapshot.started, snapshot.latest
        self._put("#run-title", self._title(snapshot, about))
        self.query_one("#run-samples-scroll").display = about.task == "bios"
        steps, epochs = self.query_one("#step-bar", ProgressBar), self.query_one("#epoch-bar", ProgressBar)
        if started:
            epoch = latest.epoch if latest else 0.0
            if isinstance(snapshot.ending, Finished):
                epoch = max(epoch, state.epoch)
            steps.update(total=started.steps, progress=state.step)
            epochs.update(total=started.epochs, progress=epoch)
            left = f" · {duration(latest.eta_seconds)} left" if latest and state.status == "running" else ""
            self._put("#step-note", Text(f"{state.step:,} of {started.steps:,}{left}"))
            self._put("#epoch-note", Text(f"{epoch:.2f} of {started.epochs}"))
        self._put("#run-figures", self._figures(snapshot))
        self._put("#run-words", self._words(snapshot, about))
        self._show_curves(snapshot)
        table = (_latest(snapshot.validations), self.size.width >= _TABLE_WIDTH)
        if table != self._table:
            self._table = table
            self.query_one("#run-table", Static).update(summary_table(table[0], times=table[1]) or "")
            self.query_one("#run-table-scroll", VerticalScroll).scroll_end(animate=False)
        if snapshot.samples != self._samples:
            self._show_samples(snapshot.samples)

    def _put(self, selector: str, text: Text) -> None:
        """Show another text; the screen is laid out anew only where the text may need other room."""
        widget = self.query_one(selector, Static)
        before = widget.content
        if not isinstance(before, Text) or before != text:
            same_room = isinstance(before, Text) and len(before) == len(text)
            widget.update(text, layout=not same_room and selector not in _ONE_LINE)

    def _title(self, snapshot: Snapshot, about: _About) -> Text:
        status = snapshot.state.status
        what = f"  {about.data} on {about.base}"
        return Text.assemble(status_mark(status), f" {status}  ", (self.run.name, "bold"), (what, "dim"))

    def _figures(self, snapshot: Snapshot) -> Text:
        started, latest = snapshot.started, snapshot.latest
        if not started:
            return Text(f"{snapshot.stage or 'starting'} …", style="dim")
        shown = [
            ("", f"{started.device.partition(',')[0].rstrip(')').replace(' (', ' ')} {started.precision}")
        ]
        if latest:
            shown = [
                ("loss ", metric("loss", latest.loss)),
                ("lr ", f"{latest.learning_rate:.1e}"),
                ("", f"{latest.tokens_per_second:,.0f} tokens/s"),
                ("", f"{latest.examples_per_second:,.1f} texts/s"),
                ("", human_size(latest.memory_bytes)),
                *shown,
            ]
        return Text("   ").join(Text.assemble((name, "dim"), value) for name, value in shown)

    def _words(self, snapshot: Snapshot, about: _About) -> Text:
        """How it ended, or what to know meanwhile."""
        ending = snapshot.ending
        lines: list[Text] = []
        if isinstance(ending, Finished):
            use = "tab 3 writes with it" if about.task == "bios" else "tab 4 checks with it"
            lines.append(Text(f"{describe(ending, 0)[0]}; {use}", style="green"))
        elif snapshot.state.status == "interrupted" and isinstance(ending, Failed):
            lines.append(Text(ending.message + _what_helps(ending), style="yellow"))
        elif isinstance(ending, Failed):
            lines.append(Text(describe(ending, 0)[0] + _what_helps(ending), style="red"))
        elif ending:
            lines.append(Text(f"{describe(ending, 0)[0]}; r goes on", style="yellow"))
        if snapshot.not_finite is not None:
            what = f"the loss was nan or infinite at step {snapshot.not_finite:,}; a lower learning rate may help"
            lines.append(Text(what, style="red"))
        if snapshot.started and snapshot.started.truncated and not ending:
            lines.append(Text(describe(snapshot.started, 0)[1], style="yellow"))
        if snapshot.saved and not ending:
            lines.append(Text(f"last saved at step {snapshot.saved.step:,}", style="dim"))
        lines += [Text(safe(warning), style="yellow") for warning in snapshot.warnings[-2:]]
        return Text("\n").join(lines)

    def _show_curves(self, snapshot: Snapshot) -> None:
        curves = loss_curves(snapshot.losses, snapshot.validations) + self._overlay
        self.query_one("#run-chart", Chart).show(curves, "the curve begins with the second step")

    def _show_samples(self, samples: tuple[Sample, ...]) -> None:
        self._samples = samples
        parts: list[Any] = []
        for sample in reversed(samples):
            title = f"sample at step {sample.step:,}" + (
                f", prompt: {safe(sample.prompt)}" if sample.prompt else ""
            )
            parts.append(Rule(Text(title, style="dim"), align="left", style="dim"))
            parts += [Text(safe(sample.text) + ("" if sample.ended else " …")), Text("")]
        self.query_one("#run-samples", Static).update(Group(*parts))
        self.query_one("#run-samples-scroll", VerticalScroll).scroll_home(animate=False)


def _read_about(run: RunFolder) -> _About:
    if not run.is_whole():
        raise UserError(f"run '{run.name}' is damaged: what it was asked to do cannot be read")
    return _About(run.info().task, run.data()["name"], run.base().name)


def _what_helps(ending: Failed) -> str:
    if ending.diverged:
        # The same steps again would end the same way; the message says what to change.
        return ""
    return "; r goes on from the last checkpoint" if ending.step else "; r tries again"


def _latest(validations: tuple[Validation, ...]) -> tuple[Validation, ...]:
    """As many as a table is good for, the best one always among them."""
    older, latest = validations[:-_MOST_ROWS], validations[-_MOST_ROWS:]
    return (*[item for item in older if item.best][-1:], *latest)


_MARKS = {
    "running": ("●", "green"),
    "starting": ("●", "green"),
    "finished": ("✓", "green"),
    "stopped": ("■", "yellow"),
    "interrupted": ("■", "yellow"),
    "failed": ("✗", "red"),
}


def status_mark(status: str) -> tuple[str, str]:
    """A sign and its colour for a run's state."""
    return _MARKS[status]
