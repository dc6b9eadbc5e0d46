"""`bioforge runs compare`: two runs or more, held against the first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bioforge.cli.console import note, show, show_json, show_prose, stdout
from bioforge.cli.options import JsonFlag

if TYPE_CHECKING:
    from bioforge.evidence.comparison import Comparison, Pair

EXAMPLE = "Example: bioforge runs compare quiet-otter last --html comparison.html"
_VALUE_WIDTH = 40


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN …", help="Runs as `runs show` takes them; the others are held against the first."
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write the comparison as one HTML file.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """What differs between runs, their curves over each other, and whether one is better than another."""
    from bioforge.evidence.comparison import compare as held_against_each_other
    from bioforge.paths import home
    from bioforge.runs import folder

    comparison = held_against_each_other([folder.find(home(), name) for name in runs])
    if html:
        from bioforge.evidence.comparison_page import write_page

        write_page(comparison, html)
        note(f"written: {html}")
    if as_json:
        show_json(comparison.as_json())
        return
    _show_runs(comparison)
    _show_differences(comparison)
    _show_curves(comparison)
    for pair in comparison.pairs:
        _show_contrasts(comparison, pair)
    if any(not pair.contrasts for pair in comparison.pairs):
        _show_figures(comparison)
    show_prose(*(pair.sentence for pair in comparison.pairs))
    for line in comparison.notes:
        note(line)


def _show_runs(comparison: Comparison) -> None:
    from bioforge.reporting.tables import plain_table

    table = plain_table("", "run", "state", "data", "base", "model")
    for side in comparison.sides:
        table.add_row(
            side.letter, side.run, side.status, _text(side.data), _text(side.base), _text(side.model or None)
        )
    show(table, "")


def _show_differences(comparison: Comparison) -> None:
    from bioforge.reporting.tables import plain_table

    if not comparison.differences:
        show("the same recipe, data, base and versions", "")
        return
    table = plain_table("what differs", "", *(side.letter for side in comparison.sides))
    for item in comparison.differences:
        table.add_row(item.part, item.name, *(_text(value) for value in item.values))
    show(table, "")


def _text(value: Any) -> Text:
    from bioforge.reporting.text import one_line

    return Text("–" if value is None else one_line(str(value), _VALUE_WIDTH))


def _show_curves(comparison: Comparison) -> None:
    from bioforge.reporting.curves import RunCurves, draw, overlaid

    console = stdout()
    curves = overlaid([RunCurves(side.letter, side.losses, side.validations) for side in comparison.sides])
    if any(len(curve.points) > 1 for curve in curves):
        colour = console.is_terminal and not console.no_color
        drawn = draw(curves, width=min(console.width, 100), height=18, colour=colour)
        show(Text.from_ansi(drawn), "")


def _show_contrasts(comparison: Comparison, pair: Pair) -> None:
    from bioforge.evidence.comparison import percent
    from bioforge.reporting.tables import plain_table

    if not pair.contrasts:
        return
    one, two = comparison.sides[0].letter, pair.letter
    numbers = ("examples", one, two, f"{two} - {one}", percent(comparison.level))
    table = plain_table("split", "metric", *numbers, right=numbers)
    for item in pair.contrasts:
        table.add_row(
            item.split,
            item.metric,
            f"{item.examples:,}",
            f"{item.baseline:.3f}",
            f"{item.other:.3f}",
            f"{item.difference:+.3f}",
            f"{item.low:.3f} to {item.high:.3f}",
        )
    show(table, "")
    if pair.left_out:
        note(f"{pair.left_out:,} common texts are left out: the two runs read them to different ends")


def _show_figures(comparison: Comparison) -> None:
    """Of each run alone, where there is no difference to show."""
    from bioforge.reporting.tables import plain_table

    table = plain_table(
        "", "split", "metric", "examples", "value", "95 %", right=("examples", "value", "95 %")
    )
    for side in comparison.sides:
        for item in side.figures:
            table.add_row(
                side.letter, item.split, item.metric, f"{item.examples:,}", f"{item.value:.3f}", item.interval
            )
    if table.row_count:
        show(table, "")
