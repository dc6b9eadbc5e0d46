"""The two streams: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment
from rich.text import Text

from bioforge.reporting.text import safe

_PIPE_WIDTH = 160


class _Harmless(RenderHook):
    """Nothing that is printed drives the terminal, whoever wrote it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(renderable) for renderable in renderables]


@dataclass
class _Cleaned:
    renderable: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(safe(segment.text), segment.style)


def stdout() -> Console:
    return _console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def stderr() -> Console:
    return _console(stderr=True)


def _console(**ways: Any) -> Console:
    console = Console(markup=False, highlight=False, emoji=False, **ways)
    console.push_render_hook(_Harmless())
    return console


def show(*items: RenderableType) -> None:
    """Print results."""
    console = stdout()
    for item in items:
        console.print(Text(item) if isinstance(item, str) else item)


def show_prose(*lines: str) -> None:
    """Print sentences as results; a terminal breaks them where it ends, a pipe gets each whole."""
    for line in lines:
        stdout().print(Text(line), soft_wrap=True)


def note(message: str) -> None:
    """Tell the user something that is no result."""
    stderr().print(Text(message, style="dim"), soft_wrap=True)


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, for work that keeps what it has; pressed again, it ends at once."""
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        note("stopping; what is written so far is kept")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def show_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def show_json_line(value: Any) -> None:
    """One of JSON Lines, read as soon as it is written; nan and infinities are null."""
    from bioforge.evidence.facts import plain

    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def confirm_or_refuse(question: str, yes: bool) -> bool:
    """Ask on a terminal; elsewhere only `--yes` is a yes."""
    if yes:
        return True
    if not sys.stdin.isatty():
        from bioforge.errors import UserError

        raise UserError(f"{question} Pass --yes to confirm where nobody can be asked")
    import typer

    return typer.confirm(question)
