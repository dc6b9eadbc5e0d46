"""From a run's folder to everything the loop needs: model, tokenizer, encoded rows."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from bioforge import __version__
from bioforge.data import store as data_store
from bioforge.data.cola import OUT_OF_DOMAIN_DEV, TRAIN
from bioforge.data.rows import Rows
from bioforge.data.split import train_and_validation
from bioforge.errors import UserError
from bioforge.generation.writer import begin_token
from bioforge.models.bases import LocalBase, reading_limit
from bioforge.models.loading import load_model, load_tokenizer, quiet
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import HELD_OUT
from bioforge.runs.recipe import Recipe
from bioforge.training.checkpoint import hash_of_fixed, load_weights
from bioforge.training.lessons import lessons, taught
from bioforge.training.objective import Judging, Objective, Writing
from bioforge.training.tokens import Encoded, kept
from bioforge.training.treatments import merged, treat

TUTORIAL_TOKENS: dict[str, Any] = {"bos_token": "<|startoftext|>", "pad_token": "<|pad|>"}
_ATTENTION_DROPOUTS = ("attn_pdrop", "attention_dropout", "attention_probs_dropout_prob")


@dataclass(frozen=True)
class HeldOut:
    """Rows not learnt from."""

    split: str
    positions: Sequence[int]
    """Among the rows of the data set."""
    rows: Encoded


@dataclass
class Job:
    run: RunFolder
    recipe: Recipe
    base: LocalBase
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    objective: Objective
    train: Encoded
    held_out: list[HeldOut]
    """First the rows to validate on; then, where the data has them, out-of-domain rows, which decide nothing."""
    max_length: int
    learnt_from: int
    """Rows of the data; `train` may hold more, made from them."""
    base_config: dict[str, Any] = field(default_factory=dict)
    """Configuration values changed for training only, to be put back into what is saved."""
    fixed: str = ""
    """Hash of the weights that do not learn."""
    warnings: list[str] = field(default_factory=list)
    """What was asked for and is not so."""

    @property
    def validation(self) -> Encoded:
        return self.held_out[0].rows

    def save_model(self, folder: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write model and tokenizer as plain `from_pretrained` folders, with the base's own configuration.

        `weights` where the model does not hold them itself.
        """
        changed = {key: getattr(self.model.config, key) for key in self.base_config}
        for key, value in self.base_config.items():
            setattr(self.model.config, key, value)
        try:
            if self.recipe.lora_rank:
                weights = merged(self.model)
            self.model.save_pretrained(folder, state_dict=weights)
        finally:
            for key, value in changed.items():
                setattr(self.model.config, key, value)
        self.tokenizer.save_pretrained(folder)


def versions() -> dict[str, str]:
    """What the weights were made with."""
    found = {
        name: importlib.metadata.version(name)
        for name in ("torch", "transformers", "accelerate", "tokenizers")
    }
    return {"bioforge": __version__, "python": platform.python_version(), **found}


def prepare(run: RunFolder, checkpoint: Path | None, say: Callable[[str], None] = lambda _: None) -> Job:
    """Load what the run asks for: the base, and over it what `checkpoint` has learnt, where there is one.

    `say` is told what takes long, and may raise to stop. The seed is set first, so that new weights (a classifier's head, added tokens) are the recipe's own.

    Raises UserError where data, base or model do not fit.
    """
    recipe, base = run.recipe(), run.base()
    data = data_store.load_pinned(run.home, run.data(), "which")
    train_rows, validation_rows = train_and_validation(data, *recipe.split)
    torch.manual_seed(recipe.seed)
    tokenizer = load_tokenizer(base.folder)
    base_config: dict[str, Any] = {}
    model = load_model(
        base.folder,
        recipe.task,
        adjust=lambda config: base_config.update(_set_attention_dropout(config, recipe)),
    )
    max_length = _max_length(model, recipe)
    objective: Objective
    if recipe.task == "bios":
        if recipe.special_tokens == "tutorial":
            tokenizer.add_special_tokens(TUTORIAL_TOKENS)
            with quiet():
                model.resize_token_embeddings(len(tokenizer))
        begin, end = begin_token(tokenizer), tokenizer.eos_token_id
        if not isinstance(end, int):
            raise UserError(
                f"the base '{base.name}' has no end token, so its texts would never stop; choose another"
            )
        padding = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else end
        for config in (model.config, model.generation_config):
            if config is not None:
                config.bos_token_id, config.eos_token_id, config.pad_token_id = begin, end, padding
        objective = Writing(tokenizer, recipe, max_length, begin, end, padding)
    else:
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        padding = tokenizer.pad_token_id if isinstance(tokenizer.pad_token_id, int) else 0
        model.config.pad_token_id = padding
        objective = Judging(tokenizer, recipe, max_length, padding)
    treat(model, recipe)
    fixed = hash_of_fixed(model)
    if checkpoint:
        load_weights(model, fixed, checkpoint)
    tokens = kept(run.home, base.folder, objective, data.rows, data.info.fingerprint, say)
    assert isinstance(train_rows, Rows) and isinstance(validation_rows, Rows)
    train = tokens.at(train_rows.positions)
    split = validation_rows[0].split
    apart = {HELD_OUT if split == TRAIN else split: validation_rows}
    if unseen := data.split(OUT_OF_DOMAIN_DEV):
        assert isinstance(unseen, Rows)
        apart[OUT_OF_DOMAIN_DEV] = unseen
    held_out = [HeldOut(name, rows.positions, tokens.at(rows.positions)) for name, rows in apart.items()]
    if recipe.teacher or recipe.corruptions:
        train = taught(objective, lessons(run, train_rows, say))
    return Job(
        run,
        recipe,
        base,
        model,
        tokenizer,
        objective,
        train,
        held_out,
        max_length,
        len(train_rows),
        base_config,
        fixed,
        _warnings(base, recipe, base_config),
    )


def _set_attention_dropout(config: PreTrainedConfig, recipe: Recipe) -> dict[str, Any]:
    """Change attention dropout for the training, and return what to put back when saving.

    The modules read it when they are made. On a CPU, attention with dropout leaves the fast kernel (68 to 310 ms a GPT-2 layer).
    """
    before: dict[str, Any] = {}
    if recipe.attention_dropout is None:
        return before
    for key in _ATTENTION_DROPOUTS:
        if hasattr(config, key):
            before[key] = getattr(config, key)
            setattr(config, key, recipe.attention_dropout)
    return before


def _warnings(base: LocalBase, recipe: Recipe, base_config: dict[str, Any]) -> list[str]:
    if recipe.attention_dropout is None or base_config:
        return []
    return [
        f"attention_dropout={recipe.attention_dropout:g} changes nothing: the base '{base.name}' has no setting for it"
    ]


def _max_length(model: PreTrainedModel, recipe: Recipe) -> int:
    return recipe.max_length or reading_limit(model.config.to_dict())
