"""Bytes to text: which encoding a file is in, and what to say when it is in none."""

from __future__ import annotations

import codecs
from pathlib import Path

from bioforge.errors import UserError

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
        raise UserError(f"{path} is empty")
    return raw


def decode(raw: bytes, where: str) -> tuple[str, str]:
    """Text and encoding of `raw`: UTF-8 with or without BOM, UTF-16, or Windows-1252, in this order.

    Raises UserError where it is none of them, naming the line of the first bad byte.
    """
    for magic, kind in _CONTAINERS.items():
        if raw.startswith(magic):
            raise UserError(f"{where} is {kind}, not text; export it as CSV (UTF-8) first")
    if raw.startswith(codecs.BOM_UTF8):
        return _strictly(raw, "utf-8-sig", where), "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strictly(raw, "utf-16", where), "utf-16"
    if b"\0" in raw:
        bare = _utf16_without_bom(raw)
        if bare:
            return _strictly(raw, bare, where), bare
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise UserError(f"{where}, line {line}: a NUL byte; this is not a text file, or it is damaged there")
    controls = len(raw) - len(raw.translate(None, _CONTROLS))
    if controls > len(raw) * _MAX_CONTROL_SHARE:
        raise UserError(f"{where} is a binary file, not text; export it as CSV (UTF-8) first")
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as utf8_error:
        try:
            return raw.decode("cp1252"), "cp1252"
        except UnicodeDecodeError:
            line = raw[: utf8_error.start].count(b"\n") + 1
            raise UserError(
                f"{where}, line {line}: byte 0x{raw[utf8_error.start]:02x} fits neither UTF-8, UTF-16 nor "
                "Windows-1252; save the file as UTF-8"
            ) from utf8_error


def _strictly(raw: bytes, encoding: str, where: str) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "ignore")
        line = before.count("\n") + 1
        raise UserError(
            f"{where}, line {line}: damaged {encoding.upper()} ({error.reason}); save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{where}, line {line}: a NUL character; remove it and import again")
    return text


def _utf16_without_bom(raw: bytes) -> str | None:
    """Western text in UTF-16 has a zero in most of its even, or of its odd, bytes."""
    if len(raw) % 2:
        return None
    sample = raw[:4096]
    half = len(sample) / 2
    if sample[1::2].count(0) > 0.5 * half and sample[0::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if sample[0::2].count(0) > 0.5 * half and sample[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return None
