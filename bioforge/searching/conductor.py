"""Conducting a search: each trial a run of its own, judged while it learns, tidied away when it is over.

The journal says how each trial ended, a trial's run folder how far it is; nothing else is kept. So a search
whose conductor died, at whatever moment, is taken up by looking at both.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bioforge.errors import UserError
from bioforge.files import remove_folder
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs import control, folder
from bioforge.runs.events import Failed, Finished, Stopped, Validation
from bioforge.runs.folder import RunFolder
from bioforge.runs.follow import Follower, Snapshot
from bioforge.runs.launch import launch
from bioforge.runs.start import new_run
from bioforge.searching.folder import SearchFolder
from bioforge.searching.study import Study, Trial

_POLL_S = 0.3
_MOST_FAILURES = 3
"""In a row, with one message or before any trial ran to its end: something else is wrong than their recipes."""

What = Literal["begins", "goes on", "validation", "given up", "finished", "failed", "halted"]


@dataclass(frozen=True)
class News:
    """What happened to a trial."""

    what: What
    trial: int
    run: str = ""
    settings: dict[str, str] | None = None
    validation: int = 0
    value: float | None = None
    message: str = ""


@dataclass
class _Live:
    """A trial whose run is at work, or was a moment ago."""

    number: int
    run: RunFolder
    follower: Follower
    reported: int
    process: subprocess.Popen[bytes] | None = None
    is_over: bool = False
    """It was given up, which its worker may not know yet."""


def score(event: Validation) -> float:
    """Higher is better: MCC for judges, minus the loss for writers; never the out-of-domain rows."""
    return event.metrics["mcc"] if "mcc" in event.metrics else -event.metrics["loss"]


def final_score(validations: Sequence[Validation], keep: str) -> float | None:
    """Of the checkpoint that is kept; None where no validation after the first step gave it a number."""
    scores = [score(event) for event in validations if event.step > 0]
    numbers = [value for value in (scores[-1:] if keep == "last" else scores) if math.isfinite(value)]
    return max(numbers, default=None)


class Conductor:
    """Makes trials until there are `trials` of them, `jobs` at once."""

    def __init__(
        self, home: Home, search: SearchFolder, trials: int, jobs: int, tell: Callable[[News], None]
    ) -> None:
        self._home = home
        self._search = search
        self._asked = search.asked()
        self._wanted = trials
        self._jobs = jobs
        self._tell = tell
        self._live: list[_Live] = []
        self._failures: list[str] = []
        """Messages of the latest trials, as far as they failed."""
        self._trouble = ""
        self._cut_off: set[int] = set()
        """Trials whose worker died without a word, once."""
        search.mend_journal()
        self.study = Study(search)
        self.runs = runs_of(home, search)

    def conduct(self, asked_to_halt: Callable[[], bool]) -> bool:
        """Returns whether all trials are made; halted, it has saved and stopped those at work.

        Raises UserError where trial after trial fails.
        """
        self.study.forget_cut_off()
        self._tidy_what_is_over()
        halting = False
        waiting = [trial for trial in self.study.trials() if trial.state == "running"]
        # Those whose worker outlived the conductor are looked after whatever `jobs` is.
        for trial in waiting:
            run = self.runs.get(trial.number)
            if run and run.is_active():
                self._take_up(trial, run)
        waiting = [trial for trial in waiting if trial.number not in {live.number for live in self._live}]
        while True:
            for live in list(self._live):
                self._look_after(live, halting)
            if not halting and (self._trouble or asked_to_halt()):
                halting = True
                for live in self._live:
                    control.send(live.run.control, "stop")
            if not halting:
                self._fill(waiting)
            if not self._live:
                break
            time.sleep(_POLL_S)
        if self._trouble:
            raise UserError(
                f"{_MOST_FAILURES} trials failed one after another: {self._trouble}; mend that and run the same command again"
            )
        if halting:
            return False
        self._name_the_best()
        return True

    def _fill(self, waiting: list[Trial]) -> None:
        while len(self._live) < self._jobs and not self._trouble:
            if waiting:
                trial = waiting.pop(0)
            elif len(self.study.trials()) < self._wanted:
                trial = self.study.ask()
            else:
                return
            self._start(trial)

    def _start(self, trial: Trial) -> None:
        asked, number = self._asked, trial.number
        known = self.runs.get(number)
        settings = [*asked.settings, *(f"{key}={value}" for key, value in trial.settings.items())]
        try:
            run = known or new_run(
                self._home,
                asked.task,
                asked.data,
                asked.base,
                asked.preset,
                settings,
                asked.seed,
                model_of(self._search, number),
                group=self._search.group,
            )
            self.runs[number] = run
            begun = known is not None and known.said() > 0
            process = None if run.state().status == "finished" else launch(run, at_once=self._jobs)
        except UserError as error:
            self._fail(number, str(error))
            return
        self._live.append(_Live(number, run, Follower(run), trial.reported, process))
        self._tell(News("goes on" if begun else "begins", number, run.name, trial.settings))

    def _take_up(self, trial: Trial, run: RunFolder) -> None:
        self._live.append(_Live(trial.number, run, Follower(run), trial.reported))
        self._tell(News("goes on", trial.number, run.name, trial.settings))

    def _look_after(self, live: _Live, halting: bool) -> None:
        snapshot = live.follower.poll()
        if not live.is_over:
            self._report(live, snapshot)
        if live.process:
            live.process.poll()  # so that it does not stay a zombie of ours
        if snapshot.state.at_work:
            return
        self._live.remove(live)
        if live.is_over:
            _tidy(live.run)
            # It may have come to its end before it heard.
            self._keep_only_the_best()
        else:
            self._conclude(live, snapshot, halting)

    def _report(self, live: _Live, snapshot: Snapshot) -> None:
        """Tell the study each validation once, by its number; steps of different batch sizes do not compare."""
        after = [event for event in snapshot.validations if event.step > 0]
        for event in after[live.reported :]:
            live.reported += 1
            poor = self.study.report(live.number, live.reported, score(event))
            self._tell(
                News("validation", live.number, live.run.name, validation=live.reported, value=score(event))
            )
            if poor and snapshot.state.at_work:
                # The journal first: a run that stops for no reason would be gone on with.
                live.is_over = True
                self._failures.clear()
                self.study.give_up(live.number)
                control.send(live.run.control, "stop")
                self._tell(
                    News("given up", live.number, live.run.name, validation=live.reported, value=score(event))
                )
                return

    def _conclude(self, live: _Live, snapshot: Snapshot, halting: bool) -> None:
        ending = snapshot.ending
        value = final_score(snapshot.validations, live.run.recipe().keep)
        if isinstance(ending, Finished) and value is not None:
            self.study.finish(live.number, value)
            self._failures.clear()
            _tidy(live.run)
            self._keep_only_the_best()
            self._tell(News("finished", live.number, live.run.name, value=value))
        elif halting:
            self._tell(News("halted", live.number, live.run.name))
        elif isinstance(ending, Stopped):
            self.study.give_up(live.number, "stopped by hand")
            _tidy(live.run)
            self._tell(News("given up", live.number, live.run.name, message="stopped by hand"))
        elif isinstance(ending, Failed) and ending.diverged:
            self._failures.clear()
            self.study.give_up(live.number, f"diverged at step {ending.step}")
            _tidy(live.run)
            self._tell(
                News("given up", live.number, live.run.name, message=f"diverged at step {ending.step}")
            )
        elif snapshot.state.status == "interrupted" and live.number not in self._cut_off:
            # Killed from outside, or by a machine out of memory: from its checkpoint it may come through.
            self._cut_off.add(live.number)
            self._start(next(trial for trial in self.study.trials() if trial.number == live.number))
        else:
            message = (
                ending.message if isinstance(ending, Failed) else "no validation gave its model a number"
            )
            self._fail(live.number, message)
            _tidy(live.run)

    def _fail(self, number: int, message: str) -> None:
        self.study.fail(number, message)
        self._failures.append(message)
        latest = self._failures[-_MOST_FAILURES:]
        if len(latest) == _MOST_FAILURES and (len(set(latest)) == 1 or self.study.best() is None):
            self._trouble = message
        run = self.runs.get(number)
        self._tell(News("failed", number, run.name if run else "", message=message))

    def _tidy_what_is_over(self) -> None:
        """What a conductor that died had no time for: workers of trials given up, and what they left on disk."""
        at_work = {trial.number for trial in self.study.trials() if trial.state == "running"}
        over = [run for number, run in self.runs.items() if number not in at_work]
        for run in over:
            if run.is_active():
                control.send(run.control, "stop")
        for run in over:
            while run.is_active():
                time.sleep(_POLL_S)
            _tidy(run)
        self._keep_only_the_best()

    def _keep_only_the_best(self) -> None:
        """The model that the search found before stays under its name until there is a better one to take it."""
        best = self.study.best()
        at_work = {trial.number for trial in self.study.trials() if trial.state == "running"}
        for number, name in trial_models(self._home, self._search).items():
            if number not in at_work and (best is None or number != best.number):
                store.remove(self._home, name)

    def _name_the_best(self) -> None:
        best = self.study.best()
        name = trial_models(self._home, self._search).get(best.number) if best else None
        if name:
            store.rename(self._home, name, self._asked.name, replace=self._found_before())

    def _found_before(self) -> bool:
        """Whether the model that is called as the search is comes from one of its trials."""
        if not (self._home.models / self._asked.name).exists():
            return False
        made_by = store.info(self._home, self._asked.name).run
        return made_by in {run.name for run in self.runs.values()}


def runs_of(home: Home, search: SearchFolder) -> dict[int, RunFolder]:
    """The run of each trial that has one."""
    prefix = model_of(search, "")
    found = ((run, run.info()) for run in folder.listing(home))
    return {int(info.model.removeprefix(prefix)): run for run, info in found if info.group == search.group}


def trial_models(home: Home, search: SearchFolder) -> dict[int, str]:
    """The models that are called after their trials still; one that was copied or renamed is its user's."""
    names = ((number, model_of(search, number)) for number in runs_of(home, search))
    return {number: name for number, name in names if (home.models / name).exists()}


def remove(home: Home, search: SearchFolder) -> None:
    """With the runs of its trials, and models that are called after those; one called as the search is stays.

    Raises UserError while it is conducted, or while one of its runs is at work.
    """
    with search.alone():
        runs = runs_of(home, search).values()
        for run in runs:
            if run.is_active():
                raise UserError(f"run '{run.name}' is running; stop it first: bioforge runs stop {run.name}")
        for name in trial_models(home, search).values():
            store.remove(home, name)
        for run in runs:
            folder.remove(run)
    remove_folder(search.path)


def model_of(search: SearchFolder, number: int | str) -> str:
    """What a trial's model is called until it is known to be the best."""
    return f"{search.name}-trial-{number}"


def _tidy(run: RunFolder) -> None:
    """Events, recipe and outcome stay."""
    remove_folder(run.checkpoints)
    remove_folder(run.best)
