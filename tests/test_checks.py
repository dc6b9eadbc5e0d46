from __future__ import annotations

from collections.abc import Sequence

from bioforge.data.checks import Finding, check
from bioforge.data.rows import Row
from bioforge.data.store import DataInfo, DataSet, Kind, WordCounts


def findings(kind: Kind, rows: Sequence[Row]) -> dict[str, Finding]:
    info = DataInfo("mine", kind, "", "", "", "", "", None, None, {}, {}, WordCounts(1, 1, 1, 1), 0, 0, 0)
    return {finding.check: finding for finding in check(DataSet(info, tuple(rows)))}


def bios(*texts: str) -> dict[str, Finding]:
    return findings("bios", [Row(text, row) for row, text in enumerate(texts, 1)])


def judged(*rows: tuple[str, str, int]) -> dict[str, Finding]:
    """Rows of (split, sentence, label), numbered within their split."""
    numbers: dict[str, int] = {}
    made = []
    for split, sentence, label in rows:
        numbers[split] = numbers.get(split, 0) + 1
        made.append(Row(sentence, numbers[split], split, label))
    return findings("cola", made)


def test_clean_data_passes_every_check() -> None:
    found = judged(("train", "A cat sat.", 1), ("train", "Cat a sat.", 0), ("dev", "It rained.", 1))
    assert list(found) == ["duplicates", "contradictions", "leaks", "non-ascii", "longest"]
    passed = {name: (finding.count, finding.examples) for name, finding in found.items() if name != "longest"}
    assert set(passed.values()) == {(0, ())}


def test_biographies_have_no_labels_and_no_splits_to_check() -> None:
    assert list(bios("a", "b")) == ["duplicates", "non-ascii", "longest"]


def test_one_split_has_nothing_to_leak_into() -> None:
    assert list(judged(("train", "a", 1), ("train", "a", 1))) == [
        "duplicates",
        "contradictions",
        "non-ascii",
        "longest",
    ]


def test_every_repetition_counts_once_and_the_first_not_at_all() -> None:
    finding = bios("a", "b", "a", "A", "a", "b")["duplicates"]
    assert (finding.count, finding.message) == (3, "3 rows repeat an earlier text of their split")
    assert finding.examples == ("train row 3: a", "train row 5: a", "train row 6: b")


def test_a_text_in_two_splits_is_a_leak_and_no_duplicate() -> None:
    found = judged(("train", "a", 1), ("dev", "a", 1), ("dev", "b", 1), ("dev", "b", 1))
    assert found["duplicates"].examples == ("dev row 3: b",)
    assert (found["leaks"].count, found["leaks"].examples) == (1, ("dev row 1: a",))


def test_contradictions_are_within_a_split_and_shown_side_by_side() -> None:
    found = judged(
        ("train", "b", 1),
        ("train", "a", 0),
        ("train", "c", 1),
        ("train", "b", 0),
        ("train", "a", 1),
        ("train", "a", 1),
        ("train", "c", 1),
        ("dev", "c", 0),
    )["contradictions"]
    assert found.message == "2 texts carry both labels within their split (5 rows)"
    assert found.count == 5
    assert found.examples == (
        "train row 2: a",
        "train row 5: a",
        "train row 6: a",
        "train row 1: b",
        "train row 4: b",
    )


def test_leaks_are_counted_by_split_and_by_label() -> None:
    finding = judged(
        ("train", "a", 1),
        ("train", "b", 0),
        ("train", "d", 0),
        ("in_domain_dev", "a", 0),
        ("in_domain_dev", "c", 1),
        ("out_of_domain_dev", "b", 0),
        ("out_of_domain_dev", "a", 1),
        ("out_of_domain_dev", "d", 0),
        ("out_of_domain_dev", "c", 1),
    )["leaks"]
    assert finding.count == 4
    assert finding.message == (
        "4 held-out rows also occur in training (3 in out_of_domain_dev, 1 in in_domain_dev; 1 with the other label)"
    )
    assert finding.examples[0] == "in_domain_dev row 1: a"


def test_characters_beyond_ascii_are_listed() -> None:
    finding = bios("plain", "naïve – x", "café naïve", "plain too")["non-ascii"]
    assert finding.count == 2
    assert finding.message == "2 rows hold characters beyond ASCII: é ï –"
    assert finding.examples == ("train row 2: naïve – x", "train row 3: café naïve")


def test_only_the_first_twenty_odd_characters_are_listed() -> None:
    many = "".join(chr(0x4E00 + number) for number in range(25))
    message = bios(many, "plain")["non-ascii"].message
    assert message == f"1 rows hold characters beyond ASCII: {' '.join(many[:20])} …"


def test_the_longest_texts_come_first() -> None:
    finding = bios("w w", "w " * 7, "w", "x " * 7, "w w w", "w w w w", "w w w w w")["longest"]
    assert finding.message == "the longest text has 7 words"
    assert [example.split(":")[0] for example in finding.examples] == [
        f"train row {row}" for row in (2, 4, 7, 6, 5)
    ]


def test_five_examples_are_shown_and_long_ones_cut() -> None:
    finding = bios(*["é" * 500] * 9)["duplicates"]
    assert (finding.count, len(finding.examples)) == (8, 5)
    assert finding.examples[0] == f"train row 2: {'é' * 200}"
