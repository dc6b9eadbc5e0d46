"""Files checked again as they are saved; the hook that pre-commit runs."""

from __future__ import annotations

import io
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from bioforge.checking.session import Request, Session, Streams
from bioforge.checking.watching import watch
from bioforge.errors import ExitCode, UserError
from tests.checking import FakeJudge


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def session(*inputs: str) -> tuple[Session, io.StringIO, FakeJudge]:
    out, judge = io.StringIO(), FakeJudge()
    streams = Streams(Console(file=out, width=160), lambda line: None, lambda: io.BytesIO(b""))
    return Session(Request(inputs, marks=False), streams, judge), out, judge


def test_only_what_was_saved_is_checked_again_new_files_included(folder: Path) -> None:
    Path("d").mkdir()
    Path("d/a.md").write_text("First text.")
    Path("d/b.md").write_text("Second text.")

    def saves() -> Iterator[set[Path]]:
        Path("d/a.md").write_text("First text, wrong.")
        yield {folder / "d/a.md", folder / "d/other.py"}
        Path("d/c.md").write_text("Third text.")
        yield {folder / "d/c.md"}
        Path("d/b.md").unlink()
        yield {folder / "d/b.md"}
        raise KeyboardInterrupt

    checked, out, judge = session("d")
    assert watch(checked, saves()) == ExitCode.OK
    assert judge.asked == ["First text.", "Second text.", "First text, wrong.", "Third text."]
    assert out.getvalue().startswith("d/a.md:1:1: unacceptable")


@pytest.mark.parametrize("inputs", [["-"], ["A sentence."], ["A long sentence. " * 400], ["none.md"]])
def test_only_files_can_be_watched(inputs: list[str]) -> None:
    with pytest.raises(UserError, match="files and folders"):
        watch(session(*inputs)[0], [])


@pytest.mark.parametrize(
    ("inputs", "folders", "recursive"),
    [(["d/a.md"], ["d"], False), (["d"], ["d"], True), (["a.md", "d"], ["", "d"], True)],
)
def test_only_below_folders_that_were_named_is_watched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], folders: list[str], recursive: bool
) -> None:
    Path("d").mkdir()
    for name in ("a.md", "d/a.md"):
        Path(name).write_text("Some text.")

    def watched(*paths: Path, recursive: bool, raise_interrupt: bool) -> Iterator[set[tuple[int, str]]]:
        asked.append(({path.resolve() for path in paths}, recursive))
        raise KeyboardInterrupt
        yield set()

    asked: list[tuple[set[Path], bool]] = []
    monkeypatch.setattr("watchfiles.watch", watched)
    assert watch(session(*inputs)[0]) == ExitCode.OK
    assert asked == [({folder / name for name in folders}, recursive)]


WATCH = """
import sys
sys.path.insert(0, sys.argv[1])
from rich.console import Console
from bioforge.checking.session import Request, Session, Streams
from bioforge.checking.watching import watch
from tests.checking import FakeJudge
streams = Streams(Console(width=160), lambda line: print(line, flush=True), lambda: sys.stdin.buffer)
sys.exit(watch(Session(Request(["a.md"], marks=False), streams, FakeJudge())))
"""


def test_a_save_is_seen_and_ctrl_c_ends_it_well(folder: Path) -> None:
    """In a process of its own, with the real file system and a file that is replaced, as editors do."""
    Path("a.md").write_text("All is well.")
    with Path("out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", WATCH, str(Path(__file__).parents[1])], stdout=out
        )
    assert _appears("0 of 1")
    deadline = time.monotonic() + 60
    while "1 of 1" not in Path("out").read_text() and time.monotonic() < deadline:
        # Again and again: the watch begins some time after the first check.
        Path("new").write_text("All is wrong.")
        Path("new").replace("a.md")
        time.sleep(0.3)
    assert "a.md:1:1: unacceptable" in Path("out").read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0


def _appears(text: str) -> bool:
    deadline = time.monotonic() + 60
    while text not in Path("out").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    return text in Path("out").read_text()


def test_the_hook_of_pre_commit_runs_check_on_the_files_it_is_given() -> None:
    """Its entry, as pre-commit runs it; here it ends where no judge has been trained."""
    (hook,) = yaml.safe_load((Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python" and hook["types"] == ["text"]
    command = shlex.split(hook["entry"])
    assert command[0] == "bioforge"
    Path("a.md").write_text("A sentence is here.")
    result = subprocess.run(
        [sys.executable, "-m", *command, "a.md"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2 and "no judge yet" in result.stderr


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("README.md", True), ("docs/a.MARKDOWN", True), ("notes.txt", True), ("docs/my-requirements.txt", True),
        ("setup.py", False), ("LICENSE", False), ("a.md.py", False), ("CMakeLists.txt", False),
        ("requirements.txt", False), ("in/requirements-dev.txt", False), ("requirements/dev.txt", False),
    ],
)  # fmt: skip
def test_the_hook_takes_prose_only(name: str, taken: bool) -> None:
    """As pre-commit does: by `re.search` in the path."""
    (hook,) = yaml.safe_load((Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text())
    assert bool(re.search(hook["files"], name) and not re.search(hook["exclude"], name)) is taken
