"""The same training under several seeds: runs of one group, one after another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from filelock import FileLock, Timeout

from bioforge.errors import UserError
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs import folder
from bioforge.runs.events import Failed, Finished
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import Plan, plan_run, write_run


@dataclass(frozen=True)
class Turn:
    """One seed: a run that is there already, or the plan of one that is not."""

    seed: int
    run: RunFolder | None
    plan: Plan

    @property
    def is_over(self) -> bool:
        """Finished, or diverged, which it would again."""
        return self.run is not None and not self.run.is_active() and is_over(self.run)

    def begin(self, home: Home, group: str) -> RunFolder:
        return self.run or write_run(home, self.plan, group)


def is_over(run: RunFolder) -> bool:
    """Whether there is nothing to go on with."""
    ending = run.ending()
    return isinstance(ending, Finished) or (isinstance(ending, Failed) and ending.diverged)


def group_runs(home: Home, group: str) -> dict[int, RunFolder]:
    """The newest run of each seed, by seed; empty where there is no such group."""
    found = [run for run in folder.listing(home) if run.info().group == group]
    return dict(sorted((run.recipe().seed, run) for run in reversed(found)))


def groups(home: Home) -> list[str]:
    """Newest first."""
    found = (run.info() for run in folder.listing(home))
    return list(dict.fromkeys(info.group for info in found if info.group and not info.is_trial))


def turns(
    home: Home,
    group: str,
    count: int,
    task: Task,
    data: str,
    base: str | None = None,
    preset: str = "balanced",
    settings: list[str] | None = None,
    seed: int | None = None,
    replace_models: bool = False,
    trackers: Sequence[str] = (),
) -> list[Turn]:
    """`count` seeds from `seed`, or the recipe's own, upwards; models are called GROUP-SEED.

    Raises UserError, with nothing written, where one of the runs could not be made, or where the group's
    runs are of another recipe, base or data.
    """
    check_name(group, "model")
    first = plan_run(home, task, data, base, preset, settings, seed)
    known = group_runs(home, group)
    for run in known.values():
        _check_same(group, run, first)
    found = []
    for number in range(first.recipe.seed, first.recipe.seed + count):
        # A run that is there has its model's name already.
        model = None if number in known else f"{group}-{number}"
        plan = plan_run(home, task, data, base, preset, settings, number, model, replace_models, trackers)
        found.append(Turn(number, known.get(number), plan))
    return found


def _check_same(group: str, run: RunFolder, plan: Plan) -> None:
    here, wanted = asdict(replace(run.recipe(), seed=0)), asdict(replace(plan.recipe, seed=0))
    changed = [f"{key} {here[key]}, not {wanted[key]}" for key in wanted if here[key] != wanted[key]]
    if run.base().folder != plan.base.folder:
        changed.append(f"base {run.base().name}, not {plan.base.name}")
    if run.data()["fingerprint"] != plan.data.fingerprint:
        changed.append("other data")
    if changed:
        raise UserError(
            f"there are runs of '{group}' with another recipe ({'; '.join(changed)}); choose another --name"
        )


@contextlib.contextmanager
def alone(home: Home, group: str) -> Iterator[None]:
    """Hold the group, so that of two processes one makes its runs.

    Raises UserError where another process holds it.
    """
    home.runs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.runs / f".{group}.lock", mode=0o644)
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        raise UserError(
            f"another process is making the runs of '{group}'; see how far it is: bioforge runs seeds {group}"
        ) from None
    try:
        yield
    finally:
        lock.release()
