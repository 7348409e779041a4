from pathlib import Path

import pytest

from notifier import resources


def test_a_checkout_reads_the_folders_at_its_top() -> None:
    top = Path(__file__).parent.parent

    assert [resources.folder("templates"), resources.folder("config")] == [top / "templates", top / "config"]


def test_an_installed_wheel_reads_the_folders_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "notifier" / "_data" / "config"
    inside.mkdir(parents=True)
    (tmp_path / "config").mkdir()

    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "notifier")

    assert resources.folder("config") == inside


def test_a_missing_folder_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "notifier")

    with pytest.raises(FileNotFoundError, match="install again"):
        resources.folder("templates")


def test_the_operators_folder_comes_first(tmp_path: Path) -> None:
    assert resources.search_path("config", tmp_path) == [tmp_path, resources.folder("config")]
    assert resources.search_path("config") == [resources.folder("config")]
