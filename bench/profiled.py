"""The worker with one of its steps under torch's profiler.

    python -m bench.profiled gpt2-short|gpt2-long|bert [--step 4] [--set key=value …]

With a run's folder as its only argument it is the worker itself: that is how the bench starts it, in the
environment in which `bioforge train` starts a worker.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from bench import subjects
from bench.children import ONLY_STEPS, add_texts
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs import launch
from bioforge.runs.start import new_run

_STEP = "BIOFORGE_BENCH_STEP"
_ROWS = 15
_RULE = "-" * 20


def profile(place: Home, task: Task, data: str, base: Path, step: int, settings: list[str]) -> str:
    """The operations of optimizer step `step` that take the most time, as a table."""
    run = new_run(place, task, data, str(base), "balanced", [*ONLY_STEPS, *settings])
    with (
        mock.patch.object(launch, "WORKER", "bench.profiled"),
        mock.patch.dict(os.environ, {_STEP: str(step)}),
    ):
        launch.launch(run).wait()
    said = run.log.read_text(encoding="utf-8")
    if _RULE not in said:
        raise RuntimeError(f"no profile: {run.ending()} {said[-2000:]}")
    return said[said.index(_RULE) :].strip()


def work(run: str) -> None:
    """Do the run's steps up to the one that is asked for, and print the profile of that one."""
    import torch
    from torch.profiler import ProfilerActivity

    from bioforge.training import worker
    from bioforge.training.loop import Loop

    step = Loop._train_step
    left = int(os.environ[_STEP])
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)

    def profiled(loop: Any, *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left > 0:
            return step(loop, *arguments)
        with torch.profiler.profile(activities=activities) as found:
            step(loop, *arguments)
        order = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        print(
            found.key_averages().table(sort_by=order, row_limit=_ROWS, max_name_column_width=48), flush=True
        )
        os._exit(0)  # nothing of this run is to be kept

    with mock.patch.object(Loop, "_train_step", profiled):
        worker.main([run])


def main(arguments: list[str]) -> None:
    if len(arguments) == 1 and (Path(arguments[0]) / "run.json").is_file():
        work(arguments[0])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", choices=("gpt2-short", "gpt2-long", "bert"))
    parser.add_argument("--step", type=int, default=4)
    parser.add_argument("--set", action="append", default=[])
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Home(Path(folder) / "home")
        if asked.work == "bert":
            base = subjects.write_base("bert", Path(folder) / "bert")
            rows = [row for row in subjects.sentences()[0] if row.split == "train"]
            add_texts(place, "data", [row.sentence for row in rows], [row.label for row in rows])
            print(profile(place, "cola", "data", base, asked.step, asked.set))
            return
        base = subjects.write_base("gpt2", Path(folder) / "gpt2")
        texts = subjects.biographies()[0]
        add_texts(place, "data", subjects.joined(texts) if asked.work == "gpt2-long" else texts, None)
        print(profile(place, "bios", "data", base, asked.step, asked.set))


if __name__ == "__main__":
    main(sys.argv[1:])
