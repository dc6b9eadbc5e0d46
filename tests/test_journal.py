"""What is kept in the data folder survives crashes, other hands, and deleting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bioforge.generation import kept
from bioforge.generation.sampling import Sampling
from bioforge.journal import Journal, local_date
from bioforge.judging import history
from bioforge.paths import Home


@dataclass(frozen=True)
class Note:
    id: str
    created: str
    text: str


def texts(journal: Journal) -> list[str]:
    return [note.text for note in journal.read(Note)]


def test_newest_first_and_replaced_by_id(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "notes.jsonl")
    assert journal.read(Note) == []
    one = journal.put({"text": "one"})
    journal.put({"text": "two [/red] \u202e 🎧\n"})
    assert journal.put({"text": "one, edited"}, one) == one
    assert texts(journal) == ["one, edited", "two [/red] \u202e 🎧\n"]


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    journal = Journal(path)
    journal.put({"text": "one"})
    journal.put({"text": "two"})
    path.write_bytes(path.read_bytes()[:-9])
    assert texts(journal) == ["one"]
    journal.put({"text": "three"})
    assert texts(journal) == ["three", "one"]


def test_what_somebody_damaged_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_bytes(b'\xff\xfe\n[1]\n{"id": 4}\n{"id": "a", "other": 1}\n"text"\n{\n')
    journal = Journal(path)
    journal.put({"text": "whole"})
    assert texts(journal) == ["whole"]


def test_values_of_another_type_are_passed_over(home: Home) -> None:
    facts = {"model": "judge", "threshold": 1, "sentences": 3, "weak": None}
    history.remember(home, text="One.", file="", **facts)  # type: ignore[arg-type]
    history.remember(home, text="Two.", file="", **{**facts, "weak": "many"})  # type: ignore[arg-type]
    assert [check.text for check in history.checks(home)] == ["One."]


def test_what_was_replaced_is_gone_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    id = Journal(path).put({"text": "first"}, "some-id")
    Journal(path).put({"text": "other\ud800"})
    Journal(path).put({"text": "second"}, id)
    assert texts(Journal(path)) == ["second", "other?"]
    assert b"first" not in path.read_bytes()


def test_half_a_character_does_not_stop_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "notes.jsonl")
    journal.put({"text": "a\ud800b"})
    assert texts(journal) == ["a?b"]


def test_what_is_removed_is_gone_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    journal = Journal(path)
    secret = journal.put({"text": "secret"})
    journal.put({"text": "secret still"}, secret)
    journal.put({"text": "other"})
    journal.remove(secret)
    assert texts(journal) == ["other"]
    assert b"secret" not in path.read_bytes()
    Journal(tmp_path / "absent.jsonl").remove("x")


def test_two_apps_can_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: Journal(path).put({"text": str(number)}), range(40)))
    assert sorted(map(int, texts(Journal(path)))) == list(range(40))


def test_a_kept_text_says_what_it_was_made_from(home: Home) -> None:
    id = kept.keep(home, "Born in Lagos.", "djs", "Born", 7, Sampling(20))
    (found,) = kept.kept(home)
    assert (found.id, found.text, found.model, found.prompt, found.seed) == (
        id,
        "Born in Lagos.",
        "djs",
        "Born",
        7,
    )
    assert Sampling(**found.sampling) == Sampling(20)  # type: ignore[arg-type]
    kept.discard(home, id)
    assert kept.kept(home) == []


def test_a_check_grows_in_place_and_of_a_file_only_the_beginning_is_kept(home: Home) -> None:
    facts = {"model": "judge", "threshold": 0.5, "sentences": 3, "weak": 1}
    id = history.remember(home, text="One.", file="", **facts)  # type: ignore[arg-type]
    history.remember(home, text="One. Two.", file="", id=id, **facts)  # type: ignore[arg-type]
    history.remember(home, text="x" * 5000, file="/a/b.txt", **facts)  # type: ignore[arg-type]
    of_file, typed = history.checks(home)
    assert typed.text == "One. Two."
    assert of_file.file == "/a/b.txt" and len(of_file.text) == 200
    history.forget(home, typed.id)
    assert [check.file for check in history.checks(home)] == ["/a/b.txt"]


def test_an_edited_text_is_the_same_check_and_another_is_not() -> None:
    assert history.goes_on("The cat sat.", "The cat sat. The dog ran.")
    assert history.goes_on("The cat sat.", "The cat sits.")
    assert not history.goes_on("The cat sat.", "Something else.")
    # Megabytes are not compared.
    assert history.goes_on("a" * 4000 + "b" * 9000, "a" * 4000 + "c" * 9000)


def test_dates_are_to_the_minute_and_damage_is_a_dash() -> None:
    assert len(local_date("2026-01-02T03:04:05+00:00")) == len("2026-01-02 03:04")
    assert local_date("yesterday") == "–"
