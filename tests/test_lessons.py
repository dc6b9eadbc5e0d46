"""Corruptions, and judges that learn from them and from a teacher."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bioforge.data import store as data_store
from bioforge.data.corruptions import Corruptor, Lexicon, sentence_of, words_of
from bioforge.data.store import DataInfo
from bioforge.errors import UserError
from bioforge.judging.torch_judge import TorchJudge
from bioforge.models import store
from bioforge.paths import Home
from bioforge.runs import recipe as recipes
from bioforge.runs.folder import RunFolder
from bioforge.runs.start import new_run
from bioforge.training.estimate import estimate
from bioforge.training.job import prepare
from bioforge.training.lessons import lessons
from bioforge.training.objective import Example, Judging
from tests.helpers import make_run, work
from tests.test_scale import import_texts

SENTENCES = [
    "The singer who wrote the songs plays them in the cellar every night.",
    "She plays, and they played with their friends in a hall.",
    "Nobody knows whether he will sing it himself (or not).",
    "Go.",
]


def _silent(_: str) -> None:
    pass


def test_words_put_together_again_are_the_sentence() -> None:
    for sentence in SENTENCES:
        assert sentence_of(words_of(sentence)) == sentence


def test_a_corruption_is_another_sentence_made_of_known_words() -> None:
    lexicon = Lexicon.of(SENTENCES)
    corruptor = Corruptor(random.Random(1), lexicon)
    made = [found for _ in range(200) for found in map(corruptor.corrupt, SENTENCES[:3]) if found]
    assert len(made) > 550 and len(set(made)) > 300
    known = {word.lower() for sentence in SENTENCES for word in words_of(sentence)}
    known |= {word for line in module_classes() for word in line.split()}
    for sentence in made:
        assert sentence not in SENTENCES
        assert {word.lower() for word in words_of(sentence)} <= known


def module_classes() -> tuple[str, ...]:
    from bioforge.data import corruptions

    return corruptions._CLASSES


def test_the_same_draw_makes_the_same_corruptions() -> None:
    lexicon = Lexicon.of(SENTENCES)

    def drawn(seed: int) -> list[str | None]:
        corruptor = Corruptor(random.Random(seed), lexicon)
        return [corruptor.corrupt(sentence) for sentence in SENTENCES * 5]

    assert drawn(3) == drawn(3) != drawn(4)


def test_forms_of_a_word_share_its_stem() -> None:
    forms = Lexicon.of(["She walks and walked; a walker is walking.", "The walrus is red."]).forms
    assert "walked" in forms["walks"] and "walking" in forms["walker"]
    assert "walrus" not in forms and "red" not in forms


def test_what_cannot_be_corrupted_is_left_out() -> None:
    corruptor = Corruptor(random.Random(0), Lexicon.of([]))
    assert corruptor.corrupt("") is None
    assert corruptor.corrupt("!?") is None


@pytest.fixture
def asked(home: Home, sentences: DataInfo, tiny_bert: Path) -> Callable[..., RunFolder]:
    """Makes a run on the bundled sentences with these settings."""
    return lambda **settings: make_run(home, "cola", "sentences", tiny_bert, **settings)


def test_without_a_teacher_only_acceptable_sentences_are_corrupted(
    home: Home, asked: Callable[..., RunFolder]
) -> None:
    rows = list(data_store.load(home, "sentences").rows)
    made = lessons(asked(corruptions=2), rows, _silent)
    assert [(lesson.sentence, lesson.target) for lesson in made[: len(rows)]] == [
        (row.text, float(row.label or 0)) for row in rows
    ]
    extra = made[len(rows) :]
    assert extra and all(lesson.label == 1 and 0 < lesson.target < 0.5 for lesson in extra)
    texts = {row.row: row.text for row in rows}
    shared = [
        len({word.lower() for word in words_of(lesson.sentence)} & set(words_of(texts[lesson.row].lower())))
        / len(words_of(lesson.sentence))
        for lesson in extra
    ]
    assert np.mean(shared) > 0.7
    assert len({lesson.sentence for lesson in extra} | set(texts.values())) == len(extra) + len(
        set(texts.values())
    )


@pytest.fixture
def teacher(home: Home, sentences: DataInfo, tiny_bert: Path) -> TorchJudge:
    assert work(make_run(home, "cola", "sentences", tiny_bert, epochs=1)) == 0
    return TorchJudge.load(store.folder(home, "sentences"))


def test_a_teachers_probabilities_are_learnt_beside_the_labels(
    home: Home,
    teacher: TorchJudge,
    asked: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = list(data_store.load(home, "sentences").rows)[:40]
    run = asked(corruptions=1, teacher="sentences", label_share=0.25)
    made = lessons(run, rows, _silent)
    said = teacher.probabilities([lesson.sentence for lesson in made])[0]
    labels = [float(row.label or 0) for row in rows]
    expected = [0.25 * label + 0.75 * p for label, p in zip(labels, said[:40], strict=True)] + said[40:]
    assert [lesson.target for lesson in made] == pytest.approx(expected, abs=1e-2)
    assert {lesson.label for lesson in made[40:]} == {0, 1}
    monkeypatch.setattr(TorchJudge, "load", lambda _: pytest.fail("the teacher was asked again"))
    store.remove(home, "sentences")
    assert lessons(run, rows, _silent) == made, "what was kept needs no teacher"


def test_several_teachers_teach_their_mean(
    home: Home, teacher: TorchJudge, tiny_bert: Path, asked: Callable[..., RunFolder]
) -> None:
    trained = make_run(home, "cola", "sentences", tiny_bert, epochs=2, seed=7, learning_rate=5e-3)
    assert work(trained) == 0
    store.rename(home, next(m.name for m in store.listing(home)[0] if m.run == trained.name), "other")
    other = TorchJudge.load(store.folder(home, "other"))
    rows = list(data_store.load(home, "sentences").rows)[:20]
    told: list[str] = []
    run = asked(corruptions=1, teacher="sentences, other", label_share=0.0)
    assert set(run.teachers()) == {"sentences", "other"}
    made = lessons(run, rows, told.append)
    texts = [lesson.sentence for lesson in made]
    both = np.array([judge.probabilities(texts)[0] for judge in (teacher, other)])
    assert np.abs(both[0] - both[1]).min() > 0.05
    assert [lesson.target for lesson in made] == pytest.approx(both.mean(axis=0).tolist(), abs=1e-2)
    assert told[0].startswith("teacher 1 of 2") and told[-1].startswith("teacher 2 of 2")
    store.remove(home, "other")
    with pytest.raises(UserError, match="'other', which this run learns from, is gone"):
        lessons(run, rows[1:], _silent)


def test_unlabelled_sentences_are_learnt_as_the_teacher_finds_them(
    home: Home,
    teacher: TorchJudge,
    sentences: DataInfo,
    tiny_bert: Path,
    asked: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    rows = list(data_store.load(home, "sentences").rows)
    held_out = rows[-1].text
    texts = ["A cat sat there. It slept.", f"{held_out} It slept.", "Dogs barks."]
    prose = import_texts(home, texts, tmp_path / "prose.jsonl", "prose")
    plain = lessons(asked(corruptions=1, teacher="sentences"), rows[:20], _silent)
    run = asked(corruptions=1, teacher="sentences", unlabelled="prose")
    made = lessons(run, rows[:20], _silent)
    assert made[: len(plain)] == plain
    extra = made[len(plain) :]
    assert [lesson.sentence for lesson in extra] == ["A cat sat there.", "It slept.", "Dogs barks."]
    said = teacher.probabilities([lesson.sentence for lesson in extra])[0]
    assert [lesson.target for lesson in extra] == pytest.approx(said, abs=1e-2)
    assert [(lesson.row, lesson.label) for lesson in extra] == [(0, int(p >= 0.5)) for p in said]
    assert run.unlabelled()["fingerprint"] == prose.fingerprint
    assert work(asked(teacher="sentences", unlabelled="prose", epochs=1)) == 0
    more, less = (
        estimate(home, recipe, "sentences", run.base())
        for recipe in (run.recipe(), replace(run.recipe(), unlabelled=""))
    )
    assert more.tokens > less.tokens
    data_store.remove(home, "prose")
    with pytest.raises(UserError, match="'prose', whose sentences this run learns from, is gone"):
        lessons(run, rows[:19], _silent)


def test_runs_of_several_seeds_share_their_lessons_and_other_rows_do_not(
    home: Home, sentences: DataInfo, asked: Callable[..., RunFolder]
) -> None:
    rows = list(data_store.load(home, "sentences").rows)[:20]
    for seed in (1, 2):
        lessons(asked(corruptions=1, seed=seed), rows, _silent)
    assert len(list(home.lessons.glob("*/*/*.json"))) == 1
    lessons(asked(corruptions=1), rows[1:], _silent)
    assert len(list(home.lessons.glob("*/*/*.json"))) == 2
    data_store.remove(home, "sentences")
    assert not list(home.lessons.glob("*/*")), "nothing is left of data that were removed"


def test_damaged_lessons_are_made_anew(home: Home, asked: Callable[..., RunFolder]) -> None:
    rows = list(data_store.load(home, "sentences").rows)[:20]
    run = asked(corruptions=1)
    made = lessons(run, rows, _silent)
    (path,) = home.lessons.glob("*/*/*.json")
    path.write_text(path.read_text()[:100])
    assert lessons(run, rows, _silent) == made


def test_a_run_does_not_go_on_with_another_teacher(
    home: Home, teacher: TorchJudge, tiny_bert: Path, asked: Callable[..., RunFolder]
) -> None:
    rows = list(data_store.load(home, "sentences").rows)[:20]
    run = asked(teacher="sentences")
    other = make_run(home, "cola", "sentences", tiny_bert, epochs=1, seed=7)
    assert work(other) == 0
    store.remove(home, "sentences")
    with pytest.raises(UserError, match="'sentences', which this run learns from, is gone or is another"):
        lessons(run, rows, _silent)
    (trained,) = store.listing(home)[0]
    store.rename(home, trained.name, "sentences")
    with pytest.raises(UserError, match="is another one by now"):
        lessons(run, rows, _silent)


def test_a_stopped_teacher_leaves_nothing_half_done(
    home: Home, teacher: TorchJudge, asked: Callable[..., RunFolder]
) -> None:
    def stop(_: str) -> None:
        raise InterruptedError

    rows = list(data_store.load(home, "sentences").rows)[:20]
    with pytest.raises(InterruptedError):
        lessons(asked(teacher="sentences"), rows, stop)
    assert not list(home.lessons.glob("*/*/*.json"))


def test_the_loss_is_the_cross_entropy_with_the_targets(home: Home, teacher: TorchJudge) -> None:
    objective = Judging(teacher.tokenizer, recipes.preset("cola", "quick"), 64, 0)
    examples = [
        Example(teacher.tokenizer("The cat sat.")["input_ids"], 1, 1, target) for target in (1.0, 0.3)
    ]
    with torch.no_grad():
        loss = objective.loss_sum(teacher.model, examples, torch.device("cpu")).item()
        logits = teacher.model(input_ids=torch.tensor([examples[0].ids])).logits[0].double()
    wrong, good = (-torch.log_softmax(logits, 0)).tolist()
    assert loss == pytest.approx(good + 0.3 * good + 0.7 * wrong, abs=1e-5)


def test_a_student_trains_on_lessons_and_is_published(
    home: Home, teacher: TorchJudge, tiny_bert: Path
) -> None:
    run = make_run(
        home, "cola", "sentences", tiny_bert, preset="strong", epochs=1, corruptions=1, teacher="sentences"
    )
    job = prepare(run, None)
    data = data_store.load(home, "sentences")
    rows = len(data.rows) - len(job.validation.table)
    assert len(job.train.table) > 1.5 * rows
    assert set(job.validation.table["target"].tolist()) <= {0.0, 1.0}
    assert work(run) == 0
    made = next(model for model in store.listing(home)[0] if model.run == run.name)
    assert made.recipe["teacher"] == "sentences" and made.recipe["corruptions"] == 1


def test_what_does_not_fit_is_refused_before_a_run_begins(
    home: Home, djs: DataInfo, sentences: DataInfo, tiny_gpt2: Path, tiny_bert: Path
) -> None:
    with pytest.raises(UserError, match="for judges"):
        new_run(home, "bios", "djs", str(tiny_gpt2), "quick", ["corruptions=2"])
    with pytest.raises(UserError, match="only a teacher can judge these sentences"):
        new_run(home, "cola", "sentences", str(tiny_bert), "quick", ["unlabelled=djs"])
    with pytest.raises(
        UserError, match="no preset 'strong' for writers; there are: tutorial, balanced, quick"
    ):
        new_run(home, "bios", "djs", str(tiny_gpt2), "strong")
    assert not home.runs.exists()


def test_a_missing_teacher_is_named_at_once(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    with pytest.raises(UserError, match="no model 'nobody'"):
        new_run(home, "cola", "sentences", str(tiny_bert), "quick", ["teacher=nobody"])


def test_each_of_several_teachers_is_a_judge(
    home: Home, teacher: TorchJudge, tiny_bert: Path, djs: DataInfo, tiny_gpt2: Path
) -> None:
    assert work(make_run(home, "bios", "djs", tiny_gpt2, epochs=1)) == 0
    with pytest.raises(UserError, match="teacher=sentences,djs: 'djs' is a writer; name judges"):
        new_run(home, "cola", "sentences", str(tiny_bert), "quick", ["teacher=sentences,djs"])
    with pytest.raises(UserError, match="unlabelled=sentences: that is what the run learns from anyway"):
        new_run(
            home, "cola", "sentences", str(tiny_bert), "quick", ["teacher=sentences", "unlabelled=sentences"]
        )
    assert not new_run(home, "cola", "sentences", str(tiny_bert), "quick").teachers()
