"""Letters: writing each mail's mould once, and putting deliveries in the outbox with one recipient's facts each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, partial
from typing import Any, NamedTuple, Protocol
from urllib.parse import urljoin
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.dates import end_of_day, instant, mail_date, plain_date
from notifier.adapters.letters import UNSUBSCRIBE, Attachment, LetterHead
from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Client,
    Contact,
    Delivery,
    DeliveryNotice,
    Edition,
    EventKind,
    ItemKind,
    Link,
    MouldRow,
    Notice,
    Override,
    Provider,
    Sealed,
    SignInLink,
    Subscriber,
    User,
)
from notifier.models.base import uuid7
from notifier.rules.delivery_states import DeliveryState, DeliveryStep, next_delivery_state
from notifier.rules.limits import domain_of
from notifier.rules.links import digest
from notifier.rules.moulds import Mould
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import as_json, from_json
from notifier.rules.scope import Scope, is_limited, seen_of
from notifier.rules.terms import Rule
from notifier.services import entry_words, events, forwarding, items, letter_notes, letter_words, overrides, provider
from notifier.services.desk import Apart, Desk
from notifier.services.events import Happened
from notifier.services.letter_notes import Clock, Company, Reader
from notifier.services.rows import IDS, Rows, dialect_of, given_ids, insert_set, insert_sets, table_of, these

LABELS = entry_words.LABELS  # pages say things in the words of the letters
describe = entry_words.describe
facts_of = letter_words.facts_of
title = letter_words.title

NOTICE = "notice"
RECEIPT = "receipt"
OBJECTION = "objection"
LATER = "later_last_day"
POSTPONED = "postponed"
WITHDRAWN = "withdrawn"
BREACH = "breach"
BOUNCED = "bounced"  # to the account manager
SIGN_IN = "sign_in"
CONFIRM = "subscription_confirm"
NEWS = "subscription_news"
URGENT, BULK, NEWS_LANE = 0, 1, 2
# What stays true when an announcement is corrected or withdrawn.
OUTLASTING = frozenset({RECEIPT, OBJECTION, WITHDRAWN, BREACH, BOUNCED})
TO_SUBSCRIBERS = frozenset({CONFIRM, NEWS})  # nothing is owed by them, so nobody is asked about one that did not arrive
NEVER_READ = (DeliveryState.REFUSED, DeliveryState.DROPPED)

# What a token opens.
PATHS = {
    "notice": "/notice/{}",
    "sign_in": "/sign-in/{}",
    CONFIRM: "/subscriptions/{}/confirm",
    UNSUBSCRIBE: "/subscriptions/{}/end",
}

CONCERNS_NO_MORE = {
    "en": "It was corrected, and concerns nothing any more that you use of ours.",
    "fr": "Elle a été rectifiée et ne concerne plus rien de ce que vous utilisez chez nous.",
}
NO_REASONS = {"en": "No reasons were given.", "fr": "Aucun motif n’a été indiqué."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """One contact who is told for one client, in the columns that a mail needs.

    `courtesy`: the notice itself comes by registered letter, and this mail starts no clock.  `replaces`: what it was
    told before, which this takes the place of.
    """

    contact: Contact | Reader
    client: Client | Company
    notice: Notice | Clock
    rule: Rule
    courtesy: bool = False
    replaces: Edition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient(Addressee):
    """The same with every column."""

    contact: Contact
    client: Client
    notice: Notice


class Told(NamedTuple):
    """Who was told of one notice, in the columns that a mail needs."""

    contact: Reader
    company: str
    notice: Clock


class Matter(NamedTuple):
    """What letters about an announcement say of it, and of us, in the columns that they need.

    Whatever they are written of is in here, so that what was written of the same is the same.
    """

    id: UUID
    kind: AnnouncementKind
    aspect: str
    state: AnnouncementState
    reference: str
    edition: int
    facts: dict[str, str]
    changes: list[dict[str, Any]]
    reasons: dict[str, str]
    effective_on: date
    effective_at: datetime
    published_at: datetime
    legal_name: str  # from here on, the profile
    address: str
    timezone: str
    sender_name: str
    sender_address: str
    reply_to: str
    privacy_contact: str
    base_url: str
    languages: str

    @classmethod
    def of(cls, announcement: Announcement, profile: Provider) -> Matter:
        said = (getattr(announcement, name) for name in SAID)
        return cls(*said, *(getattr(profile, name) for name in SPEAKING))

    @property
    def announcement(self) -> Announcement:
        """A copy for reading, which is never kept."""
        return Announcement(**{name: getattr(self, name) for name in SAID})

    @property
    def profile(self) -> Provider:
        """The same."""
        return Provider(**{name: getattr(self, name) for name in SPEAKING})

    @property
    def message_domain(self) -> str:
        return self.sender_address.rpartition("@")[2]


SAID = Matter._fields[: Matter._fields.index("legal_name")]
SPEAKING = Matter._fields[len(SAID) :]


class Sayings:
    """What an announcement says to whom: to each client, only what concerns it."""

    def __init__(self, session: Session, announcement: Announcement, known: Mapping[UUID, Apart] | None = None) -> None:
        """`known` holds what was sealed for the notices in question; without it, what was for all is read."""
        if known is None:
            known = _read_apart(session, table_of(Sealed).c.announcement_id == announcement.id)
        self._announcement = announcement
        self._apart = {sealed_id: apart for sealed_id, apart in known.items() if apart.changes is not None}
        self._said: dict[tuple[UUID, ...], Announcement] = {}

    def mark(self, notice: Notice | Clock) -> str:
        """Return what names what is said to a client among what is said to others; "" where that is all."""
        return self._apart[notice.sealed_id].mark if notice.sealed_id in self._apart else ""

    def to(self, notices: Iterable[Notice | Clock]) -> Announcement:
        """Return the announcement as it is told to these together."""
        if not self._apart:
            return self._announcement
        sealed = tuple(dict.fromkeys(notice.sealed_id for notice in notices))
        if sealed not in self._said:
            self._said[sealed] = self._saying(sealed)
        return self._said[sealed]

    def _saying(self, sealed: Sequence[UUID]) -> Announcement:
        if not sealed or any(one not in self._apart for one in sealed):
            return self._announcement
        changes: list[dict[str, Any]] = []
        for one in sealed:
            changes += [change for change in self._apart[one].changes or () if change not in changes]
        return self._announcement.saying(changes)


def _read_apart(session: Session, which: Any) -> dict[UUID, Apart]:  # noqa: ANN401 - a condition on Sealed
    """Return by what was sealed what is said apart from the rest."""
    sealed = table_of(Sealed).c
    kept = sa.select(sealed.id, sealed.terms_key, sealed.changes).where(which)
    return {
        sealed_id: Apart("" if changes is None else key.partition("#")[2], changes)
        for sealed_id, key, changes in session.execute(kept)
    }


def as_seen(edition: Edition, scopes: Iterable[Scope]) -> Edition:
    """Return an edition with what of it concerns clients of these scopes."""
    changes = [from_json(change) for change in edition.changes]
    if not is_limited(changes):
        return edition
    found = dict.fromkeys(one for scope in scopes for one in seen_of(changes, scope))
    return edition.saying([as_json(change) for change in found])


class Filler:
    """Fills deliveries' moulds; a mould is read once in the life of a process, since its name is its content's."""

    def __init__(self, session: Session, desk: Desk) -> None:
        self._session = session
        self._desk = desk

    def fetch(self, digests: Iterable[str]) -> None:
        """Read the moulds that are not known yet, all at once."""
        known = self._desk.moulds
        if missing := set(digests) - known.keys():
            query = sa.select(col(MouldRow.digest), col(MouldRow.content)).where(col(MouldRow.digest).in_(missing))
            for digested, content in self._session.execute(query):
                known.keep(digested, Mould.from_json(content))

    def content(self, delivery: Fillable) -> bytes:
        """Return the exact bytes of a delivery's mail; UnknownKey where its link was made under a key that is gone."""
        self.fetch([delivery.mould_digest])
        return self._desk.moulds[delivery.mould_digest].fill(_facts(delivery, self._desk))


class Fillable(Protocol):
    """What a mail is filled from: a delivery, or the columns of one."""

    @property
    def id(self) -> UUID: ...
    @property
    def about_id(self) -> UUID: ...
    @property
    def letter(self) -> str: ...
    @property
    def key_id(self) -> str: ...
    @property
    def mould_digest(self) -> str: ...
    @property
    def facts(self) -> dict[str, Any]: ...


def _facts(delivery: Fillable, desk: Desk) -> dict[str, Any]:
    """A link's token is a secret, so it is made anew rather than kept among the facts."""
    facts = dict(delivery.facts)
    opens, base_url = facts.pop("opens", ""), facts.pop("base_url", "")
    if opens:
        owner = delivery.about_id if delivery.letter in TO_SUBSCRIBERS else delivery.id
        token = desk.keyring.token(owner, opens, key=delivery.key_id)
        facts[UNSUBSCRIBE if opens == UNSUBSCRIBE else "link"] = link(base_url, opens, token)
    return facts


def link(base_url: str, opens: str, token: str) -> str:
    """Return the address that a token opens; always built from the configured base URL, never from a request."""
    return f"{base_url}{PATHS[opens].format(token)}"


def post_notices(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    recipients: Iterable[Sequence[Addressee]],
    *,
    purpose: str = NOTICE,
    now: datetime,
) -> None:
    """Put one mail per address, language and set of changes in the outbox, naming each client that this address is told
    for.  The recipients come in sets, and those at one address in the same.
    """
    profile = provider.require_complete(session)
    press = _NoticePress(session, desk, profile, announcement, now)
    for some in recipients:
        outgoing = _Outgoing(desk, profile, NOTICE, about=announcement, lane=BULK, now=now)
        for language, n, group in _apart(press, some):
            outgoing.add(
                group[0].contact.email,
                language,
                press.mould(group, language),
                {"to_name": group[0].contact.name, **press.rows(group, language)},
                purpose=f"{purpose}.{n}" if n > 1 else purpose,
                told=group,
            )
        outgoing.insert(session)


def _apart(press: _NoticePress, recipients: Iterable[Addressee]) -> Iterator[tuple[str, int, list[Addressee]]]:
    """Return those who share a mail, with its language and its number among the mails to that address."""
    together: defaultdict[tuple[str, str], defaultdict[object, list[Addressee]]]
    together = defaultdict(lambda: defaultdict(list))
    for recipient in recipients:
        addressed = recipient.contact.email.casefold(), recipient.contact.language
        together[addressed][press.subject(recipient)].append(recipient)
    for (_, language), told in together.items():
        for n, group in enumerate(told.values(), 1):
            yield language, n, group


def post_repeat(
    session: Session, desk: Desk, original: Delivery, carried: Sequence[Recipient], *, address: str, now: datetime
) -> Delivery:
    """Put a notice in the outbox again, in a mail that says it is a repeat, with the last days of today."""
    profile = provider.require_complete(session)
    announcement = _announcement(session, original)
    purposes = select(sa.func.count()).select_from(Delivery).where(Delivery.announcement_id == announcement.id)
    earlier = session.exec(purposes.where(col(Delivery.purpose).startswith(f"{NOTICE}.repeat"))).one()
    language = original.language
    before = _edition_told_before(session, announcement, carried)
    if before:
        before = as_seen(before, [one.client.scope for one in carried])
        carried = [replace(one, replaces=before) for one in carried]
    press = _NoticePress(session, desk, profile, announcement, now, repeat_of=original.created_at)
    purpose, mould = f"{NOTICE}.repeat.{earlier + 1}", press.mould(carried, language)
    facts = {"to_name": original.facts["to_name"], **press.rows(carried, language)}
    outgoing = _Outgoing(desk, profile, NOTICE, about=announcement, now=now)
    again = outgoing.add(address, language, mould, facts, purpose=purpose, told=carried)
    outgoing.insert(session)
    return session.get_one(Delivery, again)


def _edition_told_before(session: Session, announcement: Announcement, carried: Sequence[Recipient]) -> Edition | None:
    """Return the edition that these clients were told before the one of today, if any."""
    told = (
        select(sa.func.max(DeliveryNotice.edition))
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(
            col(DeliveryNotice.notice_id).in_([one.notice.id for one in carried]),
            DeliveryNotice.edition < min(one.notice.edition for one in carried),
            col(Delivery.state).not_in(NEVER_READ),
        )
    )
    number = session.exec(told).one()
    query = select(Edition).where(Edition.announcement_id == announcement.id, Edition.number == number)
    return session.exec(query.order_by(col(Edition.made_at).desc())).first() if number else None


def drop(session: Session, deliveries: Sequence[Delivery], *, by: str, now: datetime) -> None:
    """Take mails back that wait, since what they say holds no more.

    One that waits to go again under the same key may have left before: that is not known to be undone.
    """
    doubtful = {delivery.id for delivery in deliveries if delivery.same_until}
    for delivery in deliveries:
        step = DeliveryStep.LOSE if delivery.id in doubtful else DeliveryStep.DROP
        delivery.state = next_delivery_state(delivery.state, step)
        if delivery.id in doubtful:
            delivery.same_until, delivery.relay = None, ""  # and no machine sends it again
            about, announcement = delivery.id, delivery.announcement_id
            items.open_item(session, ItemKind.UNKNOWN_DELIVERY, about=about, announcement=announcement, now=now)
        session.add(delivery)
    happened = [
        Happened(
            kind=EventKind.DELIVERY_UNKNOWN if delivery.id in doubtful else EventKind.DELIVERY_DROPPED,
            about=delivery.id,
            announcement=delivery.announcement_id,
            data={"letter": delivery.letter},
        )
        for delivery in deliveries
    ]
    events.record_all(session, happened, by=by, now=now)


def told_notices(session: Session, announcement_id: UUID) -> set[UUID]:
    """Return the notices of which a mail has left, or may have."""
    left = (DeliveryState.CLAIMED, DeliveryState.HANDING_OVER, DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
    query = (
        select(DeliveryNotice.notice_id)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(Delivery.announcement_id == announcement_id, Delivery.letter == NOTICE, col(Delivery.state).in_(left))
    )
    return set(session.exec(query))


def carried_by(session: Session, delivery_id: UUID) -> list[Recipient]:
    """Return whom a delivery tells, and of what."""
    query = (
        select(Contact, Client, Notice, DeliveryNotice.courtesy)
        .join(DeliveryNotice, col(DeliveryNotice.contact_id) == Contact.id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(DeliveryNotice.delivery_id == delivery_id)
        .order_by(col(Client.company))
    )
    return [
        Recipient(contact=contact, client=client, notice=notice, rule=rule_of(session, notice), courtesy=courtesy)
        for contact, client, notice, courtesy in session.exec(query)
    ]


def under_way(
    session: Session,
    original: Delivery,
    carried: Sequence[Recipient],
    *,
    address: str,
    in_flight: Sequence[DeliveryState],
) -> Delivery | None:
    """Return a repeat to that address which tells of all these notices and has not ended yet."""
    wanted = [one.notice.id for one in carried]
    told = select(DeliveryNotice.delivery_id).where(col(DeliveryNotice.notice_id).in_(wanted))
    complete = told.group_by(col(DeliveryNotice.delivery_id)).having(sa.func.count() == len(wanted))
    query = select(Delivery).where(
        col(Delivery.id).in_(complete),
        Delivery.announcement_id == original.announcement_id,
        Delivery.language == original.language,
        sa.func.lower(Delivery.address) == address.lower(),
        col(Delivery.purpose).startswith(f"{NOTICE}.repeat"),
        col(Delivery.state).in_(in_flight),
    )
    return session.exec(query).first()


def post_receipt(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    matter: Matter,
    notice_ids: Sequence[UUID],
    *,
    kind: str,
    reference: str,
    statement: str,
    given_by: str,
    now: datetime,
) -> None:
    """Send each contact who was told a receipt of one act: several companies may share it.

    `kind` is the answer's kind, or "withdrawal"; `given_by` is who signed this act.
    """
    post_to_told(
        session,
        desk,
        matter,
        notice_ids,
        letter=RECEIPT,
        purpose=f"{RECEIPT}.{kind}.{reference}",
        says=lambda *_: {"answer_kind": kind, "statement": statement},
        facts=lambda language, group: {
            **_companies(language, group),
            "reference": reference,
            "answered_at": instant(now, matter.timezone, language),
            "signed_name": given_by,
        },
        lane=URGENT,
        now=now,
    )


def post_alert(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    matter: Matter,
    *,
    kind: str,
    reference: str,
    reasons: str,
    given_by: str,
    company: str,
    account_manager: str,
    now: datetime,
) -> None:
    """Tell the client's account manager, or the privacy contact, of an objection, a termination or a refusal."""
    post_to_staff(
        session,
        desk,
        matter,
        account_manager or matter.privacy_contact,
        letter=OBJECTION,
        purpose=f"{OBJECTION}.{reference}",
        says={"answer_kind": kind},
        facts=lambda language: {
            "company": company,
            "signed_name": given_by,
            "answered_at": instant(now, matter.timezone, language),
            "reference": reference,
            "reasons": reasons or NO_REASONS[language],
        },
        now=now,
    )


def post_later_last_day(session: Session, desk: Desk, notice: Notice, *, told: date, now: datetime) -> None:
    """Tell a client whose notice was received later than presumed that its last day has moved."""
    rule = rule_of(session, notice)
    announcement = session.exec(select(Announcement).where(Announcement.id == notice.announcement_id)).one()

    def facts(language: str, group: Sequence[Told]) -> dict[str, Any]:
        old, new = (end_of_day(day, rule.timezone, language) for day in (told, notice.object_by))
        return {"entities": [{"company": group[0].company, "old_last_day": old, "last_day": new}]}

    post_to_told(
        session,
        desk,
        announcement,
        [notice.id],
        letter=LATER,
        purpose=f"{LATER}.{notice.id.hex}.{notice.object_by.isoformat()}",
        says=lambda language, _group: {"acts": letter_notes.acts(announcement, [rule], language)},
        facts=facts,
        lane=URGENT,
        now=now,
    )


def post_postponed(
    session: Session, desk: Desk, announcement: Announcement, *, told: date, reasons: Mapping[str, str], now: datetime
) -> None:
    """Tell all who were told that the change starts later; `told` is the day that they knew."""
    waiting = [
        notice.id for notice in _notices(session, announcement) if notice.excluded_at is None and notice.live_at is None
    ]
    post_to_told(
        session,
        desk,
        announcement,
        waiting,
        letter=POSTPONED,
        purpose=f"{POSTPONED}.{now:%Y%m%dT%H%M%S}",
        says=lambda language, _group: {"old_day": plain_date(told, language), "why": reasons[language]},
        facts=_companies,
        now=now,
    )


def post_left_out(
    session: Session, desk: Desk, announcement: Announcement, notice_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Tell clients whom nothing of an announcement concerns any more that, for them, it is withdrawn."""
    post_to_told(
        session,
        desk,
        announcement,
        notice_ids,
        letter=WITHDRAWN,
        purpose=f"{WITHDRAWN}.edition.{announcement.edition}",
        says=lambda language, _group: {"why": CONCERNS_NO_MORE[language]},
        facts=_companies,
        now=now,
    )


def post_withdrawn(
    session: Session, desk: Desk, announcement: Announcement, *, reasons: Mapping[str, str], now: datetime
) -> None:
    """Tell all who were told that nothing of it is going to happen."""
    post_to_told(
        session,
        desk,
        announcement,
        [notice.id for notice in _notices(session, announcement)],
        letter=WITHDRAWN,
        purpose=WITHDRAWN,
        says=lambda language, _group: {"why": reasons[language]},
        facts=_companies,
        now=now,
    )


def post_breach(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    override: Override,
    notice_ids: Sequence[UUID],
    *,
    now: datetime,
) -> None:
    """Tell clients that the change was made before their right had run: when, why, and what protects their data."""
    profile = provider.require_complete(session)
    rules = _rules(session, notice_ids)
    started_at = override.started_at or now

    def says(language: str, group: Sequence[Told]) -> dict[str, Any]:
        concerned = list({one.notice.sealed_id: rules[one.notice.sealed_id] for one in group}.values())
        return {
            "acts": letter_notes.acts(announcement, concerned, language, made=True),
            "rules": [letter_notes.said(rule, language) for rule in concerned],
            "started_at": instant(started_at, profile.timezone, language),
            "why": override.reasons[language],
            "measures": override.measures.get(language, ""),
        }

    def facts(language: str, group: Sequence[Told]) -> dict[str, Any]:
        notes = [
            letter_notes.note_of_breach(announcement, one.notice, rules[one.notice.sealed_id], language)
            for one in group
        ]
        return {"entities": [{"company": one.company, "note": note} for one, note in zip(group, notes, strict=True)]}

    post_to_told(
        session,
        desk,
        announcement,
        notice_ids,
        letter=BREACH,
        purpose=f"{BREACH}.{now:%Y%m%dT%H%M%S}",
        says=says,
        facts=facts,
        now=now,
    )


def _companies(_language: str, group: Sequence[Told]) -> dict[str, Any]:
    return {"entities": [{"company": one.company} for one in group]}


def post_to_told(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    about: Announcement | Matter,
    notice_ids: Iterable[UUID],
    *,
    letter: str,
    purpose: str,
    says: Callable[[str, Sequence[Told]], Mapping[str, object]],
    facts: Callable[[str, Sequence[Told]], Mapping[str, Any]],
    lane: int = BULK,
    now: datetime,
) -> None:
    """Put a letter in the outbox for everybody who was told of these notices: one mail per address and language.

    For a language and those told together, `says` gives what the mould says besides the announcement, and `facts` what
    this one mail says.
    """
    session.flush()
    matter = _matter(session, about)
    every = _told(session, notice_ids)
    known = apart(session, desk, {one.notice.sealed_id for group in every.values() for one in group})
    moulds: dict[str, str] = {}
    outgoing = _Outgoing(desk, matter, letter, about=matter, lane=lane, now=now)
    for (address, language), group in every.items():
        said, heard = says(language, group), {one.notice.sealed_id: known[one.notice.sealed_id] for one in group}
        written = repr((language, said, [one.mark for one in heard.values()]))
        if written not in moulds:
            write = partial(_said_to, session, matter, group, heard, language, said)
            row = _written(desk, letter, language, (matter, written), write, matter, now=now)
            moulds[written] = outgoing.keep(*row)
        filled = {"to_name": group[0].contact.name, **facts(language, group)}
        outgoing.add(address, language, moulds[written], filled, purpose=purpose, told=group)
    outgoing.insert(session)


def _said_to(
    session: Session,
    matter: Matter,
    group: Sequence[Told],
    heard: Mapping[UUID, Apart],
    language: str,
    said: Mapping[str, object],
) -> dict[str, object]:
    told = Sayings(session, matter.announcement, heard).to(one.notice for one in group)
    return {**_shared(matter.profile, told, language), **said}


def _matter(session: Session, about: Announcement | Matter) -> Matter:
    return about if isinstance(about, Matter) else Matter.of(about, provider.require_complete(session))


def post_to_staff(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    about: Announcement | Matter,
    address: str,
    *,
    letter: str,
    purpose: str,
    says: Mapping[str, object],
    facts: Callable[[str], Mapping[str, Any]],
    now: datetime,
) -> None:
    """Put a letter about an announcement in the outbox for one of the staff, in the language of that person if known;
    its link leads to the board.
    """
    matter = _matter(session, about)
    known = session.exec(select(User).where(User.email == address.casefold())).first()
    language = known.language if known else matter.languages.split()[0]

    def write() -> dict[str, object]:
        return {**_shared(matter.profile, matter.announcement, language), **says}

    row = _written(desk, letter, language, (matter, says), write, matter, now=now)
    filled = {
        "to_name": known.name if known else "",
        "link": urljoin(f"{matter.base_url}/", f"staff/announcements/{matter.id}"),
        **facts(language),
    }
    outgoing = _Outgoing(desk, matter, letter, about=matter, opens="", now=now)
    outgoing.add(address, language, outgoing.keep(*row), filled, purpose=purpose)
    outgoing.insert(session)


def post_sign_in(session: Session, desk: Desk, user: User, *, valid_until: datetime, now: datetime) -> None:
    """Send somebody of the staff a link that signs them in once."""
    profile = provider.require_complete(session)
    context = {"provider": _provider_context(profile)}
    mould = _mould(session, desk, SIGN_IN, user.language, context, profile, now=now)
    facts = {"to_name": user.name, "valid_until": instant(valid_until, profile.timezone, user.language)}
    outgoing = _Outgoing(desk, profile, SIGN_IN, about=None, opens="sign_in", now=now)
    sent = outgoing.add(user.email, user.language, mould, facts, purpose=f"{SIGN_IN}.{uuid7().hex}")
    outgoing.insert(session)
    token = desk.keyring.token(sent, "sign_in")
    session.add(SignInLink(token_digest=digest(token), user_id=user.id, expires_at=valid_until))


def post_to_subscribers(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    subscribers: Sequence[Subscriber],
    *,
    letter: str,
    purpose: str,
    opens: str,
    languages: Iterable[str],
    says: Callable[[str], Mapping[str, object]],
    facts: Callable[[str], Mapping[str, Any]],
    now: datetime,
) -> None:
    """Put one letter for each subscriber in the outbox, behind all that is owed to clients.

    It is written in each of `languages`, whoever reads it: what is sent for nobody takes as long.
    """
    profile = provider.require_complete(session)
    moulds = {}
    for language in languages:
        context = {"provider": _provider_context(profile), **says(language)}
        moulds[language] = _mould(session, desk, letter, language, context, profile, now=now)
    outgoing = _Outgoing(desk, profile, letter, about=None, lane=NEWS_LANE, opens=opens, now=now)
    for one in subscribers:
        filled = {"to_name": "", **facts(one.language)}
        outgoing.add(
            one.address or "",
            one.language,
            moulds[one.language],
            filled,
            purpose=purpose,
            about_id=one.id,
            key_id=one.key_id,
        )
    outgoing.insert(session)


class _NoticePress:
    """Writes the notices of one announcement: one mould for all who share language, contracts and the changes that
    concern them, so that nobody reads what another client's contract says.
    """

    def __init__(
        self,
        session: Session,
        desk: Desk,
        profile: Provider,
        announcement: Announcement,
        now: datetime,
        *,
        repeat_of: datetime | None = None,
    ) -> None:
        self._session = session
        self._desk = desk
        self._profile = profile
        self._announcement = announcement
        self._sayings = Sayings(session, announcement)
        self._now = now
        self._repeat_of = repeat_of
        self._late = overrides.lateness(session, announcement)
        self._tz = zone(profile.timezone)
        self._is_limited = is_limited([from_json(change) for change in announcement.changes])
        self._moulds: dict[object, str] = {}
        self._written: dict[str, str] = {}
        self._said: dict[object, tuple[str, dict[str, str]]] = {}

    def subject(self, one: Addressee) -> object:
        """Return what names what a mail to this recipient is about: whoever shares it may share a mail."""
        return self._sayings.mark(one.notice), id(one.replaces)

    def mould(self, group: Sequence[Addressee], language: str) -> str:
        """Return the digest of what is written to this group."""
        sealed = frozenset((one.notice.sealed_id, one.courtesy) for one in group)
        written = language, sealed, id(group[0].replaces), any(one.client.reseller for one in group), _is_made(group)
        if written not in self._moulds:
            self._moulds[written] = self._write(group, language)
        return self._moulds[written]

    def rows(self, group: Sequence[Addressee], language: str) -> dict[str, list[dict[str, str]]]:
        """Return each list of companies in a mail to this group."""
        rows: dict[str, list[dict[str, str]]] = {
            "entities": [],
            "told": [],
            "courtesy": [],
            "forwards": [],
            "concerned": [],
        }
        for one in group:
            where, said = self._saying(one, language)
            own = {"ics_uid": one.notice.id.hex} if where == "entities" else {}
            rows[where].append({"company": one.client.company, **said, **own})
            if one.client.reseller:
                rows["forwards"].append(self._forwarded(one, language))
            if self._is_limited and (why := letter_notes.why(self._told(group), one.client, language)):
                rows["concerned"].append({"company": one.client.company, "rule_note": why})
        return rows

    def _saying(self, one: Addressee, language: str) -> tuple[str, dict[str, str]]:
        """Return in which list a client is named, and what stands there of it: worked out once for all who share it."""
        clock = one.notice
        key = language, clock.sealed_id, one.courtesy, clock.object_by, clock.holds_until, clock.channel
        if key not in self._said:
            self._said[key] = _said_of(self._announcement, one, language)
        return self._said[key]

    def _told(self, group: Sequence[Addressee]) -> Announcement:
        return self._sayings.to(one.notice for one in group)

    def _forwarded(self, one: Addressee, language: str) -> dict[str, str]:
        note = forwarding.forward_note(
            one.rule, self._announcement, self._profile, language, received_on=one.rule.received_on(self._now)
        )
        return {"company": one.client.company, "forward_note": note}

    def _write(self, group: Sequence[Addressee], language: str) -> str:
        announcement, rows = self._told(group), self.rows(group, language)
        rules = list({one.notice.sealed_id: one.rule for one in group}.values())
        changes = [describe(from_json(change), language) for change in announcement.changes]
        copies = [one.courtesy for one in group]
        context = _shared(self._profile, announcement, language) | {
            "changes": changes,
            "facts": facts_of(announcement, language),
            "rules": [letter_notes.said(rule, language) for rule in rules],
            "acts": letter_notes.acts(announcement, rules, language, made=_is_made(group)),
            "runs": any(one.rule.runs and not one.courtesy for one in group),
            "timed": bool(rows["entities"]),
            "told_only": bool(rows["told"]),
            "courtesy": ("all" if all(copies) else "some") if any(copies) else "",
            "repeat_of": self._day(self._repeat_of, language) if self._repeat_of else "",
            "late_reason": self._late.reasons[language] if self._late else "",
            "scoped": bool(rows["concerned"]),
            "correction": self._correction(group[0].replaces, announcement, language),
            "forwarding": self._texts_to_forward(announcement) if rows["forwards"] else [],
        }
        attachments = [self._attachment(announcement)] if rows["forwards"] else []
        written = json.dumps([language, context, [one.text for one in attachments]], sort_keys=True, default=str)
        if written not in self._written:  # most contracts say the same, but for the notes beside each company
            self._written[written] = _mould(
                self._session,
                self._desk,
                NOTICE,
                language,
                context,
                self._profile,
                attachments=attachments,
                now=self._now,
            )
        return self._written[written]

    def _day(self, at: datetime, language: str) -> str:
        return plain_date(local_day(at, self._tz), language)

    def _correction(self, replaces: Edition | None, told: Announcement, language: str) -> dict[str, Any] | None:
        if replaces is None:
            return None
        return {
            "told_on": self._day(replaces.made_at, language),
            "differences": letter_words.differences(replaces, told, language),
        }

    def _texts_to_forward(self, told: Announcement) -> list[dict[str, str]]:
        return [
            {"language": one, "text": forwarding.neutral_text(told, self._profile, one)}
            for one in forwarding.languages_of(told)
        ]

    def _attachment(self, told: Announcement) -> Attachment:
        facts = forwarding.forwarding(told, self._profile)
        text = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
        return Attachment(filename="notice.json", content_type="application/json", text=text)


def _said_of(announcement: Announcement, one: Addressee, language: str) -> tuple[str, dict[str, str]]:
    if one.courtesy:
        return "courtesy", {"rule_note": letter_notes.note_of_letter(one.notice, one.rule, language)}
    if not letter_notes.has_last_day(announcement, one.rule):
        return "told", {"rule_note": letter_notes.note_without_last_day(one.rule, language)}
    return "entities", {
        "last_day": end_of_day(one.notice.object_by, one.rule.timezone, language),
        "rule_note": letter_notes.note_of_clock(announcement, one.notice, one.rule, language),
        "ics_date": one.notice.object_by.strftime("%Y%m%d"),
    }


def _is_made(group: Sequence[Addressee]) -> bool:
    """Say whether the change has been made for everybody in a group, as for one to whom a notice is sent again."""
    return all(one.notice.live_at for one in group)


def _shared(profile: Provider, announcement: Announcement, language: str) -> dict[str, Any]:
    """Return what every letter about an announcement may say of it and of us."""
    return {
        "provider": _provider_context(profile),
        "announcement": letter_words.announced(announcement, profile, language),
    }


def _provider_context(profile: Provider) -> dict[str, str]:
    return {name: getattr(profile, name) for name in ("legal_name", "address", "privacy_contact", "reply_to")}


def _mould(
    session: Session,
    desk: Desk,
    letter: str,
    language: str,
    context: Mapping[str, object],
    profile: Provider,
    *,
    attachments: Sequence[Attachment] = (),
    now: datetime,
) -> str:
    """Write a letter's mould, keep it, and return its digest; the same letter is kept once."""
    digested, row = _write(desk, letter, language, context, _head(profile), attachments, now=now)
    insert_set(session, MouldRow, [{"digest": digested}], row, unless_there=True)
    return digested


def _written(
    desk: Desk,
    letter: str,
    language: str,
    of: object,
    write: Callable[[], Mapping[str, object]],
    profile: Provider | Matter,
    *,
    now: datetime,
) -> tuple[str, Mapping[str, Any]]:
    """Return the digest of a letter's mould and the rest of its row, written once in the life of a process, and anew
    where templates have changed.

    `of` is all that `write` makes its context of.
    """
    head = _head(profile)
    key = digest(repr((desk.press.generation, letter, language, head, of)))
    known = desk.written.get(key)
    return known or desk.written.keep(key, _write(desk, letter, language, write(), head, now=now))


def _head(profile: Provider | Matter) -> LetterHead:
    return LetterHead(
        name=profile.sender_name,
        address=profile.sender_address,
        reply_to=profile.reply_to,
        domain=profile.message_domain,
    )


def _write(
    desk: Desk,
    letter: str,
    language: str,
    context: Mapping[str, object],
    head: LetterHead,
    attachments: Sequence[Attachment] = (),
    *,
    now: datetime,
) -> tuple[str, Mapping[str, Any]]:
    mould = desk.press.mould(letter, language, context, envelope=head, attachments=attachments)
    return mould.digest(), {"letter": letter, "language": language, "content": mould.to_json(), "made_at": now}


class _Outgoing:
    """Mails of one letter on their way to the outbox: what they have in common is said once, and they are put there
    together.

    `opens`: what the link in them opens; "" for one that says itself where it leads.
    """

    def __init__(
        self,
        desk: Desk,
        profile: Provider | Matter,
        letter: str,
        *,
        about: Announcement | Matter | None,
        lane: int = URGENT,
        opens: str = "notice",
        now: datetime,
    ) -> None:
        self._desk = desk
        self._domain = profile.message_domain
        self._about_id = about.id if about else None
        self._until = max(now, about.effective_at) if about else now
        self._facts = {"date": mail_date(now)} | ({"opens": opens, "base_url": profile.base_url} if opens else {})
        self._same = {
            "announcement_id": self._about_id,
            "letter": letter,
            "lane": lane,
            "due_at": now,
            "created_at": now,
        }
        self._moulds: dict[str, Mapping[str, Any]] = {}
        self._deliveries: list[dict[str, Any]] = []
        self._carried: list[dict[str, Any]] = []
        self._links: list[dict[str, Any]] = []

    def keep(self, digested: str, row: Mapping[str, Any]) -> str:
        """Let a mould be kept with the mails that need it, unless it is kept already; returns its digest."""
        self._moulds[digested] = row
        return digested

    def add(
        self,
        address: str,
        language: str,
        mould: str,
        facts: Mapping[str, Any],
        *,
        purpose: str,
        told: Sequence[Addressee | Told] = (),
        about_id: UUID | None = None,
        key_id: str = "",
    ) -> UUID:
        """Add a mail to one address, with a link where it tells anybody of a notice; returns its id."""
        delivery_id = uuid7()
        named = delivery_id.hex
        own = {"to_address": address, "message_id": named}
        self._deliveries.append(
            {
                "id": named,
                "about_id": (about_id or self._about_id or delivery_id).hex,
                "purpose": purpose,
                "language": language,
                "address": address,
                "domain": domain_of(address),
                "mould_digest": mould,
                "key_id": key_id or self._desk.keyring.current,
                "facts": {**self._facts, **own, **facts},
                "message_id": f"<{named}@{self._domain}>",
            }
        )
        if told:
            self._carried += [_carried(named, one) for one in told]
            self._links.append(self._link(delivery_id, told))
        return delivery_id

    def insert(self, session: Session) -> None:
        insert_sets(
            session,
            *(Rows(MouldRow, [{"digest": one}], same, unless_there=True) for one, same in self._moulds.items()),
            Rows(Delivery, self._deliveries, self._same),
            Rows(DeliveryNotice, self._carried),
            Rows(Link, self._links, {"purpose": "notice"}),
        )

    def _link(self, delivery_id: UUID, told: Sequence[Addressee | Told]) -> dict[str, Any]:
        """A link outlives the last day, and the letter, so that a late answer still finds its page.

        A consent may come as long as the change has not been made.
        """
        token = self._desk.keyring.token(delivery_id, "notice")
        until = max(self._until, *(one.notice.object_until for one in told))
        return {
            "token_digest": digest(token),
            "delivery_id": delivery_id.hex,
            "expires_at": until + self._desk.link_life,
        }


def _carried(delivery_id: str, one: Addressee | Told) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "notice_id": one.notice.id.hex,
        "contact_id": one.contact.id.hex,
        "edition": one.notice.edition,
        "courtesy": one.courtesy if isinstance(one, Addressee) else False,
    }


def _told(session: Session, notice_ids: Iterable[UUID]) -> dict[tuple[str, str], list[Told]]:
    """Return who was told of these notices, by address and language: where a repeat went elsewhere, there too.

    An address that refused the notice is left out.  Where a person told the client, nobody has a mail to answer.
    """
    rows = session.execute(_who_was_told(dialect_of(session)), given_ids(session, notice_ids))
    grouped: defaultdict[tuple[str, str], dict[UUID, Told]] = defaultdict(dict)
    for address, language, company, contact_id, name, email, speaks, *notice in rows:
        one = Told(Reader(contact_id, name, email, speaks), company, Clock(*notice))
        grouped[address.casefold(), language].setdefault(one.notice.id, one)
    return {addressed: list(told.values()) for addressed, told in grouped.items()}


@cache
def _who_was_told(dialect: str) -> sa.Select[Any]:
    delivery, carries, contact = table_of(Delivery), table_of(DeliveryNotice), table_of(Contact)
    notice, client = table_of(Notice), table_of(Client)
    return (
        sa.select(
            delivery.c.address,
            delivery.c.language,
            client.c.company,
            *(contact.c[name] for name in Reader._fields),
            *(notice.c[name] for name in Clock._fields),
        )
        .join_from(carries, delivery, delivery.c.id == carries.c.delivery_id)
        .join(contact, contact.c.id == carries.c.contact_id)
        .join(notice, notice.c.id == carries.c.notice_id)
        .join(client, client.c.id == notice.c.client_id)
        .where(carries.c.notice_id.in_(IDS.ids(dialect)))
        .where(delivery.c.letter == NOTICE, delivery.c.state.not_in(NEVER_READ))
        .order_by(client.c.company)
    )


def _notices(session: Session, announcement: Announcement) -> Sequence[Notice]:
    return session.exec(select(Notice).where(Notice.announcement_id == announcement.id)).all()


def _rules(session: Session, notice_ids: Sequence[UUID]) -> dict[UUID, Rule]:
    """Return the rules that these notices were raised under, by what was sealed."""
    query = (
        select(Sealed)
        .join(Notice, col(Notice.sealed_id) == Sealed.id)
        .where(col(Notice.id).in_(these(session, notice_ids)))
    )
    return {sealed.id: sealed.counted for sealed in session.exec(query)}


def _announcement(session: Session, delivery: Delivery) -> Announcement:
    return session.exec(select(Announcement).where(Announcement.id == delivery.announcement_id)).one()


def rule_of(session: Session, notice: Notice) -> Rule:
    """Return the rule that a notice was raised under."""
    return session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one().counted


def rules_of(session: Session, desk: Desk, sealed_ids: Collection[UUID]) -> Mapping[UUID, Rule]:
    """Return the rules of what was sealed, each read once in the life of a process: none of it ever changes."""
    known = {one: rule for one in sealed_ids if (rule := desk.rules.get(one))}
    if missing := set(sealed_ids) - known.keys():
        for one in session.exec(select(Sealed).where(col(Sealed.id).in_(missing))):
            known[one.id] = desk.rules.keep(one.id, one.counted)
    return known


def apart(session: Session, desk: Desk, sealed_ids: Collection[UUID]) -> Mapping[UUID, Apart]:
    """Return what is said apart from the rest to those for whom this was sealed, each read once as well."""
    known = {one: said for one in sealed_ids if (said := desk.apart.get(one))}
    if missing := set(sealed_ids) - known.keys():
        for one, said in _read_apart(session, table_of(Sealed).c.id.in_(missing)).items():
            known[one] = desk.apart.keep(one, said)
    return known
