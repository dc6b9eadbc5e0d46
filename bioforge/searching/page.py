"""A search's result as one HTML file."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from bioforge.evidence.drawing import Palette, Picture, label_plainly
from bioforge.evidence.pages import render, save
from bioforge.reporting.text import one_line
from bioforge.searching.result import Result
from bioforge.searching.space import Dimension


def write_page(result: Result, path: Path) -> None:
    """Raises UserError where `path` cannot be written, or holds something that is no page."""
    save(path, page(result))


def page(result: Result) -> str:
    return render("bioforge.searching", "search.html", result=result, pictures=pictures(result))


def pictures(result: Result) -> list[Picture]:
    """Each finished trial's figure by what was searched over, one a field; none of fewer trials than two."""
    trials = [trial for trial in result.trials if trial.state == "finished" and trial.value is not None]
    if len(trials) < 2:
        return []
    sign = 1 if result.task == "cola" else -1
    values = [sign * (trial.value or 0.0) for trial in trials]
    best = [place for place, trial in enumerate(trials) if result.best and trial.number == result.best.number]

    def by(dimension: Dimension) -> Picture:
        def draw(axes: Axes, palette: Palette) -> None:
            at = _places(axes, dimension, [trial.settings[dimension.field] for trial in trials])
            axes.scatter(at, values, color=palette.one, s=18)
            axes.scatter(
                [at[i] for i in best], [values[i] for i in best], color=palette.two, s=60, marker="*"
            )
            axes.set_xlabel(dimension.field)
            axes.set_ylabel(f"validation {result.metric}")

        title = f"Validation {result.metric} by {dimension.field}"
        return Picture(dimension.field, title, "A point a trial; the star is the best one.", draw)

    return [by(dimension) for dimension in result.over]


def _places(axes: Axes, dimension: Dimension, words: list[str]) -> list[float]:
    """Where trials stand along the axis: by their number, or one place for each word."""
    try:
        at = [float(word) for word in words]
    except ValueError:
        names = sorted(set(words))
        axes.set_xticks(range(len(names)), [one_line(name, 24) for name in names])
        return [float(names.index(word)) for word in words]
    if dimension.log:
        axes.set_xscale("log")
        label_plainly(axes.xaxis)
    return at
