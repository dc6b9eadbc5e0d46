"""What is known of a judge's exported form, beside it in the model's folder. Light: no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioforge.files import read_json
from bioforge.models.bases import weights_of

GRAPH_FILE = "model.onnx"
NOTES_FILE = "model.onnx.json"


@dataclass(frozen=True)
class Export:
    """To which weights a graph belongs, and how well it was seen to agree with torch."""

    weights: list[list[str | int]]
    """Name, size in bytes and date (ns) of each file of weights."""
    graph: str = ""
    """SHA-256 of the graph; empty where there is none."""
    padding: int = 0
    """Token id."""
    sentences: int = 0
    """That were judged both ways."""
    changed: int = 0
    """Verdicts that differed."""
    apart: float = 0.0
    """Largest difference of two probabilities."""
    problem: str = ""
    """Why there is no graph."""


def dates_of(weights: Sequence[Path]) -> list[list[str | int]]:
    """Name, size and date of each file, as in `Export.weights`."""
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in weights]


def read_export(folder: Path) -> Export | None:
    """What is known of the graph in a model's folder; None where nothing is, or only of other weights."""
    try:
        export = Export(**read_json(folder / NOTES_FILE))
        return export if export.weights == dates_of(weights_of(folder)) else None
    except (OSError, ValueError, TypeError):
        return None
