"""`bioforge generate`."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from bioforge.cli.console import note, show_json
from bioforge.cli.options import JsonFlag, SeedOption

EXAMPLE = 'Example: bioforge generate "Born in Lagos," --n 3 --temperature 0.8 --seed 7'


def generate(
    prompt: Annotated[str, typer.Argument(help="What the text starts with; nothing: the model begins.")] = "",
    n: Annotated[
        int, typer.Option("--n", "-n", min=1, max=1000, help="How many texts, drawn in one batch.")
    ] = 1,
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
    as_json: JsonFlag = False,
) -> None:
    """Write texts with a model you trained."""
    from bioforge.errors import UserError
    from bioforge.models import store
    from bioforge.paths import home
    from bioforge.reporting.text import safe

    name = model or store.default_model(home(), "bios")
    info = store.info(home(), name)
    if info.task != "bios":
        raise UserError(f"the model '{name}' is a judge; use it with: bioforge check --model {name}")
    drawn_seed = random.randrange(2**31) if seed is None else seed
    note(f"{name}, seed {drawn_seed}")
    from bioforge.generation.writer import Sampling, Writer

    writer = Writer.load(store.folder(home(), name))
    sampling = Sampling(max_new_tokens, top_k, top_p, temperature)
    if n == 1 and not as_json:

        def say(text: str) -> None:
            sys.stdout.write(safe(text))
            sys.stdout.flush()

        text = writer.write(prompt, 1, sampling, drawn_seed, on_text=lambda _, more: say(more))[0]
        say("\n")
        if not text.ended:
            note(f"(cut at {text.tokens} tokens; --max-new-tokens allows more)")
        return
    texts = writer.write(prompt, n, sampling, drawn_seed)
    if as_json:
        show_json(
            {"model": name, "seed": drawn_seed, "prompt": prompt, "texts": [asdict(text) for text in texts]}
        )
        return
    for index, text in enumerate(texts, 1):
        sys.stdout.write(f"{index}: {safe(text.text)}{'' if text.ended else ' …'}\n\n")
