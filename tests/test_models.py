"""Bases in every place they may lie, the parameter tables of both tutorials, and the store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from bioforge.cli.app import app
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.models import bases, store
from bioforge.models.bases import check_family, folder_of, resolve
from bioforge.models.catalog import CATALOG, find
from bioforge.models.loading import load_model, load_tokenizer, parameters_of_folder
from bioforge.models.parameters import tabulate
from bioforge.models.tokenization import token_counts, tokenize
from bioforge.paths import Home
from bioforge.settings import load_settings
from tests.helpers import in_hub_cache, make_run, work


@pytest.mark.parametrize("repository", ["openai-community/gpt2", "gpt2"])
def test_gpt2_is_found_in_the_hub_cache_under_both_its_ids(
    repository: str, home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    with pytest.raises(UserError, match="bioforge models pull gpt2"):
        resolve(home, "gpt2")
    snapshot = in_hub_cache(tiny_gpt2, repository, home)
    local = resolve(home, "gpt2")
    assert (local.name, local.folder, local.revision) == ("gpt2", snapshot, snapshot.name)
    from bioforge.runs.start import new_run

    run = new_run(home, "bios", "djs", "gpt2", "quick", ["max_length=32", "epochs=1", "sample_every=0"])
    assert work(run) == 0
    assert store.info(home, "djs").licence == "MIT"


def test_bert_base_uncased_is_found_in_the_hub_cache(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    in_hub_cache(tiny_bert, "google-bert/bert-base-uncased", home)
    from bioforge.runs.start import new_run

    assert work(new_run(home, "cola", "sentences", None, "quick", ["epochs=1"])) == 0
    assert store.info(home, "sentences").base == "bert-base-uncased"


def test_any_hub_id_that_was_pulled_is_a_base(home: Home, tiny_bert: Path) -> None:
    with pytest.raises(UserError, match="bioforge models pull someone/model"):
        resolve(home, "someone/model")
    in_hub_cache(tiny_bert, "someone/model", home)
    assert resolve(home, "someone/model").source == "hub: someone/model"


def test_a_half_downloaded_snapshot_is_not_here(home: Home, tiny_bert: Path) -> None:
    snapshot = in_hub_cache(tiny_bert, "someone/model", home)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(UserError, match="not in the local hub cache"):
        resolve(home, "someone/model")
    assert folder_of(home, "someone/model") is None


def test_missing_shards_are_noticed(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    assert bases.weights_of(tmp_path) == []
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"")
    assert len(bases.weights_of(tmp_path)) == 2


def test_a_folder_with_a_pickle_only_is_refused(home: Home, tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickle only \(pytorch_model\.bin\)"):
        resolve(home, str(folder))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gtp2", "did you mean 'gpt2'"),
        ("/nowhere/at/all", "no such folder"),
        ("./", "config.json is missing"),
        ("minilm-l6", "bioforge models pull minilm-l6"),
        ("../../etc/passwd", "no such folder|config.json"),
    ],
)
def test_an_unknown_base_says_what_to_do(
    name: str, said: str, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match=said):
        resolve(home, name)


def test_an_encoder_cannot_write(home: Home, djs: DataInfo, tiny_bert: Path) -> None:
    with pytest.raises(UserError, match="encoder .* cannot|can judge but not write"):
        make_run(home, "bios", "djs", tiny_bert)
    assert not home.runs.exists()


def test_a_language_model_can_judge(home: Home, sentences: DataInfo, tiny_gpt2: Path) -> None:
    assert check_family(resolve(home, str(tiny_gpt2)), "cola") == "causal"
    assert work(make_run(home, "cola", "sentences", tiny_gpt2, epochs=1)) == 0
    assert "mcc" in store.info(home, "sentences").metrics


def test_a_damaged_weights_file_is_one_clear_line(home: Home, tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_bert, folder)
    (folder / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(folder, "cola")


def test_remote_code_is_never_run(tiny_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    marker = tmp_path / "ran"
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(folder, "cola")
    assert not marker.exists()


def full_size(folder: Path, model: str) -> Path:
    """The configuration alone: shapes need no weights."""
    from transformers import BertConfig, GPT2Config

    config: Any = GPT2Config(vocab_size=50259, architectures=["GPT2LMHeadModel"])
    if model == "bert":
        config = BertConfig(architectures=["BertForMaskedLM"])
    config.save_pretrained(folder)
    return folder


def test_the_parameter_table_of_tutorial_1(tmp_path: Path) -> None:
    table = tabulate(parameters_of_folder(full_size(tmp_path, "gpt2"), "bios"))
    assert table.tensors == 148
    assert table.embedding == (
        ("transformer.wte.weight", (50259, 768)),
        ("transformer.wpe.weight", (1024, 768)),
    )
    assert [name.removeprefix("transformer.h.0.") for name, _ in table.first_block] == [
        "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
        "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    ]  # fmt: skip
    assert dict(table.first_block)["transformer.h.0.attn.c_attn.weight"] == (768, 2304)
    assert table.output == (("transformer.ln_f.weight", (768,)), ("transformer.ln_f.bias", (768,)))


def test_the_true_gpt2_vocabulary_with_the_tutorials_tokens(shared_data: Path, tmp_path: Path) -> None:
    """50,257 tokens; `<|startoftext|>` and `<|pad|>` make it the tutorial's 50,259."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from bioforge.training.job import TUTORIAL_TOKENS

    for name in ("vocab.json", "merges.txt"):
        shutil.copy(shared_data / "gpt2-tokenizer" / name, tmp_path / name)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    GPT2Config().save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert len(tokenizer) == 50257 and tokenizer.eos_token_id == 50256
    tokenizer.add_special_tokens(TUTORIAL_TOKENS)
    assert len(tokenizer) == 50259
    with torch.device("meta"):
        model: Any = GPT2LMHeadModel(GPT2Config())
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    parameters = [(name, tuple(p.shape)) for name, p in model.named_parameters()]
    assert len(parameters) == 148
    assert parameters[0] == ("transformer.wte.weight", (50259, 768))
    text = "Born in São Paulo, she played “Blue Monday” twice."
    assert tokenize(tmp_path, text)[1] == tokenizer(text)["input_ids"]


def test_the_parameter_table_of_tutorial_2(tmp_path: Path) -> None:
    table = tabulate(parameters_of_folder(full_size(tmp_path, "bert"), "cola"))
    assert table.tensors == 201
    assert len(table.embedding) == 5 and table.embedding[0][1] == (30522, 768)
    assert len(table.first_block) == 16
    assert [name for name, _ in table.output] == [
        "bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    assert table.output[2][1] == (2, 768)


def test_light_tokens_equal_transformers(tiny_gpt2: Path, tiny_bert: Path) -> None:
    text = "They drank the pub dry, didn't they? Émile <|endoftext|> [SEP]"
    for folder in (tiny_gpt2, tiny_bert):
        theirs: Any = load_tokenizer(folder)
        ids = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert tokenize(folder, text)[1] == ids
        assert token_counts(folder, [text, "short"]) == [len(ids), len(tokenize(folder, "short")[1])]


@pytest.fixture
def judge(home: Home, sentences: DataInfo, tiny_bert: Path) -> str:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    return "sentences"


def test_plain_transformers_loads_a_stored_judge(home: Home, judge: str) -> None:
    from transformers import AutoModelForSequenceClassification, pipeline

    from bioforge.judging.judge import open_judge

    folder = store.folder(home, judge)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "unacceptable", 1: "acceptable"}
    # Attention dropout and the like are the base's own again.
    assert model.config.attention_probs_dropout_prob == 0.1
    pipe: Any = pipeline("text-classification", model=str(folder), top_k=None)
    sentence = "Where are the ladder to the loft?"
    scores = {item["label"]: item["score"] for item in pipe([sentence])[0]}
    (verdict,) = open_judge(folder).verdicts([sentence])
    assert verdict.probability == pytest.approx(scores["acceptable"], abs=1e-5)


def test_plain_transformers_loads_a_stored_writer(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    from transformers import pipeline

    assert work(make_run(home, "bios", "djs", tiny_gpt2, epochs=1, max_length=64, sample_every=0)) == 0
    folder = store.folder(home, "djs")
    assert json.loads((folder / "config.json").read_text())["attn_pdrop"] == 0.1
    pipe: Any = pipeline("text-generation", model=str(folder))
    assert pipe("Born in", max_new_tokens=5, do_sample=False)[0]["generated_text"].startswith("Born in")


def test_names_are_never_taken_twice_unless_asked(
    home: Home, judge: str, sentences: DataInfo, tiny_bert: Path
) -> None:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    assert {info.name for info in store.listing(home)[0]} == {"sentences", "sentences-2"}
    from bioforge.runs.start import new_run

    with pytest.raises(UserError, match="--replace"):
        new_run(home, "cola", "sentences", str(tiny_bert), model="sentences")
    with pytest.raises(UserError, match="is a path"):
        new_run(home, "cola", "sentences", str(tiny_bert), model="../evil")
    before = store.info(home, "sentences").created
    run = new_run(
        home,
        "cola",
        "sentences",
        str(tiny_bert),
        "quick",
        ["epochs=1"],
        model="sentences",
        replace_model=True,
    )
    assert work(run) == 0
    assert store.info(home, "sentences").created > before


def test_a_trained_model_is_a_base_too(home: Home, judge: str, sentences: DataInfo) -> None:
    local = resolve(home, judge)
    assert local.source == "model: sentences"
    assert work(make_run(home, "cola", "sentences", local.folder, epochs=1)) == 0


def test_defaults_export_and_removal(home: Home, judge: str, tmp_path: Path) -> None:
    assert store.default_model(home, "cola") == judge
    with pytest.raises(UserError, match="no writer yet"):
        store.default_model(home, "bios")
    store.set_default(home, judge)
    assert load_settings(home).judge == judge
    target = store.export(home, judge, tmp_path / "out")
    assert {path.name for path in target.iterdir()} >= {"config.json", "model.safetensors", "README.md"}
    with pytest.raises(UserError, match="exists"):
        store.export(home, judge, tmp_path / "out")
    store.remove(home, judge)
    assert load_settings(home).judge is None and store.listing(home) == ([], [])
    assert (target / "model.safetensors").exists()
    with pytest.raises(UserError, match="no model 'sentences'"):
        store.folder(home, judge)


def test_damaged_model_facts_are_one_clear_line(home: Home, judge: str) -> None:
    (home.models / judge / store.INFO_FILE).write_text('{"name": 1}')
    with pytest.raises(UserError, match=r"bioforge\.json is missing or damaged"):
        store.info(home, judge)


def test_a_model_that_lost_its_facts_can_be_removed(home: Home, judge: str) -> None:
    store.set_default(home, judge)
    (home.models / judge / store.INFO_FILE).unlink()
    with pytest.raises(UserError, match=r"bioforge\.json is missing; remove the model"):
        store.folder(home, judge)
    removed = CliRunner().invoke(app, ["models", "remove", judge, "--yes"])
    assert removed.exit_code == 0, removed.output
    assert not list(home.models.iterdir()) and load_settings(home).judge is None


def test_of_a_removal_that_is_cut_off_nothing_stays_under_the_name(
    home: Home, judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        (path / store.INFO_FILE).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove(home, judge)
    assert store.listing(home) == ([], []) and store.free_name(home, judge) == judge


def test_the_catalog_is_consistent() -> None:
    assert len({base.name for base in CATALOG}) == len(CATALOG)
    for base in CATALOG:
        assert find(base.name) is base
    assert find("openai-community/gpt2") is find("gpt2")
    assert find("nothing") is None
