"""Prose and Markdown into sentences whose lines and columns are those an editor shows."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioforge.checking import prose
from bioforge.checking.markdown import sentences_of_markdown, spans_of_markdown
from bioforge.checking.prose import sentences_of_lines, sentences_of_text
from bioforge.checking.sentence import Sentence
from bioforge.errors import UserError


def of_text(text: str) -> list[Sentence]:
    return list(sentences_of_text(io.StringIO(text, newline=""), "a.txt"))


def of_markdown(text: str) -> list[Sentence]:
    return list(sentences_of_markdown(text))


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def cut_out(text: str, sentence: Sentence) -> str:
    """What an editor selects from a sentence's start to its end."""
    lines = re.split(r"\r\n|[\r\n]", text)
    (first, begin), (last, end) = sentence.start, sentence.end
    if first == last:
        return lines[first - 1][begin - 1 : end - 1]
    return "\n".join([lines[first - 1][begin - 1 :], *lines[first : last - 1], lines[last - 1][: end - 1]])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_places_hold_with_every_kind_of_line_end(end: str) -> None:
    text = end.join(["One is here. 😀 Two\tis here.", "", "  Zoë is the third.", "Four."])
    found = of_text(text)
    assert texts(found) == ["One is here.", "😀 Two\tis here.", "Zoë is the third.", "Four."]
    assert [cut_out(text, sentence) for sentence in found] == texts(found)
    assert [tuple(sentence.start) for sentence in found] == [(1, 1), (1, 14), (3, 3), (4, 1)]


def test_places_hold_throughout_a_block_of_many_lines() -> None:
    text = "\n".join(f"> Row {number} *is* `so`. It goes  \n  on here." for number in range(500))
    found = of_markdown(text)
    assert texts(found) == [
        said for number in range(500) for said in (f"Row {number} is X.", "It goes on here.")
    ]
    assert [tuple(sentence.start) for sentence in found] == [
        place
        for number in range(500)
        for place in ((2 * number + 1, 3), (2 * number + 1, len(f"> Row {number} *is* `so`. ") + 1))
    ]
    assert [tuple(sentence.end) for sentence in found[1::2]] == [
        (2 * number + 2, len("  on here.") + 1) for number in range(500)
    ]


def test_a_sentence_across_lines_has_the_place_of_its_start_and_of_its_end() -> None:
    text = (
        "Zoë Brown is an American DJ who was born in the city\n"
        "  of Detroit and who moved to Berlin when she was young.\n"
        "She plays there."
    )
    first, second = of_text(text)
    assert first.text.endswith("in the city of Detroit and who moved to Berlin when she was young.")
    assert (tuple(first.start), tuple(first.end)) == ((1, 1), (2, 57))
    assert tuple(first.position(first.text.index("Detroit"))) == (2, 6)
    assert tuple(second.start) == (3, 1)


def test_a_line_can_be_taken_as_one_sentence() -> None:
    found = list(sentences_of_lines(io.StringIO("One. Two.\n\n  Three \n"), "a.txt"))
    assert texts(found) == ["One. Two.", "Three"]
    assert [tuple(sentence.start) for sentence in found] == [(1, 1), (3, 3)]


def test_a_line_that_cannot_be_prose_is_refused_with_its_number() -> None:
    with pytest.raises(UserError, match=r"a\.txt, line 2: more than 1,000,000 characters"):
        of_text("Fine.\n" + "x" * 10_000_000)


def test_a_million_lines_without_a_blank_one_are_never_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prose, "_LONGEST_PARAGRAPH", 3)

    class Lines(io.StringIO):
        taken = 0

        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
            self.taken += 1
            return super().readline(size)

    stream = Lines("A line is here.\n" * 20)
    sentences = sentences_of_text(stream, "a.txt")
    assert next(sentences).text == "A line is here."
    assert stream.taken <= 4
    assert len(list(sentences)) == 19


MARKDOWN = """---
title: The front matter are wrong
---
# A *big* heading ##

Prose with **bold words** and a [link text](http://x.org "the end") the end.
It breaks \\* here &amp; goes on.

- an item is here
- another item
  goes on with `code`

> A quote is here.

```
code are wrong
```

    indented code are wrong

| left head | right head |
|-----------|-----------:|
| cell one  | has \\| bar |

<div>html are wrong</div>

![an image](x.png) Word <b>bold</b> again.

Set in
two lines
=========

[ref]: http://x.org "title are wrong"
See [this page][ref] and <http://x.org>.
"""


def test_markdown_is_read_as_a_reader_reads_it() -> None:
    assert texts(of_markdown(MARKDOWN)) == [
        "A big heading",
        "Prose with bold words and a link text the end.",
        "It breaks * here & goes on.",
        "an item is here",
        "another item goes on with X",
        "A quote is here.",
        "left head",
        "right head",
        "cell one",
        "has | bar",
        "Word bold again.",
        "Set in two lines",
        "See this page and X.",
    ]


def test_places_in_markdown_are_those_of_the_file() -> None:
    selected = {sentence.text: cut_out(MARKDOWN, sentence) for sentence in of_markdown(MARKDOWN)}
    assert selected["A big heading"] == "A *big* heading"
    assert selected["another item goes on with X"] == "another item\n  goes on with `code`"
    assert selected["cell one"] == "cell one"
    assert selected["It breaks * here & goes on."] == "It breaks \\* here &amp; goes on."
    link = next(sentence for sentence in of_markdown(MARKDOWN) if "link text" in sentence.text)
    line = MARKDOWN.split("\n")[link.start.line - 1]
    # The title of the link ends in the same words; those meant come later.
    assert link.position(link.text.index("the end")).column == line.rindex("the end") + 1


def test_sentences_of_markdown_have_offsets_for_the_app() -> None:
    text = MARKDOWN.replace("\n", "\r\n")
    for (start, end, words), sentence in zip(spans_of_markdown(text), of_markdown(text), strict=True):
        assert words == sentence.text
        assert text[start:end].replace("\r\n", "\n") == cut_out(text, sentence)


def test_places_hold_in_an_item_that_goes_on_behind_a_tab() -> None:
    found = of_markdown(
        "- One is here.\n\tTwo *are\n\tso* `and <!-- bioforge: ignore -->\n\tno` less.\n\tIt ends."
    )
    assert texts(found) == ["One is here.", "Two are so X less.", "It ends."]
    places = [(tuple(sentence.start), tuple(sentence.end)) for sentence in found]
    assert places == [((1, 3), (1, 15)), ((2, 2), (4, 11)), ((5, 2), (5, 10))]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_markdown_places_hold_with_other_line_ends(end: str) -> None:
    other = [tuple(sentence.start) for sentence in of_markdown(MARKDOWN.replace("\n", end))]
    assert other == [tuple(sentence.start) for sentence in of_markdown(MARKDOWN)]


ODD = st.text(alphabet=st.sampled_from("ab .!\n\r\t*_`[]()<>#-|\\&;\"'1>é😀\u2028\u202e"), max_size=60)


@given(ODD)
def test_words_of_any_markdown_stand_where_they_are_said_to(text: str) -> None:
    lines = re.split(r"\r\n|[\r\n]", text)
    for sentence in of_markdown(text):
        assert sentence.start <= sentence.end
        for run in sentence.runs:
            assert 1 <= run.line <= len(lines)
            character = sentence.text[run.at]
            if not run.width and character.isalpha():
                assert lines[run.line - 1][run.column - 1] == character


@given(st.one_of(ODD, st.text(max_size=100)))
def test_words_of_any_text_stand_where_they_are_said_to(text: str) -> None:
    lines = re.split(r"\r\n|[\r\n]", text)
    for sentence in of_text(text):
        for run in sentence.runs:
            if not run.width:
                assert lines[run.line - 1][run.column - 1] == sentence.text[run.at]


def test_comments_exempt_what_they_stand_above_beside_and_around() -> None:
    text = "\n".join(
        [
            "One is read.",
            "<!-- bioforge: ignore -->",
            "",
            "Two is exempt.",
            "Three is read.",
            "Four is exempt. <!-- bioforge: ignore -->",
            "Five is exempt. # bioforge: ignore",
            "<!-- bioforge: ignore-start -->",
            "Six is exempt.",
            "",
            "Seven is exempt.",
            "<!-- bioforge: ignore-end -->",
            "Eight is read.",
        ]
    )
    read = ["One is read.", "Three is read.", "Eight is read."]
    assert texts(of_text(text)) == read
    assert texts(list(sentences_of_lines(io.StringIO(text), "a.txt"))) == read
    assert texts(of_markdown(text.replace("\n", "\n\n"))) == read


def test_a_comment_shown_in_code_exempts_nothing() -> None:
    assert texts(of_markdown("Write `<!-- bioforge: ignore-start -->` before it.\n\nThis is read.")) == [
        "Write X before it.",
        "This is read.",
    ]
    both = (
        "- Say\n  `code <!-- bioforge: ignore -->\n  more` and <!-- bioforge: ignore -->\n\nThis is read.\n"
    )
    assert texts(of_markdown(both + "`X` <!-- bioforge: ignore --> `<!-- bioforge: ignore-start -->`")) == [
        "This is read."
    ]
    text = "```\n<!-- bioforge: ignore-start -->\n```\n\nThis is read.\n"
    assert texts(of_markdown(text)) == ["This is read."]
