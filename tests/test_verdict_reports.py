"""Verdicts as bars, summaries and files; settings of generation as they are typed; names of files to save to."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bioforge.errors import UserError
from bioforge.generation.sampling import CONTROLS, Sampling, read_order
from bioforge.judging.checked import Checked
from bioforge.reporting import export
from bioforge.reporting.verdicts import REPORTS, bar, brief, report, summary

HOSTILE = 'He said "a | b", [x](y) \x1b[31m\nand <b>left</b>.'
TEXT = f"Fine. {HOSTILE}"
REPLY = {"threshold": 0.6, "sentences": [[0, 5, 0.9, False], [6, 6 + len(HOSTILE), 0.5, True]]}
CHECKED = Checked.of(TEXT, "judge", REPLY)


def test_bars_fill_in_eighths() -> None:
    assert bar(0) == " " * 8
    assert bar(1) == "█" * 8
    assert bar(0.5) == "████    "
    assert bar(0.07).strip() == "▌"
    assert bar(7, 10) == "█" * 10


def test_the_threshold_decides_the_summary() -> None:
    assert summary(CHECKED, 0.6) == "2 sentences, 1 weak (50 %), mean 0.70"
    assert summary(CHECKED, 0.5) == "2 sentences, 0 weak (0 %), mean 0.70"
    assert summary(Checked("", [], "judge", 0.5), 0.5) == "no sentences"
    assert brief(CHECKED) == "1 of 2 weak, mean 0.70, judge"
    assert brief(Checked("", [], "judge", 0.5)) == "no sentences"


def test_a_report_as_markdown_is_one_row_a_sentence_however_hostile() -> None:
    lines = report(".md", CHECKED, 0.6, "a_b.txt").splitlines()
    rows = [line for line in lines if line.startswith(("| ✓", "| ✗"))]
    assert rows[0] == "| ✓ | 0.90 | Fine. |"
    assert rows[1].startswith("| ✗ | 0.50 | He said ") and rows[1].endswith("(only its beginning was read) |")
    assert "a \\| b" in rows[1] and "\\[x\\]" in rows[1] and "\x1b" not in rows[1]
    assert lines[0] == "# Check of a\\_b.txt"
    assert "1 weak" in lines[2]


def test_a_report_as_csv_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(report(".csv", CHECKED, 0.6))))
    assert [row["sentence"] for row in rows] == ["Fine.", HOSTILE]
    assert [row["acceptable"] for row in rows] == ["1", "0"]
    assert [TEXT[int(row["start"]) : int(row["end"])] for row in rows] == ["Fine.", HOSTILE]


def test_a_report_as_json_lines_reads_back() -> None:
    rows = [json.loads(line) for line in report(".jsonl", CHECKED, 0.4).splitlines()]
    assert [row["sentence"] for row in rows] == ["Fine.", HOSTILE]
    assert [row["acceptable"] for row in rows] == [True, True]
    assert rows[1]["truncated"] and rows[1]["threshold"] == 0.4


def test_another_format_is_refused() -> None:
    with pytest.raises(UserError, match=r"\.md or \.csv or \.jsonl"):
        report(".xlsx", CHECKED, 0.5)


def test_only_a_file_that_could_be_written_is_taken(tmp_path: Path) -> None:
    assert export.target(f" {tmp_path}/a.MD ", REPORTS) == tmp_path / "a.MD"
    (tmp_path / "folder.md").mkdir()
    for answer, problem in [
        ("", "name a file"),
        (str(tmp_path / "a.txt"), "let the name end in .md"),
        (str(tmp_path / "none" / "a.md"), "there is no folder"),
        (str(tmp_path / "folder.md"), "is a folder"),
        (f"{tmp_path}/{'x' * 300}/a.md", "too long|there is no folder"),
        ("~nobody-of-that-name/a.md", "home directory"),
        ("/a\0/b.md", "null|no folder"),
    ]:
        with pytest.raises(UserError, match=problem):
            export.target(answer, REPORTS)


def test_saving_is_whole_or_a_message(tmp_path: Path) -> None:
    assert export.save(tmp_path / "a.txt", "é\n").read_bytes() == "é\n".encode()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        export.save(tmp_path / "file" / "a.txt", "x")


TYPED = {control.name: control.shown for control in CONTROLS}


def test_what_stands_in_the_fields_is_the_default_order() -> None:
    order, other = read_order(TYPED), read_order(TYPED)
    assert order.sampling == Sampling()
    assert order.n == 3
    assert order.seed != other.seed


def test_typed_numbers_become_the_order() -> None:
    order = read_order({**TYPED, "seed": " 42 ", "temperature": "0,7", "n": "20", "top_k": "0"})
    assert (order.seed, order.sampling.temperature, order.n, order.sampling.top_k) == (42, 0.7, 20, 0)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("n", "0"),
        ("n", "21"),
        ("n", ""),
        ("n", "2.5"),
        ("temperature", "-1"),
        ("temperature", "nan"),
        ("temperature", "hot"),
        ("top_k", "-1"),
        ("top_p", "0"),
        ("top_p", "1.1"),
        ("max_new_tokens", "100000"),
        ("seed", "-1"),
        ("seed", str(2**31)),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_range(name: str, typed: str) -> None:
    control = next(control for control in CONTROLS if control.name == name)
    with pytest.raises(UserError, match=f"{control.label}: {control.low:g} to "):
        read_order({**TYPED, name: typed})
