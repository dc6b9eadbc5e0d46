"""A run's figures told to experiment trackers too, by Accelerate's classes for them.

A tracker is a guest: where it cannot begin or go on, the run says so once and goes on without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from bioforge.files import remove_folder
from bioforge.runs.events import Emit, Event, Sample, Step, Validation, Warning
from bioforge.runs.folder import RunFolder

TENSORBOARD = "tensorboard"
"""Also its folder's name in the run's."""
_PROJECT = "bioforge"
_NOT_FIGURES = {"time", "step", "metrics", "best", "eta_seconds"}
_READS_TEXT = {TENSORBOARD, "comet_ml", "swanlab", "trackio", "wandb"}
"""Others refuse or drop a text."""


class Trackers:
    """Takes the run's events, passes them on, and tells the trackers; open from `with` to its end."""

    def __init__(self, run: RunFolder, names: list[str], step: int, emit: Emit) -> None:
        """`step`: the last that still holds, 0 where the run begins."""
        self.run, self.names, self.step, self.emit = run, names, step, emit
        self._open: dict[str, Any] = {}

    def __enter__(self) -> Trackers:
        for name in self.names:
            self._attempt(name, partial(self._begin, name))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for name, tracker in list(self._open.items()):
            self._attempt(name, tracker.finish)
        self._open.clear()

    def __call__(self, event: Event) -> None:
        self.emit(event)
        if isinstance(event, Step):
            self._tell(_figures("train", asdict(event)), event.step)
        elif isinstance(event, Validation):
            figures = _figures("validation", {**asdict(event), **event.metrics})
            self._tell(figures, event.step)
        elif isinstance(event, Sample):
            self._tell({"sample": event.text}, event.step)

    def _begin(self, name: str) -> None:
        tracker = self._made(name)
        tracker.start()
        self._open[name] = tracker
        if self.step == 0:
            asked = {
                "data": self.run.data()["name"],
                "base": self.run.base().name,
                **asdict(self.run.recipe()),
            }
            tracker.store_init_configuration(
                {key: value for key, value in asked.items() if value is not None}
            )

    def _made(self, name: str) -> Any:
        kind = LOGGER_TYPE_TO_CLASS[name]
        if name == TENSORBOARD:
            if self.step == 0:
                remove_folder(self.run.path / TENSORBOARD)
            # Readers of these files then drop what an earlier session said of later steps.
            return kind(TENSORBOARD, self.run.path, purge_step=self.step + 1)
        if kind.requires_logging_directory:
            return kind(self.run.name, self.run.path)
        return kind(_PROJECT, **_record(name, self.run, self.step))

    def _tell(self, values: dict[str, Any], step: int) -> None:
        is_text = any(isinstance(value, str) for value in values.values())
        for name, tracker in list(self._open.items()):
            if not is_text or name in _READS_TEXT:
                self._attempt(name, partial(tracker.log, values, step=step))

    def _attempt(self, name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            self._open.pop(name, None)
            said = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
            self.emit(Warning(message=f"tracker {name} is left out from here on: {reason}"))


def _figures(group: str, values: dict[str, Any]) -> dict[str, float]:
    """What is finite of an event's numbers, as `group/name`."""
    return {
        f"{group}/{key}": value
        for key, value in values.items()
        if key not in _NOT_FIGURES and math.isfinite(value)
    }


def _record(name: str, run: RunFolder, step: int) -> dict[str, Any]:
    """What names a tracker's record after the run, keeps its files there, and goes on with it where it can."""
    known: dict[str, dict[str, Any]] = {
        "clearml": {"task_name": run.name},
        "dvclive": {"dir": str(run.path / name), "resume": step > 0},
        "mlflow": {"run_name": run.name},
        "swanlab": {"experiment_name": run.name, "logdir": str(run.path / name)},
        "trackio": {"name": run.name, "resume": "allow"},
        "wandb": {"name": run.name, "id": run.name, "resume": "allow", "dir": str(run.path)},
    }
    return known.get(name, {})
