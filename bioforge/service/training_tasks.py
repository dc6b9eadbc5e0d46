"""What the child process does for a training to come."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bioforge.models.bases import check_family, resolve
from bioforge.models.catalog import Task
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


TASKS = {"estimate": estimate}
