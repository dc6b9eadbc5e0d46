"""What a worker says: frozen events, one JSON object a line, the only channel to the outside."""

from __future__ import annotations

import contextlib
import json
import math
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from bioforge.runs.tail import Tail


@dataclass(frozen=True)
class Event:
    kind: ClassVar[str]
    time: float = field(default_factory=time.time, kw_only=True)
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Preparing(Event):
    """Before the first step: what is being loaded."""

    kind: ClassVar[str] = "preparing"
    stage: str


@dataclass(frozen=True)
class Started(Event):
    kind: ClassVar[str] = "started"
    device: str
    precision: str
    processes: int
    parameters: int
    train_rows: int
    validation_rows: int
    truncated: int
    """Training rows longer than `max_length`."""
    max_length: int
    steps: int
    epochs: int
    step: int
    """0, or the step a resumed run goes on from: what was said of later steps no longer holds."""
    versions: dict[str, str]
    trained: int = 0
    """Parameters that learn."""
    made_up: int = 0
    """Of the training rows: corruptions of the others."""


@dataclass(frozen=True)
class Step(Event):
    kind: ClassVar[str] = "step"
    step: int
    epoch: float
    """Epochs completed, with the fraction of the current one."""
    loss: float
    """Mean over the targets since the last step event."""
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    """Real tokens, padding not counted."""
    examples_per_second: float
    eta_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Sample(Event):
    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str
    ended: bool
    """Whether the text reached the end token, rather than the length limit."""


@dataclass(frozen=True)
class Validation(Event):
    kind: ClassVar[str] = "validation"
    step: int
    epoch: float
    train_loss: float
    """Mean over the batches since the epoch began."""
    metrics: dict[str, float]
    training_seconds: float
    """Since the epoch began, validation not counted."""
    validation_seconds: float
    best: bool


@dataclass(frozen=True)
class Checkpoint(Event):
    kind: ClassVar[str] = "checkpoint"
    step: int
    folder: str
    seconds: float


@dataclass(frozen=True)
class Warning(Event):
    kind: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True)
class Finished(Event):
    kind: ClassVar[str] = "finished"
    step: int
    best_step: int
    metrics: dict[str, float]
    model: str
    seconds: float
    reason: str
    """Why it ended: the last epoch, max_steps, or patience."""


@dataclass(frozen=True)
class Stopped(Event):
    kind: ClassVar[str] = "stopped"
    step: int
    reason: str


@dataclass(frozen=True)
class Failed(Event):
    kind: ClassVar[str] = "failed"
    step: int
    message: str
    fault: bool = False
    """Ours, rather than something the user can mend."""
    diverged: bool = False
    """The loss or the weights became no numbers."""


TYPES: dict[str, type[Event]] = {
    item.kind: item
    for item in (Preparing, Started, Step, Sample, Validation, Checkpoint, Warning, Finished, Stopped, Failed)
}
ENDINGS = (Finished, Stopped, Failed)
_FIELDS = {kind: {item.name: str(item.type) for item in fields(TYPES[kind])} for kind in TYPES}


def encode(event: Event) -> str:
    """One line of JSON; nan and infinities, which JSON lacks, become strings."""
    return json.dumps({"event": event.kind, **_plain(asdict(event))}, ensure_ascii=False, allow_nan=False)


def decode(line: str) -> Event:
    """Raises ValueError for a line that is no event."""
    try:
        values = json.loads(line)
        kind = TYPES[values.pop("event")]
        known = _FIELDS[kind.kind]
        return kind(**{name: _typed(known[name], value) for name, value in values.items() if name in known})
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an event: {line[:80]!r} ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _typed(kind: str, value: Any) -> Any:
    if kind == "float":
        return float(value)
    if kind == "dict[str, float]":
        return {key: float(item) for key, item in value.items()}
    if kind == "int":
        return operator.index(value)
    return value


Emit = Callable[[Event], None]


class EventWriter:
    """Appends events as whole lines; a line a crash cut short is closed first.

    What a full disk refuses waits here and is written before the next event: training goes on meanwhile.
    """

    def __init__(self, path: Path) -> None:
        cut = path.exists() and path.stat().st_size > 0 and not _ends_with_newline(path)
        self._stream = path.open("ab", buffering=0)
        self._waiting = b"\n" if cut else b""

    def __call__(self, event: Event) -> None:
        # What has no UTF-8 form, such as a file's name may have, must not cost the event.
        self._waiting += encode(event).encode(errors="replace") + b"\n"
        with contextlib.suppress(OSError):
            while self._waiting:
                self._waiting = self._waiting[self._stream.write(self._waiting) :]

    def close(self) -> None:
        self._stream.close()


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"


class EventReader:
    """Follows an events file: each `poll` gives the whole lines that came since; damaged ones are skipped."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self.damaged = 0

    def poll(self) -> list[Event]:
        return list(self._decoded(self._tail.poll()))

    def _decoded(self, lines: list[bytes]) -> Iterator[Event]:
        for line in lines:
            if line.strip():
                try:
                    yield decode(line.decode("utf-8"))
                except ValueError:
                    self.damaged += 1


def stream(path: Path) -> Iterator[Event]:
    """Every whole event of a file as it was said, one line in memory at a time; damaged ones are skipped."""
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    with lines:
        for line in lines:
            if line.endswith(b"\n"):
                with contextlib.suppress(ValueError):
                    yield decode(line.decode("utf-8"))


def read_all(path: Path) -> list[Event]:
    """Every event that still holds: a resumed run takes back what was said of later steps."""
    kept: list[Event] = []
    for event in EventReader(path).poll():
        if isinstance(event, Started):
            told = [old for old in kept if not isinstance(old, ENDINGS)]
            kept = [old for old in told if getattr(old, "step", -1) <= event.step] if event.step else []
        kept.append(event)
    return kept
