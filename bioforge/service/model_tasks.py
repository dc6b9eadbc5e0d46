"""What the child process does with models: write, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bioforge.checking.inputs import MARKDOWN
from bioforge.checking.markdown import spans_of_markdown
from bioforge.data.decode import decode, read_bytes
from bioforge.drafting.cleaning import NO_WHOLE_SENTENCE
from bioforge.drafting.copies import Copies, copies_at_hand
from bioforge.drafting.desk import Desk
from bioforge.drafting.draft import Draft
from bioforge.drafting.order import Order
from bioforge.drafting.prompts import Prompt
from bioforge.errors import UserError
from bioforge.files import human_size
from bioforge.generation.writer import Sampling, Writer
from bioforge.judging.judge import Judge, open_judge
from bioforge.judging.sentences import split
from bioforge.models import store
from bioforge.reporting.drafts import ranking_facts
from bioforge.service.worker import Context

_PART = 256
"""Sentences judged between two looks at whether to stop."""
_LARGEST_FILE = 20_000_000

_loaded: dict[str, tuple[Path, int, Any]] = {}
"""The writer, what it learnt from, and the judge used last, kept warm: kind to folder, its date, and what was loaded."""


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
    context: Context,
    model: str,
    prompt: str,
    n: int,
    sampling: dict[str, Any],
    seed: int,
    judge: str | None = None,
) -> list[dict[str, Any]]:
    """Write `n` texts, side by side; progress `{"text": index, "more": "…"}` as each grows.

    With a judge those it finds best of more drafts, trimmed to whole sentences, fewer than `n` where drafts say the
    same; progress `{"doing": "…"}` meanwhile, for they are chosen when all are whole.
    """
    writer: Writer = _warm(context, "writer", model, Writer.load)
    chooser: Judge | None = _warm(context, "judge", judge, open_judge) if judge else None
    order = Order([Prompt(prompt)], n, Sampling(**sampling), seed, is_judged=bool(judge), trim=bool(judge))
    if not judge:
        context.progress({"writing": model})
    (outcome,) = Desk(writer, chooser).write(
        order,
        say=lambda what: context.progress({"doing": what}),
        on_text=None if judge else lambda index, more: context.progress({"text": index, "more": more}),
        should_stop=context.cancelled,
    )
    copies = None if context.cancelled() else _copies(context, model)
    return [_written(draft, copies) for draft in outcome.texts]


def _copies(context: Context, model: str) -> Copies | None:
    """What `model` learnt from, kept warm; None where it is gone, or too much to read unasked."""

    def at_hand(_: Path) -> Copies | None:
        found, _why = copies_at_hand(
            context.home,
            store.info(context.home, model),
            None,
            lambda what: context.progress({"doing": what}),
        )
        return found

    copies: Copies | None = _warm(context, "copies", model, at_hand)
    if copies is None:
        del _loaded["copies"]
    return copies


def _written(draft: Draft, copies: Copies | None) -> dict[str, Any]:
    if copies:
        draft = replace(draft, copied=copies.of(draft.text, len(draft.prompt)))
    return {
        "text": draft.text,
        "tokens": draft.tokens,
        "ended": draft.ended,
        "whole": draft.ended or (draft.place is not None and NO_WHOLE_SENTENCE not in draft.flaws),
        "seed": draft.seed,
        "facts": ranking_facts(draft),
    }


def judge_text(context: Context, model: str, text: str) -> dict[str, Any]:
    """The judge's `threshold`, and the `sentences` of `text`, each as start, end, probability, truncated.

    Progress `{"judged": count, "of": count}`.
    """
    return _judged(context, model, [(start, end, text[start:end]) for start, end in split(text)])


def _judged(context: Context, model: str, sentences: list[tuple[int, int, str]]) -> dict[str, Any]:
    judge: Judge = _warm(context, "judge", model, open_judge)
    found: list[tuple[int, int, float, bool]] = []
    for first in range(0, len(sentences), _PART):
        if context.cancelled():
            break
        part = sentences[first : first + _PART]
        verdicts = judge.verdicts(text for _, _, text in part)
        found += [
            (start, end, verdict.probability, verdict.truncated)
            for (start, end, _), verdict in zip(part, verdicts, strict=True)
        ]
        context.progress({"judged": len(found), "of": len(sentences)})
    return {"threshold": judge.threshold, "sentences": found}


def judge_file(context: Context, model: str, path: str) -> dict[str, Any]:
    """As `judge_text`, of the text in a file, which comes with it as `text`; of Markdown only what a reader reads.

    Raises UserError for a file that holds no text, or more than a screen is good for.
    """
    raw = read_bytes(Path(path))
    if len(raw) > _LARGEST_FILE:
        raise UserError(
            f"{path} has {human_size(len(raw))}, and this takes {human_size(_LARGEST_FILE)}; use: bioforge check FILE"
        )
    text, _ = decode(raw, path)
    if Path(path).suffix.lower() in MARKDOWN:
        return {"text": text, **_judged(context, model, list(spans_of_markdown(text)))}
    return {"text": text, **judge_text(context, model, text)}


TASKS = {"generate": generate, "judge_text": judge_text, "judge_file": judge_file}
