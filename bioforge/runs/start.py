"""From what a user asks for to a run that is ready to launch: every check before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bioforge.data import store as data_store
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.files import human_size
from bioforge.models import catalog
from bioforge.models import store as models
from bioforge.models.bases import (
    LocalBase,
    check_family,
    default_base,
    layer_count,
    length_limit,
    read_config,
    resolve,
    weights_of,
)
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs import folder, recipe
from bioforge.runs.folder import RunFolder
from bioforge.runs.freezing import parse_freeze
from bioforge.runs.recipe import Recipe
from bioforge.runs.tracking import check_trackers

_SHORTEST = 8
_CHECKPOINTS = 3
"""Two and one being written."""


def build_recipe(
    task: Task, base: str | None, preset: str, settings: list[str], seed: int | None = None
) -> Recipe:
    """A preset, the base's own learning rate where it has one, then the user's settings.

    Raises UserError for unknown presets and settings.
    """
    known = catalog.find(base) if base else None
    wish = dict(known.learning_rates).get(task) if known else None
    chosen = recipe.override(recipe.preset(task, preset, wish), settings)
    return chosen if seed is None else replace(chosen, seed=recipe.parse_value("seed", str(seed)))


@dataclass(frozen=True)
class Plan:
    """A run that has passed every check and is written down nowhere."""

    recipe: Recipe
    data: DataInfo
    base: LocalBase
    model: str
    replace_model: bool
    teachers: dict[str, str]
    """Names and fingerprints."""
    unlabelled: DataInfo | None
    """Where sentences come from that only the teachers judge."""
    trackers: list[str]


def plan_run(
    home: Home,
    task: Task,
    data: str,
    base: str | None = None,
    preset: str = "balanced",
    settings: list[str] | None = None,
    seed: int | None = None,
    model: str | None = None,
    replace_model: bool = False,
    trackers: Sequence[str] = (),
) -> Plan:
    """Check everything that can be checked without torch.

    Raises UserError where data, base, recipe, name, trackers or disk will not do.
    """
    loaded = data_store.load(home, data)
    if loaded.info.kind != task:
        raise UserError(
            f"data set '{data}' holds {'biographies' if loaded.info.kind == 'bios' else 'judged sentences'}; "
            f"train on it with: bioforge train {loaded.info.kind} {data}"
        )
    base = base or default_base(home, task)
    chosen = build_recipe(task, base, preset, settings or [], seed)
    local = resolve(home, base)
    check_family(local, task)
    _check_length(chosen, local)
    _check_treatment(chosen, local)
    _check_lessons(home, chosen, data)
    train_and_validation(loaded, *chosen.split)
    told = check_trackers(trackers)
    if model is not None:
        check_name(model, "model")
        if (home.models / model).exists() and not replace_model:
            raise UserError(f"a model '{model}' exists; choose another --name or pass --replace")
    needed = _times_the_weights(chosen) * sum(path.stat().st_size for path in weights_of(local.folder))
    existing = next(parent for parent in [home.root, *home.root.parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{existing}: {human_size(free)} free, training needs about {human_size(needed)}; make room"
        )
    teachers = {name: models.fingerprint(home, name) for name in chosen.teachers}
    unlabelled = data_store.info(home, chosen.unlabelled) if chosen.unlabelled else None
    return Plan(chosen, loaded.info, local, model or data, replace_model, teachers, unlabelled, told)


def new_run(
    home: Home,
    task: Task,
    data: str,
    base: str | None = None,
    preset: str = "balanced",
    settings: list[str] | None = None,
    seed: int | None = None,
    model: str | None = None,
    replace_model: bool = False,
    trackers: Sequence[str] = (),
    group: str = "",
) -> RunFolder:
    """Check everything that can be checked without torch, then write the run's folder.

    Raises UserError, with nothing written, where data, base, recipe, name, trackers or disk will not do.
    """
    plan = plan_run(home, task, data, base, preset, settings, seed, model, replace_model, trackers)
    return write_run(home, plan, group)


def write_run(home: Home, plan: Plan, group: str = "") -> RunFolder:
    return folder.create(
        home,
        plan.recipe,
        plan.data,
        plan.base,
        model=plan.model,
        replace=plan.replace_model,
        teachers=plan.teachers,
        unlabelled=plan.unlabelled,
        trackers=plan.trackers,
        group=group,
    )


def _times_the_weights(recipe: Recipe) -> int:
    """What a run takes on disk: checkpoints, unless small, and the best weights with their successor."""
    of_each = 3 + (recipe.average != "none")  # weights, AdamW's two moments, their average
    return 2 + (0 if recipe.lora_rank else _CHECKPOINTS * of_each)


def _check_length(recipe: Recipe, base: LocalBase) -> None:
    limit = length_limit(read_config(base.folder))
    if limit and recipe.max_length > limit:
        raise UserError(f"max_length={recipe.max_length} is more than the base takes; the most is {limit}")
    if 0 < recipe.max_length < _SHORTEST:
        raise UserError(f"max_length={recipe.max_length} leaves no room for a text; the least is {_SHORTEST}")


def _check_lessons(home: Home, recipe: Recipe, data: str) -> None:
    if recipe.task == "bios" and (recipe.teacher or recipe.corruptions or recipe.unlabelled):
        raise UserError("teacher, corruptions and unlabelled are for judges; leave them out for a writer")
    for name in recipe.teachers:
        if models.info(home, name).task != "cola":
            raise UserError(f"teacher={recipe.teacher}: '{name}' is a writer; name judges")
    if recipe.unlabelled and not recipe.teachers:
        raise UserError(
            f"unlabelled={recipe.unlabelled}: only a teacher can judge these sentences; name one by teacher="
        )
    if recipe.unlabelled == data:
        raise UserError(f"unlabelled={data}: that is what the run learns from anyway; name another data set")


def _check_treatment(recipe: Recipe, base: LocalBase) -> None:
    layers = layer_count(read_config(base.folder))
    frozen = parse_freeze(recipe.freeze, layers)
    if recipe.lora_rank and len(frozen.layers) == layers:
        raise UserError(f"freeze={recipe.freeze} leaves no layer for the adapters that lora_rank asks for")
    if (
        recipe.task == "bios"
        and recipe.special_tokens == "tutorial"
        and (frozen.embeddings or recipe.lora_rank)
    ):
        raise UserError(
            "special_tokens=tutorial adds tokens whose embeddings freeze=embeddings and lora_rank would leave "
            "untrained; set special_tokens=native"
        )
    if recipe.packing and (recipe.task != "bios" or recipe.padding != "longest" or recipe.loss_on_padding):
        raise UserError("packing=true is for writers, with padding=longest and loss_on_padding=false")
