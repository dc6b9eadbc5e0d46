"""`bioforge demo`: the whole journey on the bundled data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.rule import Rule
from rich.text import Text

from bioforge.cli.console import note, show
from bioforge.cli.watching import watch

if TYPE_CHECKING:
    from bioforge.models.catalog import Task
    from bioforge.paths import Home

EXAMPLE = "Example: bioforge demo --quick"
_SENTENCES = (
    "The band played until midnight.",
    "The band were played until midnight the.",
    "Which record did she say he bought?",
    "She bought herself a turntable.",
    "The turntables was on the floor.",
)
_PROMPT = "Born in Lisbon, the DJ"
_WRITER, _JUDGE = "demo-writer", "demo-judge"
_BASE = "smollm2-135m"
"""For the judge too: 720 sentences are too few to teach grammar to an encoder as small as MiniLM."""
_FULL_WRITER = ["sample_every=15", "validations_per_epoch=1"]
_QUICK_WRITER = ["epochs=1", "max_steps=6", "sample_every=5", "max_length=128", "sample_tokens=40"]
_FULL_JUDGE = ["epochs=4", "validations_per_epoch=1", "learning_rate=5e-5"]
_QUICK_JUDGE = ["epochs=1", "max_steps=12", "learning_rate=5e-5"]


def demo(
    quick: Annotated[
        bool, typer.Option("--quick", help="Under two minutes, once the bases are here.")
    ] = False,
) -> None:
    """The whole journey: fetch two bases, import the bundled data, train a writer and a judge, use both."""
    from bioforge.cli.models import pull_with_bar
    from bioforge.models.catalog import OFFLINE_BASE
    from bioforge.paths import home

    place = home()
    _title("1  Bases: a language model and an encoder")
    for base in OFFLINE_BASE.values():
        pull_with_bar(place, base)
    _title("2  Data: biographies of invented DJs, and judged sentences")
    _import(place)
    _title("3  A writer: SmolLM2 learns to write DJ biographies")
    preset = "quick" if quick else "balanced"
    _train(place, "bios", "demo-djs", _WRITER, preset, _QUICK_WRITER if quick else _FULL_WRITER)
    _title("4  A judge: SmolLM2 with a new head learns which sentences are acceptable")
    _train(place, "cola", "demo-sentences", _JUDGE, preset, _QUICK_JUDGE if quick else _FULL_JUDGE)
    _title("5  Three biographies nobody has lived")
    _write(place, 80 if quick else 160)
    _title("6  Five verdicts")
    _judge(place)
    _title("What next")
    show(
        "  your own texts      bioforge data import bios FILE.csv",
        "  CoLA itself         bioforge data import cola cola_public_1.1.zip",
        "  train on them       bioforge train bios NAME      bioforge train cola NAME",
        '  use the models      bioforge generate "Born in" --n 3      bioforge check "sentence"',
        "  the tutorials' own  bioforge models pull gpt2 bert-base-uncased",
        "  all of it in tabs   bioforge",
    )


def _title(text: str) -> None:
    show("", Rule(Text(text, style="bold"), align="left", style="dim"))


def _import(home: Home) -> None:
    from bioforge.data import bios, cola, store
    from bioforge.paths import assets

    writers, judged = assets() / "dj_bios.csv", assets() / "acceptability.tsv"
    read, sentences = bios.read_bios(writers), cola.read_cola(judged)
    _drop_older(home, "demo-djs", "demo-sentences")
    info = store.add(home, "demo-djs", "bios", store.rows_of_bios(read), writers, read)
    show(f"demo-djs: {info.size} biographies, {info.words.mean:.0f} words each on average")
    info = store.add(home, "demo-sentences", "cola", store.rows_of_cola(sentences), judged, sentences)
    show(f"demo-sentences: {info.size} sentences, {info.labels['1']} acceptable")


def _drop_older(home: Home, *names: str) -> None:
    """What an earlier version of the demo imported makes room for this one's."""
    from bioforge.data import store

    infos, _ = store.listing(home)
    for info in infos:
        if info.name in names:
            store.remove(home, info.name)


def _train(home: Home, task: Task, data: str, model: str, preset: str, settings: list[str]) -> None:
    from bioforge.runs.launch import launch
    from bioforge.runs.start import new_run

    run = new_run(home, task, data, _BASE, preset, settings, None, model, replace_model=True)
    launch(run)
    note(f"run {run.name}; Ctrl-C saves and stops")
    code = watch(run, as_json=False, stop_on_interrupt=True)
    if code:
        raise typer.Exit(code)


def _write(home: Home, tokens: int) -> None:
    from bioforge.drafting.desk import Desk
    from bioforge.drafting.order import Order
    from bioforge.drafting.prompts import Prompt
    from bioforge.generation.writer import Sampling, Writer
    from bioforge.models import store
    from bioforge.reporting.drafts import numbered

    writer = Writer.load(store.folder(home, _WRITER))
    order = Order([Prompt(_PROMPT)], 3, Sampling(tokens, top_p=0.9, temperature=0.7), seed=42)
    (outcome,) = Desk(writer).write(order)
    for number, draft in enumerate(outcome.texts, 1):
        show(*numbered(number, draft), "")
    sys.stdout.flush()


def _judge(home: Home) -> None:
    from bioforge.judging.judge import open_judge
    from bioforge.models import store
    from bioforge.reporting.scores import verdict_line

    judge = open_judge(store.folder(home, _JUDGE))
    for verdict in judge.verdicts(_SENTENCES):
        show(verdict_line(verdict.sentence, verdict.probability, verdict.acceptable))
    note("720 sentences make a judge that is often wrong; CoLA's 8,551 make a better one")
