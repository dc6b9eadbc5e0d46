"""The command palette: every action of every tab, whichever tab is in front."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Provider

from bioforge.tui.actions import EVERYWHERE, Action
from bioforge.tui.tabs import TABS

if TYPE_CHECKING:
    from bioforge.tui.app import BioforgeApp

ACTIONS = (*(action for tab in TABS for action in tab.ACTIONS), *EVERYWHERE)


class Commands(Provider):
    """Every action of every tab, in the command palette."""

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        for title, action in self._titled():
            yield DiscoveryHit(title, self._doing(action), help=action.help)

    async def search(self, query: str) -> AsyncIterator[Hit]:
        matcher = self.matcher(query)
        for title, action in self._titled():
            score = max(matcher.match(title), 0.5 * matcher.match(action.help))
            if score > 0:
                yield Hit(score, matcher.highlight(title), self._doing(action), help=action.help)

    def _doing(self, action: Action) -> Callable[[], Awaitable[None]]:
        # Not `run_action`, which does nothing where the key would do nothing: on another tab.
        return partial(cast("BioforgeApp", self.app).action_do, action.id)

    def _titled(self) -> list[tuple[str, Action]]:
        titles = {tab.NAME: f"{tab.TITLE}: " for tab in TABS}
        opening = [
            Action("", f"open_{tab.NAME}", str(number), f"Open {tab.TITLE}", tab.HELP.split(". ")[0])
            for number, tab in enumerate(TABS, 1)
        ]
        hidden = {"command_palette", "leave"}
        actions = [action for action in ACTIONS if action.name not in hidden]
        return [(titles.get(action.tab, "") + action.title, action) for action in (*opening, *actions)]
