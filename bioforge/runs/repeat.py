"""The command that repeats a run."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

from bioforge.models.bases import LocalBase
from bioforge.runs import recipe as recipes
from bioforge.runs.folder import RunFolder, RunInfo
from bioforge.runs.launch import Processes
from bioforge.runs.recipe import Recipe


def changes(recipe: Recipe, base: LocalBase) -> dict[str, Any]:
    """Fields in which `recipe` differs from its preset for that base, with what the preset has."""
    known = base.known
    wish = dict(known.learning_rates).get(recipe.task) if known else None
    usual = recipes.preset(recipe.task, recipe.preset, wish)
    return {
        item.name: getattr(usual, item.name)
        for item in fields(Recipe)
        if getattr(recipe, item.name) != getattr(usual, item.name)
    }


def command_of(run: RunFolder) -> str:
    """As `command`, for readers elsewhere: how many processes they take is theirs to say."""
    return command(run.info(), run.recipe(), run.base(), run.data()["name"], Processes(), elsewhere=True)


def command(
    info: RunInfo,
    recipe: Recipe,
    base: LocalBase,
    data: str,
    processes: Processes,
    *,
    elsewhere: bool = False,
) -> str:
    """One line for a shell that starts the same training anew.

    A base in a folder goes by its path; for a reader `elsewhere`, whose business that is not, by its name.
    """
    where = base.name
    if base.is_folder:
        where = f"PATH/TO/{base.name}" if elsewhere else str(base.folder)
    words = ["bioforge", "train", recipe.task, data, "--base", where, "--preset", recipe.preset]
    words += ["--seed", str(recipe.seed)]
    for name in changes(recipe, base):
        if name != "seed":
            words += ["--set", f"{name}={_as_typed(getattr(recipe, name))}"]
    if info.model != data:
        words += ["--name", info.model]
    for tracker in info.trackers:
        words += ["--tracker", tracker]
    if processes.config:
        words += ["--accelerate", processes.config]
    for option, number in (("--processes", processes.per_host), ("--hosts", processes.hosts)):
        if number > 1:
            words += [option, str(number)]
    return shlex.join(words)


def _as_typed(value: Any) -> str:
    """A recipe's value as `--set` takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
