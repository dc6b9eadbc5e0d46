"""The parameter table of a base, with the head its task would give it."""

from __future__ import annotations

from bioforge.models.bases import LocalBase, family_of, read_config
from bioforge.models.parameters import Parameter


def parameters_of_base(base: LocalBase) -> list[Parameter]:
    """A causal base as a language model, an encoder as a classifier of two labels, as in the tutorials."""
    from bioforge.models.loading import parameters_of_folder

    return parameters_of_folder(
        base.folder, "bios" if family_of(read_config(base.folder)) == "causal" else "cola"
    )
