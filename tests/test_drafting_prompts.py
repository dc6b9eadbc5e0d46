"""What texts begin with, what is asked of them, and where they go: read as typed, refused in one line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bioforge.drafting.cleaning import Length
from bioforge.drafting.draft import Copied, Draft
from bioforge.drafting.order import Order, banned_pattern, read_banned, read_length
from bioforge.drafting.output import check_target, write
from bioforge.drafting.prompts import Beginnings, Prompt, Template, draft_of, filled, read_fields
from bioforge.errors import UserError
from bioforge.generation.sampling import Sampling

TEMPLATE = "{name} is a DJ from {city}."


def order(prompt: str = "", n: int = 1, **rest: object) -> Order:
    return Order([Prompt(prompt)], n, Sampling(), 0, **rest)  # type: ignore[arg-type]


def test_a_template_is_filled_and_doubled_braces_stand_for_themselves() -> None:
    prompt = Template("{name} {{of}} {city}, {name}").fill({"name": "Ann", "city": "Leeds", "other": "x"})
    assert prompt == Prompt("Ann {of} Leeds, Ann", {"name": "Ann", "city": "Leeds"})


@pytest.mark.parametrize(
    "text", ["{", "a } b", "{}", "{0}", "{name.__class__}", "{name!r}", "{name:>9}", "{a[0]}"]
)
def test_anything_else_in_braces_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--template"):
        Template(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["name=Ann"], "the template needs 'city'; give it: --field city="),
        (["name=Ann", "city=Leeds", "town=x"], "no field 'town'; its fields: name, city"),
        (["name"], "--field name: write it as NAME=VALUE"),
        (["name= "], "write it as NAME=VALUE"),
        (["name=Ann", "name=Bob"], "--field name is given twice"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        filled(Template(TEMPLATE), read_fields(fields), None)


def test_a_table_fills_a_prompt_a_row_and_fields_hold_for_all(tmp_path: Path) -> None:
    path = tmp_path / "djs.csv"
    path.write_text('name,label\n"Halcyon, DJ",x\nZoë,\n', encoding="utf-8")
    prompts = filled(Template(TEMPLATE), {"city": "Leeds"}, path)
    assert [prompt.text for prompt in prompts] == [
        "Halcyon, DJ is a DJ from Leeds.",
        "Zoë is a DJ from Leeds.",
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("name,city\nAnn,Leeds\nBob,\n", "row 2, column 'city': is empty"),
        ("name,city\nAnn,Leeds\nBob,York,x\n", "row 2, line 3: 3 fields where the header has 2"),
        ("name,town\nAnn,Leeds\n", "has no column 'city'; its columns: name, town"),
        ("name,city\n", "has a header and no rows"),
        ("", "is empty"),
    ],
)
def test_a_row_that_is_not_right_is_named(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "djs.csv"
    path.write_text(rows, encoding="utf-8")
    with pytest.raises(UserError, match=f"djs.csv.*{message}"):
        filled(Template(TEMPLATE), {}, path)


def test_one_way_at_a_time_says_what_texts_begin_with(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("Born in\n\n  She plays \r\n", encoding="utf-8")
    assert Beginnings(prompts_from=lines).read() == [Prompt("Born in"), Prompt("She plays")]
    assert Beginnings().read() == [Prompt("")]
    assert Beginnings(["a", "b"]).read() == [Prompt("a"), Prompt("b")]
    with pytest.raises(UserError, match="PROMPT and --prompts-from both"):
        Beginnings(["a"], lines).read()
    with pytest.raises(UserError, match="fields need a template"):
        Beginnings(fields=["a=b"]).read()


def test_what_is_not_utf_8_is_refused_where_it_stands(tmp_path: Path) -> None:
    typed = b"Caf\xe9".decode("utf-8", "surrogateescape")
    table = tmp_path / "djs.jsonl"
    table.write_text('{"name": "Ann", "city": "\\ud800"}\n', encoding="utf-8")
    cases: dict[str, Callable[[], object]] = {
        "PROMPT: character 4": lambda: Beginnings(["Ann", typed]).read(),
        "--template: character 4": lambda: Beginnings(template=typed).read(),
        "--field: character 9": lambda: Beginnings(template="{name}", fields=[f"name={typed}"]).read(),
        "row 1, column 'city': character 1": lambda: Beginnings(template=TEMPLATE, fields_from=table).read(),
        "--ban: character 4": lambda: read_banned([typed], None),
    }
    for message, read in cases.items():
        with pytest.raises(UserError, match=f"{message} is not valid UTF-8"):
            read()


def test_a_draft_to_go_on_with_loses_only_the_white_space_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "draft.txt"
    path.write_text("  First.\r\n\r\nShe plays at \n", encoding="utf-8", newline="")
    assert draft_of(str(path)) == Prompt("  First.\n\nShe plays at")
    with pytest.raises(UserError, match="no such file"):
        draft_of(str(tmp_path / "none.txt"))


@pytest.mark.parametrize(
    ("typed", "least", "most"),
    [("60-120", 60, 120), (" 60 – 120 ", 60, 120), ("60-", 60, None), ("-120", 0, 120), ("100", 90, 110)],
)
def test_a_range_of_words(typed: str, least: int, most: int | None) -> None:
    assert read_length(typed, None) == Length(least, most)


@pytest.mark.parametrize("typed", ["", "-", "few", "9-3", "0", "0-0", "-0", "1-2-3", "-5-9"])
def test_what_is_no_range_of_words_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="--words"):
        read_length(typed, None)


def test_banned_words_are_whole_words_in_any_case() -> None:
    pattern = banned_pattern(["house", "best known", "C++"])
    assert pattern
    for text in ("HOUSE music", "a house.", "Best\nknown for", "in c++!"):
        assert pattern.search(text), text
    for text in ("houses", "warehouse", "best-known", "bestknown", "greenhouse_x"):
        assert not pattern.search(text), text
    assert banned_pattern([]) is None


def test_banned_words_come_one_by_one_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("techno\n\n best   known \nhouse\n", encoding="utf-8")
    assert read_banned(["house"], path) == ["house", "techno", "best known"]
    with pytest.raises(UserError, match="an empty word"):
        read_banned([" "], None)


def test_an_order_that_cannot_be_met_is_refused() -> None:
    with pytest.raises(UserError, match="the prompt itself holds the banned word 'House'"):
        order("House of", banned=["house"])
    with pytest.raises(UserError, match="fewer than the 3 texts"):
        order(n=3, drafts=2)
    with pytest.raises(UserError, match="--no-trim"):
        order(length=Length(sentences=2), trim=False)


def test_a_judge_chooses_from_more_drafts() -> None:
    assert (order(n=3).per_round, order(n=3, is_judged=True).per_round) == (3, 12)
    assert order().is_plain and not order(is_judged=True).is_plain and not order(max_copy=5).is_plain


DRAFTS = [
    Draft(
        'She said "no",\nthen left.',
        9,
        True,
        7,
        "She",
        {"name": "Zoë"},
        score=0.5,
        copied=Copied(3, "a b c", 1, 0.0),
    ),
    Draft("Two.", 2, False, 8, "Two", {"name": "B"}),
]


def test_a_table_of_texts_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    write(path, DRAFTS)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [row["text"] for row in rows] == [draft.text for draft in DRAFTS]
    assert rows[0]["name"] == "Zoë" and rows[0]["seed"] == "7" and rows[0]["score"] == "0.5"
    assert rows[0]["copied_words"] == "3" and rows[1]["score"] == ""


def test_texts_as_json_lines_and_as_plain_text(tmp_path: Path) -> None:
    write(tmp_path / "texts.jsonl", DRAFTS)
    lines = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["seed"] for line in lines] == [7, 8] and lines[0]["copied"]["words"] == 3
    write(tmp_path / "texts.txt", DRAFTS)
    assert (tmp_path / "texts.txt").read_text(encoding="utf-8") == 'She said "no",\nthen left.\n\nTwo.\n'


def test_where_texts_cannot_go_is_said_before_any_is_drawn(tmp_path: Path) -> None:
    here = tmp_path / "texts.csv"
    here.write_text("old", encoding="utf-8")
    with pytest.raises(UserError, match="exists; name another file, or pass --replace"):
        check_target(here, [Prompt("")], False)
    check_target(here, [Prompt("")], True)
    with pytest.raises(UserError, match="let the name end in .csv, .jsonl or .txt"):
        check_target(tmp_path / "texts.docx", [Prompt("")], False)
    with pytest.raises(UserError, match="there is no folder"):
        check_target(tmp_path / "none" / "texts.csv", [Prompt("")], False)
    with pytest.raises(UserError, match="the field 'seed' has the name"):
        check_target(tmp_path / "new.csv", [Prompt("", {"seed": "x"})], False)
    with pytest.raises(UserError, match="cannot be written"):
        check_target(tmp_path / f"{'x' * 245}.csv", [Prompt("")], False)
    assert list(tmp_path.iterdir()) == [here] and here.read_text(encoding="utf-8") == "old"
