"""Learning curves drawn in the terminal (both tutorials: "Training & Validation Loss")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bioforge.runs.events import Event, Step, Validation
from bioforge.runs.series import Series

_POINTS = 120
_MOST_DOTS = 16
"""More would hide the curves."""
TRAINING_COLOUR, VALIDATION_COLOUR = "cyan", "orange"
_OTHER_COLOURS = ("magenta", "green")
_RUN_COLOURS = ("cyan", "orange", "magenta", "green", "red", "blue")


@dataclass(frozen=True)
class Curve:
    label: str
    points: Sequence[tuple[float, float]]
    """Finite values only."""
    colour: str = TRAINING_COLOUR
    dots: bool = False
    """Whether each point is marked."""
    mark: str = "●"


@dataclass(frozen=True)
class RunCurves:
    """What is drawn of one of several runs."""

    letter: str
    losses: Sequence[tuple[float, float]]
    """Step and training loss."""
    validations: Sequence[Validation]


def loss_curves(
    losses: Sequence[tuple[float, float]], validations: Sequence[Validation], of: str = ""
) -> list[Curve]:
    """Training and validation loss of a run; `of` names the run where several are drawn over each other."""
    training, validation = _OTHER_COLOURS if of else (TRAINING_COLOUR, VALIDATION_COLOUR)
    suffix = f" {of}" if of else ""
    held_out = validation_points(validations, "loss")
    curves = [Curve(f"training loss{suffix}", losses, training)]
    if held_out:
        curves.append(Curve(f"validation loss{suffix}", held_out, validation, dots=True))
    return [curve for curve in curves if curve.points]


def overlaid(runs: Sequence[RunCurves]) -> list[Curve]:
    """Of two runs training and validation loss, of more the validation loss only; dots are the runs' letters."""
    curves = []
    for number, run in enumerate(runs):
        colour = _RUN_COLOURS[number % len(_RUN_COLOURS)]
        if len(runs) == 2:
            curves.append(Curve(f"training loss {run.letter}", run.losses, colour))
        held_out = validation_points(run.validations, "loss")
        # A brighter shade of the same colour, where the terminal has one.
        bright = f"{colour}+" if len(runs) == 2 and colour != "orange" else colour
        curves.append(Curve(f"validation loss {run.letter}", held_out, bright, dots=True, mark=run.letter))
    return [curve for curve in curves if curve.points]


def validation_points(validations: Sequence[Validation], metric: str) -> list[tuple[float, float]]:
    """Step and value of a metric, where it has one that is a number."""
    return [
        (event.step, event.metrics[metric])
        for event in validations
        if math.isfinite(event.metrics.get(metric, math.nan))
    ]


def draw(curves: Sequence[Curve], *, width: int, height: int, colour: bool = True, unit: str = "step") -> str:
    """Curves over a common axis of whole `unit`s, as text with ANSI colours unless `colour` is false."""
    import plotext

    plotext.clear_figure()
    # The picture goes wherever the caller has room, which the library would limit to the terminal's size.
    plotext.limitsize(False, False)
    plotext.plotsize(width, height)
    plotext.theme("pro" if colour else "clear")
    if colour:
        plotext.canvas_color("default")
        plotext.axes_color("default")
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for curve in curves:
        xs, ys = [x for x, _ in curve.points], [y for _, y in curve.points]
        shade = curve.colour if colour else None
        plotext.plot(xs, ys, label=curve.label, color=shade, marker="braille")
        if curve.dots and len(xs) <= _MOST_DOTS:
            plotext.scatter(xs, ys, color=shade, marker=curve.mark)
    _whole_steps([x for curve in curves for x, _ in curve.points], width, unit)
    built = str(plotext.build())
    return built if colour else plotext.uncolorize(built)


def _whole_steps(xs: Sequence[float], width: int, unit: str) -> None:
    """Marks at round steps; the library's own fall between them."""
    import plotext

    low, high = min(xs, default=0.0), max(xs, default=0.0)
    size = 10 ** math.floor(math.log10(max(1.0, high - low)))
    room = max(2, width // 12)
    every = next(
        step
        for step in (max(1, round(size * factor)) for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10))
        if (high - low) / step <= room
    )
    ticks = [tick for tick in range(0, int(high) + every, every) if low <= tick <= high] or [round(low)]
    plotext.xticks(ticks, [f"{unit} {tick:,}" if tick == ticks[0] else f"{tick:,}" for tick in ticks])


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
