"""docs/app.md and the pictures in it and in the README: the app on what lies in the data folder, drawn by itself.

Run after `make demo`, with a writer, a judge and their runs in the data folder: `make pictures`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from bioforge.errors import UserError
from bioforge.models import store
from bioforge.paths import home
from bioforge.runs import folder
from bioforge.tui.actions import EVERYWHERE, Action
from bioforge.tui.app import BioforgeApp
from bioforge.tui.help import key_names
from bioforge.tui.tabs import TABS
from bioforge.tui.tabs.train import TrainTab

PAGE = Path(__file__).parents[1] / "docs" / "app.md"
TARGET = PAGE.parent / "pictures"
SIZE = (120, 36)
SENTENCES = (
    "They drank the pub dry. They drank the pub. Which record did she say he bought? "
    "The turntables was on the floor. She has played in Leeds since March. Him danced until the lights came on."
)


def page() -> str:
    """What each tab is for, how it looks, and its keys, from the app's own list of actions."""
    parts = [
        "# The terminal app\n",
        "`bioforge` without a command opens it. Written by `make pictures`; the pictures are the app's own.\n",
    ]
    for tab in TABS:
        parts.append(f"## {tab.TITLE}\n\n{tab.HELP}\n\n![{tab.TITLE}](pictures/{tab.NAME}.svg)\n")
        if tab.NAME == "train":
            parts.append("![A new training](pictures/new.svg)\n")
        parts.append(_keys(tab.ACTIONS))
    parts.append("## Everywhere\n\n`1` to `5` open a tab; letters work when no field has the focus.\n")
    parts.append(_keys(EVERYWHERE))
    return "\n".join(parts)


def _keys(actions: Sequence[Action]) -> str:
    rows = (f"| `{key_names(action)}` | {action.title} | {action.help} |\n" for action in actions)
    return "| key | | |\n|---|---|---|\n" + "".join(rows)


def without_web_fonts(svg: str) -> str:
    """A picture of Rich's that names its font but fetches it from nowhere."""
    return re.sub(r'(src: local\("[^"]+"\)),\s*url\([^;]*;', r"\1;", svg)


async def take(app: BioforgeApp, pilot: Pilot[None], name: str) -> None:
    await pilot.pause(1)
    app.save_screenshot(f"{name}.svg", str(TARGET))
    picture = TARGET / f"{name}.svg"
    picture.write_text(without_web_fonts(picture.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{TARGET / name}.svg\n")


async def work_done(pilot: Pilot[None], group: str) -> None:
    """Wait for what the child process does; a model may have to be loaded first."""
    await pilot.pause(1)
    while any(worker.group == group and not worker.is_finished for worker in pilot.app.workers):
        await pilot.pause(0.2)


async def main() -> None:
    place = home()
    if not store.listing(place, "bios")[0] or not store.listing(place, "cola")[0]:
        raise UserError("the pictures need a writer and a judge in the data folder; run: make demo")
    TARGET.mkdir(exist_ok=True)
    app = BioforgeApp(place)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(3)
        await take(app, pilot, "data")
        train = await app.open_tab("train")
        assert isinstance(train, TrainTab)
        await train.open_run(next(run for run in folder.listing(place) if run.info().task == "bios"))
        await take(app, pilot, "train")
        await app.run_action("do('train.new')")
        await work_done(pilot, "estimate")
        await take(app, pilot, "new")
        await app.open_tab("generate")
        app.screen.query_one("#prompt", Input).value = "Born in Lagos,"
        app.screen.query_one("#field-seed Input", Input).value = "7"
        await app.run_action("do('generate.write')")
        await work_done(pilot, "writing")
        await app.run_action("do('generate.judge')")
        await work_done(pilot, "judging")
        await take(app, pilot, "generate")
        await app.open_tab("check")
        app.screen.query_one("#check-text", TextArea).text = SENTENCES
        await work_done(pilot, "checking")
        await take(app, pilot, "check")
        await app.open_tab("models")
        await take(app, pilot, "models")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except UserError as error:
        sys.exit(f"bioforge: {error}")
