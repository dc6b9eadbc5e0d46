"""`check` in a project: its configuration, and what git says has changed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bioforge.checking.changes import Changes
from bioforge.checking.config import read_config
from bioforge.errors import ExitCode, UserError
from tests.checking import check
from tests.test_checking_inputs import git, write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_the_nearest_configuration_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"../.bioforge.toml": "[check]\nthreshold = 0.1\n", "in/a.txt": "This is wrong."})
    assert check("in").code == 0
    write({"pyproject.toml": '[project]\nname = "bioforge-user"\n'})
    assert check("in").code == 0
    write({"pyproject.toml": "[tool.bioforge.check]\nthreshold = 0.2\n"})
    assert check("in").code == 1
    monkeypatch.chdir("in")
    assert check("a.txt").code == 1
    write({".bioforge.toml": "[check]\nthreshold = 0.01\n"})
    assert check("a.txt").code == 0


def test_the_command_line_beats_the_configuration() -> None:
    write({".bioforge.toml": '[check]\nthreshold = 0.01\nformat = "jsonl"\nfail-on = "never"\n'})
    assert check("This is wrong.").out.startswith("{")
    assert check("This is wrong.", threshold=1.0).code == 0
    result = check("This is wrong.", threshold=1.0, fail_on="1", format="text")
    assert result.code == 1 and result.out.startswith("unacceptable")


def test_files_and_sentences_are_exempt_by_the_configuration() -> None:
    write(
        {
            ".bioforge.toml": '[check]\nexclude = ["drafts", "*.log.txt", "in/[ab].md"]\n'
            'ignore = ["An old  saying, wrong as ever.", "/^Figure \\\\d+/"]\n',
            "drafts/deep/a.md": "Draft wrong.",
            "x.log.txt": "Log wrong.",
            "in/a.md": "A wrong.",
            "in/c.md": "An old saying,\nwrong as ever. Figure 12 is wrong. Then figure 1 is wrong.",
        }
    )
    assert check(".", "in/a.md", marks=False).judge.asked == ["Then figure 1 is wrong."]
    assert check("-", stdin=b"Draft wrong.", stdin_name="drafts/deep/a.md").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[check]\nthreshhold = 0.5\n", "unknown key 'check.threshhold'"),
        ("[check]\nthreshold = 5\n", "'check.threshold' is a number from 0 to 1, not 5"),
        ("[check]\nthreshold = true\n", "'check.threshold' is a number"),
        ('[check]\nformat = "xml"\n', "'check.format' is one of text, json"),
        ('[check]\nignore = "one"\n', "'check.ignore' is a list"),
        ('[check]\nignore = ["/(/"]\n', "'check.ignore' has /(/, which is no regular expression"),
        ('[check]\nfail-on = "some"\n', "'check.fail-on' is a number"),
        ("[chekc]\n", "unknown table or key 'chekc'"),
        ("check = 1\n", "'check' is a table"),
        ("[check\n", "is not TOML"),
    ],
)
def test_a_wrong_configuration_is_said_with_its_file_and_key(folder: Path, text: str, said: str) -> None:
    write({".bioforge.toml": text})
    with pytest.raises(UserError, match=re.escape(said)) as raised:
        check("A sentence.")
    assert str(folder / ".bioforge.toml") in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tool = "bioforge"\n', "'tool' is a table, not 'bioforge'"),
        ("[tool]\nbioforge = 3\n", "'bioforge' is a table, not 3"),
        ('[tool]\nbioforge = "check"\n', "'bioforge' is a table, not 'check'"),
        ("[tool.bioforge]\ncheck = 1\n", "'check' is a table"),
    ],
)
def test_a_shared_file_without_tables_where_they_belong_is_said(text: str, said: str) -> None:
    write({"pyproject.toml": text})
    with pytest.raises(UserError, match=re.escape(f"pyproject.toml: {said}")) as raised:
        check("A sentence.")
    assert "\n" not in str(raised.value)


def test_a_shared_file_that_cannot_be_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({"pyproject.toml": "[tool.bioforge.check]\n"})

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    # The superuser may read everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"pyproject\.toml cannot be read: Permission denied"):
        read_config(folder)


def test_a_working_folder_that_was_deleted_is_said(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(UserError, match="the working folder is gone"):
        check("A sentence.")


def test_no_configuration_is_none(folder: Path) -> None:
    assert read_config(folder / "none").folder is None


def changed(name: str, reference: str = "HEAD") -> list[range] | None:
    return Changes(reference).lines(Path(name))


def test_only_sentences_on_changed_lines_are_checked() -> None:
    git("init")
    write(
        {
            "in/a.md": "One is wrong.\n\nTwo is wrong.\n\nThree goes on\nand is wrong.\n",
            "b.md": "Old and wrong.",
        }
    )
    git("add", ".")
    git("commit", "-m", "first")
    write(
        {
            "in/a.md": "One is wrong.\n\nTwo is so wrong.\n\nThree goes on\nand is so wrong.\n",
            "c.md": "New, wrong.",
        }
    )
    result = check(".", "Given and wrong.", since="HEAD", marks=False)
    assert result.judge.asked == [
        "New, wrong.",
        "Two is so wrong.",
        "Three goes on and is so wrong.",
        "Given and wrong.",
    ]
    git("add", ".")
    assert check("in", since="HEAD").out.startswith("in/a.md:3:1")
    git("commit", "-m", "second")
    assert check(".", since="HEAD").code == 0
    assert changed("in/a.md", "HEAD~1") == [range(3, 4), range(6, 7)]


def test_a_file_that_was_renamed_is_changed_where_it_was_edited(folder: Path) -> None:
    git("init")
    write({"old.md": "".join(f"Line {number} is here.\n" for number in range(30))})
    git("add", ".")
    git("commit", "-m", "first")
    git("mv", "old.md", 'a "new" ñame.md')
    path = folder / 'a "new" ñame.md'
    path.write_text(path.read_text().replace("Line 7 ", "Row 7 "))
    assert changed(path.name) == [range(8, 9)]


def test_content_that_looks_like_a_header_of_a_diff_is_content() -> None:
    git("init")
    write({"a.md": "One.\n", "b.md": "One.\n"})
    git("add", ".")
    git("commit", "-m", "first")
    write({"a.md": "One.\n++ b/b.md\n@@ -1 +1,9 @@\n"})
    assert changed("a.md") == [range(2, 4)]
    assert changed("b.md") == []


def test_in_a_repository_without_commits_everything_is_new() -> None:
    git("init")
    write({"a.md": "This is wrong.\n", "b.md": "This is wrong too.\n"})
    git("add", "a.md")
    assert changed("a.md") == [range(1, 2)]
    assert changed("b.md") is None
    assert len(check(".", since="HEAD", marks=False).judge.asked) == 2


def test_in_the_hook_of_a_linked_worktree_the_folder_that_is_meant_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init")
    write({"in/a.md": "One is here.\n", "in/b.md": "One is here.\n", ".gitignore": "no.md\n"})
    git("add", ".")
    git("commit", "-m", "first")
    git("worktree", "add", "../linked")
    monkeypatch.chdir("../linked")
    write({"in/a.md": "One is here.\nTwo is wrong.\n", "in/no.md": "This is wrong."})
    git_dir = folder / ".git" / "worktrees" / "linked"
    monkeypatch.setenv("GIT_DIR", str(git_dir))
    monkeypatch.setenv("GIT_INDEX_FILE", str(git_dir / "index"))
    assert check("in", since="HEAD", marks=False).judge.asked == ["Two is wrong."]
    assert check("in", marks=False).judge.asked == ["One is here.", "Two is wrong.", "One is here."]


def test_settings_of_the_user_do_not_change_what_git_tells(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    write(
        {
            "config": "[diff]\nnoprefix = true\nmnemonicPrefix = true\nexternal = false\ninterHunkContext = 9\n[color]\nui = always\n"
        }
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "config"))
    git("init")
    write({"a.md": "One.\nTwo.\nThree.\n"})
    git("add", ".")
    git("commit", "-m", "first")
    write({"a.md": "1.\nTwo.\n3.\n"})
    assert changed("a.md") == [range(1, 2), range(3, 4)]


def test_a_repository_within_that_lacks_the_commit_is_said_once_and_the_others_are_checked() -> None:
    git("init")
    write({"a.md": "One is here.\n"})
    git("add", ".")
    git("commit", "-m", "first")
    git("tag", "start")
    write({"a.md": "One is here.\nTwo is wrong.\n", "inner/b.md": "Wrong.", "inner/c.md": "Wrong."})
    git("init", "inner")
    result = check(".", since="start", marks=False)
    assert result.judge.asked == ["Two is wrong."] and result.code == ExitCode.USAGE
    (said,) = [line for line in result.notes if line.startswith("bioforge: ")]
    assert "no commit 'start' in the git repository" in said and said.endswith("inner")
    assert check(".", since="nothing").code == ExitCode.USAGE


def test_what_git_has_against_a_repository_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    git("init")
    write({"a.md": "This is wrong.\n"})
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with pytest.raises(UserError, match=r"a\.md .*dubious ownership") as raised:
        check("a.md", since="HEAD")
    assert "\n" not in str(raised.value)


def test_without_a_repository_or_such_a_commit_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    write({"a.md": "This is wrong.\n"})
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    with pytest.raises(UserError, match=r"a\.md is in no git repository"):
        check(".", since="HEAD")
    git("init")
    for reference in ("nothing", "--output=x"):
        with pytest.raises(UserError, match=f"no commit '{reference}'"):
            check("a.md", since=reference)
    assert not Path("x").exists()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="git is not installed"):
        check("a.md", since="HEAD")
