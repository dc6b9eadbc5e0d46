"""From an order to texts: each from its own seed, held to what is asked, the best kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from bioforge.drafting.cleaning import Length
from bioforge.drafting.desk import Desk
from bioforge.drafting.draft import Draft
from bioforge.drafting.order import Order
from bioforge.drafting.prompts import Prompt
from bioforge.drafting.ranking import ranked, scored
from bioforge.generation.sampling import SEEDS, Sampling
from bioforge.generation.writer import Text, Writer, draw
from bioforge.judging.judge import Judge
from bioforge.reporting.drafts import facts, shortfall
from tests.checking import fake_info
from tests.test_drafting_copies import made

SHORT = Sampling(max_new_tokens=10)


class Scripted(Writer):
    """Says what it is told to, a text a seed."""

    def __init__(self, texts: Sequence[str]) -> None:
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "asked", [])

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, **_: object
    ) -> list[Text]:
        del sampling
        texts: Sequence[str] = self.texts  # type: ignore[attr-defined]
        self.asked.append(list(seeds))  # type: ignore[attr-defined]
        return [
            Text(prompt + texts[seed % len(texts)], 5, True, seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]


class ByLength(Judge):
    """The longer a sentence, the better, up to a hundred characters."""

    info = fake_info()

    def compute(self, sentences: Sequence[str], threshold: float) -> tuple[list[float], list[bool]]:
        del threshold
        return [min(1.0, len(sentence) / 100) for sentence in sentences], [False] * len(sentences)


def order(n: int = 1, prompts: Sequence[str] = ("",), **rest: object) -> Order:
    return Order([Prompt(text) for text in prompts], n, SHORT, 0, **rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def writer(tiny_gpt2: Path) -> Writer:
    return Writer.load(tiny_gpt2)


def test_a_text_does_not_depend_on_those_drawn_beside_it(writer: Writer) -> None:
    prompts = ["Born in", "", "She is a DJ and producer from the city of Leeds", "He"] * 10
    seeds = list(range(100, 140))
    together = draw(writer.model, writer.tokenizer, prompts, seeds, SHORT)
    for prompt, seed, text in zip(prompts[:8], seeds[:8], together[:8], strict=True):
        (alone,) = draw(writer.model, writer.tokenizer, [prompt], [seed], SHORT)
        assert alone == text and text.seed == seed


def test_a_short_prompt_beside_a_long_one_gets_the_room_it_gets_alone(writer: Writer) -> None:
    prompts = ["word " * 60, "word"]
    together = draw(writer.model, writer.tokenizer, prompts, [1, 2], Sampling(10_000))
    alone = [
        draw(writer.model, writer.tokenizer, [prompt], [seed], Sampling(10_000))[0]
        for prompt, seed in zip(prompts, [1, 2], strict=True)
    ]
    assert together == alone
    assert together[1].tokens > together[0].tokens


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    from bioforge.generation.drawing import Drawing

    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    drawing = Drawing(Sampling(top_k=0, top_p=1.0), list(range(4000)))
    ids: Any = torch.zeros((4000, 1), dtype=torch.long)
    logits: Any = probabilities.log().expand(4000, 4)
    counts = torch.bincount(drawing(ids, logits).argmax(-1), minlength=4) / 4000
    assert torch.allclose(counts, probabilities, atol=0.03)
    few = Drawing(Sampling(top_k=2, top_p=1.0), list(range(4000)))(ids, logits)
    assert set(few.argmax(-1).tolist()) == {0, 1}


def test_the_seed_printed_with_a_text_writes_it_again(writer: Writer) -> None:
    (outcome,) = Desk(writer).write(order(3, ["Born in"]))
    seeds = [draft.seed for draft in outcome.texts]
    assert seeds == [0, 1, 2]
    for draft in outcome.texts:
        again = Desk(writer).write(Order([Prompt("Born in")], 1, SHORT, draft.seed))[0].texts[0]
        assert again.text == draft.text
    last = Desk(writer).write(Order([Prompt("")], 2, SHORT, SEEDS - 1))[0].texts
    assert [draft.seed for draft in last] == [SEEDS - 1, 0]


def test_the_best_drafts_are_kept_and_say_why() -> None:
    texts = ["Short.", "A much longer sentence than that one.", "One of middling length."]
    desk = Desk(Scripted(texts), ByLength())
    (outcome,) = desk.write(order(2, is_judged=True, drafts=3))
    assert [draft.text for draft in outcome.texts] == [texts[1], texts[2]]
    best = outcome.texts[0]
    assert (best.place, best.of, best.seed) == (1, 3, 1)
    assert best.score == pytest.approx(len(texts[1]) / 100)
    assert "place 1 of 3 drafts" in facts(best) and "weakest sentence 0.37" in facts(best)
    assert outcome.rounds == 1 and len(outcome.drafts) == 3


def test_a_text_drawn_twice_is_kept_once_and_the_other_place_said_to_be_empty() -> None:
    asked = order(2, is_judged=True, drafts=4)
    (outcome,) = Desk(Scripted(["The same text."]), ByLength()).write(asked)
    assert [(draft.seed, draft.place, draft.of) for draft in outcome.texts] == [(0, 1, 4)]
    said = shortfall(outcome, asked)
    assert "1 of 2 texts" in said and "3 say the same as another" in said
    assert said.endswith("for more --drafts, or for a higher --temperature")


def test_without_a_judge_each_seed_gives_a_text_even_the_same() -> None:
    asked = order(3)
    (outcome,) = Desk(Scripted(["The same text."])).write(asked)
    assert [(draft.text, draft.seed) for draft in outcome.texts] == [
        ("The same text.", at) for at in range(3)
    ]
    assert shortfall(outcome, asked) == ""


@pytest.mark.parametrize(
    ("sampling", "rest", "advice"),
    [
        (Sampling(10), {"banned": ["house"]}, "more --rounds"),
        (Sampling(10, temperature=0), {"banned": ["house"]}, "at --temperature 0 every draft is the same"),
        (Sampling(5), {"length": Length(30)}, "more --max-new-tokens"),
        (Sampling(5, temperature=0), {"length": Length(30)}, "more --max-new-tokens"),
        (Sampling(6), {"length": Length(30)}, "more --rounds"),
    ],
)
def test_what_is_advised_is_what_would_help(sampling: Sampling, rest: dict[str, Any], advice: str) -> None:
    asked = Order([Prompt("")], 1, sampling, 0, **rest)
    (outcome,) = Desk(Scripted(["She plays house."])).write(asked)
    assert advice in shortfall(outcome, asked)


def test_one_weak_sentence_costs_more_than_its_share_and_the_prompts_own_do_not_count() -> None:
    long, weak = "x" * 79 + ".", "No way out."
    prompt = "Up. "
    draft = Draft(f"{prompt}{long} {weak} {long}", 9, True, 0, prompt)
    (found,) = scored([draft], ByLength())
    mean = (0.8 + 0.11 + 0.8) / 3
    assert found.mean == pytest.approx(mean)
    assert found.score == pytest.approx((mean + 0.11) / 2)
    assert found.weakest_sentence == weak
    (nothing,) = scored([Draft("Up.", 0, True, 0, "Up.")], ByLength())
    assert nothing.score == 0 and nothing.weakest is None


def test_drafts_with_flaws_rank_behind_all_others() -> None:
    good, bad = (
        Draft("a", 1, True, 0, "", score=0.1),
        Draft("b", 1, True, 1, "", flaws=("repeats itself",), score=0.9),
    )
    assert ranked([bad, good]) == [good, bad]


def test_what_scores_too_little_is_drawn_again_up_to_the_limit() -> None:
    texts = ["No.", "No.", "No.", "Quite a long and good sentence here.", "No."]
    writer = Scripted(texts)
    asked = order(1, is_judged=True, min_score=0.3, drafts=2)
    (outcome,) = Desk(writer, ByLength()).write(asked)
    assert [draft.seed for draft in outcome.texts] == [3] and outcome.rounds == 2
    assert outcome.texts[0].of == 4
    assert writer.asked == [[0, 1], [2, 3]]  # type: ignore[attr-defined]
    assert shortfall(outcome, asked) == ""
    (none,) = Desk(Scripted(["No."]), ByLength()).write(asked)
    assert not none.texts and none.rounds == 3
    said = shortfall(none, asked)
    assert (
        "0 of 1 texts" in said and "3 rounds and 6 drafts: 6 score below 0.30; the best scores 0.03" in said
    )


def test_what_copies_too_much_is_drawn_again(tmp_path: Path) -> None:
    copies = made(tmp_path, ["she was born in the town of Leeds and plays house"])
    texts = ["She was born in the town of York.", "She was born there.", "She plays house."]
    writer = Scripted(texts)
    (outcome,) = Desk(writer, copies=copies).write(order(2, max_copy=3))
    assert [draft.text for draft in outcome.texts] == texts[1:]
    assert writer.asked == [[0, 1], [2]]  # type: ignore[attr-defined]
    assert outcome.drafts[0].misses == ("copies 7 words",)
    copied = outcome.texts[0].copied
    assert copied and (copied.words, copied.span, copied.row) == (3, "She was born", 1)


def test_no_text_with_a_banned_word_is_handed_over() -> None:
    asked = order(1, banned=["house"], rounds=2)
    (outcome,) = Desk(Scripted(["She plays HOUSE.", "House."])).write(asked)
    assert not outcome.texts and len(outcome.drafts) == 2
    assert "2 hold a banned word" in shortfall(outcome, asked)


def test_banned_words_are_avoided_as_they_are_drawn(writer: Writer) -> None:
    tokens = [
        word
        for text in draw(writer.model, writer.tokenizer, [""] * 8, range(8), Sampling(30))
        for word in text.text.split()
        if word.isalpha()
    ]
    banned = max(set(tokens), key=tokens.count)
    (outcome,) = Desk(writer).write(order(8, banned=[banned], rounds=10))
    assert len(outcome.texts) == 8
    assert not any(banned.casefold() in draft.text.casefold().split() for draft in outcome.texts)


def test_texts_have_the_length_that_is_asked_for() -> None:
    texts = ["One two. Three.", "One two three. Four five. Six", "One."]
    (outcome,) = Desk(Scripted(texts)).write(order(1, length=Length(4, 6)))
    assert [draft.text for draft in outcome.texts] == ["One two three. Four five."]
    assert outcome.drafts[0].misses == ("not of the length asked for",)


def test_a_text_of_the_right_length_that_is_cut_in_mid_sentence_is_drawn_again() -> None:
    asked = order(1, ["Up. "], length=Length(3, 6), rounds=2)
    (outcome,) = Desk(Scripted(["She was born in", "She was born."])).write(asked)
    assert [draft.text for draft in outcome.texts] == ["Up. She was born."] and outcome.rounds == 2
    (none,) = Desk(Scripted(["She was born in"])).write(asked)
    assert not none.texts and "2 hold no whole new sentence" in shortfall(none, asked)
    (any_length,) = Desk(Scripted(["She was born in"])).write(order(1, ["Up. "]))
    assert [draft.text for draft in any_length.texts] == ["Up. She was born in"]


def test_each_prompt_gets_its_texts_and_only_those_that_lack_some_are_drawn_again() -> None:
    # Seeds 0 and 1 are for the first prompt, 2 and 3 for the second.
    writer = Scripted([" is good.", " is fine.", " is bad.", " is nice.", " is well."])
    outcomes = Desk(writer).write(order(2, ["Ann", "Bob"], banned=["bad"]))
    assert [[draft.text for draft in outcome.texts] for outcome in outcomes] == [
        ["Ann is good.", "Ann is fine."],
        ["Bob is nice.", "Bob is well."],
    ]
    assert writer.asked == [[0, 1, 2, 3], [4]]  # type: ignore[attr-defined]


def test_a_text_stops_when_it_has_enough(writer: Writer) -> None:
    (whole,) = draw(writer.model, writer.tokenizer, ["Born"], [3], Sampling(40))
    (stopped, other) = draw(
        writer.model,
        writer.tokenizer,
        ["Born", "Born"],
        [3, 4],
        Sampling(40),
        enough=lambda text: len(text) >= 20 and whole.text.startswith(text),
    )
    assert whole.text.startswith(stopped.text) and 20 <= len(stopped.text) < len(whole.text)
    assert not stopped.ended and other.tokens > stopped.tokens


def test_no_tokens_come_twice_where_that_is_asked(writer: Writer) -> None:
    plain, spared = (
        draw(writer.model, writer.tokenizer, ["a a a"], [1], Sampling(60, temperature=0), no_repeat=size)[0]
        for size in (0, 2)
    )
    runs = [{text[at : at + 6] for at in range(len(text) - 5)} for text in (plain.text, spared.text)]
    assert len(runs[1]) / len(spared.text) > 2 * len(runs[0]) / len(plain.text)
