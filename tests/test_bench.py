"""The benches' own arithmetic: markers, ratios, and texts that stand for an epoch."""

from __future__ import annotations

import random
import statistics

import pytest

from bench import results, subjects
from bioforge.training.plan import batches_of_epoch


def test_a_section_is_replaced_and_all_else_stays() -> None:
    page = "# Results\n\nBy hand.\n\n<!-- bench:speed -->\nold\n<!-- /bench:speed -->\n\n## After\n"
    once = results.replace_section(page, "speed", "new\n")
    assert once == "# Results\n\nBy hand.\n\n<!-- bench:speed -->\nnew\n<!-- /bench:speed -->\n\n## After\n"
    assert results.replace_section(once, "speed", "new") == once


def test_a_new_section_goes_to_the_end_and_is_found_again() -> None:
    page = results.replace_section("# Results\n", "scale", "one")
    assert page == "# Results\n\n<!-- bench:scale -->\none\n<!-- /bench:scale -->\n"
    assert results.replace_section(page, "scale", "two") == page.replace("one", "two")


def test_a_lost_marker_is_no_licence_to_overwrite() -> None:
    for page in ("a <!-- bench:speed --> b", "a <!-- /bench:speed --> b"):
        with pytest.raises(ValueError, match="put it back"):
            results.replace_section(page, "speed", "new")


def test_ratios_are_taken_turn_by_turn() -> None:
    # The machine was half as fast in the second turn; the ratio was not.
    assert results.ratios([12.0, 6.0, 30.0], [4.0, 2.0, 10.0]) == (3.0, 3.0, 3.0)
    assert results.ratios([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == (2.0, 1.0, 3.0)


def test_typical_batches_are_those_of_a_window_sorted_by_length() -> None:
    draw = random.Random(1)
    lengths = [int(draw.lognormvariate(4.5, 0.8)) + 2 for _ in range(2000)]
    chosen = subjects.typical(lengths, 8, 6, seed=3)
    assert len(set(chosen)) == 48
    some = [lengths[index] for index in chosen]
    # Grouped again by length, as a training on them does, they fall into the very same batches.
    groups = {tuple(sorted(some[start : start + 8])) for start in range(0, 48, 8)}
    plan = batches_of_epoch(0, 0, some, 8, bucketing=True)
    assert {tuple(sorted(some[index] for index in batch)) for batch in plan} == groups
    # And they are neither the short nor the long ones.
    means = [
        statistics.mean(lengths[index] for index in subjects.typical(lengths, 8, 6, seed=seed))
        for seed in range(40)
    ]
    assert statistics.mean(means) == pytest.approx(statistics.mean(lengths), rel=0.08)


def test_joined_texts_have_the_tutorials_length_and_lose_nothing() -> None:
    draw = random.Random(2)
    texts = [" ".join(["word"] * draw.randint(20, 200)) for _ in range(900)]
    long = subjects.joined(texts)
    words = [len(text.split()) for text in long]
    assert statistics.mean(words) == pytest.approx(490, abs=30)
    assert sum(words) >= sum(len(text.split()) for text in texts) - 600
