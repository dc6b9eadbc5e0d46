"""Which model of a kind to use."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Select


class ModelSelect(Select[str]):
    def __init__(self, none_yet: str, *, id: str | None = None) -> None:
        """`none_yet`: what stands there while there is no model."""
        super().__init__([], prompt=none_yet, compact=True, id=id)

    @property
    def model(self) -> str | None:
        """The chosen model; None while there is none."""
        return None if self.value is Select.NULL else str(self.value)

    def offer(self, names: Sequence[str]) -> None:
        """Offer `names`; the chosen one stays so if it is among them, else it is the first. Says nothing."""
        before = self.model
        with self.prevent(Select.Changed):
            self.set_options([(name, name) for name in names])
            if names:
                self.value = before if before and before in names else names[0]
        self.disabled = not names
