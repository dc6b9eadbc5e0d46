"""Nothing that was saved is ever lost: each harm is done to a real worker, which then goes on to the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bioforge.data.store import DataInfo
from bioforge.files import remove_folder, visible_folders
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs.events import Step, Warning
from bioforge.runs.folder import listing
from bioforge.runs.follow import Board
from bioforge.runs.launch import launch
from bioforge.training import checkpoint
from bioforge.training.objective import Writing
from tests.helpers import forty_bios, no_dropout, weights, work, work_until
from tests.survival import (
    Unharmed,
    check_same_end,
    check_what_is_left,
    ending,
    places,
    resumed_steps,
    survive,
    twin,
    unharmed_run,
)
from tests.workers import NO_SMALL_DISK, Server, serving, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers here are forked")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def unharmed(server: Server, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Unharmed:
    return unharmed_run(Home(tmp_path_factory.mktemp("unharmed")), tiny_gpt2, server)


def test_killed_at_any_moment(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    """The long form is `python -m bench.survival`."""
    assert len(survive(server, home, tiny_gpt2, unharmed, kills=5, seed=1)) == 5


def test_killed_between_publishing_and_saying_so(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    last = {"inside": places(run)["publishing"], "number": unharmed.operations["publishing"]}
    assert server.start(run, at_operation=last).wait() == -9
    check_what_is_left(run)
    assert store.made_by(home, run.name), "it was killed after its model was there"
    assert server.start(run).wait() == 0
    check_same_end(run, unharmed)


def test_asked_to_stop_in_every_phase(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    saving = {"inside": places(run)["checkpoints"], "number": 9, "signal": signal.SIGTERM}
    phases: list[dict[str, Any]] = [
        {"after_event": {"kind": "preparing", "number": 2, "signal": signal.SIGTERM}},
        {"after_event": {"kind": "step", "number": 2, "signal": signal.SIGINT}},
        {"at_operation": saving},
        {"after_event": {"kind": "validation", "number": 1, "signal": signal.SIGTERM}},
    ]
    steps = []
    for phase in phases:
        assert server.start(run, **phase).wait() == 0
        assert run.state().status == "stopped"
        whole, damaged = checkpoint.newest(run.checkpoints)
        assert not damaged
        steps.append(run.state().step)
        assert (checkpoint.read_progress(whole).step if whole else 0) == steps[-1]
    assert steps[:2] == [0, 2] and steps == sorted(steps) and steps[-1] % 6 == 0
    # Publishing is not left half done: the run ends instead.
    publishing = {"kind": "preparing", "number": 3, "signal": signal.SIGTERM}
    assert server.start(run, after_event=publishing).wait() == 0
    check_same_end(run, unharmed)


def test_a_disk_that_is_full_for_checkpoints_costs_no_more_than_them(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    run.checkpoints.mkdir()
    size = weights_size(unharmed) * 2
    code = server.start(run, small_disk={"folder": str(run.checkpoints), "size": size}).wait()
    if code == NO_SMALL_DISK:
        pytest.skip("mounting a small disk takes more rights than this user has")
    assert code == 0
    warnings = [event.message for event in run.history() if isinstance(event, Warning)]
    assert len(warnings) == 19 and all("No space left" in warning for warning in warnings[:-1])
    assert "could not be removed" in warnings[-1], "the small disk itself is in its place"
    run.checkpoints.rmdir()
    check_same_end(run, unharmed)


def test_a_disk_that_is_full_for_the_model_is_said_and_the_run_goes_on_from_its_end(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    home.models.mkdir()
    size = weights_size(unharmed) // 2
    code = server.start(run, small_disk={"folder": str(home.models), "size": size}).wait()
    if code == NO_SMALL_DISK:
        pytest.skip("mounting a small disk takes more rights than this user has")
    assert code == 2
    assert run.state().status == "failed" and "make room, then resume" in run.state().message
    assert server.start(run).wait() == 0
    assert resumed_steps(run) == [0, 18]
    check_same_end(run, unharmed)


def test_a_disk_that_is_full_for_the_best_weights_is_said(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    assert server.start(run, largest_file=weights_size(unharmed) // 2).wait() == 2
    assert run.state().status == "failed" and "make room, then resume" in run.state().message
    assert server.start(run).wait() == 0
    check_same_end(run, unharmed)


def test_a_disk_that_is_full_even_for_events_loses_none_that_was_there(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    assert server.start(run, after_event={"kind": "step", "number": 4, "signal": signal.SIGTERM}).wait() == 0
    before = run.events.read_bytes()
    assert server.start(run, largest_file=len(before) + 100).wait() == 2
    assert run.events.read_bytes().startswith(before) and run.said() == len(before) + 100
    assert run.state().status == "interrupted" and run.state().step == 4, "as far as could be said"
    whole, damaged = checkpoint.newest(run.checkpoints)
    assert whole and checkpoint.read_progress(whole).step == 4 and not damaged
    assert server.start(run).wait() == 0
    check_same_end(run, unharmed)


def weights_size(unharmed: Unharmed) -> int:
    return (unharmed.run.best / "model.safetensors").stat().st_size


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_found(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    assert server.start(run, after_event={"kind": "step", "number": 8, "signal": signal.SIGTERM}).wait() == 0
    older, newest = visible_folders(run.checkpoints)
    draw = random.Random(0)
    files = sorted(path for path in newest.rglob("*") if path.is_file())
    assert {
        "weights.safetensors",
        "optimizer.safetensors",
        "rng-0.safetensors",
        "progress.json",
        "manifest.json",
    } <= {path.name for path in files}
    for file in files:
        whole = file.read_bytes()
        for place in {0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(30))}:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << draw.randrange(8)
            file.write_bytes(damaged)
            found = checkpoint.newest(run.checkpoints)
            # A bit in a manifest's white space says the same as before; all else is noticed.
            assert found == (older, [newest]) or (file.name == "manifest.json" and whole[place] in b" \n"), (
                file,
                place,
            )
        file.write_bytes(whole)
    (newest / "optimizer.safetensors").write_bytes(b"")
    assert server.start(run).wait() == 0
    assert resumed_steps(run) == [0, 7]
    assert any(
        "is damaged and passed over" in event.message for event in run.history() if isinstance(event, Warning)
    )
    check_same_end(run, unharmed)


@pytest.mark.parametrize("harm", ["cut in a line", "cut to nothing", "rubbish behind it"])
def test_events_that_were_truncated_cost_the_picture_and_not_the_run(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed, harm: str
) -> None:
    run = twin(home, tiny_gpt2)

    def hurt() -> None:
        text = run.events.read_bytes()
        run.events.write_bytes(
            {
                "cut in a line": text[:-30],
                "cut to nothing": b"",
                "rubbish behind it": text[:-1] + bytes(range(256)) * 9,
            }[harm]
        )

    assert server.start(run, after_event={"kind": "step", "number": 8, "signal": signal.SIGTERM}).wait() == 0
    hurt()
    assert run.state().status in ("interrupted", "stopped")
    assert server.start(run).wait() == 0
    assert resumed_steps(run)[-1] == 8
    check_same_end(run, unharmed)
    # Finished, and robbed of its last word: it is published already and is not done again.
    hurt()
    if run.state().status != "finished":
        assert server.start(run).wait() == 0
    assert run.state().status == "finished"
    assert [model.run for model in store.listing(home)[0]] == [run.name]


def test_a_clock_that_jumps_changes_nothing(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    jumps = [0.0, 7.0, -30.0, 1e5]
    stop = {"kind": "step", "number": 8, "signal": signal.SIGTERM}
    assert server.start(run, clock_jumps=jumps, after_event=stop).wait() == 0
    assert server.start(run, clock_jumps=jumps).wait() == 0
    times = [event.time for event in run.history()]
    assert times != sorted(times) and max(times) - min(times) > 3600 * 1e5
    assert all(event.eta_seconds < 600 for event in run.history() if isinstance(event, Step))
    assert ending(run).seconds < 600
    check_same_end(run, unharmed)


def test_a_run_just_launched_is_starting_whatever_the_clock_says(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server
) -> None:
    run = twin(home, tiny_gpt2)
    assert server.start(run, after_event={"kind": "step", "number": 1, "signal": signal.SIGTERM}).wait() == 0
    ahead = time.time() + 7 * 3600
    os.utime(run.events, (ahead, ahead))
    board = Board(home)
    assert [line.state.status for line in board.poll()] == ["stopped"]
    process = launch(run)
    try:
        assert run.state().status == "starting"
        assert [line.state.status for line in board.poll()] == ["starting"]
    finally:
        process.kill()
        process.wait()


def test_a_data_set_removed_under_a_run_is_not_missed_until_it_resumes(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    gone = {"kind": "step", "number": 2, "remove": str(home.data / "djs")}
    assert server.start(run, after_event=gone).wait() == 0
    check_same_end(run, unharmed)
    forty_bios(home)
    other = twin(home, tiny_gpt2)
    assert (
        server.start(other, after_event={"kind": "step", "number": 4, "signal": signal.SIGTERM}).wait() == 0
    )
    remove_folder(home.data / "djs")
    assert server.start(other).wait() == 2
    assert "bioforge data import bios dj_bios.csv --name djs" in other.state().message
    forty_bios(home)
    assert server.start(other).wait() == 0
    check_same_end(other, unharmed)


@pytest.mark.parametrize(
    ("in_validation", "first_said"), [(200, "96 tokens instead of 192"), (100, "32 tokens instead of 64")]
)
def test_memory_that_runs_out_costs_speed_and_not_the_result(
    home: Home,
    djs: DataInfo,
    tiny_gpt2: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    in_validation: int,
    first_said: str,
) -> None:
    """The deterministic form: memory for 100 tokens in training, and for `in_validation` in validation."""
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    plenty = twin(home, base, keep="last")
    assert work(plenty) == 0
    scarce = twin(home, base, keep="last")

    def short_of_memory(computes: Any) -> Any:
        def compute(objective: Writing, model: Any, examples: Any, device: Any) -> Any:
            loss = computes(objective, model, examples, device)
            if objective.width(examples) * len(examples) > (100 if model.training else in_validation):
                raise RuntimeError(
                    "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
                )
            return loss

        return compute

    for name in ("loss_sum", "row_losses"):
        monkeypatch.setattr(Writing, name, short_of_memory(getattr(Writing, name)))
    assert work_until(scarce, 4) == 0
    said = [event.message for event in scarce.history() if isinstance(event, Warning)]
    assert len(said) == 1 and "out of memory at step 1" in said[0] and first_said in said[0]
    whole, _ = checkpoint.newest(scarce.checkpoints)
    assert whole and checkpoint.read_progress(whole).tokens_per_pass <= 100
    assert work(scarce) == 0
    assert said == [event.message for event in scarce.history() if isinstance(event, Warning)], (
        "kept over the resume"
    )
    one, other = ([event for event in run.history() if isinstance(event, Step)] for run in (plenty, scarce))
    assert [event.loss for event in one] == pytest.approx([event.loss for event in other], abs=1e-5)
    first, second = weights(plenty.best), weights(scarce.best)
    assert all(torch.allclose(tensor, second[name], atol=1e-5) for name, tensor in first.items())


def test_memory_for_not_even_one_text_is_said(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Writing, "loss_sum", none_left)
    run = twin(home, tiny_gpt2, validate_first=False)
    assert work(run) == 2
    assert "memory is too small for a single text" in run.state().message


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory this way")
def test_a_worker_out_of_memory_takes_smaller_passes(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server
) -> None:
    wide = {"max_length": 256, "batch_size": 36, "tokens_per_pass": 10_000, "epochs": 2}
    run = twin(home, tiny_gpt2, **wide)
    code = server.start(run, memory_left=60 * 2**20).wait()
    assert code == 0
    assert any("out of memory" in event.message for event in run.history() if isinstance(event, Warning))


def test_weights_that_are_no_numbers_never_reach_the_disk(
    home: Home, djs: DataInfo, tiny_gpt2: Path, unharmed: Unharmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = torch.optim.AdamW.step
    done = 0

    def poisons(optimizer: torch.optim.AdamW, *arguments: Any) -> Any:
        nonlocal done
        result = updates(optimizer, *arguments)
        done += 1
        if done == 9:
            optimizer.param_groups[0]["params"][0].data[0, 0] = float("nan")
        return result

    run = twin(home, tiny_gpt2)
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", poisons)
        assert work(run) == 2
    assert run.state().status == "failed" and "lower learning_rate" in run.state().message
    whole, damaged = checkpoint.newest(run.checkpoints)
    assert whole and not damaged and checkpoint.read_progress(whole).step == 8
    for kept in (load_file(whole / "weights.safetensors"), weights(run.best)):
        assert all(bool(tensor.isfinite().all()) for tensor in kept.values())
    assert work(run) == 0
    check_same_end(run, unharmed)


def test_two_resumes_at_once_are_one(
    home: Home, djs: DataInfo, tiny_gpt2: Path, server: Server, unharmed: Unharmed
) -> None:
    run = twin(home, tiny_gpt2)
    assert server.start(run, after_event={"kind": "step", "number": 4, "signal": signal.SIGTERM}).wait() == 0
    command = [sys.executable, "-m", "bioforge", "runs", "resume", run.name, "--detach"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert sum("already running" in line for line in said) == 1
    until(lambda: not run.is_active(), 0.1)
    assert resumed_steps(run) == [0, 4]
    check_same_end(run, unharmed)


def test_ctrl_c_twice_leaves_at_once_and_the_run_still_saves(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "bioforge",
        "train",
        "bios",
        "djs",
        "--base",
        str(tiny_gpt2),
        "--preset",
        "quick",
    ]
    command += [
        word for setting in ("epochs=1000", "max_length=32", "patience=0") for word in ("--set", setting)
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    until(lambda: bool(listing(home)) and any(isinstance(e, Step) for e in listing(home)[0].history()), 0.1)
    (run,) = listing(home)
    process.send_signal(signal.SIGINT)
    assert run.name in process.stderr.readline()
    assert "Ctrl-C again leaves it to that" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in rest
    until(lambda: not run.is_active(), 0.1)
    assert run.state().status == "stopped"
    whole, damaged = checkpoint.newest(run.checkpoints)
    assert whole and not damaged and checkpoint.read_progress(whole).step == run.state().step > 0
