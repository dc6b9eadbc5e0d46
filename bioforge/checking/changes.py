"""Which lines of which files were changed, as git tells it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bioforge.checking.git import git
from bioforge.errors import UserError

if TYPE_CHECKING:
    from subprocess import CompletedProcess

_HUNK = re.compile(rb"@@ -\S+ \+(\d+)(?:,(\d+))? @@")


class NoCommitError(UserError):
    """A repository has no commit of the name that was asked for; another one may have it."""


class Changes:
    """Lines that differ from a commit: in the work tree and the index; files that git does not know, wholly."""

    def __init__(self, reference: str = "HEAD") -> None:
        self.reference = reference
        self._roots: dict[Path, Path] = {}
        self._changed: dict[Path, dict[Path, list[range] | None] | None] = {}

    def lines(self, path: Path) -> list[range] | None:
        """Ranges of changed lines of a file, from 1; None: all of them.

        Raises UserError where git is missing or there is no repository, NoCommitError where it has no such commit.
        """
        whole = path.resolve()
        folder = whole.parent
        if folder not in self._roots:
            found = _asked(folder, "rev-parse", "--show-toplevel")
            if found.returncode:
                said = found.stderr.decode(errors="replace").partition("\n")[0].removeprefix("fatal: ")
                raise UserError(
                    f"{path} is in no git repository that git reads ({said}), so what changed in it cannot be told"
                )
            top = found.stdout.decode(errors="surrogateescape").rstrip("\n")
            self._roots[folder] = Path(top).resolve()
        root = self._roots[folder]
        if root not in self._changed:
            self._changed[root] = self._read(root)
        changed = self._changed[root]
        if changed is None:
            raise NoCommitError(f"no commit '{self.reference}' in the git repository {root}")
        return changed.get(whole, [])

    def _read(self, root: Path) -> dict[Path, list[range] | None] | None:
        """What changed in a repository; None where it has no such commit."""
        commit = _git(root, "rev-parse", "--verify", "-q", "--end-of-options", f"{self.reference}^{{commit}}")
        if commit is None:
            if self.reference != "HEAD":
                return None
            # A repository without commits: everything is new.
            commit = _git(root, "hash-object", "-t", "tree", "--stdin")
        arguments = (
            "--unified=0",
            "--inter-hunk-context=0",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--text",
            "-M",
        )
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        diff = _git(root, "diff", *arguments, *prefixes, (commit or b"").decode().strip(), "--")
        others = _git(root, "ls-files", "-z", "--others", "--exclude-standard")
        if diff is None or others is None:
            raise UserError(f"git cannot tell what changed in {root}")
        changed: dict[Path, list[range] | None] = dict(_parsed(diff, root))
        for name in others.split(b"\0"):
            if name:
                changed[root / name.decode(errors="surrogateescape")] = None
        return changed


def touched(first: int, last: int, changed: list[range] | None) -> bool:
    """Whether one of the lines from `first` to `last` is among the changed ones."""
    return changed is None or any(lines.start <= last and first < lines.stop for lines in changed)


def _parsed(diff: bytes, root: Path) -> dict[Path, list[range]]:
    changed: dict[Path, list[range]] = {}
    ranges: list[range] = []
    left = 0
    for line in diff.split(b"\n"):
        if left and line[:1] in b"+-\\":
            # Content that looks like a header is none.
            left -= line[:1] == b"+"
            continue
        if line.startswith(b"+++ "):
            name = _unquoted(line[4:].rstrip(b"\t"))
            ranges = changed.setdefault(root / name.removeprefix("b/"), [])
        elif hunk := _HUNK.match(line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            left = count
            if count:
                ranges.append(range(first, first + count))
    return changed


def _unquoted(name: bytes) -> str:
    """git quotes odd names as C does."""
    if name.startswith(b'"'):
        name = name[1:-1].decode("unicode_escape").encode("latin-1")
    return name.decode(errors="surrogateescape")


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it refuses."""
    result = _asked(folder, *arguments)
    return None if result.returncode else result.stdout


def _asked(folder: Path, *arguments: str) -> CompletedProcess[bytes]:
    try:
        return git(folder, *arguments)
    except FileNotFoundError as error:
        raise UserError("git is not installed, so what changed cannot be told") from error
