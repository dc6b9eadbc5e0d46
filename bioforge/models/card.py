"""The model card written beside each stored model."""

from __future__ import annotations

from typing import Any

_LOADING = {
    "bios": """from transformers import pipeline

write = pipeline("text-generation", model="PATH/TO/THIS/FOLDER")
print(write("Born in", do_sample=True, top_k=50, top_p=0.95, max_new_tokens=200)[0]["generated_text"])""",
    "cola": """from transformers import pipeline

judge = pipeline("text-classification", model="PATH/TO/THIS/FOLDER")
print(judge("They drank the pub dry."))""",
}
_PURPOSE = {
    "bios": "Writes biographies in the style of the texts it was trained on. What it writes is invented: "
    "check every name, date and claim before using it.",
    "cola": "Judges whether an English sentence is acceptable. It was trained on isolated example sentences; "
    "names, fragments, lists and long prose are outside what it has seen.",
}


def model_card(info: dict[str, Any]) -> str:
    """Markdown with hub metadata; facts only, nothing of the data's contents."""
    tag = "text-generation" if info["task"] == "bios" else "text-classification"
    metrics = "\n".join(f"| {name} | {value:.4f} |" for name, value in info["metrics"].items())
    licence = f"license: {info['licence'].lower()}\n" if info["licence"] else ""
    threshold = ""
    if info["threshold"] is not None:
        threshold = f"\nA sentence counts as acceptable from a probability of {info['threshold']:.3f} on.\n"
    return f"""---
library_name: transformers
pipeline_tag: {tag}
{licence}tags: [bioforge]
---

# {info["name"]}

{_PURPOSE[info["task"]]}

- Base: {info["base"]} ({info["base_source"]})
- Data: {info["data"]}, fingerprint `{info["data_fingerprint"][:16]}`
- Run: {info["run"]}, step {info["step"]}
- Made: {info["created"]}

| validation | |
|---|---|
{metrics}
{threshold}
## Load it

```python
{_LOADING[info["task"]]}
```
"""
