"""Help that knows where you are: what the open tab is for, and every key that works there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from bioforge.tui.actions import EVERYWHERE, Action

_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def key_names(action: Action) -> str:
    """The keys of an action as people write them."""
    return "  ".join(_NAMES.get(key, key) for key in action.key.split(","))


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,question_mark,q,enter", "close", "Close")]

    def __init__(self, title: str, text: str, actions: Sequence[Action]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._actions = actions

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog tall"):
            yield Static(Text(self._title, style="bold"))
            yield Static(Text(self._text))
            yield Static(_keys(self._actions))
            yield Static(Text("Everywhere", style="bold"))
            yield Static(_keys(EVERYWHERE))
            yield Static(
                Text(
                    "1 to 5 open a tab; tab and shift+tab go from field to field. Letters work when no field has the "
                    "focus: escape leaves a field. Everything can be clicked. The command line does all of it too: "
                    "bioforge --help"
                ),
                classes="hint",
            )

    def action_close(self) -> None:
        self.dismiss(None)


def _keys(actions: Sequence[Action]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for action in actions:
        table.add_row(Text(key_names(action)), Text(action.title), Text(action.help))
    return table
