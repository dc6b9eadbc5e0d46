"""Driving the app in tests: a screen of any size, and child processes that answer at once."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from bioforge.paths import Home
from bioforge.service.client import Progress, Service, Services
from bioforge.tui.app import BioforgeApp

Answer = Callable[..., Any]
"""Called with a task's arguments and, where it takes one, `on_progress`; may be async; raises what the task would."""


class FakeService(Service):
    """Answers from a dictionary; what it was asked is in `calls`."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(Path("/dev/null"))
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, task: str, /, *, on_progress: Progress | None = None, **arguments: Any) -> Any:
        self.calls.append((task, dict(arguments)))
        answer = self.answers[task]
        if "on_progress" in inspect.signature(answer).parameters:
            arguments["on_progress"] = on_progress or (lambda _: None)
        result = answer(**arguments)
        return await result if inspect.isawaitable(result) else result

    async def close(self) -> None:
        pass


def fake_services(answers: dict[str, Answer] | None = None) -> Services:
    """All three kinds of work answered from one dictionary of task to function."""
    service = FakeService(answers or {})
    return Services(service, service, service)


@asynccontextmanager
async def running(
    home: Home, services: Services | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[BioforgeApp, Pilot[None]]]:
    """The app on a screen of `size`, settled."""
    app = BioforgeApp(home, services or fake_services())
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        yield app, pilot


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until no work is under way and the screen is up to date."""
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def dialog_open(pilot: Pilot[Any]) -> None:
    """A dialog keeps its worker waiting, so there is no settling before it is answered."""
    await pilot.pause()
    await pilot.pause()


def shown(app: BioforgeApp, selector: str) -> str:
    """The text of a Static, as it was given."""
    return str(app.screen.query_one(selector, Static).content)


def messages(app: BioforgeApp) -> list[str]:
    """The notifications on the screen, oldest first."""
    return [notification.message for notification in app._notifications]
