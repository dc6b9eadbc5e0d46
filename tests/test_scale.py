"""Big data sets: streamed in, read row by row, tokenized once."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bioforge.data import bios, decode, store
from bioforge.data.checks import check
from bioforge.data.rows import INDEX, ROWS, Row, Rows
from bioforge.data.split import hold_out, train_and_validation
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.paths import Home
from bioforge.runs import control
from bioforge.runs.events import EventReader, Preparing, Stopped
from bioforge.runs.folder import RunFolder
from bioforge.training import job, tokens
from bioforge.training.head import IGNORED
from bioforge.training.job import Job
from bioforge.training.objective import Writing
from tests.helpers import everything_in, make_run, same_weights, work


def write_csv(path: Path, rows: int, letters: int = 1000) -> Path:
    with path.open("w", encoding="utf-8") as stream:
        stream.write("id,bio\n")
        for row in range(rows):
            stream.write(f"{row},text {row} {'word ' * (letters // 5)}\n")
    return path


def import_csv(home: Home, path: Path, name: str = "texts", **options: Any) -> DataInfo:
    file = bios.open_bios(path)
    return store.add(home, name, "bios", store.rows_of_bios(file), path, file, **options)


def import_texts(home: Home, texts: Sequence[str], path: Path, name: str = "texts") -> DataInfo:
    path.write_text("\n".join(json.dumps({"bio": text}) for text in texts))
    return import_csv(home, path, name)


def file_rows(home: Home, name: str) -> Rows:
    rows = store.load(home, name).rows
    assert isinstance(rows, Rows)
    return rows


# Importing

IMPORT = """
import resource, sys
from pathlib import Path
from bioforge.data import bios, store
from bioforge.paths import home
path = Path(sys.argv[1])
file = bios.open_bios(path)
store.add(home(), path.stem, "bios", store.rows_of_bios(file), path, file)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_of_import(path: Path) -> int:
    """Resident bytes of a process that imports `path` and does nothing else."""
    said = subprocess.run([sys.executable, "-c", IMPORT, str(path)], capture_output=True, check=True)
    return int(said.stdout) * (1 if sys.platform == "darwin" else 1024)


def test_an_import_needs_no_more_memory_for_forty_times_the_rows(home: Home, tmp_path: Path) -> None:
    small = peak_of_import(write_csv(tmp_path / "small.csv", 1000))
    path = write_csv(tmp_path / "large.csv", 40_000)
    assert path.stat().st_size > 40_000_000
    assert peak_of_import(path) - small < 12_000_000
    assert store.info(home, "large").size == 40_000


def test_a_streamed_import_keeps_the_very_rows_that_were_read(home: Home, tmp_path: Path) -> None:
    draw = random.Random(3)
    texts = [f"text {draw.randint(0, 800)}\n“é” 🎧 {'w ' * draw.randint(0, 9)}".strip() for _ in range(2000)]
    info = import_texts(home, texts, tmp_path / "t.jsonl")
    rows = [Row(text, row) for row, text in enumerate(texts, 1)]
    assert list(store.load(home, "texts").rows) == rows
    assert info.duplicates == len(texts) - len(set(texts)) > 0
    words = sorted(len(text.split()) for text in texts)
    assert (info.words.longest, info.words.mean) == (words[-1], round(sum(words) / 2000, 1))


@pytest.mark.parametrize("at", [0, 1500])
def test_a_cancelled_import_leaves_no_file(home: Home, tmp_path: Path, at: int) -> None:
    def stop(done: int) -> None:
        if done == at:
            raise UserError("stopped")

    with pytest.raises(UserError, match="stopped"):
        import_csv(home, write_csv(tmp_path / "t.csv", 2000, 20), progress=stop)
    assert everything_in(home.root) == {}


def test_a_bad_cell_far_down_leaves_no_file(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"bio": "fine"}\n' * 3000 + '{"bio": 7}\n')
    with pytest.raises(UserError, match="row 3001: 'bio' is int, not text"):
        import_csv(home, path)
    assert everything_in(home.root) == {}


def test_a_file_that_grows_meanwhile_is_not_imported(home: Home, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", 10, 20)
    file = bios.open_bios(path)
    with path.open("a") as stream:
        stream.write("10,one more\n")
    with pytest.raises(UserError, match=r"t\.csv was changed while it was read"):
        store.add(home, "texts", "bios", store.rows_of_bios(file), path, file)
    assert everything_in(home.root) == {}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_where_a_file_is_cut_into_chunks_changes_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(chunk)
    pieces = ["name,bio\n", "Ċensu\n", "é", "🎧", "\0", "a b", "\r\n", "\x01", "€"]
    encodings = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]

    def answer(raw: bytes) -> str:
        try:
            return decode.encoding_of(io.BytesIO(raw), "it")
        except UserError as error:
            return str(error)

    for _ in range(2000):
        raw = bytearray(
            "".join(draw.choices(pieces, k=draw.randint(1, 9))).encode(draw.choice(encodings), "ignore")
        )
        for _ in range(draw.randint(0, 2)):
            raw.insert(draw.randint(0, len(raw)), draw.choice([0, 0xFF, 0x81, 0xD8, 0xC3]))
        whole = answer(bytes(raw))
        with monkeypatch.context() as patch:
            patch.setattr(decode, "_CHUNK", chunk)
            assert answer(bytes(raw)) == whole


# Rows


def test_opening_and_splitting_read_no_texts_into_memory(home: Home, tmp_path: Path) -> None:
    import_csv(home, write_csv(tmp_path / "t.csv", 20_000))
    size = (home.data / "texts" / ROWS).stat().st_size
    tracemalloc.start()
    try:
        data = store.load(home, "texts")
        train, held = train_and_validation(data, 0.1, 0, official=True)
        assert (len(train), len(held), train[0].text[:6]) == (18_000, 2000, "text 0")
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_a_check_compares_texts_without_keeping_them(home: Home, tmp_path: Path) -> None:
    import_csv(home, write_csv(tmp_path / "t.csv", 10_000, 2000))
    size = (home.data / "texts" / ROWS).stat().st_size
    data = store.load(home, "texts")
    tracemalloc.start()
    try:
        found = {finding.check: finding.count for finding in check(data)}
        assert tracemalloc.get_traced_memory()[1] < size / 3
    finally:
        tracemalloc.stop()
    assert found == {"duplicates": 0, "non-ascii": 0, "longest": 5}


def held_out_of_all_texts(rows: Sequence[Row], fraction: float, seed: int) -> list[Row]:
    """The same, with every text in memory."""
    texts = list(dict.fromkeys(row.text for row in rows))
    held = max(1, len(texts) - int((1 - fraction) * len(texts)))
    chosen = set(random.Random(f"bioforge-split-{seed}").sample(texts, held))
    return [row for row in rows if row.text in chosen]


@pytest.mark.parametrize("count", [3, 40, 3000])
def test_the_rows_held_out_are_those_that_a_split_of_the_texts_holds_out(
    home: Home, tmp_path: Path, count: int
) -> None:
    draw = random.Random(count)
    import_texts(home, [f"text {draw.randint(0, count)}" for _ in range(count)], tmp_path / "t.jsonl")
    rows = file_rows(home, "texts")
    for seed, fraction in [(0, 0.1), (1, 0.001), (42, 0.3), (7, 0.9)]:
        train, held = hold_out(rows, fraction, seed)
        expected = held_out_of_all_texts(list(rows), fraction, seed)
        assert list(held) == expected
        assert list(train) == [row for row in rows if row not in expected]


def test_a_view_of_rows_is_a_sequence_like_a_list(home: Home, tmp_path: Path) -> None:
    import_texts(home, [f"text {number}" for number in range(100)], tmp_path / "t.jsonl")
    rows = file_rows(home, "texts")
    whole = list(rows)
    some = rows.at([5, 3, 99])
    assert [row.row for row in some] == [6, 4, 100]
    assert (some[0], some[-1], list(some[1:])) == (whole[5], whole[99], [whole[3], whole[99]])
    assert list(rows[10:90:7]) == whole[10:90:7] and list(rows[10:90].at([2])) == [whole[12]]
    assert random.Random(1).sample(rows, 5) == random.Random(1).sample(whole, 5)
    with pytest.raises(IndexError):
        rows[100]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: None,
        lambda raw: raw[:-8],
        lambda raw: raw[:40],
        lambda raw: b"",
        lambda raw: raw[:-1] + b"~",
    ],
)
def test_a_lost_or_damaged_index_is_made_anew(home: Home, tmp_path: Path, damage: Any) -> None:
    import_texts(home, [f"text {number % 7}" for number in range(50)], tmp_path / "t.jsonl")
    path = home.data / "texts" / INDEX
    before = path.read_bytes()
    path.chmod(0o644)
    after = damage(before)
    path.unlink() if after is None else path.write_bytes(after)
    rows = file_rows(home, "texts")
    assert [row.text for row in rows] == [f"text {number % 7}" for number in range(50)]
    assert len(set(rows.digests())) == 7
    assert path.read_bytes() == before


def test_an_index_of_other_rows_is_not_believed(home: Home, tmp_path: Path) -> None:
    import_texts(home, ["a", "bb"], tmp_path / "t.jsonl", "one")
    import_texts(home, ["cc", "d"], tmp_path / "t.jsonl", "other")
    (home.data / "one" / INDEX).replace(home.data / "other" / INDEX)
    assert [row.text for row in file_rows(home, "other")] == ["cc", "d"]


def test_rows_that_go_while_they_are_read_are_an_error_in_one_line(home: Home, tmp_path: Path) -> None:
    import_texts(home, ["a", "b"], tmp_path / "t.jsonl")
    rows = file_rows(home, "texts")
    store.remove(home, "texts")
    with pytest.raises(UserError, match=r"rows\.jsonl was changed or removed while it was read"):
        list(rows)


# Tokens


def tokenized(run: RunFolder) -> list[str]:
    """What a run said of its tokenizing."""
    said = [event.stage for event in EventReader(run.events).poll() if isinstance(event, Preparing)]
    return [stage for stage in said if stage.startswith("tokenizing")]


def plain_ids(prepared: Job, text: str) -> list[int]:
    """One text at a time, by the tokenizer's own pieces."""
    tokenizer: Any = prepared.tokenizer
    ids = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    if prepared.recipe.task == "cola":
        return [tokenizer.cls_token_id, *ids[: prepared.max_length - 2], tokenizer.sep_token_id]
    marked = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    if len(marked) > prepared.max_length and prepared.recipe.keep_end:
        return [*marked[: prepared.max_length - 1], tokenizer.eos_token_id]
    return marked[: prepared.max_length]


@pytest.mark.parametrize("preset", ["quick", "tutorial"])
@pytest.mark.parametrize("piece", [7, 2000])
def test_kept_tokens_are_those_of_each_text_alone(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch, preset: str, piece: int
) -> None:
    monkeypatch.setattr(tokens, "_PIECE", piece)
    prepared = job.prepare(make_run(home, "bios", "djs", tiny_gpt2, preset=preset, max_length=250), None)
    sides = train_and_validation(store.load(home, "djs"), 0.1, 42, official=True)
    for encoded, rows in zip((prepared.train, prepared.validation), sides, strict=True):
        expected = [plain_ids(prepared, row.text) for row in rows]
        assert [example.ids for example in encoded.examples] == expected
        assert encoded.lengths.tolist() == [len(ids) for ids in expected]
        assert [example.row for example in encoded.examples] == [row.row for row in rows]
        assert {example.label for example in encoded.examples} == {IGNORED}
    assert 0 < prepared.train.truncated < len(sides[0])


def test_kept_tokens_of_a_judge_carry_the_labels(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    prepared = job.prepare(make_run(home, "cola", "sentences", tiny_bert, max_length=12), None)
    train, _ = train_and_validation(store.load(home, "sentences"), 0.1, 42, official=True)
    assert [example.ids for example in prepared.train.examples] == [
        plain_ids(prepared, row.text) for row in train
    ]
    assert prepared.train.labels == [row.label for row in train] == [e.label for e in prepared.train.examples]
    assert prepared.train.truncated > 0


def test_the_second_start_does_not_tokenize_and_learns_the_same(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    settings: dict[str, Any] = {"max_length": 32, "epochs": 1, "sample_every": 0, "precision": "fp32"}
    first, second = (make_run(home, "bios", "djs", tiny_gpt2, **settings) for _ in range(2))
    assert work(first) == work(second) == 0
    assert (tokenized(first), tokenized(second)) == (["tokenizing 0 of 40"], [])
    assert same_weights(first.best, second.best)


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({"seed": 7}, False),
        ({"validation_fraction": 0.3, "batch_size": 3}, False),
        ({"max_length": 33}, True),
        ({"keep_end": False}, True),
        ({"special_tokens": "tutorial"}, True),
    ],
)
def test_tokens_are_made_anew_only_for_what_changes_them(
    home: Home, djs: DataInfo, tiny_gpt2: Path, change: dict[str, Any], anew: bool
) -> None:
    settings: dict[str, Any] = {"max_length": 32}
    said: list[str] = []
    job.prepare(make_run(home, "bios", "djs", tiny_gpt2, **settings), None, said.append)
    assert said == ["tokenizing 0 of 40"]
    job.prepare(make_run(home, "bios", "djs", tiny_gpt2, **settings | change), None, said.append)
    assert len(said) == 1 + anew


DAMAGE = [
    ("ids.bin", lambda raw: raw[:-2]),
    ("ids.bin", lambda raw: b"\1" + raw[1:]),
    ("rows.npy", lambda raw: raw[:-1]),
    ("rows.npy", lambda raw: b""),
    ("tokens.json", lambda raw: b"{}"),
    ("tokens.json", lambda raw: b"[" + raw),
    ("ids.bin", None),
    ("tokens.json", None),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_damaged_tokens_are_noticed_and_made_anew(
    home: Home, djs: DataInfo, tiny_gpt2: Path, name: str, damage: Any
) -> None:
    said: list[str] = []
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32)
    whole = [example.ids for example in job.prepare(run, None, said.append).train.examples]
    (path,) = home.tokens.rglob(name)
    raw = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(raw))
    again = job.prepare(run, None, said.append)
    assert len(said) == 2
    assert [example.ids for example in again.train.examples] == whole
    assert path.read_bytes() == raw


PREPARE = """
import hashlib, sys, time
from pathlib import Path
from bioforge.runs.folder import RunFolder
from bioforge.training.job import prepare
said = []
run = RunFolder(Path(sys.argv[1]))
Path(sys.argv[2]).touch()
while len(list(Path(sys.argv[2]).parent.glob("ready-*"))) < 2:
    time.sleep(0.01)
tokens = prepare(run, None, lambda stage: (said.append(stage), time.sleep(1))).train
print(len(said), hashlib.sha256(str([example.ids for example in tokens.examples]).encode()).hexdigest())
"""


def test_of_two_processes_that_want_the_same_tokens_one_makes_them(
    home: Home, djs: DataInfo, tiny_gpt2: Path, tmp_path: Path
) -> None:
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(run.path), str(tmp_path / f"ready-{number}")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [child.communicate(timeout=120)[0].split() for child in children]
    assert sorted(made for made, _ in said) == ["0", "1"]
    assert said[0][1] == said[1][1]
    assert [path.name for path in home.tokens.iterdir()] == [djs.fingerprint]


def test_a_stop_is_heard_while_tokenizing(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_PIECE", 5)
    monkeypatch.setattr(tokens, "_SAY_EVERY", 2)
    run = make_run(home, "bios", "djs", tiny_gpt2, max_length=32, epochs=1, sample_every=0)
    made = Writing.tokenize

    def ask_to_stop(*arguments: Any) -> Any:
        control.send(run.control, "stop")
        return made(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Writing, "tokenize", ask_to_stop)
        assert work(run) == 0
    assert tokenized(run) == ["tokenizing 0 of 40", "tokenizing 10 of 40"]
    assert isinstance(run.history()[-1], Stopped)
    assert list(home.tokens.rglob("*.bin")) == []
    run.control.write_text("")
    assert work(run) == 0
    assert run.state().status == "finished"


def test_tokens_go_with_their_data_set(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    job.prepare(make_run(home, "bios", "djs", tiny_gpt2, max_length=32), None)
    assert everything_in(home.tokens)
    store.remove(home, "djs")
    assert everything_in(home.tokens) == {}


def test_beyond_the_bound_the_tokens_not_used_for_longest_go(
    home: Home, djs: DataInfo, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def made_anew(length: int) -> bool:
        before = len(said)
        job.prepare(make_run(home, "bios", "djs", tiny_gpt2, max_length=length), None, said.append)
        return len(said) > before

    assert [made_anew(length) for length in (30, 31, 30)] == [True, True, False]
    sizes = [
        sum(file.stat().st_size for file in path.parent.iterdir()) for path in home.tokens.rglob("ids.bin")
    ]
    monkeypatch.setattr(tokens, "_MOST_BYTES", int(2.5 * max(sizes)))
    assert [made_anew(length) for length in (32, 30, 32)] == [True, False, False]
    assert made_anew(31), "30 was used after it"
    assert len(list(home.tokens.rglob("ids.bin"))) == 2
