"""A training that is killed again and again: `python -m bench.survival --kills 20` prints what came of it.

The short form runs with the tests (tests/test_survival.py); this one takes as many kills as asked for. A
quarter of them strike at any time, a quarter each while a checkpoint is written, while the best weights are
replaced and while the model is published, at a file operation drawn from a seed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from bioforge.paths import Home
from tests.helpers import forty_bios, write_tiny_gpt2
from tests.survival import survive, unharmed_run
from tests.workers import serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        base = write_tiny_gpt2(Path(folder) / "tiny-gpt2")
        unharmed = unharmed_run(Home(Path(folder) / "unharmed"), base, server)
        home = Home(Path(folder) / "hurt")
        os.environ["BIOFORGE_HOME"] = str(home.root)
        forty_bios(home)
        print("| kill | while writing | moment | step it had told | resumed from |")
        print("|---|---|---|---|---|")
        kills = survive(server, home, base, unharmed, asked.kills, asked.seed)
        for number, kill in enumerate(kills, 1):
            print(f"| {number} | {kill.place} | {kill.moment} | {kill.step} | {kill.resumed_from} |")
        runs = len(list(home.runs.iterdir()))
        print(
            f"\n{len(kills)} kills in {runs} runs of {unharmed.ending.step} steps; every run ended in the weights "
            "of the one that was never harmed, bit for bit, and published one model."
        )


if __name__ == "__main__":
    main()
