"""Models that need no training here: deltas shipped with the package, merged into bases of the package index."""

from __future__ import annotations

from pathlib import Path

from bioforge.errors import UserError
from bioforge.files import read_json
from bioforge.models import store
from bioforge.models.catalog import STARTERS
from bioforge.paths import Home, assets


def shipped(name: str) -> Path:
    """The folder of a starter's delta.

    Raises UserError where this installation has none of that name.
    """
    folder = assets() / "starters" / name
    if not folder.is_dir():
        raise UserError(
            f"this installation ships no '{name}'; install bioforge again, or train: bioforge demo"
        )
    return folder


def bases_of(wanted: str) -> list[str]:
    """The bases that the models of a set need, each once."""
    names = [read_json(shipped(name) / "base.json")["name"] for name in STARTERS[wanted]]
    return list(dict.fromkeys(names))


def missing(home: Home, wanted: str, *, replace: bool = False) -> list[str]:
    """The models of a set that are still to be made, all of those not here as they are shipped.

    Raises UserError where another model, or a damaged one, has the name and `replace` is false.
    """
    names = []
    for name in STARTERS[wanted]:
        if (home.models / name).exists():
            offered = store.read_info(shipped(name))
            try:
                if store.read_info(home.models / name) == offered:
                    continue
            except UserError:
                # A damaged model is not this version's either, and a sound one may take its place.
                if not replace:
                    raise
            if not replace:
                raise UserError(
                    f"a model '{name}' exists that is not this version's starter; pass --replace, or rename it"
                )
        names.append(name)
    return names


def add(home: Home, name: str, *, replace: bool = False) -> store.ModelInfo:
    """Merge a starter into its base, which is here, and put it into the store."""
    from bioforge.models.delta import merge

    return merge(home, shipped(name), replace=replace)
