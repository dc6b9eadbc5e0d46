"""Judging by ONNX Runtime: there in a moment, for it needs neither torch nor transformers.

The graph lies in the model's folder as `model.onnx`. The weights are not in it: they are mapped into memory from
the safetensors files beside it (docs/decisions/0016-onnx-runtime.md). `exporting` makes it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bioforge.errors import UserError
from bioforge.judging.export import GRAPH_FILE, read_export
from bioforge.judging.judge import Judge
from bioforge.models.by_length import in_order_of_length
from bioforge.models.store import ModelInfo, read_info
from bioforge.models.tokenization import load_fast

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_AT_ONCE = 16
"""Sentences in one forward pass."""
_TOKENS = 2048
"""And tokens, padding counted: each processor holds one pass in memory."""


@dataclass(frozen=True)
class ExportedJudge(Judge):
    session: InferenceSession
    tokenizer: Tokenizer
    padding: int
    info: ModelInfo

    @classmethod
    def load(cls, folder: Path) -> ExportedJudge:
        """Raises UserError where there is no graph, or it is not that of the weights beside it."""
        export = read_export(folder)
        try:
            graph = (folder / GRAPH_FILE).read_bytes()
        except OSError as error:
            raise UserError(f"{folder / GRAPH_FILE} cannot be read: {error.strerror}") from error
        if not export or export.graph != hashlib.sha256(graph).hexdigest():
            raise UserError(f"{folder / GRAPH_FILE} is damaged or belongs to other weights")
        return cls.of_graph(graph, folder, export.padding)

    @classmethod
    def of_graph(cls, graph: bytes, folder: Path, padding: int) -> ExportedJudge:
        """The judge in `folder`, computed by `graph`; raises UserError where it cannot be."""
        info, tokenizer = read_info(folder), load_fast(folder)
        tokenizer.enable_truncation(info.max_length)
        return cls(_session(graph, folder), tokenizer, padding, info)

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        del threshold  # all are computed with the same care, in float32
        encoded = self.tokenizer.encode_batch(list(sentences))
        ids = [sentence.ids for sentence in encoded]
        margins = np.zeros(len(ids))
        batches = in_order_of_length([len(sequence) for sequence in ids], _AT_ONCE, _TOKENS)
        sequences = [[ids[index] for index in batch] for batch in batches]
        for batch, found in zip(batches, self._side_by_side(sequences), strict=True):
            margins[batch] = found
        with np.errstate(over="ignore"):
            probabilities = 1 / (1 + np.exp(-margins / self.info.temperature))
        return probabilities.tolist(), [bool(sentence.overflowing) for sentence in encoded]

    def _side_by_side(self, batches: Sequence[Sequence[Sequence[int]]]) -> list[NDArray[np.float64]]:
        """The log-odds of each batch. Of several, each processor computes its own: quicker than all of them one."""
        if len(batches) < 2:
            return [self._margins(batch) for batch in batches]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._margins, batches))

    def _margins(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Log-odds of `acceptable`, `(len(ids),)`; the first sequence is the longest."""
        tokens = np.full((len(ids), len(ids[0])), self.padding, dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, sequence in enumerate(ids):
            tokens[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        outputs: Any = self.session.run(["logits"], {"input_ids": tokens, "attention_mask": mask})
        logits: NDArray[np.float64] = outputs[0].astype(np.float64)
        return logits[:, 1] - logits[:, 0]


def _session(graph: bytes, folder: Path) -> InferenceSession:
    """Quick to be there, rather than quick with many sentences."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Packed weights would be a second copy of them all; mapped ones are read once, when they are used.
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"the graph of {folder} cannot be used: {error}") from error
