"""How fast GPT-2 124M is fine-tuned on this machine's GPU: one command, nothing fetched.

    python -m bench.gpu [--minutes 8] [--out FOLDER]

Prints Markdown, and writes gpu.md and gpu.json into --out, or $OUT where that is set. Measured are: tokens a
second and the share of the chip's bf16 peak, for the default recipe and some variants of it; one step under
the profiler; and the whole job of the first tutorial from the command to the saved model, against its own
loop. Texts are made of the bundled biographies' words, weights are random, all of the real size. Without a
GPU everything is done once in tiny and the figures mean nothing.

Needs what the training needs: torch, transformers, accelerate, tokenizers, safetensors, numpy, psutil,
huggingface_hub and filelock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import results, subjects
from bench.children import add_texts, ask, train
from bench.profiled import profile
from bioforge.files import human_size, read_json
from bioforge.models import store
from bioforge.models.tokenization import token_counts
from bioforge.paths import Home
from bioforge.runs.events import Finished, Step
from bioforge.runs.launch import launch
from bioforge.runs.start import new_run

PEAKS = {
    # Dense bf16 peak in FLOP/s by a part of the device's name, the narrower name first. From the makers' data sheets.
    "B200": 2250e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
TARGET_SHARE = 0.45
TARGET_TIME = 10.0
_FULL = 961
"""So many texts, one of them held out, fill batches of 8, 32 and 64 to the last."""
VARIANTS: dict[str, list[str]] = {
    "default recipe": [],
    "32 texts a step": ["batch_size=32"],
    "64 texts a step": ["batch_size=64"],
    "64 texts a step, 65,536 tokens a pass": ["batch_size=64", "tokens_per_pass=65536"],
    "attention dropout as the base has it": ["attention_dropout=0.1"],
    "float32": ["precision=fp32"],
}


@dataclass(frozen=True)
class Sizes:
    """How much is done: the real thing on a GPU, next to nothing on a CPU."""

    kind: str
    texts: int
    words: int
    steps: int
    epochs: int
    width: int
    variants: tuple[str, ...]


REAL = Sizes("gpt2", texts=1000, words=490, steps=30, epochs=5, width=768, variants=tuple(VARIANTS))
TINY = Sizes("small", texts=24, words=20, steps=1, epochs=1, width=32, variants=("default recipe",))


def peak(device: str) -> float | None:
    """The chip's dense bf16 peak in FLOP/s; None for one that is not in the table."""
    return next((flops for name, flops in PEAKS.items() if name in device), None)


def flops_per_token(config: dict[str, Any], lengths: Sequence[int]) -> float:
    """Forward and backward pass, by the usual count: 6 a weight that multiplies, and attention in full.

    Position embeddings multiply nothing; the token embeddings do, as the output layer. `6 N + 12 L d T`, where T
    is the length of the text that a token stands in (Chowdhery et al. 2022, appendix B; nanoGPT counts the same).
    """
    layers, width, entries = int(config["n_layer"]), int(config["n_embd"]), int(config["vocab_size"])
    # Attention and MLP matrices with their biases, and the norms' gains and biases, of a GPT-2 block.
    block = 12 * width**2 + 13 * width
    weights = entries * width + layers * block + 2 * width
    length = sum(size**2 for size in lengths) / sum(lengths)
    return 6 * weights + 12 * layers * width * length


class Bench:
    def __init__(self, folder: Path, device: str, sizes: Sizes, minutes: float) -> None:
        self.device, self.sizes = device, sizes
        self.ends = time.monotonic() + minutes * 60
        self.base = subjects.write_base(sizes.kind, folder / "base")
        self.place = Home(folder / "home")
        self.texts = subjects.synthetic(sizes.texts, sizes.words)
        add_texts(self.place, "texts", self.texts, None)
        add_texts(self.place, "full", self.texts[:_FULL], None)
        self.config: dict[str, Any] = read_json(self.base / "config.json")
        limit = self.config["n_positions"]
        self.lengths = [min(limit, count + 2) for count in token_counts(self.base, self.texts)]
        self.found: dict[str, Any] = {"device": device, "sizes": asdict(sizes)}

    def pace(self) -> str:
        """Tokens a second and the share of the peak, recipe by recipe."""
        top = peak(self.device)
        flops = flops_per_token(self.config, self.lengths)
        self.found["flops_per_token"], self.found["peak"] = flops, top
        rows = []
        for name in self.sizes.variants:
            if name != self.sizes.variants[0] and time.monotonic() > self.ends - 240:
                rows.append([name, "no time left", "", "", ""])
                continue
            try:
                found = train(self.place, "bios", "full", self.base, self.sizes.steps, VARIANTS[name])
            except RuntimeError as error:  # a variant may well be too much for the device's memory
                said = " ".join(str(error).split()).replace("|", "/")
                rows.append([name, f"failed: {said[:200]}", "", "", ""])
                continue
            share = found.rate * flops / top if top else None
            self.found[name] = {**asdict(found), "share": share}
            rows.append(
                [
                    name,
                    f"{found.rate:,.0f}",
                    f"{1000 / found.steps_per_second:,.0f}",
                    f"{share:.1%}" if share else "peak unknown",
                    human_size(found.device_memory),
                ]
            )
            tell(", ".join(rows[-1]))
        head = (
            "recipe",
            "tokens/s",
            "ms a step",
            f"share of bf16 peak (target {TARGET_SHARE:.0%})",
            "memory",
        )
        return (
            f"Fine-tuning, {statistics.mean(self.lengths):.0f} tokens a text, {self.sizes.steps} steps after one that warms up; "
            f"{flops / 1e9:.3f} GFLOP a token, padding not counted:\n\n{results.table(head, rows)}"
        )

    def step(self) -> str:
        found = profile(self.place, "bios", "texts", self.base, 4, [])
        return f"One step of the default recipe:\n\n```\n{found}\n```"

    def job(self) -> str:
        """The tutorial's job by both, from the start of the process to the saved model."""
        settings = [f"epochs={self.sizes.epochs}", "patience=0"]
        run = new_run(self.place, "bios", "texts", str(self.base), "balanced", settings)
        began = time.monotonic()
        launch(run).wait()
        ours = time.monotonic() - began
        ending = run.ending()
        if not isinstance(ending, Finished):
            raise RuntimeError(f"the worker ended with {ending}: {run.log.read_text()[-2000:]}")
        assert (store.folder(self.place, ending.model) / "model.safetensors").is_file()
        steps = [event for event in run.history() if isinstance(event, Step)]
        pace = statistics.median(event.tokens_per_second for event in steps)
        tell(f"ours {ours:.1f} s, {len(steps)} steps")
        job = {
            "task": "bios",
            "base": str(self.base),
            "texts": self.texts,
            "seed": 42,
            "device": "cuda" if self.device else "cpu",
            "width": self.sizes.width,
            "epochs": self.sizes.epochs,
            "limit": max(10.0, self.ends - time.monotonic() - 40),
        }
        began = time.monotonic()
        peer, _ = ask("bench.peers", "whole_tutorial", job)
        seconds = time.monotonic() - began
        theirs = seconds - peer["training"] + peer["training"] * peer["of"] / peer["steps"]
        whole = "run to its end" if peer["steps"] == peer["of"] else f"from {peer['steps']} of its steps"
        self.found["job"] = {"ours": ours, "theirs": theirs, "peer": peer, "pace": pace}
        rows = [
            ["the tutorial's loop, fp32, 2 × " + str(self.sizes.width), f"{theirs:,.1f} ({whole})", "", ""],
            ["bioforge, balanced", f"{ours:,.1f}", f"{theirs / ours:.1f}×", f"{TARGET_TIME:g}×"],
        ]
        head = ("the whole job", "seconds", "ratio", "target")
        return (
            f"{self.sizes.texts:,} texts, {self.sizes.epochs} epochs, from the command to the saved model, samples and validation "
            f"included; bioforge's median step has {pace:,.0f} tokens/s:\n\n{results.table(head, rows)}"
        )


def tell(figures: str) -> None:
    print(figures, file=sys.stderr, flush=True)


def part(what: Callable[[], str]) -> str:
    """A part of the page; one that fails says so, and the others are still made."""
    try:
        return what()
    except Exception:
        traceback.print_exc()
        return f"FAILED:\n\n```\n{traceback.format_exc().strip()}\n```"


def device_name() -> str:
    """The first GPU's name, asked of a process of its own; empty without one."""
    return str(ask("bench.peers", "device", {})[0]["device"])


def measure(device: str, sizes: Sizes, minutes: float) -> tuple[str, dict[str, Any]]:
    """The page and its figures."""
    title = f"## On a GPU: {device}"
    if not device:
        title = (
            "## DRY RUN on a CPU\n\nNo GPU is here. Everything was done once with a tiny model, so that it is known to "
            "run; the figures say nothing about speed."
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), device, sizes, minutes)
        parts = [part(bench.pace), part(bench.step), part(bench.job)]
    return "\n\n".join([title, f"`python -m bench.gpu`; {results.machine()}", *parts]), bench.found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=7.5, help="the peer's loop is cut off by then")
    parser.add_argument("--out", type=Path, default=Path(os.environ["OUT"]) if "OUT" in os.environ else None)
    asked = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"
    device = device_name()
    page, found = measure(device, REAL if device else TINY, asked.minutes)
    print(page)
    print(json.dumps(found))
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "gpu.md").write_text(page + "\n", encoding="utf-8")
        (asked.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if "FAILED:" in page else 0


if __name__ == "__main__":
    sys.exit(main())
