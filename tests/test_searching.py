"""Searching for a recipe: what may vary, which trials are stopped, and what survives a conductor that dies."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bioforge.cli.search import _tell_json
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.files import write_json
from bioforge.models import store
from bioforge.models.store import ModelInfo
from bioforge.paths import Home
from bioforge.runs import launch as launching
from bioforge.runs.control import ControlReader
from bioforge.runs.events import EventWriter, Failed, Finished, Stopped, Validation
from bioforge.runs.folder import RunFolder, listing, remove
from bioforge.runs.outcome import Outcome, keep_outcome
from bioforge.runs.recipe import preset
from bioforge.runs.start import build_recipe
from bioforge.searching import conductor
from bioforge.searching.conductor import Conductor, News, final_score, runs_of
from bioforge.searching.folder import SearchFolder, open_search
from bioforge.searching.page import page
from bioforge.searching.result import result_of
from bioforge.searching.space import Dimension, parse_over
from bioforge.searching.start import prepare
from bioforge.searching.study import Study
from bioforge.settings import change_settings, load_settings
from tests.helpers import bioforge
from tests.test_comparison import judged
from tests.test_events import started, step

RECIPE = preset("cola", "balanced")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lr"], Dimension("learning_rate", low=4e-6, high=1e-4, log=True)),
        (["learning_rate=1e-5..1e-3"], Dimension("learning_rate", low=1e-5, high=1e-3, log=True)),
        (["lr=2e-5..4e-5"], Dimension("learning_rate", low=2e-5, high=4e-5)),
        (["batch=8, 16,32"], Dimension("batch_size", choices=["8", "16", "32"])),
        (["epochs"], Dimension("epochs", low=2, high=6, whole=True)),
        (["label_share"], Dimension("label_share", low=0, high=1)),
        (["bucketing"], Dimension("bucketing", choices=["false", "true"])),
        (["average"], Dimension("average", choices=["none", "ema"])),
        (["freeze"], Dimension("freeze", choices=["none", "embeddings", "embeddings,0-2"])),
        (["lora_rank=4..64"], Dimension("lora_rank", low=4, high=64, whole=True, log=True)),
    ],
)
def test_a_word_names_a_range(words: list[str], expected: Dimension) -> None:
    (found,) = parse_over(words, RECIPE, 6)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.field, found.choices, found.whole, found.log) == (
        expected.field, expected.choices, expected.whole, expected.log
    )  # fmt: skip


def test_values_and_names_are_told_apart() -> None:
    found = parse_over(["lr=1e-5..1e-4,batch=8,16,warmup", "epochs=2,3"], RECIPE, None)
    assert [item.field for item in found] == ["learning_rate", "batch_size", "warmup_steps", "epochs"]
    assert found[1].choices == ["8", "16"] and found[3].choices == ["2", "3"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("learning_rat", "did you mean 'learning_rate'"),
        ("lr,learning_rate", "twice"),
        ("seed", "luck"),
        ("validation_fraction", "same held-out rows"),
        ("lr=1e-3..1e-5", "must be below"),
        ("lr=0..7", "between 0 and 1"),
        ("batch=8..x", "whole number"),
        ("batch=8", "two values"),
        ("average=none..ema", "no numbers"),
        ("average=none,both", "expected one of none, ema"),
        ("max_length", "say which values, such as max_length=1..8"),
        ("lr=1e-5..1e-3,5", "either a range or values"),
        (" , ", "names no recipe field"),
    ],
)
def test_ranges_that_cannot_be_are_refused_in_a_line(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        parse_over([word], RECIPE, 6)
    assert "\n" not in str(refused.value)


def test_what_a_writers_loss_is_over_stays_the_same() -> None:
    with pytest.raises(UserError, match="which tokens a writer's loss"):
        parse_over(["max_length=32..64"], preset("bios", "balanced"), 2)
    assert parse_over(["max_length=32..64"], RECIPE, 6)[0].whole


class Workers:
    """Workers that are threads and learn nothing: how well a trial does follows from its learning rate."""

    def __init__(self, home: Home, validations: int = 6) -> None:
        self.home = home
        self.validations = validations
        self.pause = 0.03
        self.fail: Callable[[RunFolder], bool] = lambda run: False
        self.dies: Callable[[RunFolder, int], bool] = lambda run, validation: False
        self.threads: list[threading.Thread] = []
        self.at_work = self.most = 0
        self.shares: list[int] = []

    def launch(self, run: RunFolder, processes: Any = None, at_once: int = 1) -> None:
        assert not run.is_active(), "two workers for one run"
        self.shares.append(at_once)
        run.control.write_text("")
        holding = threading.Event()
        thread = threading.Thread(target=self._work, args=(run, holding))
        thread.start()
        self.threads.append(thread)
        holding.wait()

    def _work(self, run: RunFolder, holding: threading.Event) -> None:
        with run.lock():
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            try:
                self._learn(run, holding)
            finally:
                self.at_work -= 1

    def _learn(self, run: RunFolder, holding: threading.Event) -> None:
        write, control = EventWriter(run.events), ControlReader(run.control)
        done = sum(event.kind == "validation" for event in run.history())
        if done == 0:
            write(started())
        else:
            write(started(10 * done))
        holding.set()
        for folder in (run.checkpoints, run.best):
            folder.mkdir(exist_ok=True)
            (folder / "model.safetensors").write_bytes(b"x")
        for number in range(done + 1, self.validations + 1):
            time.sleep(self.pause)
            if any(word["request"] == "stop" for word in control.poll()):
                write(Stopped(step=10 * (number - 1), reason="asked to stop"))
                return
            if self.dies(run, number):
                return
            if self.fail(run):
                write(Failed(step=10 * (number - 1), message="the disk is full"))
                return
            write(step(10 * number))
            write(self._validation(run, number))
        info = ModelInfo(
            run.info().model, "cola", "tiny", "", store.now(), run.name, "", "", {}, {}, 1, 48, threshold=0.5
        )
        store.publish(self.home, run.best, info, replace=True)
        keep_outcome(run, Outcome(0.5, [judged(0.8)]))
        write(
            Finished(
                step=60, best_step=60, metrics={"mcc": 0.5}, model=info.name, seconds=1, reason="last epoch"
            )
        )

    def _validation(self, run: RunFolder, number: int) -> Validation:
        return Validation(
            step=10 * number, epoch=number / 2, train_loss=1.0, training_seconds=1, validation_seconds=1, best=True,
            metrics={"loss": 1.0, "accuracy": 0.5, "mcc": quality(run) * number / self.validations},
        )  # fmt: skip

    def join(self) -> None:
        for thread in self.threads:
            thread.join()


def quality(run: RunFolder) -> float:
    """Best at a learning rate of 1e-3."""
    return max(0.0, 0.9 - 0.3 * abs(math.log10(run.recipe().learning_rate) + 3))


@pytest.fixture
def workers(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    made = Workers(home)
    monkeypatch.setattr(conductor, "launch", made.launch)
    monkeypatch.setattr(conductor, "_POLL_S", 0.005)
    yield made
    made.join()


@pytest.fixture
def search(home: Home, sentences: DataInfo, tiny_bert: Path) -> SearchFolder:
    return prepare(
        home, "cola", "sentences", ["lr=1e-5..1e-1,batch=8,16"], str(tiny_bert), "quick", name="best"
    )


def conduct(home: Home, search: SearchFolder, trials: int, jobs: int = 1, **ways: Any) -> list[News]:
    told: list[News] = []
    with search.alone():
        made = Conductor(home, search, trials, jobs, ways.get("tell", told.append))
        assert made.conduct(ways.get("halt", lambda: False)) is not ways.get("halts", False)
    return told


def check_whole(home: Home, search: SearchFolder, trials: int) -> None:
    """What must be true of a search that is done, whatever happened to it."""
    found = Study(search).trials()
    assert [trial.number for trial in found if trial.state == "running"] == []
    assert len(found) == trials
    runs = runs_of(home, search)
    assert sorted(runs) == [trial.number for trial in found]
    assert len(listing(home)) == trials  # none was begun twice
    for trial in found:
        run = runs[trial.number]
        assert not run.is_active() and not run.best.exists() and not run.checkpoints.exists()
        assert run.events.exists() and run.recipe().batch_size == int(trial.settings["batch_size"])
        if trial.state == "finished":
            assert trial.value == pytest.approx(quality(run))
    best = max((quality(runs[trial.number]), -trial.number) for trial in found if trial.state == "finished")
    (model,) = store.listing(home)[0]
    assert model.name == search.name and model.run == runs[-best[1]].name


def test_the_best_trial_becomes_the_model_and_poor_ones_are_stopped(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    told = conduct(home, search, 14)
    check_whole(home, search, 14)
    states = Counter(trial.state for trial in Study(search).trials())
    assert states["pruned"] > 0 and states["finished"] >= 4
    runs = runs_of(home, search)
    given_up = [trial for trial in Study(search).trials() if trial.state == "pruned"]
    # Only those that were given up at their last validation may have come to their end.
    assert any(isinstance(runs[trial.number].ending(), Stopped) for trial in given_up)
    for trial in given_up:
        assert isinstance(runs[trial.number].ending(), Stopped) or trial.reported >= workers.validations - 1
        assert trial.reported >= 2
    assert {news.trial for news in told if news.what == "given up"} == {trial.number for trial in given_up}


def test_a_finished_search_goes_on_with_more_trials(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    conduct(home, search, 3)
    first = [trial.settings for trial in Study(search).trials()]
    assert conduct(home, search, 3) == []
    conduct(home, search, 6)
    check_whole(home, search, 6)
    settings = [trial.settings for trial in Study(search).trials()]
    assert settings[:3] == first
    assert len({tuple(item.items()) for item in settings}) == 6  # a new start draws nothing again


def test_the_model_found_before_stays_until_a_better_one_takes_its_name(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    conduct(home, search, 3)
    change_settings(home, judge="best")
    shutil.copytree(home.models / "best", home.models / "production")
    there = []

    def tell(news: News) -> None:
        if news.what == "finished":
            there.append((home.models / "best").is_dir())

    before = store.info(home, "best").run
    best = quality(RunFolder(home.runs / before))
    conduct(home, search, 14, tell=tell)
    assert there and all(there)
    assert {model.name for model in store.listing(home)[0]} == {"best", "production"}
    assert quality(RunFolder(home.runs / store.info(home, "best").run)) > best
    assert store.info(home, "production").run == before
    assert load_settings(home).judge == "best"


def test_several_trials_are_at_work_at_once(home: Home, search: SearchFolder, workers: Workers) -> None:
    conduct(home, search, 6, jobs=3)
    check_whole(home, search, 6)
    assert workers.most == 3 and set(workers.shares) == {3}


def test_runs_at_once_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 8)
    assert [launching._share_cores(count).get("OMP_NUM_THREADS") for count in (1, 2, 3, 20)] == [
        None, "4", "2", "1"
    ]  # fmt: skip


def test_a_search_where_nothing_learns_says_so(
    home: Home, search: SearchFolder, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_searching.quality", lambda run: 0.0)
    conduct(home, search, 2)
    assert "No trial learnt anything" in result_of(home, search).sentences[1]


def test_a_run_removed_by_hand_costs_only_itself(home: Home, search: SearchFolder, workers: Workers) -> None:
    conduct(home, search, 2)
    for run in listing(home):
        remove(run)
    conduct(home, search, 3)
    assert len(listing(home)) == 1 and len(Study(search).trials()) == 3
    assert result_of(home, search).command


class DiedError(Exception):
    pass


@pytest.mark.parametrize("moment", [0, 1, 3, 7, 12, 18, 24, 31])
def test_a_conductor_that_dies_at_any_moment_is_succeeded(
    home: Home, search: SearchFolder, workers: Workers, moment: int
) -> None:
    told: list[News] = []

    def tell(news: News) -> None:
        told.append(news)
        if len(told) == moment + 1:
            raise DiedError

    with pytest.raises(DiedError):
        conduct(home, search, 7, jobs=2, tell=tell)
    conduct(home, search, 7, jobs=2)
    check_whole(home, search, 7)


def test_halting_saves_the_trials_at_work_and_the_next_goes_on(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    told: list[News] = []
    workers.pause = 0.3
    conduct(home, search, 4, jobs=2, tell=told.append, halt=lambda: len(told) >= 2, halts=True)
    workers.pause = 0.03
    running = [trial for trial in Study(search).trials() if trial.state == "running"]
    assert running and all(not run.is_active() for run in runs_of(home, search).values())
    again = conduct(home, search, 4, jobs=2)
    assert {news.trial for news in again if news.what == "goes on"} == {trial.number for trial in running}
    check_whole(home, search, 4)


def test_trials_that_were_being_drawn_do_not_count(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    study = Study(search)
    study._study.ask()  # as if killed before a single value was drawn
    with search.journal.open("ab") as stream:
        stream.write(b'{"op_code": 5, "worker_')  # and in the middle of a line
    conduct(home, search, 2)
    assert [trial.number for trial in Study(search).trials()] == [1, 2]


def test_failing_trials_end_the_search_when_nothing_else_comes(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    workers.fail = lambda run: True
    with pytest.raises(UserError, match="3 trials failed one after another: the disk is full"):
        conduct(home, search, 10)
    assert [trial.state for trial in Study(search).trials()] == ["failed"] * 3
    workers.fail = lambda run: run.info().model.endswith("-4")
    conduct(home, search, 6)
    assert Counter(trial.state for trial in Study(search).trials())["failed"] == 4
    workers.fail = lambda run: True
    with pytest.raises(UserError, match="3 trials failed one after another: the disk is full"):
        conduct(home, search, 20)
    assert len(Study(search).trials()) == 9, "the rest would have failed just so"


def test_a_trial_whose_worker_is_killed_goes_on_once(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    killed: list[int] = []

    def dies(run: RunFolder, validation: int) -> bool:
        first = run.info().model.endswith("-0") and validation == 3 and not killed
        if first:
            killed.append(validation)
        return first or run.info().model.endswith("-1")

    workers.dies = dies
    told = conduct(home, search, 3)
    check_whole(home, search, 3)
    one, two, _ = Study(search).trials()
    assert killed and one.state == "finished" and one.reported == workers.validations
    assert [news.what for news in told if news.trial == 0].count("goes on") == 1
    assert two.state == "failed" and "ended without a word" in two.message


def test_a_trial_stopped_by_hand_stays_stopped(home: Home, search: SearchFolder, workers: Workers) -> None:
    from bioforge.runs import control

    def tell(news: News) -> None:
        if news.trial == 0 and news.what == "validation":
            control.send(runs_of(home, search)[0].control, "stop")

    conduct(home, search, 2, tell=tell)
    first = Study(search).trials()[0]
    assert (first.state, first.message) == ("pruned", "stopped by hand")


def test_one_conductor_at_a_time(home: Home, search: SearchFolder, workers: Workers) -> None:
    with search.alone(), pytest.raises(UserError, match="another process conducts the search 'best'"):
        conduct(home, search, 1)


def test_looking_at_a_search_writes_nothing_to_its_journal(home: Home, search: SearchFolder) -> None:
    Study(search).ask()
    whole = search.journal.read_bytes()
    cut_off = whole + b'{"op_code": 4, "worker'
    search.journal.write_bytes(cut_off)
    assert [trial.number for trial in result_of(home, search).trials] == [0]
    assert search.journal.read_bytes() == cut_off
    assert "not finished" in bioforge("search", "show", "best").stdout
    search.mend_journal()
    assert search.journal.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"no JSON\n", b"{}\n", b"\xff\n", b"[]\n"])
def test_a_damaged_journal_is_one_line(home: Home, search: SearchFolder, damage: bytes) -> None:
    Study(search).ask()
    search.journal.write_bytes(damage + search.journal.read_bytes())
    shown = bioforge("search", "show", "best")
    assert shown.returncode == 2 and "journal.log cannot be read" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert bioforge("search", "remove", "best", "--yes").returncode == 0


def test_of_two_that_begin_a_search_at_once_the_later_finds_it(
    home: Home, search: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = search.asked()
    monkeypatch.setattr(Path, "is_dir", lambda path: path != search.path)
    assert open_search(home, asked) == search
    with pytest.raises(UserError, match="other words"):
        open_search(home, replace(asked, preset="balanced"))


def test_values_that_are_no_numbers_are_null_in_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_json(News("validation", 0, "run", validation=1, value=math.nan))
    assert json.loads(capsys.readouterr().out)["value"] is None


@pytest.mark.parametrize(
    ("losses", "best", "last"),
    [
        ([0.9, 0.5, 0.7], -0.5, -0.7),
        ([math.nan, 0.5], -0.5, -0.5),
        ([0.5, math.inf], -0.5, None),
        ([], None, None),
    ],
)
def test_a_trial_is_worth_what_its_kept_checkpoint_is(
    losses: list[float], best: float | None, last: float | None
) -> None:
    told = [
        Validation(at, 0.1, 1.0, {"loss": loss}, 1.0, 1.0, False) for at, loss in enumerate([0.1, *losses])
    ]
    assert final_score(told, "best") == best and final_score(told, "last") == last


def test_a_file_in_the_pages_place_stays(home: Home, search: SearchFolder, tmp_path: Path) -> None:
    mine = tmp_path / "thesis.html"
    mine.write_text("mine")
    words = ("search", "cola", "sentences", "--html", str(mine), "--name", "other")
    for command in (words, ("search", "show", "best", "--html", str(mine))):
        told = bioforge(*command)
        assert told.returncode == 2 and "is no page of bioforge's" in told.stderr
    assert mine.read_text() == "mine" and not (home.searches / "other").exists()
    ours = tmp_path / "ours.html"
    assert all(bioforge("search", "show", "best", "--html", str(ours)).returncode == 0 for _ in range(2))
    beside = bioforge("search", "show", "best", "--html", str(mine / "below.html"))
    assert beside.returncode == 2 and "is a file" in beside.stderr


def test_the_recipe_to_use_is_the_best_trials(
    home: Home, search: SearchFolder, workers: Workers, tmp_path: Path
) -> None:
    conduct(home, search, 5)
    result = result_of(home, search)
    words = shlex.split(result.command)
    assert words[:4] == ["bioforge", "train", "cola", "sentences"]
    options = list(zip(words[4::2], words[5::2], strict=True))
    settings = [value for key, value in options if key == "--set"]
    named = dict(options)
    assert result.best
    trained = build_recipe("cola", named["--base"], named["--preset"], settings)
    assert trained == runs_of(home, search)[result.best.number].recipe()
    assert "flatters" in result.sentences[0]
    assert result.sentences[1].startswith("Out of domain, which decided nothing: MCC 0.")
    shown = bioforge("search", "show", "best")
    assert shown.returncode == 0 and result.command in shown.stdout and "★ best" in shown.stdout
    target = tmp_path / "search.html"
    value = json.loads(bioforge("search", "show", "best", "--json", "--html", str(target)).stdout)
    assert all(f">{trial.settings['learning_rate']}<" in target.read_text() for trial in result.trials)
    assert value["best"]["number"] == result.best.number and value["model"] == "best"


def test_a_search_is_removed_with_its_runs_and_without_its_model(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    conduct(home, search, 2)
    with search.alone():
        assert bioforge("search", "remove", "best", "--yes").returncode == 2
    assert bioforge("search", "remove", "best", "--yes").returncode == 0
    assert listing(home) == [] and not search.path.exists()
    assert [model.name for model in store.listing(home)[0]] == ["best"]


def test_an_unfinished_search_is_removed_with_what_it_has_so_far(
    home: Home, search: SearchFolder, workers: Workers
) -> None:
    told: list[News] = []
    halt = lambda: any(news.what == "finished" for news in told)  # noqa: E731
    conduct(home, search, 5, tell=told.append, halt=halt, halts=True)
    assert [model.name for model in store.listing(home)[0]] == ["best-trial-0"]
    assert bioforge("search", "remove", "best", "--yes").returncode == 0
    assert store.listing(home)[0] == [] and listing(home) == []


def test_hostile_settings_are_quoted(
    home: Home, sentences: DataInfo, tiny_bert: Path, workers: Workers
) -> None:
    hostile = 'sample_prompt=it\'s; rm -rf $HOME [bold] "quoted" <b>\x1b[2J'
    search = prepare(home, "cola", "sentences", ["lr"], str(tiny_bert), "quick", [hostile], 7, "odd")
    conduct(home, search, 2)
    result = result_of(home, search)
    words = shlex.split(result.command)
    assert hostile in words and words[-2:] == ["--seed", "7"]
    text = page(result)
    assert "&#34;quoted&#34; &lt;b&gt;" in text and "<b>" not in text and text.count("<svg") == 1
    assert "mathdefault" not in text, "labels that are formulas, unread"
    assert "\x1b" not in text and "<script" not in text


def test_first_recipes_are_drawn_all_over_their_ranges(home: Home, search: SearchFolder) -> None:
    study = Study(search)
    rates = sorted(float(study.ask().settings["learning_rate"]) for _ in range(10))
    quarters = {int(math.log10(rate) + 5) for rate in rates}  # from 1e-5 to 1e-1
    assert len(quarters) >= 3 and len(set(rates)) == 10


def test_names_are_drawn_as_they_are(
    home: Home, sentences: DataInfo, tiny_bert: Path, workers: Workers
) -> None:
    over = ["sample_prompt=$a$ <i>,$b"]
    conduct(home, made := prepare(home, "cola", "sentences", over, str(tiny_bert), "quick", name="odd"), 4)
    drawn = page(result_of(home, made)).partition("<svg")[2].partition("</svg>")[0]
    assert "$a$ &lt;i&gt;" in drawn or "$b" in drawn


def test_a_search_of_other_words_and_a_model_of_its_name_are_refused(
    home: Home, search: SearchFolder, tiny_bert: Path
) -> None:
    with pytest.raises(UserError, match=r"other words \(over\); choose another --name"):
        prepare(home, "cola", "sentences", ["lr"], str(tiny_bert), "quick", name="best")
    (home.models / "taken").mkdir(parents=True)
    info = ModelInfo("taken", "cola", "", "", "", "elsewhere", "", "", {}, {}, 0, 48)
    write_json(home.models / "taken" / store.INFO_FILE, {**vars(info), "parameters": []})
    with pytest.raises(UserError, match="a model 'taken' exists"):
        prepare(home, "cola", "sentences", ["lr"], str(tiny_bert), "quick", name="taken")
    result = bioforge("search", "show", "nothing")
    assert result.returncode == 2 and "there are: best" in result.stderr
    result = bioforge("search", "cola", "sentences", "--base", str(tiny_bert), "--over", "lr=5")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1


def test_real_workers_survive_a_killed_search(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    words = [
        "search",
        "bios",
        "djs",
        "--base",
        str(tiny_gpt2),
        "--preset",
        "quick",
        "--trials",
        "2",
        "--jobs",
        "2",
    ]
    words += ["--over", "lr=1e-4..1e-2,epochs=1,2", "--set", "max_length=32", "--set", "sample_every=0"]
    front = subprocess.Popen(
        [sys.executable, "-m", "bioforge", *words], env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while sum(run.launch.exists() for run in listing(home)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    front.send_signal(signal.SIGKILL)
    front.wait()
    result = bioforge(*words, "--json")
    assert result.returncode == 0, result.stderr
    *news, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert {item["event"] for item in news} == {"trial"} and last["event"] == "search"
    assert last["command"].startswith("bioforge train bios djs") and last["model"] == "djs-search"
    assert len(listing(home)) == 2
    assert all(run.state().status == "finished" for run in listing(home))
    assert [model.name for model in store.listing(home)[0]] == ["djs-search"]
