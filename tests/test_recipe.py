from __future__ import annotations

from dataclasses import asdict, fields
from typing import get_args

import pytest

from bioforge.errors import UserError
from bioforge.models.catalog import Task
from bioforge.runs.recipe import Recipe, explanations, from_json, override, preset, presets_for


def test_the_tutorial_presets_are_the_tutorials_numbers() -> None:
    writer, judge = preset("bios", "tutorial", 1e-3), preset("cola", "tutorial", 1e-3)
    assert (writer.max_length, writer.batch_size, writer.learning_rate, writer.epsilon) == (
        768,
        2,
        5e-4,
        1e-8,
    )
    assert (writer.warmup_steps, writer.epochs, writer.sample_every) == (100, 5, 100)
    assert (writer.top_k, writer.top_p, writer.clip_norm, writer.special_tokens) == (50, 0.95, 0, "tutorial")
    assert writer.loss_on_padding and not writer.keep_end and writer.sample_start == "random_token"
    assert (judge.max_length, judge.batch_size, judge.learning_rate, judge.epochs) == (64, 32, 2e-5, 4)
    assert (judge.warmup_steps, judge.clip_norm, judge.weight_decay) == (0, 1.0, 0.0)
    for recipe in (writer, judge):
        assert (recipe.validation_fraction, recipe.seed, recipe.official_validation) == (0.1, 42, False)
        assert (recipe.precision, recipe.padding, recipe.bucketing) == ("fp32", "max_length", False)


def test_the_tutorials_mistakes_stay_out_of_the_other_presets() -> None:
    for name in ("balanced", "quick"):
        recipe = preset("bios", name)
        assert not recipe.loss_on_padding and recipe.keep_end
        assert recipe.sample_start == "begin" and recipe.special_tokens == "native"


def test_a_base_may_wish_for_its_own_learning_rate() -> None:
    assert preset("cola", "balanced", 1e-4).learning_rate == 1e-4
    assert preset("cola", "balanced").learning_rate == 2e-5


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("bucketing=no", "bucketing", False),
        ("attention_dropout=none", "attention_dropout", None),
        ("attention_dropout=0.2", "attention_dropout", 0.2),
        ("sample_prompt=a=b", "sample_prompt", "a=b"),
        ("precision=bf16", "precision", "bf16"),
    ],
)
def test_settings_are_read_by_their_type(setting: str, field: str, value: object) -> None:
    assert getattr(override(preset("bios", "balanced"), [setting]), field) == value


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epochs", "key=value"),
        ("epoch=3", "did you mean 'epochs'"),
        ("epochs=three", "whole number"),
        ("epochs=0", "at least 1|between 1"),
        ("learning_rate=nan", "finite"),
        ("learning_rate=inf", "finite"),
        ("top_p=2", "between 0.01 and 1"),
        ("bucketing=perhaps", "true or false"),
        ("precision=fp8", "auto, fp32, bf16"),
        ("task=cola", "no recipe field"),
        ("batch_size=-1", "between 1"),
    ],
)
def test_a_wrong_setting_is_named_and_explained(setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        override(preset("bios", "balanced"), [setting])
    assert setting.split("=")[0] in str(caught.value)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="tutorial, balanced, quick"):
        preset("bios", "best")


def test_a_recipe_survives_json_and_newer_fields() -> None:
    for task in get_args(Task):
        for name in presets_for(task):
            recipe = preset(task, name)
            assert from_json({**asdict(recipe), "invented_later": 1}) == recipe


def test_every_field_explains_itself() -> None:
    assert len(explanations()) == len(fields(Recipe)) - 2
    assert all(text for _, text in explanations())
