"""Model cards: what a hub reads of them, what a browser makes of them, and whether their snippets do as they say."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, matthews_corrcoef

from bioforge.data import store as data_store
from bioforge.data.store import DataInfo
from bioforge.generation.metrics import prediction
from bioforge.generation.writer import Sampling, Writer, generate
from bioforge.judging.judge import open_judge
from bioforge.judging.metrics import accuracy_interval
from bioforge.models import store
from bioforge.models.card import model_card
from bioforge.models.catalog import Task
from bioforge.models.store import Measure, ModelInfo
from bioforge.paths import Home
from bioforge.runs.folder import RunFolder
from bioforge.runs.repeat import command_of
from bioforge.runs.start import build_recipe
from tests.helpers import make_run, work

INFO = ModelInfo(
    name="my-judge",
    task="cola",
    base="bert-base-uncased",
    base_source="hub: google-bert/bert-base-uncased",
    created="2026-01-01T00:00:00+00:00",
    run="2026-01-01-0000-cola-quiet-otter",
    data="cola",
    data_fingerprint="f" * 64,
    recipe={"preset": "balanced", "seed": 42},
    metrics={},
    step=10,
    max_length=64,
    threshold=0.6,
    temperature=1.5,
    licence="Apache-2.0",
    versions={"torch": "2.13.0"},
    learnt_from=8551,
    measures=[
        Measure("in_domain_dev", 527, "mcc", 0.5, (0.4, 0.6)),
        Measure("in_domain_dev", 527, "accuracy", 0.75, (0.7, 0.8)),
        Measure("out_of_domain_dev", 516, "mcc", 0.25, (0.2, 0.3)),
    ],
    command="bioforge train cola cola --base bert-base-uncased",
)
HOSTILE = (
    "quotes \"double\" and 'single': a colon",
    "---\nlicense: mit\n---\n# not a heading",
    "```\n<script>alert(1)</script>\n```",
    "<img src=x onerror=alert(1)> & [link](https://example.org) *bold* `code` | cell",
    "right-to-left \u202eevil\u202c \x1b[31mred\x00",
    "{braces} #hash @name $$x$$ ~~gone~~ ![picture](a.png)",
)


def metadata(card: str) -> Any:
    return ModelCard(card).data


def code_of(card: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)\n```", card, re.DOTALL)
    assert found
    return found[1]


def what_it_prints(snippet: str, folder: Path) -> list[str]:
    """Run a card's own snippet on the model in `folder`."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(snippet.replace("PATH/TO/THIS/FOLDER", str(folder)), {})
    return said.getvalue().splitlines()


def test_a_hub_reads_what_the_model_is_and_how_good() -> None:
    data = metadata(model_card(INFO))
    assert (data.license, data.language, data.library_name) == ("apache-2.0", "en", "transformers")
    assert data.pipeline_tag == "text-classification" and data.tags == ["bioforge"]
    assert data.base_model == "google-bert/bert-base-uncased" and data.model_name == "my-judge"
    assert data.metrics == ["matthews_correlation", "accuracy"]
    results = [(r.dataset_split, r.metric_type, r.metric_value) for r in data.eval_results]
    assert sorted(results) == sorted(
        [
            ("in_domain_dev", "matthews_correlation", 0.5),
            ("in_domain_dev", "accuracy", 0.75),
            ("out_of_domain_dev", "matthews_correlation", 0.25),
        ]
    )
    assert {(r.task_type, r.dataset_name, r.dataset_revision) for r in data.eval_results} == {
        ("text-classification", "cola", "f" * 64)
    }
    # The same by the YAML library alone: nothing is read back that a hub would not see.
    raw = yaml.safe_load(model_card(INFO).split("---\n")[1])
    assert [result["dataset"]["split"] for result in raw["model-index"][0]["results"]] == [
        "in_domain_dev",
        "out_of_domain_dev",
    ]


@pytest.mark.parametrize(
    "source", ["folder: /home/someone/bases/bert", "package index: llm 0.1", "model: mine"]
)
def test_only_a_hubs_base_is_named_to_a_hub_and_no_path_is_told(source: str) -> None:
    card = model_card(replace(INFO, base_source=source))
    assert metadata(card).base_model is None
    assert "/home" not in card and "someone" not in card


@pytest.mark.parametrize(
    ("keep", "temperature", "said"),
    [
        ("best", 1.5, "In domain dev also chose the checkpoint and the temperature and the threshold"),
        ("best", 1.0, "In domain dev also chose the checkpoint, which"),
        ("last", 1.0, "have none. A sentence counts"),
    ],
)
def test_rows_that_chose_something_are_named(keep: str, temperature: float, said: str) -> None:
    assert said in model_card(replace(INFO, recipe={"keep": keep}, temperature=temperature))


@pytest.mark.parametrize(("rows", "cell"), [(19, "| – |"), (20, "| 0.100 to 0.900 |")])
def test_few_rows_have_no_interval(rows: int, cell: str) -> None:
    card = model_card(replace(INFO, measures=[Measure("held_out", rows, "mcc", 0.5, (0.1, 0.9))]))
    assert cell in card


def test_a_licence_that_is_not_known_is_not_claimed() -> None:
    card = model_card(replace(INFO, licence=""))
    assert metadata(card).license is None and "Licence: that of the base" in card


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("task", ["cola", "bios"])
def test_any_name_is_valid_yaml_and_shown_as_it_is(name: str, task: Task) -> None:
    info = replace(
        INFO,
        task=task,
        name=name,
        data=name,
        base=name,
        base_source=f"folder: {name}",
        run=name,
        command=name,
    )
    card = model_card(info)
    shown = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())
    data = metadata(card)
    assert data.model_name == shown and {r.dataset_name for r in data.eval_results} == {shown}
    assert data.license == "apache-2.0" and data.pipeline_tag
    body = card.split("\n---\n", 1)[1]
    assert ModelCard(card).text.strip() == body.strip()
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(body)
    assert not re.search(r"<(script|img|a|em|strong|s)\b", html)
    titles = re.findall(r"<h1>(.*?)</h1>", html)
    assert len(titles) == 1 and re.findall(r"<h2>(.*?)</h2>", html)[-1] == "Limits"
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    assert titles == [escaped] and f"Data: {escaped}, fingerprint" in html
    assert html.count("<table>") == 1 and html.count("<pre>") == 2


def train_judge(home: Home, base: Path) -> RunFolder:
    run = make_run(home, "cola", "sentences", base, max_steps=3, learning_rate=1e-2, max_length=16)
    assert work(run) == 0
    return run


def test_a_judges_card_is_right_and_its_snippet_gives_the_verdicts_of_check(
    home: Home, sentences: DataInfo, tiny_bert: Path
) -> None:
    run = train_judge(home, tiny_bert)
    info, folder = store.info(home, "sentences"), store.folder(home, "sentences")
    card = (folder / "README.md").read_text(encoding="utf-8")
    data = data_store.load(home, "sentences")
    assert f"{info.learnt_from:,} rows learnt from, {info.measures[0].rows} in held out" in card
    assert info.learnt_from + info.measures[0].rows == data.info.size
    assert str(home.root) not in card and str(tiny_bert.parent) not in card
    assert not any(row.text in card for row in data.rows)

    judge = open_judge(folder)
    texts = [
        "They drank the pub.",
        "[SEP] special, [MASK] too.",
        "word " * 40,
        *(r.text for r in data.rows[:5]),
    ]
    # A temperature that counts, and a threshold with verdicts on either side, none so near that rounding decides.
    ordered = sorted(judge.probabilities(texts)[0])
    below, above = max(itertools.pairwise(ordered), key=lambda pair: float(pair[1] - pair[0]))
    middle = (below + above) / 2
    odds = math.log(middle / (1 - middle)) * info.temperature
    stored = replace(info, temperature=1.7, threshold=1 / (1 + math.exp(-odds / 1.7)))
    changed = home.root / "changed"
    store.publish(Home(changed), folder, stored)
    folder = store.folder(Home(changed), "sentences")
    snippet = code_of(model_card(stored), "python")
    said = what_it_prints(re.sub(r"sentences = .*", f"sentences = {texts!r}", snippet, count=1), folder)
    verdicts = list(open_judge(folder).verdicts(texts))
    assert said == [
        f"{v.probability:.3f}  {'acceptable' if v.acceptable else 'unacceptable'}  {v.sentence}"
        for v in verdicts
    ]
    assert {verdict.acceptable for verdict in verdicts} == {True, False}

    words = shlex.split(code_of(card, "sh"))
    assert words == shlex.split(command_of(run)) and words[:4] == ["bioforge", "train", "cola", "sentences"]
    settings = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    asked = dict(zip(words[4::2], words[5::2], strict=True))
    assert build_recipe("cola", None, asked["--preset"], settings, int(asked["--seed"])) == run.recipe()
    assert (
        asked["--base"] == f"PATH/TO/{tiny_bert.name}"
        and asked.get("--name", run.data()["name"]) == "sentences"
    )


def test_a_judges_figures_are_those_of_scikit_learn(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    train_judge(home, tiny_bert)
    info = store.info(home, "sentences")
    data = data_store.load(home, "sentences")
    from bioforge.runs.folder import listing
    from bioforge.runs.outcome import outcome_of

    outcome = outcome_of(listing(home)[0])
    assert outcome
    (judged,) = outcome.judged
    texts = [data.rows[at].text for at in judged.positions]
    said = [int(v.acceptable) for v in open_judge(store.folder(home, "sentences")).verdicts(texts)]
    told = {measure.metric: measure for measure in info.measures}
    assert told["mcc"].value == pytest.approx(matthews_corrcoef(judged.labels, said))
    assert told["accuracy"].value == pytest.approx(accuracy_score(judged.labels, said))
    for measure in told.values():
        assert measure.rows == len(texts) and measure.interval[0] <= measure.value <= measure.interval[1]


def test_a_writers_card_is_right_and_its_snippet_writes_what_generate_writes(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    # With one token to draw from, chance decides nothing.
    run = make_run(
        home,
        "bios",
        "djs",
        tiny_gpt2,
        max_steps=3,
        learning_rate=1e-2,
        top_k=1,
        sample_tokens=9,
        sample_every=0,
    )
    assert work(run) == 0
    info, folder = store.info(home, "djs"), store.folder(home, "djs")
    card = (folder / "README.md").read_text(encoding="utf-8")
    (said,) = what_it_prints(code_of(card, "python"), folder)
    writer = Writer.load(folder)
    (text,) = generate(writer.model, writer.tokenizer, "Born in", 1, Sampling(9, 1, 0.95, 1.0), 0)
    assert said == text.text and said.startswith("Born in")
    perplexity, bits = info.measures
    assert (perplexity.metric, bits.metric) == ("perplexity", "bits_per_byte")
    assert perplexity.value == pytest.approx(info.metrics["perplexity"], rel=1e-4)
    assert f"| held out | {bits.rows} | bits a byte | {bits.value:.3f} |" in card
    assert metadata(card).metrics == ["perplexity", "bits_per_byte"]
    renamed = store.rename(home, "djs", "other")
    again = (renamed / "README.md").read_text(encoding="utf-8")
    assert again == card.replace("# djs", "# other").replace("- name: djs\n", "- name: other\n")


def test_intervals_agree_with_independent_computations() -> None:
    draw = np.random.default_rng(7)
    labels, said = draw.integers(2, size=80), draw.integers(2, size=80)
    right = int((labels == said).sum())
    exact = binomtest(right, 80).proportion_ci(method="exact")
    low, high = accuracy_interval(labels.tolist(), said.tolist())
    assert exact.low <= low < right / 80 < high <= exact.high

    nats, targets, read = draw.uniform(50, 150, 60), draw.integers(20, 60, 60), draw.integers(100, 300, 60)
    told = prediction(nats.tolist(), targets.tolist(), read.tolist())
    assert told.perplexity == pytest.approx(math.exp(nats.sum() / targets.sum()))
    assert told.bits_per_byte == pytest.approx(nats.sum() / math.log(2) / read.sum())
    # The delta method: a ratio of sums is nearly normal, with the spread of its residuals.
    for rate, below, (low, high), shape in (
        (told.bits_per_byte, read, told.bits_per_byte_interval, lambda x: x),
        (told.loss, targets, told.perplexity_interval, math.log),
    ):
        above = nats / math.log(2) if below is read else nats
        spread = 1.96 * np.std(above - rate * below) * math.sqrt(60) / below.sum()
        assert shape(low) == pytest.approx(rate - spread, abs=0.2 * spread)
        assert shape(high) == pytest.approx(rate + spread, abs=0.2 * spread)
