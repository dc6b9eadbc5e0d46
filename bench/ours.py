"""bioforge's own evaluation and generation, each in a process of its own.

python -m bench.ours agree|classify|write JOB.json     one JSON object on the last line of stdout
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from bioforge.generation.writer import Sampling, Writer
from bioforge.judging.judge import Judge, open_judge
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models.loading import load_model, load_tokenizer
from bioforge.models.store import INFO_FILE, ModelInfo

Job = dict[str, Any]


def classify(job: Job) -> dict[str, Any]:
    """Sentences a second, tokenizing included: of a model of the store as `check` has it, of a base by torch."""
    base = Path(job["base"])
    judge: Judge
    if (base / INFO_FILE).exists():
        judge = open_judge(base)
    else:
        info = ModelInfo("bench", "cola", "bench", "", "", "", "", "", {}, {}, 0, max_length=128)
        judge = TorchJudge(load_model(base, "cola").eval(), load_tokenizer(base), info)
    list(judge.verdicts(job["texts"][:64]))
    began = time.perf_counter()
    said = list(judge.verdicts(job["texts"]))
    return {"rate": len(said) / (time.perf_counter() - began)}


def agree(job: Job) -> dict[str, Any]:
    """Verdicts on many sentences at once, in bf16 where that is native, against those a few at a time, in float32."""
    judge, texts = TorchJudge.load(Path(job["model"])), job["texts"]
    at_once = list(judge.verdicts(texts))
    by_few = [verdict for at in range(0, len(texts), 16) for verdict in judge.verdicts(texts[at : at + 16])]
    pairs = list(zip(at_once, by_few, strict=True))
    return {
        "changed": sum(one.acceptable != other.acceptable for one, other in pairs),
        "apart": max(abs(one.probability - other.probability) for one, other in pairs),
    }


def write(job: Job) -> dict[str, Any]:
    """New tokens a second, texts side by side."""
    writer = Writer.load(Path(job["base"]))
    writer.write("", job["texts"], Sampling(max_new_tokens=8), 1)
    began = time.perf_counter()
    texts = writer.write("", job["texts"], Sampling(max_new_tokens=job["tokens"]), job["seed"])
    return {"rate": sum(text.tokens for text in texts) / (time.perf_counter() - began)}


OURS = {"agree": agree, "classify": classify, "write": write}

if __name__ == "__main__":
    print(json.dumps(OURS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))))
