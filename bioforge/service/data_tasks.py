"""What the child process does with data and bases: look at files, import, count, fetch."""

from __future__ import annotations

from typing import Any

from bioforge.models.pull import pull as fetch
from bioforge.service.worker import Context


def pull(context: Context, name: str) -> dict[str, Any]:
    """Fetch a base; progress `{"done": bytes, "total": bytes}`."""
    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done - said >= total // 200 or done == total:
            said = done
            context.progress({"done": done, "total": total})

    local = fetch(context.home, name, progress)
    return {"name": local.name, "folder": str(local.folder)}


TASKS = {"pull": pull}
