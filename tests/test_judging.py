"""Metrics against independent computations, and what a judge says of odd input."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioforge.data.store import DataInfo
from bioforge.judging import torch_judge as judging
from bioforge.judging.metrics import (
    at_temperature,
    best_temperature,
    best_threshold,
    calibration_error,
    counts,
    gain_of,
    mcc,
    mcc_by_batch,
    mcc_interval,
    verdicts,
)
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store
from bioforge.paths import Home
from tests.helpers import make_run, work

pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80)


@settings(deadline=None)  # the first call imports scikit-learn
@given(pairs)
def test_mcc_is_the_textbook_formula(both: list[tuple[int, int]]) -> None:
    labels, said = [a for a, _ in both], [b for _, b in both]
    table = counts(labels, said)
    tp, tn, fp, fn = table.true_positive, table.true_negative, table.false_positive, table.false_negative
    assert tp + tn + fp + fn == len(both)
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert mcc(labels, said) == pytest.approx((tp * tn - fp * fn) / below if below else 0.0)


def test_the_interval_is_that_of_resampled_sentences() -> None:
    draw = np.random.default_rng(3)
    labels = (draw.random(527) < 0.69).astype(int)
    said = np.where(draw.random(527) < 0.82, labels, 1 - labels)
    low, high = mcc_interval(labels, said)
    resampled = [mcc(labels[rows], said[rows]) for rows in draw.integers(527, size=(400, 527))]
    assert low == pytest.approx(float(np.quantile(resampled, 0.025)), abs=0.02)
    assert high == pytest.approx(float(np.quantile(resampled, 0.975)), abs=0.02)
    assert low < mcc(labels, said) < high
    assert high - low == pytest.approx(0.16, abs=0.03)


def test_one_class_only_has_no_correlation_and_no_crash() -> None:
    assert mcc([1, 1, 1], [1, 1, 1]) == 0.0
    assert mcc_interval([1, 1, 1], [1, 1, 1]) == (0.0, 0.0)


def test_batches_of_32_as_in_the_tutorial() -> None:
    labels = [index % 2 for index in range(516)]
    assert mcc_by_batch(labels, labels) == [1.0] * 17


def test_the_threshold_separates_what_can_be_separated() -> None:
    labels = [0] * 30 + [1] * 70
    probabilities = [0.5 + i / 100 for i in range(30)] + [0.85 + i / 1000 for i in range(70)]
    cut = best_threshold(labels, probabilities)
    assert 0.79 < cut <= 0.85
    assert best_threshold([0, 1], [0.5, 0.5]) == 0.5
    assert best_threshold([1, 1, 1], [0.1, 0.2, 0.9]) == 0.5


def drawn(sentences: int, shift: float, seed: int) -> tuple[list[int], list[float]]:
    """Labels drawn by probabilities, and those probabilities, with `shift` added to their log-odds."""
    draw = np.random.default_rng(seed)
    margins = draw.normal(0.5, 2.0, size=sentences)
    labels = draw.random(sentences) < 1 / (1 + np.exp(-margins))
    return labels.astype(int).tolist(), (1 / (1 + np.exp(-margins - shift))).tolist()


def test_a_threshold_other_than_a_half_needs_more_than_luck() -> None:
    honest = [best_threshold(*drawn(500, 0.0, seed)) for seed in range(20)]
    assert sum(cut == 0.5 for cut in honest) >= 16
    shifted = [best_threshold(*drawn(500, 2.0, seed)) for seed in range(20)]
    assert np.mean(shifted) == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.03) and min(shifted) > 0.75


def test_the_gain_of_a_threshold_has_the_error_that_drawing_sentences_anew_gives() -> None:
    labels, probabilities = drawn(400, 1.5, 3)
    before, after = verdicts(probabilities, 0.5), verdicts(probabilities, 0.8)
    gain, error = gain_of(labels, before, after)
    assert gain == pytest.approx(mcc(labels, after) - mcc(labels, before))
    draw = np.random.default_rng(1)
    rows = [draw.integers(400, size=400) for _ in range(500)]
    truth, old, new = map(np.array, (labels, before, after))
    again = [mcc(truth[some], new[some]) - mcc(truth[some], old[some]) for some in rows]
    assert error == pytest.approx(np.std(again), rel=0.15)


@pytest.fixture
def judge(home: Home, sentences: DataInfo, tiny_bert: Path) -> TorchJudge:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    return TorchJudge.load(store.folder(home, "sentences"))


def test_a_verdict_does_not_depend_on_its_neighbours(judge: TorchJudge) -> None:
    texts = [
        "Go.",
        "The cat sat on the mat because it was tired of standing.",
        "x " * 500,
        "[/red] 🎧 \u202eabc",
        "Go.",
    ]
    together = list(judge.verdicts(texts))
    alone = [next(judge.verdicts([text])) for text in texts]
    assert [v.sentence for v in together] == texts
    assert [v.probability for v in together] == pytest.approx([v.probability for v in alone], abs=1e-5)
    assert [v.truncated for v in together] == [False, False, True, False, False]


def test_sentences_stream(judge: TorchJudge) -> None:
    asked = 0

    def endless() -> object:
        nonlocal asked
        while True:
            asked += 1
            yield f"Sentence number {asked}."

    stream = judge.verdicts(endless())  # type: ignore[arg-type]
    next(stream)
    assert asked <= 4096


def test_the_threshold_decides(judge: TorchJudge) -> None:
    (verdict,) = judge.verdicts(["Go home."])
    assert next(judge.verdicts(["Go home."], verdict.probability)).acceptable
    assert not next(judge.verdicts(["Go home."], verdict.probability + 1e-6)).acceptable
    assert next(judge.verdicts([], 0.5), None) is None


def _many() -> list[str]:
    return [
        f"The {noun} {verb} {number} records."
        for noun in ("DJ", "cat")
        for verb in ("play", "has played")
        for number in range(25)
    ]


def test_what_bf16_is_off_by_never_changes_a_verdict(
    judge: TorchJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = _many()
    monkeypatch.setattr(judging, "computes_bf16", lambda _device: False)
    exact = [verdict.probability for verdict in judge.verdicts(texts)]
    margins = judging._margins

    def off(model: Any, ids: Any, padding: int) -> Any:
        found = margins(model, ids, padding)
        if torch.is_autocast_enabled("cpu"):
            found[::2] += 0.16
            found[1::2] -= 0.16
        return found

    monkeypatch.setattr(judging, "computes_bf16", lambda _device: True)
    monkeypatch.setattr(judging, "_margins", off)
    cut = float(
        np.median(exact)
    )  # the hardest threshold: a barely trained judge puts every sentence beside it
    said = [verdict.acceptable for verdict in judge.verdicts(texts, cut)]
    assert said == [probability >= cut for probability in exact]
    assert 0 < sum(said) < len(said)


def test_only_sentences_near_the_threshold_are_computed_twice(
    judge: TorchJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = _many()
    asked: list[int] = []
    margins = judging._margins

    def counted(model: Any, ids: Any, padding: int) -> Any:
        asked.append(len(ids))
        return margins(model, ids, padding)

    monkeypatch.setattr(judging, "_margins", counted)
    monkeypatch.setattr(judging, "computes_bf16", lambda _device: True)
    head: Any = judge.model.classifier
    with torch.no_grad():
        head.bias += torch.tensor([-4.0, 4.0])
    sure = [verdict.probability for verdict in judge.verdicts(texts, 0.9)]
    assert asked == [len(texts)] and min(sure) > 0.95
    list(judge.verdicts(texts, float(np.median(sure))))
    assert asked[1:] == [len(texts), len(texts)]


def test_a_temperature_undoes_overconfidence() -> None:
    draw = np.random.default_rng(0)
    margins = draw.normal(0, 1.5, 4000)
    truth = (draw.random(4000) < 1 / (1 + np.exp(-margins))).astype(int).tolist()
    loud = (1 / (1 + np.exp(-2.5 * margins))).tolist()
    temperature = best_temperature(truth, loud)
    assert temperature == pytest.approx(2.5, rel=0.1)
    quiet = at_temperature(loud, temperature)
    assert calibration_error(truth, quiet) < 0.03 < 0.08 < calibration_error(truth, loud)
    assert np.argsort(quiet).tolist() == np.argsort(loud).tolist()


def test_the_calibration_error_is_the_mean_gap_of_said_and_found() -> None:
    assert calibration_error([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], bins=1) == 0
    assert calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.2, 0.4], bins=2) == pytest.approx((0.1 + 0.3) / 2)


def test_a_judge_divides_its_log_odds_by_its_temperature(judge: TorchJudge) -> None:
    texts = [*_many(), "Go."]
    as_they_are = np.array(judge.probabilities(texts)[0])
    calmer = replace(judge, info=replace(judge.info, temperature=2.0))
    expected = 1 / (1 + np.sqrt(1 / as_they_are - 1))
    assert calmer.probabilities(texts)[0] == pytest.approx(expected.tolist(), abs=2e-3)
    assert calmer.probabilities(texts[:5])[0] == pytest.approx(expected.tolist()[:5], abs=1e-6)
