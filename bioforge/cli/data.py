"""`bioforge data`: import, look at and check data sets."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bioforge.cli.console import confirm_or_refuse, note, show, show_json, stderr
from bioforge.cli.options import JsonFlag, SeedOption, YesFlag

if TYPE_CHECKING:
    from bioforge.data.store import DataInfo, DataSet
    from bioforge.paths import Home

app = typer.Typer(no_args_is_help=True, help="Import, look at and check data sets.")
imports = typer.Typer(no_args_is_help=True, help="Import biographies, or judged sentences.")
app.add_typer(imports, name="import")

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV, TSV or JSON Lines, in any usual encoding.")
]
NameOption = Annotated[str | None, typer.Option(help="Name of the data set; the file's name if left out.")]
BaseOption = Annotated[
    str | None, typer.Option(help="Base whose tokens are counted; the default base if it is here.")
]
DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="Name of a data set; see: bioforge data list")
]


@imports.command("bios", epilog="Example: bioforge data import bios djs.csv --column bio_main")
def import_bios(
    file: FileArgument,
    column: Annotated[
        str | None, typer.Option(help="Column with the texts; found by its usual names if left out.")
    ] = None,
    name: NameOption = None,
    base: BaseOption = None,
    skip_ragged: Annotated[
        bool, typer.Option(help="Leave out rows with too many or too few fields.")
    ] = False,
    drop_duplicates: Annotated[bool, typer.Option(help="Keep each text once.")] = False,
    max_cell: Annotated[
        int, typer.Option(min=0, help="Longest text taken, in characters; 0: any.")
    ] = 5_000_000,
    as_json: JsonFlag = False,
) -> None:
    """Import biographies: one text a row."""
    from rich.progress import Progress

    from bioforge.data import bios, store
    from bioforge.data.preview import suggested_name
    from bioforge.paths import home

    _check_base(base)
    with Progress(console=stderr(), disable=not sys.stderr.isatty(), transient=True) as bars:
        bar = bars.add_task("reading", total=None)
        read = bios.open_bios(file, column, skip_ragged=skip_ragged, max_cell=max_cell)
        rows = store.rows_of_bios(read, drop_duplicates=drop_duplicates)
        bars.update(bar, description="importing", total=read.table.size)
        info = store.add(
            home(),
            name or suggested_name(file),
            "bios",
            rows,
            file,
            read,
            lambda done: bars.update(bar, completed=done),
        )
    if read.column_guessed:
        note(f"column '{read.column}' was chosen because its texts are the longest; --column chooses another")
    _report(home(), info, base, as_json)


@imports.command("cola", epilog="Example: bioforge data import cola cola_public_1.1.zip")
def import_cola(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="CoLA's zip, its folder, one TSV, or GLUE's files.")
    ],
    name: NameOption = None,
    base: BaseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Import sentences judged acceptable (1) or not (0)."""
    from bioforge.data import cola, store
    from bioforge.data.preview import suggested_name
    from bioforge.paths import home

    _check_base(base)
    read = cola.read_cola(path)
    info = store.add(home(), name or suggested_name(path), "cola", store.rows_of_cola(read), path, read)
    _report(home(), info, base, as_json)


def _check_base(base: str | None) -> None:
    from bioforge.models.bases import resolve
    from bioforge.paths import home

    if base is not None:
        resolve(home(), base)


def _report(home: Home, info: DataInfo, base: str | None, as_json: bool) -> None:
    if as_json:
        show_json(asdict(info))
        return
    from bioforge.data import store
    from bioforge.reporting.data import summary

    show(*summary(info))

    _lengths(home, store.load(home, info.name), base)
    note(f"next: bioforge data check {info.name}, then bioforge train {info.kind} {info.name}")


def _lengths(home: Home, data: DataSet, base: str | None) -> None:
    """The length distribution in words, and in tokens where a base is here to count them."""
    from bioforge.errors import UserError
    from bioforge.models.bases import default_base, read_config, reading_limit, resolve
    from bioforge.models.tokenization import token_counts
    from bioforge.reporting.data import length_lines, spread

    texts, total = [row.text for row in spread(data.rows)], len(data.rows)
    show("", Text("words a text", style="bold"), *length_lines([len(text.split()) for text in texts], total))
    try:
        local = resolve(home, base or default_base(home, data.info.kind))
    except UserError as error:
        if base:
            raise
        note(f"tokens are not counted: {error}")
        return
    title = Text(f"tokens a text ({local.name})", style="bold")
    show(
        "",
        title,
        *length_lines(
            token_counts(local.folder, texts), total, limit=reading_limit(read_config(local.folder))
        ),
    )


@app.command("list", epilog="Example: bioforge data list")
def list_data(as_json: JsonFlag = False) -> None:
    """List the imported data sets."""
    from bioforge.data import store
    from bioforge.paths import home
    from bioforge.reporting.tables import plain_table

    infos, damaged = store.listing(home())
    for problem in damaged:
        note(problem)
    if as_json:
        show_json([asdict(info) for info in infos])
        return
    if not infos:
        note("no data yet; import some: bioforge data import bios FILE, or see it all: bioforge demo")
        return
    table = plain_table("name", "kind", "rows", "words", "file", "imported", right=("rows", "words"))
    for info in infos:
        table.add_row(
            info.name,
            info.kind,
            f"{info.size:,}",
            f"{info.words.mean:,.0f}",
            Text(info.file),
            info.imported[:16],
        )
    show(table)


@app.command("show", epilog="Example: bioforge data show cola --rows 10")
def show_data(
    name: DataArgument,
    rows: Annotated[int, typer.Option(min=0, help="How many random rows to show.")] = 5,
    base: BaseOption = None,
    seed: SeedOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Counts, balance, lengths, random rows, and how one text is tokenized."""
    from bioforge.data import store
    from bioforge.paths import home
    from bioforge.reporting.data import summary
    from bioforge.reporting.text import one_line

    data = store.load(home(), name)
    if as_json:
        show_json(asdict(data.info))
        return
    show(*summary(data.info))
    _lengths(home(), data, base)
    draw = random.Random(seed)
    picked = draw.sample(data.rows, min(rows, len(data.rows)))
    if picked:
        show("", Text("random rows", style="bold"))
    for row in picked:
        label = "" if row.label is None else ("ok  " if row.label else "*   ")
        show(f"{row.split} {row.row:>6}  {label}{one_line(row.text)}")
    bad = [row for row in data.rows if row.label == 0] if data.info.labels else []
    if bad and rows:
        show("", Text("unacceptable ones", style="bold"))
        show(
            *(
                f"{row.split} {row.row:>6}  *   {one_line(row.text)}"
                for row in draw.sample(bad, min(5, len(bad)))
            )
        )
    _tokenized(home(), data, base)


def _tokenized(home: Home, data: DataSet, base: str | None) -> None:
    """Original, tokens and ids of the first text (tutorial 2, section 3.1)."""
    from bioforge.errors import UserError
    from bioforge.models.bases import default_base, resolve
    from bioforge.models.tokenization import tokenize
    from bioforge.reporting.text import one_line

    try:
        local = resolve(home, base or default_base(home, data.info.kind))
    except UserError:
        return
    text = " ".join(data.rows[0].text.split()[:20])
    tokens, ids = tokenize(local.folder, text)
    show("", Text(f"tokenized by {local.name}", style="bold"))
    show(f"Original:  {one_line(text, 1000)}", f"Tokenized: {tokens}", f"Token IDs: {ids}")


@app.command("check", epilog="Example: bioforge data check cola")
def check_data(name: DataArgument, as_json: JsonFlag = False) -> None:
    """Look for duplicates, contradicting labels, leaks between splits, odd characters, outliers."""
    from bioforge.data import store
    from bioforge.data.checks import check
    from bioforge.paths import home
    from bioforge.reporting.text import one_line

    findings = check(store.load(home(), name))
    if as_json:
        show_json([asdict(finding) for finding in findings])
        return
    for finding in findings:
        fine = finding.count == 0
        show(Text.assemble((f"{finding.check:<15}", "green" if fine else "yellow"), finding.message))
        show(*(f"    {one_line(example)}" for example in finding.examples))


@app.command("remove", epilog="Example: bioforge data remove old-bios")
def remove_data(name: DataArgument, yes: YesFlag = False) -> None:
    """Remove a data set; models trained on it stay."""
    from bioforge.data import store
    from bioforge.paths import home

    if confirm_or_refuse(f"Remove data set '{name}'?", yes):
        store.remove(home(), name)
        note(f"removed {name}")
