"""What is measured on: real texts beside or inside the checkout, and models of the real shapes.

    python -m bench.subjects gpt2|bert|judge|small FOLDER [BASE]     write such a model with random weights

Random weights compute as fast as trained ones.
"""

from __future__ import annotations

import csv
import gzip
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bioforge.data import cola
from bioforge.data.bios import read_bios
from bioforge.errors import UserError
from bioforge.models.catalog import OFFLINE_BASE
from bioforge.paths import assets, home

_BESIDE, _INSIDE = (Path(__file__).parents[level] / "shared" / "data" for level in (2, 1))
SHARED = _BESIDE if _BESIDE.is_dir() else _INSIDE
"""Data that may be run on and not given away lie beside the checkout; without them the bundled data serve."""
WINDOW = 50
"""Batches that both our plan and `transformers.Trainer` sort by length together."""

_MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}


def biographies() -> tuple[list[str], str]:
    """Short biographies, and what they are."""
    path = SHARED / "wikipedia_dj_bios.csv"
    if path.is_file():
        return read_bios(path, column="text").texts, "Wikipedia DJ biographies"
    return read_bios(assets() / "dj_bios.csv").texts, "the bundled biographies"


def synthetic(count: int, words: int = 490, seed: int = 0) -> list[str]:
    """Texts of about `words` words as the bundled biographies use them, in no order: for speed only."""
    draw = random.Random(seed)
    known = [word for text in read_bios(assets() / "dj_bios.csv").texts for word in text.split()]
    sizes = (max(words // 5, round(draw.gauss(words, words * 0.3))) for _ in range(count))
    return [" ".join(draw.choices(known, k=size)) for size in sizes]


def leads() -> tuple[list[str], str]:
    """Texts at scale; the short ones over and over where there is nothing else."""
    path = SHARED / "wikipedia_music_leads.csv.gz"
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            return [row["text"] for row in csv.DictReader(stream)], "Wikipedia music leads"
    texts, what = biographies()
    return [f"{number}. {text}" for number in range(16) for text in texts], f"{what}, 16 times"


def joined(texts: Sequence[str], words: int = 490) -> list[str]:
    """Rows joined until they have about `words` words, a mean text of the first tutorial."""
    counts = [len(text.split()) for text in texts]
    # What the last row adds beyond the mark, on average: a long row is likelier to be the one that passes it.
    beyond = sum(count**2 for count in counts) / (2 * sum(counts))
    long: list[str] = []
    current: list[str] = []
    length = 0
    for text, count in zip(texts, counts, strict=True):
        current.append(text)
        length += count
        if length >= words - beyond:
            long.append("\n".join(current))
            current, length = [], 0
    return long


def sentences() -> tuple[list[cola.Judgement], str]:
    """Judged sentences of all splits, and what they are."""
    path = SHARED / "cola_public_1.1.zip"
    if path.is_file():
        return cola.read_cola(path).judgements, "CoLA"
    return cola.read_cola(assets() / "acceptability.tsv").judgements, "the bundled judged sentences"


def typical(lengths: Sequence[int], batch_size: int, batches: int, seed: int) -> list[int]:
    """Indices of texts whose `batches` batches stand for a whole epoch.

    A window of texts is drawn and sorted by length, as both peers that group by length do; of its batches
    every so many-th is taken. Grouping these texts by length gives those very batches again, and texts drawn
    from them at random have the lengths of the whole.
    """
    window = min(WINDOW, len(lengths) // batch_size)
    drawn = random.Random(seed).sample(range(len(lengths)), window * batch_size)
    drawn.sort(key=lambda index: -lengths[index])
    groups = [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]
    chosen = [groups[(2 * number + 1) * window // (2 * batches)] for number in range(min(batches, window))]
    return [index for group in chosen for index in group]


def write_base(kind: str, folder: Path) -> Path:
    """A base of the shape `kind`, written by a process of its own: the caller stays without torch."""
    encoder = None
    if kind in ("bert", "judge"):
        from bioforge.models.pull import pull

        try:
            encoder = pull(home(), OFFLINE_BASE["cola"], lambda _done, _all: None).folder
        except UserError as error:
            print(f"no WordPiece vocabulary of BERT's here ({error}); one is trained", file=sys.stderr)
    command = [
        sys.executable,
        "-m",
        "bench.subjects",
        kind,
        str(folder),
        *([str(encoder)] if encoder else []),
    ]
    subprocess.run(command, check=True)
    return folder


def _write(kind: str, folder: Path, encoder: Path | None) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model: Any
    if kind in ("bert", "judge"):
        _wordpiece(folder, encoder)
        shape: dict[str, Any] = _MINILM if kind == "judge" else {}
        model = BertForSequenceClassification(BertConfig(**shape))  # two labels
        # A trained judge is sure of most sentences, and ours looks twice at those it is not sure of.
        model.classifier.weight.data *= 20
        model.classifier.bias.data[1] += 3
    else:
        _bpe(folder)
        shape = {"n_layer": 2, "n_embd": 64, "n_head": 2} if kind == "small" else {}
        model = GPT2LMHeadModel(GPT2Config(**shape))
    model.save_pretrained(folder)


def _bpe(folder: Path) -> None:
    """GPT-2's own tokenizer where it is here, else one trained on the texts; 50,257 entries at most."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Tokenizer

    source = SHARED / "gpt2-tokenizer"
    if not source.is_dir():
        source = folder
        bpe = ByteLevelBPETokenizer()
        bpe.train_from_iterator(
            leads()[0], vocab_size=50_257, special_tokens=["<|endoftext|>"], show_progress=False
        )
        bpe.save_model(str(folder))
    tokenizer: Any = GPT2Tokenizer.from_pretrained(source)
    tokenizer.save_pretrained(folder)


def _wordpiece(folder: Path, encoder: Path | None) -> None:
    """BERT's own vocabulary from a base that has it, else one trained on the texts; 30,522 entries at most."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizer

    if encoder:
        shutil.copy2(encoder / "vocab.txt", folder / "vocab.txt")
    else:
        texts = [*leads()[0], *(judgement.sentence for judgement in sentences()[0])]
        wordpiece = BertWordPieceTokenizer(lowercase=True)
        wordpiece.train_from_iterator(texts, vocab_size=30_522, show_progress=False)
        wordpiece.save_model(str(folder))
    tokenizer: Any = BertTokenizer(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _write(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
