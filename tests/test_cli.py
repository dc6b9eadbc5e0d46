"""The command line as a user meets it: journeys, bad input, exit codes, streams."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.text import Text

from bioforge.cli.console import note, show
from bioforge.data.store import DataInfo
from bioforge.paths import Home, assets
from bioforge.reporting.tables import plain_table
from bioforge.runs import folder
from bioforge.runs.events import EventReader, EventWriter, Step
from tests.helpers import bioforge, everything_in, make_run, work
from tests.test_events import started


class Result(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command inside the test process, through the same `main` as a shell does."""

    def run(*arguments: str | Path) -> Result:
        from bioforge.__main__ import main

        monkeypatch.setattr(sys, "argv", ["bioforge", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def test_a_prompt_that_is_no_text_is_not_sent_to_a_training(
    cli: Cli, home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2)
    write = EventWriter(run.events)
    write(started())
    with run.lock():
        result = cli("runs", "sample", "last", "--prompt", "Born \udcff in")
        assert result.code == 2 and "--prompt: character 6 is not valid UTF-8" in result.err
        assert not run.control.exists()
        assert cli("runs", "sample", "last", "--prompt", "Born in").code == 0
        assert "Born in" in run.control.read_text(encoding="utf-8")


QUICK = ("--preset", "quick", "--set", "epochs=1", "--set", "sample_every=3", "--set", "max_length=48")


def test_from_a_csv_to_texts(home: Home, tiny_gpt2: Path) -> None:
    """In processes of their own, as a user would."""
    imported = bioforge(
        "data", "import", "bios", str(assets() / "dj_bios.csv"), "--name", "djs", "--base", str(tiny_gpt2)
    )
    assert imported.returncode == 0 and "168 biographies" in imported.stdout
    assert "limit 256" in imported.stdout and "column 'bio_main'" in imported.stdout
    trained = bioforge("train", "bios", "djs", "--base", str(tiny_gpt2), *QUICK)
    assert trained.returncode == 0, trained.stderr
    for piece in (
        "sample at step 3",
        "validation at epoch 1.00",
        "training rows are cut at 48",
        "Training Loss",
        "★ best",
    ):
        assert piece in trained.stdout, piece
    assert "bioforge generate --model djs" in trained.stderr and "bioforge runs report " in trained.stderr
    one, again, other = (
        bioforge("generate", "Born in", "--seed", seed, "--max-new-tokens", "20") for seed in "112"
    )
    assert one.returncode == 0 and one.stdout.startswith("Born in")
    assert one.stdout == again.stdout != other.stdout
    several = bioforge("generate", "--n", "3", "--json", "--max-new-tokens", "8", "--seed", "3")
    parsed = json.loads(several.stdout)
    assert len({text["text"] for text in parsed["texts"]}) == 3
    assert all(text["tokens"] <= 8 for text in parsed["texts"])
    measured = json.loads(bioforge("evaluate", "djs", "djs", "--json").stdout)
    assert measured["rows"] == "held out" and measured["documents"] == 17
    low, high = measured["bits_per_byte_interval"]
    assert low < measured["bits_per_byte"] < high


def test_from_sentences_to_verdicts(home: Home, tiny_bert: Path, cli: Cli, tmp_path: Path) -> None:
    imported = cli("data", "import", "cola", assets() / "acceptability.tsv", "--name", "sentences")
    assert imported.code == 0 and "acceptable 452 of 720 (62.78 %)" in imported.out
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=1)
    assert work(run) == 0
    assert cli("check", "--threshold", "0", "Go home.").code == 0
    assert cli("check", "--threshold", "1", "Go home.").code == 1
    file = tmp_path / "text.txt"
    file.write_text("One sentence.\n\nAnother \x1b[31mone.\n", encoding="utf-8")
    human = cli("check", file, "--threshold", "1")
    assert human.code == 1 and f"{file}:3:" in human.out and "\x1b" not in human.out
    assert "2 of 2 unacceptable" in human.err
    parsed = json.loads(cli("check", file, "--json", "--threshold", "0").out)
    assert [verdict["line"] for verdict in parsed["verdicts"]] == [1, 3]
    assert all(0 <= verdict["probability"] <= 1 for verdict in parsed["verdicts"])
    long = cli("check", "word " * 300, "--threshold", "0")
    assert "only the first 64 tokens were read" in long.err
    scores = json.loads(cli("evaluate", "sentences", "sentences", "--json").out)["scores"]
    assert scores[0]["split"] == "held out" and scores[0]["sentences"] == 72
    assert len(scores[0]["by_batch"]) == 3
    assert sum(count for count, _ in scores[0]["by_source"].values()) == 72
    assert 0 <= scores[0]["calibration_error"] <= 1
    assert "MCC by batch of 32" in cli("evaluate", "sentences", "sentences").out


def test_sentences_on_stdin(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    piped = bioforge("check", "-", "--json", "--threshold", "1", stdin="\ufeffFirst one.\r\nSecond.\n")
    assert piped.returncode == 1
    assert [verdict["sentence"] for verdict in json.loads(piped.stdout)["verdicts"]] == [
        "First one.",
        "Second.",
    ]
    assert bioforge("check", stdin="").returncode == 2


def test_listings_say_what_is_there_and_what_to_do_next(
    home: Home, djs: DataInfo, sentences: DataInfo, tiny_bert: Path, cli: Cli
) -> None:
    assert "bioforge train --help" in cli("models", "list").err
    assert "no runs yet" in cli("runs", "list").err
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=1)
    assert work(run) == 0
    assert "★" in cli("models", "list").out
    shown = cli("models", "show", "sentences").out
    assert (
        "different named parameters" in shown and "bert.encoder.layer.0.attention.self.query.weight" in shown
    )
    assert "classifier.weight" in shown and "model.safetensors" in shown
    listed = json.loads(cli("runs", "list", "--json").out)
    assert listed[0]["state"]["status"] == "finished"
    shown = cli("runs", "show", "last").out
    assert "finished" in shown and "learning_rate" in shown and "Training Loss" in shown
    assert {item["name"] for item in json.loads(cli("data", "list", "--json").out)} == {"djs", "sentences"}
    looked = cli("data", "show", "sentences", "--seed", "1", "--base", tiny_bert).out
    assert "Original:" in looked and "Token IDs: [" in looked and "unacceptable ones" in looked
    assert "duplicates" in cli("data", "check", "djs").out
    assert json.loads(cli("models", "bases", "--json").out)[0]["name"] == "gpt2"
    assert str(home.root) in cli("paths").out
    assert cli("models", "default", "sentences").code == 0
    for arguments in (
        ("models", "remove", "sentences"),
        ("runs", "remove", "last"),
        ("data", "remove", "djs"),
    ):
        assert cli(*arguments, "--yes").code == 0
    assert list(home.models.iterdir()) == list(home.runs.iterdir()) == []


def test_ctrl_c_saves_and_resume_goes_on(
    home: Home, sentences: DataInfo, tiny_bert: Path, cli: Cli, tmp_path: Path
) -> None:
    """In a folder with a module of the user's, called like one of Python's own."""
    (tmp_path / "random.py").write_text("raise SystemExit('not ours to import')")
    command = [sys.executable, "-P", "-m", "bioforge", "train", "cola", "sentences", "--base", str(tiny_bert)]
    command += [
        "--preset",
        "quick",
        "--set",
        "epochs=400",
        "--set",
        "max_steps=1500",
        "--set",
        "validate_every=1000",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        runs = folder.listing(home)
        if runs and any(isinstance(event, Step) for event in EventReader(runs[0].events).poll()):
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err and "bioforge runs resume" in err
    run = folder.listing(home)[0]
    assert run.state().status == "stopped"
    stopped_at = run.state().step
    resumed = bioforge("runs", "resume", run.name, "--json")
    assert resumed.returncode == 0, resumed.stderr
    events = [json.loads(line) for line in resumed.stdout.splitlines()]
    assert events[-1]["event"] == "finished" and events[-1]["step"] == 1500
    assert any(event["event"] == "started" and event["step"] == stopped_at for event in events)
    again = cli("runs", "resume", "last")
    assert again.code == 2 and "is finished" in again.err


def test_closing_the_terminal_leaves_the_run_alone(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    command = [sys.executable, "-m", "bioforge", "train", "cola", "sentences", "--base", str(tiny_bert)]
    command += [
        "--preset",
        "quick",
        "--set",
        "max_steps=200",
        "--set",
        "epochs=100",
        "--set",
        "validate_every=1000",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(home.runs.glob("*/launch.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGHUP)
    process.wait(timeout=30)
    run = folder.listing(home)[0]
    while run.state().status in ("starting", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.state().status == "finished"


def bad_inputs(tmp: Path) -> dict[str, tuple[list[str | Path], str]]:
    """Name of the case: the command, and what its one line must say."""
    files = {
        "empty.csv": b"",
        "binary.csv": bytes(range(256)) * 40,
        "columns.csv": b"name,bio\nA,a text\nB,b text\n",
        "ragged.csv": b"bio_main,x\nok,1\nbroken\nfine,2\n",
        "blank.csv": b"bio_main,x\n,1\n  ,2\n",
        "one.csv": b"bio_main\nonly one\n",
        "huge.csv": b'bio_main\nshort\n"' + b"x" * 10_000_000 + b'"\n',
        "nul.csv": b"bio_main\nfirst\nsec\0ond\n",
        "encoding.csv": b"bio_main\nfine\n\x81\x8d\xff\n",
        "labels.tsv": b"a\t1\t\tGood.\nb\t2\t\tBad label.\n",
        "lone.tsv": b"a\t1\t\tGood.\n",
        "three.tsv": b"a\t1\tGood.\nb\t0\tBad.\n",
        "truncated.zip": b"PK\x03\x04" + b"\0" * 30,
    }
    for name, content in files.items():
        (tmp / name).write_bytes(content)
    with zipfile.ZipFile(tmp / "traversal.zip", "w") as archive:
        archive.writestr("../../in_domain_train.tsv", "a\t1\t\tGood.\n")
    with zipfile.ZipFile(tmp / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in_domain_train.tsv", b"0" * 300_000_000)
    bios: list[str | Path] = ["data", "import", "bios"]
    cola: list[str | Path] = ["data", "import", "cola"]
    return {
        "missing file": ([*bios, tmp / "none.csv"], "no such file"),
        "folder": ([*bios, tmp], "is a folder"),
        "empty file": ([*bios, tmp / "empty.csv"], "is empty"),
        "binary": ([*bios, tmp / "binary.csv"], "binary|NUL"),
        "no such column": ([*bios, tmp / "columns.csv", "--column", "boi"], "did you mean 'bio'"),
        "ragged": ([*bios, tmp / "ragged.csv"], "row 2 (line 3)"),
        "all empty": ([*bios, tmp / "blank.csv"], "all 2 rows"),
        "one row": ([*bios, tmp / "one.csv"], "at least two"),
        "10 MB cell": ([*bios, tmp / "huge.csv"], "row 2"),
        "NUL": ([*bios, tmp / "nul.csv"], "line 3"),
        "encoding": ([*bios, tmp / "encoding.csv"], "line 3"),
        "path as name": ([*bios, assets() / "dj_bios.csv", "--name", "../x"], "is a path"),
        "labels": ([*cola, tmp / "labels.tsv"], "row 2"),
        "columns": ([*cola, tmp / "three.tsv"], "row 1"),
        "traversal": ([*cola, tmp / "traversal.zip"], "outside"),
        "bomb": ([*cola, tmp / "bomb.zip"], "zip bomb"),
        "truncated": ([*cola, tmp / "truncated.zip"], "damaged or truncated"),
        "no CoLA": ([*cola, tmp / "none"], "no such file"),
        "unknown data": (["train", "bios", "nothing"], "no data set 'nothing'"),
        "unknown base": (["train", "bios", "djs", "--base", "gtp2"], "did you mean 'gpt2'"),
        "base elsewhere": (["train", "bios", "djs", "--base", "gpt2"], "bioforge models pull gpt2"),
        "no base at all": (["train", "bios", "djs"], "bioforge models pull"),
        "wrong task": (["train", "cola", "djs"], "bioforge train bios djs"),
        "preset": (
            ["train", "bios", "djs", "--base", "BASE", "--preset", "best"],
            "tutorial, balanced, quick",
        ),
        "setting": (["train", "bios", "djs", "--base", "BASE", "--set", "epoch=2"], "did you mean 'epochs'"),
        "model path": (["train", "bios", "djs", "--base", "BASE", "--name", "../../etc"], "is a path"),
        "no model": (["generate"], "no writer yet"),
        "no judge": (["check", "A sentence."], "no judge yet"),
        "unknown model": (["generate", "--model", "nobody"], "no model 'nobody'"),
        "no run": (["runs", "watch", "last"], "no run 'last'"),
        "file typo": (["check", "notes.txt"], "no such file"),
        "too long": (
            ["train", "bios", "djs", "--base", "BASE", "--set", "max_length=500"],
            "the most is 256",
        ),
        "too short": (["train", "bios", "djs", "--base", "BASE", "--set", "max_length=3"], "the least is 8"),
        "import for no base": ([*bios, assets() / "dj_bios.csv", "--base", "gtp2"], "did you mean 'gpt2'"),
        "a long sentence": (["check", "word " * 100], "no judge yet"),
        "one sentence": ([*cola, tmp / "lone.tsv"], "one training sentence"),
        "unknown pull": (["models", "pull", "nothing"], "no base 'nothing'"),
        "unasked": (["data", "remove", "djs"], "--yes"),
    }


def test_bad_input_gets_one_clear_line_and_changes_nothing(
    home: Home, djs: DataInfo, tiny_gpt2: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    before = everything_in(home.root)
    for case, (arguments, said) in bad_inputs(tmp_path).items():
        result = cli(*[tiny_gpt2 if argument == "BASE" else argument for argument in arguments])
        assert result.code == 2, (case, result)
        assert result.out == "", case
        line = result.err.strip()
        assert line.startswith("bioforge: ") and "\n" not in line, (case, result.err)
        assert any(re.search(re.escape(part), line) for part in said.split("|")), (case, line)
        assert everything_in(home.root) == before, case


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    for arguments in (
        ["nonsense"],
        ["train", "bios"],
        ["generate", "--n", "0"],
        ["generate", "--top-p", "7"],
    ):
        assert cli(*arguments).code == 2, arguments


def test_a_disk_that_is_full_is_said_before_training(
    home: Home, djs: DataInfo, tiny_gpt2: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    result = cli("train", "bios", "djs", "--base", tiny_gpt2)
    assert result.code == 2 and "make room" in result.err
    assert not home.runs.exists()


def test_a_disk_that_fills_up_while_importing_leaves_nothing(
    home: Home, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = cli("data", "import", "bios", assets() / "dj_bios.csv")
    assert result.code == 2 and "disk is full" in result.err
    assert everything_in(home.root) == {}


def test_a_fault_of_ours_keeps_its_traceback_to_itself(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops\nmore")

    monkeypatch.setattr("bioforge.data.store.listing", broken)
    result = cli("data", "list")
    assert result.code == 4
    assert "ZeroDivisionError: oops more" in result.err and "Traceback" not in result.err
    log = Path(result.err.rsplit("details in ", 1)[1].strip().rstrip(")"))
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_failed_run_says_why_and_exits_with_2(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_gpt2, damaged)
    (damaged / "model.safetensors").write_bytes(b"rubbish")
    result = bioforge("train", "bios", "djs", "--base", str(damaged))
    assert result.returncode == 2
    assert "failed at step 0: the model in" in result.stderr and "cannot be loaded" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize("command", ["models bases", "models bases --json", "--help", "paths 2>&1"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error(command: str, buffered: str) -> None:
    """Of a reader that is gone before anything is written: the code of `cat` and `grep`, and no word."""
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; (sleep 0.2; {sys.executable} -m bioforge {command}) | true"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
    )
    assert result.returncode == 128 + signal.SIGPIPE and not result.stderr


@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_is_closed_is_no_error_and_one_that_is_full_is_a_line(buffered: str) -> None:
    def run(output: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"{sys.executable} -m bioforge paths {output}"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )

    closed = run(">&-")
    assert closed.returncode == 0 and not closed.stderr
    if Path("/dev/full").exists():
        full = run(">/dev/full")
        assert full.returncode == 2 and len(full.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_output_is_utf_8_whatever_the_code_page(djs: DataInfo, encoding: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "bioforge", "data", "show", "djs"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert result.returncode == 0, result.stderr
    assert "█" in result.stdout.decode("utf-8")


def test_nothing_printed_drives_the_terminal(cli: Cli, tmp_path: Path) -> None:
    hostile = tmp_path / "\x1b]0;title\x07\x1b[2J.csv"
    hostile.write_text("no such column\n")
    result = cli("data", "import", "bios", hostile, "--column", "bio\x1b[31m")
    assert result.code == 2 and "\x1b" not in result.out + result.err and "]0;title" in result.err


def test_tables_notes_and_results_are_harmless_whoever_wrote_them(capsys: pytest.CaptureFixture[str]) -> None:
    table = plain_table("run")
    table.add_row("a\x1b[2Jb")
    show(table, "c\x1b]0;title", Text("d\x9b"))
    note("e\x1b[31m\nf\tg")
    printed = capsys.readouterr()
    assert not set(printed.out + printed.err) & {"\x1b", "\x9b"}
    assert "a�[2Jb" in printed.out and "c�]0;title" in printed.out and printed.err.startswith("e�[31m\nf")


def test_a_broken_pipe_to_another_process_or_machine_is_an_error_not_an_end(cli: Cli) -> None:
    assert cli("paths").code == 0
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


def all_commands() -> list[list[str]]:
    import typer

    from bioforge.cli.app import app

    def walk(command: object, path: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", None)
        if not children:
            return [path]
        return [found for name, child in children.items() for found in walk(child, [*path, name])]

    return walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str], cli: Cli) -> None:
    result = cli(*command, "--help")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert f"Example: bioforge {' '.join(command)}" in text


def test_the_readme_names_only_commands_that_exist() -> None:
    import re

    known = {" ".join(command) for command in all_commands()}
    groups = {name.rsplit(" ", 1)[0] for name in known if " " in name}
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)bioforge ([a-z]+(?: [a-z]+){0,2})", readme, flags=re.MULTILINE)
    assert len(named) > 10
    for words in named:
        pieces = words.split()
        candidates = {" ".join(pieces[:size]) for size in (1, 2, 3)}
        assert candidates & (known | groups), words
