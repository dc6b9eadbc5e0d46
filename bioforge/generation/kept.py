"""Texts the user kept, in the data folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bioforge.generation.sampling import Sampling
from bioforge.journal import Journal
from bioforge.paths import Home


@dataclass(frozen=True)
class Kept:
    id: str
    created: str
    text: str
    model: str
    prompt: str
    seed: int
    sampling: dict[str, float]


def keep(home: Home, text: str, model: str, prompt: str, seed: int, sampling: Sampling) -> str:
    """Append a text with what it was made from; returns its id."""
    entry = {"text": text, "model": model, "prompt": prompt, "seed": seed, "sampling": asdict(sampling)}
    return Journal(home.kept).put(entry)


def kept(home: Home) -> list[Kept]:
    """Newest first."""
    return Journal(home.kept).read(Kept)


def discard(home: Home, id: str) -> None:
    Journal(home.kept).remove(id)
