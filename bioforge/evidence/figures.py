"""The figures of a report: each draws numbers that stand in the report, and computes none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from bioforge.drafting.copies import NGRAM
from bioforge.evidence.drawing import Palette, Picture, label_plainly
from bioforge.evidence.facts import Curve, Facts, Samples, smoothed
from bioforge.evidence.judged import Bin, Group, JudgedSplit
from bioforge.evidence.report import Report
from bioforge.evidence.telling import interval, one_label
from bioforge.evidence.written import SampleCopies
from bioforge.reporting.text import count, one_line
from bioforge.runs.outcome import Lengths

_MOST_BARS = 100
"""More batches are drawn as a distribution."""
_GROUPS = (
    "Bars are 95 % intervals, numbers in brackets sentences; the dashed line is MCC on all of them. "
    "A hollow dot: all verdicts are the same. A dash: all labels are, so there is no MCC."
)
_DOTS = 24
"""A curve of no more points shows each of them."""


def pictures(report: Report) -> list[Picture]:
    """All of a report, in their order on the page."""
    of_splits = [picture for split in report.judged for picture in judged_pictures(split)]
    return [*training_pictures(report.facts), *of_splits, *writing_pictures(report)]


def training_pictures(facts: Facts) -> list[Picture]:
    found = []
    if facts.loss.points or facts.loss.not_finite or facts.validations:
        says = "Training loss as the steps told it."
        if smoothed(facts.loss.points) != facts.loss.points:
            says = "Pale: training loss as it was; strong: the mean of its neighbours."
        if facts.trend and facts.trend.overfits:
            says += " Grey: from where it overfits."
        found.append(
            Picture(
                "learning-curves", "Learning curves", says, partial(learning_curves, facts), 280, wide=True
            )
        )
    if facts.learning_rate.points:
        peak = max(value for _, value in facts.learning_rate.points)
        says = f"It peaks at {_scientific(peak, None)}."
        found.append(
            Picture("learning-rate", "Learning rate", says, partial(learning_rate, facts.learning_rate))
        )
    if facts.grad_norm.points or facts.grad_norm.not_finite:
        clip = facts.recipe.clip_norm
        says = (
            f"Gradients longer than {clip:g} are cut to it (dashed line)."
            if clip
            else "Gradients are not clipped."
        )
        draw = partial(gradient_norm, facts.grad_norm, clip)
        found.append(Picture("gradient-norm", "Gradient norm", says, draw))
    return found


def judged_pictures(split: JudgedSplit) -> list[Picture]:
    table = split.counts
    found = []
    if not one_label(split):
        found.append(
            Picture(
                f"{split.split}-mcc-by-batch",
                "MCC by batch of 32",
                f"{len(split.by_batch):,} of them, in the order of the data; on all sentences at once MCC is "
                f"{split.mcc:.3f} ({interval(split.interval, split.sentences)}), dashed line and band.",
                partial(mcc_by_batch, split),
            )
        )
    found.append(
        Picture(
            f"{split.split}-confusion",
            "Confusion matrix",
            f"Of the acceptable ones {table.true_positive:,} were called acceptable and {table.false_negative:,} not; "
            f"of the others {table.true_negative:,} were called unacceptable and {table.false_positive:,} not.",
            partial(confusion, split),
        )
    )
    if split.rows and split.rows.by_source:
        groups = split.rows.by_source
        rest = split.rows.sources - len(groups)
        says = _GROUPS
        says += f" The {rest:,} sources with fewest sentences are left out." if rest else ""
        draw = partial(mcc_by_source, groups, split.mcc)
        height = 70 + 17 * len(groups)
        found.append(Picture(f"{split.split}-mcc-by-source", "MCC by source", says, draw, height))
    if split.reliability:
        found.append(
            Picture(
                f"{split.split}-reliability",
                "Reliability",
                f"{count(len(split.reliability), 'group')} of equal size, each with the share found and its 95 % interval. On the dotted line, "
                f"probabilities are as often right as they say; they are off by {split.calibration_error:.3f} on average.",
                partial(reliability, split.reliability),
                height=270,
            )
        )
    if split.rows and split.rows.by_length:
        says = _GROUPS
        draw = partial(mcc_by_length, split.rows.by_length, split.mcc)
        found.append(Picture(f"{split.split}-mcc-by-length", "MCC by words in a sentence", says, draw))
    return found


def writing_pictures(report: Report) -> list[Picture]:
    found = []
    if report.facts.info.task == "bios" and report.lengths and report.lengths.rows:
        of = report.lengths
        total = sum(of.rows)
        says = (
            f"Longer than the limit of {of.limit:,} tokens, and cut there: {of.truncated:,} of "
            f"{count(total, 'training row')}."
        )
        found.append(Picture("lengths", "Length of the training texts", says, partial(lengths, of)))
    samples = report.facts.samples
    if samples.written:
        says = f"Of {count(samples.written, 'sample')}, {samples.ended:,} reached the end token."
        found.append(
            Picture("sample-ends", "How samples end", says, partial(sample_ends, samples), height=150)
        )
    if report.copies:
        most = max(same.words for same in report.copies)
        says = (
            f"The longest stretch of words that each sample shares with a training text; at most {most:,} words. "
            f"Fewer than {NGRAM} (dashed line) are often shared by chance."
        )
        found.append(Picture("copied", "Copied words", says, partial(copied, report.copies)))
    return found


def learning_curves(facts: Facts, axes: Axes, palette: Palette) -> None:
    raw, smooth = facts.loss.points, smoothed(facts.loss.points)
    if smooth != raw:
        axes.plot(*_columns(raw), color=palette.one, alpha=0.28, linewidth=1)
    axes.plot(
        *_columns(smooth), color=palette.one, label="training loss", marker=_dots(smooth, 8), markersize=3
    )
    held_out = [(item.step, item.metrics["loss"]) for item in facts.validations]
    finite = [(step, loss) for step, loss in held_out if math.isfinite(loss)]
    if finite:
        axes.plot(
            *_columns(finite),
            color=palette.two,
            label="validation loss",
            linestyle=(0, (4, 2)),
            marker=_dots(finite, _DOTS),
            markersize=4.5,
        )
    if facts.trend and facts.trend.overfits:
        start = facts.trend.lowest_step
        axes.axvspan(start, facts.trend.last_step, color=palette.muted, alpha=0.12, linewidth=0)
        axes.axvline(
            start, color=palette.muted, linewidth=1, linestyle=":", label=f"overfitting from {start:,}"
        )
    best = dict(finite).get(facts.best_step or -1)
    if best is not None and facts.best_step is not None:
        axes.plot(
            [facts.best_step],
            [best],
            linestyle="none",
            marker="*",
            markersize=12,
            color=palette.mark,
            markeredgecolor=palette.paper,
            label=f"kept: step {facts.best_step:,}",
            zorder=5,
        )
    _mark_not_finite(axes, palette, facts.loss)
    axes.set_ylabel("loss")
    _by_step(axes)
    _legend(axes)


def learning_rate(curve: Curve, axes: Axes, palette: Palette) -> None:
    axes.plot(*_columns(curve.points), color=palette.one, marker=_dots(curve.points, 8), markersize=3)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(_scientific))
    _by_step(axes)


def gradient_norm(curve: Curve, clip: float, axes: Axes, palette: Palette) -> None:
    axes.plot(*_columns(curve.points), color=palette.one, marker=_dots(curve.points, 8), markersize=3)
    values = [value for _, value in curve.points]
    if values and min(values) > 0 and max(values) > 50 * min(values):
        axes.set_yscale("log")
        label_plainly(axes.yaxis)
    if clip:
        axes.axhline(clip, color=palette.muted, linewidth=1, linestyle="--")
    _mark_not_finite(axes, palette, curve)
    _by_step(axes)
    _legend(axes)


def mcc_by_batch(split: JudgedSplit, axes: Axes, palette: Palette) -> None:
    low, high = split.interval
    if len(split.by_batch) > _MOST_BARS:
        axes.hist(split.by_batch, bins=[at / 10 for at in range(-10, 11)], color=palette.one, alpha=0.8)
        axes.axvspan(low, high, color=palette.two, alpha=0.25, linewidth=0)
        axes.axvline(split.mcc, color=palette.two, linewidth=1.5, linestyle="--")
        axes.set(xlabel="MCC", ylabel="batches")
        return
    axes.axhspan(low, high, color=palette.two, alpha=0.2, linewidth=0)
    axes.bar(range(len(split.by_batch)), split.by_batch, color=palette.one, width=0.75)
    axes.axhline(split.mcc, color=palette.two, linewidth=1.5, linestyle="--")
    axes.axhline(0, color=palette.muted, linewidth=0.8)
    axes.set(xlabel="batch", ylim=(min(-0.05, *split.by_batch) * 1.08, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))


def confusion(split: JudgedSplit, axes: Axes, palette: Palette) -> None:
    of = split.counts
    cells = ((of.true_positive, of.false_negative), (of.false_positive, of.true_negative))
    for row, of_row in enumerate(cells):
        for column, number in enumerate(of_row):
            share = number / max(1, sum(of_row))
            right = row == column
            axes.add_patch(
                Rectangle(
                    (column + 0.02, row + 0.02),
                    0.96,
                    0.96,
                    facecolor=palette.one if right else palette.two,
                    alpha=0.08 + 0.3 * share,
                    linewidth=0,
                )
            )
            said = "right" if right else "wrong"
            axes.text(column + 0.5, row + 0.42, f"{number:,}", ha="center", va="center", fontsize=17)
            axes.text(
                column + 0.5,
                row + 0.72,
                f"{said}, {100 * share:.0f} %",
                ha="center",
                va="center",
            )
    axes.set(xlim=(0, 2), ylim=(2, 0), xlabel="called")
    axes.set_ylabel("is")
    axes.set_xticks([0.5, 1.5], ["acceptable", "unacceptable"])
    axes.set_yticks([0.5, 1.5], ["acceptable", "unacceptable"], rotation=90, va="center")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def reliability(bins: Sequence[Bin], axes: Axes, palette: Palette) -> None:
    axes.plot([0, 1], [0, 1], color=palette.muted, linewidth=1, linestyle=":")
    said, found = [of.said for of in bins], [of.found for of in bins]
    spread = [
        [max(0.0, of.found - of.interval[0]) for of in bins],
        [max(0.0, of.interval[1] - of.found) for of in bins],
    ]
    axes.errorbar(
        said,
        found,
        yerr=spread,
        color=palette.one,
        marker="o",
        markersize=5,
        linewidth=1,
        elinewidth=1.4,
        capsize=2.5,
    )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability said", ylabel="share acceptable")


def mcc_by_length(groups: Sequence[Group], overall: float, axes: Axes, palette: Palette) -> None:
    for place, group in enumerate(groups):
        _group(axes, palette, group, place, upright=True)
    axes.axhline(overall, color=palette.two, linewidth=1.2, linestyle="--")
    names = [f"{group.name.replace(' or more', '+')}\n({group.sentences:,})" for group in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.set(xlim=(-0.6, len(groups) - 0.4), xlabel="words", ylim=_mcc_limits(groups))


def mcc_by_source(groups: Sequence[Group], overall: float, axes: Axes, palette: Palette) -> None:
    for place, group in enumerate(groups):
        _group(axes, palette, group, place, upright=False)
    axes.axvline(overall, color=palette.two, linewidth=1.2, linestyle="--")
    axes.set_yticks(
        range(len(groups)), [f"{one_line(group.name, 18)} ({group.sentences:,})" for group in groups]
    )
    axes.set(ylim=(len(groups) - 0.4, -0.6), xlabel="MCC", xlim=_mcc_limits(groups))
    axes.xaxis.set_major_locator(MultipleLocator(0.5))
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")


def _group(axes: Axes, palette: Palette, group: Group, place: int, *, upright: bool) -> None:
    """A dot with its interval, a hollow dot without one, a dash where there is no MCC."""
    colour = palette.one if group.mcc is not None else palette.muted
    at = [group.mcc or 0.0]
    xs, ys = ([place], at) if upright else (at, [place])
    if group.interval:
        ends = [*group.interval]
        axes.plot(*(([place] * 2, ends) if upright else (ends, [place] * 2)), color=colour, linewidth=1.4)
    shape = "o" if group.mcc is not None else "_"
    hollow = group.mcc is not None and not group.interval
    axes.plot(
        xs, ys, color=colour, marker=shape, markersize=5, markerfacecolor=palette.paper if hollow else colour
    )


def _mcc_limits(groups: Sequence[Group]) -> tuple[float, float]:
    lows = [group.interval[0] for group in groups if group.interval]
    return min([0.0, *lows]) - 0.05, 1.05


def lengths(of: Lengths, axes: Axes, palette: Palette) -> None:
    starts = [number * of.width for number in range(len(of.rows))]
    axes.bar(starts, of.rows, width=0.92 * of.width, align="edge", color=palette.one)
    end = starts[-1] + of.width
    if of.limit <= 1.3 * end:
        axes.axvline(of.limit, color=palette.two, linestyle="--", linewidth=1.5, label=f"limit: {of.limit:,}")
        end = max(end, of.limit)
    else:
        axes.plot([], [], color=palette.two, linestyle="--", label=f"limit: {of.limit:,}, further right")
    axes.set(xlabel="tokens", ylabel="texts", xlim=(0, end * 1.02))
    axes.xaxis.set_major_formatter(FuncFormatter(_whole))
    _legend(axes)


def sample_ends(samples: Samples, axes: Axes, palette: Palette) -> None:
    numbers = [samples.ended, samples.after_a_sentence, samples.inside_a_sentence]
    axes.barh(range(3), numbers, color=palette.one, height=0.6)
    for place, number in enumerate(numbers):
        axes.annotate(f"{number:,}", (number, place), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(3), ["at the end token", "cut, sentence whole", "cut inside a sentence"])
    axes.set(ylim=(2.6, -0.6), xlim=(0, 1.12 * max(numbers)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    axes.grid(False)


def copied(copies: Sequence[SampleCopies], axes: Axes, palette: Palette) -> None:
    points = [(same.step, same.words) for same in copies]
    axes.plot(*_columns(points), color=palette.one, linestyle="none", marker="o", markersize=5, alpha=0.8)
    axes.axhline(NGRAM, color=palette.muted, linestyle="--", linewidth=1)
    axes.set(ylabel="words", ylim=(0, 1.15 * max(NGRAM, *(same.words for same in copies))))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    _by_step(axes)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _dots(points: Sequence[object], most: int) -> str:
    return "o" if len(points) <= most else ""


def _mark_not_finite(axes: Axes, palette: Palette, curve: Curve) -> None:
    if curve.not_finite:
        axes.plot(
            curve.not_finite_at,
            [0.97] * len(curve.not_finite_at),
            transform=axes.get_xaxis_transform(),
            linestyle="none",
            marker="x",
            markersize=5,
            color=palette.mark,
            label="nan or infinite",
        )


def _by_step(axes: Axes) -> None:
    axes.set_xlabel("step")
    low, high = axes.dataLim.intervalx
    if math.isfinite(high - low) and high - low < 1:
        axes.set_xlim(low - 1, low + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(_whole))


def _whole(value: float, _: object) -> str:
    return f"{value:,.0f}"


def _scientific(value: float, _: object) -> str:
    """`1.75e-4`."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if value else "0"


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        figure = axes.get_figure(root=True)
        assert figure is not None
        columns = 4 if figure.get_figwidth() > 7 else 2
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=columns)
