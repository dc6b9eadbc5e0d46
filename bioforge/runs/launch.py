"""Starting a worker: a process of its own that no window or terminal can take down with it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
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
    # Pages of 2 MB for them: AdamW over 110 M parameters takes 31 ms instead of 54.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@dataclass(frozen=True)
class Processes:
    """Who computes: so many processes on each of so many hosts, as one file of Accelerate's says or by torchrun."""

    per_host: int = 1
    hosts: int = 1
    config: str = ""
    """Accelerate's configuration file; for FSDP."""

    def command(self, run: RunFolder) -> list[str]:
        """What starts the run's worker, on each host the same."""
        worker = ["-m", WORKER, str(run.path)]
        if self == Processes():
            return [sys.executable, *worker]
        if self.config:
            total = f"--num_processes={self.per_host * self.hosts}"
            launcher = ["-m", "accelerate.commands.launch", f"--config_file={self.config}", total]
            return [sys.executable, *launcher, *worker]
        where = ["--standalone"]
        if self.hosts > 1:
            meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=HOST:29400", f"--rdzv-id={run.name}"]
            where = [f"--nnodes={self.hosts}", *meeting]
        return [
            *(sys.executable, "-m", "torch.distributed.run"),
            *(*where, f"--nproc-per-node={self.per_host}", *worker),
        ]


def processes_of(run: RunFolder) -> Processes:
    """What the run was last started with."""
    try:
        return Processes(**read_json(run.launch)["processes"])
    except (OSError, ValueError, KeyError, TypeError):
        return Processes()


def keep_processes(run: RunFolder, processes: Processes) -> None:
    """For a run that its user starts: what it goes on with later."""
    write_json(run.launch, {"processes": asdict(processes)})


def launch(run: RunFolder, processes: Processes | None = None, at_once: int = 1) -> subprocess.Popen[bytes]:
    """Start (or go on with) a run in its own session, speaking to files only; on as many processes as before.

    `at_once`: so many runs share this machine.

    Raises UserError where a worker already has it.
    """
    with run.launch_lock():
        if run.is_active():
            raise UserError(f"run '{run.name}' is already running; watch it: bioforge runs watch {run.name}")
        wanted = processes or processes_of(run)
        if wanted.hosts > 1:
            raise UserError(
                f"run '{run.name}' is on {wanted.hosts} hosts; start it on each of them: {shlex.join(wanted.command(run))}"
            )
        return _start(run, wanted, at_once)


def _start(run: RunFolder, processes: Processes, at_once: int) -> subprocess.Popen[bytes]:
    run.control.write_text("", encoding="utf-8")
    said = run.said()
    command = processes.command(run)
    environment = {
        **_KEEP_FREED_MEMORY,
        **_share_cores(processes.per_host * at_once),
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "PYTHONUNBUFFERED": "1",
        # What lies where the user stands, a `random.py` of theirs, is not ours to import.
        "PYTHONSAFEPATH": "1",
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
    try:
        write_json(
            run.launch,
            {
                "pid": process.pid,
                "created": psutil.Process(process.pid).create_time(),
                "said": said,
                "command": command,
                "processes": asdict(processes),
            },
        )
    except OSError:
        # It would be said that nothing was started. What began this instant has nothing to save.
        process.kill()
        process.wait()
        raise
    return process


def _share_cores(processes: int) -> dict[str, str]:
    """Of several processes torchrun gives each one thread, however many cores there are."""
    if processes == 1:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (psutil.cpu_count(logical=False) or 1) // processes))}
