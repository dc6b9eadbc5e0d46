"""What a run keeps of each held-out example, against its model asked anew."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from bioforge.data import store as data_store
from bioforge.data.cola import IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.evaluation.writer import evaluate_writer
from bioforge.files import write_json
from bioforge.generation.writer import Writer
from bioforge.judging.metrics import mcc
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import HELD_OUT, keep_lengths, lengths_of, outcome_of
from tests.helpers import make_run, work, work_until


def _only_model(home: Home) -> str:
    (info,), _ = store.listing(home)
    return info.name


def test_a_judges_run_keeps_what_its_model_says_of_each_held_out_sentence(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    run = make_run(home, "cola", sentences.name, tiny_bert, max_steps=3)
    assert work(run) == 0
    outcome = outcome_of(run)
    assert outcome and not outcome.written
    info = store.info(home, _only_model(home))
    judge = TorchJudge.load(store.folder(home, info.name))
    data = data_store.load(home, sentences.name)
    assert outcome.threshold == info.threshold
    found = [part.split for part in outcome.judged]
    assert found[0] in (IN_DOMAIN_DEV, HELD_OUT) and set(found[1:]) <= {OUT_OF_DOMAIN_DEV}
    for part in outcome.judged:
        rows = [data.rows[position] for position in part.positions]
        assert part.labels == [row.label for row in rows]
        assert len(set(part.positions)) == len(part.positions) > 0
        said = [verdict.probability for verdict in judge.verdicts(row.text for row in rows)]
        assert part.probabilities == pytest.approx(said, abs=1e-4)
    at_half = [int(p >= 0.5) for p in outcome.judged[0].probabilities]
    # A temperature moves no log-odds over 0.
    assert mcc(outcome.judged[0].labels, at_half) == pytest.approx(info.metrics["mcc"])


@pytest.mark.parametrize("packing", [False, True])
def test_a_writers_run_keeps_the_loss_of_each_held_out_text(
    home: Home, djs: DataInfo, tiny_gpt2: Path, packing: bool
) -> None:
    run = make_run(home, "bios", djs.name, tiny_gpt2, max_steps=2, packing=str(packing).lower())
    assert work(run) == 0
    outcome = outcome_of(run)
    assert outcome and outcome.threshold is None and not outcome.judged
    (part,) = outcome.written
    assert part.split == HELD_OUT
    info = store.info(home, _only_model(home))
    writer = Writer.load(store.folder(home, info.name))
    data = data_store.load(home, djs.name)
    texts = [data.rows[position].text for position in part.positions]
    whole_bytes = [len(text.encode()) for text in texts]
    assert part.bytes[0] == whole_bytes[0]
    assert all(read <= all_of_it for read, all_of_it in zip(part.bytes, whole_bytes, strict=True))
    ids = writer.tokenizer(texts[0])["input_ids"]
    end = writer.tokenizer.eos_token_id
    with torch.no_grad():
        whole = torch.tensor([[end, *ids, end]])
        loss = writer.model(input_ids=whole, labels=whole).loss.item()
    assert part.targets[0] == len(ids) + 1
    assert part.nats[0] / part.targets[0] == pytest.approx(loss, rel=1e-3)
    measured = evaluate_writer(writer, info, data)
    assert sum(part.nats) / sum(part.targets) == pytest.approx(measured.loss, rel=1e-3)
    assert sum(part.nats) / math.log(2) / sum(part.bytes) == pytest.approx(measured.bits_per_byte, rel=1e-3)


def test_a_run_that_was_stopped_has_lengths_but_no_outcome(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(home, "bios", djs.name, tiny_gpt2, max_steps=4)
    assert lengths_of(run) is None and outcome_of(run) is None
    work_until(run, 2)
    assert outcome_of(run) is None
    lengths = lengths_of(run)
    started = next(event for event in run.history() if event.kind == "started")
    assert lengths and sum(lengths.rows) == started.train_rows  # type: ignore[attr-defined]


def test_lengths_are_counted_in_bins(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    given = [*range(0, 400, 3), 7, 7, 399]
    keep_lengths(run, given, 512, 5)
    kept = lengths_of(run)
    assert kept and (kept.limit, kept.truncated) == (512, 5) and len(kept.rows) <= 50
    counted = Counter(length // kept.width for length in given)
    assert kept.rows == [counted[number] for number in range(len(kept.rows))]
    keep_lengths(run, [], 512, 0)
    assert lengths_of(run) is not None


JUDGED = {"split": "dev", "positions": [3], "labels": [1], "probabilities": [0.5]}
WRITTEN = {"split": "held_out", "positions": [3], "nats": [9.0], "targets": [3], "bytes": [12]}


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        (JUDGED, {"split": "../x"}),
        (JUDGED, {"positions": None}),
        (JUDGED, {"positions": [-1]}),
        (JUDGED, {"positions": [], "labels": [], "probabilities": []}),
        (JUDGED, {"labels": [1, 0]}),
        (JUDGED, {"labels": [2]}),
        (JUDGED, {"labels": [[1]]}),
        (JUDGED, {"probabilities": [None]}),
        (JUDGED, {"probabilities": ["0.5"]}),
        (WRITTEN, {"nats": [1.0, 2.0]}),
        (WRITTEN, {"targets": "x"}),
        (WRITTEN, {"bytes": [0]}),
    ],
)
def test_an_outcome_that_fits_nothing_is_refused_wherever_it_is_read(
    tmp_path: Path, part: dict[str, Any], damage: dict[str, Any]
) -> None:
    run, name = RunFolder(tmp_path), "judged" if part is JUDGED else "written"
    whole = {"threshold": 0.5, "judged": [], "written": []}
    write_json(tmp_path / "outcome.json", {**whole, name: [part]})
    assert outcome_of(run)
    for parts in ([{**part, **damage}], [part, part], []):
        write_json(tmp_path / "outcome.json", {**whole, name: parts})
        with pytest.raises(UserError, match=r"is damaged: outcome\.json") as refused:
            outcome_of(run)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rows", ["x", [1, "2"], [-1], None])
def test_lengths_that_are_no_counts_are_refused(tmp_path: Path, rows: Any) -> None:
    write_json(tmp_path / "lengths.json", {"limit": 64, "truncated": 0, "width": 2, "rows": rows})
    with pytest.raises(UserError, match=r"is damaged: lengths\.json"):
        lengths_of(RunFolder(tmp_path))
