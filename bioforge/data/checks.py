"""What may be wrong with a data set: duplicates, contradictions, leaks, odd characters, outliers."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pandas as pd

from bioforge.data.rows import digest
from bioforge.data.store import DataSet, at

_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One kind of problem: how many rows have it, and a few of them."""

    check: str
    count: int
    message: str
    examples: tuple[str, ...]
    """Up to five, each `split row N: text`."""


def check(data: DataSet) -> list[Finding]:
    """Every check on every row; a finding with count 0 says that the check passed.

    Texts are read one at a time and compared by their digests.
    """
    odd: set[str] = set()
    columns: dict[str, list[object]] = {
        "text": [],
        "label": [],
        "split": [],
        "row": [],
        "words": [],
        "odd": [],
    }
    for row in data.rows:
        is_odd = not row.text.isascii()
        if is_odd:
            odd.update(character for character in row.text if not character.isascii())
        facts = (digest(row.text), row.label, sys.intern(row.split), row.row, len(row.text.split()), is_odd)
        for column, fact in zip(columns.values(), facts, strict=True):
            column.append(fact)
    frame = pd.DataFrame(columns)
    findings = [_duplicates(data, frame)]
    if data.info.kind == "cola":
        findings.append(_contradictions(data, frame))
    if frame["split"].nunique() > 1:
        findings.append(_leaks(data, frame))
    findings.append(_non_ascii(data, frame, odd))
    findings.append(_longest(data, frame))
    return findings


def _finding(name: str, data: DataSet, frame: pd.DataFrame, message: str) -> Finding:
    shown = at(data.rows, frame.index[:_SHOWN].tolist())
    examples = tuple(f"{row.split} row {row.row}: {row.text[:200]}" for row in shown)
    return Finding(name, len(frame), message, examples)


def _duplicates(data: DataSet, frame: pd.DataFrame) -> Finding:
    repeated = frame[frame.duplicated(["split", "text"], keep="first")]
    return _finding(
        "duplicates", data, repeated, f"{len(repeated):,} rows repeat an earlier text of their split"
    )


def _contradictions(data: DataSet, frame: pd.DataFrame) -> Finding:
    labels = frame.groupby(["split", "text"])["label"].transform("nunique")
    rows = frame[labels > 1]
    rows = rows.assign(text=[row.text for row in at(data.rows, rows.index.tolist())])
    rows = rows.sort_values(["split", "text"], kind="stable")
    texts = rows[["split", "text"]].drop_duplicates()
    return _finding(
        "contradictions",
        data,
        rows,
        f"{len(texts):,} texts carry both labels within their split ({len(rows):,} rows)",
    )


def _leaks(data: DataSet, frame: pd.DataFrame) -> Finding:
    """Rows of any other split whose text is also in the training split."""
    training = frame[frame["split"] == "train"].drop_duplicates("text").set_index("text")["label"]
    others = frame[frame["split"] != "train"]
    leaked = others[others["text"].isin(training.index)]
    other_label = int((leaked["label"] != leaked["text"].map(training)).sum()) if len(leaked) else 0
    by_split = ", ".join(f"{count} in {name}" for name, count in leaked["split"].value_counts().items())
    detail = f" ({by_split}; {other_label} with the other label)" if len(leaked) else ""
    return _finding("leaks", data, leaked, f"{len(leaked):,} held-out rows also occur in training{detail}")


def _non_ascii(data: DataSet, frame: pd.DataFrame, odd: set[str]) -> Finding:
    rows = frame[frame["odd"]]
    characters = sorted(odd)
    listed = f": {' '.join(characters[:20])}{' …' if len(characters) > 20 else ''}" if characters else ""
    return _finding("non-ascii", data, rows, f"{len(rows):,} rows hold characters beyond ASCII{listed}")


def _longest(data: DataSet, frame: pd.DataFrame) -> Finding:
    rows = frame.sort_values("words", ascending=False, kind="stable").head(_SHOWN)
    return _finding("longest", data, rows, f"the longest text has {int(rows['words'].max()):,} words")
