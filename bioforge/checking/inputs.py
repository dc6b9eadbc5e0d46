"""What to check: sentences, files, folders and standard input, each a source of sentences."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, TextIO

from bioforge.checking.git import git
from bioforge.checking.sentence import Sentence, literal
from bioforge.errors import UserError
from bioforge.files import human_size

MARKDOWN = frozenset({".md", ".markdown", ".mkd", ".mdown"})
TEXT = frozenset({".txt", ".text"})
_LARGEST_MARKDOWN = 20_000_000
"""Bytes; a block of Markdown can refer to one at the other end of the file, so the whole of it is read."""
_SPOOLED = 1 << 16
"""Bytes of standard input kept in memory; more goes to a temporary file."""

Kind = Literal["sentence", "lines", "prose", "markdown"]


@dataclass(frozen=True)
class Source:
    name: str
    """As reports show it, with forward slashes; empty for a sentence from the command line."""
    kind: Kind
    path: Path | None = None
    text: str = ""
    found: bool = False
    """Met in a folder rather than named: what holds no text is passed over."""


@dataclass(frozen=True)
class Problem:
    """An input that could not be checked."""

    name: str
    message: str


@dataclass(frozen=True)
class Inputs:
    sources: list[Source]
    problems: list[Problem]


def expand(
    inputs: Iterable[str],
    *,
    lines: bool = False,
    stdin_name: str = "",
    excluded: Callable[[Path], bool] | None = None,
) -> Inputs:
    """Every source that `inputs` name, in order, each file once, by its first name.

    What exists is a file or a folder, `-` is standard input, and any other text a sentence.
    """
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    for number, item in enumerate(inputs):
        if item == "-":
            name = Path(stdin_name).as_posix() if stdin_name else "stdin"
            if not (stdin_name and excluded and excluded(Path(stdin_name))):
                sources["-"] = Source(name, _kind(Path(stdin_name), lines))
        elif os.path.isdir(item):  # noqa: PTH112 – Path.is_dir raises for long sentences
            refused: list[OSError] = []
            files = _files_in(Path(item), refused.append)
            problems += [_closed(error) for error in refused]
            if not files and not refused:
                problems.append(Problem(item, f"{item} holds no text or Markdown files"))
            for path in files:
                if not (excluded and excluded(path)):
                    known = Source(path.as_posix(), _kind(path, lines), path, found=True)
                    sources.setdefault(str(path.resolve()), known)
        elif os.path.exists(item):  # noqa: PTH110
            path = Path(item)
            if not (excluded and excluded(path)):
                known = sources.get(str(path.resolve()), Source(path.as_posix(), _kind(path, lines), path))
                sources[str(path.resolve())] = replace(known, found=False)
        elif _looks_like_a_file(item):
            problems.append(Problem(item, f"{item}: no such file"))
        elif item.strip():
            sources[f"\0{number}"] = Source("", "sentence", text=item)
    return Inputs(list(sources.values()), problems)


def sentences_of(source: Source, stdin: Callable[[], BinaryIO]) -> Iterator[Sentence]:
    """The sentences of one source, read as they are asked for.

    Raises UserError, possibly after some sentences, where the source holds no text.
    """
    if source.kind == "sentence":
        yield literal(source.text)
        return
    from bioforge.checking.prose import sentences_of_lines, sentences_of_text

    with _opened(source, stdin) as stream:
        if source.kind == "lines":
            yield from sentences_of_lines(stream, source.name)
        elif source.kind == "prose":
            yield from sentences_of_text(stream, source.name)
        else:
            from bioforge.checking.markdown import sentences_of_markdown

            text = stream.read(_LARGEST_MARKDOWN + 1)
            if len(text) > _LARGEST_MARKDOWN:
                size = human_size(_LARGEST_MARKDOWN)
                raise UserError(
                    f"{source.name} is larger than the {size} of Markdown that are read; split it"
                )
            yield from sentences_of_markdown(text)


def _opened(source: Source, stdin: Callable[[], BinaryIO]) -> TextIO:
    import shutil
    import tempfile

    from bioforge.data.decode import encoding_of, open_text

    if source.path:
        return open_text(source.path).open(newline="")
    # The encoding is known when all was seen; on disk, so that a pipe of any length fits in memory.
    spooled = tempfile.SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 – the stream returned closes it
    shutil.copyfileobj(stdin(), spooled)
    binary: BinaryIO = spooled  # type: ignore[assignment]
    if not spooled.tell():
        raise UserError("nothing to check: give sentences, a file, a folder, or text on stdin")
    encoding = encoding_of(binary, source.name)
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding, newline="")


def _kind(path: Path, lines: bool) -> Kind:
    if lines:
        return "lines"
    return "markdown" if path.suffix.lower() in MARKDOWN else "prose"


def _looks_like_a_file(item: str) -> bool:
    word = item.strip()
    return " " not in word and bool(Path(word).suffix[1:] or "/" in word or os.sep in word)


def _closed(error: OSError) -> Problem:
    name = Path(error.filename).as_posix()
    return Problem(name, f"{name} cannot be read: {error.strerror}")


def _files_in(folder: Path, refused: Callable[[OSError], None]) -> list[Path]:
    """Text and Markdown files below `folder`, sorted; neither hidden ones nor those that git ignores.

    `refused` is told of what may not be looked into.
    """
    listed = _listed_by_git(folder, refused)
    paths = _walked(folder, refused) if listed is None else listed
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in MARKDOWN | TEXT
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _walked(folder: Path, refused: Callable[[OSError], None]) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path for name in files if _is_file(path := Path(root, name), refused))


def _is_file(path: Path, refused: Callable[[OSError], None]) -> bool:
    """Not so pipes, which would wait for a writer, and links that lead nowhere."""
    try:
        return path.is_file()
    except OSError as error:
        refused(error)
        return False


def _listed_by_git(folder: Path, refused: Callable[[OSError], None]) -> list[Path] | None:
    """Files that git tracks or would track; None outside a repository, and in a folder that is ignored itself."""
    try:
        if git(folder, "check-ignore", "-q", ".").returncode != 1:
            return None
        listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except OSError:
        return None
    if listed.returncode:
        return None
    found: list[Path] = []
    for raw in sorted(set(listed.stdout.split(b"\0")) - {b""}):
        path = folder / os.fsdecode(raw)
        try:
            if path.is_file():
                found.append(path)
            # Another repository inside this one; a link to a folder leads to what is listed anyway, or out of here.
            # A submodule that was not checked out lists its own folder.
            elif path != folder and path.is_dir() and not path.is_symlink():
                found += _files_in(path, refused)
        except OSError as error:
            refused(error)
    return found
