"""The Train tab: all runs, one of them as it goes, and a new one."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import DataTable, Static

from bioforge.reporting.text import age, duration, headline
from bioforge.runs import control, folder
from bioforge.runs.folder import RunFolder
from bioforge.runs.follow import RunLine
from bioforge.runs.launch import launch
from bioforge.tui.actions import Action
from bioforge.tui.dialogs import Ask, Choice, Pick
from bioforge.tui.saving import save_as
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.new_run import NewRun
from bioforge.tui.widgets.run_view import RunView, status_mark
from bioforge.tui.widgets.table import Table

_EMPTY = "No runs yet. Press n for a new training; the data for it comes from tab 1."
_AGES_S = 30
_CHOOSE = "Press enter on a run to watch it, n for a new one."


class TrainTab(Page):
    NAME = "train"
    TITLE = "Train"
    HELP = (
        "Every training, running or over. A training is a process of its own: leave the app or close the terminal, "
        "and it goes on; open the app again, and it is here. A stopped or broken one goes on from its last checkpoint."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("train", "new", "n", "New", "Set up a new training."),
        Action("train", "go", "g,ctrl+g", "Start", "Start the training that is set up."),
        Action("train", "stop", "s", "Stop", "Save and stop the training; it can go on later."),
        Action("train", "save", "v", "Save now", "Save a checkpoint now."),
        Action("train", "sample", "p", "Sample now", "Have a sample written now, from a prompt of yours."),
        Action("train", "resume", "r", "Resume", "Go on with a training that was stopped or broke."),
        Action("train", "overlay", "o", "Overlay", "Draw the curves of another training over these."),
        Action("train", "report", "e", "Report", "Write the run's report: an HTML page that opens offline."),
        Action(
            "train", "remove", "x,delete", "Remove", "Remove the run's folder after asking; its model stays."
        ),
    )
    MAIN = "#runs-list"

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[RunLine, ...] = ()
        self._open_widget: RunView | NewRun | None = None
        self._could: list[bool | None] = []

    def compose(self) -> ComposeResult:
        with Horizontal(classes="split"):
            with Vertical(classes="lists"):
                yield Table(id="runs-list", cursor_type="row")
                yield Static("", id="runs-empty", classes="empty")
            with Container(classes="detail", id="train-detail"):
                yield Static(Text(_CHOOSE), id="train-choose", classes="empty")

    def on_mount(self) -> None:
        table = self.query_one("#runs-list", DataTable)
        table.add_column("", key="mark")
        table.add_column("run", key="run")
        table.add_column("result", key="result")
        table.add_column("data", key="data")
        table.add_column(Text("age", justify="right"), key="age")
        self.watch(self.app, "lines", self._list)
        self.set_interval(_AGES_S, self._update_cells)

    async def opened(self) -> None:
        for form in self.query(NewRun):
            await form.refresh_choices()

    # The list

    def _list(self, lines: tuple[RunLine, ...]) -> None:
        table = self.query_one("#runs-list", DataTable)
        if [line.run.name for line in lines] != [line.run.name for line in self._lines]:
            chosen = self._chosen
            table.clear()
            for line in lines:
                table.add_row(*_cells(line), key=line.run.name)
            names = [line.run.name for line in lines]
            if chosen and chosen.run.name in names:
                table.move_cursor(row=names.index(chosen.run.name))
        self._close_if_gone(lines)
        before, self._lines = self._lines, lines
        if lines != before:
            self._update_cells()
        self.query_one("#runs-empty", Static).update(Text("" if lines else _EMPTY))
        self.query_one("#runs-empty").display = not lines
        table.display = bool(lines)
        self._refresh_actions()

    def _update_cells(self) -> None:
        table = self.query_one("#runs-list", DataTable)
        for line in self._lines:
            for key, cell in zip(("mark", "run", "result", "data", "age"), _cells(line), strict=True):
                if table.get_cell(line.run.name, key) != cell:
                    table.update_cell(line.run.name, key, cell, update_width=True)

    def _close_if_gone(self, lines: tuple[RunLine, ...]) -> None:
        """A run that was removed, here or by another program, does not stay open."""
        gone = {line.run.name for line in self._lines} - {line.run.name for line in lines}
        if isinstance(self._open_widget, RunView) and self._open_widget.run.name in gone:
            self.start(self._close, group="detail")

    @property
    def _chosen(self) -> RunLine | None:
        """The run that is open, else the one under the cursor."""
        view = self._open_widget
        name = view.run.name if isinstance(view, RunView) else ""
        table = self.query_one("#runs-list", DataTable)
        if not name and table.row_count:
            name = str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)
        return next((line for line in self._lines if line.run.name == name), None)

    @on(DataTable.RowSelected, "#runs-list")
    def _selected(self, event: DataTable.RowSelected) -> None:
        self.start(self._open_named, str(event.row_key.value), group="detail")

    # What is open

    async def _open_named(self, name: str) -> None:
        await self.open_run(await asyncio.to_thread(folder.find, self.home, name))

    async def open_run(self, run: RunFolder) -> None:
        """Show a run beside the list, or in its place where the screen is narrow."""
        await self._open(RunView(run))
        self.focus_main()

    async def _open(self, widget: RunView | NewRun | None) -> None:
        before = self._open_widget
        if isinstance(before, NewRun) and before.is_starting:
            # Nobody would see the run it starts, or why it could not.
            return
        detail = self.query_one("#train-detail")
        await detail.query("RunView, NewRun").remove()
        self.query_one("#train-choose").display = widget is None
        self.set_class(widget is not None, "-open")
        self._open_widget = widget
        if widget:
            await detail.mount(widget)
        self._refresh_actions()

    @on(RunView.Changed)
    @on(DataTable.RowHighlighted, "#runs-list")
    def _refresh_actions(self) -> None:
        """Show other keys, which costs a new footer, only where others make sense."""
        can = [self.can(action.name) for action in self.ACTIONS]
        if can != self._could:
            self._could = can
            self.refresh_bindings()

    @on(NewRun.Started)
    def _started(self, event: NewRun.Started) -> None:
        self.start(self.open_run, event.run, group="detail")

    def leave(self) -> bool:
        if not self.has_class("-open"):
            return False
        self.start(self._close, group="detail")
        return True

    async def _close(self) -> None:
        await self._open(None)
        self.focus_main()

    def focus_main(self) -> None:
        narrow = self.screen.has_class("-narrow") and self.has_class("-open")
        forms, tables = self.query("#new-settings"), self.query("#run-table-scroll")
        if forms:
            forms.first().focus()
        elif narrow and tables:
            tables.first().focus()
        else:
            super().focus_main()

    # Actions

    def can(self, name: str) -> bool | None:
        is_form = isinstance(self._open_widget, NewRun)
        if name == "new":
            # Another form would be without what was set in this one.
            return not is_form
        if name == "go":
            return is_form
        line = self._chosen if self.is_mounted else None
        if line is None or is_form:
            return False
        status = line.state.status
        return {
            "stop": line.state.at_work,
            "save": status == "running",
            "sample": status == "running" and line.task == "bios",
            "resume": status in ("stopped", "failed", "interrupted"),
            "overlay": self._open_widget is not None and len(self._lines) > 1,
            "report": True,
            "remove": not line.state.at_work,
        }[name]

    def action_new(self) -> None:
        self.start(self._new, group="detail")

    async def _new(self) -> None:
        await self._open(NewRun(self.home, self.services))
        self.focus_main()

    def action_go(self) -> None:
        self.query_one(NewRun).start()

    def action_stop(self) -> None:
        if line := self._chosen:
            self.start(self._send, line.run, "stop", "saves and stops")

    def action_save(self) -> None:
        if line := self._chosen:
            self.start(self._send, line.run, "save", "saves at its next step")

    async def _send(self, run: RunFolder, request: control.Request, said: str, **details: str) -> None:
        control.send(run.control, request, **details)
        self.bioforge.say(f"{run.name} {said}")

    def action_sample(self) -> None:
        self.start(self._ask_to_sample)

    async def _ask_to_sample(self) -> None:
        line = self._chosen
        prompt = await self.app.push_screen_wait(Ask("A sample now, starting with (may be empty)"))
        if line and prompt is not None:
            said = "writes a sample after its next step"
            self.start(partial(self._send, prompt=prompt), line.run, "sample", said, group="sample")

    def action_resume(self) -> None:
        if line := self._chosen:
            self.start(self._resume, line.run, group="detail")

    async def _resume(self, run: RunFolder) -> None:
        await asyncio.to_thread(launch, run)
        await self.open_run(run)

    def action_overlay(self) -> None:
        self.start(self._ask_to_overlay)

    async def _ask_to_overlay(self) -> None:
        view = self.query_one(RunView)
        others = [line for line in self._lines if line.run.name != view.run.name]
        options = [(line.run.name, f"{line.run.name}  {line.data} on {line.base}") for line in others]
        if view.has_overlay:
            options.insert(0, ("", "none"))
        name = await self.app.push_screen_wait(Pick("Draw the curves of which run over these?", options))
        if name is not None:
            self.start(self._overlay, view, name)

    async def _overlay(self, view: RunView, name: str) -> None:
        other = await asyncio.to_thread(folder.find, self.home, name) if name else None
        await view.overlay(other)

    def action_report(self) -> None:
        if line := self._chosen:
            self.start(self._report, line.run, group="report")

    async def _report(self, run: RunFolder) -> None:
        suggestion = str(Path.cwd() / f"{run.name}.html")
        path = await save_as(self.bioforge, "Save the report as", suggestion, (".html",))
        if not path:
            return
        self.bioforge.say("writing the report …")
        await self.services.data.call("training.report", run=run.name, path=str(path))
        self.bioforge.say(f"saved {path}; open it in a browser")

    def action_remove(self) -> None:
        self.start(self._ask_to_remove)

    async def _ask_to_remove(self) -> None:
        line = self._chosen
        assert line
        question = f"Remove {line.run.name} with its checkpoints? A model it made stays."
        if await self.app.push_screen_wait(Choice(question, [("y", "Remove it", "remove")], "remove")):
            self.start(self._remove, line.run, group="detail")

    async def _remove(self, run: RunFolder) -> None:
        await self._open(None)
        await asyncio.to_thread(folder.remove, run)
        self.bioforge.say(f"removed {run.name}")
        self.focus_main()


def _cells(line: RunLine) -> tuple[Text, ...]:
    state = line.state
    mark, colour = status_mark(state.status)
    result = Text(headline(state.metrics))
    if state.at_work:
        share = f"{100 * state.step / state.steps:.0f} %" if state.steps else "starting"
        left = f", {duration(state.eta_seconds)} left" if state.eta_seconds else ""
        result = Text(share + left, style="green")
    elif state.status != "finished":
        result = Text(state.status, style=colour)
    return (
        Text(mark, style=colour),
        Text(line.run.name[16:]),
        result,
        Text(line.data),
        Text(age(line.created), justify="right"),
    )
