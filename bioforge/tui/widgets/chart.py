"""Learning curves that fill whatever room they have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module

from rich.text import Text
from textual.widget import Widget

from bioforge.reporting.curves import Curve, draw

_LEAST_WIDTH, _LEAST_HEIGHT = 24, 6


class Chart(Widget):
    """Draws its curves anew when they or its size change."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._curves: tuple[Curve, ...] = ()
        self._note = ""
        self._drawn: tuple[object, Text] | None = None

    def on_mount(self) -> None:
        # In a thread, so that the first drawing does not stop the app for it.
        self.run_worker(asyncio.to_thread(import_module, "plotext"))

    def show(self, curves: Sequence[Curve], note: str = "") -> None:
        """Draw `curves`, or say `note` where there is nothing to draw."""
        if (tuple(curves), note) != (self._curves, self._note):
            self._curves, self._note = tuple(curves), note
            self.refresh()

    def render(self) -> Text:
        width, height = self.size
        if not any(len(curve.points) > 1 for curve in self._curves):
            return Text(self._note, style="dim")
        if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
            return Text("no room for the curve", style="dim")
        key = (self._curves, width, height)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = (key, Text.from_ansi(draw(self._curves, width=width, height=height)))
        return self._drawn[1]
