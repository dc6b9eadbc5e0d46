"""Learning curves drawn in the terminal (both tutorials: "Training & Validation Loss")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bioforge.runs.events import Event, Step, Validation
from bioforge.runs.series import Series

_POINTS = 120
TRAINING_COLOUR, VALIDATION_COLOUR = "cyan", "orange"
_OTHER_COLOURS = ("magenta", "green")


@dataclass(frozen=True)
class Curve:
    label: str
    points: Sequence[tuple[float, float]]
    """Finite values only."""
    colour: str = TRAINING_COLOUR
    dots: bool = False
    """Whether each point is marked."""


def loss_curves(
    losses: Sequence[tuple[float, float]], validations: Sequence[Validation], of: str = ""
) -> list[Curve]:
    """Training and validation loss of a run; `of` names the run where several are drawn over each other."""
    training, validation = _OTHER_COLOURS if of else (TRAINING_COLOUR, VALIDATION_COLOUR)
    suffix = f" {of}" if of else ""
    held_out = [(v.step, v.metrics["loss"]) for v in validations if math.isfinite(v.metrics["loss"])]
    curves = [Curve(f"training loss{suffix}", losses, training)]
    if held_out:
        curves.append(Curve(f"validation loss{suffix}", held_out, validation, dots=True))
    return [curve for curve in curves if curve.points]


def draw(curves: Sequence[Curve], *, width: int, height: int, colour: bool = True) -> str:
    """Curves over a common step axis, as text with ANSI colours unless `colour` is false."""
    import plotext

    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("pro" if colour else "clear")
    if colour:
        plotext.canvas_color("default")
        plotext.axes_color("default")
    for curve in curves:
        xs, ys = [x for x, _ in curve.points], [y for _, y in curve.points]
        shade = curve.colour if colour else None
        plotext.plot(xs, ys, label=curve.label, color=shade, marker="braille")
        if curve.dots:
            plotext.scatter(xs, ys, color=shade, marker="●")
    plotext.xlabel("step")
    built = str(plotext.build())
    return built if colour else plotext.uncolorize(built)


def learning_curves(
    events: Sequence[Event], *, width: int = 78, height: int = 16, colour: bool = True
) -> str:
    """Training loss by step, smoothed, and validation loss; empty where there is nothing to draw."""
    losses = Series(_POINTS)
    for event in events:
        if isinstance(event, Step):
            losses.add(event.step, event.loss)
    if len(losses.points()) < 2:
        return ""
    validations = [event for event in events if isinstance(event, Validation)]
    return draw(loss_curves(losses.points(), validations), width=width, height=height, colour=colour)
