"""Announcing something else than a change of the registry: its kind, its form, its preview, and publishing it."""

from collections.abc import Mapping
from datetime import date

import pytest
from sqlmodel import Session, select

from notifier.models import Announcement, AnnouncementKind, AnnouncementState, Notice, Role
from notifier.runtime import now
from notifier.services import announcements
from tests.factories import REASONS, make_client
from tests.web.staffing import MOVE, Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

NEW = "/staff/announcements/new"
WHY = {"reasons_en": REASONS["en"], "reasons_fr": REASONS["fr"]}
MAINTENANCE = {
    **WHY,
    "aspect": "maintenance",
    "service": "Object storage",
    "what_en": "New disks are put in.",
    "what_fr": "De nouveaux disques sont installés.",
    "impact_en": "Reading is slower.",
    "impact_fr": "La lecture est plus lente.",
    "effective_on": "2026-03-16",
}
DISCLOSURE = {
    **WHY,
    "aspect": "notice",
    "authority": "Court of Examples",
    "basis_en": "An order.",
    "basis_fr": "Une ordonnance.",
    "scope_en": "The log of one account.",
    "scope_fr": "Le journal d’un compte.",
    "effective_on": "2026-03-02",
}
LATE = {"reasons_en": "A court ordered it.", "reasons_fr": "Un tribunal l’a ordonné."}


@pytest.fixture
def with_client(desk_clerk: Staffer) -> Staffer:
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-000", company="Acme 0")
    return desk_clerk


def write(clerk: Staffer, kind: str, typed: Mapping[str, str]) -> str:
    """Save a draft; returns the path of its preview."""
    saved = clerk.send(f"{NEW}/{kind}", f"/new/{kind}", typed)
    assert saved.status_code == 303, saved.text
    return saved.location


# --- writing ---------------------------------------------------------------------------------------------------------


def test_every_kind_says_what_it_is_for_and_what_is_asked(desk_clerk: Staffer) -> None:
    page = desk_clerk.get(NEW).text

    for kind in AnnouncementKind:
        if kind not in {AnnouncementKind.SUBPROCESSOR, AnnouncementKind.EMERGENCY}:
            assert f'href="{NEW}/{kind.value}"' in page
    assert "silence is a refusal" in page
    assert "/staff/registry/draft" in page


@pytest.mark.parametrize("kind", sorted(set(AnnouncementKind) - {"subprocessor", "emergency"}))
def test_every_kind_has_its_form(desk_clerk: Staffer, kind: str) -> None:
    assert desk_clerk.get(f"{NEW}/{kind}").status_code == 200


@pytest.mark.parametrize("kind", ["subprocessor", "emergency", "party"])
def test_what_nobody_writes_by_hand_has_no_form(desk_clerk: Staffer, kind: str) -> None:
    assert desk_clerk.get(f"{NEW}/{kind}").status_code == 404


def test_everything_that_is_wrong_is_said_at_once_and_what_was_typed_is_kept(desk_clerk: Staffer) -> None:
    typed = {"service": "Object storage", "aspect": "party", "what_en": "New disks.", "effective_on": "soon"}

    refused = desk_clerk.send(f"{NEW}/service", "/new/service", typed)

    assert refused.status_code == 422
    for field in ("aspect", "what_fr", "impact_en", "impact_fr", "effective_on", "reasons_en", "reasons_fr"):
        assert f'id="{field}-error"' in refused.text
    assert 'id="what_en-error"' not in refused.text
    assert 'value="Object storage"' in refused.text


def test_a_country_is_taken_by_its_name(desk_clerk: Staffer) -> None:
    write(
        desk_clerk,
        "location",
        {**WHY, **MOVE, "aspect": "storage", "country": "Allemagne", "effective_on": "2026-09-01"},
    )

    assert desk_clerk.announcement().facts["country"] == "DE"


@pytest.mark.obligation("O4.1")
def test_health_data_is_not_announced_to_be_stored_outside_the_eea(desk_clerk: Staffer) -> None:
    typed = {**WHY, **MOVE, "aspect": "storage", "country": "United States", "effective_on": "2026-09-01"}

    refused = desk_clerk.send(f"{NEW}/location", "/new/location", typed)

    assert refused.status_code == 422
    assert "Health data is stored within the European Economic Area alone" in refused.text


def test_a_day_that_has_passed_is_refused(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(f"{NEW}/service", "/new/service", {**MAINTENANCE, "effective_on": "2026-03-01"})

    assert refused.status_code == 422
    assert "This day has passed." in refused.text


def test_a_draft_is_changed(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)
    edit = there.replace("/preview", "/draft")
    assert 'value="Object storage"' in with_client.get(edit).text

    wrong = with_client.send(edit, "/draft", {"service": ""})
    done = with_client.send(edit, "/draft", {"service": "Block storage", "aspect": "maintenance"})

    assert (wrong.status_code, done.status_code, done.location) == (422, 303, there)
    assert "Maintenance: Block storage" in with_client.get(there).text


def test_a_draft_that_is_thrown_away_is_listed_no_more(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)
    assert "SV-2026-0001" in with_client.get("/staff/announcements").text

    done = with_client.send(there, "/discard")

    assert done.status_code == 303
    assert "SV-2026-0001" not in with_client.get("/staff/announcements").text
    assert with_client.get(there.replace("/preview", "/draft")).status_code == 409


def test_an_auditor_sees_a_draft_and_can_do_nothing_about_it(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)
    auditor = with_client.as_role(Role.AUDITOR)

    page = auditor.get(there)

    assert page.status_code == 200
    assert "Publish and send" not in page.text
    assert auditor.get(NEW).status_code == 403


def test_a_draft_tells_nobody(with_client: Staffer) -> None:
    write(with_client, "service", MAINTENANCE)

    with Session(with_client.runtime.engine) as session:
        assert session.exec(select(Notice)).all() == []


# --- publishing ------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O15.2")
def test_the_preview_of_a_maintenance_says_by_when_to_send(with_client: Staffer) -> None:
    page = with_client.get(write(with_client, "service", MAINTENANCE)).text

    assert "Maintenance: Object storage" in page
    assert "Latest lawful moment to send" in page
    assert "First lawful day if sent now" in page
    assert "The period is counted back from the day, and waits for no client’s receipt." in page
    assert "The event is on Monday 16 March 2026, which is not counted" in page
    assert "to be confirmed by counsel" in page


def test_a_draft_is_published_and_leads_to_its_board(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)

    done = with_client.send(there, "/publication")

    board = there.removesuffix("/preview")
    assert (done.status_code, done.location) == (303, board)
    page = with_client.get(board).text
    assert "Reading is slower." in page
    assert "First published (Ana)." in page
    assert with_client.get(there).location == board


def test_a_board_of_a_draft_leads_to_its_preview(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)

    assert with_client.get(there.removesuffix("/preview")).location == there


def test_what_waits_for_nobody_shows_who_was_not_reached_and_is_held_by_no_single_client(desk_clerk: Staffer) -> None:
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-000", company="Acme 0", contacts=[])
    board = desk_clerk.send(write(desk_clerk, "service", MAINTENANCE), "/publication").location

    before = desk_clerk.get(board).text
    after = desk_clerk.on_the_day().get(board).text

    assert "<strong>1</strong> not reached" in before
    assert "No single client holds it: it waits for the day alone." in before
    assert "Open: it waits for nobody." in after
    assert "1 client has not been reached and is still owed this" in after


@pytest.mark.obligation("O4.2")
def test_the_preview_of_a_move_says_that_silence_is_a_refusal(with_client: Staffer) -> None:
    page = with_client.get(
        write(with_client, "location", {**WHY, **MOVE, "aspect": "storage", "effective_on": "2026-09-01"})
    )

    assert "Each client must agree: its silence is a refusal." in page.text
    assert "Germany" in page.text


@pytest.mark.obligation("O10.1")
def test_a_disclosure_of_which_nobody_may_be_told_stays_a_draft(with_client: Staffer) -> None:
    there = write(with_client, "disclosure", {**DISCLOSURE, "prohibited_until": "2026-06-30"})

    refused = with_client.send(there, "/publication")

    assert refused.status_code == 422
    assert "Telling clients of this is prohibited until Tuesday 30 June 2026." in refused.text
    assert with_client.announcement().state is AnnouncementState.DRAFT


@pytest.mark.obligation("O10.1")
def test_what_has_happened_is_told_at_once(with_client: Staffer) -> None:
    board = with_client.send(write(with_client, "disclosure", DISCLOSURE), "/publication").location

    assert with_client.announcement().state is AnnouncementState.LIVE
    assert "Live since" in with_client.get(board).text


# --- a late notice ---------------------------------------------------------------------------------------------------


@pytest.fixture
def too_late(with_client: Staffer) -> str:
    """The preview of a maintenance in three days."""
    return write(with_client, "service", {**MAINTENANCE, "effective_on": "2026-03-05"})


@pytest.mark.obligation("O15.2")
def test_a_maintenance_that_is_told_too_late_is_refused_with_what_would_have_done(
    with_client: Staffer, too_late: str
) -> None:
    assert "too late to send" in with_client.get(too_late).text

    refused = with_client.send(too_late, "/publication")

    assert refused.status_code == 422
    assert "Too late for this day: the notices had to leave by" in refused.text
    assert "is the first lawful day" in refused.text
    assert f"{too_late.removesuffix('/preview')}/decisions/late" in refused.text


@pytest.mark.obligation("O15.2")
def test_two_persons_let_a_notice_leave_late_on_a_legal_ground(with_client: Staffer, too_late: str) -> None:
    ask = too_late.replace("/preview", "/decisions/late")
    asked = with_client.send(ask, "/late", LATE)
    manager = with_client.as_role(Role.ACCOUNT_MANAGER)

    assert (asked.status_code, asked.location) == (303, ask)
    assert with_client.send(too_late, "/publication").status_code == 422
    confirmed = manager.send(ask, "/confirmation")
    assert (confirmed.status_code, confirmed.location) == (303, too_late)
    assert "A court ordered it." in manager.get(too_late).text
    board = manager.send(too_late, "/publication")
    assert board.status_code == 303
    assert (
        "It was told later than the contracts say, for this reason: A court ordered it."
        in manager.get(board.location).text
    )


def test_a_decision_is_void_once_the_draft_says_something_else(with_client: Staffer, too_late: str) -> None:
    ask = too_late.replace("/preview", "/decisions/late")
    with_client.send(ask, "/late", LATE)
    manager = with_client.as_role(Role.ACCOUNT_MANAGER)
    manager.send(ask, "/confirmation")

    manager.send(too_late.replace("/preview", "/draft"), "/draft", {"service": "Mail", "aspect": "maintenance"})

    assert manager.send(too_late, "/publication").status_code == 422


def test_a_disclosure_that_may_be_told_at_last_leads_to_its_draft(with_client: Staffer) -> None:
    there = write(with_client, "disclosure", {**DISCLOSURE, "prohibited_until": "2026-03-01"})
    with with_client.runtime.transaction() as session:
        held = session.exec(select(Announcement)).one()
        assert date.fromisoformat(held.facts["prohibited_until"]) == date(2026, 3, 1)
        announcements.announce_ended_prohibitions(session, now=now())

    assert f'href="{there}">Disclosure that may be told now: DI-2026-0001</a>' in with_client.get("/staff/").text


def test_nobody_publishes_another_draft_than_they_looked_at(with_client: Staffer) -> None:
    there = write(with_client, "service", MAINTENANCE)
    shown = with_client.get(there)
    typed = {"aspect": "maintenance", "what_en": "All disks are replaced."}
    assert with_client.send(there.replace("/preview", "/draft"), "/draft", typed).status_code == 303

    refused = with_client.send(shown, "/publication")

    assert refused.status_code == 409
    assert "Somebody else has changed it since you looked." in refused.text
    assert "All disks are replaced." in refused.text
    assert with_client.announcement().state is AnnouncementState.DRAFT
    assert with_client.send(refused, "/publication").status_code == 303
