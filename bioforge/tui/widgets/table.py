"""A table whose rows fit its columns."""

from __future__ import annotations

from textual.geometry import Size
from textual.widgets import DataTable


class Table(DataTable[object]):
    """Draws its rows anew when a column has become wider, which Textual 8.2 leaves until they change."""

    def watch_virtual_size(self, old: Size, new: Size) -> None:
        if old.width != new.width:
            self._clear_caches()
            self.refresh()
