"""What a judge said of a text: bars, a summary, and a report as Markdown, CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import re

from bioforge.errors import UserError
from bioforge.judging.checked import Checked
from bioforge.reporting.text import bar_of_eighths, count, one_line

REPORTS = (".md", ".csv", ".jsonl")
GOOD, WEAK = "✓", "✗"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")


def bar(probability: float, width: int = 8) -> str:
    """A bar of `width` cells, in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, probability)) * width * 8)
    return bar_of_eighths(eighths).ljust(width)


def summary(checked: Checked, threshold: float) -> str:
    """How many sentences, how many of them weak, and what they reach on average."""
    total = len(checked.sentences)
    if not total:
        return "no sentences"
    weak = checked.weak(threshold)
    return f"{count(total, 'sentence')}, {weak:,} weak ({100 * weak / total:.0f} %), mean {checked.mean:.2f}"


def brief(checked: Checked) -> str:
    """The same in fewer words, at the judge's own threshold."""
    total = len(checked.sentences)
    if not total:
        return "no sentences"
    return f"{checked.weak(checked.threshold)} of {total} weak, mean {checked.mean:.2f}, {checked.model}"


def report(suffix: str, checked: Checked, threshold: float, source: str = "") -> str:
    """All verdicts at `threshold` in the format of files that end in `suffix`.

    Raises UserError for a suffix that is none of `REPORTS`.
    """
    if suffix == ".md":
        return _markdown(checked, threshold, source)
    if suffix == ".csv":
        return _csv(checked, threshold)
    if suffix == ".jsonl":
        return _json_lines(checked, threshold)
    raise UserError(f"a report ends in {' or '.join(REPORTS)}, not in '{suffix}'")


def _markdown(checked: Checked, threshold: float, source: str) -> str:
    of = f" of {_escaped(source)}" if source else ""
    lines = [
        f"# Check{of}",
        "",
        f"{summary(checked, threshold)}. Judge {checked.model}; acceptable from {threshold:.2f} on.",
        "",
        "| | acceptable | sentence |",
        "|-|-----------:|----------|",
    ]
    for index, found in enumerate(checked.sentences):
        mark = GOOD if found.probability >= threshold else WEAK
        cut = " (only its beginning was read)" if found.truncated else ""
        sentence = checked.sentence(index)
        lines.append(
            f"| {mark} | {found.probability:.2f} | {_escaped(one_line(sentence, len(sentence) + 1))}{cut} |"
        )
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _csv(checked: Checked, threshold: float) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["start", "end", "acceptable", "probability", "truncated", "sentence"])
    for index, found in enumerate(checked.sentences):
        acceptable = int(found.probability >= threshold)
        probability = f"{found.probability:.6f}"
        writer.writerow(
            [found.start, found.end, acceptable, probability, int(found.truncated), checked.sentence(index)]
        )
    return stream.getvalue()


def _json_lines(checked: Checked, threshold: float) -> str:
    lines = []
    for index, found in enumerate(checked.sentences):
        values = {
            "start": found.start,
            "end": found.end,
            "acceptable": found.probability >= threshold,
            "probability": round(found.probability, 6),
            "truncated": found.truncated,
            "sentence": checked.sentence(index),
            "model": checked.model,
            "threshold": threshold,
        }
        lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    return "".join(lines)
