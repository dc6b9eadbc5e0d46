"""Questions the app asks: a choice, a line of text, a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from rich.text import Text, TextType
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, DirectoryTree, Input, OptionList, Static

from bioforge.errors import UserError
from bioforge.files import typed_path
from bioforge.reporting.text import one_line

_LONGEST_NAME = 255

Check = Callable[[str], object]
"""Raises UserError for an answer that will not do."""


_Answer = TypeVar("_Answer")


class Question(ModalScreen[_Answer | None]):
    """Something asked over what is on the screen; escape leaves it without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss_none", "Cancel")]

    def action_dismiss_none(self) -> None:
        self.dismiss(None)


class Choice(Question[str]):
    """A question with a few answers, each with a key; escape is none of them."""

    def __init__(self, question: str, answers: Sequence[tuple[str, str, str]], danger: str = "") -> None:
        """`answers`: key, label, value; `danger`: the value whose button is red."""
        super().__init__()
        self._question = question
        self._answers = answers
        self._danger = danger

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._question))
            with Horizontal(classes="buttons"):
                for key, label, value in self._answers:
                    variant = "error" if value == self._danger else "default"
                    shown = Text.assemble(label, (f" {key}", "dim"))
                    yield Button(shown, id=f"answer-{value}", variant=variant, compact=True)  # type: ignore[arg-type]
                yield Button(Text.assemble("Cancel", (" esc", "dim")), id="answer-", compact=True)

    def on_mount(self) -> None:
        if self._danger:
            # Enter alone must not destroy anything.
            self.query_one("#answer-").focus()

    def on_key(self, event: events.Key) -> None:
        for key, _, value in self._answers:
            if event.key == key:
                event.stop()
                self.dismiss(value)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(str(event.button.id).removeprefix("answer-") or None)


class Ask(Question[str]):
    """A question with one line of text for an answer, checked as it is typed."""

    def __init__(self, question: str, value: str = "", hint: str = "", check: Check = lambda _: None) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._hint = hint
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._question))
            yield Input(self._value, compact=True, id="answer")
            yield Static(Text(self._hint), classes="hint")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        problem = self._problem(event.value)
        hint = self.query_one(".hint", Static)
        hint.update(Text(problem or self._hint))
        hint.set_class(bool(problem), "problem")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if not self._problem(event.value):
            self.dismiss(event.value)

    def _problem(self, value: str) -> str:
        try:
            self._check(value)
        except UserError as error:
            return str(error)
        return ""


class Pick(Question[str]):
    """One of several; escape is none of them."""

    def __init__(self, question: str, options: Sequence[tuple[str, str]]) -> None:
        """`options`: value and what is shown for it."""
        super().__init__()
        self._question = question
        self._values = [value for value, _ in options]
        self._shown = [shown for _, shown in options]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._question))
            yield OptionList(*(Text(shown) for shown in self._shown))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._values[event.option_index])


class Files(DirectoryTree):
    """Folders and the files that can be meant; hidden ones are left out. Backspace goes up a folder."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("backspace", "climb", "Folder above", show=False)]

    def __init__(self, path: Path, suffixes: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(path, id=id)
        self._suffixes = suffixes

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [
            path
            for path in paths
            if not path.name.startswith(".")
            and (path.suffix.lower() in self._suffixes or not self._suffixes or path.is_dir())
        ]

    def process_label(self, label: TextType) -> Text:
        return Text(one_line(str(label), _LONGEST_NAME))

    def action_climb(self) -> None:
        self.path = Path(self.path).absolute().parent


class PickPath(Question[Path]):
    """A file, from a tree or typed."""

    def __init__(self, question: str, start: Path, suffixes: Sequence[str] = ()) -> None:
        super().__init__()
        self._question = question
        self._start = start
        self._suffixes = suffixes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            yield Static(Text(self._question))
            yield Input(compact=True, id="path", placeholder="path, or choose below")
            yield Files(self._start, self._suffixes, id="tree")
            yield Static(Text("enter opens · backspace goes up a folder"), classes="hint")

    @on(DirectoryTree.FileSelected)
    def _file(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        try:
            path = typed_path(event.value)
        except UserError as error:
            hint = self.query_one(".hint", Static)
            hint.update(Text(str(error)))
            hint.add_class("problem")
            return
        if path.is_dir():
            self.query_one(Files).path = path
        else:
            self.dismiss(path)
