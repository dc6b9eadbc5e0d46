"""A model as a small difference to its base, and back: against numpy, and against the model itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.models import delta, store
from bioforge.models.catalog import Task
from bioforge.models.loading import load_model, load_tokenizer
from bioforge.paths import Home
from bioforge.runs.start import new_run
from tests.helpers import everything_in, work
from tests.wheels import ship_base


def train(home: Home, task: Task, data: str, base: str, name: str, *settings: str) -> Path:
    quick = ["epochs=1", "max_steps=8", "learning_rate=1e-3", *settings]
    if task == "bios":
        quick += ["sample_every=0", "max_length=48"]
    assert work(new_run(home, task, data, base, "quick", quick, model=name)) == 0
    return store.folder(home, name)


@pytest.fixture
def encoder(home: Home, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    ship_base(home, "tiny-encoder", "encoder", tiny_bert, monkeypatch)
    return "tiny-encoder"


@pytest.fixture
def causal(home: Home, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    ship_base(home, "tiny-causal", "causal", tiny_gpt2, monkeypatch)
    return "tiny-causal"


def logits(folder: Path, task: Task, text: str = "The band were played until midnight the.") -> torch.Tensor:
    tokenizer: Any = load_tokenizer(folder)
    model: Any = load_model(folder, task).eval()
    with torch.inference_mode():
        found: torch.Tensor = model(**tokenizer(text, return_tensors="pt")).logits
    return found


def test_a_judge_trained_by_lora_comes_back_with_nothing_lost(
    home: Home, sentences: DataInfo, encoder: str, tmp_path: Path
) -> None:
    folder = train(home, "cola", "sentences", encoder, "judge", "lora_rank=4")
    kept = delta.make(home, "judge", 4, tmp_path / "again")
    assert kept == pytest.approx(1, abs=1e-6)
    info = delta.merge(home, tmp_path / "again")
    assert info.name == "again" and info.metrics == store.info(home, "judge").metrics
    merged = store.folder(home, "again")
    ours, theirs = load_file(folder / "model.safetensors"), load_file(merged / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours) < 2e-4  # float16
    assert torch.allclose(logits(folder, "cola"), logits(merged, "cola"), atol=1e-3)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((folder / name).read_text()) == json.loads((merged / name).read_text()), name
    assert not [path for path in home.models.iterdir() if path.name.startswith(".")]


def test_a_writer_trained_by_lora_comes_back_with_nothing_lost(
    home: Home, djs: DataInfo, causal: str, tmp_path: Path
) -> None:
    folder = train(home, "bios", "djs", causal, "writer", "lora_rank=4")
    delta.make(home, "writer", 4, tmp_path / "again")
    delta.merge(home, tmp_path / "again")
    assert torch.allclose(
        logits(folder, "bios"), logits(store.folder(home, "again"), "bios"), atol=1e-3, rtol=1e-3
    )
    assert not torch.allclose(logits(folder, "bios"), logits(home.bases / causal, "bios"), atol=1e-3)


def test_layers_become_the_best_approximation_of_the_rank_and_embeddings_the_bases(
    home: Home, sentences: DataInfo, encoder: str, tmp_path: Path
) -> None:
    folder = train(home, "cola", "sentences", encoder, "judge")
    kept = delta.make(home, "judge", 3, tmp_path / "small")
    assert 0.1 < kept < 0.999
    card = (tmp_path / "small" / "README.md").read_text()
    assert f"rank 3 for its layers, which keep {100 * kept:.1f} %" in card and "PeftModel" in card
    delta.merge(home, tmp_path / "small")
    ours = load_file(folder / "model.safetensors")
    merged = load_file(store.folder(home, "small") / "model.safetensors")
    base = load_file(home.bases / encoder / "model.safetensors")
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    u, s, v = np.linalg.svd(ours[name] - base[name], full_matrices=False)
    assert np.allclose(merged[name], base[name] + (u[:, :3] * s[:3]) @ v[:3], atol=1e-4)
    words = "bert.embeddings.word_embeddings.weight"
    assert (merged[words] == base[words]).all() and not (ours[words] == base[words]).all()
    assert np.allclose(merged["classifier.weight"], ours["classifier.weight"], atol=1e-4)
    assert np.allclose(merged["bert.pooler.dense.weight"], ours["bert.pooler.dense.weight"], atol=1e-4)


def test_a_base_with_other_weights_is_refused(
    home: Home, sentences: DataInfo, encoder: str, tmp_path: Path
) -> None:
    train(home, "cola", "sentences", encoder, "judge")
    delta.make(home, "judge", 2, tmp_path / "small")
    weights = home.bases / encoder / "model.safetensors"
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + np.float32(1e-6)
    weights.unlink()
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match="has other weights than the one 'small' was made from"):
        delta.merge(home, tmp_path / "small")
    assert not (home.models / "small").exists()


def test_the_hash_of_weights_does_not_depend_on_how_they_lie_in_files(
    tiny_bert: Path, tmp_path: Path
) -> None:
    model = load_model(tiny_bert, "cola")
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "shards", max_shard_size="30kB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    assert delta.weights_hash(tmp_path / "one") == delta.weights_hash(tmp_path / "shards")
    assert delta.weights_hash(tmp_path / "one") != delta.weights_hash(tiny_bert)


def test_what_cannot_be_a_delta_says_why_and_leaves_nothing(
    home: Home, sentences: DataInfo, djs: DataInfo, encoder: str, tmp_path: Path, tiny_gpt2: Path
) -> None:
    train(home, "cola", "sentences", encoder, "judge")
    before = everything_in(home.root)
    for rank in (0, 33):
        with pytest.raises(UserError, match=f"between 1 and 32 for 'judge', not {rank}"):
            delta.make(home, "judge", rank, tmp_path / "out")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="taken exists"):
        delta.make(home, "judge", 2, tmp_path / "taken")
    shutil.rmtree(home.bases / encoder)
    with pytest.raises(UserError, match=f"bioforge models pull {encoder}"):
        delta.make(home, "judge", 2, tmp_path / "out")
    shutil.copytree(tiny_gpt2, home.bases / encoder)
    with pytest.raises(UserError, match="has other tensors than its base 'tiny-encoder'"):
        delta.make(home, "judge", 2, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list((tmp_path / "taken").iterdir())
    assert {name for name in before if name.startswith("models")} == {
        name for name in everything_in(home.root) if name.startswith("models")
    }
