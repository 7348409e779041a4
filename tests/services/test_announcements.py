from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlmodel import Session, SQLModel, func, select

from notifier.models import Announcement, EventKind, Notice, Sealed, Terms
from notifier.rules.gate import Hold
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import Period
from notifier.rules.terms import BadPack
from notifier.services import announcements, boards, going_live, notices, previews, registry
from notifier.services.announcements import EffectiveInPast, EffectiveTooEarly, ReasonMissing
from notifier.services.desk import Desk
from notifier.services.going_live import AlreadyLive, EarlierNotLive, GateClosed
from notifier.services.provider import ProfileIncomplete
from notifier.services.registry import DraftMoved, NoDraft, NothingChanged
from tests.factories import (
    NOON,
    PACK,
    REASONS,
    make_announcement,
    make_client,
    make_contact,
    make_entry,
    make_provider,
    make_version,
)
from tests.services.stories import breach, carried, deliveries, happened, kinds_of_items, notice_of, send_due, with_pack

LAST_DAY = date(2026, 4, 3)  # presumed on Monday 2 March, two days of margin, 30 days
A_DAY = timedelta(days=1)


def start_draft(session: Session) -> None:
    """A version in force, and a draft that adds one subprocessor."""
    make_version(session, now=NOON - A_DAY)
    registry.add_entry(session, make_entry("Optexemple"), by="ana", now=NOON)


def publish(session: Session, desk: Desk, on: date = date(2026, 6, 1)) -> Announcement:
    return announcements.publish(session, desk, effective_on=on, reasons=REASONS, by="ana", now=NOON)


def rows(session: Session) -> dict[str, int]:
    """The number of rows of every table."""
    session.flush()
    return {
        name: session.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in SQLModel.metadata.tables.items()
    }


def text_of(mail: bytes) -> str:
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


# --- publishing ------------------------------------------------------------------------------------------------------


def test_publishing_gives_each_client_its_own_deadline(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "ten-days", period=Period(10), margin_days=0)
    make_provider(session)
    acme = make_client(session, "C-1")
    globex = make_client(session, "C-2", pack="ten-days")
    start_draft(session)

    publish(session, desk)

    by_client = {notice.client_id: notice for notice in session.exec(select(Notice))}
    assert {by_client[acme.id].object_by, by_client[globex.id].object_by} == {LAST_DAY, date(2026, 3, 12)}
    assert by_client[globex.id].object_until == datetime(2026, 3, 12, 23, tzinfo=UTC)
    assert {notice.state for notice in by_client.values()} == {NoticeState.RAISED}


def test_a_deadline_is_sealed_with_what_it_was_computed_from(session: Session, desk: Desk) -> None:
    make_provider(session)
    for key in ("C-1", "C-2"):
        make_client(session, key)

    make_announcement(session, desk)

    sealed = session.exec(select(Sealed)).one()  # one for all who are under the same contract
    assert sealed.counted == desk.packs[PACK].rule_for("subprocessor")
    assert (sealed.received_on, sealed.last_day) == (date(2026, 3, 2), LAST_DAY)
    assert [step["did"] for step in sealed.steps] == ["presumed_receipt", "margin", "day_zero", "added"]
    assert set(sealed.versions) == {"holidays", "tzdata"}


def test_a_contract_changed_later_moves_no_running_clock(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    make_announcement(session, desk)

    changed = with_pack(desk, PACK, period=Period(90))
    send_due(session, changed, now=NOON)

    assert notice_of(session, client).object_by == LAST_DAY


def test_publishing_twice_tells_nobody_twice(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    start_draft(session)
    publish(session, desk)
    before = rows(session)

    with pytest.raises(NoDraft):
        publish(session, desk)

    assert rows(session) == before


def test_the_announcement_keeps_what_changed_and_why(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)

    found = make_announcement(session, desk)

    (change,) = announcements.changes_of(found)
    assert (change.kind, change.name, change.before and change.before.name) == ("replaced", "Optexemple", "Fibrexemple")
    assert (found.reference, found.reasons) == ("SP-2026-0002", REASONS)
    assert (found.effective_on, found.effective_at) == (date(2026, 4, 4), datetime(2026, 4, 3, 22, tzinfo=UTC))
    published = happened(session, EventKind.ANNOUNCEMENT_PUBLISHED)[0]
    assert published.data["changes"] == [{"kind": "replaced", "entry": "Optexemple"}]


def test_an_address_that_serves_several_clients_gets_one_mail_a_language_naming_each(
    session: Session, desk: Desk
) -> None:
    desk = with_pack(desk, "ten-days", period=Period(10), margin_days=0)
    make_provider(session)
    legal = {"email": "legal@group.example"}
    make_client(session, "C-1", company="Acme", contacts=[legal])
    make_client(session, "C-2", company="Globex", contacts=[{"email": "Legal@Group.example"}], pack="ten-days")
    make_client(session, "C-3", company="Clinique", contacts=[{**legal, "language": "fr"}])
    start_draft(session)
    publish(session, desk)

    mails = {delivery.language: delivery for delivery in deliveries(session)}
    assert carried(session, mails["en"]) == {"Acme", "Globex"}
    assert carried(session, mails["fr"]) == {"Clinique"}
    assert len(deliveries(session)) == 2

    english, french = sorted((text_of(mail.content) for mail in send_due(session, desk, now=NOON)), key=len)
    text = english if "Acme" in english else french
    assert "Friday 3 April 2026 at 23:59 (Paris time)" in text.partition("Acme")[2].partition("Globex")[0]
    assert "Thursday 12 March 2026 at 23:59 (Paris time)" in text.partition("Globex")[2]


def test_only_contacts_in_the_roles_for_this_kind_are_told_and_each_address_once(session: Session, desk: Desk) -> None:
    make_provider(session)
    roles = [{"role": role, "email": f"{role}@client.example"} for role in ("contractual", "dpo", "invoicing")]
    twice = [{"role": role, "email": "both@client.example"} for role in ("contractual", "dpo")]
    make_client(session, contacts=[*roles, *twice])

    make_announcement(session, desk)

    assert [mail.address for mail in deliveries(session)] == [
        "both@client.example",
        "contractual@client.example",
        "dpo@client.example",
    ]


def test_a_contact_who_has_left_is_not_told(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    make_contact(session, client, email="gone@client.example").left_at = NOON - A_DAY

    make_announcement(session, desk)

    assert [mail.address for mail in deliveries(session)] == ["dpo@c-001.example"]


@pytest.mark.parametrize("client", [{"contacts": []}, {"contacts": [{"role": "invoicing"}]}])
def test_a_client_that_no_mail_may_reach_is_put_before_a_person(
    session: Session, desk: Desk, client: dict[str, object]
) -> None:
    make_provider(session)
    unreached = make_client(session, **client)  # type: ignore[arg-type]  # fields of any type

    announcement = make_announcement(session, desk)

    notice = notice_of(session, unreached)
    assert (notice.state, notice.object_by) == (NoticeState.UNREACHED, LAST_DAY)
    assert kinds_of_items(session, announcement) == ["unreachable_client"]
    assert [event.about_id for event in happened(session, EventKind.NOTICE_UNREACHED)] == [notice.id]
    assert deliveries(session) == []


def test_only_clients_under_contract_by_then_are_affected(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, "C-1")
    make_client(session, "C-2", signed_on=date(2026, 3, 3))

    make_announcement(session, desk)

    assert len(session.exec(select(Notice)).all()) == 1


def test_of_two_contract_versions_the_one_in_force_on_the_day_counts(session: Session, desk: Desk) -> None:
    desk = with_pack(with_pack(desk, "old", period=Period(10)), "next", period=Period(90))
    make_provider(session)
    client = make_client(session, pack="old", signed_on=date(2020, 1, 1))
    for pack, signed_on in ((PACK, date(2026, 3, 2)), ("next", date(2026, 3, 3))):
        session.add(Terms(client_id=client.id, pack=pack, signed_on=signed_on, recorded_at=NOON))

    make_announcement(session, desk)

    notice = notice_of(session, client)
    terms = session.exec(select(Terms).where(Terms.id == notice.terms_id)).one()
    assert (terms.pack, notice.object_by) == (PACK, LAST_DAY)


# --- refused ---------------------------------------------------------------------------------------------------------


def test_too_early_says_for_whom_and_which_date_would_do_and_changes_nothing(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "ninety-days", period=Period(90))
    make_provider(session)
    make_client(session, "C-1", company="Acme")
    make_client(session, "C-2", company="Globex", pack="ninety-days")
    make_client(session, "C-3", company="Initech", contacts=[])
    start_draft(session)
    before = rows(session)

    with pytest.raises(EffectiveTooEarly) as refused, session.begin_nested():
        publish(session, desk, on=date(2026, 4, 4))

    assert rows(session) == before
    assert [one.client.company for one in refused.value.late] == ["Globex"]
    assert refused.value.earliest == date(2026, 6, 3)
    assert "Globex (until 2026-06-02)" in str(refused.value)
    assert "2026-06-03 would do" in str(refused.value)
    assert publish(session, desk, on=refused.value.earliest).effective_on == date(2026, 6, 3)


def test_too_early_for_many_names_five_and_counts_the_rest(session: Session, desk: Desk) -> None:
    make_provider(session)
    for n in range(7):
        make_client(session, f"C-{n}")
    start_draft(session)

    with pytest.raises(EffectiveTooEarly, match=r"Company C-4 \(until 2026-04-03\) and 2 more"):
        publish(session, desk, on=LAST_DAY)


def test_nothing_is_published_before_the_profile_is_complete(session: Session, desk: Desk) -> None:
    make_provider(session, reply_to="", base_url=" ")
    make_client(session)
    start_draft(session)
    before = rows(session)

    with pytest.raises(ProfileIncomplete, match="fill in reply_to, base_url"):
        publish(session, desk)

    assert rows(session) == before


@pytest.mark.parametrize("reasons", [{}, {"en": "Because."}, {"en": "Because.", "fr": " \n"}])
def test_no_letter_leaves_without_its_reason_in_both_languages(
    session: Session, desk: Desk, reasons: dict[str, str]
) -> None:
    make_provider(session)
    make_client(session)
    start_draft(session)
    before = rows(session)

    with pytest.raises(ReasonMissing, match=r"missing in .*fr"):
        announcements.publish(session, desk, effective_on=date(2026, 6, 1), reasons=reasons, by="ana", now=NOON)

    assert rows(session) == before


def test_a_draft_that_changes_nothing_is_not_announced(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_version(session)
    registry.open_draft(session, by="ana", now=NOON)

    with pytest.raises(NothingChanged):
        publish(session, desk)


def test_a_first_list_is_established_and_not_announced(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    registry.add_entry(session, make_entry("Equinix"), by="ana", now=NOON)

    with pytest.raises(NoDraft), session.begin_nested():
        publish(session, desk)

    assert registry.establish(session, by="ana", now=NOON).live_at == NOON
    assert session.exec(select(Notice)).all() == []


@pytest.mark.parametrize("clients", [0, 1])
def test_a_day_that_has_passed_is_refused_also_where_nobody_is_affected(
    session: Session, desk: Desk, clients: int
) -> None:
    make_provider(session)
    for _ in range(clients):
        make_client(session)
    start_draft(session)
    before = rows(session)

    with pytest.raises(EffectiveInPast, match="has passed"):
        publish(session, desk, on=NOON.date() - A_DAY)

    assert rows(session) == before


def test_a_change_that_affects_nobody_may_take_effect_today(session: Session, desk: Desk) -> None:
    make_provider(session)
    start_draft(session)

    assert publish(session, desk, on=NOON.date()).effective_on == NOON.date()


def test_a_draft_that_was_edited_since_it_was_looked_at_is_not_announced(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    start_draft(session)
    seen = registry.open_draft(session, by="ana", now=NOON).revision
    registry.add_entry(session, make_entry("Zayo"), by="bob", now=NOON)
    before, on = rows(session), date(2026, 6, 1)

    with pytest.raises(DraftMoved):
        announcements.publish(session, desk, effective_on=on, reasons=REASONS, by="ana", now=NOON, revision=seen)

    assert rows(session) == before


def test_a_contract_whose_file_is_gone_stops_the_announcement(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, pack="lost-2019")
    start_draft(session)

    with pytest.raises(BadPack, match="lost-2019, which is not in the folder of contracts: put it back"):
        publish(session, desk)


# --- preview ---------------------------------------------------------------------------------------------------------


def test_the_preview_says_what_publishing_would_do(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, "C-1", contacts=[{"email": "legal@group.example"}])
    make_client(session, "C-2", contacts=[{"email": "LEGAL@group.example"}])
    make_client(session, "C-3", contacts=[])
    start_draft(session)
    before = rows(session)

    seen = previews.preview(session, desk, now=NOON)

    assert [(change.kind, change.name) for change in seen.changes] == [("added", "Optexemple")]
    assert (len(seen.affected), seen.addresses, seen.earliest_effective_on) == (3, 1, date(2026, 4, 4))
    assert [one.client.key for one in seen.unreachable] == ["C-3"]
    assert rows(session) == before


def test_the_earliest_date_of_the_preview_would_do(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    start_draft(session)
    earliest = previews.preview(session, desk, now=NOON).earliest_effective_on
    assert earliest is not None

    with pytest.raises(EffectiveTooEarly), session.begin_nested():
        publish(session, desk, on=earliest - A_DAY)

    assert publish(session, desk, on=earliest).effective_on == earliest


@pytest.mark.parametrize("timezone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_a_change_never_takes_effect_before_the_clients_midnight_wherever_the_provider_is(
    session: Session, desk: Desk, timezone: str
) -> None:
    make_provider(session, timezone=timezone)
    client = make_client(session)
    start_draft(session)

    with pytest.raises(EffectiveTooEarly) as refused, session.begin_nested():
        publish(session, desk, on=LAST_DAY)
    found = publish(session, desk, on=refused.value.earliest)

    assert found.effective_at >= notice_of(session, client).object_until


@pytest.mark.obligation("O5.3")
def test_a_notice_states_the_guarantees_of_the_new_provider_and_the_edition_keeps_them(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session)
    start_draft(session)
    facts = {"guarantees_en": "HDS certified until 2028.", "guarantees_fr": "Certifié HDS jusqu’en 2028."}

    made = announcements.publish(
        session, desk, effective_on=date(2026, 6, 1), reasons=REASONS, facts=facts, by="ana", now=NOON
    )

    (mail,) = send_due(session, desk, now=NOON)
    assert "Guarantees of the new provider: HDS certified until 2028." in text_of(mail.content)
    assert announcements.editions(session, made.id)[0].facts == facts


# --- going live ------------------------------------------------------------------------------------------------------


def run_out(session: Session, desk: Desk, announcement: Announcement) -> datetime:
    """Everybody is told, nobody objects, and the day comes; returns its first instant."""
    send_due(session, desk, now=NOON)
    notices.lapse_due(session, now=announcement.effective_at)
    return announcement.effective_at


def test_going_live_changes_the_list_in_force(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk)
    the_day = run_out(session, desk, announcement)
    before = registry.live(session, the_day)

    going_live.go_live(session, announcement.id, by="ana", now=the_day)

    after = registry.live(session, the_day)
    assert before is not None
    assert after is not None
    assert (before.number, after.number) == (1, 2)
    assert {entry.name for entry in registry.entries(session, after)} == {"Equinix", "Optexemple"}
    assert registry.live(session, the_day - A_DAY) == before
    assert (announcement.state, announcement.live_by, announcement.breach_reason) == ("live", "ana", "")
    assert happened(session, EventKind.ANNOUNCEMENT_BREACHED) == []


def test_going_live_against_a_closed_gate_is_refused_with_what_holds_it(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, "C-1")
    make_client(session, "C-2", contacts=[])
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON)

    with pytest.raises(GateClosed, match=r"the gate is closed \(unreached, period\)") as refused:
        going_live.go_live(session, announcement.id, by="ana", now=NOON)

    assert refused.value.gate.holds == (Hold.UNREACHED, Hold.PERIOD)
    assert announcement.live_at is None
    assert happened(session, EventKind.ANNOUNCEMENT_LIVE) == []


def test_before_the_announced_day_an_open_gate_is_not_enough(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk, effective_on=date(2026, 6, 1))
    send_due(session, desk, now=NOON)
    after_the_period = datetime(2026, 4, 10, tzinfo=UTC)
    notices.lapse_due(session, now=after_the_period)

    with pytest.raises(GateClosed, match="the announced day has not come"):
        going_live.go_live(session, announcement.id, by="ana", now=after_the_period)


def test_a_breach_is_recorded_as_what_it_is(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk)

    breach(session, desk, announcement, now=NOON + A_DAY)

    (recorded,) = happened(session, EventKind.ANNOUNCEMENT_BREACHED)
    assert (announcement.state, announcement.breach_reason) == ("live", "The old site burnt down.")
    assert recorded.data["holds"] == ["not_received", "period"]
    assert happened(session, EventKind.ANNOUNCEMENT_LIVE) == []


def test_going_live_happens_once(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk)
    the_day = run_out(session, desk, announcement)
    going_live.go_live(session, announcement.id, by="ana", now=the_day)

    with pytest.raises(AlreadyLive):
        going_live.go_live(session, announcement.id, by="ana", now=the_day)

    assert len(happened(session, EventKind.VERSION_LIVE)) == 2  # the first list, and this one


def test_what_is_announced_is_upcoming_until_it_is_live(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk)
    assert announcements.upcoming(session) == announcements.newest(session) == [announcement]

    the_day = run_out(session, desk, announcement)
    going_live.go_live(session, announcement.id, by="ana", now=the_day)

    assert (announcements.upcoming(session), announcements.newest(session)) == ([], [announcement])


def test_a_later_announcement_of_the_same_entry_does_not_go_live_before_an_earlier_one(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session)
    earlier = make_announcement(session, desk)
    an_hour_later = NOON + timedelta(hours=1)
    registry.amend_entry(session, "optexemple", {"activities": ("Colocation",)}, by="ana", now=an_hour_later)
    later = announcements.publish(
        session, desk, effective_on=date(2026, 6, 1), reasons=REASONS, by="ana", now=an_hour_later
    )
    send_due(session, desk, now=an_hour_later)
    the_day = run_out(session, desk, later)

    with pytest.raises(EarlierNotLive, match=r"SP-2026-0002 was announced earlier, has not gone live"):
        going_live.go_live(session, later.id, by="ana", now=the_day)
    with pytest.raises(EarlierNotLive), session.begin_nested():
        breach(session, desk, later, now=the_day)
    before = registry.live(session, the_day)
    assert before is not None
    assert (before.number, happened(session, EventKind.ANNOUNCEMENT_LIVE)) == (1, [])

    for announcement in (earlier, later):
        going_live.go_live(session, announcement.id, by="ana", now=the_day)
    after = registry.live(session, the_day)
    assert after is not None
    assert after.number == 3


# --- clients who come later ------------------------------------------------------------------------------------------


def test_a_client_imported_after_publishing_is_untold_and_holds_the_gate_until_it_is_told(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    legal = [{"email": "legal@group.example"}]
    make_client(session, "C-1", company="Acme", contacts=legal)
    announcement = make_announcement(session, desk)
    the_day = run_out(session, desk, announcement)
    assert boards.board(session, announcement.id, now=the_day).gate.is_open

    globex = make_client(session, "C-2", company="Globex", contacts=legal)

    board = boards.board(session, announcement.id, now=the_day)
    assert (board.untold, board.gate.holds, board.gate.opens_at) == ((globex,), (Hold.NOT_TOLD,), None)
    with pytest.raises(GateClosed, match="not_told"):
        going_live.go_live(session, announcement.id, by="ana", now=the_day)

    told = announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=the_day)
    (mail,) = send_due(session, desk, now=the_day)

    assert (told, mail.recipient) == (1, "legal@group.example")  # which was told for Acme: a mail of its own
    assert "Globex" in text_of(mail.content)
    assert "Acme" not in text_of(mail.content)
    notice = notice_of(session, globex)
    assert (notice.object_by, notice.raised_at) == (date(2026, 5, 11), the_day)  # Tuesday 7 April, two days, 30 days
    board = boards.board(session, announcement.id, now=the_day)
    assert (board.untold, board.gate.holds, board.gate.opens_at) == ((), (Hold.PERIOD,), notice.object_until)


def test_when_the_latecomers_period_is_over_too_the_change_goes_live(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, "C-1")
    announcement = make_announcement(session, desk)
    run_out(session, desk, announcement)
    late = make_client(session, "C-2")
    moment = NOON + 10 * A_DAY
    assert announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=moment) == 1
    assert announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=moment + A_DAY) == 0
    send_due(session, desk, now=moment)
    end = notice_of(session, late).object_until
    assert end > announcement.effective_at

    with pytest.raises(GateClosed):
        going_live.go_live(session, announcement.id, by="ana", now=end - timedelta(seconds=1))
    notices.lapse_due(session, now=end)
    going_live.go_live(session, announcement.id, by="ana", now=end)

    assert announcement.state == "live"
    make_client(session, "C-3")
    assert boards.board(session, announcement.id, now=end).untold == ()  # who signs now signs the new list
    with pytest.raises(announcements.NotPublished):
        announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=end)


def test_a_latecomer_whom_no_mail_may_reach_is_put_before_a_person(session: Session, desk: Desk) -> None:
    make_provider(session)
    announcement = make_announcement(session, desk)
    late = make_client(session, contacts=[])

    announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=NOON + A_DAY)

    assert notice_of(session, late).state is NoticeState.UNREACHED
    assert kinds_of_items(session, announcement) == ["unreachable_client"]
