"""A comparison as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bioforge.evidence.comparison import Comparison, Side, percent
from bioforge.evidence.pages import COLOURS, drawing, render, save, svg
from bioforge.reporting.curves import validation_points

_MARKS = "osD^vPX*"


def write_page(comparison: Comparison, path: Path) -> None:
    """Raises UserError where `path` cannot be written, or holds something that is no page."""
    save(path, page(comparison))


def page(comparison: Comparison) -> str:
    return render(
        "bioforge.evidence",
        "comparison.html",
        comparison=comparison,
        level=percent(comparison.level),
        curves=curves(comparison.sides),
        colours=COLOURS,
    )


def curves(sides: Sequence[Side]) -> str:
    """Training and validation loss, and for judges MCC, of all runs over each other: an `svg` element.

    Empty where no run came so far as to have two points.
    """
    from matplotlib.figure import Figure

    with_mcc = any(validation_points(side.validations, "mcc") for side in sides)
    if not any(len(side.losses) > 1 or len(side.validations) > 1 for side in sides):
        return ""
    with drawing():
        figure = Figure(figsize=(5.2, 5.4 if with_mcc else 3.0), layout="constrained")
        panels = figure.subplots(2 if with_mcc else 1, 1, sharex=True, squeeze=False)[:, 0]
        for number, side in enumerate(sides):
            colour = COLOURS[number % len(COLOURS)]
            panels[0].plot(*_columns(side.losses), color=colour, linewidth=0.8, alpha=0.7)
            for panel, metric in zip(panels, ("loss", "mcc"), strict=False):
                points = _columns(validation_points(side.validations, metric))
                mark = _MARKS[number % len(_MARKS)]
                panel.plot(*points, color=colour, marker=mark, markersize=4, linewidth=1.6, label=side.letter)
        panels[0].set_ylabel("loss (thin: training)")
        panels[0].legend(frameon=False)
        if with_mcc:
            panels[1].set_ylabel("validation MCC")
        panels[-1].set_xlabel("step")
        return svg(figure)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
