"""The Models tab, every action."""

from __future__ import annotations

import shutil

import pytest
from textual.widgets import DataTable, Input

from bioforge.errors import UserError
from bioforge.models import store
from bioforge.models.store import ModelInfo, publish
from bioforge.paths import Home
from bioforge.settings import load_settings
from tests.app import dialog_open, fake_services, messages, running, settle, shown


def add_model(home: Home, name: str, task: str = "bios") -> None:
    source = home.root / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "config.json").write_text("{}", encoding="utf-8")
    (source / "model.safetensors").write_bytes(b"w" * 2000)
    info = ModelInfo(
        name=name,
        task=task,  # type: ignore[arg-type]
        base="tiny [/red] base",
        base_source="folder",
        created="2026-01-02T03:04:05+00:00",
        run="2026-01-02-0304-bios-quiet-otter",
        data="djs",
        data_fingerprint="f" * 64,
        recipe={},
        metrics={"loss": 2.5, "perplexity": 12.2} if task == "bios" else {"loss": 0.5, "mcc": 0.41},
        step=10,
        max_length=64,
        threshold=None if task == "bios" else 0.61,
        parameters=[("embed.weight", (10, 4)), ("block.0.weight", (4, 4)), ("head.weight", (10, 4))],
    )
    publish(home, source, info)


async def test_an_empty_store_says_what_to_do_next(home: Home) -> None:
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        assert "train" in shown(app, "#model-facts")
        await pilot.press("d")
        assert load_settings(home).writer is None


async def test_models_are_listed_with_their_facts_and_parameter_table(home: Home) -> None:
    add_model(home, "writer")
    add_model(home, "judge", "cola")
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        table = app.screen.query_one("#models-list", DataTable)
        assert table.row_count == 2
        assert "[/red]" in str(table.get_cell_at((0, 6)))  # type: ignore[arg-type]
        assert "3 different named parameters" in shown(app, "#model-parameters")
        assert "block.0.weight" in shown(app, "#model-parameters")


async def test_a_model_becomes_the_default_and_keeps_that_under_a_new_name(home: Home) -> None:
    add_model(home, "one")
    add_model(home, "two")
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        await pilot.press("down", "d")
        await settle(pilot)
        chosen = load_settings(home).writer
        assert chosen in {"one", "two"}
        await pilot.press("r")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = "renamed"
        await pilot.press("enter")
        await settle(pilot)
        assert load_settings(home).writer == "renamed"
        assert store.info(home, "renamed").name == "renamed"
        assert not (home.models / str(chosen)).exists()


async def test_a_name_that_cannot_be_is_refused_as_it_is_typed(home: Home) -> None:
    add_model(home, "one")
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        await pilot.press("r")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = "../up"
        await pilot.press("enter")
        await pilot.pause()
        assert "is a path" in shown(app, ".hint")
        await pilot.press("escape")
        await settle(pilot)
        assert (home.models / "one").exists()


async def test_a_model_is_exported_and_deleted_after_asking(home: Home) -> None:
    add_model(home, "one")
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        await pilot.press("e")
        await dialog_open(pilot)
        app.screen.query_one("#answer", Input).value = str(home.root / "out")
        await pilot.press("enter")
        await settle(pilot)
        assert (home.root / "out" / "model.safetensors").exists()
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert (home.models / "one").exists()
        await pilot.press("x")
        await dialog_open(pilot)
        await pilot.press("y")
        await settle(pilot)
        assert not (home.models / "one").exists()
        assert app.screen.query_one("#models-list", DataTable).row_count == 0


async def test_a_base_is_fetched_with_a_bar_and_a_failure_is_one_message(home: Home) -> None:
    async def pull(name: str, on_progress: object) -> dict[str, str]:
        on_progress({"done": 5, "total": 10})  # type: ignore[operator]
        return {"name": name}

    services = fake_services({"data.pull": pull})
    async with running(home, services) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        await pilot.press("p")
        await settle(pilot)
        assert services.downloads.calls == [("data.pull", {"name": "gpt2"})]  # type: ignore[attr-defined]
        assert "gpt2 is here" in messages(app)

        def refuse(name: str) -> None:
            raise UserError("cannot reach [the hub]")

        services.downloads.answers["data.pull"] = refuse  # type: ignore[attr-defined]
        await pilot.press("p")
        await settle(pilot)
        assert "cannot reach [the hub]" in messages(app)


async def test_starters_are_fetched_with_a_key_and_listed(home: Home) -> None:
    def pull(name: str) -> dict[str, str]:
        add_model(home, "starter-judge", "cola")
        return {"name": name}

    services = fake_services({"data.pull": pull})
    async with running(home, services) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        assert "press s" in " ".join(shown(app, "#model-facts").split())
        await pilot.press("s")
        await settle(pilot)
        assert services.downloads.calls == [("data.pull", {"name": "starter"})]  # type: ignore[attr-defined]
        assert app.screen.query_one("#models-list", DataTable).row_count == 1


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_a_damaged_model_is_named_beside_the_whole_ones(home: Home, size: tuple[int, int]) -> None:
    add_model(home, "one")
    (home.models / "broken").mkdir()
    async with running(home, size=size) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        assert "broken" in shown(app, "#models-problems")
        assert app.screen.query_one("#models-list", DataTable).row_count == 1


async def test_a_folder_copied_by_hand_is_a_model_of_its_own_name(home: Home) -> None:
    add_model(home, "one")
    shutil.copytree(home.models / "one", home.models / "two")
    async with running(home) as (app, pilot):
        await app.open_tab("models")
        await settle(pilot)
        table = app.screen.query_one("#models-list", DataTable)
        assert {str(table.get_cell_at((row, 1))) for row in range(2)} == {"one", "two"}  # type: ignore[arg-type]
