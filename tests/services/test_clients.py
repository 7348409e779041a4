from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import Session, SQLModel, col, func, select

from notifier.adapters.lists import ClientRow, ContactRow
from notifier.models import Client, Contact, EventKind, Terms
from notifier.services import clients
from notifier.services.clients import Imported
from notifier.services.desk import Desk
from tests.factories import NOON, PACK, make_announcement, make_client, make_provider
from tests.services.stories import happened, notice_of

ROLES = ("contractual", "dpo")
LATER = NOON + timedelta(days=30)
CAMILLE = ContactRow(name="Camille Roy", role="dpo", email="dpo@acme.example", phone="", language="fr")
ACME = ClientRow(
    key="C-1",
    company="Acme",
    group="",
    account_manager="ana@hosting.example",
    account_manager_name="Ana Petit",
    address="2 rue des Essais",
    postcode="69000",
    town="Lyon",
    country="FR",
    reseller=False,
    services=("object storage",),
    pack=PACK,
    signed_on=date(2022, 9, 1),
    email_accepted=True,
    contacts=(CAMILLE,),
    first_row=2,
)
GLOBEX = replace(ACME, key="C-2", company="Globex", contacts=(replace(CAMILLE, email="dpo@globex.example"),))


def take(session: Session, *rows: ClientRow, **how: Any) -> Imported:  # noqa: ANN401 - as the service takes it
    return clients.import_clients(session, rows, **{"roles": ROLES, "by": "ana", "now": NOON, **how})


def rows(session: Session) -> dict[str, int]:
    session.flush()
    return {
        name: session.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in SQLModel.metadata.tables.items()
    }


def contacts(session: Session) -> list[Contact]:
    return list(session.exec(select(Contact).order_by(col(Contact.id))))


def test_a_list_makes_clients_with_their_contacts_and_terms(session: Session) -> None:
    imported = take(session, ACME, GLOBEX)

    assert (imported.created, imported.changed, imported.unchanged, imported.absent) == (("C-1", "C-2"), (), (), ())
    acme = session.exec(select(Client).where(Client.key == "C-1")).one()
    assert (acme.company, acme.account_manager, acme.town, acme.services) == (
        "Acme",
        "ana@hosting.example",
        "Lyon",
        ["object storage"],
    )
    assert [contact.email for contact in contacts(session)] == ["dpo@acme.example", "dpo@globex.example"]
    assert {(terms.pack, terms.signed_on) for terms in session.exec(select(Terms))} == {(PACK, date(2022, 9, 1))}


def test_the_same_list_again_changes_nothing(session: Session) -> None:
    take(session, ACME, GLOBEX)
    before = rows(session)

    imported = take(session, GLOBEX, ACME, now=LATER)

    assert (imported.created, imported.changed, imported.unchanged) == ((), (), ("C-2", "C-1"))
    assert rows(session) == before


@pytest.mark.parametrize(
    "changed",
    [
        replace(ACME, company="Acme SA"),
        replace(ACME, account_manager="bob@hosting.example"),
        replace(ACME, email_accepted=False),
        replace(ACME, services=()),
        replace(ACME, signed_on=date(2025, 1, 1)),
        replace(ACME, contacts=(replace(CAMILLE, language="en"),)),
        replace(ACME, contacts=(CAMILLE, replace(CAMILLE, role="contractual"))),
        replace(ACME, contacts=()),
    ],
)
def test_what_differs_is_told_before_and_written_after(session: Session, changed: ClientRow) -> None:
    take(session, ACME, GLOBEX)

    told = take(session, changed, GLOBEX, dry_run=True)
    written = take(session, changed, GLOBEX)
    again = take(session, changed, GLOBEX)

    assert (told.changed, told.unchanged) == (("C-1",), ("C-2",))
    assert written == told
    assert (again.changed, again.unchanged) == ((), ("C-1", "C-2"))


def test_a_dry_run_writes_nothing(session: Session) -> None:
    take(session, ACME)
    before = rows(session)

    imported = take(session, replace(ACME, company="Acme SA", contacts=()), GLOBEX, dry_run=True)
    session.expire_all()

    assert (imported.created, imported.changed) == (("C-2",), ("C-1",))
    assert rows(session) == before
    assert session.exec(select(Client.company)).all() == ["Acme"]


def test_clients_whom_the_list_does_not_name_are_told_and_left_alone(session: Session) -> None:
    take(session, ACME, GLOBEX)

    imported = take(session, GLOBEX)

    assert imported.absent == ("C-1",)
    assert len(session.exec(select(Client)).all()) == 2
    assert [contact.left_at for contact in contacts(session)] == [None, None]


def test_clients_whom_no_mail_would_reach_are_told(session: Session) -> None:
    unreachable = [
        replace(ACME, key="C-1", contacts=()),
        replace(ACME, key="C-2", email_accepted=False),
        replace(ACME, key="C-3", contacts=(replace(CAMILLE, role="invoicing"),)),
    ]

    assert take(session, *unreachable, replace(ACME, key="C-4"), dry_run=True).unreachable == ("C-1", "C-2", "C-3")


def test_a_contact_who_left_the_list_is_kept_for_the_evidence_and_comes_back_as_the_same(session: Session) -> None:
    take(session, ACME)
    successor = replace(CAMILLE, name="Dominique Blanc", email="new-dpo@acme.example")

    take(session, replace(ACME, contacts=(successor,)), now=LATER)
    assert [(contact.email, contact.left_at) for contact in contacts(session)] == [
        ("dpo@acme.example", LATER),
        ("new-dpo@acme.example", None),
    ]

    take(session, replace(ACME, contacts=(CAMILLE, successor)), now=LATER)
    assert [contact.left_at for contact in contacts(session)] == [None, None]


def test_a_new_signing_date_adds_terms_and_the_old_ones_stay(session: Session) -> None:
    take(session, ACME)

    take(session, replace(ACME, pack="next", signed_on=date(2026, 1, 1)))

    assert [(terms.pack, terms.signed_on) for terms in session.exec(select(Terms).order_by(col(Terms.signed_on)))] == [
        (PACK, date(2022, 9, 1)),
        ("next", date(2026, 1, 1)),
    ]
    by_day = {day: clients.owed(session, day)[0].terms.pack for day in (date(2025, 12, 31), date(2026, 1, 1))}
    assert by_day == {date(2025, 12, 31): PACK, date(2026, 1, 1): "next"}


def test_a_signing_date_corrected_to_an_earlier_day_takes_effect(session: Session) -> None:
    wrong = replace(ACME, pack="next", signed_on=date(2026, 6, 1))
    take(session, wrong)
    assert clients.owed(session, date(2026, 3, 2)) == []

    told = take(session, ACME, dry_run=True)
    written = take(session, ACME, now=LATER)
    again = take(session, ACME, dry_run=True)

    assert (told.changed, written.changed, again.changed, again.unchanged) == (("C-1",), ("C-1",), (), ("C-1",))
    for day in (date(2026, 3, 2), date(2026, 7, 1)):
        assert [one.terms.pack for one in clients.owed(session, day)] == [PACK]
    assert [pack for _, _, pack in clients.everyone(session)] == [PACK]
    kept = session.exec(select(Terms).order_by(col(Terms.signed_on))).all()
    assert [(terms.pack, terms.replaced_at) for terms in kept] == [(PACK, None), ("next", LATER)]


def test_a_correction_that_is_taken_back_holds_again(session: Session) -> None:
    right = replace(ACME, pack="next", signed_on=date(2026, 1, 1))
    for row in (right, ACME, right):
        take(session, row)

    assert take(session, right).unchanged == ("C-1",)
    assert clients.owed(session, date(2026, 3, 2))[0].terms.pack == "next"


def test_new_terms_do_not_touch_a_notice_that_runs(session: Session, desk: Desk) -> None:
    make_provider(session)
    take(session, ACME)
    make_announcement(session, desk)
    acme = session.exec(select(Client)).one()
    before = notice_of(session, acme).model_copy()

    take(session, replace(ACME, pack="next", signed_on=date(2026, 3, 1), contacts=()))

    notice = notice_of(session, acme)
    assert (notice.terms_id, notice.object_by) == (before.terms_id, before.object_by)
    terms = session.exec(select(Terms).where(Terms.id == notice.terms_id)).one()
    assert terms.pack == PACK


def test_a_client_is_owed_notice_from_the_day_it_signed(session: Session) -> None:
    make_client(session, "C-2", signed_on=date(2026, 3, 2))
    make_client(session, "C-1", signed_on=date(2026, 3, 3))

    assert [one.client.key for one in clients.owed(session, date(2026, 3, 1))] == []
    assert [one.client.key for one in clients.owed(session, date(2026, 3, 2))] == ["C-2"]
    assert [one.client.key for one in clients.owed(session, date(2026, 3, 3))] == ["C-1", "C-2"]


def test_everyone_is_listed_with_contacts_and_the_contract_signed_last(session: Session) -> None:
    take(session, GLOBEX, ACME)
    take(session, replace(GLOBEX, pack="next", signed_on=date(2026, 1, 1), contacts=()))

    assert [(client.company, number, pack) for client, number, pack in clients.everyone(session)] == [
        ("Acme", 1, PACK),
        ("Globex", 0, "next"),
    ]


def test_an_import_that_changes_something_is_one_event_with_numbers_alone(session: Session) -> None:
    take(session, ACME, GLOBEX)
    take(session, ACME, GLOBEX)

    (event,) = happened(session, EventKind.CLIENTS_IMPORTED)
    assert (event.by, event.data) == ("ana", {"created": 2, "changed": 0})
