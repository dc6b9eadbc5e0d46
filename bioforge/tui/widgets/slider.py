"""A number between 0 and 1, moved with keys or the mouse."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Slider(Widget, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-0.01)", show=False),
        Binding("right", "move(0.01)", show=False),
        Binding("shift+left,pagedown", "move(-0.1)", show=False),
        Binding("shift+right,pageup", "move(0.1)", show=False),
        Binding("home", "move(-1)", show=False),
        Binding("end", "move(1)", show=False),
        Binding("enter,backspace", "reset", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"slider--track", "slider--filled", "slider--knob"}

    value: reactive[float] = reactive(0.5)
    own: reactive[float] = reactive(0.5)
    """The value it goes back to."""

    class Changed(Message):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

    def validate_value(self, value: float) -> float:
        return min(1.0, max(0.0, value))

    def watch_value(self, value: float) -> None:
        self.post_message(self.Changed(value))

    def render(self) -> Text:
        width = max(2, self.size.width)
        knob = round(self.value * (width - 1))
        own = round(self.own * (width - 1))
        track = self.get_component_rich_style("slider--track")
        filled = self.get_component_rich_style("slider--filled")
        line = Text(no_wrap=True, end="")
        for cell in range(width):
            if cell == knob:
                line.append("●" if self.has_focus else "○", self.get_component_rich_style("slider--knob"))
            else:
                line.append(
                    "┿" if cell == own else "━" if cell < knob else "─", filled if cell < knob else track
                )
        return line

    def action_move(self, by: float) -> None:
        self.value = round(self.value + by, 2)

    def action_reset(self) -> None:
        self.value = self.own

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._go(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._go(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _go(self, x: int) -> None:
        self.value = round(x / max(1, self.size.width - 1), 2)
