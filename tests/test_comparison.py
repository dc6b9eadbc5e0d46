"""Comparing runs: differences against independent bootstraps, verdicts, and what cannot be compared."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, matthews_corrcoef

from bioforge.data.cola import IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.evidence.comparison import compare
from bioforge.evidence.comparison_page import page
from bioforge.evidence.measured import figures
from bioforge.evidence.paired import judged_contrasts, written_contrasts
from bioforge.files import read_json, write_json
from bioforge.judging.metrics import mcc_of_counts
from bioforge.paths import Home
from bioforge.reporting.curves import RunCurves, draw, overlaid
from bioforge.runs.events import EventWriter, Finished
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import Judged, Outcome, Written, keep_outcome
from tests.helpers import bioforge, make_run
from tests.test_events import started, step
from tests.test_reporting import validation

FINISHED = Finished(step=10, best_step=5, metrics={"loss": 1.0}, model="m", seconds=1.0, reason="last epoch")
DRAW = np.random.default_rng(7)
LABELS = [int(draw < 0.7) for draw in DRAW.random(516)]


def judged(right: float, split: str = OUT_OF_DOMAIN_DEV, rows: int = 516, seed: int = 0) -> Judged:
    """A judge that is right about a sentence with probability `right`."""
    draw = np.random.default_rng(seed)
    is_right = draw.random(rows) < right
    said = [label if good else 1 - label for label, good in zip(LABELS[:rows], is_right, strict=True)]
    return Judged(split, list(range(1000, 1000 + rows)), LABELS[:rows], [0.1 + 0.8 * word for word in said])


def written(bits: float, rows: int = 120, seed: int = 0, **changes: Any) -> Written:
    """A writer with about so many bits a byte."""
    sizes = np.random.default_rng(3).integers(50, 400, size=rows)
    noise = np.random.default_rng(seed).normal(1, 0.05, size=rows)
    part = Written(
        "held_out",
        list(range(rows)),
        [float(value) for value in bits * math.log(2) * sizes * noise],
        [int(size // 4) for size in sizes],
        [int(size) for size in sizes],
    )
    return replace(part, **changes)


def finished(run: RunFolder, outcome: Outcome | None) -> RunFolder:
    write = EventWriter(run.events)
    for event in (started(), *(step(at, 3 / at) for at in range(1, 11)), validation(5, 0.7, True), FINISHED):
        write(event)
    write.close()
    if outcome:
        keep_outcome(run, outcome)
    return run


@pytest.fixture
def judges(home: Home, sentences: DataInfo, tiny_bert: Path) -> list[RunFolder]:
    return [make_run(home, "cola", "sentences", tiny_bert, seed=seed) for seed in (1, 2, 3)]


def test_intervals_of_judges_are_those_of_another_paired_bootstrap() -> None:
    one, two = judged(0.70, seed=1), judged(0.82, seed=2)
    mcc, accuracy = judged_contrasts(one, two, (0.5, 0.5))
    truth = np.array(LABELS)
    said = [np.array([int(p >= 0.5) for p in part.probabilities]) for part in (one, two)]
    for contrast, measure in ((mcc, matthews_corrcoef), (accuracy, accuracy_score)):
        assert contrast.baseline == pytest.approx(measure(truth, said[0]))
        assert contrast.other == pytest.approx(measure(truth, said[1]))

        def difference(which: Any, measure: Any = measure) -> float:
            return float(measure(truth[which], said[1][which]) - measure(truth[which], said[0][which]))

        other = stats.bootstrap(
            (np.arange(len(truth)),), difference, n_resamples=1000, method="percentile", vectorized=False,
            rng=np.random.default_rng(99),
        ).confidence_interval  # fmt: skip
        assert contrast.low == pytest.approx(other.low, abs=0.02)
        assert contrast.high == pytest.approx(other.high, abs=0.02)
        assert contrast.low < contrast.difference < contrast.high


def test_pairing_sees_what_two_separate_intervals_cannot() -> None:
    one = judged(0.75, seed=1)
    better = [*one.probabilities]
    for place in [at for at, label in enumerate(LABELS) if (better[at] >= 0.5) != label][:25]:
        better[place] = 0.9 if LABELS[place] else 0.1
    two = replace(one, probabilities=better)
    first, second = figures(Outcome(0.5, [one, two]))
    assert first.high > second.low  # apart, their intervals overlap
    assert judged_contrasts(one, two, (0.5, 0.5))[0].verdict == 1


def test_each_judge_is_measured_at_its_own_threshold() -> None:
    one = judged(0.8)
    shifted = replace(one, probabilities=[0.5 + p / 2 for p in one.probabilities])
    assert judged_contrasts(one, shifted, (0.5, 0.75))[0].difference == 0
    assert judged_contrasts(one, shifted, (0.5, 0.5))[0].other == 0  # it calls everything acceptable


def test_intervals_of_writers_are_those_of_another_paired_bootstrap() -> None:
    one, two = written(1.20, seed=1), written(1.15, seed=2)
    bits, nats = written_contrasts(one, two)
    assert (bits.metric, nats.metric) == ("bits a byte", "nats a token")
    sizes = {"bits a byte": np.array(one.bytes) * math.log(2), "nats a token": np.array(one.targets)}
    for contrast in (bits, nats):
        size, losses = sizes[contrast.metric], (np.array(one.nats), np.array(two.nats))

        def difference(a: Any, b: Any, c: Any) -> float:
            return float(b.sum() / c.sum() - a.sum() / c.sum())

        other = stats.bootstrap(
            (*losses, size), difference, paired=True, n_resamples=2000, method="percentile", vectorized=False,
            rng=np.random.default_rng(99),
        ).confidence_interval  # fmt: skip
        assert contrast.difference == pytest.approx(difference(*losses, size))
        assert contrast.low == pytest.approx(other.low, abs=0.004)
        assert contrast.high == pytest.approx(other.high, abs=0.004)
        assert contrast.verdict == 1  # lower is better


def test_texts_read_to_different_ends_are_other_texts() -> None:
    one = written(1.2)
    shorter = [min(size, 200) for size in one.bytes]
    two = replace(one, bytes=shorter, targets=[size // 3 for size in shorter])
    (bits,) = written_contrasts(one, two)  # other tokens, so no nats a token
    assert bits.examples == sum(size <= 200 for size in one.bytes) < len(one.bytes)


def test_only_rows_that_both_held_out_count() -> None:
    one = judged(0.8)
    two = replace(one, positions=[position + 400 for position in one.positions])
    (mcc, _) = judged_contrasts(one, two, (0.5, 0.5))
    assert mcc.examples == 116
    assert judged_contrasts(one, replace(one, positions=[p + 500 for p in one.positions]), (0.5, 0.5)) == []


def test_many_tables_have_the_mcc_that_each_has() -> None:
    tables = np.random.default_rng(0).integers(0, 9, size=(40, 4))
    for (tp, tn, fp, fn), value in zip(tables, mcc_of_counts(*tables.T), strict=True):
        labels = [1] * (tp + fn) + [0] * (tn + fp)
        said = [1] * tp + [0] * fn + [0] * tn + [1] * fp
        assert value == pytest.approx(matthews_corrcoef(labels, said))


def test_the_sentence_says_better_worse_or_neither(judges: list[RunFolder]) -> None:
    for run, right, seed in zip(judges, (0.75, 0.9, 0.6), (1, 2, 3), strict=True):
        parts = [judged(right, IN_DOMAIN_DEV, 100, seed), judged(right, seed=seed)]
        finished(run, Outcome(0.5, parts))
    comparison = compare(judges)
    better, worse = comparison.pairs
    assert comparison.level == pytest.approx(0.975)
    shape = r"B is better than A out of domain: MCC \+0\.\d{3} \(97\.5 %: 0\.\d{3} to 0\.\d{3}\) on 516 sentences\."
    assert re.fullmatch(shape, better.sentence)
    assert worse.sentence.startswith("C is worse than A out of domain: MCC -0.")
    assert [contrast.split for contrast in better.contrasts] == [IN_DOMAIN_DEV] * 2 + [OUT_OF_DOMAIN_DEV] * 2
    notes = " ".join(comparison.notes)
    assert "another seed may move" in notes and "97.5 %" in notes and "95 %" in notes
    keep_outcome(judges[1], Outcome(0.5, [judged(0.76, seed=8)]))
    (neither,) = compare(judges[:2]).pairs
    assert neither.sentence.startswith("B and A are not to be told apart out of domain: MCC ")
    assert neither.contrasts[0].low <= 0 <= neither.contrasts[0].high


def test_what_differs_is_told_and_nothing_else(judges: list[RunFolder]) -> None:
    for run in judges:
        finished(run, None)
    seeds = compare(judges).differences
    assert [(item.part, item.name, item.values) for item in seeds] == [("recipe", "seed", [1, 2, 3])]


def test_runs_that_share_no_example_show_their_own_figures(judges: list[RunFolder]) -> None:
    finished(judges[0], Outcome(0.5, [judged(0.8, "held_out", 50)]))
    other = judged(0.9, "held_out", 50)
    finished(judges[1], Outcome(0.5, [replace(other, positions=[p + 50 for p in other.positions])]))
    (pair,) = compare(judges[:2]).pairs
    assert not pair.contrasts and "none of them the same" in pair.sentence
    result = bioforge("runs", "compare", judges[0].name, judges[1].name)
    assert result.returncode == 0 and "none of them the same" in result.stdout
    first, second = (figures(Outcome(0.5, [part]))[0].value for part in (judged(0.8, "held_out", 50), other))
    assert f"{first:.3f}" in result.stdout and f"{second:.3f}" in result.stdout
    few = Judged("held_out", other.positions[:9], other.labels[:9], other.probabilities[:9])
    keep_outcome(judges[1], Outcome(0.5, [few]))
    assert "fewer than the 20" in compare(judges[:2]).pairs[0].sentence


def test_runs_on_other_data_or_without_outcome_say_what_is_missing(judges: list[RunFolder]) -> None:
    finished(judges[0], Outcome(0.5, [judged(0.8)]))
    finished(judges[1], None)
    write = EventWriter(judges[2].events)
    write(started())
    write.close()
    old, interrupted = compare(judges).pairs
    assert "B: it finished before runs kept" in old.sentence
    assert "C: it has not finished (it is interrupted)" in interrupted.sentence
    keep_outcome(judges[1], Outcome(0.5, [judged(0.9)]))
    write_json(judges[1].path / "data.json", {**judges[1].data(), "fingerprint": "another"})
    comparison = compare(judges[:2])
    assert "they learnt from different data" in comparison.pairs[0].sentence
    assert ("data", "fingerprint") in [(item.part, item.name) for item in comparison.differences]


def test_losses_that_are_no_numbers_decide_nothing(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    runs = [make_run(home, "bios", "djs", tiny_gpt2) for _ in range(2)]
    finished(runs[0], Outcome(written=[written(1.2)]))
    finished(runs[1], Outcome(written=[written(math.nan)]))
    comparison = compare(runs)
    assert "is no number" in comparison.pairs[0].sentence
    assert (
        json.loads(json.dumps(comparison.as_json(), allow_nan=False))["sides"][1]["figures"][0]["value"]
        is None
    )


def test_a_side_names_the_model_that_was_published(judges: list[RunFolder]) -> None:
    finished(judges[0], Outcome(0.5, [judged(0.8, rows=19)]))
    sides = compare(judges[:2]).sides
    # Two runs of one data set ask for the same name, and get two.
    assert [side.model for side in sides] == ["m", ""]
    assert sides[0].figures[0].interval == "–" and "–" in page(compare(judges[:2]))


def test_a_writer_and_a_judge_cannot_be_compared(
    judges: list[RunFolder], home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    writer = make_run(home, "bios", "djs", tiny_gpt2)
    result = bioforge("runs", "compare", judges[0].name, writer.name)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "only runs of the same task" in result.stderr
    with pytest.raises(UserError, match="named twice"):
        compare([writer, writer])
    with pytest.raises(UserError, match="two runs or more"):
        compare([writer])


def test_curves_carry_the_letters_of_their_runs() -> None:
    losses = [(1.0, 2.0), (10.0, 1.0)]
    runs = [RunCurves(letter, losses, [validation(5, 0.7, True)]) for letter in "ABC"]
    two = draw(overlaid(runs[:2]), width=70, height=12, colour=False)
    assert all(f"{kind} loss {letter}" in two for kind in ("training", "validation") for letter in "AB")
    three = draw(overlaid(runs), width=70, height=12, colour=False)
    assert "validation loss C" in three and "training" not in three
    assert overlaid([RunCurves("A", [], [validation(5, math.nan, True)])]) == []


def test_json_and_page_say_the_same(judges: list[RunFolder], tmp_path: Path) -> None:
    for run, right in zip(judges, (0.6, 0.8, 0.9), strict=True):
        finished(run, Outcome(0.5, [judged(right)]))
    target = tmp_path / "page.html"
    result = bioforge("runs", "compare", *(run.name for run in judges), "--json", "--html", str(target))
    assert result.returncode == 0, result.stderr
    value = json.loads(result.stdout)
    text = target.read_text()
    for pair in value["pairs"]:
        assert pair["sentence"] in text
        assert f"{pair['contrasts'][0]['difference']:+.3f}" in text
        assert pair["contrasts"][0]["verdict"] == 1
    assert text.count("<figure") == 2 and "<script" not in text and "var(--ink)" in text
    assert not re.search(r'(?:src|href)="(?!#)', text.replace('xlink:href="#', ""))


def test_hostile_names_are_text_everywhere(judges: list[RunFolder]) -> None:
    hostile = "<script>alert(1)</script>[bold]\x1b[2J\u202e\"'&"
    for run in judges[:2]:
        finished(run, Outcome(0.5, [judged(0.8)]))
    for name, key in (("data.json", "name"), ("base.json", "name"), ("run.json", "model")):
        write_json(judges[1].path / name, {**read_json(judges[1].path / name), key: hostile})
    recipe = read_json(judges[1].path / "recipe.json")
    write_json(judges[1].path / "recipe.json", {**recipe, "sample_prompt": hostile * 1000})
    text = page(compare(judges[:2]))
    assert "<script" not in text and text.count("&lt;script&gt;") >= 1003
    assert "\x1b" not in text and "\u202e" not in text
    result = bioforge("runs", "compare", judges[0].name, judges[1].name)
    assert result.returncode == 0
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout and "[bold]" in result.stdout
