"""Loading models and tokenizers with torch: safetensors only, no remote code, never the network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from bioforge.errors import UserError
from bioforge.models.bases import family_of, read_config, weights_of
from bioforge.models.catalog import Task
from bioforge.models.parameters import Parameter, parameters_of

LABELS = {0: "unacceptable", 1: "acceptable"}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' bars and advice off the terminal while loading."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Raises UserError where the folder's tokenizer cannot be loaded."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"the tokenizer in {folder} cannot be loaded: {first_line(error)}") from error
    return cast(PreTrainedTokenizerBase, tokenizer)


def load_model(
    folder: Path,
    task: Task,
    dtype: torch.dtype = torch.float32,
    adjust: Callable[[PreTrainedConfig], None] = lambda _: None,
) -> PreTrainedModel:
    """A writer or a judge; a base gets the head its task needs, drawn from torch's current seed.

    `adjust` may change the configuration before the model is made by it.

    Raises UserError where the weights are missing, damaged or of another kind.
    """
    if not weights_of(folder):
        raise UserError(f"{folder} holds no safetensors weights")
    extra: dict[str, Any] = {}
    factory: Any = AutoModelForCausalLM
    if task == "cola":
        factory = AutoModelForSequenceClassification
        extra = {"num_labels": 2, "id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **extra
            )
            adjust(config)
            model = factory.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype,
            )
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise UserError(f"the model in {folder} cannot be loaded: {first_line(error)}") from error
    return cast(PreTrainedModel, model)


def parameters_of_folder(folder: Path, task: Task | None) -> list[Parameter]:
    """Named parameters of a model folder, read without loading its weights.

    `task` chooses the head a base would get: `cola` a classifier, `bios` a language model, None its own.
    """
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"the model in {folder} cannot be read: {first_line(error)}") from error
    factory: Any = AutoModelForCausalLM
    if task == "cola":
        factory, config.num_labels = AutoModelForSequenceClassification, 2
    elif task is None and family_of(read_config(folder)) == "encoder":
        factory = AutoModel
    with torch.device("meta"):
        return parameters_of(factory.from_config(config))


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
