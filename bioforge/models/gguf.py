"""GGUF to a plain `save_pretrained` folder."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from bioforge.models.loading import quiet

_DOCUMENT_END = "<|endoftext|>"


def convert(gguf: Path, folder: Path) -> None:
    """Write the model in `gguf` to `folder` as float32 safetensors with its tokenizer.

    A model loaded from GGUF refuses `save_pretrained` while its configuration names the quantization, so
    the weights go into a plain model of the same configuration. The chat model's turn markers are not used
    here: documents begin and end with the token its pre-training separated them by, as in GPT-2.
    """
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        source = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        tokenizer.chat_template = None
        end = _DOCUMENT_END if _DOCUMENT_END in tokenizer.get_vocab() else tokenizer.eos_token
        tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = end
        config = source.config
        del config.quantization_config
        config.bos_token_id = config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
        plain = type(source)(config)
        plain.load_state_dict(source.state_dict())
        plain.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
