"""The Models tab: what you trained, and the bases to start from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Markdown, ProgressBar, Static

from bioforge.files import human_size
from bioforge.models import catalog, store
from bioforge.models.bases import folder_of
from bioforge.models.parameters import tabulate
from bioforge.models.store import ModelInfo
from bioforge.paths import check_name
from bioforge.reporting.tables import parameter_lines
from bioforge.reporting.text import age, headline, one_line, safe, short
from bioforge.tui.actions import Action
from bioforge.tui.dialogs import Ask, Choice
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.table import Table

_EMPTY = (
    "No models yet. Import data in tab 1, then train on it in tab 2. "
    "Or press s: a judge and a writer that need no training are fetched."
)


class ModelsTab(Page):
    NAME = "models"
    TITLE = "Models"
    HELP = (
        "The models you trained, with what they were made from and how good they are. "
        "Below them the bases to start from: those not here yet can be fetched."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("models", "default", "d", "Make default", "Use this model where none is named."),
        Action("models", "rename", "r", "Rename", "Give the model another name."),
        Action("models", "export", "e", "Export", "Copy the model to a folder that any tool can load."),
        Action("models", "delete", "x,delete", "Delete", "Delete the model after asking."),
        Action("models", "pull", "p", "Fetch base", "Fetch the base under the cursor to this machine."),
        Action(
            "models", "starters", "s", "Fetch starters", "Fetch a judge and a writer that need no training."
        ),
    )
    MAIN = "#models-list"

    def compose(self) -> ComposeResult:
        with Horizontal(classes="split"):
            with Vertical(classes="lists"):
                yield Table(id="models-list", cursor_type="row")
                yield Static("", id="models-problems", classes="problem line")
                yield Static(Text("bases"), classes="title")
                yield Table(id="bases-list", cursor_type="row")
                with Horizontal(id="pulling"):
                    yield Static("", id="pull-name")
                    yield ProgressBar(id="pull-bar", show_eta=False)
            with VerticalScroll(classes="detail", can_focus=True):
                yield Static("", id="model-facts")
                yield Static("", id="model-parameters")
                yield Markdown("", id="model-card", open_links=False)

    def on_mount(self) -> None:
        models = self.query_one("#models-list", DataTable)
        models.add_columns(
            "", "model", "task", "result", Text("size", justify="right"), Text("age", justify="right"), "base"
        )
        bases = self.query_one("#bases-list", DataTable)
        bases.add_columns("base", "for", Text("size", justify="right"), "here")
        self.query_one("#pulling").display = False
        self._infos: dict[str, ModelInfo] = {}

    async def opened(self) -> None:
        await self._list()

    async def _list(self) -> None:
        infos, damaged = await asyncio.to_thread(store.listing, self.home)
        sizes = {info.name: await asyncio.to_thread(store.size_of, self.home, info.name) for info in infos}
        defaults = {
            store.default_model(self.home, task)
            for task in ("bios", "cola")
            if any(info.task == task for info in infos)
        }
        if not self.is_attached:
            return
        self._infos = {info.name: info for info in infos}
        table = self.query_one("#models-list", DataTable)
        cursor = table.cursor_row
        table.clear()
        for info in infos:
            table.add_row(
                Text("★" if info.name in defaults else "", style="yellow"),
                Text(info.name),
                Text("writer" if info.task == "bios" else "judge"),
                Text(headline(info.metrics)),
                Text(human_size(sizes[info.name]), justify="right"),
                Text(age(info.created), justify="right"),
                Text(one_line(info.base, 20)),
                key=info.name,
            )
        table.move_cursor(row=min(cursor, max(0, len(infos) - 1)))
        self.query_one("#models-problems", Static).update(Text("\n".join(damaged)))
        if not infos:
            self.query_one("#model-facts", Static).update(Text(_EMPTY))
            self.query_one("#model-parameters", Static).update("")
            await self.query_one("#model-card", Markdown).update("")
        await self._list_bases()
        self.refresh_bindings()

    async def _list_bases(self) -> None:
        found = {
            base.name: await asyncio.to_thread(folder_of, self.home, base.name) for base in catalog.CATALOG
        }
        table = self.query_one("#bases-list", DataTable)
        cursor = table.cursor_row
        table.clear()
        for base in catalog.CATALOG:
            here = found[base.name]
            table.add_row(
                Text(base.name),
                Text("writing" if base.family == "causal" else "judging"),
                Text(base.parameters, justify="right"),
                Text("yes", style="green")
                if here
                else Text(f"no, {human_size(base.download_bytes)}", style="dim"),
                key=base.name,
            )
        table.move_cursor(row=min(cursor, len(catalog.CATALOG) - 1))

    @on(DataTable.RowHighlighted, "#models-list")
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        info = self._infos.get(str(event.row_key.value))
        if info:
            self.start(self._describe, info)

    async def _describe(self, info: ModelInfo) -> None:
        facts = [
            info.name,
            one_line(f"from {info.base} ({info.base_source}), data {info.data}", 500),
            one_line(f"run {info.run}, step {info.step:,}; reads up to {info.max_length:,} tokens", 500),
        ]
        if info.threshold is not None:
            facts.append(f"acceptable from a probability of {info.threshold:.3f} on")
        facts.append(short(self.home.models / info.name))
        self.query_one("#model-facts", Static).update(Text("\n".join(facts)))
        what = one_line(info.base) or info.name
        # The details have half of a wide screen; they may not be laid out yet.
        room = self.app.size.width // (1 if self.screen.has_class("-narrow") else 2)
        lines = parameter_lines(tabulate(info.parameters), what, name_width=max(30, min(55, room - 20)))
        self.query_one("#model-parameters", Static).update(Text("\n").join(lines))
        card = await asyncio.to_thread(store.card, self.home, info.name)
        await self.query_one("#model-card", Markdown).update(safe(card))

    # Actions

    @property
    def _chosen(self) -> str | None:
        table = self.query_one("#models-list", DataTable)
        if not table.row_count:
            return None
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    @property
    def _base(self) -> str | None:
        table = self.query_one("#bases-list", DataTable)
        if not table.row_count:
            return None
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def can(self, name: str) -> bool | None:
        if not self.is_mounted:
            return None
        if name == "starters":
            return True
        return bool(self._base if name == "pull" else self._chosen) or None

    def leave(self) -> bool:
        """Stop a download; what came of it is kept."""
        pulling = self.query_one("#pulling").display
        if pulling:
            self.workers.cancel_group(self, "_pull")
        return pulling

    def action_default(self) -> None:
        self.start(self._make_default)

    async def _make_default(self) -> None:
        assert self._chosen
        info = await asyncio.to_thread(store.set_default, self.home, self._chosen)
        self.bioforge.say(f"{info.name} is now the default {'writer' if info.task == 'bios' else 'judge'}")
        await self._list()

    def action_rename(self) -> None:
        self.start(self._ask_to_rename)

    async def _ask_to_rename(self) -> None:
        name = self._chosen
        assert name
        wanted = await self.app.push_screen_wait(
            Ask(f"Rename {name} to", name, check=lambda answer: check_name(answer, "model"))
        )
        if wanted and wanted != name:
            self.start(self._rename, name, wanted)

    async def _rename(self, name: str, wanted: str) -> None:
        await asyncio.to_thread(store.rename, self.home, name, wanted)
        self.bioforge.say(f"{name} is now {wanted}")
        await self._list()

    def action_export(self) -> None:
        self.start(self._ask_to_export)

    async def _ask_to_export(self) -> None:
        name = self._chosen
        assert name
        answer = await self.app.push_screen_wait(
            Ask(f"Copy {name} to the new folder", str(Path.cwd() / name))
        )
        if answer:
            self.start(self._export, name, Path(answer))

    async def _export(self, name: str, target: Path) -> None:
        written = await asyncio.to_thread(store.export, self.home, name, target)
        self.bioforge.say(f"exported to {written}")

    def action_delete(self) -> None:
        self.start(self._ask_to_delete)

    async def _ask_to_delete(self) -> None:
        name = self._chosen
        assert name
        answers = [("y", "Delete it", "delete")]
        answer = await self.app.push_screen_wait(
            Choice(f"Delete the model {name}? It cannot be brought back.", answers, "delete")
        )
        if answer:
            self.start(self._delete, name)

    async def _delete(self, name: str) -> None:
        await asyncio.to_thread(store.remove, self.home, name)
        self.bioforge.say(f"deleted {name}")
        await self._list()

    def action_pull(self) -> None:
        if base := self._base:
            self.start(self._pull, base)

    def action_starters(self) -> None:
        self.start(self._pull, "starter")

    async def _pull(self, name: str) -> None:
        bar = self.query_one("#pull-bar", ProgressBar)
        self.query_one("#pull-name", Static).update(Text(f"fetching {name} "))
        self.query_one("#pulling").display = True
        bar.update(total=None, progress=0)

        def show(said: dict[str, int]) -> None:
            bar.update(total=said["total"], progress=said["done"])

        try:
            await self.services.downloads.call("data.pull", on_progress=show, name=name)
        finally:
            self.query_one("#pulling").display = False
        self.bioforge.say(f"{name} is here")
        await self._list()
