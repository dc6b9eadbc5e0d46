"""The worker: `python -m bioforge.training.worker RUN_DIR` does one run and speaks through its folder."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from filelock import Timeout

from bioforge.errors import ExitCode, UserError
from bioforge.files import remove_folder
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

_LOCK_WAIT_S = 5
_kept: list[object] = []
"""Taking a process group down can hang: Python waits for gloo's threads, and they for Python's lock."""


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
    if int(os.environ.get("RANK", "0")) > 0:
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


def _say_nothing(_event: Event) -> None:
    pass


def _attempt(run: RunFolder, emit: Emit, stop: _StopFlag) -> int:
    try:
        return _work(run, emit, stop)
    except UserError as error:
        emit(Failed(step=run.state().step, message=str(error)))
        return ExitCode.USAGE
    except OSError as error:
        traceback.print_exc()
        emit(Failed(step=run.state().step, message=f"cannot write or read: {error}; make room, then resume"))
        return ExitCode.USAGE
    except MemoryError:
        emit(Failed(step=run.state().step, message=_out_of_memory()))
        return ExitCode.USAGE
    except Exception as error:
        traceback.print_exc()
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
        if "out of memory" in message or "can't allocate memory" in message:
            emit(Failed(step=run.state().step, message=_out_of_memory()))
            return ExitCode.USAGE
        if _lost_a_process(error):
            emit(
                Failed(
                    step=run.state().step,
                    message=f"another process of this run ended (details in {run.log}); resume to go on",
                )
            )
            return ExitCode.USAGE
        emit(Failed(step=run.state().step, message=f"{message} (details in {run.log})", fault=True))
        return ExitCode.FAULT


def _lost_a_process(error: Exception) -> bool:
    """Whether torch.distributed gave up on another process of this run: gloo by its message, NCCL by its type."""
    return "by peer" in str(error) or type(error).__name__ in ("DistBackendError", "DistNetworkError")


def _out_of_memory() -> str:
    return "out of memory; halve batch_size and double accumulate (the result stays the same), or lower max_length"


def _work(run: RunFolder, emit: Emit, stop: _StopFlag) -> int:
    began = time.monotonic()
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
        emit(Stopped(step=progress.step, reason="asked to stop"))
        return ExitCode.OK
    where = device.choose()
    precision = device.precision(job.recipe.precision, where)
    accelerator = Accelerator(
        cpu=where == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )
    loop = Loop(job, accelerator, progress, emit, ControlReader(run.control), stop)
    _kept.append(loop)
    torch.manual_seed(job.recipe.seed + progress.step + loop.team.rank)
    if newest:
        loop.restore(newest)
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
        )
    )
    outcome = loop.run()
    if loop.team.rank > 0:
        return ExitCode.OK
    if outcome.stopped:
        emit(Stopped(step=progress.step, reason=outcome.reason))
        return ExitCode.OK
    emit(Preparing(stage="saving the model"))
    model, metrics = publish(job, progress, accelerator.device)
    seconds = loop.seconds_before + time.monotonic() - began
    emit(
        Finished(
            step=progress.step,
            best_step=progress.best_step,
            metrics=metrics,
            model=model,
            seconds=seconds,
            reason=outcome.reason,
        )
    )
    remove_folder(run.checkpoints)
    return ExitCode.OK


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # see _kept
