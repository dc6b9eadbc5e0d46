"""From axes to files: figures as SVG that take the page's colours and font, and as PNG in light colours."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

WIDTH = 350
"""Of a figure in CSS pixels: a phone's page, so that its text has the size it was drawn with."""
_WIDE = 720
_DPI = 72
"""One point of the drawing is one CSS pixel of the page."""
_PNG_SCALE = 2
_TITLE = 24
"""Room for a title, which a page writes itself."""
_FONT = 10.5


@dataclass(frozen=True)
class Palette:
    ink: str
    muted: str
    rule: str
    paper: str
    one: str
    """Blue: what was learnt from, and whatever stands alone."""
    two: str
    """Orange: what was held out."""
    mark: str
    """Points to look at."""


LIGHT = Palette("#1c2024", "#5b646e", "#d5dade", "#ffffff", "#0068a8", "#b84e00", "#1c2024")
"""Of Okabe and Ito's colours, which nearly everyone can tell apart, darkened for white paper."""
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""For more curves than two: Okabe and Ito's own colours, to be seen on white and on black."""
_STAND_INS = Palette("#a10001", "#a10002", "#a10003", "#a10004", "#a10005", "#a10006", "#a10007")
"""Replaced by the page's variables of those names."""


@dataclass(frozen=True)
class Picture:
    """One figure, not drawn yet."""

    name: str
    """What its file is called by."""
    title: str
    says: str
    """What there is to see, in words."""
    draw: Callable[[Axes, Palette], None]
    height: int = 230
    wide: bool = False
    """Whether it is worth more width where there is some."""


def figure_of(picture: Picture, palette: Palette = LIGHT, width: int = WIDTH, titled: bool = False) -> Figure:
    height = picture.height + (_TITLE if titled else 0)
    with _style(palette):
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
        axes = figure.subplots()
        picture.draw(axes, palette)
        if titled:
            figure.suptitle(picture.title, x=0.02, ha="left", fontsize=_FONT + 1, fontweight="bold")
        return figure


def svg_of(picture: Picture) -> str:
    """For an HTML page; one that may be wide comes twice, and the page's style shows the one that fits."""
    if not picture.wide:
        return _svg(picture, WIDTH, "")
    return _svg(picture, WIDTH, "narrow") + _svg(picture, _WIDE, "wide")


def png_of(picture: Picture, mark: str) -> bytes:
    """`mark` is kept in the file, as the software that made it."""
    with _style(LIGHT):
        figure = figure_of(picture, LIGHT, _WIDE if picture.wide else WIDTH, titled=True)
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=_DPI * _PNG_SCALE, metadata={"Software": mark})
    return target.getvalue()


def _svg(picture: Picture, width: int, kind: str) -> str:
    with _style(_STAND_INS):
        target = io.StringIO()
        figure_of(picture, _STAND_INS, width).savefig(
            target, format="svg", transparent=True, metadata={"Date": None}
        )
    drawn = target.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*", "", drawn, flags=re.DOTALL)
    for field in fields(Palette):
        drawn = drawn.replace(getattr(_STAND_INS, field.name), f"var(--{field.name})")
    drawn = re.sub(r"font-family: [^;\"]*;?", "", drawn)
    # Several drawings share a page, and each counts its parts from 1.
    own = f"{picture.name}{'-' + kind if kind else ''}-"
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", drawn)
    title = f'<title id="{own}title">{html.escape(f"{picture.title}. {picture.says}")}</title>'
    head = (
        f'<svg class="{kind}" role="img" aria-labelledby="{own}title" viewBox="0 0 {width} {picture.height}">'
    )
    return head + title + drawn[drawn.index(">") + 1 :]


def label_plainly(axis: Axis) -> None:
    """Numbers along a logarithmic axis. Matplotlib's own are formulas, which `_style` keeps from being read."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


@contextmanager
def _style(palette: Palette) -> Iterator[None]:
    # The defaults first: what a user set for other drawings must not change these.
    settings: dict[Any, Any] = {
        **{key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"},
        "font.size": _FONT,
        "axes.labelsize": _FONT,
        "xtick.labelsize": _FONT - 0.5,
        "ytick.labelsize": _FONT - 0.5,
        "legend.fontsize": _FONT - 0.5,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "legend.borderpad": 0.0,
        "legend.columnspacing": 1.2,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.linewidth": 0.8,
        "grid.linewidth": 0.7,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "lines.linewidth": 1.6,
        "text.color": palette.ink,
        "axes.labelcolor": palette.muted,
        "axes.edgecolor": palette.muted,
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "grid.color": palette.rule,
        "figure.facecolor": palette.paper,
        "axes.facecolor": "none",
        # Names of sources may hold a dollar sign.
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "bioforge",
    }
    with matplotlib.rc_context(settings):
        yield
