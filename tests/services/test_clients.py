from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, SQLModel, col, func, select

from notifier.adapters.contracts import read_packs
from notifier.adapters.lists import ClientRow, ContactRow
from notifier.models import Client, Contact, EventKind, Sealed, Terms
from notifier.rules.own_terms import BadOwnTerms
from notifier.rules.terms import BadPack, Pack
from notifier.services import clients
from notifier.services.clients import Contracts, Imported, NoSuchClient, Trouble
from notifier.services.desk import Desk
from tests.factories import NOON, PACK, make_announcement, make_client, make_provider
from tests.services.stories import happened, notice_of

SHIPPED = read_packs([Path(__file__).parents[2] / "config"])[PACK]
PACKS = {PACK: SHIPPED, "next": replace(SHIPPED, name="next")}
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
    return clients.import_clients(session, rows, **{"packs": PACKS, "by": "ana", "now": NOON, **how})


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
        replace(ACME, pack="next"),
        replace(ACME, own_terms={"subprocessor": {"period": "45 days"}}),
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


def test_clients_whom_neither_a_mail_nor_a_letter_would_reach_are_told(session: Session) -> None:
    technical = (replace(CAMILLE, role="technical"),)
    rows = [
        replace(ACME, key="nobody", contacts=()),
        replace(ACME, key="nobody in its roles", contacts=technical),
        replace(ACME, key="in a role of its own", contacts=technical, own_terms={"all": {"roles": ["technical"]}}),
        replace(ACME, key="no longer in its roles", own_terms={"subprocessor": {"roles": ["technical"]}}),
        replace(ACME, key="by letter", email_accepted=False, contacts=()),
        replace(ACME, key="no address", email_accepted=False, town=""),
        replace(ACME, key="by letter by its terms", contacts=(), own_terms={"all": {"channels": ["paper"]}}),
        replace(ACME, key="no such pack", pack="gone"),
    ]

    assert take(session, *rows, dry_run=True).unreachable == (
        "nobody",
        "nobody in its roles",
        "no longer in its roles",
        "no address",
        "no such pack",
    )


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
    assert [one.current.pack for one in clients.listing(session) if one.current] == [PACK]
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

    listed = clients.listing(session)
    assert [(one.client.company, len(one.contacts), one.current and one.current.pack) for one in listed] == [
        ("Acme", 1, PACK),
        ("Globex", 0, "next"),
    ]


def test_an_import_that_changes_something_is_one_event_with_numbers_alone(session: Session) -> None:
    take(session, ACME, GLOBEX)
    take(session, ACME, GLOBEX)

    (event,) = happened(session, EventKind.CLIENTS_IMPORTED)
    assert (event.by, event.data) == ("ana", {"created": 2, "changed": 0})


# --- a client's own terms --------------------------------------------------------------------------------------------

LONGER = {"subprocessor": {"period": "45 days"}, "all": {"calendar": "FR-57"}}


def own(session: Session) -> list[tuple[date, dict[str, dict[str, Any]]]]:
    session.expire_all()
    held = select(Terms).where(col(Terms.replaced_at).is_(None)).order_by(col(Terms.signed_on))
    return [(terms.signed_on, terms.overrides) for terms in session.exec(held)]


def test_own_terms_are_taken_with_the_contract_that_they_change(session: Session) -> None:
    take(session, replace(ACME, own_terms=LONGER))
    session.flush()

    assert own(session) == [(ACME.signed_on, LONGER)]
    (owed,) = clients.owed(session, date(2026, 3, 2))
    rule = SHIPPED.rule_for("subprocessor", "", owed.terms.overrides)
    assert (str(rule.period), rule.calendar, rule.overridden) == ("45 days", "FR-57", ("calendar", "period"))


def test_own_terms_that_change_on_the_same_signing_date_are_corrected(session: Session) -> None:
    take(session, replace(ACME, own_terms=LONGER))

    again = take(session, replace(ACME, own_terms=dict(reversed(LONGER.items()))))
    taken_away = take(session, replace(ACME, own_terms={}))
    session.flush()

    assert (again.changed, taken_away.changed) == ((), ("C-1",))
    assert own(session) == [(ACME.signed_on, {})]


def test_a_list_that_does_not_speak_of_own_terms_leaves_them_alone(session: Session) -> None:
    take(session, replace(ACME, own_terms=LONGER))

    assert take(session, ACME).unchanged == ("C-1",)
    take(session, replace(ACME, company="Acme SA"))
    session.flush()
    assert own(session) == [(ACME.signed_on, LONGER)]


def test_a_new_contract_begins_without_the_own_terms_of_the_old_one(session: Session) -> None:
    take(session, replace(ACME, own_terms=LONGER))

    take(session, replace(ACME, signed_on=date(2026, 1, 1)))
    session.flush()

    assert own(session) == [(ACME.signed_on, LONGER), (date(2026, 1, 1), {})]


def test_changed_terms_are_told_by_name_and_without_what_they_say(session: Session) -> None:
    take(session, replace(ACME, own_terms=LONGER), GLOBEX)
    take(session, replace(ACME, own_terms={"subprocessor": {"period": "60 days", "clause": "Annex 2"}}), GLOBEX)
    take(session, replace(ACME, own_terms={}, pack="next"), GLOBEX)

    told = happened(session, EventKind.TERMS_CHANGED)
    assert [event.data for event in told] == [
        {"client": "C-1", "pack": PACK, "changed": ["all.calendar", "subprocessor.period"]},
        {"client": "C-1", "pack": PACK, "changed": ["all.calendar", "subprocessor.clause", "subprocessor.period"]},
        {"client": "C-1", "pack": "next", "changed": ["pack", "subprocessor.clause", "subprocessor.period"]},
    ]
    acme = session.exec(select(Client).where(Client.key == "C-1")).one()
    assert {event.about_id for event in told} == {acme.id}


def test_a_person_writes_own_terms_into_the_contract_signed_last(session: Session) -> None:
    take(session, ACME)
    take(session, replace(ACME, signed_on=date(2026, 1, 1)))
    acme = session.exec(select(Client)).one()

    clients.set_own_terms(session, PACKS, acme.id, LONGER, by="user:ana", now=LATER)
    clients.set_own_terms(session, PACKS, acme.id, LONGER, by="user:ana", now=LATER)
    session.flush()

    assert own(session) == [(ACME.signed_on, {}), (date(2026, 1, 1), LONGER)]
    (event,) = happened(session, EventKind.TERMS_CHANGED)
    assert (event.by, event.data["changed"]) == ("user:ana", ["all.calendar", "subprocessor.period"])


def test_own_terms_that_do_not_go_with_the_contract_are_refused(session: Session) -> None:
    take(session, ACME)
    acme = session.exec(select(Client)).one()

    with pytest.raises(BadOwnTerms, match="business days"):
        clients.set_own_terms(
            session, PACKS, acme.id, {"subprocessor": {"period": "15 business days"}}, by="user:ana", now=LATER
        )
    with pytest.raises(BadPack, match="put it back"):
        clients.set_own_terms(session, {}, acme.id, LONGER, by="user:ana", now=LATER)
    with pytest.raises(NoSuchClient):
        clients.set_own_terms(session, PACKS, uuid4(), LONGER, by="user:ana", now=LATER)
    session.flush()

    assert own(session) == [(ACME.signed_on, {})]


def test_own_terms_do_not_touch_a_notice_that_runs(session: Session, desk: Desk) -> None:
    make_provider(session)
    take(session, ACME)
    make_announcement(session, desk)
    acme = session.exec(select(Client)).one()
    before = notice_of(session, acme).model_copy()

    clients.set_own_terms(session, desk.packs, acme.id, LONGER, by="user:ana", now=LATER)
    session.flush()
    session.expire_all()

    notice = notice_of(session, acme)
    assert (notice.sealed_id, notice.object_by) == (before.sealed_id, before.object_by)
    sealed = session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one()
    assert (str(sealed.counted.period), sealed.counted.overridden) == ("30 days", ())


def with_blank_period(name: str) -> Pack:
    """Return a contract that leaves the period before a change of subprocessor open."""
    written = {"subprocessor": {**SHIPPED.written["subprocessor"], "period": ""}}
    return replace(SHIPPED, name=name, written=written)


def test_what_keeps_clients_from_being_told_is_said_of_each(session: Session) -> None:
    contracts = Contracts({**PACKS, "blank": with_blank_period("blank")})
    make_client(session, "C-1")
    make_client(session, "C-2", contacts=[{"role": "billing"}])
    make_client(session, "C-3", email_accepted=False)
    make_client(session, "C-4", email_accepted=False, contacts=[], address="1 rue des Essais", town="Paris")
    make_client(session, "C-5", pack="blank")
    make_client(session, "C-6", pack="gone")
    filled_in = make_client(session, "C-7", pack="blank")
    session.exec(select(Terms).where(Terms.client_id == filled_in.id)).one().overrides = LONGER
    session.flush()

    assert {one.client.key: contracts.troubles(one) for one in clients.listing(session)} == {
        "C-1": (),
        "C-2": (Trouble.NOBODY_TOLD,),
        "C-3": (Trouble.NO_ADDRESS,),
        "C-4": (),
        "C-5": (Trouble.PERIOD_BLANK,),
        "C-6": (Trouble.NO_PACK,),
        "C-7": (),
    }


def test_a_client_is_shown_with_those_who_are_still_there_and_every_contract_it_signed(session: Session) -> None:
    take(session, replace(ACME, contacts=(CAMILLE, replace(CAMILLE, role="contractual"))))
    take(session, replace(ACME, pack="next", signed_on=date(2026, 1, 1)), now=LATER)
    acme = session.exec(select(Client)).one()

    known = clients.get(session, acme.id)

    assert [contact.role for contact in known.contacts] == ["dpo"]
    assert [terms.pack for terms in known.terms] == [PACK, "next"]
    assert known.current is not None
    assert known.current.pack == "next"


def test_the_roles_that_a_list_may_name_are_those_that_contracts_tell_and_those_of_the_settings() -> None:
    written = {"subprocessor": {**SHIPPED.written["subprocessor"], "roles": ["security"]}}

    assert clients.known_roles({"own": replace(SHIPPED, written=written)}, ["billing"]) == [
        "billing",
        "contractual",
        "dpo",
        "security",
    ]
