"""Text into sentences whose places are right whatever the text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioforge.judging.checked import Checked
from bioforge.judging.sentences import split

ODD = st.text(alphabet=st.sampled_from("aB.!?\n\r\t \u2028\u00a0é日。😀\ud800\u202e-1)*\"'"), max_size=80)


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in split(text)]


@given(st.one_of(ODD, st.text(max_size=200)))
def test_sentences_lie_in_order_in_the_text_without_white_space_around_them(text: str) -> None:
    spans = split(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(piece == piece.strip() for piece in pieces(text))


@given(st.one_of(ODD, st.text(max_size=200)))
def test_nothing_but_white_space_and_marks_of_lists_is_left_out(text: str) -> None:
    done = 0
    for start, end in [*split(text), (len(text), len(text))]:
        assert re.fullmatch(r"(?:\s|[-*•–]|\d{1,3}[.)])*", text[done:start])
        done = end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He sang. Then he left!", ["He sang.", "Then he left!"]),
        ("Dr. Smith met J. S. Bach.", ["Dr. Smith met J. S. Bach."]),
        ("¿Qué tal, Zoë? 日本語です。😀 Ok. Yes.", ["¿Qué tal, Zoë?", "日本語です。", "😀 Ok.", "Yes."]),
        ("the cat sat\nthe dog ran", ["the cat sat", "the dog ran"]),
        ("- One is here\n- Two. Three\n\n2) four", ["One is here", "Two.", "Three", "four"]),
        ("  \n\n\t ", []),
        ("", []),
        ("One.\r\nTwo.\r\n", ["One.", "Two."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_wrapped_prose_is_not_cut_at_the_ends_of_its_lines() -> None:
    text = (
        "Zoë Brown is an American DJ who was born in the city\n"
        "of Detroit and who moved to Berlin when she was young.\n"
        "She plays there."
    )
    assert pieces(text) == [
        "Zoë Brown is an American DJ who was born in the city\nof Detroit and who moved to Berlin when she was young.",
        "She plays there.",
    ]


def test_a_list_of_long_lines_is_not_taken_for_wrapped_prose() -> None:
    lines = [
        "the man who had been sitting in the corner of the room left",
        "the woman slept",
        "the children who were playing outside came back in for tea",
    ]
    assert pieces("\n".join(lines)) == lines


def test_the_next_weak_sentence_goes_round() -> None:
    text = "A. B. C."
    reply = {"threshold": 0.5, "sentences": [[0, 2, 0.2, False], [3, 5, 0.9, False], [6, 8, 0.4, False]]}
    checked = Checked.of(text, "judge", reply)
    assert [checked.sentence(index) for index in range(3)] == ["A.", "B.", "C."]
    assert checked.next_weak(0.5, 0) == 2
    assert checked.next_weak(0.5, 2) == 0
    assert checked.next_weak(0.1, 0) is None
    assert (checked.weak(0.5), checked.weak(0.2), checked.weak(1)) == (2, 0, 3)
    assert checked.mean == pytest.approx(0.5)
