"""docs/reference.md: commands, recipe fields, settings and environment, from what the program itself holds.

`python -m bench.reference`, once a command, an option or a recipe field has changed.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from bioforge.cli.app import app
from bioforge.errors import ExitCode
from bioforge.models.catalog import CATALOG, DEFAULT_BASE, STARTERS, Task
from bioforge.runs.recipe import Recipe, preset, presets_for
from bioforge.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
TASKS: tuple[tuple[Task, str], ...] = (("bios", "writers"), ("cola", "judges"))
EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.OK: "Fine.",
    ExitCode.FOUND: "`check` found something, or `generate` found fewer texts than asked for.",
    ExitCode.USAGE: "Bad usage or bad input: one line says what, where, and what to do. A refused command has changed nothing; a training that failed keeps what it saved.",
    ExitCode.FAULT: "A fault of ours; the line names a file with the details.",
    ExitCode.INTERRUPTED: "Interrupted; a training that was told to stop has saved first.",
    ExitCode.UNREAD: "Whoever read the output has seen enough, as of `| head`.",
}
ENVIRONMENT = {
    "BIOFORGE_HOME": "The data folder, in place of the platform's own; `bioforge paths` prints it.",
    "NO_COLOR": "Set: no colours, on the command line and in the app.",
    "HF_HOME": "Where the model hub's cache lies; bioforge reads bases from it and pulls into it.",
    "HF_HUB_OFFLINE": "Set: `models pull` refuses to use the model hub. Trainings never use it in any case.",
    "PIP_CERT": "Certificates to trust when a base is fetched from the package index.",
    "PIP_INDEX_URL": "The package index, as pip reads it; so do pip's other variables and its configuration.",
    "HTTPS_PROXY": "A proxy for `models pull`, as every other program reads it.",
    "OMP_NUM_THREADS": "Threads of one process on the CPU. Other counts may change the last digit of a loss.",
    "CUDA_VISIBLE_DEVICES": "Which GPUs there are to be found; empty: train on the CPU.",
    "RANK": "Set by `torchrun`: the number of a process among those of one run. Not for you to set.",
}
_TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "flag", "Path": "path"}


def page() -> str:
    parts = [
        "# Reference",
        "Every command, option and setting. Made from the program itself by `python -m bench.reference`; "
        "a test holds that it is up to date.",
        *_exit_codes(),
        "## Commands",
        "`-h` or `--help` after any of them shows the same. Results go to stdout, everything else to stderr.",
        *_commands(),
        *_recipe(),
        *_bases(),
        *_settings(),
        *_environment(),
    ]
    return "\n\n".join(parts) + "\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    yield _table(("code", "meaning"), [(f"{int(code)}", meaning) for code, meaning in EXIT_CODES.items()])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words, as `--help` lists them."""
    yield from _below(typer.main.get_command(app), "bioforge")


def _below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield words, command
    for name, child in inner.items():
        yield from _below(child, f"{words} {name}")


def _commands() -> Iterator[str]:
    for words, command in commands():
        yield f"### `{words}`"
        yield _paragraphs(command.help)
        example = (command.epilog or "").split("\n\n")[0]
        if example.startswith("Example: "):
            yield f"```sh\n{example.removeprefix('Example: ')}\n```"
        shown = [item for item in command.params if not getattr(item, "hidden", False)]
        if shown:
            yield _table(("option", "takes", "default", "meaning"), [_parameter(item) for item in shown])


def _paragraphs(text: str) -> str:
    return "\n\n".join(
        " ".join(part.split()).replace("<", "&lt;") for part in inspect.cleandoc(text).split("\n\n")
    )


def _parameter(item: Any) -> tuple[str, str, str, str]:
    if item.param_type_name == "argument":
        name = f"`{item.metavar or item.name.upper()}`"
        several = " …" if item.nargs == -1 else ""
        return name + several, _takes(item), "" if item.required else "none", item.help or ""
    names = ", ".join(f"`{option}`" for option in (*item.opts, *item.secondary_opts))
    again = " May be repeated." if item.multiple and "repeated" not in (item.help or "") else ""
    return names, _takes(item), _default(item), (item.help or "") + again


def _takes(item: Any) -> str:
    if getattr(item, "is_flag", False):
        return ""
    annotation = item.type_descriptor.annotation
    inner = getattr(annotation, "__args__", (annotation,))[0]
    kind = _TYPES.get(getattr(inner, "__name__", ""), str(inner))
    if item.param_type_name == "option" and item.metavar:
        kind = f"`{item.metavar}`"
    return kind + _range(getattr(item, "min", None), getattr(item, "max", None))


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f", at most {_number(high)}"
    return f", from {_number(low)}" + ("" if high is None else f" to {_number(high)}")


def _default(item: Any) -> str:
    value = item.default
    if getattr(item, "is_flag", False):
        return f"`{item.opts[0]}`" if value else ""
    return "" if value in (None, "", [], ()) else f"`{value}`"


def _recipe() -> Iterator[str]:
    yield "## Recipe fields"
    yield (
        "For `--set FIELD=VALUE` of `bioforge train`, and in a run's `recipe.json`. One value stands for all presets; "
        "where presets differ, each is named. "
        "A base may want a learning rate of its own, which all presets but `tutorial` then take: see the bases below."
    )
    names = [item.name for item in fields(Recipe) if "explain" in item.metadata]
    rows = []
    for item in fields(Recipe):
        if item.name in names:
            values = (_by_preset(item.name, task) for task, _ in TASKS)
            meaning = f"{item.metadata['explain']}<br>*{_allowed(item)}*"
            rows.append((f"`{item.name}`", meaning, *values))
    yield _table(("field", "meaning and range", *(word for _, word in TASKS)), rows)


def _allowed(item: Any) -> str:
    if item.metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in item.metadata["choices"])
    kind = str(item.type)
    if kind == "bool":
        return "`true`, `false`"
    if kind == "str":
        return "text"
    word = "whole number" if kind == "int" else "number"
    return word + _range(item.metadata["low"], item.metadata["high"]) + (", `none`" if "None" in kind else "")


def _by_preset(name: str, task: Task) -> str:
    values = {known: _value(getattr(preset(task, known), name)) for known in presets_for(task)}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "<br>".join(f"{known}\u00a0{value}" for known, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"`{_number(value)}`"
    return f"`{str(value).lower()}`" if value != "" else "empty"


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value)}"
    return f"{value:g}"


def _bases() -> Iterator[str]:
    yield "## Bases and starters"
    rows = []
    for base in CATALOG:
        wish = ", ".join(
            f"{rate:g} for {'writers' if task == 'bios' else 'judges'}" for task, rate in base.learning_rates
        )
        size = f"{base.download_bytes / 1e6:,.0f} MB"
        purpose = "writing, judging" if base.family == "causal" else "judging"
        rows.append((f"`{base.name}`", purpose, base.parameters, base.licence, base.where, size, wish))
    yield _table(
        ("base", "for", "parameters", "licence", "comes from", "download", "learning rate of its own"), rows
    )
    defaults = " or ".join(f"`{name}`" for name in DEFAULT_BASE.values())
    starters = "; ".join(
        f"`{name}` makes {' and '.join(f'`{model}`' for model in models)}"
        for name, models in STARTERS.items()
    )
    yield f"Any hub id (`owner/name`) or model folder works as well. Without `--base` a training starts from {defaults} where they are here. Starters: {starters}."


def _settings() -> Iterator[str]:
    yield "## Settings"
    yield (
        "`settings.json` in the data folder keeps what was chosen once. `bioforge models default` and the app write it; "
        "a field that is missing or `null` is not chosen. A project's own settings for `check` stand in `.bioforge.toml` "
        "([how](check.md#a-projects-own-settings))."
    )
    explained = explanations(Settings)
    yield _table(
        ("field", "meaning"), [(f"`{item.name}`", explained.get(item.name, "")) for item in fields(Settings)]
    )


def _environment() -> Iterator[str]:
    yield "## Environment variables"
    yield _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in ENVIRONMENT.items()])


def explanations(kind: type) -> dict[str, str]:
    """The strings that stand below the fields of a dataclass in its source."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(kind)))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    found = {}
    for before, after in itertools.pairwise(body):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
            match after:
                case ast.Expr(ast.Constant(str(text))):
                    found[before.target.id] = " ".join(text.split())
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns without a single entry are left out."""
    used = [place for place in range(len(head)) if any(row[place] for row in rows)]
    body = ([_cell(row[place]) for place in used] for row in rows)
    lines = [[head[place] for place in used], ["---"] * len(used), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """One line in which neither a bar nor a tag of the text is taken for the table's own."""
    plain = re.sub(r"[ \n]+", " ", text).replace("|", "\\|")
    return plain.replace("<", "&lt;").replace("&lt;br>", "<br>")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
