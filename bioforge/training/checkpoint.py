"""Checkpoints: complete or absent, verified before use, enough to go on bit for bit."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from bioforge.errors import UserError
from bioforge.files import new_folder, read_json, remove_folder, sha256_of, visible_folders, write_json
from bioforge.training.averaging import Average
from bioforge.training.treatments import trained

_KEPT = 2
_MANIFEST = "manifest.json"


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


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Safetensors reports a disk that refuses as an error of its own kind; here it is an OSError again."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average,
    progress: Progress,
    rng: dict[str, Any],
) -> Path:
    """Write `folder/step-…`, then drop all but the two newest.

    Raises OSError where the disk refuses; nothing that was there before is touched then.
    """
    target = folder / f"step-{progress.step:06d}"
    if target.exists():
        if is_whole(target):
            return target
        remove_folder(target)
    with disk_errors(), new_folder(target) as staging:
        _save_weights(model, staging / "weights.safetensors")
        average.save(staging)
        _save_optimizer(optimizer, staging / "optimizer.safetensors")
        save_file(rng, staging / "rng.safetensors")
        write_json(staging / "progress.json", asdict(progress))
        files = sorted(path for path in staging.rglob("*") if path.is_file())
        write_json(
            staging / _MANIFEST,
            {str(path.relative_to(staging)): [path.stat().st_size, sha256_of(path)] for path in files},
        )
    for old in visible_folders(folder)[:-_KEPT]:
        remove_folder(old)
    return target


def is_whole(checkpoint: Path) -> bool:
    """Whether every file is there and has the bytes it was written with."""
    try:
        manifest = read_json(checkpoint / _MANIFEST)
        return all(
            (checkpoint / name).stat().st_size == size and sha256_of(checkpoint / name) == digest
            for name, (size, digest) in manifest.items()
        )
    except (OSError, ValueError):
        return False


def newest(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint, and the damaged ones passed over."""
    damaged: list[Path] = []
    for checkpoint in reversed(visible_folders(folder)):
        if is_whole(checkpoint):
            return checkpoint, damaged
        damaged.append(checkpoint)
    return None, damaged


def read_progress(checkpoint: Path) -> Progress:
    return Progress(**read_json(checkpoint / "progress.json"))


def _save_weights(model: nn.Module, path: Path) -> None:
    """What learns; everything else is read from the base again, and must be the same then."""
    weights = {name: parameter.detach().contiguous() for name, parameter in trained(model).items()}
    save_file(weights, path, metadata={"fixed": _hash_of_fixed(model)})


@torch.no_grad()
def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Put what was learnt into a model prepared as the one that was saved.

    Raises UserError where the base is not the one it was learnt on.
    """
    with safe_open(checkpoint / "weights.safetensors", framework="pt") as weights:
        if weights.metadata()["fixed"] != _hash_of_fixed(model):
            raise UserError("the base's weights have changed since this run began; put the old ones back")
        for name, parameter in trained(model).items():
            parameter.copy_(weights.get_tensor(name))


def _hash_of_fixed(model: nn.Module) -> str:
    fixed = sorted(set(dict(model.named_parameters())) - set(trained(model)))
    hashes = [
        f"{name} {torch.hash_tensor(model.get_parameter(name).detach().cpu()).item()}" for name in fixed
    ]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def load_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Path) -> None:
    tensors = load_file(checkpoint / "optimizer.safetensors")
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _save_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{index}.{name}": tensor.contiguous()
        for index, item in state.items()
        for name, tensor in item.items()
    }
    save_file(tensors, path)


def rng_state() -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng(checkpoint: Path) -> None:
    state = load_file(checkpoint / "rng.safetensors")
    torch.set_rng_state(state["cpu"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
