"""What the child process does for a training to come, and tells of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bioforge.errors import UserError
from bioforge.models.bases import check_family, resolve
from bioforge.models.catalog import Task
from bioforge.runs import folder
from bioforge.runs.start import build_recipe
from bioforge.service.worker import Context
from bioforge.training.estimate import estimate as estimate_time


def estimate(
    context: Context, task: Task, data: str, base: str, preset: str, settings: list[str]
) -> dict[str, Any]:
    """How long a training would take; the fields of `training.estimate.Estimate`."""
    local = resolve(context.home, base)
    check_family(local, task)
    return asdict(estimate_time(context.home, build_recipe(task, base, preset, settings), data, local))


def report(context: Context, run: str, path: str) -> dict[str, Any]:
    """Write the report of a run as `path`, in the place of what is there; progress `{"stage": "…"}`."""
    from bioforge.evidence.report import report_of
    from bioforge.evidence.saving import save_report

    def say(stage: str) -> None:
        if context.cancelled():
            raise UserError("stopped; nothing was written")
        context.progress({"stage": stage})

    found = folder.find(context.home, run)
    save_report(found, report_of(found, say), Path(path), replace=True)
    return {"path": path}


TASKS: dict[str, Callable[..., Any]] = {"estimate": estimate, "report": report}
