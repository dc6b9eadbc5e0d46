"""Watching a run from the command line, and what Ctrl-C means meanwhile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bioforge.cli.console import note, stdout
from bioforge.errors import ExitCode, FaultError, UserError

if TYPE_CHECKING:
    from bioforge.reporting.live import View
    from bioforge.runs.events import Event
    from bioforge.runs.folder import RunFolder


def watch(run: RunFolder, *, as_json: bool, stop_on_interrupt: bool) -> int:
    """Follow a run to its end and return the exit code.

    With `stop_on_interrupt`, the first Ctrl-C asks the run to save and stop, the second leaves it to that.
    Without, Ctrl-C only ends the watching.

    Raises UserError where the run failed for a reason a user can mend, FaultError where the fault is ours.
    """
    from bioforge.reporting.live import follow
    from bioforge.runs import control
    from bioforge.runs.events import Failed, Finished

    asked = False

    def interrupted() -> bool:
        nonlocal asked
        if asked or not stop_on_interrupt:
            return False
        asked = True
        control.send(run.control, "stop")
        note("saving before it stops … (Ctrl-C again leaves it to that)")
        return True

    try:
        last: Event = follow(run, _view(as_json), interrupted)
    except KeyboardInterrupt:
        if asked:
            note(f"it stops by itself; see: bioforge runs show {run.name}")
        else:
            note(f"still running; watch it again: bioforge runs watch {run.name}")
        return ExitCode.INTERRUPTED
    if isinstance(last, Failed):
        message = f"run '{run.name}' failed at step {last.step:,}: {last.message}"
        raise FaultError(message) if last.fault else UserError(message)
    if isinstance(last, Finished):
        if not as_json:
            _close(run)
            note(f"the model is '{last.model}'; use it: {_use(run, last.model)}")
            note(f"the run on one page: bioforge runs report {run.name}")
        return ExitCode.OK
    note(f"stopped; go on with: bioforge runs resume {run.name}")
    return ExitCode.INTERRUPTED


def _close(run: RunFolder) -> None:
    from bioforge.reporting.live import closing

    closing(run, stdout())


def _use(run: RunFolder, model: str) -> str:
    if run.info().task == "bios":
        return f"bioforge generate --model {model} --n 3"
    return f'bioforge check --model {model} "They drank the pub dry."'


def _view(as_json: bool) -> View:
    from bioforge.reporting.live import JsonView, LineView, LiveView

    def write(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    if as_json:
        return JsonView(write)
    if sys.stdout.isatty():
        return LiveView(stdout())
    return LineView(write)
