"""Boards and lists of clients by the page: every client once, forwards and backwards, whatever is filtered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from notifier.models import Announcement
from notifier.services import answers, boards, clients, keyset, tallies
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import notice_of, send_due, token_for

SIZE = 3
NAMES = ("Éclair", "acme", "Zèbre", "Acme", "eclair SA", "Écluse", "Beta", "beta", "Öl", "Omega", "  Clinique")


@pytest.fixture
def announced(session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Announcement:
    """Clients with much the same names; every second one has acknowledged, the last has objected."""
    monkeypatch.setattr(keyset, "SIZE", SIZE)
    make_provider(session)
    made = [make_client(session, f"C-{number:02}", company=name) for number, name in enumerate(NAMES)]
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    for number, client in enumerate(made):
        if number % 2:
            token = token_for(session, desk, f"dpo@c-{number:02}.example")
            answers.acknowledge(session, desk, token, [notice_of(session, client).id], name="Camille", now=NOON)
    token = token_for(session, desk, f"dpo@c-{len(NAMES) - 1:02}.example")
    notice_id = notice_of(session, made[-1]).id
    answers.object_to(session, desk, token, notice_id, name="Camille", reasons="Too far.", now=NOON)
    session.flush()
    session.expire_all()
    return announcement


Ask = Callable[..., tuple[list[str], UUID | None, UUID | None]]


def forwards(ask: Ask) -> Iterator[list[str]]:
    names, _before, after = ask()
    yield names
    while after:
        names, _before, after = ask(after=after)
        yield names


def backwards(ask: Ask) -> Iterator[list[str]]:
    """From the last page to the first."""
    _names, before, after = ask()
    while after:
        names, before, after = ask(after=after)
    yield names
    while before:
        names, before, after = ask(before=before)
        yield names


@pytest.fixture(params=["few", "many"])
def whatever_the_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are found and sorted, many walked past; here they must be the same."""
    if request.param == "many":
        monkeypatch.setattr(boards, "FEW", 0)
        monkeypatch.setattr(boards, "RARE", 1000)


@pytest.mark.usefixtures("whatever_the_size")
@pytest.mark.parametrize("status", ["", "acknowledged", "silent", "objected", "unreached"])
def test_every_client_of_a_board_stands_on_one_page(
    session: Session, desk: Desk, announced: Announcement, status: str
) -> None:
    rows = boards.board(session, announced.id, now=NOON).rows
    counts = tallies.tally(session, desk, announced.id).counts
    wanted = [row.client.key for row in rows if status in {"", row.status}]

    def ask(after: UUID | None = None, before: UUID | None = None) -> tuple[list[str], UUID | None, UUID | None]:
        page = boards.page(session, announced, counts, now=NOON, status=status, after=after, before=before)
        return [row.client.key for row in page.rows], page.before, page.after

    pages = list(forwards(ask))
    assert [key for keys in pages for key in keys] == wanted
    assert all(len(keys) == SIZE for keys in pages[:-1])
    if len(pages) > 1:
        back = [key for keys in backwards(ask) for key in reversed(keys)]
        assert list(dict.fromkeys(back)) == wanted[::-1]  # a first page is a whole one, and may repeat


def test_the_list_is_in_one_order_on_every_database(session: Session, announced: Announcement) -> None:
    names = [row.client.company for row in boards.board(session, announced.id, now=NOON).rows]

    assert names == [
        "acme", "Acme", "Beta", "beta", "  Clinique", "Éclair", "eclair SA", "Écluse", "Öl", "Omega", "Zèbre",
    ]  # fmt: skip


@pytest.mark.usefixtures("announced")
def test_every_client_of_the_list_stands_on_one_page(session: Session) -> None:
    def ask(after: UUID | None = None, before: UUID | None = None) -> tuple[list[str], UUID | None, UUID | None]:
        page = clients.page(session, after=after, before=before)
        return [one.client.key for one in page.clients], page.before, page.after

    wanted = [one.client.key for one in clients.listing(session)]
    assert [key for keys in forwards(ask) for key in keys] == wanted
    assert list(dict.fromkeys(key for keys in backwards(ask) for key in reversed(keys))) == wanted[::-1]


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("ecl", ["Éclair", "eclair SA", "Écluse"]),
        ("ÉCLAIR", ["Éclair", "eclair SA"]),
        ("c-03", ["Acme"]),
        ("C-1", ["  Clinique"]),
        ("clair", []),
        ("%", []),
        ("_", []),
        ("a\0cm", ["acme", "Acme"]),
        ("***", []),
    ],
)
def test_a_client_is_found_by_how_its_name_or_its_key_begins(session: Session, sought: str, found: list[str]) -> None:
    assert [one.client.company for one in clients.page(session, sought=sought).clients] == found


@pytest.mark.usefixtures("announced")
def test_a_page_beside_a_client_that_nobody_knows_is_the_first(session: Session) -> None:
    first = clients.page(session)

    assert clients.page(session, after=uuid4()) == clients.page(session, before=uuid4()) == first
