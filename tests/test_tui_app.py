"""What all tabs share: keys, palette, help, theme, quitting, and what happens when something breaks."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Footer, Input, Static

from bioforge.data.store import DataInfo
from bioforge.errors import ExitCode, UserError
from bioforge.paths import Home
from bioforge.runs.events import EventWriter
from bioforge.runs.folder import RunFolder
from bioforge.runs.follow import Board, RunLine
from bioforge.settings import change_settings, load_settings
from bioforge.tui.actions import EVERYWHERE, Action
from bioforge.tui.app import BioforgeApp
from bioforge.tui.commands import ACTIONS, Commands
from bioforge.tui.dialogs import Choice
from bioforge.tui.help import Help, key_names
from bioforge.tui.tabs import TABS
from bioforge.tui.tabs.base import Page
from bioforge.tui.tabs.models import ModelsTab
from bioforge.tui.theme import DARK, LIGHT
from bioforge.tui.widgets.new_run import NewRun
from tests.app import dialog_open, fake_services, messages, running, settle, shown
from tests.helpers import make_run
from tests.test_tui_train import look_again, opened, services, started, step, until

DIGITS = {str(number): tab for number, tab in enumerate(TABS, 1)}


@pytest.fixture
def run(home: Home, djs: DataInfo, tiny_gpt2: Path) -> RunFolder:
    """A run that is at work while its lock is held."""
    run = make_run(home, "bios", "djs", tiny_gpt2)
    write = EventWriter(run.events)
    write(started())
    write(step(50))
    return run


def keys(action: Action) -> list[str]:
    return action.key.split(",")


async def go_to(app: BioforgeApp, pilot: Pilot[Any], tab: str) -> Page:
    front = await app.open_tab(tab)
    await settle(pilot)
    return front


# Actions


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_a_method_a_key_and_a_sentence(action: Action) -> None:
    owner: type = next((tab for tab in TABS if action.tab == tab.NAME), BioforgeApp)
    assert callable(getattr(owner, f"action_{action.name}"))
    assert all(keys(action)) and action.title
    assert action.help.endswith(".") and action.help[0].isupper()


def test_actions_are_told_apart(home: Home) -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {tab.NAME for tab in TABS} >= {action.tab for action in ACTIONS if action.tab}
    assert {action.id for tab in TABS for action in tab.ACTIONS} | {action.id for action in EVERYWHERE} == {
        action.id for action in ACTIONS
    }


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.NAME)
def test_no_key_means_two_things_in_a_tab(tab: type[Page]) -> None:
    meant = Counter(key for action in (*tab.ACTIONS, *EVERYWHERE) for key in keys(action))
    meant.update(list(DIGITS))
    assert [key for key, times in meant.items() if times > 1] == []


async def test_digits_open_tabs_and_the_footer_has_their_actions(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        for digit, kind in DIGITS.items():
            await pilot.press(digit)
            await settle(pilot)
            assert isinstance(app.tab, kind)
            assert app.query_one(Footer).display
            bound = {binding.binding.id for binding in app.screen.active_bindings.values()}
            others = {action.id for action in ACTIONS if action.tab not in ("", kind.NAME)}
            assert bound & others == set()
            assert {action.id for action in EVERYWHERE} <= bound


async def test_letters_typed_into_a_field_are_text(home: Home, djs: DataInfo) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: app.query(NewRun))
        await settle(pilot)
        field = app.query_one("#new-name", Input)
        field.value = ""
        field.focus()
        typed = sorted({key for action in ACTIONS for key in keys(action) if len(key) == 1})
        assert "q" in typed
        await pilot.press(*typed, *DIGITS, "question_mark", "colon")
        assert field.value == "".join(typed) + "".join(DIGITS) + "?:"
        assert app.screen is app.screen_stack[0] and app.is_running
        assert app.tab and app.tab.NAME == "train"


async def test_escape_leaves_a_field_first_then_what_is_open(home: Home, djs: DataInfo) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: app.query(NewRun))
        await settle(pilot)
        app.query_one("#new-name", Input).focus()
        await pilot.press("escape")
        await settle(pilot)
        assert app.focused is app.query_one("#new-settings")
        await pilot.press("escape")
        await settle(pilot)
        assert not app.query(NewRun)


# The palette


def palette_titles() -> list[str]:
    by_name = {tab.NAME: tab for tab in TABS}
    titles = [f"Open {tab.TITLE}" for tab in TABS]
    hidden = {"command_palette", "leave"}
    for action in ACTIONS:
        if action.name not in hidden:
            titles.append(f"{by_name[action.tab].TITLE}: {action.title}" if action.tab else action.title)
    return titles


async def test_the_palette_offers_every_action_of_every_tab(home: Home) -> None:
    async with running(home, services()) as (app, _):
        commands = Commands(app.screen)
        offered = [str(hit.display) async for hit in commands.discover()]
        assert sorted(offered) == sorted(palette_titles())
        for title in offered:
            hits = {str(hit.match_display) async for hit in commands.search(title)}
            assert title in hits


@pytest.mark.parametrize("key", ["ctrl+p", "colon"])
async def test_a_command_of_another_tab_opens_that_tab(home: Home, djs: DataInfo, key: str) -> None:
    async with running(home, services()) as (app, pilot):
        await go_to(app, pilot, "models")
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"train new")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: app.query(NewRun))
        await settle(pilot)
        assert app.tab and app.tab.NAME == "train"


async def test_a_command_that_has_nothing_to_act_on_says_so(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        await app.action_do("train.stop")
        await settle(pilot)
        assert app.tab and app.tab.NAME == "train"
        assert [message for message in messages(app) if message.startswith("Stop: ")]


# Help


@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_tells_of_the_tab_in_front_and_its_keys(home: Home, key: str) -> None:
    async with running(home, services(), size=(120, 60)) as (app, pilot):
        for kind in TABS:
            await go_to(app, pilot, kind.NAME)
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, Help)
            texts = app.screen.query(Static)
            assert kind.HELP in [str(text.content) for text in texts]
            said = "\n".join(
                "".join(part.text for part in text.render_line(y))
                for text in texts
                for y in range(text.size.height)
            )
            lines = [" ".join(line.split()) for line in said.splitlines()]
            for action in (*kind.ACTIONS, *EVERYWHERE):
                line = " ".join(f"{key_names(action)} {action.title}".split())
                assert any(given.startswith(line) for given in lines), line
            await pilot.press("escape")
            await settle(pilot)
            assert not isinstance(app.screen, Help)


# Colours and settings


async def test_the_theme_is_remembered_and_used_at_the_next_start(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        assert app.theme == DARK.name
        assert not home.settings.exists()
        app.theme = LIGHT.name
        await settle(pilot)
    assert load_settings(home).theme == LIGHT.name
    async with running(home, services()) as (app, pilot):
        assert app.theme == LIGHT.name
        app.theme = DARK.name
        await settle(pilot)
        app.theme = LIGHT.name
        await settle(pilot)
    assert load_settings(home).theme == LIGHT.name


async def test_a_theme_that_is_no_more_falls_back(home: Home) -> None:
    change_settings(home, theme="last-years-fashion", writer="mine")
    async with running(home, services()) as (app, _):
        assert app.theme == DARK.name
        assert messages(app) == []
    assert load_settings(home).writer == "mine"


@pytest.mark.parametrize("damage", ["{", "[1, 2]", '{"theme": ["dark"]}', ""])
async def test_damaged_settings_are_one_message_at_most(home: Home, damage: str) -> None:
    home.root.mkdir(parents=True)
    home.settings.write_text(damage, encoding="utf-8")
    async with running(home, services()) as (app, pilot):
        await pilot.pause(0.7)
        assert app.theme == DARK.name
        about = [message for message in messages(app) if str(home.settings) in message]
        assert len(about) == (0 if "theme" in damage else 1)
        await go_to(app, pilot, "train")
        assert app.tab and app.tab.NAME == "train"
    assert home.settings.read_text(encoding="utf-8") == damage


# Leaving


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_without_a_running_training_the_app_leaves_at_once(
    home: Home, run: RunFolder, key: str
) -> None:
    async with running(home, services()) as (app, pilot):
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert not app.return_code and not run.control.exists()


@pytest.mark.parametrize(("key", "asked"), [("k", []), ("s", ["stop"])])
async def test_a_running_training_is_kept_or_stopped_as_the_user_says(
    home: Home, run: RunFolder, key: str, asked: list[str]
) -> None:
    with run.lock():
        async with running(home, services()) as (app, pilot):
            await opened(app, pilot)
            await pilot.press("q")
            await dialog_open(pilot)
            assert run.name in str(app.screen.query_one(Static).content)
            await pilot.press(key)
            await until(pilot, lambda: not app.is_running)
    lines = run.control.read_text(encoding="utf-8").splitlines() if run.control.exists() else []
    assert [json.loads(line)["request"] for line in lines] == asked
    assert not app.return_code


async def test_escape_stays_and_a_second_ctrl_q_asks_nothing_twice(home: Home, run: RunFolder) -> None:
    with run.lock():
        async with running(home, services()) as (app, pilot):
            await opened(app, pilot)
            await pilot.press("ctrl+q", "ctrl+q", "ctrl+q")
            await dialog_open(pilot)
            assert [isinstance(screen, Choice) for screen in app.screen_stack] == [False, True]
            await pilot.press("escape")
            await settle(pilot)
            assert len(app.screen_stack) == 1 and app.is_running
            assert not run.control.exists()


async def test_ctrl_c_says_how_to_leave(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.is_running
        assert any("ctrl+q" in message for message in messages(app))


async def test_escape_at_rest_does_nothing(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        for kind in TABS:
            await go_to(app, pilot, kind.NAME)
            await pilot.press("escape", "escape")
            await settle(pilot)
            assert isinstance(app.tab, kind) and app.is_running


# When something breaks


def broken(*_: object) -> None:
    raise RuntimeError("[/red] broke\nin two lines")


async def test_a_fault_in_a_handler_leaves_with_one_line_and_details_in_the_log(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelsTab, "focus_main", broken)
    app = BioforgeApp(home, services())
    left: list[object] = []
    monkeypatch.setattr(app, "_print_error_renderables", lambda: left.extend(app._exit_renderables))
    with pytest.raises(RuntimeError, match="broke"):
        async with app.run_test(notifications=True) as pilot:
            await pilot.pause()
            await app.open_tab("models")
            await until(pilot, lambda: not app.is_running)
    assert app.return_code == ExitCode.FAULT
    log = home.logs / "app.log"
    assert [str(line) for line in left] == [
        f"bioforge: a fault of ours: RuntimeError: [/red] broke in two lines (details in {log})"
    ]
    assert "Traceback" in log.read_text(encoding="utf-8")


async def test_a_fault_in_background_work_is_a_message_and_the_app_goes_on(home: Home) -> None:
    async def work() -> None:
        broken()

    async with running(home, services()) as (app, pilot):
        tab = await go_to(app, pilot, "models")
        tab.start(work)
        await settle(pilot)
        assert [message for message in messages(app) if "RuntimeError: [/red] broke in two lines" in message]
        assert app.is_running
    assert "Traceback" in (home.logs / "app.log").read_text(encoding="utf-8")


async def test_runs_that_cannot_be_listed_are_a_message_and_not_the_end(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: object) -> None:
        raise PermissionError(f"no [/x] permission for {home.runs}")

    monkeypatch.setattr("bioforge.runs.follow.Board.poll", denied)
    async with running(home, services()) as (app, pilot):
        assert app.is_running
        assert any("no [/x] permission" in message for message in messages(app))
        before = len(messages(app))
        for _ in range(3):
            await look_again(app, pilot)
        assert len(messages(app)) == before, "the same message piles up"


# Runs


async def test_the_header_shows_the_running_training_and_its_end(home: Home, run: RunFolder) -> None:
    async with running(home, services()) as (app, pilot):
        with run.lock():
            EventWriter(run.events)(step(51))
            await look_again(app, pilot)
            now = shown(app, "#now")
            assert run.name[16:] in now and "26 %" in now and "0:02:05 left" in now
        await look_again(app, pilot)
        assert shown(app, "#now") == ""


async def test_the_app_opens_where_a_training_is_running(home: Home, run: RunFolder) -> None:
    with run.lock():
        async with running(home, services()) as (app, pilot):
            await until(pilot, lambda: app.tab and app.tab.NAME == "train")
            await go_to(app, pilot, "models")
            await look_again(app, pilot)
            assert app.tab and app.tab.NAME == "models", "only at the start"


async def test_a_slow_disk_delays_the_list_and_does_not_empty_it(
    home: Home, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, at_once = Board.poll, []

    def slow(board: Board) -> list[RunLine]:
        at_once.append(1)
        time.sleep(1.2)
        try:
            assert len(at_once) == 1, "two threads read at once"
            return poll(board)
        finally:
            at_once.pop()

    monkeypatch.setattr(Board, "poll", slow)
    async with running(home, services()) as (app, pilot):
        await until(pilot, lambda: app.lines)
        assert [line.run for line in app.lines] == [run]


async def test_two_apps_on_the_same_home_see_the_same_run(home: Home, run: RunFolder) -> None:
    with run.lock():
        async with running(home, services()) as (one, first), running(home, services()) as (other, second):
            for app, pilot in ((one, first), (other, second)):
                await opened(app, pilot)
            assert [line.run for line in one.lines] == [line.run for line in other.lines] == [run]
            assert shown(one, "#now") == shown(other, "#now") != ""
            await second.press("s")
            await settle(second)
    assert [json.loads(line) for line in run.control.read_text(encoding="utf-8").splitlines()] == [
        {"request": "stop"}
    ]


async def test_a_picture_of_the_screen_is_saved_where_the_user_says(home: Home, tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    async with running(home) as (app, pilot):
        await pilot.press("f8")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = str(tmp_path / "no such folder" / "picture.svg")
        await pilot.press("enter")
        await pilot.pause()
        assert not picture.exists() and "no such folder" in shown(app, ".hint")
        app.screen.query_one("#answer", Input).value = str(picture)
        await pilot.press("enter")
        await settle(pilot)
        assert "<svg" in picture.read_text(encoding="utf-8")
        assert f"saved {picture}" in messages(app)


async def test_a_picture_replaces_no_file_unasked(home: Home, tmp_path: Path) -> None:
    notes = tmp_path / "notes.svg"
    notes.write_text("mine", encoding="utf-8")
    async with running(home) as (app, pilot):
        await pilot.press("f8")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = str(notes)
        await pilot.press("enter")
        await dialog_open(pilot)
        assert isinstance(app.screen, Choice)
        await pilot.press("escape")
        await settle(pilot)
        assert notes.read_text(encoding="utf-8") == "mine"


async def test_an_action_of_a_tab_never_opened_finds_it_filled(home: Home) -> None:
    services = fake_services({"data.pull": lambda name: {"name": name}})
    async with running(home, services) as (app, pilot):
        await app.action_do("models.pull")
        await settle(pilot)
        assert services.downloads.calls == [("data.pull", {"name": "gpt2"})]  # type: ignore[attr-defined]


async def test_ctrl_q_leaves_from_a_dialog_too(home: Home) -> None:
    async with running(home) as (app, pilot):
        app.push_screen(Choice("Sure?", [("y", "Yes", "yes")]))
        await pilot.pause()
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert app._exit


async def test_messages_cannot_drive_the_terminal(home: Home) -> None:
    async with running(home) as (app, pilot):
        app.tell(UserError("a\x1b]0;title\x07b"))
        await pilot.pause()
        assert "\x1b" not in messages(app)[-1]


async def test_work_in_the_background_takes_nothing_down(home: Home) -> None:
    async def broken() -> None:
        raise KeyError("surprise")

    async with running(home) as (app, pilot):
        app.in_background(app, broken)
        await settle(pilot)
        assert "a fault of ours: KeyError" in messages(app)[-1]
        assert app.return_code is None


def test_the_page_about_the_app_says_what_the_app_says() -> None:
    from bench.pictures import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page()
    named = set(re.findall(r"pictures/([a-z]+)\.svg", page()))
    assert named == {path.stem for path in (PAGE.parent / "pictures").glob("*.svg")}
