"""HTML files that need nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bioforge import __version__
from bioforge.errors import UserError
from bioforge.files import write_text
from bioforge.reporting.text import safe

_MARK = "bioforge page"
_HEAD = 4096
"""Bytes in which a file says that it is ours."""
_LINE = 120
"""Characters shown of a name."""


@dataclass(frozen=True)
class Shown:
    """Foreign text that cannot drive a page, and how long it was where that is not all of it."""

    text: str
    shortened_from: int = 0


def render(package: str, template: str, *, mark: str = _MARK, **values: Any) -> str:
    """`template` of `package`, which extends `base.html`. Whatever `values` hold is escaped.

    `mark` is kept in the page, to tell it again (`is_marked`).
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from bioforge.evidence.drawing import svg_of

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("bioforge.evidence", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "line": line,
        "shown": shown,
        "svg": lambda picture: Markup(svg_of(picture)),
    }
    style = resources.files("bioforge.evidence").joinpath("page.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(
        mark=mark, version=__version__, style=Markup(style), **values
    )


def shown(text: str, most: int) -> Shown:
    cleaned = safe(text)
    if len(cleaned) <= most:
        return Shown(cleaned)
    return Shown(cleaned[:most].rstrip() + "…", len(text))


def line(text: str) -> str:
    """Foreign text where there is room for a name only."""
    return shown(" ".join(text.split()), _LINE).text


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


def _cleaned(value: Any) -> Any:
    """Control characters have no place in a page."""
    return safe(value) if type(value) is str else value
