"""The Train tab, every action."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList, ProgressBar, Select, Static

from bioforge.data.store import DataInfo
from bioforge.errors import FaultError, UserError
from bioforge.models.store import free_name
from bioforge.paths import Home
from bioforge.runs import folder
from bioforge.runs.events import (
    Checkpoint,
    Event,
    EventWriter,
    Failed,
    Finished,
    Preparing,
    Sample,
    Started,
    Step,
    Stopped,
    Validation,
)
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import new_run
from bioforge.service.client import Services
from bioforge.tui.app import BioforgeApp
from bioforge.tui.tabs.train import TrainTab
from bioforge.tui.widgets.chart import Chart
from bioforge.tui.widgets.new_run import NewRun
from bioforge.tui.widgets.run_view import RunView
from tests.app import Answer, dialog_open, direct_services, fake_services, messages, running, settle, shown
from tests.helpers import make_run
from tests.test_tui_models import add_model

BASE = "smollm2-135m"


def started(at: int = 0, *, truncated: int = 0) -> Started:
    return Started(
        device="cpu (x86, 1 thread)", precision="fp32", processes=1, parameters=1, train_rows=36,
        validation_rows=4, truncated=truncated, max_length=8, steps=200, epochs=2, step=at, versions={},
    )  # fmt: skip


def step(at: int, loss: float = 1.0) -> Step:
    return Step(
        step=at, epoch=at / 100, loss=loss, learning_rate=1e-4, grad_norm=1.0, tokens_per_second=1234.0,
        examples_per_second=3.0, eta_seconds=125.0, memory_bytes=5_000_000,
    )  # fmt: skip


def validation(at: int) -> Validation:
    return Validation(
        step=at, epoch=at / 100, train_loss=2.125, metrics={"loss": 3.5, "perplexity": 33.1},
        training_seconds=1.0, validation_seconds=1.0, best=True,
    )  # fmt: skip


FINISHED = Finished(
    step=200, best_step=100, metrics={"loss": 3.5, "perplexity": 33.1}, model="djs", seconds=61.0,
    reason="last epoch",
)  # fmt: skip
STOPPED = Stopped(step=2, reason="asked to stop")


def told(run: RunFolder, *events: Event) -> RunFolder:
    write = EventWriter(run.events)
    for event in events:
        write(event)
    write.close()
    return run


@pytest.fixture
def new(home: Home, djs: DataInfo, tiny_gpt2: Path) -> Callable[..., RunFolder]:
    return lambda *events: told(make_run(home, "bios", "djs", tiny_gpt2), *events)


@pytest.fixture
def base(home: Home, tiny_gpt2: Path) -> Path:
    """A base of the catalog that is here."""
    return Path(shutil.copytree(tiny_gpt2, home.bases / BASE))


def estimate(**asked: Any) -> dict[str, Any]:
    return {"seconds": 3725.0, "steps": 40, "tokens": 5, "basis": "as fast as [/x]"}


def services(**answers: Answer) -> Services:
    """What the tabs ask for by themselves, and what a test adds."""
    told: dict[str, Answer] = {
        "data.describe": lambda name, seed, rows=8: {"lines": [], "rows": [], "unacceptable": []},
        "data.lengths": lambda **_: {"words": [], "tokens": [], "base": "", "missing": ""},
        "training.estimate": estimate,
    }
    return fake_services({**told, **{name.replace("__", "."): answer for name, answer in answers.items()}})


async def until(pilot: Pilot[Any], condition: Callable[[], Any]) -> None:
    for _ in range(400):
        if condition():
            return
        await pilot.pause(0.03)
    pytest.fail("waited in vain")


async def look_again(app: BioforgeApp, pilot: Pilot[Any]) -> None:
    """What the app does twice a second, now."""
    await settle(pilot)
    app._poll_runs()
    await settle(pilot)
    for view in app.query(RunView):
        await view.poll()
    await pilot.pause()


async def opened(app: BioforgeApp, pilot: Pilot[Any]) -> TrainTab:
    tab = await app.open_tab("train")
    await look_again(app, pilot)
    assert isinstance(tab, TrainTab)
    return tab


async def open_first(app: BioforgeApp, pilot: Pilot[Any]) -> RunView:
    await opened(app, pilot)
    await pilot.press("enter")
    await until(pilot, lambda: app.query(RunView) and app.query_one(RunView).snapshot)
    return app.query_one(RunView)


async def open_form(app: BioforgeApp, pilot: Pilot[Any]) -> NewRun:
    await opened(app, pilot)
    await pilot.press("n")
    await until(pilot, lambda: app.query(NewRun) and app.query_one(NewRun).plan)
    await settle(pilot)
    return app.query_one(NewRun)


def listed(app: BioforgeApp) -> list[list[str]]:
    table = app.query_one("#runs-list", DataTable)
    return [[str(cell) for cell in table.get_row_at(at)] for at in range(table.row_count)]


def requests(run: RunFolder) -> list[dict[str, Any]]:
    if not run.control.exists():
        return []
    return [json.loads(line) for line in run.control.read_text(encoding="utf-8").splitlines()]


def field(app: BioforgeApp, name: str) -> Text:
    cell = app.query_one("#new-settings", DataTable).get_cell(name, "value")
    assert isinstance(cell, Text)
    return cell


# The list


async def test_without_runs_the_tab_says_what_to_do_next(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        tab = await opened(app, pilot)
        assert "Press n" in shown(app, "#runs-empty")
        assert not app.query_one("#runs-list").display
        assert [action.name for action in tab.ACTIONS if tab.can(action.name)] == ["new"]
        await pilot.press("s", "x", "enter", "escape")
        assert app.screen is app.screen_stack[0]


async def test_runs_are_listed_with_what_became_of_them(home: Home, new: Callable[..., RunFolder]) -> None:
    finished, stopped = new(started(), step(1), validation(1), FINISHED), new(started(), step(2), STOPPED)
    failed = new(started(), Failed(step=2, message="[/red] [x]"))
    broken, active = new(started(), step(3)), new(started(), step(50))
    with active.lock():
        async with running(home, services()) as (app, pilot):
            await opened(app, pilot)
            rows = listed(app)
            runs = [active, broken, failed, stopped, finished]
            assert [row[1] for row in rows] == [run.name[16:] for run in runs]
            assert [row[0] for row in rows] == ["●", "■", "✗", "■", "✓"]
            assert [row[2] for row in rows] == [
                "25 %, 0:02:05 left",
                "interrupted",
                "failed",
                "stopped",
                "perplexity 33.1",
            ]
            assert {row[3] for row in rows} == {"djs"} and {row[4] for row in rows} == {"now"}


async def test_the_list_follows_what_happens_and_keeps_its_cursor(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    first = new(started(), step(2), STOPPED)
    second = new(started(), step(2), STOPPED)
    async with running(home, services()) as (app, pilot):
        tab = await opened(app, pilot)
        await pilot.press("down")
        assert tab._chosen and tab._chosen.run == first
        third = new()
        with third.lock():
            await look_again(app, pilot)
            assert [row[2] for row in listed(app)] == ["starting", "stopped", "stopped"]
            assert tab._chosen.run == first
            told(third, started(), step(100))
            await look_again(app, pilot)
            assert listed(app)[0][2].startswith("50 %")
        folder.remove(second)
        await look_again(app, pilot)
        assert [row[2] for row in listed(app)] == ["interrupted", "stopped"]
        assert tab._chosen.run == first


# One run


async def test_enter_opens_the_run_and_it_is_followed(home: Home, new: Callable[..., RunFolder]) -> None:
    run = new()
    with run.lock():
        told(run, Preparing(stage="loading the base"))
        async with running(home, services(), size=(180, 50)) as (app, pilot):
            view = await open_first(app, pilot)
            assert view.run == run
            assert run.name in shown(app, "#run-title") and "djs on tiny-gpt2" in shown(app, "#run-title")
            assert "loading the base" in shown(app, "#run-figures")
            hostile = Sample(step=2, prompt="[b]", text="Lou [/red] [x] \x1b[31m plays", ended=False)
            told(run, started(truncated=3), step(1, 4.0), step(2, 3.25), validation(2), hostile)
            told(run, Checkpoint(step=2, folder="step-2", seconds=0.5))
            await look_again(app, pilot)
            assert shown(app, "#step-note") == "2 of 200 · 0:02:05 left"
            assert shown(app, "#epoch-note") == "0.02 of 2"
            bar = app.query_one("#step-bar", ProgressBar)
            assert (bar.progress, bar.total) == (2, 200)
            figures = shown(app, "#run-figures")
            for part in ("loss 3.250", "lr 1.0e-04", "1,234 tokens/s", "3.0 texts/s", "5.0 MB", "fp32"):
                assert part in figures
            assert "3 of 36" in shown(app, "#run-words")
            assert "last saved at step 2" in shown(app, "#run-words")
            assert any("⠁" <= sign <= "⣿" for sign in app.query_one("#run-chart", Chart).render().plain)
            samples = rendered(app, "#run-samples")
            assert "Lou [/red] [x] \N{REPLACEMENT CHARACTER}[31m plays …" in samples
            assert "prompt: [b]" in samples
            assert "Perplexity" in rendered(app, "#run-table")


def rendered(app: BioforgeApp, selector: str) -> str:
    """The words of a widget as they are laid out."""
    widget = app.query_one(selector, Static)
    lines = ("".join(part.text for part in widget.render_line(y)) for y in range(widget.size.height))
    return " ".join(" ".join(lines).split())


async def test_the_end_of_a_run_is_told_with_what_to_do_next(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    run = new(started(), step(1), step(2))
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        words = shown(app, "#run-words")
        assert str(run.log) in words and "r goes on" in words
        told(run, STOPPED)
        await look_again(app, pilot)
        assert "stopped at step 2 (asked to stop); r goes on" in shown(app, "#run-words")
        told(run, started(2), step(3), FINISHED)
        await look_again(app, pilot)
        words = shown(app, "#run-words")
        assert "the model 'djs' is step 100" in words and "tab 3" in words
        assert shown(app, "#epoch-note").startswith("0.03")


@pytest.mark.parametrize(
    ("failed", "hint"),
    [
        (Failed(step=2, message="no room"), "no room; r goes on from the last checkpoint"),
        (Failed(step=0, message="no room"), "no room; r tries again"),
        (Failed(step=2, message="a lower learning rate", diverged=True), "a lower learning rate"),
    ],
    ids=["learnt", "nothing-learnt", "diverged"],
)
async def test_what_helps_after_a_failure_is_said_where_it_helps(
    home: Home, new: Callable[..., RunFolder], failed: Failed, hint: str
) -> None:
    new(started(), failed)
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        assert shown(app, "#run-words") == f"failed at step {failed.step}: {hint}"


async def test_a_failure_shows_its_message_untouched(home: Home, new: Callable[..., RunFolder]) -> None:
    new(started(), step(1), Failed(step=1, message="no [/red] room [x] for [bold]it"))
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        assert "failed at step 1: no [/red] room [x] for [bold]it" in shown(app, "#run-words")
        assert "[/red] room [x] for [bold]it" in rendered(app, "#run-words")


async def test_a_loss_that_is_no_number_is_said_and_not_drawn(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    run = new()
    with run.lock():
        told(run, started(), step(1, 4.0), step(2, 3.0), step(3, math.nan), step(4, math.inf))
        async with running(home, services()) as (app, pilot):
            view = await open_first(app, pilot)
            assert "the loss was nan or infinite at step 4" in shown(app, "#run-words")
            assert "loss inf" in shown(app, "#run-figures")
            assert view.snapshot and view.snapshot.losses == ((1, 4.0), (2, 3.0))


async def test_one_step_is_no_curve(home: Home, new: Callable[..., RunFolder]) -> None:
    new(started(), step(1))
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        assert "second step" in app.query_one("#run-chart", Chart).render().plain


async def test_escape_closes_the_run_and_the_list_has_the_focus(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    new(started(), step(1))
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert not app.query(RunView)
        assert app.focused is app.query_one("#runs-list")
        assert app.query_one("#train-choose").display


async def test_a_run_removed_by_another_program_is_closed(home: Home, new: Callable[..., RunFolder]) -> None:
    run, other = new(started(), step(1)), new(started(), step(1))
    async with running(home, services()) as (app, pilot):
        view = await open_first(app, pilot)
        assert view.run == other
        folder.remove(other)
        await view.poll()
        await look_again(app, pilot)
        await settle(pilot)
        assert not app.query(RunView)
        assert [row[1] for row in listed(app)] == [run.name[16:]]
        assert [path.name for path in home.runs.iterdir()] == [run.name]
        assert app.return_code is None


async def test_a_run_that_vanished_since_it_was_listed_is_one_message(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    run = new(started(), step(1))
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        folder.remove(run)
        await pilot.press("enter")
        await settle(pilot)
        assert any(f"no run '{run.name}'" in message for message in messages(app))
        assert not app.query(RunView)


# Stop, save, sample, resume, remove


async def test_a_running_run_is_asked_to_save_to_write_and_to_stop(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    run = new(started(), step(1))
    with run.lock():
        async with running(home, services()) as (app, pilot):
            tab = await opened(app, pilot)
            can = {action.name for action in tab.ACTIONS if tab.can(action.name)}
            assert can == {"new", "stop", "save", "sample", "report"}
            await pilot.press("v")
            await settle(pilot)
            assert requests(run) == [{"request": "save"}]
            await pilot.press("p")
            await dialog_open(pilot)
            app.screen.query_one("#answer", Input).value = "DJ [/x] žlu"
            await pilot.press("enter")
            await settle(pilot)
            assert requests(run)[1:] == [{"request": "sample", "prompt": "DJ [/x] žlu"}]
            await pilot.press("p")
            await dialog_open(pilot)
            await pilot.press("escape")
            await settle(pilot)
            assert len(requests(run)) == 2
            await pilot.press("s")
            await settle(pilot)
            assert requests(run)[2:] == [{"request": "stop"}]
            assert f"{run.name} saves and stops" in messages(app)


async def test_a_run_at_rest_takes_no_requests(home: Home, new: Callable[..., RunFolder]) -> None:
    run = new(started(), step(2), STOPPED)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("s", "v", "p", "o")
        await settle(pilot)
        assert requests(run) == []
        assert app.screen is app.screen_stack[0]


async def test_resume_goes_on_and_opens_the_run(
    home: Home, new: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new(started(), step(2), STOPPED)
    resumed: list[RunFolder] = []
    monkeypatch.setattr("bioforge.tui.tabs.train.launch", resumed.append)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("r")
        await settle(pilot)
        assert resumed == [run]
        assert app.query_one(RunView).run == run
        with run.lock():
            told(run, started(2), step(3))
            await look_again(app, pilot)
            assert "running" in shown(app, "#run-title")

            def refuse(_: RunFolder) -> None:
                raise UserError("already running [here]")

            monkeypatch.setattr("bioforge.tui.tabs.train.launch", refuse)
            await pilot.press("r")
            assert resumed == [run]
        await look_again(app, pilot)
        await pilot.press("r")
        await settle(pilot)
        assert "already running [here]" in messages(app)


async def test_a_run_is_removed_after_asking_and_only_at_rest(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    run = new(started(), step(2), STOPPED)
    async with running(home, services()) as (app, pilot):
        await open_first(app, pilot)
        with run.lock():
            told(run, started(2))
            await look_again(app, pilot)
            await pilot.press("x")
            await settle(pilot)
            assert app.screen is app.screen_stack[0]
        await look_again(app, pilot)
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert run.path.exists()
        await pilot.press("delete")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert not run.path.exists()
        assert not app.query(RunView)
        await look_again(app, pilot)
        assert listed(app) == [] and app.query_one("#runs-empty").display
        assert list(home.runs.iterdir()) == []


async def test_another_run_is_drawn_over_this_one_and_taken_away(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    other = new(started(), step(1, 9.0), step(2, 8.0), validation(2))
    new(started(), step(1, 4.0), step(2, 3.0))
    async with running(home, services()) as (app, pilot):
        view = await open_first(app, pilot)
        chart = app.query_one("#run-chart", Chart)
        assert [curve.label for curve in chart._curves] == ["training loss"]
        await pilot.press("o")
        await dialog_open(pilot)
        options = app.screen.query_one(OptionList)
        assert options.option_count == 1 and other.name in str(options.get_option_at_index(0).prompt)
        await pilot.press("enter")
        await settle(pilot)
        labels = [curve.label for curve in chart._curves]
        assert labels == [
            "training loss",
            f"training loss {other.name[16:]}",
            f"validation loss {other.name[16:]}",
        ]
        assert chart._curves[1].points == ((1, 9.0), (2, 8.0)) and view.has_overlay
        await pilot.press("o")
        await dialog_open(pilot)
        assert str(app.screen.query_one(OptionList).get_option_at_index(0).prompt) == "none"
        await pilot.press("enter")
        await settle(pilot)
        assert [curve.label for curve in chart._curves] == ["training loss"]
        assert not view.has_overlay


async def test_a_report_is_written_where_it_is_wanted(
    home: Home, new: Callable[..., RunFolder], tmp_path: Path
) -> None:
    run = new(started(), *(step(at) for at in range(1, 9)), validation(8), FINISHED)
    target = tmp_path / "mine.html"
    target.write_text("old")
    async with running(home, direct_services(home)) as (app, pilot):
        await open_first(app, pilot)
        await pilot.press("e")
        await dialog_open(pilot)
        assert app.screen.query_one(Input).value.endswith(f"{run.name}.html")
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert any(str(target) in message for message in messages(app))
    page = target.read_text(encoding="utf-8")
    assert run.name in page and "perplexity" in page.lower() and "<svg" in page


# A new run


async def test_without_data_the_form_says_where_to_get_some(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await settle(pilot)
        assert app.query_one(NewRun).plan is None
        await pilot.press("g")
        await settle(pilot)
        assert shown(app, "#new-hint") == "choose data and a base first"
        await pilot.press("escape")
        await settle(pilot)
        assert not app.query(NewRun)


async def test_the_form_offers_data_bases_and_presets_and_estimates_the_time(
    home: Home, djs: DataInfo, sentences: DataInfo, base: Path
) -> None:
    told = services()
    async with running(home, told) as (app, pilot):
        form = await open_form(app, pilot)
        data = app.query_one("#new-data", Select)
        data.value = "djs"
        await settle(pilot)
        plan = form.plan
        assert plan and (plan.task, plan.base, plan.preset, plan.model) == ("bios", BASE, "balanced", "djs")
        assert shown(app, "#new-estimate") == "about 1:02:05 for 40 steps (as fast as [/x])"
        assert field(app, "epochs").plain == "3" and field(app, "attention_dropout").plain == "0"
        # The base's own wish, rather than the preset's.
        assert field(app, "learning_rate").plain == "0.0001"
        app.query_one("#new-preset", Select).value = "tutorial"
        await settle(pilot)
        assert field(app, "epochs").plain == "5" and field(app, "learning_rate").plain == "0.0005"
        asked = [arguments for task, arguments in told.models.calls if task == "training.estimate"]  # type: ignore[attr-defined]
        assert asked[-1] == {
            "task": "bios", "data": "djs", "base": BASE, "preset": "tutorial", "settings": [],
        }  # fmt: skip
        data.value = "sentences"
        await settle(pilot)
        assert form.plan and form.plan.task == "cola"
        assert form.plan.model == free_name(home, "sentences")
        assert field(app, "batch_size").plain == "32"
        estimates = len(asked)
        app.query_one("#new-base", Select).value = "bert-base-uncased"
        await settle(pilot)
        assert "fetched first (441.0 MB)" in shown(app, "#new-estimate")
        assert len(asked) == estimates


async def test_a_preset_for_judges_is_not_kept_for_a_writer(
    home: Home, djs: DataInfo, sentences: DataInfo, base: Path
) -> None:
    async with running(home, services()) as (app, pilot):
        form = await open_form(app, pilot)
        data, preset = app.query_one("#new-data", Select), app.query_one("#new-preset", Select)
        data.value = "sentences"
        await settle(pilot)
        preset.value = "strong"
        await settle(pilot)
        assert form.plan and form.plan.preset == "strong" and field(app, "corruptions").plain == "3"
        data.value = "djs"
        await settle(pilot)
        assert form.plan.preset == "balanced" and field(app, "corruptions").plain == "0"
        assert [value for _, value in preset._options] == ["balanced", "quick", "tutorial"]
        preset.value = "quick"
        data.value = "sentences"
        await settle(pilot)
        assert form.plan.preset == "quick" and "strong" in [value for _, value in preset._options]


async def test_a_recipe_that_cannot_be_made_is_said_and_the_app_stays(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("no such [recipe]")

    async with running(home, services()) as (app, pilot):
        await open_form(app, pilot)
        await pilot.press("down", "enter", "9")
        monkeypatch.setattr("bioforge.tui.widgets.new_run.build_recipe", refuse)
        await pilot.press("enter", "down")
        await settle(pilot)
        assert shown(app, "#new-hint") == "no such [recipe]" and app._exception is None


async def test_only_bases_of_the_catalog_are_said_to_be_fetched(
    home: Home, djs: DataInfo, base: Path
) -> None:
    def refuse(base: str, **_: Any) -> dict[str, Any]:
        if base == BASE:
            return estimate()
        raise UserError(f"no base '{base}' [here]")

    async with running(home, services(training__estimate=refuse)) as (app, pilot):
        await open_form(app, pilot)
        app.query_one("#new-base", Select).value = "…"
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = "owner/name"
        await pilot.press("enter")
        await settle(pilot)
        assert shown(app, "#new-estimate") == "no base 'owner/name' [here]"


async def test_an_encoder_is_offered_for_judging_only(home: Home, djs: DataInfo, base: Path) -> None:
    async with running(home, services()) as (app, pilot):
        await open_form(app, pilot)
        offered = [value for _, value in app.query_one("#new-base", Select)._options]
        assert "gpt2" in offered and BASE in offered
        assert not {"bert-base-uncased", "minilm-l6"} & set(offered)


async def test_an_estimate_that_fails_says_why_and_the_form_stays(
    home: Home, djs: DataInfo, base: Path
) -> None:
    def refuse(**_: Any) -> None:
        raise FaultError("the helper [/x] ended")

    async with running(home, services(training__estimate=refuse)) as (app, pilot):
        form = await open_form(app, pilot)
        assert shown(app, "#new-estimate") == "the helper [/x] ended"
        assert form.plan


async def test_a_field_is_checked_as_it_is_typed_and_applied_when_it_will_do(
    home: Home, djs: DataInfo, base: Path
) -> None:
    told = services()
    async with running(home, told) as (app, pilot):
        form = await open_form(app, pilot)
        assert app.focused is app.query_one("#new-settings")
        await pilot.press("down")
        assert shown(app, "#new-field") == "epochs"
        assert "passes over the training rows" in shown(app, "#new-hint")
        await pilot.press("enter")
        value = app.query_one("#new-value", Input)
        assert app.focused is value and value.value == "3"
        await pilot.press("x")
        assert value.value == "x" and value.has_class("-invalid")
        assert "expected a whole number" in shown(app, "#new-hint")
        await pilot.press("enter")
        await settle(pilot)
        assert form.plan and form.plan.settings == {} and field(app, "epochs").plain == "3"
        assert app.focused is value
        await pilot.press("backspace", "0")
        assert "must be between 1 and 1000" in shown(app, "#new-hint")
        await pilot.press("backspace", "7")
        assert not value.has_class("-invalid")
        await pilot.press("enter")
        await settle(pilot)
        assert form.plan.settings == {"epochs": "7"}
        assert field(app, "epochs").plain == "7" and "bold" in str(field(app, "epochs").style)
        assert "bold" not in str(field(app, "seed").style)
        assert told.models.calls[-1][1]["settings"] == ["epochs=7"]  # type: ignore[attr-defined]
        assert app.focused is app.query_one("#new-settings")


async def test_leaving_a_field_applies_it_or_puts_it_back(home: Home, djs: DataInfo, base: Path) -> None:
    async with running(home, services()) as (app, pilot):
        form = await open_form(app, pilot)
        await pilot.press("down", "enter", "9", "escape")
        await settle(pilot)
        assert form.plan and form.plan.settings == {"epochs": "9"}
        assert app.query(NewRun), "escape leaves the field first"
        await pilot.press("enter", "x", "escape")
        await settle(pilot)
        assert form.plan.settings == {"epochs": "9"}
        assert app.query_one("#new-value", Input).value == "9"
        assert not app.query_one("#new-value").has_class("-invalid")
        # What one preset was changed to is not carried into another.
        app.query_one("#new-preset", Select).value = "quick"
        await settle(pilot)
        assert form.plan.settings == {} and field(app, "epochs").plain == "2"


async def test_a_name_in_use_is_said_and_starts_nothing(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(home, "djs")
    launched: list[RunFolder] = []
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launched.append)
    async with running(home, services()) as (app, pilot):
        await open_form(app, pilot)
        name = app.query_one("#new-name", Input)
        assert name.value == free_name(home, "djs") != "djs"
        for wrong, why in (("djs", "a model 'djs' exists"), ("../up", "is a path")):
            name.focus()
            name.value = wrong
            await pilot.pause()
            assert name.has_class("-invalid") and why in shown(app, "#new-hint")
            await pilot.press("ctrl+g")
            await settle(pilot)
            assert why in shown(app, "#new-hint")
        assert launched == [] and not home.runs.exists()
        assert not app.query_one("#new-start").disabled


async def test_start_launches_the_run_and_shows_it(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunFolder] = []

    def launch(run: RunFolder) -> None:
        launched.append(told(run, started(), step(1), step(2)))

    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launch)
    async with running(home, services()) as (app, pilot):
        await open_form(app, pilot)
        await pilot.press("down", "enter", "9", "enter")
        app.query_one("#new-name", Input).value = "mine"
        await settle(pilot)
        # Twice, as an impatient hand does it.
        await pilot.press("g", "g")
        await until(pilot, lambda: app.query(RunView) and app.query_one(RunView).snapshot)
        await settle(pilot)
        (run,) = launched
        assert [path.name for path in home.runs.iterdir()] == [run.name]
        assert (run.recipe().epochs, run.info().model, run.base().name) == (9, "mine", BASE)
        assert run.recipe().preset == "balanced"
        assert app.query_one(RunView).run == run
        await look_again(app, pilot)
        assert [row[1] for row in listed(app)] == [run.name[16:]]


async def test_the_form_keeps_what_was_set_when_another_is_asked_for(
    home: Home, djs: DataInfo, base: Path
) -> None:
    async with running(home, services()) as (app, pilot):
        form = await open_form(app, pilot)
        await pilot.press("down", "enter", "9", "enter")
        await settle(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert app.query_one(NewRun) is form
        assert form.plan and form.plan.settings == {"epochs": "9"}


@pytest.mark.parametrize("key", ["escape", "n"])
async def test_a_form_that_starts_a_training_stays_until_it_has(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    begun, go = threading.Event(), threading.Event()
    launched: list[RunFolder] = []

    def slowly(*arguments: Any) -> RunFolder:
        begun.set()
        assert go.wait(20)
        return new_run(*arguments)

    monkeypatch.setattr("bioforge.tui.widgets.new_run.new_run", slowly)
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launched.append)
    async with running(home, services()) as (app, pilot):
        form = await open_form(app, pilot)
        await pilot.press("g")
        await until(pilot, begun.is_set)
        await pilot.press(key)
        await pilot.pause(0.2)
        assert app.query_one(NewRun) is form
        go.set()
        await until(pilot, lambda: app.query(RunView))
        await settle(pilot)
        assert launched == folder.listing(home) == [app.query_one(RunView).run]
        await pilot.press("escape")
        await settle(pilot)
        assert not app.query(RunView)


async def test_a_worker_that_cannot_be_started_is_said_in_the_form(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RunFolder) -> None:
        raise OSError("no [/x] processes left")

    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", refuse)
    async with running(home, services()) as (app, pilot):
        await open_form(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        assert shown(app, "#new-hint") == "no [/x] processes left"
        assert app.query(NewRun) and not app.query_one("#new-start").disabled


async def test_a_missing_base_is_fetched_first_if_the_user_wants(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunFolder] = []
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launched.append)
    bars: list[tuple[bool, float | None]] = []

    async def pull(name: str, on_progress: Any) -> dict[str, str]:
        bar = app.query_one("#new-pull", ProgressBar)
        on_progress({"done": 5, "total": 10})
        bars.append((bar.display, bar.percentage))
        shutil.copytree(tiny_gpt2, home.bases / name)
        return {"name": name}

    told = services(data__pull=pull)
    async with running(home, told) as (app, pilot):
        form = await open_form(app, pilot)
        assert form.plan and form.plan.base == BASE
        assert "is fetched first" in shown(app, "#new-estimate")
        await pilot.press("g")
        await dialog_open(pilot)
        question = app.screen.query_one(Static)
        assert f"{BASE} is not on this machine. Fetch 92.9 MB" in str(question.content)
        await pilot.press("escape")
        await settle(pilot)
        assert told.downloads.calls[-1][0] != "data.pull"  # type: ignore[attr-defined]
        assert launched == [] and app.query(NewRun)
        await pilot.press("g")
        await dialog_open(pilot)
        await pilot.press("y")
        await until(pilot, lambda: launched)
        await settle(pilot)
        assert told.downloads.calls[-1] == ("data.pull", {"name": BASE})  # type: ignore[attr-defined]
        assert bars == [(True, 0.5)]
        assert launched[0].base().name == BASE


async def test_a_fetch_that_fails_is_said_and_starts_nothing(
    home: Home, djs: DataInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunFolder] = []
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launched.append)

    def refuse(name: str) -> None:
        raise UserError("cannot reach [the index]")

    async with running(home, services(data__pull=refuse)) as (app, pilot):
        await open_form(app, pilot)
        await pilot.press("g")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert shown(app, "#new-hint") == "cannot reach [the index]"
        assert launched == [] and not app.query_one("#new-pull").display


async def test_another_base_is_a_folder_or_a_model_of_ones_own(
    home: Home, djs: DataInfo, base: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[RunFolder] = []
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", launched.append)
    async with running(home, services()) as (app, pilot):
        form = await open_form(app, pilot)
        app.query_one("#new-base", Select).value = "…"
        await dialog_open(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert form.plan and form.plan.base == BASE
        for name in ("nothing-of-the-kind", str(tiny_gpt2)):
            app.query_one("#new-base", Select).value = "…"
            await dialog_open(pilot)
            app.screen.query_one("#answer", Input).value = name
            await pilot.press("enter")
            await settle(pilot)
            assert form.plan and form.plan.base == name
            app.query_one("#new-settings").focus()
            await pilot.press("g")
            await settle(pilot)
            if not launched:
                assert "no base 'nothing-of-the-kind'" in shown(app, "#new-hint")
        assert [run.base().folder for run in launched] == [tiny_gpt2]


# Small screens


async def test_on_a_narrow_screen_the_open_run_replaces_the_list(
    home: Home, new: Callable[..., RunFolder]
) -> None:
    new(started(), step(1, 4.0), step(2, 3.0), validation(2))
    async with running(home, services(), size=(80, 24)) as (app, pilot):
        await opened(app, pilot)
        lists = app.query_one("TrainTab .lists")
        assert lists.display
        await pilot.press("enter")
        await until(pilot, lambda: app.query(RunView) and app.query_one(RunView).snapshot)
        await settle(pilot)
        assert not lists.display
        view = app.query_one(RunView)
        assert view.size.width >= 70
        for part in ("#run-title", "#run-chart", "#run-table"):
            assert app.query_one(part).region.height > 0
        assert app.focused is app.query_one("#run-table-scroll")
        await pilot.press("escape")
        await settle(pilot)
        assert lists.display and not app.query(RunView)
        assert app.focused is app.query_one("#runs-list")


async def test_a_very_small_screen_and_a_change_of_size_are_borne(
    home: Home, new: Callable[..., RunFolder], base: Path
) -> None:
    new(started(), step(1, 4.0), step(2, 3.0), validation(2))
    async with running(home, services(), size=(60, 20)) as (app, pilot):
        await open_first(app, pilot)
        for size in ((20, 6), (1, 1), (200, 60), (60, 20)):
            await pilot.resize_terminal(*size)
            await look_again(app, pilot)
        await pilot.press("escape", "n")
        await settle(pilot)
        assert app.query(NewRun) and app._exception is None


async def test_what_is_typed_counts_when_the_training_is_started_from_the_field(
    home: Home, djs: DataInfo, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioforge.tui.widgets.new_run.launch", lambda run: None)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await settle(pilot)
        form = app.screen.query_one(NewRun)
        form.query_one("#new-settings", DataTable).move_cursor(row=1)
        await settle(pilot)
        field = form.query_one("#new-value", Input)
        field.focus()
        field.value = "0"
        await pilot.press("ctrl+g")
        await settle(pilot)
        assert folder.listing(home) == []
        assert "epochs=0: must be" in shown(app, "#new-hint")
        field.value = "2"
        await pilot.press("ctrl+g")
        await settle(pilot)
        (run,) = folder.listing(home)
        assert run.recipe().epochs == 2


async def test_a_name_that_was_typed_survives_a_visit_to_another_tab(
    home: Home, djs: DataInfo, base: Path
) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await settle(pilot)
        app.screen.query_one("#new-name", Input).value = "my-writer"
        await app.open_tab("models")
        await settle(pilot)
        await app.open_tab("train")
        await settle(pilot)
        assert app.screen.query_one("#new-name", Input).value == "my-writer"


@pytest.mark.parametrize("answer", ["[/red]", ""])
async def test_another_base_is_taken_as_it_is_typed_and_none_leaves_the_choice(
    home: Home, djs: DataInfo, base: Path, answer: str
) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await settle(pilot)
        select = app.screen.query_one("#new-base", Select)
        before = select.value
        select.value = "…"
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = answer
        await pilot.press("enter" if answer else "escape")
        await settle(pilot)
        assert select.value == (answer or before)
