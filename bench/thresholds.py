"""Whether a threshold that validation sentences chose is better than a half, on sentences that did not choose.

    python -m bench.thresholds --data cola judge-large-42 judge-small-42 …

Each judge, a hundred times: the in-domain dev sentences are cut in two, one half chooses, the other measures. The
log-odds as they are, and moved, as cutting a model to a delta or skewed training data can move them.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from bench import results
from bench.judges import read
from bioforge.data import store
from bioforge.data.cola import IN_DOMAIN_DEV
from bioforge.judging.metrics import best_threshold, mcc_of_counts
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store as models
from bioforge.paths import home

Values = NDArray[Any]
TIMES = 100
SHIFTS = (0.0, 0.4, 0.8, 2.0)
GRID = np.linspace(0.05, 0.95, 91)


def highest(labels: Values, probabilities: Values) -> float:
    """The cut whose MCC is highest."""
    return float(GRID[_scores(labels, probabilities, GRID).argmax()])


RULES: dict[str, Callable[[Values, Values], float]] = {
    "a half": lambda _labels, _probabilities: 0.5,
    "highest MCC": highest,
    "ours": lambda labels, probabilities: best_threshold(labels.tolist(), probabilities.tolist()),
}


def _scores(labels: Values, probabilities: Values, cuts: Values) -> Values:
    said, good = probabilities[None] >= cuts[:, None], labels == 1
    found: Values = mcc_of_counts(
        (said & good).sum(1), (~said & ~good).sum(1), (said & ~good).sum(1), (~said & good).sum(1)
    )
    return found


def measured(labels: Values, probabilities: Values, rule: Callable[[Values, Values], float]) -> float:
    """Mean MCC of the halves that did not choose."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(TIMES):
        order = draw.permutation(len(labels))
        chooses, measures = np.array_split(order, 2)
        cut = rule(labels[chooses], probabilities[chooses])
        found.append(_scores(labels[measures], probabilities[measures], np.array([cut]))[0])
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judges", nargs="+", metavar="MODEL")
    parser.add_argument("--data", default="cola")
    asked = parser.parse_args()
    judges = [TorchJudge.load(models.folder(home(), name)) for name in asked.judges]
    said = read(judges, store.load(home(), asked.data), IN_DOMAIN_DEV)
    table = [
        [
            f"{shift:+.1f}",
            *(
                f"{statistics.mean(measured(said.labels, expit(logit(found) + shift), rule) for found in said.probabilities):.3f}"
                for rule in RULES.values()
            ),
        ]
        for shift in SHIFTS
    ]
    command = shlex.join(["python", "-m", "bench.thresholds", "--data", asked.data, *asked.judges])
    page = [
        "## Which threshold",
        "",
        f"`{command}`",
        "",
        results.machine(),
        "",
        f"MCC of in-domain dev sentences that did not choose: {len(said.labels)} sentences in two halves, {TIMES} times, mean of {len(judges)} judges. "
        "Log-odds as they are, and moved.",
        "",
        results.table(("moved by", *RULES), table),
    ]
    results.keep("thresholds", "\n".join(page))


if __name__ == "__main__":
    main()
