"""A comparison as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bioforge.evidence.comparison import Comparison, Side, percent
from bioforge.evidence.figures import where
from bioforge.files import write_text
from bioforge.reporting.curves import validation_points
from bioforge.reporting.text import safe

_TEMPLATE = "comparison.html"
_INK = "#010203"
"""Stands for the page's own text colour, which a dark page has light."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by colour-blind readers (Okabe and Ito 2008)."""
_MARKS = "osD^vPX*"


def write_page(comparison: Comparison, path: Path) -> None:
    """Raises OSError where `path` cannot be written."""
    write_text(path, page(comparison))


def page(comparison: Comparison) -> str:
    """What runs and data are called may hold anything: all of it is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bioforge.evidence", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        comparison=comparison,
        level=percent(comparison.level),
        curves=curves(comparison.sides),
        where=where,
        colours=_COLOURS,
    )


def _shown(value: Any) -> Any:
    """Control characters have no place in a page."""
    return safe(value) if type(value) is str else value


def curves(sides: Sequence[Side]) -> str:
    """Training and validation loss, and for judges MCC, of all runs over each other: an `svg` element.

    Empty where no run came so far as to have two points.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with_mcc = any(validation_points(side.validations, "mcc") for side in sides)
    if not any(len(side.losses) > 1 or len(side.validations) > 1 for side in sides):
        return ""
    style: Any = {
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
        ),
        "svg.fonttype": "none",
        "svg.hashsalt": "bioforge",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(5.2, 5.4 if with_mcc else 3.0), layout="constrained")
        panels = figure.subplots(2 if with_mcc else 1, 1, sharex=True, squeeze=False)[:, 0]
        for number, side in enumerate(sides):
            colour = _COLOURS[number % len(_COLOURS)]
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
        drawn = io.StringIO()
        silent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(drawn, format="svg", transparent=True, metadata=silent)
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
