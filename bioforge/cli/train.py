"""`bioforge train`: start a run and watch it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bioforge.cli.console import note, stdout
from bioforge.cli.options import SeedOption
from bioforge.cli.seeds import train_seeds
from bioforge.cli.watching import watch
from bioforge.runs.recipe import explanations

if TYPE_CHECKING:
    from bioforge.models.catalog import Task

_FIELDS = "\n\n".join(f"{name}: {explain}" for name, explain in explanations())
app = typer.Typer(
    no_args_is_help=True,
    help="Fine-tune a base on a data set, live. The run is a process of its own: closing this window does not end it.",
    rich_markup_mode="markdown",
)

DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="Name of a data set; see: bioforge data list")
]
BaseOption = Annotated[str | None, typer.Option(help="Base to start from; see: bioforge models bases")]
PresetOption = Annotated[
    str,
    typer.Option(
        help="tutorial: exactly the tutorials'; balanced: best practice; quick: minutes on a laptop; strong: a judge that also learns from corruptions, best with --set teacher=JUDGE."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe field; may be repeated."),
]
NameOption = Annotated[str | None, typer.Option(help="Name of the model; the data set's name if left out.")]
ReplaceFlag = Annotated[bool, typer.Option(help="Replace a model of that name.")]
DetachFlag = Annotated[bool, typer.Option(help="Start it and return at once.")]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train so many times, with seeds from --seed upwards, and show how far the figures lie apart.",
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option(
        min=1, help="Processes that share each step, by torchrun: one a GPU. The result stays the same."
    ),
]
HostsOption = Annotated[
    int,
    typer.Option(
        min=1, help="Hosts with so many processes each: shows the command to start on each of them."
    ),
]
AccelerateOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Start by this Accelerate configuration; for FSDP (docs/processes.md).",
    ),
]
TrackerOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Also tell tensorboard, or another tracker of Accelerate's; may be repeated."
    ),
]
EventsFlag = Annotated[bool, typer.Option("--json", help="Print the run's events as JSON Lines.")]
_EPILOG = "Recipe fields for --set:\n\n" + _FIELDS


@app.command("bios", epilog="Example: bioforge train bios my-djs --base gpt2 --set epochs=3\n\n" + _EPILOG)
def bios(
    data: DataArgument,
    base: BaseOption = None,
    preset: PresetOption = "balanced",
    settings: SetOption = None,
    seed: SeedOption = None,
    seeds: SeedsOption = None,
    name: NameOption = None,
    replace: ReplaceFlag = False,
    processes: ProcessesOption = 1,
    hosts: HostsOption = 1,
    accelerate: AccelerateOption = None,
    tracker: TrackerOption = None,
    detach: DetachFlag = False,
    as_json: EventsFlag = False,
) -> None:
    """Fine-tune a language model on biographies."""
    _train(
        "bios",
        data,
        base,
        preset,
        settings,
        seed,
        seeds,
        name,
        replace,
        processes,
        hosts,
        accelerate,
        tracker,
        detach,
        as_json,
    )


@app.command("cola", epilog="Example: bioforge train cola cola --base bert-base-uncased\n\n" + _EPILOG)
def cola(
    data: DataArgument,
    base: BaseOption = None,
    preset: PresetOption = "balanced",
    settings: SetOption = None,
    seed: SeedOption = None,
    seeds: SeedsOption = None,
    name: NameOption = None,
    replace: ReplaceFlag = False,
    processes: ProcessesOption = 1,
    hosts: HostsOption = 1,
    accelerate: AccelerateOption = None,
    tracker: TrackerOption = None,
    detach: DetachFlag = False,
    as_json: EventsFlag = False,
) -> None:
    """Fine-tune a judge on sentences judged acceptable or not."""
    _train(
        "cola",
        data,
        base,
        preset,
        settings,
        seed,
        seeds,
        name,
        replace,
        processes,
        hosts,
        accelerate,
        tracker,
        detach,
        as_json,
    )


def _train(
    task: Task,
    data: str,
    base: str | None,
    preset: str,
    settings: list[str] | None,
    seed: int | None,
    seeds: int | None,
    name: str | None,
    replace: bool,
    processes: int,
    hosts: int,
    accelerate: Path | None,
    trackers: list[str] | None,
    detach: bool,
    as_json: bool,
) -> None:
    from bioforge.paths import home
    from bioforge.runs.launch import Processes, keep_processes, launch
    from bioforge.runs.start import new_run

    wanted = Processes(processes, hosts, str(accelerate.absolute()) if accelerate else "")
    if seeds:
        train_seeds(
            *(seeds, task, data, base, preset, settings, seed, name, replace),
            *(trackers or (), wanted, detach, as_json),
        )
        return
    run = new_run(home(), task, data, base, preset, settings, seed, name, replace, trackers or ())
    command = Text(shlex.join(wanted.command(run)))
    note(f"run {run.name}")
    if "tensorboard" in run.info().trackers:
        note(f"see it in a browser: tensorboard --logdir {shlex.quote(str(run.path / 'tensorboard'))}")
    if hosts > 1:
        note(
            f"start it on each of the {hosts} hosts, which must share this data folder; HOST is the first of them:"
        )
        stdout().print(command, soft_wrap=True)
        keep_processes(run, wanted)
        return
    if wanted != Processes():
        note(command.plain)
    launch(run, wanted)
    if detach:
        note(f"watch it: bioforge runs watch {run.name}")
        return
    raise typer.Exit(watch(run, as_json=as_json, stop_on_interrupt=True))
