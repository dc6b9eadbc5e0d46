"""The app in a process and a terminal of its own: how it starts, and what it leaves behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bioforge.data.store import DataInfo
from bioforge.errors import ExitCode
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs.launch import launch
from tests.helpers import bioforge, everything_in, make_run

if os.name == "nt":
    pytest.skip("pseudo-terminals and these signals are for POSIX", allow_module_level=True)

import fcntl
import pty
import struct
import termios

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
MOUSE_ON = (b"\x1b[?1000h", b"\x1b[?1003h", b"\x1b[?1006h")
MOUSE_OFF = (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l")
CURSOR_ON = b"\x1b[?25h"
BROKEN = """
from bioforge.tui.app import BioforgeApp
def broken(app):
    raise RuntimeError("[/red] broke " + "x" * 60)
BioforgeApp.action_help = broken
from bioforge.__main__ import main
main()
"""


class Terminal:
    """A command in a terminal of 100 by 30, whose screen it owns."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"},
        )
        os.close(slave)
        self.said = b""

    def read_until(self, wanted: bytes | None, seconds: float = 60) -> None:
        """Read until `wanted` was said, or with None until the command has left the terminal."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._master, selectors.EVENT_READ)
            while wanted is None or wanted not in self.said:
                assert time.monotonic() < deadline, f"waited in vain for {wanted!r}: {self.said[-2000:]!r}"
                if not selector.select(0.2):
                    continue
                try:
                    more = os.read(self._master, 1 << 16)
                except OSError:  # on Linux, the end of a terminal nobody holds
                    more = b""
                if not more:
                    assert wanted is None, f"it ended without {wanted!r}: {self.said[-2000:]!r}"
                    return
                self.said += more

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._master >= 0:
            self.hang_up()


@contextmanager
def terminal(command: list[str] | None = None) -> Iterator[Terminal]:
    """The app, with its footer on the screen."""
    opened = Terminal(command or [sys.executable, "-m", "bioforge"])
    try:
        opened.read_until(ENTER)
        opened.read_until(b"Quit")
        yield opened
    finally:
        opened.close()


def assert_clean(said: bytes) -> None:
    """The screen of before is back, the mouse is nobody's, and the cursor is seen."""
    assert said.count(ENTER) == said.count(LEAVE) == 1
    for on, off in zip(MOUSE_ON, MOUSE_OFF, strict=True):
        assert said.rfind(off) > said.rfind(on) > 0
    assert said.rfind(CURSOR_ON) > said.rfind(b"\x1b[?25l")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_leaves_the_terminal_clean(name: str) -> None:
    number = getattr(signal, name)
    with terminal() as app:
        app.process.send_signal(number)
        app.read_until(None)
        assert app.process.wait(30) == 128 + number
        assert_clean(app.said)
        assert b"Traceback" not in app.said


def test_q_leaves_the_terminal_clean() -> None:
    with terminal() as app:
        app.type(b"q")
        app.read_until(None)
        assert app.process.wait(30) == 0
        assert_clean(app.said)
        assert app.said[app.said.rfind(LEAVE) :].count(b"\n") <= 1


def test_a_closed_terminal_ends_the_app_and_its_children(home: Home, djs: DataInfo) -> None:
    with terminal() as app:
        # The tab in front asks a child process about the data set.
        app.read_until(b"djs")
        process = psutil.Process(app.process.pid)
        deadline = time.monotonic() + 30
        while not (children := process.children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        app.hang_up()
        app.process.wait(30)
        gone, alive = psutil.wait_procs(children, timeout=30)
        assert gone and not alive


def test_a_fault_leaves_one_line_on_a_clean_terminal_and_the_rest_in_the_log(home: Home) -> None:
    with terminal([sys.executable, "-c", BROKEN]) as app:
        app.type(b"?")
        app.read_until(None)
        assert app.process.wait(30) == ExitCode.FAULT
        assert_clean(app.said)
        after = app.said[app.said.rfind(LEAVE) :].decode()
        log = home.logs / "app.log"
        line = f"bioforge: a fault of ours: RuntimeError: [/red] broke {'x' * 60} (details in {log})"
        # On one line, so that the path can be copied however narrow the terminal is.
        assert line in after
        assert b"Traceback" not in app.said
        assert "Traceback" in log.read_text(encoding="utf-8")


def test_without_a_terminal_it_is_one_line_that_names_the_commands(tmp_path: Path) -> None:
    result = bioforge()
    assert (result.returncode, result.stdout) == (ExitCode.USAGE, "")
    assert result.stderr.startswith("bioforge: the app needs a terminal") and result.stderr.count("\n") == 1
    assert "bioforge --help" in result.stderr


def test_killed_while_a_run_works_it_is_back_with_the_run_and_all_data(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, epochs=500, max_length=64, sample_every=0)
    worker = launch(run)
    name = run.name[16:].encode()
    try:
        before = everything_in(home.data)
        with terminal() as app:
            app.type(b"2")
            app.read_until(name)
            app.process.kill()
            app.process.wait()
        deadline = time.monotonic() + 60
        while run.state().step < 2:
            assert run.is_active() and time.monotonic() < deadline
            time.sleep(0.1)
        with terminal() as app:
            app.read_until(name, seconds=10)
            worker.kill()
            worker.wait()
            app.read_until(b"interrupted", seconds=10)
        assert run.state().status == "interrupted"
        assert everything_in(home.data) == before
        assert store.listing(home) == ([], [])
    finally:
        worker.kill()
        worker.wait()
