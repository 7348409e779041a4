import os
from pathlib import Path

import pytest

from notifier.adapters.folders import BadFile, check_name, read_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    (made / "supplier").mkdir(parents=True)
    (made / "supplier" / "list.csv").write_bytes(b"name\n")
    (tmp_path / "secret").write_bytes(b"hush")
    return made


def test_a_file_below_the_folder_is_read(folder: Path) -> None:
    assert read_below(folder, "supplier/list.csv", most_bytes=5) == b"name\n"


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "newest.csv").symlink_to("supplier/list.csv")

    assert read_below(folder, "newest.csv", most_bytes=5) == b"name\n"


@pytest.mark.parametrize("name", ["", ".", "/etc/passwd", "../secret", "supplier/../../secret", "..\\secret", "a\0b"])
def test_a_name_that_can_lead_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    assert check_name(name)
    with pytest.raises(BadFile, match="below the folder"):
        read_below(folder, name, most_bytes=5)


@pytest.mark.parametrize("link", ["../secret", "/etc/passwd", "supplier/out/../../../secret"])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, link: str) -> None:
    (folder / "supplier" / "out").mkdir()
    (folder / "link").symlink_to(link if link.startswith("/") else folder / link)

    with pytest.raises(BadFile, match="leads out"):
        read_below(folder, "link", most_bytes=5)


def test_what_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")  # opened without waiting for a writer
    (folder / "round").symlink_to(folder / "round")

    for name, said in (("pipe", "no file"), ("round", "cannot be read"), ("nowhere", "No such file")):
        with pytest.raises(BadFile, match=said) as refused:
            read_below(folder, name, most_bytes=5)
        assert str(folder) not in str(refused.value)
    with pytest.raises(BadFile):
        read_below(folder, "supplier", most_bytes=5)


def test_a_file_that_is_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(BadFile, match="larger than 4 bytes"):
        read_below(folder, "supplier/list.csv", most_bytes=4)
