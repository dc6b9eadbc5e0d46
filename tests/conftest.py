"""Tiny models of the real architectures, a data folder of its own for each test, and no network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NO_COLOR"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import hypothesis
import pytest

from bioforge.data import cola, store
from bioforge.data.store import DataInfo
from bioforge.paths import Home, assets
from tests.helpers import forty_bios, write_judge, write_tiny_gpt2

SHARED = Path(__file__).parents[2] / "shared" / "data"

# The same examples on every run: a change is judged by what it does, not by its luck.
hypothesis.settings.register_profile("bioforge", derandomize=True, deadline=None)
hypothesis.settings.load_profile("bioforge")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest goes first: another process does the rest meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_tutorial.py")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty data folder and an empty hub cache."""
    place = Home(tmp_path / "home")
    monkeypatch.setenv("BIOFORGE_HOME", str(place.root))
    # A library that is loaded with it set hands it on to every command.
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    return place


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine itself can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and str(address[0]) not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError(f"the network is closed to tests ({address})")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gpt2(tmp_path_factory.mktemp("bases") / "tiny-gpt2")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with two layers and a vocabulary of 600, trained on nothing."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    folder = tmp_path_factory.mktemp("bases") / "tiny-bert"
    folder.mkdir()
    texts = [row.sentence for row in cola.read_cola(assets() / "acceptability.tsv").judgements]
    wordpiece = BertWordPieceTokenizer(lowercase=True)
    wordpiece.train_from_iterator(texts, vocab_size=600, show_progress=False)
    wordpiece.save_model(str(folder))
    tokenizer: Any = BertTokenizer(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def exported_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge of chance weights with its graph."""
    from bioforge.judging.exporting import export_judge

    folder = write_judge(tiny_bert, tmp_path_factory.mktemp("judges") / "Bert", "Bert")
    export_judge(folder)
    return folder


@pytest.fixture
def djs(home: Home) -> DataInfo:
    return forty_bios(home)


@pytest.fixture
def sentences(home: Home) -> DataInfo:
    """Two hundred of the bundled judged sentences."""
    path = assets() / "acceptability.tsv"
    read = cola.read_cola(path)
    return store.add(home, "sentences", "cola", store.rows_of_cola(read)[:200], path, read)


@pytest.fixture(scope="session")
def shared_data() -> Iterator[Path]:
    """Real data beside the checkout; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    yield SHARED
