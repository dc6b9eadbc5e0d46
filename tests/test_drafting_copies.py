"""What a text shares with the training texts, against a comparison word by word."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioforge.data import store
from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataInfo
from bioforge.drafting import copies as module
from bioforge.drafting.copies import NGRAM, Copies, copies_at_hand, make, open_copies
from bioforge.drafting.suffixes import longest_match, suffix_array
from bioforge.drafting.words import words_of
from bioforge.errors import UserError
from bioforge.evaluation.memory import cut_alike, measure_memory
from bioforge.generation.writer import Writer
from bioforge.models.store import ModelInfo, info
from bioforge.paths import Home
from bioforge.runs import recipe as recipes
from tests.stored import store_model

WORDS = st.lists(st.sampled_from("abc"), max_size=14)


def joined(documents: list[list[int]]) -> list[int]:
    """Each document, and behind it a negative number of its own."""
    return [number for at, document in enumerate(documents) for number in [*document, -1 - at]]


@given(st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=6))
def test_suffixes_are_in_the_order_of_what_follows_each(documents: list[list[int]]) -> None:
    numbers = joined(documents)
    found = suffix_array(np.array(numbers, np.int32)).tolist()
    assert found == sorted(range(len(numbers)), key=lambda place: numbers[place:])


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=5),
    st.lists(st.integers(0, 3), max_size=12),
)
def test_the_longest_match_is_the_longest(documents: list[list[int]], query: list[int]) -> None:
    numbers = joined(documents)
    values = np.array(numbers, np.int32)
    length, place = longest_match(values, suffix_array(values), query)
    assert numbers[place : place + length] == query[:length]
    starts = range(len(numbers))
    assert not any(numbers[at : at + length + 1] == query[: length + 1] for at in starts) or length == len(
        query
    )


def brute_force(training: list[list[str]], text: list[str]) -> tuple[int, float]:
    """The longest shared run, and the share of stretches of `NGRAM` words that a training text has."""

    def has(run: list[str]) -> bool:
        return any(run == row[at : at + len(run)] for row in training for at in range(len(row)))

    longest = max(
        (
            end - start
            for start in range(len(text))
            for end in range(start + 1, len(text) + 1)
            if has(text[start:end])
        ),
        default=0,
    )
    stretches = [text[at : at + NGRAM] for at in range(len(text) - NGRAM + 1)]
    return longest, sum(map(has, stretches)) / len(stretches) if stretches else 0.0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6), WORDS, st.sampled_from([3, 1 << 22]))
def test_copies_are_those_a_comparison_of_all_words_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: list[list[str]], text: list[str], part: int
) -> None:
    """In parts of three words as in one."""
    monkeypatch.setattr(module, "_PART", part)
    copies = made(tmp_path, [", ".join(row) for row in training])
    found = copies.of(" ".join(text).upper())
    longest, share = brute_force(training, text)
    assert found.words == longest and found.share == pytest.approx(share)
    span = found.span.casefold().split()
    assert len(span) == found.words
    if found.row is not None:
        row = training[found.row - 1]
        assert any(row[at : at + len(span)] == span for at in range(len(row)))


def made(folder: Path, texts: list[str]) -> Copies:
    make(folder, [Row(text, number) for number, text in enumerate(texts, 1)], lambda _: None)
    copies = module.open_made(folder)
    assert copies is not None
    return copies


def test_words_are_compared_without_case_marks_and_kinds_of_apostrophe(tmp_path: Path) -> None:
    copies = made(tmp_path, ["Zoë doesn't play — in LEEDS (often).", "Nothing else"])
    found = copies.of("She said: zoë DOESN’T play in Leeds, often nothing else")
    assert (found.words, found.span, found.row) == (6, "zoë DOESN’T play in Leeds, often", 1)


def test_what_the_prompt_brought_is_not_the_writers(tmp_path: Path) -> None:
    copies = made(tmp_path, ["one two three four five six"])
    text = "one two three four and five six"
    assert copies.of(text).words == 4
    assert copies.of(text, len("one two three four")).words == 2


def test_no_match_reaches_from_one_text_into_the_next(tmp_path: Path) -> None:
    assert made(tmp_path, ["a b c", "d e f"]).of("b c d e").words == 2


def test_nothing_in_common_is_nothing(tmp_path: Path) -> None:
    found = made(tmp_path, ["a b c"]).of("x y")
    assert (found.words, found.span, found.row, found.share) == (0, "", None, 0.0)


@pytest.fixture
def writer_info(home: Home, djs: DataInfo, tiny_gpt2: Path) -> ModelInfo:
    return stored_writer(home, djs, tiny_gpt2)


def stored_writer(home: Home, data: DataInfo, base: Path, name: str = "writer") -> ModelInfo:
    """In the store, as if it had learnt from `data`."""
    from dataclasses import asdict

    from bioforge.files import write_json

    store_model(home, name, "bios", base)
    described = replace(
        info(home, name),
        data=data.name,
        data_fingerprint=data.fingerprint,
        recipe=asdict(recipes.preset("bios", "balanced")),
    )
    write_json(home.models / name / "bioforge.json", asdict(described))
    return info(home, name)


def test_only_rows_it_learnt_from_count_and_the_index_is_made_once(
    home: Home, writer_info: ModelInfo
) -> None:
    said: list[str] = []
    copies = open_copies(home, writer_info, said.append)
    train, held = train_and_validation(store.load(home, "djs"), *recipes.from_json(writer_info.recipe).split)
    for row in list(train)[:5]:
        found = copies.of(row.text)
        assert (found.words, found.share, found.row) == (len(list(words_of(row.text))), 1.0, row.row)
    assert all(copies.of(row.text).words < len(list(words_of(row.text))) for row in held)
    assert said
    said.clear()
    open_copies(home, writer_info, said.append)
    assert not said


def test_a_damaged_index_is_made_anew(home: Home, writer_info: ModelInfo) -> None:
    open_copies(home, writer_info, lambda _: None)
    (suffixes,) = home.copies.rglob("suffixes.bin")
    raw = bytearray(suffixes.read_bytes())
    raw[100] ^= 1
    suffixes.write_bytes(raw)
    said: list[str] = []
    copies = open_copies(home, writer_info, said.append)
    assert said and suffixes.read_bytes() != raw
    assert copies.of(store.load(home, "djs").rows[0].text).words > 0


def test_data_that_are_gone_are_named_and_only_a_demand_for_them_fails(
    home: Home, writer_info: ModelInfo
) -> None:
    open_copies(home, writer_info, lambda _: None)
    store.remove(home, "djs")
    assert not list(home.copies.iterdir())
    found, why = copies_at_hand(home, writer_info, None, lambda _: None)
    assert found is None and "'djs' that writer learnt from is not in the store" in why
    with pytest.raises(UserError, match="import its file again"):
        copies_at_hand(home, writer_info, True, lambda _: None)
    assert copies_at_hand(home, writer_info, False, lambda _: None) == (None, "")


def test_data_under_another_name_are_found(home: Home, writer_info: ModelInfo) -> None:
    folder = home.data / "djs"
    described = (folder / "data.json").read_text().replace('"name": "djs"', '"name": "renamed"')
    (folder / "data.json").chmod(0o644)
    (folder / "data.json").write_text(described)
    folder.rename(home.data / "renamed")
    assert copies_at_hand(home, writer_info, None, lambda _: None)[0]


def test_what_was_not_used_for_longest_goes_where_the_cache_is_full(
    home: Home, writer_info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(seed: int) -> Path:
        before = set(home.copies.rglob("about.json"))
        open_copies(home, replace(writer_info, recipe={**writer_info.recipe, "seed": seed}), lambda _: None)
        (about,) = set(home.copies.rglob("about.json")) - before
        return about

    first, second = opened(1), opened(2)
    size = sum(path.stat().st_size for path in first.parent.iterdir())
    monkeypatch.setattr(module, "_MOST_BYTES", int(2.5 * size))
    os.utime(first, (1000, 1000))
    os.utime(second, (500, 500))
    third = opened(3)
    assert first.is_file() and third.is_file() and not second.parent.exists()


def test_a_cache_that_cannot_be_written_is_a_note_and_an_error_only_where_copies_are_asked_for(
    home: Home, writer_info: ModelInfo
) -> None:
    home.copies.parent.mkdir(parents=True, exist_ok=True)
    home.copies.write_text("in the way", encoding="utf-8")
    found, why = copies_at_hand(home, writer_info, None, lambda _: None)
    assert found is None and why.startswith("note: copies cannot be told") and "cannot be written" in why
    with pytest.raises(UserError, match="cannot be written"):
        copies_at_hand(home, writer_info, True, lambda _: None)


def test_many_words_are_not_read_unasked(
    home: Home, writer_info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = sum(len(row.text.split()) for row in store.load(home, "djs").rows)
    monkeypatch.setattr(module, "_SOON", words - 10)
    found, why = copies_at_hand(home, writer_info, None, lambda _: None)
    said = re.search(r"([\d,]+) words must be read once; --copies", why)
    assert found is None and said
    assert int(said[1].replace(",", "")) == pytest.approx(words, abs=2)
    assert copies_at_hand(home, writer_info, True, lambda _: None)[0]
    assert copies_at_hand(home, writer_info, None, lambda _: None)[0]


def test_a_writer_s_memory_is_told_beside_texts_it_never_saw(
    home: Home, writer_info: ModelInfo, tiny_gpt2: Path
) -> None:
    copies = open_copies(home, writer_info, lambda _: None)
    held = train_and_validation(store.load(home, "djs"), *recipes.from_json(writer_info.recipe).split)[1]
    memory = measure_memory(Writer.load(tiny_gpt2), copies, held, samples=4)
    assert memory.samples.texts == 4 and memory.held_out and memory.held_out.texts == 4
    assert measure_memory(Writer.load(tiny_gpt2), copies, [], samples=4).held_out is None


def test_held_out_texts_are_cut_to_the_words_of_samples() -> None:
    rows = [Row("a b, c d e f.", 1), Row("g", 2), Row("h i j", 3)]
    assert cut_alike(rows, ["x y z", "x", ""]) == ["a b, c", "g", ""]
    assert cut_alike(rows, ["x y"]) == ["a b"]
