"""A finished run's best weights, measured once more as they are, become a model of the store."""

from __future__ import annotations

import torch

from bioforge.generation.writer import decode
from bioforge.judging.metrics import at_temperature, calibrate, calibration_error
from bioforge.models import store
from bioforge.models.loading import load_model
from bioforge.models.parameters import parameters_of
from bioforge.models.store import ModelInfo
from bioforge.runs.outcome import Judged, Outcome, Written, keep_outcome
from bioforge.runs.repeat import command_of
from bioforge.training.checkpoint import Progress
from bioforge.training.job import Job, versions
from bioforge.training.measures import measures_of
from bioforge.training.validation import MAX_TOKENS, validate

_ENOUGH_TO_CHOOSE_BY = 200
"""Validation sentences; among fewer, the best threshold is mostly luck, and 0.5 stays."""


def publish(job: Job, progress: Progress, device: torch.device) -> ModelInfo:
    """Put the kept weights into the store; returns what the store says of them.

    They are loaded afresh and computed in float32, as every later user will, so the figures on the model
    are those of the model. A judge's temperature and threshold are chosen here.
    """
    home, asked, recipe = job.run.home, job.run.info(), job.recipe
    model = load_model(job.run.best, recipe.task).to(device)  # type: ignore[arg-type]
    most = min(MAX_TOKENS, 2 * (progress.tokens_per_pass or recipe.tokens_per_pass or MAX_TOKENS))
    measured = [
        validate(model, job.objective, part.rows, recipe.batch_size * 2, most) for part in job.held_out
    ]
    metrics, of_rows = measured[0]
    threshold, temperature = None, 1.0
    if recipe.task == "cola":
        threshold = 0.5
        if recipe.tune_threshold and len(of_rows) >= _ENOUGH_TO_CHOOSE_BY:
            labels = job.validation.labels
            metrics["calibration_error_before"] = calibration_error(labels, of_rows)
            chosen = calibrate(labels, of_rows)
            temperature, threshold = chosen.temperature, chosen.threshold
            metrics |= chosen.metrics
    outcome = _outcome(job, [found for _, found in measured], threshold, temperature)
    keep_outcome(job.run, outcome)
    data = job.run.data()
    base = job.base.known
    name = asked.model if asked.replace else store.free_name(home, asked.model)
    info = ModelInfo(
        name=name,
        task=recipe.task,
        base=job.base.name,
        base_source=job.base.source,
        created=store.now(),
        run=job.run.name,
        data=data["name"],
        data_fingerprint=data["fingerprint"],
        recipe={key: getattr(recipe, key) for key in recipe.__dataclass_fields__},
        metrics=metrics,
        step=progress.best_step,
        max_length=job.max_length,
        threshold=threshold,
        temperature=temperature,
        licence=base.licence if base else "",
        versions=versions(),
        parameters=parameters_of(model),
        seconds=progress.seconds,
        learnt_from=job.learnt_from,
        measures=measures_of(outcome),
        command=command_of(job.run),
    )
    store.publish(home, job.run.best, info, replace=asked.replace)
    return info


def _outcome(job: Job, found: list[list[float]], threshold: float | None, temperature: float) -> Outcome:
    """`found` of each row of `job.held_out`: probabilities as computed, or losses in nats."""
    outcome = Outcome(threshold)
    for part, of_rows in zip(job.held_out, found, strict=True):
        positions = list(map(int, part.positions))
        if job.recipe.task == "cola":
            calibrated = at_temperature(of_rows, temperature)
            outcome.judged.append(Judged(part.split, positions, part.rows.labels, calibrated))
        else:
            examples = part.rows.examples
            targets = [job.objective.targets(example) for example in examples]
            read = [len(decode(job.tokenizer, example.ids).encode()) for example in examples]
            outcome.written.append(Written(part.split, positions, of_rows, targets, read))
    return outcome
