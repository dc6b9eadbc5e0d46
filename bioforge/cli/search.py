"""`bioforge search`: try many recipes, and end with the one to use."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioforge.cli.console import confirm_or_refuse, note, show, show_json, show_json_line, show_prose, stdout
from bioforge.cli.options import JsonFlag, SeedOption, YesFlag
from bioforge.errors import ExitCode

if TYPE_CHECKING:
    from bioforge.models.catalog import Task
    from bioforge.searching.conductor import News
    from bioforge.searching.result import Result

app = typer.Typer(
    no_args_is_help=True,
    help="Try many recipes, stop the poor ones early, and end with the one to use.",
)
DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="Name of a data set; see: bioforge data list")
]
TrialsOption = Annotated[int, typer.Option(min=1, help="Recipes to try, in all.")]
OverOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Recipe fields to vary: lr, batch, epochs, warmup, decay, freeze, … or with a range of your own: "
        "lr=1e-5..1e-3, batch=8,16,32. May be repeated; lr,batch,epochs if left out."
    ),
]
BaseOption = Annotated[str | None, typer.Option(help="Base to start from; see: bioforge models bases")]
PresetOption = Annotated[str, typer.Option(help="Recipe to vary; as for `train`.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe field for all trials; may be repeated."),
]
NameOption = Annotated[
    str | None, typer.Option(help="Name of the search, and of the best model; DATA-search if left out.")
]
JobsOption = Annotated[int, typer.Option(min=1, help="Trials at work at once; they share the cores.")]
HoursOption = Annotated[
    float | None,
    typer.Option(min=0.0, help="Save and halt after so long; the same command goes on."),
]
HtmlOption = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Also write the result as one HTML file.")
]
EventsFlag = Annotated[bool, typer.Option("--json", help="Print what happens as JSON Lines.")]
_EPILOG = "Example: bioforge search {task} {data} --trials 20 --over lr,batch,epochs"


@app.command("bios", epilog=_EPILOG.format(task="bios", data="my-djs"))
def bios(
    data: DataArgument,
    trials: TrialsOption = 20,
    over: OverOption = None,
    base: BaseOption = None,
    preset: PresetOption = "balanced",
    settings: SetOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    jobs: JobsOption = 1,
    hours: HoursOption = None,
    html: HtmlOption = None,
    as_json: EventsFlag = False,
) -> None:
    """Search for a writer's recipe, by its validation loss."""
    _search("bios", data, trials, over, base, preset, settings, seed, name, jobs, hours, html, as_json)


@app.command("cola", epilog=_EPILOG.format(task="cola", data="cola"))
def cola(
    data: DataArgument,
    trials: TrialsOption = 20,
    over: OverOption = None,
    base: BaseOption = None,
    preset: PresetOption = "balanced",
    settings: SetOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    jobs: JobsOption = 1,
    hours: HoursOption = None,
    html: HtmlOption = None,
    as_json: EventsFlag = False,
) -> None:
    """Search for a judge's recipe, by its MCC on the validation rows; out-of-domain rows decide nothing."""
    _search("cola", data, trials, over, base, preset, settings, seed, name, jobs, hours, html, as_json)


@app.command("show", epilog="Example: bioforge search show cola-search")
def show_search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")],
    html: HtmlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A search's trials so far, and the best of them."""
    from bioforge.paths import home
    from bioforge.searching.folder import find_search
    from bioforge.searching.result import result_of

    result = result_of(home(), find_search(home(), name))
    _write_page(result, html)
    if as_json:
        show_json(result.as_json())
        return
    _show(result)


@app.command("remove", epilog="Example: bioforge search remove cola-search")
def remove_search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")], yes: YesFlag = False
) -> None:
    """Remove a search with the runs of all its trials; the model it ended with stays."""
    from bioforge.paths import home
    from bioforge.searching.conductor import remove, trial_models
    from bioforge.searching.folder import find_search

    search = find_search(home(), name)
    best_so_far = ", ".join(trial_models(home(), search).values())
    question = f"Remove search '{name}' and the runs of its trials" + (
        f", with {best_so_far}?" if best_so_far else "?"
    )
    if confirm_or_refuse(question, yes):
        remove(home(), search)
        note(f"removed {name}")


def _search(
    task: Task,
    data: str,
    trials: int,
    over: list[str] | None,
    base: str | None,
    preset: str,
    settings: list[str] | None,
    seed: int | None,
    name: str | None,
    jobs: int,
    hours: float | None,
    html: Path | None,
    as_json: bool,
) -> None:
    from bioforge.evidence.pages import check_place
    from bioforge.paths import home
    from bioforge.searching.conductor import Conductor
    from bioforge.searching.result import result_of
    from bioforge.searching.start import prepare

    if html:
        check_place(html)
    search = prepare(home(), task, data, over or ["lr,batch,epochs"], base, preset, settings, seed, name)
    note(f"search {search.name} over " + "; ".join(map(str, search.asked().over)))
    with search.alone(), _Halt(hours) as halt:
        tell = _tell_json if as_json else _Lines(task).tell
        is_done = Conductor(home(), search, trials, jobs, tell).conduct(halt.is_asked)
    result = result_of(home(), search)
    _write_page(result, html)
    if as_json:
        show_json_line({"event": "search", **result.as_json()})
    else:
        _show(result)
    if not is_done:
        note("halted; the same command goes on")
        raise typer.Exit(ExitCode.INTERRUPTED if halt.presses else ExitCode.OK)


class _Halt:
    """Asked for by Ctrl-C, or by the clock; a second Ctrl-C leaves the trials to save and stop by themselves."""

    def __init__(self, hours: float | None) -> None:
        self._until = time.monotonic() + hours * 3600 if hours is not None else None
        self.presses = 0

    def __enter__(self) -> _Halt:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, *_: object) -> None:
        self.presses += 1
        if self.presses > 1:
            raise KeyboardInterrupt
        note("saving the trials at work before they stop … (Ctrl-C again leaves them to that)")

    def is_asked(self) -> bool:
        return self.presses > 0 or (self._until is not None and time.monotonic() >= self._until)


class _Lines:
    """What happens, a line each."""

    def __init__(self, task: Task) -> None:
        self._metric, self._sign = ("MCC", 1) if task == "cola" else ("loss", -1)

    def tell(self, news: News) -> None:
        words = [f"trial {news.trial} {news.what}" if news.what != "validation" else f"trial {news.trial}"]
        if news.settings:
            words.append(" ".join(f"{key}={value}" for key, value in news.settings.items()))
        if news.what == "validation":
            words.append(f"validation {news.validation}")
        if news.value is not None:
            words.append(f"{self._metric} {self._sign * news.value:.3f}")
        if news.message:
            words.append(news.message)
        note("  ".join(words))


def _tell_json(news: News) -> None:
    show_json_line({"event": "trial", **asdict(news)})


def _write_page(result: Result, html: Path | None) -> None:
    if html:
        from bioforge.searching.page import write_page

        write_page(result, html)
        note(f"written: {html}")


def _show(result: Result) -> None:
    from bioforge.reporting.tables import plain_table

    table = plain_table(
        "trial", f"validation {result.metric}", "state", "validations", *result.fields, "",
        right=("trial", f"validation {result.metric}", "validations"),
    )  # fmt: skip
    for trial in result.trials:
        is_best = result.best is not None and trial.number == result.best.number
        table.add_row(
            str(trial.number),
            result.shown(trial.value),
            result.state(trial),
            str(trial.reported),
            *(trial.settings[field] for field in result.fields),
            "★ best" if is_best else trial.message,
        )
    show(table, "")
    _show_curve(result)
    if result.importance:
        shares = ", ".join(f"{field} {100 * share:.0f} %" for field, share in result.importance.items())
        show_prose(f"What made the difference, by the trials that ran to their end: {shares}.")
    show_prose(*result.sentences)
    if result.model:
        so_far = "" if result.model == result.name else ", so far"
        show_prose(f"The model is '{result.model}'{so_far}.")
    if result.command:
        show_prose("The recipe to use:", "", f"  {result.command}", "")


def _show_curve(result: Result) -> None:
    from rich.text import Text

    from bioforge.reporting.curves import Curve, draw

    sign = 1 if result.task == "cola" else -1
    points = [
        (float(trial.number), sign * trial.value)
        for trial in result.trials
        if trial.state == "finished" and trial.value is not None
    ]
    if len(points) < 2:
        return
    better = max if sign > 0 else min
    best = [(at, better(value for _, value in points[: place + 1])) for place, (at, _) in enumerate(points)]
    curves = [
        Curve(f"{result.metric} of each finished trial", points, dots=True),
        Curve("best so far", best, "orange"),
    ]
    console = stdout()
    colour = console.is_terminal and not console.no_color
    drawn = draw(curves, width=min(console.width, 100), height=14, colour=colour, unit="trial")
    show(Text.from_ansi(drawn), "")
