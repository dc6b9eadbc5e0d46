from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioforge.runs.control import ControlReader, send
from bioforge.runs.events import (
    TYPES,
    EventReader,
    EventWriter,
    Finished,
    Sample,
    Started,
    Step,
    Stopped,
    Validation,
    decode,
    encode,
    read_all,
)

number = st.floats(allow_nan=False)


def step(at: int, loss: float = 1.0) -> Step:
    return Step(
        step=at, epoch=0.5, loss=loss, learning_rate=1e-4, grad_norm=1.0, tokens_per_second=9.0,
        examples_per_second=3.0, eta_seconds=1.0, memory_bytes=5,
    )  # fmt: skip


def started(at: int = 0) -> Started:
    return Started(
        device="cpu", precision="fp32", processes=1, parameters=1, train_rows=1, validation_rows=1, truncated=0,
        max_length=8, steps=100, epochs=1, step=at, versions={},
    )  # fmt: skip


@given(st.text(), st.text(), number, st.booleans())
def test_every_event_survives_the_codec(prompt: str, text: str, loss: float, flag: bool) -> None:
    events = [
        Sample(step=3, prompt=prompt, text=text, ended=flag),
        Validation(
            step=3, epoch=loss, train_loss=loss, metrics={"loss": loss}, training_seconds=1.0,
            validation_seconds=2.0, best=flag,
        ),
    ]  # fmt: skip
    for event in events:
        line = encode(event)
        assert "\n" not in line
        assert decode(line) == event


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_lacks_survives_too(value: float) -> None:
    line = encode(step(1, value))
    assert "NaN" not in line and "Infinity" not in line
    event = decode(line)
    assert isinstance(event, Step)
    assert event.loss == value or (math.isnan(event.loss) and math.isnan(value))


@pytest.mark.parametrize(
    "line",
    [
        "", "[]", "{}", '{"event": "dance"}', '{"event": "step"}', "not json", '{"event": ["step"]}', "[" * 100_000,
        encode(step(1)).replace('"step": 1', '"step": "1"'),
        '{"event": "validation", "metrics": 3}',
    ],
    ids=range(10),
)  # fmt: skip
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_the_reader_waits_for_whole_lines_and_skips_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.poll() == []
    first, second = encode(step(1)), encode(step(2))
    path.write_text(first + "\n" + second[:20])
    assert [event.step for event in reader.poll() if isinstance(event, Step)] == [1]
    with path.open("a") as stream:
        stream.write(second[20:] + "\nrubbish\n" + encode(step(3)) + "\n")
    assert [event.step for event in reader.poll() if isinstance(event, Step)] == [2, 3]
    assert reader.damaged == 1


def test_a_writer_after_a_crash_does_not_glue_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(encode(step(1)) + "\n" + encode(step(2))[:30])
    EventWriter(path)(step(3))
    assert [event.step for event in EventReader(path).poll() if isinstance(event, Step)] == [1, 3]


def test_what_has_no_utf8_form_does_not_cost_the_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write = EventWriter(path)
    write(Sample(step=1, prompt="Born \udcff in", text="Born \udcff in Leeds", ended=True))
    write(step(2))
    sample, _ = EventReader(path).poll()
    assert isinstance(sample, Sample) and (sample.prompt, sample.text) == ("Born ? in", "Born ? in Leeds")


@pytest.mark.skipif(sys.platform == "win32", reason="a file's size can be limited on POSIX only")
def test_events_a_full_disk_refuses_wait_for_room(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "events.jsonl"
    write, reader = EventWriter(path), EventReader(path)
    write(step(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))
    try:
        write(step(2))
        write(step(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [event.step for event in reader.poll() if isinstance(event, Step)] == [1]
    write(step(4))
    assert [event.step for event in reader.poll() if isinstance(event, Step)] == [2, 3, 4]
    assert reader.damaged == 0


def test_a_reader_starts_anew_where_the_file_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write, reader = EventWriter(path), EventReader(path)
    for at in (1, 2, 3):
        write(step(at))
    assert len(reader.poll()) == 3
    path.write_bytes(b"")
    write(step(4))
    assert [event.step for event in reader.poll() if isinstance(event, Step)] == [4]


def test_a_resumed_run_takes_back_what_was_said_of_later_steps(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write = EventWriter(path)
    for event in (
        started(),
        step(1),
        step(2),
        step(3),
        Stopped(step=3, reason="x"),
        started(2),
        step(3, 7.0),
    ):
        write(event)
    steps = [event for event in read_all(path) if isinstance(event, Step)]
    assert [(event.step, event.loss) for event in steps] == [(1, 1.0), (2, 1.0), (3, 7.0)]
    assert not any(isinstance(event, Stopped) for event in read_all(path))


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    line = encode(Finished(step=1, best_step=1, metrics={}, model="m", seconds=1.0, reason="r"))
    assert isinstance(decode(line.replace('"step": 1', '"step": 1, "shiny": true')), Finished)


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len(TYPES) == 10


def test_each_request_is_given_once_and_never_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "control"
    reader = ControlReader(path)
    assert reader.poll() == []
    send(path, "sample", prompt="Born in")
    with path.open("a") as stream:
        stream.write('{"request": "st')
    assert reader.poll() == [{"request": "sample", "prompt": "Born in"}]
    with path.open("a") as stream:
        stream.write('op"}\nnonsense\n')
    assert reader.poll() == [{"request": "stop"}]
    assert reader.poll() == []
