"""The experiment trackers a run may name. Light: nothing of theirs is loaded here."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from bioforge.errors import UserError

PACKAGES = {
    "tensorboard": "bioforge[tensorboard]",
    "aim": "aim",
    "clearml": "clearml",
    "comet_ml": "comet_ml",
    "dvclive": "dvclive",
    "mlflow": "mlflow",
    "swanlab": "swanlab",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""What to install for each tracker that Accelerate knows; a tracker's name is also its module's."""


def check_trackers(names: Sequence[str]) -> list[str]:
    """`names`, each once.

    Raises UserError for an unknown tracker, and for one that is not installed.
    """
    for name in names:
        if name not in PACKAGES:
            raise UserError(f"no tracker '{name}'; there are: {', '.join(PACKAGES)}")
        found = importlib.util.find_spec(name)
        # A folder of that name, which some trackers leave behind, is found too, but has no origin.
        if found is None or found.origin is None:
            raise UserError(f"the tracker '{name}' is not installed: pip install '{PACKAGES[name]}'")
    return list(dict.fromkeys(names))
