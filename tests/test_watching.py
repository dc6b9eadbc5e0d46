"""Following a run to its end, whatever the end is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bioforge.data.store import DataInfo
from bioforge.files import write_json
from bioforge.paths import Home
from bioforge.reporting.live import JsonView, follow
from bioforge.runs.events import EventWriter, Failed, Finished, Stopped
from bioforge.runs.folder import RunFolder, find, listing, remove
from bioforge.runs.launch import Processes, launch
from tests.helpers import make_run
from tests.test_events import started, step

FINISHED = Finished(step=3, best_step=3, metrics={"loss": 1.0}, model="m", seconds=1.0, reason="last epoch")


@pytest.fixture
def run(home: Home, djs: DataInfo, tiny_gpt2: Path) -> RunFolder:
    return make_run(home, "bios", "djs", tiny_gpt2)


def test_a_finished_run_is_told_whole(run: RunFolder) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), step(2), FINISHED):
        write(event)
    lines: list[str] = []
    assert follow(run, JsonView(lines.append)) == FINISHED
    assert len(lines) == 4


def test_an_older_ending_of_a_resumed_run_ends_nothing(run: RunFolder) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), Stopped(step=1, reason="asked to stop"), started(1), step(2)):
        write(event)
    holding = threading.Event()

    def worker() -> None:
        with run.lock():
            holding.set()
            time.sleep(0.8)
            write(FINISHED)

    threading.Thread(target=worker).start()
    holding.wait()
    assert run.state().status == "running"
    assert follow(run, JsonView(lambda _: None)) == FINISHED
    assert run.state().status == "finished"


def test_a_worker_that_vanished_is_a_failure_that_says_how_to_go_on(run: RunFolder) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), step(2)):
        write(event)
    last = follow(run, JsonView(lambda _: None))
    assert isinstance(last, Failed) and last.step == 2
    assert f"bioforge runs resume {run.name}" in last.message
    assert run.state().status == "interrupted"


def test_a_process_that_never_speaks_does_not_hang_the_watcher(run: RunFolder) -> None:
    import psutil

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.7)"])
    created = psutil.Process(child.pid).create_time()
    write_json(run.launch, {"pid": child.pid, "created": created, "said": 0, "command": []})
    assert run.state().status == "starting"
    # The child is not waited for: it stays a zombie of this very process.
    assert isinstance(follow(run, JsonView(lambda _: None)), Failed)
    child.wait()


def test_a_worker_whose_launch_cannot_be_written_down_is_ended(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **options))
        return started[-1]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bioforge.runs.launch.subprocess.Popen", popen)
    monkeypatch.setattr("bioforge.runs.launch.write_json", full)
    monkeypatch.setattr(
        Processes, "command", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    with pytest.raises(OSError, match="No space left"):
        launch(run)
    (process,) = started
    assert process.poll() is not None and not run.is_active()


def test_a_process_number_used_again_is_not_the_worker(run: RunFolder) -> None:
    import os

    write_json(run.launch, {"pid": os.getpid(), "created": 1.0, "said": 0, "command": []})
    assert run.state().status == "interrupted"


def test_runs_are_found_by_part_of_their_name(home: Home, run: RunFolder, tiny_gpt2: Path) -> None:
    assert find(home, "last") == find(home, run.name) == find(home, run.name[-8:]) == run
    other = make_run(home, "bios", "djs", tiny_gpt2)
    from bioforge.errors import UserError

    with pytest.raises(UserError, match="fits 2 runs"):
        find(home, "bios")
    with pytest.raises(UserError, match="no run 'zzz'"):
        find(home, "zzz")
    (home.runs / "rubbish").mkdir()
    (other.path / "run.json").write_text("{")
    assert listing(home) == [run]


def test_a_running_run_cannot_be_removed(run: RunFolder) -> None:
    from bioforge.errors import UserError

    with run.lock(), pytest.raises(UserError, match="bioforge runs stop"):
        remove(run)
    remove(run)
    assert not run.path.exists()
