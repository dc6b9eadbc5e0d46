"""What a search found: its trials, the best of them, and the command that trains it again."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from bioforge.data.cola import OUT_OF_DOMAIN_DEV
from bioforge.evidence.facts import plain
from bioforge.evidence.measured import Figure, figures
from bioforge.models import store
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs.outcome import outcome_of
from bioforge.searching.conductor import runs_of
from bioforge.searching.folder import Asked, SearchFolder
from bioforge.searching.space import Dimension
from bioforge.searching.study import Study, Trial


@dataclass(frozen=True)
class Result:
    name: str
    task: Task
    over: list[Dimension]
    trials: list[Trial]
    runs: dict[int, str]
    """Of each trial."""
    best: Trial | None
    figures: list[Figure]
    """Of the best trial's model; its choice flatters the first, not an out-of-domain one."""
    importance: dict[str, float]
    model: str
    """In the store; called as the search is, once that is done."""
    command: str
    """Trains the best recipe again; empty while no trial is finished."""

    @property
    def fields(self) -> list[str]:
        """What was searched over."""
        return [item.field for item in self.over]

    @property
    def metric(self) -> str:
        return "MCC" if self.task == "cola" else "loss"

    def shown(self, value: float | None) -> str:
        """A trial's value as people know it: the loss of writers is not negative."""
        return "–" if value is None else f"{value if self.task == 'cola' else -value:.3f}"

    def state(self, trial: Trial) -> str:
        """As people know it; one that was halted goes on with the search."""
        return {"pruned": "given up", "running": "not finished"}.get(trial.state, trial.state)

    @property
    def sentences(self) -> list[str]:
        if self.best is None:
            return ["No trial ran to its end, so there is nothing to recommend."]
        over = sum(trial.state != "running" for trial in self.trials)
        said = [
            f"Best of {over} is trial {self.best.number}: validation {self.metric} {self.shown(self.best.value)}. "
            "Chosen as the best on these very rows, that flatters."
        ]
        if self.task == "cola" and (self.best.value or 0) <= 0:
            said.append("No trial learnt anything: an MCC of 0 is what calling everything the same has.")
        unseen = [figure for figure in self.figures if figure.split == OUT_OF_DOMAIN_DEV]
        said += [
            f"Out of domain, which decided nothing: {item.metric} {item.value:.3f} (95 %: {item.interval}) "
            f"on {item.examples:,} sentences."
            for item in unseen
        ]
        return said

    def as_json(self) -> dict[str, Any]:
        whole: dict[str, Any] = plain(asdict(self))
        return {**whole, "sentences": self.sentences}


def result_of(home: Home, search: SearchFolder) -> Result:
    asked, study = search.asked(), Study(search)
    runs, best = runs_of(home, search), study.best()
    outcome = outcome_of(runs[best.number]) if best and best.number in runs else None
    model = store.made_by(home, runs[best.number].name) if best and best.number in runs else None
    return Result(
        name=search.name,
        task=asked.task,
        over=asked.over,
        trials=study.trials(),
        runs={number: run.name for number, run in sorted(runs.items())},
        best=best,
        figures=figures(outcome) if outcome else [],
        importance=study.importance(),
        model=model.name if model else "",
        command=command(asked, best) if best else "",
    )


def command(asked: Asked, trial: Trial) -> str:
    """For a shell, whatever names and values hold."""
    searched = [f"{key}={value}" for key, value in trial.settings.items()]
    earlier = [item for item in asked.settings if item.partition("=")[0].strip() not in trial.settings]
    settings = [word for item in (*earlier, *searched) for word in ("--set", item)]
    seed = [] if asked.seed is None else ["--seed", str(asked.seed)]
    start = ["bioforge", "train", asked.task, asked.data, "--base", asked.base, "--preset", asked.preset]
    return shlex.join([*start, *settings, *seed])
