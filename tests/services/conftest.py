from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import Session

from notifier.runtime import Runtime
from notifier.services import boards
from notifier.services.desk import Desk
from tests.factories import make_runtime
from tests.services.stories import assert_same


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """What services work with besides the database; it remembers nothing, so one serves all tests."""
    folder = tmp_path_factory.mktemp("desk")
    return make_runtime(f"sqlite:///{folder / 'unused.db'}", folder).desk


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    """For what needs transactions of its own: several at once, or the bells after a commit."""
    runtime = make_runtime(database_url, tmp_path / "data")
    runtime.check_instance()  # as what is started does first
    yield runtime
    runtime.close()


@pytest.fixture(autouse=True)
def _tallies_are_true(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    """Whenever a test looks at a whole board, what the database counts of it must say the same."""
    look = boards.board

    def compared(session: Session, announcement_id: UUID, *, now: datetime) -> boards.Board:
        found = look(session, announcement_id, now=now)
        assert_same(found, session, desk, announcement_id, now=now)
        return found

    monkeypatch.setattr(boards, "board", compared)
