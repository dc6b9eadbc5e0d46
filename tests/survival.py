"""A training that is hurt and resumed, and what must be true of it afterwards."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioforge.files import visible_folders
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs.events import EventReader, Finished, Started
from bioforge.runs.folder import RunFolder
from bioforge.training import checkpoint
from tests.helpers import forty_bios, make_run, same_weights
from tests.workers import Server

RECIPE: dict[str, Any] = {
    "precision": "fp32", "patience": 0, "epochs": 3, "batch_size": 6, "learning_rate": 0.003, "max_length": 32,
    "checkpoint_minutes": 1e-6, "sample_every": 0,
}  # fmt: skip
"""A checkpoint after every step, and a new best at every validation."""
_SHARES = ("at any time", "checkpoints", "best", "publishing")


@dataclass(frozen=True)
class Unharmed:
    """A run that nothing happened to: what every other must come to."""

    run: RunFolder
    operations: dict[str, int]
    """How many file operations it did in each place."""

    @property
    def ending(self) -> Finished:
        return ending(self.run)


@dataclass(frozen=True)
class Kill:
    place: str
    moment: str
    step: int
    """The last step it told of."""
    resumed_from: int


def places(run: RunFolder) -> dict[str, str]:
    """What the paths of each kind of writing begin with."""
    return {
        "checkpoints": str(run.checkpoints),
        "best": str(run.path / ".staging-best"),
        "publishing": str(run.home.models),
    }


def twin(home: Home, base: Path, **changes: Any) -> RunFolder:
    return make_run(home, "bios", "djs", base, **{**RECIPE, **changes})


def unharmed_run(home: Home, base: Path, server: Server, **changes: Any) -> Unharmed:
    forty_bios(home)
    run = twin(home, base, **changes)
    count = home.root / "count"
    count.mkdir()
    assert server.start(run, counts_operations={**places(run), "count": str(count)}).wait() == 0
    return Unharmed(run, {path.name: path.stat().st_size for path in count.iterdir()})


def ending(run: RunFolder) -> Finished:
    last = run.history()[-1]
    assert isinstance(last, Finished), last
    return last


def check_same_end(run: RunFolder, unharmed: Unharmed) -> None:
    """The same weights bit for bit, published once, and nothing left lying about."""
    assert run.state().status == "finished"
    assert same_weights(run.best, unharmed.run.best)
    ours, theirs = ending(run), unharmed.ending
    assert (ours.step, ours.best_step, ours.metrics) == (theirs.step, theirs.best_step, theirs.metrics)
    made = [model for model in store.listing(run.home)[0] if model.run == run.name]
    assert [model.name for model in made] == [ours.model]
    assert (made[0].metrics, made[0].step) == (theirs.metrics, theirs.best_step)
    assert same_weights(store.folder(run.home, ours.model), unharmed.run.best)
    assert not run.checkpoints.exists()
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def check_what_is_left(run: RunFolder) -> None:
    """What a run whose worker died must hold at once: an honest state, whole checkpoints, readable events."""
    assert run.state().status == "interrupted"
    if not store.made_by(run.home, run.name):  # once its model is there, the checkpoints go
        whole, _ = checkpoint.newest(run.checkpoints)
        assert visible_folders(run.checkpoints)[-1:] == ([whole] if whole else [])
    reader = EventReader(run.events)
    reader.poll()
    assert reader.damaged == 0


def survive(server: Server, home: Home, base: Path, unharmed: Unharmed, kills: int, seed: int) -> list[Kill]:
    """Kill workers at `kills` moments drawn from `seed`, in each place in turn, and resume to the end."""
    draw = random.Random(seed)
    done: list[Kill] = []
    run = twin(home, base)
    while True:
        if len(done) == kills:
            assert server.start(run).wait() == 0
            check_same_end(run, unharmed)
            return done
        place = _SHARES[len(done) % len(_SHARES)]
        if place in unharmed.operations:
            operation = draw.randint(1, unharmed.operations[place])
            order = {"inside": places(run)[place], "number": operation}
            code = server.start(run, at_operation=order).wait()
            moment = f"at file operation {operation} of {unharmed.operations[place]}"
        else:
            seconds = draw.uniform(0, unharmed.ending.seconds)
            worker = server.start(run)
            time.sleep(seconds)
            worker.kill()
            code = worker.wait()
            moment = f"after {seconds:.2f} s of {unharmed.ending.seconds:.2f}"
        if code == -signal.SIGKILL and run.state().status != "finished":
            check_what_is_left(run)
            newest, _ = checkpoint.newest(run.checkpoints)
            resumed_from = checkpoint.read_progress(newest).step if newest else 0
            done.append(Kill(place, moment, run.state().step, resumed_from))
        else:
            # It came to its end before that moment; the next run meets it.
            check_same_end(run, unharmed)
            run = twin(home, base)


def resumed_steps(run: RunFolder) -> list[int]:
    """The step each session began from."""
    return [event.step for event in EventReader(run.events).poll() if isinstance(event, Started)]
