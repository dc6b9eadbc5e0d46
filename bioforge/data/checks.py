"""What may be wrong with a data set: duplicates, contradictions, leaks, odd characters, outliers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bioforge.data.store import DataSet

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
    """Every check on every row; a finding with count 0 says that the check passed."""
    frame = pd.DataFrame(
        {
            "text": [row.text for row in data.rows],
            "label": [row.label for row in data.rows],
            "split": [row.split for row in data.rows],
            "row": [row.row for row in data.rows],
        }
    )
    findings = [_duplicates(frame)]
    if data.info.kind == "cola":
        findings.append(_contradictions(frame))
    if frame["split"].nunique() > 1:
        findings.append(_leaks(frame))
    findings.append(_non_ascii(frame))
    findings.append(_longest(frame))
    return findings


def _finding(name: str, frame: pd.DataFrame, message: str) -> Finding:
    examples = tuple(
        f"{row.split} row {row.row}: {str(row.text)[:200]}"
        for row in frame.head(_SHOWN).itertuples(index=False)
    )
    return Finding(name, len(frame), message, examples)


def _duplicates(frame: pd.DataFrame) -> Finding:
    repeated = frame[frame.duplicated(["split", "text"], keep="first")]
    return _finding("duplicates", repeated, f"{len(repeated):,} rows repeat an earlier text of their split")


def _contradictions(frame: pd.DataFrame) -> Finding:
    labels = frame.groupby(["split", "text"])["label"].transform("nunique")
    rows = frame[labels > 1].sort_values(["split", "text"], kind="stable")
    texts = rows[["split", "text"]].drop_duplicates()
    return _finding(
        "contradictions",
        rows,
        f"{len(texts):,} texts carry both labels within their split ({len(rows):,} rows)",
    )


def _leaks(frame: pd.DataFrame) -> Finding:
    """Rows of any other split whose text is also in the training split."""
    training = frame[frame["split"] == "train"].drop_duplicates("text").set_index("text")["label"]
    others = frame[frame["split"] != "train"]
    leaked = others[others["text"].isin(training.index)]
    other_label = int((leaked["label"] != leaked["text"].map(training)).sum()) if len(leaked) else 0
    by_split = ", ".join(f"{count} in {name}" for name, count in leaked["split"].value_counts().items())
    detail = f" ({by_split}; {other_label} with the other label)" if len(leaked) else ""
    return _finding("leaks", leaked, f"{len(leaked):,} held-out rows also occur in training{detail}")


def _non_ascii(frame: pd.DataFrame) -> Finding:
    rows = frame[~frame["text"].map(str.isascii).astype(bool)]
    characters = sorted({c for text in rows["text"] for c in text if not c.isascii()})
    listed = f": {' '.join(characters[:20])}{' …' if len(characters) > 20 else ''}" if characters else ""
    return _finding("non-ascii", rows, f"{len(rows):,} rows hold characters beyond ASCII{listed}")


def _longest(frame: pd.DataFrame) -> Finding:
    words = frame["text"].map(lambda text: len(text.split()))
    order = words.sort_values(ascending=False, kind="stable").index
    top = frame.loc[order].head(_SHOWN)
    return _finding("longest", top, f"the longest text has {int(words.max()):,} words")
