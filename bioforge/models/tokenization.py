"""Tokens without torch: enough to count, to show, and to warn before a training starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bioforge.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 500
"""Texts; the library needs kilobytes for each while it works."""


def load_fast(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder, from `tokenizer.json` or a BPE vocabulary with merges.

    Raises UserError where the folder has neither.
    """
    from tokenizers import ByteLevelBPETokenizer, Tokenizer

    if (folder / "tokenizer.json").is_file():
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{folder / 'tokenizer.json'} is damaged: {error}") from error
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))._tokenizer
    elif (folder / "vocab.txt").is_file():
        from tokenizers import BertWordPieceTokenizer

        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"))._tokenizer
    else:
        raise UserError(f"{folder} holds no tokenizer (tokenizer.json, or vocab.json with merges.txt)")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # A text that spells out a special token must not become one.
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_counts(
    folder: Path, texts: Sequence[str], progress: Callable[[int], None] | None = None
) -> list[int]:
    """Tokens a text, without any special tokens around it; `progress` is told how many are done."""
    tokenizer = load_fast(folder)
    counts: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        counts += [len(found.ids) for found in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        if progress:
            progress(len(counts))
    return counts


def tokenize(folder: Path, text: str) -> tuple[list[str], list[int]]:
    """Tokens and ids of one sentence as the model sees them (tutorial 2, section 3.1)."""
    encoding = load_fast(folder).encode(text, add_special_tokens=False)
    return encoding.tokens, encoding.ids
