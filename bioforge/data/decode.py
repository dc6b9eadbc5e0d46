"""Bytes to text: which encoding a file is in, and what to say when it is in none."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from bioforge.errors import EmptyFileError, NoTextError, UserError

_CONTAINERS = {
    b"PK\x03\x04": "a zip archive or an office document",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an old office document",
    b"SQLite format 3": "a database",
    b"PAR1": "a Parquet file",
}
_CONTROLS = bytes(set(range(32)) - {9, 10, 11, 12, 13, 26, 27})
_MAX_CONTROL_SHARE = 0.001
_CHUNK = 1 << 20
_HEAD = 4096


@dataclass(frozen=True)
class TextFile:
    """A file whose bytes were all seen to be text; it can be read as often as need be."""

    path: Path
    encoding: str
    reopen: Callable[[], BinaryIO]

    def open(self, newline: str) -> TextIO:
        """The text as a stream, its line ends as they are, lines split as `io.TextIOWrapper` says."""
        return io.TextIOWrapper(self.reopen(), self.encoding, newline=newline)


def open_text(path: Path) -> TextFile:
    """Look through a file's bytes, keeping none of them; a pipe, which can be read once, is kept.

    Raises UserError for what `read_bytes` and `decode` refuse.
    """
    kept = b"" if path.is_file() else read_bytes(path)

    def reopen() -> BinaryIO:
        return io.BytesIO(kept) if kept else path.open("rb")

    try:
        with reopen() as stream:
            if not any(chunk.strip() for chunk in _chunks(stream)):
                raise EmptyFileError(f"{path} is empty")
            return TextFile(path, encoding_of(stream, str(path)), reopen)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def read_bytes(path: Path) -> bytes:
    """The file's bytes.

    Raises UserError for a missing file, a folder, an unreadable or an empty file.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the file in it")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if not raw.strip():
        raise EmptyFileError(f"{path} is empty")
    return raw


def decode(raw: bytes, where: str) -> tuple[str, str]:
    """Text and encoding of `raw`.

    Raises UserError as `encoding_of` does.
    """
    encoding = encoding_of(io.BytesIO(raw), where)
    return raw.decode(encoding), encoding


def encoding_of(stream: BinaryIO, where: str) -> str:
    """The encoding that all of `stream` is in: UTF-8 with or without BOM, UTF-16, or Windows-1252, in this order.

    Raises NoTextError where it is none of them, naming the line of the first bad byte, and UserError where a byte order
    mark tells of one and what follows is damaged.
    """
    stream.seek(0)
    head = stream.read(_HEAD)
    size = stream.seek(0, io.SEEK_END)
    for magic, kind in _CONTAINERS.items():
        if head.startswith(magic):
            raise NoTextError(f"{where} is {kind}, not text; export it as CSV (UTF-8) first")
    if head.startswith(codecs.BOM_UTF8):
        return _strictly(stream, "utf-8-sig", where)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strictly(stream, "utf-16", where)
    nul_line = _line_of_nul(stream)
    if nul_line:
        bare = "" if size % 2 else _utf16_without_bom(head)
        if bare:
            return _strictly(stream, bare, where)
        raise NoTextError(
            f"{where}, line {nul_line}: a NUL byte; this is not a text file, or it is damaged there"
        )
    controls = sum(len(chunk) - len(chunk.translate(None, _CONTROLS)) for chunk in _chunks(stream))
    if controls > size * _MAX_CONTROL_SHARE:
        raise NoTextError(f"{where} is a binary file, not text; export it as CSV (UTF-8) first")
    found = _scan(stream, "utf-8")
    if not found.error:
        return "utf-8"
    if not _scan(stream, "cp1252").error:
        return "cp1252"
    raise NoTextError(
        f"{where}, line {found.line}: byte 0x{found.error.object[found.error.start]:02x} fits neither UTF-8, "
        "UTF-16 nor Windows-1252; save the file as UTF-8"
    ) from found.error


@dataclass(frozen=True)
class _Scan:
    """How decoding a stream went: at most one error, and its line; else the line of the first NUL, if any."""

    line: int = 0
    error: UnicodeDecodeError | None = None


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk


def _line_of_nul(stream: BinaryIO) -> int:
    """1-based line of the first NUL byte, 0 where there is none."""
    lines = 1
    for chunk in _chunks(stream):
        at = chunk.find(b"\0")
        if at >= 0:
            return lines + chunk.count(b"\n", 0, at)
        lines += chunk.count(b"\n")
    return 0


def _scan(stream: BinaryIO, encoding: str) -> _Scan:
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, nul_line = 1, 0
    for chunk in chain(_chunks(stream), [b""]):
        before = decoder.getstate()
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # The error counts from the bytes left over from the chunk before.
            left_over = len(error.object) - len(chunk)
            decoder.setstate(before)
            text = decoder.decode(chunk[: max(0, error.start - left_over)])
            return _Scan(lines + text.count("\n"), error)
        if not nul_line and "\0" in text:
            nul_line = lines + text.count("\n", 0, text.index("\0"))
        lines += text.count("\n")
    return _Scan(nul_line)


def _strictly(stream: BinaryIO, encoding: str, where: str) -> str:
    found = _scan(stream, encoding)
    if found.error:
        raise UserError(
            f"{where}, line {found.line}: damaged {encoding.upper()} ({found.error.reason}); save it as UTF-8"
        ) from found.error
    if found.line:
        raise UserError(f"{where}, line {found.line}: a NUL character; remove it and import again")
    return encoding


def _utf16_without_bom(head: bytes) -> str:
    """Western text in UTF-16 has a zero in most of its even, or of its odd, bytes."""
    half = len(head) / 2
    if head[1::2].count(0) > 0.5 * half and head[0::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if head[0::2].count(0) > 0.5 * half and head[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return ""
