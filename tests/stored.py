"""Models put into the store without training any, and waiting for what they do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from bioforge.files import read_json, write_json
from bioforge.models.catalog import Task
from bioforge.models.store import ModelInfo, publish
from bioforge.paths import Home


def store_model(home: Home, name: str, task: Task, source: Path | None = None, day: int = 1) -> None:
    """The model in `source`, or files that only look like one; the later `day`, the newer it is."""
    if source is None:
        source = home.root / "source"
        source.mkdir(parents=True, exist_ok=True)
        (source / "config.json").write_text("{}", encoding="utf-8")
    elif task == "cola":
        source = shutil.copytree(source, home.root / f"source-{name}")
        config = read_json(source / "config.json")
        write_json(source / "config.json", {**config, "architectures": ["BertForSequenceClassification"]})
    info = ModelInfo(
        name=name,
        task=task,
        base="tiny",
        base_source="folder",
        created=f"2026-01-{day:02}T00:00:00+00:00",
        run="2026-01-01-0000-quiet-otter",
        data="djs",
        data_fingerprint="f" * 64,
        recipe={"task": task},
        metrics={"loss": 2.5},
        step=10,
        max_length=64,
        threshold=None if task == "bios" else 0.6,
    )
    publish(home, source, info)


async def until(pilot: Pilot[Any], what: Callable[[], object], tries: int = 3000) -> None:
    """Wait for something that other work brings about."""
    for _ in range(tries):
        if what():
            return
        await pilot.pause(0.02)
    raise AssertionError("waited in vain")
