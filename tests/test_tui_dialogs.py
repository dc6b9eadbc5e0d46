"""The questions the app asks."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Input

from bioforge.paths import Home
from bioforge.tui.dialogs import Choice, Files, PickPath
from tests.app import running


async def test_enter_alone_does_nothing_dangerous(home: Home) -> None:
    answers: list[str | None] = []
    async with running(home) as (app, pilot):
        app.push_screen(Choice("Really?", [("y", "Remove it", "remove")], "remove"), answers.append)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        app.push_screen(Choice("Which?", [("y", "Keep it", "keep")]), answers.append)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert answers == [None, "keep"]


async def test_backspace_climbs_only_from_the_tree(home: Home, tmp_path: Path) -> None:
    async with running(home) as (app, pilot):
        app.push_screen(PickPath("Which?", tmp_path))
        await pilot.pause()
        field, tree = app.screen.query_one(Input), app.screen.query_one(Files)
        field.focus()
        await pilot.press("a", "b", "backspace", "backspace", "backspace")
        assert (field.value, Path(tree.path)) == ("", tmp_path)
        tree.focus()
        await pilot.press("backspace")
        assert Path(tree.path) == tmp_path.parent


async def test_file_names_cannot_drive_the_terminal(home: Home, tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m[b]x\ny.csv").touch()
    async with running(home) as (app, pilot):
        app.push_screen(PickPath("Which?", tmp_path))
        await pilot.pause()
        tree = app.screen.query_one(Files)
        await tree.reload()
        assert [str(node.label) for node in tree.root.children] == ["�[31m[b]x y.csv"]
