from __future__ import annotations

import hashlib
import json
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioforge.data import store
from bioforge.data.bios import BiosFile
from bioforge.data.cola import ColaFile
from bioforge.data.rows import Row
from bioforge.data.split import hold_out, train_and_validation
from bioforge.data.store import DataInfo, DataSet, Kind, WordCounts
from bioforge.errors import UserError
from bioforge.files import write_json
from bioforge.paths import Home
from tests.helpers import everything_in

TEXTS = ["one two three", "four", "five six\nsè\u2028ven 🎧 \x1b[31m", "four"]


def bios_file(texts: Sequence[str] = TEXTS) -> BiosFile:
    rows = list(range(1, len(texts) + 1))
    return BiosFile(list(texts), rows, "bio_main", False, "cp1252", "semicolon", 2, 1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "djs.csv"
    path.write_text("the file as it was")
    return path


def add(home: Home, source: Path, name: str = "djs", texts: Sequence[str] = TEXTS) -> DataInfo:
    file = bios_file(texts)
    return store.add(home, name, "bios", store.rows_of_bios(file), source, file)


def test_a_data_set_is_read_back_as_it_was_kept(home: Home, source: Path) -> None:
    info = add(home, source)
    data = store.load(home, "djs")
    assert data.info == info == store.info(home, "djs")
    assert tuple(data.rows) == tuple(Row(text, row) for row, text in enumerate(TEXTS, 1))


def test_judgements_are_read_back_with_labels_splits_and_marks(home: Home, source: Path) -> None:
    rows = [
        Row("A", 1, "train", 1, "ks08", ""),
        Row("B", 2, "train", 0, "", "??"),
        Row("C", 1, "in_domain_dev", 0, "x", "*"),
    ]
    info = store.add(home, "cola", "cola", rows, source, ColaFile([], "utf-8", 3, []))
    assert list(store.load(home, "cola").rows) == rows
    assert list(store.load(home, "cola").split("train")) == rows[:2]
    assert (info.splits, info.labels) == ({"train": 2, "in_domain_dev": 1}, {"0": 2, "1": 1})
    assert (info.column, info.delimiter, info.empty, info.ragged, info.size) == (None, None, 3, 0, 3)


def test_what_is_said_of_a_data_set_is_true(home: Home, source: Path) -> None:
    info = add(home, source)
    assert (info.name, info.kind, info.file, info.encoding) == ("djs", "bios", "djs.csv", "cp1252")
    assert info.file_sha256 == hashlib.sha256(b"the file as it was").hexdigest()
    assert (info.column, info.delimiter, info.empty, info.ragged) == ("bio_main", "semicolon", 2, 1)
    assert (info.splits, info.labels, info.size, info.duplicates) == ({"train": 4}, {}, 4, 1)
    assert info.words == WordCounts(mean=2.8, median=2.0, p95=6, longest=6)


def test_word_counts_of_a_hundred_texts() -> None:
    assert store.word_counts(range(1, 101)) == WordCounts(mean=50.5, median=50.5, p95=96, longest=100)


def test_duplicates_are_dropped_only_when_asked() -> None:
    file = bios_file(["a", "b", "a", "c", "b"])
    assert [row.row for row in store.rows_of_bios(file)] == [1, 2, 3, 4, 5]
    kept = store.rows_of_bios(file, drop_duplicates=True)
    assert [(row.text, row.row) for row in kept] == [("a", 1), ("b", 2), ("c", 4)]


def test_the_newest_data_set_is_listed_first(
    home: Home, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.listing(home) == ([], [])
    for name in ("b", "c", "a"):
        add(home, source, name)
    for name, day in (("b", 2), ("c", 3), ("a", 1)):
        edit(home, name, imported=f"2026-01-0{day}T00:00:00+00:00")
    (home.data / ".staging-d-1234").mkdir()
    assert [info.name for info in store.listing(home)[0]] == ["c", "b", "a"]


def edit(home: Home, name: str, **values: Any) -> None:
    path = home.data / name / "data.json"
    write_json(path, {**json.loads(path.read_text()), **values})


def test_a_removed_data_set_is_gone_and_the_others_are_not(home: Home, source: Path) -> None:
    add(home, source, "a")
    add(home, source, "b")
    store.remove(home, "a")
    assert [path.name for path in home.data.iterdir()] == ["b"]
    with pytest.raises(UserError, match="no data set 'a'; there are: b"):
        store.load(home, "a")


def test_removing_what_is_not_there_is_an_error(home: Home, source: Path) -> None:
    with pytest.raises(UserError, match="no data set 'djs'; import one: bioforge data import bios FILE"):
        store.remove(home, "djs")
    add(home, source, "other")
    with pytest.raises(UserError, match="no data set 'djs'; there are: other"):
        store.remove(home, "djs")


def test_importing_the_same_again_changes_nothing(home: Home, source: Path) -> None:
    first = add(home, source)
    edit(home, "djs", imported="2000-01-01T00:00:00+00:00")
    before = everything_in(home.root)
    again = add(home, source)
    assert again == replace(first, imported="2000-01-01T00:00:00+00:00")
    assert everything_in(home.root) == before


def test_other_data_never_takes_a_name_that_is_taken(home: Home, source: Path) -> None:
    add(home, source)
    before = everything_in(home.root)
    with pytest.raises(UserError) as caught:
        add(home, source, texts=[*TEXTS, "more"])
    message = str(caught.value)
    assert "a data set 'djs' exists with other contents" in message
    assert "--name" in message and "bioforge data remove djs" in message
    assert everything_in(home.root) == before


@pytest.mark.parametrize("same", [True, False])
def test_of_two_imports_at_once_the_first_to_finish_wins(
    home: Home, source: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    theirs = TEXTS if same else ["theirs", "too"]

    def meanwhile(path: Path, value: Any) -> None:
        monkeypatch.setattr(store, "write_json", write_json)
        add(home, source, texts=theirs)
        write_json(path, value)

    monkeypatch.setattr(store, "write_json", meanwhile)
    if same:
        assert add(home, source).file == "djs.csv"
    else:
        with pytest.raises(UserError, match="exists with other contents"):
            add(home, source)
    assert [row.text for row in store.load(home, "djs").rows] == theirs
    assert [path.name for path in home.data.iterdir()] == ["djs"]


def test_the_fingerprint_depends_on_the_rows_and_on_nothing_else(home: Home, source: Path) -> None:
    first = add(home, source, "a")
    source.write_text("a file of other bytes")
    assert add(home, source, "b").fingerprint == first.fingerprint
    rows = (home.data / "a" / "rows.jsonl").read_bytes()
    assert first.fingerprint == hashlib.sha256(rows).hexdigest()
    others = [TEXTS[:3], TEXTS[::-1], [*TEXTS[:3], "four."]]
    prints = {add(home, source, f"c{number}", texts).fingerprint for number, texts in enumerate(others)}
    assert len(prints | {first.fingerprint}) == 4


def test_the_fingerprint_depends_on_labels_and_splits(home: Home, source: Path) -> None:
    file = ColaFile([], "utf-8", 0, [])
    variants = [Row("A", 1, "train", 1), Row("A", 1, "train", 0), Row("A", 1, "dev", 1)]
    prints = {
        store.add(home, f"c{n}", "cola", [row], source, file).fingerprint for n, row in enumerate(variants)
    }
    assert len(prints) == 3


def test_the_fingerprint_of_known_rows_never_changes(home: Home, source: Path) -> None:
    payload = '{"row": 1, "split": "train", "text": "é"}\n{"row": 2, "split": "train", "text": "b"}\n'
    assert add(home, source, texts=["é", "b"]).fingerprint == hashlib.sha256(payload.encode()).hexdigest()


def test_kept_files_are_read_only(home: Home, source: Path) -> None:
    add(home, source)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home.data / "djs").iterdir()}
    assert modes == dict.fromkeys(["rows.jsonl", "rows.index", "data.json"], 0o444)


@pytest.mark.parametrize(
    "change", [lambda raw: raw + b"\n", lambda raw: raw.replace(b"one", b"two"), lambda _: b""]
)
def test_changed_rows_are_noticed(home: Home, source: Path, change: Any) -> None:
    add(home, source)
    path = home.data / "djs" / "rows.jsonl"
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(
        UserError, match=r"'djs' was changed on disk \(.*rows\.jsonl\); remove it and import it again"
    ):
        store.load(home, "djs")


def test_lost_rows_are_noticed(home: Home, source: Path) -> None:
    add(home, source)
    (home.data / "djs" / "rows.jsonl").unlink()
    with pytest.raises(UserError, match=r"'djs' has lost its rows \(.*rows\.jsonl\)"):
        store.load(home, "djs")


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"words": {}}',
    b'{"words": 3, "name": "djs"}',
]


@pytest.mark.parametrize("raw", DAMAGED)
def test_a_damaged_description_is_named_and_can_be_removed(home: Home, source: Path, raw: bytes) -> None:
    add(home, source)
    path = home.data / "djs" / "data.json"
    path.chmod(0o644)
    path.write_bytes(raw)
    for reading in (store.info, store.load):
        with pytest.raises(
            UserError, match=r"'djs' is damaged \(.*data\.json.*\); remove it and import it again"
        ):
            reading(home, "djs")
    store.remove(home, "djs")
    assert add(home, source).size == 4


NAMES = ["../x", "a/b", "a\\b", ".hidden", "", "..", "/tmp/x", "a b", "x" * 81, "a\n", "ü"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_a_path_or_worse_reaches_no_file(
    home: Home, source: Path, tmp_path: Path, name: str
) -> None:
    add(home, source)
    before = everything_in(tmp_path)
    for action in (
        lambda: add(home, source, name),
        lambda: store.load(home, name),
        lambda: store.remove(home, name),
    ):
        with pytest.raises(UserError, match="the data name"):
            action()
    assert everything_in(tmp_path) == before


def test_nothing_is_left_when_the_disk_is_full(
    home: Home, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, source, "other")
    before = everything_in(home.root)

    def full(path: Path, _: Any) -> None:
        assert (path.parent / "rows.jsonl").is_file()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        add(home, source)
    assert [path.name for path in home.data.iterdir()] == ["other"]
    assert everything_in(home.root) == before
    monkeypatch.undo()
    assert add(home, source).size == 4


def data_set(kind: Kind, rows: Sequence[Row]) -> DataSet:
    words = WordCounts(1, 1, 1, 1)
    splits = dict(Counter(row.split for row in rows))
    info = DataInfo("mine", kind, "f", "i", "file", "s", "utf-8", None, None, splits, {}, words, 0, 0, 0)
    return DataSet(info, tuple(rows))


fractions = st.floats(0.001, 0.9)
some_rows = st.lists(st.integers(0, 60), min_size=1, max_size=150).map(
    lambda numbers: [Row(f"text {number}", row) for row, number in enumerate(numbers, 1)]
)


@settings(max_examples=100, deadline=None)
@given(some_rows, fractions, st.integers(0, 2**32))
def test_holding_out_divides_the_rows_by_text(rows: list[Row], fraction: float, seed: int) -> None:
    train, held = hold_out(rows, fraction, seed)
    assert sorted([*train, *held], key=lambda row: row.row) == rows
    assert [row.row for row in train] == sorted(row.row for row in train)
    assert [row.row for row in held] == sorted(row.row for row in held)
    learnt, checked = {row.text for row in train}, {row.text for row in held}
    assert not learnt & checked
    assert checked
    assert abs(len(checked) - fraction * len(learnt | checked)) <= 1
    assert hold_out(rows, fraction, seed) == (train, held)


def test_both_tutorials_hold_out_ten_of_a_hundred() -> None:
    rows = [Row(str(number), number) for number in range(100)]
    assert [len(side) for side in hold_out(rows, 0.1, 42)] == [90, 10]


def test_the_division_of_known_rows_never_changes() -> None:
    rows = [Row(f"text {number}", number) for number in range(1, 21)]
    assert [row.row for row in hold_out(rows, 0.2, 42)[1]] == [5, 8, 12, 13]


def test_the_seed_decides_which_rows_are_held_out() -> None:
    rows = [Row(str(number), number) for number in range(100)]
    held = [tuple(row.row for row in hold_out(rows, 0.1, seed)[1]) for seed in range(20)]
    assert len(set(held)) == 20
    assert len({number for rows_held in held for number in rows_held}) > 70


JUDGED = [Row(f"t{number}", number, "train", number % 2) for number in range(1000)]
OUTSIDE = [Row(f"o{number}", number, "out_of_domain_dev", number % 2) for number in range(30)]


@pytest.mark.parametrize("name", ["in_domain_dev", "dev"])
def test_the_official_split_is_validated_on_when_asked(name: str) -> None:
    dev = [Row(f"d{number}", number, name, number % 2) for number in range(7)]
    data = data_set("cola", [*JUDGED, *dev, *OUTSIDE])
    assert train_and_validation(data, 0.1, 0, official=True) == (JUDGED, dev)
    train, validation = train_and_validation(data, 0.1, 0, official=False)
    assert (len(train), len(validation)) == (900, 100)
    assert {row.split for row in [*train, *validation]} == {"train"}


def test_without_an_official_split_rows_are_held_out_all_the_same() -> None:
    data = data_set("cola", [*JUDGED, *OUTSIDE])
    assert train_and_validation(data, 0.1, 3, official=True) == train_and_validation(
        data, 0.1, 3, official=False
    )


@settings(max_examples=40, deadline=None)
@given(fractions, st.integers(0, 1000), st.booleans(), st.booleans())
def test_the_out_of_domain_split_is_never_touched(
    fraction: float, seed: int, official: bool, with_dev: bool
) -> None:
    dev = [Row(f"d{number}", number, "in_domain_dev", number % 2) for number in range(7)]
    data = data_set("cola", [*OUTSIDE, *JUDGED, *(dev if with_dev else [])])
    train, validation = train_and_validation(data, fraction, seed, official)
    assert train and validation
    assert "out_of_domain_dev" not in {row.split for row in [*train, *validation]}


@pytest.mark.parametrize("label", [0, 1])
def test_a_judge_is_not_trained_on_one_label(label: int) -> None:
    rows = [replace(row, label=label) for row in JUDGED]
    dev = [Row("d", 1, "dev", 1 - label)]
    for data, count in ((data_set("cola", rows), 900), (data_set("cola", [*rows, *dev]), 1000)):
        expected = f"all {count} training sentences of 'mine' have the same label; a judge needs both"
        with pytest.raises(UserError, match=expected):
            train_and_validation(data, 0.1, 0, official=True)


@pytest.mark.parametrize("texts", [["one"], ["same", "same"]])
def test_too_few_texts_to_hold_any_out_are_refused(texts: list[str]) -> None:
    rows = [Row(text, number) for number, text in enumerate(texts, 1)]
    with pytest.raises(UserError, match=f"'mine' has {len(texts)} rows to train on; that is too few"):
        train_and_validation(data_set("bios", rows), 0.1, 0, official=False)
