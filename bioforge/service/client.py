"""The app's side of a warm child process: started when first needed, started again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bioforge.errors import FaultError, UserError
from bioforge.paths import Home

Status = Literal["off", "starting", "ready"]
Progress = Callable[[Any], None]
_Waiting = dict[int, tuple[asyncio.Future[Any], Progress | None]]
"""The calls one child has still to answer, by their numbers."""
_LONGEST_REPLY = 1 << 26
_BESIDE_A_TRAINING = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait give way: two programs whose threads spin slow each other sixfold (docs/results.md)."""
_NOTHING_OF_THE_USERS = {"PYTHONSAFEPATH": "1"}
"""No module is imported from the folder the user stands in."""
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONUNBUFFERED": "1"}


class Service:
    """Requests to one child process, answered in order.

    The child ends with its stdin, so it cannot outlive this process, however this process ends.
    """

    def __init__(
        self, log: Path, *, command: Sequence[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self._log = log
        self._command = command or [sys.executable, "-m", "bioforge.service.worker"]
        self._environment = _OFFLINE if environment is None else environment
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: _Waiting = {}
        self.status: Status = "off"
        self.on_status: Callable[[Status], None] = lambda _: None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def call(self, task: str, /, *, on_progress: Progress | None = None, **arguments: Any) -> Any:
        """Ask for `task` and wait for its result; cancelling the call cancels the task.

        Raises UserError for what the user can mend, FaultError for a crash or a fault of ours.
        """
        process, waiting = await self._ensure()
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting[number] = (answer, on_progress)
        try:
            self._send(process, {"id": number, "task": task, "arguments": arguments})
            return await answer
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, RuntimeError):
                self._send(process, {"id": number, "cancel": True})
            raise
        finally:
            waiting.pop(number, None)

    def _send(self, process: asyncio.subprocess.Process, request: dict[str, Any]) -> None:
        assert process.stdin
        process.stdin.write(json.dumps(request, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    async def _ensure(self) -> tuple[asyncio.subprocess.Process, _Waiting]:
        async with self._starting:
            if self._process and self._process.returncode is None:
                return self._process, self._waiting
            self._change("starting")
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**_BESIDE_A_TRAINING, **os.environ, **_NOTHING_OF_THE_USERS, **self._environment},
                    # Ctrl-C in the terminal is the app's business.
                    start_new_session=os.name != "nt",
                    limit=_LONGEST_REPLY,
                )
            # Of its own: what the child before it left unanswered is not for this one.
            self._waiting = {}
            self._reading = asyncio.create_task(self._read(self._process, self._waiting))
            return self._process, self._waiting

    async def _read(self, process: asyncio.subprocess.Process, waiting: _Waiting) -> None:
        """Hand out replies for as long as the child lives; then fail the calls it left waiting."""
        assert process.stdout
        try:
            try:
                while line := await process.stdout.readline():
                    self._take(json.loads(line), waiting)
            except (ValueError, KeyError, TypeError):
                # No reply of the worker's: whatever speaks there, what it says next cannot be told either.
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        finally:
            self._end(process, waiting)

    def _end(self, process: asyncio.subprocess.Process, waiting: _Waiting) -> None:
        if self._process in (process, None):
            self._change("off")
        ended = f"the helper process ended (exit {process.returncode}); it starts again with the next request"
        for answer, _ in waiting.values():
            if not answer.done():
                answer.set_exception(FaultError(ended))

    def _take(self, reply: dict[str, Any], waiting: _Waiting) -> None:
        if "ready" in reply:
            self._change("ready")
            return
        answer, on_progress = waiting.get(reply["id"], (None, None))
        if answer is None or answer.done():
            return
        if "progress" in reply:
            try:
                if on_progress:
                    on_progress(reply["progress"])
            except Exception as error:
                answer.set_exception(error)
        elif "result" in reply:
            answer.set_result(reply["result"])
        else:
            answer.set_exception((FaultError if reply["fault"] else UserError)(reply["error"]))

    def _change(self, status: Status) -> None:
        self.status = status
        self.on_status(status)

    async def close(self) -> None:
        """End the child at once; nothing it does is left half done on disk."""
        process, self._process = self._process, None
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading


@dataclass(frozen=True)
class Services:
    """One child process for each kind of work, so that none waits for another."""

    data: Service
    models: Service
    downloads: Service

    @classmethod
    def of(cls, home: Home) -> Services:
        return cls(
            data=Service(home.logs / "data.log"),
            models=Service(home.logs / "models.log"),
            downloads=Service(home.logs / "downloads.log", environment={"PYTHONUNBUFFERED": "1"}),
        )

    async def close(self) -> None:
        for service in (self.data, self.models, self.downloads):
            await service.close()
