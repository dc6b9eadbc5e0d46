"""What git says of a folder, wherever it is asked from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import CompletedProcess


def git(folder: Path, *arguments: str) -> CompletedProcess[bytes]:
    """How git ended that was run in `folder`, and what it printed.

    Raises OSError where there is no git.
    """
    import subprocess

    # Hooks of linked worktrees are told these; they would hold for every folder, as if it were the repository's top.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")
    }
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, input=b"", env=environment
    )
