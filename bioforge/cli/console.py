"""The two streams: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

_PIPE_WIDTH = 160


def stdout() -> Console:
    return Console(
        width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False, emoji=False
    )


def stderr() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


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


def confirm_or_refuse(question: str, yes: bool) -> bool:
    """Ask on a terminal; elsewhere only `--yes` is a yes."""
    if yes:
        return True
    if not sys.stdin.isatty():
        from bioforge.errors import UserError

        raise UserError(f"{question} Pass --yes to confirm where nobody can be asked")
    import typer

    return typer.confirm(question)
