"""What a project wants of `check`: `.bioforge.toml`, or `[tool.bioforge.check]` in its pyproject.toml."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioforge.checking.limits import FailOn
from bioforge.errors import UserError

FORMATS = ("text", "json", "jsonl", "csv", "github", "sarif")
OWN, SHARED = ".bioforge.toml", "pyproject.toml"


@dataclass(frozen=True)
class Config:
    """What the file says; None where it says nothing."""

    folder: Path | None = None
    model: str | None = None
    threshold: float | None = None
    format: str | None = None
    fail_on: str | None = None
    exclude: tuple[str, ...] = ()
    """Globs of files, relative to the configuration's folder; `*` also matches slashes."""
    ignore: tuple[str, ...] = ()
    """Sentences, or `/regular expressions/`, not to be checked."""

    def excluded(self, path: Path) -> bool:
        if not self.exclude or not self.folder:
            return False
        try:
            name = path.resolve().relative_to(self.folder).as_posix()
        except ValueError:
            return False
        return any(
            fnmatch.fnmatch(name, pattern)
            or fnmatch.fnmatch(path.name, pattern)
            or name.startswith(pattern.rstrip("/") + "/")
            for pattern in self.exclude
        )

    def ignores(self) -> Callable[[str], bool]:
        """Whether a sentence is not to be checked."""
        literal = {" ".join(text.split()) for text in self.ignore if not _is_regex(text)}
        patterns = [re.compile(text[1:-1]) for text in self.ignore if _is_regex(text)]
        return lambda text: text in literal or any(pattern.search(text) for pattern in patterns)


def read_config(start: Path) -> Config:
    """The nearest configuration in `start` or a folder above it.

    Raises UserError, with file and key, for what is not understood.
    """
    for folder in (start, *start.parents):
        own, shared = folder / OWN, folder / SHARED
        if own.is_file():
            return _checked(own, _toml(own))
        if shared.is_file() and b"bioforge" in _bytes(shared):
            table = _table(shared, _table(shared, _toml(shared), "tool"), "bioforge")
            if "check" in table:
                return _checked(shared, table)
    return Config()


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_bytes(path).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _table(path: Path, around: dict[str, Any], key: str) -> dict[str, Any]:
    table = around.get(key, {})
    if not isinstance(table, dict):
        raise UserError(
            f"{path}: '{key}' is a table, not {table!r}: write [tool.bioforge.check], and keys below it"
        )
    return table


def _checked(path: Path, around: dict[str, Any]) -> Config:
    strangers = [key for key in around if key != "check"]
    if strangers:
        raise UserError(f"{path}: unknown table or key '{strangers[0]}'; there is: [check]")
    table = around.get("check", {})
    if not isinstance(table, dict):
        raise UserError(f"{path}: 'check' is a table: write [check], and keys below it")
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        "model": (lambda value: isinstance(value, str), "the name of a judge"),
        "threshold": (_is_share, "a number from 0 to 1"),
        "format": (lambda value: value in FORMATS, f"one of {', '.join(FORMATS)}"),
        "fail-on": (
            _is_limit,
            'a number, or a share such as "5%", or "never"',
        ),
        "exclude": (_are_strings, "a list of globs"),
        "ignore": (_are_strings, "a list of sentences or /regular expressions/"),
    }
    for key, value in table.items():
        if key not in rules:
            raise UserError(f"{path}: unknown key 'check.{key}'; there are: {', '.join(rules)}")
        fits, what = rules[key]
        if isinstance(value, bool) or not fits(value):
            raise UserError(f"{path}: 'check.{key}' is {what}, not {value!r}")
    for text in filter(_is_regex, table.get("ignore", [])):
        try:
            re.compile(text[1:-1])
        except re.error as error:
            raise UserError(
                f"{path}: 'check.ignore' has {text}, which is no regular expression: {error}"
            ) from error
    fail_on = table.get("fail-on")
    return Config(
        path.parent.resolve(),
        table.get("model"),
        table.get("threshold"),
        table.get("format"),
        None if fail_on is None else str(fail_on),
        tuple(table.get("exclude", ())),
        tuple(table.get("ignore", ())),
    )


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _is_limit(value: Any) -> bool:
    try:
        return bool(FailOn.parse(str(value)))
    except UserError:
        return False


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_regex(text: str) -> bool:
    return len(text) > 2 and text.startswith("/") and text.endswith("/")
