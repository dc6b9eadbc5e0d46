"""Texts as they are written: cards below one another, one of them chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from bioforge.generation.sampling import Order, following
from bioforge.judging.checked import Checked
from bioforge.reporting.text import count, safe
from bioforge.reporting.verdicts import brief


@dataclass(frozen=True)
class Request:
    """What texts are written from."""

    model: str
    prompt: str
    order: Order
    judge: str | None = None
    """Who chooses among drafts; None: nobody."""


class Draft(Static):
    """One text: what there is of it, and what the judge says."""

    def __init__(self, number: int, request: Request) -> None:
        super().__init__(markup=False)
        self._number = number
        self.request = request
        self._grown = False
        self._is_whole = False
        self.text = ""
        self.status = "writing"
        self._facts = ""
        self.is_writing = True
        self.checked: Checked | None = None
        self.is_kept = False
        self.seed = following(request.order.seed, number - 1)

    def grow(self, more: str) -> None:
        """Take in more text; `redraw` shows it."""
        self.text += more
        self._grown = True

    def finish(
        self, text: str, tokens: int, ended: bool, whole: bool, facts: str = "", seed: int | None = None
    ) -> None:
        """`whole`: ends where a sentence does; `facts`: what is known of it besides, one line."""
        self.text = text
        self.seed = self.seed if seed is None else seed
        self.is_writing = False
        self._is_whole = whole
        self._facts = facts
        self.status = count(tokens, "token") + ("" if ended else ", cut at the length limit")
        self._grown = True

    def stop(self) -> None:
        """Nothing more will come."""
        self.is_writing = False
        self.status = "stopped"
        self._grown = True

    def lack(self) -> None:
        """There is no text for this card."""
        self.is_writing = False
        self.status = "no further text: the other drafts say the same as these"
        self._grown = True

    def keep(self) -> None:
        self.is_kept = True
        self._grown = True
        self.redraw()

    def mark(self, checked: Checked) -> None:
        """Mark the weak sentences."""
        self.checked = checked
        self._grown = True
        self.redraw()

    def redraw(self) -> None:
        if self._grown:
            self._grown = False
            self.update(self._content())

    def on_mount(self) -> None:
        self.update(self._content())

    def on_click(self) -> None:
        drafts = self.parent
        if isinstance(drafts, Drafts):
            drafts.choose(self)

    def _content(self) -> Content:
        facts = [self.status, *(["kept"] if self.is_kept else [])]
        if self.checked:
            facts.append(brief(self.checked))
        head = Content.assemble((f"{self._number}  ", "bold $primary"), (" · ".join(facts), "dim"))
        if not self.text:
            return head
        return Content.assemble(
            head,
            "\n",
            self._body(),
            Content.styled("" if self._is_whole else " …", "dim"),
            Content.styled(f"\n{safe(self._facts)}" if self._facts else "", "dim"),
        )

    def _body(self) -> Content:
        if not self.checked:
            return Content(safe(self.text))
        parts: list[str | tuple[str, str]] = []
        done = 0
        for found in self.checked.sentences:
            parts.append(safe(self.text[done : found.start]))
            words = safe(self.text[found.start : found.end])
            parts.append(
                words if found.probability >= self.checked.threshold else (words, "$error underline")
            )
            done = found.end
        return Content.assemble(*parts, safe(self.text[done:]))


class Drafts(VerticalScroll, can_focus=True):
    """The cards; up and down choose among them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(-1)", show=False),
        Binding("down", "step(1)", show=False),
    ]

    def __init__(self, *children: Widget, id: str | None = None) -> None:
        super().__init__(*children, id=id)
        self._cards: list[Draft] = []
        self._index = 0

    @property
    def chosen(self) -> Draft | None:
        return self._cards[self._index] if self._cards else None

    def begin(self, request: Request) -> list[Draft]:
        """Put an empty card for each text asked for in place of what was there."""
        self._cards = [Draft(number, request) for number in range(1, request.order.n + 1)]
        self.remove_children()
        self.mount(*self._cards)
        self.scroll_home(animate=False)
        self._choose(0)
        return self._cards

    def choose(self, card: Draft) -> None:
        if card in self._cards:
            self._choose(self._cards.index(card))
            self.scroll_to_widget(card, animate=False)

    def _choose(self, index: int) -> None:
        self._index = index
        for other, card in enumerate(self._cards):
            card.set_class(other == index, "-chosen")
        self.screen.refresh_bindings()

    def action_step(self, by: int) -> None:
        """To the next card; one taller than the view is scrolled through first."""
        card = self.chosen
        if not card:
            return
        top = card.virtual_region.y - self.scroll_offset.y
        hidden = top + card.outer_size.height - self.scrollable_content_region.height if by > 0 else -top
        if hidden > 0:
            step = max(1, self.size.height // 2)
            self.scroll_relative(y=by * min(hidden, step), animate=False)
        elif 0 <= self._index + by < len(self._cards):
            self.choose(self._cards[self._index + by])
