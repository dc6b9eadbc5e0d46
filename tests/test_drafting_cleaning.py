"""Texts end at a sentence's end, without loops and markup; lengths hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioforge.drafting.cleaning import Length, clean, loop_start, sentence_ends
from bioforge.drafting.desk import Settling

TEXT = st.lists(
    st.sampled_from(["He", "plays", "Dr.", "house.", "Why?", "in", "3.5", "it!”", "Leeds", "No.", "\n"]),
    max_size=30,
).map(" ".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He sang. Then he le", "He sang."),
        ("He sang. Then he left!", "He sang. Then he left!"),
        ("She met Dr. Smith. They talked to Mr.", "She met Dr. Smith."),
        ("He said “Go.” Then", "He said “Go.”"),
        ("One line.\nA heading", "One line."),
        ("彼は歌う。そして", "彼は歌う。"),
    ],
)
def test_a_text_ends_with_its_last_whole_sentence(text: str, expected: str) -> None:
    cleaned = clean(text, 0)
    assert (cleaned.text, cleaned.flaws) == (expected, ())
    assert cleaned.trimmed == len(text) - len(expected)


def test_a_text_without_a_whole_sentence_stays_and_is_said_to_have_none() -> None:
    cleaned = clean("He plays the", 0)
    assert (cleaned.text, cleaned.trimmed, cleaned.flaws) == ("He plays the", 0, ("no whole sentence",))


def test_the_prompt_stays_whatever_follows_it() -> None:
    prompt = "He sang. He was born in"
    assert clean(f"{prompt} the town of", len(prompt)).text == f"{prompt} the town of"
    assert clean(f"{prompt} Leeds. And", len(prompt)).text == f"{prompt} Leeds."


@given(TEXT, st.integers(0, 40))
def test_what_is_cleaned_is_a_beginning_that_holds_the_prompt_and_stays_as_it_is(
    text: str, given: int
) -> None:
    given = min(given, len(text.rstrip()))
    cleaned = clean(text, given)
    assert text.startswith(cleaned.text) and len(cleaned.text) >= given
    assert cleaned.trimmed == len(text) - len(cleaned.text)
    again = clean(cleaned.text, given)
    assert again.text == cleaned.text


@given(TEXT)
def test_sentence_ends_come_in_order_behind_a_mark_that_ends_sentences(text: str) -> None:
    ends = sentence_ends(text)
    assert ends == sorted(set(ends))
    assert all(text[:end].rstrip("\"'”’»)]")[-1] in ".!?…。" for end in ends)


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("He was born in Leeds. He plays. He was born in Leeds. He", "He was born in Leeds. He plays. "),
        ("He is the best of the best of the best of the best of all", "He is the best of "),
        ("so " * 12, "so "),
    ],
)
def test_a_loop_begins_where_it_is_said_again(text: str, before: str) -> None:
    start = loop_start(text)
    assert start is not None and text[:start] == before


@pytest.mark.parametrize(
    "text",
    ["No, no, no, she said.", "Yes. No. Yes. No.", "He plays. He plays.", "of the best of the best", ""],
)
def test_what_people_repeat_is_no_loop(text: str) -> None:
    assert loop_start(text) is None


@given(st.lists(st.sampled_from("abcde"), min_size=3, max_size=12), st.integers(3, 5))
def test_any_block_of_words_said_over_and_over_is_found(block: list[str], times: int) -> None:
    assert loop_start(" ".join(block * times)) is not None


def test_a_loop_is_cut_off_and_said() -> None:
    text = "He is from Leeds. He plays techno and is the best of the best of the best of the best of"
    cleaned = clean(text, 0)
    assert cleaned.text == "He is from Leeds." and cleaned.flaws == ("repeats itself",)


@pytest.mark.parametrize(
    "mark", ["<br>", "[[Leeds]]", "{{cite}}", "&amp;", "== Life", "**DJ**", "https://x.y"]
)
def test_markup_is_a_flaw_unless_the_prompt_brought_it(mark: str) -> None:
    text = f"{mark} He sang."
    assert clean(text, 0).flaws == ("holds markup",)
    assert clean(text, len(mark)).flaws == ()


def test_plain_marks_are_no_markup() -> None:
    assert clean("AT&T paid $3 < 5 – see (1) *today*; a = b_c.", 0).flaws == ()


def test_a_text_keeps_as_many_sentences_and_words_as_it_may() -> None:
    text = "One two three. Four five. Six seven eight. Nine"
    assert clean(text, 0, Length(sentences=2)).text == "One two three. Four five."
    assert clean(text, 0, Length(most_words=7)).text == "One two three. Four five."
    assert Length(least_words=4, most_words=5).fits("One two three. Four five.")
    assert not Length(least_words=6).fits("One two three. Four five.")
    assert not Length(sentences=3).fits("One two three. Four five.")


def test_a_length_is_reached_when_the_next_sentence_begins_or_it_is_too_long() -> None:
    assert not Length(least_words=3).is_reached("One two three.")
    assert Length(least_words=3).is_reached("One two three. F")
    assert Length(sentences=1).is_reached("One two three. F")
    assert not Length(sentences=2).is_reached("One two three. F")
    assert Length(most_words=3).is_reached("One two three four")
    assert not Length().is_reached("One two. Three. Four.")


@given(TEXT)
def test_what_settles_is_a_beginning_of_the_text_and_in_the_end_all_of_what_is_kept(text: str) -> None:
    shown: list[str] = []
    settling = Settling("", shown.append)
    for character in text:
        settling.grow(character)
        assert text.startswith("".join(shown))
    kept = clean(text, 0).text
    if loop_start(text) is None:
        assert kept.startswith("".join(shown))
        settling.finish(kept)
        assert "".join(shown) == kept
