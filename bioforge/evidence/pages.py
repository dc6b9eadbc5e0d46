"""HTML files that need nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bioforge.reporting.text import safe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by colour-blind readers (Okabe and Ito 2008)."""
_INK = "#010203"
"""Stands for the page's own text colour, which a dark page has light."""


def render(package: str, template: str, **values: Any) -> str:
    """`template` of `package`, which extends `plain_page.html`. Whatever `values` hold is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("bioforge.evidence", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def _shown(value: Any) -> Any:
    """Control characters have no place in a page."""
    return safe(value) if type(value) is str else value


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """How figures look that are made inside."""
    import matplotlib as mpl

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
        yield


def svg(figure: Figure) -> str:
    """An `svg` element in the page's own text colour."""
    drawn = io.StringIO()
    silent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(drawn, format="svg", transparent=True, metadata=silent)
    text = drawn.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
