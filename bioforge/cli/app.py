"""All commands in one place."""

from __future__ import annotations

from typing import Annotated

import typer

from bioforge import __version__
from bioforge.cli import check, data, demo, evaluate, generate, models, runs, search, train
from bioforge.cli.console import show, show_json
from bioforge.cli.options import JsonFlag

app = typer.Typer(
    name="bioforge",
    help="Fine-tune a writer of biographies and a judge of sentences, and use both, without code.",
    epilog="First time? Run: bioforge demo",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")
app.add_typer(search.app, name="search")
app.add_typer(runs.app, name="runs")
app.command("generate", epilog=generate.EXAMPLE)(generate.generate)
app.command("check", epilog=check.EXAMPLE)(check.check)
app.command("evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)


def _version(asked: bool) -> None:
    if asked:
        show(f"bioforge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Fine-tune a writer of biographies and a judge of sentences, and use both, without code.

    Without a command it opens the terminal app, which does all of it in tabs.
    """
    del version
    if context.invoked_subcommand is None:
        raise typer.Exit(_open_app())


def _open_app() -> int:
    import sys

    from bioforge.errors import UserError

    # The app reads keys from stdin and draws on stderr; stdout may go anywhere.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("the app needs a terminal; here, use its commands: bioforge --help")
    from bioforge.tui.app import BioforgeApp

    app = BioforgeApp()
    app.run()
    return app.return_code or 0


@app.command(epilog="Example: bioforge paths --json")
def paths(as_json: JsonFlag = False) -> None:
    """Where bioforge keeps data sets, models, runs and downloads."""
    from bioforge.paths import assets, home

    place = home()
    found = {
        "home": place.root,
        "data": place.data,
        "models": place.models,
        "runs": place.runs,
        "cache": place.cache,
        "bundled data": assets(),
    }
    if as_json:
        show_json({name: str(path) for name, path in found.items()})
        return
    show(*(f"{name:<13} {path}" for name, path in found.items()))
