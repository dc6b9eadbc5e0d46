"""The whole journey in a real terminal: from an empty data folder to a verdict, keys in, screen out."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bioforge.models import store
from bioforge.paths import Home, assets
from bioforge.runs import folder
from tests.helpers import in_hub_cache

pytestmark = pytest.mark.skipif(
    not shutil.which("tmux"), reason="tmux, which plays the terminal, is not here"
)


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, environment: dict[str, str], width: int = 120, height: int = 40) -> None:
        self._socket = f"bioforge-{uuid.uuid4().hex[:8]}"
        size = ("-x", str(width), "-y", str(height))
        # Nobody looks at this terminal, which tmux would otherwise take for a reason to make it smaller.
        keep = (";", "resize-window", *size)
        self._tmux("new-session", "-d", *size, "sh", *keep, environment=environment)

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        command = ["tmux", "-L", self._socket, "-f", os.devnull, *arguments]
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20, env=environment
        )
        return result.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.05)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def wait(self, *texts: str, seconds: float = 90) -> str:
        """Until all of `texts` are on the screen at once; returns it."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < deadline, f"never saw {texts} in:\n{screen}"
            time.sleep(0.2)

    def press_for(self, key: str, text: str) -> None:
        """Press a key that can be pressed again, until its effect is seen."""
        for _ in range(20):
            self.press(key)
            for _ in range(10):
                if text in self.screen():
                    return
                time.sleep(0.2)
        raise AssertionError(f"{key} never brought {text}:\n{self.screen()}")

    def wait_gone(self, text: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while text in (screen := self.screen()):
            assert time.monotonic() < deadline, f"still there: {text} in:\n{screen}"
            time.sleep(0.2)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(home: Home, tiny_gpt2: Path, tiny_bert: Path) -> Iterator[Terminal]:
    """A shell in a terminal, an empty data folder, and tiny bases in the hub's cache."""
    in_hub_cache(tiny_gpt2, "openai-community/gpt2", home)
    in_hub_cache(tiny_bert, "google-bert/bert-base-uncased", home)
    environment = {**os.environ, "TERM": "xterm-256color", "PS1": "shell> ", "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    opened = Terminal(environment)
    yield opened
    opened.close()
    for run in folder.listing(home):
        if run.is_active():
            os.kill(json.loads(run.launch.read_text())["pid"], 9)


APP = f"{shlex.quote(sys.executable)} -m bioforge"


def start(terminal: Terminal) -> None:
    terminal.type(f"{APP}; echo left with $?")
    terminal.press("Enter")
    terminal.wait("1 Data", "Commands")


def import_file(terminal: Terminal, path: Path, said: str) -> None:
    terminal.press("1")
    terminal.wait("Import a file")
    terminal.press("i")
    terminal.wait("path, or choose below")
    terminal.type(str(path))
    terminal.press("Enter")
    terminal.wait("Cancel esc", "words a text")
    terminal.press("g")
    terminal.wait(said, "Import a file")


def test_from_an_empty_folder_to_a_verdict(terminal: Terminal, home: Home) -> None:
    start(terminal)
    terminal.wait("No data yet")
    import_file(terminal, assets() / "dj_bios.csv", "168")

    terminal.press("2")
    terminal.wait("No runs yet")
    terminal.press("n")
    terminal.wait("Start training", "gpt2", "about")
    terminal.press("Down")
    terminal.wait("passes over the training rows\n")
    terminal.press("Enter")
    terminal.type("20")
    terminal.press("Enter")
    terminal.wait("380 steps")
    terminal.press("g")
    terminal.wait("running", "sample at step", "tokens/s")

    terminal.press("q")
    terminal.wait("is still training")
    terminal.press("k")
    terminal.wait("left with 0")
    (run,) = folder.listing(home)
    assert run.is_active()
    left_at = run.state().step

    terminal.type("clear")
    terminal.press("Enter")
    start(terminal)
    terminal.press("2")
    terminal.wait(run.name[16:], "result")
    assert run.state().step >= left_at
    terminal.press_for("Enter", "epoch")
    terminal.wait("finished after", "validation loss", seconds=180)

    terminal.press("3")
    terminal.wait("begins with", "writer")
    terminal.press("g")
    terminal.wait("tokens", "seed ")
    assert [info.task for info in store.listing(home)[0]] == ["bios"]

    import_file(terminal, assets() / "acceptability.tsv", "720")
    terminal.press("2")
    terminal.wait("validation loss")
    terminal.press("n")
    terminal.wait("Start training", "bert-base-uncased", "about")
    terminal.press("g")
    terminal.wait("finished after", "mcc", seconds=180)

    terminal.press("4")
    terminal.wait("weak below")
    terminal.wait("t Text")
    terminal.press("t")
    terminal.wait_gone("t Text")
    terminal.type("They drank the pub dry.")
    terminal.wait("1 sentence")
    terminal.press("C-q")
    terminal.wait("left with 0")
