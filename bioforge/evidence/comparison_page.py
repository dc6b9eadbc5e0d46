"""A comparison as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from bioforge.evidence.comparison import Comparison, Side, percent
from bioforge.evidence.drawing import SERIES, Palette, Picture
from bioforge.evidence.pages import render, save
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
        colours=SERIES,
    )


def curves(sides: Sequence[Side]) -> list[Picture]:
    """Loss, and for judges MCC, of all runs over each other; none where no run came so far as to have two points."""
    if not any(len(side.losses) > 1 or len(side.validations) > 1 for side in sides):
        return []

    def losses(axes: Axes, _: Palette) -> None:
        for number, side in enumerate(sides):
            axes.plot(*_columns(side.losses), color=_colour(number), linewidth=0.8, alpha=0.7)
        _validations(axes, sides, "loss")
        axes.set_ylabel("loss")

    def scores(axes: Axes, _: Palette) -> None:
        _validations(axes, sides, "mcc")
        axes.set_ylabel("MCC")

    found = [Picture("loss", "Loss", "Thin: while training. With marks: on the validation rows.", losses)]
    if any(validation_points(side.validations, "mcc") for side in sides):
        found.append(Picture("mcc", "MCC", "On the validation rows.", scores))
    return found


def _validations(axes: Axes, sides: Sequence[Side], metric: str) -> None:
    for number, side in enumerate(sides):
        points = _columns(validation_points(side.validations, metric))
        mark = _MARKS[number % len(_MARKS)]
        axes.plot(*points, color=_colour(number), marker=mark, markersize=4, label=side.letter)
    axes.set_xlabel("step")
    axes.legend()


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
