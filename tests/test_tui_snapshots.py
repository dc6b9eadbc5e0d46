"""How the app looks: each tab empty, filled and failed, narrow and wide; pictures in `__snapshots__`.

After a change that is meant to be seen: pytest tests/test_tui_snapshots.py --snapshot-update, and look at them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from bioforge.data.store import DataInfo
from bioforge.errors import FaultError, UserError
from bioforge.judging.sentences import split
from bioforge.models.store import ModelInfo, publish
from bioforge.paths import Home
from bioforge.runs.events import (
    Event,
    EventWriter,
    Failed,
    Finished,
    Sample,
    Started,
    Step,
    Validation,
)
from bioforge.runs.folder import RunFolder
from bioforge.tui.app import BioforgeApp
from tests.app import Answer, direct_services, settle
from tests.helpers import make_run

NARROW, WIDE = (80, 24), (140, 45)
PROSE = (
    "Born in Leeds, she learnt the trade on her uncle's turntables. They was loud. Nobody complained twice."
)
Snap = Callable[..., bool]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Nothing that differs from one day, machine or run to the next."""
    home.root.mkdir()
    monkeypatch.chdir(home.root.parent)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("textual.widgets._input.Input.cursor_blink", False)
    monkeypatch.setattr("textual.widgets._text_area.TextArea.cursor_blink", False)


def look(
    snap_compare: Snap,
    home: Home,
    tab: str,
    size: tuple[int, int],
    before: Callable[[BioforgeApp, Pilot[None]], Any] | None = None,
    answers: dict[str, Answer] | None = None,
) -> None:
    place = Home(Path(home.root.name))
    app = BioforgeApp(place, direct_services(place, answers))

    async def prepare(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await app.open_tab(tab)
        await settle(pilot)
        if before:
            await before(app, pilot)
        # What is shown may itself ask for more: a row under the cursor for its details, these for their layout.
        for _ in range(4):
            await settle(pilot)
            await pilot.pause(0.15)

    assert snap_compare(app, terminal_size=size, run_before=prepare)


# What there is to see


def event_log(run: RunFolder, *more: Event) -> None:
    started = Started(
        device="cpu (x86_64, 2 threads)", precision="bf16", processes=1, parameters=1000, train_rows=36,
        validation_rows=4, truncated=0, max_length=256, steps=40, epochs=2, step=0, versions={},
    )  # fmt: skip
    write = EventWriter(run.events)
    write(started)
    for step in range(1, 31):
        loss = 2 + 3 / (1 + step / 6) + (0.2 if step % 3 else -0.2)
        write(
            Step(
                step=step, epoch=step / 20, loss=loss, learning_rate=1e-4, grad_norm=1.0, tokens_per_second=412.0,
                examples_per_second=3.2, eta_seconds=100.0, memory_bytes=2_100_000_000,
            )
        )  # fmt: skip
        if step in (10, 20, 30):
            write(
                Validation(
                    step=step, epoch=step / 20, train_loss=loss, metrics={"loss": loss + 0.1, "perplexity": 20.0},
                    training_seconds=30.0, validation_seconds=2.0, best=step == 30,
                )
            )  # fmt: skip
            write(Sample(step=step, prompt="", text=PROSE, ended=True))
    for event in more:
        write(event)
    write.close()


def add_run(home: Home, name: str, base: Path, *more: Event) -> RunFolder:
    made = make_run(home, "bios", "djs", base, sample_every=10)
    path = home.runs / name
    made.path.rename(path)
    event_log(RunFolder(path), *more)
    return RunFolder(path)


def add_model(home: Home, name: str, task: str) -> None:
    source = home.root / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "config.json").write_text("{}", encoding="utf-8")
    (source / "model.safetensors").write_bytes(b"w" * 2000)
    publish(
        home,
        source,
        ModelInfo(
            name=name,
            task=task,  # type: ignore[arg-type]
            base="gpt2",
            base_source="hub: openai-community/gpt2",
            created="2999-01-01T00:00:00+00:00",  # the card shows the date, the list an age of "now"
            run="2026-01-02-0304-bios-quiet-otter",
            data="djs",
            data_fingerprint="f" * 64,
            recipe={},
            metrics={"loss": 2.5, "perplexity": 12.2} if task == "bios" else {"loss": 0.5, "mcc": 0.41},
            step=10,
            max_length=64,
            threshold=None if task == "bios" else 0.6,
            parameters=[("wte.weight", (50257, 768)), ("h.0.ln_1.weight", (768,)), ("ln_f.weight", (768,))],
        ),
    )


FINISHED = Finished(
    step=30,
    best_step=30,
    metrics={"loss": 2.6, "perplexity": 13.5},
    model="djs",
    seconds=92.0,
    reason="max_steps",
)
FAILED = Failed(step=30, message="the loss is nan; lower learning_rate [/red]")


# Data


@pytest.mark.parametrize("size", [NARROW])
def test_data_empty(snap_compare: Snap, home: Home, size: tuple[int, int]) -> None:
    look(snap_compare, home, "data", size)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_data_filled(
    snap_compare: Snap, home: Home, djs: DataInfo, sentences: DataInfo, size: tuple[int, int]
) -> None:
    look(snap_compare, home, "data", size)


def test_data_failed(snap_compare: Snap, home: Home, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.csv"
    hostile.write_text('bio,year\n"[/red] one",1990\n"two, [x]"\n"",1991\n"three",1992\n', encoding="utf-8")

    async def import_it(app: BioforgeApp, pilot: Pilot[None]) -> None:
        await pilot.press("i")
        await settle(pilot)
        app.screen.query_one("#import-path", Input).value = str(hostile)
        app.screen.query_one("#import-path", Input).focus()
        await pilot.press("enter")
        await settle(pilot)
        app.screen.query_one("#import-path", Input).value = "hostile.csv"

    look(snap_compare, home, "data", WIDE, import_it)


# Train


def test_train_empty(snap_compare: Snap, home: Home) -> None:
    look(snap_compare, home, "train", NARROW)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_train_filled(
    snap_compare: Snap, home: Home, djs: DataInfo, tiny_gpt2: Path, size: tuple[int, int]
) -> None:
    add_run(home, "2026-01-02-0304-bios-quiet-otter", tiny_gpt2, FINISHED)
    look(snap_compare, home, "train", size, open_first)


def test_train_failed(snap_compare: Snap, home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    add_run(home, "2026-01-02-0304-bios-quiet-otter", tiny_gpt2, FAILED)
    look(snap_compare, home, "train", NARROW, open_first)


def test_train_new(snap_compare: Snap, home: Home, djs: DataInfo) -> None:
    async def new(app: BioforgeApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")

    look(snap_compare, home, "train", WIDE, new)


async def open_first(app: BioforgeApp, pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await settle(pilot)
    await pilot.pause(0.6)


# Generate


def write_texts(n: int, on_progress: Any, **_: Any) -> list[dict[str, Any]]:
    on_progress({"writing": "writer"})
    for index in range(n):
        on_progress({"text": index, "more": PROSE})
    facts = ("longest copy 3 words: “drank the pub”", "nothing copied")
    return [
        {"text": PROSE, "tokens": 24, "ended": at % 2 == 0, "whole": at % 2 == 0, "facts": facts[at % 2]}
        for at in range(n)
    ]


async def write(app: BioforgeApp, pilot: Pilot[None]) -> None:
    app.screen.query_one("#field-seed Input", Input).value = "7"
    await pilot.press("g")
    await settle(pilot)


def test_generate_empty(snap_compare: Snap, home: Home) -> None:
    look(snap_compare, home, "generate", NARROW)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_generate_filled(snap_compare: Snap, home: Home, size: tuple[int, int]) -> None:
    add_model(home, "writer", "bios")
    look(snap_compare, home, "generate", size, write, {"models.generate": write_texts})


def test_generate_failed(snap_compare: Snap, home: Home) -> None:
    def crash(**_: Any) -> None:
        raise FaultError("the helper process ended (exit -9); it starts again with the next request")

    add_model(home, "writer", "bios")
    look(snap_compare, home, "generate", NARROW, write, {"models.generate": crash})


# Check


def judge(model: str, text: str, on_progress: Any) -> dict[str, Any]:
    found = [(start, end, p, False) for (start, end), p in zip(split(text), (0.93, 0.12, 0.61), strict=True)]
    on_progress({"judged": len(found), "of": len(found)})
    return {"threshold": 0.6, "sentences": found}


async def type_prose(app: BioforgeApp, pilot: Pilot[None]) -> None:
    app.screen.query_one("#check-text", TextArea).text = PROSE
    await pilot.pause(0.8)


def test_check_empty(snap_compare: Snap, home: Home) -> None:
    look(snap_compare, home, "check", NARROW)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_check_filled(snap_compare: Snap, home: Home, size: tuple[int, int]) -> None:
    add_model(home, "judge", "cola")
    look(snap_compare, home, "check", size, type_prose, {"models.judge_text": judge})


def test_check_failed(snap_compare: Snap, home: Home) -> None:
    def refuse(**_: Any) -> None:
        raise UserError("the model 'judge' is damaged: model.safetensors [/red] cannot be read")

    add_model(home, "judge", "cola")
    look(snap_compare, home, "check", NARROW, type_prose, {"models.judge_text": refuse})


# Models


def test_models_empty(snap_compare: Snap, home: Home) -> None:
    look(snap_compare, home, "models", NARROW)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_models_filled(snap_compare: Snap, home: Home, size: tuple[int, int]) -> None:
    add_model(home, "writer", "bios")
    add_model(home, "judge", "cola")
    look(snap_compare, home, "models", size)


def test_models_failed(snap_compare: Snap, home: Home) -> None:
    add_model(home, "judge", "cola")
    (home.models / "broken").mkdir()
    look(snap_compare, home, "models", NARROW)
