"""The real data beside the checkout; skipped where it is not."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bioforge.data import store
from bioforge.data.bios import read_bios
from bioforge.data.checks import Finding, check
from bioforge.data.cola import ColaFile, read_cola
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataSet
from bioforge.errors import UserError
from bioforge.models.tokenization import token_counts, tokenize
from bioforge.paths import Home


@pytest.fixture(scope="module")
def real_cola(shared_data: Path) -> ColaFile:
    return read_cola(shared_data / "cola_public_1.1.zip")


@pytest.fixture(scope="module")
def kept_cola(shared_data: Path, real_cola: ColaFile, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    home = Home(tmp_path_factory.mktemp("home"))
    rows = store.rows_of_cola(real_cola)
    store.add(home, "cola", "cola", rows, shared_data / "cola_public_1.1.zip", real_cola)
    return store.load(home, "cola")


def findings(data: DataSet) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(data)}


def test_cola_has_its_published_counts(real_cola: ColaFile, kept_cola: DataSet) -> None:
    assert kept_cola.info.splits == {"train": 8551, "in_domain_dev": 527, "out_of_domain_dev": 516}
    acceptable = Counter(row.split for row in kept_cola.rows if row.label == 1)
    assert acceptable == {"train": 6023, "in_domain_dev": 365, "out_of_domain_dev": 354}
    assert kept_cola.info.labels == {"0": 2852, "1": 6742}
    assert (real_cola.encoding, real_cola.empty, kept_cola.info.words.longest) == ("utf-8", 0, 42)


def test_the_labels_of_cola_are_not_taken_from_its_marks(kept_cola: DataSet) -> None:
    marks = Counter((row.mark, row.label) for row in kept_cola.rows)
    assert {mark for mark, _ in marks} == {"", "*", "?*", "??", "*?"}
    certain = [row for row in kept_cola.rows if row.text == "That he ever went there alone is certain."]
    assert [(row.source, row.label, row.mark) for row in certain] == [("r-67", 0, "")]


def test_the_duplicates_of_cola_are_found(kept_cola: DataSet) -> None:
    train_only = replace(kept_cola, rows=tuple(kept_cola.split("train")))
    assert findings(train_only)["duplicates"].count == 19
    assert findings(train_only)["contradictions"].message.startswith("11 texts carry both labels")
    everything = findings(kept_cola)
    assert everything["duplicates"].count == 22
    assert everything["contradictions"].message.startswith(
        "14 texts carry both labels within their split (28 rows)"
    )


def test_the_leaks_of_cola_are_found(kept_cola: DataSet) -> None:
    leaks = findings(kept_cola)["leaks"]
    assert leaks.count == 18
    assert "12 in out_of_domain_dev, 6 in in_domain_dev; 2 with the other label" in leaks.message
    inside = replace(kept_cola, rows=tuple(row for row in kept_cola.rows if row.split != "out_of_domain_dev"))
    assert "(6 in in_domain_dev; 2 with the other label)" in findings(inside)["leaks"].message


def test_the_official_split_of_cola_is_used(kept_cola: DataSet) -> None:
    train, validation = train_and_validation(kept_cola, 0.1, 42, official=True)
    assert (len(train), len(validation)) == (8551, 527)
    train, validation = train_and_validation(kept_cola, 0.1, 42, official=False)
    assert len(train) + len(validation) == 8551
    assert not {row.text for row in train} & {row.text for row in validation}


def test_the_biographies_of_wikipedia_are_read(shared_data: Path) -> None:
    path = shared_data / "wikipedia_dj_bios.csv"
    file = read_bios(path)
    assert (len(file.texts), file.column, file.column_guessed) == (1356, "text", False)
    assert (file.encoding, file.delimiter, file.empty, file.ragged) == ("utf-8", "comma", 0, 0)
    with path.open(encoding="utf-8", newline="") as stream:
        assert file.texts == [row["text"].strip() for row in csv.DictReader(stream)]


def test_a_compressed_csv_is_not_taken_for_one(shared_data: Path) -> None:
    with pytest.raises(UserError, match=r"wikipedia_music_leads\.csv\.gz is a gzip file, not text"):
        read_bios(shared_data / "wikipedia_music_leads.csv.gz")


def test_the_true_tokenizer_of_gpt2_gives_its_known_ids(shared_data: Path) -> None:
    folder = shared_data / "gpt2-tokenizer"
    assert tokenize(folder, "Hello world") == (["Hello", "Ġworld"], [15496, 995])
    assert token_counts(folder, ["Hello world", "", "Hello"]) == [2, 0, 1]
