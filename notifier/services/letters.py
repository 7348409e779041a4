"""Letters: writing each mail's mould once, and putting deliveries in the outbox with one recipient's facts each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.countries import country_name
from notifier.adapters.dates import end_of_day, instant, mail_date, plain_date
from notifier.adapters.letters import LetterHead
from notifier.models import (
    Announcement,
    Answer,
    Client,
    Contact,
    Delivery,
    DeliveryNotice,
    Link,
    MouldRow,
    Notice,
    Provider,
    Sealed,
    SignInLink,
    User,
)
from notifier.models.base import uuid7
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.links import digest
from notifier.rules.moulds import Mould
from notifier.rules.registry_diff import Change, Entry, FieldChange, from_json
from notifier.rules.terms import Rule
from notifier.rules.wording import period_in_words
from notifier.services import provider
from notifier.services.desk import Desk
from notifier.services.rows import insert_new

NOTICE = "notice"
RECEIPT = "receipt"
OBJECTION = "objection"
LATER = "later_last_day"
SIGN_IN = "sign_in"
URGENT, BULK = 0, 1

PATHS = {"notice": "/notice/", "sign_in": "/sign-in/"}  # what a token opens

LABELS = {
    "en": {
        "name": "Name", "address": "Address", "postcode": "Postcode", "town": "Town", "country": "Country",
        "activity": "Activity", "site_kind": "Kind of site",
    },
    "fr": {
        "name": "Nom", "address": "Adresse", "postcode": "Code postal", "town": "Ville", "country": "Pays",
        "activity": "Prestation", "site_kind": "Nature du site",
    },
}  # fmt: skip
RULE_NOTE = {"en": "{period} from receipt ({clause})", "fr": "{period} à compter de la réception ({clause})"}
NO_REASONS = {"en": "No reasons were given.", "fr": "Aucun motif n’a été indiqué."}
NOT_SAID = {"en": "not stated", "fr": "non précisé"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One contact who is told for one client."""

    contact: Contact
    client: Client
    notice: Notice
    rule: Rule


class Filler:
    """Fills deliveries' moulds; each mould is read once for a round."""

    def __init__(self, session: Session, desk: Desk) -> None:
        self._session = session
        self._desk = desk
        self._moulds: dict[str, Mould] = {}

    def content(self, delivery: Delivery) -> bytes:
        """Return the exact bytes of a delivery's mail; UnknownKey where its link was made under a key that is gone."""
        mould = self._moulds.get(delivery.mould_digest)
        if mould is None:
            row = self._session.exec(select(MouldRow).where(MouldRow.digest == delivery.mould_digest)).one()
            mould = self._moulds.setdefault(delivery.mould_digest, Mould.from_json(row.content))
        return mould.fill(_facts(delivery, self._desk))


def _facts(delivery: Delivery, desk: Desk) -> dict[str, Any]:
    """A link's token is a secret, so it is made anew rather than kept among the facts."""
    facts = dict(delivery.facts)
    opens, base_url = facts.pop("opens", ""), facts.pop("base_url", "")
    if opens:
        facts["link"] = link(base_url, opens, desk.keyring.token(delivery.id, opens, key=delivery.key_id))
    return facts


def link(base_url: str, opens: str, token: str) -> str:
    """Return the address that a token opens; always built from the configured base URL, never from a request."""
    return f"{base_url}{PATHS[opens]}{token}"


def post_notices(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    recipients: Sequence[Recipient],
    *,
    purpose: str = NOTICE,
    now: datetime,
) -> None:
    """Put one mail per address and language in the outbox, naming each client that this address is told for."""
    profile = provider.require_complete(session)
    together: defaultdict[tuple[str, str], list[Recipient]] = defaultdict(list)
    for recipient in recipients:
        together[recipient.contact.email.casefold(), recipient.contact.language].append(recipient)
    moulds: dict[tuple[str, frozenset[str]], str] = {}
    deliveries, carried, links = [], [], []
    for (_, language), group in together.items():
        rules = {one.notice.sealed_id.hex: one.rule for one in group}
        written = language, frozenset(rules)
        if written not in moulds:
            moulds[written] = _notice_mould(
                session, desk, profile, announcement, language, list(rules.values()), now=now
            )
        address, mould = group[0].contact.email, moulds[written]
        delivery = _delivery(
            desk, profile, address, NOTICE, language, mould, about=announcement, now=now, purpose=purpose
        )
        delivery.lane = BULK
        delivery.facts |= {"to_name": group[0].contact.name, "entities": [_entity(one, language) for one in group]}
        deliveries.append(delivery)
        carried += [
            DeliveryNotice(delivery_id=delivery.id, notice_id=one.notice.id, contact_id=one.contact.id) for one in group
        ]
        links.append(_link(desk, delivery, max(one.notice.object_until for one in group)))
    _insert(session, deliveries, carried, links)


def post_repeat(
    session: Session, desk: Desk, original: Delivery, carried: Sequence[Recipient], *, address: str, now: datetime
) -> Delivery:
    """Put a notice in the outbox again, in a mail that says it is a repeat, with the last days of today."""
    profile = provider.require_complete(session)
    announcement = _announcement(session, original)
    purposes = select(sa.func.count()).select_from(Delivery).where(Delivery.announcement_id == announcement.id)
    earlier = session.exec(purposes.where(col(Delivery.purpose).startswith(f"{NOTICE}.repeat"))).one()
    language = original.language
    rules = list({one.notice.sealed_id: one.rule for one in carried}.values())
    mould = _notice_mould(session, desk, profile, announcement, language, rules, now=now, repeat_of=original.created_at)
    purpose = f"{NOTICE}.repeat.{earlier + 1}"
    again = _delivery(desk, profile, address, NOTICE, language, mould, about=announcement, now=now, purpose=purpose)
    again.facts |= {"to_name": original.facts["to_name"], "entities": [_entity(one, language) for one in carried]}
    told = [DeliveryNotice(delivery_id=again.id, notice_id=one.notice.id, contact_id=one.contact.id) for one in carried]
    _insert(session, [again], told, [_link(desk, again, max(one.notice.object_until for one in carried))])
    return again


def carried_by(session: Session, delivery_id: UUID) -> list[Recipient]:
    """Return whom a delivery tells, and of what."""
    query = (
        select(Contact, Client, Notice)
        .join(DeliveryNotice, col(DeliveryNotice.contact_id) == Contact.id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(DeliveryNotice.delivery_id == delivery_id)
        .order_by(col(Client.company))
    )
    return [
        Recipient(contact=contact, client=client, notice=notice, rule=rule_of(session, notice))
        for contact, client, notice in session.exec(query)
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


def post_receipt(
    session: Session, desk: Desk, answers: Sequence[Answer], kind: str, *, given_by: str, now: datetime
) -> None:
    """Send each contact who was told a receipt of one act: several companies may share it.

    `kind` is the answer's kind, or "withdrawal"; `given_by` is who signed this act.
    """
    profile = provider.require_complete(session)
    told = _told(session, [answer.notice_id for answer in answers])
    announcement = session.exec(
        select(Announcement)
        .join(Notice, col(Notice.announcement_id) == Announcement.id)
        .where(Notice.id == answers[0].notice_id)
    ).one()
    for (address, language), group in told.items():
        context = _shared(profile, announcement, language) | {"answer_kind": kind}
        mould = _mould(session, desk, RECEIPT, language, context, profile, now=now)
        purpose = f"{RECEIPT}.{kind}.{answers[0].reference}"
        delivery = _delivery(
            desk, profile, address, RECEIPT, language, mould, about=announcement, now=now, purpose=purpose
        )
        delivery.facts |= {
            "to_name": group[0][0].name,
            "entities": [{"company": client.company} for _, client, _ in group],
            "reference": answers[0].reference,
            "answered_at": instant(now, profile.timezone, language),
            "signed_name": given_by,
        }
        notices = [
            DeliveryNotice(delivery_id=delivery.id, notice_id=notice.id, contact_id=contact.id)
            for contact, _, notice in group
        ]
        _insert(
            session, [delivery], notices, [_link(desk, delivery, max(notice.object_until for _, _, notice in group))]
        )


def post_alert(session: Session, desk: Desk, answer: Answer, notice: Notice, client: Client, *, now: datetime) -> None:
    """Tell the client's account manager, or the privacy contact, of an objection or a termination."""
    profile = provider.require_complete(session)
    announcement = session.exec(select(Announcement).where(Announcement.id == notice.announcement_id)).one()
    address = client.account_manager or profile.privacy_contact
    known = session.exec(select(User).where(User.email == address.casefold())).first()
    language = known.language if known else profile.languages.split()[0]
    context = _shared(profile, announcement, language) | {"answer_kind": answer.kind.value}
    mould = _mould(session, desk, OBJECTION, language, context, profile, now=now)
    purpose = f"{OBJECTION}.{answer.reference}"
    delivery = _delivery(
        desk, profile, address, OBJECTION, language, mould, about=announcement, now=now, purpose=purpose
    )
    del delivery.facts["opens"], delivery.facts["base_url"]
    delivery.facts |= {
        "to_name": known.name if known else "",
        "company": client.company,
        "signed_name": answer.signed_name,
        "answered_at": instant(answer.answered_at, profile.timezone, language),
        "reference": answer.reference,
        "reasons": answer.reasons or NO_REASONS[language],
        "link": urljoin(f"{profile.base_url}/", f"staff/announcements/{announcement.id}"),
    }
    _insert(session, [delivery], [], [])


def post_later_last_day(session: Session, desk: Desk, notice: Notice, *, told: date, now: datetime) -> None:
    """Tell a client whose notice was received later than presumed that its last day has moved."""
    profile = provider.require_complete(session)
    sealed = session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one()
    announcement = session.exec(select(Announcement).where(Announcement.id == notice.announcement_id)).one()
    zone = sealed.counted.timezone
    for (address, language), group in _told(session, [notice.id]).items():
        contact, client, _ = group[0]
        mould = _mould(session, desk, LATER, language, _shared(profile, announcement, language), profile, now=now)
        purpose = f"{LATER}.{notice.id.hex}.{notice.object_by.isoformat()}"
        delivery = _delivery(
            desk, profile, address, LATER, language, mould, about=announcement, now=now, purpose=purpose
        )
        old, new = (end_of_day(day, zone, language) for day in (told, notice.object_by))
        delivery.facts |= {
            "to_name": contact.name,
            "entities": [{"company": client.company, "old_last_day": old, "last_day": new}],
        }
        carried = DeliveryNotice(delivery_id=delivery.id, notice_id=notice.id, contact_id=contact.id)
        _insert(session, [delivery], [carried], [_link(desk, delivery, notice.object_until)])


def post_sign_in(session: Session, desk: Desk, user: User, *, valid_until: datetime, now: datetime) -> None:
    """Send somebody of the staff a link that signs them in once."""
    profile = provider.require_complete(session)
    context = {"provider": _provider_context(profile)}
    mould = _mould(session, desk, SIGN_IN, user.language, context, profile, now=now)
    delivery = _delivery(
        desk,
        profile,
        user.email,
        SIGN_IN,
        user.language,
        mould,
        about=None,
        now=now,
        purpose=f"{SIGN_IN}.{uuid7().hex}",
    )
    delivery.facts |= {
        "to_name": user.name,
        "opens": "sign_in",
        "valid_until": instant(valid_until, profile.timezone, user.language),
    }
    _insert(session, [delivery], [], [])
    token = desk.keyring.token(delivery.id, "sign_in", key=delivery.key_id)
    session.add(SignInLink(token_digest=digest(token), user_id=user.id, expires_at=valid_until))


def describe(change: Change, language: str) -> dict[str, Any]:
    """Return a change in words: its kind, the names before and after, both entries and the fields that differ,
    labelled.
    """
    return {
        "kind": change.kind.value,
        "name": (change.before or change.entry).name,
        "new_name": change.after.name if change.before and change.after else "",
        "before": _described(change.before, language),
        "after": _described(change.after, language),
        "fields": [_described_field(field, language) for field in change.fields],
    }


def _described(entry: Entry | None, language: str) -> dict[str, str] | None:
    if entry is None:
        return None
    values = {name: _value(name, getattr(entry, name), language) for name in LABELS[language]}
    return {LABELS[language][name]: value for name, value in values.items() if value and (name != "site_kind")}


def _described_field(field: FieldChange, language: str) -> dict[str, str]:
    before, after = (_value(field.field, text, language) or NOT_SAID[language] for text in (field.before, field.after))
    return {"label": LABELS[language][field.field], "before": before, "after": after}


def _value(name: str, text: str, language: str) -> str:
    return country_name(text, language) if name == "country" else text


def _notice_mould(
    session: Session,
    desk: Desk,
    profile: Provider,
    announcement: Announcement,
    language: str,
    rules: Sequence[Rule],
    *,
    now: datetime,
    repeat_of: datetime | None = None,
) -> str:
    """Write the notice for those who are told under these rules: nobody reads what another client's contract says."""
    changes = [describe(from_json(change), language) for change in announcement.changes]
    repeated = plain_date(repeat_of.date(), language) if repeat_of else ""
    says = [{"clause": rule.clause, "mode": rule.mode.value, **rule.says[language]} for rule in rules]
    context = _shared(profile, announcement, language) | {
        "changes": changes,
        "repeat_of": repeated,
        "rules": says,
        "rule": says[0],
    }
    return _mould(session, desk, NOTICE, language, context, profile, now=now)


def _shared(profile: Provider, announcement: Announcement, language: str) -> dict[str, Any]:
    return {
        "provider": _provider_context(profile),
        "announcement": {
            "kind": announcement.kind.value,
            "reference": announcement.reference,
            "reasons": announcement.reasons[language],
            "effective_on": plain_date(announcement.effective_on, language),
            "published_at": announcement.published_at,
            "list_url": f"{profile.base_url}/subprocessors",
        },
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
    now: datetime,
) -> str:
    """Write a letter's mould, keep it, and return its digest; the same letter is kept once."""
    head = LetterHead(
        name=profile.sender_name,
        address=profile.sender_address,
        reply_to=profile.reply_to,
        domain=profile.message_domain,
    )
    mould = desk.press.mould(letter, language, context, envelope=head)
    digested = mould.digest()
    row = MouldRow(digest=digested, letter=letter, language=language, content=mould.to_json(), made_at=now)
    insert_new(session, row)
    return digested


def _delivery(  # noqa: PLR0913 - the facts of one act
    desk: Desk,
    profile: Provider,
    address: str,
    letter: str,
    language: str,
    mould: str,
    *,
    about: Announcement | None,
    now: datetime,
    purpose: str = "",
) -> Delivery:
    delivery_id = uuid7()
    message_id = f"<{delivery_id.hex}@{profile.message_domain}>"
    return Delivery(
        id=delivery_id,
        about_id=about.id if about else delivery_id,
        announcement_id=about.id if about else None,
        purpose=purpose or letter,
        letter=letter,
        language=language,
        address=address,
        lane=URGENT,
        mould_digest=mould,
        key_id=desk.keyring.current,
        facts={
            "to_address": address,
            "message_id": delivery_id.hex,
            "date": mail_date(now),
            "opens": "notice",
            "base_url": profile.base_url,
        },
        message_id=message_id,
        due_at=now,
        created_at=now,
    )


def _entity(one: Recipient, language: str) -> dict[str, str]:
    return {
        "company": one.client.company,
        "last_day": end_of_day(one.notice.object_by, one.rule.timezone, language),
        "rule_note": RULE_NOTE[language].format(
            period=period_in_words(one.rule.period, language, one.rule.counting), clause=one.rule.clause
        ),
        "ics_date": one.notice.object_by.strftime("%Y%m%d"),
        "ics_uid": one.notice.id.hex,
    }


def _link(desk: Desk, delivery: Delivery, until: datetime) -> Link:
    """A link outlives the last day, so that a late answer still finds its page."""
    token = desk.keyring.token(delivery.id, "notice", key=delivery.key_id)
    return Link(
        token_digest=digest(token), delivery_id=delivery.id, purpose="notice", expires_at=until + desk.link_life
    )


def _insert(
    session: Session, deliveries: Sequence[Delivery], carried: Sequence[DeliveryNotice], links: Sequence[Link]
) -> None:
    for table, rows in ((Delivery, deliveries), (DeliveryNotice, carried), (Link, links)):
        if rows:
            session.execute(sa.insert(table), [row.model_dump() for row in rows])


def _told(session: Session, notice_ids: Iterable[UUID]) -> dict[tuple[str, str], list[tuple[Contact, Client, Notice]]]:
    """Return who was told of these notices, by address and language: where a repeat went elsewhere, there too.

    An address that refused the notice is left out.  Where a person told the client, nobody has a mail to answer.
    """
    query = (
        select(Delivery, Contact, Client, Notice)
        .join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        .join(Contact, col(Contact.id) == DeliveryNotice.contact_id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(
            col(Notice.id).in_(list(notice_ids)),
            Delivery.letter == NOTICE,
            Delivery.state != DeliveryState.REFUSED,
        )
        .order_by(col(Client.company))
    )
    grouped: defaultdict[tuple[str, str], dict[UUID, tuple[Contact, Client, Notice]]] = defaultdict(dict)
    for delivery, contact, client, notice in session.exec(query):
        grouped[delivery.address.casefold(), delivery.language].setdefault(notice.id, (contact, client, notice))
    return {addressed: list(told.values()) for addressed, told in grouped.items()}


def _announcement(session: Session, delivery: Delivery) -> Announcement:
    return session.exec(select(Announcement).where(Announcement.id == delivery.announcement_id)).one()


def rule_of(session: Session, notice: Notice) -> Rule:
    """Return the rule that a notice was raised under."""
    return session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one().counted
