"""Recipes: every choice a training makes besides its data and its base, with named presets."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from bioforge.errors import UserError
from bioforge.models.catalog import Task

Preset = Literal["tutorial", "balanced", "quick", "strong"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


def _knob(
    default: Any, explain: str, low: float | None = None, high: float | None = None, choices: Any = ()
) -> Any:
    return field(default=default, metadata={"explain": explain, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Recipe:
    """One training's hyper-parameters and treatment. Each field explains itself in `field.metadata`."""

    task: Task
    preset: Preset = "balanced"
    seed: int = _knob(42, "draws the split, the order of the data, dropout and new weights", 0, 2**31 - 1)
    epochs: int = _knob(4, "passes over the training rows", 1, 1000)
    max_steps: int = _knob(0, "stop after this many steps; 0: after the last epoch", 0)
    batch_size: int = _knob(8, "texts in one forward pass", 1, 4096)
    accumulate: int = _knob(1, "forward passes a step; the effective batch is batch_size times this", 1, 4096)
    tokens_per_pass: int = _knob(
        0, "largest forward pass in tokens; a bigger batch is computed in parts, same result; 0: by device", 0
    )
    max_length: int = _knob(0, "longest input in tokens; 0: what the base takes, at most 1024", 0)
    learning_rate: float = _knob(5e-5, "peak learning rate", 0, 1)
    warmup_steps: float = _knob(0.06, "steps of rising learning rate; below 1: a share of all steps", 0)
    weight_decay: float = _knob(0.01, "decoupled decay of weight matrices; biases and norms are spared", 0, 1)
    epsilon: float = _knob(1e-8, "AdamW's epsilon", 0, 1)
    clip_norm: float = _knob(1.0, "largest gradient norm; 0: no clipping", 0)
    attention_dropout: float | None = _knob(
        None, "dropout of attention weights; none: as the base has it", 0, 1
    )
    precision: str = _knob(
        "auto", "auto: bf16 where the machine computes it natively", choices=("auto", "fp32", "bf16")
    )
    padding: str = _knob(
        "longest",
        "pad a batch to its longest text, or every text to max_length",
        choices=("longest", "max_length"),
    )
    bucketing: bool = _knob(True, "batch texts of like length together (less padding)")
    special_tokens: str = _knob(
        "native",
        "writers: native marks a text's ends with the base's own tokens; tutorial adds <|startoftext|> and <|pad|>",
        choices=("native", "tutorial"),
    )
    keep_end: bool = _knob(True, "writers: a text cut at max_length still ends with the end token")
    loss_on_padding: bool = _knob(
        False,
        "writers: learn to predict padding too, as the tutorial does by mistake; with padding=max_length only",
    )
    official_validation: bool = _knob(
        True, "judges: validate on the data's in-domain dev split where it has one"
    )
    validation_fraction: float = _knob(
        0.1, "share of training rows held out where there is no such split", 0.001, 0.9
    )
    validation_most: int = _knob(2000, "but never more texts than so many; 0: no limit", 0)
    validate_first: bool = _knob(True, "also validate the base, before the first step")
    validations_per_epoch: int = _knob(2, "validations an epoch, evenly spaced", 1, 1000)
    validate_every: int = _knob(0, "validate every so many steps instead; 0: by epoch", 0)
    keep: str = _knob("best", "which checkpoint becomes the model", choices=("best", "last"))
    patience: int = _knob(4, "stop after so many validations without a new best; 0: never", 0)
    tune_threshold: bool = _knob(True, "judges: choose the decision threshold on the validation rows")
    corruptions: int = _knob(
        0, "judges: also learn from so many corrupted forms of each training sentence", 0, 100
    )
    teacher: str = _knob(
        "",
        "judges: learn what this judge of yours thinks of each sentence and corruption (distillation); of several, a,b,c: their mean",
    )
    unlabelled: str = _knob(
        "", "judges with a teacher: also learn what it thinks of the sentences of this data set of yours"
    )
    label_share: float = _knob(
        0.5, "judges with a teacher: how much the label counts beside what the teacher says", 0, 1
    )
    sample_every: int = _knob(100, "writers: write a sample every so many steps; 0: never", 0)
    sample_at_validation: bool = _knob(True, "writers: also write one after each validation")
    sample_tokens: int = _knob(120, "longest sample in tokens", 1, 4096)
    sample_prompt: str = _knob("", "what samples start with")
    sample_start: str = _knob(
        "begin",
        "samples start at a text's beginning, or at a random token as in the tutorial",
        choices=("begin", "random_token"),
    )
    top_k: int = _knob(50, "samples draw from the k likeliest tokens; 0: all", 0)
    top_p: float = _knob(0.95, "and from the likeliest that together reach p", 0.01, 1)
    temperature: float = _knob(1.0, "below 1 safer, above 1 wilder", 0.01, 10)
    checkpoint_minutes: float = _knob(
        5.0, "also save a resumable checkpoint this often; 0: at validations only", 0
    )
    log_every: int = _knob(1, "report every so many steps", 1)
    freeze: str = _knob(
        "none", "parts that do not learn: none, embeddings, layers from 0 such as 0-5, or embeddings,0-3,7"
    )
    lora_rank: int = _knob(
        0,
        "learn adapters of this rank and not the layers themselves (LoRA); wants learning_rate 1e-4 to 1e-3; 0: off",
        0,
        4096,
    )
    lora_alpha: float = _knob(16.0, "adapters count lora_alpha / lora_rank times", 0)
    lora_dropout: float = _knob(0.0, "dropout of what adapters read", 0, 0.99)
    gradient_checkpointing: bool = _knob(
        False, "compute each layer again in the backward pass: less memory, more time, same result"
    )
    average: str = _knob(
        "none",
        "validate and keep an exponential moving average of the weights (ema), not the last ones",
        choices=("none", "ema"),
    )
    average_decay: float = _knob(
        0.999, "share of the average that stays at each step; less at first, by itself", 0, 1
    )
    packing: bool = _knob(
        False, "writers: texts of a batch end to end without padding, same result; pays on GPUs in bf16 only"
    )
    compile: bool = _knob(
        False,
        "compile the layers: slow to start, then faster on GPUs; a resumed run may differ in last digits",
    )

    @property
    def split(self) -> tuple[float, int, bool, int]:
        """What `train_and_validation` splits by."""
        return self.validation_fraction, self.seed, self.official_validation, self.validation_most

    @property
    def teachers(self) -> list[str]:
        """Names in `teacher`, none twice."""
        return list(dict.fromkeys(name.strip() for name in self.teacher.split(",") if name.strip()))


_TUTORIAL: dict[Task, dict[str, Any]] = {
    # Tutorial 1: "PyTorch Datasets & Dataloaders" and "Finetune GPT2 Language Model".
    "bios": {
        "epochs": 5,
        "batch_size": 2,
        "max_length": 768,
        "learning_rate": 5e-4,
        "warmup_steps": 100,
        "clip_norm": 0.0,
        "special_tokens": "tutorial",
        "keep_end": False,
        "loss_on_padding": True,
        "sample_tokens": 200,
        "sample_start": "random_token",
    },
    # Tutorial 2: sections 3.3 to 4.3.
    "cola": {
        "epochs": 4,
        "batch_size": 32,
        "max_length": 64,
        "learning_rate": 2e-5,
        "warmup_steps": 0,
        "clip_norm": 1.0,
        "sample_every": 0,
    },
}
_AS_THE_TUTORIALS: dict[str, Any] = {
    "weight_decay": 0.0,
    "epsilon": 1e-8,
    "precision": "fp32",
    "padding": "max_length",
    "bucketing": False,
    "official_validation": False,
    "validation_fraction": 0.1,
    "validation_most": 0,
    "validate_first": False,
    "validations_per_epoch": 1,
    "sample_at_validation": False,
    "keep": "last",
    "patience": 0,
    "tune_threshold": False,
}
_BALANCED: dict[Task, dict[str, Any]] = {
    "bios": {"attention_dropout": 0.0, "epochs": 3},
    "cola": {
        "epochs": 5,
        "batch_size": 32,
        "learning_rate": 2e-5,
        "max_length": 128,
        "sample_every": 0,
        "patience": 5,
    },
}
_QUICK: dict[Task, dict[str, Any]] = {
    "bios": {
        "attention_dropout": 0.0,
        "epochs": 2,
        "max_length": 256,
        "learning_rate": 1e-4,
        "validations_per_epoch": 1,
        "sample_every": 20,
        "sample_tokens": 60,
    },
    "cola": {
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 3e-5,
        "max_length": 64,
        "validations_per_epoch": 1,
        "sample_every": 0,
    },
}

_STRONG: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 3e-5,
    "max_length": 128,
    "corruptions": 3,
    "sample_every": 0,
    "patience": 0,
}
"""For judges (docs/results.md)."""


def presets_for(task: Task) -> list[Preset]:
    return [name for name in PRESETS if task == "cola" or name != "strong"]


def preset(task: Task, name: str, base_learning_rate: float | None = None) -> Recipe:
    """The recipe a preset stands for; `base_learning_rate` is the base's own wish, which `tutorial` ignores.

    Raises UserError for an unknown preset.
    """
    if name == "tutorial":
        return Recipe(task=task, preset="tutorial", **{**_AS_THE_TUTORIALS, **_TUTORIAL[task]})
    if name not in presets_for(task):
        kind = "writers" if task == "bios" else "judges"
        raise UserError(f"no preset '{name}' for {kind}; there are: {', '.join(presets_for(task))}")
    chosen: Preset = next(known for known in PRESETS if known == name)
    values = {"balanced": _BALANCED[task], "quick": _QUICK[task], "strong": _STRONG}[chosen]
    recipe = Recipe(task=task, preset=chosen, **values)
    if base_learning_rate is not None:
        recipe = replace(recipe, learning_rate=base_learning_rate)
    return recipe


def override(recipe: Recipe, settings: list[str]) -> Recipe:
    """Apply `key=value` settings as given on the command line.

    Raises UserError naming the setting for unknown keys, values of another type, and values out of range.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: expected key=value, such as epochs=3")
        changes[key.strip()] = parse_value(key.strip(), value.strip())
    return replace(recipe, **changes)


def parse_value(key: str, text: str) -> Any:
    """One field's value from text, checked against its type and range."""
    knobs = {item.name: item for item in fields(Recipe) if item.name not in {"task", "preset"}}
    if key not in knobs:
        close = difflib.get_close_matches(key, knobs, n=1, cutoff=0.4)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UserError(f"no recipe field '{key}'{hint} All fields: bioforge train bios --help")
    knob = knobs[key]
    kind = str(knob.type)
    explain, low, high = knob.metadata["explain"], knob.metadata["low"], knob.metadata["high"]
    try:
        value = _convert(kind, text)
    except ValueError:
        wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(
            kind, "a number or none"
        )
        raise UserError(f"{key}={text}: expected {wanted} ({explain})") from None
    choices = knob.metadata["choices"]
    if choices and value not in choices:
        raise UserError(f"{key}={text}: expected one of {', '.join(choices)} ({explain})")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < float("inf"):
            raise UserError(f"{key}={text}: expected a finite number ({explain})")
        if (low is not None and value < low) or (high is not None and value > high):
            span = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise UserError(f"{key}={text}: must be {span} ({explain})")
    return value


def _convert(kind: str, text: str) -> Any:
    if kind == "str":
        return text
    if kind == "bool":
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]
    if kind == "int":
        return int(text)
    if "None" in kind and text.lower() == "none":
        return None
    return float(text)


def from_json(values: Mapping[str, Any]) -> Recipe:
    """A recipe as its run folder keeps it; fields a newer version added take their defaults."""
    known = {item.name for item in fields(Recipe)}
    return Recipe(**{key: value for key, value in values.items() if key in known})


def explanations() -> list[tuple[str, str]]:
    """Each field that `--set` takes, with its one-line explanation."""
    return [(item.name, item.metadata["explain"]) for item in fields(Recipe) if "explain" in item.metadata]
