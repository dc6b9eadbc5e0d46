"""The Check tab, every action."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from bioforge.data.decode import decode, read_bytes
from bioforge.errors import FaultError, UserError
from bioforge.files import read_json, write_json
from bioforge.judging import history
from bioforge.judging.sentences import split
from bioforge.models.store import INFO_FILE
from bioforge.paths import Home
from bioforge.service.client import Services
from bioforge.tui.app import BioforgeApp
from bioforge.tui.tabs.check import CheckTab
from bioforge.tui.widgets.model_select import ModelSelect
from bioforge.tui.widgets.records import Records
from bioforge.tui.widgets.slider import Slider
from bioforge.tui.widgets.verdict_list import VerdictList
from tests.app import dialog_open, fake_services, messages, running, settle, shown
from tests.stored import store_model, until

TEXT = "The cat sat. Cat the sat bad. It purred."


def judged(text: str, threshold: float = 0.6) -> dict[str, Any]:
    """0.2 for sentences with "bad" in them, 0.8 for the others."""
    found = [(start, end, 0.2 if "bad" in text[start:end] else 0.8, False) for start, end in split(text)]
    return {"threshold": threshold, "sentences": found}


def judge_text(model: str, text: str) -> dict[str, Any]:
    return judged(text)


def judge_file(model: str, path: str) -> dict[str, Any]:
    text, _ = decode(read_bytes(Path(path)), path)
    return {"text": text, **judged(text)}


def services(**answers: Callable[..., Any]) -> Services:
    return fake_services({"models.judge_text": judge_text, "models.judge_file": judge_file, **answers})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Typing has paused as soon as it stops."""
    monkeypatch.setattr(CheckTab, "PAUSE_S", 0.001)


async def opened(app: BioforgeApp, pilot: Pilot[None]) -> CheckTab:
    tab = await app.open_tab("check")
    await settle(pilot)
    assert isinstance(tab, CheckTab)
    return tab


async def paste(app: BioforgeApp, pilot: Pilot[None], text: str) -> None:
    """Into the text, and wait for the verdicts."""
    calls = len(asked(app.services))
    app.screen.query_one(TextArea).focus()
    await pilot.pause()
    app.post_message(Paste(text))
    await until(pilot, lambda: len(asked(app.services)) > calls)
    await settle(pilot)


def asked(services: Services) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in services.models.calls if call[0].startswith("models.judge")]  # type: ignore[attr-defined]


def verdicts(app: BioforgeApp) -> VerdictList:
    return app.screen.query_one(VerdictList)


def lines(app: BioforgeApp) -> list[str]:
    """What the list shows."""
    widget = verdicts(app)
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


async def test_without_a_judge_it_says_what_to_do(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        assert lines(app)[:2] == [
            "No judge yet. Import judged sentences in tab 1,",
            "then train on them in tab 2.",
        ]
        await pilot.press("f", "e", "x", "n", "t", "a", "b")
        await settle(pilot)
        assert asked(app.services) == []
        assert app.screen.query_one(TextArea).text == "ab"


async def test_a_verdict_for_each_sentence_once_typing_pauses(home: Home) -> None:
    store_model(home, "older", "cola", day=1)
    store_model(home, "newer", "cola", day=2)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        assert asked(app.services) == [("models.judge_text", {"model": "newer", "text": TEXT})]
        assert lines(app)[:4] == [
            "✓ ██████▍  0.80  The cat sat.",
            "✗ █▋       0.20  Cat the sat bad.",
            "✓ ██████▍  0.80  It purred.",
            "",
        ]
        assert shown(app, "#check-status") == "3 sentences, 1 weak (33 %), mean 0.60"
        assert shown(app, "#threshold-value") == "0.60"


async def test_typing_on_waits_for_the_pause_and_the_later_text_wins(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_model(home, "judge", "cola")
    go, stopped = asyncio.Event(), []

    async def slow(model: str, text: str) -> dict[str, Any]:
        try:
            await go.wait()
        except asyncio.CancelledError:
            stopped.append(text)
            raise
        return judged(text)

    async with running(home, services(**{"models.judge_text": slow})) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("t", "a")
        await until(pilot, lambda: asked(app.services))
        assert shown(app, "#check-status") == "judge reads …"
        await pilot.press("b")
        await until(pilot, lambda: stopped == ["a"])
        go.set()
        await until(pilot, lambda: lines(app)[0].endswith(" ab"))
        assert [call[1]["text"] for call in asked(app.services)] == ["a", "ab"]
        monkeypatch.setattr(CheckTab, "PAUSE_S", 1000)
        await pilot.press("c", "d")
        await settle(pilot)
        assert len(asked(app.services)) == 2


async def test_the_threshold_recolours_at_once_without_asking_again(home: Home) -> None:
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await pilot.press("escape", "o")
        slider = app.screen.query_one(Slider)
        assert app.focused is slider and slider.value == 0.6
        await pilot.press("home")
        assert "0 weak" in shown(app, "#check-status") and lines(app)[1].startswith("✓")
        await pilot.press("right", "shift+right")
        assert slider.value == pytest.approx(0.11)
        await pilot.press("end")
        assert "3 weak" in shown(app, "#check-status") and lines(app)[0].startswith("✗")
        await pilot.press("enter")
        assert slider.value == 0.6
        await pilot.press("left")
        assert shown(app, "#threshold-value") == "0.59"
        assert len(asked(app.services)) == 1


async def test_the_threshold_moves_with_the_mouse(home: Home) -> None:
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        slider = app.screen.query_one(Slider)
        width = slider.size.width
        await pilot.mouse_down(slider, offset=(0, 0))
        assert slider.value == 0
        await pilot.hover(slider, offset=(width - 1, 0))
        assert slider.value == 1
        await pilot.mouse_up(slider, offset=(width - 1, 0))
        await pilot.hover(slider, offset=(1, 0))
        assert slider.value == 1
        await pilot.click(slider, offset=(width // 2, 0))
        assert slider.value == pytest.approx(0.5, abs=0.02)


async def test_another_judge_reads_it_again_with_a_threshold_of_its_own(home: Home) -> None:
    store_model(home, "one", "cola", day=2)
    store_model(home, "two", "cola", day=1)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await pilot.press("escape", "o", "end")
        app.screen.query_one(ModelSelect).value = "two"
        await settle(pilot)
        assert asked(app.services)[-1] == ("models.judge_text", {"model": "two", "text": TEXT})
        assert shown(app, "#threshold-value") == "0.60"


async def test_a_judge_that_took_the_place_of_another_brings_its_own_threshold(home: Home) -> None:
    store_model(home, "one", "cola", day=1)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await pilot.press("escape", "o", "end")
        # Coming back to the same judge leaves the threshold where it was put.
        for after, threshold in (("1", "1.00"), ("2", "0.35")):
            await app.open_tab("data")
            await settle(pilot)
            path = home.models / "one" / INFO_FILE
            changed = {"created": "2026-02-02T00:00:00+00:00", "threshold": 0.35} if after == "2" else {}
            write_json(path, {**read_json(path), **changed})
            count = len(asked(app.services))
            await app.open_tab("check")
            await settle(pilot)
            assert shown(app, "#threshold-value") == threshold
            assert len(asked(app.services)) - count == (after == "2")


async def test_the_sentence_under_the_cursor_is_shown_whole_and_weak_ones_are_found(home: Home) -> None:
    store_model(home, "judge", "cola")
    long = "The " + "very " * 40 + "bad cat sat."
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, f"One. {long} Three. Bad bad.")
        await pilot.press("escape", "n")
        assert verdicts(app).cursor == 1
        assert lines(app)[1].endswith("…")
        assert shown(app, "#check-detail") == long
        await pilot.press("n")
        assert shown(app, "#check-detail") == "Bad bad."
        await pilot.press("n")
        assert verdicts(app).cursor == 1
        await pilot.click(VerdictList, offset=(5, 2))
        assert shown(app, "#check-detail") == "Three."
        await pilot.press("o", "home", "n")
        assert "no sentence is weak" in messages(app)


async def test_hostile_text_is_only_text(home: Home) -> None:
    store_model(home, "judge", "cola")
    text = "[/red] [x] 🎧 \u202eabc\x1b[31m \x07.\nالسلام عليكم.\n" + "x" * 100_000
    async with running(home, services(), size=(80, 24)) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, text)
        area = app.screen.query_one(TextArea).text
        assert "\x1b" not in area and "\u202e" not in area and "[/red] [x] 🎧" in area
        assert "[/red] [x] 🎧" in lines(app)[0]
        assert all(len(line) <= 80 for line in lines(app))
        await pilot.press("escape", "end")
        assert len(shown(app, "#check-detail")) == 500


async def test_twenty_thousand_sentences_scroll(home: Home, tmp_path: Path) -> None:
    store_model(home, "judge", "cola")
    path = tmp_path / "long.txt"
    path.write_text("".join(f"Sentence {number} is here.\n" for number in range(20_000)), encoding="utf-8")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pick(app, pilot, path)
        assert asked(app.services) == [("models.judge_file", {"model": "judge", "path": str(path)})]
        widget = verdicts(app)
        assert widget.virtual_size.height == widget.count == 20_000
        await pilot.press("end")
        await settle(pilot)
        assert lines(app)[-1].endswith("Sentence 19999 is here.")
        await pilot.press("pageup", "home", "down")
        await settle(pilot)
        assert lines(app)[1].endswith("Sentence 1 is here.") and widget.cursor == 1
        # Only what is in view was ever made into widgets.
        assert not list(widget.children) or len(list(widget.children)) < 5


async def pick(app: BioforgeApp, pilot: Pilot[None], path: Path) -> None:
    await pilot.press("f")
    await dialog_open(pilot)
    app.screen.query_one("#path", Input).value = str(path)
    app.screen.query_one("#path", Input).focus()
    await pilot.press("enter")
    await settle(pilot)


async def test_a_file_takes_the_place_of_the_text_until_it_is_closed(home: Home, tmp_path: Path) -> None:
    store_model(home, "judge", "cola")
    path = tmp_path / "some.txt"
    path.write_text("From the file, bad.", encoding="utf-8")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await pilot.press("escape")
        await pick(app, pilot, path)
        assert lines(app)[0].endswith("From the file, bad.") and lines(app)[1] == ""
        assert str(path) in shown(app, "#check-file")
        assert not app.screen.query_one(TextArea).display
        await pilot.press("x")
        await settle(pilot)
        assert app.screen.query_one(TextArea).display
        assert lines(app)[0].endswith("The cat sat.")
        await pilot.press("x")
        await settle(pilot)
        assert app.screen.query_one(TextArea).text == ""
        assert lines(app)[0].startswith("Type or paste")


async def test_a_file_that_cannot_be_read_is_one_message_and_the_text_stays(
    home: Home, tmp_path: Path
) -> None:
    store_model(home, "judge", "cola")
    path = tmp_path / "picture.txt"
    path.write_bytes(b"\x89PNG" + bytes(range(256)) * 20)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pick(app, pilot, path)
        assert len(messages(app)) == 1 and "picture.txt" in messages(app)[0]
        assert app.screen.query_one(TextArea).display
        assert shown(app, "#check-status") == ""


async def test_judging_a_file_says_how_far_it_is_and_escape_stops_it(home: Home, tmp_path: Path) -> None:
    store_model(home, "judge", "cola")
    path = tmp_path / "some.txt"
    path.write_text("One. Two.", encoding="utf-8")
    stopped = []

    async def endless(model: str, path: str, on_progress: Callable[..., None]) -> dict[str, Any]:
        on_progress({"loading": model})
        on_progress({"judged": 256, "of": 20_000})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(path)
            raise
        raise AssertionError

    async with running(home, services(**{"models.judge_file": endless})) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("f")
        await dialog_open(pilot)
        app.screen.query_one("#path", Input).value = str(path)
        app.screen.query_one("#path", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "256 of 20,000 sentences" in shown(app, "#check-status"))
        await pilot.press("escape")
        await until(pilot, lambda: stopped == [str(path)])
        await settle(pilot)
        assert shown(app, "#check-status") == "stopped"
        await pilot.press("x")
        await paste(app, pilot, TEXT)
        assert lines(app)[0].endswith("The cat sat.")


async def test_a_crash_is_one_message_and_the_next_pause_works(home: Home) -> None:
    store_model(home, "judge", "cola")

    def crash(model: str, text: str) -> None:
        raise FaultError("the helper process ended (exit -9)")

    async with running(home, services(**{"models.judge_text": crash})) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        assert messages(app) == ["the helper process ended (exit -9)"]
        assert app.screen.query_one(TextArea).text == TEXT
        app.services.models.answers["models.judge_text"] = judge_text  # type: ignore[attr-defined]
        await paste(app, pilot, " More.")
        assert lines(app)[3].endswith("More.") and len(messages(app)) == 1


@pytest.mark.parametrize("suffix", [".md", ".csv", ".jsonl"])
async def test_a_report_is_saved_and_replaced_only_after_asking(
    home: Home, tmp_path: Path, suffix: str
) -> None:
    store_model(home, "judge", "cola")
    target = tmp_path / f"report{suffix}"
    target.write_text("old")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await pilot.press("escape")
        for answer in ("escape", "y"):
            await pilot.press("e")
            await dialog_open(pilot)
            app.screen.query_one("#answer", Input).value = str(target)
            await pilot.press("enter")
            await dialog_open(pilot)
            await pilot.press(answer)
            await settle(pilot)
            assert (target.read_text(encoding="utf-8") == "old") == (answer == "escape")
        written = target.read_text(encoding="utf-8")
        assert "Cat the sat bad." in written
        if suffix == ".jsonl":
            assert [json.loads(line)["acceptable"] for line in written.splitlines()] == [True, False, True]


async def test_what_was_checked_is_in_the_history_and_comes_back(home: Home, tmp_path: Path) -> None:
    store_model(home, "judge", "cola", day=2)
    store_model(home, "other", "cola", day=1)
    path = tmp_path / "some.txt"
    path.write_text("From the file, bad.", encoding="utf-8")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("h")
        await settle(pilot)
        assert "nothing was checked yet" in messages(app)
        await paste(app, pilot, TEXT)
        await paste(app, pilot, " More.")
        await pilot.press("escape")
        await pick(app, pilot, path)
        app.screen.query_one(ModelSelect).value = "other"
        await settle(pilot)
        await pilot.press("o", "end", "x")
        await settle(pilot)
        await pilot.press("x")
        await settle(pilot)
        app.screen.query_one(ModelSelect).value = "judge"
        await settle(pilot)
        typed, of_file = history.checks(home)
        assert (of_file.file, of_file.sentences, of_file.weak) == (str(path), 1, 1)
        assert (typed.text, typed.sentences, typed.weak, typed.threshold) == (TEXT + " More.", 4, 4, 1.0)

        await pilot.press("h")
        await dialog_open(pilot)
        assert isinstance(app.screen, Records)
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen.query_one(TextArea).text == TEXT + " More."
        assert app.screen.query_one(ModelSelect).model == "other"
        assert shown(app, "#threshold-value") == "1.00"
        assert lines(app)[0].startswith("✗") and lines(app)[3].endswith("More.")

        await pilot.press("h")
        await dialog_open(pilot)
        assert len(history.checks(home)) == 2
        await pilot.press("down", "enter")
        await settle(pilot)
        assert str(path) in shown(app, "#check-file") and lines(app)[0].endswith("From the file, bad.")


async def test_a_check_is_remembered_when_the_app_is_left(home: Home) -> None:
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        assert history.checks(home) == []
    assert [check.text for check in history.checks(home)] == [TEXT]


async def test_text_that_was_not_judged_is_remembered_and_clearing_can_be_undone(home: Home) -> None:
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("t", *"abc", "escape", "x")
        await settle(pilot)
        assert app.screen.query_one(TextArea).text == ""
        (check,) = history.checks(home)
        assert (check.text, check.model, check.sentences, check.weak) == ("abc", "", None, None)
        await pilot.press("h")
        await dialog_open(pilot)
        await until(pilot, lambda: isinstance(app.screen, Records))
        assert "not judged" in str(app.screen.query_one(OptionList).options[0].prompt)
        await pilot.press("escape", "t", "ctrl+z")
        assert app.screen.query_one(TextArea).text == "abc"
        await pilot.press("escape", "x", "t", *"later")
    assert history.checks(home)[0].text == "later"


async def test_the_history_is_written_outside_the_loop(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckTab, "SETTLED_S", 0.001)
    store_model(home, "judge", "cola")
    threads = []

    def fail(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        raise TimeoutError("somebody holds it")

    monkeypatch.setattr(history, "remember", fail)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await until(pilot, lambda: messages(app) == ["somebody holds it"])
        assert threading.current_thread() not in threads


async def test_a_check_that_stands_for_a_while_is_remembered_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckTab, "SETTLED_S", 0.001)
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT)
        await until(pilot, lambda: history.checks(home))
        await paste(app, pilot, " More.")
        await until(pilot, lambda: history.checks(home)[0].text == TEXT + " More.")
        assert len(history.checks(home)) == 1


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20)])
async def test_everything_is_in_sight(home: Home, size: tuple[int, int]) -> None:
    store_model(home, "judge", "cola")
    async with running(home, services(), size=size) as (app, pilot):
        await opened(app, pilot)
        await paste(app, pilot, TEXT * 30)
        await pilot.press("escape")
        await settle(pilot)
        for selector, height in (("#judge", 1), ("#threshold", 1), ("#threshold-value", 1), ("#verdicts", 4)):
            region = app.screen.query_one(selector).region
            assert region.right <= size[0] and region.bottom < size[1] and region.height >= height
        assert app.screen.query_one("#threshold").region.width >= 20


async def test_a_real_child_judges_text_and_files(home: Home, tiny_bert: Path, tmp_path: Path) -> None:
    store_model(home, "tiny", "cola", tiny_bert)
    path = tmp_path / "some.txt"
    path.write_text("One cat sat.\r\nThé dog 🎧 ran. " + "word " * 300, encoding="utf-8")
    app = BioforgeApp(home)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await opened(app, pilot)
        await pilot.press("t")
        app.post_message(Paste("The cat sat. It purred."))
        await until(pilot, lambda: lines(app)[1].endswith("It purred."))
        assert shown(app, "#check-status").startswith("2 sentences")
        await pilot.press("escape")
        await pick(app, pilot, path)
        assert [line[17:29] for line in lines(app)[:3]] == ["One cat sat.", "Thé dog 🎧 ra", "word word wo"]
        assert lines(app)[2][15] == "…"
        await pilot.press("end")
        assert shown(app, "#check-detail").startswith("only its beginning was read")
        (tmp_path / "empty.txt").touch()
        await pick(app, pilot, tmp_path / "empty.txt")
        assert any("is empty" in message for message in messages(app))
        assert messages(app) == [messages(app)[0]]


def test_the_task_refuses_a_file_too_large_for_the_screen(
    home: Home, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bioforge.service import model_tasks
    from bioforge.service.worker import Context

    store_model(home, "tiny", "cola", tiny_bert)
    said: list[dict[str, Any]] = []
    context = Context(home, said.append, lambda: False)
    path = tmp_path / "some.txt"
    path.write_text("One cat sat.\n" * 600)
    reply = model_tasks.judge_file(context, "tiny", str(path))
    assert len(reply["sentences"]) == 600 and reply["threshold"] == 0.6
    assert said == [
        {"loading": "tiny"},
        {"judged": 256, "of": 600},
        {"judged": 512, "of": 600},
        {"judged": 600, "of": 600},
    ]
    stopped = model_tasks.judge_file(Context(home, said.append, lambda: True), "tiny", str(path))
    assert stopped["sentences"] == []
    monkeypatch.setattr(model_tasks, "_LARGEST_FILE", 1000)
    with pytest.raises(UserError, match="use: bioforge check FILE"):
        model_tasks.judge_file(context, "tiny", str(path))


def test_the_app_itself_never_loads_what_models_need() -> None:
    heavy = {"torch", "transformers", "pandas", "numpy", "sklearn", "accelerate"}
    code = "import sys, bioforge.tui.app; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "textual" in result.stdout and not heavy & set(result.stdout.split())
