"""Freezing, adapters, gradient checkpointing: what they change, and what they must not."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import DistributedType
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.paths import Home
from bioforge.runs.events import Failed, Finished, Step, Validation
from bioforge.runs.freezing import Frozen, parse_freeze
from bioforge.runs.recipe import Recipe
from bioforge.training import checkpoint, head, job, packing
from bioforge.training.averaging import Average
from bioforge.training.optimizer import adamw
from bioforge.training.packing import check_packing, packed_losses
from bioforge.training.settling import settle
from bioforge.training.treatments import merged, stack, trained, treat
from tests.helpers import make_run, no_dropout, same_weights, weights, work, work_until

LAST: dict[str, Any] = {"keep": "last", "patience": 0, "precision": "fp32", "sample_every": 0}
IGNORED = -100


@pytest.fixture(scope="session")
def tiny_llama(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Llama with three layers and an output layer of its own, trained on nothing."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("bases") / "tiny-llama"
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def loaded(folder: Path, recipe: Recipe) -> PreTrainedModel:
    factory: Any = AutoModelForCausalLM if recipe.task == "bios" else AutoModelForSequenceClassification
    torch.manual_seed(0)
    model: PreTrainedModel = factory.from_pretrained(folder)
    treat(model, recipe)
    return model


def batch(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    inputs = torch.randint(1, 600, (3, 40))
    return inputs, torch.nn.functional.pad(inputs[:, 1:], (0, 1), value=IGNORED)


def loss_of(model: PreTrainedModel) -> torch.Tensor:
    inputs, labels = batch()
    return head.language_model_loss(model, inputs, None, labels, IGNORED)[0]


@pytest.mark.parametrize(
    ("text", "embeddings", "layers"),
    [
        ("none", False, set()),
        ("embeddings", True, set()),
        ("embeddings,0-5", True, {0, 1, 2, 3, 4, 5}),
        ("0-3, 7", False, {0, 1, 2, 3, 7}),
        ("11", False, {11}),
    ],
)
def test_what_to_freeze_is_read(text: str, embeddings: bool, layers: set[int]) -> None:
    assert parse_freeze(text, 12) == Frozen(embeddings, frozenset(layers))


@pytest.mark.parametrize("text", ["", "all", "embeddings,none", "3-1", "-2", "1-", "0-x", "0,,1", "1.5"])
def test_what_cannot_be_frozen_is_named(text: str) -> None:
    with pytest.raises(UserError, match="expected none, embeddings, layers"):
        parse_freeze(text, None)


def test_a_run_that_cannot_be_treated_so_is_refused_before_it_starts(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"freeze": "0-2"}, "the base has 2 layers, 0 to 1"),
        ({"freeze": "first"}, "not 'first'"),
        ({"freeze": "0-1", "lora_rank": 2}, "no layer for the adapters"),
        ({"freeze": "embeddings", "special_tokens": "tutorial"}, "special_tokens=native"),
        ({"lora_rank": 4, "special_tokens": "tutorial"}, "special_tokens=native"),
    ]
    for settings, said in refused:
        with pytest.raises(UserError, match=said):
            make_run(home, "bios", "djs", tiny_gpt2, **settings)
    assert not list(home.runs.glob("*"))


@pytest.mark.parametrize("task", ["bios", "cola"])
def test_frozen_parts_keep_every_bit_and_the_others_learn(
    task: Any, home: Home, djs: DataInfo, sentences: DataInfo, tiny_gpt2: Path, tiny_bert: Path
) -> None:
    base, data = (tiny_gpt2, "djs") if task == "bios" else (tiny_bert, "sentences")
    run = make_run(home, task, data, base, freeze="embeddings,0", max_length=32, epochs=1, **LAST)
    assert work(run) == 0
    before, after = weights(base), weights(run.best)
    # The judge's base was saved with another head, whose encoder bears the same name.
    common = before.keys() & after.keys()
    unchanged = {name for name in common if torch.equal(before[name], after[name])}
    expected = {
        name for name in common if "embeddings" in name or ".wte" in name or ".wpe" in name or ".0." in name
    }
    assert unchanged == expected
    assert len(expected) > 10 and len(common) > len(expected) + 10


def test_the_tied_output_layer_is_frozen_with_the_embeddings_and_its_gradient_not_computed(
    tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = loaded(tiny_gpt2, Recipe("bios"))
    frozen = loaded(tiny_gpt2, Recipe("bios", freeze="embeddings"))
    for model in (free, frozen):
        model.eval()
        torch.autograd.backward(loss_of(model))
    output: Any = frozen.get_output_embeddings()
    assert output.weight.grad is None and not output.weight.requires_grad
    for name, parameter in trained(frozen).items():
        wanted = free.get_parameter(name).grad
        assert parameter.grad is not None and wanted is not None
        assert torch.allclose(parameter.grad, wanted, atol=1e-6), name
    assert trained(free).keys() - trained(frozen).keys() == {
        "transformer.wte.weight",
        "transformer.wpe.weight",
    }


def test_frozen_parts_of_other_architectures(tiny_llama: Path, tiny_bert: Path) -> None:
    llama = loaded(tiny_llama, Recipe("bios", freeze="embeddings,1-2"))
    assert stack(llama)[0] == "model.layers"
    assert all(
        ".layers.0." in name or name in {"model.norm.weight", "lm_head.weight"} for name in trained(llama)
    )
    bert = loaded(tiny_bert, Recipe("cola", freeze="embeddings,0-1"))
    assert set(trained(bert)) == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }


def test_what_is_frozen_has_no_optimizer_state(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, freeze="embeddings,1", max_length=32, epochs=1, **LAST)
    assert work_until(run, 2) == 0
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    learning = trained(job.prepare(run, newest).model)
    with safe_open(newest / "optimizer.safetensors", framework="pt") as state:
        moments = [name for name in state.keys() if name.endswith("|exp_avg")]  # noqa: SIM118
    assert len(moments) == len(learning)
    assert not any(".wte" in name or ".h.1." in name for name in learning)


@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama", "tiny_bert"])
def test_adapters_at_first_change_nothing_and_only_they_learn(
    base: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    task: Any = "cola" if base == "tiny_bert" else "bios"
    plain = loaded(folder, Recipe(task)).eval()
    adapted = loaded(folder, Recipe(task, lora_rank=4)).eval()
    inputs, _ = batch()
    assert torch.equal(plain(input_ids=inputs).logits, adapted(input_ids=inputs).logits)
    if task == "bios":
        assert head.is_plain(adapted)
        assert loss_of(adapted).item() == pytest.approx(loss_of(plain).item(), rel=1e-6)
    adapters = {name for name in trained(adapted) if ".lora_" in name}
    # Each linear map of each layer has two: 4 in GPT-2, 7 in Llama, 6 in BERT.
    assert len(adapters) == {"tiny_gpt2": 2 * 2 * 4, "tiny_llama": 2 * 3 * 7, "tiny_bert": 2 * 2 * 6}[base]
    others = trained(adapted).keys() - adapters
    assert {name.split(".")[-3 if "pooler" in name else 0] for name in others} <= {"pooler", "classifier"}
    assert bool(others) == (task == "cola")


def test_adapters_pass_frozen_layers_over(tiny_llama: Path) -> None:
    model = loaded(tiny_llama, Recipe("bios", lora_rank=2, freeze="0-1"))
    assert trained(model)
    assert all(name.startswith("model.layers.2.") for name in trained(model))


@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama"])
def test_adapters_are_added_by_the_rule_of_the_paper(base: str, request: pytest.FixtureRequest) -> None:
    """W + alpha / r * B A, laid out as each architecture lays out its matrices."""
    folder = request.getfixturevalue(base)
    recipe = Recipe("bios", lora_rank=4, lora_alpha=12)
    model = loaded(folder, recipe).eval()
    torch.manual_seed(3)
    for parameter in trained(model).values():
        torch.nn.init.normal_(parameter, std=0.1)
    name, _ = stack(model)
    path = f"{name}.0.mlp.c_fc" if base == "tiny_gpt2" else f"{name}.0.mlp.up_proj"
    module: Any = model.get_submodule(path)
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    delta = 12 / 4 * (up @ down)
    expected = module.base_layer.weight + (delta.T if base == "tiny_gpt2" else delta)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    whole = merged(model)
    assert torch.allclose(whole[f"{path}.weight"], expected, atol=1e-6)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    plain = loaded(folder, Recipe("bios")).eval()
    assert whole.keys() == plain.state_dict().keys()
    plain.load_state_dict(whole)
    inputs, _ = batch()
    assert torch.allclose(plain(input_ids=inputs).logits, model(input_ids=inputs).logits, atol=1e-5)


@pytest.mark.parametrize("task", ["bios", "cola"])
def test_a_model_trained_by_adapters_is_a_plain_one(
    task: Any, home: Home, djs: DataInfo, sentences: DataInfo, tiny_gpt2: Path, tiny_bert: Path
) -> None:
    base, data = (tiny_gpt2, "djs") if task == "bios" else (tiny_bert, "sentences")
    run = make_run(home, task, data, base, lora_rank=4, learning_rate=1e-2, max_length=32, epochs=1, **LAST)
    assert work(run) == 0
    folder = home.models / data
    assert not list(folder.glob("adapter*"))
    full = make_run(home, task, data, base, max_length=32, epochs=1, **LAST)
    assert work(full) == 0
    assert weights(folder).keys() == weights(full.best).keys()
    assert json.loads((folder / "config.json").read_text()) == json.loads(
        (full.best / "config.json").read_text()
    )
    before, after = weights(base), weights(folder)
    layers = [name for name in before.keys() & after.keys() if ".1." in name and name.endswith("weight")]
    assert any(not torch.equal(before[name], after[name]) for name in layers)
    factory = "AutoModelForCausalLM" if task == "bios" else "AutoModelForSequenceClassification"
    code = (
        "import sys; sys.modules['peft'] = None\n"
        f"from transformers import {factory}\n"
        f"model, report = {factory}.from_pretrained({str(folder)!r}, output_loading_info=True)\n"
        "assert not any(report.values()), report\n"
        "import torch; print(model(input_ids=torch.arange(1, 20)[None]).logits.double().sum().item())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    model: Any = getattr(__import__("transformers"), factory).from_pretrained(run.best)
    expected = model(input_ids=torch.arange(1, 20)[None]).logits.double().sum().item()
    assert float(said.stdout) == pytest.approx(expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"lora_rank": 3, "lora_dropout": 0.2, "learning_rate": 1e-3},
        {"freeze": "embeddings,0"},
        {"gradient_checkpointing": True},
    ],
)
@pytest.mark.parametrize("task", ["bios", "cola"])
def test_treated_runs_resume_bit_for_bit(
    task: Any,
    settings: dict[str, Any],
    home: Home,
    djs: DataInfo,
    sentences: DataInfo,
    tiny_gpt2: Path,
    tiny_bert: Path,
) -> None:
    base, data = (tiny_gpt2, "djs") if task == "bios" else (tiny_bert, "sentences")
    common = {**LAST, **settings, "max_length": 32, "epochs": 2, "batch_size": 10}
    straight = make_run(home, task, data, base, **common)
    halting = make_run(home, task, data, base, **common)
    assert work(straight) == 0
    for step in (1, 3):
        assert work_until(halting, step) == 0
    assert work(halting) == 0
    assert same_weights(straight.best, halting.best)


def test_a_checkpoint_of_adapters_holds_no_more_than_they(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, lora_rank=1, max_length=32, epochs=1, **LAST)
    assert work_until(run, 1) == 0
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    with safe_open(newest / "weights.safetensors", framework="pt") as file:
        names = list(file.keys())
    assert names and all(".lora_" in name for name in names)
    size = sum(path.stat().st_size for path in newest.rglob("*"))
    assert size < (tiny_gpt2 / "model.safetensors").stat().st_size / 2


def test_a_base_that_changed_meanwhile_is_noticed_where_it_matters(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {**LAST, "max_length": 32, "epochs": 1}
    adapted = make_run(home, "bios", "djs", base, lora_rank=1, **common)
    whole = make_run(home, "bios", "djs", base, **common)
    straight = make_run(home, "bios", "djs", base, **common)
    assert work(straight) == 0
    for run in (adapted, whole):
        assert work_until(run, 1) == 0
    tensors = weights(base)
    tensors["transformer.h.0.ln_1.weight"][3] += 1
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    assert work(adapted) == 2
    assert "weights have changed" in adapted.state().message
    assert work(whole) == 0
    assert same_weights(whole.best, straight.best)


def test_only_runs_with_adapters_load_peft() -> None:
    code = "import sys, bioforge.training.loop, bioforge.training.publish; assert 'peft' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("freeze", ["none", "embeddings,0"])
@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama"])
def test_computing_layers_again_changes_neither_loss_nor_gradients(
    base: str, freeze: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    models = [
        loaded(folder, Recipe("bios", freeze=freeze, gradient_checkpointing=again)).train()
        for again in (False, True)
    ]
    kept: list[int] = []
    losses = []
    for model in models:
        saved: list[torch.Tensor] = []

        def keep(tensor: torch.Tensor, saved: list[torch.Tensor] = saved) -> torch.Tensor:
            saved.append(tensor)
            return tensor

        torch.manual_seed(5)  # dropout is on where the base has it
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses.append(loss_of(model))
        kept.append(sum(tensor.numel() for tensor in saved))
        torch.autograd.backward(losses[-1])
    assert losses[0].item() == losses[1].item()
    for name, parameter in trained(models[0]).items():
        again = models[1].get_parameter(name).grad
        assert parameter.grad is not None and again is not None
        assert torch.allclose(parameter.grad, again, atol=1e-6), name
    assert kept[1] < kept[0] / 2


def test_an_optimizer_without_vectors_can_be_made(tiny_gpt2: Path) -> None:
    model = loaded(tiny_gpt2, Recipe("bios", lora_rank=2))
    decayed, spared = adamw(model, Recipe("bios", lora_rank=2)).param_groups
    assert len(decayed["params"]) == len(trained(model)) and not spared["params"]


def checkpointed(run: Any, name: str) -> dict[str, torch.Tensor]:
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    return dict(load_file(newest / name))


def test_an_average_is_what_its_definition_says() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    average = Average(model, Recipe("bios", average="ema", average_decay=0.4))
    expected = model.weight.detach().double().numpy().copy()
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        average.update(step)
        decay = min(0.4, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach().double().numpy()
    own, bias = model.weight.detach().clone(), model.bias.detach().clone()
    with average.in_place():
        assert model.weight.detach().numpy() == pytest.approx(expected, abs=1e-5)
        assert torch.equal(model.bias, bias)
    assert torch.equal(model.weight, own)
    with pytest.raises(ZeroDivisionError), average.in_place():
        _ = 1 / 0
    assert torch.equal(model.weight, own)


@pytest.mark.parametrize("settings", [{}, {"lora_rank": 2, "learning_rate": 1e-2}])
def test_averaging_leaves_no_trace_on_the_training_and_is_what_is_kept(
    settings: dict[str, Any], home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    common = {**LAST, **settings, "max_length": 32, "epochs": 2, "validate_every": 1, "keep": "best"}
    plain = make_run(home, "bios", "djs", tiny_gpt2, **common)
    common["sample_every"], common["sample_tokens"] = 1, 4
    averaged = make_run(home, "bios", "djs", tiny_gpt2, average="ema", **common)
    for run in (plain, averaged):
        assert work_until(run, 6) == 0
    one, other = checkpointed(plain, "weights.safetensors"), checkpointed(averaged, "weights.safetensors")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    averages = checkpointed(averaged, "average.safetensors")
    assert averages.keys() == one.keys()
    assert any(not torch.equal(tensor, one[name]) for name, tensor in averages.items())
    assert not same_weights(plain.best, averaged.best)
    assert work(averaged) == 0
    validations = [event for event in averaged.history() if isinstance(event, Validation)]
    (finished,) = (event for event in averaged.history() if isinstance(event, Finished))
    (kept,) = (event for event in validations if event.step == finished.best_step)
    assert finished.metrics["loss"] == pytest.approx(kept.metrics["loss"], abs=1e-5)


def test_an_averaged_run_resumes_bit_for_bit(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    common = {**LAST, "average": "ema", "max_length": 32, "epochs": 2, "learning_rate": 1e-3}
    straight = make_run(home, "cola", "sentences", tiny_bert, **common)
    halting = make_run(home, "cola", "sentences", tiny_bert, **common)
    assert work(straight) == 0
    for step in (2, 5):
        assert work_until(halting, step) == 0
    assert work(halting) == 0
    assert same_weights(straight.best, halting.best)


TEXTS = [[5, 9, 2, 77, 0], [0, 3], list(range(100, 160)), [4] * 30]


@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama"])
def test_packed_texts_learn_as_if_each_were_alone(base: str, request: pytest.FixtureRequest) -> None:
    model = loaded(request.getfixturevalue(base), Recipe("bios")).eval()
    expected = sum(
        model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss * (len(ids) - 1)
        for ids in TEXTS
    )
    assert isinstance(expected, torch.Tensor)
    torch.autograd.backward(expected)
    wanted = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    total, _ = packed_losses(model, TEXTS, torch.device("cpu"))
    torch.autograd.backward(total)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, wanted[name], atol=1e-5), name


def text_by_text(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    _starts: torch.Tensor,
    longest: int,
    _longest: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """What torch's kernel computes on a GPU, for machines without one."""
    assert window_size == (-1, 0) and enable_gqa
    edges = starts.tolist()
    assert longest == max(end - start for start, end in itertools.pairwise(edges))
    parts = []
    for start, end in itertools.pairwise(edges):
        q, k, v = (tensor[start:end].transpose(0, 1)[None] for tensor in (query, key, value))
        attended = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scale, enable_gqa=True
        )
        parts.append(attended[0].transpose(0, 1))
    return torch.cat(parts)


@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama"])
def test_a_kernel_for_various_lengths_is_given_each_text(
    base: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packing, "varlen_attn", text_by_text)
    folder = request.getfixturevalue(base)
    plain = loaded(folder, Recipe("bios")).eval()
    model = loaded(folder, Recipe("bios", gradient_checkpointing=True)).eval()
    packing.use_varlen_kernel(model)
    check_packing(model, torch.device("cpu"))
    expected, _ = packed_losses(plain, TEXTS, torch.device("cpu"))
    total, _ = packed_losses(model, TEXTS, torch.device("cpu"))
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.autograd.backward([expected, total])
    for name, parameter in model.named_parameters():
        wanted = plain.get_parameter(name).grad
        assert parameter.grad is not None and wanted is not None
        assert torch.allclose(parameter.grad, wanted, atol=1e-5), name
    # All that is not packed goes the usual way: padded rows, generation, what is saved.
    inputs, _ = batch()
    mask = torch.ones_like(inputs)
    mask[0, :7] = 0
    assert torch.allclose(
        plain(input_ids=inputs, attention_mask=mask).logits[mask == 1],
        model(input_ids=inputs, attention_mask=mask).logits[mask == 1],
        atol=1e-5,
    )
    assert torch.allclose(plain(input_ids=inputs).logits, model(input_ids=inputs).logits, atol=1e-5)
    written = [
        writer.generate(inputs[:, :5], max_new_tokens=6, do_sample=False, pad_token_id=0)
        for writer in (plain, model)
    ]
    assert torch.equal(*written)
    model.save_pretrained(tmp_path / "saved")
    assert "varlen" not in (tmp_path / "saved" / "config.json").read_text()


def test_the_kernel_is_refused_attention_dropout(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "varlen_attn", text_by_text)
    model = loaded(tiny_gpt2, Recipe("bios")).train()
    packing.use_varlen_kernel(model)
    with pytest.raises(UserError, match="set attention_dropout=0"):
        packed_losses(model, TEXTS, torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch's kernel needs a GPU")
@pytest.mark.parametrize("base", ["tiny_gpt2", "tiny_llama"])
def test_the_kernel_itself_keeps_texts_apart(base: str, request: pytest.FixtureRequest) -> None:
    device = torch.device("cuda")
    plain, model = (loaded(request.getfixturevalue(base), Recipe("bios")).eval().to(device) for _ in range(2))
    packing.use_varlen_kernel(model)
    with torch.autocast("cuda", torch.bfloat16):
        check_packing(model, device)
        expected, total = (packed_losses(one, TEXTS, device)[0] for one in (plain, model))
    torch.autograd.backward([expected, total])
    assert total.item() == pytest.approx(expected.item(), rel=1e-2)
    for name, parameter in model.named_parameters():
        wanted = plain.get_parameter(name).grad
        assert parameter.grad is not None and wanted is not None
        assert torch.nn.functional.cosine_similarity(parameter.grad.flatten(), wanted.flatten(), dim=0) > 0.98


def test_packing_changes_nothing_but_the_padding(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {**LAST, "max_length": 100, "epochs": 1, "tokens_per_pass": 450}
    runs = [make_run(home, "bios", "djs", base, packing=packing, **common) for packing in (False, True)]
    assert [work(run) for run in runs] == [0, 0]
    one, other = ([e.loss for e in run.history() if isinstance(e, Step)] for run in runs)
    assert one == pytest.approx(other, abs=1e-5)
    first, second = (weights(run.best) for run in runs)
    assert all(torch.allclose(tensor, second[name], atol=1e-5) for name, tensor in first.items())


def test_packing_is_refused_where_the_model_mixes_texts() -> None:
    from transformers import BloomConfig, BloomForCausalLM, MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    mamba = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4))
    bloom = BloomForCausalLM(BloomConfig(vocab_size=50, hidden_size=16, n_layer=1, n_head=2))
    for model in (mamba, bloom):
        with pytest.raises(UserError, match="do not keep packed texts apart"):
            check_packing(model, torch.device("cpu"))


def test_packing_is_refused_for_judges_and_for_padding(
    home: Home, djs: DataInfo, sentences: DataInfo, tiny_gpt2: Path, tiny_bert: Path
) -> None:
    said = "packing=true is for writers"
    with pytest.raises(UserError, match=said):
        make_run(home, "cola", "sentences", tiny_bert, packing=True)
    with pytest.raises(UserError, match=said):
        make_run(home, "bios", "djs", tiny_gpt2, packing=True, padding="max_length")


def test_compiled_layers_learn_the_same(home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path) -> None:
    if not (shutil.which("g++") or shutil.which("clang++") or shutil.which("cl")):
        pytest.skip("there is no C++ compiler to compile with")
    base = no_dropout(tiny_gpt2, tmp_path / "base")
    common = {**LAST, "sample_every": 3, "sample_tokens": 4, "max_length": 48, "epochs": 1}
    runs = [make_run(home, "bios", "djs", base, compile=wanted, **common) for wanted in (False, True)]
    assert [work(run) for run in runs] == [0, 0]
    one, other = ([e.loss for e in run.history() if isinstance(e, Step)] for run in runs)
    assert one == pytest.approx(other, rel=1e-4)
    first, second = (weights(run.best) for run in runs)
    assert first.keys() == second.keys()
    assert all(torch.allclose(tensor, second[name], atol=1e-3) for name, tensor in first.items())


def test_a_machine_that_cannot_compile_is_told_so(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    torch._dynamo.reset()
    run = make_run(home, "bios", "djs", tiny_gpt2, compile=True, max_length=47, epochs=1, **LAST)
    assert work(run) == 2
    (failed,) = (event for event in run.history() if isinstance(event, Failed))
    assert "compile=true does not work here" in failed.message and "\n" not in failed.message


@pytest.mark.parametrize(
    "settings", [{"freeze": "0"}, {"lora_rank": 2}, {"average": "ema"}, {"packing": True}, {"compile": True}]
)
def test_a_model_in_shards_is_trained_whole(
    settings: dict[str, Any], home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    prepared = job.prepare(make_run(home, "bios", "djs", tiny_gpt2, **settings), None)
    sharded: Any = SimpleNamespace(distributed_type=DistributedType.FSDP)
    with pytest.raises(UserError, match=r"in shards \(FSDP\) is trained whole"):
        settle(prepared, sharded)
