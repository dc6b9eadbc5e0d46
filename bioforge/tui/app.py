"""The terminal app: tabs, keys, the palette, quitting. What the tabs do is in `tabs/`; what they show is the core's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.dom import DOMNode
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input, Static, TabbedContent, TabPane, TextArea
from textual.worker import Worker

from bioforge.errors import ExitCode, FaultError, UserError
from bioforge.paths import Home, home
from bioforge.reporting.text import duration, safe
from bioforge.runs import control
from bioforge.runs.follow import Board, RunLine
from bioforge.service.client import Services
from bioforge.settings import change_settings, load_settings
from bioforge.tui.commands import ACTIONS, Commands
from bioforge.tui.dialogs import Choice
from bioforge.tui.help import Help
from bioforge.tui.saving import save_as
from bioforge.tui.tabs import TABS
from bioforge.tui.tabs.base import Page
from bioforge.tui.theme import ANSI_DARK, ANSI_LIGHT, DARK, THEMES

_POLL_S = 0.5
_LEAVING_S = 5
_STYLES = Path(__file__).parent / "styles"


_ORDER = {action.id: number for number, action in enumerate(ACTIONS)}


class MainScreen(Screen[None]):
    """Keys in the order of the actions, whichever tab named a key first."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        bindings = super().active_bindings
        return dict(
            sorted(bindings.items(), key=lambda item: _ORDER.get(item[1].binding.id or "", len(_ORDER)))
        )


class BioforgeApp(App[None], inherit_bindings=False):
    TITLE = "bioforge"
    CSS_PATH: ClassVar[list[str | Path]] = sorted(_STYLES.glob("*.tcss"))  # type: ignore[assignment]
    COMMANDS = {Commands}  # noqa: RUF012 – declared so by Textual
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for action in ACTIONS for binding in action.bindings()),
        *(Binding(str(number), f"do('open_{tab.NAME}')", show=False) for number, tab in enumerate(TABS, 1)),
        Binding("ctrl+c", "help_quit", show=False),
    ]

    lines: reactive[tuple[RunLine, ...]] = reactive(())
    """All runs, newest first, as they were half a second ago."""

    def __init__(self, place: Home | None = None, services: Services | None = None) -> None:
        super().__init__()
        self.home = place or home()
        self.services = services or Services.of(self.home)
        self._board = Board(self.home)
        self._panes: TabbedContent | None = None
        self._tabs: dict[str, Page] = {}
        self._making = asyncio.Lock()
        self._looking: Worker[None] | None = None
        self._polled = False
        self._poll_problem = ""
        self._remembered = ""
        self.ansi_theme_dark, self.ansi_theme_light = ANSI_DARK, ANSI_LIGHT
        # What is said on leaving is a line, however narrow the terminal.
        self.error_console.soft_wrap = True
        for theme in THEMES:
            self.register_theme(theme)

    # What is on the screen

    def get_default_screen(self) -> MainScreen:
        return MainScreen(id="_default")

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Static(Text("bioforge", style="bold"), id="brand")
            yield Static("", id="now")
        with TabbedContent(id="tabs", initial=TABS[0].NAME) as self._panes:
            for number, tab in enumerate(TABS, 1):
                yield TabPane(Content.assemble((f"{number} ", "dim"), tab.TITLE), id=tab.NAME)
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        try:
            wanted = load_settings(self.home).theme
        except UserError as error:
            wanted = None
            self.tell(error)
        self._remembered = self.theme = wanted if wanted in list(self.available_themes) else DARK.name
        self.theme_changed_signal.subscribe(self, lambda theme: self._remember(theme.name))
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                number = getattr(signal, name)
                with contextlib.suppress(NotImplementedError):  # Windows has the names, not the means
                    asyncio.get_running_loop().add_signal_handler(number, self._leave_by_signal, 128 + number)
        self._poll_runs()
        self.set_interval(_POLL_S, self._poll_runs)

    async def on_unmount(self) -> None:
        gc.unfreeze()
        await self.services.close()

    def _leave_by_signal(self, code: int) -> None:
        self.exit(return_code=code)
        # Writing to a terminal that was closed can hold us, and the child processes, for ever.
        last = threading.Timer(_LEAVING_S, os._exit, (code,))
        last.daemon = True
        last.start()

    def _remember(self, theme: str) -> None:
        # The theme of the start is told as a change too.
        if theme == self._remembered:
            return
        self._remembered = theme
        try:
            change_settings(self.home, theme=theme)
        except (UserError, OSError) as error:
            self.tell(error)

    def _poll_runs(self) -> None:
        # On a slow disk each look would put an end to the one before it.
        if self._looking is None or self._looking.is_finished:
            self._looking = self.in_background(self, self._look_at_runs)

    async def _look_at_runs(self) -> None:
        try:
            lines = await asyncio.to_thread(lambda: tuple(self._board.poll()))
        except Exception as error:
            # Said once: the next look comes in half a second.
            if str(error) != self._poll_problem:
                self._poll_problem = str(error)
                raise
            return
        self._poll_problem = ""
        self.lines = lines
        if not self._polled and _running(lines):
            await self.open_tab("train")
        self._polled = True

    def watch_lines(self, lines: tuple[RunLine, ...]) -> None:
        self.query_one("#now", Static).update(_now(_running(lines)))

    # Tabs

    @property
    def tab(self) -> Page | None:
        """The tab in front, once it is mounted."""
        # Asked for each key whenever the footer is made anew, hence no queries here.
        if self._panes is None or not isinstance(self.screen, MainScreen):
            return None
        tab = self._tabs.get(self._panes.active)
        return tab if tab and tab.is_mounted else None

    async def open_tab(self, name: str) -> Page:
        """Bring a tab to the front; when this returns it shows what there is."""
        tab = await self._made(name)
        self.query_one(TabbedContent).active = name
        return tab

    async def _made(self, name: str) -> Page:
        """A tab's widgets are made, and filled, when it is first opened."""
        async with self._making:
            pane = self.query_one(f"#{name}", TabPane)
            if not pane.query(Page):
                kind = next(tab for tab in TABS if name == tab.NAME)
                tab = self._tabs[name] = kind()
                await pane.mount(tab)
                await self._guarded(tab.opened)
                # What is here then stays. Looking it all over for garbage again and again would stop us for 0.1 s.
                self.call_after_refresh(gc.freeze)
            return pane.query_one(Page)

    @on(TabbedContent.TabActivated, "#tabs")
    async def _activated(self, event: TabbedContent.TabActivated) -> None:
        name = str(event.pane.id)
        fresh = name not in self._tabs
        tab = await self._made(name)
        if tab is not self.tab:
            return
        if not fresh:
            tab.start(tab.opened)
        if self.focused is None or tab not in self.focused.ancestors:
            tab.focus_main()
        self.refresh_bindings()

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action != "do":
            return True
        tab, _, name = str(parameters[0]).rpartition(".")
        if not tab:
            return True
        front = self.tab
        return front.can(name) if front and tab == front.NAME else False

    async def action_do(self, id: str) -> None:
        """Do an action by its id, opening its tab first where need be."""
        tab, _, name = id.rpartition(".")
        target: Widget | App[None] = self
        if name.startswith("open_"):
            await self.open_tab(name.removeprefix("open_"))
            return
        if tab:
            target = await self.open_tab(tab)
            if not target.can(name):
                self.tell(UserError(f"{_title(id)}: there is nothing to do that with now"), "warning")
                return
        result = getattr(target, f"action_{name}")()
        if inspect.isawaitable(result):
            await result

    def action_help(self) -> None:
        tab = self.tab
        if tab:
            self.push_screen(Help(tab.TITLE, tab.HELP, tab.ACTIONS))

    def action_theme(self) -> None:
        self.search_themes()

    def action_leave(self) -> None:
        tab = self.tab
        if not tab:
            return
        if isinstance(self.focused, Input | TextArea) or not tab.leave():
            tab.focus_main()

    def action_screenshot_file(self) -> None:
        self.in_background(self, self._save_screenshot)

    async def _save_screenshot(self) -> None:
        path = await save_as(self, "Save a picture of the app as", "bioforge.svg", [".svg"])
        if path:
            self.save_screenshot(path.name, str(path.parent))
            self.say(f"saved {path}")

    def action_help_quit(self) -> None:
        self.say("q or ctrl+q leaves the app; a training goes on if you like")

    async def action_quit(self) -> None:
        # Asked already, it is the answer that counts.
        if not any(worker.group == "_quit" and not worker.is_finished for worker in self.workers):
            self.in_background(self, self._quit)

    async def _quit(self) -> None:
        running = [line.run for line in _running(self.lines)]
        if running:
            names, be = ", ".join(run.name for run in running), "is" if len(running) == 1 else "are"
            answers = [("k", "Keep it running", "keep"), ("s", "Save and stop it", "stop")]
            answer = await self.push_screen_wait(Choice(f"{names} {be} still training.", answers))
            if answer is None:
                return
            if answer == "stop":
                for run in running:
                    control.send(run.control, "stop")
        self.exit()

    # Messages

    def in_background(
        self, node: DOMNode, work: Callable[..., Awaitable[Any]], *arguments: Any, group: str = ""
    ) -> Worker[None]:
        """Do `work` for as long as `node` lives, in place of what the same group was doing.

        Its errors become messages: nothing in the background takes the app down.
        """
        worker: Worker[None] = node.run_worker(
            partial(self._guarded, work, *arguments),
            group=group or getattr(work, "__name__", ""),
            exclusive=True,
            exit_on_error=False,
        )
        return worker

    async def _guarded(self, work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        try:
            await work(*arguments)
        except (UserError, FaultError, OSError) as error:
            self.tell(error)
        except Exception as error:
            self.tell_fault(error)

    def say(self, message: str) -> None:
        self.notify(safe(message), markup=False, timeout=4)

    def tell(self, error: Exception, severity: str = "error") -> None:
        """Show what went wrong, in the core's own words."""
        self.notify(safe(str(error)), severity=severity, markup=False, timeout=12)  # type: ignore[arg-type]

    def tell_fault(self, error: Exception) -> None:
        """A fault of ours: the traceback goes to a file, a line to the user."""
        self.tell(FaultError(self._noted(error)))

    def _noted(self, error: Exception) -> str:
        summary = f"a fault of ours: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        log = self.home.logs / "app.log"
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as stream:
                traceback.print_exception(error, file=stream)
        except OSError:
            return summary
        return f"{summary} (details in {log})"

    def _handle_exception(self, error: Exception) -> None:
        """Whatever escaped every handler: out of the app with one line, never a traceback on the screen."""
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self.exit(return_code=ExitCode.FAULT, message=Text(f"bioforge: {self._noted(error)}"))


def _title(id: str) -> str:
    return next(action.title for action in ACTIONS if action.id == id)


def _running(lines: tuple[RunLine, ...]) -> list[RunLine]:
    return [line for line in lines if line.state.at_work]


def _now(running: list[RunLine]) -> Text:
    """The top line's right end: what is being trained."""
    if not running:
        return Text("")
    first = running[0]
    share = f" {100 * first.state.step / first.state.steps:.0f} %" if first.state.steps else " starting"
    left = f" · {duration(first.state.eta_seconds)} left" if first.state.eta_seconds else ""
    more = f" · {len(running) - 1} more" if len(running) > 1 else ""
    return Text.assemble(("● ", "green"), first.run.name[16:] + share + left + more)
