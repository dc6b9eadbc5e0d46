"""Uploading to a hub, against a server of ours that speaks as much of its language as its library asks for."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from bioforge.data.store import DataInfo
from bioforge.files import read_json
from bioforge.models import store
from bioforge.paths import Home
from tests.helpers import everything_in, make_run, work

REPO = "me/my-judge"


@dataclass
class Hub:
    """One repository, and what was asked of the server."""

    url: str = ""
    private: bool | None = None
    """None: there is no repository."""
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and message for requests whose path ends so."""
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        for end, (status, message) in self.refuses.items():
            if path.endswith(end):
                return status, {"X-Error-Message": message}, {"error": message}
        if path == f"/api/models/{REPO}":
            if self.private is None:
                return 404, {"X-Error-Code": "RepoNotFound"}, {"error": "Repository not found"}
            return 200, {}, {"id": REPO, "private": self.private, "siblings": []}
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            self.private = self.created[-1]["visibility"] == "private"
            return 200, {}, {"url": f"{self.url}/{REPO}"}
        if path == "/api/validate-yaml":
            return 200, {}, {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return 200, {}, {"files": files}
        if path.endswith("/commit/main"):
            lines = [json.loads(line) for line in body.splitlines()]
            assert lines[0]["key"] == "header" and {line["key"] for line in lines[1:]} == {"file"}
            for line in lines[1:]:
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.commits += 1
            return 200, {}, {"commitUrl": f"{self.url}/{REPO}/commit/0", "commitOid": "0" * 40}
        return 404, {}, {"error": f"nothing at {path}"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    place = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            place.asked.append(path)
            place.tokens.add(self.headers.get("Authorization"))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, answer = place.answer(path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", place.url)
    monkeypatch.setenv("HF_ENDPOINT", place.url)
    # Set for good in a process that loaded the library while it was offline.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("NO_PROXY", "*")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield place
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def judge(home: Home, sentences: DataInfo, tiny_bert: Path) -> Path:
    assert work(make_run(home, "cola", "sentences", tiny_bert, max_steps=1)) == 0
    folder = store.folder(home, "sentences")
    for name in ("model.onnx", "model.onnx.json", "notes of mine.txt"):
        (folder / name).write_text("stays here")
    return folder


Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> tuple[int, str]:
        from bioforge.__main__ import main

        monkeypatch.setattr(sys, "argv", ["bioforge", "models", "export", *arguments])
        try:
            main()
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        return code, capsys.readouterr().err

    return run


UPLOAD = ("sentences", "--to", "hub", "--repo", REPO)


def test_exactly_the_models_own_files_arrive_in_one_private_commit(
    judge: Path, hub: Hub, home: Home, tiny_bert: Path
) -> None:
    """As a user does it, in a process of its own."""
    before = everything_in(home.root)
    done = subprocess.run(
        [sys.executable, "-m", "bioforge", "models", "export", *UPLOAD, "--yes"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HF_HUB_DISABLE_XET": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert set(hub.files) == names | {"README.md", "bioforge.json"}
    assert {name: hub.files[name] for name in names} == {name: (judge / name).read_bytes() for name in names}
    card, told = hub.files["README.md"].decode(), json.loads(hub.files["bioforge.json"])
    assert card == (judge / "README.md").read_text().replace("PATH/TO/THIS/FOLDER", REPO)
    assert f'folder = "{REPO}"' in card
    data: Any = ModelCard(card).data
    assert data.pipeline_tag == "text-classification"
    kept = read_json(judge / "bioforge.json")
    assert kept["base_source"] == f"folder: {tiny_bert}"
    assert told == {**kept, "base_source": "folder"}
    assert not any(str(home.root.parent).encode() in content for content in hub.files.values())
    assert not any(str(tiny_bert.parent).encode() in content for content in hub.files.values())
    (created,) = hub.created
    assert (created["name"], created["organization"], created["visibility"]) == ("my-judge", "me", "private")
    assert hub.commits == 1 and hub.tokens == {"Bearer hf_secret"}
    for said in (
        f"sentences would go to {REPO} (private",
        "model.safetensors",
        "here stays: model.onnx, model.onnx.json, notes of mine.txt",
        "none of its texts",
        f"made {REPO}, private",
        f"sentences is at {hub.url}/{REPO}",
    ):
        assert said in done.stderr
    assert "hf_secret" not in done.stderr + done.stdout
    assert everything_in(home.root) == before


def test_what_is_there_stays_below_a_commit_on_top(judge: Path, hub: Hub, cli: Cli) -> None:
    hub.private, hub.files = True, {"theirs.txt": b"other"}
    code, said = cli(*UPLOAD, "--yes", "--public")
    assert code == 0 and hub.commits == 1 and not hub.created
    assert hub.files["theirs.txt"] == b"other" and "model.safetensors" in hub.files
    assert "a commit on top, and files of other names stay" in said and "private and stays so" in said


def test_nothing_private_lands_in_a_public_place_unasked(judge: Path, hub: Hub, cli: Cli) -> None:
    hub.private = False
    code, said = cli(*UPLOAD, "--yes")
    assert code == 2 and "is public already; pass --public" in said and not hub.commits
    assert cli(*UPLOAD, "--yes", "--public")[0] == 0
    assert len(hub.files) == 6


def test_a_public_repository_is_made_where_asked(judge: Path, hub: Hub, cli: Cli) -> None:
    assert cli(*UPLOAD, "--yes", "--public")[0] == 0
    assert hub.created[0]["visibility"] == "public"


@pytest.mark.parametrize(
    ("path", "status", "message", "said"),
    [
        (
            f"/api/models/{REPO}",
            401,
            "Invalid credentials in Authorization header",
            "does not accept this token",
        ),
        ("/api/repos/create", 401, "no", "does not accept this token"),
        ("/api/repos/create", 403, "You don't have the rights", f"may not write to {REPO}"),
        ("/commit/main", 403, "You don't have the rights", f"may not write to {REPO}"),
        ("/commit/main", 400, "Odd commit", "the hub refused me/my-judge: "),
        ("/api/validate-yaml", 400, "Odd card", "the hub refused the model card: "),
    ],
)
def test_a_refusal_is_one_line(
    path: str, status: int, message: str, said: str, judge: Path, hub: Hub, cli: Cli
) -> None:
    hub.refuses = {path: (status, message)}
    code, told = cli(*UPLOAD, "--yes")
    last = told.strip().splitlines()[-1]
    assert code == 2 and last.startswith("bioforge: ") and said in last
    assert not hub.commits and "Traceback" not in told


def test_no_network_and_no_token_are_one_line(
    judge: Path, hub: Hub, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    code, said = cli(*UPLOAD, "--yes")
    assert code == 2 and "cannot reach the hub at http://127.0.0.1:9" in said.splitlines()[-1]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in cli(*UPLOAD, "--yes")[1]
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(judge / "nowhere"))
    code, said = cli(*UPLOAD, "--yes")
    assert code == 2 and "no token for the hub: set HF_TOKEN" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a folder to copy to"),
        (("--to", "hub"), "--repo owner/name"),
        (("--repo", REPO), "--to hub"),
        (("--to", "moon", "--repo", REPO), "--to hub"),
        (("a-folder", "--to", "hub", "--repo", REPO), "to copy, name a folder"),
        (("--to", "hub", "--repo", "my-judge"), "is no repository of the hub"),
        (("--to", "hub", "--repo", "me/my judge"), "is no repository of the hub"),
        (("--to", "hub", "--repo", REPO), "Pass --yes to confirm"),
    ],
)
def test_nobody_is_contacted_before_all_is_said_and_confirmed(
    arguments: tuple[str, ...], said: str, judge: Path, hub: Hub, cli: Cli, home: Home
) -> None:
    before = everything_in(home.root)
    code, told = cli("sentences", *arguments)
    assert code == 2 and said in told.splitlines()[-1]
    assert hub.asked == [] and everything_in(home.root) == before


def test_an_unknown_model_is_not_uploaded(home: Home, hub: Hub, cli: Cli) -> None:
    code, told = cli("nothing", "--to", "hub", "--repo", REPO, "--yes")
    assert code == 2 and "no model 'nothing'" in told and hub.asked == []
