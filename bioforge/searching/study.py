"""The trials of a search, kept by Optuna in a journal file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from bioforge.errors import UserError
from bioforge.searching.folder import SearchFolder
from bioforge.searching.space import Dimension

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

State = Literal["running", "finished", "pruned", "failed"]
_BEFORE_PRUNING = 4
"""Trials that run to their end, to have something to compare with."""
_WARM_UP = 2
"""No trial is stopped before this validation: judges often begin to learn late."""
_MESSAGE = "message"


@dataclass(frozen=True)
class Trial:
    number: int
    state: State
    value: float | None
    """Higher is better; of pruned trials the last that was reported."""
    settings: dict[str, str]
    """Of each field that is searched over, its value as `--set` takes it."""
    reported: int
    """Validations that were counted."""
    message: str
    """Why it failed, or was given up."""


class Study:
    """Only one process may write at a time; see `SearchFolder.alone`."""

    def __init__(self, folder: SearchFolder) -> None:
        """Raises UserError where the journal is damaged."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        asked = folder.asked()
        self._over: dict[str, Dimension] = {item.field: item for item in asked.over}
        self._seed = 0 if asked.seed is None else asked.seed
        pruner = optuna.pruners.MedianPruner(_BEFORE_PRUNING, _WARM_UP)
        try:
            # The usual lock is a symbolic link, which Windows keeps for administrators.
            lock = JournalFileOpenLock(str(folder.journal))
            storage = JournalStorage(JournalFileBackend(str(folder.journal), lock_obj=lock))
            # Who only looks writes nothing: after a line that was cut off, it would make both unreadable.
            known = asked.name in optuna.get_all_study_names(storage)
            make = optuna.load_study if known else partial(optuna.create_study, direction="maximize")
            self._study = make(study_name=asked.name, storage=storage, pruner=pruner)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"search '{folder.name}' is damaged: {folder.journal} cannot be read ({error}); "
                f"begin anew: bioforge search remove {folder.name}"
            ) from error

    def trials(self) -> list[Trial]:
        """All that were asked for whole, by number; one that was cut off while it was drawn never was a trial."""
        return [self._read(trial) for trial in self._frozen() if len(trial.params) == len(self._over)]

    def forget_cut_off(self) -> None:
        """Close trials whose recipe was being drawn when the process died."""
        for trial in self._frozen():
            if not trial.state.is_finished() and len(trial.params) < len(self._over):
                self._study.tell(trial.number, state=_states()["failed"])

    def best(self) -> Trial | None:
        """Of those that ran to their end."""
        finished = [trial for trial in self.trials() if trial.state == "finished" and trial.value is not None]
        return max(finished, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)

    def ask(self) -> Trial:
        """The next recipe to try."""
        import optuna

        number = len(self._frozen())
        # A search that was cut off must not draw the same recipes again, so each trial has a seed of its own;
        # scattered ones, as the first draws from seeds 0, 1 and 3 happen to be alike.
        seed = random.Random(f"bioforge-search-{self._seed}-{number}").getrandbits(32)
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        drawn = self._study.ask({name: _distribution(item) for name, item in self._over.items()})
        return self._read(self._frozen()[drawn.number])

    def report(self, number: int, validation: int, value: float) -> bool:
        """Tell what the `validation`-th (from 1) of a trial scored; returns whether to give the trial up."""
        import optuna

        trial = optuna.trial.Trial(self._study, self._frozen()[number]._trial_id)
        trial.report(value, validation)
        return trial.should_prune()

    def finish(self, number: int, value: float) -> None:
        self._study.tell(number, value)

    def give_up(self, number: int, message: str = "") -> None:
        """Count it as worse than those that ran to their end."""
        self._tell_why(number, message)
        self._study.tell(number, state=_states()["pruned"])

    def fail(self, number: int, message: str) -> None:
        self._tell_why(number, message)
        self._study.tell(number, state=_states()["failed"])

    def importance(self) -> dict[str, float]:
        """How much of the variance of the finished trials each field explains (fANOVA, Hutter et al. 2014).

        Empty where too few finished to say.
        """
        import optuna

        finished = [trial for trial in self.trials() if trial.state == "finished"]
        if len(finished) < 8 or len(self._over) < 2 or len({trial.value for trial in finished}) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def _tell_why(self, number: int, message: str) -> None:
        import optuna

        if message:
            optuna.trial.Trial(self._study, self._frozen()[number]._trial_id).set_user_attr(_MESSAGE, message)

    def _frozen(self) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _read(self, trial: optuna.trial.FrozenTrial) -> Trial:
        settings = {
            name: item.setting(trial.params[name]).partition("=")[2] for name, item in self._over.items()
        }
        return Trial(
            number=trial.number,
            state=next((name for name, state in _states().items() if state == trial.state), "running"),
            value=trial.value if trial.state.is_finished() else None,
            settings=settings,
            reported=len(trial.intermediate_values),
            message=str(trial.user_attrs.get(_MESSAGE, "")),
        )


def _states() -> dict[State, optuna.trial.TrialState]:
    from optuna.trial import TrialState

    return {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
