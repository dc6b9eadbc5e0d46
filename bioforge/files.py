"""Writing to disk so that a reader, or a crash, never meets a half-written file or folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bioforge.errors import UserError

STAGING_PREFIX = ".staging-"
_ASIDE_SUFFIX = ".replaced"
_ATTEMPTS = 10


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def fsync_folder(path: Path) -> None:
    """Make renames inside `path` durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with staging.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes when it does not.

    Everything in it is on disk (fsync) before the rename. With `replace`, an existing target is moved
    aside first and removed last; `recover` puts it back should the process die between the two renames.
    Of two processes that replace the same target at once, the later one wins.

    Raises FileExistsError where `target` exists and `replace` is false.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f"{STAGING_PREFIX}{target.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir()
    try:
        yield staging
        for path in staging.rglob("*"):
            if path.is_file():
                fsync_file(path)
            elif path.is_dir():
                fsync_folder(path)
        fsync_folder(staging)
        if replace:
            _replace_folder(target, staging)
        elif target.exists():
            raise FileExistsError(target)
        else:
            _put_in_place(target, staging)
        fsync_folder(target.parent)
        remove_folder(_aside(target))
    finally:
        remove_folder(staging)


def _put_in_place(target: Path, staging: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if target.exists():  # another process was faster
            raise FileExistsError(target) from error
        raise


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE_SUFFIX}")


def _replace_folder(target: Path, staging: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if target.exists():
                remove_folder(_aside(target))
                target.rename(_aside(target))
            staging.rename(target)
            return
        except OSError as error:
            # A reader put the old folder back between the two renames, or another process was faster.
            moved = error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
            if not moved or attempt == _ATTEMPTS:
                raise


def recover(target: Path) -> None:
    """Put back a folder whose replacement was cut off between `new_folder`'s two renames.

    One whose replacement is in place is removed, lest it come back when that one is removed.
    """
    if target.exists():
        remove_folder(_aside(target))
        return
    with contextlib.suppress(FileNotFoundError):
        _aside(target).rename(target)


def remove_unfinished(folder: Path, name: str = "") -> None:
    """Remove what a process that died was still writing in `folder` under names that begin with `name`."""
    for path in folder.glob(f"{STAGING_PREFIX}{name}*"):
        remove_folder(path)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it, read-only files included; an absent one is fine."""
    while path.exists():
        # Another process may be removing it too.
        with contextlib.suppress(FileNotFoundError):
            for item in [path, *path.rglob("*")]:
                if item.is_dir() and not item.is_symlink():
                    item.chmod(0o700)
            shutil.rmtree(path)


def remove_at_once(path: Path) -> None:
    """Remove a folder so that nobody, not even after a crash, meets half of it under its name."""
    staging = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
    with contextlib.suppress(FileNotFoundError):  # another process may be removing it too
        path.rename(staging)
    remove_folder(staging)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `source` a second name where the file system can, a second copy where it cannot."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def visible_folders(parent: Path) -> list[Path]:
    """Finished folders in `parent`, by name; staging and hidden ones are left out."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def typed_path(text: str) -> Path:
    """An existing file or folder from what a person typed or pasted, quotation marks and `~` included.

    Raises UserError for whatever names none.
    """
    cleaned = text.strip().strip("'\"")
    try:
        path = Path(cleaned).expanduser().absolute()
        if cleaned and path.exists():
            return path
    except (OSError, RuntimeError, ValueError):
        pass  # a name too long, a user that is not there, a NUL
    raise UserError(f"{cleaned or 'nothing'}: no such file or folder")


def human_size(size: float) -> str:
    """`size` in bytes as `12.3 MB` (powers of ten, as file managers show it)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
