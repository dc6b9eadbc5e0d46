"""The Generate tab: texts from a prompt, as they are written."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Button, Input, Static

from bioforge.errors import UserError
from bioforge.generation import kept
from bioforge.generation.sampling import CONTROLS, read_order
from bioforge.journal import local_date
from bioforge.judging.checked import Checked
from bioforge.models import store
from bioforge.models.choices import choices
from bioforge.reporting import export
from bioforge.reporting.text import one_line
from bioforge.tui.actions import Action
from bioforge.tui.saving import save_as
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.drafts import Draft, Drafts, Request
from bioforge.tui.widgets.model_select import ModelSelect
from bioforge.tui.widgets.number_field import NumberField
from bioforge.tui.widgets.records import Record, Records

_REDRAW_S = 0.1
_NO_WRITER = "No writer yet. Import biographies in tab 1, then train on them in tab 2."
_NO_TEXT = "No text yet. Type what it shall begin with, or nothing, and press enter."


class GenerateTab(Page):
    NAME = "generate"
    TITLE = "Generate"
    HELP = (
        "Texts written by a model you trained, side by side and as they come. "
        "A text can be kept, copied, saved or judged; the same seed writes the same texts again. "
        "Ranked by a judge, the best of four times as many drafts are shown, each ended at a whole sentence. "
        "Below a text stands what it copies from those the writer learnt from."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("generate", "write", "g,ctrl+g", "Write", "Write texts that begin with the prompt."),
        Action("generate", "again", "a", "Again", "Write the same texts again: same seed, same settings."),
        Action("generate", "prompt", "p", "Prompt", "Go to the prompt.", False),
        Action("generate", "keep", "k", "Keep", "Keep the chosen text."),
        Action("generate", "kept", "l", "Kept", "The texts kept so far, to read, copy or delete."),
        Action("generate", "copy", "c", "Copy", "Copy the chosen text to the clipboard of the terminal."),
        Action("generate", "save", "s", "Save", "Save the chosen text as a file."),
        Action("generate", "judge", "j", "Judge", "Mark the sentences that the default judge finds weak."),
    )
    MAIN = "#drafts"

    def __init__(self) -> None:
        super().__init__()
        self._last: Request | None = None
        """What was asked for last: `again` asks for the very same."""
        self._is_writing = False
        self._outcome = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="generate-top"):
            yield Static("begins with", classes="label")
            yield Input(id="prompt", compact=True, placeholder="nothing: the model begins")
            yield Button("Write", id="write", compact=True)
        with Container(id="generate-split"):
            with Vertical(id="generate-controls"):
                with Container(id="writer-and-judge"):
                    with Horizontal():
                        yield Static("writer", classes="label")
                        yield ModelSelect("no writer yet", id="writer")
                    with Horizontal():
                        yield Static("ranked by", classes="label")
                        yield ModelSelect("nobody", optional=True, id="ranked-by")
                with Container(id="numbers"):
                    yield from (NumberField(control) for control in CONTROLS)
                yield Static("", id="generate-status", markup=False)
            with Drafts(id="drafts"):
                yield Static("", id="no-drafts", classes="empty", markup=False)

    @property
    def _writers(self) -> ModelSelect:
        return self.query_one("#writer", ModelSelect)

    @property
    def _judges(self) -> ModelSelect:
        return self.query_one("#ranked-by", ModelSelect)

    async def opened(self) -> None:
        infos = await asyncio.to_thread(choices, self.home, "bios")
        judges = await asyncio.to_thread(choices, self.home, "cola")
        self._writers.offer([info.name for info in infos])
        self._judges.offer([info.name for info in judges])
        empty = self.query("#no-drafts")
        if empty:
            empty.first(Static).update(Text(_NO_TEXT if infos else _NO_WRITER))
        self.refresh_bindings()

    def can(self, name: str) -> bool | None:
        if not self.query(Drafts):
            return None
        if name in ("prompt", "kept"):
            return True
        if name == "write":
            return bool(self._writers.model) or None
        if name == "again":
            return bool(self._last) or None
        chosen = self.query_one(Drafts).chosen
        # Of a text that is still being written there would be a fragment.
        ready = chosen is not None and not chosen.is_writing and bool(chosen.text.strip())
        return (ready and not (name == "judge" and self._is_writing)) or None

    def leave(self) -> bool:
        stopped = [
            *self.workers.cancel_group(self, "writing"),
            *self.workers.cancel_group(self, "judging"),
        ]
        return bool(stopped)

    @on(Input.Changed, "NumberField Input")
    def _number_typed(self, event: Input.Changed) -> None:
        if not self._is_writing:
            self._explain(event.input)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if not self._is_writing and isinstance(event.widget, Input):
            self._explain(event.widget)

    def _explain(self, input: Input) -> None:
        """Say what a field is for, or what is wrong with it, where there is no room beside it."""
        field = input.parent
        if isinstance(field, NumberField) and self.screen.has_class("-narrow"):
            self._tell_status(field.problem or f"{field.control.label}: {field.control.hint}")

    # Writing

    @on(Input.Submitted)
    @on(Button.Pressed, "#write")
    def action_write(self) -> None:
        model = self._writers.model
        if not model:
            self.bioforge.tell(UserError(_NO_WRITER), "warning")
            return
        fields = self.query(NumberField)
        try:
            order = read_order({field.control.name: field.input.value for field in fields})
        except UserError as error:
            self.bioforge.tell(error)
            next(field for field in fields if field.problem).input.focus()
            return
        # Away from the field, so that one escape stops the writing.
        self.focus_main()
        self._begin(Request(model, self.query_one("#prompt", Input).value, order, self._judges.model))

    def action_again(self) -> None:
        assert self._last
        self._begin(self._last)

    def action_prompt(self) -> None:
        self.query_one("#prompt", Input).focus()

    def _begin(self, request: Request) -> None:
        self.workers.cancel_group(self, "judging")
        self._last = request
        self.query_one("#field-seed Input", Input).placeholder = str(request.order.seed)
        self.start(self._write, request, group="writing")

    async def _write(self, request: Request) -> None:
        cards: list[Draft] = []

        def begun() -> list[Draft]:
            if not cards:
                cards.extend(self.query_one(Drafts).begin(request))
            return cards

        def heard(said: dict[str, Any]) -> None:
            if "loading" in said:
                self._tell_status(f"loading {said['loading']} …")
            elif "doing" in said:
                self._tell_status(f"{said['doing']}, seed {request.order.seed}; esc stops")
            elif "writing" in said:
                begun()
                self._tell_status(f"writing, seed {request.order.seed}; esc stops")
            else:
                begun()[said["text"]].grow(said["more"])

        def redraw() -> None:
            for card in cards:
                card.redraw()

        timer = self.set_interval(_REDRAW_S, redraw)
        self._is_writing = True
        self._tell_status(f"asking {request.model} …")
        self._outcome = ""
        try:
            texts = await self.services.models.call(
                "models.generate",
                on_progress=heard,
                model=request.model,
                prompt=request.prompt,
                n=request.order.n,
                sampling=asdict(request.order.sampling),
                seed=request.order.seed,
                judge=request.judge,
            )
            for card, text in zip(begun(), texts, strict=False):
                card.finish(**text)
            for card in begun()[len(texts) :]:
                card.lack()
            ranked = f", ranked by {request.judge}" if request.judge else ""
            self._outcome = f"{request.model}, seed {request.order.seed}{ranked}"
        except asyncio.CancelledError:
            if self._last is request:
                self._outcome = f"stopped; {request.model}, seed {request.order.seed}"
            raise
        finally:
            timer.stop()
            for card in cards:
                if card.is_writing:
                    card.stop()
            redraw()
            if self._last is request:
                self._is_writing = False
                self._tell_status(self._outcome)

    def _tell_status(self, status: str) -> None:
        self.query_one("#generate-status", Static).update(Text(status))
        self.refresh_bindings()

    # What is done with a text

    @property
    def _chosen(self) -> Draft:
        chosen = self.query_one(Drafts).chosen
        assert chosen
        return chosen

    def action_keep(self) -> None:
        self.start(self._keep, self._chosen)

    async def _keep(self, card: Draft) -> None:
        # Not of the last request: its texts may still be to come.
        request = card.request
        await asyncio.to_thread(
            kept.keep,
            self.home,
            card.text,
            request.model,
            request.prompt,
            card.seed,
            request.order.sampling,
        )
        card.keep()
        self.bioforge.say("kept; l lists what you kept")

    def action_kept(self) -> None:
        self.start(self._show_kept)

    async def _show_kept(self) -> None:
        found = await asyncio.to_thread(kept.kept, self.home)
        if not found:
            self.bioforge.say("nothing kept yet; k keeps the chosen text")
            return
        records = [
            Record(
                item.id,
                local_date(item.created),
                item.model,
                item.text,
                f"seed {item.seed}, begins with: {one_line(item.prompt, 200) or 'nothing'}",
            )
            for item in found
        ]
        await self.app.push_screen_wait(
            Records("Kept texts", records, lambda id: kept.discard(self.home, id))
        )

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._chosen.text)
        self.bioforge.say("copied, if your terminal lets programs copy; s saves it as a file")

    def action_save(self) -> None:
        self.start(self._save, self._chosen.text)

    async def _save(self, text: str) -> None:
        path = await save_as(self.bioforge, "Save the text as", str(Path.cwd() / "text.txt"), [".txt"])
        if path:
            await asyncio.to_thread(export.save, path, text + "\n")
            self.bioforge.say(f"saved {path}")

    def action_judge(self) -> None:
        self.start(self._judge, self._chosen, group="judging")

    async def _judge(self, card: Draft) -> None:
        judge = await asyncio.to_thread(store.default_model, self.home, "cola")
        self._tell_status(f"{judge} reads …")
        try:
            reply = await self.services.models.call(
                "models.judge_text",
                on_progress=lambda said: self._tell_status(
                    f"loading {said['loading']} …" if "loading" in said else f"{judge} reads …"
                ),
                model=judge,
                text=card.text,
            )
        finally:
            if not self._is_writing:
                self._tell_status(self._outcome)
        card.mark(await asyncio.to_thread(Checked.of, card.text, judge, reply))
