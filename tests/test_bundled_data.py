from __future__ import annotations

import csv
import re
from collections import Counter

import pytest

from bioforge.data.bios import read_bios
from bioforge.data.checks import check
from bioforge.data.cola import read_cola
from bioforge.data.store import add, load, rows_of_bios, rows_of_cola
from bioforge.paths import Home, assets

BIOS = assets() / "dj_bios.csv"
JUDGEMENTS = assets() / "acceptability.tsv"


@pytest.fixture(scope="module")
def bios() -> dict[str, str]:
    """Biographies by the name of the DJ."""
    with BIOS.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row["bio_main"] for row in rows}


@pytest.fixture(scope="module")
def judged() -> list[list[str]]:
    return [
        line.split("\t") for line in JUDGEMENTS.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    ]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_there_are_enough_biographies_of_the_right_length(bios: dict[str, str]) -> None:
    assert len(bios) >= 150
    assert {name: len(bio.split()) for name, bio in bios.items() if not 60 <= len(bio.split()) <= 250} == {}


def test_no_two_biographies_open_alike(bios: dict[str, str]) -> None:
    openings: dict[tuple[str, ...], list[str]] = {}
    for name, bio in bios.items():
        openings.setdefault(tuple(words(bio)[:3]), []).append(name)
    assert {opening: names for opening, names in openings.items() if len(names) > 1} == {}


def test_no_phrase_of_eight_words_is_in_more_than_two_biographies(bios: dict[str, str]) -> None:
    phrases: Counter[tuple[str, ...]] = Counter()
    for bio in bios.values():
        said = words(bio)
        phrases.update({tuple(said[start : start + 8]) for start in range(len(said) - 7)})
    assert [phrase for phrase, count in phrases.items() if count > 2] == []


def test_the_biographies_are_read_as_they_are(bios: dict[str, str]) -> None:
    file = read_bios(BIOS)
    assert file.texts == list(bios.values())
    assert (file.column, file.column_guessed, file.encoding, file.delimiter) == (
        "bio_main",
        False,
        "utf-8",
        "comma",
    )
    assert (file.empty, file.ragged) == (0, 0)


def test_the_judgements_have_the_four_columns_of_cola(judged: list[list[str]]) -> None:
    assert len(judged) >= 400
    assert {len(cells) for cells in judged} == {4}
    assert {label for _, label, _, _ in judged} == {"0", "1"}
    assert [cells for cells in judged if (cells[1] == "0") != (cells[2] == "*")] == []
    assert {mark for _, _, mark, _ in judged} == {"", "*"}


def test_each_phenomenon_has_enough_sentences_of_both_labels(judged: list[list[str]]) -> None:
    sizes = Counter(cells[0] for cells in judged)
    assert len(sizes) == 8
    assert {name: size for name, size in sizes.items() if size < 40} == {}
    assert len({(cells[0], cells[1]) for cells in judged}) == 16


def test_no_sentence_is_judged_twice(judged: list[list[str]]) -> None:
    said = Counter(" ".join(words(cells[3])) for cells in judged)
    assert [sentence for sentence, count in said.items() if count > 1] == []


def test_the_judgements_are_read_as_they_are(judged: list[list[str]]) -> None:
    file = read_cola(JUDGEMENTS)
    read = [[row.source, str(row.label), row.mark, row.sentence] for row in file.judgements]
    assert (read, file.empty, file.encoding) == (judged, 0, "utf-8")


def test_the_bundled_data_passes_its_own_checks(home: Home) -> None:
    bios_file, cola_file = read_bios(BIOS), read_cola(JUDGEMENTS)
    add(home, "djs", "bios", rows_of_bios(bios_file), BIOS, bios_file)
    add(home, "sentences", "cola", rows_of_cola(cola_file), JUDGEMENTS, cola_file)
    counts = {
        (name, finding.check): finding.count
        for name in ("djs", "sentences")
        for finding in check(load(home, name))
        if finding.check in ("duplicates", "contradictions", "leaks")
    }
    assert counts == {
        ("djs", "duplicates"): 0,
        ("sentences", "duplicates"): 0,
        ("sentences", "contradictions"): 0,
    }
