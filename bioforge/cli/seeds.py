"""One training under several seeds: making its runs, and showing how far they lie apart."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bioforge.cli.console import note, show, show_json, show_json_line, show_prose
from bioforge.cli.options import JsonFlag
from bioforge.cli.watching import watch
from bioforge.errors import ExitCode, FaultError, UserError

if TYPE_CHECKING:
    from bioforge.evidence.seeds import SeedReport, SeedRun
    from bioforge.models.catalog import Task
    from bioforge.runs.launch import Processes

EXAMPLE = "Example: bioforge runs seeds my-judge"


def seeds(
    group: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name that was given to `train … --seeds`, or the data set's."),
    ],
    as_json: JsonFlag = False,
) -> None:
    """How much a training's figures vary between seeds."""
    from bioforge.evidence.seeds import seed_report
    from bioforge.paths import home

    report = seed_report(home(), group)
    if as_json:
        show_json(report.as_json())
        return
    _show(report)


def train_seeds(
    count: int,
    task: Task,
    data: str,
    base: str | None,
    preset: str,
    settings: list[str] | None,
    seed: int | None,
    name: str | None,
    replace: bool,
    trackers: Sequence[str],
    processes: Processes,
    detach: bool,
    as_json: bool,
) -> None:
    """Make the runs that are missing, one after another; the same command again goes on where it halted.

    Raises UserError where some run failed, after all others are done.
    """
    from bioforge.evidence.seeds import seed_report
    from bioforge.paths import home
    from bioforge.runs.launch import launch
    from bioforge.runs.seeds import alone, is_over, turns

    if detach or processes.hosts > 1:
        raise UserError("--seeds makes one run after another from here; leave out --detach and --hosts")
    group = name or data
    wanted = turns(home(), group, count, task, data, base, preset, settings, seed, replace, trackers)
    failed = []
    with alone(home(), group):
        for number, turn in enumerate(wanted, 1):
            if turn.is_over:
                continue
            run = turn.begin(home(), group)
            if as_json:
                show_json_line({"event": "run", "run": run.name, "group": group, "seed": turn.seed})
            note(f"seed {turn.seed}, {number} of {count}: run {run.name}")
            if not run.is_active():
                launch(run, processes)
            try:
                code = watch(run, as_json=as_json, stop_on_interrupt=True)
            except (UserError, FaultError) as error:
                note(str(error))
                failed += [] if is_over(run) else [turn.seed]
                continue
            if code == ExitCode.INTERRUPTED:
                note(f"the same command goes on with this seed and those after it: {_this_command()}")
                raise typer.Exit(code)
    report = seed_report(home(), group)
    if as_json:
        show_json_line({"event": "seeds", **report.as_json()})
    else:
        _show(report)
    if failed:
        numbers = ", ".join(map(str, failed))
        raise UserError(f"failed: seed {numbers}; the same command tries again: {_this_command()}")


def _this_command() -> str:
    return shlex.join(["bioforge", *sys.argv[1:]])


def _show(report: SeedReport) -> None:
    from bioforge.reporting.tables import plain_table

    columns = list(dict.fromkeys((item.split, item.metric) for run in report.runs for item in run.figures))
    table = plain_table(
        "seed", "run", "state", *(f"{metric} {split} (95 %)" for split, metric in columns), ""
    )
    for run in report.runs:
        of_run = {(item.split, item.metric): item for item in run.figures}
        cells = (of_run.get(column) for column in columns)
        table.add_row(
            str(run.seed),
            run.run,
            run.status,
            *(f"{item.value:.3f} ({item.interval})" if item else "–" for item in cells),
            _remark(run),
        )
    show(table, "")
    if report.spreads:
        numbers = ("runs", "mean", "std. dev.", "lowest", "highest")
        spread = plain_table("over seeds", "", *numbers, right=numbers)
        for which, spreads in (("all", report.spreads), ("not collapsed", report.spreads_of_learnt)):
            for item in spreads:
                spread.add_row(
                    f"{item.metric} {item.split}",
                    which if report.spreads_of_learnt else "",
                    str(item.runs),
                    f"{item.mean:.3f}",
                    "–" if item.deviation is None else f"{item.deviation:.3f}",
                    f"{item.lowest:.3f}",
                    f"{item.highest:.3f}",
                )
        show(spread, "")
    show_prose(*report.sentences)


def _remark(run: SeedRun) -> Text:
    if run.collapsed:
        return Text(f"collapsed: {run.collapsed}", style="red")
    return Text(run.message)
