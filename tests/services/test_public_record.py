"""What everybody may know, and what nobody but the provider and its clients may."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import Session

from notifier.models import AnnouncementKind
from notifier.services import announcements, corrections, public_record, registry
from notifier.services.desk import Desk
from notifier.services.public_record import Step
from tests.factories import NOON, REASONS, make_announcement, make_client, make_entry, make_provider, make_version

A_DAY = timedelta(days=1)
DISCLOSURE = {
    "authority": "Court of Examples", "basis_en": "An order.", "basis_fr": "Une ordonnance.", "scope_en": "One log.",
    "scope_fr": "Un journal.",
}  # fmt: skip


def test_an_entry_names_no_person_to_everybody() -> None:
    entry = make_entry(contact="Camille Roy, camille@fibrexemple.example")

    (shown,) = public_record.for_everybody([entry])

    assert shown == replace(entry, contact="")


def test_a_change_names_no_person_to_everybody(session: Session) -> None:
    make_provider(session)
    make_version(session)
    values = {"contact": "Camille Roy", "transfer": "scc"}
    registry.amend_entry(session, "equinix", values, by="test", now=NOON)

    (change,) = public_record.told(registry.draft_changes(session))

    assert [field.field for field in change.fields] == ["transfer"]
    assert change.after is not None
    assert not change.after.contact


def test_each_entry_stands_below_the_one_that_engages_it() -> None:
    entries = [
        make_entry("C", parent="b"),
        make_entry("A"),
        make_entry("B", parent="a"),
        make_entry("D", parent="gone"),
    ]

    assert [(depth, entry.name) for depth, entry in public_record.by_chain(entries)] == [
        (0, "A"), (1, "B"), (2, "C"), (0, "D"),
    ]  # fmt: skip


def test_what_is_not_everybodys_has_no_page(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_version(session)
    written = {"facts": DISCLOSURE, "reasons": REASONS, "effective_on": date(2026, 9, 1), "by": "test", "now": NOON}
    kind = AnnouncementKind.DISCLOSURE
    secret = announcements.draft(session, kind=kind, aspect="consultation", **written)  # type: ignore[arg-type] # mixed
    announcements.publish_draft(session, desk, secret.id, by="test", now=NOON)

    assert public_record.announced(session, limit=9) == []
    with pytest.raises(announcements.NoSuchAnnouncement):
        public_record.by_reference(session, secret.reference)


def test_the_story_of_an_announcement(session: Session, desk: Desk) -> None:
    make_provider(session)
    made = make_announcement(session, desk)
    first_day, later = made.effective_on, made.effective_on + 30 * A_DAY
    corrections.postpone(session, desk, made.id, effective_on=later, reasons=REASONS, by="test", now=NOON + A_DAY)
    corrections.withdraw(session, desk, made.id, reasons=REASONS, by="test", now=NOON + 2 * A_DAY)

    story = public_record.story(session, made)

    assert [(one.step, one.day, one.at) for one in story] == [
        (Step.ANNOUNCED, first_day, NOON),
        (Step.POSTPONED, later, NOON + A_DAY),
        (Step.WITHDRAWN, None, NOON + 2 * A_DAY),
    ]


def test_a_version_is_told_by_its_announcement(session: Session, desk: Desk) -> None:
    make_provider(session)
    made = make_announcement(session, desk)

    newest, first = public_record.versions(session, before=None, limit=9)

    assert newest.announcement is not None
    assert newest.announcement.reference == made.reference
    assert first.announcement is None
    assert public_record.versions(session, before=2, limit=9) == [first]


def change_draft(session: Session, _desk: Desk) -> None:
    registry.add_entry(session, make_entry("Secretexemple"), by="test", now=NOON)


def bring_client(session: Session, _desk: Desk) -> None:
    make_client(session, "C-007")


def announce(session: Session, desk: Desk) -> None:
    make_announcement(session, desk)


@pytest.mark.parametrize("act", [change_draft, bring_client])
def test_the_mark_stays_with_what_is_nobodys_business(
    session: Session, desk: Desk, act: Callable[[Session, Desk], None]
) -> None:
    make_provider(session)
    make_version(session)
    before = public_record.mark(session)

    act(session, desk)

    assert public_record.mark(session) == before


def test_the_mark_moves_with_what_is_announced(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_version(session)
    before = public_record.mark(session)

    make_announcement(session, desk)

    assert public_record.mark(session).count == before.count + 2  # the version and its announcement
