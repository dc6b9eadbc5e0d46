"""What the user chose once and wants kept: which model each command uses by default."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.paths import Home


@dataclass(frozen=True)
class Settings:
    writer: str | None = None
    """Model that `generate` uses when none is named."""
    judge: str | None = None
    """Model that `check` uses when none is named."""
    theme: str | None = None
    """Colours of the terminal app."""


def load_settings(home: Home) -> Settings:
    """Raises UserError where the settings file is damaged."""
    if not home.settings.exists():
        return Settings()
    try:
        values = read_json(home.settings)
        known = {field.name for field in fields(Settings)}
        return Settings(**{key: value for key, value in values.items() if key in known})
    except (json.JSONDecodeError, AttributeError, UnicodeDecodeError) as error:
        raise UserError(
            f"the settings file {home.settings} is damaged ({error}); mend or remove it"
        ) from error


def change_settings(home: Home, **changes: str | None) -> Settings:
    settings = replace(load_settings(home), **changes)
    write_json(home.settings, asdict(settings))
    return settings
