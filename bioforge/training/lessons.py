"""What a judge learns from besides its labels: corruptions of its sentences, unlabelled ones, and what teachers think of all.

A small judge learns more from the probabilities of a better one than from labels (Hinton et al. 2015), the
more so on sentences made up for it (Jiao et al. 2020), and more from the mean of several than from one (Hinton et
al., section 2). Without a teacher a corruption counts as mostly wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bioforge.cache import cached
from bioforge.data import store as data_store
from bioforge.data.corruptions import Corruptor, Lexicon
from bioforge.data.rows import Row, Rows, digest
from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.judging.sentences import split
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store
from bioforge.runs.folder import RunFolder
from bioforge.training.objective import Objective
from bioforge.training.tokens import Encoded, encode

_FILE = "lessons.json"
_MOST_BYTES = 10**9
_FORMAT = 1
"""Rises with every change to what is made here."""
_SEED = 0
"""Corruptions do not depend on the recipe's seed: runs of several seeds share what the teacher read."""
_WRONG = 0.35
"""What a corruption of an acceptable sentence is taught with where no teacher says: a third still are acceptable, by
a teacher's reading of 692 (docs/decisions/0014-corruptions-and-teachers.md)."""
_PART = 2048
"""Sentences a teacher reads between two reports."""


@dataclass(frozen=True)
class Lesson:
    sentence: str
    target: float
    """Probability of `acceptable` to learn."""
    row: int
    """Row of the imported file that it is, or was made from; 0 of an unlabelled one."""
    label: int
    """That row's; of an unlabelled one what the teachers say."""


def lessons(run: RunFolder, rows: Sequence[Row], say: Callable[[str], None]) -> list[Lesson]:
    """One of each of the run's `rows`, in order, their corruptions, and the unlabelled sentences; from the cache where they are in it.

    `say` is told how far it is, and may raise to stop.

    Raises UserError where a teacher still has to be asked, and is gone or another one, and where the unlabelled data are.
    """
    home, recipe = run.home, run.recipe()
    folder = home.lessons / run.data()["fingerprint"] / _key(run, rows)

    def make(staging: Path) -> None:
        made = [*_made(rows, recipe.corruptions), *_unlabelled(run)]
        if recipe.teachers:
            made = _taught(made, _teachers(run), len(rows), recipe.label_share, say)
        elif recipe.corruptions:
            # A corruption of an unacceptable sentence may have mended it; only a teacher could tell.
            made = [lesson for at, lesson in enumerate(made) if at < len(rows) or lesson.label == 1]
        write_json(staging / _FILE, [asdict(lesson) for lesson in made])

    return cached(folder, _kept, make, mark=_FILE, most=_MOST_BYTES)


def _kept(folder: Path) -> list[Lesson] | None:
    """None where there are none, or they are damaged."""
    try:
        found = [Lesson(**values) for values in read_json(folder / _FILE)]
        os.utime(folder / _FILE)
        return found
    except (OSError, ValueError, TypeError):
        return None


def taught(objective: Objective, given: Sequence[Lesson]) -> Encoded:
    """The lessons as token ids, with their targets."""
    rows = [Row(lesson.sentence, lesson.row, label=lesson.label) for lesson in given]
    return encode(objective, rows).aimed([lesson.target for lesson in given])


def _teachers(run: RunFolder) -> list[Path]:
    """The folders of the run's teachers, if they are still the ones that the run began with."""
    home, found = run.home, []
    for name, fingerprint in run.teachers().items():
        if not (home.models / name).is_dir() or store.fingerprint(home, name) != fingerprint:
            raise UserError(
                f"the judge '{name}', which this run learns from, is gone or is another one by now; begin a new run"
            )
        found.append(store.folder(home, name))
    return found


def _unlabelled(run: RunFolder) -> Iterator[Lesson]:
    """Each sentence of the run's unlabelled data once, but none that its own data have, in whichever split."""
    asked = run.unlabelled()
    if not asked:
        return
    data = data_store.load_pinned(run.home, asked, "whose sentences")
    own = data_store.load(run.home, run.data()["name"]).rows
    assert isinstance(own, Rows)
    known = set(own.digests())
    for row in data.rows:
        for start, end in split(row.text):
            sentence = row.text[start:end]
            mark = digest(sentence)
            if mark not in known:
                known.add(mark)
                yield Lesson(sentence, _WRONG, 0, 0)


def _key(run: RunFolder, rows: Sequence[Row]) -> str:
    recipe = run.recipe()
    decided = {
        "format": _FORMAT,
        "rows": hashlib.sha256(" ".join(str(row.row) for row in rows).encode()).hexdigest(),
        "corruptions": recipe.corruptions,
        "label_share": recipe.label_share,
        "teachers": sorted(run.teachers().values()),
        "unlabelled": run.unlabelled().get("fingerprint"),
    }
    return hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:32]


def _made(rows: Sequence[Row], corruptions: int) -> list[Lesson]:
    """Each row with its label, then up to so many corruptions of each, none twice."""
    own = [Lesson(row.text, float(row.label or 0), row.row, int(row.label or 0)) for row in rows]
    corruptor = Corruptor(random.Random(_SEED), Lexicon.of(lesson.sentence for lesson in own))
    known = {lesson.sentence for lesson in own}
    made = []
    for _ in range(corruptions):
        for lesson in own:
            changed = corruptor.corrupt(lesson.sentence)
            if changed and changed not in known:
                known.add(changed)
                made.append(Lesson(changed, _WRONG, lesson.row, lesson.label))
    return own + made


def _taught(
    made: list[Lesson],
    teachers: Sequence[Path],
    labelled: int,
    label_share: float,
    say: Callable[[str], None],
) -> list[Lesson]:
    """`made` with the teachers' mean probabilities; of the first `labelled` the label keeps its share."""
    means = [0.0] * len(made)
    for number, folder in enumerate(teachers, start=1):
        who = "the teacher" if len(teachers) == 1 else f"teacher {number} of {len(teachers)}"
        teacher = TorchJudge.load(folder)
        for first in range(0, len(made), _PART):
            say(f"{who} has read {first:,} of {len(made):,} sentences")
            part = [lesson.sentence for lesson in made[first : first + _PART]]
            for at, said in enumerate(teacher.probabilities(part)[0], start=first):
                means[at] += said / len(teachers)
    return [
        Lesson(
            lesson.sentence,
            label_share * lesson.label + (1 - label_share) * mean if at < labelled else mean,
            lesson.row,
            lesson.label if lesson.row else int(mean >= 0.5),
        )
        for at, (lesson, mean) in enumerate(zip(made, means, strict=True))
    ]
