from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.runtime import Runtime
from notifier.services.desk import Desk
from tests.factories import make_runtime


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
