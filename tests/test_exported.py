"""A judge computed by ONNX Runtime says what torch says, or is not used."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.files import write_json
from bioforge.judging import exporting, judge
from bioforge.judging.export import GRAPH_FILE, NOTES_FILE, read_export
from bioforge.judging.exported import ExportedJudge
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store
from bioforge.models.batching import encode_sentences
from bioforge.models.loading import load_tokenizer
from bioforge.paths import Home
from bioforge.runs.events import Finished, Warning
from tests.helpers import bioforge, make_run, work, write_judge

HOSTILE = [
    "",
    " ",
    "\t\n\r",
    "\x00\x01 bell \x07",
    "😀 a family: 👩‍👩‍👧‍👦",
    "مرحبا \u202e abc",
    "[MASK] [CLS] <mask> </s> [PAD]",
    "é e\u0301 ﬁ ½",
    "\ufeffa mark\u200b of nothing",
    "日本語の文",
    "a" * 500,
    "word " * 300,
    "Go.",
    "The cat sat on the mat because it was tired of standing.",
]


@pytest.fixture
def bert(exported_bert: Path, home: Home) -> Path:
    """A copy of its own for each test, in the store."""
    return Path(shutil.copytree(exported_bert, home.models / "bert"))


def alone(folder: Path, sentences: list[str]) -> list[float]:
    """By torch, one at a time: nothing padded, nothing in bf16."""
    torch_judge = TorchJudge.load(folder)
    return [torch_judge.probabilities([sentence])[0][0] for sentence in sentences]


@pytest.mark.parametrize("kind", ["Bert", "MPNet", "Llama"])
def test_every_kind_of_judge_says_what_torch_says(kind: str, tiny_bert: Path, tmp_path: Path) -> None:
    folder = write_judge(tiny_bert, tmp_path / kind, kind)
    export = exporting.export_judge(folder)
    assert export.problem == ""
    expected = alone(folder, HOSTILE)
    assert max(expected) - min(expected) > 0.1
    found, truncated = ExportedJudge.load(folder).probabilities(HOSTILE)
    assert found == pytest.approx(expected, abs=1e-5)
    assert truncated == [sentence == "word " * 300 for sentence in HOSTILE]
    assert export == read_export(folder)
    assert export.sentences > 50 and export.changed == 0 and export.apart < 1e-5


def test_tokens_are_those_of_the_tokenizer_it_was_trained_with(bert: Path) -> None:
    quick = ExportedJudge.load(bert)
    expected, truncated = encode_sentences(load_tokenizer(bert), HOSTILE, quick.info.max_length)
    found = quick.tokenizer.encode_batch(HOSTILE)
    assert [encoding.ids for encoding in found] == expected
    assert [bool(encoding.overflowing) for encoding in found] == truncated


def test_a_quick_verdict_does_not_depend_on_its_neighbours(bert: Path) -> None:
    quick = ExportedJudge.load(bert)
    together, _ = quick.probabilities(HOSTILE * 3)
    assert together == pytest.approx([quick.probabilities([text])[0][0] for text in HOSTILE] * 3, abs=1e-6)


def test_halves_of_characters_are_judged_as_replaced_ones(bert: Path) -> None:
    broken = ["\ud800 is half", "so is \udfff"]
    whole = ["\ufffd is half", "so is \ufffd"]
    for judged_by in (ExportedJudge.load(bert), TorchJudge.load(bert)):
        found = list(judged_by.verdicts(broken))
        assert [verdict.sentence for verdict in found] == broken
        assert [verdict.probability for verdict in found] == judged_by.probabilities(whole)[0]


def test_the_graph_holds_no_weights_of_its_own(bert: Path) -> None:
    from safetensors import safe_open

    graph = onnx.load(str(bert / GRAPH_FILE), load_external_data=False).graph
    inside = [tensor for tensor in graph.initializer if not tensor.external_data]
    with safe_open(bert / "model.safetensors", "pt") as file:
        weights = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118 – not a mapping
    assert len(inside) < len(graph.initializer) / 2
    assert sum(tensor.ByteSize() for tensor in inside) < weights / 20


def test_a_graph_of_other_weights_is_not_used_but_made_anew(bert: Path, tiny_bert: Path) -> None:
    write_judge(tiny_bert, bert, "Bert", seed=1)
    assert read_export(bert) is None
    with pytest.raises(UserError, match="belongs to other weights"):
        ExportedJudge.load(bert)
    said: list[str] = []
    exporting.export_once(bert, said.append)
    assert len(said) == 1
    assert ExportedJudge.load(bert).probabilities(HOSTILE)[0] == pytest.approx(alone(bert, HOSTILE), abs=1e-5)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "no notes", "notes of another shape"])
def test_a_damaged_graph_is_not_used(bert: Path, damage: str) -> None:
    graph = bert / GRAPH_FILE
    content = graph.read_bytes()
    if damage == "cut":
        graph.write_bytes(content[:-1])
    elif damage == "changed":
        graph.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage == "gone":
        graph.unlink()
    elif damage == "no notes":
        (bert / NOTES_FILE).unlink()
    else:
        write_json(bert / NOTES_FILE, {"graph": 1})
    with pytest.raises(UserError):
        ExportedJudge.load(bert)


def test_a_graph_that_disagrees_with_torch_is_not_kept(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ExportedJudge.probabilities
    monkeypatch.setattr(
        ExportedJudge,
        "probabilities",
        lambda self, sentences, threshold=None: (
            [value * 0.99 for value in honest(self, sentences)[0]],
            honest(self, sentences)[1],
        ),
    )
    assert "disagree" in exporting.export_judge(bert).problem
    assert not (bert / GRAPH_FILE).exists()


def test_what_cannot_be_exported_is_tried_once(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def fail(_model: object, folder: Path) -> bytes:
        tries.append(folder)
        raise RuntimeError("no operator for this\nand more")

    monkeypatch.setattr(exporting, "_graph_of", fail)
    (bert / NOTES_FILE).unlink()
    for _ in range(3):
        exporting.export_once(bert)
    export = read_export(bert)
    assert export and export.problem == "no operator for this"
    assert tries == [bert]
    shown = bioforge("models", "show", "bert").stdout
    assert "no operator for this" in shown


def test_a_folder_that_cannot_be_written_is_left_alone(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bert / NOTES_FILE).unlink()
    before = sorted(bert.iterdir())
    with monkeypatch.context() as read_only:
        read_only.setattr("os.access", lambda *_: False)
        exporting.export_once(bert)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(exporting, "_graph_of", lambda *_: (bert / GRAPH_FILE).read_bytes())
    monkeypatch.setattr(exporting, "write_bytes", refuse)
    exporting.export_once(bert)
    assert sorted(bert.iterdir()) == before


def test_two_processes_may_make_it_at_once(bert: Path) -> None:
    (bert / NOTES_FILE).unlink()
    (bert / GRAPH_FILE).unlink()
    code = (
        "import sys, pathlib; from bioforge.judging.exporting import export_once; "
        "export_once(pathlib.Path(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(bert)]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert ExportedJudge.load(bert).probabilities(HOSTILE)[0] == pytest.approx(alone(bert, HOSTILE), abs=1e-5)
    assert not [path.name for path in bert.iterdir() if path.name.startswith(".")]


def test_with_a_gpu_many_sentences_go_to_torch_and_stay_there(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_MANY", 3)
    opened: list[Path] = []

    def open_torch(folder: Path) -> TorchJudge:
        opened.append(folder)
        return TorchJudge.load(folder)

    monkeypatch.setattr(judge, "_open_torch", open_torch)
    monkeypatch.setattr(judge, "_may_have_gpu", lambda: True)
    quick = judge.open_judge(bert)
    few = [verdict.probability for verdict in quick.verdicts(HOSTILE[-3:])]
    assert opened == []
    many = [verdict.probability for verdict in quick.verdicts(HOSTILE)]
    assert few == pytest.approx(many[-3:], abs=1e-5)
    list(quick.verdicts(HOSTILE))
    assert opened == [bert]


def test_many_sentences_are_judged_side_by_side_as_each_alone(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_may_have_gpu", lambda: False)
    sentences = [f"{' '.join(['word'] * (number % 7))} {number}." for number in range(200)] + HOSTILE
    quick = judge.open_judge(bert)
    assert isinstance(quick, ExportedJudge)
    together, _ = quick.probabilities(sentences)
    assert together == pytest.approx([quick.probabilities([one])[0][0] for one in sentences], abs=1e-5)


def test_the_first_check_makes_the_graph_and_a_damaged_one_changes_no_answer(bert: Path) -> None:
    (bert / GRAPH_FILE).write_bytes(b"damaged")
    sentences = ["They drank the pub dry.", "Me go.", "word " * 300]
    slow, quick = (bioforge("check", "--json", *sentences) for _ in range(2))
    assert "this is done once" in slow.stderr and "this is done once" not in quick.stderr
    said = slow.stderr.splitlines()
    assert said[1:] == quick.stderr.splitlines(), "the exporter's own advice is kept off the terminal"
    assert slow.returncode == quick.returncode
    slowly, quickly = (json.loads(answer.stdout)["verdicts"] for answer in (slow, quick))
    for one, other in zip(slowly, quickly, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
        assert (one["acceptable"], one["truncated"]) == (other["acceptable"], other["truncated"])
    assert "0.00 % of verdicts differ" in bioforge("models", "show", "bert").stdout


def test_a_training_leaves_a_judge_that_answers_at_once(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1), export=True) == 0
    folder = store.folder(home, "sentences")
    assert ExportedJudge.load(folder).probabilities(HOSTILE)[0] == pytest.approx(
        alone(folder, HOSTILE), abs=1e-5
    )


def test_a_training_does_not_fail_because_its_judge_cannot_be_exported(
    home: Home, sentences: DataInfo, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(_folder: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(exporting, "export_judge", run_out)
    run = make_run(home, "cola", "sentences", tiny_bert, epochs=1)
    assert work(run, export=True) == 0
    history = run.history()
    assert isinstance(history[-1], Finished)
    assert any(isinstance(event, Warning) and "MemoryError" in event.message for event in history)
