"""Driving the app in tests: a screen of any size, and child processes that answer at once."""

from __future__ import annotations

import importlib
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from bioforge.paths import Home
from bioforge.service import worker
from bioforge.service.client import Progress, Service, Services
from bioforge.tui.app import BioforgeApp

Answer = Callable[..., Any]
"""Called with a task's arguments and, where it takes one, `on_progress`; may be async; raises what the task would."""

_TREE_LOADER = "_loader"
"""A directory tree's own worker, which waits for folders to be opened as long as the tree lives."""


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


class DirectService(FakeService):
    """Does the child's real tasks inside the test process, but for those answered from the dictionary."""

    def __init__(self, home: Home, answers: dict[str, Answer] | None = None) -> None:
        super().__init__(answers or {})
        self._home = home

    async def call(self, task: str, /, *, on_progress: Progress | None = None, **arguments: Any) -> Any:
        if task in self.answers:
            return await super().call(task, on_progress=on_progress, **arguments)
        group, _, name = task.partition(".")
        tasks = importlib.import_module(worker._GROUPS[group]).TASKS
        context = worker.Context(self._home, on_progress or (lambda _: None), lambda: False)
        return json.loads(json.dumps(tasks[name](context, **arguments)))


def direct_services(home: Home, answers: dict[str, Answer] | None = None) -> Services:
    service = DirectService(home, answers)
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
    deadline = time.monotonic() + 30
    await pilot.pause()
    while any(not worker.is_finished and worker.name != _TREE_LOADER for worker in pilot.app.workers):
        assert time.monotonic() < deadline, f"still at work: {list(pilot.app.workers)}"
        await pilot.pause(0.01)
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
