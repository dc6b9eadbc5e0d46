"""The model card written beside each stored model: Markdown with a hub's metadata before it.

Facts only. Data are named by name, fingerprint and counts; nothing of their contents, and no path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bioforge.models.store import Measure, ModelInfo

PLACE = "PATH/TO/THIS/FOLDER"
"""Where a card loads its model from."""
FEWEST = 20
"""Rows; of fewer, resampling says nothing (a single one would have an interval of width 0)."""
_PURPOSE = {
    "bios": "Writes biographies in the style of the texts it was trained on. What it writes is invented: "
    "check every name, date and claim before using it.",
    "cola": "Judges whether an English sentence is acceptable. It was trained on isolated example sentences; "
    "names, fragments, lists and long prose are outside what it has seen.",
}
_LIMITS = {
    "bios": "Everything it writes is invented, also where it names real people, places and records. It may repeat "
    "phrases of the texts it learnt from, and it writes as they are written: in their language, with their slant.",
    "cola": "It learnt from isolated sentences, one judgement each. Names, headlines, lists, other languages and long "
    "prose are outside what it has seen; a verdict is a hint, not a correction, and says nothing of truth.",
}
_PIPELINE = {"bios": "text-generation", "cola": "text-classification"}
_METRICS = {
    "mcc": ("MCC", "matthews_correlation"),
    "accuracy": ("accuracy", "accuracy"),
    "perplexity": ("perplexity a token", "perplexity"),
    "bits_per_byte": ("bits a byte", "bits_per_byte"),
}
"""What a card calls a metric, and what a hub does."""
_SETTINGS = ("preset", "seed", "epochs", "batch_size", "accumulate", "learning_rate", "max_length")
_JUDGING = """import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "{place}"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

sentences = ["They drank the pub.", "They drank the pub dry."]
inputs = tokenizer(
    sentences, padding=True, truncation=True, max_length={max_length}, split_special_tokens=True, return_tensors="pt"
)
with torch.inference_mode():
    logits = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits.double()
probabilities = ((logits[:, 1] - logits[:, 0]) / {temperature!r}).sigmoid().tolist()
for sentence, probability in zip(sentences, probabilities):
    verdict = "acceptable" if probability >= {threshold!r} else "unacceptable"
    print(f"{{probability:.3f}}  {{verdict}}  {{sentence}}")"""
_WRITING = """import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "{place}"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder).eval()

prompt = "Born in"
begin = tokenizer.bos_token or tokenizer.eos_token
inputs = tokenizer(begin + prompt, add_special_tokens=False, return_tensors="pt")
torch.manual_seed(0)
drawn = model.generate(
    inputs["input_ids"],
    attention_mask=inputs["attention_mask"],
    do_sample=True,
    top_k={top_k},
    top_p={top_p!r},
    temperature={temperature!r},
    max_new_tokens={sample_tokens},
)
text = tokenizer.decode(drawn[0], skip_special_tokens=True)
print(text)"""
_SAMPLING = {"top_k": 50, "top_p": 0.95, "temperature": 1.0, "sample_tokens": 120}


def model_card(info: ModelInfo, *, loading: str | None = None, made: str = "") -> str:
    """`loading` replaces how plain transformers loads it; `made` is one more line of how it was made."""
    sections = [
        f"# {plain(info.name)}\n\n{_PURPOSE[info.task]}\n\n{_facts(info)}",
        _results(info),
        f"## Load it\n\n{loading or _code('python', _snippet(info))}",
        _making(info, made),
        f"## Limits\n\n{_LIMITS[info.task]}{_reading(info)}",
    ]
    return f"---\n{_metadata(info)}\n---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def plain(text: str) -> str:
    """`text` on one line, and such that Markdown and HTML show it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()&~|$#!])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _metadata(info: ModelInfo) -> str:
    """YAML, as the hub's own library writes it."""
    from huggingface_hub import EvalResult, ModelCardData

    pipeline = _PIPELINE[info.task]
    results = [
        EvalResult(
            task_type=pipeline,
            dataset_type="local",
            dataset_name=_one_line(info.data),
            dataset_split=measure.split,
            dataset_revision=info.data_fingerprint,
            metric_type=_METRICS[measure.metric][1],
            metric_name=_METRICS[measure.metric][0],
            metric_value=measure.value,
        )
        for measure in info.measures
    ]
    hub, _, base = info.base_source.partition("hub: ")
    data = ModelCardData(
        language="en",
        license=info.licence.lower() or None,
        library_name="transformers",
        pipeline_tag=pipeline,
        base_model=base if base and not hub else None,
        tags=["bioforge"],
        metrics=list(dict.fromkeys(_METRICS[measure.metric][1] for measure in info.measures)) or None,
        model_name=_one_line(info.name),
        eval_results=results or None,
    )
    return data.to_yaml()


def _facts(info: ModelInfo) -> str:
    source = plain(info.base_source.partition(":")[0] if _is_local(info) else info.base_source)
    counts = [f"{info.learnt_from:,} rows learnt from"] if info.learnt_from else []
    counts += [f"{rows:,} in {split}" for split, rows in _rows_of(info.measures).items()]
    facts = [
        f"Base: {plain(info.base)} ({source})",
        f"Licence: {plain(info.licence)}, that of the base" if info.licence else "Licence: that of the base",
        f"Data: {plain(info.data)}, fingerprint `{_one_line(info.data_fingerprint)[:16]}`, not part of this folder",
        *([f"Rows: {', '.join(counts)}"] if counts else []),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def _is_local(info: ModelInfo) -> bool:
    """Whether the base lay in a folder of the maker's machine, whose path is nobody else's business."""
    return info.base_source.startswith("folder")


def _rows_of(measures: list[Measure]) -> dict[str, int]:
    return {_split(measure): measure.rows for measure in measures}


def _split(measure: Measure) -> str:
    return plain(measure.split.replace("_", " "))


def _results(info: ModelInfo) -> str:
    if not info.measures:
        return ""
    lines = "\n".join(
        f"| {_split(measure)} | {measure.rows:,} | {_METRICS[measure.metric][0]} | {measure.value:.3f} "
        f"| {_interval(measure)} |"
        for measure in info.measures
    )
    notes = [f"Intervals are what other rows of that kind would give; fewer than {FEWEST} rows have none."]
    chose = ["the checkpoint"] if info.recipe.get("keep") != "last" else []
    chose += ["the temperature and the threshold"] if info.temperature != 1 else []
    if chose:
        first = _split(info.measures[0]).capitalize()
        notes.append(f"{first} also chose {' and '.join(chose)}, which flatters a little.")
    if info.threshold is not None:
        notes.append(
            f"A sentence counts as acceptable from a probability of {info.threshold:g} on; "
            f"log-odds are divided by {info.temperature:.3f} first."
        )
    return f"""## Results

| measured on | rows | figure | value | 95 % interval |
|---|---:|---|---:|---:|
{lines}

{" ".join(notes)}"""


def _interval(measure: Measure) -> str:
    low, high = measure.interval
    return f"{low:.3f} to {high:.3f}" if measure.rows >= FEWEST else "–"


def _snippet(info: ModelInfo) -> str:
    if info.task == "cola":
        return _JUDGING.format(
            place=PLACE, max_length=info.max_length, temperature=info.temperature, threshold=info.cut
        )
    return _WRITING.format(
        place=PLACE, **{key: info.recipe.get(key, usual) for key, usual in _SAMPLING.items()}
    )


def _making(info: ModelInfo, made: str) -> str:
    settings = [f"{key} {info.recipe[key]}" for key in _SETTINGS if key in info.recipe]
    versions = [f"{name} {version}" for name, version in info.versions.items()]
    lines = [
        f"Recipe: {', '.join(settings)}; all of it is in bioforge.json" if settings else "",
        f"Run: {plain(info.run)}, step {info.step:,}, {info.seconds / 60:,.0f} minutes; made {info.created[:10]}",
        f"Versions: {', '.join(versions)}" if versions else "",
        made,
    ]
    listed = "\n".join(f"- {line}" for line in lines if line)
    command = f"\n\n{_code('sh', _one_line(info.command))}" if info.command else ""
    return f"## How it was made\n\n{listed}{command}"


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _reading(info: ModelInfo) -> str:
    if info.task == "cola":
        return f" It reads the first {info.max_length:,} tokens of a sentence."
    return f" It learnt from texts of up to {info.max_length:,} tokens."
