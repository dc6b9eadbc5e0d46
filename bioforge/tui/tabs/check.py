"""The Check tab: a verdict on each sentence of what is typed, pasted or read from a file."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.timer import Timer
from textual.widgets import Select, Static, TextArea

from bioforge.errors import UserError
from bioforge.journal import local_date, new_id
from bioforge.judging import history
from bioforge.judging.checked import Checked
from bioforge.models.choices import choices
from bioforge.models.store import ModelInfo
from bioforge.reporting import export
from bioforge.reporting.text import count, one_line
from bioforge.reporting.verdicts import REPORTS, report, summary
from bioforge.tui.actions import Action
from bioforge.tui.dialogs import PickPath
from bioforge.tui.saving import save_as
from bioforge.tui.tabs.base import Page
from bioforge.tui.widgets.model_select import ModelSelect
from bioforge.tui.widgets.plain_text import PlainText
from bioforge.tui.widgets.records import Record, Records
from bioforge.tui.widgets.slider import Slider
from bioforge.tui.widgets.verdict_list import VerdictList

_NO_JUDGE = "No judge yet. Import judged sentences in tab 1,\nthen train on them in tab 2."
_NO_TEXT = "Type or paste something above (t),\nor check a file (f)."
_TEXT_FILES = (".txt", ".text", ".md")
_LONGEST_SHOWN = 500
"""Characters of the sentence under the cursor that are shown."""


class CheckTab(Page):
    NAME = "check"
    TITLE = "Check"
    HELP = (
        "Whether sentences are acceptable English, in the opinion of a judge you trained: a verdict for each as "
        "soon as you pause. The threshold decides which count as weak. Files of many thousand sentences are fine."
    )
    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action("check", "text", "t", "Text", "Go to the text."),
        Action("check", "next", "n", "Next weak", "Go to the next weak sentence."),
        Action("check", "threshold", "o", "Threshold", "Go to the threshold: left and right move it.", False),
        Action("check", "file", "f", "File", "Check the sentences of a text file."),
        Action("check", "report", "e", "Report", "Save all verdicts as a file: Markdown, CSV or JSON Lines."),
        Action("check", "history", "h", "History", "What was checked before, to check it again."),
        Action("check", "clear", "x", "Clear", "Begin anew; the history keeps what was there."),
    )
    MAIN = "#verdicts"
    PAUSE_S = 0.5
    """How long typing must pause before the text is judged."""
    SETTLED_S = 5.0
    """How long verdicts must stand before the history has them."""

    def __init__(self) -> None:
        super().__init__()
        self._infos: dict[str, ModelInfo] = {}
        self._file: Path | None = None
        self._checked: Checked | None = None
        self._threshold = 0.5
        self._job: object | None = None
        """What is being judged now."""
        self._pause: Timer | None = None
        self._settle: Timer | None = None
        self._noted: dict[str, tuple[str, str]] = {}
        """What the history knows: the text last noted and its id, for each file, and under "" for what is typed."""
        self._newest_note: dict[str, Any] | None = None
        self._area = PlainText(id="check-text", placeholder="Type or paste sentences.", compact=True)
        self._judges = ModelSelect("no judge yet", id="judge")
        # One thread, so that notes are written in their order, and before the history is read.
        self._historian = ThreadPoolExecutor(1, "history")

    def compose(self) -> ComposeResult:
        with Container(id="check-top"):
            with Horizontal():
                yield Static("judge", classes="label")
                yield self._judges
            with Horizontal():
                yield Static("weak below", classes="label")
                yield Slider(id="threshold")
                yield Static("0.50", id="threshold-value")
        yield self._area
        yield Static("", id="check-file", markup=False)
        yield Static("", id="check-status", markup=False)
        yield VerdictList(id="verdicts")
        yield Static("", id="check-detail", markup=False)

    def on_mount(self) -> None:
        self.query_one("#check-file").display = False
        self.query_one(VerdictList).note = _NO_TEXT

    async def opened(self) -> None:
        select = self.query_one(ModelSelect)
        before = self._deciding
        self._infos = {info.name: info for info in await asyncio.to_thread(choices, self.home, "cola")}
        select.offer(list(self._infos))
        self.query_one(VerdictList).note = _NO_TEXT if self._infos else _NO_JUDGE
        if self._deciding != before:
            self._judge_changed()
        self.refresh_bindings()

    @property
    def _deciding(self) -> tuple[str, str, float] | None:
        """What tells the chosen judge from one that took its name, and its threshold."""
        info = self._infos.get(self._judges.model or "")
        return (info.name, info.created, info.cut) if info else None

    def on_unmount(self) -> None:
        note = self._new_note()
        if note:
            self._historian.submit(history.remember, self.home, **note)
        # The threads of asyncio are not waited for when the app ends.
        self._historian.shutdown()

    def can(self, name: str) -> bool | None:
        if not self.query(VerdictList):
            return None
        if name in ("text", "threshold", "history"):
            return True
        if name == "file":
            return bool(self._infos) or None
        if name == "clear":
            return bool(self._file or self.query_one(TextArea).text) or None
        return bool(self._checked and self._checked.sentences) or None

    def leave(self) -> bool:
        if not self._job:
            return False
        self.workers.cancel_group(self, "checking")
        return True

    # Judge and threshold

    @on(Select.Changed, "#judge")
    def _judge_changed(self) -> None:
        info = self._infos.get(self.query_one(ModelSelect).model or "")
        if info:
            slider = self.query_one(Slider)
            slider.own = info.cut
            slider.value = slider.own
        self._check()

    def _set_judge(self, name: str) -> None:
        select = self.query_one(ModelSelect)
        with select.prevent(Select.Changed):
            select.value = name
        self._judge_changed()

    @on(Slider.Changed)
    def _moved(self, event: Slider.Changed) -> None:
        self.query_one("#threshold-value", Static).update(Text(f"{event.value:.2f}"), layout=False)
        self._threshold = self.query_one(VerdictList).threshold = event.value
        if not self._job:
            self._summarise()

    # Checking

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        if self._pause:
            self._pause.stop()
        if event.text_area.text.strip():
            self._pause = self.set_timer(self.PAUSE_S, self._check)
        else:
            self._check()
        self.refresh_bindings()

    def _check(self) -> None:
        """Judge what is there now, in place of what was being judged."""
        model = self.query_one(ModelSelect).model
        text = self.query_one(TextArea).text
        if not model or not (self._file or text.strip()):
            self.workers.cancel_group(self, "checking")
            self._show(None)
        elif self._file:
            self.start(self._judge, "models.judge_file", model, {"path": str(self._file)}, group="checking")
        else:
            self.start(self._judge, "models.judge_text", model, {"text": text}, group="checking")

    async def _judge(self, task: str, model: str, what: dict[str, str]) -> None:
        def heard(said: dict[str, Any]) -> None:
            if "loading" in said:
                self._tell_status(f"loading {said['loading']} …")
            elif said["judged"] < said["of"]:
                self._tell_status(f"{said['judged']:,} of {count(said['of'], 'sentence')} …; esc stops")

        job = self._job = object()
        self._tell_status(f"{model} reads …")
        outcome = ""
        try:
            reply = await self.services.models.call(task, on_progress=heard, model=model, **what)
            text = reply.get("text", what.get("text", ""))
            checked = await asyncio.to_thread(Checked.of, text, model, reply)
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        except UserError:
            if self._file:
                self._open_file(None)
            raise
        finally:
            # What replaced this one has a status of its own.
            if self._job is job:
                self._job = None
                self._tell_status(outcome)
        self._show(checked)

    def _show(self, checked: Checked | None) -> None:
        self._checked = checked
        self.query_one(VerdictList).show(checked)
        self._summarise()
        if self._settle:
            self._settle.stop()
        if checked:
            self._settle = self.set_timer(self.SETTLED_S, self._note)
        self.refresh_bindings()

    def _summarise(self) -> None:
        self._tell_status(summary(self._checked, self._threshold) if self._checked else "")

    def _tell_status(self, status: str) -> None:
        self.query_one("#check-status", Static).update(Text(status), layout=False)

    @on(VerdictList.Highlighted)
    def _highlighted(self, event: VerdictList.Highlighted) -> None:
        detail = Text("")
        if self._checked and event.index is not None and event.index < len(self._checked.sentences):
            found = self._checked.sentences[event.index]
            words = self._checked.text[found.start : min(found.end, found.start + 2 * _LONGEST_SHOWN)]
            cut = "only its beginning was read: " if found.truncated else ""
            detail = Text.assemble((cut, "italic"), one_line(words, _LONGEST_SHOWN))
        self.query_one("#check-detail", Static).update(detail)

    def _open_file(self, path: Path | None) -> None:
        """Check a file instead of the text that was typed, or (None) that text again."""
        self._file = path
        shown = self.query_one("#check-file", Static)
        shown.update(Text(f"{path}  (x closes it)" if path else ""))
        shown.display = path is not None
        self.query_one(TextArea).display = path is None

    # The history

    def _note(self) -> None:
        """Have the history know of the check in front."""
        note = self._new_note()
        if note:
            writing = self._historian.submit(history.remember, self.home, **note)
            self.start(self._noting, writing)

    async def _noting(self, writing: Future[str]) -> None:
        # The next note ends this worker, but not the writing.
        await asyncio.shield(asyncio.wrap_future(writing))

    def _new_note(self) -> dict[str, Any] | None:
        """What the history does not know yet."""
        checked, source, text = self._checked, str(self._file or ""), self._area.text
        if checked and not source and checked.text != text:
            # These are the verdicts on what stood there before.
            checked = None
        if checked:
            text = checked.text
        elif source:
            return None
        if not text.strip():
            return None
        before, id = self._noted.get(source, ("", ""))
        if not id or not history.goes_on(before, text):
            id = new_id()
        note = {
            "text": text,
            "file": source,
            "model": checked.model if checked else self._judges.model or "",
            "threshold": self._threshold,
            "sentences": len(checked.sentences) if checked else None,
            "weak": checked.weak(self._threshold) if checked else None,
            "id": id,
        }
        if note == self._newest_note:
            return None
        self._noted[source] = (text, id)
        self._newest_note = note
        return note

    def _leave_check(self) -> None:
        """Another check begins."""
        self._note()
        if self._pause:
            self._pause.stop()
        self.workers.cancel_group(self, "checking")

    def _restore(self, check: history.Check) -> None:
        self._leave_check()
        if check.model in self._infos:
            self._set_judge(check.model)
        self.query_one(Slider).value = check.threshold
        self._noted[check.file] = (check.text, check.id)
        self._open_file(Path(check.file) if check.file else None)
        if not check.file:
            self._set_text(check.text)
        self._show(None)
        self._check()

    def _set_text(self, text: str) -> None:
        # An edit, unlike loading it, can be undone.
        with self._area.prevent(TextArea.Changed):
            self._area.replace(text, (0, 0), self._area.document.end, maintain_selection_offset=False)
        self._area.history.checkpoint()

    # Actions

    def action_text(self) -> None:
        if self._file:
            self.action_clear()
        self.query_one(TextArea).focus()

    def action_threshold(self) -> None:
        self.query_one(Slider).focus()

    def action_next(self) -> None:
        verdicts = self.query_one(VerdictList)
        assert self._checked
        index = self._checked.next_weak(self._threshold, verdicts.cursor)
        if index is None:
            self.bioforge.say("no sentence is weak")
            return
        verdicts.cursor = index
        verdicts.focus()

    def action_file(self) -> None:
        self.start(self._choose_file)

    async def _choose_file(self) -> None:
        path = await self.app.push_screen_wait(
            PickPath("Check the sentences of a text file", Path.cwd(), _TEXT_FILES)
        )
        if path:
            self._leave_check()
            self._open_file(path)
            self._show(None)
            self.focus_main()
            self._check()

    def action_clear(self) -> None:
        self._leave_check()
        if self._file:
            self._open_file(None)
        else:
            self._noted.pop("", None)
            self._set_text("")
        self._show(None)
        self._check()

    def action_report(self) -> None:
        self.start(self._report)

    async def _report(self) -> None:
        checked, threshold, source = self._checked, self._threshold, self._file
        assert checked
        path = await save_as(
            self.bioforge,
            "Save the verdicts as",
            str(Path.cwd() / (f"{source.stem}-check.md" if source else "check.md")),
            REPORTS,
            "the ending chooses the format: .md, .csv or .jsonl",
        )
        if not path:
            return
        self._note()
        text = await asyncio.to_thread(report, path.suffix.lower(), checked, threshold, str(source or ""))
        await asyncio.to_thread(export.save, path, text)
        self.bioforge.say(f"saved {path}")

    def action_history(self) -> None:
        self.start(self._show_history)

    async def _show_history(self) -> None:
        self._note()
        found = await asyncio.wrap_future(self._historian.submit(history.checks, self.home))
        if not found:
            self.bioforge.say("nothing was checked yet")
            return
        records = [
            Record(
                item.id,
                local_date(item.created),
                "not judged" if item.weak is None else f"{item.weak:,}/{item.sentences:,} weak",
                item.file or item.text,
            )
            for item in found
        ]
        chosen = await self.app.push_screen_wait(
            Records("What was checked", records, lambda id: history.forget(self.home, id), "checks it again")
        )
        by_id = {item.id: item for item in found}
        if chosen:
            self._restore(by_id[chosen])
