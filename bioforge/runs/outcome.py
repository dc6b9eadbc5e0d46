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

    @property
    def cut(self) -> float:
        """Judges: the threshold, or one half where none was chosen."""
        return 0.5 if self.threshold is None else self.threshold


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
        outcome = Outcome(
            kept["threshold"],
            [Judged(**part) for part in kept["judged"]],
            [Written(**part) for part in kept["written"]],
        )
        _check(outcome)
        return outcome
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"run '{run.name}' is damaged: {OUTCOME} cannot be read ({error})") from error


def _check(outcome: Outcome) -> None:
    """Raises ValueError or TypeError for what no run keeps."""
    names = [part.split for part in outcome.judged] + [part.split for part in outcome.written]
    # They name files.
    if not names or not all(map(str.isidentifier, names)) or len(set(names)) < len(names):
        raise ValueError(f"its splits are called {names}")
    if not isinstance(outcome.threshold, int | float | None):
        raise ValueError("its threshold is no number")
    for judged in outcome.judged:
        _check_columns(judged.split, judged.positions, judged.labels, judged.probabilities)
        if not set(judged.labels) <= {0, 1}:
            raise ValueError(f"labels of '{judged.split}' are neither 0 nor 1")
    for written in outcome.written:
        _check_columns(written.split, written.positions, written.nats, written.targets, written.bytes)
        if not (sum(written.targets) > 0 and sum(written.bytes) > 0):
            raise ValueError(f"nothing of '{written.split}' was read")


def _check_columns(split: str, positions: list[int], *columns: Sequence[float]) -> None:
    if not positions or any(len(column) != len(positions) for column in columns):
        raise ValueError(f"columns of '{split}' differ in length, or are empty")
    if not all(isinstance(place, int) and place >= 0 for place in positions):
        raise ValueError(f"positions of '{split}' are no places")
    if not all(isinstance(value, int | float) for column in columns for value in column):
        raise ValueError(f"not all of '{split}' are numbers")


def keep_lengths(run: RunFolder, lengths: Sequence[int], limit: int, truncated: int) -> None:
    """`lengths` in tokens, one of each training row."""
    width = max(1, -(-(max(lengths, default=0) + 1) // _BINS))
    rows = [0] * (max(lengths, default=0) // width + 1)
    for length in lengths:
        rows[length // width] += 1
    write_json(run.path / LENGTHS, asdict(Lengths(limit, truncated, width, rows)))


def lengths_of(run: RunFolder) -> Lengths | None:
    """None for a run that did not come so far as to count them.

    Raises UserError for one that is damaged.
    """
    path = run.path / LENGTHS
    if not path.is_file():
        return None
    try:
        lengths = Lengths(**read_json(path))
        numbers = [lengths.limit, lengths.truncated, lengths.width, *lengths.rows]
        if lengths.width < 1 or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError("it holds no counts")
        return lengths
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"run '{run.name}' is damaged: {LENGTHS} cannot be read ({error})") from error
