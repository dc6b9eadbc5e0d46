"""What the fast path must not cost: the loss, step by step, and the judge's MCC, against plain fp32 loops.

The plain loops are the tutorials' without their mistakes: float32, every text padded to one length, no
bucketing, no packing; padding is not learnt.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from bench import results, subjects
from bench.children import add_texts, ask, train
from bioforge.data import store
from bioforge.data.split import train_and_validation
from bioforge.errors import UserError
from bioforge.models import store as models
from bioforge.models.catalog import OFFLINE_BASE, Task
from bioforge.models.pull import pull
from bioforge.paths import Home, home
from bioforge.runs import recipe as recipes
from bioforge.runs.events import Finished, Validation
from bioforge.runs.launch import launch
from bioforge.runs.start import new_run

STEPS = 30
SEEDS = (42, 43, 44)
_EPOCHS = 3
_WARMUP = 5


def equal_loss(folder: Path) -> str:
    """Mean loss of the last third of some steps: our worker's, and a plain loop's over the same batches."""
    place = Home(folder / "loss")
    rows = []
    for task, base, texts, labels in _works(folder):
        rate = 3e-4 if task == "bios" else 1e-4
        spare = texts[:1], labels[:1] if labels else []
        add_texts(place, task, [*texts, spare[0][0] + " Again."], [*labels, *spare[1]] if labels else None)
        settings = ["seed=42", f"learning_rate={rate}", f"warmup_steps={_WARMUP}"]
        ours = train(place, task, task, base, STEPS, settings).losses
        kept, _ = train_and_validation(store.load(place, task), 0.001, 42, official=False)
        job = {
            "task": task,
            "base": str(base),
            "texts": [row.text for row in kept],
            "labels": [row.label for row in kept],
            "seed": 42,
            "steps": STEPS + 1,
            "learning_rate": rate,
            "warmup": _WARMUP,
            "batch_size": recipes.preset(task, "balanced").batch_size,
        }
        plain = ask("bench.plain", "losses", job)[0]["losses"]
        third = STEPS // 3
        one, other = statistics.mean(plain[-third:]), statistics.mean(ours[-third:])
        apart = statistics.mean(a - b for a, b in zip(ours[-third:], plain[-third:], strict=True))
        rows.append(
            [
                f"{'small GPT-2' if task == 'bios' else OFFLINE_BASE['cola']}, {task}",
                f"{statistics.mean(plain[:3]):.3f}",
                f"{one:.4f}",
                f"{other:.4f}",
                f"{apart:+.4f}",
            ]
        )
        print(f"loss: {', '.join(rows[-1])}", file=sys.stderr, flush=True)
    head = (
        "work",
        "plain, first 3 steps",
        f"plain fp32, last {STEPS // 3}",
        "bioforge, the same steps",
        "apart",
    )
    return (
        f"The same loss: {STEPS} steps of our worker, bf16 where the machine computes it, and of a plain float32 loop over the "
        "same batches, padded, with the base's attention dropout:\n\n" + results.table(head, rows)
    )


def _works(folder: Path) -> list[tuple[Task, Path, list[str], list[int]]]:
    """Each task with a base that is quick to train, and texts for some steps."""
    small = folder / "small"
    base = small if small.exists() else subjects.write_base("small", small)
    texts = [text for text in subjects.biographies()[0] if len(text.split()) < 80]
    works: list[tuple[Task, Path, list[str], list[int]]] = [("bios", base, texts[: 8 * (STEPS + 1)], [])]
    try:
        judge = pull(home(), OFFLINE_BASE["cola"], lambda _done, _all: None).folder
    except UserError as error:
        print(f"no loss of a judge: {error}", file=sys.stderr)
        return works
    rows = [row for row in subjects.sentences()[0] if row.split == "train"][: 32 * (STEPS + 1)]
    works.append(("cola", judge, [row.sentence for row in rows], [row.label for row in rows]))
    return works


def equal_mcc(folder: Path) -> str:
    """Held-out MCC of our fast path and of its plain counterpart, same recipe, three seeds."""
    judge = pull(home(), OFFLINE_BASE["cola"], lambda _done, _all: None).folder
    place = Home(folder / "mcc")
    judgements, _ = subjects.sentences()
    rows = [row for row in judgements if row.split == "train"]
    chosen = rows[:: max(1, len(rows) // 2000)][:2000]
    add_texts(place, "some", [row.sentence for row in chosen], [row.label for row in chosen])
    plain = ["precision=fp32", "padding=max_length", "bucketing=false", "max_length=64"]
    held = [row.sentence for row in judgements if row.split != "train"] or [row.sentence for row in chosen]
    agreed: list[dict[str, Any]] = []
    scores: dict[str, list[float]] = {"bioforge": [], "plain fp32, padded": []}
    for seed in SEEDS:
        for name, settings in (("bioforge", []), ("plain fp32, padded", plain)):
            common = [f"epochs={_EPOCHS}", "learning_rate=1e-4", "patience=0", "validation_fraction=0.25"]
            asked = [*common, "official_validation=false", f"seed={seed}", *settings]
            run = new_run(place, "cola", "some", str(judge), "balanced", asked)
            launch(run).wait()
            ending = run.ending()
            if not isinstance(ending, Finished):
                raise RuntimeError(f"the worker ended with {ending}")
            measured = [event for event in run.history() if isinstance(event, Validation)]
            scores[name].append(max(event.metrics["mcc"] for event in measured))
            if name == "bioforge":
                job = {"model": str(models.folder(place, ending.model)), "texts": held}
                agreed.append(ask("bench.ours", "agree", job)[0])
            print(f"quality: seed {seed}, {name}: {scores[name][-1]:.3f}", file=sys.stderr, flush=True)
    table = [
        [name, *(f"{score:.3f}" for score in found), f"{statistics.mean(found):.3f}"]
        for name, found in scores.items()
    ]
    return (
        f"The same judge: {OFFLINE_BASE['cola']}, {len(chosen):,} sentences, {_EPOCHS} epochs, best MCC on the quarter held out:\n\n"
        + results.table(("", *(f"seed {seed}" for seed in SEEDS), "mean"), table)
        + f"\n\nOf these judges' verdicts on {len(held):,} other sentences, in bf16 at once against float32 a few at a time, "
        f"{sum(found['changed'] for found in agreed)} of {len(agreed) * len(held):,} differ; probabilities by at most "
        f"{max(found['apart'] for found in agreed):.3f}."
    )
