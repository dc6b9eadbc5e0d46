"""The Generate tab, every action."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from bioforge.data.store import DataInfo
from bioforge.drafting.copies import open_copies
from bioforge.drafting.desk import Desk
from bioforge.drafting.draft import Draft as Drafted
from bioforge.drafting.order import Order
from bioforge.drafting.prompts import Prompt
from bioforge.errors import FaultError, UserError
from bioforge.files import read_json, write_json
from bioforge.generation import kept
from bioforge.generation.writer import Sampling, Writer
from bioforge.judging.judge import Judge, open_judge
from bioforge.models import store
from bioforge.paths import Home
from bioforge.service.client import Services
from bioforge.tui.app import BioforgeApp
from bioforge.tui.widgets.drafts import Draft, Drafts
from bioforge.tui.widgets.model_select import ModelSelect
from bioforge.tui.widgets.records import Records
from tests.app import dialog_open, direct_services, fake_services, messages, running, settle, shown
from tests.stored import store_model, until

HOSTILE = " [/red] [x] 🎧 \u202eabc\x1b[31m. Fine."


class FakeWriter:
    """Writes the prompt and a hostile end, stopping half way until `go` is set."""

    def __init__(self, *, waits: bool = False) -> None:
        self.go = asyncio.Event()
        self.was_stopped = False
        if not waits:
            self.go.set()

    async def __call__(
        self, model: str, prompt: str, n: int, on_progress: Callable[..., None], **_: Any
    ) -> list[dict[str, Any]]:
        on_progress({"loading": model})
        on_progress({"writing": model})
        for index in range(n):
            on_progress({"text": index, "more": prompt})
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.was_stopped = True
            raise
        text = prompt + HOSTILE
        return [
            {"text": text, "tokens": 20 + index, "ended": index % 2 == 0, "whole": index % 2 == 0}
            for index in range(n)
        ]


def fake_judge(model: str, text: str) -> dict[str, Any]:
    """Finds all but the last sentence weak."""
    cut = text.rindex("Fine")
    return {"threshold": 0.6, "sentences": [[0, cut - 1, 0.25, False], [cut, len(text), 0.75, False]]}


def services(writer: FakeWriter | None = None) -> Services:
    return fake_services({"models.generate": writer or FakeWriter(), "models.judge_text": fake_judge})


async def opened(app: BioforgeApp, pilot: Pilot[None]) -> None:
    await app.open_tab("generate")
    await settle(pilot)


def cards(app: BioforgeApp) -> list[Draft]:
    return list(app.screen.query(Draft))


def asked(services: Services) -> list[dict[str, Any]]:
    return [arguments for task, arguments in services.models.calls if task == "models.generate"]  # type: ignore[attr-defined]


def field(app: BioforgeApp, name: str) -> Input:
    return app.screen.query_one(f"#field-{name} Input", Input)


async def test_without_a_writer_it_says_what_to_do(home: Home) -> None:
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        assert "tab 2" in shown(app, "#no-drafts")
        await pilot.press("g", "ctrl+g", "a", "k", "c", "s", "j")
        await settle(pilot)
        assert asked(app.services) == []
        await pilot.press("p", "x", "enter")
        assert any("No writer yet" in message for message in messages(app))


async def test_enter_writes_what_the_fields_say_with_the_default_writer(home: Home) -> None:
    store_model(home, "older", "bios", day=1)
    store_model(home, "newer", "bios", day=2)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "enter")
        await settle(pilot)
        (arguments,) = asked(app.services)
        assert (arguments["model"], arguments["prompt"], arguments["n"]) == ("newer", "Born", 3)
        assert arguments["sampling"] == {
            "max_new_tokens": 200,
            "top_k": 50,
            "top_p": 0.95,
            "temperature": 1.0,
        }
        assert [card.text for card in cards(app)] == ["Born" + HOSTILE] * 3
        assert "20 tokens" in str(cards(app)[0].content)
        assert "cut at the length limit" in str(cards(app)[1].content)
        assert str(cards(app)[1].content).endswith(" …")
        assert "[/red] [x] 🎧 " in str(cards(app)[0].content)
        assert "\x1b" not in str(cards(app)[0].content)
        # The seed was drawn, and can be seen.
        assert str(arguments["seed"]) in shown(app, "#generate-status")
        assert field(app, "seed").placeholder == str(arguments["seed"])
        assert app.screen.query_one("#prompt", Input).value == "Born"


async def test_the_same_again_and_another_seed_otherwise(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        app.screen.query_one("#prompt", Input).value = "changed"
        await pilot.press("a")
        await settle(pilot)
        await pilot.press("g")
        await settle(pilot)
        first, again, other = asked(app.services)
        assert first == again
        assert other["prompt"] == "changed" and other["seed"] != first["seed"]


async def test_the_writer_can_be_chosen_and_stays_chosen(home: Home) -> None:
    store_model(home, "older", "bios", day=1)
    store_model(home, "newer", "bios", day=2)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        app.screen.query_one(ModelSelect).value = "older"
        await app.open_tab("models")
        await settle(pilot)
        await opened(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        assert asked(app.services)[0]["model"] == "older"


async def test_text_streams_and_escape_stops_at_once_keeping_what_was_written(home: Home) -> None:
    store_model(home, "writer", "bios")
    writer = FakeWriter(waits=True)
    async with running(home, services(writer)) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "enter")
        await until(pilot, lambda: cards(app) and "Born" in str(cards(app)[2].content))
        assert "esc stops" in shown(app, "#generate-status")
        await pilot.press("j")
        assert not any(task == "models.judge_text" for task, _ in app.services.models.calls)  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: "stopped" in shown(app, "#generate-status"))
        assert writer.was_stopped
        assert [card.text for card in cards(app)] == ["Born"] * 3
        assert "stopped" in str(cards(app)[0].content)
        # And the next request works.
        writer.go.set()
        await pilot.press("g")
        await until(pilot, lambda: cards(app)[0].text == "Born" + HOSTILE)


async def test_a_text_that_is_still_being_written_is_not_kept_copied_or_saved(home: Home) -> None:
    store_model(home, "writer", "bios")
    writer = FakeWriter(waits=True)
    async with running(home, services(writer)) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "enter")
        await until(pilot, lambda: cards(app) and "Born" in str(cards(app)[0].content))
        await pilot.press("k", "c", "s")
        await pilot.pause(0.2)
        assert kept.kept(home) == [] and messages(app) == []
        assert app.screen is app.screen_stack[0]
        writer.go.set()
        await settle(pilot)
        await pilot.press("k")
        await settle(pilot)
        assert [item.text for item in kept.kept(home)] == ["Born" + HOSTILE]


async def test_writing_anew_takes_the_place_of_what_is_being_written(home: Home) -> None:
    store_model(home, "writer", "bios")
    writer = FakeWriter(waits=True)
    async with running(home, services(writer)) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "ctrl+g")
        await until(pilot, lambda: len(cards(app)) == 3)
        field(app, "n").value = "2"
        writer.go.set()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: [card.text for card in cards(app)] == ["Born" + HOSTILE] * 2)
        assert "writing" not in shown(app, "#generate-status")
        assert not any("writing" in str(card.content) for card in cards(app))


@pytest.mark.parametrize(
    "error", [UserError("no [such] model"), FaultError("the helper process ended (exit -9)")]
)
async def test_a_failure_is_one_message_and_costs_neither_prompt_nor_texts(
    home: Home, error: Exception
) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "enter")
        await settle(pilot)
        good = app.services.models.answers["models.generate"]  # type: ignore[attr-defined]

        def fail(**_: Any) -> None:
            raise error

        app.services.models.answers["models.generate"] = fail  # type: ignore[attr-defined]
        await pilot.press("g")
        await settle(pilot)
        assert messages(app) == [str(error)]
        assert app.screen.query_one("#prompt", Input).value == "Born"
        assert [card.text for card in cards(app)] == ["Born" + HOSTILE] * 3
        app.services.models.answers["models.generate"] = good  # type: ignore[attr-defined]
        await pilot.press("g")
        await settle(pilot)
        assert len(asked(app.services)) == 3 and len(messages(app)) == 1


async def test_a_number_out_of_range_is_told_as_it_is_typed_and_nothing_is_written(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        field(app, "temperature").value = "5"
        await settle(pilot)
        assert shown(app, "#field-temperature .hint") == "✗ 0 to 2"
        assert field(app, "temperature").has_class("-invalid")
        await pilot.press("g")
        await settle(pilot)
        assert asked(app.services) == []
        assert messages(app) == ["temperature: 0 to 2"]
        assert app.focused is field(app, "temperature")
        field(app, "temperature").value = "0.5"
        await pilot.press("enter")
        await settle(pilot)
        assert asked(app.services)[0]["sampling"]["temperature"] == 0.5


async def test_on_a_narrow_screen_the_hint_of_a_field_is_below(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services(), size=(60, 20)) as (app, pilot):
        await opened(app, pilot)
        field(app, "top-k").focus()
        await settle(pilot)
        assert "top-k: of the 0" in shown(app, "#generate-status")
        field(app, "top-k").value = "-3"
        await settle(pilot)
        assert shown(app, "#generate-status") == "top-k: 0 to 1000, whole"
        await pilot.press("escape", "g")
        field(app, "top-k").value = "5"
        await pilot.press("enter")
        await settle(pilot)
        drafts = app.screen.query_one(Drafts)
        assert drafts.region.height >= 4 and cards(app)[0].region.width > 40


async def test_a_text_is_kept_listed_copied_and_deleted(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("l")
        await settle(pilot)
        assert any("nothing kept" in message for message in messages(app))
        await pilot.press("g")
        await settle(pilot)
        await pilot.press("down", "k")
        await settle(pilot)
        (found,) = kept.kept(home)
        # The second text's own seed.
        seed = asked(app.services)[0]["seed"] + 1
        assert found.text == HOSTILE and found.seed == seed
        assert [card.is_kept for card in cards(app)] == [False, True, False]
        assert "kept" in str(cards(app)[1].content)
        await pilot.press("l")
        await dialog_open(pilot)
        assert isinstance(app.screen, Records)
        assert "[/red]" in shown(app, ".preview")
        app.copy_to_clipboard("")
        await pilot.press("c")
        assert app.clipboard == HOSTILE
        assert shown(app, ".preview").startswith(f"seed {seed}, begins with: nothing\n")
        await pilot.press("x", "escape")
        await dialog_open(pilot)
        assert len(kept.kept(home)) == 1
        await pilot.press("x", "y")
        await settle(pilot)
        await until(pilot, lambda: not isinstance(app.screen, Records))
        assert kept.kept(home) == []
        assert not isinstance(app.screen, Records)


async def test_a_text_is_kept_with_what_it_was_written_from_not_with_the_next_request(home: Home) -> None:
    store_model(home, "writer", "bios")
    waits = asyncio.Event()

    async def loading(**_: Any) -> None:
        await waits.wait()

    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        app.screen.query_one("#prompt", Input).value = "first"
        await pilot.press("g")
        await settle(pilot)
        app.services.models.answers["models.generate"] = loading  # type: ignore[attr-defined]
        app.screen.query_one("#prompt", Input).value = "second"
        await pilot.press("g", "k")
        await until(pilot, lambda: kept.kept(home))
        (found,) = kept.kept(home)
        assert (found.prompt, found.seed) == ("first", asked(app.services)[0]["seed"])
        await pilot.press("escape")


async def test_what_goes_wrong_in_a_dialog_is_a_message(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(home: Home) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(kept, "kept", fail)
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("l")
        await settle(pilot)
        assert messages(app) == ["not yours"]


async def test_one_of_several_kept_texts_is_deleted(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        for prompt in ("one", "two", "three"):
            app.screen.query_one("#prompt", Input).value = prompt
            await pilot.press("g")
            await settle(pilot)
            await pilot.press("k")
            await settle(pilot)
        await pilot.press("l")
        await dialog_open(pilot)
        await pilot.press("down", "x", "y")
        await until(pilot, lambda: len(kept.kept(home)) == 2)
        await dialog_open(pilot)
        assert [item.prompt for item in kept.kept(home)] == ["three", "one"]
        options = app.screen.query_one(OptionList)
        assert options.option_count == 2
        await pilot.press("end", "c")
        assert app.clipboard.startswith("one")
        await pilot.press("escape")
        await settle(pilot)


async def test_a_text_is_copied_and_saved_and_a_file_is_replaced_only_after_asking(
    home: Home, tmp_path: Path
) -> None:
    store_model(home, "writer", "bios")
    target = tmp_path / "text.txt"
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("p", *"Born", "enter")
        await settle(pilot)
        await pilot.press("c")
        assert app.clipboard == "Born" + HOSTILE
        for answer, expected in (
            (None, "Born" + HOSTILE + "\n"),
            ("escape", "old"),
            ("y", "Born" + HOSTILE + "\n"),
        ):
            if answer:
                target.write_text("old")
            await pilot.press("s")
            await dialog_open(pilot)
            app.screen.query_one("#answer", Input).value = str(tmp_path / "text.pdf")
            await pilot.press("enter")
            assert "let the name end in .txt" in shown(app, ".hint")
            app.screen.query_one("#answer", Input).value = str(target)
            await pilot.press("enter")
            if answer:
                await dialog_open(pilot)
                await pilot.press(answer)
            await settle(pilot)
            assert target.read_text() == expected


async def test_weak_sentences_are_marked_in_place(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        await pilot.press("j")
        await settle(pilot)
        assert any("no judge yet" in message for message in messages(app))
        store_model(home, "judge", "cola")
        await pilot.press("down", "j")
        await settle(pilot)
        first, second, _ = cards(app)
        assert first.checked is None
        assert "1 of 2 weak, mean 0.50, judge" in str(second.content)
        content: Any = second.content
        weak = [
            str(content)[span.start : span.end] for span in content.spans if "underline" in str(span.style)
        ]
        assert weak == [" [/red] [x] 🎧 �abc�[31m."]
        # All of the text is still there.
        assert str(content).endswith("[31m. Fine. …")


async def test_a_judge_chooses_among_drafts_and_what_is_copied_stands_below(
    home: Home, djs: DataInfo, tiny_gpt2: Path, exported_bert: Path
) -> None:
    store_model(home, "writer", "bios", tiny_gpt2)
    store_model(home, "judge", "cola", exported_bert)
    described = store.folder(home, "writer") / store.INFO_FILE
    write_json(described, {**read_json(described), "data_fingerprint": djs.fingerprint})
    sampling = Sampling(30)
    info, written = store.info(home, "writer"), Writer.load(store.folder(home, "writer"))
    copies = open_copies(home, info, lambda _: None)

    def expected(judge: Judge | None) -> list[Drafted]:
        order = Order([Prompt("Born in")], 2, sampling, 5, is_judged=bool(judge), trim=bool(judge))
        return list(Desk(written, judge, copies).write(order)[0].texts)

    async with running(home, direct_services(home)) as (app, pilot):
        await opened(app, pilot)
        for name, value in (("n", "2"), ("max-new-tokens", "30"), ("seed", "5")):
            field(app, name).value = value
        app.screen.query_one("#prompt", Input).value = "Born in"
        # Nobody chooses unless asked.
        await pilot.press("g")
        await settle(pilot)
        plain = expected(None)
        assert [card.text for card in cards(app)] == [draft.text for draft in plain]
        for card, draft in zip(cards(app), plain, strict=True):
            assert draft.copied and f"longest copy {draft.copied.words} word" in str(card.content)
            assert "acceptability" not in str(card.content)
        app.screen.query_one("#ranked-by", ModelSelect).value = "judge"
        await pilot.press("g")
        await settle(pilot)
        ranked = expected(open_judge(store.folder(home, "judge")))
        assert [card.text for card in cards(app)] == [draft.text for draft in ranked]
        assert [card.seed for card in cards(app)] == [draft.seed for draft in ranked] != [5, 6]
        for place, (card, draft) in enumerate(zip(cards(app), ranked, strict=True), 1):
            said = (
                f"acceptability {draft.mean:.2f}, weakest sentence {draft.weakest:.2f} · place {place} of 8"
            )
            assert said in str(card.content)
        assert shown(app, "#generate-status") == "writer, seed 5, ranked by judge"
        # Without chance all drafts are one.
        field(app, "temperature").value = "0"
        await pilot.press("g")
        await settle(pilot)
        first, second = cards(app)
        assert first.text and "place 1 of 8 drafts" in str(first.content)
        assert second.text == "" and "the other drafts say the same" in str(second.content)
        assert messages(app) == []


async def test_writing_again_is_ranked_by_the_same_judge(home: Home) -> None:
    store_model(home, "writer", "bios")
    store_model(home, "judge", "cola")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        ranked_by = app.screen.query_one("#ranked-by", ModelSelect)
        assert ranked_by.model is None
        ranked_by.value = "judge"
        await pilot.press("g")
        await settle(pilot)
        ranked_by.clear()
        for key in "ag":
            await pilot.press(key)
            await settle(pilot)
        assert [request["judge"] for request in asked(app.services)] == ["judge", "judge", None]


async def test_escape_stops_the_judge_too(home: Home) -> None:
    store_model(home, "writer", "bios")
    store_model(home, "judge", "cola")
    stopped = []

    async def endless(model: str, text: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(text)
            raise

    async with running(home, services()) as (app, pilot):
        app.services.models.answers["models.judge_text"] = endless  # type: ignore[attr-defined]
        await opened(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        await pilot.press("j")
        await until(pilot, lambda: "judge reads" in shown(app, "#generate-status"))
        await pilot.press("escape")
        await until(pilot, lambda: stopped == [HOSTILE])
        await until(pilot, lambda: "seed" in shown(app, "#generate-status"))


async def test_cards_are_chosen_with_keys_and_with_the_mouse(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services()) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("g")
        await settle(pilot)
        drafts = app.screen.query_one(Drafts)
        assert drafts.chosen is cards(app)[0]
        await pilot.press("down", "down", "down")
        assert drafts.chosen is cards(app)[2]
        await pilot.press("up")
        assert drafts.chosen is cards(app)[1]
        await pilot.click(cards(app)[0])
        assert drafts.chosen is cards(app)[0]
        assert [card.has_class("-chosen") for card in cards(app)] == [True, False, False]


async def test_a_card_taller_than_the_view_is_scrolled_through_before_the_next(home: Home) -> None:
    store_model(home, "writer", "bios")
    async with running(home, services(), size=(60, 20)) as (app, pilot):
        await opened(app, pilot)
        app.screen.query_one("#prompt", Input).value = "many words " * 120
        await pilot.press("g")
        await settle(pilot)
        drafts = app.screen.query_one(Drafts)
        await pilot.press("down")
        assert drafts.chosen is cards(app)[0] and drafts.scroll_offset.y > 0
        for _ in range(12):
            await pilot.press("down")
        assert drafts.chosen is cards(app)[2]


async def test_a_real_child_writes_stops_and_survives_being_killed(home: Home, tiny_gpt2: Path) -> None:
    store_model(home, "tiny", "bios", tiny_gpt2)
    app = BioforgeApp(home)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await opened(app, pilot)
        field(app, "max-new-tokens").value = "30"
        field(app, "seed").value = "5"
        app.screen.query_one("#prompt", Input).value = "Born in"
        await pilot.press("g")
        await settle(pilot)
        texts = [card.text for card in cards(app)]
        assert len(set(texts)) == 3 and all(text.startswith("Born in") for text in texts)
        assert all("tokens" in str(card.content) for card in cards(app)) and messages(app) == []
        await pilot.press("a")
        await settle(pilot)
        assert [card.text for card in cards(app)] == texts
        pid = app.services.models.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until(pilot, lambda: app.services.models.status == "off")
        await pilot.press("a")
        await settle(pilot)
        assert [card.text for card in cards(app)] == texts
        assert app.services.models.pid != pid
