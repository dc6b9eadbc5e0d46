"""Making the graph that `exported` computes with: written by torch's exporter, checked against torch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import torch
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnxscript.optimizer import optimize_ir
from safetensors import safe_open
from torch.export import Dim
from transformers import PreTrainedModel

from bioforge.data.cola import read_cola
from bioforge.errors import UserError
from bioforge.files import write_bytes, write_json
from bioforge.judging.export import GRAPH_FILE, NOTES_FILE, Export, dates_of, read_export
from bioforge.judging.exported import ExportedJudge
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models.bases import weights_of
from bioforge.models.loading import first_line, load_model, load_tokenizer
from bioforge.models.store import read_info
from bioforge.paths import assets

_FARTHEST = 1e-3
"""Largest difference of probabilities that rounding can explain; 3e-6 was the largest seen."""
_LARGEST = 64_000_000
"""Bytes; a graph that is larger holds weights of its own."""
_CHECKED = 100
_FEW = 16
"""Sentences that torch is given at a time: so few it judges in float32."""


def export_judge(folder: Path) -> Export:
    """Write the graph of the judge in `folder`; returns how well it agrees with torch.

    Where there can be none, or it disagrees, that is written down instead, lest it be tried in vain each time.
    Raises UserError where `folder` holds no judge, OSError where it cannot be written, and MemoryError.
    """
    weights = dates_of(weights_of(folder))
    judge = TorchJudge(load_model(folder, "cola").eval(), load_tokenizer(folder), read_info(folder))
    try:
        graph = _graph_of(judge.model, folder)
        export = _compare(judge, graph, folder, weights)
        write_bytes(folder / GRAPH_FILE, graph)
    except (OSError, MemoryError):
        raise  # another time there may be room
    except Exception as error:  # the exporter runs the model's own code, which raises what it likes
        export = Export(weights, problem=first_line(error))
        (folder / GRAPH_FILE).unlink(missing_ok=True)
    write_json(folder / NOTES_FILE, export.__dict__)
    return export


def export_once(folder: Path, say: Callable[[str], None] | None = None) -> None:
    """Make the graph that is missing, if it can be; `say` is told that this takes a moment.

    Raises UserError where `folder` holds no judge.
    """
    known = read_export(folder)
    if (known and known.problem) or not os.access(folder, os.W_OK):
        return
    if say:
        say("getting the judge ready for quick answers; this is done once")
    with contextlib.suppress(OSError, MemoryError):
        export_judge(folder)


def _compare(judge: TorchJudge, graph: bytes, folder: Path, weights: list[list[str | int]]) -> Export:
    """Judge the bundled sentences both ways; raises ValueError where a probability differs by more than rounding."""
    sentences = [row.sentence for row in read_cola(assets() / "acceptability.tsv").judgements[:_CHECKED]]
    sentences.append(" ".join(sentences))  # longer than what a judge reads
    padding = judge.tokenizer.pad_token_id if isinstance(judge.tokenizer.pad_token_id, int) else 0
    found, cut = ExportedJudge.of_graph(graph, folder, padding).probabilities(sentences)
    expected: list[float] = []
    expected_cut: list[bool] = []
    for start in range(0, len(sentences), _FEW):
        probabilities, truncated = judge.probabilities(sentences[start : start + _FEW])
        expected += probabilities
        expected_cut += truncated
    apart = np.abs(np.array(found) - np.array(expected))
    if cut != expected_cut or not (apart <= _FARTHEST).all():
        raise ValueError(f"the graph and torch disagree, by {apart.max():.4f} in a probability")
    pairs = zip(found, expected, strict=True)
    return Export(
        weights,
        graph=hashlib.sha256(graph).hexdigest(),
        padding=padding,
        sentences=len(sentences),
        changed=sum((one >= judge.threshold) != (other >= judge.threshold) for one, other in pairs),
        apart=float(apart.max()),
    )


class _Classifier(torch.nn.Module):
    """Two inputs, one output, whatever else the model could take and give."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def _graph_of(model: PreTrainedModel, folder: Path) -> bytes:
    """An ONNX model from `input_ids` and `attention_mask`, both `(batch, length)`, to `logits`, `(batch, 2)`."""
    ids = torch.full((2, 8), 1)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    shape = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Classifier(model).eval(),
            (ids, mask),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=(shape, shape),
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        assert program
        # Folding would make a transposed copy of each matrix.
        optimize_ir(program.model, should_fold=lambda node: False if node.op_type == "Transpose" else None)
    _multiply_by_transposed(program.model)
    _leave_weights_where_they_are(program.model.graph, folder)
    graph: bytes = onnx_ir.to_proto(program.model).SerializeToString()
    if len(graph) > _LARGEST:
        raise UserError("its weights are not stored as they are computed with")
    return graph


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice off the terminal."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _multiply_by_transposed(model: onnx_ir.Model) -> None:
    """Let products read a layer's matrix as torch stores it, (out, in)."""
    for node in model.graph:
        matrix = node.inputs[1] if node.op_type == "MatMul" else None
        turned = matrix.producer() if matrix else None
        if turned and turned.op_type == "Transpose" and turned.inputs[0].is_initializer():  # type: ignore[union-attr]
            node.replace_input_with(1, turned.inputs[0])
            node.domain, node.op_type = "com.microsoft", "FusedMatMul"
            node.attributes["transB"] = onnx_ir.AttrInt64("transB", 1)
    model.opset_imports["com.microsoft"] = 1
    RemoveUnusedNodesPass()(model)


def _leave_weights_where_they_are(graph: onnx_ir.Graph, folder: Path) -> None:
    """Replace each tensor that a file of weights holds, bit for bit, by its place in that file."""
    for path in weights_of(folder):
        places = _places(path)
        with safe_open(path, "pt") as file:
            for name, value in graph.initializers.items():
                stored = name.removeprefix("model.")
                if stored not in places or value.const_value is None:
                    continue
                tensor = value.const_value
                same = file.get_tensor(stored)
                if same.dtype == torch.float32 and np.array_equal(same.numpy(), tensor.numpy()):
                    offset, length = places[stored]
                    value.const_value = onnx_ir.ExternalTensor(
                        path.name, offset, length, tensor.dtype, shape=onnx_ir.Shape(same.shape), name=name
                    )


def _places(path: Path) -> dict[str, tuple[int, int]]:
    """First byte and length of each tensor of a safetensors file."""
    with path.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        header: dict[str, Any] = json.loads(stream.read(size))
    header.pop("__metadata__", None)
    return {
        name: (8 + size + tensor["data_offsets"][0], tensor["data_offsets"][1] - tensor["data_offsets"][0])
        for name, tensor in header.items()
    }
