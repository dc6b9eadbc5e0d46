"""The Data tab: the imported data sets, what is in them, and importing more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, DataTable, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker

from bioforge.data import store
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.reporting.text import age, safe
from bioforge.tui.actions import Action
from bioforge.tui.dialogs import Ask, Choice
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.file_import import FileImport
from bioforge.tui.widgets.text_facts import Lengths, Tokens

_EMPTY = (
    "No data yet.\n\n"
    "Press i to import a file: texts as CSV, TSV or JSON Lines, or CoLA.\n"
    "Press b for the bundled examples: biographies of invented DJs, and judged sentences."
)


class DataTab(Page):
    NAME = "data"
    TITLE = "Data"
    HELP = (
        "The data sets you imported, and what is in them. A file is looked at before it is imported, "
        "so that you see its columns, its problems row by row, and how long its texts are."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("data", "import", "i", "Import", "Look at a file and import it."),
        Action(
            "data", "bundled", "b", "Bundled data", "Import the bundled examples: djs and sentences.", False
        ),
        Action("data", "go", "g,ctrl+g", "Import it", "Import the file that is being looked at."),
        Action("data", "check", "c", "Check", "Look for duplicates, contradictions, leaks and outliers."),
        Action("data", "redraw", "r", "Redraw", "Show other random rows."),
        Action("data", "tokenize", "t", "Tokens", "See a sentence of yours as tokens and ids."),
        Action("data", "remove", "x,delete", "Remove", "Remove the data set after asking; models stay."),
    )
    MAIN = "#data-list"

    def __init__(self) -> None:
        super().__init__()
        self._infos: dict[str, DataInfo] = {}
        self._described: DataInfo | None = None
        self._describing: Worker[None] | None = None
        self._seed = 0
        self._folder = Path.cwd()

    def compose(self) -> ComposeResult:
        with Horizontal(classes="split", id="data-browse"):
            with Vertical(classes="lists"):
                yield DataTable(id="data-list", cursor_type="row")
                yield Static("", id="data-damaged", classes="problem line")
                with Horizontal(id="data-buttons"):
                    yield Button(Text.assemble("Import a file", (" i", "dim")), id="data-go", compact=True)
                    yield Button(Text.assemble("Bundled data", (" b", "dim")), id="data-take", compact=True)
            with VerticalScroll(classes="detail", id="data-detail"):
                yield Static(Text(_EMPTY), id="data-facts", classes="line")
                with Vertical(id="data-parts"):
                    yield Static("", id="data-findings", classes="line")
                    yield Static(Text("random rows"), classes="title")
                    yield OptionList(id="data-rows", markup=False, classes="rows")
                    yield Static(Text("unacceptable rows"), classes="title", id="data-bad-title")
                    yield OptionList(id="data-bad", markup=False, classes="rows")
                    yield Tokens("", id="data-tokens")
                    yield Lengths("", id="data-lengths")

    def on_mount(self) -> None:
        table = self.query_one("#data-list", DataTable)
        table.add_columns("data", "kind", Text("rows", justify="right"), Text("age", justify="right"))
        self._show_nothing()

    async def opened(self) -> None:
        await self._list()

    # The list

    @property
    def _chosen(self) -> str:
        table = self.query_one("#data-list", DataTable)
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    async def _list(self, choose: str | None = None) -> None:
        infos, damaged = await asyncio.to_thread(store.listing, self.home)
        self._infos = {info.name: info for info in infos}
        table = self.query_one("#data-list", DataTable)
        wanted = choose or self._chosen
        names = [info.name for info in infos]
        cursor = names.index(wanted) if wanted in names else min(table.cursor_row, max(0, len(names) - 1))
        # The rows come and go before the cursor is where it was; only then is one of them shown.
        with self.prevent(DataTable.RowHighlighted):
            table.clear()
            for info in infos:
                table.add_row(
                    Text(info.name),
                    Text(info.kind),
                    Text(f"{info.size:,}", justify="right"),
                    Text(age(info.imported), justify="right"),
                    key=info.name,
                )
            table.move_cursor(row=cursor)
        problems = self.query_one("#data-damaged", Static)
        problems.update(Text("\n".join(damaged)))
        problems.display = bool(damaged)
        if infos:
            self._open(infos[cursor])
        else:
            self._show_nothing()
        self.refresh_bindings()

    def _show_nothing(self) -> None:
        self._described = None
        self._show_only(_EMPTY)

    def _show_only(self, said: str, problem: bool = False) -> None:
        """This, in place of everything about a data set."""
        facts = self.query_one("#data-facts", Static)
        facts.update(Text(said))
        facts.set_class(problem, "problem")
        self.query_one("#data-parts").display = False

    @on(DataTable.RowHighlighted, "#data-list")
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        info = self._infos.get(str(event.row_key.value))
        if info:
            self._open(info)

    # One data set

    def _open(self, info: DataInfo) -> None:
        if info == self._described:
            return
        self._described = info
        self._seed = 0
        self._show_only(f"opening {info.name} …")
        self.query_one("#data-findings").display = False
        self._describing = self.start(self._describe_and_measure, info, group="describe")

    async def _describe_and_measure(self, info: DataInfo) -> None:
        # The child does one thing after the other, and counting the tokens of much text takes longest.
        try:
            await self._describe(info)
        except Exception as error:
            self._described = None
            self._show_only(safe(str(error)), problem=True)
            self.refresh_bindings()
            if isinstance(error, UserError):
                return
            raise
        await self.query_one("#data-lengths", Lengths).measure(self.services.data.call, name=info.name)

    async def _describe(self, info: DataInfo) -> None:
        reply = await self.services.data.call("data.describe", name=info.name, seed=self._seed)
        if info != self._described:
            return
        self.query_one("#data-facts", Static).update(Text("\n".join(reply["lines"])))
        bad = reply["unacceptable"]
        self._fill("#data-rows", reply["rows"])
        self._fill("#data-bad", bad)
        self.query_one("#data-bad-title").display = self.query_one("#data-bad").display = bool(bad)
        self.query_one("#data-parts").display = True
        if reply["rows"]:
            await self._tokenize(info, reply["rows"][0]["index"], None)

    def _fill(self, selector: str, rows: list[dict[str, Any]]) -> None:
        options = self.query_one(selector, OptionList)
        options.clear_options()
        for row in rows:
            options.add_option(Option(_row_line(row), id=str(row["index"])))

    @on(OptionList.OptionHighlighted, ".rows")
    def _row_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if self._described and event.option_id:
            self.start(self._tokenize, self._described, int(event.option_id), None, group="tokens")

    async def _tokenize(self, info: DataInfo, index: int, text: str | None) -> None:
        reply = await self.services.data.call("data.tokens", name=info.name, index=index, text=text)
        self.query_one(Tokens).show(reply)

    # Actions

    @property
    def _view(self) -> FileImport | None:
        views = self.query(FileImport)
        return views.first() if views else None

    def can(self, name: str) -> bool | None:
        if self._view:
            return name == "go" and (self._view.is_ready or None)
        if name == "go":
            return False
        if name == "remove":
            return bool(self._chosen) or None
        return name in ("import", "bundled") or self._described is not None or None

    def leave(self) -> bool:
        view = self._view
        if view is None:
            return False
        if not view.stop():
            self.start(self._close_import, None, group="view")
        return True

    def focus_main(self) -> None:
        if self._view:
            self._view.focus_main()
        else:
            super().focus_main()

    def action_import(self) -> None:
        self.start(self._open_import, group="view")

    async def _open_import(self) -> None:
        if self._view is None:
            # What is being counted would only be waited for; it is begun again afterwards.
            if self._describing:
                self._describing.cancel()
            self._described = None
            self.query_one("#data-browse").display = False
            view = FileImport(self, self._folder)
            await self.mount(view)
            view.query_one("#import-path").focus()
            self.refresh_bindings()

    async def _close_import(self, choose: str | None) -> None:
        view = self._view
        if view:
            self._folder = view.folder
            await view.remove()
        self.query_one("#data-browse").display = True
        await self._list(choose)
        self.focus_main()

    @on(FileImport.Imported)
    def _import_done(self, event: FileImport.Imported) -> None:
        self.start(self._close_import, event.name, group="view")

    @on(FileImport.Closed)
    def _import_closed(self) -> None:
        self.start(self._close_import, None, group="view")

    @on(Button.Pressed, "#data-go")
    def _import_pressed(self) -> None:
        self.action_import()

    @on(Button.Pressed, "#data-take")
    def action_bundled(self) -> None:
        self.start(self._take_bundled)

    async def _take_bundled(self) -> None:
        reply = await self.services.data.call("data.bundled")
        said = [f"imported {' and '.join(reply['added'])}"] if reply["added"] else []
        said += [f"data of the name {name} is here already" for name in reply["here"]]
        self.bioforge.say("; ".join(said))
        await self._list(reply["added"][0] if reply["added"] else None)

    def action_go(self) -> None:
        assert self._view
        self._view.go()

    def action_check(self) -> None:
        assert self._described
        self.start(self._check, self._described)

    async def _check(self, info: DataInfo) -> None:
        shown = self.query_one("#data-findings", Static)
        shown.display = True
        shown.update(Text("checking …", style="dim"))
        try:
            findings = await self.services.data.call("data.check", name=info.name)
        except Exception:
            shown.display = False
            raise
        if info == self._described:
            shown.update(_findings(findings))
            self.query_one("#data-detail").scroll_home(animate=False)

    def action_redraw(self) -> None:
        assert self._described
        self._seed += 1
        self.start(self._describe, self._described, group="redraw")

    def action_tokenize(self) -> None:
        assert self._described
        self.start(self._ask_sentence, self._described)

    async def _ask_sentence(self, info: DataInfo) -> None:
        sentence = await self.app.push_screen_wait(Ask("A sentence to see as tokens and ids"))
        if sentence and sentence.strip():
            self.start(self._tokenize, info, 0, sentence, group="tokens")
            self.query_one(Tokens).scroll_visible()

    def action_remove(self) -> None:
        self.start(self._remove, self._chosen)

    async def _remove(self, name: str) -> None:
        answers = [("y", "Remove it", "remove")]
        question = f"Remove the data set {name}? Models trained on it stay, the file it came from too."
        if await self.app.push_screen_wait(Choice(question, answers, "remove")):
            await asyncio.to_thread(store.remove, self.home, name)
            self.bioforge.say(f"removed {name}")
            await self._list()


def _row_line(row: dict[str, Any]) -> Text:
    where = f"{row['row']:>6,}  "
    if row["label"] is None:
        return Text.assemble((where, "dim"), row["text"])
    mark = ("ok  ", "green") if row["label"] else ("*   ", "red")
    return Text.assemble((f"{row['split']:<17} {where}", "dim"), mark, row["text"])


def _findings(findings: list[dict[str, Any]]) -> Text:
    text = Text("checks", style="")
    text.stylize("bold dim")
    for finding in findings:
        fine = finding["count"] == 0
        text.append("\n")
        text.append(f"{finding['check']:<15}", style="green" if fine else "yellow")
        text.append(finding["message"])
        for example in finding["examples"]:
            text.append(f"\n    {example}", style="dim")
    return text
