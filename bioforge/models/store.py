"""The store of trained models: what `save_pretrained` writes, plus `bioforge.json` and a model card."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from dataclasses import replace as replace_info
from pathlib import Path
from typing import Any

from bioforge.errors import UserError
from bioforge.files import (
    link_or_copy,
    new_folder,
    read_json,
    recover,
    remove_at_once,
    remove_folder,
    sha256_of,
    visible_folders,
    write_json,
    write_text,
)
from bioforge.models.bases import weights_of
from bioforge.models.card import model_card
from bioforge.models.catalog import STARTERS, Task
from bioforge.models.parameters import Parameter
from bioforge.paths import Home, check_name
from bioforge.settings import change_settings, load_settings

INFO_FILE = "bioforge.json"


@dataclass(frozen=True)
class Measure:
    """One figure of a model on one split's rows."""

    split: str
    rows: int
    metric: str
    """`mcc`, `accuracy`, `perplexity` or `bits_per_byte`."""
    value: float
    interval: tuple[float, float]
    """95 %."""


@dataclass(frozen=True)
class ModelInfo:
    """What `bioforge.json` says of a model; enough for every listing without torch."""

    name: str
    task: Task
    base: str
    base_source: str
    created: str
    run: str
    data: str
    data_fingerprint: str
    recipe: dict[str, Any]
    metrics: dict[str, float]
    """Of the kept checkpoint on the validation rows."""
    step: int
    max_length: int
    """Longest input the model was trained for, in tokens."""
    threshold: float | None = None
    """Judges only: lowest probability of `acceptable` that counts as acceptable."""
    temperature: float = 1.0
    """Judges only: log-odds are divided by it, so that probabilities are as often right as they say."""
    licence: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)
    seconds: float = 0.0
    """Wall time of the training."""
    learnt_from: int = 0
    """Rows of the data."""
    measures: list[Measure] = field(default_factory=list)
    """As it is used, judges at their threshold; first on the rows that chose it."""
    command: str = ""
    """What asks for the same again; no path in it."""

    @property
    def cut(self) -> float:
        """Judges: the threshold, or one half where none was chosen."""
        return 0.5 if self.threshold is None else self.threshold


def publish(
    home: Home, source: Path, info: ModelInfo, *, replace: bool = False, card: str | None = None
) -> Path:
    """Put the model in folder `source` into the store as `info.name`, whole or not at all.

    Its model card is `card`, else one made from `info`.

    Raises UserError where the name is taken and `replace` is false.
    """
    target = home.models / check_name(info.name, "model")
    try:
        with new_folder(target, replace=replace) as folder:
            for path in source.iterdir():
                if path.is_file() and not path.name.startswith("."):
                    link_or_copy(path, folder / path.name)
            write_json(folder / INFO_FILE, asdict(info))
            write_text(folder / "README.md", card or model_card(info))
    except FileExistsError as error:
        raise UserError(f"a model '{info.name}' exists; choose another --name or pass --replace") from error
    return target


def folder(home: Home, name: str) -> Path:
    """Raises UserError where the store has no such model, and where it has lost its `bioforge.json`."""
    target = any_folder(home, name)
    if not (target / INFO_FILE).is_file():
        raise UserError(f"{target / INFO_FILE} is missing; remove the model and train again")
    return target


def any_folder(home: Home, name: str) -> Path:
    """The folder of a model, damaged or not.

    Raises UserError where the store has no such model.
    """
    target = home.models / check_name(name, "model")
    recover(target)
    if not target.is_dir():
        names = [path.name for path in visible_folders(home.models)]
        known = f"; there are: {', '.join(names)}" if names else "; train one: bioforge train --help"
        raise UserError(f"no model '{name}'{known}")
    return target


def info(home: Home, name: str) -> ModelInfo:
    return read_info(folder(home, name))


def read_info(folder: Path) -> ModelInfo:
    """Raises UserError where `bioforge.json` is missing or damaged."""
    path = folder / INFO_FILE
    try:
        values = read_json(path)
        values["parameters"] = [(name, tuple(shape)) for name, shape in values["parameters"]]
        values["measures"] = [
            Measure(**{**measure, "interval": tuple(measure["interval"])})
            for measure in values.get("measures", [])
        ]
        # A model's name is its folder's, also of a copy made by hand.
        return ModelInfo(**{**values, "name": folder.name})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} is missing or damaged ({error}); remove the model and train again"
        ) from error


def listing(home: Home, task: Task | None = None) -> tuple[list[ModelInfo], list[str]]:
    """All models of the store, newest first, and what is wrong with those that cannot be read."""
    if home.models.is_dir():
        for path in home.models.glob(".*.replaced"):
            recover(path.with_name(path.name[1 : -len(".replaced")]))
    infos: list[ModelInfo] = []
    damaged: list[str] = []
    for path in visible_folders(home.models):
        try:
            infos.append(read_info(path))
        except UserError as error:
            damaged.append(str(error))
    chosen = [item for item in infos if task is None or item.task == task]
    return sorted(chosen, key=lambda item: item.created, reverse=True), damaged


def fingerprint(home: Home, name: str) -> str:
    """SHA-256 of what decides a judge's probabilities: its weights, its temperature and what it reads."""
    made = info(home, name)
    digest = hashlib.sha256(f"{made.temperature} {made.max_length}".encode())
    for path in weights_of(folder(home, name)):
        digest.update(sha256_of(path).encode())
    return digest.hexdigest()


def made_by(home: Home, run: str) -> ModelInfo | None:
    """The model that `run` was published as, under whatever name it has now."""
    return next((model for model in listing(home)[0] if model.run == run), None)


def default_model(home: Home, task: Task) -> str:
    """The model `generate` or `check` uses when none is named: the chosen one, else the newest trained here.

    Starters serve those who trained none, the first set before the others.

    Raises UserError where there is none.
    """
    settings = load_settings(home)
    chosen = settings.writer if task == "bios" else settings.judge
    if chosen:
        return chosen
    models, _ = listing(home, task)
    if not models:
        what = "writer" if task == "bios" else "judge"
        raise UserError(
            f"no {what} yet; fetch one: bioforge models pull starter, or train one: bioforge train {task} DATA"
        )
    starters = [name for names in STARTERS.values() for name in names]
    names = [model.name for model in models]
    trained = [name for name in names if name not in starters]
    return trained[0] if trained else min(names, key=starters.index)


def set_default(home: Home, name: str) -> ModelInfo:
    chosen = info(home, name)
    change_settings(home, **{"writer" if chosen.task == "bios" else "judge": name})
    return chosen


def export(home: Home, name: str, target: Path) -> Path:
    """Copy a model to `target`, a folder that must not exist yet."""
    source = folder(home, name)
    target = target.expanduser().absolute()
    if target.exists():
        raise UserError(f"{target} exists; name a folder that does not")
    try:
        with new_folder(target) as staging:
            for path in source.iterdir():
                shutil.copy2(path, staging / path.name)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    return target


def remove(home: Home, name: str) -> None:
    """Remove a model, damaged or not."""
    target = any_folder(home, name)
    settings = load_settings(home)
    for role in ("writer", "judge"):
        if getattr(settings, role) == name:
            change_settings(home, **{role: None})
    remove_at_once(target)


def rename(home: Home, name: str, wanted: str, *, replace: bool = False) -> Path:
    """Give a model another name; a default stays one, and so does the one it replaces.

    Raises UserError where `wanted` cannot be a name, or is taken and `replace` is false.
    """
    source = folder(home, name)
    if wanted == name:
        return source
    settings = load_settings(home)
    target = publish(home, source, replace_info(read_info(source), name=wanted), replace=replace)
    for role in ("writer", "judge"):
        if getattr(settings, role) == name:
            change_settings(home, **{role: wanted})
    remove_folder(source)
    return target


def card(home: Home, name: str) -> str:
    """The model card without its hub metadata."""
    try:
        text = (folder(home, name) / "README.md").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.split("\n---\n", 1)[-1].lstrip() if text.startswith("---\n") else text


def size_of(home: Home, name: str) -> int:
    """Bytes of a model's files."""
    return sum(path.stat().st_size for path in folder(home, name).iterdir())


def free_name(home: Home, wanted: str) -> str:
    """`wanted`, or `wanted-2`, `wanted-3`, … where it is taken."""
    number, name = 1, wanted
    while (home.models / name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return name


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
