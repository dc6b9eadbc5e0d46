"""What is printed: true counts, nothing cut off, nothing that drives the terminal."""

from __future__ import annotations

import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bioforge.reporting.curves import learning_curves
from bioforge.reporting.histogram import histogram
from bioforge.reporting.live import LineView, LiveView, describe
from bioforge.reporting.scores import judge_lines
from bioforge.reporting.tables import summary_table
from bioforge.reporting.text import duration, one_line, safe
from bioforge.runs.events import Event, Failed, Finished, Sample, Validation, Warning
from tests.test_events import started, step


def validation(at: int, loss: float, best: bool) -> Validation:
    return Validation(
        step=at, epoch=at / 10, train_loss=loss, metrics={"loss": loss, "accuracy": 0.8, "mcc": 0.5},
        training_seconds=51, validation_seconds=2, best=best,
    )  # fmt: skip


HISTORY: list[Event] = [
    started(),
    *(step(at, 3 / at) for at in range(1, 11)),
    validation(5, 0.7, True),
    validation(10, 0.9, False),
]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300), st.one_of(st.none(), st.integers(1, 6000)))
def test_a_histogram_counts_every_value_once(values: list[int], limit: int | None) -> None:
    lines = histogram(values, limit=limit)
    bars = [line for line in lines if "limit" not in line]
    assert sum(int(line.rsplit(" ", 1)[1].replace(",", "")) for line in bars) == len(values)
    assert len(bars) <= 12
    marks = [line for line in lines if "limit" in line]
    assert len(marks) == (limit is not None)
    if limit is not None:
        assert f"{sum(value > limit for value in values):,} of {len(values):,} beyond" in marks[0]


def test_the_summary_table_is_the_tutorials() -> None:
    table = summary_table(HISTORY)
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    text = out.getvalue()
    for piece in ("Training Loss", "Valid. Loss", "Valid. Accur.", "Training Time", "0:00:51", "0:00:02"):
        assert piece in text
    assert text.count("★") == 1
    assert summary_table([]) is None


def test_curves_survive_nan_and_emptiness() -> None:
    assert learning_curves([]) == ""
    odd: list[Event] = [*HISTORY, step(11, math.nan), step(12, math.inf), validation(12, math.nan, False)]
    drawn = learning_curves(odd, colour=False)
    assert "training loss" in drawn and "validation loss" in drawn and "\x1b" not in drawn


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "a\x07b", "\u202eabc", "x\x00y"])
def test_foreign_text_cannot_drive_the_terminal(hostile: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", safe(hostile))
    assert "\n" not in one_line(hostile + "\nnext")


def test_markup_in_data_is_text() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, height=30)
    view = LiveView(console)
    for event in [
        *HISTORY,
        Sample(step=3, prompt="", text="[/red] [bold]x[/] 🎧", ended=True),
        Warning(message="[/x]"),
    ]:
        view.show(event)
    view.close()
    assert "[/red] [bold]x[/] 🎧" in out.getvalue() and "warning: [/x]" in out.getvalue()


def test_every_event_has_its_line() -> None:
    lines: list[str] = []
    view = LineView(lines.append, every_seconds=0)
    ends: list[Event] = [
        Failed(step=3, message="why"),
        Finished(step=10, best_step=5, metrics={"mcc": 0.5}, model="m", seconds=3, reason="r"),
    ]
    for event in [*HISTORY, *ends]:
        view.show(event)
    text = "\n".join(lines)
    assert "step 10/100" in text and "validation at epoch 0.50" in text and "failed at step 3: why" in text
    assert "the model 'm' is step 5" in text
    assert all(describe(event, 100) for event in HISTORY)


def test_durations_are_the_tutorials() -> None:
    assert (duration(51.4), duration(3725), duration(math.inf)) == ("0:00:51", "1:02:05", "–")


def test_bars_point_to_both_sides() -> None:
    score = {
        "split": "dev", "sentences": 64, "acceptable": 40, "mcc": 0.5, "interval": (0.3, 0.7), "accuracy": 0.8,
        "counts": {"true_positive": 1, "true_negative": 2, "false_positive": 3, "false_negative": 4},
        "mcc_at_half": 0.4, "by_batch": [0.5, -0.25], "calibration_error": 0.06, "by_source": {"ks08": (12, 0.25), "r-67": (3, 0.0)},
    }  # fmt: skip
    assert any("ks08 +0.25 (12), r-67 +0.00 (3)" in line for line in judge_lines(score, 0.5))
    positive, negative = judge_lines(score, 0.5)[-2:]
    assert positive.split("│")[1].count("█") == 10 and positive.split("│")[0].count("█") == 0
    assert negative.split("│")[0].count("█") == 5 and "-0.250" in negative
