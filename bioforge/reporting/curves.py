"""Learning curves drawn in the terminal (both tutorials: "Training & Validation Loss")."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bioforge.runs.events import Event, Step, Validation

_POINTS = 120


def learning_curves(
    events: Sequence[Event], *, width: int = 78, height: int = 16, colour: bool = True
) -> str:
    """Training loss by step, smoothed, and validation loss; empty where there is nothing to draw."""
    steps = [e for e in events if isinstance(e, Step) and math.isfinite(e.loss)]
    validations = [e for e in events if isinstance(e, Validation) and math.isfinite(e.metrics["loss"])]
    if len(steps) < 2:
        return ""
    import plotext

    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("clear" if not colour else "pro")
    xs, ys = _thinned([e.step for e in steps], [e.loss for e in steps])
    plotext.plot(xs, ys, label="training loss", color="cyan" if colour else None, marker="braille")
    if validations:
        plotext.plot(
            [e.step for e in validations],
            [e.metrics["loss"] for e in validations],
            label="validation loss",
            color="orange" if colour else None,
            marker="braille",
        )
        plotext.scatter(
            [e.step for e in validations],
            [e.metrics["loss"] for e in validations],
            color="orange" if colour else None,
            marker="●",
        )
    plotext.xlabel("step")
    built = str(plotext.build())
    return built if colour else plotext.uncolorize(built)


def _thinned(xs: Sequence[int], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """Means of neighbouring points, so that noise does not hide the curve."""
    size = max(1, len(xs) // _POINTS)
    starts = range(0, len(xs), size)
    return (
        [sum(xs[s : s + size]) / len(xs[s : s + size]) for s in starts],
        [sum(ys[s : s + size]) / len(ys[s : s + size]) for s in starts],
    )
