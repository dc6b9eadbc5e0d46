"""Importing a file: choose it, see what is in it and what is wrong with it, import it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import (
    Button,
    Checkbox,
    DataTable,
    DirectoryTree,
    Input,
    OptionList,
    ProgressBar,
    Select,
    Static,
)
from textual.worker import Worker

from bioforge.data import store
from bioforge.errors import UserError
from bioforge.files import typed_path
from bioforge.reporting.text import one_line, safe
from bioforge.tui.dialogs import Files
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.text_facts import Lengths

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".zip")
_WHERE = 16
"""Widest place of a problem that others are aligned to."""
_WELCOME = (
    "Choose a file of texts, one a row: CSV, TSV or JSON Lines.\n"
    "Or sentences judged acceptable (1) or not (0): CoLA's zip or folder, one of its files, or GLUE's."
)


class FileImport(Horizontal):
    """Takes the place of the data sets while a file is imported."""

    class Imported(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Closed(Message):
        """The user wants no import."""

    def __init__(self, tab: Page, folder: Path) -> None:
        super().__init__(classes="split", id="data-import")
        self._tab = tab
        self._start_folder = folder
        self.is_ready = False
        """Whether a file is being looked at that can be imported as it is."""
        self._asked: tuple[str, str | None] | None = None
        """Path and column that are being looked at; None while nothing is."""
        self._seen: dict[str, Any] | None = None
        """What was seen last; shown again where a later look is stopped."""
        self._looking: Worker[None] | None = None
        self._measuring: Worker[None] | None = None
        self._importing: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="lists"):
            yield Input(id="import-path", compact=True, placeholder="path, or choose below")
            yield Files(self._start_folder, SUFFIXES, id="import-tree")
            yield Static(Text("backspace: the folder above"), classes="muted line")
        with Vertical(classes="detail"):
            yield Static(Text(_WELCOME), id="import-facts", classes="line")
            with VerticalScroll(id="import-look"):
                with Horizontal(id="import-column-line"):
                    yield Static(Text("texts in"), classes="form-name")
                    yield Select[str]((), id="import-column", prompt="choose", compact=True)
                    yield Static("", id="import-column-note", classes="muted")
                yield DataTable(id="import-rows", cursor_type="row")
                yield Static("", id="import-problems-line", classes="title")
                yield OptionList(id="import-problems", markup=False)
                yield Lengths("", id="import-lengths")
            with Vertical(id="import-form"):
                with Horizontal(classes="form-line"):
                    yield Static(Text("name"), classes="form-name")
                    yield Input(id="import-name", compact=True)
                with Horizontal(classes="form-line", id="import-checks"):
                    yield Checkbox("leave out ragged rows", id="import-ragged", compact=True)
                    yield Checkbox("keep each text once", id="import-once", compact=True)
                with Horizontal(classes="form-line"):
                    yield Button("Import", id="import-go", variant="primary", compact=True)
                    yield Button(Text.assemble("Cancel", (" esc", "dim")), id="import-cancel", compact=True)
                    yield Static("", id="import-note")
                with Horizontal(id="importing", classes="form-line"):
                    yield Static("", id="import-stage")
                    yield ProgressBar(id="import-bar", show_eta=False)

    @property
    def folder(self) -> Path:
        """Where the tree begins; the next import begins there too."""
        return Path(self.query_one(Files).path).absolute()

    def on_mount(self) -> None:
        self._show_parts(looked=False)
        self.query_one("#importing").display = False

    def on_unmount(self) -> None:
        for worker in (self._looking, self._measuring, self._importing):
            if worker:
                worker.cancel()

    def _show_parts(self, *, looked: bool) -> None:
        for part in ("#import-look", "#import-form"):
            self.query_one(part).display = looked
        self.set_class(looked, "-looked")

    def focus_main(self) -> None:
        self.query_one("#import-tree").focus()

    # Choosing a file

    @on(DirectoryTree.FileSelected)
    def _file(self, event: DirectoryTree.FileSelected) -> None:
        self.choose(event.path)

    @on(DirectoryTree.DirectorySelected)
    def _directory(self, event: DirectoryTree.DirectorySelected) -> None:
        self.query_one("#import-path", Input).value = str(event.path)

    @on(Input.Submitted, "#import-path")
    def _typed(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            return
        try:
            path = typed_path(event.value)
        except UserError as error:
            if self._looking:
                self._looking.cancel()
            self._refuse(str(error))
            return
        if path.is_dir():
            self.query_one(Files).path = path
        self.choose(path)

    def on_key(self, event: events.Key) -> None:
        if event.key == "down" and self.query_one("#import-path").has_focus:
            event.stop()
            self.query_one(Files).focus()

    def choose(self, path: Path) -> None:
        """Look at `path`, in place of whatever was being looked at."""
        self.query_one("#import-path", Input).value = str(path)
        self._start_looking(str(path), None)

    @on(Select.Changed, "#import-column")
    def _column_chosen(self, event: Select.Changed) -> None:
        column = None if event.value is Select.NULL else str(event.value)
        if self._seen is None:
            return
        coming = self._asked[1] if self._asked else self._seen["column"]
        if column != coming:
            self._start_looking(self._seen["path"], column)

    def _start_looking(self, path: str, column: str | None) -> None:
        if self._measuring:
            self._measuring.cancel()
        self._asked = (path, column)
        self._looking = self._tab.start(self._look, path, column, group="preview")

    async def _look(self, path: str, column: str | None) -> None:
        facts = self.query_one("#import-facts", Static)
        facts.update(Text(f"reading {one_line(path)} …"))
        facts.remove_class("problem")
        fresh = self._seen is None or self._seen["path"] != path
        if fresh:
            self._show_parts(looked=False)
        self._refresh_button()
        try:
            seen = await self._tab.services.data.call("data.preview", path=path, column=column)
        except UserError as error:
            self._refuse(str(error))
            return
        except Exception:
            self._show_last()
            raise
        self._asked = None
        self._seen = {**seen, "path": path, "asked_column": column}
        self._show(fresh)

    def _show_last(self) -> None:
        """Back to what was seen before a look that came to nothing."""
        self._asked = None
        if self._seen:
            self.query_one("#import-path", Input).value = self._seen["path"]
            self._show(fresh=False)
        else:
            self.query_one("#import-facts", Static).update(Text(_WELCOME))

    def _refuse(self, why: str) -> None:
        facts = self.query_one("#import-facts", Static)
        facts.update(Text(safe(why)))
        facts.add_class("problem")
        self._asked = self._seen = None
        self._show_parts(looked=False)
        self._refresh_button()

    async def _measure(self, path: str, column: str | None) -> None:
        await self.query_one(Lengths).measure(self._tab.services.data.call, path=path, column=column)

    def _show(self, fresh: bool) -> None:
        seen = self._seen
        assert seen
        self.query_one("#import-facts", Static).update(Text("\n".join(seen["lines"])))
        self._show_columns(seen)
        table = self.query_one("#import-rows", DataTable)
        table.clear(columns=True)
        table.add_columns(Text("row", justify="right"), *(Text(name) for name in seen["header"]))
        for row, cells in seen["rows"]:
            table.add_row(Text(f"{row:,}", justify="right", style="dim"), *(Text(cell) for cell in cells))
        self._show_problems(seen)
        self.query_one("#import-checks").display = seen["kind"] == "bios"
        self.query_one("#import-ragged").display = bool(seen["ragged"])
        if fresh:
            self.query_one("#import-name", Input).value = seen["name"]
        self._show_parts(looked=True)
        self._refresh_button()
        if fresh:
            self.query_one(
                "#import-rows" if not seen["columns"] or seen["column"] else "#import-column"
            ).focus()
        self._measuring = self._tab.start(
            self._measure, seen["path"], seen["asked_column"], group="preview-lengths"
        )

    def _show_columns(self, seen: dict[str, Any]) -> None:
        self.query_one("#import-column-line").display = bool(seen["columns"])
        self.query_one("#import-column-note", Static).update(Text(seen["column_line"]))
        select: Select[str] = self.query_one("#import-column", Select)
        with self.prevent(Select.Changed):
            select.set_options([(Text(one_line(name, 40)), name) for name in seen["columns"]])
            select.value = Select.NULL if seen["column"] is None else seen["column"]

    def _show_problems(self, seen: dict[str, Any]) -> None:
        line = self.query_one("#import-problems-line", Static)
        line.update(Text(seen["problems_line"]))
        line.set_class(bool(seen["problems"]), "some")
        problems = self.query_one("#import-problems", OptionList)
        problems.clear_options()
        problems.display = bool(seen["problems"])
        width = min(_WHERE, max((len(problem["where"]) for problem in seen["problems"]), default=0))
        for problem in seen["problems"]:
            where = (f"{problem['where']:<{width}}  ", "red" if problem["fatal"] else "yellow")
            problems.add_option(Text.assemble(where, problem["message"]))
        if seen["hidden_problems"]:
            problems.add_option(Text(f"… and {seen['hidden_problems']:,} more", style="dim"))

    # Importing it

    @on(Input.Changed, "#import-name")
    @on(Checkbox.Changed)
    def _refresh_button(self) -> None:
        note = self.query_one("#import-note", Static)
        hindrance = self._hindrance()
        note.update(Text(hindrance))
        self.is_ready = self._seen is not None and self._asked is None and not hindrance
        self.query_one("#import-go", Button).disabled = not self.is_ready
        self.refresh_bindings()

    def _hindrance(self) -> str:
        """Why the import cannot start now, for the user to mend."""
        if self._seen is None:
            return ""
        skip = self.query_one("#import-ragged", Checkbox).value
        hindrance = self._seen["hindrance_without_ragged" if skip else "hindrance"]
        if hindrance:
            return str(hindrance)
        try:
            store.check_free(self._tab.home, self.query_one("#import-name", Input).value)
        except UserError as error:
            return str(error)
        return ""

    @on(Input.Submitted, "#import-name")
    @on(Button.Pressed, "#import-go")
    def go(self) -> None:
        """Import what is being looked at, unless something stands in the way."""
        # The name may have been taken since it was typed.
        self._refresh_button()
        if self._seen and self.is_ready and not _under_way(self._importing):
            if self._measuring:
                self._measuring.cancel()
            self._importing = self._tab.start(self._import, dict(self._seen), group="import")

    async def _import(self, seen: dict[str, Any]) -> None:
        bar = self.query_one("#import-bar", ProgressBar)
        stage = self.query_one("#import-stage", Static)
        button = self.query_one("#import-go", Button)
        bar.update(total=None, progress=0)

        def show(said: dict[str, Any]) -> None:
            if "stage" in said:
                stage.update(Text(said["stage"]))
            else:
                stage.update(Text("keeping"))
                bar.update(total=said["total"], progress=said["done"])

        self.query_one("#importing").display = True
        button.disabled = True
        try:
            reply = await self._tab.services.data.call(
                "data.import",
                on_progress=show,
                path=seen["path"],
                kind=seen["kind"],
                name=self.query_one("#import-name", Input).value,
                column=seen["column"],
                skip_ragged=self.query_one("#import-ragged", Checkbox).value,
                drop_duplicates=self.query_one("#import-once", Checkbox).value,
            )
        finally:
            if self.is_attached:
                self.query_one("#importing").display = False
                button.disabled = False
        self._tab.bioforge.say(reply["line"])
        self.post_message(self.Imported(reply["name"]))

    @on(Button.Pressed, "#import-cancel")
    def _cancel(self) -> None:
        if not self.stop():
            self.post_message(self.Closed())

    def stop(self) -> bool:
        """Stop the reading or the import under way; whether there was one."""
        if _under_way(self._importing):
            self._importing.cancel()
            self._tab.bioforge.say("import stopped")
        elif _under_way(self._looking):
            self._looking.cancel()
            self._show_last()
        else:
            return False
        return True


def _under_way(worker: Worker[None] | None) -> TypeGuard[Worker[None]]:
    return worker is not None and not worker.is_finished
