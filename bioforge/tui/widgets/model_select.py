"""Which model of a kind to use."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Select


class ModelSelect(Select[str]):
    def __init__(self, none: str, *, optional: bool = False, id: str | None = None) -> None:
        """`none`: what stands there while no model is chosen; `optional`: none is, until the user chooses one."""
        super().__init__([], prompt=none, compact=True, id=id)
        self._is_optional = optional

    @property
    def model(self) -> str | None:
        """The chosen model; None while there is none."""
        return None if self.value is Select.NULL else str(self.value)

    def offer(self, names: Sequence[str]) -> None:
        """Offer `names`; the chosen one stays so if it is among them, else the first or none is. Says nothing."""
        before = self.model
        with self.prevent(Select.Changed):
            self.set_options([(name, name) for name in names])
            if before and before in names:
                self.value = before
            elif names and not self._is_optional:
                self.value = names[0]
        self.disabled = not names
