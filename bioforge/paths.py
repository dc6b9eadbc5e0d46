"""Where bioforge keeps things."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bioforge.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class Home:
    """The user's data folder: `BIOFORGE_HOME`, else the platform's place for application data."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def searches(self) -> Path:
        return self.root / "searches"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def bases(self) -> Path:
        """Wheel-borne bases, unpacked into plain `save_pretrained` folders."""
        return self.cache / "bases"

    @property
    def tokens(self) -> Path:
        """Token ids of data sets, by their fingerprints; made anew where they are missing."""
        return self.cache / "tokens"

    @property
    def lessons(self) -> Path:
        """What judges learn from besides their data; made anew where it is missing."""
        return self.cache / "lessons"

    @property
    def copies(self) -> Path:
        """Where each stretch of words occurs in data sets, by their fingerprints; made anew where missing."""
        return self.cache / "copies"

    @property
    def downloads(self) -> Path:
        return self.cache / "downloads"

    @property
    def logs(self) -> Path:
        return self.cache / "logs"

    @property
    def settings(self) -> Path:
        return self.root / "settings.json"

    @property
    def kept(self) -> Path:
        """Texts worth keeping, one JSON object a line."""
        return self.root / "kept.jsonl"

    @property
    def checks(self) -> Path:
        """What was checked, one JSON object a line."""
        return self.root / "checks.jsonl"


def home() -> Home:
    """The data folder of this user; nothing is created."""
    chosen = os.environ.get("BIOFORGE_HOME")
    if chosen:
        return Home(Path(chosen).expanduser().absolute())
    from platformdirs import user_data_dir

    return Home(Path(user_data_dir("bioforge", appauthor=False)))


def assets() -> Path:
    """The bundled data: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parent
    inside = package / "_assets"
    return inside if inside.is_dir() else package.parent / "assets"


def check_name(name: str, what: str) -> str:
    """Return `name` if it can name a folder on every system.

    Raises UserError for paths, hidden names, and anything but letters, digits, `.`, `_` and `-`.
    """
    if "/" in name or "\\" in name:
        raise UserError(f"the {what} name '{name}' is a path; give a plain name such as 'my-{what}'")
    if not _NAME.fullmatch(name):
        raise UserError(
            f"the {what} name {name!r} does not fit: use up to 80 letters, digits, '.', '_' and '-', "
            "starting with a letter or digit"
        )
    return name
