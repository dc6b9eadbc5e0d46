"""Running a worker inside the test process, and commands outside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

from safetensors.torch import load_file

from bioforge.data import bios, store
from bioforge.data.store import DataInfo
from bioforge.files import write_json
from bioforge.models.catalog import Task
from bioforge.models.store import INFO_FILE, ModelInfo
from bioforge.paths import Home, assets
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import new_run


def make_run(
    home: Home, task: Task, data: str, base: Path, *, preset: str = "quick", **settings: Any
) -> RunFolder:
    words = [f"{key}={value}" for key, value in settings.items()]
    return new_run(home, task, data, str(base), preset, words)


def work(run: RunFolder, *, export: bool = False) -> int:
    """Do a run in this process, with the signal handlers put back afterwards.

    Exporting a judge takes seconds; only tests of that ask for it.
    """
    from accelerate.state import AcceleratorState

    from bioforge.training.worker import main

    # A worker is a process of its own; Accelerate's state is one a process.
    AcceleratorState._reset_state(reset_partial_state=True)
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    exporting = contextlib.nullcontext() if export else mock.patch("bioforge.training.worker._export")
    try:
        with exporting:
            return main([str(run.path)])
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def work_until(run: RunFolder, step: int) -> int:
    """Do a run up to `step`, as if it were asked to stop right then."""
    from bioforge.training.loop import Loop

    asked = Loop._handle_requests
    with mock.patch.object(Loop, "_handle_requests", lambda loop: asked(loop) or loop.progress.step >= step):
        return work(run)


def no_dropout(base: Path, target: Path) -> Path:
    shutil.copytree(base, target)
    config = json.loads((target / "config.json").read_text())
    for key in (
        "resid_pdrop",
        "embd_pdrop",
        "attn_pdrop",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
    ):
        if key in config:
            config[key] = 0.0
    config["classifier_dropout"] = 0.0
    write_json(target / "config.json", config)
    return target


def weights(folder: Path) -> dict[str, Any]:
    return dict(load_file(folder / "model.safetensors"))


def same_weights(one: Path, other: Path) -> bool:
    """Bit for bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(bool((first[name] == second[name]).all()) for name in first)


def bioforge(
    *arguments: str, stdin: str | bytes = b"", timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    raw = subprocess.run(
        [sys.executable, "-m", "bioforge", *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    return subprocess.CompletedProcess(raw.args, raw.returncode, raw.stdout.decode(), raw.stderr.decode())


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_hub_cache(source: Path, repository: str, home: Home) -> Path:
    """Lay a model out as the hub's library does: blobs, a snapshot of links, a ref."""
    root = home.root.parent / "hf" / "hub" / f"models--{repository.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    for path in source.iterdir():
        blob = root / "blobs" / path.name
        shutil.copy2(path, blob)
        (snapshot / path.name).symlink_to(Path("..") / ".." / "blobs" / path.name)
    return snapshot


def write_tiny_gpt2(folder: Path) -> Path:
    """GPT-2 with two layers and a vocabulary of 600, trained on nothing."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

    folder.mkdir()
    texts = bios.read_bios(assets() / "dj_bios.csv").texts
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=600, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.save_model(str(folder))
    tokenizer: Any = GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=256,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def forty_bios(home: Home) -> DataInfo:
    """Forty of the bundled biographies, as data set `djs`."""
    path = assets() / "dj_bios.csv"
    read = bios.read_bios(path)
    return store.add(home, "djs", "bios", list(store.rows_of_bios(read))[:40], path, read)


def write_judge(base: Path, folder: Path, kind: str, seed: int = 0) -> Path:
    """A judge of chance weights, far enough apart that sentences differ."""
    import torch
    import transformers

    from bioforge.models.loading import load_tokenizer

    tokenizer = load_tokenizer(base)
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
        "num_labels": 2,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.3,
    }
    torch.manual_seed(seed)
    config = getattr(transformers, f"{kind}Config")(**sizes)
    getattr(transformers, f"{kind}ForSequenceClassification")(config).save_pretrained(folder)
    for path in base.glob("*token*.json"):
        shutil.copy(path, folder)
    info = ModelInfo(kind, "cola", "", "", "", "", "", "", {}, {}, 0, 48, threshold=0.6, temperature=1.7)
    write_json(folder / INFO_FILE, asdict(info))
    return folder
