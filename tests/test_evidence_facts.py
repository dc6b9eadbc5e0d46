"""A run as one record, against what it said."""

from __future__ import annotations

import json
import math
import shlex
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.evidence.facts import POINTS, facts_of, smoothed, trend
from bioforge.evidence.report import as_json, report_of
from bioforge.evidence.report_page import page_of
from bioforge.evidence.telling import not_finite_sentences, state_sentence, trend_sentence
from bioforge.models.bases import LocalBase
from bioforge.paths import Home
from bioforge.runs import recipe as recipes
from bioforge.runs.events import EventWriter, Failed, Preparing, Stopped, Warning
from bioforge.runs.launch import Processes
from bioforge.runs.repeat import changes, command
from bioforge.runs.start import build_recipe
from tests.evidence import finished, sample, say_many_steps, started, step, told_run, validation
from tests.helpers import bioforge


def test_curves_hold_what_the_run_said(home: Home, sentences: DataInfo) -> None:
    losses = [2.0 - at / 100 for at in range(1, 101)]
    run = told_run(
        home, sentences, "cola", [started(100), *(step(at, losses[at - 1]) for at in range(1, 101))]
    )
    facts = facts_of(run)
    assert facts.loss.points == [(at, losses[at - 1]) for at in range(1, 101)]
    assert facts.learning_rate.points[49] == (50, 1e-4 / 50)
    assert facts.tokens_per_second == 1000.0 and facts.memory_bytes == 10**9


def test_a_smoothed_curve_is_the_mean_of_its_neighbours() -> None:
    values = np.random.default_rng(0).normal(size=100)
    smooth = [value for _, value in smoothed([(at, float(value)) for at, value in enumerate(values)])]
    window = np.ones(11)
    expected = np.convolve(values, window, "same") / np.convolve(np.ones(100), window, "same")
    assert smooth == pytest.approx(expected.tolist())
    assert smoothed([(1, 2.0), (2, 3.0)]) == [(1, 2.0), (2, 3.0)]


def test_two_hundred_thousand_events_become_a_bounded_record(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(200_000)])
    say_many_steps(run, 200_000, lambda at: 3.0 + math.sin(at))
    report = report_of(run)
    facts = report.facts
    assert facts.state.step == 200_000
    for curve in (facts.loss, facts.learning_rate, facts.grad_norm):
        assert 100 < len(curve.points) <= POINTS
    assert np.mean([loss for _, loss in facts.loss.points[:-1]]) == pytest.approx(3.0, abs=0.01)
    assert len(json.dumps(as_json(report))) < 100_000


@pytest.mark.parametrize(("before", "after"), [(1, 1_000), (1_000, 1_000), (20_000, 1_000), (10, 80_000)])
def test_the_latest_validation_is_told_however_many_steps_ago_it_was(
    home: Home, sentences: DataInfo, before: int, after: int
) -> None:
    run = told_run(home, sentences, "cola", [started(100_000), validation(0, 4.5)])
    say_many_steps(run, before, lambda _: 1.0)
    writer = EventWriter(run.events)
    writer(validation(before, 1.25))
    writer.close()
    say_many_steps(run, after, lambda _: 1.0)
    # Too far back to look at twice a second is told as none, not as an older one.
    expected = 1.25 if after < 50_000 else None
    assert run.state().metrics.get("loss") == expected


def test_a_run_whose_base_gives_no_number_has_a_report(home: Home, sentences: DataInfo) -> None:
    run = told_run(
        home, sentences, "cola",
        [started(10), validation(0, math.nan), Failed(1, "loss is nan", diverged=True)],
    )  # fmt: skip
    assert "<svg" in page_of(report_of(run)) or "no curves" in page_of(report_of(run))
    assert "No validation gave a number" in page_of(report_of(run))
    listed = bioforge("runs", "list", "--json")
    assert json.loads(listed.stdout, parse_constant=pytest.fail)[0]["state"]["metrics"]["loss"] is None


def test_a_run_without_checkpoints_is_not_said_to_go_on(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(10), step(1), Stopped(1, "asked to stop")])
    assert "its checkpoints are gone" in state_sentence(facts_of(run))
    run.checkpoints.mkdir()
    assert "it can go on from there" in state_sentence(facts_of(run))


def test_memory_does_not_grow_with_the_events(home: Home, sentences: DataInfo) -> None:
    peaks = []
    for steps in (3_000, 12_000):
        run = told_run(home, sentences, "cola", [started(steps)])
        say_many_steps(run, steps, lambda at: 1 / at)
        tracemalloc.start()
        facts_of(run)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_resumed_run_is_told_as_if_it_had_never_stopped(home: Home, sentences: DataInfo) -> None:
    whole = [started(6), *(step(at, 1 / at) for at in range(1, 7)), validation(6, 0.5, 0.3, best=True)]
    broken = [
        started(6),
        *(step(at, 1 / at) for at in range(1, 4)),
        step(4, math.nan),
        validation(4, 9.0, best=True),
        sample(4, "taken back"),
        Stopped(4, "asked to stop", time=5.0),
        Preparing("loading torch", time=5000.0),
        started(6, step=3, time=5001.0),
        *(replace(step(at, 1 / at), time=5001.0 + at) for at in range(4, 7)),
        replace(validation(6, 0.5, 0.3, best=True), time=5009.0),
    ]
    once, twice = (facts_of(told_run(home, sentences, "cola", events)) for events in (whole, broken))
    assert twice.loss == once.loss and twice.grad_norm == once.grad_norm
    assert [item.step for item in twice.validations] == [6] and twice.best_step == 6
    assert (once.sessions, twice.sessions) == (1, 2)
    assert twice.samples.written == 0 and twice.loss.not_finite == 0
    # 5 s of the first session, 9 of the second, nothing of the hour between.
    assert twice.seconds == pytest.approx(5.0 + 9.0)


def test_a_run_begun_anew_forgets_all_that_was_said_before(home: Home, sentences: DataInfo) -> None:
    events = [started(4), step(1, 7.0), Warning("old"), sample(1, "old"), started(4), step(1, 1.0)]
    facts = facts_of(told_run(home, sentences, "cola", events))
    assert facts.loss.points == [(1, 1.0)] and facts.warned == facts.samples.written == 0


def test_where_overfitting_starts() -> None:
    rising = [
        validation(at, loss, train) for at, loss, train in ((5, 0.6, 0.7), (10, 0.5, 0.5), (15, 0.7, 0.3))
    ]
    found = trend(rising)
    assert found and found.overfits and (found.lowest_step, found.last_step) == (10, 15)
    said = trend_sentence(found, over=True)
    assert "starts at step 10" in said and "0.500" in said and "rises by 0.200 to the end" in said
    assert "to the latest validation" in trend_sentence(found, over=False)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([(0, 0.7, math.nan), (5, 0.6, 0.6), (10, 0.5, 0.5)], "did not overfit"),
        ([(5, 0.5, 0.6), (10, 0.504, 0.5)], "No overfitting to speak of"),
        ([(5, 0.5, 0.6), (10, 0.9, 0.8)], "No overfitting to speak of"),  # training loss rose too
        ([(0, 0.5, math.nan), (5, 0.8, 0.4)], "never fell below the 0.500 from before training"),
        ([(0, 0.5, math.nan)], "before the first step only"),
        ([(5, math.nan, math.nan)], "No validation gave a number"),
        ([], "No validation gave a number"),
    ],
)
def test_what_is_said_of_other_losses(losses: list[tuple[int, float, float]], said: str) -> None:
    found = trend([validation(*values) for values in losses])
    assert said in trend_sentence(found, over=True)


def test_values_that_are_no_numbers_are_counted_and_said(home: Home, sentences: DataInfo) -> None:
    events = [
        started(300),
        *(step(at, math.nan if at > 100 else 1.0, math.inf if at == 7 else 0.5) for at in range(1, 301)),
    ]
    facts = facts_of(told_run(home, sentences, "cola", [*events, validation(300, math.nan)]))
    assert facts.loss.not_finite == 200 and len(facts.loss.not_finite_at) <= 100
    assert facts.loss.not_finite_at[0] == 101 and facts.loss.not_finite_at[-1] == 300
    assert len(facts.loss.points) == 100
    said = " ".join(not_finite_sentences(facts))
    assert "at 200 steps, 101 to 300" in said and "gradient norm was nan or infinite at step 7;" in said
    assert "Validation loss was not a number at step 300." in said


def test_json_has_null_for_what_is_no_number(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(2), step(1), validation(0, math.nan), step(2, math.inf)])
    made = json.loads(json.dumps(as_json(report_of(run)), allow_nan=False))
    assert made["validations"][0]["metrics"]["loss"] is None and made["trend"] is None
    assert made["loss"]["not_finite_at"] == [2] and made["name"] == run.name


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ([finished(3, 2)], "Finished after 0:01:01 (h:mm:ss) at step 3 of 3: last epoch"),
        ([Stopped(3, "asked to stop")], "Stopped at step 3 of 3 (asked to stop)"),
        ([Failed(3, "out of memory; end other programs")], "Failed at step 3 of 3: out of memory"),
        ([], "Interrupted at step 3 of 3"),
    ],
)
def test_how_a_run_stands_is_one_sentence(
    home: Home, sentences: DataInfo, ending: list[Stopped], said: str
) -> None:
    run = told_run(home, sentences, "cola", [started(3), *map(step, (1, 2, 3)), *ending])
    assert said in state_sentence(facts_of(run))


def test_a_run_at_work_is_told_as_it_stands(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(9), step(1), step(2)])
    with run.lock():
        facts = facts_of(run)
    assert facts.state.status == "running" and facts.ending is None and facts.best_step is None
    assert "Still running, at step 2 of 9" in state_sentence(facts)


def test_a_run_that_has_said_nothing_is_told_too(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola")
    run.events.unlink()
    facts = facts_of(run)
    assert facts.loss.points == [] and facts.started is None and facts.seconds == 0
    assert "Interrupted at step 0" in state_sentence(facts)


def test_damaged_lines_are_passed_over(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(3), step(1)])
    with run.events.open("ab") as stream:
        stream.write(b'\xff\xfe\n{"event": "step"}\n[1, 2]\n{"event": "step", "step')
    assert facts_of(run).loss.points == [(1, 1.0)]


@pytest.mark.parametrize(
    ("name", "content"),
    [("data.json", '{"name": "x"}'), ("run.json", "{}"), ("base.json", "["), ("recipe.json", "{}")],
)
def test_a_damaged_record_is_one_line(home: Home, sentences: DataInfo, name: str, content: str) -> None:
    run = told_run(home, sentences, "cola", [started(3), step(1)])
    (run.path / name).write_text(content)
    with pytest.raises(UserError, match="is damaged") as raised:
        facts_of(run)
    assert "\n" not in str(raised.value)


def test_all_samples_are_counted_and_some_kept(home: Home, djs: DataInfo) -> None:
    texts = ["She plays.", "She plays and", "A DJ. She", "A DJ from Rome"]
    events = [sample(at, f"{at} {texts[at % 4]}", ended=at % 4 == 3) for at in range(1, 1001)]
    found = facts_of(told_run(home, djs, "bios", [started(1000), *events])).samples
    assert (found.written, found.ended, found.after_a_sentence, found.inside_a_sentence) == (
        1000,
        250,
        250,
        500,
    )
    steps = [item.step for item in found.shown]
    assert steps == sorted(steps) and steps[0] == 1 and steps[-1] == 1000 and 20 <= len(steps) <= 50
    assert max(np.diff(steps)) <= 2 * max(np.diff(steps)[:-1])


def test_the_command_repeats_the_recipe(home: Home, sentences: DataInfo) -> None:
    settings = [
        "epochs=7",
        "learning_rate=0.00031",
        "bucketing=false",
        "attention_dropout=none",
        'sample_prompt=it\'s "quoted"; rm -rf $HOME `x` \\ é',
    ]
    run = told_run(home, sentences, "cola", [], *settings, "seed=7", preset="balanced")
    info = replace(run.info(), model="my-judge", trackers=["tensorboard"])
    line = command(info, run.recipe(), run.base(), "sentences", Processes(per_host=2))
    words = shlex.split(line)
    assert words[:4] == ["bioforge", "train", "cola", "sentences"]
    option = dict(zip(words[4::2], words[5::2], strict=True))
    assert (
        option["--base"] == "/bases/tiny" and option["--name"] == "my-judge" and option["--processes"] == "2"
    )
    assert option["--tracker"] == "tensorboard"
    given = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    again = build_recipe("cola", "tiny", option["--preset"], given, int(option["--seed"]))
    assert again == run.recipe()
    assert len(given) == 4  # attention_dropout=none is the preset's own


def test_a_bases_own_learning_rate_is_no_change(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [])
    base = LocalBase("minilm-l6", Path("/bases/minilm-l6"), "package index")
    recipe = build_recipe("cola", "minilm-l6", "quick", [])
    assert recipe.learning_rate != recipes.preset("cola", "quick").learning_rate
    assert "--set" not in command(run.info(), recipe, base, "sentences", Processes())
    own = replace(base, source="folder: /bases/minilm-l6")
    assert changes(recipe, own) == {"learning_rate": recipes.preset("cola", "quick").learning_rate}
