"""Saving to a file that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bioforge.errors import UserError
from bioforge.files import write_text


def target(answer: str, suffixes: Sequence[str]) -> Path:
    """The file that was named.

    Raises UserError where no such file could be written.
    """
    if not answer.strip():
        raise UserError("name a file")
    try:
        path = Path(answer.strip()).expanduser().absolute()
        if path.suffix.lower() not in suffixes:
            raise UserError(f"let the name end in {' or '.join(suffixes)}")
        if path.is_dir():
            raise UserError(f"{path} is a folder; name a file")
        if not path.parent.is_dir():
            raise UserError(f"there is no folder {path.parent}")
    except (OSError, RuntimeError, ValueError) as error:
        # A name too long, a user that is not there, a NUL.
        raise UserError(f"{answer.strip()}: {getattr(error, 'strerror', None) or error}") from error
    return path


def save(path: Path, text: str) -> Path:
    """Write `text`, whole or not at all.

    Raises UserError where that cannot be.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path
