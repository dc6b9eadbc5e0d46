"""The worker: `python -m bioforge.training.worker RUN_DIR` does one run and speaks through its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from filelock import Timeout

from bioforge.errors import ExitCode, UserError
from bioforge.files import recover, remove_folder, remove_unfinished
from bioforge.models import store
from bioforge.models.store import ModelInfo
from bioforge.runs.control import ControlReader
from bioforge.runs.events import (
    Emit,
    Event,
    EventWriter,
    Failed,
    Finished,
    Preparing,
    Started,
    Stopped,
    Warning,
)
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import keep_lengths
from bioforge.training.memory import is_out_of_memory

_LOCK_WAIT_S = 5
_kept: list[object] = []
"""Taking a process group down can hang: Python waits for gloo's threads, and they for Python's lock."""
_OUT_OF_MEMORY = (
    "out of memory; end other programs and resume, or start anew with a lower max_length or tokens_per_pass, "
    "or a smaller base"
)


class _StopFlag:
    """Set by SIGINT and SIGTERM; the loop looks at it between steps."""

    def __init__(self) -> None:
        self.is_set = False
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._set)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _set(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_set = True

    def __call__(self) -> bool:
        return self.is_set


class _AskedToStopError(Exception):
    """A request to stop came before there was anything to save."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "run.json").is_file():
        sys.stderr.write("usage: python -m bioforge.training.worker RUN_DIR\n")
        return ExitCode.USAGE
    run = RunFolder(Path(arguments[0]).absolute())
    stop = _StopFlag()
    if _rank() > 0:
        # The first process speaks for all; torchrun ends the others with it.
        return _attempt(run, _say_nothing, stop)
    lock = run.lock()
    try:
        lock.acquire(timeout=_LOCK_WAIT_S)
    except Timeout:
        sys.stderr.write(f"run '{run.name}' is already running\n")
        return ExitCode.USAGE
    if isinstance(run.ending(), Finished):
        sys.stderr.write(f"run '{run.name}' is finished\n")
        return ExitCode.USAGE
    emit = EventWriter(run.events)
    try:
        return _attempt(run, emit, stop)
    finally:
        emit.close()
        lock.release()


def _rank() -> int:
    """This process's number where several do one run, as torchrun tells it."""
    return int(os.environ.get("RANK", "0"))


def _say_nothing(_event: Event) -> None:
    pass


def _attempt(run: RunFolder, emit: Emit, stop: _StopFlag) -> int:
    try:
        return _work(run, emit, stop)
    except Exception as error:
        failed = _failure(run, error)
        emit(failed)
        if _rank() > 0:
            sys.stderr.write(failed.message + "\n")
        return ExitCode.FAULT if failed.fault else ExitCode.USAGE


def _lost_a_process(error: Exception) -> bool:
    """Whether torch.distributed gave up on another process of this run: gloo by its message, NCCL by its type."""
    return "by peer" in str(error) or type(error).__name__ in ("DistBackendError", "DistNetworkError")


def _failure(run: RunFolder, error: Exception) -> Failed:
    """What to say of `error`; what a user cannot read is kept in the log."""
    step = run.state().step
    if isinstance(error, UserError):
        diverged = type(error).__name__ == "DivergedError"  # importing it would load torch
        return Failed(step=step, message=str(error), diverged=diverged)
    with contextlib.suppress(OSError):  # the log lies on the disk that is full
        traceback.print_exception(error)
    if is_out_of_memory(error):
        return Failed(step=step, message=_OUT_OF_MEMORY)
    if isinstance(error, OSError):
        return Failed(step=step, message=f"cannot write or read: {error}; make room, then resume")
    if _lost_a_process(error):
        message = f"another process of this run ended (details in {run.log}); resume to go on"
        return Failed(step=step, message=message)
    said = str(error).splitlines()[0] if str(error) else "no message"
    return Failed(step=step, message=f"{type(error).__name__}: {said} (details in {run.log})", fault=True)


def _work(run: RunFolder, emit: Emit, stop: _StopFlag) -> int:
    began, first = time.monotonic(), _rank() == 0
    published = store.made_by(run.home, run.name)
    if published:
        # Publishing is what ends a run; the worker died, or its word was lost, after that.
        if first:
            _finish(
                run, emit, published, run.state().step, published.seconds, "published before it could say so"
            )
        return ExitCode.OK
    if first:
        recover(run.best)
        remove_unfinished(run.path, run.best.name)
        remove_unfinished(run.checkpoints)
    emit(Preparing(stage="loading torch"))
    # Loading by the first process alone loses track of a new head's weights (accelerate 1.15).
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    import torch
    from accelerate import Accelerator, DistributedDataParallelKwargs

    from bioforge.training import checkpoint, device
    from bioforge.training.checkpoint import Progress
    from bioforge.training.job import prepare, versions
    from bioforge.training.loop import Loop, total_steps
    from bioforge.training.publish import publish
    from bioforge.training.trackers import Trackers
    from bioforge.training.treatments import trained

    emit(Preparing(stage="loading data and base"))
    newest, damaged = checkpoint.newest(run.checkpoints)
    for folder in damaged:
        emit(Warning(message=f"checkpoint {folder.name} is damaged and passed over"))
    progress = checkpoint.read_progress(newest) if newest else Progress()

    def say(stage: str) -> None:
        emit(Preparing(stage=stage))
        if stop() or any(asked.get("request") == "stop" for asked in ControlReader(run.control).poll()):
            raise _AskedToStopError

    try:
        job = prepare(run, newest, say)
    except _AskedToStopError:
        _stopped(run, emit, progress.step, "asked to stop")
        # torchrun then ends the processes that nobody asked.
        return ExitCode.OK if first else ExitCode.INTERRUPTED
    if first:
        keep_lengths(run, job.train.lengths.tolist(), job.max_length, job.train.truncated)
    where = device.choose()
    precision = device.precision(job.recipe.precision, where)
    accelerator = Accelerator(
        cpu=where == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    trackers = Trackers(run, run.info().trackers if first else [], progress.step, emit)
    loop = Loop(job, accelerator, progress, trackers, ControlReader(run.control), stop)
    _kept.append(loop)
    torch.manual_seed(job.recipe.seed + progress.step + loop.learner.team.rank)
    if newest:
        loop.learner.restore(newest)
    emit(
        Started(
            device=device.name(where),
            precision=precision,
            processes=accelerator.num_processes,
            parameters=sum(parameter.numel() for parameter in job.model.parameters()),
            train_rows=len(job.train.examples),
            validation_rows=len(job.validation.examples),
            truncated=job.train.truncated,
            max_length=job.max_length,
            steps=total_steps(job),
            epochs=job.recipe.epochs,
            step=progress.step,
            versions=versions(),
            trained=sum(parameter.numel() for parameter in trained(job.model).values()),
            made_up=len(job.train.examples) - job.learnt_from,
        )
    )
    for message in job.warnings:
        emit(Warning(message=message))
    with trackers:
        outcome = loop.run()
    if not first:
        return ExitCode.OK
    if outcome.stopped:
        _stopped(run, emit, progress.step, outcome.reason)
        return ExitCode.OK
    emit(Preparing(stage="saving the model"))
    where_whole = torch.device("cpu") if loop.learner.shards else accelerator.device
    model = publish(job, progress, where_whole)
    if model.task == "cola" and not run.info().is_trial:
        _export(run, emit, model)
    seconds = loop.seconds_before + time.monotonic() - began
    _finish(run, emit, model, progress.step, seconds, outcome.reason)
    return ExitCode.OK


def _export(run: RunFolder, emit: Emit, model: ModelInfo) -> None:
    """Make the judge's quick form; it is published already, and without one only slower to start."""
    emit(Preparing(stage="getting the judge ready for quick answers"))
    try:
        from bioforge.judging.exporting import export_judge

        problem = export_judge(store.folder(run.home, model.name)).problem
    except Exception as error:
        problem = str(error) or type(error).__name__
    if problem:
        emit(
            Warning(message=f"`check` will start slowly with this judge, it could not be exported: {problem}")
        )


def _stopped(run: RunFolder, emit: Emit, step: int, reason: str) -> None:
    emit(Stopped(step=step, reason=reason))
    if _rank() == 0:
        # Heard and done: a worker started by hand must not meet the same request again.
        run.control.write_text("", encoding="utf-8")


def _finish(run: RunFolder, emit: Emit, model: ModelInfo, step: int, seconds: float, reason: str) -> None:
    try:
        remove_folder(run.checkpoints)
    except OSError as error:
        emit(Warning(message=f"the checkpoints, of no more use, could not be removed: {error}"))
    emit(
        Finished(
            step=max(step, model.step),
            best_step=model.step,
            metrics=model.metrics,
            model=model.name,
            seconds=seconds,
            reason=reason,
        )
    )


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # see _kept
