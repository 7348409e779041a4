from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from notifier.adapters.http import GuardedClient
from notifier.adapters.register_files import read_list
from notifier.adapters.registers import read_register
from notifier.models import Event, EventKind, Item, Sighting, SightingState, Source, Suggestion, SuggestionState
from notifier.rules import registry_diff
from notifier.rules.entries import Entry
from notifier.runtime import Runtime
from notifier.services import registry, watches
from notifier.services.desk import Desk
from notifier.services.watches import BadSource, Errand, NoSuchSource, NoSuchSuggestion, Taken
from notifier.worker import Worker
from tests.factories import NOON, make_entry, make_provider, make_version
from tests.services.stories import happened, kinds_of_items

ADDRESS = "https://fibrexemple.example/legal/subprocessors.csv"
DAY = timedelta(days=1)
TWO = "name,activity,country\nNuage Un,Storage,FR\nNuage Deux,Support,BE\n"
SPELT = "name,activity,country\nNUAGE  DEUX,support,BE\nNuage Un,Storage.,FR\n"
THREE = "name,activity,country\nNuage Un,Storage,FR\nNuage Deux,Support,BE\nCourrier Sud,Mail,FR\n"


@dataclass
class Supplier:
    """What stands at the address, and who asked for it."""

    text: str | bytes = TWO
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/csv"})
    asked: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        etag = self.headers.get("etag")
        if etag and request.headers.get("if-none-match") == etag:
            return httpx.Response(304)
        return httpx.Response(self.status, headers=self.headers, content=self.text)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite for one test, PostgreSQL for the next, drawn by its name: lists are told apart here, not databases."""
    drawn = ("sqlite_url", "postgresql_url")[crc32(request.node.nodeid.encode()) % 2]
    url: str = request.getfixturevalue(drawn)
    return url


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read within this process: one of its own for each list takes long, and is tested by itself."""
    monkeypatch.setattr(watches, "read_list", read_register)


@pytest.fixture
def supplier() -> Supplier:
    return Supplier()


@pytest.fixture
def watching(desk: Desk, supplier: Supplier, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose client meets the supplier alone, and that may watch files in a folder."""
    with closing(GuardedClient(now=lambda: NOON, transport=httpx.MockTransport(supplier.answer))) as client:
        folder = tmp_path / "watched"
        folder.mkdir()
        yield replace(desk, http=client, watched_files=folder)


@pytest.fixture
def source(session: Session, watching: Desk) -> Source:
    """One list that is watched, of an entry in force."""
    make_version(session)
    return add(session, watching)


def add(
    session: Session, desk: Desk, address: str = ADDRESS, entry_key: str = "fibrexemple", hours: int = 24
) -> Source:
    return watches.add(session, desk, entry_key=entry_key, address=address, hours=hours, by="user:1", now=NOON)


def look(session: Session, desk: Desk, *, now: datetime = NOON) -> Suggestion | None:
    """Do what a worker does with one list that is due."""
    (errand,) = watches.claim(session, limit=10, now=now)
    return watches.settle(session, errand, watches.look(desk, errand), now=now)


def changed(session: Session, desk: Desk, supplier: Supplier, text: str = THREE) -> Suggestion:
    """Let a list be looked at, change, and be looked at again."""
    look(session, desk)
    supplier.text = text
    found = look(session, desk, now=NOON + DAY)
    assert found is not None
    return found


def kept(session: Session) -> list[Sighting]:
    return list(session.exec(select(Sighting).order_by(Sighting.fetched_at, Sighting.id)))  # type: ignore[arg-type] # columns


def draft(session: Session) -> dict[str, Entry]:
    listed = registry.entries(session, registry.draft(session) or registry.published(session))
    return {entry.key: entry for entry in listed}


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_is_looked_at_at_once_and_then_on_its_timetable(
    session: Session, watching: Desk, source: Source
) -> None:
    assert look(session, watching) is None

    assert (source.last_looked_at, source.next_look_at) == (NOON, NOON + DAY)
    assert watches.claim(session, limit=10, now=NOON + DAY - timedelta(seconds=1)) == []
    assert len(watches.claim(session, limit=10, now=NOON + DAY)) == 1


@pytest.mark.parametrize(
    ("address", "flaw"),
    [
        ("", "form"),
        ("http://fibrexemple.example/list", "url"),
        ("https://ana:secret@fibrexemple.example/list", "url"),
        ("https://169.254.169.254/latest", "url"),
        ("file:///etc/passwd", "url"),
        ("/etc/passwd", "outside"),
        ("../secret_key", "outside"),
        ("a/../../b.csv", "outside"),
        ("..\\b.csv", "outside"),
        ("https://fibrexemple.example/" + "x" * 2000, "form"),
    ],
)
def test_an_address_that_must_not_be_looked_at_is_refused(
    session: Session, watching: Desk, address: str, flaw: str
) -> None:
    make_version(session)

    with pytest.raises(BadSource) as refused:
        add(session, watching, address)

    assert (refused.value.field, refused.value.flaw) == ("address", flaw)
    assert "secret@" not in str(refused.value)
    assert watches.everyone(session) == []


def test_what_else_cannot_be_watched_is_refused_by_field(session: Session, watching: Desk, source: Source) -> None:
    asked = {"entry_key": "fibrexemple", "address": "https://x.example/", "hours": 24, "by": "user:1", "now": NOON}
    for wrong, name in (
        ({"entry_key": "nobody"}, "entry_key"),
        ({"hours": 0}, "hours"),
        ({"hours": 745}, "hours"),
        ({"mapping": {"Entity": "nom"}}, "mapping"),
        ({"mapping": {"": "name"}}, "mapping"),
        ({"address": source.address}, "address"),
    ):
        with pytest.raises(BadSource) as refused:
            watches.add(session, watching, **{**asked, **wrong})  # type: ignore[arg-type] # mixed
        assert refused.value.field == name


def test_files_are_watched_where_the_operator_chose_a_folder(session: Session, watching: Desk) -> None:
    make_version(session)
    with pytest.raises(BadSource, match=r"watch\.files"):
        add(session, replace(watching, watched_files=None), "supplier/list.csv")

    found = add(session, watching, "supplier/list.csv")

    assert not found.is_page
    assert look(session, watching) is None
    assert found.last_trouble == "the file cannot be read: No such file or directory"


def test_a_removed_source_is_looked_at_no_more_and_may_be_added_anew(
    session: Session, watching: Desk, source: Source
) -> None:
    look(session, watching)

    watches.remove(session, source.id, by="user:1", now=NOON)

    assert watches.everyone(session) == []
    assert watches.claim(session, limit=10, now=NOON + 9 * DAY) == []
    assert len(kept(session)) == 1
    with pytest.raises(NoSuchSource):
        watches.pause(session, source.id, paused=True, by="user:1", now=NOON)
    assert add(session, watching).id != source.id


def test_a_paused_source_waits(session: Session, source: Source) -> None:
    watches.pause(session, source.id, paused=True, by="user:1", now=NOON)
    assert watches.claim(session, limit=10, now=NOON + DAY) == []
    assert len(watches.claim(session, limit=10, now=NOON, only=source.id)) == 1  # by hand all the same

    watches.pause(session, source.id, paused=False, by="user:1", now=NOON)
    assert len(watches.claim(session, limit=10, now=NOON)) == 1


def test_events_name_the_host_and_never_the_address(session: Session, watching: Desk) -> None:
    make_version(session)
    add(session, watching, "https://fibrexemple.example/list?token=hush")
    look(session, watching)

    told = session.exec(select(Event).where(Event.kind == EventKind.SOURCE_ADDED)).one()
    assert told.data == {"entry": "fibrexemple", "host": "fibrexemple.example"}
    assert not any("hush" in str(event.data) for event in session.exec(select(Event)))


# --- what a look finds -----------------------------------------------------------------------------------------------


def test_the_first_look_keeps_what_it_sees_and_suggests_nothing(
    session: Session, watching: Desk, source: Source
) -> None:
    assert look(session, watching) is None

    (one,) = kept(session)
    assert (one.source_id, one.content, one.state) == (source.id, TWO.encode(), SightingState.READ)
    assert (one.media_type, one.filename) == ("text/csv", "subprocessors.csv")
    assert [event.data["bytes"] for event in happened(session, EventKind.SIGHTING_KEPT)] == [len(TWO)]
    assert kinds_of_items(session) == []


def test_the_same_bytes_change_nothing(session: Session, watching: Desk, source: Source) -> None:
    look(session, watching)

    assert look(session, watching, now=NOON + DAY) is None

    assert len(kept(session)) == 1
    assert (source.last_looked_at, source.last_changed_at) == (NOON + DAY, None)


def test_a_list_that_says_it_has_not_changed_is_not_sent_again(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    supplier.headers["etag"] = '"1"'
    look(session, watching)

    assert look(session, watching, now=NOON + DAY) is None

    assert [request.headers.get("if-none-match") for request in supplier.asked] == [None, '"1"']
    assert (len(kept(session)), source.etag, source.troubles) == (1, '"1"', 0)


def test_another_spelling_is_kept_and_suggests_nothing(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    look(session, watching)
    supplier.text = SPELT

    assert look(session, watching, now=NOON + DAY) is None

    assert len(kept(session)) == 2
    assert (kinds_of_items(session), source.last_changed_at) == ([], None)


def test_a_change_in_meaning_is_put_before_the_editor_once(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    found = changed(session, watching, supplier)

    assert look(session, watching, now=NOON + 2 * DAY) is None
    change = registry_diff.from_json(found.changes[0])
    assert (len(found.changes), change.kind, change.name) == (1, registry_diff.ChangeKind.ADDED, "Courrier Sud")
    assert (found.state, source.last_changed_at) == (SuggestionState.OPEN, NOON + DAY)
    assert [one.id for one in kept(session)] == [found.before_id, found.after_id]
    assert kinds_of_items(session) == ["suggestion"]
    assert [one.id for one in watches.suggestions(session)] == [found.id]


def test_a_page_of_any_make_is_read_in_a_process_of_its_own(
    session: Session, watching: Desk, supplier: Supplier, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "read_list", read_list)
    page = "<html><body><h1>Subprocessors</h1><table><tr><th>Entity</th><th>Location</th></tr>{}</table></body></html>"
    rows = "<tr><td>Nuage Un</td><td>France</td></tr>"
    supplier.headers["content-type"] = "text/html; charset=utf-8"
    supplier.text = page.format(rows)
    look(session, watching)
    assert (source.last_trouble, kept(session)[0].filename) == ("", "subprocessors.csv.html")
    supplier.text = page.format(rows.replace("France", "Belgium"))

    found = look(session, watching, now=NOON + DAY)

    assert found is not None
    assert [one["kind"] for one in found.changes] == ["moved"]


def test_a_file_of_the_operators_folder_is_watched_in_the_same_way(session: Session, watching: Desk) -> None:
    make_version(session)
    assert watching.watched_files
    file = watching.watched_files / "list.csv"
    file.write_text(TWO)
    add(session, watching, "list.csv")
    look(session, watching)
    file.write_text(THREE)

    assert look(session, watching, now=NOON + DAY) is not None


def test_no_link_leads_out_of_the_folder(session: Session, watching: Desk, tmp_path: Path) -> None:
    make_version(session)
    assert watching.watched_files
    (tmp_path / "secret.csv").write_text(TWO)
    (watching.watched_files / "list.csv").symlink_to(tmp_path / "secret.csv")
    found = add(session, watching, "list.csv")

    look(session, watching)

    assert (found.troubles, kept(session)) == (1, [])


def test_what_the_page_says_of_itself_tells_how_to_read_it(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    make_version(session)
    add(session, watching, "https://fibrexemple.example/legal/sous-traitants")
    supplier.headers["content-type"] = "text/csv; charset=utf-8"

    look(session, watching)

    assert kept(session)[0].filename == "sous-traitants.csv"


@pytest.mark.usefixtures("source")
def test_of_a_page_that_is_another_one_at_each_look_only_the_newest_are_kept(
    session: Session, watching: Desk, supplier: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "KEPT", 2)
    found = changed(session, watching, supplier)
    for number in range(5):
        supplier.text = THREE + "\n" * (number + 1)
        look(session, watching, now=NOON + (2 + number) * DAY)

    left = [one.id for one in kept(session)]
    assert left[:2] == [found.before_id, found.after_id]
    assert len(left) == 4


# --- troubles --------------------------------------------------------------------------------------------------------


def test_a_trouble_is_shown_and_put_before_a_person_when_it_comes_a_third_time_and_then_no_more(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    look(session, watching)
    supplier.status, now, seen = 503, NOON + DAY, []

    for _ in range(5):
        look(session, watching, now=now)
        seen.append((source.next_look_at - now, kinds_of_items(session)))
        now = source.next_look_at

    hours = timedelta(hours=4)
    assert seen == [(hours, []), (hours, []), *[(DAY, ["source_failing"])] * 3]
    assert source.last_trouble == "the address answers 503"
    assert len(session.exec(select(Item)).all()) == 1

    supplier.status = 200
    look(session, watching, now=now)
    assert (source.troubles, source.last_trouble, kinds_of_items(session)) == (0, "", [])


def test_who_asks_us_to_wait_is_waited_for(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    supplier.status = 429
    supplier.headers["retry-after"] = "36000"

    look(session, watching)

    assert source.next_look_at == NOON + timedelta(hours=10)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00", "Nothing to see.", "name,activity,country\n"])
def test_what_is_no_list_is_kept_and_changes_nothing(
    session: Session, watching: Desk, supplier: Supplier, source: Source, text: str | bytes
) -> None:
    look(session, watching)
    supplier.text = text
    look(session, watching, now=NOON + DAY)
    look(session, watching, now=NOON + 2 * DAY)

    assert source.troubles == 2
    assert source.last_trouble
    assert [one.state for one in kept(session)][1:] == ([SightingState.UNREADABLE] if text else [])

    supplier.text = THREE  # compared with what was last read
    found = look(session, watching, now=NOON + 3 * DAY)
    assert found is not None
    assert [one["kind"] for one in found.changes] == ["added"]


def test_a_list_that_could_not_be_read_is_read_again_with_other_headings(
    session: Session, watching: Desk, supplier: Supplier, source: Source
) -> None:
    supplier.headers["etag"] = '"1"'
    supplier.text = TWO.replace("name,", "Zusammenhang,")
    look(session, watching)
    assert source.troubles == 1

    watches.change(
        session, watching, source.id, address=ADDRESS, hours=24, mapping={"Zusammenhang": "name"}, by="u", now=NOON
    )

    assert look(session, watching) is None
    assert (source.troubles, [one.state for one in kept(session)]) == (
        0,
        [SightingState.UNREADABLE, SightingState.READ],
    )


def test_a_list_that_is_too_long_is_said(session: Session, watching: Desk, supplier: Supplier, source: Source) -> None:
    supplier.text = "name,activity,country\n" + "".join(f"Firm {number},Storage,FR\n" for number in range(1001))

    look(session, watching)

    assert source.last_trouble == "the list has more than 1000 entries"


# --- who looks -------------------------------------------------------------------------------------------------------


def test_a_lease_keeps_others_away_until_it_ends(session: Session, watching: Desk, source: Source) -> None:
    (first,) = watches.claim(session, limit=10, now=NOON)
    assert watches.claim(session, limit=10, now=NOON + DAY) == []

    source.lease_until = NOON - timedelta(days=365)  # long ago on any clock: its worker died
    (second,) = watches.claim(session, limit=10, now=NOON)
    assert watches.settle(session, first, watches.look(watching, first), now=NOON) is None
    assert kept(session) == []

    watches.settle(session, second, watches.look(watching, second), now=NOON)
    assert len(kept(session)) == 1


def test_two_who_settle_the_same_look_suggest_once(runtime: Runtime, watching: Desk, supplier: Supplier) -> None:
    with runtime.transaction() as session:
        make_version(session)
        add(session, watching)
    with runtime.transaction() as session:
        look(session, watching)
    supplier.text = THREE
    with runtime.transaction() as session:
        (errand,) = watches.claim(session, limit=10, now=NOON + DAY)
    found = watches.look(watching, errand)

    def settle(_: int) -> bool:
        with runtime.transaction() as session:
            return watches.settle(session, errand, found, now=NOON + DAY) is not None

    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(settle, range(4)))

    assert sorted(opened) == [False, False, False, True]
    with runtime.reading() as session:
        assert len(session.exec(select(Suggestion)).all()) == len(session.exec(select(Item)).all()) == 1


def test_two_workers_fetch_once_and_one_that_dies_loses_nothing(
    runtime: Runtime, watching: Desk, supplier: Supplier
) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session)
        source = watches.add(
            session, watching, entry_key="fibrexemple", address=ADDRESS, by="user:1", now=NOON - timedelta(days=999)
        )
    working = replace(runtime, desk=watching)
    first, second = Worker(working), Worker(working)
    with runtime.transaction() as session:
        assert len(watches.claim(session, limit=10, now=NOON)) == 1  # and its process dies

    assert (first.look_due(), second.look_due(), len(supplier.asked)) == (0, 0, 0)
    with runtime.transaction() as session:
        session.execute(sa.update(Source).values(lease_until=NOON - timedelta(days=365)))

    with ThreadPoolExecutor(2) as pool:
        looks = list(pool.map(Worker.look_due, (first, second)))

    assert (sorted(looks), len(supplier.asked)) == ([0, 1], 1)
    with runtime.reading() as session:
        assert watches.get(session, source.id).troubles == 0
        assert len(watches.sightings(session, source.id)) == 1
    first.close()
    second.close()


def test_a_reader_that_fails_is_a_trouble_of_its_source_alone(
    runtime: Runtime, watching: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runtime.transaction() as session:
        make_version(session)
        source = add(session, watching)

    def fail(_desk: Desk, _errand: Errand) -> watches.Found:
        raise RecursionError

    monkeypatch.setattr(watches, "look", fail)
    worker = Worker(replace(runtime, desk=watching))

    assert worker.look_due() == 1

    worker.close()
    with runtime.reading() as session:
        assert watches.get(session, source.id).last_trouble.startswith("the reader failed")


def test_a_source_that_was_changed_meanwhile_forgets_the_look_under_way(
    session: Session, watching: Desk, source: Source
) -> None:
    (errand,) = watches.claim(session, limit=10, now=NOON)
    there = "https://fibrexemple.example/new.csv"
    watches.change(session, watching, source.id, address=there, hours=1, mapping={}, by="user:1", now=NOON)

    watches.settle(session, errand, watches.look(watching, errand), now=NOON)

    assert kept(session) == []
    (errand,) = watches.claim(session, limit=10, now=NOON)
    assert errand.address == there

    watches.remove(session, source.id, by="user:1", now=NOON)
    assert watches.settle(session, errand, watches.look(watching, errand), now=NOON) is None
    assert kept(session) == []


# --- suggestions -----------------------------------------------------------------------------------------------------


def take(session: Session, found: Suggestion) -> Taken:
    return watches.take(session, found.id, by="user:1", now=NOON)


def test_whom_a_subprocessor_adds_is_put_into_the_draft_as_engaged_by_it(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    make_version(session, [make_entry("Equinix"), replace(make_entry("Fibrexemple"), services=("backup",))])
    add(session, watching)
    found = changed(session, watching, supplier)

    taken = take(session, found)

    assert ([one.name for one in taken.made], taken.noted) == (["Courrier Sud"], ())
    arrived = draft(session)["courrier-sud"]
    assert (arrived.parent, arrived.services, arrived.country) == ("fibrexemple", ("backup",), "FR")
    assert arrived.activities == ("Mail",)
    assert [change.name for change in registry.draft_changes(session)] == ["Courrier Sud"]
    assert (found.state, found.decided_by, kinds_of_items(session)) == (SuggestionState.TAKEN, "user:1", [])


def test_a_key_that_is_taken_is_left_to_whom_it_belongs(session: Session, watching: Desk, supplier: Supplier) -> None:
    make_version(session, [make_entry("Fibrexemple"), make_entry("Courrier Sud", key="courrier-sud")])
    add(session, watching)

    take(session, changed(session, watching, supplier))

    assert [entry.parent for entry in draft(session).values()] == ["", "", "fibrexemple"]


@pytest.fixture
def chained(session: Session, watching: Desk) -> Source:
    """Our list names both of those that the subprocessor engages, one of them with words of our own."""
    under = [
        Entry(key="n1", name="Nuage Un SAS", parent="fibrexemple", activities=("Storage",), country="FR"),
        Entry(key="n2", name="nuage deux", parent="fibrexemple", activities=("Support",), contact="Ours", country="BE"),
    ]
    make_version(session, [make_entry("Fibrexemple"), *under])
    return add(session, watching)


@pytest.mark.usefixtures("chained")
def test_whom_it_removes_is_taken_off_if_we_list_it_by_that_name(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    found = changed(session, watching, supplier, "name,activity,country\nAutre,Paper,FR\n")

    taken = take(session, found)

    assert sorted(one.name for one in taken.made) == ["Autre", "Nuage Deux"]
    assert [one.name for one in taken.noted] == ["Nuage Un"]  # we list "Nuage Un SAS"
    assert sorted(draft(session)) == ["autre", "fibrexemple", "n1"]
    assert found.note == "Nuage Un"


@pytest.mark.usefixtures("chained")
def test_what_it_changes_is_amended_and_our_own_words_stay(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    found = changed(session, watching, supplier, TWO.replace("Support,BE", "Support,US"))

    take(session, found)

    amended = draft(session)["n2"]
    assert (amended.country, amended.contact, amended.name, amended.parent) == (
        "US",
        "Ours",
        "nuage deux",
        "fibrexemple",
    )


@pytest.mark.usefixtures("chained")
def test_who_engages_others_in_our_list_is_not_taken_off_it(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    registry.add_entry(session, Entry(key="deep", name="Deep", parent="n2", activities=("x",)), by="u", now=NOON)
    found = changed(session, watching, supplier, "name,activity,country\nNuage Un,Storage,FR\n")

    taken = take(session, found)

    assert [one.name for one in taken.noted] == ["Nuage Deux"]
    assert "n2" in draft(session)


@pytest.mark.usefixtures("source")
def test_what_fits_nowhere_begins_no_draft(session: Session, watching: Desk, supplier: Supplier) -> None:
    found = changed(session, watching, supplier, "name,activity,country\nNuage Un,Storage,FR\n")

    taken = take(session, found)

    assert (taken.made, len(taken.noted)) == ((), 1)
    assert registry.draft(session) is None


@pytest.mark.usefixtures("source")
def test_a_subprocessor_that_has_left_our_list_takes_no_changes(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    found = changed(session, watching, supplier)
    registry.remove_entry(session, "fibrexemple", by="user:1", now=NOON)

    with pytest.raises(registry.NoSuchEntry):
        take(session, found)

    assert found.state is SuggestionState.OPEN


@pytest.mark.usefixtures("source")
def test_a_suggestion_is_dismissed_with_a_reason_that_no_event_repeats(
    session: Session, watching: Desk, supplier: Supplier
) -> None:
    found = changed(session, watching, supplier)
    with pytest.raises(watches.WhyMissing):
        watches.dismiss(session, found.id, why=" ", by="user:1", now=NOON)

    watches.dismiss(session, found.id, why="Ana says so.", by="user:1", now=NOON)

    assert (found.state, found.note, kinds_of_items(session)) == (SuggestionState.DISMISSED, "Ana says so.", [])
    (told,) = happened(session, EventKind.SUGGESTION_DISMISSED)
    assert told.data == {"entry": "fibrexemple"}
    assert registry.draft(session) is None


@pytest.mark.usefixtures("source")
def test_a_suggestion_is_decided_once(session: Session, watching: Desk, supplier: Supplier) -> None:
    found = changed(session, watching, supplier)
    take(session, found)

    with pytest.raises(watches.AlreadyDecided):
        watches.dismiss(session, found.id, why="No.", by="user:1", now=NOON)
    with pytest.raises(NoSuchSuggestion):
        watches.take(session, uuid4(), by="user:1", now=NOON)
