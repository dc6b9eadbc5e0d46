from __future__ import annotations

import codecs
import gzip
import io
import random
import zipfile
from pathlib import Path

import pytest

from bioforge.data.decode import decode, read_bytes
from bioforge.errors import UserError

TEXT = "name,bio\nRené,“Deep” house — naïve, über, 5 €\n"


def refusal(raw: bytes) -> str:
    with pytest.raises(UserError) as caught:
        decode(raw, "djs.csv")
    assert str(caught.value).startswith("djs.csv")
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8-sig"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("cp1252"), "cp1252"),
    ],
)
def test_text_in_each_encoding_is_read_exactly(raw: bytes, encoding: str) -> None:
    assert decode(raw, "djs.csv") == (TEXT, encoding)


def test_utf8_is_believed_before_windows_1252() -> None:
    assert decode("Ã© is é".encode(), "djs.csv") == ("Ã© is é", "utf-8")


def test_a_windows_file_with_one_curly_quote_late_in_it_is_read() -> None:
    text = "plain line\n" * 50_000 + "it’s\n"
    assert decode(text.encode("cp1252"), "djs.csv") == (text, "cp1252")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_scripts_and_emoji_survive(encoding: str) -> None:
    text = "Yōran, Дельфин, 電気グルーヴ, فيروز, 👩🏽‍🎤, \u2028\n"
    assert decode(text.encode(encoding), "djs.csv")[0] == text


def test_damaged_utf16_names_the_line() -> None:
    lone_surrogate = b"\x00\xdc"
    raw = (
        codecs.BOM_UTF16_LE
        + "name,bio\na,b\nc,".encode("utf-16-le")
        + lone_surrogate
        + "\n".encode("utf-16-le")
    )
    message = refusal(raw)
    assert "line 3: damaged UTF-16" in message
    assert "save it as UTF-8" in message


def test_the_line_of_damage_is_right_where_a_letter_has_the_byte_of_a_line_end() -> None:
    raw = "Ċensu\nĊensu\n".encode("utf-16") + b"\x00\xdc\n\x00"
    assert "line 3: damaged UTF-16" in refusal(raw)


def test_utf16_cut_off_within_a_character_is_refused() -> None:
    raw = codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")
    assert "damaged UTF-16 (truncated data)" in refusal(raw[:-1])


def test_damaged_utf8_with_a_byte_order_mark_names_the_line() -> None:
    assert "line 2: damaged UTF-8-SIG" in refusal(codecs.BOM_UTF8 + b"name,bio\na,\xe9\n")


def test_a_nul_byte_is_refused_with_its_line() -> None:
    assert "line 3: a NUL byte" in refusal(b"name,bio\na,b\nc,d\x00\ne,f\n" * 3)


def test_a_nul_character_within_utf16_is_refused_with_its_line() -> None:
    assert "line 2: a NUL character; remove it" in refusal("name,bio\na,b\0\n".encode("utf-16"))


def test_a_byte_that_fits_no_encoding_is_named() -> None:
    message = refusal(b"name,bio\na,b\nc,\x81\n")
    assert "line 3: byte 0x81 fits neither UTF-8, UTF-16 nor Windows-1252" in message
    assert "save the file as UTF-8" in message


@pytest.mark.parametrize("zeros", [True, False])
def test_binary_rubbish_is_refused(zeros: bool) -> None:
    raw = b"rubbish:" + random.Random(0).randbytes(20_000)
    message = refusal(raw if zeros else raw.replace(b"\0", b"\1"))
    assert ("NUL byte" if zeros else "binary file, not text; export it as CSV (UTF-8)") in message


def test_a_stray_control_character_in_a_long_text_is_not_binary() -> None:
    text = "\x1b[31mred\x1b[0m " + "word " * 1000 + "\x08\n"
    assert decode(text.encode(), "djs.csv")[0] == text


def zip_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("djs.csv"), TEXT)  # without the time of day
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (zip_bytes(), "a zip archive or an office document"),
        (gzip.compress(TEXT.encode(), mtime=0), "a gzip file"),
        (b"%PDF-1.7\nname,bio\n", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "an old office document"),
        (b"SQLite format 3\0" + b"\0" * 100, "a database"),
        (b"PAR1" + b"\x15\x04" * 100, "a Parquet file"),
    ],
    ids=("zip", "gzip", "pdf", "office", "sqlite", "parquet"),
)
def test_a_file_of_another_kind_is_named_for_what_it_is(raw: bytes, kind: str) -> None:
    assert refusal(raw) == f"djs.csv is {kind}, not text; export it as CSV (UTF-8) first"


def test_a_file_is_read_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "djs.csv"
    path.write_bytes(b"\xff\r\n\x00 ")
    assert read_bytes(path) == b"\xff\r\n\x00 "


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.csv: no such file"):
        read_bytes(tmp_path / "absent.csv")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder; name the file in it"):
        read_bytes(tmp_path)


@pytest.mark.parametrize("raw", [b"", b" \t\r\n\n  "])
def test_a_file_with_nothing_in_it_is_empty(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "djs.csv"
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"djs\.csv is empty"):
        read_bytes(path)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "djs.csv"
    path.write_text(TEXT)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(UserError, match=r"djs\.csv cannot be read: Permission denied"):
        read_bytes(path)
