from __future__ import annotations

from zlib import crc32

import pytest


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty, migrated database: SQLite for one test, PostgreSQL for the next, drawn by its name.

    What differs between the two lies in the services, whose tests run on both; a view only calls them.
    """
    drawn = ("sqlite_url", "postgresql_url")[crc32(request.node.nodeid.encode()) % 2]
    url: str = request.getfixturevalue(drawn)
    return url
