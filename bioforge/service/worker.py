"""The warm child process behind the terminal app: one request a line on stdin, replies on stdout.

    {"id": 3, "task": "models.generate", "arguments": {…}}        {"id": 3, "cancel": true}
    {"id": 3, "progress": …}   {"id": 3, "result": …}   {"id": 3, "error": "…", "fault": false}

Requests are answered one after the other. It ends with its stdin, so that it never outlives the app.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from bioforge.errors import UserError
from bioforge.paths import Home, home

_GROUPS = {
    "data": "bioforge.service.data_tasks",
    "models": "bioforge.service.model_tasks",
    "training": "bioforge.service.training_tasks",
}


@dataclass(frozen=True)
class Context:
    """What a task gets besides its arguments."""

    home: Home
    progress: Callable[[Any], None]
    """Says something JSON can hold about a request under way."""
    cancelled: Callable[[], bool]


class Server:
    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._writing = threading.Lock()
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()
        self._cancelled: set[int] = set()

    def serve(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        self._say({"ready": os.getpid()})
        while True:
            self._answer(self._queue.get())

    def _read(self) -> None:
        for line in self._requests:
            request = json.loads(line)
            if request.get("cancel"):
                self._cancelled.add(request["id"])
            else:
                self._queue.put(request)
        # The app is gone; whatever is under way has nobody to go to, and writes to disk are atomic.
        os._exit(0)

    def _answer(self, request: dict[str, Any]) -> None:
        number = request["id"]
        if number in self._cancelled:
            # Nobody waits for it any more.
            self._cancelled.discard(number)
            return
        context = Context(
            home(),
            lambda value: self._say({"id": number, "progress": value}),
            lambda: number in self._cancelled,
        )
        try:
            group, _, name = request["task"].partition(".")
            task = importlib.import_module(_GROUPS[group]).TASKS[name]
            self._say({"id": number, "result": task(context, **request["arguments"])})
        except UserError as error:
            self._say({"id": number, "error": str(error), "fault": False})
        except Exception as error:
            traceback.print_exc()
            self._say({"id": number, "error": f"{type(error).__name__}: {error}"[:500], "fault": True})
        self._cancelled.discard(number)

    def _say(self, reply: dict[str, Any]) -> None:
        with self._writing:
            self._replies.write(json.dumps(reply, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._replies.flush()


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes to the log, not between the replies.
    os.dup2(2, 1)
    Server(sys.stdin.buffer, replies).serve()


if __name__ == "__main__":
    main()
