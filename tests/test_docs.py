"""The pages of docs/ against the program: reference, events, and the site they are built into."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from bench import reference
from bioforge.data.store import DataInfo
from bioforge.errors import ExitCode
from bioforge.paths import Home
from bioforge.runs import control, events, outcome
from bioforge.runs.folder import RunFolder
from tests.helpers import bioforge, make_run, work, work_until

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
EVENTS = (DOCS / "events.md").read_text(encoding="utf-8")


def _section(heading: str) -> str:
    """What stands below a heading of the page on events, down to the next one."""
    found = re.search(rf"^### `{re.escape(heading)}`\n(.*?)(?=^##)", EVENTS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/events.md says nothing of '{heading}'"
    return found[1]


def _rows(text: str) -> list[tuple[str, str]]:
    """Field and type of each row of the tables in a text."""
    return re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text, re.MULTILINE)


def _typed(kind: type) -> list[tuple[str, str]]:
    return [(item.name, str(item.type)) for item in fields(kind) if item.name != "time"]


@pytest.mark.parametrize("kind", sorted(events.TYPES))
def test_the_page_on_events_names_each_field_with_its_type(kind: str) -> None:
    assert sorted(_rows(_section(kind))) == sorted(_typed(events.TYPES[kind]))


def test_the_page_on_events_names_no_kind_there_is_not() -> None:
    page = EVENTS.split("\n## Events\n")[1]
    assert set(re.findall(r"^### `(\w+)`", page, re.MULTILINE)) == set(events.TYPES)


def test_the_page_on_events_names_what_a_finished_run_keeps() -> None:
    assert _rows(_section("outcome.json")) == [*_typed(outcome.Judged), *_typed(outcome.Written)]
    assert _rows(_section("lengths.json")) == _typed(outcome.Lengths)
    lists = {item.name for item in fields(outcome.Outcome)}
    assert lists <= set(re.findall(r"`(\w+)`", _section("outcome.json")))


def _files(run: RunFolder) -> set[str]:
    """What lies in a run's folder, a folder by its name and a slash."""
    return {path.name + "/" * path.is_dir() for path in run.path.iterdir()}


def test_every_file_of_a_run_is_on_the_page(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    named = set(re.findall(r"`([\w./-]+)`", EVENTS.split("\n## The folder\n")[1].split("\n### ")[0]))
    run = make_run(home, "bios", "djs", tiny_gpt2, epochs=1, max_steps=3, sample_tokens=5)
    assert work_until(run, 2) == 0
    halted = _files(run)
    assert "checkpoints/" in halted and halted <= named
    assert work(run) == 0
    finished = _files(run)
    assert "outcome.json" in finished and finished <= named
    told = {json.loads(line)["event"] for line in run.events.read_text().splitlines()}
    assert {"started", "step", "validation", "checkpoint", "stopped", "finished"} <= told


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", EVENTS, re.MULTILINE | re.DOTALL)


def test_the_programs_on_the_page_follow_a_run(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, epochs=1, max_steps=2, sample_tokens=5)
    assert work(run) == 0
    held = [event for event in run.history() if isinstance(event, events.Validation)]
    (program,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program, str(run.path)], capture_output=True, text=True, check=True, timeout=60
    )
    told = [line.split() for line in done.stdout.splitlines()]
    assert [(int(step), float(loss)) for step, loss in told] == [
        (event.step, event.metrics["loss"]) for event in held
    ]


def test_the_requests_on_the_page_are_those_a_worker_knows(tmp_path: Path) -> None:
    asked = [json.loads(text)["request"] for text in re.findall(r'`(\{"request".*?\})`', EVENTS)]
    assert sorted(asked) == sorted(get_args(control.Request))
    (command,) = (text for text in _blocks("sh") if "control" in text)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert control.ControlReader(tmp_path / "control").poll() == [{"request": "save"}]


def test_nan_is_written_as_the_page_says() -> None:
    line = events.encode(events.Step(1, 0.1, float("nan"), 0.0, float("inf"), 1.0, 1.0, float("-inf"), 1))
    told = json.loads(line)
    assert (told["loss"], told["grad_norm"], told["eta_seconds"]) == ("nan", "inf", "-inf")
    assert all(f'`"{word}"`' in EVENTS for word in ("nan", "inf", "-inf"))


def test_the_reference_is_what_the_program_says() -> None:
    written = reference.PAGE.read_text(encoding="utf-8")
    assert written == reference.page(), "docs/reference.md is out of date: python -m bench.reference"


def test_the_reference_knows_every_exit_code() -> None:
    assert set(reference.EXIT_CODES) == set(ExitCode)


def test_the_reference_knows_every_variable_that_is_read() -> None:
    read = set()
    for path in (REPOSITORY / "bioforge").rglob("*.py"):
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"(?!\] =)", path.read_text()))
    assert "BIOFORGE_HOME" in read and read <= set(reference.ENVIRONMENT)


@pytest.mark.parametrize(
    "words", ["train bios", "data import bios", "generate", "runs resume", "models delta"]
)
def test_the_reference_has_the_options_that_help_shows(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    shown = bioforge(*words.split(), "--help").stdout.split("Example:")[0]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown)) - {"--help"}
    page = reference.PAGE.read_text(encoding="utf-8")
    section = page.split(f"### `bioforge {words}`\n")[1].split("\n##")[0]
    assert options and options <= set(re.findall(r"`(--[\w-]+)`", section))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error: a broken link is one."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_the_site_has_a_page_for_each_page_of_docs(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert pages and all((site / page).is_file() for page in pages)
    reached = set(re.findall(r'href="([\w./-]+\.html)"', (site / "index.html").read_text()))
    assert {str(page) for page in pages} <= reached | {"index.html"}, "not in the navigation of mkdocs.yml"


LOADS = re.compile(
    r"<(?:script|img|iframe|source|object|embed)\b[^>]*?\b(?:src|data)=[\"']?(?:https?:)?//"
    r"|<link\b[^>]*?\bhref=[\"']?(?:https?:)?//"
    r"|url\([\"']?(?:https?:)?//"
    r"|@import\s+[\"'](?:https?:)?//"
)


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    assert len(files) > 20
    for path in files:
        found = LOADS.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(site)}: {found and found[0]}"
