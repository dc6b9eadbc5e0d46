"""Learning less than everything, or in less memory: frozen parts, low-rank adapters, gradient checkpointing."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from bioforge.errors import UserError
from bioforge.runs.freezing import parse_freeze
from bioforge.runs.recipe import Recipe


def treat(model: PreTrainedModel, recipe: Recipe) -> None:
    """Prepare `model`, in place, to be trained as `recipe` says.

    Adapters are drawn from torch's current seed.

    Raises UserError where the model does not allow it.
    """
    if recipe.freeze != "none" or recipe.lora_rank:
        name, layers = stack(model)
        frozen = parse_freeze(recipe.freeze, len(layers))
        left_out = [f"{name}.{number}." for number in frozen.layers]
        if recipe.lora_rank:
            _add_adapters(model, recipe, name, left_out)
        else:
            embeddings = _embeddings(model, name) if frozen.embeddings else []
            for path, parameter in model.named_parameters():
                if path.startswith((*left_out, *embeddings)):
                    parameter.requires_grad_(False)
    if recipe.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise UserError(
                f"{model.config.model_type} models cannot do gradient_checkpointing; set it to false"
            )
        # The name that every transformers 5 knows. Dropout draws the same numbers the second time: torch keeps the random state of each layer.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.disable_input_require_grads()  # else frozen layers at the bottom would compute gradients


def stack(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The model's numbered layers, and their name within it.

    Raises UserError for architectures that have no such list.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return name, module
    raise UserError(f"{model.config.model_type} models have no numbered layers to freeze, adapt or compile")


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name; tied ones once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _embeddings(model: PreTrainedModel, layers: str) -> list[str]:
    """Prefixes of what stands before the layers: embedding matrices, with the norm they may share a module with."""
    prefixes = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            parent = name.rpartition(".")[0]
            beside = not parent or layers.startswith(f"{parent}.")
            prefixes.append(f"{name}." if beside else f"{parent}.")
    return prefixes


def _add_adapters(model: PreTrainedModel, recipe: Recipe, layers: str, left_out: list[str]) -> None:
    """LoRA on every linear map of the layers; of the rest only what stands behind a judge's layers learns (Hu et al. 2021)."""
    from peft import LoraConfig, inject_adapter_in_model

    targets = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and name.startswith(f"{layers}.")
        and not name.startswith(tuple(left_out))
    }
    behind: list[nn.Parameter] = []
    if recipe.task == "cola":
        before = (f"{layers}.", *_embeddings(model, layers))
        behind = [parameter for name, parameter in model.named_parameters() if not name.startswith(before)]
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.lora_dropout,
        target_modules=list(targets),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in targets.values()),
    )
    inject_adapter_in_model(config, model)
    for parameter in behind:
        parameter.requires_grad_()


@torch.no_grad()
def merged(model: nn.Module) -> dict[str, torch.Tensor]:
    """All weights under the base's own names, each adapter added to what it adapts; the model stays as it is."""
    from peft.tuners.lora import LoraLayer

    weights = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            layer: Any = module
            weights[f"{name}.weight"] = weights[f"{name}.weight"] + layer.get_delta_weight("default")
    return weights
