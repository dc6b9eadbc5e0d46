"""HTML files that need nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioforge.errors import UserError
from bioforge.files import write_text
from bioforge.reporting.text import safe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by colour-blind readers (Okabe and Ito 2008)."""
_MARK = "bioforge page"
"""In `plain_page.html`."""
_HEAD = 4096
"""Bytes in which a file says that it is ours."""
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


def check_place(path: Path) -> None:
    """Raises UserError where a page cannot go to `path`, or would replace what is none."""
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; name a file")
        if path.exists() and not is_marked(path, _MARK):
            raise UserError(f"{path} exists and is no page of bioforge's; name another file")
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not nearest.is_dir():
        raise UserError(f"{nearest} is a file; name a folder")


def save(path: Path, page: str) -> None:
    """Raises UserError as `check_place` does, and where nothing can be written."""
    check_place(path)
    try:
        write_text(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def is_marked(path: Path, mark: str) -> bool:
    """Whether the file says at its beginning that it is ours."""
    try:
        with path.open("rb") as stream:
            return mark.encode() in stream.read(_HEAD)
    except OSError:
        return False


def _shown(value: Any) -> Any:
    """Control characters have no place in a page."""
    return safe(value) if type(value) is str else value


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """How figures look that are made inside."""
    import matplotlib as mpl

    # The defaults first: what a user set for other drawings must not change these.
    style: Any = {
        **{key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"},
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
        ),
        # Names may hold a dollar sign.
        "text.parse_math": False,
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
