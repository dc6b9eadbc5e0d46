"""Bases of a package index that is this machine: a wheel made of a tiny model, and a catalog that knows it."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from bioforge.models import catalog
from bioforge.models.catalog import Base, Family, Wheel, WheelSource
from bioforge.paths import Home


def ship_base(home: Home, name: str, family: Family, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add base `name` to the catalog and put it where a pulled one lies; its wheel lies beside the home."""
    wheel = home.root.parent / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in model.iterdir():
            archive.write(path, f"pkg/{path.name}")
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    size, sha256 = wheel.stat().st_size, hashlib.sha256(wheel.read_bytes()).hexdigest()
    source = WheelSource((Wheel(name, "1.0", sha256, size),), "pkg")
    base = Base(name, family, "1 M", "MIT", source, size)
    monkeypatch.setattr(catalog, "CATALOG", (*catalog.CATALOG, base))
    shutil.copytree(model, home.bases / name)
    return wheel
