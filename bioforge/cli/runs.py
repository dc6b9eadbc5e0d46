"""`bioforge runs`: every training, running or over."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import replace as changed
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bioforge.cli import compare, seeds
from bioforge.cli.console import confirm_or_refuse, note, show, show_json, stdout
from bioforge.cli.options import JsonFlag, YesFlag
from bioforge.cli.watching import watch

app = typer.Typer(no_args_is_help=True, help="Every training, running or over.")
app.command("compare", epilog=compare.EXAMPLE)(compare.compare)
app.command("seeds", epilog=seeds.EXAMPLE)(seeds.seeds)
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run, a unique part of it, or `last`.")
]
_STYLES = {
    "running": "green",
    "starting": "green",
    "failed": "red",
    "interrupted": "yellow",
    "stopped": "yellow",
}
_RESUMABLE = ("failed", "interrupted", "stopped")


@app.command("list", epilog="Example: bioforge runs list")
def list_runs(as_json: JsonFlag = False) -> None:
    """List all runs with their state."""
    from bioforge.evidence.facts import plain
    from bioforge.paths import home
    from bioforge.reporting.tables import plain_table
    from bioforge.reporting.text import duration, metric
    from bioforge.runs import folder

    runs = [run for run in folder.listing(home()) if run.is_whole()]
    states = [run.state() for run in runs]
    if as_json:
        show_json(
            plain(
                [
                    {**asdict(run.info()), "state": asdict(state)}
                    for run, state in zip(runs, states, strict=True)
                ]
            )
        )
        return
    if not runs:
        note("no runs yet; start one: bioforge train --help")
        return
    table = plain_table("run", "state", "step", "data", "base", "metrics", "left", right=("step",))
    for run, state in zip(runs, states, strict=True):
        figures = "  ".join(f"{name} {metric(name, value)}" for name, value in state.metrics.items())
        left = duration(state.eta_seconds) if state.status == "running" else ""
        steps = f"{state.step:,}/{state.steps:,}" if state.steps else ""
        status = Text(state.status, style=_STYLES.get(state.status, ""))
        table.add_row(run.name, status, steps, run.data()["name"], run.base().name, figures, left)
    show(table)
    halted = next(
        (
            run
            for run, state in zip(runs, states, strict=True)
            if state.status in _RESUMABLE and not run.info().is_trial
        ),
        None,
    )
    if halted:
        note(f"go on with one that halted: bioforge runs resume {halted.name}")


@app.command("show", epilog="Example: bioforge runs show last")
def show_run(run: RunArgument, as_json: JsonFlag = False) -> None:
    """What there is to know of a run, in short; `runs report` draws it."""
    from bioforge.evidence.report import as_json as facts
    from bioforge.evidence.report import report_of
    from bioforge.evidence.terminal import told
    from bioforge.paths import home
    from bioforge.reporting.text import safe
    from bioforge.runs import folder

    chosen = folder.find(home(), run)
    if as_json:
        show_json(facts(report_of(chosen, note)))
        return
    report = report_of(chosen, note, copies=False)
    state, console = report.facts.state, stdout()
    show(
        Text.assemble(f"{chosen.name}: ", (state.status, _STYLES.get(state.status, ""))),
        f"  {chosen.path}",
        f"  step {state.step:,} of {state.steps:,}",
        f"  data {report.facts.data['name']}, base {report.facts.base.name}",
    )
    for item in told(
        report, width=min(console.width, 100), colour=console.is_terminal and not console.no_color
    ):
        # A terminal breaks sentences where it ends, a pipe gets each whole.
        console.print(item, soft_wrap=isinstance(item, Text))
    console.print(Text(f"\nrepeat it: {safe(report.facts.command)}"), soft_wrap=True)


@app.command("report", epilog="Example: bioforge runs report last --out reports")
def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|FILE.html", help="Where to; the run's own folder `report` if left out."),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write each figure as a PNG beside it.")] = False,
    replace: Annotated[bool, typer.Option(help="Replace files that are no report of this run.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all facts as JSON; a page too only with --out or --png.")
    ] = False,
) -> None:
    """Write all there is to know of a run as one HTML page that needs no network."""
    from bioforge.evidence.report import as_json as facts
    from bioforge.evidence.report import report_of
    from bioforge.paths import home
    from bioforge.runs import folder

    chosen = folder.find(home(), run)
    made = report_of(chosen, note)
    if as_json:
        show_json(facts(made))
        if not (out or png):
            return
    from bioforge.evidence.saving import save_report

    for path in save_report(chosen, made, out, png=png, replace=replace):
        if as_json:
            note(str(path))
        else:
            stdout().print(Text(str(path)), soft_wrap=True)


@app.command("watch", epilog="Example: bioforge runs watch last")
def watch_run(
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's events as JSON Lines.")] = False,
) -> None:
    """Follow a run from anywhere; Ctrl-C ends the watching, not the run."""
    from bioforge.paths import home
    from bioforge.runs import folder

    raise typer.Exit(watch(folder.find(home(), run), as_json=as_json, stop_on_interrupt=False))


@app.command("stop", epilog="Example: bioforge runs stop last")
def stop(run: RunArgument) -> None:
    """Ask a run to save and stop; `resume` goes on from there."""
    from bioforge.errors import UserError
    from bioforge.paths import home
    from bioforge.runs import control, folder

    chosen = folder.find(home(), run)
    if not chosen.state().at_work:
        raise UserError(f"run '{chosen.name}' is not running (it is {chosen.state().status})")
    control.send(chosen.control, "stop")
    note(f"{chosen.name} saves and stops; go on later: bioforge runs resume {chosen.name}")


@app.command("resume", epilog="Example: bioforge runs resume last")
def resume(
    run: RunArgument,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that share each step; as many as before if left out.")
    ] = None,
    detach: Annotated[bool, typer.Option(help="Start it and return at once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's events as JSON Lines.")] = False,
) -> None:
    """Go on with a run that was stopped, killed or failed, from its newest whole checkpoint."""
    from bioforge.errors import UserError
    from bioforge.paths import home
    from bioforge.runs import folder
    from bioforge.runs.launch import launch, processes_of

    chosen = folder.find(home(), run)
    if chosen.state().status == "finished":
        raise UserError(f"run '{chosen.name}' is finished; there is nothing to go on with")
    if chosen.info().is_trial and chosen.said() and not chosen.checkpoints.is_dir():
        raise UserError(
            f"run '{chosen.name}' is a trial that its search gave up, and its checkpoints are gone; "
            f"its report has the command that trains its recipe anew: bioforge runs report {chosen.name}"
        )
    before = processes_of(chosen)
    launch(chosen, changed(before, per_host=processes, hosts=1) if processes else before)
    note(f"run {chosen.name} goes on")
    if detach:
        return
    raise typer.Exit(watch(chosen, as_json=as_json, stop_on_interrupt=True))


@app.command("sample", epilog='Example: bioforge runs sample last --prompt "Born in Lagos"')
def sample(
    run: RunArgument, prompt: Annotated[str, typer.Option(help="What the sample starts with.")] = ""
) -> None:
    """Ask a running training for a sample now; it appears where the run is watched."""
    from bioforge.drafting.prompts import check_unicode
    from bioforge.errors import UserError
    from bioforge.paths import home
    from bioforge.runs import control, folder

    check_unicode(prompt, "--prompt")
    chosen = folder.find(home(), run)
    if chosen.state().status != "running" or chosen.info().task != "bios":
        raise UserError(f"run '{chosen.name}' writes no samples (it is {chosen.state().status})")
    control.send(chosen.control, "sample", prompt=prompt)
    note(f"asked for; watch it: bioforge runs watch {chosen.name}")


@app.command("remove", epilog="Example: bioforge runs remove last")
def remove(run: RunArgument, yes: YesFlag = False) -> None:
    """Remove a run's folder, its checkpoints included; a model it made stays."""
    from bioforge.paths import home
    from bioforge.runs import folder

    chosen = folder.find(home(), run)
    if confirm_or_refuse(f"Remove run '{chosen.name}'?", yes):
        folder.remove(chosen)
        note(f"removed {chosen.name}")
