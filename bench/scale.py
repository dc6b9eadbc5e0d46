"""A big CSV, imported and trained on by the real commands: seconds (of the processor), memory of the largest process.

    python -m bench.scale --rows 1000000

Texts are made by a seeded generator, about a hundred words each, so the words mean nothing; the base is a
tiny GPT-2 drawn at random, so that the training's own arithmetic hides nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_WORDS = 5000
_POLL_S = 0.05
_SETTINGS = {
    "max_steps": 50,
    "batch_size": 8,
    "max_length": 256,
    "validation_fraction": 0.001,
    "validate_first": "false",
    "sample_every": 0,
    "keep": "last",
}


@dataclass(frozen=True)
class Seen:
    """A command and its children at one moment."""

    when: float
    """Seconds since the epoch."""
    megabytes: float
    """Peak so far of the largest of them."""
    cpu: float
    """Seconds of processor time, all of them together."""


@dataclass(frozen=True)
class Done:
    began: float
    seconds: float
    seen: list[Seen]

    def peak(self, until: float = math.inf) -> float:
        return max(seen.megabytes for seen in self.seen if seen.when <= until)

    def cpu(self, start: float = 0, end: float = math.inf) -> float:
        """Seconds of processor time between two moments."""
        used = [seen.cpu for seen in self.seen if start <= seen.when <= end]
        return max(used) - (min(used) if start else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        os.environ["BIOFORGE_HOME"] = str(place / "home")
        base = make_base(place)
        print(
            "| rows | file | import | tokenize | command to first step, tokens new | tokens kept "
            "| steps a second | peak: import | to first step, tokens new | tokens kept | after 50 steps |"
        )
        print("|---" * 11 + "|")
        for rows in (asked.rows // 16, asked.rows // 4, asked.rows):
            print(measure(place, base, rows), flush=True)


def measure(place: Path, base: Path, rows: int) -> str:
    path, name = place / f"texts-{rows}.csv", f"texts-{rows}"
    make_csv(path, rows)
    imported = run("data", "import", "bios", str(path), "--json")
    settings = [word for key, value in _SETTINGS.items() for word in ("--set", f"{key}={value}")]
    cells = []
    for model in ("first", "second"):
        done = run(
            "train", "bios", name, "--base", str(base), "--name", f"{name}-{model}", "--json", *settings
        )
        newest = max((place / "home" / "runs").iterdir(), key=lambda folder: folder.stat().st_ctime)
        events = [json.loads(line) for line in (newest / "events.jsonl").read_text().splitlines()]
        cells.append((done, events))
    (new, events), (kept, later) = cells
    steps, later_steps = of_kind(events, "step"), of_kind(later, "step")
    begun = [event["time"] for event in of_kind(events, "preparing") if "tokenizing" in event["stage"]]
    ready = of_kind(events, "started")[0]["time"]
    assert not any("tokenizing" in event["stage"] for event in of_kind(later, "preparing"))
    shown = [
        f"{rows:,}",
        f"{path.stat().st_size / 1e6:,.0f} MB",
        f"{imported.seconds:.1f} s ({imported.cpu():.1f})",
        f"{ready - begun[0]:.1f} s ({new.cpu(begun[0], ready):.1f})",
        f"{steps[0]['time'] - new.began:.1f} s ({new.cpu(end=steps[0]['time']):.1f})",
        f"{later_steps[0]['time'] - kept.began:.1f} s ({kept.cpu(end=later_steps[0]['time']):.1f})",
        f"{(len(steps) - 1) / (steps[-1]['time'] - steps[0]['time']):.1f}",
        f"{imported.peak():,.0f} MB",
        f"{new.peak(steps[0]['time']):,.0f} MB",
        f"{kept.peak(later_steps[0]['time']):,.0f} MB",
        f"{kept.peak():,.0f} MB",
    ]
    path.unlink()
    return f"| {' | '.join(shown)} |"


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


def make_csv(path: Path, rows: int) -> None:
    """`id,name,bio_main` with texts of 60 to 140 words, drawn as unevenly as words are."""
    draw = np.random.default_rng(0)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "ai", "or", "en")]
    words = np.array(["".join(draw.choice(syllables, draw.integers(1, 4))) for _ in range(_WORDS)])
    share = 1 / np.arange(10, _WORDS + 10)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "name", "bio_main"])
        for row in range(rows):
            drawn = words[
                np.searchsorted(np.cumsum(share) / share.sum(), draw.random(draw.integers(60, 141)))
            ]
            sentences = [" ".join(drawn[at : at + 12]).capitalize() for at in range(0, len(drawn), 12)]
            writer.writerow([row, f"{words[row % _WORDS]}, the {row}th", ". ".join(sentences) + "."])


def make_base(place: Path) -> Path:
    """A GPT-2 of two layers with a vocabulary of 8,000, trained on nothing."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

    folder, sample = place / "tiny-gpt2", place / "sample.csv"
    folder.mkdir()
    make_csv(sample, 2000)
    bpe = ByteLevelBPETokenizer()
    bpe.train([str(sample)], vocab_size=8000, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.save_model(str(folder))
    tokenizer: Any = GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=256,
        n_embd=64,
        n_layer=2,
        n_head=2,
        bos_token_id=end,
        eos_token_id=end,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def run(*arguments: str) -> Done:
    """A bioforge command, watched with all that it starts."""
    began = time.time()
    process = subprocess.Popen([sys.executable, "-m", "bioforge", *arguments], stdout=subprocess.DEVNULL)
    seen: list[Seen] = []
    watcher = threading.Thread(target=watch, args=(process, seen))
    watcher.start()
    code = process.wait()
    seconds = time.time() - began
    watcher.join()
    if code:
        raise SystemExit(f"bioforge {' '.join(arguments)}: exit {code}")
    return Done(began, seconds, seen)


def watch(process: subprocess.Popen[bytes], seen: list[Seen]) -> None:
    while process.poll() is None:
        with contextlib.suppress(psutil.Error, OSError):
            parent = psutil.Process(process.pid)
            family = (parent, *parent.children(recursive=True))
            cpu = sum(sum(one.cpu_times()[:2]) for one in family)
            seen.append(Seen(time.time(), max(peak_megabytes(one.pid) for one in family), cpu))
        time.sleep(_POLL_S)


def peak_megabytes(pid: int) -> float:
    """The most memory a process has had so far, pages of mapped files among it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float(psutil.Process(pid).memory_info().rss) / 1e6
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6 if "VmHWM" in lines else 0.0


if __name__ == "__main__":
    main()
