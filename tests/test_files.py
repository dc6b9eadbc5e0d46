from __future__ import annotations

from pathlib import Path

import pytest

from bioforge.errors import UserError
from bioforge.files import new_folder, recover, remove_folder, visible_folders, write_text
from bioforge.paths import Home, check_name, home
from bioforge.settings import change_settings, load_settings


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("half")
        assert not (tmp_path / "x").exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("whole")
        assert visible_folders(tmp_path) == []
    assert (tmp_path / "x" / "a").read_text() == "whole"


def test_an_existing_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with new_folder(tmp_path / "x", replace=True) as folder:
            (folder / "a").write_text(text)
    with pytest.raises(FileExistsError), new_folder(tmp_path / "x"):
        pass
    assert (tmp_path / "x" / "a").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_replacement_cut_off_between_its_renames_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x"
    with new_folder(target) as folder:
        (folder / "a").write_text("old")
    rename = Path.rename

    def dies(self: Path, to: Path) -> Path:
        if self.name.startswith(".staging"):
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", dies)
    with pytest.raises(KeyboardInterrupt), new_folder(target, replace=True) as folder:
        (folder / "a").write_text("new")
    monkeypatch.undo()
    assert not target.exists()
    recover(target)
    assert (target / "a").read_text() == "old"


def test_what_was_replaced_never_comes_back(tmp_path: Path) -> None:
    """Killed between putting the new one in place and removing the old; later the new one is removed."""
    target, aside = tmp_path / "x", tmp_path / ".x.replaced"
    for folder in (target, aside):
        folder.mkdir()
    recover(target)
    assert not aside.exists()
    remove_folder(target)
    recover(target)
    assert not target.exists()


def test_a_reader_that_recovers_between_the_renames_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "x"
    with new_folder(target) as folder:
        (folder / "a").write_text("old")
    rename = Path.rename
    seen: list[Path] = []

    def interrupted(self: Path, to: Path) -> Path:
        if self.name.startswith(".staging") and not seen:
            seen.append(self)
            recover(target)
            assert (target / "a").read_text() == "old"
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with new_folder(target, replace=True) as folder:
        (folder / "a").write_text("new")
    assert seen and (target / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        write_text(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_read_only_contents_can_be_removed(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "a").write_text("1")
    (folder / "a").chmod(0o444)
    remove_folder(folder)
    remove_folder(folder)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "", ".x", "-x", "x" * 81, "a b", "nul\0"])
def test_a_name_that_is_a_path_or_worse_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="model name"):
        check_name(name, "model")


def test_one_variable_moves_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIOFORGE_HOME", str(tmp_path / "elsewhere"))
    assert home().models == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("BIOFORGE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert home().root.name == "bioforge"
    assert not (tmp_path / "elsewhere").exists()


def test_settings_are_kept_and_damage_is_named(home: Home) -> None:
    assert load_settings(home).judge is None
    change_settings(home, judge="mine")
    change_settings(home, writer="other")
    assert (load_settings(home).judge, load_settings(home).writer) == ("mine", "other")
    home.settings.write_text("{")
    with pytest.raises(UserError, match=r"settings\.json is damaged"):
        load_settings(home)
