"""A training to come: data, base, preset, every field of the recipe, and how long it will take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, DataTable, Input, ProgressBar, Select, Static

from bioforge.data import store as data_store
from bioforge.errors import FaultError, UserError
from bioforge.files import human_size
from bioforge.models import catalog, store
from bioforge.models.bases import default_base, folder_of
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.reporting.text import duration, one_line
from bioforge.runs.folder import RunFolder
from bioforge.runs.launch import launch
from bioforge.runs.recipe import Recipe, explanations, parse_value, presets_for
from bioforge.runs.start import build_recipe, new_run
from bioforge.service.client import Services
from bioforge.tui.dialogs import Ask, Choice
from bioforge.tui.widgets.table import Table

if TYPE_CHECKING:
    from bioforge.tui.app import BioforgeApp

_OTHER = "…"
_PRESET_MEANS = {
    "balanced": "balanced: best practice",
    "strong": "strong: judges, hours",
    "quick": "quick: minutes on a laptop",
    "tutorial": "tutorial: as the tutorials do it",
}


@dataclass(frozen=True)
class Plan:
    """What the form says now."""

    task: Task
    data: str
    base: str
    preset: str
    settings: dict[str, str]
    model: str

    def arguments(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.settings.items()]

    def recipe(self) -> Recipe:
        return build_recipe(self.task, self.base, self.preset, self.arguments())


class NewRun(Vertical):
    class Started(Message):
        """A worker has been launched for `run`."""

        def __init__(self, run: RunFolder) -> None:
            super().__init__()
            self.run = run

    def __init__(self, home: Home, services: Services, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._home = home
        self._services = services
        self._settings: dict[str, str] = {}
        self._tasks: dict[str, Task] = {}
        self._extra_bases: list[str] = []
        self._base = ""
        """Chosen last, to go back to where another is asked for and none is named."""
        self._field = ""
        self.is_starting = False
        """Whether the run is being written down and launched."""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="form-line"):
            yield Static("data", classes="form-name")
            yield Select[str]([], prompt="import some in tab 1 first", compact=True, id="new-data")
        with Horizontal(classes="form-line"):
            yield Static("base", classes="form-name")
            yield Select[str]([], prompt="choose", compact=True, id="new-base")
        with Horizontal(classes="form-line"):
            yield Static("preset", classes="form-name")
            shown = [(_PRESET_MEANS[name], name) for name in _PRESET_MEANS]
            yield Select[str](shown, value="balanced", allow_blank=False, compact=True, id="new-preset")
        with Horizontal(classes="form-line"):
            yield Static("name", classes="form-name")
            yield Input(placeholder="name of the model to be", compact=True, id="new-name")
        yield Table(cursor_type="row", id="new-settings")
        with Horizontal(classes="form-line"):
            yield Static("", id="new-field", classes="form-name")
            yield Input(compact=True, id="new-value", select_on_focus=True)
        yield Static("", id="new-hint")
        with Horizontal(classes="form-line", id="new-foot"):
            yield Button("Start training", id="new-start", variant="primary", compact=True)
            yield Static("", id="new-estimate")
            yield ProgressBar(id="new-pull", show_eta=True)

    async def on_mount(self) -> None:
        table = self.query_one("#new-settings", DataTable)
        table.add_column("field", key="field", width=22)
        table.add_column("value", key="value", width=12)
        table.add_column("what it does", key="help")
        for name, explain in explanations():
            table.add_row(Text(name), Text(""), Text(explain, style="dim"), key=name)
        self.query_one("#new-pull").display = False
        await self.refresh_choices()

    async def refresh_choices(self) -> None:
        """Offer what data and bases there are now, keeping what was chosen."""
        infos, _ = await asyncio.to_thread(data_store.listing, self._home)
        self._tasks = {info.name: info.kind for info in infos}
        select = self.query_one("#new-data", Select)
        chosen = select.value
        kinds = {"bios": "biographies", "cola": "judged sentences"}
        options = [(Text(f"{info.name}: {info.size:,} {kinds[info.kind]}"), info.name) for info in infos]
        if chosen in self._tasks:
            # The same choice is no new one: a name that was typed stays.
            with select.prevent(Select.Changed):
                select.set_options(options)
                select.value = chosen
            return
        select.set_options(options)
        if infos:
            select.value = infos[0].name

    # What is chosen

    @property
    def plan(self) -> Plan | None:
        """None while data or base is missing."""
        data = self.query_one("#new-data", Select).value
        base = self.query_one("#new-base", Select).value
        preset = self.query_one("#new-preset", Select).value
        if not isinstance(data, str) or not isinstance(base, str) or base == _OTHER:
            return None
        name = self.query_one("#new-name", Input).value.strip()
        return Plan(self._tasks[data], data, base, str(preset), dict(self._settings), name)

    @on(Select.Changed, "#new-data")
    async def _data_chosen(self, event: Select.Changed) -> None:
        if not isinstance(event.value, str):
            return
        self._offer_presets(self._tasks[event.value])
        self.query_one("#new-name", Input).value = store.free_name(self._home, event.value)
        await self._offer_bases(self._tasks[event.value])

    def _offer_presets(self, task: Task) -> None:
        select = self.query_one("#new-preset", Select)
        before = select.value
        # The recipe is shown with the bases that are offered next.
        with select.prevent(Select.Changed):
            select.set_options(
                (_PRESET_MEANS[name], name) for name in _PRESET_MEANS if name in presets_for(task)
            )
            select.value = before if before in presets_for(task) else "balanced"
        if select.value != before:
            self._settings.clear()

    async def _offer_bases(self, task: Task, wanted: str | None = None) -> None:
        options = []
        for base in catalog.bases_for(task):
            here = await asyncio.to_thread(folder_of, self._home, base.name)
            state = "here" if here else f"to be fetched, {human_size(base.download_bytes)}"
            options.append((Text(f"{base.name}: {base.parameters}, {state}"), base.name))
        options += [(Text(one_line(name)), name) for name in self._extra_bases]
        options.append((Text("another: a hub id, a folder, one of your models"), _OTHER))
        select = self.query_one("#new-base", Select)
        before = wanted or select.value
        select.set_options(options)
        names = [value for _, value in options]
        if before in names and before != _OTHER:
            select.value = before
            return
        try:
            select.value = await asyncio.to_thread(default_base, self._home, task)
        except UserError:
            select.value = catalog.OFFLINE_BASE[task]

    @on(Select.Changed, "#new-base")
    def _base_chosen(self, event: Select.Changed) -> None:
        if event.value == _OTHER:
            self._in_background(self._ask_for_base)
        else:
            self._base = str(event.value)
            self._show_recipe()

    async def _ask_for_base(self) -> None:
        question = "Start from which base? A hub id such as owner/name, a folder, or one of your models"
        name = await self.app.push_screen_wait(Ask(question))
        if name and name not in self._extra_bases:
            self._extra_bases.append(name)
        data = self.query_one("#new-data", Select).value
        if isinstance(data, str):
            await self._offer_bases(self._tasks[data], name or self._base)

    @on(Select.Changed, "#new-preset")
    def _preset_chosen(self) -> None:
        self._settings.clear()
        self._show_recipe()

    # The recipe's fields

    def _show_recipe(self) -> None:
        plan = self.plan
        if plan is None:
            return
        try:
            values = asdict(plan.recipe())
            preset = asdict(replace(plan, settings={}).recipe())
        except UserError as error:
            self._say(str(error), problem=True)
            return
        table = self.query_one("#new-settings", DataTable)
        for name, _ in explanations():
            changed = values[name] != preset[name]
            table.update_cell(name, "value", Text(_shown(values[name]), style="bold" if changed else ""))
        self._edit(self._field or explanations()[0][0])
        self._in_background(self._estimate)

    @on(DataTable.RowHighlighted, "#new-settings")
    def _row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._edit(str(event.row_key.value))

    @on(DataTable.RowSelected, "#new-settings")
    def _row_selected(self) -> None:
        self.query_one("#new-value", Input).focus()

    def _edit(self, name: str) -> None:
        plan = self.plan
        try:
            value = _shown(getattr(plan.recipe(), name)) if plan else ""
        except UserError as error:
            self._say(str(error), problem=True)
            return
        self._field = name
        self.query_one("#new-field", Static).update(name)
        field = self.query_one("#new-value", Input)
        with field.prevent(Input.Changed):
            field.value = value
        field.remove_class("-invalid")
        self._say(dict(explanations())[name])

    @on(Input.Changed, "#new-value")
    def _value_typed(self, event: Input.Changed) -> None:
        problem = self._problem(event.value)
        event.input.set_class(bool(problem), "-invalid")
        self._say(problem or dict(explanations())[self._field], problem=bool(problem))

    @on(Input.Submitted, "#new-value")
    @on(Input.Blurred, "#new-value")
    def _value_entered(self, event: Input.Submitted | Input.Blurred) -> None:
        if self._problem(event.value) or self.plan is None:
            if isinstance(event, Input.Blurred):
                self._edit(self._field)
            return
        self._keep(event.value)
        if isinstance(event, Input.Submitted):
            self.query_one("#new-settings").focus()

    def _keep(self, value: str) -> None:
        """Take over what the field says, also where nobody pressed enter in it."""
        if not (self.plan and self._field):
            return
        try:
            before = _shown(getattr(self.plan.recipe(), self._field))
        except UserError as error:
            self._say(str(error), problem=True)
            return
        if before != value:
            self._settings[self._field] = value
            self._show_recipe()

    def _in_background(self, work: Callable[[], Awaitable[None]]) -> None:
        cast("BioforgeApp", self.app).in_background(self, work)

    def _problem(self, value: str) -> str:
        try:
            parse_value(self._field, value)
        except UserError as error:
            return str(error)
        return ""

    @on(Input.Changed, "#new-name")
    def _name_typed(self, event: Input.Changed) -> None:
        problem = ""
        try:
            name = check_name(event.value.strip(), "model")
            if (self._home.models / name).exists():
                problem = f"a model '{name}' exists; choose another name"
        except UserError as error:
            problem = str(error)
        event.input.set_class(bool(problem), "-invalid")
        self._say(problem, problem=bool(problem))

    def _say(self, message: str, *, problem: bool = False) -> None:
        hint = self.query_one("#new-hint", Static)
        hint.update(Text(message))
        hint.set_class(problem, "problem")

    # Time and start

    async def _estimate(self) -> None:
        shown = self.query_one("#new-estimate", Static)
        plan = self.plan
        assert plan
        base = catalog.find(plan.base)
        if base and not await asyncio.to_thread(folder_of, self._home, plan.base):
            size = human_size(base.download_bytes)
            shown.update(Text(f"{plan.base} is fetched first ({size}); the time is known then"))
            return
        shown.update(Text("estimating …", style="dim"))
        try:
            said = await self._services.models.call(
                "training.estimate",
                task=plan.task,
                data=plan.data,
                base=plan.base,
                preset=plan.preset,
                settings=plan.arguments(),
            )
        except (UserError, FaultError) as error:
            shown.update(Text(str(error), style="red"))
            return
        shown.update(Text(f"about {duration(said['seconds'])} for {said['steps']:,} steps ({said['basis']})"))

    @on(Button.Pressed, "#new-start")
    def start(self) -> None:
        """Fetch the base where it is not here, then start; whatever is wrong is said and changes nothing."""
        if self.query_one("#new-start", Button).disabled:
            return
        value = self.query_one("#new-value", Input).value
        if problem := self._problem(value) if self.plan else "":
            self._say(problem, problem=True)
            return
        self._keep(value)
        self._in_background(self._start)

    async def _start(self) -> None:
        plan = self.plan
        if plan is None:
            self._say("choose data and a base first", problem=True)
            return
        button = self.query_one("#new-start", Button)
        button.disabled = True
        try:
            if not await self._fetch(plan.base):
                return
            self.is_starting = True
            run = await asyncio.to_thread(_begin, self._home, plan)
        except (UserError, FaultError, OSError) as error:
            self._say(str(error), problem=True)
            return
        finally:
            self.is_starting = False
            button.disabled = False
        self.post_message(self.Started(run))

    async def _fetch(self, name: str) -> bool:
        """Whether the base is here in the end."""
        if await asyncio.to_thread(folder_of, self._home, name) or not catalog.find(name):
            return True
        base = catalog.find(name)
        assert base
        size = human_size(base.download_bytes)
        question = f"{name} is not on this machine. Fetch {size} from {base.where}?"
        if not await self.app.push_screen_wait(Choice(question, [("y", "Fetch it", "yes")])):
            return False
        bar = self.query_one("#new-pull", ProgressBar)
        bar.display = True
        bar.update(total=None, progress=0)
        try:
            await self._services.downloads.call(
                "data.pull",
                on_progress=lambda said: bar.update(total=said["total"], progress=said["done"]),
                name=name,
            )
        finally:
            bar.display = False
        return True


def _begin(home: Home, plan: Plan) -> RunFolder:
    """In one go, whatever becomes of the form meanwhile: a run that is written down is launched too."""
    settings, model = plan.arguments(), plan.model or None
    run = new_run(home, plan.task, plan.data, plan.base, plan.preset, settings, None, model)
    launch(run)
    return run


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
