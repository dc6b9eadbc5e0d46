"""From what a user asks for to a search that is ready to be conducted."""

from __future__ import annotations

from pathlib import Path

from bioforge.errors import UserError
from bioforge.models import store
from bioforge.models.bases import default_base, is_folder_name, layer_count, read_config
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs.start import plan_run
from bioforge.searching.conductor import model_of, runs_of
from bioforge.searching.folder import Asked, SearchFolder, open_search
from bioforge.searching.space import parse_over

_LONGEST_NUMBER = 9999


def prepare(
    home: Home,
    task: Task,
    data: str,
    over: list[str],
    base: str | None = None,
    preset: str = "balanced",
    settings: list[str] | None = None,
    seed: int | None = None,
    name: str | None = None,
) -> SearchFolder:
    """A new search, or the one of that name that was asked for in the same words.

    Raises UserError, with nothing written, where data, base, recipe, ranges or name will not do.
    """
    base = base or default_base(home, task)
    if is_folder_name(base):
        base = str(Path(base).expanduser().absolute())
    plan = plan_run(home, task, data, base, preset, settings, seed)
    dimensions = parse_over(over, plan.recipe, layer_count(read_config(plan.base.folder)))
    name = name or f"{data}-search"
    search = SearchFolder(home.searches / check_name(name, "search"))
    check_name(model_of(search, _LONGEST_NUMBER), "model")
    asked = Asked(name, task, data, plan.data.fingerprint, base, preset, settings or [], seed, dimensions)
    _check_model(home, search)
    return open_search(home, asked)


def _check_model(home: Home, search: SearchFolder) -> None:
    """The best trial's model will be called as the search is."""
    if not (home.models / search.name).exists():
        return
    made_by = store.info(home, search.name).run
    if made_by not in {run.name for run in runs_of(home, search).values()}:
        raise UserError(f"a model '{search.name}' exists; choose another --name for the search")
