"""Looking at a file before it is imported, and what the child process replies of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bioforge.data import store
from bioforge.data.bios import MAX_CELL, read_bios
from bioforge.data.cola import read_cola
from bioforge.data.preview import FIRST_ROWS, Preview, Problem, preview, suggested_name
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.paths import Home, assets
from bioforge.reporting.data import column_line, preview_lines, problems_line, token_lines
from bioforge.service import data_tasks
from bioforge.service.worker import Context

COLA = "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n"
HOSTILE = ["[/red] closes nothing", "\x1b[31mred\x07", "שלום \u202eabc", "🎧 👩‍👩‍👧", "x" * 100_000]


def look(folder: Path, text: str, name: str = "djs.csv", column: str | None = None) -> Preview:
    path = folder / name
    path.write_bytes(text.encode())
    return preview(path, column)


def refusal(folder: Path, text: str, name: str = "djs.csv", column: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        look(folder, text, name, column)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(folder / name))


# Texts


def test_a_csv_is_shown_as_it_would_be_read(tmp_path: Path) -> None:
    seen = look(tmp_path, "name,bio_main\nAda,plays low\nBo,repairs\n")
    assert (seen.kind, seen.encoding, seen.delimiter, seen.total) == ("bios", "utf-8", "comma", 2)
    assert (seen.columns, seen.column, seen.column_guessed) == (["name", "bio_main"], "bio_main", False)
    assert seen.rows == [(1, ["Ada", "plays low"]), (2, ["Bo", "repairs"])]
    assert (seen.texts, seen.problems, seen.refusal) == (["plays low", "repairs"], [], "")
    assert preview_lines(seen) == ["2 rows, utf-8, comma-separated"]
    assert problems_line(seen) == "no problems found"


def test_what_is_shown_is_what_an_import_takes(tmp_path: Path) -> None:
    path = assets() / "dj_bios.csv"
    assert preview(path).texts == read_bios(path).texts
    assert preview(path).problems == []
    path = assets() / "acceptability.tsv"
    assert preview(path).texts == [row.sentence for row in read_cola(path).judgements]


def test_json_lines_show_every_key_that_occurs(tmp_path: Path) -> None:
    seen = look(tmp_path, '{"name": "Ada", "bio": "a"}\n{"bio": "b", "year": 7}\n', "djs.jsonl")
    assert (seen.columns, seen.column, seen.delimiter) == (["name", "bio", "year"], "bio", None)
    assert seen.rows == [(1, ["Ada", "a", ""]), (2, ["", "b", "7"])]


def test_the_first_rows_only_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    seen = look(tmp_path, "bio\n" + "".join(f"text {number}\n" for number in range(1000)))
    assert len(seen.rows) == FIRST_ROWS
    assert (seen.total, len(seen.texts)) == (1000, 1000)


def test_a_guessed_column_is_said_to_be(tmp_path: Path) -> None:
    seen = look(tmp_path, f"Name,Leben\nAda,{'wort ' * 20}\nBo,{'wort ' * 20}\n")
    assert (seen.column, seen.column_guessed) == ("Leben", True)
    assert column_line(seen) == "guessed: the longest texts"


def test_where_no_column_can_be_chosen_the_user_is_asked(tmp_path: Path) -> None:
    text = "first,second\nabcd,abc\nefgh,efg\n"
    seen = look(tmp_path, text)
    assert (seen.columns, seen.column, seen.texts) == (["first", "second"], None, [])
    assert seen.rows[0] == (1, ["abcd", "abc"])
    assert "choose the column" in seen.refusal
    assert column_line(seen) == "which column holds the texts?"
    chosen = look(tmp_path, text, column="second")
    assert (chosen.column, chosen.texts, chosen.refusal) == ("second", ["abc", "efg"], "")


def test_a_column_that_is_not_there_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    assert "did you mean 'second'?" in refusal(tmp_path, "first,second\na,b\nc,d\n", column="secnd")


# Problems


def test_every_ragged_row_is_a_problem_and_can_be_left_out(tmp_path: Path) -> None:
    seen = look(tmp_path, "name,bio\nAda,a\nBo,b,c\nCy,c\nDi\n")
    assert seen.problems == [
        Problem(2, "", "3 fields where the header has 2", fatal=True),
        Problem(4, "", "1 field where the header has 2", fatal=True),
    ]
    assert (seen.total, seen.ragged, seen.texts, seen.refusal) == (4, 2, ["a", "c"], "")
    assert problems_line(seen) == "2 problems, 2 of them stop the import; ragged rows can be left out"


def test_a_file_of_ragged_rows_only_cannot_be_imported_at_all(tmp_path: Path) -> None:
    seen = look(tmp_path, "name,bio\na\nb\n", column="bio")
    assert (seen.ragged, seen.rows) == (2, [])
    assert seen.refusal == "all 2 rows have more or fewer fields than the header"


def test_empty_cells_and_repeated_texts_stop_nothing(tmp_path: Path) -> None:
    seen = look(tmp_path, "name,bio\na,one\nb,NA\nc,two\nd,one\ne,one\n")
    assert seen.problems == [
        Problem(2, "bio", "empty, is left out", fatal=False),
        Problem(4, "bio", "the same text as in row 1", fatal=False),
        Problem(5, "bio", "the same text as in row 1", fatal=False),
    ]
    assert (seen.texts, seen.refusal) == (["one", "two", "one", "one"], "")
    assert problems_line(seen) == "3 problems"


def test_what_stops_the_import_comes_first(tmp_path: Path) -> None:
    lines = ['{"bio": "a"}', '{"bio": null}', '{"bio": "b \\ud83c"}', '{"bio": 7}', '{"bio": "c"}']
    seen = look(tmp_path, "\n".join(lines), "djs.jsonl")
    assert [(problem.row, problem.fatal) for problem in seen.problems] == [(3, True), (4, True), (2, False)]
    assert "half a character" in seen.problems[0].message
    assert seen.problems[1].message == "'bio' is int, not text"
    assert seen.refusal.startswith("row 3: 'bio' holds half a character")
    assert problems_line(seen) == "3 problems, 2 of them stop the import"


def test_a_cell_too_long_is_named_by_its_row(tmp_path: Path) -> None:
    seen = look(tmp_path, f"bio\na\n{'x' * (MAX_CELL + 1)}\nb\n")
    assert [(problem.row, problem.fatal) for problem in seen.problems] == [(2, True)]
    assert "5,000,001 characters long" in seen.refusal


def test_too_few_texts_are_a_reason_not_a_problem(tmp_path: Path) -> None:
    assert "holds one text" in look(tmp_path, "name,bio\na,b\n").refusal
    assert look(tmp_path, "name,bio\na,\nb,\n").refusal.startswith("all 2 rows of 'bio' are empty")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "djs.csv", "is empty"),
        ("name,bio\n", "djs.csv", "has a header and no rows"),
        ('bio\n"open\na\n', "djs.csv", "line 2: a quotation mark is opened and never closed"),
        ('{"bio": "a"}\n{"bio": \n', "djs.jsonl", "line 2: not valid JSON"),
        ("bio,bio\na,b\n", "djs.csv", "two columns are named 'bio'"),
        ("PK\x03\x04 no zip", "djs.xlsx", "a zip archive or an office document"),
        ("PK\x03\x04 no zip", "cola.zip", "damaged or truncated zip"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_line(
    tmp_path: Path, text: str, name: str, message: str
) -> None:
    assert message in refusal(tmp_path, text, name)


@pytest.mark.parametrize("name", ["nothing.csv", "n" * 300])
def test_a_path_to_nothing_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        preview(tmp_path / name)


# CoLA


def test_colas_own_form_is_recognised(tmp_path: Path) -> None:
    seen = look(tmp_path, COLA, "judged.tsv")
    assert (seen.kind, seen.columns, seen.column, seen.total) == ("cola", [], None, 2)
    assert seen.header == ["source", "label", "mark", "sentence"]
    assert seen.rows[1] == (2, ["gj04", "0", "*", "They drank the pub."])
    assert (seen.splits, seen.labels) == ({"train": 2}, {"0": 1, "1": 1})
    assert preview_lines(seen)[1:] == ["train 2", "acceptable 1 of 2 (50.00 %)"]


def test_the_folder_and_the_zip_are_recognised_with_their_splits(tmp_path: Path) -> None:
    folder = tmp_path / "cola_public" / "raw"
    folder.mkdir(parents=True)
    (folder / "in_domain_train.tsv").write_text(COLA)
    (folder / "in_domain_dev.tsv").write_text(COLA)
    with zipfile.ZipFile(tmp_path / "cola.zip", "w") as archive:
        archive.write(folder / "in_domain_train.tsv", "raw/in_domain_train.tsv")
        archive.write(folder / "in_domain_dev.tsv", "raw/in_domain_dev.tsv")
    for path in (tmp_path, folder, tmp_path / "cola.zip"):
        seen = preview(path)
        assert (seen.kind, seen.splits) == ("cola", {"train": 2, "in_domain_dev": 2})


def test_a_folder_without_cola_is_refused_without_searching_all_of_it(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "in_domain_train.tsv").write_text(COLA)
    with pytest.raises(UserError, match="choose a file"):
        preview(tmp_path)


def test_glues_form_is_recognised_unless_a_column_is_wanted(tmp_path: Path) -> None:
    text = "Sentence\tlabel\nGood one.\t1\nBad one.\t0\n"
    seen = look(tmp_path, text, "train.tsv")
    assert (seen.kind, seen.columns, seen.column) == ("cola", ["Sentence", "label"], None)
    assert column_line(seen) == "read as judged sentences"
    as_texts = look(tmp_path, text, "train.tsv", column="Sentence")
    assert (as_texts.kind, as_texts.texts) == ("bios", ["Good one.", "Bad one."])


@pytest.mark.parametrize(
    "text",
    [
        "text,label\nplays low,techno\nrepairs,house\n",
        "id\tflag\tname\tbio\n1\t0\tAda\tplays\n2\t1\tBo\trepairs\n",
        "bio\nplays low\nrepairs\n",
    ],
)
def test_texts_with_other_labels_are_no_cola(tmp_path: Path, text: str) -> None:
    assert look(tmp_path, text, "djs.tsv").kind == "bios"


def test_bad_rows_of_cola_are_problems_not_the_end(tmp_path: Path) -> None:
    rows = ["x\t3\t\tBad label.", "x\t1\tshort", "x\t1\t\t ", "gj04\t0\t\tOur friends won't buy this."]
    seen = look(tmp_path, COLA + "\n".join(rows), "judged.tsv")
    assert [(problem.row, problem.fatal) for problem in seen.problems] == [
        (3, True),
        (4, True),
        (5, False),
        (6, False),
    ]
    assert "the label is '3'" in seen.problems[0].message
    assert "3 tab-separated columns, expected 4" in seen.problems[1].message
    assert seen.problems[3].message == "the same sentence as in row 1 with the other label"
    assert seen.refusal.startswith("row 3: the label is '3'")
    with pytest.raises(UserError, match="row 3: the label is '3'"):
        read_cola(tmp_path / "judged.tsv")


def test_the_same_sentence_in_another_split_is_no_repetition(tmp_path: Path) -> None:
    (tmp_path / "in_domain_train.tsv").write_text(COLA)
    (tmp_path / "in_domain_dev.tsv").write_text(COLA + COLA)
    problems = preview(tmp_path).problems
    assert [(problem.split, problem.row) for problem in problems] == [
        ("in_domain_dev", 3),
        ("in_domain_dev", 4),
    ]


def test_a_name_is_made_from_the_files(tmp_path: Path) -> None:
    path = tmp_path / "my [best] DJs.2024.csv"
    path.touch()
    assert suggested_name(path) == "my-best-DJs"
    assert suggested_name(tmp_path / "…") == "data"


# Lines


def test_tokens_stand_over_their_ids() -> None:
    assert token_lines(["The", "Ġcat", "漢"], [464, 31890, 7], 80) == [("The Ġcat  漢", "464 31890 7")]
    assert token_lines(["The", "Ġcat"], [464, 3797], 5) == [("The", "464"), ("Ġcat", "3797")]
    assert token_lines([], [], 20) == []


# What the child process replies


@pytest.fixture
def context(home: Home) -> Context:
    return Context(home, lambda _: None, lambda: False)


def test_ragged_rows_hinder_an_import_until_they_are_left_out(tmp_path: Path) -> None:
    seen = look(tmp_path, "bio\na\nb\nc,d\n", "djs.csv")
    assert seen.hindrance(skip_ragged=False) == "ragged rows: leave them out, or mend the file"
    assert seen.hindrance(skip_ragged=True) == ""


def test_a_stopped_pull_says_that_it_can_go_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_tasks, "fetch", lambda home, name, progress: progress(1, 1000))
    with pytest.raises(UserError, match="the same command continues it"):
        data_tasks.pull(Context(home, lambda _: None, lambda: True), "tiny")


def test_a_reply_is_small_whatever_the_file_holds(tmp_path: Path, context: Context) -> None:
    columns = [f"column {number}" for number in range(300)]
    records = [{**dict.fromkeys(columns, "z" * 1000), "bio": cell} for cell in HOSTILE * 100]
    path = tmp_path / "djs.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    reply = data_tasks.preview(context, str(path))
    assert len(json.dumps(reply)) < 100_000
    assert reply["column"] == reply["header"][0] == "bio"
    assert len(reply["problems"]) == 200 and reply["hidden_problems"] == 295
    assert reply["problems"][0] == {
        "where": "row 6",
        "message": "the same text as in row 1",
        "fatal": False,
    }
    cells = [cells[0] for _, cells in reply["rows"]]
    assert cells[:2] == ["[/red] closes nothing", "�[31mred�"]
    assert len(cells[4]) == 64


def test_a_changed_file_is_looked_at_again(tmp_path: Path, context: Context) -> None:
    path = tmp_path / "djs.csv"
    path.write_text("bio\na\nb\n")
    assert data_tasks.preview(context, str(path))["lines"] == ["2 rows, utf-8, comma-separated"]
    path.write_text("bio\na\nb\nc\n")
    assert data_tasks.preview(context, str(path))["lines"] == ["3 rows, utf-8, comma-separated"]


def test_an_import_says_how_far_it_is(home: Home) -> None:
    said: list[Any] = []
    context = Context(home, said.append, lambda: False)
    reply = data_tasks.import_(context, str(assets() / "acceptability.tsv"), "cola", "judged")
    size = store.info(home, "judged").size
    assert reply == {"name": "judged", "line": f"judged: {size} sentences"}
    assert said == [{"stage": "reading"}, *({"done": n, "total": size} for n in range(0, size, 500))]


def test_an_import_takes_what_was_chosen(tmp_path: Path, home: Home, context: Context) -> None:
    path = tmp_path / "djs.csv"
    path.write_text("first,second\na,b\nc,b\nd,e,f\ng,h\n")
    data_tasks.import_(context, str(path), "bios", "djs", "second", skip_ragged=True, drop_duplicates=True)
    assert [row.text for row in store.load(home, "djs").rows] == ["b", "h"]


def test_a_cancelled_import_leaves_nothing(home: Home) -> None:
    asked = iter([False, True])
    context = Context(home, lambda _: None, lambda: next(asked))
    with pytest.raises(UserError):
        data_tasks.import_(context, str(assets() / "dj_bios.csv"), "bios", "djs")
    assert store.listing(home) == ([], [])


def test_the_bundled_data_comes_once(home: Home, context: Context) -> None:
    assert data_tasks.bundled(context) == {"added": ["djs", "sentences"], "here": []}
    assert {info.name: info.kind for info in store.listing(home)[0]} == {"djs": "bios", "sentences": "cola"}
    store.remove(home, "djs")
    assert data_tasks.bundled(context) == {"added": ["djs"], "here": ["sentences"]}


def test_a_data_set_is_described_by_the_same_rows_for_the_same_seed(
    sentences: DataInfo, context: Context, home: Home
) -> None:
    first = data_tasks.describe(context, "sentences", 1)
    assert first == data_tasks.describe(context, "sentences", 1)
    assert first["rows"] != data_tasks.describe(context, "sentences", 2)["rows"]
    assert first["lines"][0] == "sentences: 200 sentences"
    assert {row["label"] for row in first["unacceptable"]} == {0}
    rows = store.load(home, "sentences").rows
    for shown in first["rows"]:
        assert (rows[shown["index"]].text, rows[shown["index"]].row) == (shown["text"], shown["row"])


def test_data_changed_on_disk_is_noticed(sentences: DataInfo, context: Context, home: Home) -> None:
    data_tasks.describe(context, "sentences", 1)
    path = home.data / "sentences" / "rows.jsonl"
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"label": 0', '"label": 1', 1))
    with pytest.raises(UserError, match="changed on disk"):
        data_tasks.describe(context, "sentences", 1)


def test_lengths_are_in_words_and_in_tokens_with_the_limit_marked(
    djs: DataInfo, context: Context, tiny_gpt2: Path
) -> None:
    reply = data_tasks.lengths(context, name="djs", base=str(tiny_gpt2))
    assert sum(int(line.split()[-1]) for line in reply["words"]) == 40
    limits = [line for line in reply["tokens"] if "limit 256:" in line]
    assert len(limits) == 1 and "of 40 beyond it" in limits[0]
    assert reply["base"] == "tiny-gpt2"


def test_without_a_base_words_are_counted_alone(djs: DataInfo, context: Context) -> None:
    reply = data_tasks.lengths(context, path=str(assets() / "dj_bios.csv"))
    assert reply["words"] and not reply["tokens"]
    assert "no base is on this machine yet" in reply["missing"]


def test_counting_tokens_can_be_stopped(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    asked = iter([False, True])
    context = Context(home, lambda _: None, lambda: next(asked))
    with pytest.raises(UserError, match="stopped"):
        data_tasks.lengths(context, path=str(assets() / "dj_bios.csv"), base=str(tiny_gpt2))


def test_a_sentence_is_shown_as_original_tokens_and_ids(
    djs: DataInfo, context: Context, tiny_gpt2: Path
) -> None:
    reply = data_tasks.tokens(context, "djs", text="The  [/red]\nDJ", base=str(tiny_gpt2))
    assert reply["original"] == "The [/red] DJ"
    assert "".join(reply["tokens"]) == "TheĠ[/red]ĠDJ"
    assert len(reply["ids"]) == len(reply["tokens"])
    long = data_tasks.tokens(context, "djs", index=3, base=str(tiny_gpt2))
    assert len(long["original"].split()) == 24
    assert "no base" in data_tasks.tokens(context, "djs")["missing"]


def test_checks_come_with_short_examples(tmp_path: Path, home: Home, context: Context) -> None:
    path = tmp_path / "djs.csv"
    path.write_text("bio\n" + f"{'long ' * 500}\n" * 2 + "short\n")
    data_tasks.import_(context, str(path), "bios", "djs")
    findings = {finding["check"]: finding for finding in data_tasks.check(context, "djs")}
    assert findings["duplicates"]["count"] == 1
    assert all(len(example) <= 100 for example in findings["duplicates"]["examples"])
