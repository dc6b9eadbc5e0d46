"""How often the word that `check` marks is the one that is wrong: pairs of sentences that differ in one word.

    python -m bench.marking --judge NAME [--keep]

Beside the way that is used stand simpler ones: taking words out only, with the word before or behind it too, and
putting an unknown word in its place.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import keep, machine, table
from bioforge.checking.marking import Trial, best_words, trials
from bioforge.judging.judge import Judge, open_judge
from bioforge.models import store
from bioforge.paths import assets, home


@dataclass(frozen=True)
class Pair:
    phenomenon: str
    good: str
    bad: str
    wrong: frozenset[int]
    """Which words of the bad sentence, counted from 0, may be named."""


def bundled() -> list[Pair]:
    """Pairs among the bundled judged sentences: one word replaced, or one too many."""
    with (assets() / "acceptability.tsv").open(encoding="utf-8") as stream:
        rows = [
            (row[0], row[1], row[3]) for row in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]
    good = [text for _, label, text in rows if label == "1"]
    found = []
    for phenomenon, label, bad in rows:
        wrong, match = next(
            ((w, text) for text in good if (w := differing(text, bad))), (frozenset[int](), "")
        )
        if label == "0" and wrong:
            found.append(Pair(phenomenon, match, bad, wrong))
    return found


def written() -> list[Pair]:
    """The bundled minimal pairs, written for this measure."""
    with (assets() / "minimal_pairs.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Pair(phenomenon, good, bad, differing(good, bad)) for phenomenon, good, bad in rows]


def differing(good: str, bad: str) -> frozenset[int]:
    """The words of `bad` by which it differs from `good`; none where they differ in more than one."""
    ours, theirs = bad.split(), good.split()
    if len(ours) == len(theirs):
        apart = frozenset(
            index for index, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other
        )
        return apart if len(apart) == 1 else frozenset()
    if len(ours) == len(theirs) + 1:
        return frozenset(i for i in range(len(ours)) if ours[:i] + ours[i + 1 :] == theirs)
    return frozenset()


def without(sentence: str, also: Sequence[int]) -> list[Trial]:
    """Each word taken out, once for each of `also` with so many of those before (negative) or behind it."""
    words = sentence.split()
    found = []
    for index, (start, end) in enumerate(_places(words)):
        for more in also:
            first, last = min(index, index + more), max(index, index + more)
            if first >= 0 and last < len(words):
                rest = " ".join(words[:first] + words[last + 1 :])
                found.append(Trial(start, end, rest[:1].upper() + rest[1:]))
    return found


def unknown(sentence: str) -> list[Trial]:
    return [
        Trial(start, end, f"{sentence[:start]}[UNK]{sentence[end:]}")
        for start, end in _places(sentence.split())
    ]


def _places(words: Sequence[str]) -> Iterable[tuple[int, int]]:
    start = 0
    for word in words:
        yield start, start + len(word)
        start += len(word) + 1


WAYS = {
    "taken out, or in another form (used)": trials,
    "taken out": lambda sentence: without(sentence, [0]),
    "taken out, also with a neighbour": lambda sentence: without(sentence, [0, -1, 1]),
    "an unknown word in its place": unknown,
}


def hits(judge: Judge, pairs: Sequence[Pair], way: str) -> list[bool]:
    """Whether the word whose trial fares best is the wrong one."""
    tried = [WAYS[way](pair.bad) for pair in pairs]
    reached, _ = judge.probabilities([trial.text for some in tried for trial in some])
    found, first = [], 0
    for pair, some in zip(pairs, tried, strict=True):
        words = best_words(some, reached[first : first + len(some)])
        first += len(some)
        start = max(words, key=lambda place: words[place])[0] if words else -1
        found.append(len(pair.bad[:start].split()) in pair.wrong)
    return found


def measure(judge: Judge, pairs: Sequence[Pair], name: str) -> list[list[str]]:
    probabilities, _ = judge.probabilities([pair.bad for pair in pairs])
    refused = [index for index, value in enumerate(probabilities) if value < judge.threshold]
    chance = [len(pair.wrong) / len(pair.bad.split()) for pair in pairs]

    def share(values: Sequence[float], of: Iterable[int]) -> str:
        chosen = [values[index] for index in of]
        return f"{100 * sum(chosen) / len(chosen):.0f} %" if chosen else "–"

    rows = []
    for way in WAYS:
        found = hits(judge, pairs, way)
        rows.append([f"{name}: {way}", share(found, refused), share(found, range(len(pairs)))])
    rows.append([f"{name}: any word (chance)", share(chance, refused), share(chance, range(len(pairs)))])
    rows.append([f"{name}: pairs", str(len(refused)), str(len(pairs))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judge", required=True, help="a judge in the store")
    parser.add_argument("--keep", action="store_true", help="put the table into docs/results.md")
    asked = parser.parse_args()
    judge = open_judge(Path(store.folder(home(), asked.judge)))
    rows = [*measure(judge, bundled(), "bundled sentences"), *measure(judge, written(), "minimal pairs")]
    text = (
        "## The words that `check` marks\n\n"
        f"`python -m bench.marking --judge {asked.judge}`; {machine()}\n\n"
        "How often the first marked word is the one by which the sentence differs from its acceptable twin. *Bundled sentences*: "
        "all such twins in `assets/acceptability.tsv`; *minimal pairs*: `assets/minimal_pairs.tsv`. Neither was trained on.\n\n"
        + table(["", "of the refused", "of all"], rows)
    )
    print(text)
    if asked.keep:
        keep("marking", text)


if __name__ == "__main__":
    main()
