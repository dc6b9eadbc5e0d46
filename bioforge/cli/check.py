"""`bioforge check`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bioforge.cli.console import note, stdout
from bioforge.cli.options import JsonFlag

EXAMPLE = 'Example: bioforge check "They drank the pub dry." docs/ notes.md'


def check(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SENTENCE|FILE|FOLDER|-",
            help="Sentences, text and Markdown files, folders of them; - reads stdin.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A judge; the default one if left out.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Accept from this probability on; the model's own if left out."),
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", "-f", help="text, json, jsonl, csv, github or sarif.")
    ] = None,
    as_json: JsonFlag = False,
    everything: Annotated[
        bool, typer.Option("--all", help="As text, also show the acceptable sentences of files.")
    ] = False,
    marks: Annotated[bool, typer.Option(help="Mark the words that hurt.")] = True,
    lines: Annotated[bool, typer.Option("--lines", help="Take files as one sentence a line.")] = False,
    stdin_name: Annotated[
        str, typer.Option(metavar="FILE", help="What stdin is to be taken for, and named in reports.")
    ] = "",
    fail_on: Annotated[
        str | None, typer.Option(metavar="N|N%|never", help="Exit code 1 from so many findings on [1].")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit code 0 whatever is found.")] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Of files, check only lines changed since the last commit.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="The same, compared with this commit or branch.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file is saved; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Judge whether sentences are acceptable English. Exit code 1: at least one is not.

    Comments exempt sentences: <!-- bioforge: ignore -->, or ignore-start and ignore-end. Options are kept for
    a project in .bioforge.toml.
    """
    from bioforge.checking.progress import Progress
    from bioforge.checking.session import Request, Session, Streams

    request = Request(
        inputs=inputs or ["-"],
        model=model,
        threshold=threshold,
        format="json" if as_json else format,
        fail_on=fail_on,
        exit_zero=exit_zero,
        lines=lines,
        everything=everything,
        marks=marks,
        stdin_name=stdin_name,
        since=since or ("HEAD" if changed else None),
    )
    if "-" in request.inputs and sys.stdin.isatty():
        note("type sentences; end with Ctrl-D")
    progress = Progress(sys.stderr) if sys.stderr.isatty() else None
    streams = Streams(stdout(), note, lambda: sys.stdin.buffer, progress)
    session = Session(request, streams)
    if watch:
        from bioforge.checking.watching import watch as watch_files

        raise typer.Exit(watch_files(session))
    raise typer.Exit(session.run(session.expand()))
