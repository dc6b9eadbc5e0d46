"""The app answers at once while a run writes much and a judge is being loaded."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bioforge.data.store import DataInfo
from bioforge.paths import Home
from bioforge.runs.folder import RunFolder
from bioforge.service.client import Service, Services
from bioforge.tui.tabs.train import TrainTab
from bioforge.tui.widgets.run_view import RunView
from tests.app import fake_services, running

LIMIT_S = 0.1
ATTEMPTS = 5
SECONDS = 3
A_SECOND = 5000
ROOT = Path(__file__).parents[1]
WORKER = """
import dataclasses, sys, time
from pathlib import Path
from bioforge.runs.events import encode
from bioforge.runs.folder import RunFolder
from tests.test_events import started, step
run, seconds, a_second = RunFolder(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
with run.lock(), run.events.open("w", encoding="utf-8") as stream:
    total = seconds * a_second
    stream.write(encode(dataclasses.replace(started(), steps=total)) + "\\n")
    stream.flush()
    line = encode(step(0, 2.0))
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    for at in range(1, total + 1):
        stream.write(line.replace('"step": 0', f'"step": {at}') + "\\n")
        stream.flush()
        if at % 50 == 0:
            time.sleep(max(0.0, at / a_second - (time.monotonic() - began)))
    print("written", flush=True)
    sys.stdin.readline()
"""
JUDGE = """
import json, os, sys
print(json.dumps({"ready": os.getpid()}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "progress": {"loading": "judge"}}), flush=True)
    import torch, transformers
    print(json.dumps({"id": request["id"], "result": "loaded"}), flush=True)
"""


async def gaps_of_the_event_loop(gaps: list[float]) -> None:
    """How long the loop was away, each time it comes back."""
    before = time.perf_counter()
    while True:
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        gaps.append(now - before - 0.005)
        before = now


async def watch(home: Home, run: RunFolder) -> dict[str, Any]:
    """Follow a run that writes 5,000 steps a second while a judge loads."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(run.path), str(SECONDS), str(A_SECOND)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert worker.stdin and worker.stdout
    judge = Service(home.logs / "judge.log", command=[sys.executable, "-c", JUDGE])
    fakes = fake_services({"data.describe": lambda **_: None, "data.lengths": lambda **_: None})
    gaps: list[float] = []
    try:
        assert await asyncio.to_thread(worker.stdout.readline) == b"ready\n"
        async with running(home, Services(fakes.data, judge, fakes.downloads)) as (app, pilot):
            tab = await app.open_tab("train")
            assert isinstance(tab, TrainTab)
            await tab.open_run(run)
            await pilot.pause()
            view = app.query_one(RunView)
            probe = asyncio.create_task(gaps_of_the_event_loop(gaps))
            loading = asyncio.create_task(judge.call("judge.load"))
            worker.stdin.write(b"go\n")
            worker.stdin.flush()
            said = await asyncio.to_thread(worker.stdout.readline)
            loaded = await loading
            deadline = time.monotonic() + 20
            while not (view.snapshot and view.snapshot.state.step == SECONDS * A_SECOND):
                assert time.monotonic() < deadline, "the view does not keep up"
                await asyncio.sleep(0.05)
            probe.cancel()
            return {
                "gap": max(gaps),
                "looks": len(gaps),
                "worker": said.decode().strip(),
                "judge": loaded,
                "step": view.snapshot.latest.step if view.snapshot.latest else None,
                "status": view.snapshot.state.status,
                "heavy": sorted({"torch", "transformers"} & set(sys.modules)),
            }
    finally:
        worker.stdin.close()
        worker.stdout.close()
        worker.wait(30)


def main() -> None:
    """In a process of its own, as the app always is: this one's memory is full of torch."""
    home, run = Home(Path(sys.argv[1])), RunFolder(Path(sys.argv[2]))
    sys.stdout.write(json.dumps(asyncio.run(watch(home, run))))


@pytest.fixture
def run(home: Home, djs: DataInfo, tiny_gpt2: Path) -> RunFolder:
    from tests.helpers import make_run

    return make_run(home, "bios", "djs", tiny_gpt2)


def test_the_event_loop_is_never_away_for_long(home: Home, run: RunFolder) -> None:
    code = "from tests.test_tui_responsive import main; main()"
    seen: list[dict[str, Any]] = []
    # Others use this machine too: one undisturbed attempt is proof enough, and a slow app never has one.
    for _ in range(ATTEMPTS):
        result = subprocess.run(
            [sys.executable, "-c", code, str(home.root), str(run.path)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            timeout=50,
            check=True,
        )
        seen.append(json.loads(result.stdout))
        assert seen[-1]["step"] == SECONDS * A_SECOND and seen[-1]["status"] == "running"
        assert (seen[-1]["worker"], seen[-1]["judge"], seen[-1]["heavy"]) == ("written", "loaded", [])
        if seen[-1]["gap"] < LIMIT_S and seen[-1]["looks"] > SECONDS * 20:
            return
    pytest.fail(f"the event loop was away for too long: {seen}")
