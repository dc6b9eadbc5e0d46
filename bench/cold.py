"""The first answer of `bioforge check` from the shell against a script with `transformers.pipeline`, and how both
judge a file once they are warm (some three minutes).

    python -m bench.cold [--model NAME] [--repeats 7] [--sentences 2048] [--dry]

The same judge for both: one of your store, or one of `minilm-l6`'s shape with random weights. The two take turns, each a process
of its own; medians are shown, and the ratio is the median of those of the turns. Processor seconds are there because, unlike
the clock's, they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import results, subjects
from bench.children import Timed, ask, timed
from bioforge.files import human_size, write_json
from bioforge.models import store
from bioforge.models.store import INFO_FILE, ModelInfo
from bioforge.paths import Home, home

SENTENCE = "They drank the pub dry."
PIPELINE = """
import sys
from transformers import pipeline
judge = pipeline("text-classification", model=sys.argv[1], device="cpu")
print(judge(sys.argv[2]))
"""
BATCH_SIZES = (1, 8, 32, 64)
_TURNS = 2
TARGETS = {"cold": 8, "warm": 3}


def random_judge(place: Home) -> str:
    """A judge of `minilm-l6`'s shape in the store `place`; returns its name."""
    folder = subjects.write_base("judge", place.models / "judge")
    write_json(
        folder / INFO_FILE,
        asdict(ModelInfo("judge", "cola", "minilm-l6", "random weights", "", "", "", "", {}, {}, 0, 128)),
    )
    return "judge"


def cold(place: Home, name: str, repeats: int) -> str:
    """A table of the first answer: seconds by the clock and of the processor, and memory."""
    check = [sys.executable, "-m", "bioforge", "check", "--model", name, SENTENCE]
    script = [sys.executable, "-c", PIPELINE, str(store.folder(place, name)), SENTENCE]
    environment = {**os.environ, "BIOFORGE_HOME": str(place.root)}
    ours: list[Timed] = []
    theirs: list[Timed] = []
    timed(check, environment)  # the judge's graph, where it is missing, is made once
    for _ in range(repeats):
        theirs.append(timed(script, environment))
        ours.append(timed(check, environment))
    rows = [
        _row("pipeline", [f"{middle(theirs, 'wall'):.2f} s", f"{middle(theirs, 'processor'):.2f} s"], theirs),
        _row(
            "`bioforge check`", [f"{middle(ours, 'wall'):.2f} s", f"{middle(ours, 'processor'):.2f} s"], ours
        ),
    ]
    ratios = [
        results.ratios([getattr(one, what) for one in theirs], [getattr(one, what) for one in ours])
        for what in ("wall", "processor")
    ]
    missed = "" if ratios[0][0] >= TARGETS["cold"] else " **missed**"
    rows.append(
        [
            "ratio (range)",
            *(f"**{mid:.1f}×** ({low:.1f}–{high:.1f})" for mid, low, high in ratios),
            f"target {TARGETS['cold']}×{missed}",
        ]
    )
    return results.table(("first answer", "clock", "processor", "peak memory"), rows)


def _row(name: str, figures: list[str], found: Sequence[Timed]) -> list[str]:
    return [name, *figures, human_size(middle(found, "memory"))]


def middle(found: Sequence[Timed], what: str) -> float:
    return float(statistics.median(getattr(one, what) for one in found))


def warm(place: Home, name: str, count: int) -> str:
    """A table of sentences a second, both loaded, the pipeline in batches of several sizes."""
    judgements, source = subjects.sentences()
    texts = [judgement.sentence for judgement in judgements[-count:]]
    job = {"task": "cola", "base": str(store.folder(place, name)), "seed": 0, "texts": texts}
    theirs: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
    ours: list[float] = []
    for _ in range(_TURNS):
        rates = ask("bench.peers", "classify", {**job, "batch_sizes": BATCH_SIZES})[0]["rates"]
        for size in BATCH_SIZES:
            theirs[size].append(rates[str(size)])
        ours.append(ask("bench.ours", "classify", job)[0]["rate"])
    rows = [
        [f"pipeline, batches of {size}", f"{statistics.median(found):,.0f}", ""]
        for size, found in theirs.items()
    ]
    ratio, low, high = results.ratios(ours, [max(turn) for turn in zip(*theirs.values(), strict=True)])
    missed = "" if ratio >= TARGETS["warm"] else " **missed**"
    against = f"**{ratio:.1f}×** ({low:.1f}–{high:.1f}) the best; target {TARGETS['warm']}×{missed}"
    rows.append(["`bioforge check FILE`, warm", f"{statistics.median(ours):,.0f}", against])
    head = (f"{len(texts):,} sentences of {source}", "sentences/s", "")
    return results.table(head, rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a judge of your store")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sentences", type=int, default=2048)
    parser.add_argument("--note", default="", help="what else the machine did")
    parser.add_argument("--dry", action="store_true", help="print only; docs/results.md stays as it is")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = home() if asked.model else Home(Path(folder))
        name = asked.model or random_judge(place)
        base = store.info(place, name).base
        page = "\n\n".join(
            [
                "## The first answer, and a file",
                f"`python -m bench.cold {' '.join(sys.argv[1:])}`; a judge of `{base}`'s shape; {results.machine()}{asked.note}",
                cold(place, name, asked.repeats),
                warm(place, name, asked.sentences),
            ]
        )
    print(page)
    if not asked.dry:
        results.keep("cold", page)


if __name__ == "__main__":
    main()
