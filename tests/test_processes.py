"""One training on several processes: the same result as on one, and one ending for all."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from bioforge.data.store import DataInfo
from bioforge.paths import Home
from bioforge.runs import control, folder
from bioforge.runs.events import Checkpoint, Failed, Started, Step, Stopped, Validation, Warning
from bioforge.runs.folder import RunFolder
from bioforge.runs.launch import Processes, launch
from bioforge.training.plan import steps_of_epoch
from bioforge.training.team import Team
from tests.helpers import bioforge, make_run, no_dropout, weights, work
from tests.test_training import LAST, of_kind

SLOW = 90


def finish(run: RunFolder, processes: int) -> None:
    assert launch(run, Processes(processes)).wait(SLOW) == 0, run.log.read_text()[-3000:]


@pytest.mark.parametrize("task", ["bios", "cola"])
def test_two_processes_equal_one(
    task: Any,
    home: Home,
    djs: DataInfo,
    sentences: DataInfo,
    tiny_gpt2: Path,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    base = no_dropout(tiny_gpt2 if task == "bios" else tiny_bert, tmp_path / "base")
    data = "djs" if task == "bios" else "sentences"
    # Rows do not divide by 7 nor batches by 2: shares are uneven, and at an epoch's end one of them is empty.
    common = {**LAST, "max_length": 96, "epochs": 2, "batch_size": 7, "accumulate": 5, "clip_norm": 0.5,
              "sample_every": 2, "sample_tokens": 5, "tokens_per_pass": 200}  # fmt: skip
    alone, together = (make_run(home, task, data, base, **common) for _ in range(2))
    assert work(alone) == 0
    finish(together, 2)
    assert of_kind(together, Started)[-1].processes == 2
    one, other = of_kind(alone, Step), of_kind(together, Step)
    assert len(one) == len(other) > 1
    assert [e.loss for e in one] == pytest.approx([e.loss for e in other], abs=1e-5)
    assert [e.grad_norm for e in one] == pytest.approx([e.grad_norm for e in other], abs=1e-5)
    for here, there in zip(of_kind(alone, Validation), of_kind(together, Validation), strict=True):
        assert here.metrics == pytest.approx(there.metrics, abs=1e-5)
    first, second = weights(alone.best), weights(together.best)
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=1e-5), name


def test_two_processes_equal_one_with_adapters_average_packing_and_layers_computed_again(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {**LAST, "max_length": 64, "epochs": 2, "sample_every": 0, "lora_rank": 2, "freeze": "0",
              "learning_rate": 1e-3, "average": "ema", "packing": True, "gradient_checkpointing": True}  # fmt: skip
    alone, together = (make_run(home, "bios", "djs", base, **common) for _ in range(2))
    assert work(alone) == 0
    finish(together, 2)
    one, other = of_kind(alone, Step), of_kind(together, Step)
    assert [e.loss for e in one] == pytest.approx([e.loss for e in other], abs=1e-5)
    first, second = weights(alone.best), weights(together.best)
    assert all(torch.allclose(tensor, second[name], atol=1e-5) for name, tensor in first.items())


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_each_text_is_computed_once_an_epoch_by_one_process(processes: int) -> None:
    team = Team(0, processes)
    steps = steps_of_epoch(3, 0, list(range(1, 54)), 8, 3, bucketing=True)
    seen = [i for step in steps for batch in step for share in team.shares(batch) for i in share]
    assert sorted(seen) == list(range(53))


def test_a_stopped_team_goes_on_where_it_was(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    """Dropout on: each process draws its own, and a resumed one goes on with it."""
    common = {**LAST, "epochs": 3, "batch_size": 16}
    whole, parted = (make_run(home, "cola", "sentences", tiny_bert, **common) for _ in range(2))
    finish(whole, 2)
    process = launch(parted, Processes(2))
    wait_for(lambda: len(of_kind(parted, Step)) >= 3, process)
    control.send(parted.control, "stop")
    assert process.wait(SLOW) == 0
    assert of_kind(parted, Stopped) and parted.state().status == "stopped"
    assert launch(parted).wait(SLOW) == 0, "a run goes on with as many processes as before"
    assert of_kind(parted, Started)[-1].processes == 2
    first, second = weights(whole.best), weights(parted.best)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_another_number_of_processes_may_go_on_and_says_what_changes(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    run = make_run(home, "cola", "sentences", tiny_bert, **{**LAST, "epochs": 30, "batch_size": 16})
    process = launch(run, Processes(2))
    wait_for(lambda: len(of_kind(run, Step)) >= 3, process)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(SLOW)
    assert of_kind(run, Checkpoint), run.log.read_text()[-2000:]
    control.send(run.control, "stop")
    process = launch(run, Processes(1))
    wait_for(lambda: any("drawn anew" in event.message for event in of_kind(run, Warning)), process)
    control.send(run.control, "stop")
    assert process.wait(SLOW) == 0


@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_of_two_is_killed_the_other_ends_and_the_run_can_go_on(
    victim: int, home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    run = make_run(
        home, "cola", "sentences", tiny_bert, **{**LAST, "epochs": 200, "batch_size": 16, "validate_every": 5}
    )
    process = launch(run, Processes(2))
    wait_for(lambda: len(of_kind(run, Checkpoint)) >= 1, process)
    workers = {
        int(child.environ()["RANK"]): child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "RANK" in child.environ()
    }
    workers[victim].kill()
    killed = time.monotonic()
    assert process.wait(60) != 0
    assert time.monotonic() - killed < 30
    assert not any(worker.is_running() and worker.status() != "zombie" for worker in workers.values())
    if victim == 1:
        assert "another process of this run ended" in of_kind(run, Failed)[-1].message
    state = run.state()
    assert state.status == ("failed" if victim == 1 else "interrupted")
    reached = of_kind(run, Checkpoint)[-1].step
    process = launch(run)
    wait_for(lambda: len(of_kind(run, Started)) >= 1 and of_kind(run, Step) != [], process)
    control.send(run.control, "stop")
    assert process.wait(SLOW) == 0
    assert of_kind(run, Started)[-1].step >= reached > 0


def wait_for(condition: Any, process: Any) -> None:
    until = time.monotonic() + SLOW
    while not condition():
        assert process.poll() is None, "the run ended early"
        assert time.monotonic() < until
        time.sleep(0.05)


def test_two_hosts_train_one_run(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    """Two loopback addresses stand for two hosts; each starts the very command that `train --hosts 2` shows."""
    shown = bioforge(
        "train", "cola", "sentences", "--base", str(tiny_bert), "--preset", "quick", "--hosts", "2",
        "--set", "epochs=1", "--set", "batch_size=16",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    (run,) = folder.listing(home)
    refused = bioforge("runs", "resume", "last")
    assert refused.returncode == 2 and "start it on each of them" in refused.stderr
    words = shlex.split(shown.stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [word.replace("HOST:29400", f"127.0.0.1:{port}") for word in words]
    where = words.index("--nproc-per-node=1")
    hosts = [
        subprocess.Popen(
            [*words[:where], f"--local-addr=127.0.0.{number}", *words[where:]], stderr=subprocess.PIPE
        )
        for number in (2, 3)
    ]
    said = [host.communicate(timeout=SLOW)[1].decode() for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    assert of_kind(run, Started)[-1].processes == 2
    assert run.state().status == "finished"


@pytest.mark.parametrize("task", ["bios", "cola"])
def test_a_model_in_shards_learns_the_same_and_goes_on_after_a_stop(
    task: Any,
    home: Home,
    djs: DataInfo,
    sentences: DataInfo,
    tiny_gpt2: Path,
    tiny_bert: Path,
    tmp_path: Path,
) -> None:
    base = no_dropout(tiny_gpt2 if task == "bios" else tiny_bert, tmp_path / "base")
    data = "djs" if task == "bios" else "sentences"
    common = {**LAST, "max_length": 96, "epochs": 3, "batch_size": 7, "clip_norm": 0.5, "sample_every": 2,
              "sample_tokens": 5}  # fmt: skip
    alone, sharded = (make_run(home, task, data, base, **common) for _ in range(2))
    assert work(alone) == 0
    script = Path(__file__).with_name("fsdp_worker.py")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(str(script), str(sharded.path)),
    ]
    with sharded.log.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: len(of_kind(sharded, Step)) >= 3, process)
        control.send(sharded.control, "stop")
        assert process.wait(SLOW) == 0, sharded.log.read_text()[:3000]
        assert 0 < of_kind(sharded, Stopped)[-1].step < of_kind(alone, Step)[-1].step
        sharded.control.write_text("")
        assert subprocess.Popen(command, stdout=log, stderr=log).wait(SLOW) == 0, sharded.log.read_text()[
            :3000
        ]
    one, other = of_kind(alone, Step), of_kind(sharded, Step)
    assert [e.loss for e in one] == pytest.approx([e.loss for e in other], abs=1e-5)
    assert [e.grad_norm for e in one] == pytest.approx([e.grad_norm for e in other], abs=1e-5)
    first, second = weights(alone.best), weights(sharded.best)
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=1e-5), name
