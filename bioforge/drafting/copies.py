"""How much of a text stands in the texts that its writer learnt from: exact, and within memory for any number of them.

Texts are compared word by word (`words`). No match reaches beyond one training text.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bioforge.cache import cached
from bioforge.data import store as data_store
from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataSet
from bioforge.drafting.draft import Copied
from bioforge.drafting.suffixes import longest_match, suffix_array
from bioforge.drafting.words import words_of
from bioforge.errors import UserError
from bioforge.files import (
    read_json,
    sha256_of,
    write_json,
)
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.runs import recipe as recipes

NGRAM = 8
"""Words; fewer than so many in a row are often shared by chance."""
_FORMAT = 1
"""Counted up with each change to how texts become words here."""
_PART = 1 << 22
"""Words sorted at once: some 250 MB."""
_MOST_BYTES = 5 * 10**9
"""Kept in all; beyond it, what was not used for longest goes."""
_SAY_EVERY = 10_000
_SOON = 500_000
"""So many words are read in about five seconds."""
_UNKNOWN = 2**31 - 1
_NUMBERS, _SUFFIXES, _VOCABULARY, _ABOUT = "numbers.bin", "suffixes.bin", "vocabulary.txt", "about.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """Some training texts one after another: a number a word, and behind each text its row, negative."""

    numbers: NDArray[np.int32]
    suffixes: NDArray[np.int32]


@dataclass(frozen=True)
class Copies:
    """All stretches of words of some texts, memory-mapped."""

    vocabulary: dict[str, int]
    parts: Sequence[Part]

    def of(self, text: str, start: int = 0) -> Copied:
        """What `text` shares; words that end before `start`, in characters, are not looked at."""
        words = [word for word in words_of(text) if word[2] > start]
        numbers = [self.vocabulary.get(word, _UNKNOWN) for word, _, _ in words]
        longest = 0
        where: tuple[int, Part, int] | None = None
        shared = 0
        for begin in range(len(numbers)):
            best = 0
            for part in self.parts:
                length, place = longest_match(part.numbers, part.suffixes, numbers[begin:])
                best = max(best, length)
                if length > longest:
                    longest, where = length, (begin, part, place)
            shared += best >= NGRAM
        if where is None:
            return Copied(0, "", None, 0.0)
        begin, part, place = where
        span = text[words[begin][1] : words[begin + longest - 1][2]]
        return Copied(longest, span, _row_at(part, place), shared / max(1, len(words) - NGRAM + 1))


def _row_at(part: Part, place: int) -> int:
    while part.numbers[place] >= 0:
        place += 1
    return -int(part.numbers[place])


def data_of(home: Home, info: ModelInfo) -> DataSet:
    """The data set that a model learnt from, whatever its name is now.

    Raises UserError where it is not in the store.
    """
    for described in data_store.listing(home)[0]:
        if described.fingerprint == info.data_fingerprint:
            return data_store.load(home, described.name)
    raise UserError(
        f"the data set '{info.data}' that {info.name} learnt from is not in the store, "
        "so what was copied from it cannot be measured; import its file again"
    )


def open_copies(home: Home, info: ModelInfo, say: Say) -> Copies:
    """The stretches of words in the rows a writer learnt from; made once for a data set and a split of it.

    `say` is told how far it is. Raises UserError where the data set is gone, or the cache cannot be written.
    """
    data = data_of(home, info)
    folder = _folder(home, info)

    def make_of_data(staging: Path) -> None:
        make(staging, train_and_validation(data, *recipes.from_json(info.recipe).split)[0], say)

    try:
        return cached(folder, open_made, make_of_data, mark=_ABOUT, most=_MOST_BYTES)
    except OSError as error:
        raise UserError(f"copies cannot be told: {folder} cannot be written: {error.strerror}") from error


def copies_at_hand(home: Home, info: ModelInfo, asked: bool | None, say: Say) -> tuple[Copies | None, str]:
    """As `open_copies`, or why there are none; unless it was `asked` for, nothing that takes long is begun.

    Raises UserError where it was asked for and `open_copies` does.
    """
    if asked is False:
        return None, ""
    try:
        if asked is None and not (_folder(home, info) / _ABOUT).is_file():
            described = data_of(home, info).info
            words = round(described.size * described.words.mean)
            if words > _SOON:
                return None, f"copying not measured: {words:,} words must be read once; --copies does that"
        return open_copies(home, info, say), ""
    except UserError as error:
        if asked:
            raise
        return None, f"note: {error}"


def _folder(home: Home, info: ModelInfo) -> Path:
    decided = json.dumps([_FORMAT, recipes.from_json(info.recipe).split])
    return home.copies / info.data_fingerprint / hashlib.sha256(decided.encode()).hexdigest()[:32]


def make(folder: Path, rows: Sequence[Row], say: Say) -> None:
    """Write the files that `Copies` reads into `folder`, keeping one part in memory, and each word once."""
    vocabulary: dict[str, int] = {}
    part = array("i")
    sizes: list[int] = []
    with (folder / _NUMBERS).open("wb") as numbers, (folder / _SUFFIXES).open("wb") as suffixes:
        for done, row in enumerate(rows):
            if done % _SAY_EVERY == 0:
                say(f"reading what it learnt from, to tell copies: {done:,} of {len(rows):,} texts, once")
            part.extend(vocabulary.setdefault(word, len(vocabulary)) for word, _, _ in words_of(row.text))
            part.append(-row.row)
            if len(part) >= _PART:
                sizes.append(_flush(part, numbers, suffixes))
                part = array("i")
        if part:
            sizes.append(_flush(part, numbers, suffixes))
    (folder / _VOCABULARY).write_text("\n".join(vocabulary), encoding="utf-8")
    files = (_NUMBERS, _SUFFIXES, _VOCABULARY)
    write_json(
        folder / _ABOUT, {"parts": sizes, "sha256": {name: sha256_of(folder / name) for name in files}}
    )


def _flush(part: array[int], numbers: BinaryIO, suffixes: BinaryIO) -> int:
    values = np.frombuffer(part, np.int32)
    numbers.write(values.tobytes())
    suffixes.write(suffix_array(values).tobytes())
    return len(values)


def open_made(folder: Path) -> Copies | None:
    """None where the files are not there, or not as they were written."""
    try:
        about = read_json(folder / _ABOUT)
        if any(sha256_of(folder / name) != expected for name, expected in about["sha256"].items()):
            return None
        os.utime(folder / _ABOUT)
        words = (folder / _VOCABULARY).read_text(encoding="utf-8").split("\n")
        numbers = np.memmap(folder / _NUMBERS, np.int32, mode="r")
        suffixes = np.memmap(folder / _SUFFIXES, np.int32, mode="r")
        ends = np.cumsum(about["parts"])[:-1]
        parts = zip(np.split(numbers, ends), np.split(suffixes, ends), strict=True)
        return Copies({word: number for number, word in enumerate(words)}, [Part(*part) for part in parts])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
