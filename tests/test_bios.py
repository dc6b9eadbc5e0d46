from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioforge.data.bios import MISSING, BiosFile, read_bios
from bioforge.errors import UserError

FIRST = "Born in Leipzig, she plays; loudly | and\tlong"
SECOND = 'Known as "Minus Forty",\nhe repairs engines'


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bios")


def as_csv(rows: list[list[str]], delimiter: str = ",") -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


def written(folder: Path, text: str | bytes, name: str = "djs.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes, name: str = "djs.csv", **options: Any) -> BiosFile:
    return read_bios(written(folder, text, name), **options)


def refusal(folder: Path, text: str | bytes, name: str = "djs.csv", **options: Any) -> str:
    path = written(folder, text, name)
    with pytest.raises(UserError) as caught:
        read_bios(path, **options)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(
    ("name", "delimiter", "called"),
    [
        ("djs.csv", ",", "comma"),
        ("djs.tsv", "\t", "tab"),
        ("djs.csv", "\t", "tab"),
        ("djs.csv", ";", "semicolon"),
        ("djs.txt", "|", "bar"),
    ],
)
def test_each_delimiter_is_recognised_whatever_the_texts_hold(
    tmp_path: Path, name: str, delimiter: str, called: str
) -> None:
    rows = [["name", "bio_main"], ["Ada", FIRST], ["Bo", SECOND]]
    file = read(tmp_path, as_csv(rows, delimiter), name)
    assert file == BiosFile([FIRST, SECOND], [1, 2], "bio_main", False, "utf-8", called, 0, 0)


@pytest.mark.parametrize("name", ["djs.jsonl", "djs.ndjson", "djs.txt"])
def test_json_lines_are_read(tmp_path: Path, name: str) -> None:
    lines = [json.dumps({"name": "Ada", "bio_main": FIRST}), json.dumps({"bio_main": SECOND, "x": 1})]
    file = read(tmp_path, "\n".join(lines), name)
    assert file == BiosFile([FIRST, SECOND], [1, 2], "bio_main", False, "utf-8", None, 0, 0)


def test_a_json_array_is_read(tmp_path: Path) -> None:
    text = json.dumps([{"bio_main": FIRST}, {"bio_main": SECOND}], indent=2)
    assert read(tmp_path, text, "djs.json").texts == [FIRST, SECOND]


def test_a_wanted_column_decides_what_the_delimiter_is(tmp_path: Path) -> None:
    file = read(tmp_path, "a,b;life\n1,2;x\n3,4;y\n", column="life")
    assert (file.texts, file.delimiter) == (["x", "y"], "semicolon")


def test_the_delimiter_that_gives_all_rows_one_width_is_taken(tmp_path: Path) -> None:
    file = read(tmp_path, "Name, first;Leben\nAda;plays, loudly, in Ulm\nBo;repairs engines, mostly\n")
    assert (file.delimiter, file.column) == ("semicolon", "Leben")


def test_one_column_of_unquoted_prose_in_a_tsv_is_read_whole(tmp_path: Path) -> None:
    file = read(tmp_path, "bio\nAda, of Leipzig, plays\nBo\n", "djs.tsv")
    assert file.texts == ["Ada, of Leipzig, plays", "Bo"]


def test_a_field_of_two_hundred_thousand_characters_is_fine(tmp_path: Path) -> None:
    long = "wörd " * 39_999 + "word!"
    assert len(long) == 200_000
    assert read(tmp_path, as_csv([["bio"], [long], ["b"]])).texts == [long, "b"]


def test_a_huge_cell_is_refused_by_row_unless_any_length_is_asked_for(tmp_path: Path) -> None:
    huge = "0123456789" * 1_000_000
    text = as_csv([["bio"], ["a"], [huge]])
    message = refusal(tmp_path, text)
    assert ", row 2: 'bio' is 10,000,000 characters long, the limit is 5,000,000" in message
    assert "quotation mark left open" in message and "--max-cell 0" in message
    assert read(tmp_path, text, max_cell=0).texts == ["a", huge]


def test_the_limit_on_a_cell_is_the_longest_one_taken(tmp_path: Path) -> None:
    assert read(tmp_path, "bio\nabcde\nb\n", max_cell=5).texts == ["abcde", "b"]
    assert "row 1: 'bio' is 5 characters long, the limit is 4" in refusal(
        tmp_path, "bio\nabcde\nb\n", max_cell=4
    )


def test_the_named_column_is_read_even_beside_a_usual_name(tmp_path: Path) -> None:
    file = read(tmp_path, "bio,Life Story\na,b\nc,d\n", column="Life Story")
    assert (file.texts, file.column, file.column_guessed) == (["b", "d"], "Life Story", False)


@pytest.mark.parametrize(
    "name", ["bio_main", "bio", "biography", "text", "description", "content", "about", "summary"]
)
def test_the_usual_names_are_found(tmp_path: Path, name: str) -> None:
    file = read(tmp_path, f"somewhat longer,{name}\n{'x' * 90},a\n{'x' * 90},b\n")
    assert (file.texts, file.column, file.column_guessed) == (["a", "b"], name, False)


def test_the_more_telling_of_two_usual_names_wins(tmp_path: Path) -> None:
    assert read(tmp_path, "text,bio_main\na,b\nc,d\n").column == "bio_main"


def test_a_misspelt_column_brings_a_suggestion(tmp_path: Path) -> None:
    message = refusal(tmp_path, "Name,Bio_Main\na,b\nc,d\n", column="bio_mian")
    assert message == " has no column 'bio_mian'; did you mean 'Bio_Main'? Its columns: Name, Bio_Main"


def test_a_column_in_other_letters_is_suggested_and_not_taken(tmp_path: Path) -> None:
    assert "has no column 'bio'; did you mean 'BIO'?" in refusal(tmp_path, "x,BIO\na,b\nc,d\n", column="bio")


def test_a_column_like_no_other_brings_the_list_of_columns(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(14))
    message = refusal(tmp_path, f"{header}\n{header}\n", column="zzzzzz")
    assert "did you mean" not in message
    assert message.endswith("Its columns: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 …")


def test_far_the_longest_column_is_guessed_and_said_to_be(tmp_path: Path) -> None:
    file = read(tmp_path, f"Name,Lebenslauf,Ort\nAda,{'wort ' * 20},Ulm\nBo,{'wort ' * 20},Bonn\n")
    assert (file.column, file.column_guessed) == ("Lebenslauf", True)


def test_the_only_column_needs_no_guess(tmp_path: Path) -> None:
    file = read(tmp_path, "notes\na\nb\n")
    assert (file.column, file.column_guessed) == ("notes", False)


def test_two_columns_alike_are_for_the_user_to_choose(tmp_path: Path) -> None:
    message = refusal(tmp_path, "first,second\nabcd,abc\nefgh,efg\n")
    assert "which column holds the texts? Name it with --column. Its columns: first, second" in message


def test_empty_and_missing_cells_are_dropped_and_counted(tmp_path: Path) -> None:
    cells = ["one", "", "NA", "two", "  ", " nan ", "Nathan", "None", "null", "N/A", "NaN", "<NA>"]
    file = read(tmp_path, as_csv([["name", "bio"], *(["x", cell] for cell in cells)]))
    assert (file.texts, file.rows, file.empty) == (["one", "two", "Nathan"], [1, 4, 7], 9)


def test_a_json_null_and_an_absent_key_are_empty(tmp_path: Path) -> None:
    file = read(tmp_path, '{"bio": "a"}\n{"bio": null}\n{"name": "x"}\n{"bio": "b"}\n \t\n', "djs.jsonl")
    assert (file.texts, file.rows, file.empty) == (["a", "b"], [1, 4], 2)


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    file = read(tmp_path, "\nbio\n\na\n\n\nb\n\n")
    assert (file.texts, file.rows, file.empty) == (["a", "b"], [1, 2], 0)


def test_a_column_of_nothing_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "name,bio\na,\nb,NA\n")
    assert message == ": all 2 rows of 'bio' are empty; choose another with --column"


def test_one_text_is_too_few(tmp_path: Path) -> None:
    assert "holds one text; training needs at least two" in refusal(tmp_path, "name,bio\na,b\nc,\n")


@pytest.mark.parametrize("text", ["name,bio\n", "name,bio", "bio\n\n\n"])
def test_a_header_alone_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text) == " has a header and no rows"


def test_an_empty_json_array_holds_no_rows(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[]", "djs.json") == " holds no rows"


@pytest.mark.parametrize("name", ["djs.csv", "djs.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_and_nothing_else_is_empty(tmp_path: Path, name: str, encoding: str) -> None:
    assert refusal(tmp_path, " \n".encode(encoding), name) == " is empty"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read(tmp_path, '"bio",x\na,1\nb,2\n'.encode("utf-8-sig")).column == "bio"


RAGGED = 'name,bio\nAda,"two\nlines"\nBo,"plays\nlow", loudly\nCy,c\nDi\n'


def test_a_row_with_too_many_fields_is_named_by_row_and_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, RAGGED)
    assert message.startswith(", row 2 (line 4): 3 fields where the header has 2 (and 1 more such rows)")
    assert "quotation marks" in message and "--skip-ragged" in message


def test_a_row_with_too_few_fields_is_named_by_row_and_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, "name,bio\na,b\n\nc\n")
    assert message.startswith(", row 2 (line 4): 1 field where the header has 2; ")


def test_ragged_rows_are_left_out_and_counted_when_asked(tmp_path: Path) -> None:
    file = read(tmp_path, RAGGED, skip_ragged=True)
    assert (file.texts, file.rows, file.ragged) == (["two\nlines", "c"], [1, 3], 2)


def test_a_file_of_ragged_rows_only_is_not_said_to_have_none(tmp_path: Path) -> None:
    assert "all 2 rows have more or fewer fields" in refusal(tmp_path, "name,bio\na\nb\n", skip_ragged=True)


@pytest.mark.parametrize("skip_ragged", [False, True])
@pytest.mark.parametrize("before", ["Bo,b", 'Bo,"b" as in bass'])
def test_a_quotation_mark_left_open_is_named_by_the_line_it_opens_on(
    tmp_path: Path, before: str, skip_ragged: bool
) -> None:
    text = f'name,bio\nAda,"two\nlines"\n{before}\nCy,"never closed\nDi,d\nEd,e\n'
    message = refusal(tmp_path, text, skip_ragged=skip_ragged)
    assert message == ", line 5: a quotation mark is opened and never closed"


def test_a_quotation_mark_within_a_cell_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, 'name,bio\na,the 12" mix\nb,5\' 7"\n').texts == ['the 12" mix', "5' 7\""]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two columns are named 'bio'; rename one" in refusal(tmp_path, "bio,name, bio\na,b,c\nd,e,f\n")


def test_bad_json_names_the_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, '{"bio": "a"}\n\n{"bio": "b"\n{"bio": "c"}\n', "djs.jsonl")
    assert message == ", line 3: not valid JSON (Expecting ',' delimiter at column 12)"


def test_bad_json_within_an_array_names_the_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[\n{"bio": "a"},\n{"bio": b}\n]', "djs.json")
    assert message == ", line 3: not valid JSON (Expecting value at column 9)"


def test_a_json_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    assert ', row 2: expected an object such as {"bio_main"' in refusal(
        tmp_path, '{"bio": "a"}\n["b"]\n', "djs.jsonl"
    )


@pytest.mark.parametrize("text", ["[" * 100_000, '{"bio": ' + "1" * 5000 + "}"])
def test_json_made_to_break_its_reader_is_refused(tmp_path: Path, text: str) -> None:
    assert "JSON that cannot be read" in refusal(tmp_path, text, "djs.json")


@pytest.mark.parametrize(
    ("value", "kind"),
    [("7", "int"), ("1.5", "float"), ("true", "bool"), ('["a"]', "list"), ("{}", "dict"), ("0", "int")],
)
def test_a_value_that_is_not_text_is_named_by_row_and_kind(tmp_path: Path, value: str, kind: str) -> None:
    message = refusal(tmp_path, f'{{"bio": "a"}}\n{{"bio": {value}}}\n', "djs.jsonl")
    assert message == f", row 2: 'bio' is {kind}, not text"


def test_half_a_character_in_json_is_refused_before_it_can_spoil_a_file(tmp_path: Path) -> None:
    whole = '{"bio": "\\ud83c\\udfa7"}\n{"bio": "b"}\n'
    assert read(tmp_path, whole, "djs.jsonl").texts == ["🎧", "b"]
    half = '{"bio": "a"}\n{"bio": "b \\ud83c"}\n'
    assert refusal(tmp_path, half, "djs.jsonl").startswith(", row 2: 'bio' holds half a character")


def test_unicode_line_separators_within_json_strings_end_no_line(tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\u2029d\u0085e"]
    lines = "\n".join(json.dumps({"bio": text}, ensure_ascii=False) for text in texts)
    assert read(tmp_path, lines, "djs.jsonl").texts == texts


def test_windows_line_ends_become_plain_ones(tmp_path: Path) -> None:
    file = read(tmp_path, 'name,bio\r\na,"one\r\ntwo\rthree"\r\nb,four\r\n')
    assert file.texts == ["one\ntwo\nthree", "four"]
    assert read(tmp_path, '{"bio": "a"}\r\n{"bio": "b"}\r\n', "djs.jsonl").texts == ["a", "b"]


def test_old_mac_line_ends_are_line_ends(tmp_path: Path) -> None:
    assert read(tmp_path, "name,bio\ra,one\rb,two\r").texts == ["one", "two"]


def test_text_made_to_upset_a_terminal_comes_back_as_it_is(tmp_path: Path) -> None:
    texts = [
        "[/red] [bold]loud[/] [link=file:///]x",
        "👩🏽‍🎤🇫🇷 e\u0301",
        "‮desrever ‏שלום‏ مرحبا",
        "\x1b[31mred\x1b[0m",
        "=cmd|' /C calc'!A0",
        "{{ 7 * 7 }} %s {0} \\n \\",
        "<|endoftext|>",
    ]
    assert read(tmp_path, as_csv([["bio"], *([text] for text in texts)])).texts == texts
    lines = "\n".join(json.dumps({"bio": text}) for text in texts)
    assert read(tmp_path, lines, "djs.jsonl").texts == texts


def clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


any_character = st.one_of(
    st.sampled_from(",;|\t\n\r\"' aé’“”€"), st.characters(exclude_categories=["Cs", "Cc"])
)
western = st.one_of(
    st.sampled_from(",;|\t\n\r\"' aé’“”€"),
    st.characters(max_codepoint=255, exclude_categories=["Cs", "Cc"]),
)
encodings = st.sampled_from(
    [
        ("utf-8", any_character),
        ("utf-8-sig", any_character),
        ("utf-16", any_character),
        ("utf-16-le", western),
        ("utf-16-be", western),
        ("cp1252", western),
    ]
)
texts_in_an_encoding = encodings.flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(st.text(pair[1], max_size=30), max_size=20))
)


@settings(max_examples=100, deadline=None)
@given(
    texts_in_an_encoding,
    st.sampled_from(",;|\t"),
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
)
def test_any_texts_come_back_from_csv_as_they_went_in(
    scratch: Path, drawn: tuple[str, list[str]], delimiter: str, form: tuple[str, Any]
) -> None:
    encoding, texts = drawn
    texts = [*texts, "Ada plays", "Bo plays"]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=form[0], quoting=form[1])
    # René, so that no file in Windows-1252 happens to be UTF-8 too.
    writer.writerows([["name", "bio_main"], *(["René", text] for text in texts)])
    file = read(scratch, buffer.getvalue().encode(encoding))
    kept = {row: clean(text) for row, text in enumerate(texts, 1) if clean(text) not in MISSING}
    assert file.texts == list(kept.values())
    assert file.rows == list(kept)
    assert file.empty == len(texts) - len(kept)
    assert (file.encoding, file.ragged) == (encoding, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_any_texts_come_back_from_json_as_they_went_in(
    scratch: Path, texts: list[str], ascii_only: bool, as_array: bool
) -> None:
    texts = [*texts, "Ada plays", "Bo plays"]
    lines = [json.dumps({"bio": text}, ensure_ascii=ascii_only) for text in texts]
    text = f"[{','.join(lines)}]" if as_array else "\n".join(lines)
    file = read(scratch, text, "djs.json" if as_array else "djs.jsonl")
    assert file.texts == [clean(text) for text in texts if clean(text) not in MISSING]
