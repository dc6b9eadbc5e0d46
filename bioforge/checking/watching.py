"""Check files again as they are saved, with one judge that stays loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bioforge.checking.inputs import Inputs, Source
from bioforge.checking.session import Session
from bioforge.errors import ExitCode, UserError


def watch(session: Session, changes: Iterable[set[Path]] | None = None) -> ExitCode:
    """Check everything, then again what is saved, until Ctrl-C, which is how a watch ends well.

    `changes` are the files that changed, some at a time; those of the file system if None.
    Raises UserError where there is no file to watch.
    """
    inputs = session.expand()
    # Path.exists raises for long sentences.
    watched = [Path(item) for item in session.request.inputs if os.path.exists(item)]  # noqa: PTH110
    if len(watched) < len(session.request.inputs):
        raise UserError("--watch takes files and folders that are there, and nothing else")
    try:
        session.run(inputs)
        for saved in _saved(watched) if changes is None else changes:
            # Listed again: files come and go.
            sources = _among(session.expand().sources, saved)
            if sources:
                session.streams.note(f"saved: {', '.join(source.name for source in sources)}")
                session.run(Inputs(sources, []))
    except KeyboardInterrupt:
        session.streams.note("no longer watching")
    return ExitCode.OK


def _among(sources: Iterable[Source], saved: set[Path]) -> list[Source]:
    return [source for source in sources if source.path and source.path.resolve() in saved]


def _saved(watched: Sequence[Path]) -> Iterator[set[Path]]:
    from watchfiles import watch as changes_in

    # Editors save by replacing a file, which only its folder can tell.
    folders = {path if path.is_dir() else path.resolve().parent for path in watched}
    # What lies below the folder of a file is nobody's concern, unless a folder was named too: it is one for all.
    recursive = any(path.is_dir() for path in watched)
    for changes in changes_in(*folders, recursive=recursive, raise_interrupt=True):
        yield {Path(name).resolve() for _, name in changes}
