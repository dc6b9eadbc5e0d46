"""`bioforge check` from the shell: its model, its options, its start."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bioforge.files import write_json
from bioforge.paths import Home
from tests.checking import fake_info
from tests.helpers import bioforge, make_run, work

CLASSIFIER = {"architectures": ["BertForSequenceClassification"]}


@pytest.mark.parametrize(
    ("task", "config", "said"),
    [
        ("bios", {}, "is a writer"),
        ("cola", {"architectures": ["BertModel"]}, "has no labels (BertModel)"),
        ("cola", {}, "has no labels (no architecture named)"),
        ("cola", {**CLASSIFIER, "id2label": {"0": "a", "1": "b", "2": "c"}}, "has 3 labels"),
        ("cola", {**CLASSIFIER, "num_labels": 1}, "has 1 labels"),
        ("cola", "damaged", "is missing or damaged"),
        ("cola", None, "is missing or damaged"),
    ],
)
def test_a_model_that_is_no_judge_is_refused_before_it_is_loaded(
    home: Home, task: Any, config: Any, said: str
) -> None:
    write_json(home.models / "odd" / "bioforge.json", asdict(replace(fake_info(), name="odd", task=task)))
    if config is not None:
        write_json(home.models / "odd" / "config.json", config)
    result = bioforge("check", "--model", "odd", "A sentence is here.")
    assert result.returncode == 2 and result.stdout == ""
    assert said in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_trained_judge_checks_a_project(
    home: Home, sentences: object, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    Path("a.md").write_text("# A *heading*\n\nOne sentence is here. `code`\n")
    Path(".bioforge.toml").write_text('[check]\nmodel = "sentences"\nthreshold = 1.0\n')
    result = bioforge("check", ".", "--format", "jsonl")
    assert result.returncode == 1 and result.stderr.endswith("(sentences, acceptable from 1.00 on)\n")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(item["line"], item["column"], item["sentence"]) for item in found] == [
        (1, 3, "A heading"),
        (3, 1, "One sentence is here."),
    ]
    assert bioforge("check", ".", "--threshold", "0", "--changed").returncode == 2
    assert bioforge("check", ".", "--exit-zero", "-f", "github").stdout.startswith("::warning file=a.md")
    assert bioforge("check", "-f", "xml", "A sentence.").stderr.startswith("bioforge: no format 'xml'")
    assert bioforge("check", "--fail-on", "0", "A sentence.").returncode == 2


def test_what_is_needed_to_check_a_sentence_is_light() -> None:
    code = (
        "import sys, bioforge.cli.check, bioforge.checking.session, bioforge.checking.terminal\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    rarely_needed = {"markdown_it", "watchfiles", "tomllib", "csv", "sentencex", "asyncio"}
    assert not loaded & (
        {"torch", "transformers", "numpy", "pandas", "tokenizers", "textual"} | rarely_needed
    )
