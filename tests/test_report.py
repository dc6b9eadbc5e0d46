"""The page of a report as a browser and a suspicious reader meet it, and the commands that make it."""

from __future__ import annotations

import itertools
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bioforge.data import cola, store
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.evidence.report import report_of
from bioforge.evidence.report_page import page_of
from bioforge.evidence.saving import save_report
from bioforge.evidence.telling import judged_sentence
from bioforge.paths import Home
from bioforge.runs.events import Failed, Stopped, Warning
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import Judged, Outcome, Written, keep_lengths, keep_outcome
from tests.evidence import finished, sample, say_many_steps, started, step, told_run, validation
from tests.helpers import bioforge, make_run, work

HOSTILE = "<script>alert(1)</script> </title></style> \x1b[31mred \u202eback\u2066 \"quoted\" 'single' {{ 7*7 }} & $x^$"
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "rect"}


class Page(HTMLParser):
    """What a page consists of, and whether all that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def values(self, tag: str, name: str) -> list[str]:
        return [value for of, attribute, value in self.attributes if (of, attribute) == (tag, name)]


def _page(run: RunFolder) -> Page:
    return Page(page_of(report_of(run)))


def _judge(home: Home, data: DataInfo) -> RunFolder:
    events = [
        started(4),
        *(step(at, 1 / at) for at in range(1, 5)),
        validation(2, 0.6, 0.6),
        validation(4, 0.5, 0.4, best=True),
    ]
    run = told_run(home, data, "cola", [*events, finished(4, 4, mcc_at_threshold=0.2)], "epochs=9")
    labels = [at % 3 > 0 for at in range(64)]
    said = [0.2 + 0.01 * at for at in range(64)]
    parts = [
        Judged(name, list(range(64)), list(map(int, labels)), said)
        for name in ("in_domain_dev", "out_of_domain_dev")
    ]
    keep_outcome(run, Outcome(0.5, parts))
    keep_lengths(run, [5, 6, 7], 64, 0)
    return run


@pytest.fixture
def judge(home: Home, sentences: DataInfo) -> RunFolder:
    return _judge(home, sentences)


@pytest.fixture
def short(home: Home, sentences: DataInfo) -> RunFolder:
    """One that has little to show, and so is drawn soon."""
    return told_run(home, sentences, "cola", [started(3), step(1), Stopped(1, "asked to stop")])


def test_a_page_needs_nothing_else_and_runs_nothing(judge: RunFolder) -> None:
    text = page_of(report_of(judge))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert policy in page.values("meta", "content")
    links = [value for _, name, value in page.attributes if name in ("href", "xlink:href", "src")]
    assert links and all(link.startswith("#") for link in links)
    assert "@import" not in text and "@font-face" not in text


def test_a_page_can_be_read_by_a_machine_that_reads_aloud(judge: RunFolder) -> None:
    page = _page(judge)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(page.values("svg", "aria-labelledby")) <= set(ids)
    assert page.tags.count("svg") == len(page.values("svg", "aria-labelledby")) > 10
    assert page.tags.count("th") == len(page.values("th", "scope"))
    assert page.tags.count("h1") == 1 and page.values("html", "lang") == ["en"]
    levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_a_page_tells_the_run(judge: RunFolder) -> None:
    words = _page(judge).words
    for piece in (
        judge.name,
        "Finished after 0:01:01",
        "did not overfit",
        "The judge on the in-domain dev split",
        "The judge on the out-of-domain dev split",
        "Chosen on these rows: the kept weights, the temperature and the threshold.",
        "neither weights nor threshold were chosen on it",
        "Most confident mistakes",
        "epochs 9 ◆ preset: 3",
        judge.data()["fingerprint"],
        "--set epochs=9",
        "torch 2.13",
    ):
        assert piece in words, piece
    assert "What is not here" not in words


def test_a_writers_page_has_its_samples(home: Home, djs: DataInfo) -> None:
    events = [
        started(4),
        step(1),
        validation(4, 3.0, 3.1),
        sample(2, "She plays in Lagos.", True),
        sample(4, "He was"),
    ]
    run = told_run(home, djs, "bios", [*events, finished(4, 4, "djs")])
    keep_outcome(run, Outcome(None, [], [Written("held_out", [0, 1], [50.0, 70.0], [20, 20], [90, 80])]))
    keep_lengths(run, list(range(200)), 128, 72)
    words = _page(run).words
    perplexity = math.exp(120 / 40)
    bits = 120 / math.log(2) / 170
    assert f"perplexity {perplexity:.1f}, {bits:.3f} bits a byte" in words
    assert "Longer than the limit of 128 tokens, and cut there: 72 of 200 training rows." in words
    assert "She plays in Lagos. by itself" in words and "He was cut" in words
    assert "Copied share" in words and "What is not here" not in words


def _hostile(home: Home, tmp_path: Path) -> RunFolder:
    path = tmp_path / "in.tsv"
    texts = [
        HOSTILE.replace("\n", " "),
        "long " * 2000,
        "wörd" * 2500,
        "مرحبا hello",
        *(f"Plain {at}." for at in range(60)),
    ]
    lines = [f"src{at % 2}<i>\t{at % 2}\t\t{text}" for at, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = cola.read_cola(path)
    data = store.add(home, "odd", "cola", store.rows_of_cola(read), path, read)
    events = [started(2), step(1), Warning(HOSTILE), sample(1, HOSTILE * 30), sample(2, "x" * 10_000)]
    run = told_run(home, data, "cola", [*events, Failed(2, HOSTILE)], f"sample_prompt={HOSTILE}")
    count = data.size
    labels = [at % 2 for at in range(count)]
    keep_outcome(
        run, Outcome(0.5, [Judged("dev", list(range(count)), labels, [float(1 - label) for label in labels])])
    )
    named = run.path.with_name("2026 <b>'quoted' & $run$")
    run.path.rename(named)
    return RunFolder(named)


def test_hostile_texts_come_out_as_texts(home: Home, tmp_path: Path) -> None:
    run = _hostile(home, tmp_path)
    text = page_of(report_of(run))
    page = Page(text)
    assert not {"script", "b", "i"} & set(page.tags) and page.tags.count("style") == 1
    assert not set("\x1b\u202e\u2066") & set(text) and "{{ 7*7 }}" in page.words
    assert "<script>alert(1)</script> </title></style>" in page.words
    assert "2026 <b>'quoted' & $run$" in page.words and "src1<i>" in page.words
    assert "(shortened: 9,999 characters)" in page.words or "(shortened: 10,000 characters)" in page.words
    assert "مرحبا hello" in page.words
    assert max(map(len, page.text)) < 20_000  # the style is the longest


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ([Stopped(2, "asked to stop")], "this one is stopped"),
        ([Failed(2, "no disk")], "this one is failed"),
        ([], "interrupted"),
    ],
)
def test_a_run_without_an_outcome_says_what_is_missing(
    home: Home, sentences: DataInfo, ending: list[Stopped], said: str
) -> None:
    run = told_run(home, sentences, "cola", [started(9), step(1), step(2), *ending])
    words = _page(run).words
    assert "What is not here, and why" in words and said in words
    assert "The judge on" not in words and "Learning curves" in words


def test_a_finished_run_from_before_outcomes_says_how_to_measure_its_model(
    home: Home, sentences: DataInfo
) -> None:
    run = told_run(home, sentences, "cola", [started(1), step(1), finished(1, 1)])
    assert "bioforge evaluate sentences sentences" in _page(run).words


def test_without_its_data_a_report_says_so(home: Home, judge: RunFolder) -> None:
    store.remove(home, "sentences")
    words = _page(judge).words
    assert "MCC by source and by length, and the mistakes: the data set 'sentences'" in words
    assert "Confusion matrix" in words and "Most confident mistakes" not in words


def test_data_under_another_name_are_found_by_their_fingerprint(home: Home, judge: RunFolder) -> None:
    (home.data / "sentences").rename(home.data / "renamed")
    described = json.loads((home.data / "renamed" / "data.json").read_text())
    (home.data / "renamed" / "data.json").chmod(0o644)
    (home.data / "renamed" / "data.json").write_text(json.dumps({**described, "name": "renamed"}))
    report = report_of(judge)
    assert report.data and report.data.name == "renamed" and report.judged[0].rows


def test_a_run_of_two_hundred_thousand_events_makes_a_small_page(home: Home, sentences: DataInfo) -> None:
    run = told_run(home, sentences, "cola", [started(200_000)])
    say_many_steps(run, 200_000, lambda at: 3.0 if at % 2 else math.nan)
    with run.events.open("a") as stream:
        stream.write(
            "".join(
                json.dumps({"event": "warning", "time": 1.0, "message": f"w{at}"}) + "\n" for at in range(500)
            )
        )
    text = page_of(report_of(run))
    assert len(text) < 400_000 and "nan or infinite at 100,000 steps, 2 to 200,000" in text
    assert "The latest 50 of 500." in text


def test_many_validations_are_told_by_some(home: Home, sentences: DataInfo) -> None:
    told = [validation(at, 1 / (at + 1), 0.5) for at in range(300)]
    page = _page(told_run(home, sentences, "cola", [started(300), *told]))
    assert "60 of 300 validations" in page.words and page.tags.count("tr") < 150


# Files.


def test_a_report_lies_in_its_run_and_is_replaced(short: RunFolder) -> None:
    (page,) = save_report(short, report_of(short), None)
    assert page == short.path / "report" / f"{short.name}.html"
    page.write_text(page.read_text().replace("Training", "Changed"))
    save_report(short, report_of(short), None)
    assert "Changed" not in page.read_text()
    assert [path.name for path in page.parent.iterdir()] == [page.name]


def test_what_is_no_report_of_the_run_stays(
    home: Home, sentences: DataInfo, short: RunFolder, tmp_path: Path
) -> None:
    target = tmp_path / "thesis.html"
    target.write_text("my thesis")
    with pytest.raises(UserError, match="--replace"):
        save_report(short, report_of(short), target)
    assert target.read_text() == "my thesis"
    save_report(short, report_of(short), target, replace=True)
    other = told_run(home, sentences, "cola", [started(3), step(1)])
    with pytest.raises(UserError, match="no report of this run"):
        save_report(other, report_of(other), target)


def test_pictures_lie_beside_the_page_and_guard_themselves(short: RunFolder, tmp_path: Path) -> None:
    report = report_of(short)
    page, *pictures = save_report(short, report, tmp_path / "out", png=True)
    assert page == tmp_path / "out" / f"{short.name}.html"
    assert f"{short.name}-learning-curves.png" in [path.name for path in pictures]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in pictures) and len(pictures) == 3
    pictures[0].write_bytes(b"mine")
    page.unlink()
    with pytest.raises(UserError, match="learning-curves.png"):
        save_report(short, report, tmp_path / "out", png=True)
    assert not page.exists() and pictures[0].read_bytes() == b"mine"


def test_where_nothing_can_be_written_is_said(short: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = report_of(short)
    for out in (tmp_path / "file", tmp_path / "file" / "x.html", tmp_path / ("n" * 300) / "x.html"):
        with pytest.raises(UserError):
            save_report(short, report, out)


# Commands.


def test_the_command_writes_a_page_and_prints_where(judge: RunFolder, tmp_path: Path) -> None:
    made = bioforge("runs", "report", "last", "--out", str(tmp_path / "here.html"), "--png")
    assert made.returncode == 0, made.stderr
    first, *rest = made.stdout.splitlines()
    assert (
        first == str(tmp_path / "here.html") and all(Path(line).is_file() for line in [first, *rest]) and rest
    )
    shown = bioforge("runs", "show", "last")
    assert shown.returncode == 0, shown.stderr
    assert "in-domain dev split: MCC" in shown.stdout and "did not overfit" in shown.stdout
    assert "repeat it: bioforge train cola sentences" in shown.stdout
    assert judged_sentence(report_of(judge).judged[0]) in shown.stdout


def test_the_facts_are_json_and_write_no_page(judge: RunFolder) -> None:
    told = bioforge("runs", "report", "last", "--json")
    facts = json.loads(told.stdout)
    assert facts == json.loads(bioforge("runs", "show", "last", "--json").stdout)
    assert (
        facts["judged"][0]["counts"]["true_positive"] + facts["judged"][0]["counts"]["false_negative"] == 42
    )
    assert facts["state"]["status"] == "finished" and facts["recipe"]["epochs"] == 9
    assert not (judge.path / "report").exists()


@pytest.mark.parametrize(
    "damage",
    ["{", '{"threshold": 0.5, "judged": [{"split": "../x", "positions": [0], "labels": [1], "probabilities": [0.5]}], "written": []}',
     '{"threshold": 0.5, "judged": [{"split": "dev", "positions": null, "labels": [1], "probabilities": [0.5]}], "written": []}',
     '{"threshold": "x", "judged": [{"split": "dev", "positions": [0], "labels": [1], "probabilities": [0.5]}], "written": []}'],
)  # fmt: skip
def test_a_damaged_outcome_is_one_line(judge: RunFolder, damage: str) -> None:
    (judge.path / "outcome.json").write_text(damage)
    with pytest.raises(UserError, match=r"is damaged: outcome\.json cannot be read") as raised:
        report_of(judge)
    assert "\n" not in str(raised.value)


def test_a_damaged_run_leaves_with_a_line_and_code_two(judge: RunFolder) -> None:
    (judge.path / "outcome.json").write_text("[]")
    failed = bioforge("runs", "report", "last")
    assert failed.returncode == 2 and len(failed.stderr.splitlines()) == 1 and failed.stdout == ""


def test_runs_that_were_really_trained_are_told(
    home: Home, sentences: DataInfo, djs: DataInfo, tiny_bert: Path, tiny_gpt2: Path
) -> None:
    judge = make_run(home, "cola", sentences.name, tiny_bert, epochs=1)
    assert work(judge) == 0
    writer = make_run(home, "bios", djs.name, tiny_gpt2, max_steps=3, sample_every=1, sample_tokens=8)
    assert work(writer) == 0
    assert "The judge on the" in _page(judge).words
    report = report_of(writer)
    assert report.missing == [] and len(report.copies) == len(report.facts.samples.shown) >= 3
    ending = report.facts.ending
    assert ending and report.written[0].perplexity == pytest.approx(ending.metrics["perplexity"], rel=1e-4)  # type: ignore[union-attr]
    assert "Samples over time" in Page(page_of(report)).words
