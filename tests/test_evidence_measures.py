"""The figures of a report against scikit-learn, scipy and pandas, and the drawings against the figures."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.stats import binomtest, bootstrap
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, matthews_corrcoef

from bioforge.data.rows import Row
from bioforge.data.store import DataInfo, DataSet
from bioforge.errors import UserError
from bioforge.evidence import figures, telling
from bioforge.evidence.drawing import LIGHT, Picture, figure_of, png_of, svg_of
from bioforge.evidence.facts import Samples, facts_of, smoothed
from bioforge.evidence.judged import LENGTHS, JudgedSplit, judged_split
from bioforge.evidence.report import report_of
from bioforge.evidence.telling import judged_sentence, one_verdict
from bioforge.evidence.written import SampleCopies, written_split
from bioforge.judging.metrics import verdicts, wilson
from bioforge.paths import Home
from bioforge.runs.outcome import Judged, Lengths, Outcome, Written, keep_lengths, keep_outcome
from tests.evidence import finished, sample, started, step, told_run, validation

CUT = 0.55


def _table(rows: int = 500) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 2, rows)
    probabilities = 1 / (1 + np.exp(-draw.normal(1.5 * labels - 0.5, 1.2)))
    words = draw.integers(1, 40, rows)
    return pd.DataFrame(
        {
            "label": labels,
            "probability": probabilities,
            "said": (probabilities >= CUT).astype(int),
            "words": words,
            "source": draw.choice(["ad03", "bc01", "$x^$ <b>", ""], rows),
            "text": [f"{at} " + "word " * (count - 1) for at, count in enumerate(words)],
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return _table()


@pytest.fixture(scope="module")
def split(table: pd.DataFrame) -> JudgedSplit:
    return judged_split(_judged(table), CUT, True, _data(table))


def _judged(table: pd.DataFrame) -> Judged:
    """Rows in the data set stand in another order than verdicts were kept in."""
    return Judged(
        "in_domain_dev", list(range(len(table)))[::-1], table.label.tolist(), table.probability.tolist()
    )


def _data(table: pd.DataFrame) -> DataSet:
    rows = [
        Row(text, at + 1, "in_domain_dev", int(label), source)
        for at, (text, label, source) in enumerate(zip(table.text, table.label, table.source, strict=True))
    ]
    # Only the rows are read.
    return DataSet(None, rows[::-1])  # type: ignore[arg-type]


def test_the_confusion_matrix_is_scikit_learns(split: JudgedSplit, table: pd.DataFrame) -> None:
    (tn, fp), (fn, tp) = confusion_matrix(table.label, table.said)
    found = split.counts
    assert (found.true_negative, found.false_positive, found.false_negative, found.true_positive) == (
        tn,
        fp,
        fn,
        tp,
    )
    assert split.mistaken == fp + fn and split.acceptable == table.label.sum()
    assert split.accuracy == pytest.approx(accuracy_score(table.label, table.said))


def test_mcc_overall_and_by_batch_is_scikit_learns(split: JudgedSplit, table: pd.DataFrame) -> None:
    assert split.mcc == pytest.approx(matthews_corrcoef(table.label, table.said))
    assert split.mcc_at_half == pytest.approx(matthews_corrcoef(table.label, table.probability >= 0.5))
    parts = [table.iloc[at : at + 32] for at in range(0, len(table), 32)]
    assert split.by_batch == pytest.approx([matthews_corrcoef(part.label, part.said) for part in parts])


def test_the_interval_of_mcc_is_the_bootstraps(split: JudgedSplit, table: pd.DataFrame) -> None:
    pair = (table.label.to_numpy(), table.said.to_numpy())
    found = bootstrap(
        pair, matthews_corrcoef, paired=True, vectorized=False, method="percentile", n_resamples=400, rng=1
    ).confidence_interval
    assert split.interval == pytest.approx((found.low, found.high), abs=0.02)


def test_reliability_is_scikit_learns(split: JudgedSplit, table: pd.DataFrame) -> None:
    found, said = calibration_curve(table.label, table.probability, n_bins=10, strategy="quantile")
    assert [of.found for of in split.reliability] == pytest.approx(found.tolist())
    assert [of.said for of in split.reliability] == pytest.approx(said.tolist())
    assert [of.sentences for of in split.reliability] == [50] * 10
    for of in split.reliability:
        expected = binomtest(round(of.found * 50), 50).proportion_ci(method="wilson")
        assert of.interval == pytest.approx((expected.low, expected.high))
    gaps = np.abs(found - said)
    assert split.calibration_error == pytest.approx(gaps.mean())


@pytest.mark.parametrize(("found", "of"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 9)])
def test_wilsons_interval_is_scipys(found: int, of: int) -> None:
    expected = binomtest(found, of).proportion_ci(method="wilson")
    assert wilson(found, of) == pytest.approx((expected.low, expected.high))


def test_mcc_by_source_is_that_of_pandas_groups(split: JudgedSplit, table: pd.DataFrame) -> None:
    assert split.rows
    groups = {str(name): group for name, group in table.groupby("source") if name}
    assert [group.name for group in split.rows.by_source] == sorted(groups)
    for found in split.rows.by_source:
        assert found.sentences == len(groups[found.name])
        assert found.mcc == pytest.approx(
            matthews_corrcoef(groups[found.name].label, groups[found.name].said)
        )
        assert found.interval and found.mcc and found.interval[0] < found.mcc < found.interval[1]


def test_mcc_by_length_is_that_of_pandas_groups(split: JudgedSplit, table: pd.DataFrame) -> None:
    assert split.rows
    edges = [0, *(high for _, high in LENGTHS if high), 10**9]
    groups = table.groupby(pd.cut(table.words, edges), observed=True)
    assert [group.sentences for group in split.rows.by_length] == groups.size().tolist()
    expected = [matthews_corrcoef(group.label, group.said) for _, group in groups]
    assert [group.mcc for group in split.rows.by_length] == pytest.approx(expected)
    assert split.rows.by_length[0].name == "1–4" and split.rows.by_length[-1].name == "25 or more"


def test_the_most_confident_mistakes_come_first(split: JudgedSplit, table: pd.DataFrame) -> None:
    assert split.rows
    wrong = table[table.label != table.said]
    worst = wrong.assign(doubt=(wrong.label - wrong.probability).abs()).nlargest(12, "doubt")
    assert [item.sentence for item in split.rows.mistakes] == worst.text.tolist()
    assert [item.row for item in split.rows.mistakes] == [at + 1 for at in worst.index]
    assert [item.probability for item in split.rows.mistakes] == worst.probability.tolist()


def test_a_group_of_one_kind_has_no_mcc(table: pd.DataFrame) -> None:
    alike = table.assign(source=np.where(table.label == 1, "good", "mixed"))
    alike["probability"] = 0.9
    found = judged_split(_judged(alike), CUT, True, _data(alike))
    assert found.rows
    good, mixed = found.rows.by_source
    assert good.mcc is None and good.interval is None
    assert alike[alike.source == "mixed"].label.nunique() == 1 and mixed.mcc is None
    for group in found.rows.by_length:
        assert group.mcc == 0.0 and group.interval is None  # called acceptable, all of them


@pytest.mark.parametrize(("probability", "said"), [(0.9, "acceptable"), (0.1, "unacceptable")])
def test_a_judge_that_tells_nothing_is_named_as_such(
    table: pd.DataFrame, probability: float, said: str
) -> None:
    found = judged_split(_judged(table.assign(probability=probability)), CUT, True, None)
    assert one_verdict(found) == said
    assert f"calls all 500 sentences {said}" in judged_sentence(found)


def test_a_judge_that_tells_is_told_by_its_mcc(split: JudgedSplit) -> None:
    assert one_verdict(split) == ""
    assert judged_sentence(split).startswith(f"MCC {split.mcc:.3f} (95 %: {split.interval[0]:.3f}")


def test_many_sources_are_told_by_the_largest(table: pd.DataFrame) -> None:
    many = table.assign(source=[f"s{min(at, 40):02}" for at in range(len(table))])
    found = judged_split(_judged(many), CUT, True, _data(many))
    assert found.rows and found.rows.sources == 41 and len(found.rows.by_source) == 30
    assert max(group.sentences for group in found.rows.by_source) == len(table) - 40


def test_probabilities_that_are_no_numbers_are_told(table: pd.DataFrame) -> None:
    broken = table.assign(probability=table.probability.where(table.index % 5 > 0))
    found = judged_split(_judged(broken), CUT, True, _data(broken))
    assert found.not_finite == 100
    assert sum(of.sentences for of in found.reliability) == 400
    assert found.counts.true_positive == ((broken.label == 1) & (broken.probability >= CUT)).sum()
    assert found.rows and all(math.isfinite(item.probability) for item in found.rows.mistakes)
    none_left = judged_split(replace(_judged(table), probabilities=[math.nan] * 500), CUT, True, None)
    assert none_left.reliability == [] and none_left.calibration_error is None and none_left.rows is None


def test_verdicts_without_a_threshold_are_those_at_a_half(table: pd.DataFrame) -> None:
    found = judged_split(_judged(table), 0.5, False, None)
    assert found.mcc == found.mcc_at_half and found.threshold == 0.5 and not found.decided


def test_one_sentence_has_neither_mcc_nor_interval(table: pd.DataFrame) -> None:
    one = judged_split(Judged("dev", [0], [1], [0.8]), 0.5, True, _data(table))
    (group,) = one.reliability
    assert (group.said, group.found, group.sentences) == (0.8, 1.0, 1)
    assert "1 sentence, all acceptable, so there is no MCC; accuracy 1.000" in telling.judged_sentence(one)
    pictures = {picture.name: picture for picture in figures.judged_pictures(one)}
    assert pictures["dev-reliability"].says.startswith("1 group of equal size")
    assert "dev-mcc-by-batch" not in pictures
    assert all(map(figure_of, pictures.values()))


@pytest.mark.parametrize(("examples", "words"), [(19, "too few for an interval"), (20, "95 %: ")])
def test_few_examples_have_no_interval(table: pd.DataFrame, examples: int, words: str) -> None:
    part = _judged(table)
    few = Judged("dev", list(range(examples)), part.labels[:examples], part.probabilities[:examples])
    assert words in telling.judged_sentence(judged_split(few, CUT, True, None))
    assert words in telling.written_sentence(written_split(_losses(examples)))


def test_rows_that_the_data_set_has_not_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="in_domain_dev"):
        judged_split(replace(_judged(table), positions=[500] * 500), CUT, True, _data(table))


def _losses(texts: int = 80) -> Written:
    draw = np.random.default_rng(5)
    targets = draw.integers(5, 200, texts)
    return Written(
        "held_out",
        list(range(texts)),
        (targets * draw.normal(3, 0.5, texts)).tolist(),
        targets.tolist(),
        (targets * 4 + 1).tolist(),
    )


def test_perplexity_and_bits_a_byte_are_their_definitions() -> None:
    part = _losses()
    found = written_split(part)
    mean = math.fsum(part.nats) / sum(part.targets)
    assert found.perplexity == pytest.approx(2 ** (mean / math.log(2)))
    assert found.bits_per_byte == pytest.approx(
        math.fsum(np.log2(np.e) * np.array(part.nats)) / sum(part.bytes)
    )
    assert (found.texts, found.tokens) == (80, sum(part.targets))


def test_their_intervals_are_the_bootstraps() -> None:
    part = _losses()
    found = written_split(part)

    def interval(statistic: Any, below: list[int]) -> tuple[float, float]:
        drawn = bootstrap(
            (np.array(part.nats), np.array(below)),
            statistic,
            paired=True,
            vectorized=False,
            method="percentile",
            n_resamples=2000,
            rng=1,
        ).confidence_interval
        return drawn.low, drawn.high

    bits = interval(lambda nats, read: nats.sum() / math.log(2) / read.sum(), part.bytes)
    assert found.bits_per_byte_interval == pytest.approx(bits, rel=0.01)
    perplexity = interval(lambda nats, targets: math.exp(nats.sum() / targets.sum()), part.targets)
    assert found.perplexity_interval == pytest.approx(perplexity, rel=0.03)


def test_losses_that_are_no_numbers_stay_none() -> None:
    found = written_split(replace(_losses(), nats=[math.nan] * 80))
    assert math.isnan(found.perplexity) and math.isnan(found.bits_per_byte_interval[0])


# What is drawn.


def _axes(picture: Picture) -> Axes:
    (axes,) = figure_of(picture).axes
    return axes


def _picture(pictures: list[Picture], name: str) -> Picture:
    return next(picture for picture in pictures if picture.name.endswith(name))


def _points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def _dots(axes: Axes) -> list[tuple[float, float]]:
    """Of lines that are but one marked point."""
    lines = map(_points, axes.lines)
    return [points[0] for points in lines if len(points) == 1]


def _bars(axes: Axes) -> list[Rectangle]:
    return [bar for bar in axes.containers[0] if isinstance(bar, Rectangle)]


def test_the_bars_are_the_batches(split: JudgedSplit) -> None:
    axes = _axes(_picture(figures.judged_pictures(split), "mcc-by-batch"))
    assert [bar.get_height() for bar in _bars(axes)] == pytest.approx(split.by_batch)
    assert any({y for _, y in _points(line)} == {split.mcc} for line in axes.lines)


def test_very_many_batches_are_a_distribution(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 8, ignore_index=True)
    split = judged_split(_judged(many), CUT, True, None)
    assert len(split.by_batch) == 125
    axes = _axes(_picture(figures.judged_pictures(split), "mcc-by-batch"))
    expected, _ = np.histogram(split.by_batch, bins=20, range=(-1, 1))
    drawn = [bar.get_height() for bar in _bars(axes)]
    assert (
        sum(drawn) == 125 and np.abs(np.array(drawn) - expected).sum() <= 2
    )  # a value at an edge may fall either side


def test_the_matrix_says_its_counts(split: JudgedSplit) -> None:
    axes = _axes(_picture(figures.judged_pictures(split), "confusion"))
    said = {text.get_position(): text.get_text() for text in axes.texts}
    of = split.counts
    assert said[0.5, 0.42] == f"{of.true_positive}" and said[1.5, 0.42] == f"{of.false_negative}"
    assert said[0.5, 1.42] == f"{of.false_positive}" and said[1.5, 1.42] == f"{of.true_negative}"
    share = 100 * of.true_negative / (of.true_negative + of.false_positive)
    assert said[1.5, 1.72] == f"right, {share:.0f} %"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["acceptable", "unacceptable"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["acceptable", "unacceptable"]


def test_the_diagram_shows_the_groups_and_their_intervals(split: JudgedSplit) -> None:
    axes = _axes(_picture(figures.judged_pictures(split), "reliability"))
    (drawn,) = (line for line in axes.lines if len(_points(line)) == 10 and line.get_marker() == "o")
    assert _points(drawn) == [(of.said, of.found) for of in split.reliability]
    (intervals,) = (item for item in axes.collections if isinstance(item, LineCollection))
    bars = intervals.get_segments()
    for bar, of in zip(bars, split.reliability, strict=True):
        assert (bar[0][1], bar[1][1]) == pytest.approx(of.interval)


def test_groups_are_drawn_with_their_names_and_intervals(split: JudgedSplit) -> None:
    assert split.rows
    pictures = figures.judged_pictures(split)
    sources = _axes(_picture(pictures, "mcc-by-source"))
    assert _dots(sources) == [(group.mcc, at) for at, group in enumerate(split.rows.by_source)]
    labels = [label.get_text() for label in sources.get_yticklabels()]
    assert labels == [f"{group.name} ({group.sentences})" for group in split.rows.by_source]
    lengths = _axes(_picture(pictures, "mcc-by-length"))
    assert _dots(lengths) == [(at, group.mcc) for at, group in enumerate(split.rows.by_length)]
    lines = [line for line in lengths.lines if line.get_marker() == "None" and line.get_linestyle() == "-"]
    assert [tuple(y for _, y in _points(line)) for line in lines] == [
        group.interval for group in split.rows.by_length
    ]


def test_curves_are_drawn_with_what_to_look_at(home: Home, sentences: DataInfo) -> None:
    events = [started(200), *(step(at, math.nan if at == 50 else 2 / at) for at in range(1, 201))]
    events += [validation(50, 0.6, 0.6), validation(100, 0.4, 0.3, best=True), validation(200, 0.9, 0.1)]
    facts = facts_of(told_run(home, sentences, "cola", [*events, finished(200, 100)]))
    axes = _axes(_picture(figures.training_pictures(facts), "learning-curves"))
    lines = {line.get_label(): _points(line) for line in axes.lines}
    assert lines["training loss"] == smoothed(facts.loss.points)
    assert facts.loss.points in lines.values()
    assert lines["validation loss"] == [(50, 0.6), (100, 0.4), (200, 0.9)]
    assert lines["kept: step 100"] == [(100, 0.4)]
    assert {x for x, _ in lines["overfitting from 100"]} == {100}
    assert [x for x, _ in lines["nan or infinite"]] == [50]
    rate = _axes(_picture(figures.training_pictures(facts), "learning-rate"))
    assert [y for _, y in _points(rate.lines[0])] == pytest.approx([1e-4 / at for at in range(1, 201)])
    norm = _axes(_picture(figures.training_pictures(facts), "gradient-norm"))
    assert [y for _, y in _points(norm.lines[0])] == [0.5] * 200


def test_a_run_of_one_step_and_one_of_nan_only_can_be_drawn(home: Home, sentences: DataInfo) -> None:
    for events in ([step(1)], [step(1, math.nan, math.nan)], [validation(0, 0.7)]):
        facts = facts_of(told_run(home, sentences, "cola", [started(1), *events]))
        assert [svg_of(picture) for picture in figures.training_pictures(facts)]


def test_lengths_are_drawn_as_they_were_counted() -> None:
    of = Lengths(limit=64, truncated=2, width=10, rows=[3, 0, 5, 1, 0, 0, 7])
    axes = _axes(Picture("lengths", "", "", lambda axes, palette: figures.lengths(of, axes, palette)))
    assert [(bar.get_x(), bar.get_height()) for bar in _bars(axes)] == [
        (10 * at, rows) for at, rows in enumerate(of.rows)
    ]
    assert {x for x, _ in _points(axes.lines[0])} == {64}
    far = replace(of, limit=1024)
    axes = _axes(Picture("lengths", "", "", lambda axes, palette: figures.lengths(far, axes, palette)))
    assert axes.get_xlim()[1] < 100


def test_samples_are_drawn_as_they_ended_and_copied() -> None:
    samples = Samples(9, 5, 1, 3, [])
    axes = _axes(Picture("ends", "", "", lambda axes, palette: figures.sample_ends(samples, axes, palette)))
    assert [bar.get_width() for bar in _bars(axes)] == [5, 1, 3]
    copies = [SampleCopies(10, 3, 0.0, None), SampleCopies(20, 40, 0.5, 7)]
    axes = _axes(Picture("copied", "", "", lambda axes, palette: figures.copied(copies, axes, palette)))
    assert _points(axes.lines[0]) == [(10, 3), (20, 40)]
    assert axes.get_ylim()[1] > 40


def test_drawings_take_the_pages_colours_and_name_what_they_show(split: JudgedSplit) -> None:
    for picture in figures.judged_pictures(split):
        drawn = ElementTree.fromstring(svg_of(picture).replace("xlink:href", "href"))
        text = svg_of(picture)
        assert "var(--one)" in text and not re.search(
            r"#a1000\d|#[0-9a-f]{6}\b|font-family|<style|<image", text
        )
        title = drawn.find("title")
        assert title is not None and title.text and picture.says[:20] in title.text
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids)) and all(name.startswith(picture.name) for name in ids)
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_a_png_is_twice_as_large_and_says_whose_it_is(split: JudgedSplit) -> None:
    picture = figures.judged_pictures(split)[0]
    png = png_of(picture, "bioforge report 0123")
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and b"bioforge report 0123" in png[:4096]
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width == 700 and 2 * picture.height < height < 2.4 * picture.height


def test_a_users_own_settings_for_drawings_change_nothing(
    split: JudgedSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    picture = figures.judged_pictures(split)[0]
    before = svg_of(picture)
    monkeypatch.setitem(matplotlib.rcParams, "axes.grid", True)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    assert svg_of(picture) == before and matplotlib.rcParams["lines.linewidth"] == 9.0


def test_text_is_legible_on_paper_and_at_night() -> None:
    """WCAG 2: text 4.5 to 1 against its ground, marks 3 to 1; in both themes of the page."""
    css = (Path(figures.__file__).parent / "page.css").read_text()
    themes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*)\}", css)
    ]
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        for name, least in (
            ("ink", 7.0),
            ("muted", 4.5),
            ("alarm", 4.5),
            ("one", 3.0),
            ("two", 3.0),
            ("mark", 3.0),
        ):
            for ground in ("paper", "panel"):
                assert _contrast(theme[name], theme[ground]) >= least, (name, ground)
    for name, colour in vars(LIGHT).items():
        assert themes[0][name] == colour


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_whole_report_measures_each_split_of_its_run(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(1), step(1), finished(1, 1)])
    labels = [1, 0] * 30
    near = [0.8 if label else 0.3 for label in labels]
    parts = [Judged("in_domain_dev", list(range(60)), labels, near)]
    parts.append(Judged("out_of_domain_dev", list(range(60, 120)), labels, near[::-1]))
    keep_outcome(run, Outcome(0.5, parts))
    keep_lengths(run, [3, 4, 5], 64, 0)
    report = report_of(run)
    assert [(split.mcc, split.decided) for split in report.judged] == [(1.0, True), (-1.0, False)]
    assert verdicts(near, 0.5) == labels and report.missing == []
    assert report.judged[0].rows and not report.judged[0].rows.mistakes


def test_a_writers_report_has_its_samples_copies(home: Home, djs: DataInfo) -> None:
    from bioforge.data import store
    from bioforge.data.split import train_and_validation

    events = [started(9), step(1)]
    run = told_run(home, djs, "bios", events)
    learnt, _ = train_and_validation(store.load(home, djs.name), *run.recipe().split)
    text = " ".join(learnt[0].text.split()[:12])
    run = told_run(home, djs, "bios", [*events, sample(1, text), sample(2, "Zq xw vj.")])
    report = report_of(run)
    whole, none = report.copies
    assert whole.words >= 11 and whole.row == learnt[0].row and whole.share == 1.0
    assert none.words == 0 and none.row is None
    assert report_of(run, copies=False).copies == []
