"""What `check` takes, what it refuses, and with which exit code it leaves."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bioforge.checking.checker import Tally
from bioforge.checking.inputs import expand
from bioforge.checking.limits import FailOn
from bioforge.checking.progress import Progress
from bioforge.checking.session import Request, Session, Streams
from bioforge.errors import ExitCode, UserError
from tests.checking import FakeJudge, check, fake_info


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def names(*inputs: str) -> list[str]:
    return [source.name for source in expand(inputs).sources]


def test_a_folder_is_its_text_and_markdown_files_without_hidden_ones() -> None:
    write(
        dict.fromkeys(
            ["d/b.md", "d/a.TXT", "d/in/c.markdown", "d/x.py", "d/.git/e.md", "d/.f.md"], "Some text."
        )
    )
    assert names("d") == ["d/a.TXT", "d/b.md", "d/in/c.markdown"]
    assert names("d/x.py", "d/.f.md", "d", "d/b.md") == [
        "d/x.py",
        "d/.f.md",
        "d/a.TXT",
        "d/b.md",
        "d/in/c.markdown",
    ]


def test_a_file_with_several_names_is_read_once(folder: Path) -> None:
    write({"d/a.md": "Some text.", "d/b.md": "Some text."})
    Path("link").symlink_to("d")
    assert names("d/a.md", str(folder / "d/a.md"), "d/../d/a.md", "link/a.md") == ["d/a.md"]
    found = expand(["link", "d", str(folder / "d/b.md")]).sources
    assert [(source.name, source.found) for source in found] == [("link/a.md", True), ("link/b.md", False)]


def test_what_git_ignores_is_left_out_unless_it_is_named() -> None:
    git("init")
    write(dict.fromkeys(["a.md", "build/b.md", "in/c.md", "in/d.txt"], "Some text."))
    write({".gitignore": "build/\n", "in/.gitignore": "*.txt\n"})
    assert names(".") == ["a.md", "in/c.md"]
    assert names("in") == ["in/c.md"]
    assert names("build") == ["build/b.md"]
    assert names("in/d.txt") == ["in/d.txt"]


def test_a_repository_in_a_repository_is_read_too() -> None:
    git("init")
    write({"a.md": "Some text.", "inner/b.md": "Some text.", "inner/no.md": "x", "inner/.gitignore": "no.md"})
    git("init", "inner")
    assert names(".") == ["a.md", "inner/b.md"]


def test_links_that_lead_nowhere_and_pipes_in_a_folder_are_no_files() -> None:
    write({"d/a.md": "Some text."})
    Path("d/round.md").symlink_to("round.md")
    Path("d/gone.md").symlink_to("none.md")
    os.mkfifo("d/pipe.md")
    assert names("d") == ["d/a.md"]


@pytest.mark.parametrize("in_git", [False, True])
def test_a_folder_that_may_not_be_looked_into_is_a_problem_and_the_rest_is_checked(
    in_git: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"d/a.md": "Some text.", "d/shut/b.md": "Some text."})
    if in_git:
        git("init")
        git("add", ".")
    shut = Path("d/shut")

    def closed(path: str | Path, real: Callable[..., Any]) -> Any:
        if shut in (Path(path), Path(path).parent):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    # For root, as which tests may run, no folder is shut.
    scandir, is_file = os.scandir, Path.is_file
    monkeypatch.setattr("os.scandir", lambda path: closed(path, scandir))
    monkeypatch.setattr(Path, "is_file", lambda path: closed(path, is_file))
    done = check("d")
    name = "d/shut/b.md" if in_git else "d/shut"
    assert (
        done.notes[0] == f"bioforge: {name} cannot be read: Permission denied" and done.code == ExitCode.USAGE
    )
    assert done.judge.asked == ["Some text."]


def test_a_submodule_that_was_not_checked_out_holds_nothing() -> None:
    git("init")
    write({"a.md": "Some text."})
    Path("sub").mkdir()
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    assert names(".") == ["a.md"]


def test_a_link_to_a_folder_is_no_repository_of_its_own() -> None:
    git("init")
    write({"a.md": "Some text.", "in/b.md": "Some text."})
    Path("in/up").symlink_to("..")
    git("add", ".")
    assert names(".") == ["a.md", "in/b.md"]


def test_sentences_files_folders_and_stdin_in_one_check() -> None:
    write({"a.txt": "From a file. Another one.", "d/b.md": "# From a *folder*"})
    result = check("Given as it is. Not split.", "a.txt", "d", "-", stdin=b"From stdin.", format="jsonl")
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [(item["file"], item["sentence"]) for item in found] == [
        (None, "Given as it is. Not split."),
        ("a.txt", "From a file."),
        ("a.txt", "Another one."),
        ("d/b.md", "From a folder"),
        ("stdin", "From stdin."),
    ]


def test_stdin_is_read_as_the_file_an_editor_has_in_it() -> None:
    text = b"```\ncode is wrong\n```\n\nProse is **fine**.\n"
    (verdict,) = json.loads(check("-", stdin=text, stdin_name="docs/a.md", format="json").out)["verdicts"]
    assert (verdict["file"], verdict["line"], verdict["sentence"]) == ("docs/a.md", 5, "Prose is fine.")
    assert len(json.loads(check("-", stdin=text, format="json").out)["verdicts"]) > 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_stdin_may_be_in_any_usual_encoding(encoding: str) -> None:
    (verdict,) = json.loads(check("-", stdin="Zoë is here.\r\n".encode(encoding), format="json").out)[
        "verdicts"
    ]
    assert (verdict["sentence"], verdict["column"]) == ("Zoë is here.", 1)


BAD: dict[str, bytes] = {
    "binary.md": bytes(range(256)) * 40,
    "picture.txt": b"\x89PNG\r\n\x1a\n\0\0\0",
    "report.md": b"%PDF-1.7",
    "encoding.txt": b"fine\n\x81\x8d\xff\n",
    "long.txt": b"x" * 10_000_000,
}


@pytest.mark.parametrize("name", [*BAD, "none.txt"])
def test_a_named_file_that_is_no_text_is_an_error_of_one_line(name: str) -> None:
    write({**BAD, "good.md": "This one is fine."})
    result = check(name, "good.md")
    assert result.code == ExitCode.USAGE and result.out == ""
    (said,) = [line for line in result.notes if line.startswith("bioforge: ")]
    assert name in said and "\n" not in said and len(said) < 200
    assert result.judge.asked == ["This one is fine."]
    try:
        assert [line.startswith("bioforge: ") for line in check(name).notes] == [True]
    except UserError as error:
        assert "no such file" in str(error)


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_an_empty_file_is_passed_over_and_said(content: str) -> None:
    write({"d/empty.md": content, "good.txt": "This one is fine."})
    for inputs in (["d/empty.md"], ["d"], ["d/empty.md", "good.txt"]):
        result = check(*inputs)
        assert result.code == ExitCode.OK and result.notes[0] == "skipped: d/empty.md is empty"
    assert result.judge.asked == ["This one is fine."]
    assert check("d/empty.md", "none.md").code == ExitCode.USAGE


def test_in_a_folder_what_is_no_text_is_passed_over_and_said() -> None:
    bad = {f"d/{name}": content for name, content in BAD.items() if name != "long.txt"}
    write({**bad, "d/good.md": "This one is fine."})
    result = check("d")
    assert result.code == ExitCode.OK and result.judge.asked == ["This one is fine."]
    assert len([line for line in result.notes if line.startswith("skipped: d/")]) == len(bad)


def test_in_a_folder_what_cannot_be_read_is_an_error_and_the_rest_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write({"d/closed.txt": "Some text.", "d/good.md": "This one is fine.", "d/long.txt": BAD["long.txt"]})
    write({"d/large.md": "# One\n" * 20})
    monkeypatch.setattr("bioforge.checking.inputs._LARGEST_MARKDOWN", 100)
    whole = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "closed.txt":
            raise PermissionError(13, "Permission denied")
        return whole(path, *arguments, **options)

    # The superuser may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    for format in ("jsonl", "github"):
        result = check("d", format=format)
        assert result.code == ExitCode.USAGE and result.judge.asked == ["This one is fine."]
        assert all(f"d/{name}" in result.out for name in ("closed.txt", "large.md", "long.txt"))


def test_what_comes_before_a_line_that_is_too_long_is_still_checked() -> None:
    write({"a.txt": b"This is wrong.\n" + b"x" * 2_000_000})
    result = check("a.txt")
    assert "a.txt:1:1" in result.out and result.code == ExitCode.USAGE


def test_no_input_at_all_is_an_error() -> None:
    for inputs, stdin in ((["  "], b""), ([], b""), (["-"], b"")):
        try:
            assert check(*inputs, stdin=stdin).code == ExitCode.USAGE
        except UserError as error:
            assert "nothing to check" in str(error)


def test_a_folder_without_text_is_an_error() -> None:
    write({"d/x.py": "x = 1"})
    with pytest.raises(UserError, match="d holds no text or Markdown files"):
        check("d")


def test_a_file_without_sentences_is_clean() -> None:
    write({"a.md": "```\nonly code\n```\n"})
    assert check("a.md").code == ExitCode.OK


@pytest.mark.parametrize(
    ("limit", "findings", "sentences", "reached"),
    [
        ("1", 0, 10, False),
        ("1", 1, 10, True),
        ("3", 2, 10, False),
        ("3", 3, 10, True),
        ("20%", 1, 10, False),
        ("20%", 2, 10, True),
        ("0.5 %", 0, 0, False),
        ("never", 10, 10, False),
    ],
)
def test_a_check_fails_from_so_many_findings_on(
    limit: str, findings: int, sentences: int, reached: bool
) -> None:
    assert FailOn.parse(limit).reached(findings, sentences) is reached


@pytest.mark.parametrize("limit", ["0", "0%", "101%", "-1", "few", "", "1.5"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(UserError, match="number from 1"):
        FailOn.parse(limit)


def test_exit_codes() -> None:
    assert check("This is fine.").code == ExitCode.OK
    assert check("This is wrong.").code == ExitCode.FOUND
    assert check("This is wrong.", exit_zero=True).code == ExitCode.OK
    assert check("This is wrong.", fail_on="2").code == ExitCode.OK
    assert check("This is wrong.", "Fine.", fail_on="50%", format="sarif").code == ExitCode.FOUND
    assert check("This is wrong.", threshold=0.05).code == ExitCode.OK
    assert check("This is wrong.", "none.txt", exit_zero=True).code == ExitCode.USAGE
    assert check("This is fine.", threshold=1.0).code == ExitCode.FOUND


def test_sentences_that_were_cut_are_said_a_few_times_and_then_counted() -> None:
    write({"a.txt": "\n".join(["word " * 1100] * 9)})
    warnings = [line for line in check("a.txt", lines=True).notes if line.startswith("warning")]
    assert len(warnings) == 6 and "4 more sentences" in warnings[-1]


def test_very_long_lines_are_judged_few_at_a_time_and_by_their_beginning() -> None:
    asked: list[list[int]] = []

    class Watched(FakeJudge):
        def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
            asked.append([len(sentence) for sentence in sentences])
            return [0.9] * len(sentences), [False] * len(sentences)

    lines = ["word " * 20_000] * 40
    assert [verdict.truncated for verdict in Watched().verdicts(lines)] == [True] * 40
    most = 64 * fake_info().max_length
    assert asked == [[most] * 10] * 4
    asked.clear()
    write({"a.txt": "\n".join(lines)})
    streams = Streams(Console(file=io.StringIO()), list[str]().append, io.BytesIO)
    session = Session(Request(["a.txt"], lines=True), streams, Watched())
    session.run(session.expand())
    assert max(map(len, asked)) == 11 and {length for some in asked for length in some} == {most}


class ManyLines(io.RawIOBase):
    """A pipe that gives `lines` lines without holding them."""

    def __init__(self, lines: int) -> None:
        self._left: Iterator[bytes] = (
            b"Line %07d is fine, or it is wrong%s.\n" % (number, b" indeed" * 40) for number in range(lines)
        )
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer) and (line := next(self._left, b"")):
            self._rest += line
        given, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "sarif"])
def test_memory_does_not_grow_with_what_is_checked(format: str) -> None:
    def peak(lines: int) -> int:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            console = Console(file=nowhere, markup=False, highlight=False)
            request = Request(["-"], format=format, lines=format != "jsonl", marks=False)
            streams = Streams(console, lambda line: None, lambda: io.BufferedReader(ManyLines(lines)))
            session = Session(request, streams, FakeJudge(remember=False))
            tracemalloc.start()
            try:
                assert session.run(session.expand()) == ExitCode.FOUND
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    # Both are beyond what is held at once.
    assert peak(12_000) < 1.1 * peak(4_000)


def test_progress_shows_after_a_while_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 13.0, 13.1, 14.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    progress = Progress(stream)
    tally = Tally(sentences=6000, findings=3)
    progress(tally)
    progress(tally)
    progress.clear()
    assert stream.getvalue() == ""
    progress(tally)
    assert stream.getvalue().endswith("6,000 sentences, 3 unacceptable, 2,000 a second")
    shown = stream.getvalue()
    progress(tally)
    assert stream.getvalue() == shown
    progress.clear()
    assert stream.getvalue() == shown + "\r\x1b[K"
