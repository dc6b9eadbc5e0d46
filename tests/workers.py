"""Real workers that can be hurt, forked from a server that has loaded torch, so that each starts at once.

A forked worker is a process of its own, in its own session, that does what `python -m
bioforge.training.worker RUN_DIR` does. What must go wrong inside it (a clock, a limit, a death at a chosen
file operation) is arranged between the fork and its first line.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioforge.runs.folder import (
        RunFolder,  # nothing here may be imported before the clock is in our hands
    )

_PATIENCE_S = 120
_HOUR_S = 3600.0
_FROM_TO = ("os.rename", "os.link")
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x44000
_FILE_OPERATIONS = frozenset(
    {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}
)


def until(condition: Callable[[], bool], pause: float = 0.005) -> None:
    """Wait for `condition`; AssertionError where it does not come true in two minutes."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(pause)


@dataclass(frozen=True)
class Worker:
    """A worker at work on `run`."""

    run: RunFolder
    pid: int
    server: Server

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        return self.server.ask(poll=self.pid)["code"]  # type: ignore[no-any-return]

    def wait(self) -> int:
        ended: list[int] = []

        def over() -> bool:
            code = self.code()
            ended.extend([] if code is None else [code])
            return bool(ended)

        until(over)
        return ended[0]


class Server:
    """A process that has torch loaded and never computed with it: what a fork needs to be sound."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"},
            text=True,
        )

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server of workers has died"
        return json.loads(answer)  # type: ignore[no-any-return]

    def start(self, run: RunFolder, **harms: Any) -> Worker:
        """Start a worker; each of `harms` names a function below and gives it its argument."""
        return Worker(run, self.ask(run=str(run.path), harms=harms)["pid"], self)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=10)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


def at_operation(order: dict[str, Any]) -> None:
    """SIGKILL, or `signal`, just before the `number`-th file operation on a path that begins like `inside`."""
    done = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event not in _FILE_OPERATIONS:
            return
        named = arguments[:2] if event in _FROM_TO else arguments[:1]
        if any(str(name).startswith(order["inside"]) for name in named):
            done += 1
            if done == order["number"]:
                os.kill(os.getpid(), order.get("signal", signal.SIGKILL))

    sys.addaudithook(watch)


def counts_operations(order: dict[str, str]) -> None:
    """Append a byte to the file `count/NAME` at each file operation inside the place of that name."""
    counters = {
        place: os.open(Path(order["count"]) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for name, place in order.items()
        if name != "count"
    }

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_OPERATIONS:
            named = arguments[:2] if event in _FROM_TO else arguments[:1]
            for place, counter in counters.items():
                if any(str(name).startswith(place) for name in named):
                    os.write(counter, b".")

    sys.addaudithook(watch)


def after_event(order: dict[str, Any]) -> None:
    """After the `number`-th event of `kind`: send `signal` to itself, or remove the folder `remove`."""
    from bioforge.files import remove_folder
    from bioforge.runs.events import Event, EventWriter

    said = EventWriter.__call__
    done = 0

    def says(writer: EventWriter, event: Event) -> None:
        nonlocal done
        said(writer, event)
        done += event.kind == order["kind"]
        if event.kind == order["kind"] and done == order["number"]:
            if "signal" in order:
                os.kill(os.getpid(), order["signal"])
            else:
                remove_folder(Path(order["remove"]))

    EventWriter.__call__ = says  # type: ignore[method-assign, assignment]


def largest_file(size: int) -> None:
    """No file may grow beyond `size` bytes: writing fails as on a full disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def memory_left(size: int) -> None:
    """While it trains, no more than `size` bytes of memory beyond what is in use when that begins."""
    import resource

    from bioforge.training.loop import Loop

    train = Loop.run

    def run(loop: Loop) -> Any:
        used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))  # noqa: PTH123, SIM115
        resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + size, resource.RLIM_INFINITY))
        try:
            return train(loop)
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    Loop.run = run  # type: ignore[method-assign, assignment]


def small_disk(order: dict[str, Any]) -> None:
    """A tmpfs of `size` bytes on `folder`, seen by this worker alone; needs root."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = (
        libc.unshare(_CLONE_NEWNS),
        libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None),
        libc.mount(b"tmpfs", order["folder"].encode(), b"tmpfs", 0, f"size={order['size']}".encode()),
    )
    if any(done):
        os._exit(NO_SMALL_DISK)


def clock_jumps(hours: list[float]) -> None:
    """The clock is off by one of `hours` after the other, another one at each look."""
    looks = 0

    def wrong() -> float:
        nonlocal looks
        looks += 1
        return _true_time() + hours[looks % len(hours)] * _HOUR_S

    _clock[0] = wrong


NO_SMALL_DISK = 99
_HARMS: dict[str, Callable[[Any], None]] = {
    item.__name__: item
    for item in (
        at_operation,
        counts_operations,
        after_event,
        largest_file,
        memory_left,
        small_disk,
        clock_jumps,
    )
}
_true_time = time.time
_clock: list[Callable[[], float]] = [_true_time]


def _become_worker(order: dict[str, Any]) -> None:
    from bioforge.training.worker import main

    code = 70
    try:
        os.setsid()
        log = os.open(Path(order["run"]) / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(number, target)
        for name, argument in order["harms"].items():
            _HARMS[name](argument)
        code = main([order["run"]])
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    # Before anything keeps the true one.
    time.time = lambda: _clock[0]()
    import transformers.models.bert.modeling_bert
    import transformers.models.gpt2.modeling_gpt2  # noqa: F401

    ended: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "poll" in order:
            pid = order["poll"]
            if pid not in ended:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer = {"code": ended.get(pid)}
        else:
            pid = os.fork()
            if pid == 0:
                _become_worker(order)
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
