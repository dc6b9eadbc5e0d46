"""The benches' own arithmetic: markers, ratios, and texts that stand for an epoch."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from bench import gpu, results, subjects
from bench.judges import Said, _mcc
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


def test_the_narrower_chip_name_wins_and_an_unknown_chip_has_no_peak() -> None:
    assert gpu.peak("NVIDIA H100 80GB HBM3") == 989e12
    assert gpu.peak("NVIDIA H100 PCIe") == 756e12
    assert gpu.peak("NVIDIA A10G") == 70e12
    assert gpu.peak("NVIDIA A100-SXM4-80GB") == 312e12
    assert gpu.peak("NVIDIA GeForce RTX 4090") == 165e12
    assert gpu.peak("NVIDIA L4") == 121e12
    assert gpu.peak("Some Card") is None


def test_flops_of_a_token_by_hand() -> None:
    from transformers import GPT2Config

    # 124,439,808 weights, of which 1,024 x 768 position embeddings multiply nothing.
    config = GPT2Config().to_dict()
    assert gpu.flops_per_token(config, [100]) == 6 * 123_653_376 + 12 * 12 * 768 * 100
    # Three tokens of four stand in the text of 300: (300 x 300 + 100 x 100) / 400 = 250.
    assert gpu.flops_per_token(config, [300, 100]) == 6 * 123_653_376 + 12 * 12 * 768 * 250


def test_synthetic_texts_have_the_length_asked_for_and_are_the_same_each_time() -> None:
    texts = subjects.synthetic(200)
    assert texts == subjects.synthetic(200) != subjects.synthetic(200, seed=1)
    assert statistics.mean(len(text.split()) for text in texts) == pytest.approx(490, rel=0.05)


def test_a_part_that_fails_says_so_and_does_not_take_the_others_with_it() -> None:
    def broken() -> str:
        raise RuntimeError("no memory left")

    said = gpu.part(broken)
    assert said.startswith("FAILED:") and "no memory left" in said
    assert gpu.part(lambda: "fine") == "fine"


def test_the_gpu_bench_runs_to_its_end_on_a_cpu_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "device_name", lambda: "")
    assert gpu.main(["--minutes", "1", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "gpu.md").read_text()
    assert "DRY RUN" in page and "aten::mm" in page and "peak unknown" in page
    found = json.loads((tmp_path / "gpu.json").read_text())
    job = found["job"]
    assert job["peer"]["steps"] == job["peer"]["of"] == 11  # 22 of 24 texts, two a step, one epoch
    assert job["ours"] > 0 and found["default recipe"]["rate"] > 0


def test_the_judges_scores_are_each_seeds_and_their_interval_holds_the_mean() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(2, size=400)
    verdicts = np.array([np.where(draw.random(400) < right, labels, 1 - labels) for right in (0.7, 0.8, 0.9)])
    said = Said(labels, verdicts, verdicts.astype(float), ["a", "b"] * 200)
    assert said.scores() == pytest.approx([matthews_corrcoef(labels, row) for row in verdicts])
    only = np.array([name == "a" for name in said.sources])
    assert said.scores(only) == pytest.approx([matthews_corrcoef(labels[::2], row[::2]) for row in verdicts])
    low, high = said.interval()
    assert low < np.mean(said.scores()) < high and high - low < 0.5
    assert _mcc(labels, np.ones(400, dtype=np.int64)) == 0.0
