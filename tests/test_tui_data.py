"""The Data tab, every action."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Checkbox, DataTable, Input, OptionList, ProgressBar, Select, Static

from bioforge.data import store
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.paths import Home, assets
from bioforge.service import data_tasks
from bioforge.service.client import Services
from bioforge.service.worker import Context
from bioforge.tui.app import BioforgeApp
from bioforge.tui.widgets.file_import import FileImport
from tests.app import dialog_open, direct_services, messages, running, settle, shown

HOSTILE = 'na[/red]me,[x] bio\na,[/red] [bold]x\nb,"\x1b[31mred"\nc,\u202eabc 🎧\nd,e,f\n'


async def choose(app: BioforgeApp, pilot: Pilot[None], path: Path | str) -> None:
    """Open the import view, type a path, and wait for what is in it."""
    if not app.screen.query(FileImport):
        await pilot.press("i")
        await settle(pilot)
    field = app.screen.query_one("#import-path", Input)
    field.focus()
    field.value = str(path)
    await pilot.press("enter")
    await settle(pilot)


def cells(app: BioforgeApp, selector: str) -> list[list[str]]:
    table = app.screen.query_one(selector, DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def options(app: BioforgeApp, selector: str) -> list[str]:
    found = app.screen.query_one(selector, OptionList)
    return [str(option.prompt) for option in found.options]


# What is there


async def test_no_data_says_what_to_do_next(home: Home) -> None:
    async with running(home) as (app, pilot):
        assert "Press i to import a file" in shown(app, "#data-facts")
        await pilot.press("c", "r", "t", "x")
        await settle(pilot)
        assert len(app.screen_stack) == 1 and not app.screen.query_one("#data-parts").display


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20)])
async def test_a_data_set_is_shown_with_rows_balance_lengths_and_tokens(
    home: Home, sentences: DataInfo, djs: DataInfo, size: tuple[int, int]
) -> None:
    async with running(home, direct_services(home), size) as (app, pilot):
        assert sorted(row[:3] for row in cells(app, "#data-list")) == [
            ["djs", "bios", "40"],
            ["sentences", "cola", "200"],
        ]
        table = app.screen.query_one("#data-list", DataTable)
        table.move_cursor(row=table.get_row_index("sentences"))
        await settle(pilot)
        assert f"acceptable {sentences.labels['1']} of 200" in shown(app, "#data-facts")
        assert len(options(app, "#data-rows")) == 8
        assert all("*   " in line for line in options(app, "#data-bad"))
        assert "words a text" in shown(app, "#data-lengths")
        assert "no base is on this machine yet" in shown(app, "#data-tokens")
        table.move_cursor(row=table.get_row_index("djs"))
        await settle(pilot)
        assert "djs: 40 biographies" in shown(app, "#data-facts")
        assert not app.screen.query_one("#data-bad").display


async def test_the_row_under_the_cursor_is_tokenized(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    context = Context(home, lambda _: None, lambda: False)
    tokens = partial(data_tasks.tokens, context, base=str(tiny_gpt2))
    async with running(home, direct_services(home, {"data.tokens": tokens})) as (app, pilot):
        first = shown(app, "#data-tokens")
        assert "tokenized by tiny-gpt2" in first
        app.screen.query_one("#data-rows").focus()
        await pilot.press("down", "down")
        await settle(pilot)
        second = shown(app, "#data-tokens")
        assert second != first
        text = options(app, "#data-rows")[1].split(maxsplit=1)[1]
        assert text[:40] in second.replace("\n", " ")


async def test_other_rows_are_drawn(home: Home, djs: DataInfo) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        before = options(app, "#data-rows")
        await pilot.press("r")
        await settle(pilot)
        assert options(app, "#data-rows") != before


async def test_a_sentence_of_ones_own_is_tokenized(home: Home, djs: DataInfo) -> None:
    def tokens(text: str | None, **_: Any) -> dict[str, Any]:
        return {
            "original": text or "",
            "tokens": ["[UNK]", "b"],
            "ids": [100, 7],
            "base": "tiny",
            "missing": "",
        }

    async with running(home, direct_services(home, {"data.tokens": tokens})) as (app, pilot):
        await pilot.press("t")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = "[/red] floor"
        await pilot.press("enter")
        await settle(pilot)
        assert shown(app, "#data-tokens") == "tokenized by tiny\n[/red] floor\n[UNK] b\n100   7"


async def test_checks_are_shown_and_go_with_their_data_set(
    home: Home, djs: DataInfo, sentences: DataInfo
) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await pilot.press("c")
        await settle(pilot)
        assert "duplicates" in shown(app, "#data-findings")
        await pilot.press("down")
        await settle(pilot)
        assert not app.screen.query_one("#data-findings").display


async def test_a_data_set_is_removed_after_asking(home: Home, djs: DataInfo) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert store.info(home, "djs") == djs
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert store.listing(home) == ([], [])
        assert "No data yet" in shown(app, "#data-facts")


async def test_the_bundled_data_is_imported_where_its_names_are_free(home: Home, djs: DataInfo) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await pilot.press("b")
        await settle(pilot)
        assert store.info(home, "djs") == djs
        assert "sentences" in shown(app, "#data-facts")
        assert "imported sentences; data of the name djs is here already" in messages(app)


async def test_a_damaged_data_set_is_named(home: Home, djs: DataInfo) -> None:
    (home.data / "broken").mkdir()
    async with running(home, direct_services(home)) as (app, _):
        assert "broken" in shown(app, "#data-damaged")
        assert len(cells(app, "#data-list")) == 1


async def test_a_copied_folder_is_named_and_not_listed(home: Home, djs: DataInfo) -> None:
    shutil.copytree(home.data / "djs", home.data / "copy")
    async with running(home, direct_services(home)) as (app, _):
        assert "'copy' is a copy of the folder of 'djs'" in shown(app, "#data-damaged")
        assert len(cells(app, "#data-list")) == 1


async def test_data_that_cannot_be_opened_says_so_in_its_place(
    home: Home, djs: DataInfo, sentences: DataInfo
) -> None:
    (home.data / "djs" / "rows.jsonl").unlink()
    async with running(home, direct_services(home)) as (app, pilot):
        table = app.screen.query_one("#data-list", DataTable)
        facts = app.screen.query_one("#data-facts", Static)
        table.move_cursor(row=table.get_row_index("sentences"))
        await settle(pilot)
        table.move_cursor(row=table.get_row_index("djs"))
        await settle(pilot)
        assert "'djs' has lost its rows" in shown(app, "#data-facts") and facts.has_class("problem")
        assert not app.screen.query_one("#data-parts").display
        table.move_cursor(row=table.get_row_index("sentences"))
        await settle(pilot)
        assert "sentences: 200" in shown(app, "#data-facts") and not facts.has_class("problem")
        assert app.screen.query_one("#data-parts").display
        table.move_cursor(row=table.get_row_index("djs"))
        await settle(pilot)
        table.focus()
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert not (home.data / "djs").exists()


async def test_failed_checks_and_counts_leave_nothing_behind(home: Home, djs: DataInfo) -> None:
    def refuse(**_: Any) -> None:
        raise UserError("no [memory]")

    answers = {"data.check": refuse, "data.lengths": refuse}
    async with running(home, direct_services(home, answers)) as (app, pilot):
        assert shown(app, "#data-lengths") == ""
        await pilot.press("c")
        await settle(pilot)
        assert not app.screen.query_one("#data-findings").display
        assert messages(app)[-1] == "no [memory]"


@pytest.mark.parametrize(("key", "dialog"), [("t", "Ask"), ("x", "Choice")])
async def test_a_fault_in_an_action_is_a_message(
    home: Home, djs: DataInfo, monkeypatch: pytest.MonkeyPatch, key: str, dialog: str
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a [fault]")

    monkeypatch.setattr(f"bioforge.tui.tabs.data.{dialog}", fail)
    async with running(home, direct_services(home)) as (app, pilot):
        await pilot.press(key)
        await settle(pilot)
        assert "a [fault]" in messages(app)[-1]


# Importing


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20)])
async def test_a_file_is_looked_at_and_imported(home: Home, size: tuple[int, int]) -> None:
    async with running(home, direct_services(home), size) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        assert "comma-separated" in shown(app, "#import-facts")
        assert app.screen.query_one("#import-column", Select).value == "bio_main"
        assert len(cells(app, "#import-rows")) == 50
        assert shown(app, "#import-problems-line") == "no problems found"
        assert "words a text" in shown(app, "#import-lengths")
        app.screen.query_one("#import-name", Input).value = "mine"
        await pilot.pause()
        button = app.screen.query_one("#import-go", Button)
        assert app.screen.region.contains_region(button.region)
        button.press()
        await settle(pilot)
        assert store.info(home, "mine").column == "bio_main"
        assert not app.screen.query(FileImport)
        assert "mine" in shown(app, "#data-facts")
        assert app.focused is app.screen.query_one("#data-list")


async def test_cola_is_seen_to_be_cola(home: Home) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, assets() / "acceptability.tsv")
        assert shown(app, "#import-facts").startswith("CoLA: ")
        assert not app.screen.query_one("#import-column-line").display
        assert not app.screen.query_one("#import-checks").display
        app.screen.query_one("#import-name", Input).focus()
        await pilot.press("enter")
        await settle(pilot)
        assert store.info(home, "acceptability").kind == "cola"


async def test_hostile_data_is_shown_as_it_is(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "bad [x].csv"
    path.write_text(HOSTILE, encoding="utf-8")
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, path)
        assert cells(app, "#import-rows") == [
            ["1", "[/red] [bold]x", "a"],
            ["2", "�[31mred", "b"],
            ["3", "�abc 🎧", "c"],
        ]
        assert options(app, "#import-problems") == ["row 4  3 fields where the header has 2"]
        assert app.screen.query_one("#import-go", Button).disabled
        app.screen.query_one("#import-ragged", Checkbox).value = True
        await pilot.pause()
        app.screen.query_one("#import-go", Button).press()
        await settle(pilot)
        assert store.info(home, "bad-x").ragged == 1
        assert any("[/red] [bold]x" in line for line in options(app, "#data-rows"))


async def test_the_user_chooses_the_column_where_none_stands_out(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("first,[x]\nabcd,abc\nefgh,efg\n")
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, path)
        select: Select[str] = app.screen.query_one("#import-column", Select)
        assert select.value is Select.NULL and app.focused is select
        assert "choose the column" in shown(app, "#import-note")
        select.value = "[x]"
        await settle(pilot)
        assert cells(app, "#import-rows")[0] == ["1", "abc", "abcd"]
        assert shown(app, "#import-note") == ""
        app.screen.query_one("#import-go", Button).press()
        await settle(pilot)
        assert [row.text for row in store.load(home, "two").rows] == ["abc", "efg"]


@pytest.mark.parametrize("typed", ["/no/[where]", "n" * 300, "~nobody-of-this-name/x"])
async def test_a_path_to_nothing_is_one_line_beside_the_tree(home: Home, typed: str) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        await choose(app, pilot, typed)
        facts = app.screen.query_one("#import-facts", Static)
        assert facts.has_class("problem") and shown(app, "#import-facts")
        assert not app.screen.query_one("#import-form").display
        await choose(app, pilot, assets() / "dj_bios.csv")
        assert not facts.has_class("problem") and app.screen.query_one("#import-form").display


async def test_a_name_is_checked_as_it_is_typed_and_a_taken_one_is_refused(home: Home, djs: DataInfo) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        name = app.screen.query_one("#import-name", Input)
        name.value = "../up"
        await pilot.pause()
        assert "is a path" in shown(app, "#import-note")
        assert app.screen.query_one("#import-go", Button).disabled
        name.value = "djs"
        name.focus()
        await pilot.press("enter")
        await settle(pilot)
        assert shown(app, "#import-note") == "a data set 'djs' exists; choose another name"
        assert app.screen.query(FileImport) and app.screen.query_one("#import-go", Button).disabled
        assert store.info(home, "djs") == djs


async def test_a_folder_that_was_typed_is_opened_in_the_tree(home: Home, tmp_path: Path) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, tmp_path)
        assert "choose a file" in shown(app, "#import-facts")
        tree = app.screen.query_one("#import-tree")
        assert Path(tree.path) == tmp_path  # type: ignore[attr-defined]
        tree.focus()
        await pilot.press("backspace")
        await pilot.pause()
        assert Path(tree.path) == tmp_path.parent  # type: ignore[attr-defined]


async def test_a_file_is_chosen_in_the_tree(home: Home, tmp_path: Path) -> None:
    (tmp_path / "djs.csv").write_text("bio\na\nb\n")
    (tmp_path / "picture.png").write_bytes(b"no")
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, tmp_path)
        app.screen.query_one("#import-tree").focus()
        await pilot.press("home", "down", "enter")
        await settle(pilot)
        assert app.screen.query_one("#import-path", Input).value == str(tmp_path / "djs.csv")
        assert shown(app, "#import-facts") == "2 rows, utf-8, comma-separated"


async def test_escape_leaves_the_field_then_the_import(home: Home, djs: DataInfo) -> None:
    async with running(home, direct_services(home)) as (app, pilot):
        await choose(app, pilot, "/nowhere")
        await pilot.press("escape")
        await settle(pilot)
        assert app.focused is app.screen.query_one("#import-tree")
        await pilot.press("escape")
        await settle(pilot)
        assert not app.screen.query(FileImport)
        assert app.focused is app.screen.query_one("#data-list")
        assert "djs: 40 biographies" in shown(app, "#data-facts")


async def test_the_file_chosen_last_is_the_one_shown(home: Home, tmp_path: Path) -> None:
    context = Context(home, lambda _: None, lambda: False)
    never = asyncio.Event()

    async def preview(path: str, column: str | None) -> Any:
        if path.endswith("slow.csv"):
            await never.wait()
        return data_tasks.preview(context, path, column)

    (tmp_path / "fast.csv").write_text("bio\na\nb\n")
    async with running(home, direct_services(home, {"data.preview": preview})) as (app, pilot):
        await pilot.press("i")
        await settle(pilot)
        view = app.screen.query_one(FileImport)
        view.choose(tmp_path / "slow.csv")
        await pilot.pause()
        assert "reading" in shown(app, "#import-facts")
        view.choose(tmp_path / "fast.csv")
        await settle(pilot)
        assert shown(app, "#import-facts") == "2 rows, utf-8, comma-separated"
        view.choose(tmp_path / "slow.csv")
        await pilot.pause()
        await pilot.press("escape")
        await settle(pilot)
        assert shown(app, "#import-facts") == "2 rows, utf-8, comma-separated"
        assert app.screen.query_one("#import-path", Input).value == str(tmp_path / "fast.csv")
        app.screen.query_one("#import-go", Button).press()
        await settle(pilot)
        assert store.info(home, "fast").size == 2


async def test_the_column_chosen_last_is_the_one_shown(home: Home, tmp_path: Path) -> None:
    context = Context(home, lambda _: None, lambda: False)
    never = asyncio.Event()

    async def preview(path: str, column: str | None) -> Any:
        if column == "b":
            await never.wait()
        return data_tasks.preview(context, path, column)

    path = tmp_path / "two.csv"
    path.write_text("a,b\nlong enough to be guessed,x\nanother one of these,y\n")
    async with running(home, direct_services(home, {"data.preview": preview})) as (app, pilot):
        await choose(app, pilot, path)
        select: Select[str] = app.screen.query_one("#import-column", Select)
        assert select.value == "a"
        select.value = "b"
        await pilot.pause()
        await pilot.pause()
        assert app.screen.query_one("#import-go", Button).disabled
        select.value = "a"
        await pilot.pause()
        await settle(pilot)
        assert select.value == "a" and not app.screen.query_one("#import-go", Button).disabled


async def test_an_import_shows_how_far_it_is_and_can_be_stopped(home: Home) -> None:
    never = asyncio.Event()

    async def take(on_progress: Any, **_: Any) -> None:
        on_progress({"stage": "reading"})
        on_progress({"done": 500, "total": 2000})
        await never.wait()

    async with running(home, direct_services(home, {"data.import": take})) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        app.screen.query_one("#import-go", Button).press()
        await pilot.pause()
        await pilot.pause()
        assert app.screen.query_one("#importing").display
        assert app.screen.query_one("#import-bar", ProgressBar).percentage == 0.25
        await pilot.press("escape")
        await settle(pilot)
        assert "import stopped" in messages(app)
        assert not app.screen.query_one("#importing").display
        assert not app.screen.query_one("#import-go", Button).disabled


async def test_a_refused_import_is_one_message(home: Home) -> None:
    def refuse(**_: Any) -> None:
        raise UserError("the disk is [full]")

    async with running(home, direct_services(home, {"data.import": refuse})) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        app.screen.query_one("#import-go", Button).press()
        await settle(pilot)
        assert "the disk is [full]" in messages(app)
        assert app.screen.query(FileImport)


async def test_the_child_process_looks_at_a_file_imports_it_and_describes_it(home: Home) -> None:
    async with running(home, Services.of(home)) as (app, pilot):
        await choose(app, pilot, assets() / "dj_bios.csv")
        assert len(cells(app, "#import-rows")) == 50
        app.screen.query_one("#import-go", Button).press()
        await settle(pilot)
        assert store.info(home, "dj_bios").size == store.load(home, "dj_bios").info.size > 100
        assert "biographies" in shown(app, "#data-facts")
        assert len(options(app, "#data-rows")) == 8
        assert "words a text" in shown(app, "#data-lengths")
        await pilot.press("c")
        await settle(pilot)
        assert "duplicates" in shown(app, "#data-findings")
