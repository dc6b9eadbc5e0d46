"""Asking where to save something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bioforge.errors import UserError
from bioforge.reporting import export
from bioforge.tui.dialogs import Ask, Choice

if TYPE_CHECKING:
    from bioforge.tui.app import BioforgeApp


async def save_as(
    app: BioforgeApp, question: str, suggestion: str, suffixes: Sequence[str], hint: str = ""
) -> Path | None:
    """The file that the user names, or None; one that exists only if it may be replaced.

    Must be called in a worker. What goes wrong is told, and the answer is None.
    """

    def target(answer: str) -> Path:
        return export.target(answer, suffixes)

    answer = await app.push_screen_wait(Ask(question, suggestion, hint, check=target))
    if not answer:
        return None
    try:
        path = target(answer)
        exists = path.exists()
    except (UserError, OSError) as error:
        app.tell(error)
        return None
    if exists:
        replace = Choice(f"{path} exists. Replace it?", [("y", "Replace it", "replace")], "replace")
        if not await app.push_screen_wait(replace):
            return None
    return path
