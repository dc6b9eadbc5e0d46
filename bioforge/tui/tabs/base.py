"""What every tab has: a name, a purpose, actions, and work in the background whose errors become messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import Container
from textual.worker import Worker

from bioforge.paths import Home
from bioforge.service.client import Services
from bioforge.tui.actions import Action

if TYPE_CHECKING:
    from bioforge.tui.app import BioforgeApp


class Page(Container):
    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    HELP: ClassVar[str]
    """What the tab is for, in two or three sentences."""
    ACTIONS: ClassVar[tuple[Action, ...]]
    MAIN: ClassVar[str]
    """Selector of the widget that has the focus when no field has."""

    @property
    def bioforge(self) -> BioforgeApp:
        return cast("BioforgeApp", self.app)

    @property
    def home(self) -> Home:
        return self.bioforge.home

    @property
    def services(self) -> Services:
        return self.bioforge.services

    async def opened(self) -> None:
        """The tab has come to the front: show what is there now."""

    def can(self, name: str) -> bool | None:
        """Whether an action makes sense now; None shows it dimmed, False hides it."""
        del name
        return True

    def leave(self) -> bool:
        """Escape was pressed; whether there was anything to stop or to close."""
        return False

    def focus_main(self) -> None:
        widget = self.query(self.MAIN)
        if widget:
            widget.first().focus()

    def start(self, work: Callable[..., Awaitable[Any]], *arguments: Any, group: str = "") -> Worker[None]:
        """Do `work` in the background, in place of what the same group was doing; errors become messages."""

        return self.bioforge.in_background(self, work, *arguments, group=group)
