"""The parameter table of both tutorials: how many tensors, and the shapes of the telling ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Parameter = tuple[str, tuple[int, ...]]
_BLOCK = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class ParameterTable:
    """Named parameters in the model's own order, cut as the tutorials cut them."""

    tensors: int
    elements: int
    embedding: tuple[Parameter, ...]
    first_block: tuple[Parameter, ...]
    output: tuple[Parameter, ...]


def tabulate(parameters: Sequence[Parameter]) -> ParameterTable:
    """Embedding: what precedes the first numbered block; output: what follows the last one."""
    numbered = [index for index, (name, _) in enumerate(parameters) if _BLOCK.search(name)]
    first, last = (numbered[0], numbered[-1]) if numbered else (len(parameters), len(parameters) - 1)
    block = [item for item in parameters if (match := _BLOCK.search(item[0])) and match.group(1) == "0"]
    return ParameterTable(
        tensors=len(parameters),
        elements=sum(prod(shape) for _, shape in parameters),
        embedding=tuple(parameters[:first]),
        first_block=tuple(block),
        output=tuple(parameters[last + 1 :]),
    )


def parameters_of(model: object) -> list[Parameter]:
    """Names and shapes of a torch module's parameters, tied ones once."""
    return [(name, tuple(p.shape)) for name, p in model.named_parameters()]  # type: ignore[attr-defined]
