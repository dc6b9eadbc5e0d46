"""Markdown into sentences: what a reader reads, without code, front matter, HTML, images and targets of links."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkDestination, parseLinkTitle
from markdown_it.token import Token

from bioforge.checking.sentence import Piece, Sentence, joined, part
from bioforge.checking.suppression import Suppression
from bioforge.judging.sentences import sentences_within

_LINE_END = re.compile(r"\r\n|[\r\n]")
_STAND_IN = "X"
"""Read where code stands: what is said of it must remain a sentence. A name disturbs judges least."""
_BLANKS = re.compile(r"[ \t]*")
_BREAK = re.compile(r"<br\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]")

_Block = tuple[Token, int, list[int]]
"""What holds text, the number of its first line from 0, and where each of its lines begins in that of the file."""


@cache
def _parser() -> MarkdownIt:
    # Joined text would hide which characters stand for others.
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")


def sentences_of_markdown(text: str) -> Iterator[Sentence]:
    """Sentences of prose, headings, items and cells; one word alone is not a sentence."""
    source = _LINE_END.split(text)
    tokens = _parser().parse("\n".join(_without_front_matter(source)))
    blocks = list(_blocks(source, tokens))
    ignored = _ignored(source, tokens, blocks)
    for token, first, columns in blocks:
        unit = joined(_pieces(token, first + 1, columns))
        for start, end in sentences_within(unit.text):
            sentence = part(unit, start, end)
            lines = range(sentence.start.line, sentence.end.line + 1)
            if _is_sentence(sentence) and not ignored.intersection(lines):
                yield sentence


def _blocks(source: list[str], tokens: list[Token]) -> Iterator[_Block]:
    row: tuple[int, int] = (-1, 0)
    for token in tokens:
        if token.type != "inline" or not token.map:
            continue
        first, last = token.map
        content = token.content.split("\n")
        # The parser strips Unicode's white space from a block, though such a line is not blank in Markdown.
        while first < last - 1 and content[0] not in source[first]:
            first += 1
        # The cells of a row share its line; each is looked for behind the one before.
        after = row[1] if row[0] == first else 0
        columns = _columns(content, source[first : first + len(content)], after)
        row = (first, columns[0] + len(token.content))
        yield token, first, columns


def spans_of_markdown(text: str) -> Iterator[tuple[int, int, str]]:
    """Each sentence with the offsets in `text` where it starts and ends; markup stands between, but not in the sentence."""
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    for sentence in sentences_of_markdown(text):
        (first, begin), (last, end) = sentence.start, sentence.end
        yield starts[first - 1] + begin - 1, starts[last - 1] + end - 1, sentence.text


def _without_front_matter(source: list[str]) -> list[str]:
    """The lines, those of YAML or TOML at the very beginning blanked."""
    for fence in ("---", "+++"):
        if source[0].rstrip() == fence:
            ends = [fence, "..."] if fence == "---" else [fence]
            close = next((n for n, line in enumerate(source[1:], 1) if line.rstrip() in ends), 0)
            return [""] * (close + 1) + source[close + 1 :] if close else source
    return source


def _ignored(source: list[str], tokens: list[Token], blocks: list[_Block]) -> set[int]:
    """Numbers of the lines that comments exempt; what looks like a comment in code is none."""
    code = {
        line
        for token in tokens
        if token.type in ("fence", "code_block") and token.map
        for line in range(*token.map)
    }
    lines = list(source)
    for token, first, columns in blocks:
        if "bioforge:" in token.content:
            _hide_code(lines, token, first, columns)
    suppression = Suppression()
    return {
        number + 1
        for number, line in enumerate(lines)
        if suppression.read("code" if number in code else line)[1]
    }


def _hide_code(lines: list[str], token: Token, first: int, columns: list[int]) -> None:
    """Put the stand-in for each character of the code within a block, in the lines of its file."""
    starts = _starts(token)
    for text, at, end, verbatim in _read(token):
        if verbatim or text != _STAND_IN:
            continue
        for row in range(_row(starts, columns, at), _row(starts, columns, end - 1) + 1):
            shift = columns[row] - starts[row]
            begin, stop = max(at, starts[row], -shift) + shift, min(end, starts[row + 1] - 1) + shift
            line = lines[first + row]
            lines[first + row] = f"{line[:begin]}{_STAND_IN * (stop - begin)}{line[stop:]}"


def _columns(content: list[str], source: list[str], after: int) -> list[int]:
    """Where, from 0, each line of a block's content begins in its line of the file."""
    found = []
    for line, whole in zip(content, source, strict=False):
        at = whole.find(line, after)
        if at < 0:
            # The parser puts blanks for what is left of a tab that an item's indent took in part. They may be more
            # than stand there, so that the line begins before its first character; blanks at a line's start are not read.
            bare = line.lstrip()
            at = whole.find(bare, after)
            # What is not there word for word (an escaped bar in a cell) begins like its first word.
            at = at - (len(line) - len(bare)) if at >= 0 else max(after, whole.find(line[:1], after))
        found.append(at)
        after = 0
    return found


def _is_sentence(sentence: Sentence) -> bool:
    own = sum(
        bool(_WORD.search(word))
        for run, end in zip(
            sentence.runs, [*[run.at for run in sentence.runs[1:]], len(sentence.text)], strict=True
        )
        if not run.width
        for word in sentence.text[run.at : end].split()
    )
    return own >= 2


def _pieces(token: Token, line: int, columns: list[int]) -> Iterator[Piece]:
    """What is read of a block, from its first line `line` on."""
    starts = _starts(token)
    for text, at, end, verbatim in _read(token):
        row = _row(starts, columns, at)
        width = 0 if verbatim else max(1, end - at)
        yield Piece(text, line + row, columns[row] + at - starts[row] + 1, width)


def _starts(token: Token) -> list[int]:
    """Where each line of a block's content begins, and one more would."""
    return [0, *accumulate(len(text) + 1 for text in token.content.split("\n"))]


def _row(starts: list[int], columns: list[int], at: int) -> int:
    """Which of a block's lines the character `at` of its content is in."""
    return bisect_right(starts, at, hi=len(columns)) - 1


def _read(token: Token) -> Iterator[tuple[str, int, int, bool]]:
    """Pieces of text, where each begins and ends in the block's content, and whether it stands there as read.

    The parser tells no places within a line; but what it found lies there in order, and nothing but markup between.
    """
    content = token.content
    at = 0
    address = False
    for child in token.children or []:
        start = at
        match child.type:
            case "text":
                if child.content and not address:
                    start = max(at, content.find(child.content, at))
                    at = start + len(child.content)
                    yield child.content, start, at, True
            case "text_special":
                at = _behind(content, child.markup, at)
                yield child.content, at - len(child.markup), at, False
            case "softbreak" | "hardbreak":
                at = _behind(content, "\n", at)
                yield " ", at - 1, at, False
                at = _behind_blanks(content, at)
            case "code_inline":
                start, at = _code(content, child.markup, at)
                yield _STAND_IN, start, at, False
            case "image":
                at = _target(content, _behind(content, f"![{child.content}", at))
            case "html_inline":
                at = _behind(content, child.content, at)
                if _BREAK.match(child.content):
                    yield " ", at - 1, at, False
            case "link_open" if child.markup == "autolink":
                start = content.find("<", at)
                at = _behind(content, ">", at)
                yield _STAND_IN, start, at, False
                address = True
            case "link_close" if address:
                address = False
            case "link_close":
                at = _target(content, at)
            case _:
                at = _behind(content, child.markup, at)


def _behind(content: str, text: str, at: int) -> int:
    """The place behind the next `text`; `at` itself where there is none."""
    found = content.find(text, at)
    return at if found < 0 else found + len(text)


def _behind_blanks(content: str, at: int) -> int:
    found = _BLANKS.match(content, at)
    return found.end() if found else at


def _code(content: str, ticks: str, at: int) -> tuple[int, int]:
    fence = re.compile(rf"(?<!`){ticks}(?!`)")
    first = fence.search(content, at)
    last = fence.search(content, first.end()) if first else None
    return (first.start(), last.end()) if first and last else (at, at)


def _target(content: str, at: int) -> int:
    """The place behind the link or image whose label ends next."""
    at = _behind(content, "]", at)
    following = content[at : at + 1]
    if following == "[":
        return _behind(content, "]", at)
    if following != "(":
        return at
    spaces = re.compile(r"\s*")

    def skip(place: int) -> int:
        match = spaces.match(content, place)
        return match.end() if match else place

    place = skip(at + 1)
    destination = parseLinkDestination(content, place, len(content))
    if destination.ok:
        place = skip(destination.pos)
        title = parseLinkTitle(content, place, len(content))
        if title.ok:
            place = skip(title.pos)
    return place + 1 if content[place : place + 1] == ")" else at
