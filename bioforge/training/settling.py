"""What a recipe asks of model and device together: tried once at the start, so that a run fails there or not at all."""

from __future__ import annotations

import torch
from accelerate import Accelerator, DistributedType

from bioforge.errors import UserError
from bioforge.models.loading import first_line
from bioforge.training.job import Job
from bioforge.training.packing import check_packing, use_varlen_kernel
from bioforge.training.treatments import stack


def settle(job: Job, accelerator: Accelerator) -> None:
    """Check packing and compile the layers of the job's model, which lies on its device already.

    Raises UserError where the model or the machine cannot.
    """
    recipe = job.recipe
    if accelerator.distributed_type == DistributedType.FSDP and (
        recipe.freeze != "none"
        or recipe.lora_rank
        or recipe.average != "none"
        or recipe.packing
        or recipe.compile
    ):
        raise UserError(
            "a model in shards (FSDP) is trained whole: set freeze=none, lora_rank=0, average=none, packing=false and "
            "compile=false"
        )
    if recipe.packing:
        if accelerator.device.type == "cuda" and accelerator.mixed_precision == "bf16":
            use_varlen_kernel(job.model)
        with accelerator.autocast():
            check_packing(job.model, accelerator.device)
    if recipe.compile:
        for layer in stack(job.model)[1]:
            layer.compile(dynamic=True)
        _try_a_step(job, accelerator)


def _try_a_step(job: Job, accelerator: Accelerator) -> None:
    job.model.train()
    try:
        with torch.random.fork_rng(), accelerator.autocast():
            loss = job.objective.loss_sum(job.model, job.train.examples[:2], accelerator.device)
        torch.autograd.backward(loss)
    except Exception as error:
        raise UserError(f"compile=true does not work here ({first_line(error)}); set it to false") from error
    job.model.zero_grad(set_to_none=True)
