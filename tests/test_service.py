"""The warm child process, from both of its ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bioforge.errors import FaultError, UserError
from bioforge.service.client import Service

FAKE = """
import json, os, sys, threading
replies = threading.Lock()
cancelled = set()
def say(**reply):
    with replies:
        sys.stdout.write(json.dumps(reply) + "\\n")
        sys.stdout.flush()
def work(number, task, given):
    if task == "echo":
        say(id=number, result=given)
    elif task == "count":
        for at in range(given["to"]):
            say(id=number, progress=at)
        say(id=number, result="counted")
    elif task == "refuse":
        say(id=number, error="mend [this]", fault=False)
    elif task == "break":
        say(id=number, error="KeyError: 'x'", fault=True)
    elif task == "die":
        os._exit(7)
    elif task == "rubbish":
        with replies:
            sys.stdout.write("this is no reply\\n")
            sys.stdout.flush()
    elif task == "cancelled":
        say(id=number, result=sorted(cancelled))
    # "hang" says nothing at all
say(ready=os.getpid())
for line in sys.stdin:
    request = json.loads(line)
    if request.get("cancel"):
        cancelled.add(request["id"])
    elif request["task"] == "swap":
        # Two calls are answered in the other order.
        other = json.loads(sys.stdin.readline())
        say(id=other["id"], result=other["arguments"])
        say(id=request["id"], result=request["arguments"])
    else:
        work(request["id"], request["task"], request["arguments"])
"""
WORKER_WITH_A_TASK_OF_ITS_OWN = """
import os, subprocess, sys, types
from bioforge.service import worker

def noisy(context):
    print('{"id": 1, "result": "forged"}', flush=True)
    os.write(1, b"straight to the descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    context.progress("half")
    return "done"

def until_cancelled(context):
    context.progress("begun")
    while not context.cancelled():
        pass
    return "stopped"

tasks = types.ModuleType("tasks_of_the_test")
tasks.TASKS = {"noisy": noisy, "until_cancelled": until_cancelled}
sys.modules["tasks_of_the_test"] = tasks
worker._GROUPS["test"] = "tasks_of_the_test"
worker.main()
"""


@contextlib.asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Service]:
    try:
        yield service
    finally:
        await service.close()


def fake(tmp_path: Path) -> Service:
    script = tmp_path / "fake.py"
    script.write_text(FAKE, encoding="utf-8")
    return Service(tmp_path / "logs" / "fake.log", command=[sys.executable, str(script)])


def real(tmp_path: Path) -> Service:
    return Service(
        tmp_path / "logs" / "worker.log", command=[sys.executable, "-c", WORKER_WITH_A_TASK_OF_ITS_OWN]
    )


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def test_a_result_comes_back_and_the_status_tells_of_the_child(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        seen: list[str] = []
        service.on_status = seen.append
        assert service.pid is None
        text = "žluťoučký \u2028 [/x] \N{GRINNING FACE}"
        assert await service.call("echo", text=text, n=[1, None]) == {"text": text, "n": [1, None]}
        assert seen == ["starting", "ready"]
        first = service.pid
        await service.call("echo")
        assert service.pid == first


async def test_progress_comes_in_order_before_the_result(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        said: list[int] = []
        assert await service.call("count", on_progress=said.append, to=50) == "counted"
        assert said == list(range(50))
        assert await service.call("count", to=3) == "counted"


async def test_what_the_user_can_mend_is_told_from_a_fault_of_ours(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        with pytest.raises(UserError, match=r"^mend \[this\]$"):
            await service.call("refuse")
        with pytest.raises(FaultError, match="KeyError"):
            await service.call("break")


async def test_two_calls_are_answered_to_their_own_callers(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        first = asyncio.create_task(service.call("swap", who="first"))
        second = asyncio.create_task(service.call("echo", who="second"))
        assert await second == {"who": "second"}
        assert await first == {"who": "first"}


async def test_a_cancelled_call_cancels_its_task_and_no_other(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        await service.call("echo")
        hanging = asyncio.create_task(service.call("hang"))
        await until(lambda: service._waiting)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await service.call("cancelled") == [2]


async def test_a_crash_fails_all_waiting_calls_and_the_next_one_starts_a_new_child(tmp_path: Path) -> None:
    async with serving(fake(tmp_path)) as service:
        await service.call("echo")
        before = service.pid
        waiting = [asyncio.create_task(service.call("hang")), asyncio.create_task(service.call("die"))]
        for call in waiting:
            with pytest.raises(FaultError, match="exit 7"):
                await call
        assert service.status == "off"
        assert await service.call("echo", again=True) == {"again": True}
        assert service.pid != before


async def test_calls_made_around_a_crash_are_answered_or_failed_but_never_left_waiting(
    tmp_path: Path,
) -> None:
    async with serving(fake(tmp_path)) as service:
        for _ in range(10):
            await service.call("echo")
            assert service.pid
            os.kill(service.pid, signal.SIGKILL)
            failures = 0
            while True:
                try:
                    assert await asyncio.wait_for(service.call("echo", here=1), 30) == {"here": 1}
                    break
                except FaultError:
                    failures += 1
                    assert failures <= 1, "a new child was failed for the death of the old one"


async def test_a_listener_that_breaks_or_a_reply_that_is_none_leaves_no_call_waiting(tmp_path: Path) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("the widget is gone")

    async with serving(fake(tmp_path)) as service:
        with pytest.raises(RuntimeError, match="the widget is gone"):
            await asyncio.wait_for(service.call("count", on_progress=broken, to=2), 30)
        assert await asyncio.wait_for(service.call("echo", here=1), 30) == {"here": 1}
        with pytest.raises(FaultError):
            await asyncio.wait_for(service.call("rubbish"), 30)
        assert await asyncio.wait_for(service.call("echo", here=2), 30) == {"here": 2}


async def test_closing_ends_the_child_and_whoever_waits(tmp_path: Path) -> None:
    service = fake(tmp_path)
    await service.close()
    hanging = asyncio.create_task(service.call("hang"))
    await until(lambda: service.status == "ready")
    pid = service.pid
    assert pid and psutil.pid_exists(pid)
    await service.close()
    assert not psutil.pid_exists(pid)
    assert service.status == "off"
    with pytest.raises(FaultError):
        await asyncio.wait_for(hanging, 5)


@pytest.mark.parametrize("kind", ["fake", "real"])
async def test_the_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "fake.py").write_text(FAKE, encoding="utf-8")
    command = {
        "fake": [sys.executable, str(tmp_path / "fake.py")],
        "real": [sys.executable, "-m", "bioforge.service.worker"],
    }
    parent_code = f"""
import asyncio, pathlib
from bioforge.service.client import Service
async def main():
    service = Service(pathlib.Path({str(tmp_path / "log")!r}), command={command[kind]!r})
    hanging = asyncio.create_task(service.call("hang"))
    while service.status != "ready":
        await asyncio.sleep(0.01)
    print(service.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    # Where nobody buries it, a dead child of a killed parent stays a zombie.
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_the_worker_answers_an_unknown_task_with_a_fault_and_goes_on(tmp_path: Path) -> None:
    async with serving(real(tmp_path)) as service:
        for task in ("nothing.here", "test.nothing", "nodot"):
            with pytest.raises(FaultError, match="KeyError"):
                await service.call(task)
        with pytest.raises(FaultError, match="TypeError"):
            await service.call("test.noisy", surprise=1)
        assert await service.call("test.noisy") == "done"
    assert "Traceback" in (tmp_path / "logs" / "worker.log").read_text(encoding="utf-8")


async def test_what_a_task_prints_goes_to_the_log_and_not_between_the_replies(tmp_path: Path) -> None:
    async with serving(real(tmp_path)) as service:
        said: list[str] = []
        assert await service.call("test.noisy", on_progress=said.append) == "done"
        assert said == ["half"]
    log = (tmp_path / "logs" / "worker.log").read_text(encoding="utf-8")
    for line in ("forged", "straight to the descriptor", "from a child"):
        assert line in log


async def test_a_cancelled_task_lets_the_worker_go_on_with_the_next(tmp_path: Path) -> None:
    async with serving(real(tmp_path)) as service:
        said: list[str] = []
        busy = asyncio.create_task(service.call("test.until_cancelled", on_progress=said.append))
        await until(lambda: said)
        busy.cancel()
        assert await asyncio.wait_for(service.call("test.noisy"), 30) == "done"
