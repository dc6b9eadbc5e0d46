"""Checkpoints: complete or absent, verified before use, enough to go on bit for bit."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, remove_folder, sha256_of, visible_folders, write_json
from bioforge.training.treatments import trained

Tensors = dict[str, torch.Tensor]
_MANIFEST = "manifest.json"
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass
class Progress:
    """Where a training stands: the resume cursor and all that later decisions depend on."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    """Steps of the current epoch that are done."""
    best_step: int = 0
    best_score: float | None = None
    """Higher is better: MCC for judges, minus the loss for writers."""
    validations_without_best: int = 0
    epoch_loss: float = 0.0
    """Sum of the losses of the current epoch's steps."""
    epoch_seconds: float = 0.0
    """Training time of the current epoch, validation and samples not counted."""
    seconds: float = 0.0
    """Wall time of all sessions of this run."""
    tokens_per_pass: int = 0
    """The most tokens of one forward pass since memory ran out; 0 where it never did."""


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Safetensors reports a disk that refuses as an error of its own kind; here it is an OSError again."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error


def save(
    folder: Path,
    weights: Tensors,
    fixed: str,
    optimizer: Tensors,
    average: Tensors,
    progress: Progress,
    rng: Sequence[Tensors],
) -> Path:
    """Write `folder/step-…`, then drop all but this one and the one before it.

    `weights` are what learns and `fixed` is the hash of the rest; `rng` is the random state of each process.

    Raises OSError where the disk refuses; nothing that was there before is touched then.
    """
    target = folder / f"step-{progress.step:06d}"
    if target.exists():
        if is_whole(target):
            return target
        remove_folder(target)
    with disk_errors(), new_folder(target) as staging:
        save_file(weights, staging / "weights.safetensors", metadata={"fixed": fixed})
        save_file(optimizer, staging / "optimizer.safetensors")
        save_file(average, staging / "average.safetensors")
        for rank, state in enumerate(rng):
            save_file(state, staging / f"rng-{rank}.safetensors")
        write_json(staging / "progress.json", asdict(progress))
        files = sorted(path for path in staging.rglob("*") if path.is_file())
        write_json(
            staging / _MANIFEST,
            {str(path.relative_to(staging)): [path.stat().st_size, sha256_of(path)] for path in files},
        )
    before = [old for old in _in_order(folder) if _step(old) < progress.step]
    for old in _in_order(folder):
        if old not in (target, *before[-1:]):
            remove_folder(old)
    return target


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def _in_order(folder: Path) -> list[Path]:
    """The checkpoints; whatever else somebody put beside them is passed over."""
    found = [path for path in visible_folders(folder) if re.fullmatch(r"step-[0-9]+", path.name)]
    return sorted(found, key=_step)


def is_whole(checkpoint: Path) -> bool:
    """Whether every file is there and has the bytes it was written with."""
    try:
        manifest = read_json(checkpoint / _MANIFEST)
        return all(
            (checkpoint / name).stat().st_size == size and sha256_of(checkpoint / name) == digest
            for name, (size, digest) in manifest.items()
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def newest(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint, and the damaged ones passed over."""
    damaged: list[Path] = []
    for checkpoint in reversed(_in_order(folder)):
        if is_whole(checkpoint):
            return checkpoint, damaged
        damaged.append(checkpoint)
    return None, damaged


def read_progress(checkpoint: Path) -> Progress:
    return Progress(**read_json(checkpoint / "progress.json"))


@torch.no_grad()
def load_weights(model: nn.Module, fixed: str, checkpoint: Path) -> None:
    """Put what was learnt into a model prepared as the one that was saved.

    Raises UserError where the base is not the one it was learnt on.
    """
    with safe_open(checkpoint / "weights.safetensors", framework="pt") as weights:
        if weights.metadata()["fixed"] != fixed:
            raise UserError("the base's weights have changed since this run began; put the old ones back")
        for name, parameter in trained(model).items():
            parameter.copy_(weights.get_tensor(name))


def read_average(checkpoint: Path) -> Tensors:
    return load_file(checkpoint / "average.safetensors")


def hash_of_fixed(model: nn.Module) -> str:
    """Of all that does not learn: a checkpoint leaves it out, and it must be the same when a run goes on."""
    fixed = sorted(set(dict(model.named_parameters())) - set(trained(model)))
    hashes = [f"{name} {torch.hash_tensor(model.get_parameter(name).detach()).item()}" for name in fixed]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def optimizer_state(module: nn.Module, optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimizer's tensors by parameter and name; of a model in shards at the first process only."""
    if not optimizer.state:
        return {}  # asking would take a first step
    state: Any = get_optimizer_state_dict(module, optimizer, options=_WHOLE).get("state", {})
    return {
        f"{parameter}|{name}": tensor.contiguous()
        for parameter, item in state.items()
        for name, tensor in item.items()
    }


def load_optimizer(module: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path) -> None:
    state: dict[str, Any] = {}
    for key, tensor in load_file(checkpoint / "optimizer.safetensors").items():
        parameter, name = key.split("|")
        state.setdefault(parameter, {})[name] = tensor
    if state:
        whole = {**get_optimizer_state_dict(module, optimizer), "state": state}
        set_optimizer_state_dict(module, optimizer, whole, options=StateDictOptions(full_state_dict=True))


def rng_state() -> Tensors:
    """This process's random state."""
    state = {"cpu": torch.get_rng_state()}
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def processes_of(checkpoint: Path) -> int:
    """How many processes wrote it."""
    return len(list(checkpoint.glob("rng-*.safetensors")))


def read_rng(checkpoint: Path, rank: int) -> Tensors:
    return load_file(checkpoint / f"rng-{rank}.safetensors")


def set_rng_state(state: Tensors) -> None:
    torch.set_rng_state(state["cpu"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
