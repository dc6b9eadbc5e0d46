"""A field for text of any origin."""

from __future__ import annotations

from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from bioforge.reporting.text import safe


class PlainText(TextArea):
    """A text area that shows `�` for control characters: one that is pasted must not drive the terminal."""

    def edit(self, edit: Edit) -> EditResult:
        edit.text = safe(edit.text)
        return super().edit(edit)

    def load_text(self, text: str) -> None:
        super().load_text(safe(text))
