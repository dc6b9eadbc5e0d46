"""How long a training will take on this machine, before it is started."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from bioforge.data import store as data_store
from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.judging.sentences import split
from bioforge.models.bases import LocalBase, read_config, reading_limit, weights_of
from bioforge.models.tokenization import token_counts
from bioforge.paths import Home
from bioforge.runs import folder
from bioforge.runs.events import Started, Step
from bioforge.runs.recipe import Recipe
from bioforge.training import device
from bioforge.training.plan import steps_between_validations, steps_per_epoch

_SAMPLE = 400
"""Rows whose tokens are counted; the others are taken to be like them."""
_ARITHMETIC_SHARE = 0.5
"""How much of a bare matrix product's speed a training step reaches (docs/results.md)."""
_FLOPS_PER_PARAMETER = 6
"""Of a training step, a token (Kaplan et al. 2020, section 2.1); a validation step takes a third."""
_START_S = 10
_ALIKE = (
    *("task", "padding", "precision", "batch_size", "max_length", "bucketing"),
    *("freeze", "lora_rank", "gradient_checkpointing", "packing", "compile"),
)
"""Recipe fields that an earlier run must share to tell the speed."""


@dataclass(frozen=True)
class Estimate:
    seconds: float
    steps: int
    tokens: int
    """Tokens computed in training, padding included where the recipe asks for it."""
    basis: str
    """Where the speed is from."""


def estimate(home: Home, recipe: Recipe, data: str, base: LocalBase) -> Estimate:
    """Time to train by `recipe`: by an earlier run like it, else by this machine's arithmetic.

    Raises UserError where data and recipe do not go together.
    """
    train, validation = train_and_validation(data_store.load(home, data), *recipe.split)
    longest = recipe.max_length or reading_limit(read_config(base.folder))
    per_row = _tokens_per_row(base, [row.text for row in _some(train)], longest)
    rows = len(train) * (1 + recipe.corruptions) + _unlabelled(home, recipe)
    per_epoch = steps_per_epoch(rows, recipe.batch_size, recipe.accumulate)
    steps = per_epoch * recipe.epochs
    share = min(1.0, recipe.max_steps / steps) if recipe.max_steps else 1.0
    computed = longest if recipe.padding == "max_length" else per_row
    tokens = int(rows * recipe.epochs * share * computed)
    every = steps_between_validations(recipe.validate_every, per_epoch, recipe.validations_per_epoch)
    validations = steps * share / every + recipe.validate_first
    checked = len(validation) * validations * computed / 3
    speed, basis = _speed_of_earlier_run(home, recipe, base, longest)
    if not speed:
        speed, basis = _speed_of_arithmetic(recipe, base), "a guess from this machine's arithmetic"
    return Estimate(_START_S + (tokens + checked) / speed, int(steps * share), tokens, basis)


def _unlabelled(home: Home, recipe: Recipe) -> int:
    """About how many sentences the data set has that only the teachers judge."""
    if not recipe.unlabelled:
        return 0
    rows = data_store.load(home, recipe.unlabelled).rows
    return round(len(rows) * statistics.fmean(len(split(row.text)) for row in _some(rows)))


def _some(rows: Sequence[Row]) -> Sequence[Row]:
    return rows[:: max(1, len(rows) // _SAMPLE)]


def _tokens_per_row(base: LocalBase, texts: list[str], longest: int) -> float:
    marks = 2
    return statistics.fmean(min(count + marks, longest) for count in token_counts(base.folder, texts))


def _speed_of_earlier_run(home: Home, recipe: Recipe, base: LocalBase, longest: int) -> tuple[float, str]:
    """Tokens a second, padding included, of the newest run of the same kind; 0 where there is none."""
    for run in folder.listing(home):
        if not run.is_whole() or run.base().folder != base.folder:
            continue
        other = run.recipe()
        if any(getattr(other, name) != getattr(recipe, name) for name in _ALIKE):
            continue
        events = run.history()
        started = [event for event in events if isinstance(event, Started)]
        steps = [event for event in events if isinstance(event, Step)][2:]
        if not started or not steps or device.name(device.choose()) != started[-1].device:
            continue
        if recipe.padding == "max_length":
            return longest * statistics.median(step.examples_per_second for step in steps), _as_fast_as(
                run.name
            )
        return statistics.median(step.tokens_per_second for step in steps), _as_fast_as(run.name)
    return 0.0, ""


def _as_fast_as(name: str) -> str:
    return f"as fast as run {name}"


def _speed_of_arithmetic(recipe: Recipe, base: LocalBase) -> float:
    parameters = sum(_elements(path) for path in weights_of(base.folder))
    rate = _flops_per_second(device.precision(recipe.precision, device.choose()))
    return _ARITHMETIC_SHARE * rate / (_FLOPS_PER_PARAMETER * parameters)


def _elements(path: Path) -> int:
    with safe_open(path, framework="pt") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118


def _flops_per_second(precision: str, size: int = 1024, rounds: int = 5) -> float:
    """Of a matrix product in `precision`, the median of a few."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    where = device.choose()
    one = torch.randn(size, size, dtype=kind, device=where)
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        (one @ one).sum().item()
        times.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(times[1:])
