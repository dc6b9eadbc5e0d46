from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bioforge.data import cola
from bioforge.data.cola import ColaFile, Judgement, read_cola
from bioforge.data.store import rows_of_cola
from bioforge.errors import UserError

TRAIN = "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n"
IN_DOMAIN = "bc01\t1\t\tThe sailors rode the breeze.\n"
OUT_OF_DOMAIN = "clc95\t0\t??\tSomebody left, but not John did."
PUBLISHED = {
    "cola_public/README": "The Corpus of Linguistic Acceptability\n",
    "cola_public/raw/in_domain_train.tsv": TRAIN,
    "cola_public/raw/in_domain_dev.tsv": IN_DOMAIN,
    "cola_public/raw/out_of_domain_dev.tsv": OUT_OF_DOMAIN,
    "cola_public/tokenized/in_domain_train.tsv": "gj04\t1\t\tour friends wo n't buy this .\n",
    "cola_public/tokenized/in_domain_dev.tsv": "bc01\t1\t\tthe sailors rode the breeze .\n",
}
JUDGEMENTS = [
    Judgement("Our friends won't buy this.", 1, "train", "gj04", "", 1),
    Judgement("They drank the pub.", 0, "train", "gj04", "*", 2),
    Judgement("The sailors rode the breeze.", 1, "in_domain_dev", "bc01", "", 1),
    Judgement("Somebody left, but not John did.", 0, "out_of_domain_dev", "clc95", "??", 1),
]


def unfolded(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return path


def one(folder: Path, text: str, name: str = "judged.tsv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_cola(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def labels(file: ColaFile) -> list[int]:
    return [judgement.label for judgement in file.judgements]


def sentences(file: ColaFile) -> list[str]:
    return [judgement.sentence for judgement in file.judgements]


def test_the_published_folder_is_read_with_its_splits(tmp_path: Path) -> None:
    file = read_cola(unfolded(tmp_path, PUBLISHED))
    assert file.judgements == JUDGEMENTS
    raw = tmp_path / "cola_public" / "raw"
    names = ["in_domain_train.tsv", "in_domain_dev.tsv", "out_of_domain_dev.tsv"]
    assert file.files == [str(raw / name) for name in names]
    assert (file.encoding, file.empty) == ("utf-8", 0)


def test_the_published_zip_is_read_without_unpacking_it(tmp_path: Path) -> None:
    path = zipped(tmp_path / "cola_public_1.1.zip", PUBLISHED)
    file = read_cola(path)
    assert file.judgements == JUDGEMENTS
    assert file.files[0] == f"{path}!cola_public/raw/in_domain_train.tsv"
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_is_known_by_its_contents_not_its_name(tmp_path: Path) -> None:
    assert read_cola(zipped(tmp_path / "download", PUBLISHED)).judgements == JUDGEMENTS


def test_what_macos_adds_to_a_zip_is_ignored(tmp_path: Path) -> None:
    extra = {"__MACOSX/in_domain_train.tsv": "\0rubbish", "./": "", "cola_public/._in_domain_dev.tsv": "\0"}
    assert read_cola(zipped(tmp_path / "c.zip", {**PUBLISHED, **extra})).judgements == JUDGEMENTS


def test_the_tokenized_folder_alone_is_no_cola(tmp_path: Path) -> None:
    tokenized = {name: text for name, text in PUBLISHED.items() if "/raw/" not in name}
    assert "holds no CoLA" in refusal(zipped(tmp_path / "c.zip", tokenized))
    assert "holds no CoLA" in refusal(unfolded(tmp_path / "folder", tokenized))


def test_official_names_win_over_those_of_glue(tmp_path: Path) -> None:
    both = {**PUBLISHED, "glue/train.tsv": TRAIN * 2, "glue/dev.tsv": TRAIN}
    assert read_cola(unfolded(tmp_path, both)).judgements == JUDGEMENTS


def test_one_file_of_any_name_is_for_training(tmp_path: Path) -> None:
    file = read_cola(one(tmp_path, TRAIN))
    assert [(row.label, row.split) for row in file.judgements] == [(1, "train"), (0, "train")]


def test_a_dev_file_alone_leaves_nothing_to_learn_from(tmp_path: Path) -> None:
    message = refusal(one(tmp_path, IN_DOMAIN, "in_domain_dev.tsv"))
    assert message == " holds no training sentences; CoLA's are in in_domain_train.tsv"


@pytest.mark.parametrize(
    ("train", "dev"),
    [("train.tsv", "dev.tsv"), ("train.csv", "validation.csv"), ("train.tsv", "validation.tsv")],
)
def test_glue_files_with_a_header_are_read(tmp_path: Path, train: str, dev: str) -> None:
    tab = "," if train.endswith("csv") else "\t"
    files = {
        train: f"sentence{tab}label{tab}idx\nA cat sat.{tab}1{tab}0\nCat a sat.{tab}0{tab}1\n",
        dev: f"idx{tab}Label{tab} Sentence \n7{tab}1{tab}It rained.\n",
        f"test{train[-4:]}": f"index{tab}sentence\n0{tab}Bill whistled past the house.\n",
    }
    assert read_cola(unfolded(tmp_path, files)).judgements == [
        Judgement("A cat sat.", 1, "train", "", "", 1),
        Judgement("Cat a sat.", 0, "train", "", "", 2),
        Judgement("It rained.", 1, "dev", "", "", 1),
    ]


def test_glue_files_in_the_four_columns_of_cola_are_read(tmp_path: Path) -> None:
    file = read_cola(unfolded(tmp_path, {"CoLA/train.tsv": TRAIN, "CoLA/dev.tsv": IN_DOMAIN}))
    assert [row.split for row in file.judgements] == ["train", "train", "dev"]


def test_dev_and_validation_are_the_same_sentences_and_read_once(tmp_path: Path) -> None:
    files = {"train.tsv": TRAIN, "dev.tsv": IN_DOMAIN, "validation.tsv": IN_DOMAIN}
    assert len(read_cola(unfolded(tmp_path, files)).judgements) == 3


def test_a_source_column_and_a_text_column_are_understood(tmp_path: Path) -> None:
    file = read_cola(one(tmp_path, "source,text,label\nks08,A cat sat.,1\nks08,Cat a sat.,0\n", "mine.csv"))
    assert file.judgements[0] == Judgement("A cat sat.", 1, "train", "ks08", "", 1)


def test_a_csv_with_everything_in_quotation_marks_is_read(tmp_path: Path) -> None:
    text = '"sentence","label"\r\n"If it rains, we ""stay""\nin.","1"\r\n"Cat a sat.","0"\r\n'
    file = read_cola(one(tmp_path, text, "mine.csv"))
    assert sentences(file) == ['If it rains, we "stay"\nin.', "Cat a sat."]
    assert labels(file) == [1, 0]


def test_a_csv_with_a_quotation_mark_left_open_swallows_no_rows(tmp_path: Path) -> None:
    text = 'label,sentence\n1,Fine.\n1,"He left\n0,I goes.\n1,You go.\n'
    message = refusal(one(tmp_path, text, "mine.csv"))
    assert message.startswith(", row 2: ") and "is a quotation mark left open?" in message


def test_quotation_marks_in_a_tsv_are_text(tmp_path: Path) -> None:
    spoken = ['"He left," she said.', 'He said "hi', '"', 'The 12" mix']
    plain = "".join(f"x\t1\t\t{sentence}\n" for sentence in spoken)
    assert sentences(read_cola(one(tmp_path, plain))) == spoken
    headed = "sentence\tlabel\n" + "".join(f"{sentence}\t1\n" for sentence in spoken)
    assert sentences(read_cola(one(tmp_path, headed))) == spoken


@pytest.mark.parametrize("label", ["2", "-1", "", "acceptable", "1.0", "01", "１"])
def test_a_label_other_than_0_and_1_is_refused_by_row(tmp_path: Path, label: str) -> None:
    expected = f", row 2: the label is {label!r}; it must be 0 (unacceptable) or 1 (acceptable)"
    assert refusal(one(tmp_path, f"x\t1\t\tFine.\nx\t{label}\t\tBad.\n")) == expected
    assert refusal(one(tmp_path, f"label,sentence\n1,Fine.\n{label},Bad.\n")) == expected


def test_a_bad_row_in_a_zip_names_the_file_within(tmp_path: Path) -> None:
    files = {**PUBLISHED, "cola_public/raw/in_domain_dev.tsv": "x\t7\t\tBad.\n"}
    message = refusal(zipped(tmp_path / "c.zip", files))
    assert message.startswith("!cola_public/raw/in_domain_dev.tsv, row 1: the label is '7'")


@pytest.mark.parametrize(
    ("line", "count"), [("x\t1\tThree.", 3), ("x\t1\t\tFive.\tof them", 5), ("Just a sentence.", 1)]
)
def test_a_row_of_another_width_is_refused_by_row(tmp_path: Path, line: str, count: int) -> None:
    message = refusal(one(tmp_path, f"{TRAIN}{line}\n"))
    assert message.startswith(
        f", row 3: {count} tab-separated columns, expected 4 (source, label, mark, sentence)"
    )
    assert "a header with 'sentence' and 'label'" in message


def test_a_row_wider_than_its_header_is_refused_by_row(tmp_path: Path) -> None:
    message = refusal(one(tmp_path, "label,sentence\n1,Fine.\n1,Well, no.\n", "mine.csv"))
    assert message == ", row 2: 3 columns where the header has 2"


def test_a_test_file_without_labels_is_known_for_one(tmp_path: Path) -> None:
    message = refusal(one(tmp_path, "Id\tSentence\n0\tBill whistled past the house.\n"))
    assert message == " has no 'label' column (a test file without judgements?); it has: id, sentence"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\r\n"])
def test_line_ends_and_a_missing_last_one_change_nothing(tmp_path: Path, end: str) -> None:
    lines = TRAIN.splitlines()
    ended = read_cola(one(tmp_path, "".join(line + end for line in lines)))
    cut = read_cola(one(tmp_path, end.join(lines)))
    assert sentences(ended) == sentences(cut) == ["Our friends won't buy this.", "They drank the pub."]
    assert ended.empty == cut.empty == 0


def test_an_empty_sentence_is_counted_and_later_rows_keep_their_numbers(tmp_path: Path) -> None:
    file = read_cola(one(tmp_path, "x\t1\t\tOne.\nx\t1\t\t  \n\nx\t0\t*\tFour.\n"))
    assert (sentences(file), file.empty) == (["One.", "Four."], 1)
    assert [row.row for row in rows_of_cola(file)] == [1, 4]
    file = read_cola(one(tmp_path, "sentence,label\nOne.,1\n,1\nThree.,0\n", "mine.csv"))
    assert [(row.text, row.row) for row in rows_of_cola(file)] == [("One.", 1), ("Three.", 3)]


def test_the_mark_never_decides_the_label(tmp_path: Path) -> None:
    text = "x\t0\t\tThat he ever went there alone is certain.\nx\t1\t*\tFine.\nx\t1\t \tFine too.\nx\t1\t??\tHm.\n"
    file = read_cola(one(tmp_path, text))
    assert [(row.label, row.mark) for row in file.judgements] == [(0, ""), (1, "*"), (1, ""), (1, "??")]


def test_windows_1252_and_utf16_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "judged.tsv"
    for encoding in ("cp1252", "utf-16"):
        path.write_bytes("x\t1\t\tJosé’s café – fine.\nx\t0\t*\tFine café.\n".encode(encoding))
        file = read_cola(path)
        assert (sentences(file)[0], file.encoding) == ("José’s café – fine.", encoding)


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.tsv",
        "raw/../../evil.tsv",
        "/etc/evil.tsv",
        "C:/evil.tsv",
        "..\\evil.tsv",
        "\\\\host\\evil.tsv",
    ],
)
def test_a_zip_with_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    message = refusal(zipped(tmp_path / "c.zip", {**PUBLISHED, name: TRAIN}))
    assert message == f" holds '{name}', a path that leads outside it; not imported"


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "c.zip", PUBLISHED)
    link = zipfile.ZipInfo("cola_public/raw/link.tsv")
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert refusal(path) == " holds 'cola_public/raw/link.tsv', a link; not imported"


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in_domain_train.tsv", TRAIN)
        archive.writestr("in_domain_dev.tsv", bytes(20_000_000))
    assert path.stat().st_size < 100_000
    message = refusal(path)
    assert message.startswith(": 'in_domain_dev.tsv' unpacks to far more than CoLA's size (a zip bomb?)")


def test_many_files_that_add_up_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "c.zip", {f"{number}.tsv": "x" * 100 for number in range(11)})
    monkeypatch.setattr(cola, "_MAX_UNPACKED", 1000)
    assert "'10.tsv' unpacks to far more" in refusal(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_zip_is_refused(tmp_path: Path, share: float) -> None:
    path = zipped(tmp_path / "c.zip", PUBLISHED)
    raw = path.read_bytes()
    path.write_bytes(raw[: max(10, int(share * len(raw)))])
    message = refusal(path)
    assert message.startswith(" is a damaged or truncated zip") and message.endswith("download it again")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_damaged_in_the_middle_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("in_domain_train.tsv", "".join(f"x\t1\t\tSentence {n**3}.\n" for n in range(300)))
    raw = bytearray(path.read_bytes())
    raw[60:90] = b"\xff" * 30
    path.write_bytes(raw)
    assert "damaged or truncated zip" in refusal(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "c.zip", {"in_domain_train.tsv": TRAIN})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    raw[raw.index(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(raw)
    message = refusal(path)
    assert message.startswith(" cannot be unpacked: ") and "encrypted" in message


@pytest.mark.parametrize("files", [{"notes.txt": "none"}, {"djs.csv": "name,bio\n"}, {}])
def test_a_zip_or_folder_without_cola_says_what_was_expected(tmp_path: Path, files: dict[str, str]) -> None:
    expected = " holds no CoLA: expected in_domain_train.tsv, in_domain_dev.tsv and out_of_domain_dev.tsv"
    assert refusal(zipped(tmp_path / "c.zip", files)).startswith(expected)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert refusal(unfolded(folder, files)).startswith(expected)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == ": no such file or folder"
