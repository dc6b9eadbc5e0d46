"""The same training under several seeds: what is made, what is gone on with, and what is said of the spread."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file

from bioforge.cli.seeds import train_seeds
from bioforge.data.store import DataInfo
from bioforge.errors import ExitCode, UserError
from bioforge.evidence.measured import figures
from bioforge.evidence.seeds import seed_report
from bioforge.models import store
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs.events import EventWriter, Failed, Finished
from bioforge.runs.folder import RunFolder, listing
from bioforge.runs.launch import Processes
from bioforge.runs.outcome import Outcome, keep_outcome, outcome_of
from bioforge.runs.seeds import alone, group_runs, turns
from bioforge.runs.start import new_run
from tests.helpers import bioforge, weights, work, work_until
from tests.test_comparison import judged, written
from tests.test_events import started, step
from tests.test_reporting import validation

FINISHED = Finished(step=10, best_step=5, metrics={"loss": 0.7}, model="m", seconds=1.0, reason="last epoch")


def asked(
    base: Path, count: int, task: Task = "cola", data: str = "sentences", **settings: Any
) -> dict[str, Any]:
    words = [f"{key}={value}" for key, value in settings.items()]
    return {
        "count": count, "task": task, "data": data, "base": str(base), "preset": "quick", "settings": words,
        "seed": 5, "name": "mine", "replace": False, "trackers": (), "processes": Processes(), "detach": False, "as_json": False,
    }  # fmt: skip


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[RunFolder], int]], None]:
    """Workers work in this process, in the way they are told."""

    def arrange(way: Callable[[RunFolder], int]) -> None:
        monkeypatch.setattr("bioforge.runs.launch.launch", lambda run, processes: way(run))

    return arrange


def told(
    home: Home, base: Path, seed: int, ending: Any, outcome: Outcome | None, task: Task = "cola"
) -> RunFolder:
    data = "sentences" if task == "cola" else "djs"
    run = new_run(home, task, data, str(base), "quick", seed=seed, model=f"mine-{seed}", group="mine")
    write = EventWriter(run.events)
    events = [started(), validation(0, 0.8, False), step(1), *([ending] if ending else [])]
    for event in events:
        write(event)
    write.close()
    if outcome:
        keep_outcome(run, outcome)
    return run


def test_each_seed_is_a_run_of_the_group_with_a_model_of_its_own(
    home: Home, sentences: DataInfo, tiny_bert: Path, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here(work)
    train_seeds(**asked(tiny_bert, 2, max_steps=2))
    runs = group_runs(home, "mine")
    assert list(runs) == [5, 6] and len(listing(home)) == 2
    assert {model.name for model in store.listing(home)[0]} == {"mine-5", "mine-6"}
    report = seed_report(home, "mine")
    for told_of, run in zip(report.runs, runs.values(), strict=True):
        outcome = outcome_of(run)
        assert outcome and told_of.figures == figures(outcome)
    assert "mine-5" not in capsys.readouterr().out.split("over seeds")[1]
    # The same command again finds nothing to do; more seeds make only those that are missing.
    train_seeds(**asked(tiny_bert, 2, max_steps=2))
    assert len(listing(home)) == 2
    train_seeds(**asked(tiny_bert, 3, max_steps=2))
    assert list(group_runs(home, "mine")) == [5, 6, 7]


def test_a_stopped_seed_is_gone_on_with_by_the_same_command(
    home: Home, djs: DataInfo, tiny_gpt2: Path, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds: dict[str, Any] = asked(tiny_gpt2, 2, "bios", "djs", max_steps=4)
    here(lambda run: work(run) if run.recipe().seed == 5 else work_until(run, 2))
    with pytest.raises(typer.Exit) as left:
        train_seeds(**seeds)
    assert left.value.exit_code == ExitCode.INTERRUPTED
    assert "the same command goes on" in capsys.readouterr().err
    report = seed_report(home, "mine")
    assert [run.status for run in report.runs] == ["finished", "stopped"]
    assert "Not finished: seed 6 (stopped)." in report.sentences
    assert "One finished run says nothing" in " ".join(report.sentences)
    here(work)
    train_seeds(**seeds)
    runs = group_runs(home, "mine")
    assert [run.state().status for run in runs.values()] == ["finished"] * 2 and len(listing(home)) == 2
    assert [e.step for e in runs[6].history() if e.kind == "started"] == [0, 2]  # type: ignore[attr-defined]


def test_a_seed_that_diverges_is_a_result_and_not_tried_again(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "broken"
    shutil.copytree(tiny_gpt2, base)
    tensors = {name: torch.full_like(tensor, math.nan) for name, tensor in weights(tiny_gpt2).items()}
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    here(work)
    for _ in range(2):
        train_seeds(**asked(base, 1, "bios", "djs", max_steps=4))
    (run,) = listing(home)
    assert run.state().status == "failed"
    assert seed_report(home, "mine").runs[0].collapsed == "diverged at step 0"
    assert capsys.readouterr().err.count(f"run {run.name}\n") == 1


def test_nothing_is_written_where_a_later_seed_could_not_be(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    (home.models / "mine-7").mkdir(parents=True)
    with pytest.raises(UserError, match="a model 'mine-7' exists"):
        train_seeds(**asked(tiny_bert, 3))
    with pytest.raises(UserError, match="leave out --detach"):
        train_seeds(**{**asked(tiny_bert, 3), "detach": True})
    assert listing(home) == []


def test_runs_of_another_recipe_do_not_mix(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    told(home, tiny_bert, 5, FINISHED, None)
    with pytest.raises(UserError, match=r"another recipe \(epochs 3, not 7\); choose another --name"):
        turns(home, "mine", 2, "cola", "sentences", str(tiny_bert), "quick", ["epochs=7"], 5)
    (known, missing) = turns(home, "mine", 2, "cola", "sentences", str(tiny_bert), "quick", [], 5)
    assert known.run and missing.run is None


def test_two_processes_do_not_make_the_same_runs(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    with alone(home, "mine"), pytest.raises(UserError, match="another process"):
        train_seeds(**asked(tiny_bert, 2))
    assert listing(home) == []


def test_the_spread_is_that_of_the_runs(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    parts = [judged(right, seed=seed) for seed, right in enumerate((0.75, 0.8, 0.85, 0.7), 1)]
    for seed, part in enumerate(parts, 5):
        told(home, tiny_bert, seed, FINISHED, Outcome(0.5, [part]))
    report = seed_report(home, "mine")
    values = [figures(Outcome(0.5, [part]))[0].value for part in parts]
    (spread,) = report.spreads
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    assert (spread.lowest, spread.highest, spread.runs) == (min(values), max(values), 4)
    (sentence,) = report.sentences
    assert sentence.startswith(
        f"Between 4 seeds, MCC out of domain varies by {statistics.stdev(values):.3f} (standard deviation; "
        f"{min(values):.3f} to {max(values):.3f}, mean {np.mean(values):.3f})."
    )
    is_more = max(values) - min(values) >= spread.interval_width
    assert ("which is more than" in sentence) == is_more
    assert report.spreads_of_learnt == []


def test_collapsed_judges_are_named(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    good = judged(0.85)
    same = replace(good, probabilities=[0.7] * len(good.labels))
    draw = np.random.default_rng(0)
    nearly = replace(good, probabilities=[float(p) for p in 0.7 + 1e-6 * draw.random(len(good.labels))])
    for seed, (part, threshold) in enumerate([(good, 0.5), (same, 0.5), (nearly, 0.7000005)], 5):
        told(home, tiny_bert, seed, FINISHED, Outcome(threshold, [part]))
    diverged = Failed(step=3, message="at step 3 the loss is nan", diverged=True)
    told(home, tiny_bert, 8, diverged, None)
    told(home, tiny_bert, 9, Failed(step=3, message="the disk is full"), None)
    report = seed_report(home, "mine")
    assert [bool(run.collapsed) for run in report.runs] == [False, True, True, True, False]
    assert "calls everything acceptable, MCC 0" in report.runs[1].collapsed
    assert report.sentences[0].startswith("Collapsed: seed 6 (calls everything acceptable, MCC 0), seed 7 (")
    assert "seed 8 (diverged at step 3)" in report.sentences[0]
    assert report.sentences[1] == "Not finished: seed 9 (failed)."
    assert (report.spreads[0].runs, report.spreads_of_learnt[0].runs) == (3, 1)
    learnt = figures(Outcome(0.5, [good]))[0]
    assert report.spreads_of_learnt[0].interval_width == pytest.approx(learnt.high - learnt.low)
    result = bioforge("runs", "seeds", "mine")
    assert (
        result.returncode == 0
        and result.stdout.count("collapsed: ") == 3
        and "the disk is full" in result.stdout
    )


def test_collapsed_judges_alone_are_not_set_beside_an_interval_that_none_has(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    part = judged(0.8)
    nothing = replace(part, probabilities=[0.9] * len(part.labels))
    for seed in (5, 6):
        told(home, tiny_bert, seed, FINISHED, Outcome(0.5, [nothing]))
    assert seed_report(home, "mine").sentences[-1] == (
        "Between 2 seeds, MCC out of domain varies by 0.000 (standard deviation; 0.000 to 0.000, mean 0.000)."
    )


def test_a_judge_of_sentences_that_are_all_the_same_did_not_collapse(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    part = judged(1.0)
    right = replace(part, labels=[1] * len(part.labels), probabilities=[0.9] * len(part.labels))
    told(home, tiny_bert, 5, FINISHED, Outcome(0.5, [right]))
    assert seed_report(home, "mine").runs[0].collapsed == ""


def test_a_writer_that_learnt_nothing_is_named(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    for seed, loss in enumerate((0.7, 0.8, math.nan), 5):
        told(
            home,
            tiny_gpt2,
            seed,
            replace(FINISHED, metrics={"loss": loss}),
            Outcome(written=[written(1.2)]),
            "bios",
        )
    told_of = seed_report(home, "mine").runs
    assert [run.collapsed for run in told_of] == [
        "",
        "its loss, 0.800, is not below the base's 0.800",
        "its loss is nan",
    ]


def test_a_loss_that_is_no_number_is_in_no_spread(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    for seed, bits in enumerate((1.2, 1.3, math.nan), 5):
        told(home, tiny_gpt2, seed, FINISHED, Outcome(written=[written(bits)]), "bios")
    (spread,) = seed_report(home, "mine").spreads
    values = [figures(Outcome(written=[written(bits)]))[0].value for bits in (1.2, 1.3)]
    assert spread.runs == 2 and spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    shown = bioforge("runs", "seeds", "mine")
    assert shown.returncode == 0 and "nan" in shown.stdout


def test_json_and_unknown_names(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    told(home, tiny_bert, 5, FINISHED, Outcome(0.5, [judged(0.8)]))
    value = json.loads(bioforge("runs", "seeds", "mine", "--json").stdout)
    assert value["runs"][0]["seed"] == 5 and value["spreads"][0]["deviation"] is None
    result = bioforge("runs", "seeds", "yours")
    assert (
        result.returncode == 2 and "there are: mine" in result.stderr and len(result.stderr.splitlines()) == 1
    )


def test_seeds_that_hold_out_other_rows_say_so(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    part = judged(0.8, "held_out", 50)
    told(home, tiny_bert, 5, FINISHED, Outcome(0.5, [part]))
    told(
        home, tiny_bert, 6, FINISHED, Outcome(0.5, [replace(part, positions=[p + 9 for p in part.positions])])
    )
    assert "which rows were held out" in seed_report(home, "mine").sentences[-1]


def test_a_killed_front_end_loses_nothing(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    words = ["train", "bios", "djs", "--base", str(tiny_gpt2), "--preset", "quick", "--seeds", "2"]
    words += ["--set", "max_steps=3", "--set", "sample_every=0", "--seed", "5", "--name", "mine"]
    front = subprocess.Popen(
        [sys.executable, "-m", "bioforge", *words], env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (runs := group_runs(home, "mine")) or not runs[5].launch.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    front.send_signal(signal.SIGKILL)
    front.wait()
    result = bioforge(*words)
    assert result.returncode == 0, result.stderr
    runs = group_runs(home, "mine")
    assert [run.state().status for run in runs.values()] == ["finished"] * 2 and len(listing(home)) == 2
    assert "Between 2 seeds, bits a byte" in result.stdout
