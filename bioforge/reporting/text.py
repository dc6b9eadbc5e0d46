"""Small pieces of text: durations, numbers, and foreign text made harmless for a terminal."""

from __future__ import annotations

import datetime as dt
import math
import re
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """`text` with control characters and direction overrides shown as `�`, so that data cannot drive the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, width: int = 100) -> str:
    flat = " ".join(safe(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def short(path: Path) -> str:
    """A path with the user's own folder as `~`."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)


def count(number: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def bar_of_eighths(eighths: int) -> str:
    """A bar of that many eighths of a cell."""
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


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


def headline(metrics: dict[str, float]) -> str:
    """The one figure that tells most: MCC for a judge, perplexity for a writer."""
    for name in ("mcc", "perplexity", "loss"):
        if name in metrics:
            return f"{'MCC' if name == 'mcc' else name} {metric(name, metrics[name])}"
    return ""


def age(created: str) -> str:
    """How long ago an ISO date was, in one unit: `5 min`, `3 h`, `12 days`."""
    try:
        seconds = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):
        return "–"
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {'day' if unit == 'days' and count == 1 else unit}"
    return "now"
