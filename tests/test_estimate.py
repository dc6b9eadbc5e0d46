"""How long a training will take: the number, and where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bioforge.data import store as data_store
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.models.bases import LocalBase, resolve
from bioforge.models.catalog import Task
from bioforge.paths import Home
from bioforge.runs.events import EventWriter
from bioforge.runs.folder import RunFolder
from bioforge.runs.recipe import Recipe
from bioforge.runs.start import build_recipe
from bioforge.training import device, estimate
from bioforge.training.estimate import Estimate
from tests.helpers import make_run, weights
from tests.test_events import started, step

FLOPS = 1e9


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_flops_per_second", lambda precision: FLOPS)


def said(home: Home, task: Task, data: str, base: Path, *settings: str) -> Estimate:
    recipe = build_recipe(task, str(base), "quick", list(settings))
    return estimate.estimate(home, recipe, data, resolve(home, str(base)))


def rows(home: Home, data: str, recipe: Recipe) -> tuple[list[str], list[str]]:
    train, validation = train_and_validation(
        data_store.load(home, data), recipe.validation_fraction, recipe.seed, recipe.official_validation
    )
    return [row.text for row in train], [row.text for row in validation]


def lengths(base: Path, texts: Sequence[str], longest: int) -> list[int]:
    """Counted by the library a training itself uses."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [min(len(ids) + 2, longest) for ids in encoded]


def arithmetic(base: Path, tokens: float, checked: float) -> float:
    """Six operations a parameter and token, a third of it to validate, at half the machine's speed."""
    parameters: int = sum(tensor.numel() for tensor in weights(base).values())
    return 10 + (tokens + checked / 3) * 6 * parameters / (0.5 * FLOPS)


def earlier(
    home: Home, base: Path, name: str | None = None, speed: float = 500.0, **settings: Any
) -> RunFolder:
    """A finished run that computed `speed` tokens and a tenth as many texts a second."""
    run = make_run(home, "bios", "djs", base, **settings)
    write = EventWriter(run.events)
    write(replace(started(), device=name or device.name(device.choose())))
    for at in range(1, 12):
        pace = 1.0 if at <= 2 else speed
        write(replace(step(at), tokens_per_second=pace, examples_per_second=pace / 10))
    return run


def test_without_an_earlier_run_the_machines_arithmetic_is_asked(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    found = said(home, "bios", "djs", tiny_gpt2, "epochs=3", "max_length=64", "validations_per_epoch=2")
    train, validation = rows(home, "djs", build_recipe("bios", None, "quick", []))
    assert len(train) + len(validation) == 40
    counts = lengths(tiny_gpt2, train, 64)
    tokens = 3 * sum(counts)
    per_row = sum(counts) / len(train)
    assert found.steps == 3 * -(-len(train) // 8)
    assert found.tokens == pytest.approx(tokens, abs=1)
    # Twice an epoch, and once before the first.
    checked = len(validation) * (3 * 2 + 1) * per_row
    assert found.seconds == pytest.approx(arithmetic(tiny_gpt2, tokens, checked), rel=1e-3)
    assert "arithmetic" in found.basis


def test_padding_to_the_longest_possible_counts_the_padding(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    settings = ["epochs=1", "max_length=200", "padding=max_length", "validate_first=false"]
    found = said(home, "bios", "djs", tiny_gpt2, *settings)
    train, validation = rows(home, "djs", build_recipe("bios", None, "quick", []))
    assert found.tokens == 200 * len(train)
    expected = arithmetic(tiny_gpt2, 200 * len(train), 200 * len(validation))
    assert found.seconds == pytest.approx(expected, rel=1e-6)
    assert found.seconds > said(home, "bios", "djs", tiny_gpt2, *settings[:2], *settings[3:]).seconds


def test_the_length_the_base_takes_limits_what_is_counted(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    whole = said(home, "bios", "djs", tiny_gpt2, "epochs=1", "max_length=0", "padding=max_length")
    train, _ = rows(home, "djs", build_recipe("bios", None, "quick", []))
    assert whole.tokens == 256 * len(train)


def test_max_steps_caps_steps_tokens_and_time(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    whole = said(home, "bios", "djs", tiny_gpt2, "epochs=2", "validate_first=false")
    half = said(
        home, "bios", "djs", tiny_gpt2, "epochs=2", "validate_first=false", f"max_steps={whole.steps // 2}"
    )
    assert half.steps == whole.steps // 2
    assert half.tokens == pytest.approx(whole.tokens / 2, abs=1)
    assert half.seconds - 10 == pytest.approx((whole.seconds - 10) / 2, rel=1e-3)
    beyond = said(home, "bios", "djs", tiny_gpt2, "epochs=2", "validate_first=false", "max_steps=100000")
    assert beyond == whole


def test_validations_by_step_take_their_time(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    def time(*settings: str) -> float:
        return said(home, "bios", "djs", tiny_gpt2, "epochs=2", "validate_first=false", *settings).seconds

    each_step, once = time("validate_every=1"), time("validations_per_epoch=1")
    steps = said(home, "bios", "djs", tiny_gpt2, "epochs=2").steps
    assert each_step > once
    # More than one an epoch's step cannot be.
    assert time("validations_per_epoch=1000") == pytest.approx(each_step)
    assert time("validate_every=1") - time(f"validate_every={steps}") == pytest.approx(
        (steps - 1) * (each_step - once) / (steps - 2), rel=1e-3
    )


def test_an_earlier_run_of_the_kind_tells_better(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = earlier(home, tiny_gpt2)
    found = said(home, "bios", "djs", tiny_gpt2, "epochs=4", "validate_first=false")
    assert run.name in found.basis
    train, validation = rows(home, "djs", build_recipe("bios", None, "quick", []))
    per_row = sum(lengths(tiny_gpt2, train, 256)) / len(train)
    checked = 4 * len(validation) * per_row
    assert found.seconds == pytest.approx(10 + (found.tokens + checked / 3) / 500, rel=1e-3)


def test_an_earlier_run_with_padding_tells_by_its_texts(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = earlier(home, tiny_gpt2, padding="max_length", max_length=128)
    settings = ["padding=max_length", "max_length=128", "validate_first=false", "epochs=1"]
    found = said(home, "bios", "djs", tiny_gpt2, *settings)
    train, validation = rows(home, "djs", build_recipe("bios", None, "quick", []))
    assert run.name in found.basis
    assert found.seconds == pytest.approx(10 + (len(train) + len(validation) / 3) / 50, rel=1e-3)


def test_the_newest_run_of_the_kind_counts(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    earlier(home, tiny_gpt2, speed=10.0)
    newer = earlier(home, tiny_gpt2, speed=1000.0)
    assert newer.name in said(home, "bios", "djs", tiny_gpt2).basis


@pytest.mark.parametrize(
    "settings", [["batch_size=4"], ["max_length=64"], ["precision=bf16"], ["padding=max_length"]]
)
def test_a_run_of_another_kind_tells_nothing(
    home: Home, djs: DataInfo, tiny_gpt2: Path, settings: list[str]
) -> None:
    earlier(home, tiny_gpt2)
    assert "arithmetic" in said(home, "bios", "djs", tiny_gpt2, *settings).basis


def test_a_run_on_another_machine_or_without_steps_tells_nothing(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    earlier(home, tiny_gpt2, "cuda (some other machine)")
    make_run(home, "bios", "djs", tiny_gpt2)
    damaged = earlier(home, tiny_gpt2)
    (damaged.path / "base.json").write_text("{", encoding="utf-8")
    assert "arithmetic" in said(home, "bios", "djs", tiny_gpt2).basis


def test_a_judge_is_estimated_too(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    found = said(home, "cola", "sentences", tiny_bert, "epochs=1", "validate_first=false")
    train, validation = rows(home, "sentences", build_recipe("cola", None, "quick", []))
    tokens = sum(lengths(tiny_bert, train, 64))
    assert found.steps == -(-len(train) // 32)
    assert found.tokens == pytest.approx(tokens, abs=1)
    checked = len(validation) * tokens / len(train)
    assert found.seconds == pytest.approx(arithmetic(tiny_bert, tokens, checked), rel=1e-3)


def test_data_too_small_to_train_on_is_refused(home: Home, tiny_gpt2: Path) -> None:
    from bioforge.data import bios

    path = home.root / "same.csv"
    home.root.mkdir(parents=True)
    path.write_text("bio\nOnly this one.\nOnly this one.\n", encoding="utf-8")
    read = bios.read_bios(path)
    data_store.add(home, "same", "bios", data_store.rows_of_bios(read), path, read)
    with pytest.raises(UserError, match="too few"):
        said(home, "bios", "same", tiny_gpt2)


def test_the_service_gives_the_same_answer_and_refuses_an_encoder_as_writer(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tiny_bert: Path
) -> None:
    from bioforge.service.training_tasks import TASKS
    from bioforge.service.worker import Context

    context = Context(home, lambda _: None, lambda: False)
    given = {
        "task": "bios",
        "data": "djs",
        "base": str(tiny_gpt2),
        "preset": "quick",
        "settings": ["epochs=3"],
    }
    answer = TASKS["estimate"](context, **given)
    assert Estimate(**answer) == said(home, "bios", "djs", tiny_gpt2, "epochs=3")
    with pytest.raises(UserError, match="it can judge but not write"):
        TASKS["estimate"](context, **{**given, "base": str(tiny_bert)})


def test_the_machines_own_speed_is_a_sensible_number(
    monkeypatch: pytest.MonkeyPatch, tiny_gpt2: Path
) -> None:
    monkeypatch.undo()
    assert 1e7 < estimate._flops_per_second("fp32", size=128, rounds=3) < 1e16
    base = LocalBase("tiny", tiny_gpt2, "folder")
    assert sum(estimate._elements(path) for path in sorted(base.folder.glob("*.safetensors"))) == sum(
        tensor.numel() for tensor in weights(tiny_gpt2).values()
    )
