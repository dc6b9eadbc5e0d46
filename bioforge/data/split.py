"""Which rows are learnt from and which are held out."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Sequence

from bioforge.data.cola import DEV, IN_DOMAIN_DEV, TRAIN
from bioforge.data.rows import Row, Rows
from bioforge.data.store import DataSet, at
from bioforge.errors import UserError


def train_and_validation(
    data: DataSet, fraction: float, seed: int, official: bool, most: int = 0
) -> tuple[Sequence[Row], Sequence[Row]]:
    """Split a data set, a pure function of its arguments.

    With `official`, a data set that came with an in-domain (or GLUE) dev split is validated on it;
    otherwise `fraction` of the training rows, but no more than `most` unless that is 0, is held out at random
    (both tutorials: 90 to 10). Rows with
    the same text always end on the same side. The out-of-domain split is never touched.

    Raises UserError where one of the two sides would be empty, or a judge would see one label only.
    """
    rows = data.split(TRAIN)
    validation = (data.split(IN_DOMAIN_DEV) or data.split(DEV)) if official else []
    train = rows
    if not validation:
        train, validation = hold_out(rows, fraction, seed, most)
    name = data.info.name
    if not train or not validation:
        raise UserError(
            f"data set '{name}' has {len(rows)} rows to train on; that is too few to hold any out"
        )
    if data.info.kind == "cola" and len({row.label for row in train}) < 2:
        raise UserError(
            f"all {len(train)} training sentences of '{name}' have the same label; a judge needs both"
        )
    return train, validation


def hold_out(
    rows: Sequence[Row], fraction: float, seed: int, most: int = 0
) -> tuple[Sequence[Row], Sequence[Row]]:
    """Hold out about `fraction` of `rows`, at least one text and at most `most` (0: any number of) texts.

    Both sides keep their order.
    """
    texts: Iterable[object] = rows.digests() if isinstance(rows, Rows) else (row.text for row in rows)
    numbers: dict[object, int] = {}
    number_of_row = array("Q", (numbers.setdefault(text, len(numbers)) for text in texts))
    distinct = len(numbers)
    held = max(1, distinct - int((1 - fraction) * distinct))
    held = min(held, most) if most else held
    chosen = set(random.Random(f"bioforge-split-{seed}").sample(range(distinct), held))
    places: tuple[array[int], array[int]] = (array("Q"), array("Q"))
    for place, number in enumerate(number_of_row):
        places[number in chosen].append(place)
    return at(rows, places[False]), at(rows, places[True])
