"""Whether a model folder holds a judge: told from its configuration, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from bioforge.errors import UserError


def check_labels(folder: Path) -> None:
    """Raises UserError unless the model classifies into two labels."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = [str(name) for name in config.get("architectures") or []]
        labels = config.get("id2label")
        count = len(labels) if labels else int(config.get("num_labels", 2))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{folder / 'config.json'} is missing or damaged; train the judge again") from error
    if not any(name.endswith("ForSequenceClassification") for name in heads):
        raise UserError(
            f"the model '{folder.name}' has no labels ({', '.join(heads) or 'no architecture named'}), so it is no judge; "
            "train one from it: bioforge train cola --help"
        )
    if count != 2:
        raise UserError(
            f"the model '{folder.name}' has {count} labels; a judge has two, unacceptable and acceptable"
        )
