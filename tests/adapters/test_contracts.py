from __future__ import annotations

from pathlib import Path

import pytest

from notifier.adapters.contracts import read_packs
from notifier.resources import folder
from notifier.rules.terms import BadPack

SHIPPED = "outscale-hds-2022"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder with a copy of the shipped pack in which 45 days are written."""
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    text = (folder("config") / "contracts" / f"{SHIPPED}.toml").read_text(encoding="utf-8")
    (contracts / f"{SHIPPED}.toml").write_text(text.replace('"30 days"', '"45 days"'), encoding="utf-8")
    return tmp_path


def test_each_file_is_a_pack_named_after_it(own: Path) -> None:
    (own / "contracts" / "acme-2024.toml").write_bytes((own / "contracts" / f"{SHIPPED}.toml").read_bytes())

    assert list(read_packs([own])) == ["acme-2024", SHIPPED]


def test_the_operators_file_wins_over_the_shipped_one(own: Path) -> None:
    (pack,) = read_packs([own, folder("config")]).values()

    assert pack.rule_for("subprocessor").period.days == 45


def test_a_file_of_another_name_stands_beside_the_shipped_one(own: Path) -> None:
    (own / "contracts" / f"{SHIPPED}.toml").rename(own / "contracts" / "acme-2024.toml")

    packs = read_packs([own, folder("config")])

    assert {name: pack.rule_for("subprocessor").period.days for name, pack in packs.items()} == {
        "acme-2024": 45,
        SHIPPED: 30,
    }


def test_an_own_folder_without_contracts_takes_nothing_away(tmp_path: Path) -> None:
    assert list(read_packs([tmp_path / "nowhere", folder("config")])) == [SHIPPED]


@pytest.mark.parametrize("content", [b"period = ", b"\xff\xfe", b"\x00"])
def test_a_file_that_is_no_toml_is_named(own: Path, content: bytes) -> None:
    broken = own / "contracts" / "broken.toml"
    broken.write_bytes(content)

    with pytest.raises(BadPack, match=f"contract pack {broken} cannot be read"):
        read_packs([own])


def test_a_pack_without_a_period_stops_the_start_by_its_name(own: Path) -> None:
    text = (own / "contracts" / f"{SHIPPED}.toml").read_text(encoding="utf-8")
    (own / "contracts" / "silent.toml").write_text(text.replace('"45 days"', '""'), encoding="utf-8")

    with pytest.raises(BadPack, match=r'contract pack silent, \[rules.subprocessor\] cannot be used: .*period ""'):
        read_packs([own, folder("config")])
