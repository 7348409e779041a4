"""What publishing would do, told before: the same numbers, for every mixture of clients there may be."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from notifier.models import Announcement, AnnouncementKind, Client, Notice, PaperLetter, Sealed, Terms
from notifier.rules.notice_states import NoticeState
from notifier.rules.terms import PeriodBlank
from notifier.services import announcements, previews, registry
from notifier.services.announcements import EffectiveTooEarly
from notifier.services.desk import Desk
from notifier.services.previews import Concern, Preview
from tests.factories import NOON, PACK, REASONS, make_client, make_contact, make_entry, make_provider, make_version
from tests.services.stories import deliveries

A_DAY = timedelta(days=1)
TODAY = NOON.date()
PACKS = (PACK, "selligent-health-2020", "google-style-30-90", "dora-2025-532", "general-eu")
OWN: tuple[dict[str, dict[str, Any]], ...] = (
    {},
    {},
    {"subprocessor": {"period": "45 days"}},
    {"all": {"channels": ["paper"]}},
    {"all": {"roles": ["technical", "contractual"]}, "subprocessor": {"period": "12 days"}},
    {"all": {"margin_days": 5}},
)
ROLES = ("contractual", "dpo", "technical", "incident")
MAILBOXES = ("legal@group.example", "Legal@Group.example", "dpo@group.example")


SCOPES: tuple[dict[str, list[str]], ...] = (
    {},
    {"services": ["Compute"]},
    {"services": ["compute", "Backup"], "regions": ["Paris"]},
    {"services": ["Backup"], "regions": ["Lyon"]},
    {"regions": ["Lyon"]},
)


def start(session: Session, *, limited: bool = False) -> None:
    make_provider(session)
    make_version(session, now=NOON - A_DAY)
    new = replace(make_entry("Optexemple"), replaces="fibrexemple")
    registry.add_entry(session, replace(new, services=("Compute",)) if limited else new, by="ana", now=NOON)
    if limited:
        backup = replace(make_entry("Sauvexemple"), services=("backup",), regions=("Lyon",))
        registry.add_entry(session, backup, by="ana", now=NOON)


def owns(session: Session, client: Client, **fields: Any) -> Terms:  # noqa: ANN401 - columns of any type
    terms = session.exec(select(Terms).where(Terms.client_id == client.id)).first()
    assert terms is not None
    for name, value in fields.items():
        setattr(terms, name, value)
    session.add(terms)
    session.flush()
    return terms


def populate(session: Session, chance: random.Random, number: int) -> None:
    """Clients of every sort: on paper, with terms of their own, in several roles, in group mailboxes, under terms that
    were replaced or are signed for a day to come, and those whom nobody can reach.
    """
    for n in range(number):
        lives = {"address": "1 rue des Essais", "town": "Lille"} if chance.random() < 0.7 else {}
        client = make_client(
            session, f"C-{n:03d}", contacts=[], pack=chance.choice(PACKS), email_accepted=chance.random() < 0.85,
            reseller=chance.random() < 0.2, **lives, **chance.choice(SCOPES),
        )  # fmt: skip
        owns(session, client, overrides=chance.choice(OWN))
        for role in chance.sample(ROLES, chance.randint(0, 3)):
            email = chance.choice((*MAILBOXES, f"{role}@c{n}.example", f"one@c{n}.example", f"ONE@C{n}.example"))
            contact = make_contact(session, client, role=role, email=email, language=chance.choice(("en", "fr")))
            if chance.random() < 0.15:
                contact.left_at = NOON - A_DAY
        more = chance.random()
        if more < 0.2:  # replaced: a correction said that it never held
            later, replaced = TODAY - 30 * A_DAY, NOON - A_DAY
        elif more < 0.4:  # signed, and not in force yet
            later, replaced = TODAY + A_DAY, None
        elif more < 0.6:
            later, replaced = TODAY - 30 * A_DAY, None
        else:
            continue
        session.add(
            Terms(
                client_id=client.id,
                pack=chance.choice(PACKS),
                signed_on=later,
                recorded_at=NOON,
                replaced_at=replaced,
                overrides=chance.choice(OWN),
            )
        )
    session.flush()


@pytest.mark.parametrize("seed", range(4))
def test_a_preview_tells_the_numbers_that_publishing_then_has(session: Session, desk: Desk, seed: int) -> None:
    start(session, limited=seed % 2 == 1)
    populate(session, random.Random(seed), 40)  # the same clients each time

    seen = previews.preview(session, desk, now=NOON)
    assert seen.earliest_effective_on is not None
    with pytest.raises(EffectiveTooEarly) as refused, session.begin_nested():
        publish(session, desk, seen.earliest_effective_on - A_DAY)
    announcement = publish(session, desk, seen.earliest_effective_on)

    raised = session.exec(select(Notice)).all()
    unreached = {one.client_id for one in raised if one.state is NoticeState.UNREACHED}
    assert refused.value.earliest == seen.earliest_effective_on
    assert (seen.clients, seen.addresses) == (len(raised), len(deliveries(session)))
    assert {one.client.id for one in seen.unreachable} == unreached
    assert count(seen, Concern.UNREACHABLE) == len(unreached)
    assert count(seen, Concern.ON_PAPER) == sum(one.channel != "mail" for one in raised)
    letters = session.exec(select(PaperLetter)).all()
    assert len(letters) == sum(one.channel != "mail" and one.client_id not in unreached for one in raised)
    by_client = {one.client.id: one for one in seen.affected}
    assert {one.client_id: (one.object_by, one.object_until, one.holds_until) for one in raised} == {
        key: (one.reckoning.last_day, one.reckoning.until, one.reckoning.opens_at) for key, one in by_client.items()
    }
    sealed = session.exec(select(Sealed).where(Sealed.announcement_id == announcement.id)).all()
    assert {one.terms_key for one in sealed} == {one.told.key for one in seen.groups}
    assert sum(one.clients for one in seen.reasons) == (len(raised) if seed % 2 else 0)


def publish(session: Session, desk: Desk, on: date) -> Announcement:
    return announcements.publish(session, desk, effective_on=on, reasons=REASONS, by="ana", now=NOON)


def count(seen: Preview, concern: Concern) -> int:
    return sum(one.clients for one in seen.warnings if one.concern is concern)


def test_a_preview_of_many_is_read_by_pages(session: Session, desk: Desk) -> None:
    start(session)
    for n in range(7):
        make_client(session, f"C-{n}")

    pages = [previews.preview(session, desk, now=NOON, after=after, limit=3) for after in (0, 3, 6, 9)]

    assert [[one.client.key for one in page.affected] for page in pages] == [
        ["C-0", "C-1", "C-2"],
        ["C-3", "C-4", "C-5"],
        ["C-6"],
        [],
    ]
    assert {(page.clients, page.addresses, page.earliest_effective_on) for page in pages} == {(7, 7, date(2026, 4, 4))}


def test_a_preview_says_who_is_slowest_and_what_an_acknowledgement_would_save(session: Session, desk: Desk) -> None:
    start(session)
    make_client(session, "C-1")
    slow = make_client(session, "C-2", pack="dora-2025-532")

    seen = previews.preview(session, desk, now=NOON)

    assert seen.slowest is not None
    assert (seen.slowest.told.pack, seen.slowest.clients) == ("dora-2025-532", 1)
    saved = {group.told.pack: (group.told.earliest_effective_on, group.acknowledged_on) for group in seen.groups}
    assert saved[PACK] == (date(2026, 4, 4), date(2026, 4, 2))
    assert saved["dora-2025-532"] == (date(2026, 5, 5),) * 2  # either way carried off a weekend
    assert (seen.earliest_effective_on, seen.earliest_acknowledged_on) == (date(2026, 5, 5), date(2026, 5, 5))
    assert [one.client.id for one in seen.affected if one.terms_key == "dora-2025-532"] == [slow.id]


def test_a_preview_warns_of_what_is_to_be_thought_of(session: Session, desk: Desk) -> None:
    start(session)
    owns(session, make_client(session, "C-1"), overrides={"subprocessor": {"period": "5 days"}})
    make_client(session, "C-2", email_accepted=False)
    make_client(session, "C-3", contacts=[])
    make_client(session, "C-4", pack="google-style-30-90", reseller=True)

    seen = previews.preview(session, desk, now=NOON)

    warned = {one.concern: (one.clients, one.details) for one in seen.warnings}
    assert warned[Concern.UNREACHABLE] == (2, ())  # nobody to write a mail to, no street to write a letter to
    assert warned[Concern.ON_PAPER] == (1, ())
    assert warned[Concern.SHORT] == (1, ())
    assert warned[Concern.OWN_TERMS] == (1, ("period",))
    assert warned[Concern.UNCONFIRMED][0] == 4
    assert warned[Concern.CASCADE] == (1, ())
    assert [one.client.key for one in seen.unreachable] == ["C-2", "C-3"]


def test_a_client_whose_period_was_never_filled_in_stops_the_preview_with_what_to_write(
    session: Session, desk: Desk
) -> None:
    start(session)
    make_client(session, pack="gdpr-scc-2021-915")

    with pytest.raises(PeriodBlank, match=r"subprocessor.period"):
        previews.preview(session, desk, now=NOON)


def test_a_preview_of_nobody_has_no_day(session: Session, desk: Desk) -> None:
    start(session)
    make_client(session, signed_on=TODAY + A_DAY)

    seen = previews.preview(session, desk, now=NOON)

    assert (seen.clients, seen.addresses, seen.affected, seen.earliest_effective_on) == (0, 0, (), None)


def test_a_preview_changes_nothing(session: Session, desk: Desk) -> None:
    start(session)
    make_client(session)
    session.flush()

    previews.preview(session, desk, now=NOON)

    assert not session.new
    assert not session.dirty
    assert session.exec(select(Notice)).all() == []


def test_an_emergency_is_previewed_under_the_same_terms_as_any_change_of_subprocessor(
    session: Session, desk: Desk
) -> None:
    start(session)
    make_client(session)

    usual, emergency = (
        previews.preview(session, desk, kind=kind, now=NOON)
        for kind in (AnnouncementKind.SUBPROCESSOR, AnnouncementKind.EMERGENCY)
    )

    assert emergency.earliest_effective_on == usual.earliest_effective_on
    assert emergency.changes == usual.changes
