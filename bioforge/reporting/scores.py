"""A judge's verdicts and scores as lines, with the tutorial's bars of MCC by batch."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from bioforge.judging.export import Export
from bioforge.reporting.text import safe

_HALF_WIDTH = 20


def verdict_line(sentence: str, probability: float, acceptable: bool, where: str = "") -> Text:
    word, style = ("acceptable  ", "green") if acceptable else ("unacceptable", "bold red")
    return Text.assemble((word, style), f"  {probability:.2f}  {where}{safe(sentence)}")


def export_line(export: Export | None) -> str:
    """How a judge's exported form agrees with torch, or why there is none."""
    if export is None:
        return "not made yet; the next `bioforge check` will"
    if export.problem:
        return f"none, it starts slowly ({export.problem})"
    share = 100 * export.changed / export.sentences
    return (
        f"{share:.2f} % of verdicts differ from torch's ({export.changed} of {export.sentences}), "
        f"probabilities by at most {export.apart:.6f}"
    )


def judge_lines(score: dict[str, Any], threshold: float) -> list[str]:
    """One split's scores; `score` holds the fields of `evaluation.judge.JudgeScore`."""
    low, high = score["interval"]
    table = score["counts"]
    share = 100 * score["acceptable"] / score["sentences"]
    lines = [
        f"{score['split']}: {score['sentences']:,} sentences, {score['acceptable']:,} acceptable ({share:.2f} %)",
        f"  MCC       {score['mcc']:.3f}  (95 %: {low:.3f} to {high:.3f}) at threshold {threshold:.2f}; "
        f"{score['mcc_at_half']:.3f} at 0.50",
        f"  accuracy  {score['accuracy']:.3f}; probabilities are off by {score['calibration_error']:.3f} on average",
        f"  called acceptable:    {table['true_positive']:>6,} rightly {table['false_positive']:>6,} wrongly",
        f"  called unacceptable:  {table['true_negative']:>6,} rightly {table['false_negative']:>6,} wrongly",
    ]
    if score["by_source"]:
        each = (f"{source} {value:+.2f} ({count})" for source, (count, value) in score["by_source"].items())
        lines.append(f"  MCC by source (sentences): {', '.join(each)}")
    lines.append("  MCC by batch of 32")
    for index, value in enumerate(score["by_batch"]):
        length = round(abs(value) * _HALF_WIDTH)
        left = ("█" * length if value < 0 else "").rjust(_HALF_WIDTH)
        right = "█" * length if value > 0 else ""
        lines.append(f"  {index:>4}  {left}│{right:<{_HALF_WIDTH}} {value:+.3f}")
    return lines
