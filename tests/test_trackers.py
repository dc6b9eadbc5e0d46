"""Trackers are told what the events say, in the run's own folder, and can harm no training."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PageAccumulator,
)

from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.paths import Home
from bioforge.runs.events import EventReader, Finished, Sample, Step, Validation, Warning
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import new_run
from bioforge.runs.tracking import PACKAGES
from tests.helpers import everything_in, make_run, work, work_until

STEPS = (
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
    "examples_per_second",
    "epoch",
    "memory_bytes",
)


def tracked_run(home: Home, base: Path, *trackers: str) -> RunFolder:
    settings = ["max_steps=6", "validate_every=2", "sample_every=2", "sample_tokens=5", "max_length=24"]
    return new_run(home, "bios", "djs", str(base), "quick", settings, trackers=trackers)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def samples(folder: Path) -> list[tuple[int, str]]:
    """By the reader behind the board's own pages; the other one takes no texts back."""
    read = PageAccumulator(str(folder), size_guidance={"tensors": 0})
    read.Reload()
    return [(e.step, e.tensor_proto.string_val[0].decode()) for e in read.Tensors("sample/text_summary")]


def told_by_events(run: RunFolder) -> dict[str, list[tuple[int, Any]]]:
    """What the trackers should have heard, from the run's own record of what holds."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for event in run.history():
        figures: dict[str, float] = {}
        step = getattr(event, "step", 0)
        if isinstance(event, Step):
            figures = {f"train/{key}": getattr(event, key) for key in STEPS}
        elif isinstance(event, Validation):
            times = ("train_loss", "training_seconds", "validation_seconds", "epoch")
            figures = {f"validation/{key}": getattr(event, key) for key in times}
            figures |= {f"validation/{key}": value for key, value in event.metrics.items()}
        for tag, value in figures.items():
            if not math.isnan(value):
                found.setdefault(tag, []).append((step, pytest.approx(value, rel=1e-6)))
    return found


def test_tensorboard_shows_what_the_events_say(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = tracked_run(home, tiny_gpt2, "tensorboard", "tensorboard")
    assert run.info().trackers == ["tensorboard"]
    assert work(run) == 0
    folder = run.path / "tensorboard"
    assert scalars(folder) == told_by_events(run)
    assert len(scalars(folder)["train/loss"]) == 6 and len(scalars(folder)["validation/perplexity"]) == 4
    written = [(event.step, event.text) for event in run.history() if isinstance(event, Sample)]
    assert samples(folder) == written and len(written) == 3
    board = EventMultiplexer().AddRunsFromDirectory(str(folder))
    board.Reload()
    (described,) = folder.glob("*/hparams.yml")
    text = described.read_text(encoding="utf-8")
    assert "learning_rate: " in text and "data: djs" in text and str(home.root) not in text
    hparams = [board.GetAccumulator(name).summary_metadata for name in board.Runs()]
    assert any("_hparams_/session_start_info" in found for found in hparams)


def test_a_resumed_run_goes_on_in_the_same_place_and_shows_no_step_twice(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = tracked_run(home, tiny_gpt2, "tensorboard")
    assert work_until(run, 4) == 0
    newest = sorted(run.checkpoints.glob("step-*"))[-1]
    # As if it had been killed at step 4, with a checkpoint of step 2.
    for folder in run.checkpoints.glob("step-*"):
        if folder.name > "step-000002":
            assert folder == newest
            for path in folder.iterdir():
                path.write_bytes(b"")
    assert work(run) == 0
    folder = run.path / "tensorboard"
    assert scalars(folder) == told_by_events(run)
    assert [step for step, _ in scalars(folder)["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in samples(folder)] == [2, 4, 6]
    assert len(list(folder.glob("events.*"))) == 2 and len(list(folder.glob("*/hparams.yml"))) == 1


def test_a_run_that_begins_anew_leaves_nothing_of_its_first_beginning(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = tracked_run(home, tiny_gpt2, "tensorboard")
    assert work_until(run, 0) == 0
    assert work(run) == 0
    folder = run.path / "tensorboard"
    assert scalars(folder) == told_by_events(run)
    assert len(list(folder.glob("events.*"))) == 1 and len(list(folder.glob("*/hparams.yml"))) == 1


class Recorder(GeneralTracker):  # type: ignore[misc]
    """Raises where it is told to, and keeps what it heard."""

    name = "recorder"
    requires_logging_directory = False
    fails_in = ""
    heard: ClassVar[list[Any]] = []

    def __init__(self, project: str) -> None:
        super().__init__()
        self.heard.clear()

    @property
    def tracker(self) -> None:
        return None

    def start(self) -> None:
        self._did("start")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._did("store", values)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self._did("log", step, values)
        if self.fails_in == "third log" and step == 3:
            raise OSError(28, "No space left on device\nand more")

    def finish(self) -> None:
        self._did("finish")

    def _did(self, *what: Any) -> None:
        self.heard.append(what)
        if what[0] == self.fails_in:
            raise RuntimeError(f"cannot {what[0]}")


@pytest.mark.parametrize(
    ("fails_in", "said"),
    [
        ("start", "RuntimeError: cannot start"),
        ("store", "RuntimeError: cannot store"),
        ("third log", "OSError: [Errno 28] No space left on device"),
        ("finish", "RuntimeError: cannot finish"),
        ("", ""),
    ],
)
def test_a_tracker_that_fails_is_left_out_and_the_training_goes_on(
    fails_in: str, said: str, home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "recorder", Recorder)
    monkeypatch.setattr(Recorder, "fails_in", fails_in)
    run = tracked_run(home, tiny_gpt2, "tensorboard")
    write_json(
        run.path / "run.json", {**read_json(run.path / "run.json"), "trackers": ["recorder", "tensorboard"]}
    )
    assert work(run) == 0
    events = EventReader(run.events).poll()
    assert isinstance(events[-1], Finished)
    warnings = [event.message for event in events if isinstance(event, Warning)]
    assert warnings == ([f"tracker recorder is left out from here on: {said}"] if said else [])
    steps = [what[1] for what in Recorder.heard if what[0] == "log" and "train/loss" in what[2]]
    assert steps == {"start": [], "store": [], "third log": [1, 2, 3]}.get(fails_in, [1, 2, 3, 4, 5, 6])
    assert not any("sample" in what[2] for what in Recorder.heard if what[0] == "log")
    assert scalars(run.path / "tensorboard") == told_by_events(run)


def test_without_a_tracker_nothing_of_one_is_written(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_steps=1, sample_every=0)
    assert run.info().trackers == []
    assert work(run) == 0
    assert not list(run.path.glob("tensorboard*"))


def test_every_tracker_of_accelerate_can_be_named() -> None:
    assert set(PACKAGES) == set(LOGGER_TYPE_TO_CLASS)


def test_a_tracker_that_is_not_here_is_refused_before_anything_is_written(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_in(home.root)
    with pytest.raises(UserError, match=r"no tracker 'tensorbord'; there are: tensorboard, aim"):
        tracked_run(home, tiny_gpt2, "tensorbord")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'bioforge\[tensorboard\]'"):
        tracked_run(home, tiny_gpt2, "tensorboard")
    with pytest.raises(UserError, match=r"'wandb' is not installed: pip install 'wandb'"):
        tracked_run(home, tiny_gpt2, "wandb")
    assert everything_in(home.root) == before
