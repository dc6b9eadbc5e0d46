"""The tutorial is followed word for word, and what replays it is held to its own rules."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import replay

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
NO_INDEX = "check the network and pip's index"
SESSION = """Before.

```console
$ a=7 && mkdir -p one && cd one
$ echo "a is \\
> $a" && pwd
a is 7
/home/you/tutorial/one
```

```sh
echo not run
```

```console title="Yours will differ"
$ echo $RANDOM words
5 words
```
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Models are large, and pytest keeps the folders of its last runs."""
    yield tmp_path / "replay"
    shutil.rmtree(tmp_path / "replay", ignore_errors=True)


@pytest.mark.timeout(3600)
def test_the_tutorial_prints_what_it_says(place: Path) -> None:
    """Bases come from the folder BIOFORGE_TEST_BASES where it is set, else from the package index."""
    page = PAGE.read_text(encoding="utf-8")
    bases = os.environ.get("BIOFORGE_TEST_BASES")
    printed = replay.replay(page, place, Path(bases) if bases else None)
    if NO_INDEX in printed[-1].text:
        pytest.skip(f"the tutorial needs a package index: {printed[-1].text.splitlines()[-1]}")
    problems = replay.differences(page, printed)
    assert not problems, f"{problems}\n\npython -m bench.replay docs/tutorial.md --write"
    assert len(printed) == len(replay.commands(page)) > 20


def test_blocks_are_one_session_and_only_console_is_run(tmp_path: Path) -> None:
    printed = replay.replay(SESSION, tmp_path / "replay")
    assert [(given.status, given.text) for given in printed[:2]] == [
        (0, ""),
        (0, f"a is 7\n{replay.HERE}/one"),
    ]
    assert len(printed) == 3
    assert replay.differences(SESSION, printed) == ""


def test_what_is_printed_is_put_into_the_page_and_then_agrees(tmp_path: Path) -> None:
    stale = SESSION.replace("a is 7\n", "a is 8\nand more\n").replace("5 words\n", "")
    printed = replay.replay(stale, tmp_path / "replay")
    problems = replay.differences(stale, printed)
    assert 'line 5: echo "a is' in problems and "-a is 8" in problems and "+a is 7" in problems
    fresh = replay.written(stale, printed)
    assert replay.differences(fresh, printed) == ""
    assert fresh.splitlines()[:8] == SESSION.splitlines()[:8] and "echo not run" in fresh


def test_a_command_that_fails_ends_the_session_and_is_reported(tmp_path: Path) -> None:
    page = "```console\n$ echo fine\nfine\n$ echo oh >&2; false\noh\n$ touch never\n```\n"
    printed = replay.replay(page, tmp_path / "replay")
    assert len(printed) == 2 and not (tmp_path / "replay" / "here" / "never").exists()
    assert "line 4" in replay.differences(page, printed) and "failed (1)" in replay.differences(page, printed)


def test_commands_find_an_empty_data_folder_of_their_own(tmp_path: Path) -> None:
    page = "```console\n$ bioforge paths | head -n 1\nhome          /home/you/.local/share/bioforge\n```\n"
    assert replay.differences(page, replay.replay(page, tmp_path / "replay")) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("loss 4.575", "loss 4.612"),  # two per cent
        ("mcc 0.159", "mcc 0.201"),  # 0.05
        ("run 2026-11-23-0358-bios-gentle-gecko", "run 2027-01-02-0000-bios-brisk-seal"),
        ("finished after 0:01:40 (max_steps)", "finished after 0:00:20 (max_steps)"),
        ("step 1/9  loss 2.1\ndone", "done\nstep 9/9  loss 1.0"),
        ("sample at step 6: one\nline more\nsaving the model", "sample at step 6: other\nsaving the model"),
        ("cpu (x86_64, 1 thread), fp32", "cpu (arm64, 8 threads), fp32"),
        ("minilm-l6 is here already", "minilm-l6 is here: /somewhere/minilm-l6"),
        ("5.52┤ ⢕⢕ training loss\n    └────┬───\n      step 2      4\nend", "end"),
    ],
)
def test_what_clock_machine_and_chance_decide_may_differ(one: str, other: str) -> None:
    assert replay.same(one, other) and replay.same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("loss 4.575", "loss 4.775"),
        ("mcc 0.159", "mcc 0.259"),
        ("151 training rows", "152 training rows"),
        ("ids [2256, 2814]", "ids [2256, 2815]"),
        ("loss 4.575", "loss nan"),
        ("warning: 3 rows", "warning: 3 texts"),
        ("a\nb", "a"),
    ],
)
def test_all_else_may_not(one: str, other: str) -> None:
    assert not replay.same(one, other) and not replay.same(other, one)


@pytest.mark.parametrize("command", ["exit 0", "echo 'open", "( echo"])
def test_commands_that_were_never_run_are_a_difference(tmp_path: Path, command: str) -> None:
    page = f"```console\n$ echo one\none\n$ {command}\n$ echo two\ntwo\n```\n"
    assert "was not run" in replay.differences(page, replay.replay(page, tmp_path / "replay"))
