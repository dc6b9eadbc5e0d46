"""The tabs, in their order."""

from __future__ import annotations

from bioforge.tui.tabs.base import Page
from bioforge.tui.tabs.check import CheckTab
from bioforge.tui.tabs.data import DataTab
from bioforge.tui.tabs.generate import GenerateTab
from bioforge.tui.tabs.models import ModelsTab
from bioforge.tui.tabs.train import TrainTab

TABS: tuple[type[Page], ...] = (DataTab, TrainTab, GenerateTab, CheckTab, ModelsTab)
