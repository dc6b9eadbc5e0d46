"""Which models there are to choose from for a task, the default one first."""

from __future__ import annotations

from bioforge.errors import UserError
from bioforge.models.catalog import Task
from bioforge.models.store import ModelInfo, default_model, listing
from bioforge.paths import Home


def choices(home: Home, task: Task) -> list[ModelInfo]:
    """The default one, then the others, newest first; damaged ones are left out."""
    infos, _ = listing(home, task)
    try:
        first = default_model(home, task)
    except UserError:
        first = ""
    return sorted(infos, key=lambda info: info.name != first)
