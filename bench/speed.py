"""bioforge against its peers on this machine's CPU, side by side; the tables go to docs/results.md (some 20 minutes).

    python -m bench.speed [--rows gpt2-short,gpt2-long,bert,eval,generate,grow,loss,quality] [--repeats 2] [--steps 2] [--dry]

Each figure comes from fresh processes, peer and bioforge in turns, because a machine's speed drifts; a ratio
is the median of those of the turns. Weights are random ones of the real shapes. bioforge's trainings are runs
by its own worker; the peers run in the environment a user has. Tokens are real ones: padding never counts.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import results, subjects
from bench.children import Measured, add_texts, ask, train
from bench.quality import equal_loss, equal_mcc
from bioforge.files import human_size
from bioforge.models.catalog import Task
from bioforge.models.tokenization import token_counts
from bioforge.paths import Home
from bioforge.runs import recipe as recipes

STRATEGIES = ("random", "group_by_length")
BATCH_SIZES = (4, 8, 16, 32, 64)
GROWTH = (1715, 6860, 27_442)


@dataclass(frozen=True)
class Asked:
    place: Path
    """A folder for bases, data and runs, gone afterwards."""
    repeats: int
    steps: int

    def base(self, kind: str) -> Path:
        folder = self.place / kind
        return folder if folder.exists() else subjects.write_base(kind, folder)


@dataclass(frozen=True)
class Row:
    work: str
    against: str
    unit: str
    theirs: list[float]
    ours: list[float]
    target: float
    memory: str = ""
    """Peak of the peer's process and of ours."""

    def cells(self) -> list[str]:
        middle, low, high = results.ratios(self.ours, self.theirs)
        theirs, ours = statistics.median(self.theirs), statistics.median(self.ours)
        verdict = "" if middle >= self.target else " **missed**"
        return [
            self.work,
            self.against,
            f"{theirs:,.1f} {self.unit}",
            f"{ours:,.1f} {self.unit}",
            f"**{middle:.1f}×** ({low:.1f}–{high:.1f})",
            f"{self.target:g}×{verdict}",
            self.memory,
        ]


HEAD = ("work", "against", "peer", "bioforge", "ratio (range)", "target", "peak memory, peer / bioforge")


def training(
    asked: Asked,
    name: str,
    task: Task,
    what: str,
    texts: list[str],
    labels: list[int] | None,
    targets: tuple[float, float],
) -> list[Row]:
    """One kind of work against the tutorial's loop and against Trainer, which gets its better sampling."""
    kind = "bert" if task == "cola" else "gpt2"
    base = asked.base(kind)
    recipe = recipes.preset(task, "balanced")
    steps = asked.steps * {"gpt2-short": 2, "gpt2-long": 1, "bert": 4}[name]
    lengths = token_counts(base, texts)
    place = Home(Path(tempfile.mkdtemp(dir=asked.place)))
    theirs: dict[str, list[Measured]] = {"tutorial": []}
    ours: list[Measured] = []
    best = ""
    for turn in range(asked.repeats):
        chosen = subjects.typical(lengths, recipe.batch_size, steps, seed=turn)
        some = [texts[index] for index in chosen]
        said = [labels[index] for index in chosen] if labels else None
        spare = [texts[chosen[0]] + " Again."], [labels[chosen[0]]] if labels else []
        job: dict[str, Any] = {
            "task": task,
            "base": str(base),
            "texts": some,
            "labels": said,
            "seed": turn,
            "steps": 1 if task == "bios" else 2,
            "batch_size": recipe.batch_size,
            "learning_rate": recipe.learning_rate,
            "max_length": recipe.max_length or 1024,
        }
        theirs["tutorial"].append(peer("tutorial", job))
        # One row is held out: the run trains on as many texts as its peers.
        add_texts(place, f"turn-{turn}", some + spare[0], said + spare[1] if said else None)
        ours.append(train(place, task, f"turn-{turn}", base, steps, [f"seed={turn}"]))
        for strategy in STRATEGIES if not best else (best,):
            theirs.setdefault(strategy, []).append(
                peer("trainer", {**job, "steps": steps, "strategy": strategy})
            )
        best = best or max(STRATEGIES, key=lambda strategy: theirs[strategy][0].rate)
        tell(
            what,
            f"tutorial {theirs['tutorial'][-1].rate:.1f}, {best} {theirs[best][-1].rate:.1f}, ours {ours[-1].rate:.1f}",
        )
    rows = []
    for peer_name, against, target in (
        ("tutorial", "the tutorial's loop", targets[0]),
        (best, f"Trainer, {best}, bf16", targets[1]),
    ):
        most = max(m.memory for m in theirs[peer_name]), max(m.memory for m in ours)
        more = " **more**" if peer_name == "tutorial" and most[1] > most[0] else ""
        memory = " / ".join(map(human_size, most)) + more
        rates = [m.rate for m in theirs[peer_name]], [m.rate for m in ours]
        rows.append(Row(what, against, "tokens/s", *rates, target, memory))
    return rows


def peer(name: str, job: dict[str, Any]) -> Measured:
    answer, memory = ask("bench.peers", name, job)
    return Measured(answer["rate"], memory, answer["losses"])


def gpt2_short(asked: Asked) -> list[Row]:
    texts, source = subjects.biographies()
    return training(
        asked,
        "gpt2-short",
        "bios",
        f"GPT-2 124M, {source}, mean {mean_words(texts):.0f} words",
        texts,
        None,
        (12, 1.5),
    )


def gpt2_long(asked: Asked) -> list[Row]:
    texts, source = subjects.biographies()
    long = subjects.joined(texts)
    return training(
        asked,
        "gpt2-long",
        "bios",
        f"GPT-2 124M, {source} joined, mean {mean_words(long):.0f} words",
        long,
        None,
        (3.6, 1.5),
    )


def bert(asked: Asked) -> list[Row]:
    judgements, source = subjects.sentences()
    rows = [judgement for judgement in judgements if judgement.split == "train"]
    texts, labels = [row.sentence for row in rows], [row.label for row in rows]
    return training(asked, "bert", "cola", f"BERT-base, {source}", texts, labels, (10, 1.5))


def evaluation(asked: Asked) -> list[Row]:
    """Our figure over all sentences; the pipeline's, which works in file order, over every eighth."""
    judgements, source = subjects.sentences()
    texts = [row.sentence for row in judgements if row.split != "train"] or [
        row.sentence for row in judgements
    ]
    job = {"task": "cola", "base": str(asked.base("bert")), "seed": 0}
    ours: list[float] = []
    default: list[float] = []
    batched: list[float] = []
    sizes = list(BATCH_SIZES)
    for _ in range(asked.repeats):
        found = ask("bench.peers", "classify", {**job, "texts": texts[::8], "batch_sizes": [1, *sizes]})[0][
            "rates"
        ]
        sizes = [max(sizes, key=lambda size: found[str(size)])]
        default.append(found["1"])
        batched.append(found[str(sizes[0])])
        ours.append(ask("bench.ours", "classify", {**job, "texts": texts})[0]["rate"])
        tell(
            "evaluation",
            f"pipeline {default[-1]:.1f}, batches of {sizes[0]} {batched[-1]:.1f}, ours {ours[-1]:.1f}",
        )
    what = f"evaluation, BERT-base, {len(texts):,} sentences of {source}"
    return [
        Row(what, "pipeline, its default", "sentences/s", default, ours, 6),
        Row(what, f"pipeline, batches of {sizes[0]}", "sentences/s", batched, ours, 1.5),
    ]


def generation(asked: Asked) -> list[Row]:
    """Single calls have a rate that does not depend on how many there are: three stand for 32."""
    job = {"task": "bios", "base": str(asked.base("gpt2")), "tokens": 150}
    theirs, ours = [], []
    for turn in range(asked.repeats):
        theirs.append(ask("bench.peers", "write", {**job, "seed": turn, "calls": 3})[0]["rate"])
        ours.append(ask("bench.ours", "write", {**job, "seed": turn, "texts": 32})[0]["rate"])
        tell("generation", f"single {theirs[-1]:.1f}, ours {ours[-1]:.1f}")
    return [
        Row("32 texts of 150 tokens, GPT-2 124M", "single calls of generate", "tokens/s", theirs, ours, 4)
    ]


def growth(asked: Asked) -> str:
    """Seconds to the first step, and pace, as the data grow."""
    texts, source = subjects.leads()
    base = asked.base("small")
    place = Home(asked.place / "growth")
    rows = []
    for size in GROWTH:
        some = texts[:: max(1, len(texts) // size)][:size]
        add_texts(place, f"grow-{size}", some, None)
        found = [
            train(place, "bios", f"grow-{size}", base, 30 * asked.steps, []) for _ in range(asked.repeats)
        ]
        rows.append(
            [
                f"{len(some):,}",
                f"{statistics.median(m.start for m in found):.1f}",
                f"{statistics.median(m.steps_per_second for m in found):.2f}",
                f"{statistics.median(m.rate for m in found):,.0f}",
                human_size(max(m.memory for m in found)),
            ]
        )
        tell("growth", ", ".join(rows[-1]))
    head = ("texts", "seconds to the end of the first step", "steps/s", "tokens/s", "peak memory")
    return (
        f"{source}; a small GPT-2, two layers of 64, batches of 8; runs of {30 * asked.steps} steps:\n\n"
        + results.table(head, rows)
    )


def mean_words(texts: Sequence[str]) -> float:
    return statistics.mean(len(text.split()) for text in texts)


def tell(what: str, figures: str) -> None:
    print(f"{what}: {figures}", file=sys.stderr, flush=True)


RACES: dict[str, Callable[[Asked], list[Row]]] = {
    "gpt2-short": gpt2_short,
    "gpt2-long": gpt2_long,
    "bert": bert,
    "eval": evaluation,
    "generate": generation,
}
PAGES: dict[str, Callable[[Asked], str]] = {
    "grow": growth,
    "loss": lambda asked: equal_loss(asked.place),
    "quality": lambda asked: equal_mcc(asked.place),
}
TITLES = {
    "speed": "Speed, against the peers",
    "grow": "Pace as the data grow",
    "loss": "Speed does not cost the loss",
    "quality": "Speed does not cost quality",
}
DEFAULT = ("gpt2-short", "gpt2-long", "bert", "eval", "generate", "grow", "loss")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(DEFAULT), help=f"any of {', '.join([*RACES, *PAGES])}")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument(
        "--dry",
        action="store_true",
        help="print only; docs/results.md stays as it is, as it also does for a part of the races",
    )
    given = parser.parse_args(arguments)
    names = given.rows.split(",")
    unknown = [name for name in names if name not in RACES and name not in PAGES]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are: {', '.join([*RACES, *PAGES])}")
    about = f"`python -m bench.speed --repeats {given.repeats} --steps {given.steps}`; {results.machine()}"
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(Path(folder), given.repeats, given.steps)
        rows = [row.cells() for name in names if name in RACES for row in RACES[name](asked)]
        if rows:
            # A part of the races is not to take the place of a whole table.
            publish("speed", results.table(HEAD, rows), about, given.dry or not set(RACES) <= set(names))
        for name in names:
            if name in PAGES:
                publish(name, PAGES[name](asked), about, given.dry)


def publish(section: str, text: str, about: str, dry: bool) -> None:
    page = f"## {TITLES[section]}\n\n{about}\n\n{text}"
    print(page + "\n", flush=True)
    if not dry:
        results.keep(section, page)


if __name__ == "__main__":
    # A worker is in a session of its own: told to end, this program must still end it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
