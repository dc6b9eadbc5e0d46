"""What takes long to make of a data set is kept: cache/PURPOSE/FINGERPRINT OF THE DATA/KEY/."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from bioforge.errors import UserError
from bioforge.files import new_folder, remove_folder, remove_unfinished, visible_folders

T = TypeVar("T")


def cached(
    folder: Path, look: Callable[[Path], T | None], make: Callable[[Path], None], *, mark: str, most: int
) -> T:
    """What `look` finds in a cache's `folder`; where it finds None, `make` fills the folder first.

    Processes that want the same at once wait for the first. `look` touches the file `mark`, which tells what was
    used last: afterwards the purpose's cache holds at most `most` bytes, this folder aside.

    Raises what `make` does, with nothing left; UserError where others change the folder meanwhile.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        found = look(folder)
        if found is None:
            remove_unfinished(folder.parent, folder.name)
            remove_folder(folder)
            with new_folder(folder) as staging:
                make(staging)
            found = look(folder)
            _keep_within(most, folder.parent.parent, mark, folder)
        if found is None:
            raise UserError(f"{folder} was changed or removed while it was made; try again")
        return found


def _keep_within(most: int, cache: Path, mark: str, newest: Path) -> None:
    """Remove folders two levels down in `cache` until they hold at most `most` bytes, those used longest ago first.

    One was used when its file `mark` was last touched; `newest` always stays. What another process reads stays
    readable for it, or stays.
    """
    used: dict[Path, tuple[float, int]] = {}
    for folder in [folder for parent in visible_folders(cache) for folder in visible_folders(parent)]:
        with contextlib.suppress(OSError):  # another process may be clearing up too
            size = sum(path.stat().st_size for path in folder.iterdir())
            used[folder] = (folder / mark).stat().st_mtime, size
    total = 0
    for folder in sorted(used, key=lambda folder: (folder == newest, used[folder][0]), reverse=True):
        total += used[folder][1]
        if total > most and folder != newest:
            with contextlib.suppress(OSError):
                remove_folder(folder)
