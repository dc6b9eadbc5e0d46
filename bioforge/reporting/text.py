"""Small pieces of text: durations, numbers, and foreign text made harmless for a terminal."""

from __future__ import annotations

import math
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """`text` with control characters and direction overrides shown as `�`, so that data cannot drive the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, width: int = 100) -> str:
    flat = " ".join(safe(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def duration(seconds: float) -> str:
    """`h:mm:ss`, as both tutorials print it."""
    if not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def metric(name: str, value: float) -> str:
    """A metric with the digits that mean something."""
    if not math.isfinite(value):
        return str(value)
    if name == "perplexity":
        return f"{value:,.1f}"
    return f"{value:.3f}"
