"""What the child process does with models: write, judge, estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bioforge.generation.writer import Sampling, Writer
from bioforge.judging.judge import Judge
from bioforge.models import store
from bioforge.service.worker import Context

_loaded: dict[str, tuple[Path, int, Any]] = {}
"""The writer and the judge used last, kept warm: kind to folder, its date, and the model."""


def _warm(context: Context, kind: str, name: str, load: Callable[[Path], Any]) -> Any:
    folder = store.folder(context.home, name)
    date = (folder / store.INFO_FILE).stat().st_mtime_ns
    known = _loaded.get(kind)
    if known and known[:2] == (folder, date):
        return known[2]
    context.progress({"loading": name})
    _loaded.pop(kind, None)
    model = load(folder)
    _loaded[kind] = (folder, date, model)
    return model


def generate(
    context: Context, model: str, prompt: str, n: int, sampling: dict[str, Any], seed: int
) -> list[dict[str, Any]]:
    """Write `n` texts; progress `{"text": index, "more": "…"}` as each grows, all of them side by side."""
    writer: Writer = _warm(context, "writer", model, Writer.load)
    context.progress({"writing": model})
    texts = writer.write(
        prompt,
        n,
        Sampling(**sampling),
        seed,
        on_text=lambda index, more: context.progress({"text": index, "more": more}),
        should_stop=context.cancelled,
    )
    return [asdict(text) for text in texts]


def judge(context: Context, model: str, sentences: list[str]) -> dict[str, Any]:
    """Probabilities of `acceptable`; progress `{"judged": count}` while a long list is under way."""
    loaded: Judge = _warm(context, "judge", model, Judge.load)
    verdicts: list[dict[str, Any]] = []
    for verdict in loaded.verdicts(sentences):
        if context.cancelled():
            break
        verdicts.append({"probability": verdict.probability, "truncated": verdict.truncated})
        if len(verdicts) % 256 == 0:
            context.progress({"judged": len(verdicts)})
    return {"threshold": loaded.threshold, "verdicts": verdicts}


TASKS = {"generate": generate, "judge": judge}
