"""`bioforge evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from bioforge.cli.console import note, show, show_json
from bioforge.cli.options import JsonFlag

EXAMPLE = "Example: bioforge evaluate my-judge cola"


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model; see: bioforge models list")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Name of a data set; see: bioforge data list")],
    samples: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Writers: texts drawn to see what it says by heart; 0: none."),
    ] = 32,
    as_json: JsonFlag = False,
) -> None:
    """Measure a model on data it was not trained on: MCC for judges, bits a byte for writers."""
    from bioforge.data import store as data_store
    from bioforge.models import store
    from bioforge.paths import home

    info = store.info(home(), model)
    loaded = data_store.load(home(), data)
    folder = store.folder(home(), model)
    if info.task == "cola":
        from bioforge.evaluation.judge import evaluate_judge
        from bioforge.judging.judge import open_judge
        from bioforge.reporting.scores import judge_lines

        judge = open_judge(folder)
        scores = evaluate_judge(judge, loaded)
        if as_json:
            show_json(
                {
                    "model": model,
                    "data": data,
                    "threshold": judge.threshold,
                    "scores": [asdict(s) for s in scores],
                }
            )
            return
        for score in scores:
            show(*(Text(line) for line in judge_lines(asdict(score), judge.threshold)), "")
        return
    from bioforge.evaluation.memory import memory_lines, memory_of
    from bioforge.evaluation.writer import evaluate_writer
    from bioforge.generation.writer import Writer

    writer = Writer.load(folder)
    result = evaluate_writer(writer, info, loaded)
    memory, why_not = memory_of(home(), writer, info, samples, note) if samples else (None, "")
    if why_not:
        note(why_not)
    if as_json:
        show_json(
            {
                "model": model,
                "data": data,
                **asdict(result),
                "memory": asdict(memory) if memory else None,
            }
        )
        return
    low, high = result.bits_per_byte_interval
    show(
        f"{result.rows}: {result.documents:,} texts, {result.tokens:,} tokens",
        f"  loss           {result.loss:.4f} nats a token",
        f"  perplexity     {result.perplexity:.2f}",
        f"  bits per byte  {result.bits_per_byte:.4f}  (95 %: {low:.4f} to {high:.4f})",
    )
    if memory:
        show(*memory_lines(memory))
    if result.truncated:
        note(
            f"{result.truncated:,} texts are longer than the model's {info.max_length:,} tokens and were read so far"
        )
