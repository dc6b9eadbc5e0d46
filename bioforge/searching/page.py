"""A search's result as one HTML file."""

from __future__ import annotations

from pathlib import Path

from bioforge.evidence.pages import COLOURS, drawing, render, save, svg
from bioforge.reporting.text import one_line
from bioforge.searching.result import Result


def write_page(result: Result, path: Path) -> None:
    """Raises UserError where `path` cannot be written, or holds something that is no page."""
    save(path, page(result))


def page(result: Result) -> str:
    return render("bioforge.searching", "search.html", result=result, picture=picture(result))


def picture(result: Result) -> str:
    """Each finished trial's figure by what was searched over, a panel a field: an `svg` element."""
    from matplotlib.figure import Figure

    trials = [trial for trial in result.trials if trial.state == "finished" and trial.value is not None]
    if len(trials) < 2:
        return ""
    sign = 1 if result.task == "cola" else -1
    values = [sign * (trial.value or 0.0) for trial in trials]
    with drawing():
        figure = Figure(figsize=(5.2, 2.2 * len(result.over)), layout="constrained")
        panels = figure.subplots(len(result.over), 1, squeeze=False)[:, 0]
        for panel, dimension in zip(panels, result.over, strict=True):
            field = dimension.field
            words = [trial.settings[field] for trial in trials]
            try:
                at = [float(word) for word in words]
            except ValueError:
                names = sorted(set(words))
                at = [float(names.index(word)) for word in words]
                panel.set_xticks(range(len(names)), [one_line(name, 24) for name in names])
            else:
                if dimension.log:
                    panel.set_xscale("log")
            panel.set_xlabel(field)
            panel.scatter(at, values, color=COLOURS[0], s=18)
            best = [
                place
                for place, trial in enumerate(trials)
                if result.best and trial.number == result.best.number
            ]
            panel.scatter(
                [at[i] for i in best], [values[i] for i in best], color=COLOURS[1], s=60, marker="*"
            )
            panel.set_ylabel(f"validation {result.metric}")
        return svg(figure)
