"""A number with its name, its field, and a line on what it does or on what is wrong with it."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from bioforge.errors import UserError
from bioforge.generation.sampling import Control


class NumberField(Horizontal):
    def __init__(self, control: Control) -> None:
        super().__init__(id=f"field-{control.name.replace('_', '-')}")
        self.control = control

    def compose(self) -> ComposeResult:
        yield Static(Text(self.control.label), classes="label")
        yield Input(self.control.shown, compact=True)
        yield Static(Text(self.control.hint), classes="hint")

    @property
    def input(self) -> Input:
        return self.query_one(Input)

    @property
    def problem(self) -> str:
        """What is wrong with what was typed, if anything is."""
        try:
            self.control.read(self.input.value)
        except UserError as error:
            return str(error)
        return ""

    @on(Input.Changed)
    def _typed(self) -> None:
        hint = self.query_one(".hint", Static)
        hint.update(Text(f"✗ {self.control.range}" if self.problem else self.control.hint))
        hint.set_class(bool(self.problem), "problem")
        self.input.set_class(bool(self.problem), "-invalid")
