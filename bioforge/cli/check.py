"""`bioforge check`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioforge.cli.console import note, show_json, stdout
from bioforge.cli.options import JsonFlag
from bioforge.errors import ExitCode, UserError

if TYPE_CHECKING:
    from bioforge.judging.judge import Verdict

EXAMPLE = 'Example: bioforge check "They drank the pub dry." "They drank the pub."'


def check(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="SENTENCE|FILE|-", help="Sentences, or files with one a line; - reads stdin."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A judge you trained; the default one if left out.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Accept from this probability on; the model's own if left out."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge whether sentences are acceptable English. Exit code 1: at least one is not."""
    from bioforge.models import store
    from bioforge.paths import home

    sentences = list(_sentences(inputs or ["-"]))
    if not sentences:
        raise UserError("nothing to check: give sentences, a file, or text on stdin")
    name = model or store.default_model(home(), "cola")
    info = store.info(home(), name)
    if info.task != "cola":
        raise UserError(f"the model '{name}' is a writer; use it with: bioforge generate --model {name}")
    from bioforge.judging.judge import open_judge

    judge = open_judge(store.folder(home(), name), note)
    cut = judge.threshold if threshold is None else threshold
    verdicts = list(judge.verdicts((sentence for sentence, _ in sentences), cut))
    bad = sum(not verdict.acceptable for verdict in verdicts)
    if as_json:
        places = [{"file": place[0], "line": place[1]} if place else {} for _, place in sentences]
        found = [{**place, **asdict(verdict)} for place, verdict in zip(places, verdicts, strict=True)]
        show_json({"model": name, "threshold": cut, "verdicts": found})
    else:
        _print(sentences, verdicts)
        note(f"{bad:,} of {len(verdicts):,} unacceptable ({name}, acceptable from {cut:.2f} on)")
    for verdict in verdicts:
        if verdict.truncated:
            note(f"warning: only the first {info.max_length} tokens were read of: {verdict.sentence[:60]} …")
    raise typer.Exit(ExitCode.FOUND if bad else ExitCode.OK)


Place = tuple[str, int] | None


def _sentences(inputs: list[str]) -> Iterator[tuple[str, Place]]:
    """Sentences with their file and line; an argument that names a file is read, any other is a sentence."""
    for item in inputs:
        if item == "-":
            if sys.stdin.isatty():
                note("type sentences, one a line; end with Ctrl-D")
            yield from _lines(sys.stdin.buffer.read(), "stdin")
        elif os.path.exists(item):  # noqa: PTH110 – Path.exists raises for long sentences
            from bioforge.data.decode import read_bytes

            yield from _lines(read_bytes(Path(item)), item)
        elif item.strip():
            if " " not in item.strip() and Path(item).suffix[1:]:
                raise UserError(f"{item}: no such file")
            yield item.strip(), None


def _lines(raw: bytes, where: str) -> Iterator[tuple[str, Place]]:
    from bioforge.data.decode import decode

    if not raw.strip():
        return
    text, _ = decode(raw, where)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield line.strip(), (where, number)


def _print(sentences: list[tuple[str, Place]], verdicts: list[Verdict]) -> None:
    from bioforge.reporting.scores import verdict_line

    console = stdout()
    for (sentence, place), verdict in zip(sentences, verdicts, strict=True):
        where = f"{place[0]}:{place[1]}: " if place else ""
        line = verdict_line(sentence, verdict.probability, verdict.acceptable, where)
        console.print(line, soft_wrap=True)
