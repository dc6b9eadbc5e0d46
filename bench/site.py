"""Called by `mkdocs build`: lists every decision in the navigation, oldest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Fill the navigation's place for decisions; pages are titled by their headings."""
    root = Path(config["docs_dir"])
    pages = [str(path.relative_to(root)) for path in sorted((root / "decisions").glob("*.md"))]
    config["nav"] = [{"Decisions": pages} if "Decisions" in part else part for part in config["nav"]]
    return config
