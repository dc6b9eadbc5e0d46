"""Makes the starters that the package ships, from CoLA and a file of biographies that you have.

Trains the three models, writes each as a delta, merges it as a user's machine will, and measures that: what the
cards say holds of what users get. Everything lies in build/starters; what was trained there is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from dataclasses import replace as replace_fields
from pathlib import Path

from bench import results
from bioforge.data import bios, cola
from bioforge.data import store as data_store
from bioforge.data.cola import IN_DOMAIN_DEV
from bioforge.data.store import DataSet
from bioforge.errors import UserError
from bioforge.evaluation.judge import evaluate_judge
from bioforge.evaluation.writer import evaluate_writer
from bioforge.files import human_size, read_json, remove_folder, write_json, write_text
from bioforge.generation.writer import Writer
from bioforge.judging.metrics import calibrate, mcc
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import delta, store
from bioforge.models.bases import folder_of
from bioforge.models.card import model_card
from bioforge.models.catalog import Task
from bioforge.models.pull import pull
from bioforge.models.store import INFO_FILE, Measure, ModelInfo
from bioforge.paths import Home, home
from bioforge.runs.events import Finished
from bioforge.runs.launch import launch
from bioforge.runs.start import new_run

ASSETS = Path(__file__).parents[1] / "assets" / "starters"
BUILD = Path(__file__).parents[1] / "build" / "starters"


@dataclass(frozen=True)
class Starter:
    name: str
    task: Task
    base: str
    rank: int
    preset: str = "balanced"
    settings: tuple[str, ...] = ()


STARTERS = (
    Starter("starter-judge-large", "cola", "mpnet-base", 16, settings=("epochs=3",)),
    Starter(
        "starter-judge",
        "cola",
        "minilm-l6",
        64,
        preset="strong",
        settings=(
            "teacher=starter-judge-large",
            "epochs=6",
            "corruptions=8",
            "learning_rate=2e-4",
            "freeze=embeddings",
        ),
    ),
    Starter(
        "starter-writer",
        "bios",
        "smollm2-135m",
        8,
        settings=("epochs=1", "lora_rank=8", "learning_rate=5e-4"),
    ),
)
"""In the order of training: the small judge learns from the large one. Ranks were chosen by in-domain dev: docs/decisions/0013-starters.md."""
_MADE = (
    "By `make starters`; shipped as the difference to the base, LoRA matrices of rank {rank} for the layers and everything "
    "behind them whole. Measured after merging; temperature and threshold were chosen then"
)


def make(
    place: Home,
    deltas: Path,
    starters: tuple[Starter, ...],
    data: dict[Task, str],
    say: Callable[[str], None],
) -> str:
    """Train what is not trained yet, write the deltas into the folder `deltas`, and return a table of them."""
    rows = []
    for starter in starters:
        if not (place.models / starter.name).exists():
            say(f"{starter.name}: training")
            _train(place, starter, data[starter.task])
        folder = deltas / starter.name
        remove_folder(folder)
        kept = delta.make(place, starter.name, starter.rank, folder)
        say(f"{starter.name}: measuring what its delta of rank {starter.rank} gives")
        figures = _measure(place, folder, data_store.load(place, data[starter.task]))
        size = sum(path.stat().st_size for path in folder.iterdir())
        rows.append(
            [
                starter.name,
                starter.base,
                str(starter.rank),
                human_size(size),
                f"{100 * kept:.1f} %",
                "; ".join(figures),
            ]
        )
    return results.table(
        ("starter", "base", "rank", "size", "change kept", "measured after merging (95 %)"), rows
    )


def _train(place: Home, starter: Starter, data: str) -> None:
    pull(place, starter.base, lambda _done, _all: None)
    run = new_run(
        place, starter.task, data, starter.base, starter.preset, list(starter.settings), 42, starter.name
    )
    launch(run).wait()
    ending = run.ending()
    if not isinstance(ending, Finished):
        raise UserError(f"the training of {starter.name} did not finish ({ending}); see {run.path}")


def _measure(place: Home, folder: Path, data: DataSet) -> list[str]:
    """Merge a delta, choose a judge's threshold and temperature anew by in-domain dev, and describe it by what is found."""
    trial = Home(place.root / "merged")
    remove_folder(trial.models)
    trial.bases.parent.mkdir(parents=True, exist_ok=True)
    if not trial.bases.exists():
        trial.bases.symlink_to(place.bases)
    info = delta.merge(trial, folder)
    if info.task == "cola":
        info = _calibrated(TorchJudge.load(store.folder(trial, info.name)), data)
        judge = replace_fields(TorchJudge.load(store.folder(trial, info.name)), info=info)
        measures = [
            measure
            for score in evaluate_judge(judge, data)
            for measure in (
                Measure(score.split, score.sentences, "mcc", score.mcc, score.interval),
                Measure(score.split, score.sentences, "accuracy", score.accuracy, score.accuracy_interval),
            )
        ]
    else:
        found = evaluate_writer(Writer.load(store.folder(trial, info.name)), info, data)
        info = replace_fields(info, metrics={"loss": found.loss, "perplexity": found.perplexity})
        split, rows = found.rows, found.documents
        measures = [
            Measure(split, rows, "perplexity", found.perplexity, found.perplexity_interval),
            Measure(split, rows, "bits_per_byte", found.bits_per_byte, found.bits_per_byte_interval),
        ]
    info = replace_fields(info, measures=measures)
    write_json(folder / INFO_FILE, asdict(info))
    rank = read_json(folder / "adapter_config.json")["r"]
    write_text(folder / "README.md", model_card(info, made=_MADE.format(rank=rank)))
    return [
        f"{measure.split.replace('_', ' ')} {measure.metric.replace('_', ' ')} {measure.value:.3f} "
        f"({measure.interval[0]:.3f} to {measure.interval[1]:.3f})"
        for measure in measures
    ]


def _calibrated(judge: TorchJudge, data: DataSet) -> ModelInfo:
    """A delta is not quite the model it was made of: its log-odds are a little elsewhere."""
    rows = data.split(IN_DOMAIN_DEV)
    labels = [int(row.label or 0) for row in rows]
    plain = replace_fields(judge, info=replace_fields(judge.info, temperature=1.0))
    raw, _ = plain.probabilities([row.text for row in rows])
    found = calibrate(labels, raw)
    metrics = {"mcc": mcc(labels, [int(probability >= 0.5) for probability in raw]), **found.metrics}
    return replace_fields(
        judge.info, metrics=metrics, threshold=found.threshold, temperature=found.temperature
    )


def import_data(place: Home, judged: Path, texts: Path, column: str | None) -> dict[Task, str]:
    read, opened = cola.read_cola(judged), bios.open_bios(texts, column)
    data_store.add(place, "cola", "cola", data_store.rows_of_cola(read), judged, read)
    data_store.add(place, "bios", "bios", data_store.rows_of_bios(opened), texts, opened)
    return {"cola": "cola", "bios": "bios"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cola", type=Path, help="CoLA: its zip, or its folder")
    parser.add_argument("bios", type=Path, help="biographies: CSV, TSV or JSON Lines")
    parser.add_argument("--column", help="the column with the texts")
    parser.add_argument("--only", nargs="*", choices=[starter.name for starter in STARTERS])
    asked = parser.parse_args()
    place = Home(BUILD)
    for starter in STARTERS:
        here = folder_of(home(), starter.base)
        if here and not (place.bases / starter.base).exists():
            place.bases.mkdir(parents=True, exist_ok=True)
            (place.bases / starter.base).symlink_to(here)
    chosen = tuple(starter for starter in STARTERS if not asked.only or starter.name in asked.only)
    try:
        data = import_data(place, asked.cola, asked.bios, asked.column)
        print(make(place, ASSETS, chosen, data, lambda line: print(line, file=sys.stderr, flush=True)))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
