from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bioforge.data.rows import Row
from bioforge.data.split import hold_out
from bioforge.models.by_length import in_order_of_length
from bioforge.training.plan import batches_of_epoch, steps_of_epoch, steps_per_epoch

lengths = st.lists(st.integers(1, 300), min_size=1, max_size=700)


@given(lengths, st.integers(1, 40), st.integers(1, 5), st.booleans(), st.integers(0, 5))
def test_each_text_is_seen_exactly_once_an_epoch(
    sizes: list[int], batch_size: int, accumulate: int, bucketing: bool, epoch: int
) -> None:
    steps = steps_of_epoch(7, epoch, sizes, batch_size, accumulate, bucketing=bucketing)
    assert sorted(index for step in steps for batch in step for index in batch) == list(range(len(sizes)))
    assert len(steps) == steps_per_epoch(len(sizes), batch_size, accumulate)
    assert sum(len(batch) < batch_size for step in steps for batch in step) <= 1


def test_the_plan_is_a_function_of_seed_and_epoch() -> None:
    sizes = list(range(1, 500))
    plans = [
        batches_of_epoch(seed, epoch, sizes, 8, bucketing=True)
        for seed, epoch in [(1, 0), (1, 0), (1, 1), (2, 0)]
    ]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2] != plans[3] != plans[0]


def test_bucketing_saves_most_of_the_padding() -> None:
    import random

    draw = random.Random(0)
    sizes = [max(3, int(draw.lognormvariate(2.3, 0.5))) for _ in range(8551)]

    def padded(bucketing: bool) -> float:
        batches = batches_of_epoch(0, 0, sizes, 32, bucketing=bucketing)
        return sum(max(sizes[i] for i in batch) * len(batch) for batch in batches) / sum(sizes)

    assert padded(True) < 1.08
    assert padded(False) > 1.6


@given(lengths, st.integers(1, 40), st.integers(1, 2000))
def test_evaluation_batches_hold_everything_within_the_budget(
    sizes: list[int], size: int, budget: int
) -> None:
    batches = in_order_of_length(sizes, size, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= budget


def test_no_more_texts_are_held_out_than_asked_for() -> None:
    rows = [Row(f"text {number // 2}", number) for number in range(400)]
    train, held = hold_out(rows, 0.5, 1, most=7)
    assert len({row.text for row in held}) == 7 and len(held) == 14
    assert sorted([*train, *held], key=lambda row: row.row) == rows
    assert len({row.text for row in hold_out(rows, 0.5, 1)[1]}) == 100
