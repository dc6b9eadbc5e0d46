"""Texts as figures: how long they are, and one of them as tokens and ids."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from rich.text import Text
from textual.content import Content
from textual.widgets import Static

from bioforge.reporting.data import token_lines

_BAR = re.compile("[█▏▎▍▌▋▊▉]+")
_LIMIT = "─────"


class Lengths(Static):
    """Histograms of text lengths, as the task `data.lengths` replies them."""

    _words: list[str]

    async def measure(self, call: Callable[..., Awaitable[dict[str, Any]]], **which: Any) -> None:
        """Ask for the lengths of `which` and show them as they come."""
        self.begin()
        try:
            self.show(await call("data.lengths", on_progress=self.progress, **which))
        except Exception:
            # Whoever started this says what went wrong.
            self.update("")
            raise

    def begin(self) -> None:
        self._words = []
        self.update(Content.styled("counting words …", "dim"))

    def progress(self, said: dict[str, Any]) -> None:
        """The words are counted at once; the tokens of long texts take their time."""
        if "words" in said:
            self._words = said["words"]
        else:
            share = 100 * said["done"] // said["total"]
            self._draw(self._words, Content.styled(f"counting tokens … {share} %", "dim"))

    def show(self, reply: dict[str, Any]) -> None:
        tokens = Content("")
        if reply["tokens"]:
            tokens = _histogram(f"tokens a text ({reply['base']})", reply["tokens"])
        elif reply["missing"]:
            tokens = Content.styled(f"tokens are not counted: {reply['missing']}", "dim")
        self._draw(reply["words"], tokens)

    def _draw(self, words: list[str], tokens: Content) -> None:
        parts = [_histogram("words a text", words)] if words else []
        self.update(Content("\n\n").join([*parts, tokens]))


def _histogram(title: str, lines: list[str]) -> Content:
    shown = [Content.styled(title, "bold dim")]
    for line in lines:
        style = "$warning" if _LIMIT in line else ""
        shown.append(Content.styled(line, style).highlight_regex(_BAR, style="$primary 70%"))
    return Content("\n").join(shown)


class Tokens(Static):
    """One sentence as original, tokens and ids, as the task `data.tokens` replies them."""

    _reply: dict[str, Any] | None = None

    def show(self, reply: dict[str, Any] | None) -> None:
        self._reply = reply
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        reply = self._reply
        if reply is None:
            self.update("")
            return
        by = f"tokenized by {reply['base']}" if reply["base"] else "tokens"
        text = Text.assemble((by, "bold dim"), "\n", reply["original"])
        for tokens, ids in token_lines(reply["tokens"], reply["ids"], max(10, self.size.width)):
            text.append(f"\n{tokens}", style="cyan")
            text.append(f"\n{ids}", style="dim")
        if reply["missing"]:
            text.append(f"\nno tokens: {reply['missing']}", style="dim")
        self.update(text)
