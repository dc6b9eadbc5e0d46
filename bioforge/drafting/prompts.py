"""What texts begin with: prompts as given, templates filled from fields, a draft to go on with. Light: no torch."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bioforge.data.decode import decode, open_text, read_bytes
from bioforge.data.table import Ragged, listed, read_table
from bioforge.errors import UserError


@dataclass(frozen=True)
class Prompt:
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """What its template was filled with."""


def check_unicode(text: str, where: str) -> None:
    """Raises UserError for what no tokenizer takes: typed bytes that are no UTF-8, halves of characters in JSON."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: character {error.start + 1} is not valid UTF-8; type it again") from error


class Template:
    """Text with fields in braces, such as `{name} is a DJ from {city}.`; doubled braces stand for themselves.

    Raises UserError for anything else in braces.
    """

    def __init__(self, text: str) -> None:
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError as error:
            raise UserError(
                f"--template: {error}; write fields as {{name}}, and braces as {{{{ }}}}"
            ) from error
        for _, name, format, conversion in pieces:
            if name is not None and (not name.isidentifier() or format or conversion):
                raise UserError(f"--template: '{{{name}}}' is no field; write a plain name such as {{city}}")
        self._pieces = [(literal, name) for literal, name, _, _ in pieces]
        self.names = list(dict.fromkeys(name for _, name in self._pieces if name))

    def fill(self, values: Mapping[str, str]) -> Prompt:
        used = {name: values[name] for name in self.names}
        return Prompt("".join(text + (used[name] if name else "") for text, name in self._pieces), used)


def read_fields(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE`, each.

    Raises UserError for what is none, or no UTF-8, and for a name that comes twice.
    """
    fields: dict[str, str] = {}
    for item in given:
        check_unicode(item, "--field")
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise UserError(f"--field {item}: write it as NAME=VALUE, such as city=Leeds")
        if name in fields:
            raise UserError(f"--field {name} is given twice; give a file of several with --fields-from")
        fields[name] = value.strip()
    return fields


def filled(template: Template, fields: Mapping[str, str], path: Path | None) -> list[Prompt]:
    """The template filled once, or once for each row of the file `path`; `fields` hold for all rows.

    Columns that the template does not name are not read. Raises UserError for fields that are unknown or
    missing, and for the first row that is not right, with its row and column.
    """
    for name in fields:
        if name not in template.names:
            raise UserError(f"the template has no field '{name}'; its fields: {listed(template.names)}")
    wanted = [name for name in template.names if name not in fields]
    if path is None:
        if wanted:
            raise UserError(f"the template needs '{wanted[0]}'; give it: --field {wanted[0]}=…")
        return [template.fill(fields)]
    table = read_table(open_text(path))
    for name in wanted:
        if name not in table.columns:
            raise UserError(f"{path} has no column '{name}'; its columns: {listed(table.columns)}")
    prompts = []
    for record in table.records():
        if isinstance(record, Ragged):
            raise UserError(f"{path}, row {record.row}, line {record.line}: {record.message}")
        row, cells = record
        values = {name: _cell(path, row, name, cells.get(name)) for name in wanted}
        prompts.append(template.fill({**values, **fields}))
    return prompts


def _cell(path: Path, row: int, column: str, value: Any) -> str:
    if value is None or isinstance(value, bool | dict | list) or not str(value).strip():
        problem = "is empty" if value is None or value == "" or isinstance(value, str) else "is no text"
        raise UserError(f"{path}, row {row}, column '{column}': {problem}; every row needs one")
    check_unicode(str(value), f"{path}, row {row}, column '{column}'")
    return str(value).strip()


def lines_of(path: Path) -> list[Prompt]:
    """A prompt a line; blank lines are passed over."""
    text, _ = decode(read_bytes(path), str(path))
    return [Prompt(line.strip()) for line in text.splitlines() if line.strip()]


def draft_of(source: str) -> Prompt:
    """A text to go on with, from a file or, as `-`, from stdin.

    White space at its end goes: the words of a model bring their own.
    """
    if source == "-":
        raw = sys.stdin.buffer.read()
        if not raw.strip():
            raise UserError("--continue -: nothing came on stdin")
    else:
        raw = read_bytes(Path(source))
    text, _ = decode(raw, "stdin" if source == "-" else source)
    return Prompt(text.replace("\r\n", "\n").rstrip())


@dataclass(frozen=True)
class Beginnings:
    """All the ways to say what texts begin with; one of them at a time."""

    prompts: Sequence[str] = ()
    prompts_from: Path | None = None
    template: str | None = None
    fields: Sequence[str] = ()
    fields_from: Path | None = None
    draft: str | None = None
    """A file to go on with, or `-`."""

    def read(self) -> list[Prompt]:
        """Raises UserError for what cannot be read, and for two ways at once."""
        ways = {
            "PROMPT": bool(self.prompts),
            "--prompts-from": self.prompts_from is not None,
            "--template": self.template is not None,
            "--continue": self.draft is not None,
        }
        chosen = [name for name, is_given in ways.items() if is_given]
        if len(chosen) > 1:
            raise UserError(f"{chosen[0]} and {chosen[1]} both say what texts begin with; give one of them")
        for prompt in self.prompts:
            check_unicode(prompt, "PROMPT")
        if self.template is not None:
            check_unicode(self.template, "--template")
            return filled(Template(self.template), read_fields(self.fields), self.fields_from)
        if self.fields or self.fields_from:
            raise UserError('fields need a template: --template "{name} is a DJ from {city}."')
        if self.prompts_from:
            return lines_of(self.prompts_from)
        if self.draft is not None:
            return [draft_of(self.draft)]
        return [Prompt(prompt) for prompt in self.prompts] or [Prompt("")]
