"""A run as a picture of one moment: bounded, true to the events, and cheap for runs at rest."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioforge.data.store import DataInfo
from bioforge.files import write_json
from bioforge.paths import Home
from bioforge.reporting.live import follow
from bioforge.runs.events import (
    ENDINGS,
    Checkpoint,
    Event,
    EventWriter,
    Failed,
    Finished,
    Preparing,
    Sample,
    Step,
    Stopped,
    Validation,
    Warning,
    encode,
    read_all,
)
from bioforge.runs.folder import _EDGE, RunFolder, remove
from bioforge.runs.follow import Board, Follower
from bioforge.runs.series import Series
from tests.helpers import make_run
from tests.test_events import started, step

FINISHED = Finished(step=9, best_step=3, metrics={"loss": 1.0}, model="m", seconds=1.0, reason="last epoch")


@pytest.fixture
def run(home: Home, djs: DataInfo, tiny_gpt2: Path) -> RunFolder:
    return make_run(home, "bios", "djs", tiny_gpt2)


def validation(at: int, *, best: bool = False) -> Validation:
    return Validation(
        step=at, epoch=0.1 * at, train_loss=2.0, metrics={"loss": 3.0}, training_seconds=1.0,
        validation_seconds=1.0, best=best,
    )  # fmt: skip


def sample(at: int) -> Sample:
    return Sample(step=at, prompt="", text=f"text of step {at}", ended=True)


# Series


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400),
    st.integers(1, 40),
)
def test_a_series_is_bounded_and_made_of_the_means_of_its_neighbours(values: list[float], limit: int) -> None:
    series = Series(limit)
    for at, value in enumerate(values, 1):
        series.add(at, value)
    width = 1
    while math.ceil(len(values) / width) > limit:
        width *= 2
    chunks = [values[at : at + width] for at in range(0, len(values), width)]
    points = series.points()
    assert len(points) == len(chunks) <= limit
    assert [y for _, y in points] == pytest.approx([math.fsum(chunk) / len(chunk) for chunk in chunks])
    whole = math.fsum(y * len(chunk) for (_, y), chunk in zip(points, chunks, strict=True))
    assert whole / len(values) == pytest.approx(math.fsum(values) / len(values), abs=1e-6)
    steps = [x for x, _ in points]
    assert steps == sorted(set(steps)) and steps[0] >= 1 and steps[-1] <= len(values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_told_and_not_drawn(value: float) -> None:
    series = Series()
    series.add(1, 2.0)
    assert series.not_finite is None
    series.add(2, value)
    series.add(3, 4.0)
    assert series.not_finite == 2
    assert series.points() == [(1, 2.0), (3, 4.0)]
    series.rewind(1)
    assert series.not_finite is None
    assert series.points() == [(1, 2.0)]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(2, 40))
def test_a_series_taken_back_goes_on_in_order(length: int, back_to: int, limit: int) -> None:
    series = Series(limit)
    for at in range(1, length + 1):
        series.add(at, at)
    series.rewind(back_to)
    assert all(x <= back_to for x, _ in series.points())
    for at in range(back_to + 1, back_to + 400):
        series.add(at, at)
    steps = [x for x, _ in series.points()]
    assert steps == sorted(set(steps)) and len(steps) <= limit


# Follower


def test_every_kind_of_event_is_in_the_picture(run: RunFolder) -> None:
    write = EventWriter(run.events)
    follower = Follower(run)
    with run.lock():
        write(Preparing(stage="loading the base"))
        snapshot = follower.poll()
        assert (snapshot.stage, snapshot.state.status, snapshot.started) == (
            "loading the base",
            "starting",
            None,
        )
        checkpoint = Checkpoint(step=2, folder="step-2", seconds=0.1)
        warning = Warning(message="no sample: [/x]")
        events = [started(), step(1, 4.0), step(2, math.nan), validation(2, best=True), sample(2)]
        for event in (*events, checkpoint, warning):
            write(event)
        snapshot = follower.poll()
        assert snapshot.stage == "" and snapshot.started == events[0]
        assert snapshot.latest and snapshot.latest.step == 2
        assert snapshot.losses == ((1, 4.0),) and snapshot.not_finite == 2
        assert snapshot.validations == (events[3],) and snapshot.samples == (events[4],)
        assert snapshot.saved == checkpoint and snapshot.warnings == (warning.message,)
        assert snapshot.ending is None
        write(FINISHED)
        # Until the worker lets go of the run it is not over.
        assert follower.poll().ending is None
    snapshot = follower.poll()
    assert snapshot.ending == FINISHED and snapshot.state.status == "finished"


@pytest.mark.parametrize(
    "ending", [FINISHED, Stopped(step=2, reason="asked to stop"), Failed(step=2, message="[/red] no room")]
)
def test_an_ending_is_told_as_the_worker_said_it(run: RunFolder, ending: Event) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), step(2), ending):
        write(event)
    assert Follower(run).poll().ending == ending


def test_a_resumed_run_takes_back_what_was_said_of_later_steps(run: RunFolder) -> None:
    write = EventWriter(run.events)
    follower = Follower(run)
    first: list[Event] = [started()]
    for at in range(1, 11):
        first += [step(at, float(at)), validation(at), sample(at)]
    for event in (*first, Stopped(step=10, reason="asked to stop")):
        write(event)
    assert follower.poll().state.status == "stopped"
    write(started(6))
    snapshot = follower.poll()
    assert [item.step for item in snapshot.validations] == [1, 2, 3, 4, 5, 6]
    assert [item.step for item in snapshot.samples] == [1, 2, 3, 4, 5, 6]
    assert [x for x, _ in snapshot.losses] == [1, 2, 3, 4, 5, 6]
    assert snapshot.latest is None
    assert snapshot.state.step == 6
    write(step(7, 70.0))
    snapshot = follower.poll()
    assert snapshot.losses[-2:] == ((6, 6.0), (7, 70.0))
    assert snapshot.latest and snapshot.latest.step == snapshot.state.step == 7


def test_a_run_begun_again_from_nothing_shows_nothing_of_before(run: RunFolder) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), validation(1), sample(1), Failed(step=1, message="no"), started()):
        write(event)
    snapshot = Follower(run).poll()
    assert (snapshot.losses, snapshot.validations, snapshot.samples) == ((), (), ())


session = st.tuples(st.integers(0, 30), st.integers(0, 20), st.sampled_from(["none", "stopped", "failed"]))


@given(st.lists(session, min_size=1, max_size=4), st.integers(1, 50))
def test_the_picture_agrees_with_the_history_however_it_is_read(
    sessions: list[tuple[int, int, str]], polled_every: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        run = RunFolder(Path(name))
        write = EventWriter(run.events)
        follower = Follower(run)
        told = 0
        for start, length, end in sessions:
            events: list[Event] = [started(start)]
            for at in range(start + 1, start + length + 1):
                events += [step(at, at * 1.0), *([validation(at), sample(at)] if at % 3 == 0 else [])]
            if end != "none":
                last = start + length
                events.append(Stopped(last, "asked") if end == "stopped" else Failed(last, "broke"))
            for event in events:
                write(event)
                told += 1
                if told % polled_every == 0:
                    follower.poll()
        write.close()
        snapshot = follower.poll()
        history = read_all(run.events)
        assert list(snapshot.validations) == [item for item in history if isinstance(item, Validation)]
        assert list(snapshot.samples) == [item for item in history if isinstance(item, Sample)]
        steps = [item for item in history if isinstance(item, Step)]
        assert list(snapshot.losses) == [(item.step, item.loss) for item in steps]
        if isinstance(history[-1], ENDINGS):
            assert snapshot.ending == history[-1]
        else:
            assert isinstance(snapshot.ending, Failed) and "without a word" in snapshot.ending.message


def test_a_worker_that_vanished_leaves_a_message_that_names_its_log(run: RunFolder) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), step(2)):
        write(event)
    snapshot = Follower(run).poll()
    assert snapshot.state.status == "interrupted"
    assert isinstance(snapshot.ending, Failed) and snapshot.ending.step == 2
    assert str(run.log) in snapshot.ending.message


def test_a_killed_session_is_not_mistaken_for_the_stopped_one_before_it(run: RunFolder) -> None:
    write = EventWriter(run.events)
    stopped = Stopped(step=1, reason="asked to stop")
    write(started())
    write(step(1))
    # A run's state is read from the two ends of its events: here the second start lies just between them.
    room = _EDGE - run.events.stat().st_size - len(encode(stopped)) - len(encode(Warning(message=""))) - 100
    write(Warning(message="w" * room))
    write(stopped)
    write(started(1))
    for at in range(2, 1500):
        write(step(at))
    assert run.state().status == "interrupted"
    assert isinstance(Follower(run).poll().ending, Failed)


def launched_and_killed(run: RunFolder) -> None:
    write_json(run.launch, {"pid": os.getpid(), "created": 1.0, "said": run.said(), "command": []})


@pytest.mark.parametrize("words", [[], [Preparing(stage="loading torch")]], ids=["silent", "preparing"])
@pytest.mark.parametrize(
    "before",
    [Stopped(step=2, reason="asked to stop"), Failed(step=2, message="no room")],
    ids=lambda e: e.kind,
)
def test_a_worker_killed_before_its_first_step_is_not_told_by_the_ending_before_it(
    run: RunFolder, before: Event, words: list[Event]
) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), step(2), before):
        write(event)
    follower = Follower(run)
    assert follower.poll().ending == before
    launched_and_killed(run)
    for event in words:
        write(event)
    assert run.state().status == "interrupted" and run.ending() is None
    for snapshot in (follower.poll(), Follower(run).poll()):
        assert isinstance(snapshot.ending, Failed) and "without a word" in snapshot.ending.message
    shown: list[Event] = []
    last = follow(run, Shown(shown))
    assert isinstance(last, Failed) and "without a word" in last.message and shown[-1] == last


def test_a_finished_run_stays_finished_though_a_worker_was_started_for_it(run: RunFolder) -> None:
    write = EventWriter(run.events)
    write(started())
    write(FINISHED)
    launched_and_killed(run)
    assert run.state().status == "finished" and Follower(run).poll().ending == FINISHED == run.ending()


class Shown:
    """A view that keeps what it is shown."""

    def __init__(self, events: list[Event]) -> None:
        self.show = events.append

    def close(self) -> None:
        pass


def test_two_hundred_thousand_events_make_a_small_picture(run: RunFolder) -> None:
    line = encode(step(0, 0.5))
    lines = [encode(started())]
    lines += [line.replace('"step": 0', f'"step": {at}') for at in range(1, 200_001)]
    run.events.write_text("\n".join(lines) + "\n", encoding="utf-8")
    follower = Follower(run)
    snapshot = follower.poll()
    assert 100 <= len(snapshot.losses) <= 240
    assert snapshot.latest and snapshot.latest.step == 200_000 == snapshot.state.step
    xs = [x for x, _ in snapshot.losses]
    assert xs == sorted(xs) and xs[0] < 2000 and xs[-1] > 198_000
    write = EventWriter(run.events)
    write(step(200_001))
    began = time.perf_counter()
    assert follower.poll().latest != snapshot.latest
    assert time.perf_counter() - began < 1, "what was read once is read again"


def test_samples_and_warnings_do_not_pile_up(run: RunFolder) -> None:
    write = EventWriter(run.events)
    write(started())
    for at in range(500):
        write(sample(at))
        write(Warning(message=f"warning {at}"))
    snapshot = Follower(run).poll()
    assert len(snapshot.samples) <= 100 and snapshot.samples[-1].step == 499
    assert len(snapshot.warnings) <= 100 and snapshot.warnings[-1] == "warning 499"


def test_looking_at_a_run_that_was_removed_leaves_nothing_behind(home: Home, run: RunFolder) -> None:
    EventWriter(run.events)(started())
    follower = Follower(run)
    assert follower.poll().started
    remove(run)
    follower.poll()
    run.is_active()
    assert list(home.runs.iterdir()) == []


# Board


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose state was asked for."""
    names: list[str] = []
    state = RunFolder.state

    def counted(run: RunFolder) -> object:
        names.append(run.name)
        return state(run)

    monkeypatch.setattr(RunFolder, "state", counted)
    return names


def _touch_later(path: Path) -> None:
    date = path.stat().st_mtime + 2
    os.utime(path, (date, date))


def test_a_new_run_appears_and_a_removed_one_disappears(home: Home, run: RunFolder, tiny_gpt2: Path) -> None:
    board = Board(home)
    assert [line.run for line in board.poll()] == [run]
    other = make_run(home, "bios", "djs", tiny_gpt2)
    lines = board.poll()
    assert [line.run for line in lines] == [other, run]
    assert (lines[0].data, lines[0].base, lines[0].task) == ("djs", "tiny-gpt2", "bios")
    remove(run)
    assert [line.run for line in board.poll()] == [other]


def test_a_run_at_rest_is_read_once_and_again_when_something_happened(
    home: Home, run: RunFolder, asked: list[str]
) -> None:
    write = EventWriter(run.events)
    for event in (started(), step(1), Stopped(step=1, reason="asked to stop")):
        write(event)
    board = Board(home)
    assert [line.state.status for line in board.poll()] == ["stopped"]
    board.poll()
    board.poll()
    assert asked == [run.name]
    write(started(1))
    write(FINISHED)
    _touch_later(run.events)
    assert [line.state.status for line in board.poll()] == ["finished"]
    board.poll()
    assert len(asked) == 2


def test_an_active_run_is_asked_each_time_until_it_dies(home: Home, run: RunFolder, asked: list[str]) -> None:
    EventWriter(run.events)(started())
    board = Board(home)
    with run.lock():
        for _ in range(3):
            assert [line.state.status for line in board.poll()] == ["running"]
    assert len(asked) == 3
    # Its death leaves no trace in its files.
    assert [line.state.status for line in board.poll()] == ["interrupted"]
    board.poll()
    assert len(asked) == 4


def break_json(path: Path) -> None:
    path.write_text("{", encoding="utf-8")


def remove_file(path: Path) -> None:
    path.unlink()


def another_json(path: Path) -> None:
    path.write_text("[1]", encoding="utf-8")


def empty_json(path: Path) -> None:
    path.write_text("{}", encoding="utf-8")


@pytest.mark.parametrize("damage", [break_json, remove_file, another_json, empty_json])
@pytest.mark.parametrize("name", ["run.json", "recipe.json", "data.json", "base.json"])
def test_a_damaged_run_is_left_out_and_the_others_stay(
    home: Home, run: RunFolder, tiny_gpt2: Path, name: str, damage: Callable[[Path], None]
) -> None:
    other = make_run(home, "bios", "djs", tiny_gpt2)
    damage(other.path / name)
    assert [line.run for line in Board(home).poll()] == [run]
