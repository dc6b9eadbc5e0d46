"""`bioforge generate`."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioforge.cli.console import note, show_json, stop_on_interrupt
from bioforge.cli.options import JsonFlag, SeedOption
from bioforge.errors import ExitCode, UserError

if TYPE_CHECKING:
    from bioforge.drafting.desk import Desk
    from bioforge.drafting.order import Order

EXAMPLE = 'Example: bioforge generate "Born in Lagos," --n 3 --judge --max-copy 12 --seed 7'
_RANKED, _STEERED, _FILES = "Ranked and original", "Steered", "From files, into files"


def generate(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help="What texts start with; nothing: the model begins."),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=1000, help="How many texts a prompt.")] = 1,
    model: Annotated[
        str | None, typer.Option(help="A writer you trained; the default one if left out.")
    ] = None,
    top_k: Annotated[int, typer.Option(min=0, help="Draw from the k likeliest tokens; 0: all.")] = 50,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1, help="And from the likeliest that reach p.")
    ] = 0.95,
    temperature: Annotated[
        float, typer.Option(min=0, max=10, help="Below 1 safer, above 1 wilder; 0: no randomness.")
    ] = 1.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest text in tokens.")] = 200,
    seed: SeedOption = None,
    trim: Annotated[
        bool, typer.Option(help="End at the last whole sentence, and stop what goes round in circles.")
    ] = True,
    no_repeat: Annotated[
        int, typer.Option(min=0, metavar="N", help="Never the same N tokens in a row twice; 0: allowed.")
    ] = 0,
    judge: Annotated[
        bool, typer.Option("--judge", help="Keep the drafts a judge finds best.", rich_help_panel=_RANKED)
    ] = False,
    judge_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Which judge; the default one if left out.", rich_help_panel=_RANKED
        ),
    ] = None,
    drafts: Annotated[
        int | None,
        typer.Option(min=1, help="Drafts a prompt and round; 4 n with a judge.", rich_help_panel=_RANKED),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Draw again what scores less; asks a judge.", rich_help_panel=_RANKED
        ),
    ] = None,
    max_copy: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="WORDS",
            help="Draw again what copies more words in a row.",
            rich_help_panel=_RANKED,
        ),
    ] = None,
    copies: Annotated[
        bool | None,
        typer.Option(help="Measure copying; else where that is quick.", rich_help_panel=_RANKED),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="Draw again at most so often.", rich_help_panel=_RANKED)
    ] = 3,
    words: Annotated[
        str | None,
        typer.Option(metavar="60-120", help="Words a text; ends at a sentence.", rich_help_panel=_STEERED),
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(min=1, help="Sentences a text.", rich_help_panel=_STEERED)
    ] = None,
    ban: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="A word no text may hold.", rich_help_panel=_STEERED),
    ] = None,
    ban_file: Annotated[
        Path | None, typer.Option(help="Such words, one a line.", rich_help_panel=_STEERED)
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help='A prompt with fields: "{name} is a DJ from {city}."', rich_help_panel=_STEERED),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What fills a field.", rich_help_panel=_STEERED),
    ] = None,
    fields_from: Annotated[
        Path | None, typer.Option(help="A CSV of fields, a prompt a row.", rich_help_panel=_FILES)
    ] = None,
    prompts_from: Annotated[
        Path | None, typer.Option(help="Prompts, one a line.", rich_help_panel=_FILES)
    ] = None,
    go_on: Annotated[
        str | None,
        typer.Option("--continue", metavar="FILE|-", help="A draft to go on with.", rich_help_panel=_FILES),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Into a .csv, .jsonl or .txt.", rich_help_panel=_FILES)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if that file exists.", rich_help_panel=_FILES)
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write texts with a model you trained. Exit code 1: fewer than asked for held to what was demanded."""
    from bioforge.drafting.order import Order, read_banned, read_length
    from bioforge.drafting.output import check_target
    from bioforge.drafting.prompts import Beginnings
    from bioforge.generation.sampling import SEEDS, Sampling
    from bioforge.models import store
    from bioforge.paths import home

    beginnings = Beginnings(prompts or (), prompts_from, template, field or (), fields_from, go_on)
    is_judged = judge or judge_model is not None or min_score is not None
    order = Order(
        beginnings.read(),
        n,
        Sampling(max_new_tokens, top_k, top_p, temperature),
        random.randrange(SEEDS) if seed is None else seed % SEEDS,
        drafts,
        rounds,
        is_judged,
        min_score,
        max_copy,
        read_length(words, sentences),
        read_banned(ban or (), ban_file),
        no_repeat,
        trim,
    )
    if out:
        check_target(out, order.prompts, replace)
    name = model or store.default_model(home(), "bios")
    info = store.info(home(), name)
    if info.task != "bios":
        raise UserError(f"the model '{name}' is a judge; use it with: bioforge check --model {name}")
    judged_by = (judge_model or store.default_model(home(), "cola")) if is_judged else None
    if judged_by and store.info(home(), judged_by).task != "cola":
        raise UserError(f"the model '{judged_by}' is a writer; name a judge, see: bioforge models list")
    first = order.prompts[0].text if order.prompts else ""
    if judge and not judge_model and first and "/" not in first and (home().models / first).is_dir():
        raise UserError(f"to have the texts judged by it, write: --judge-model {first}")
    note(f"{name}, seed {order.seed}{f', judged by {judged_by}' if judged_by else ''}")
    from bioforge.drafting.copies import copies_at_hand
    from bioforge.drafting.desk import Desk
    from bioforge.generation.writer import Writer
    from bioforge.judging.judge import open_judge

    index, why_not = copies_at_hand(home(), info, True if max_copy else copies, note)
    desk = Desk(
        Writer.load(store.folder(home(), name)),
        open_judge(store.folder(home(), judged_by)) if judged_by else None,
        index,
    )
    if order.is_plain and not as_json and not out:
        _stream(desk, order)
    else:
        _write(desk, order, out, {"model": name, "judge": judged_by} if as_json else None)
    if why_not:
        note(why_not)


def _stream(desk: Desk, order: Order) -> None:
    """One text, shown as it comes."""
    from bioforge.drafting.desk import Settling
    from bioforge.reporting.drafts import cut, facts
    from bioforge.reporting.text import safe

    def say(text: str) -> None:
        sys.stdout.write(safe(text))
        sys.stdout.flush()

    settling = Settling(order.prompts[0].text, say)
    grow = settling.grow if order.trim else say
    (outcome,) = desk.write(order, on_text=lambda _, more: grow(more))
    (draft,) = outcome.texts
    if order.trim:
        settling.finish(draft.text)
    say("\n")
    note(f"{facts(draft)} {cut(draft)}".strip())


def _write(desk: Desk, order: Order, out: Path | None, described: dict[str, str | None] | None) -> None:
    """Texts that must be whole before any is shown: numbered, in a file, or as JSON where it is `described`.

    Texts whose file cannot be written are shown instead, before that error is raised.
    """
    from bioforge.drafting.cleaning import NO_WHOLE_SENTENCE
    from bioforge.drafting.output import write
    from bioforge.reporting.drafts import cut, facts, numbered, shortfall, summary
    from bioforge.reporting.text import safe

    with stop_on_interrupt() as stopped:
        outcomes = desk.write(order, note, should_stop=stopped)
        texts = [draft for outcome in outcomes for draft in outcome.texts]
        if stopped():
            texts = [draft for draft in texts if draft.tokens and NO_WHOLE_SENTENCE not in draft.flaws]
    lost: UserError | None = None
    if out and texts:
        try:
            write(out, texts)
            note(f"{summary(outcomes)} in {out}")
        except UserError as error:
            lost, out = error, None
    elif out:
        note(f"{summary(outcomes)}: {out} is not written")
    if described is not None:
        show_json(
            {
                **described,
                "seed": order.seed,
                "prompt": order.prompts[0].text if len(order.prompts) == 1 else None,
                "texts": [asdict(draft) for draft in texts],
                "asked": order.n * len(order.prompts),
                "drafts": sum(len(outcome.drafts) for outcome in outcomes),
            }
        )
    elif not out and order.n * len(order.prompts) == 1:
        for draft in texts:
            sys.stdout.write(f"{safe(draft.text)}\n")
            note(f"{facts(draft)} {'' if order.length.is_set else cut(draft)}".strip())
    elif not out:
        for index, draft in enumerate(texts, 1):
            text, known = numbered(index, draft, order.trim)
            sys.stdout.write(f"{text}\n{known}\n\n")
    if lost:
        raise lost
    if stopped():
        raise typer.Exit(ExitCode.INTERRUPTED)
    short = [line for outcome in outcomes if (line := shortfall(outcome, order))]
    for line in short:
        note(line)
    if short:
        raise typer.Exit(ExitCode.FOUND)
