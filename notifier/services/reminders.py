"""Reminders: what is due by the clock and not sent yet, for clients who have not answered, and for account managers
about what is closing.

They change nothing of any period.  A row per notice, edition and days before the last day is written with the mail, in
one transaction, so that a tick that is missed, repeated or run by two workers sends each at most once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.dates import end_of_day
from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    AnswerKind,
    Audience,
    Client,
    Delivery,
    DeliveryNotice,
    EventKind,
    Item,
    ItemKind,
    Notice,
    Provider,
    Reminder,
    Sealed,
)
from notifier.rules.calendars import ONE_DAY
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import local_day, zone
from notifier.rules.reminders import Schedule
from notifier.rules.terms import Rule
from notifier.services import doorbell, events, letter_notes, letters, notices, provider
from notifier.services.desk import Desk
from notifier.services.events import Happened

REMINDER = "reminder"
CLOSING = "closing"
LIMIT = 200  # notices in one transaction, which other writers wait for
MAY_HAVE_ARRIVED = (DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
SILENT = MappingProxyType({"en": "no answer yet", "fr": "pas encore de réponse"})
AGAINST: Mapping[AnswerKind, Mapping[str, str]] = MappingProxyType(
    {
        AnswerKind.OBJECTION: {"en": "HAS OBJECTED", "fr": "S’EST OPPOSÉ"},
        AnswerKind.REFUSAL: {"en": "HAS REFUSED ITS CONSENT", "fr": "A REFUSÉ SON ACCORD"},
        AnswerKind.TERMINATION: {"en": "HAS TERMINATED ITS CONTRACT", "fr": "A RÉSILIÉ SON CONTRAT"},
    }
)  # the last one that holds is said


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """One notice whose reminder is due, so many days before its last day."""

    notice: Notice
    client: Client
    days_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closing:
    """One line of what an account manager is told; `against` is what the client holds against the change."""

    notice: Notice
    client: Client
    against: AnswerKind | None


def send_due(session: Session, desk: Desk, *, now: datetime) -> int:
    """Put what is due in the outbox; returns how many notices clients or account managers are reminded of."""
    profile = provider.get(session)
    if profile.missing:
        return 0  # nothing can have been announced
    reminded = 0
    for announcement in _under_way(session, desk, now=now):
        rules = _rules_with_a_last_day(session, announcement, _farthest(desk, now))
        reminded += _remind_clients(session, desk, announcement, rules, now=now)
        reminded += _tell_account_managers(session, desk, profile, announcement, rules, now=now)
    if reminded:
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return reminded


def drop_stale(session: Session, *, now: datetime) -> None:
    """Drop the reminders that wait for a relay and say nothing true any more: answered, over, or overtaken by a later
    one.
    """
    overtaken = (
        select(Reminder.id)
        .where(
            Reminder.notice_id == Notice.id,
            Reminder.audience == Audience.CLIENT,
            col(Reminder.sent_at) > col(Delivery.created_at),
        )
        .correlate(Notice, Delivery)
    )
    awaited = (
        select(Notice.id)
        .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
        .where(DeliveryNotice.delivery_id == Delivery.id, *_open(now), ~_heard(), ~overtaken.exists())
        .correlate(Delivery)
    )
    waiting = select(Delivery).where(Delivery.letter == REMINDER, Delivery.state == DeliveryState.WAITING)
    stale = session.exec(waiting.where(~awaited.exists()).limit(LIMIT).with_for_update(skip_locked=True)).all()
    letters.drop(session, stale, by=notices.MACHINE, now=now)


def _under_way(session: Session, desk: Desk, *, now: datetime) -> Sequence[Announcement]:
    """Return the announcements with a last day that is near, locked; what another worker or a person is at waits for
    the next tick.
    """
    near = select(Sealed.id).where(Sealed.announcement_id == Announcement.id, Sealed.last_day <= _farthest(desk, now))
    query = select(Announcement).where(Announcement.state == AnnouncementState.PUBLISHED, near.exists())
    locked = query.order_by(col(Announcement.id)).with_for_update(skip_locked=True, key_share=True)
    return session.exec(locked.execution_options(populate_existing=True)).all()


def _farthest(desk: Desk, now: datetime) -> date:
    """Return a day after every last day that matters now, in whatever zone.  A last day as sealed only moves later."""
    schedules = (desk.client_reminders, desk.account_manager_reminders)
    days_before = max((days for schedule in schedules for days in schedule.days_before), default=-1)
    return now.date() + ONE_DAY + timedelta(days=days_before)


def _rules_with_a_last_day(session: Session, announcement: Announcement, farthest: date) -> dict[UUID, Rule]:
    """Return the rules of an announcement that give their clients a last day, by what was sealed."""
    query = select(Sealed).where(Sealed.announcement_id == announcement.id, Sealed.last_day <= farthest)
    rules = {sealed.id: sealed.counted for sealed in session.exec(query)}
    return {sealed_id: rule for sealed_id, rule in rules.items() if letter_notes.has_last_day(announcement, rule)}


# --- clients ---------------------------------------------------------------------------------------------------------


def _remind_clients(
    session: Session, desk: Desk, announcement: Announcement, rules: Mapping[UUID, Rule], *, now: datetime
) -> int:
    due = _clients_due(session, desk.client_reminders, announcement, rules, now=now)
    if not due:
        return 0
    _post_reminder(session, desk, announcement, [one.notice.id for one in due], rules, now=now)
    _record(session, announcement, due, Audience.CLIENT, now=now)
    return len(due)


def _clients_due(
    session: Session, schedule: Schedule, announcement: Announcement, rules: Mapping[UUID, Rule], *, now: datetime
) -> list[_Due]:
    """Lock and return the notices whose clients are to be reminded, by the day in the zone of each contract.

    What was answered or sent is asked once more under the lock: an answer that was just being recorded counts.
    """
    by_zone: defaultdict[str, list[UUID]] = defaultdict(list)
    for sealed_id, rule in rules.items():
        by_zone[rule.timezone].append(sealed_id)
    reached = [
        condition
        for name, sealed_ids in by_zone.items()
        for condition in _reached(schedule, sealed_ids, local_day(now, zone(name)), Audience.CLIENT)
    ]
    if not reached:
        return []
    conditions = [*_running(announcement, now), sa.or_(*reached), ~_heard(), _told()]
    first = sa.select(col(Notice.id)).join(Sealed, col(Sealed.id) == Notice.sealed_id).where(*conditions)
    together = _sharing_a_mail(first.order_by(col(Notice.object_until), col(Notice.id)).limit(LIMIT))
    query = (
        select(Notice, Client, col(Sealed.received_on))
        .join(Sealed, col(Sealed.id) == Notice.sealed_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(*conditions, col(Notice.id).in_(together))
        .order_by(col(Notice.id))
        .with_for_update(of=Notice, skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    found = session.exec(query).all()
    heard, sent = _heard_of(session, found), _sent(session, found, Audience.CLIENT)
    days_before = [
        schedule.due(
            last_day=notice.object_by,
            told_on=notice.received_on or presumed_on,
            sent=sent[notice.id],
            answered=notice.id in heard,
            today=rules[notice.sealed_id].day_of(now),
        )
        for notice, _, presumed_on in found
    ]
    return [
        _Due(notice=notice, client=client, days_before=days)
        for (notice, client, _), days in zip(found, days_before, strict=True)
        if days is not None
    ]


def _post_reminder(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    notice_ids: Sequence[UUID],
    rules: Mapping[UUID, Rule],
    *,
    now: datetime,
) -> None:
    def says(language: str, group: Sequence[letters.Told]) -> dict[str, Any]:
        said = [letter_notes.said(rules[one.notice.sealed_id], language) for one in group]
        return {"rules": [one for n, one in enumerate(said) if one not in said[:n]]}

    def facts(language: str, group: Sequence[letters.Told]) -> dict[str, Any]:
        days = [end_of_day(one.notice.object_by, rules[one.notice.sealed_id].timezone, language) for one in group]
        return {"entities": [{"company": one.company, "last_day": day} for one, day in zip(group, days, strict=True)]}

    letters.post_to_told(
        session,
        desk,
        announcement,
        notice_ids,
        letter=REMINDER,
        purpose=f"{REMINDER}.{min(notice_ids).hex}.{now:%Y%m%dT%H%M%S}",
        says=says,
        facts=facts,
        now=now,
    )


# --- account managers ------------------------------------------------------------------------------------------------


def _tell_account_managers(
    session: Session,
    desk: Desk,
    profile: Provider,
    announcement: Announcement,
    rules: Mapping[UUID, Rule],
    *,
    now: datetime,
) -> int:
    """Tell each account manager, once a day of ours at most, of the clients whose last day comes soon."""
    schedule, today = desk.account_manager_reminders, local_day(now, zone(profile.timezone))
    reached = _reached(schedule, list(rules), today, Audience.ACCOUNT_MANAGER)
    if not reached:
        return 0
    due = [*_running(announcement, now), sa.or_(*reached), ~_heard()]
    purpose = f"{CLOSING}.{today.isoformat()}"
    managers = _managers(session, announcement, due, profile, purpose)
    if not managers:
        return 0
    theirs = _manager(profile).in_(managers)
    found = _with_clients(session, [*due, theirs])
    last = today + timedelta(days=schedule.days_before[0])
    near = [*_running(announcement, now), theirs, col(Notice.sealed_id).in_(rules), col(Notice.object_by) <= last]
    lines: defaultdict[str, list[_Closing]] = defaultdict(list)
    for line in _closing(session, near):
        lines[_address(line.client, profile).lower()].append(line)
    for group in lines.values():
        _post_closing(session, desk, announcement, _address(group[0].client, profile), group, rules, purpose, now=now)
    reminded = [
        _Due(notice=notice, client=client, days_before=days)
        for notice, client in found
        if (days := schedule.reached(notice.object_by, today)) is not None
    ]
    _record(session, announcement, reminded, Audience.ACCOUNT_MANAGER, now=now)
    return len(reminded)


def _managers(
    session: Session, announcement: Announcement, due: Sequence[Any], profile: Provider, purpose: str
) -> list[str]:
    """Return the addresses to be written to in this tick, with all of their clients each."""
    told = select(sa.func.lower(Delivery.address)).where(
        Delivery.announcement_id == announcement.id, Delivery.letter == CLOSING, Delivery.purpose == purpose
    )
    counts = (
        sa.select(_manager(profile).label("manager"), sa.func.count())
        .select_from(Notice)
        .join(Sealed, col(Sealed.id) == Notice.sealed_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(*due, _manager(profile).not_in(told))
        .group_by("manager")
        .order_by("manager")
    )
    chosen: list[str] = []
    many = 0
    for address, count in session.execute(counts):
        if many < LIMIT:
            chosen.append(address)
        many += count
    return chosen


def _manager(profile: Provider) -> Any:  # noqa: ANN401 - an expression on Client
    """As post_alert: the account manager, or the privacy contact."""
    return sa.func.lower(sa.func.coalesce(sa.func.nullif(Client.account_manager, ""), profile.privacy_contact))


def _address(client: Client, profile: Provider) -> str:
    return client.account_manager or profile.privacy_contact


def _with_clients(session: Session, conditions: Sequence[Any]) -> Sequence[tuple[Notice, Client]]:
    query = select(Notice, Client).join(Client, col(Client.id) == Notice.client_id)
    return session.exec(query.join(Sealed, col(Sealed.id) == Notice.sealed_id).where(*conditions)).all()


def _closing(session: Session, near: Sequence[Any]) -> list[_Closing]:
    """Return the clients who have said nothing or something against the change, by last day and name."""
    against = (
        select(Notice, Client, Answer.kind)
        .join(Client, col(Client.id) == Notice.client_id)
        .join(Answer, col(Answer.notice_id) == Notice.id)
        .where(*near, col(Answer.standing).is_(True), col(Answer.kind).in_(AGAINST))
    )
    order = list(AGAINST)
    said = sorted(session.exec(against).all(), key=lambda row: order.index(AnswerKind(row[2])))
    lines = {
        notice.id: _Closing(notice=notice, client=client, against=AnswerKind(kind)) for notice, client, kind in said
    }
    silent = _with_clients(session, [*near, ~_heard()])
    lines |= {notice.id: _Closing(notice=notice, client=client, against=None) for notice, client in silent}
    return sorted(lines.values(), key=lambda line: (line.notice.object_by, line.client.company))


def _post_closing(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    address: str,
    lines: Sequence[_Closing],
    rules: Mapping[UUID, Rule],
    purpose: str,
    *,
    now: datetime,
) -> None:
    def row(line: _Closing, language: str) -> dict[str, str]:
        return {
            "company": line.client.company,
            "last_day": end_of_day(line.notice.object_by, rules[line.notice.sealed_id].timezone, language),
            "standing": (AGAINST[line.against] if line.against else SILENT)[language],
        }

    letters.post_to_staff(
        session,
        desk,
        announcement,
        address,
        letter=CLOSING,
        purpose=purpose,
        says={},
        facts=lambda language: {"entities": [row(line, language) for line in lines]},
        now=now,
    )


# --- which notices ---------------------------------------------------------------------------------------------------


def _open(now: datetime) -> list[Any]:
    """Conditions on a Notice whose client still has time, and for whom the change has not been made."""
    return [
        col(Notice.state).in_([NoticeState.RAISED, NoticeState.RUNNING]),
        col(Notice.live_at).is_(None),
        col(Notice.excluded_at).is_(None),
        col(Notice.object_until) > now,
    ]


def _running(announcement: Announcement, now: datetime) -> list[Any]:
    return [col(Notice.announcement_id) == announcement.id, *_open(now)]


def _reached(schedule: Schedule, sealed_ids: Collection[UUID], today: date, audience: Audience) -> list[Any]:
    """Conditions on a Notice and its Sealed, one of which holds where a reminder's day has come and it was not sent.

    Said by the last days that are meant, so that whoever is not due costs nothing, however many they are.
    """
    if not sealed_ids:
        return []
    told_on = sa.func.coalesce(Notice.received_on, Sealed.received_on)
    conditions = []
    for days_before, last_days in schedule.windows(today).items():
        sent = select(Reminder.id).where(
            Reminder.notice_id == Notice.id,
            Reminder.audience == audience,
            Reminder.edition == Notice.edition,
            Reminder.days_before <= days_before,
        )
        in_window = [
            sa.and_(col(Notice.object_by) == last_day, told_on <= schedule.latest_told(last_day, days_before))
            for last_day in last_days
        ]
        conditions.append(sa.and_(col(Sealed.id).in_(sealed_ids), sa.or_(*in_window), ~sent.exists()))
    return conditions


def _heard() -> Any:  # noqa: ANN401 - a condition on Notice
    """A client has been heard if it answered this edition, whatever became of that, if an earlier answer stands, or if
    something that it wrote has not been read.
    """
    answered = select(Answer.id).where(
        Answer.notice_id == Notice.id,
        sa.or_(col(Answer.edition) == Notice.edition, col(Answer.standing).is_(True)),
    )
    wrote = select(Item.id).where(
        Item.about_id == Notice.id, Item.kind == ItemKind.UNREAD_REPLY, col(Item.open).is_(True)
    )
    return sa.or_(answered.exists(), wrote.exists())


def _told() -> Any:  # noqa: ANN401 - a condition on Notice
    """Whoever has had no mail of this edition has nothing to be reminded of."""
    mailed = (
        select(DeliveryNotice.notice_id)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(
            DeliveryNotice.notice_id == Notice.id,
            DeliveryNotice.edition == Notice.edition,
            Delivery.letter == letters.NOTICE,
            col(Delivery.state).in_(MAY_HAVE_ARRIVED),
        )
    )
    return mailed.exists()


def _sharing_a_mail(notice_ids: Any) -> Any:  # noqa: ANN401 - subqueries
    """Return the notices that were told in the same mails as these, so that a reminder names them together again."""
    mails = (
        select(DeliveryNotice.delivery_id)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(col(DeliveryNotice.notice_id).in_(notice_ids), Delivery.letter == letters.NOTICE)
    )
    return select(DeliveryNotice.notice_id).where(col(DeliveryNotice.delivery_id).in_(mails))


def _heard_of(session: Session, found: Iterable[tuple[Notice, Client, date]]) -> set[UUID]:
    ids = [notice.id for notice, _, _ in found]
    return set(session.exec(select(Notice.id).where(col(Notice.id).in_(ids), _heard())))


def _sent(
    session: Session, found: Iterable[tuple[Notice, Client, date]], audience: Audience
) -> Mapping[UUID, Collection[int]]:
    """Return what has been sent of the present editions, by notice."""
    editions = {notice.id: notice.edition for notice, _, _ in found}
    query = select(Reminder).where(col(Reminder.notice_id).in_(editions), Reminder.audience == audience)
    sent: defaultdict[UUID, list[int]] = defaultdict(list)
    for reminder in session.exec(query):
        if reminder.edition == editions[reminder.notice_id]:
            sent[reminder.notice_id].append(reminder.days_before)
    return sent


def _record(
    session: Session, announcement: Announcement, due: Sequence[_Due], audience: Audience, *, now: datetime
) -> None:
    """Write down what was sent.  The key of these rows is what refuses a second time, with the mail beside it."""
    rows = [
        Reminder(
            notice_id=one.notice.id,
            audience=audience,
            edition=one.notice.edition,
            days_before=one.days_before,
            sent_at=now,
        )
        for one in due
    ]
    session.execute(sa.insert(Reminder), [row.model_dump() for row in rows])
    happened = [
        Happened(
            kind=EventKind.REMINDER_SENT,
            about=one.notice.id,
            announcement=announcement.id,
            data={
                "audience": audience.value,
                "client": one.client.key,
                "company": one.client.company,
                "days_before": one.days_before,
                "object_by": one.notice.object_by.isoformat(),
            },
        )
        for one in due
    ]
    events.record_all(session, happened, by=notices.MACHINE, now=now)
