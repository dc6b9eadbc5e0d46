"""Runs that said what a test wants said, without training any."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bioforge.data.store import DataInfo
from bioforge.models.bases import LocalBase
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs import folder
from bioforge.runs import recipe as recipes
from bioforge.runs.events import Event, EventWriter, Finished, Sample, Started, Step, Validation
from bioforge.runs.folder import RunFolder

Losses = Callable[[int], float]


def told_run(
    home: Home,
    data: DataInfo,
    task: Task,
    events: Iterable[Event] = (),
    *settings: str,
    preset: str = "quick",
) -> RunFolder:
    recipe = recipes.override(recipes.preset(task, preset), list(settings))
    run = folder.create(
        home, recipe, data, LocalBase("tiny", Path("/bases/tiny"), "folder: /bases/tiny"), model=data.name
    )
    writer = EventWriter(run.events)
    for event in events:
        writer(event)
    writer.close()
    return run


def started(steps: int, step: int = 0, time: float = 0.0) -> Started:
    return Started(
        device="cpu",
        precision="fp32",
        processes=1,
        parameters=1000,
        train_rows=180,
        validation_rows=20,
        truncated=3,
        max_length=64,
        steps=steps,
        epochs=1,
        step=step,
        versions={"torch": "2.13"},
        trained=1000,
        time=time,
    )


def step(number: int, loss: float = 1.0, norm: float = 0.5) -> Step:
    return Step(number, number / 10, loss, 1e-4 / number, norm, 1000.0, 10.0, 5.0, 10**9, time=float(number))


def validation(
    number: int, loss: float, train_loss: float = math.nan, *, mcc: float = 0.1, best: bool = False
) -> Validation:
    metrics = {"loss": loss, "accuracy": 0.5, "mcc": mcc}
    return Validation(number, number / 10, train_loss, metrics, 1.0, 1.0, best, time=number + 0.5)


def sample(number: int, text: str, ended: bool = False) -> Sample:
    return Sample(number, "", text, ended, time=number + 0.6)


def finished(number: int, best_step: int, model: str = "sentences", **metrics: float) -> Finished:
    return Finished(number, best_step, metrics, model, 61.0, "last epoch", time=number + 1.0)


def say_many_steps(run: RunFolder, steps: int, loss: Losses) -> None:
    """Append as many step events, by the line: encoding so many one by one takes its time."""
    with run.events.open("a", encoding="utf-8") as stream:
        for number in range(1, steps + 1):
            said: dict[str, Any] = {
                "event": "step",
                "time": float(number),
                "step": number,
                "epoch": number / steps,
                "loss": loss(number),
                "learning_rate": 1e-4,
                "grad_norm": 0.5,
                "tokens_per_second": 1000.0,
                "examples_per_second": 10.0,
                "eta_seconds": 1.0,
                "memory_bytes": 10**9,
            }
            stream.write(json.dumps(said) + "\n")
