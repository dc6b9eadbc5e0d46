"""The worker on processes that share a model in shards (FSDP), without a GPU.

Accelerate's own switch takes GPUs only; its state is set by hand here, all else is as on a GPU.
"""

from __future__ import annotations

import os
import sys

os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}

from accelerate import Accelerator, DistributedType
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import FullyShardedDataParallelPlugin

from bioforge.training.worker import main

Accelerator(cpu=True, mixed_precision="no")
PartialState._shared_state["distributed_type"] = DistributedType.FSDP
AcceleratorState._shared_state["fsdp_plugin"] = FullyShardedDataParallelPlugin(
    fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
)
code = main(sys.argv[1:])
sys.stderr.flush()
os._exit(code)
