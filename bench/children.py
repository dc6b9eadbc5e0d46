"""Processes that are measured from outside: their answer, and the most memory they ever held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioforge.data import store
from bioforge.data.bios import read_bios
from bioforge.data.cola import read_cola
from bioforge.files import write_json
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs.events import Step
from bioforge.runs.folder import RunFolder
from bioforge.runs.launch import launch
from bioforge.runs.start import new_run

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
ONLY_STEPS = [
    # A run that is cut off after its steps: nothing but steps, and one row held out.
    "epochs=1000",
    "validate_first=false",
    "validate_every=1000000",
    "checkpoint_minutes=0",
    "sample_every=0",
    "official_validation=false",
    "validation_fraction=0.001",
]


@dataclass(frozen=True)
class Measured:
    rate: float
    """Real tokens a second; padding does not count."""
    memory: int
    """Peak resident memory of the process, in bytes."""
    losses: list[float]
    start: float = 0.0
    """Seconds from the launch to the end of the first step."""
    steps_per_second: float = 0.0
    device_memory: int = 0
    """The most the worker itself named, in bytes: on a GPU, the GPU's."""


def ask(module: str, name: str, job: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What `python -m MODULE NAME` answers to `job`, in a user's environment, and its peak memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "job.json", job)
        command = [sys.executable, "-m", module, name, str(Path(folder) / "job.json")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        answer = process.stdout.read()
        status, memory = _end(process)
    if status:
        raise RuntimeError(f"{module} {name} ended with status {status}")
    return json.loads(answer.splitlines()[-1]), memory


@dataclass(frozen=True)
class Timed:
    wall: float
    """Seconds by the clock."""
    processor: float
    """Seconds of the processor, the system's included."""
    memory: int
    """Peak resident memory, in bytes."""


def timed(command: list[str], environment: dict[str, str]) -> Timed:
    """A command from its start to its end, its output thrown away."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: the sentence was found unacceptable
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    return Timed(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)


def _end(process: subprocess.Popen[Any]) -> tuple[int, int]:
    """Wait for a child; its status and peak resident memory in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return status, usage.ru_maxrss * _RSS_UNIT


def add_texts(place: Home, name: str, texts: list[str], labels: list[int] | None) -> Path:
    """Import `texts` as data set `name`, as a user would."""
    place.root.mkdir(parents=True, exist_ok=True)
    if labels is None:
        path = place.root / f"{name}.json"
        write_json(path, [{"text": text} for text in texts])
        read = read_bios(path, column="text")
        store.add(place, name, "bios", store.rows_of_bios(read), path, read)
    else:
        path = place.root / f"{name}.tsv"
        rows = (f"bench\t{label}\t\t{text}\n" for text, label in zip(texts, labels, strict=True))
        path.write_text("".join(rows), encoding="utf-8")
        judged = read_cola(path)
        store.add(place, name, "cola", store.rows_of_cola(judged), path, judged)
    return path


def train(place: Home, task: Task, data: str, base: Path, steps: int, settings: list[str]) -> Measured:
    """A run by the worker itself, started as `bioforge train` starts it, and killed after `steps` and one more.

    The first step warms up and does not count; the time is that between the events the worker writes.
    """
    run = new_run(place, task, data, str(base), "balanced", [*ONLY_STEPS, *settings])
    began = time.time()
    process = launch(run)
    try:
        said = _steps(run, steps + 1)
    finally:
        process.kill()
        _, memory = _end(process)
    size = run.recipe().batch_size * run.recipe().accumulate
    tokens = sum(step.tokens_per_second * size / step.examples_per_second for step in said[1:])
    seconds = said[-1].time - said[0].time
    losses = [step.loss for step in said]
    return Measured(
        tokens / seconds,
        memory,
        losses,
        start=said[0].time - began,
        steps_per_second=(len(said) - 1) / seconds,
        device_memory=max(step.memory_bytes for step in said),
    )


def _steps(run: RunFolder, wanted: int) -> list[Step]:
    while True:
        history = run.history()
        said = [event for event in history if isinstance(event, Step)]
        if len(said) >= wanted:
            return said[:wanted]
        if not run.is_active():
            raise RuntimeError(f"the worker ended early: {history[-1:]} {run.log.read_text()[-2000:]}")
        time.sleep(0.2)
