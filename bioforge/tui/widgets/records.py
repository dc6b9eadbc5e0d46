"""A list of things kept in the data folder: look at them, copy them, delete them, choose one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from bioforge.reporting.text import one_line, safe
from bioforge.tui.dialogs import Choice

_PREVIEW = 4000
"""Characters of a record that are shown; copying takes all."""


@dataclass(frozen=True)
class Record:
    id: str
    when: str
    what: str
    """A few words beside the date."""
    text: str
    more: str = ""
    """Further facts, shown above the text."""


class Records(ModalScreen[str | None]):
    """Answers the id of the record chosen with enter; escape is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close"),
        Binding("c", "copy", "Copy"),
        Binding("x,delete", "delete", "Delete"),
    ]

    def __init__(
        self, title: str, records: Sequence[Record], delete: Callable[[str], None], choose: str = ""
    ) -> None:
        """`delete` takes a record out for good; `choose`: what enter does, where it does something."""
        super().__init__()
        self._title = title
        self._records = list(records)
        self._delete = delete
        self._choose = choose

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall records"):
            yield Static(Text(self._title, style="bold"))
            yield OptionList(*_lines(self._records), markup=False, compact=True)
            with VerticalScroll(can_focus=False):
                yield Static("", classes="preview", markup=False)
            chosen = f"enter {self._choose} · " if self._choose else ""
            yield Static(Text(f"{chosen}c copies · x deletes · esc closes"), classes="hint")

    @property
    def _record(self) -> Record | None:
        index = self.query_one(OptionList).highlighted
        return None if index is None else self._records[index]

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        record = self._record
        shown = Text("")
        if record:
            more = f"{safe(record.more)}\n\n" if record.more else ""
            shown = Text.assemble((more, "dim"), safe(record.text[:_PREVIEW]))
        self.query_one(".preview", Static).update(shown)

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        if self._choose and self._record:
            self.dismiss(self._record.id)

    def action_copy(self) -> None:
        if self._record:
            self.app.copy_to_clipboard(self._record.text)
            self.app.notify("copied", markup=False, timeout=4)

    def action_delete(self) -> None:
        record = self._record
        if not record:
            return

        async def answered(answer: str | None) -> None:
            if answer:
                await self._take_out(record)

        question = f"Delete this for good?\n{one_line(record.text[:400], 60)}"
        self.app.push_screen(Choice(question, [("y", "Delete it", "delete")], "delete"), answered)

    async def _take_out(self, record: Record) -> None:
        try:
            await asyncio.to_thread(self._delete, record.id)
        except OSError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        index = self._records.index(record)
        self._records.remove(record)
        self.query_one(OptionList).remove_option_at_index(index)
        if not self._records:
            self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)


def _lines(records: Sequence[Record]) -> list[Text]:
    width = max((len(record.what) for record in records), default=0)
    return [
        Text.assemble(
            record.when,
            "  ",
            (record.what.ljust(width), "dim"),
            "  ",
            one_line(record.text[:400]),
            no_wrap=True,
        )
        for record in records
    ]
