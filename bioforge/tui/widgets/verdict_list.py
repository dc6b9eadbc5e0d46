"""Verdicts, a line each; only the lines in view are drawn, so that twenty thousand scroll like twenty."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bioforge.judging.checked import Checked
from bioforge.reporting.text import one_line
from bioforge.reporting.verdicts import GOOD, WEAK, bar

_BEFORE = len("✓ ████████ 0.50  ")


class VerdictList(ScrollView, can_focus=True):
    DEFAULT_CSS = "VerdictList { overflow-x: hidden; overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home", "go(0)", show=False),
        Binding("end", "go(-1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "verdicts--good",
        "verdicts--weak",
        "verdicts--number",
        "verdicts--cursor",
        "verdicts--note",
    }

    threshold: reactive[float] = reactive(0.5)
    """Sentences below it are weak; changing it redraws what is in view and asks nobody."""
    cursor: reactive[int] = reactive(0)
    note: reactive[str] = reactive("")
    """What stands there while there are no verdicts; a few short lines."""

    class Highlighted(Message):
        """The cursor is on a sentence, or (None) there is none."""

        def __init__(self, index: int | None) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._checked: Checked | None = None

    @property
    def count(self) -> int:
        return len(self._checked.sentences) if self._checked else 0

    def show(self, checked: Checked | None) -> None:
        """Put other verdicts there; the cursor stays where it was if it can."""
        self._checked = checked
        self.virtual_size = Size(0, self.count)
        self.cursor = min(self.cursor, max(0, self.count - 1))
        self.refresh()
        self.post_message(self.Highlighted(self.cursor if self.count else None))

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if not self._checked or index >= self.count:
            lines = self.note.split("\n") if not self.count else []
            words = lines[index] if index < len(lines) else ""
            return Strip([Segment(words, self._style("note"))]).adjust_cell_length(width, self.rich_style)
        found = self._checked.sentences[index]
        is_good = found.probability >= self.threshold
        colour = self._style("good" if is_good else "weak")
        # A line is short however long the sentence is.
        words = self._checked.text[found.start : min(found.end, found.start + 4 * width)]
        segments = [
            Segment(f"{GOOD if is_good else WEAK} ", colour),
            Segment(bar(found.probability), colour),
            Segment(f" {found.probability:.2f}{'…' if found.truncated else ' '} ", self._style("number")),
            Segment(one_line(words, max(1, width - _BEFORE)), self.rich_style if is_good else colour),
        ]
        strip = Strip(segments).adjust_cell_length(width, self.rich_style)
        if index == self.cursor and self.has_focus:
            cursor = Style(bgcolor=self._style("cursor").bgcolor)
            return Strip(Segment.apply_style(strip, post_style=cursor), width)
        return strip

    def _style(self, name: str) -> Style:
        return self.get_visual_style(f"verdicts--{name}").rich_style

    # The cursor

    def validate_cursor(self, cursor: int) -> int:
        return min(max(0, cursor), max(0, self.count - 1))

    def watch_cursor(self, cursor: int) -> None:
        self.scroll_to_region(Region(0, cursor, 1, 1), animate=False)
        self.refresh()
        self.post_message(self.Highlighted(cursor if self.count else None))

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_move_page(self, by: int) -> None:
        self.cursor += by * max(1, self.size.height - 1)

    def action_go(self, where: int) -> None:
        self.cursor = where if where >= 0 else self.count - 1

    def on_click(self, event: events.Click) -> None:
        self.cursor = event.y + self.scroll_offset.y
