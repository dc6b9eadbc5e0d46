"""The words that are marked, and the pairs they are measured on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from bench.marking import bundled, differing, hits, measure, written
from bioforge.checking.checker import outcomes
from bioforge.checking.inputs import Source
from bioforge.checking.marking import forms, marks, trials
from bioforge.checking.sentence import Sentence, literal
from tests.checking import FakeJudge, check


class Rules(FakeJudge):
    """A judge that likes what a rule likes."""

    def __init__(self, rule: Callable[[str], float]) -> None:
        super().__init__()
        self.rule = rule

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        return [self.rule(sentence) for sentence in sentences], [False] * len(sentences)


def marked(sentence: str, rule: Callable[[str], float]) -> list[str]:
    judge = Rules(rule)
    found = marks(judge, sentence, judge.probabilities([sentence])[0][0])
    return [sentence[mark.start : mark.end] for mark in found]


def test_the_word_without_which_a_sentence_is_best_comes_first() -> None:
    def rule(sentence: str) -> float:
        return 0.9 if "very" not in sentence else 0.6 if "not" not in sentence else 0.1

    assert marked("It is not very well.", rule) == ["very", "not"]


def test_a_verb_that_cannot_be_taken_out_is_found_by_its_other_form() -> None:
    assert marked("The lamps was on.", lambda text: 0.9 if "lamps were" in text else 0.1) == ["was"]
    assert marked("She play well.", lambda text: 0.9 if "plays" in text else 0.1) == ["play"]


def test_nothing_is_marked_where_every_change_is_for_the_worse() -> None:
    assert marked("All of it is odd.", lambda text: 0.2 if text == "All of it is odd." else 0.1) == []


def test_at_most_three_words_are_marked_and_only_those_that_gain_about_as_much() -> None:
    assert len(marked("one two three four five six", lambda text: 1 - len(text.split()) / 8)) == 3
    assert marked(
        "good bad fair",
        lambda text: 0.9 if "bad" not in text.lower() else 0.11 if "fair" not in text else 0.1,
    ) == ["bad"]


def test_sentences_keep_their_own_marks_when_they_are_judged_together() -> None:
    result = check("A wrong word.", "Wrong", "All is well.", "This one is wrong.", format="json")
    found = [[mark["word"] for mark in verdict["marks"]] for verdict in json.loads(result.out)["verdicts"]]
    assert found == [["wrong"], [], [], ["wrong"]]


class InSlices(FakeJudge):
    """Remembers how many it was asked at once, and refuses everything."""

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        self.asked.append(str(len(sentences)))
        return [0.1] * len(sentences), [False] * len(sentences)


def a_few(text: str, number: int) -> list[tuple[Source, Sentence]]:
    return [(Source("", "sentence"), literal(text))] * number


def test_a_judge_is_never_asked_for_so_many_trials_that_it_would_load_torch() -> None:
    judge = InSlices()
    assert len(trials("himself " * 80)) == 480
    list(outcomes(a_few("himself " * 80, 20), judge, 0.5, most_marked=20))
    assert sum(map(int, judge.asked)) == 20 + 20 * 480 and max(map(int, judge.asked)) <= 256


@pytest.mark.parametrize(("sentences", "many"), [(1504, False), (1505, True)])
def test_so_many_sentences_are_asked_for_at_once_as_the_documents_say(sentences: int, many: bool) -> None:
    judge = InSlices()
    list(outcomes(a_few("Two words.", sentences), judge, 0.5, most_marked=0))
    assert (max(map(int, judge.asked)) > 512) is many


def test_an_outcome_is_there_before_the_next_sentence_is_marked() -> None:
    judge = InSlices()
    next(outcomes(a_few("Two words.", 30), judge, 0.5, most_marked=30))
    assert judge.asked == ["30", str(len(trials("Two words.")))]


def test_words_are_marked_in_the_first_findings_and_that_is_said_once() -> None:
    result = check(*[f"Number {number} is wrong." for number in range(202)], format="jsonl")
    found = [bool(json.loads(line)["marks"]) for line in result.out.splitlines()]
    assert found == [True] * 200 + [False] * 2
    assert result.notes[:-1] == ["words are marked in the first 200 findings only"]
    assert len(check(*["This is wrong."] * 200).notes) == 1
    assert len(check(*["This is wrong."] * 202, marks=False).notes) == 1


def test_what_is_left_of_a_sentence_is_a_sentence_again() -> None:
    texts = {trial.text for trial in trials("Her dog's well-fed, too.")}
    assert {"Dog's well-fed, too.", "Her well-fed, too.", "Her dog's, too.", "Her dog's well-fed,."} <= texts


def test_a_very_long_sentence_costs_nothing() -> None:
    assert (
        trials("word " * 81) == []
        and trials("a b " + "c" * 5000) == []
        and trials("") == []
        and trials("😀 !") == []
    )


def test_forms_keep_the_capital() -> None:
    assert "Are" in forms("Is") and "plays" in forms("play") and "play" in forms("played")
    assert forms("cat") == []


@pytest.mark.parametrize(("pairs", "least"), [(bundled(), 80), (written(), 140)], ids=["bundled", "written"])
def test_the_pairs_differ_in_one_word(pairs: list[object], least: int) -> None:
    assert len(pairs) >= least
    for pair in pairs:
        assert pair.wrong and pair.good != pair.bad  # type: ignore[attr-defined]


def test_the_written_pairs_cover_many_phenomena_and_repeat_nothing() -> None:
    pairs = written()
    assert len({pair.phenomenon for pair in pairs}) >= 10
    assert len({pair.good for pair in pairs}) == len({pair.bad for pair in pairs}) == len(pairs)
    assert all(differing(pair.good, pair.bad) == pair.wrong for pair in pairs)


def test_a_judge_that_knows_the_wrong_word_scores_in_full() -> None:
    pairs = [pair for pair in written() if pair.phenomenon == "agreement"][:6]
    wrong = {pair.bad for pair in pairs}
    knowing = Rules(
        lambda text: 0.1 if text in wrong else 0.9 if text in {pair.good for pair in pairs} else 0.2
    )
    assert sum(hits(knowing, pairs, "taken out, or in another form (used)")) >= 5
    rows = measure(knowing, pairs, "these")
    assert rows[-1] == ["these: pairs", "6", "6"]
