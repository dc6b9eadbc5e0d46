"""`bioforge generate` and `evaluate` with all that can be asked of a writer, through the command line's own `main`."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from bioforge.data import store as data_store
from bioforge.data.store import DataInfo
from bioforge.drafting.cleaning import sentence_ends
from bioforge.generation import writer as generation
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.reporting.text import safe
from tests.stored import store_model
from tests.test_cli import Cli
from tests.test_cli import cli as cli
from tests.test_drafting_copies import stored_writer

FEW = ("--max-new-tokens", "12", "--seed", "5")


@pytest.fixture(autouse=True)
def writer(home: Home, djs: DataInfo, tiny_gpt2: Path) -> ModelInfo:
    return stored_writer(home, djs, tiny_gpt2)


@pytest.fixture
def judge(home: Home, tiny_bert: Path, tmp_path: Path) -> str:
    """A judge trained on nothing, which still finds one draft better than another."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    folder = tmp_path / "head"
    torch.manual_seed(0)
    model: Any = BertForSequenceClassification.from_pretrained(tiny_bert, num_labels=2)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    store_model(home, "judge", "cola", folder)
    return "judge"


def test_ranked_texts_come_with_their_reasons(cli: Cli, judge: str) -> None:
    asked = ("generate", "Born in", "--n", "2", "--judge", "--drafts", "6", *FEW)
    found = json.loads(cli(*asked, "--json").out)
    assert (found["judge"], found["drafts"], found["asked"], found["prompt"]) == (judge, 6, 2, "Born in")
    first, second = found["texts"]
    assert not first["flaws"] or second["flaws"]
    assert (first["place"], second["place"], first["of"]) == (1, 2, 6)
    assert bool(first["flaws"]) < bool(second["flaws"]) or first["score"] >= second["score"]
    assert {"text", "tokens", "ended", "seed", "copied", "weakest", "weakest_sentence"} <= first.keys()
    human = cli(*asked)
    assert human.code == 0 and human.out.startswith("1: Born in")
    assert "place 1 of 6 drafts" in human.out and f"seed {first['seed']}" in human.out
    again = cli("generate", "Born in", "--max-new-tokens", "12", "--seed", str(first["seed"]))
    assert again.out.rstrip("\n") == first["text"] and f"seed {first['seed']}" in again.err


def test_fewer_than_asked_for_are_said_to_be_fewer(cli: Cli, judge: str) -> None:
    """Exit code 1, as where `check` finds something."""
    result = cli("generate", "--n", "2", "--min-score", "1", "--drafts", "2", "--rounds", "2", *FEW)
    assert result.code == 1 and result.out == ""
    assert "0 of 2 texts found, in 2 rounds and 4 drafts: 4 score below 1.00; the best scores" in result.err


def test_a_table_of_fields_becomes_a_table_of_texts(cli: Cli, tmp_path: Path) -> None:
    fields, out = tmp_path / "djs.csv", tmp_path / "texts.csv"
    fields.write_text("name,city\nAnn,Leeds\nZoë,Bari\n", encoding="utf-8")
    asked = (
        "generate",
        "--template",
        "{name} is a DJ from {city}.",
        "--fields-from",
        fields,
        "--out",
        out,
        *FEW,
    )
    result = cli(*asked)
    assert result.code == 0 and result.out == "" and "2 texts of 2 drafts" in result.err
    rows = list(csv.DictReader(out.open(encoding="utf-8", newline="")))
    assert [(row["name"], row["city"], row["seed"]) for row in rows] == [
        ("Ann", "Leeds", "5"),
        ("Zoë", "Bari", "6"),
    ]
    assert rows[1]["text"].startswith("Zoë is a DJ from Bari.") and rows[0]["copied_words"].isdigit()
    before = out.read_bytes()
    refused = cli(*asked)
    assert refused.code == 2 and "exists; name another file, or pass --replace" in refused.err
    assert out.read_bytes() == before
    assert cli(*asked, "--replace").code == 0 and out.read_bytes() == before


def test_texts_whose_file_cannot_be_written_are_shown(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    shown = cli("generate", "Born in", "--n", "2", *FEW).out
    monkeypatch.setattr("bioforge.drafting.output.write_text", full)
    result = cli("generate", "Born in", "--n", "2", "--out", tmp_path / "texts.csv", *FEW)
    assert result.code == 2 and "texts.csv: No space left on device" in result.err
    assert result.out == shown and shown.startswith("1: Born in")


def test_ctrl_c_keeps_the_texts_that_are_written(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed after the first 32, which are drawn side by side."""
    draws = generation._draw_batch

    def draw(*given: Any, **named: Any) -> Any:
        drawn = draws(*given, **named)
        signal.raise_signal(signal.SIGINT)
        return drawn

    monkeypatch.setattr(generation, "_draw_batch", draw)
    out = tmp_path / "texts.jsonl"
    result = cli("generate", "Born in", "--n", "40", "--no-trim", "--out", str(out), *FEW)
    assert result.code == 130 and "what is written so far is kept" in result.err
    kept = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(kept) == 32 and all(text["text"].startswith("Born in") for text in kept)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_good_file_is_not_replaced_by_no_texts(cli: Cli, judge: str, tmp_path: Path) -> None:
    out = tmp_path / "texts.txt"
    out.write_text("good", encoding="utf-8")
    asked = ("--min-score", "1", "--drafts", "1", "--rounds", "1", "--out", out, "--replace")
    result = cli("generate", *asked, *FEW)
    assert result.code == 1 and f"{out} is not written" in result.err
    assert out.read_text(encoding="utf-8") == "good"


def test_what_cannot_be_done_is_one_line_and_exit_2(cli: Cli, judge: str, tmp_path: Path) -> None:
    fields = tmp_path / "djs.csv"
    fields.write_text("name,city\nAnn,\n", encoding="utf-8")
    template = ("--template", "{name} is a DJ from {city}.")
    cases = {
        "row 1, column 'city': is empty": (*template, "--fields-from", fields),
        "the template needs 'city'": (*template, "--field", "name=Ann"),
        "the template has no field 'town'": (*template, "--field", "town=Ann"),
        "--words many": ("--words", "many"),
        "the prompt itself holds the banned word 'Born'": ("Born in", "--ban", "born"),
        "write: --judge-model judge": ("--judge", "judge"),
        "is a writer; name a judge": ("--judge-model", "writer"),
        "both say what texts begin with": ("Born", "--continue", fields),
        "no such file": ("--continue", tmp_path / "none.txt"),
    }
    for message, asked in cases.items():
        result = cli("generate", *asked, *FEW)
        assert result.code == 2 and message in result.err, (message, result.err)
        assert result.err.count("\n") == 1 and result.out == ""


def test_data_that_are_gone_are_a_note_and_an_error_only_where_they_are_needed(home: Home, cli: Cli) -> None:
    data_store.remove(home, "djs")
    result = cli("generate", "Born in", "--n", "2", "--json", *FEW)
    assert result.code == 0 and "is not in the store" in result.err
    assert [text["copied"] for text in json.loads(result.out)["texts"]] == [None, None]
    assert cli("generate", "Born in", "--max-copy", "5", *FEW).code == 2


def test_one_text_is_trimmed_and_says_by_how_much(cli: Cli) -> None:
    whole = cli("generate", "He sang. Born in", "--no-trim", "--max-new-tokens", "40", "--seed", "5")
    text = json.loads(
        cli("generate", "He sang. Born in", "--max-new-tokens", "40", "--seed", "5", "--json").out
    )
    shown = cli("generate", "He sang. Born in", "--max-new-tokens", "40", "--seed", "5")
    (only,) = text["texts"]
    assert shown.out == safe(only["text"]) + "\n"
    assert whole.out.startswith(safe(only["text"]))
    assert len(whole.out) - 1 == len(only["text"]) + only["trimmed"]
    assert only["flaws"] or sentence_ends(only["text"])[-1] == len(only["text"])


def test_a_draft_in_a_file_is_gone_on_with(cli: Cli, tmp_path: Path) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text("Ann plays house. She was born in \n", encoding="utf-8")
    result = cli("generate", "--continue", draft, *FEW)
    assert result.code == 0 and result.out.startswith("Ann plays house. She was born in")


def test_a_writer_s_memory_is_part_of_its_evaluation(cli: Cli) -> None:
    measured = json.loads(cli("evaluate", "writer", "djs", "--samples", "3", "--json").out)
    assert measured["memory"]["samples"]["texts"] == 3
    assert measured["memory"]["held_out"]["texts"] == 3 and measured["documents"] == 4
    human = cli("evaluate", "writer", "djs", "--samples", "3")
    assert "by heart" in human.out and "what is normal" in human.out
    assert "by heart" not in cli("evaluate", "writer", "djs", "--samples", "0").out
