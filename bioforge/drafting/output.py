"""Texts into a file: a table, JSON Lines, or plain text; whole or not at all. Light: no torch."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bioforge.drafting.draft import COLUMNS, Draft
from bioforge.drafting.prompts import Prompt
from bioforge.errors import UserError
from bioforge.files import STAGING_PREFIX, write_text

_SUFFIXES = (".csv", ".jsonl", ".txt")


def check_target(path: Path, prompts: Sequence[Prompt], replace: bool) -> None:
    """Before anything is drawn, raises UserError where the texts of `prompts` could not be put into `path`."""
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--out {path}: let the name end in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}")
    if path.is_dir():
        raise UserError(f"--out {path} is a folder; name a file")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.absolute().parent}")
    if path.exists() and not replace:
        raise UserError(f"--out {path} exists; name another file, or pass --replace")
    taken = [name for prompt in prompts for name in prompt.fields if name in COLUMNS]
    if taken and path.suffix.lower() == ".csv":
        raise UserError(
            f"--out {path}: the field '{taken[0]}' has the name of a column of results; rename it"
        )
    try:
        # As the file itself will be written, at first under another name.
        with tempfile.NamedTemporaryFile(prefix=f"{STAGING_PREFIX}{path.name}-", dir=path.absolute().parent):
            pass
    except OSError as error:
        raise UserError(f"--out {path} cannot be written: {error.strerror}") from error


def write(path: Path, drafts: Sequence[Draft]) -> None:
    """Raises UserError where the file cannot be written."""
    try:
        write_text(path, {".csv": _csv, ".jsonl": _jsonl, ".txt": _plain}[path.suffix.lower()](drafts))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _csv(drafts: Sequence[Draft]) -> str:
    fields = list(dict.fromkeys(name for draft in drafts for name in draft.fields))
    stream = io.StringIO()
    table = csv.DictWriter(stream, [*fields, *COLUMNS])
    table.writeheader()
    for draft in drafts:
        table.writerow({**draft.fields, **_cells(draft)})
    return stream.getvalue()


def _cells(draft: Draft) -> dict[str, object]:
    copied = draft.copied
    values = (
        draft.text,
        draft.prompt,
        draft.seed,
        None if draft.score is None else round(draft.score, 4),
        None if draft.weakest is None else round(draft.weakest, 4),
        draft.weakest_sentence,
        copied.words if copied else None,
        copied.span if copied else None,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _jsonl(drafts: Sequence[Draft]) -> str:
    return "".join(json.dumps(asdict(draft), ensure_ascii=False) + "\n" for draft in drafts)


def _plain(drafts: Sequence[Draft]) -> str:
    return "\n\n".join(draft.text for draft in drafts) + "\n"
