"""What was checked, in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from bioforge.journal import Journal
from bioforge.paths import Home


@dataclass(frozen=True)
class Check:
    id: str
    created: str
    text: str
    """What was typed; of a file only its beginning."""
    file: str
    """The file that was read; empty for typed text."""
    model: str
    threshold: float
    sentences: int | None
    """None: it was not judged."""
    weak: int | None


_BEGINNING = 200
_COMPARED = 4000
"""Characters that tell whether a text is another one; texts can be megabytes."""


def remember(
    home: Home,
    *,
    text: str,
    file: str,
    model: str,
    threshold: float,
    sentences: int | None,
    weak: int | None,
    id: str | None = None,
) -> str:
    """Note a check, in place of the one noted as `id`; returns its id."""
    entry = {
        "text": text[:_BEGINNING] if file else text,
        "file": file,
        "model": model,
        "threshold": threshold,
        "sentences": sentences,
        "weak": weak,
    }
    return Journal(home.checks).put(entry, id)


def checks(home: Home) -> list[Check]:
    """Newest first."""
    return Journal(home.checks).read(Check)


def forget(home: Home, id: str) -> None:
    Journal(home.checks).remove(id)


def goes_on(before: str, after: str) -> bool:
    """Whether `after` is `before` edited, rather than another text: they share half of the shorter one."""
    before, after = before[:_COMPARED], after[:_COMPARED]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    return 2 * same >= min(len(before), len(after))
