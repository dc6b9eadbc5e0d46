"""How good judges are: several seeds of each, on both dev sets of CoLA, with intervals and by source.

    python -m bench.judges --data cola standard=judge-42,judge-43,judge-44 small=small-42,small-43,small-44

Each name is a judge of the store. Nothing is trained and nothing is chosen here.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import results
from bioforge.data import store
from bioforge.data.cola import IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.judging.judge import Judge
from bioforge.judging.metrics import accuracy, calibration_error, mcc
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store as models
from bioforge.paths import home

SPLITS = (IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV)
RESAMPLES = 1000


@dataclass(frozen=True)
class Said:
    """What several seeds of one recipe say of one split."""

    labels: NDArray[np.int64]
    """`(sentences,)`."""
    verdicts: NDArray[np.int64]
    """`(seeds, sentences)`."""
    probabilities: NDArray[np.float64]
    """`(seeds, sentences)`."""
    sources: list[str]

    def scores(self, where: NDArray[np.bool_] | None = None) -> list[float]:
        """MCC of each seed, of the sentences `where` or of all."""
        chosen = np.ones(len(self.labels), dtype=bool) if where is None else where
        return [mcc(self.labels[chosen], said[chosen]) for said in self.verdicts]

    def interval(self) -> tuple[float, float]:
        """95 % of the seeds' mean MCC, when both sentences and seeds are drawn anew (bootstrap)."""
        draw = np.random.default_rng(0)
        means = []
        for _ in range(RESAMPLES):
            rows = draw.integers(len(self.labels), size=len(self.labels))
            seeds = draw.integers(len(self.verdicts), size=len(self.verdicts))
            means.append(np.mean([_mcc(self.labels[rows], self.verdicts[seed][rows]) for seed in seeds]))
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)


def _mcc(labels: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """MCC is the correlation of two indicators."""
    if labels.min() == labels.max() or said.min() == said.max():
        return 0.0
    return float(np.corrcoef(labels, said)[0, 1])


def read(judges: Sequence[Judge], data: store.DataSet, split: str) -> Said:
    rows = list(data.split(split))
    texts = [row.text for row in rows]
    probabilities = np.array([judge.probabilities(texts)[0] for judge in judges])
    cuts = np.array([[judge.threshold] for judge in judges])
    return Said(
        np.array([int(row.label or 0) for row in rows]),
        (probabilities >= cuts).astype(np.int64),
        probabilities,
        [row.source for row in rows],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judges", nargs="+", metavar="LABEL=MODEL,MODEL,…")
    parser.add_argument("--data", default="cola")
    asked = parser.parse_args()
    data = store.load(home(), asked.data)
    groups: dict[str, dict[str, Said]] = {}
    sizes: dict[str, str] = {}
    for group in asked.judges:
        label, _, names = group.partition("=")
        judges = [TorchJudge.load(models.folder(home(), name)) for name in names.split(",")]
        sizes[label] = f"{sum(weight.numel() for weight in judges[0].model.parameters()) / 1e6:.0f} M"
        groups[label] = {split: read(judges, data, split) for split in SPLITS}
        print(_summary(label, groups[label], sizes[label]), flush=True)
    command = shlex.join(["python", "-m", "bench.judges", "--data", asked.data, *asked.judges])
    results.keep("judges", _page(groups, sizes, command))


def _row(label: str, found: dict[str, Said], size: str) -> list[str]:
    cells = [label, size, str(len(next(iter(found.values())).verdicts))]
    for said in found.values():
        scores, (low, high) = said.scores(), said.interval()
        each = ", ".join(f"{score:.3f}" for score in scores)
        cells.append(f"**{statistics.mean(scores):.3f}** ({low:.3f} to {high:.3f}); {each}")
    out = found[OUT_OF_DOMAIN_DEV]
    cells.append(f"{statistics.mean(accuracy(out.labels, said) for said in out.verdicts):.3f}")
    errors = [
        statistics.mean(calibration_error(said.labels.tolist(), row.tolist()) for row in said.probabilities)
        for said in found.values()
    ]
    return [*cells, " / ".join(f"{error:.3f}" for error in errors)]


def _summary(label: str, found: dict[str, Said], size: str) -> str:
    return " | ".join(_row(label, found, size))


def _page(groups: dict[str, dict[str, Said]], sizes: dict[str, str], command: str) -> str:
    head = [
        "judge",
        "parameters",
        "seeds",
        "in-domain dev: MCC",
        "out-of-domain dev: MCC",
        "accuracy out of domain",
        "calibration error, in / out of domain",
    ]
    rows = [_row(label, found, sizes[label]) for label, found in groups.items()]
    parts = [
        "## The judges",
        f"`{command}`\n\n{results.machine()}",
        "MCC at each judge's own threshold: mean of the seeds (95 %: sentences and seeds drawn anew), then each "
        "seed. Checkpoint, temperature and threshold were chosen on in-domain dev, which flatters that column; "
        "out-of-domain dev decided nothing.",
        results.table(head, rows),
        "MCC by source, mean of the seeds:",
        results.table(("split", "source", "sentences", *groups), _by_source(groups)),
    ]
    return "\n\n".join(parts)


def _by_source(groups: dict[str, dict[str, Said]]) -> list[list[str]]:
    rows = []
    for split in SPLITS:
        first = next(iter(groups.values()))[split]
        for source in sorted(set(first.sources)):
            where = np.array([name == source for name in first.sources])
            means = [f"{statistics.mean(found[split].scores(where)):.2f}" for found in groups.values()]
            rows.append([split.replace("_", "-"), source, str(int(where.sum())), *means])
    return rows


if __name__ == "__main__":
    main()
