"""What a search varies: recipe fields, each with a range or a choice of values."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bioforge.errors import UserError
from bioforge.runs.recipe import Recipe, parse_value

Value = str | int | float
SHORT = {
    "lr": "learning_rate",
    "batch": "batch_size",
    "warmup": "warmup_steps",
    "decay": "weight_decay",
    "dropout": "attention_dropout",
}
_HELD_STILL = {
    "seed": "the best of several seeds is luck; see how much they matter: bioforge train … --seeds 5",
    **dict.fromkeys(
        ("official_validation", "validation_fraction", "validation_most"),
        "trials are compared on the same held-out rows",
    ),
    **dict.fromkeys(
        ("validations_per_epoch", "validate_every", "validate_first", "keep", "patience"),
        "it changes how a trial is measured, not how it learns",
    ),
}
_WHAT_WRITERS_READ = ("max_length", "keep_end", "special_tokens", "loss_on_padding")
_WIDE = 10
"""A range whose ends are so many times apart is searched by magnitude."""


@dataclass(frozen=True)
class Dimension:
    """One recipe field: either `choices`, or all numbers from `low` to `high`."""

    field: str
    choices: list[str] = dataclasses.field(default_factory=list)
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    """Whether magnitudes are drawn evenly, rather than numbers."""

    def setting(self, value: Value) -> str:
        """`field=value` as `--set` takes it; numbers to three digits, which is all that a search finds."""
        return f"{self.field}={value:.3g}" if isinstance(value, float) else f"{self.field}={value}"

    def __str__(self) -> str:
        if self.choices:
            return f"{self.field}: {', '.join(self.choices)}"
        return f"{self.field}: {self.low:g} to {self.high:g}{' by magnitude' if self.log else ''}"


def parse_over(over: Sequence[str], recipe: Recipe, layers: int | None) -> list[Dimension]:
    """What `--over` asks for, such as `lr,batch=8,16,32,epochs=2..4`, around `recipe`.

    `layers` of the base, where it says.

    Raises UserError for unknown fields, fields that a search must hold still, and values that cannot be.
    """
    found: dict[str, Dimension] = {}
    for name, values in _parts(over):
        field = SHORT.get(name, name)
        if field in found:
            raise UserError(f"--over names {field} twice")
        if field in _HELD_STILL:
            raise UserError(f"--over {name}: {_HELD_STILL[field]}")
        if recipe.task == "bios" and field in _WHAT_WRITERS_READ:
            raise UserError(f"--over {name}: it changes which tokens a writer's loss is the mean of")
        if values:
            found[field] = _given(field, values)
        else:
            found[field] = _known(field, recipe, layers)
    if not found:
        raise UserError("--over names no recipe field; try --over lr,batch,epochs")
    return list(found.values())


def _parts(over: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Names with their values; a word after `name=` that names no field is one more of its values."""
    parts: list[tuple[str, list[str]]] = []
    for word in (word.strip() for words in over for word in words.split(",")):
        name, equals, value = word.partition("=")
        if equals:
            parts.append((name.strip(), [value.strip()]))
        elif parts and parts[-1][1] and not _is_field(word):
            parts[-1][1].append(word)
        elif word:
            parts.append((word, []))
    return parts


def _is_field(word: str) -> bool:
    return word in SHORT or word in _kinds()


def _kinds() -> dict[str, str]:
    """Recipe fields that can be set, and their types."""
    return {item.name: str(item.type) for item in dataclasses.fields(Recipe) if "explain" in item.metadata}


def _given(field: str, values: list[str]) -> Dimension:
    low, dots, high = values[0].partition("..")
    if not dots:
        for value in values:
            parse_value(field, value)
        if len(set(values)) < 2:
            raise UserError(f"--over {field}={values[0]}: give two values or more, or a range such as 1..8")
        return Dimension(field, choices=list(dict.fromkeys(values)))
    if len(values) > 1:
        raise UserError(f"--over {field}={','.join(values)}: give either a range or values, not both")
    ends = [parse_value(field, end) for end in (low, high)]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UserError(f"--over {field}={values[0]}: this field takes no numbers; name its values")
    if not ends[0] < ends[1]:
        raise UserError(f"--over {field}={values[0]}: the first number must be below the second")
    return _range(field, *ends)


def _range(field: str, low: float, high: float, log: bool | None = None) -> Dimension:
    wide = low > 0 and high / low >= _WIDE if log is None else log
    return Dimension(field, low=low, high=high, whole=_kinds()[field] == "int", log=wide)


def _known(field: str, recipe: Recipe, layers: int | None) -> Dimension:
    """The range that is usually worth searching."""
    if field not in _kinds():
        names = [*SHORT, *_kinds()]
        close = difflib.get_close_matches(field, names, n=1, cutoff=0.4)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UserError(f"--over {field}: no such recipe field{hint} All fields: bioforge train cola --help")
    rate = recipe.learning_rate or 5e-5
    ranges: dict[str, Callable[[], Dimension]] = {
        "learning_rate": lambda: _range(field, rate / 5, min(1.0, rate * 5), log=True),
        "batch_size": lambda: Dimension(field, choices=["8", "16", "32", "64"]),
        "accumulate": lambda: Dimension(field, choices=["1", "2", "4"]),
        "epochs": lambda: _range(field, 2, 6, log=False),
        "warmup_steps": lambda: _range(field, 0, 0.2),
        "weight_decay": lambda: _range(field, 0.001, 0.3),
        "attention_dropout": lambda: _range(field, 0, 0.3),
        "clip_norm": lambda: _range(field, 0.3, 3),
        "label_share": lambda: _range(field, 0, 1),
        "corruptions": lambda: _range(field, 0, 4, log=False),
        "lora_rank": lambda: Dimension(field, choices=["4", "8", "16", "32"]),
        "lora_alpha": lambda: Dimension(field, choices=["8", "16", "32"]),
        "freeze": lambda: _freeze(layers),
    }
    if field in ranges:
        return ranges[field]()
    knob = next(item for item in dataclasses.fields(Recipe) if item.name == field)
    choices = ["false", "true"] if _kinds()[field] == "bool" else [*knob.metadata["choices"]]
    if not choices:
        raise UserError(f"--over {field}: say which values, such as {field}=1..8 or {field}=1,2,4")
    return Dimension(field, choices=choices)


def _freeze(layers: int | None) -> Dimension:
    if not layers or layers < 2:
        return Dimension("freeze", choices=["none", "embeddings"])
    half = f"0-{layers // 2 - 1}" if layers > 3 else "0"
    return Dimension("freeze", choices=["none", "embeddings", f"embeddings,{half}"])
