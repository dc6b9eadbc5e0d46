"""Run folders: creating, finding, and telling a run's true state from what lies on disk."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from filelock import FileLock, Timeout

from bioforge import __version__
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, remove_folder, visible_folders, write_json
from bioforge.models.bases import LocalBase
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs import recipe as recipes
from bioforge.runs.events import (
    Event,
    Failed,
    Finished,
    Preparing,
    Started,
    Step,
    Stopped,
    Validation,
    decode,
    read_all,
)
from bioforge.runs.recipe import Recipe

Status = Literal["starting", "running", "finished", "stopped", "failed", "interrupted"]
TRIALS = "search:"
"""What the groups of a search's runs begin with; names that users give cannot."""
_ADJECTIVES = (
    "amber brisk calm clear dusky early fleet gentle hidden ivory jolly keen late mellow nimble olive plain quiet "
    "rapid silver tidy urban vivid warm young"
)
_ANIMALS = (
    "badger crane dolphin egret falcon gecko heron ibis jackal kestrel lark marten newt otter plover quail raven "
    "seal tern urchin vole wren yak zebra"
)
_EDGE = 1 << 16
"""Bytes read from either end of an events file: enough for any first and last events."""
_FAR = 1 << 24
"""Bytes in which the latest validation is looked for; so many steps without one are told as none."""
_BLOCK = 1 << 17
_VALIDATION, _STARTED = (f'{{"event": "{kind.kind}"'.encode() for kind in (Validation, Started))


@dataclass(frozen=True)
class RunInfo:
    """`run.json`: what was asked for besides recipe, data and base."""

    name: str
    task: Task
    created: str
    model: str
    replace: bool
    version: str
    trackers: list[str] = field(default_factory=list)
    """Who is told of its figures besides `events.jsonl`."""
    group: str = ""
    """Name that runs share which were asked for together; empty for a run by itself."""

    @property
    def is_trial(self) -> bool:
        """Whether it is one of a search."""
        return self.group.startswith(TRIALS)


@dataclass(frozen=True)
class RunState:
    status: Status
    step: int
    steps: int
    epoch: float
    metrics: dict[str, float]
    """Of the latest validation; of the kept checkpoint once finished."""
    message: str
    """Why it failed or stopped."""
    eta_seconds: float

    @property
    def at_work(self) -> bool:
        return self.status in ("starting", "running")


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def control(self) -> Path:
        return self.path / "control"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def launch(self) -> Path:
        return self.path / "launch.json"

    def info(self) -> RunInfo:
        return RunInfo(**self._json("run.json"))

    def recipe(self) -> Recipe:
        return recipes.from_json(self._json("recipe.json"))

    def data(self) -> dict[str, Any]:
        return self._json("data.json")

    def base(self) -> LocalBase:
        values = self._json("base.json")
        return LocalBase(**{**values, "folder": Path(values["folder"])})

    def teachers(self) -> dict[str, str]:
        """Names and fingerprints of the judges that the recipe names as teachers."""
        return self._json("teachers.json") if self.recipe().teachers else {}

    def unlabelled(self) -> dict[str, Any]:
        """The data set whose sentences only the teachers judge, as `data()`; empty where there is none."""
        return self._json("unlabelled.json") if self.recipe().unlabelled else {}

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = read_json(self.path / name)
        except (OSError, ValueError) as error:
            raise UserError(f"run '{self.name}' is damaged: {name} cannot be read ({error})") from error
        if not isinstance(value, dict):
            raise UserError(f"run '{self.name}' is damaged: {name} holds no record")
        return value

    def is_whole(self) -> bool:
        """Whether all that was asked for can still be read."""
        try:
            self.info(), self.recipe(), self.data()["name"], self.base()
        except (UserError, TypeError, KeyError):
            return False
        return True

    @property
    def home(self) -> Home:
        return Home(self.path.parent.parent)

    def launch_lock(self) -> FileLock:
        """Held while a worker is started, so that of two launches at once one sees the other."""
        return FileLock(self.path / "launch.lock", mode=0o644)

    def lock(self) -> FileLock:
        """Held by the worker for as long as it lives; the system drops it with the process."""
        return FileLock(self.path / "lock", mode=0o644)

    def is_alive(self) -> bool:
        """Whether a worker holds this run."""
        if not self.path.is_dir():
            # The lock would make the folder anew.
            return False
        lock = self.lock()
        try:
            # Another reader may be asking the same question this instant; a worker holds on for longer.
            lock.acquire(timeout=0.05, poll_interval=0.01)
        except Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

    def state(self) -> RunState:
        started, latest, validated, ending = self._told()
        status: Status
        if self.is_alive():
            status = "starting" if started is None else "running"
        elif self._is_launching():
            status = "starting"
        elif isinstance(ending, Finished):
            status = "finished"
        elif isinstance(ending, Stopped):
            status = "stopped"
        elif isinstance(ending, Failed):
            status = "failed"
        else:
            status = "interrupted"
        metrics = validated.metrics if validated else {}
        message = ""
        if isinstance(ending, Finished) and status == "finished":
            metrics = ending.metrics
        if isinstance(ending, Failed) and status == "failed":
            message = ending.message
        if isinstance(ending, Stopped) and status == "stopped":
            message = ending.reason
        return RunState(
            status=status,
            step=max(
                latest.step if latest else 0, getattr(ending, "step", 0), started.step if started else 0
            ),
            steps=started.steps if started else 0,
            epoch=latest.epoch if latest else 0.0,
            metrics=metrics,
            message=message,
            eta_seconds=latest.eta_seconds if latest and status == "running" else 0.0,
        )

    def is_active(self) -> bool:
        """Whether a worker has this run or is about to."""
        return self.is_alive() or self._is_launching()

    def ending(self) -> Event | None:
        """How the latest session ended; None where it did not say."""
        return self._told()[3]

    def _told(self) -> tuple[Started | None, Step | None, Validation | None, Event | None]:
        started, latest, validated, ending = _edges(self.events)
        # A worker that dies before its first word leaves the last word of the one before it.
        if not isinstance(ending, Finished) and self.is_silent():
            ending = None
        return started, latest, validated, ending

    def is_silent(self) -> bool:
        """Whether the worker launched last has said nothing yet."""
        return self._silent_process() is not None

    def _is_launching(self) -> bool:
        """Between its launch and its first word a worker is a process without the lock."""
        process = self._silent_process()
        return process is not None and _is_process(*process)

    def _silent_process(self) -> tuple[int, float] | None:
        """The worker launched last, by number and date, until its first word.

        That is told by the size of the events file: clocks are set back.
        """
        try:
            launch = read_json(self.launch)
            return (launch["pid"], launch["created"]) if self.said() == launch["said"] else None
        except (OSError, ValueError, KeyError):
            return None

    def said(self) -> int:
        """Bytes of events so far."""
        return self.events.stat().st_size if self.events.exists() else 0

    def history(self) -> list[Event]:
        return read_all(self.events)


def _is_process(pid: int, created: float) -> bool:
    """Whether that very process lives: process numbers are used again, and a dead child lingers as a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return bool(process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _edges(path: Path) -> tuple[Started | None, Step | None, Validation | None, Event | None]:
    """The latest start, step, validation and ending that hold, from as little of the file as will do."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(_EDGE)
            middle, is_all = _from_validation(stream, head.rfind(b"\n") + 1, size - _EDGE)
            stream.seek(max(0, size - _EDGE))
            tail = stream.read()
    except FileNotFoundError:
        return None, None, None, None
    started: Started | None = None
    latest: Step | None = None
    validated: Validation | None = None
    ending: Event | None = None
    for chunk in (head,) if size <= _EDGE else (head, middle, tail):
        if chunk is middle and not is_all:
            validated = None
        for line in chunk.split(b"\n"):
            try:
                event = decode(line.decode("utf-8"))
            except ValueError:
                continue
            if isinstance(event, Started):
                started, ending = event, None
                latest = latest if latest and latest.step <= event.step else None
                validated = validated if validated and validated.step <= event.step else None
            elif isinstance(event, Step):
                # The start of its session may lie between the two ends.
                latest, ending = event, None
            elif isinstance(event, Preparing):
                ending = None
            elif isinstance(event, Validation):
                validated = event
            elif isinstance(event, Finished | Stopped | Failed):
                ending = event
    return started, latest, validated, ending


def _from_validation(stream: BinaryIO, low: int, high: int) -> tuple[bytes, bool]:
    """Lines of starts and validations from the last validation on that begins between these bytes.

    And whether all was looked through for one.
    """
    end, least = high, max(low, high - _FAR)
    while high > least:
        start = max(least, high - _BLOCK)
        stream.seek(start)
        at = stream.read(high - start + len(_VALIDATION)).rfind(_VALIDATION)
        if at >= 0:
            stream.seek(start + at)
            return b"".join(_starts_and_validations(stream, end)), True
        high = start
    return b"", least == low


def _starts_and_validations(stream: BinaryIO, end: int) -> Iterator[bytes]:
    while stream.tell() < end:
        line = stream.readline()
        if line.startswith((_VALIDATION, _STARTED)):
            yield line


def create(
    home: Home,
    recipe: Recipe,
    data: DataInfo,
    base: LocalBase,
    *,
    model: str,
    replace: bool = False,
    teachers: Mapping[str, str] | None = None,
    unlabelled: DataInfo | None = None,
    trackers: Sequence[str] = (),
    group: str = "",
) -> RunFolder:
    """Write down all that decides a run, in a new folder; `teachers` are the recipe's, with fingerprints."""
    stamp = dt.datetime.now().strftime("%Y-%m-%d-%H%M")
    while True:
        name = f"{stamp}-{recipe.task}-{'-'.join(random.choice(words.split()) for words in (_ADJECTIVES, _ANIMALS))}"
        created = dt.datetime.now(dt.UTC).isoformat()
        info = RunInfo(name, recipe.task, created, model, replace, __version__, list(trackers), group)
        try:
            with new_folder(home.runs / name) as folder:
                write_json(folder / "run.json", asdict(info))
                write_json(folder / "recipe.json", asdict(recipe))
                write_json(folder / "data.json", data.pin)
                write_json(folder / "base.json", {**asdict(base), "folder": str(base.folder)})
                if teachers:
                    write_json(folder / "teachers.json", dict(teachers))
                if unlabelled:
                    write_json(folder / "unlabelled.json", unlabelled.pin)
            return RunFolder(home.runs / name)
        except FileExistsError:
            continue


def find(home: Home, name: str) -> RunFolder:
    """A run by its name, a unique part of it, or `last`.

    Raises UserError where none or several fit.
    """
    runs = listing(home)
    if name == "last" and runs:
        return runs[0]
    exact = [run for run in runs if run.name == name]
    close = exact or [run for run in runs if name in run.name]
    if len(close) == 1:
        return close[0]
    if close:
        raise UserError(f"'{name}' fits {len(close)} runs: {', '.join(run.name for run in close[:5])}")
    check_name(name, "run")
    known = f"; the newest is {runs[0].name}" if runs else "; start one: bioforge train --help"
    raise UserError(f"no run '{name}'{known}")


def listing(home: Home) -> list[RunFolder]:
    """All runs, newest first; folders that describe no run are passed over."""
    dated: list[tuple[str, RunFolder]] = []
    for path in visible_folders(home.runs):
        with contextlib.suppress(UserError, TypeError):
            dated.append((RunFolder(path).info().created, RunFolder(path)))
    return [run for _, run in sorted(dated, key=lambda item: item[0], reverse=True)]


def remove(run: RunFolder) -> None:
    """Raises UserError for a run that is still working."""
    if run.is_active():
        raise UserError(f"run '{run.name}' is running; stop it first: bioforge runs stop {run.name}")
    remove_folder(run.path)
