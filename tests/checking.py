"""A judge for tests of `check`, and a check without a process of its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from bioforge.checking.session import Request, Session, Streams
from bioforge.judging.judge import Judge
from bioforge.models.store import ModelInfo


@dataclass
class FakeJudge(Judge):
    """Refuses what holds the word `wrong`, the more the oftener; remembers what it was asked."""

    info: ModelInfo = field(default_factory=lambda: fake_info())
    asked: list[str] = field(default_factory=list)
    remember: bool = True

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        if self.remember:
            self.asked += sentences
        found = [0.9 / (1 + 8 * sentence.lower().count("wrong")) for sentence in sentences]
        return found, [len(sentence) > 5000 for sentence in sentences]


def fake_info() -> ModelInfo:
    return ModelInfo(
        "fake", "cola", "base", "hub", "2026-01-01T00:00:00+00:00", "run", "data", "f", {}, {}, 1, 64, 0.5
    )


@dataclass
class Checked:
    code: int
    out: str
    notes: list[str]
    judge: FakeJudge


def check(*inputs: str | Path, stdin: bytes = b"", width: int | None = None, **options: Any) -> Checked:
    """What `bioforge check` does with these inputs; `width` makes its output a terminal."""
    judge, notes, out = FakeJudge(), list[str](), io.StringIO()
    console = Console(
        file=out,
        width=width or 160,
        force_terminal=width is not None,
        markup=False,
        highlight=False,
        emoji=False,
        color_system=None,
    )
    streams = Streams(console, notes.append, lambda: io.BytesIO(stdin))
    session = Session(Request([str(item) for item in inputs], **options), streams, judge)
    code = session.run(session.expand())
    return Checked(code, out.getvalue(), notes, judge)
