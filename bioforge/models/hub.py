"""Putting a model on the Hugging Face hub: one commit, of exactly its own files. Light: no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from bioforge.errors import UserError
from bioforge.files import human_size, read_json
from bioforge.models import store
from bioforge.models.bases import weights_of
from bioforge.models.card import PLACE
from bioforge.models.store import INFO_FILE
from bioforge.paths import Home

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_OWN = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "*.model",
    INFO_FILE,
    "README.md",
)
"""What `save_pretrained` and the store write; whatever else lies in a model's folder stays there."""


@dataclass(frozen=True)
class Upload:
    """What goes where."""

    name: str
    repository: str
    data: str
    files: dict[str, Path | bytes]
    """By their names in the repository; bytes where they differ from what lies here."""
    left: list[str]
    """Names of those that stay."""

    @property
    def sizes(self) -> dict[str, int]:
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


def prepare(home: Home, name: str, repository: str) -> Upload:
    """Choose a model's files; nothing is contacted.

    Raises UserError for an unknown or broken model, and where `repository` is not `owner/name`.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    folder, info = store.folder(home, name), store.info(home, name)
    if not weights_of(folder):
        raise UserError(f"the model '{name}' has lost its weights ({folder}); there is nothing to upload")
    try:
        validate_repo_id(repository)
        owner, _, rest = repository.partition("/")
        if not (owner and rest):
            raise HFValidationError("it has no owner")
    except HFValidationError as error:
        raise UserError(
            f"--repo {repository!r} is no repository of the hub: write owner/name, of letters, digits, '-', '_' and '.'"
        ) from error
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    own = [path for path in paths if any(fnmatch(path.name, pattern) for pattern in _OWN)]
    files: dict[str, Path | bytes] = {path.name: path for path in own}
    files[INFO_FILE] = _without_paths(folder / INFO_FILE)
    if "README.md" in files:
        card = (folder / "README.md").read_text(encoding="utf-8")
        files["README.md"] = card.replace(PLACE, repository).encode()
    return Upload(name, repository, info.data, files, [path.name for path in paths if path not in own])


def _without_paths(path: Path) -> bytes:
    """`bioforge.json` as it is, but for where a base lay on this machine."""
    values = read_json(path)
    if str(values["base_source"]).startswith("folder"):
        values["base_source"] = "folder"
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()


def push(upload: Upload, *, public: bool, say: Callable[[str], None]) -> str:
    """Upload in one commit, on top of what is there; returns the model's address.

    The token is that of `HF_TOKEN` or of the hub's own login. `say` is told each step.

    Raises UserError where the hub cannot be reached, refuses, or shows the repository to more people than asked.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise UserError("cannot reach the hub: HF_HUB_OFFLINE is set; unset it to upload")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        if not get_token():
            raise UserError("no token for the hub: set HF_TOKEN, or log in: hf auth login")
        _make_room(api, upload.repository, public, say)
        return _commit(api, upload, say)
    except UserError:
        raise
    except HfHubHTTPError as error:
        raise UserError(_refusal(upload.repository, error)) from error
    except ValueError as error:  # the hub found fault with the card
        raise UserError(f"the hub refused the model card: {' '.join(str(error).split())}") from error
    except Exception as error:  # the hub library's HTTP client, and its errors, differ between its versions
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"cannot reach the hub at {api.endpoint} ({reason}); check the network") from error


def _make_room(api: HfApi, repository: str, public: bool, say: Callable[[str], None]) -> None:
    """See that the repository is there, and no more public than it may be."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        there = api.model_info(repository)
    except RepositoryNotFoundError:
        api.create_repo(repository, private=not public, exist_ok=True)
        say(f"made {repository}, {'public' if public else 'private'}")
        return
    if there.private is False and not public:
        raise UserError(
            f"{repository} is public already; pass --public to upload there, or choose another --repo"
        )
    say(f"{repository} is there; this becomes a commit on top, and files of other names stay")
    if there.private and public:
        say(f"it is private and stays so; its page on {api.endpoint} can make it public")


def _commit(api: HfApi, upload: Upload, say: Callable[[str], None]) -> str:
    from huggingface_hub import CommitOperationAdd

    say(f"uploading {len(upload.files)} files, {human_size(sum(upload.sizes.values()))} …")
    api.create_commit(
        upload.repository,
        [CommitOperationAdd(name, content) for name, content in upload.files.items()],
        commit_message=f"bioforge: {upload.name}",
    )
    return f"{api.endpoint}/{upload.repository}"


def _refusal(repository: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the hub does not accept this token: set another HF_TOKEN, or log in again: hf auth login"
    if status == 403:
        owner = repository.partition("/")[0]
        return f"this token may not write to {repository}: it needs the right to write for '{owner}'"
    said = " ".join(str(error).split())
    return f"the hub refused {repository}: {said}"
