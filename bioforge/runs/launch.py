"""Starting a worker: a process of its own that no window or terminal can take down with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from bioforge.errors import UserError
from bioforge.files import write_json
from bioforge.runs.folder import RunFolder

WORKER = "bioforge.training.worker"
_KEEP_FREED_MEMORY = {
    # glibc hands large tensors back to the system at every step and faults them in again at the next:
    # 4.3 s a step became 2.5 s (SmolLM2 135M, 8 x 160 tokens, two cores). See docs/decisions/0005-memory.md.
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "500000000",
}


def launch(run: RunFolder) -> subprocess.Popen[bytes]:
    """Start (or go on with) a run in its own session, speaking to files only.

    Raises UserError where a worker already has it.
    """
    if run.is_alive():
        raise UserError(f"run '{run.name}' is already running; watch it: bioforge runs watch {run.name}")
    run.control.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", WORKER, str(run.path)]
    environment = {
        **_KEEP_FREED_MEMORY,
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    detached: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        detached = {"creationflags": 0x00000200 | 0x00000008}  # new process group, no console
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            **detached,
        )
    write_json(run.launch, {"pid": process.pid, "time": time.time(), "command": command})
    return process
