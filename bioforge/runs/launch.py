"""Starting a worker: a process of its own that no window or terminal can take down with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import psutil

from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.runs.folder import RunFolder

WORKER = "bioforge.training.worker"
_KEEP_FREED_MEMORY = {
    # glibc gives large tensors back to the system at each step and gets them back page by page at the next.
    # Blocks up to 256 MB now stay; larger ones, which would leave holes, still go. Other systems ignore this.
    "MALLOC_MMAP_THRESHOLD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
}


def command(run: RunFolder, processes: int = 1, hosts: int = 1) -> list[str]:
    """What starts a run's worker; on several processes torchrun starts them, and on several hosts the user does."""
    worker = ["-m", WORKER, str(run.path)]
    if processes == hosts == 1:
        return [sys.executable, *worker]
    where = ["--standalone"]
    if hosts > 1:
        where = [
            f"--nnodes={hosts}",
            "--rdzv-backend=c10d",
            "--rdzv-endpoint=HOST:29400",
            f"--rdzv-id={run.name}",
        ]
    return [sys.executable, "-m", "torch.distributed.run", *where, f"--nproc-per-node={processes}", *worker]


def processes_of(run: RunFolder) -> int:
    """How many processes the run was last started with."""
    try:
        return int(read_json(run.launch)["processes"])
    except (OSError, ValueError, KeyError):
        return 1


def launch(run: RunFolder, processes: int | None = None) -> subprocess.Popen[bytes]:
    """Start (or go on with) a run in its own session, speaking to files only; on as many processes as before.

    Raises UserError where a worker already has it.
    """
    if run.is_active():
        raise UserError(f"run '{run.name}' is already running; watch it: bioforge runs watch {run.name}")
    processes = processes or processes_of(run)
    run.control.write_text("", encoding="utf-8")
    started = command(run, processes)
    environment = {
        **_KEEP_FREED_MEMORY,
        **(_share_cores(processes) if processes > 1 else {}),
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
            started,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            **detached,
        )
    created = psutil.Process(process.pid).create_time()
    write_json(
        run.launch,
        {
            "pid": process.pid,
            "created": created,
            "time": time.time(),
            "command": started,
            "processes": processes,
        },
    )
    return process


def _share_cores(processes: int) -> dict[str, str]:
    """torchrun would give each process one thread."""
    return {"OMP_NUM_THREADS": str(max(1, (psutil.cpu_count(logical=False) or 1) // processes))}
