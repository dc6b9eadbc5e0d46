"""The training loop, top to bottom.

Every random draw comes from torch's seeded state or from a pure function of the seed, and everything the
next step depends on is in the checkpoint: a run that was killed and resumed ends in the same weights as
one that was not. Validation, samples, saving and watching leave that state untouched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from accelerate import Accelerator

from bioforge.drafting.prompts import check_unicode
from bioforge.errors import UserError
from bioforge.files import new_folder
from bioforge.generation.writer import Sampling, generate
from bioforge.models.by_length import in_order_of_length
from bioforge.runs.control import ControlReader
from bioforge.runs.events import Checkpoint, Emit, Sample, Step, Validation, Warning
from bioforge.training import checkpoint, device
from bioforge.training.checkpoint import Progress
from bioforge.training.job import Job
from bioforge.training.learner import DIVERGED, DivergedError, Learner
from bioforge.training.memory import is_out_of_memory
from bioforge.training.optimizer import learning_rate
from bioforge.training.plan import Batch, steps_between_validations, steps_of_epoch, steps_per_epoch
from bioforge.training.validation import MAX_TOKENS, score, validate, widths_of

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `stopped` at the user's request, or for good."""

    stopped: bool
    reason: str


def total_steps(job: Job) -> int:
    recipe = job.recipe
    steps = recipe.epochs * steps_per_epoch(len(job.train.examples), recipe.batch_size, recipe.accumulate)
    return min(steps, recipe.max_steps) if recipe.max_steps else steps


class Loop:
    """One training session. `run` goes from the resume cursor to the end, or to a request to stop."""

    def __init__(
        self,
        job: Job,
        accelerator: Accelerator,
        progress: Progress,
        emit: Emit,
        control: ControlReader,
        stop_signalled: Callable[[], bool],
    ) -> None:
        self.job = job
        self.recipe = job.recipe
        self.accelerator = accelerator
        self.progress = progress
        self.emit = emit
        self.control = control
        self.stop_signalled = stop_signalled
        self.total = total_steps(job)
        self.per_epoch = steps_per_epoch(
            len(job.train.examples), job.recipe.batch_size, job.recipe.accumulate
        )
        self.learner = Learner(job, accelerator, progress, emit)
        self.team = self.learner.team
        self.began = time.monotonic()
        self.seconds_before = progress.seconds
        self.last_saved = time.monotonic()
        self.save_due = False
        self.pace = _Pace()

    def run(self) -> Outcome:
        progress = self.progress
        self.learner.model.train()
        if self._handle_requests():
            return self._stop()
        if progress.step == 0 and self.recipe.validate_first:
            self._validate_base()
        while progress.step < self.total:
            if self._handle_requests():
                return self._stop()
            if self._out_of_patience():
                return self._give_up()
            for step in self._remaining_steps():
                self._train_step(step)
                validated = self._due_for_validation()
                if validated:
                    self._validate()
                if self._due_for_sample(validated):
                    self._sample(self.recipe.sample_prompt)
                if progress.step_in_epoch == self.per_epoch:
                    self._next_epoch()
                if self._out_of_patience():
                    return self._give_up()
                if self._handle_requests():
                    return self._stop()
                if progress.step >= self.total:
                    break
                if validated or self.save_due:
                    self._save()
        self._conclude()
        at_limit = self.recipe.max_steps and self.total == self.recipe.max_steps
        return Outcome(False, "max_steps" if at_limit else "last epoch")

    def _stop(self) -> Outcome:
        self._save()
        return Outcome(True, "asked to stop")

    def _give_up(self) -> Outcome:
        self._conclude()
        return Outcome(False, f"no better validation in {self.progress.validations_without_best}")

    def _remaining_steps(self) -> Iterator[list[Batch]]:
        """What is left of the current epoch; the cursor may stand in its middle."""
        recipe, progress = self.recipe, self.progress
        steps = steps_of_epoch(
            recipe.seed,
            progress.epoch,
            self.job.train.lengths,
            recipe.batch_size,
            recipe.accumulate,
            bucketing=recipe.bucketing,
        )
        yield from steps[progress.step_in_epoch :]

    def _train_step(self, batches: list[Batch]) -> None:
        """One optimizer step over `batches`, averaged over all their targets."""
        job, progress, recipe = self.job, self.progress, self.recipe
        started = time.monotonic()
        examples = [[job.train.examples[index] for index in batch] for batch in batches]
        rate = learning_rate(recipe, progress.step, self.total)
        value, gradient = self.learner.step(examples, rate)
        progress.step += 1
        progress.step_in_epoch += 1
        progress.epoch_loss += value
        seconds = time.monotonic() - started
        progress.epoch_seconds += seconds
        self.pace.add(
            value, sum(len(e.ids) for batch in examples for e in batch), sum(map(len, examples)), seconds
        )
        if progress.step % recipe.log_every == 0 or progress.step == self.total:
            self._report_step(rate, gradient)

    def _report_step(self, rate: float, gradient: float) -> None:
        pace, progress = self.pace, self.progress
        seconds = max(pace.seconds, 1e-9)
        self.emit(
            Step(
                step=progress.step,
                epoch=self._epochs_done(),
                loss=pace.loss / pace.steps,
                learning_rate=rate,
                grad_norm=gradient,
                tokens_per_second=pace.tokens / seconds,
                examples_per_second=pace.examples / seconds,
                eta_seconds=pace.remaining(self.total - progress.step, self._validations_left()),
                memory_bytes=device.memory_bytes(self.accelerator.device.type),
            )
        )
        pace.reset()

    def _epochs_done(self) -> float:
        return self.progress.epoch + self.progress.step_in_epoch / self.per_epoch

    def _validation_steps(self) -> set[int]:
        """Steps within an epoch after which to validate, the last one always among them."""
        parts = min(self.recipe.validations_per_epoch, self.per_epoch)
        return {round(self.per_epoch * part / parts) for part in range(1, parts + 1)}

    def _due_for_validation(self) -> bool:
        progress, every = self.progress, self.recipe.validate_every
        if progress.step >= self.total:
            return True
        if every:
            return progress.step % every == 0
        return progress.step_in_epoch in self._validation_steps()

    def _due_for_sample(self, validated: bool) -> bool:
        recipe = self.recipe
        if not recipe.sample_every:
            return False
        return self.progress.step % recipe.sample_every == 0 or (validated and recipe.sample_at_validation)

    def _validations_left(self) -> float:
        recipe = self.recipe
        every = steps_between_validations(recipe.validate_every, self.per_epoch, recipe.validations_per_epoch)
        return (self.total - self.progress.step) / every

    def _measure(self) -> tuple[dict[str, float], list[float], float]:
        """Metrics, what is found of each of the validation rows, and the seconds that took."""
        started = time.monotonic()
        metrics, of_rows = self.learner.in_memory(
            lambda: self._validated(2 * self._validation_tokens()),
            self._largest_validation_pass,
        )
        self.pace.validation_seconds = time.monotonic() - started
        return metrics, of_rows, self.pace.validation_seconds

    def _validation_tokens(self) -> int:
        """Half of what a pass of the validation may take: without gradients it needs half the memory."""
        return min(MAX_TOKENS // 2, self.learner.tokens_per_pass())

    def _largest_validation_pass(self) -> int:
        """As the learner's largest pass, in tokens of a training pass: half of what it holds."""
        widths = widths_of(self.job.objective, self.job.validation)
        passes = in_order_of_length(widths, self.recipe.batch_size * 2, 2 * self._validation_tokens())
        return max((widths[part[0]] * len(part) // 2 for part in passes if len(part) > 1), default=0)

    def _validated(self, max_tokens: int) -> tuple[dict[str, float], list[float]]:
        job, batch_size = self.job, self.recipe.batch_size * 2
        with self.accelerator.autocast():
            return self.learner.look(
                lambda model: validate(
                    model, job.objective, job.validation, batch_size, max_tokens, self.team
                )
            )

    def _validate_base(self) -> None:
        """What the base scores before any training: the figure every later one is compared with."""
        metrics, _, seconds = self._measure()
        self.emit(
            Validation(
                step=0,
                epoch=0.0,
                train_loss=math.nan,
                metrics=metrics,
                training_seconds=0.0,
                validation_seconds=seconds,
                best=False,
            )
        )

    def _validate(self) -> None:
        progress = self.progress
        metrics, of_rows, seconds = self._measure()
        if not math.isfinite(metrics["loss"]):
            raise DivergedError(
                f"at step {progress.step} the validation loss is {metrics['loss']}; {DIVERGED}"
            )
        value = score(metrics)
        best = progress.best_score is None or value > progress.best_score
        if best:
            progress.best_score, progress.best_step = value, progress.step
            progress.validations_without_best = 0
        elif not (self.recipe.task == "cola" and progress.best_score == 0):
            # A judge that still calls everything acceptable has not begun to learn; that is no reason to stop.
            progress.validations_without_best += 1
        self.emit(
            Validation(
                step=progress.step,
                epoch=self._epochs_done(),
                train_loss=progress.epoch_loss / progress.step_in_epoch,
                metrics=metrics,
                training_seconds=progress.epoch_seconds,
                validation_seconds=seconds,
                best=best,
            )
        )
        if self.recipe.task == "cola" and len({probability >= 0.5 for probability in of_rows}) == 1:
            said = "acceptable" if of_rows[0] >= 0.5 else "unacceptable"
            self.emit(
                Warning(message=f"at step {progress.step} the judge calls every validation sentence {said}")
            )
        if best and self.recipe.keep == "best":
            self._save_best()

    def _save_best(self) -> None:
        with self.learner.as_kept():
            state = self.learner.weights() if self.learner.shards else None
            if self.team.rank == 0:
                with checkpoint.disk_errors(), new_folder(self.job.run.best, replace=True) as folder:
                    self.job.save_model(folder, state)

    def _conclude(self) -> None:
        """Keep the last weights where they are wanted, and where it stands: publishing may be cut off too."""
        if self.recipe.keep == "last":
            self._save_best()
            self.progress.best_step = self.progress.step
        self._save()

    def _out_of_patience(self) -> bool:
        return 0 < self.recipe.patience <= self.progress.validations_without_best

    def _next_epoch(self) -> None:
        progress = self.progress
        progress.epoch += 1
        progress.step_in_epoch = 0
        progress.epoch_loss = 0.0
        progress.epoch_seconds = 0.0

    def _sample(self, prompt: str, *, asked: bool = False) -> None:
        """Write a sample. Whatever is wrong with one that was `asked` for costs that sample only."""
        recipe, progress, tokenizer = self.recipe, self.progress, self.job.tokenizer
        if recipe.task != "bios":
            return
        seed = recipe.seed + progress.step
        first = None
        if recipe.sample_start == "random_token" and not prompt:
            draw = torch.Generator().manual_seed(seed)
            first = int(torch.randint(1, min(30_000, len(tokenizer)), (1,), generator=draw))
        sampling = Sampling(recipe.sample_tokens, recipe.top_k, recipe.top_p, recipe.temperature)
        if self.team.rank > 0 and not self.learner.shards:
            return
        write = partial(
            generate, tokenizer=tokenizer, prompt=prompt, n=1, sampling=sampling, seed=seed, first=first
        )
        try:
            check_unicode(prompt, "the prompt")
            (text,) = self.learner.look(write)
        except Exception as error:
            # One process of several that goes on where the others broke would wait for them for ever.
            alone = self.team.size == 1 and (asked or is_out_of_memory(error))
            if not isinstance(error, UserError) and not alone:
                raise
            self.emit(Warning(message=f"no sample: {error}"))
            return
        self.emit(Sample(step=progress.step, prompt=prompt, text=text.text, ended=text.ended))

    def _handle_requests(self) -> bool:
        """Do what the control file asks and see whether it is time to save; True where somebody asks to stop.

        The first process reads the file and the clock; a signal may reach any of them.
        """
        minutes = self.recipe.checkpoint_minutes
        overdue = bool(minutes) and time.monotonic() - self.last_saved > minutes * 60
        requests = self.control.poll() if self.team.rank == 0 else []
        words = self.team.tell((requests, overdue, self.stop_signalled()))
        requests, self.save_due, _ = words[0]
        stop = any(signalled for _, _, signalled in words)
        for request in requests:
            if request.get("request") == "stop":
                stop = True
            elif request.get("request") == "save":
                self._save()
            elif request.get("request") == "sample":
                self._sample(str(request.get("prompt", "")), asked=True)
        return stop

    def _save(self) -> None:
        """Write a checkpoint; a disk that refuses costs this checkpoint, not the run.

        Raises DivergedError, with nothing written, where the weights are no numbers any more.
        """
        progress = self.progress
        weights = self.learner.weights()
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            raise DivergedError(f"at step {progress.step} there are weights that are no numbers; {DIVERGED}")
        progress.seconds = self.seconds_before + time.monotonic() - self.began
        started = time.monotonic()
        rng = self.team.tell(checkpoint.rng_state())
        optimizer = self.learner.optimizer_state()
        self.last_saved = time.monotonic()
        if self.team.rank > 0:
            return
        try:
            folder = checkpoint.save(
                self.job.run.checkpoints,
                weights,
                self.job.fixed,
                optimizer,
                self.learner.average.averages,
                progress,
                rng,
            )
        except OSError as error:
            self.emit(
                Warning(
                    message=f"no checkpoint at step {progress.step}: {error.strerror or error}; older ones are kept"
                )
            )
        else:
            self.emit(Checkpoint(step=progress.step, folder=folder.name, seconds=time.monotonic() - started))
        self.last_saved = time.monotonic()


class _Pace:
    """Loss and speed since the last report, and how long is left."""

    def __init__(self) -> None:
        self.validation_seconds = 0.0
        self._recent: list[float] = []
        self.reset()

    def reset(self) -> None:
        self.steps, self.tokens, self.examples = 0, 0, 0
        self.loss, self.seconds = 0.0, 0.0

    def add(self, loss: float, tokens: int, examples: int, seconds: float) -> None:
        self.steps += 1
        self.loss += loss
        self.tokens += tokens
        self.examples += examples
        self.seconds += seconds
        self._recent = [*self._recent[-99:], seconds]

    def remaining(self, steps: int, validations: float) -> float:
        """Seconds left, from the mean of the last hundred steps and the last validation."""
        return steps * sum(self._recent) / len(self._recent) + validations * self.validation_seconds
