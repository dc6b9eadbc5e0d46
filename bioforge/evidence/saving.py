"""Putting a report where the user wants it, without writing over anything that is no report of the same run."""

from __future__ import annotations

from pathlib import Path

from bioforge.errors import UserError
from bioforge.evidence.drawing import png_of
from bioforge.evidence.figures import pictures
from bioforge.evidence.pages import is_marked
from bioforge.evidence.report import Report
from bioforge.evidence.report_page import mark_of, page_of
from bioforge.files import write_bytes
from bioforge.runs.folder import RunFolder

_SUFFIXES = (".html", ".htm")


def save_report(
    run: RunFolder, report: Report, out: Path | None, *, png: bool = False, replace: bool = False
) -> list[Path]:
    """Write the page, and with `png` its figures beside it; returns the files, the page first.

    `out` is a file that ends in `.html`, or a folder; None: the folder `report` of the run.

    Raises UserError where another file is in the way, unless `replace`, or nothing can be written.
    """
    target = _target(run, out)
    mark = mark_of(run.name)
    files = {target: page_of(report).encode("utf-8", "replace")}
    if png:
        for picture in pictures(report):
            files[target.with_name(f"{target.stem}-{picture.name}.png")] = png_of(picture, mark)
    for path in files:
        if path.exists() and not replace and not is_marked(path, mark):
            raise UserError(
                f"{path} exists and is no report of this run; name another file, or pass --replace"
            )
    try:
        for path, content in files.items():
            write_bytes(path, content)
    except OSError as error:
        raise UserError(f"cannot write {target.parent}: {error.strerror}") from error
    return list(files)


def _target(run: RunFolder, out: Path | None) -> Path:
    try:
        chosen = (out or run.path / "report").expanduser().absolute()
        if chosen.is_dir() or chosen.suffix.lower() not in _SUFFIXES:
            chosen = chosen / f"{run.name}.html"
        if chosen.is_dir():
            raise UserError(f"{chosen} is a folder; name a file")
        # Asked before anything is drawn.
        nearest = next(folder for folder in chosen.parents if folder.exists())
        if not nearest.is_dir():
            raise UserError(f"{nearest} is a file; name a folder")
    except (OSError, RuntimeError, ValueError) as error:
        # A name too long, a user that is not there, a NUL.
        raise UserError(f"{out}: {getattr(error, 'strerror', None) or error}") from error
    return chosen
