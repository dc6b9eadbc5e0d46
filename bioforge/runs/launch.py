"""Starting a worker: a process of its own that no window or terminal can take down with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil

from bioforge.errors import UserError
from bioforge.files import write_json
from bioforge.runs.folder import RunFolder

WORKER = "bioforge.training.worker"
_KEEP_FREED_MEMORY = {
    # glibc gives large tensors back to the system at each step and gets them back page by page at the next.
    # Blocks up to 256 MB now stay; larger ones, which would leave holes, still go. Other systems ignore this.
    "MALLOC_MMAP_THRESHOLD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
}


def launch(run: RunFolder) -> subprocess.Popen[bytes]:
    """Start (or go on with) a run in its own session, speaking to files only.

    Raises UserError where a worker already has it.
    """
    with run.launch_lock():
        if run.is_active():
            raise UserError(f"run '{run.name}' is already running; watch it: bioforge runs watch {run.name}")
        return _start(run)


def _start(run: RunFolder) -> subprocess.Popen[bytes]:
    run.control.write_text("", encoding="utf-8")
    said = run.said()
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
    created = psutil.Process(process.pid).create_time()
    write_json(run.launch, {"pid": process.pid, "created": created, "said": said, "command": command})
    return process
