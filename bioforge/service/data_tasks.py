"""What the child process does with data and bases: look at files, import, count, fetch."""

from __future__ import annotations

import random
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bioforge.data import bios, checks, cola, store
from bioforge.data.preview import Preview, suggested_name
from bioforge.data.preview import preview as look
from bioforge.data.rows import Row
from bioforge.data.store import DataSet, Kind
from bioforge.errors import UserError
from bioforge.models import starters
from bioforge.models import store as models
from bioforge.models.bases import LocalBase, default_base, read_config, reading_limit, resolve
from bioforge.models.catalog import STARTERS
from bioforge.models.pull import pull as fetch
from bioforge.models.tokenization import token_counts, tokenize
from bioforge.paths import assets
from bioforge.reporting.data import (
    column_line,
    length_lines,
    preview_lines,
    problems_line,
    spread,
    summary,
)
from bioforge.reporting.text import one_line
from bioforge.service.worker import Context

BUNDLED: dict[str, tuple[Kind, str]] = {
    "djs": ("bios", "dj_bios.csv"),
    "sentences": ("cola", "acceptability.tsv"),
}
"""Name, kind and file of the data sets made from the bundled examples."""
_SHOWN_PROBLEMS = 200
_SHOWN_COLUMNS = 8
_SHOWN_ROWS = 8
_SHOWN_BAD = 5
_CELL = 200
_COLUMN = 64
_SENTENCE_WORDS = 24
_BAR_WIDTH = 28

_last_preview: dict[tuple[str, str | None, int], Preview] = {}
_last_data: dict[tuple[str, int], DataSet] = {}
_histograms: dict[tuple[str, str], list[str]] = {}
"""In tokens, by fingerprint of the data and folder of the base."""


def pull(context: Context, name: str) -> dict[str, Any]:
    """Fetch a base, or a set of starters with their bases; progress `{"done": bytes, "total": bytes}`."""
    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if context.cancelled():
            raise UserError("stopped; what came is kept, the same command continues it")
        if done - said >= total // 200 or done == total:
            said = done
            context.progress({"done": done, "total": total})

    if name not in STARTERS:
        return {"name": fetch(context.home, name, progress).name}
    missing = starters.missing(context.home, name)
    for base in starters.bases_of(name) if missing else []:
        said = 0
        fetch(context.home, base, progress)
    for model in missing:
        _stop_if_cancelled(context)
        if starters.add(context.home, model).task == "cola":
            from bioforge.judging.exporting import export_once

            export_once(models.folder(context.home, model))
    return {"name": name}


def preview(context: Context, path: str, column: str | None = None) -> dict[str, Any]:
    """Look at a file before it is imported; everything in the reply is cut to what fits on a screen."""
    _stop_if_cancelled(context)
    seen = _look(Path(path), column)
    shown = _columns_to_show(seen)
    return {
        "kind": seen.kind,
        "lines": [one_line(line, _CELL) for line in preview_lines(seen)],
        "columns": seen.columns,
        "column": seen.column,
        "column_line": column_line(seen),
        "header": [one_line(seen.header[at], _COLUMN) for at in shown],
        "rows": [[row, [one_line(cells[at], _COLUMN) for at in shown]] for row, cells in seen.rows],
        "problems": [
            {
                "where": f"{problem.split if len(seen.splits) > 1 else ''} row {problem.row:,}".strip(),
                "message": one_line(problem.message, _CELL),
                "fatal": problem.fatal,
            }
            for problem in seen.problems[:_SHOWN_PROBLEMS]
        ],
        "problems_line": problems_line(seen),
        "hidden_problems": max(0, len(seen.problems) - _SHOWN_PROBLEMS),
        "ragged": seen.ragged,
        "hindrance": one_line(seen.hindrance(skip_ragged=False), _CELL),
        "hindrance_without_ragged": one_line(seen.hindrance(skip_ragged=True), _CELL),
        "name": suggested_name(Path(path)),
    }


def _look(path: Path, column: str | None) -> Preview:
    """The file as it is now; the one looked at last is kept."""
    try:
        status = path.stat()
        date = status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0
    except OSError:
        date = 0
    key = (str(path), column, date)
    if key not in _last_preview or not date:
        _last_preview.clear()
        _last_preview[key] = look(path, column)
    return _last_preview[key]


def _columns_to_show(seen: Preview) -> list[int]:
    """Places of the first few columns, the one with the texts before all others."""
    places = list(range(len(seen.header)))
    chosen = seen.header.index(seen.column) if seen.column is not None else None
    places.sort(key=lambda place: place != chosen)
    return places[:_SHOWN_COLUMNS]


def import_(
    context: Context,
    path: str,
    kind: Kind,
    name: str,
    column: str | None = None,
    skip_ragged: bool = False,
    drop_duplicates: bool = False,
) -> dict[str, Any]:
    """Keep a file as data set `name`; progress `{"stage": "…"}`, then `{"done": rows, "total": rows}`.

    A cancelled import leaves nothing behind.
    """
    _stop_if_cancelled(context)
    context.progress({"stage": "reading"})
    file = Path(path)
    source: bios.Biographies | cola.ColaFile
    rows: Iterable[Row]
    if kind == "bios":
        source = bios.open_bios(
            file, column, skip_ragged=skip_ragged, check=lambda: _stop_if_cancelled(context)
        )
        rows, total = store.rows_of_bios(source, drop_duplicates=drop_duplicates), source.table.size
    else:
        source = cola.read_cola(file)
        rows = judged = store.rows_of_cola(source)
        total = len(judged)

    def progress(done: int) -> None:
        _stop_if_cancelled(context)
        context.progress({"done": done, "total": total})

    info = store.add(context.home, name, kind, rows, file, source, progress)
    return {"name": info.name, "line": summary(info)[0]}


def bundled(context: Context) -> dict[str, list[str]]:
    """Import the bundled examples under their names, unless data of that name is here."""
    infos, _ = store.listing(context.home)
    here = [name for name in BUNDLED if any(info.name == name for info in infos)]
    added = [name for name in BUNDLED if name not in here]
    for name in added:
        kind, file = BUNDLED[name]
        import_(context, str(assets() / file), kind, name)
    return {"added": added, "here": here}


def describe(context: Context, name: str, seed: int, rows: int = _SHOWN_ROWS) -> dict[str, Any]:
    """A data set in words, with random rows of it and random unacceptable ones."""
    _stop_if_cancelled(context)
    data = _load(context, name)
    draw = random.Random(seed)
    bad = [index for index, row in enumerate(data.rows) if row.label == 0] if data.info.labels else []
    count = len(data.rows)
    return {
        "lines": [one_line(line, _CELL) for line in summary(data.info)],
        "rows": [_shown(at, data.rows[at]) for at in draw.sample(range(count), min(rows, count))],
        "unacceptable": [_shown(at, data.rows[at]) for at in draw.sample(bad, min(_SHOWN_BAD, len(bad)))],
    }


def _shown(index: int, row: Row) -> dict[str, Any]:
    return {
        "index": index,
        "split": row.split,
        "row": row.row,
        "label": row.label,
        "text": one_line(row.text, _CELL),
    }


def _load(context: Context, name: str) -> DataSet:
    """The data set; the one opened last is kept while its file is the same."""
    info = store.info(context.home, name)
    rows = context.home.data / name / "rows.jsonl"
    key = (info.fingerprint, rows.stat().st_mtime_ns if rows.is_file() else 0)
    known = _last_data.get(key)
    if known is None or known.info != info:
        _last_data.clear()
        _last_data[key] = store.load(context.home, name)
    return _last_data[key]


def lengths(
    context: Context,
    name: str | None = None,
    path: str | None = None,
    column: str | None = None,
    base: str | None = None,
) -> dict[str, Any]:
    """How long the texts of a data set, or of a file not imported yet, are: in words, and in tokens.

    Tokens are those of `base`, or of the default base where one is here; `missing` says why there are none.
    Progress: `{"words": lines}`, then `{"done": texts, "total": texts}`.
    """
    _stop_if_cancelled(context)
    if name is not None:
        data = _load(context, name)
        kind, fingerprint, total = data.info.kind, data.info.fingerprint, len(data.rows)
        texts = [row.text for row in spread(data.rows)]
    else:
        seen = _look(Path(path or ""), column)
        kind, fingerprint, total = seen.kind, "", len(seen.texts)
        texts = list(spread(seen.texts))
    if not texts:
        return {"words": [], "tokens": [], "base": "", "missing": ""}
    reply = {"words": length_lines([len(text.split()) for text in texts], total, width=_BAR_WIDTH)}
    context.progress(reply)
    try:
        local = resolve(context.home, base or default_base(context.home, kind))
    except UserError as error:
        return {**reply, "tokens": [], "base": "", "missing": str(error)}
    key = (fingerprint, str(local.folder))
    lines = _histograms.get(key) or _token_histogram(context, local, texts, total)
    if fingerprint:
        _histograms[key] = lines
    return {**reply, "tokens": lines, "base": local.name, "missing": ""}


def _token_histogram(context: Context, base: LocalBase, texts: Sequence[str], total: int) -> list[str]:
    def progress(done: int) -> None:
        _stop_if_cancelled(context)
        context.progress({"done": done, "total": len(texts)})

    counts = token_counts(base.folder, texts, progress)
    return length_lines(counts, total, limit=reading_limit(read_config(base.folder)), width=_BAR_WIDTH)


def tokens(
    context: Context, name: str, index: int = 0, text: str | None = None, base: str | None = None
) -> dict[str, Any]:
    """One sentence as original, tokens and ids: `text`, or the beginning of a row of data set `name`.

    The base is the default one for this kind of data; `missing` says why there is none.
    """
    _stop_if_cancelled(context)
    data = _load(context, name)
    words = (data.rows[index].text if text is None else text).split()
    original = one_line(" ".join(words[:_SENTENCE_WORDS]), 1000)
    try:
        local = resolve(context.home, base or default_base(context.home, data.info.kind))
    except UserError as error:
        return {"original": original, "tokens": [], "ids": [], "base": "", "missing": str(error)}
    found, ids = tokenize(local.folder, original)
    return {"original": original, "tokens": found, "ids": ids, "base": local.name, "missing": ""}


def check(context: Context, name: str) -> list[dict[str, Any]]:
    """What may be wrong with a data set, finding by finding."""
    _stop_if_cancelled(context)
    return [
        {
            "check": finding.check,
            "count": finding.count,
            "message": one_line(finding.message, _CELL),
            "examples": [one_line(example) for example in finding.examples],
        }
        for finding in checks.check(_load(context, name))
    ]


def _stop_if_cancelled(context: Context) -> None:
    if context.cancelled():
        raise UserError("stopped")


TASKS: dict[str, Callable[..., Any]] = {
    "pull": pull,
    "preview": preview,
    "import": import_,
    "bundled": bundled,
    "describe": describe,
    "lengths": lengths,
    "tokens": tokens,
    "check": check,
}
