"""A trained model as a small difference to its base: a LoRA adapter folder that peft reads, and back again."""

from __future__ import annotations

import hashlib
import re
import tempfile
import warnings
from dataclasses import asdict
from dataclasses import replace as replace_info
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from bioforge.errors import UserError
from bioforge.files import STAGING_PREFIX, new_folder, read_json, write_json, write_text
from bioforge.models import store
from bioforge.models.bases import LocalBase, resolve, weights_of
from bioforge.models.card import model_card
from bioforge.models.loading import load_model, load_tokenizer, quiet
from bioforge.models.store import INFO_FILE, ModelInfo
from bioforge.paths import Home

BASE_FILE = "base.json"
_CONFIG = "adapter_config.json"
_NUMBERED = re.compile(r"\.\d+\.")
_PEFT_PREFIX = "base_model.model."


def make(home: Home, name: str, rank: int, target: Path) -> float:
    """Write model `name` as a delta to the new folder `target`; the share of its layers' change that is kept.

    Each linear map of the numbered layers becomes the best approximation of its change by matrices of `rank`
    (Eckart and Young 1936), exact where the model was trained by LoRA of no higher rank. What stands outside
    the layers, a judge's head above all, is kept whole; embeddings, and the layers' norms and biases, are the
    base's again (docs/decisions/0013-starters.md). Everything is float16.

    Raises UserError where the base is not here or is another one, and where `target` exists.
    """
    target = target.expanduser().absolute()
    if target.exists():
        raise UserError(f"{target} exists; name a folder that does not")
    info, source = store.info(home, name), store.folder(home, name)
    base = resolve(home, info.base)
    model, start = load_model(source, info.task), load_model(base.folder, info.task)
    _check_shapes(name, model, base, start)
    maps, wholes = _changed(model, start)
    if not maps:
        raise UserError(f"'{name}' has the layers of its base; there is nothing to write as a delta")
    most = min(min(change.shape) for change in maps.values())
    if not 1 <= rank <= most:
        raise UserError(f"the rank must be between 1 and {most} for '{name}', not {rank}")
    tensors, kept, total = {}, 0.0, 0.0
    for path, change in maps.items():
        u, s, v = torch.linalg.svd(change, full_matrices=False)
        root = s[:rank].sqrt()
        tensors[f"{_PEFT_PREFIX}{path}.lora_A.weight"] = root[:, None] * v[:rank]
        tensors[f"{_PEFT_PREFIX}{path}.lora_B.weight"] = u[:, :rank] * root
        kept, total = kept + float((s[:rank] ** 2).sum()), total + float((s**2).sum())
    for path in wholes:
        module = model.get_submodule(path)
        tensors |= {f"{_PEFT_PREFIX}{path}.{key}": value for key, value in module.state_dict().items()}
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=list(maps),
        modules_to_save=wholes or None,
        fan_in_fan_out=any(isinstance(model.get_submodule(path), Conv1D) for path in maps),
        task_type="SEQ_CLS" if info.task == "cola" else "CAUSAL_LM",
        base_model_name_or_path=base.name,
        inference_mode=True,
    )
    try:
        with new_folder(target) as folder:
            halves = {key: value.to(torch.float16).contiguous() for key, value in tensors.items()}
            save_file(halves, folder / "adapter_model.safetensors", metadata={"format": "pt"})
            config.save_pretrained(str(folder))
            written = read_json(folder / _CONFIG)
            # A set by nature, in another order each time.
            write_json(folder / _CONFIG, {**written, "target_modules": sorted(written["target_modules"])})
            write_json(folder / BASE_FILE, {"name": base.name, "weights_sha256": weights_hash(base.folder)})
            named = replace_info(info, name=target.name)
            write_json(folder / INFO_FILE, asdict(named))
            write_text(folder / "README.md", _card(named, rank, kept / total))
    except FileExistsError as error:
        raise UserError(f"{target} exists; name a folder that does not") from error
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
    return kept / total


def _card(info: ModelInfo, rank: int, kept: float) -> str:
    kind = "SequenceClassification" if info.task == "cola" else "CausalLM"
    loading = f"""This folder holds what training changed in the base, as LoRA matrices of rank {rank} for its layers, which keep {100 * kept:.1f} % of their
change. The figures above are those of the model as it was trained; measure again what you make of this.

```python
from peft import PeftModel
from transformers import AutoModelFor{kind}

base = AutoModelFor{kind}.from_pretrained("PATH/TO/THE/BASE")
model = PeftModel.from_pretrained(base, "PATH/TO/THIS/FOLDER").merge_and_unload()
```"""
    return model_card(info, loading=loading)


def merge(home: Home, folder: Path, *, replace: bool = False) -> ModelInfo:
    """Put the model that the delta in `folder` makes of its base into the store, under the folder's name.

    Raises UserError where the base is not here or has other weights, and where the name is taken and
    `replace` is false.
    """
    info = store.read_info(folder)
    wanted = read_json(folder / BASE_FILE)
    base = resolve(home, wanted["name"])
    if weights_hash(base.folder) != wanted["weights_sha256"]:
        raise UserError(
            f"the base '{base.name}' in {base.folder} has other weights than the one '{info.name}' was made from; "
            "remove that folder and fetch the base again"
        )
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that will go
        wrapped = PeftModel.from_pretrained(load_model(base.folder, info.task), str(folder))
        model = wrapped.merge_and_unload()
    home.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.models, prefix=STAGING_PREFIX) as staging:
        model.save_pretrained(staging)
        _plain_tokenizer(base.folder).save_pretrained(staging)
        card = (folder / "README.md").read_text(encoding="utf-8")
        store.publish(home, Path(staging), info, replace=replace, card=card)
    return info


def weights_hash(folder: Path) -> str:
    """SHA-256 over names, shapes and bytes of a model folder's tensors, however they are laid out in files."""
    found = {}
    for path in weights_of(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                found[name] = path
    digest = hashlib.sha256()
    for name in sorted(found):
        with safe_open(found[name], framework="pt") as file:
            tensor = file.get_tensor(name).contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _plain_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The base's tokenizer without the fixed length that some are stored with."""
    tokenizer: Any = load_tokenizer(folder)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return cast(PreTrainedTokenizerBase, tokenizer)


def _check_shapes(name: str, model: PreTrainedModel, base: LocalBase, start: PreTrainedModel) -> None:
    ours = {path: parameter.shape for path, parameter in model.named_parameters()}
    theirs = {path: parameter.shape for path, parameter in start.named_parameters()}
    if ours != theirs:
        raise UserError(
            f"'{name}' has other tensors than its base '{base.name}'; a model with added tokens "
            "(special_tokens=tutorial) cannot be a delta"
        )


@torch.no_grad()
def _changed(model: PreTrainedModel, start: PreTrainedModel) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The change of each numbered linear map, `(out, in)`, and the modules to keep whole."""
    maps: dict[str, torch.Tensor] = {}
    wholes = [name for name, _ in model.named_children() if name in {"classifier", "score"}]
    for path, module in model.named_modules():
        if path.startswith(tuple(wholes)) or isinstance(module, nn.Embedding):
            continue
        if module is model.get_output_embeddings():
            continue
        own = dict(module.named_parameters(recurse=False))
        before = start.get_submodule(path)
        same = all(torch.equal(value, before.get_parameter(key)) for key, value in own.items())
        if same or not own:
            continue
        if not _NUMBERED.search(f"{path}."):
            wholes.append(path)
        elif isinstance(module, nn.Linear | Conv1D):
            change = module.weight - before.get_parameter("weight")
            maps[path] = change.T if isinstance(module, Conv1D) else change
    return maps, wholes
