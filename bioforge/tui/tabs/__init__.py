"""The tabs, in their order."""

from __future__ import annotations

from bioforge.tui.tabs.base import Tab
from bioforge.tui.tabs.models import ModelsTab

TABS: tuple[type[Tab], ...] = (ModelsTab,)
