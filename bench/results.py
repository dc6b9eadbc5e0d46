"""Where figures go: a section of docs/results.md between two markers, with the machine that made them."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import psutil

from bioforge.files import write_text

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "onnxruntime")


def replace_section(page: str, name: str, text: str) -> str:
    """`page` with `text` between `<!-- bench:NAME -->` and its end marker, appended where there is none.

    Raises ValueError where only one of the two markers is there.
    """
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if bool(found) != bool(closed) or (not found and end in page):
        raise ValueError(f"one of the markers {begin} and {end} is missing; put it back")
    return before + section + after if found else f"{page.rstrip()}\n\n{section}\n"


def keep(name: str, text: str, page: Path = PAGE) -> None:
    """Put `text` into its section of the results page; all else there is left as it is."""
    write_text(page, replace_section(page.read_text(encoding="utf-8"), name, text))


def machine() -> str:
    """One line: processor, memory, versions and date."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 1e9
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    return (
        f"{dt.date.today().isoformat()}; {_processor()}, {cores} cores, {memory:.0f} GB; "
        f"Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    names = Path("/proc/cpuinfo")
    if names.is_file():
        for line in names.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of `ours / theirs`, pair by pair as they were measured in turns."""
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    return statistics.median(each), min(each), max(each)
