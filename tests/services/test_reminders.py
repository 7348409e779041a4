from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import UndefinedError
from sqlmodel import Session, select

from notifier.adapters.sending import Mail, Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    Audience,
    Client,
    Delivery,
    EventKind,
    Notice,
    Reminder,
    Role,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.periods import Period
from notifier.rules.reminders import Schedule
from notifier.rules.terms import Mode
from notifier.runtime import Runtime, now
from notifier.services import announcements, answers, corrections, going_live, notices, reminders
from notifier.services.desk import Desk
from notifier.worker import Worker
from tests.factories import (
    NOON,
    PACK,
    REASONS,
    make_announcement,
    make_client,
    make_provider,
    make_runtime,
    make_user,
)
from tests.services.stories import (
    carried,
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    token_for,
    with_pack,
)

LAST_DAY = date(2026, 4, 3)  # that the notices of a Monday noon tell
A_DAY = timedelta(days=1)
ADDRESS = "dpo@c-001.example"
DISCLOSURE = {
    "authority": "Tribunal judiciaire de Paris",
    "basis_en": "A court order",
    "basis_fr": "Une décision de justice",
    "scope_en": "Connection logs",
    "scope_fr": "Journaux de connexion",
}


def at(days_before: int, hour: int = 12) -> datetime:
    """Return an instant so many days before the last day; the hour is that of the server, in UTC."""
    return datetime.combine(LAST_DAY, time.min, tzinfo=UTC) - days_before * A_DAY + timedelta(hours=hour)


@pytest.fixture
def clients_only(desk: Desk) -> Desk:
    return replace(desk, account_manager_reminders=Schedule(()))


@pytest.fixture
def managers_only(desk: Desk) -> Desk:
    return replace(desk, client_reminders=Schedule(()))


def announced(session: Session, desk: Desk) -> Announcement:
    """Announce to every client there is, and let the relay take the mails."""
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    return announcement


def told(session: Session, desk: Desk, **client: object) -> Client:
    make_provider(session)
    one = make_client(session, **client)  # type: ignore[arg-type] # fields of any type
    announced(session, desk)
    return one


def tick(session: Session, desk: Desk, now: datetime) -> list[Mail]:
    """Do what a worker does when time has passed; returns the reminders that left."""
    session.flush()
    notices.lapse_due(session, now=now)
    reminders.drop_stale(session, now=now)
    reminders.send_due(session, desk, now=now)
    session.flush()
    letters = {row.id: row.letter for row in session.exec(select(Delivery))}
    mails = send_due(session, desk, now=now)
    return [mail for mail in mails if letters[mail.delivery_id] in {"reminder", "closing"}]


def days_on_which_mails_leave(session: Session, desk: Desk, *, address: str = ADDRESS) -> list[int]:
    """Tick every noon of the whole period; returns on which days before the last one something left."""
    return [days for days in range(31, -3, -1) for mail in tick(session, desk, at(days)) if mail.recipient == address]


def text_of(mail: Mail) -> tuple[str, str]:
    message = message_from_bytes(mail.content, policy=default)
    part = message.get_body(("plain",))
    assert part is not None
    return str(message["Subject"]), " ".join(part.get_content().replace("\xa0", " ").split())


# --- when ------------------------------------------------------------------------------------------------------------


def test_a_silent_client_is_reminded_on_the_days_of_the_schedule_and_on_no_others(
    session: Session, clients_only: Desk
) -> None:
    told(session, clients_only)

    assert days_on_which_mails_leave(session, clients_only) == [14, 3]


def test_a_tick_that_comes_twice_sends_once(session: Session, clients_only: Desk) -> None:
    told(session, clients_only)

    assert [len(tick(session, clients_only, at(14))) for _ in range(3)] == [1, 0, 0]


def test_after_a_week_of_downtime_one_reminder_leaves_and_the_passed_one_never_does(
    session: Session, clients_only: Desk
) -> None:
    told(session, clients_only)

    days = (2, 1, 14, 2)  # the last two from a clock that jumps back
    assert [len(tick(session, clients_only, at(day))) for day in days] == [1, 0, 0, 0]
    (event,) = happened(session, EventKind.REMINDER_SENT)
    assert event.data["days_before"] == 3


def test_after_a_month_of_downtime_nothing_is_said_of_days_that_have_passed(
    session: Session, clients_only: Desk
) -> None:
    told(session, clients_only)

    assert [tick(session, clients_only, at(days)) for days in (0, -1, -20)] == [[], [], []]


@pytest.mark.parametrize("timezone", ["Pacific/Auckland", "Pacific/Honolulu"])
def test_the_day_is_that_of_the_contracts_zone_however_far_from_the_servers(
    session: Session, clients_only: Desk, timezone: str
) -> None:
    far = with_pack(clients_only, "far", timezone=timezone)
    client = told(session, far, pack="far")
    day = notice_of(session, client).object_by - 14 * A_DAY
    begins = datetime.combine(day, time.min, tzinfo=ZoneInfo(timezone)).astimezone(UTC)

    assert tick(session, far, begins - timedelta(minutes=1)) == []
    assert len(tick(session, far, begins)) == 1


def test_in_a_short_period_the_reminder_does_not_follow_on_the_heels_of_the_notice(
    session: Session, clients_only: Desk
) -> None:
    short = with_pack(clients_only, "short", period=Period(days=8))
    client = told(session, short, pack="short")
    last_day = notice_of(session, client).object_by

    left = [n for n in range(15) for _ in tick(session, short, NOON + n * A_DAY)]

    assert [(last_day - NOON.date()).days - n for n in left] == [3]


def test_an_operator_may_switch_reminders_off(session: Session, desk: Desk) -> None:
    off = replace(desk, client_reminders=Schedule(()), account_manager_reminders=Schedule(()))
    told(session, off)

    assert [mail for days in (14, 7, 3, 1) for mail in tick(session, off, at(days))] == []


def test_a_schedule_out_of_order_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"reminders.clients: \[3, 14\] is no schedule"):
        make_runtime("sqlite://", tmp_path, reminders={"clients": [3, 14]})


# --- to whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["acknowledge", "object", "terminate"])
def test_whoever_has_answered_in_whatever_way_is_not_reminded(session: Session, clients_only: Desk, kind: str) -> None:
    client = told(session, clients_only, contacts=[{}, {"email": "other@c-001.example"}])
    token, notice = token_for(session, clients_only, ADDRESS), notice_of(session, client)
    act = {"name": "Camille Roy", "now": at(15)}
    if kind == "acknowledge":
        answers.acknowledge(session, clients_only, token, [notice.id], **act)  # type: ignore[arg-type] # as below
    elif kind == "object":
        answers.object_to(session, clients_only, token, notice.id, reasons="No.", **act)  # type: ignore[arg-type] # as below
    else:
        answers.terminate(session, clients_only, token, notice.id, reasons="", **act)  # type: ignore[arg-type] # a name and an instant

    assert [mail for days in (14, 3) for mail in tick(session, clients_only, at(days))] == []


def test_whoever_agreed_to_an_urgent_change_is_not_reminded_and_whoever_is_silent_is(
    session: Session, clients_only: Desk
) -> None:
    make_provider(session)
    agreed, silent = make_client(session, "C-001"), make_client(session, "C-002")
    announcement = announced(session, clients_only)
    announcement.kind = AnnouncementKind.EMERGENCY
    session.add(announcement)
    token = token_for(session, clients_only, ADDRESS)
    answers.consent(session, clients_only, token, notice_of(session, agreed).id, name="Camille Roy", now=at(15))

    (mail,) = tick(session, clients_only, at(14))

    assert mail.recipient == f"dpo@{silent.key.lower()}.example"
    assert "Silence is not consent." in text_of(mail)[1]


def test_whoever_withdrew_an_objection_has_answered_all_the_same(session: Session, clients_only: Desk) -> None:
    client = told(session, clients_only)
    token, notice = token_for(session, clients_only, ADDRESS), notice_of(session, client)
    answers.object_to(session, clients_only, token, notice.id, name="Camille Roy", reasons="No.", now=at(20))
    answers.withdraw(session, clients_only, token, notice.id, name="Camille Roy", now=at(19))

    assert tick(session, clients_only, at(14)) == []


def test_whoever_has_written_something_that_nobody_has_read_yet_is_not_reminded(
    session: Session, clients_only: Desk
) -> None:
    client = told(session, clients_only)
    notice = notice_of(session, client)
    answers.record_reply(session, notice.id, text="We need more time.", by="user:ana", now=at(16))
    assert tick(session, clients_only, at(14)) == []

    answers.read_reply(session, notice.id, note="Called them.", by="user:ana", now=at(13))

    assert len(tick(session, clients_only, at(12))) == 1


def test_a_client_that_was_never_reached_has_nothing_to_be_reminded_of(session: Session, clients_only: Desk) -> None:
    make_provider(session)
    make_client(session)
    make_announcement(session, clients_only)
    send_due(session, clients_only, now=NOON, verdicts={ADDRESS: Verdict.REFUSED})

    assert tick(session, clients_only, at(14)) == []
    assert session.exec(select(Reminder)).all() == []


def test_an_address_that_refused_the_notice_gets_no_reminder_and_the_others_of_the_client_do(
    session: Session, clients_only: Desk
) -> None:
    make_provider(session)
    client = make_client(session, contacts=[{}, {"email": "gone@c-001.example"}])
    make_announcement(session, clients_only)
    send_due(session, clients_only, now=NOON, verdicts={"gone@c-001.example": Verdict.REFUSED})
    notice = notice_of(session, client)
    notices.record_receipt(
        session, clients_only, notice.id, received_on=NOON.date(), how="by hand", by="user:ana", now=NOON
    )

    assert [mail.recipient for mail in tick(session, clients_only, at(14))] == [ADDRESS]


def test_a_group_mailbox_gets_one_mail_that_names_its_companies_with_the_day_of_each(
    session: Session, clients_only: Desk
) -> None:
    desk = with_pack(clients_only, "longer", period=Period(days=31))
    make_provider(session)
    shared = [{"email": "privacy@group.example"}]
    make_client(session, "C-001", contacts=shared)
    make_client(session, "C-002", contacts=shared)
    make_client(session, "C-003", contacts=shared, pack="longer")
    announced(session, desk)

    (mail,) = tick(session, desk, at(14))

    (reminder,) = deliveries(session, "reminder")
    assert carried(session, reminder) == {"Company C-001", "Company C-002"}
    text = text_of(mail)[1]
    assert text.count("until Friday 3 April 2026 at 23:59 (Paris time)") == 2
    assert "Company C-003" not in text


def test_companies_that_share_a_mail_share_it_wherever_the_work_of_a_tick_ends(
    session: Session, clients_only: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "LIMIT", 1)
    make_provider(session)
    for key in ("C-001", "C-002", "C-003"):
        make_client(session, key, contacts=[{"email": "privacy@group.example"}])
    make_client(session, "C-004")
    announced(session, clients_only)

    mails = [tick(session, clients_only, at(14)) for _ in range(3)]

    assert sorted(len(one) for one in mails) == [0, 1, 1]
    counted = sorted(len(carried(session, one)) for one in deliveries(session, "reminder"))
    assert counted == [1, 3]


def test_nobody_is_reminded_of_a_change_that_was_made_withdrawn_or_is_not_made_for_them(
    session: Session, clients_only: Desk
) -> None:
    make_provider(session)
    out = make_client(session, "C-001")
    make_client(session, "C-002")
    announcement = announced(session, clients_only)
    announcement.per_client = True
    session.add(announcement)
    going_live.exclude(session, notice_of(session, out).id, why="Stays on the old site.", by="user:ana", now=at(20))
    assert [mail.recipient for mail in tick(session, clients_only, at(14))] == ["dpo@c-002.example"]

    corrections.withdraw(session, clients_only, announcement.id, reasons=REASONS, by="user:ana", now=at(10))

    assert tick(session, clients_only, at(3)) == []


def test_a_client_that_is_only_informed_has_no_last_day_to_be_reminded_of(session: Session, clients_only: Desk) -> None:
    informed = with_pack(clients_only, "informed", mode=Mode.INFORMATION)
    told(session, informed, pack="informed")

    assert days_on_which_mails_leave(session, informed) == []


# --- corrections -----------------------------------------------------------------------------------------------------


def test_a_correction_in_substance_begins_the_reminders_anew(session: Session, clients_only: Desk) -> None:
    client = told(session, clients_only)
    token, notice = token_for(session, clients_only, ADDRESS), notice_of(session, client)
    assert len(tick(session, clients_only, at(14))) == 1
    answers.acknowledge(session, clients_only, token, [notice.id], name="Camille Roy", now=at(13))
    announcement = session.exec(select(Announcement)).one()
    corrections.correct(
        session,
        clients_only,
        announcement.id,
        effective_on=date(2026, 7, 1),
        why="The day was wrong.",
        by="user:ana",
        now=at(12),
    )
    send_due(session, clients_only, now=at(12))
    again = notice_of(session, client).object_by
    assert again > LAST_DAY

    left = [(again - day).days for day in _days(at(11).date(), again) for _ in tick(session, clients_only, _noon(day))]

    assert left == [14, 3]
    assert {(row.edition, row.days_before) for row in session.exec(select(Reminder))} == {(1, 14), (2, 14), (2, 3)}


def _days(first: date, last: date) -> list[date]:
    return [first + n * A_DAY for n in range((last - first).days + 2)]


def _noon(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC) + timedelta(hours=12)


def test_whoever_objected_before_a_correction_has_answered_after_it_too(session: Session, clients_only: Desk) -> None:
    client = told(session, clients_only)
    token, notice = token_for(session, clients_only, ADDRESS), notice_of(session, client)
    answers.object_to(session, clients_only, token, notice.id, name="Camille Roy", reasons="No.", now=at(20))
    announcement = session.exec(select(Announcement)).one()
    corrections.correct(
        session, clients_only, announcement.id, effective_on=date(2026, 7, 1), why="Wrong day.", by="ana", now=at(19)
    )
    send_due(session, clients_only, now=at(19))
    again = notice_of(session, client).object_by

    assert [mail for day in _days(at(18).date(), again) for mail in tick(session, clients_only, _noon(day))] == []


# --- what it says ----------------------------------------------------------------------------------------------------


def test_a_reminder_says_what_it_is_about_until_when_and_what_silence_means(
    session: Session, clients_only: Desk
) -> None:
    client = told(session, clients_only)

    (mail,) = tick(session, clients_only, at(14))

    subject, text = text_of(mail)
    assert "Reminder" in subject
    for words in (
        "Fibrexemple is replaced by Optexemple",
        "Company C-001 until Friday 3 April 2026 at 23:59 (Paris time)",
        "If you say nothing by your last day",
        "it starts no period and moves no last day",
    ):
        assert words in text
    token = text.partition("http://localhost/notice/")[2].split()[0]
    opened = answers.open_link(session, token, now=at(13))
    assert [one.notice for one in opened.told] == [notice_of(session, client)]


def test_a_french_contact_gets_it_in_french(session: Session, clients_only: Desk) -> None:
    told(session, clients_only, contacts=[{"language": "fr"}])

    (mail,) = tick(session, clients_only, at(14))

    subject, text = text_of(mail)
    assert "Rappel" in subject
    assert "Company C-001 jusqu’au vendredi 3 avril 2026 à 23 h 59 (heure de Paris)" in text
    assert "Sans réponse de votre part" in text


def test_a_reminder_moves_nothing_of_the_clock(session: Session, clients_only: Desk) -> None:
    client = told(session, clients_only)
    before = notice_of(session, client).model_dump()

    tick(session, clients_only, at(14))

    assert notice_of(session, client).model_dump() == before


def test_the_log_says_which_client_was_reminded_and_names_nobody(session: Session, desk: Desk) -> None:
    client = told(session, desk)

    for days in (14, 7):
        tick(session, desk, at(days))

    notice = notice_of(session, client)
    events = happened(session, EventKind.REMINDER_SENT)
    shared = {"client": "C-001", "company": "Company C-001", "object_by": "2026-04-03"}
    assert [(event.about_id, event.data) for event in events] == [
        (notice.id, {"audience": "client", "days_before": 14, **shared}),
        (notice.id, {"audience": "account_manager", "days_before": 7, **shared}),
    ]


# --- a relay that is away --------------------------------------------------------------------------------------------


def left_waiting(session: Session, desk: Desk, *, now: datetime) -> Delivery:
    """Let a reminder fall due while the relay takes nothing."""
    reminders.send_due(session, desk, now=now)
    send_due(session, desk, now=now, verdicts={ADDRESS: Verdict.DEFERRED})
    (waiting,) = deliveries(session, "reminder")
    assert waiting.state is DeliveryState.WAITING
    return waiting


def test_a_reminder_that_could_not_leave_before_the_answer_does_not_leave_after_it(
    session: Session, clients_only: Desk
) -> None:
    client = told(session, clients_only)
    waiting = left_waiting(session, clients_only, now=at(14))
    token, notice = token_for(session, clients_only, ADDRESS), notice_of(session, client)
    answers.acknowledge(session, clients_only, token, [notice.id], name="Camille Roy", now=at(13))

    assert tick(session, clients_only, at(12)) == []
    assert waiting.state is DeliveryState.DROPPED


@pytest.mark.parametrize("days", [0, -2])
def test_a_reminder_that_could_not_leave_in_time_does_not_leave_too_late(
    session: Session, clients_only: Desk, days: int
) -> None:
    told(session, clients_only)
    waiting = left_waiting(session, clients_only, now=at(3))

    mails = tick(session, clients_only, at(days))

    assert ([mail.recipient for mail in mails], waiting.state) == (
        ([ADDRESS], DeliveryState.ACCEPTED) if days == 0 else ([], DeliveryState.DROPPED)
    )


def test_of_two_reminders_that_the_relay_kept_waiting_the_later_one_leaves_alone(
    session: Session, clients_only: Desk
) -> None:
    told(session, clients_only)
    first = left_waiting(session, clients_only, now=at(14))
    reminders.send_due(session, clients_only, now=at(3))

    assert len(tick(session, clients_only, at(3) + A_DAY)) == 1
    assert first.state is DeliveryState.DROPPED


# --- account managers ------------------------------------------------------------------------------------------------


def test_an_account_manager_is_told_of_her_clients_that_are_silent_with_those_that_object_marked(
    session: Session, managers_only: Desk
) -> None:
    make_provider(session)
    silent = make_client(session, "C-1")
    objecting, acknowledging = make_client(session, "C-2"), make_client(session, "C-3")
    make_client(session, "C-4", account_manager="bob@hosting.example")
    announcement = announced(session, managers_only)
    for client, days in ((objecting, 20), (acknowledging, 19)):
        token, notice = token_for(session, managers_only, f"dpo@{client.key.lower()}.example"), None
        notice = notice_of(session, client)
        if client is objecting:
            answers.object_to(session, managers_only, token, notice.id, name="C R", reasons="No.", now=at(days))
        else:
            answers.acknowledge(session, managers_only, token, [notice.id], name="C R", now=at(days))

    mails = {mail.recipient: text_of(mail)[1] for mail in tick(session, managers_only, at(7))}

    assert set(mails) == {"ana@hosting.example", "bob@hosting.example"}
    hers = mails["ana@hosting.example"]
    assert "Company C-1 until Friday 3 April 2026 at 23:59 (Paris time) no answer yet" in hers
    assert "Company C-2 until Friday 3 April 2026 at 23:59 (Paris time) HAS OBJECTED" in hers
    assert "Company C-3" not in hers
    assert "Company C-4" not in hers
    assert f"http://localhost/staff/announcements/{announcement.id}" in hers
    (row,) = session.exec(select(Reminder).where(Reminder.notice_id == notice_of(session, silent).id)).all()
    assert (row.audience, row.days_before) == (Audience.ACCOUNT_MANAGER, 7)


def test_an_account_manager_is_told_on_the_days_of_the_schedule_and_once_a_day(
    session: Session, managers_only: Desk
) -> None:
    told(session, managers_only)

    noons = days_on_which_mails_leave(session, managers_only, address="ana@hosting.example")

    assert noons == [7, 1]


def test_clients_whose_days_differ_come_in_one_mail_a_day_with_all_that_closes_soon(
    session: Session, managers_only: Desk
) -> None:
    desk = with_pack(managers_only, "longer", period=Period(days=32))
    make_provider(session)
    make_client(session, "C-1")
    make_client(session, "C-2", pack="longer")
    make_client(session, "C-3", account_manager="ANA@hosting.example")
    announced(session, desk)
    later = LAST_DAY + timedelta(days=(7 - 4))  # 34 days after the Monday: a Sunday and Easter Monday are carried

    texts = {days: [text_of(mail)[1] for mail in tick(session, desk, at(days))] for days in range(10, -8, -1)}

    days = {day: len(found) for day, found in texts.items() if found}
    second = notice_of_key(session, "C-2").object_by
    assert days == {7: 1, 1: 1, 7 - (second - LAST_DAY).days: 1, 1 - (second - LAST_DAY).days: 1}
    assert later <= second
    named = {
        day: {key for key in ("C-1", "C-2", "C-3") if f"Company {key}" in found[0]}
        for day, found in texts.items()
        if found
    }
    assert named[7] == {"C-1", "C-3"}
    assert named[7 - (second - LAST_DAY).days] == {"C-1", "C-2", "C-3"}


def notice_of_key(session: Session, key: str) -> Notice:
    return session.exec(select(Notice).join(Client).where(Client.key == key)).one()


def test_where_a_client_has_no_account_manager_the_privacy_contact_is_told(
    session: Session, managers_only: Desk
) -> None:
    told(session, managers_only, account_manager="")

    assert [mail.recipient for mail in tick(session, managers_only, at(7))] == ["privacy@hosting.example"]


def test_an_account_manager_who_reads_french_is_told_in_french(session: Session, managers_only: Desk) -> None:
    make_user(session, "ana@hosting.example", role=Role.ACCOUNT_MANAGER, language="fr")
    told(session, managers_only)

    (mail,) = tick(session, managers_only, at(7))

    assert (
        "Company C-001 jusqu’au vendredi 3 avril 2026 à 23 h 59 (heure de Paris) pas encore de réponse"
        in text_of(mail)[1]
    )


def test_where_everybody_has_answered_no_account_manager_is_written_to(session: Session, managers_only: Desk) -> None:
    client = told(session, managers_only)
    token, notice = token_for(session, managers_only, ADDRESS), notice_of(session, client)
    answers.object_to(session, managers_only, token, notice.id, name="Camille Roy", reasons="No.", now=at(20))

    assert [mail for days in (7, 1) for mail in tick(session, managers_only, at(days))] == []


# --- workers ---------------------------------------------------------------------------------------------------------


def test_two_workers_at_once_send_each_reminder_once(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        told(session, runtime.desk)
        other = with_pack(runtime.desk, PACK)  # the same contract
    if runtime.engine.dialect.name == "sqlite":
        for _ in range(2):  # there a second writer waits until the first has committed
            with runtime.transaction() as session:
                reminders.send_due(session, other, now=at(14))
    else:
        with runtime.transaction() as one, runtime.transaction() as two:
            assert [reminders.send_due(session, other, now=at(14)) for session in (one, two)] == [1, 0]

    with runtime.reading() as session:
        assert len(deliveries(session, "reminder")) == 1
        assert len(session.exec(select(Reminder)).all()) == 1


def test_a_reminder_that_cannot_be_written_keeps_no_other_mail_from_leaving(database_url: str, tmp_path: Path) -> None:
    broken = tmp_path / "own" / "templates" / "email" / "reminder" / "en" / "body.txt"
    broken.parent.mkdir(parents=True)
    broken.write_text("{{ announcement.no_such_thing }}", encoding="utf-8")
    runtime = make_runtime(database_url, tmp_path)
    runtime.check_instance()
    today = now()
    with runtime.transaction() as session:
        make_provider(session)
        make_client(session)
        make_announcement(session, runtime.desk, now=today - 25 * A_DAY)
        send_due(session, runtime.desk, now=today - 25 * A_DAY)
        make_client(session, "C-002")
        announcements.tell_latecomers(
            session, runtime.desk, session.exec(select(Announcement.id)).one(), by="ana", now=today
        )
    with pytest.raises(UndefinedError), runtime.transaction() as session:
        reminders.send_due(session, runtime.desk, now=today)
    worker = Worker(runtime)

    worker.tick()

    worker.close()
    with runtime.reading() as session:
        assert deliveries(session, "reminder") == []
        assert {row.state for row in deliveries(session)} == {DeliveryState.ACCEPTED}
    runtime.close()


def test_a_tick_puts_a_disclosure_before_a_person_once_its_prohibition_has_ended(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        announcements.draft(
            session,
            kind=AnnouncementKind.DISCLOSURE,
            aspect="notice",
            facts={**DISCLOSURE, "prohibited_until": (now() - 2 * A_DAY).date().isoformat()},
            reasons=REASONS,
            effective_on=now().date(),
            by="user:ana",
            now=now(),
        )
    worker = Worker(runtime)

    worker.tick()

    worker.close()
    with runtime.reading() as session:
        assert kinds_of_items(session) == ["prohibition_ended"]
