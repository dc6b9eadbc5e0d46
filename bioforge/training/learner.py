"""The model as it learns: one optimizer step at a time, in the memory there is, shared by all processes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType
from transformers import PreTrainedModel

from bioforge.errors import UserError
from bioforge.models.by_length import in_order_of_length
from bioforge.runs.events import Emit, Warning
from bioforge.training import checkpoint, device
from bioforge.training.averaging import Average
from bioforge.training.checkpoint import Progress
from bioforge.training.job import Job
from bioforge.training.memory import is_out_of_memory
from bioforge.training.objective import Example
from bioforge.training.optimizer import adamw
from bioforge.training.settling import settle
from bioforge.training.team import Shared, Team
from bioforge.training.treatments import trained

T = TypeVar("T")
DIVERGED = (
    "the last good checkpoint is kept, but from there the same would happen: "
    "start anew with a lower learning_rate"
)


class DivergedError(UserError):
    """The loss or the gradient is no number any more."""


class Learner:
    """Model, optimizer and average, on this process's device."""

    def __init__(self, job: Job, accelerator: Accelerator, progress: Progress, emit: Emit) -> None:
        self.job = job
        self.recipe = job.recipe
        self.accelerator = accelerator
        self.progress = progress
        self.emit = emit
        self.team = Team(accelerator.process_index, accelerator.num_processes)
        self.shards = accelerator.distributed_type == DistributedType.FSDP
        self.model: Any = job.model if self.shards else job.model.to(accelerator.device)
        settle(job, accelerator)
        self.learning = list(trained(job.model))
        self.compute, self.optimizer = accelerator.prepare(Shared(self.model), adamw(self.model, job.recipe))
        self.average = Average(self.model, job.recipe)
        self.memory_limit = device.memory_bytes("cpu") + device.memory_slack()

    def restore(self, saved: Path) -> None:
        """Take optimizer and random state from a checkpoint; its weights are the model's already."""
        checkpoint.load_optimizer(self.compute, self.optimizer.optimizer, saved)
        self.average.load(checkpoint.read_average(saved))
        before = checkpoint.processes_of(saved)
        if before == self.team.size:
            checkpoint.set_rng_state(checkpoint.read_rng(saved, self.team.rank))
        else:
            self.emit(
                Warning(
                    message=f"begun with {before}, goes on with {self.team.size} processes: dropout is drawn anew"
                )
            )

    def step(self, batches: list[list[Example]], rate: float) -> tuple[float, float]:
        """One optimizer step over `batches` at learning rate `rate`: the mean loss over all their targets, in
        nats, and the norm of its gradient before clipping.

        Raises DivergedError, with nothing learnt, where either is no number.
        """
        targets = sum(self.job.objective.targets(example) for batch in batches for example in batch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.in_memory(lambda: self._gradients(batches, targets), lambda: self._largest_pass(batches))
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm or math.inf)
        value, gradient = loss.item(), norm.item()
        if not math.isfinite(value) or not math.isfinite(gradient):
            rows = sorted({example.row for batch in batches for example in batch} - {0})
            raise DivergedError(
                f"at step {self.progress.step + 1} the loss is {value} and the gradient norm {gradient}; {DIVERGED}. "
                f"Rows of the data in that batch: {', '.join(map(str, rows))}"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.progress.step + 1)
        self._keep_memory_in_bounds()
        return value, gradient

    def _gradients(self, batches: list[list[Example]], targets: int) -> torch.Tensor:
        """Add up the gradients of the mean loss over `targets`; this process computes its share of each batch.

        Returns the loss of the whole step. Processes that run out of texts compute one for nothing: all must
        meet as often.
        """
        objective, device = self.job.objective, self.accelerator.device
        shares = [self._passes(rank, batches) for rank in range(self.team.size)]
        mine = shares[self.team.rank]
        loss = torch.zeros((), device=device)
        for turn in range(max(map(len, shares))):
            part, weight = (mine[turn], 1) if turn < len(mine) else (batches[0][:1], 0)
            last = turn == max(map(len, shares)) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.compute):
                # DDP averages over processes where a sum is wanted.
                loss_sum = self.compute(partial(objective.loss_sum, examples=part, device=device))
                mean = loss_sum * (weight / targets)
                self.accelerator.backward(mean * self.team.size)
            loss += mean.detach()
        return self.team.total(loss)

    def _passes(self, rank: int, batches: list[list[Example]]) -> list[list[Example]]:
        """The forward passes that fall to process `rank`."""
        shares = [self.team.shares(batch)[rank] for batch in batches]
        return [part for share in shares if share for part in self._parts(list(share))]

    def _parts(self, batch: list[Example]) -> list[list[Example]]:
        """`batch` itself, or pieces of like length where it is too much for one forward pass."""
        limit = self.tokens_per_pass()
        if self.job.objective.width(batch) * len(batch) <= limit:
            return [batch]
        widths = [self.job.objective.width([example]) for example in batch]
        return [[batch[index] for index in part] for part in in_order_of_length(widths, len(batch), limit)]

    def _largest_pass(self, examples: list[list[Example]]) -> int:
        """Tokens, padding counted, of the largest forward pass of several texts; 0 where there is none."""
        parts = [part for batch in examples for part in self._parts(batch) if len(part) > 1]
        return max((self.job.objective.width(part) * len(part) for part in parts), default=0)

    def tokens_per_pass(self) -> int:
        return (
            self.progress.tokens_per_pass
            or self.recipe.tokens_per_pass
            or device.tokens_per_pass(self.accelerator.device.type)
        )

    def in_memory(self, attempt: Callable[[], T], largest: Callable[[], int]) -> T:
        """`attempt`; where memory runs out, once more from its start with forward passes of half the size.

        `largest` gives the tokens of its largest pass of several texts, 0 where each text has its own.
        """
        while True:
            random = checkpoint.rng_state()
            try:
                return attempt()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.team.size > 1:
                    raise  # several processes would no longer meet as often
                tokens = largest()
                if not tokens:
                    raise UserError(
                        f"at step {self.progress.step + 1} memory is too small for a single text; end other "
                        "programs, lower max_length or choose a smaller base"
                    ) from error
            # Only here, with the error gone, is the memory of the failed pass free.
            self.optimizer.zero_grad(set_to_none=True)
            device.release_freed_memory()
            checkpoint.set_rng_state(random)
            self.progress.tokens_per_pass = tokens // 2
            self.emit(
                Warning(
                    message=f"out of memory at step {self.progress.step + 1}: from here a forward pass takes at most "
                    f"{tokens // 2:,} tokens instead of {tokens:,}; the batch of a step stays what it was"
                )
            )

    def _keep_memory_in_bounds(self) -> None:
        if self.accelerator.device.type == "cpu" and device.memory_bytes("cpu") > self.memory_limit:
            device.release_freed_memory()
            self.memory_limit = device.memory_bytes("cpu") + device.memory_slack()

    def look(self, task: Callable[[PreTrainedModel], T]) -> T:
        """Use the model as it would be kept; a model in shards is only whole where all processes look together."""
        with self.as_kept():
            found: T = self.compute(task) if self.shards else task(self.model)
        return found

    @contextlib.contextmanager
    def as_kept(self) -> Iterator[None]:
        """The model with the weights that would be kept; compiled code is for training steps only."""
        with self.average.in_place(), torch.compiler.set_stance("force_eager"):
            yield

    def weights(self) -> checkpoint.Tensors:
        """What learns; of a model in shards at the first process only."""
        if self.shards:
            state = self.accelerator.get_state_dict(self.compute)
            whole = {name.removeprefix("model."): value for name, value in state.items()}
            return {name: whole[name] for name in self.learning if name in whole}
        return {name: parameter.detach().contiguous() for name, parameter in trained(self.model).items()}

    def optimizer_state(self) -> checkpoint.Tensors:
        return checkpoint.optimizer_state(self.compute, self.optimizer.optimizer)
