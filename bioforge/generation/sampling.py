"""How texts are drawn: the settings, their sane ranges, and reading them as they are typed. Light: no torch."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from bioforge.errors import UserError

SEEDS = 2**31
"""Seeds are smaller than this."""


def following(seed: int, places: int) -> int:
    """The seed so many places after `seed`."""
    return (seed + places) % SEEDS


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn."""

    max_new_tokens: int = 200
    top_k: int = 50
    top_p: float = 0.95
    temperature: float = 1.0
    """0 takes the likeliest token always."""


@dataclass(frozen=True)
class Control:
    """A number to be typed: its range and what it does."""

    name: str
    label: str
    low: float
    high: float
    default: float | None
    """None: may be left blank."""
    whole: bool
    hint: str
    """What it does, in a few words."""

    def read(self, typed: str) -> float | None:
        """The number that was typed; None for a blank where blank is allowed.

        Raises UserError with the range.
        """
        typed = typed.strip()
        if not typed and self.default is None:
            return None
        try:
            value: float = int(typed) if self.whole else float(typed.replace(",", "."))
        except ValueError:
            value = math.nan
        if not self.low <= value <= self.high:
            raise UserError(f"{self.label}: {self.range}")
        return value

    @property
    def range(self) -> str:
        return f"{self.low:g} to {self.high:.10g}{', whole' if self.whole else ''}"

    @property
    def shown(self) -> str:
        """The default as it stands in the field."""
        return "" if self.default is None else f"{self.default:g}"


CONTROLS = (
    Control("n", "texts", 1, 20, 3, True, "1–20, side by side"),
    Control("temperature", "temperature", 0, 2, 1.0, False, "0–2, from safe to wild"),
    Control("top_k", "top-k", 0, 1000, 50, True, "of the 0–1000 likeliest"),
    Control("top_p", "top-p", 0.01, 1, 0.95, False, "0.01–1 of what is likely"),
    Control("max_new_tokens", "tokens", 1, 1024, 200, True, "1–1024, no longer text"),
    Control("seed", "seed", 0, SEEDS - 1, None, True, "blank: drawn anew"),
)


@dataclass(frozen=True)
class Order:
    """How many texts, how, and from which seed: with model and prompt, all that decides them."""

    n: int
    sampling: Sampling
    seed: int


def read_order(typed: Mapping[str, str]) -> Order:
    """The order that the fields, by their names in `CONTROLS`, spell out; a blank seed is drawn.

    Raises UserError for the first field whose number does not fit.
    """
    values = {control.name: control.read(typed[control.name]) for control in CONTROLS}
    n, seed = values.pop("n"), values.pop("seed")
    assert n is not None
    drawn = random.randrange(SEEDS) if seed is None else seed
    return Order(int(n), Sampling(**values), int(drawn))  # type: ignore[arg-type]
