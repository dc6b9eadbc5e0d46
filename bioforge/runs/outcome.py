"""What a finished run's model makes of each held-out example: what reports and comparisons rest on.

It is kept by the run, so it outlives the model. Examples are named by their places among the rows of the data
set; their texts stay there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.runs.folder import RunFolder

OUTCOME, LENGTHS = "outcome.json", "lengths.json"
HELD_OUT = "held_out"
"""Name of the validation rows where the data brought none."""
_BINS = 50


@dataclass(frozen=True)
class Judged:
    """A judge on the rows of one split, in the order of the data."""

    split: str
    """One of the data, or `HELD_OUT`."""
    positions: list[int]
    labels: list[int]
    """1 acceptable, 0 not."""
    probabilities: list[float]
    """Of `acceptable`, calibrated as the model's are."""


@dataclass(frozen=True)
class Written:
    """A writer on texts it did not learn from, in the order of the data."""

    split: str
    positions: list[int]
    nats: list[float]
    """Loss of each text, summed over its targets."""
    targets: list[int]
    """Tokens predicted of each text, its end among them."""
    bytes: list[int]
    """UTF-8 bytes of each text, as far as it was read."""


@dataclass(frozen=True)
class Outcome:
    """The first of either list is what the run was validated on; a judge's others decided nothing."""

    threshold: float | None = None
    """Judges: lowest probability that counts as acceptable."""
    judged: list[Judged] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)


@dataclass(frozen=True)
class Lengths:
    """Training rows by length in tokens, as they are read."""

    limit: int
    truncated: int
    width: int
    """Lengths in one bin; the first bin begins at 0."""
    rows: list[int]
    """In each bin."""


def keep_outcome(run: RunFolder, outcome: Outcome) -> None:
    write_json(run.path / OUTCOME, asdict(outcome))


def outcome_of(run: RunFolder) -> Outcome | None:
    """None for a run that has not finished.

    Raises UserError for one that is damaged.
    """
    path = run.path / OUTCOME
    if not path.is_file():
        return None
    try:
        kept = read_json(path)
        return Outcome(
            kept["threshold"],
            [Judged(**part) for part in kept["judged"]],
            [Written(**part) for part in kept["written"]],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"run '{run.name}' is damaged: {OUTCOME} cannot be read ({error})") from error


def keep_lengths(run: RunFolder, lengths: Sequence[int], limit: int, truncated: int) -> None:
    """`lengths` in tokens, one of each training row."""
    width = max(1, -(-(max(lengths, default=0) + 1) // _BINS))
    rows = [0] * (max(lengths, default=0) // width + 1)
    for length in lengths:
        rows[length // width] += 1
    write_json(run.path / LENGTHS, asdict(Lengths(limit, truncated, width, rows)))


def lengths_of(run: RunFolder) -> Lengths | None:
    """None for a run that did not come so far as to count them."""
    try:
        return Lengths(**read_json(run.path / LENGTHS))
    except (OSError, ValueError, TypeError):
        return None
