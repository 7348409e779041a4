"""The clients: importing them from the CRM's list, and each one's contract, own terms and contacts."""

import re
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from notifier.models import Role, Terms
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.periods import Backward, Counting
from notifier.rules.terms import OVERRIDABLE, Addressees, Channel, Mode, ReceiptPolicy, Silence
from notifier.services import clients, keyset
from notifier.web.words import WORDS
from tests.factories import PACK, make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

HEAD = (
    "client_key,company,account_manager,contract_pack,signed_on,email_accepted,"
    "contact_name,contact_role,contact_email,contact_language\n"
)
ACME = f"C-1,Acme,ana@hosting.example,{PACK},2022-09-01,yes,Camille Roy,contractual,camille@acme.example,fr\n"
SILENT = f"C-2,Globex,ana@hosting.example,{PACK},2022-09-01,no,,,,\n"
PAGE = "/staff/clients/import"


def file(content: str) -> dict[str, object]:
    return {"file": (BytesIO(content.encode()), "clients.csv")}


def companies(clerk: Staffer) -> list[str]:
    with clerk.runtime.reading() as session:
        return [one.client.company for one in clients.listing(session)]


def test_checking_a_file_shows_what_would_happen_and_changes_nothing(desk_clerk: Staffer) -> None:
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-9", company="Initech")

    page = desk_clerk.send(PAGE, "/import", {**file(HEAD + ACME + SILENT), "act": "check"})

    assert "Nothing has been changed yet." in page.text
    assert "<dt>Added</dt><dd><strong>2</strong>: C-1, C-2</dd>" in page.text
    assert "<dt>Known, and not in the file (left alone)</dt><dd><strong>1</strong>: C-9</dd>" in page.text
    assert "<dt>Can be told neither by mail nor by letter</dt><dd><strong>1</strong>: C-2</dd>" in page.text
    assert companies(desk_clerk) == ["Initech"]


def test_importing_a_file_lists_the_clients(desk_clerk: Staffer) -> None:
    done = desk_clerk.send(PAGE, "/import", {**file(HEAD + ACME + SILENT), "act": "import"})

    page = desk_clerk.get(done.location).text

    assert done.status_code == 303
    assert "2 clients added" in page
    assert "Globex" in page
    assert "not accepted" in page


def test_a_file_with_a_fault_is_not_taken_at_all(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(
        PAGE, "/import", {**file(HEAD + ACME + SILENT.replace("2022-09-01", "soon")), "act": "import"}
    )

    assert refused.status_code == 422
    assert "row 3, signed_on:" in refused.text
    assert companies(desk_clerk) == []


def test_the_faults_are_told_in_the_language_of_the_page(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(
        f"{PAGE}?lang=fr", "/import", {**file(HEAD + ACME.replace(PACK, "autre")), "act": "import"}
    )

    assert "ligne 2, contract_pack" in refused.text


# --- own terms in the file -------------------------------------------------------------------------------------------


def with_terms(row: str, terms: str) -> str:
    """Return the file with one more column, and these terms in it."""
    return f"{HEAD.strip()},own_terms\n{row.strip()},{terms}\n"


def test_own_terms_come_with_the_file_and_show_in_the_list(desk_clerk: Staffer) -> None:
    content = with_terms(ACME, "subprocessor.period = 45 days; all.calendar = FR-57")
    done = desk_clerk.send(PAGE, "/import", {**file(content), "act": "import"})

    page = desk_clerk.get(done.location).text

    assert done.status_code == 303
    assert f'{PACK} <span class="badge calm">own terms</span>' in page


def test_own_terms_that_are_not_understood_are_told_in_the_language_of_the_page(desk_clerk: Staffer) -> None:
    content = with_terms(ACME, "subprocessor.period = 45 jours")
    refused = desk_clerk.send(f"{PAGE}?lang=fr", "/import", {**file(content), "act": "import"})

    assert refused.status_code == 422
    assert "ligne 2, own_terms\u00a0: subprocessor.period\u00a0: on ne peut pas compter avec" in refused.text
    assert companies(desk_clerk) == []


# --- the list --------------------------------------------------------------------------------------------------------


def made(clerk: Staffer, **fields: Any) -> UUID:  # noqa: ANN401 - columns of any type
    """Make a client, with terms of its own if given; returns its id."""
    own = fields.pop("own", {})
    with clerk.runtime.transaction() as session:
        client = make_client(session, **fields)
        session.exec(select(Terms).where(Terms.client_id == client.id)).one().overrides = own
        return client.id


def own_terms_of(clerk: Staffer, client_id: UUID) -> dict[str, dict[str, Any]]:
    with Session(clerk.runtime.engine) as session:
        return session.exec(select(Terms).where(Terms.client_id == client_id)).one().overrides


def test_the_list_warns_of_each_client_that_cannot_be_told_as_things_stand(desk_clerk: Staffer) -> None:
    made(desk_clerk, key="C-1", contacts=[{"role": "billing"}])
    made(desk_clerk, key="C-2", email_accepted=False)
    made(desk_clerk, key="C-3", pack="gone")
    made(desk_clerk, key="C-4", reseller=True)

    page = desk_clerk.get("/staff/clients").text

    assert page.count('<span class="badge warn">no contact in a role that is told</span>') == 1
    assert page.count('<span class="badge warn">needs a postal address</span>') == 1
    assert page.count('<span class="badge warn">no contract pack</span>') == 1
    assert page.count('<span class="badge">reseller</span>') == 1


# --- one client ------------------------------------------------------------------------------------------------------


def test_the_list_leads_to_the_page_of_each_client(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, company="Acme", address="2 rue des Essais", town="Lyon", country="FR")

    assert f'href="/staff/clients/{acme}">Acme</a>' in desk_clerk.get("/staff/clients").text
    page = desk_clerk.get(f"/staff/clients/{acme}").text
    assert "2 rue des Essais" in page
    assert "Camille Roy" in page
    assert "1 September 2022" in page
    assert "30 days" in page


def test_what_is_the_clients_own_is_marked_field_by_field(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, own={"subprocessor": {"period": "45 days", "prevails": False}})

    page = desk_clerk.get(f"/staff/clients/{acme}").text

    assert '45 days <span class="badge calm">own terms</span>' in page
    assert 'Precedence over the general terms: no <span class="badge calm">own terms</span>' in page
    assert '18:00 <span class="badge warn">default</span>' in page
    assert "<code>subprocessor.period = 45 days</code>" in page


def test_a_contact_who_is_told_of_nothing_is_marked(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, contacts=[{"role": "billing"}], own={"document": {"roles": ["billing"]}})
    globex = made(desk_clerk, key="C-2", contacts=[{"role": "billing"}])

    assert "<td>New edition of a document</td>" in desk_clerk.get(f"/staff/clients/{acme}").text
    page = desk_clerk.get(f"/staff/clients/{globex}").text
    assert '<td><span class="badge warn">nothing</span></td>' in page
    assert "No contact is in a role that its contract tells of a change of subprocessor." in page


def test_a_person_writes_own_terms_and_the_rule_follows(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk)
    page = f"/staff/clients/{acme}"

    done = desk_clerk.send(page, "/own-terms", {"own_terms": "subprocessor.period = 60 days\r\nall.calendar = FR-57"})

    assert (done.status_code, done.location) == (303, page)
    assert own_terms_of(desk_clerk, acme) == {"subprocessor": {"period": "60 days"}, "all": {"calendar": "FR-57"}}
    shown = desk_clerk.get(page).text
    assert "Saved." in shown
    assert '60 days <span class="badge calm">own terms</span>' in shown
    assert ">all.calendar = FR-57\nsubprocessor.period = 60 days</textarea>" in shown


def test_own_terms_are_taken_away_by_emptying_the_field(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, own={"subprocessor": {"period": "45 days"}})

    desk_clerk.send(f"/staff/clients/{acme}", "/own-terms", {"own_terms": ""})

    assert own_terms_of(desk_clerk, acme) == {}


def test_own_terms_that_cannot_be_used_are_refused_beside_their_field_and_kept_as_typed(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk)
    typed = "subprocessor.period = 45 jours\r\nsubprocessor.roles = lawyer"

    refused = desk_clerk.send(f"/staff/clients/{acme}", "/own-terms", {"own_terms": typed})
    contradiction = desk_clerk.send(
        f"/staff/clients/{acme}", "/own-terms", {"own_terms": "subprocessor.period = 15 business days"}
    )

    assert (refused.status_code, contradiction.status_code) == (422, 422)
    assert 'id="own_terms-error">subprocessor.period: “45 jours” cannot be counted with' in refused.text
    assert "subprocessor.roles cannot be “lawyer”" in refused.text
    assert "subprocessor.period = 45 jours" in refused.text
    assert "cannot be used with the contract pack" in contradiction.text
    assert own_terms_of(desk_clerk, acme) == {}


def test_an_auditor_reads_a_client_and_writes_no_terms(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk)
    auditor = desk_clerk.as_role(Role.AUDITOR)

    page = auditor.get(f"/staff/clients/{acme}")

    assert page.status_code == 200
    assert "<textarea" not in page.text
    token = {"csrf_token": page.text.partition('name="csrf_token" value="')[2].partition('"')[0]}
    assert auditor.browser.post(f"/staff/clients/{acme}/own-terms", data=token).status_code == 403


def test_a_client_without_its_pack_is_shown_with_what_to_do(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, pack="gone")

    page = desk_clerk.get(f"/staff/clients/{acme}").text

    assert "Its contract pack is not in the folder of contracts." in page
    assert "<textarea" not in page


def test_a_client_that_there_is_not_is_not_found(desk_clerk: Staffer) -> None:
    nobody = "/staff/clients/00000000-0000-7000-8000-000000000000"
    token = {"csrf_token": desk_clerk.get(PAGE).text.partition('name="csrf_token" value="')[2].partition('"')[0]}

    assert desk_clerk.get(nobody).status_code == 404
    assert desk_clerk.browser.post(f"{nobody}/own-terms", data=token).status_code == 404


def test_names_and_terms_are_shown_as_text(desk_clerk: Staffer) -> None:
    acme = made(desk_clerk, company="<b>Acme</b>", own={"subprocessor": {"clause": "<i>5</i>"}})

    page = desk_clerk.get(f"/staff/clients/{acme}").text

    assert "<b>Acme" not in page
    assert "<i>5" not in page


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("mode", [*Mode]),
        ("channel", [*Channel]),
        ("silence", [*Silence]),
        ("counting", [*Counting, *Backward]),
        ("receipt", [*ReceiptPolicy]),
        ("addressees", [*Addressees]),
        ("rule", sorted(OVERRIDABLE)),
        ("kind", [*AnnouncementKind]),
    ],
)
def test_whatever_a_contract_says_has_words_for_it(family: str, names: list[str]) -> None:
    assert set(names) <= set(WORDS[family])


def test_a_long_list_is_walked_by_links_and_searched(desk_clerk: Staffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "SIZE", 2)
    with desk_clerk.runtime.transaction() as session:
        for number, company in enumerate(("Acme", "Écluse", "Éclair", "Globex", "ECL")):
            make_client(session, f"C-{number}", company=company)

    first = desk_clerk.get("/staff/clients?sought=écl").text
    (following,) = [link for link in Page(first).links if "after=" in link]
    second = desk_clerk.get(following).text

    assert listed(first) == ["ECL", "Éclair"]
    assert listed(second) == ["Écluse"]
    assert 'value="écl"' in second
    assert "5 clients" in desk_clerk.get("/staff/clients").text
    assert listed(desk_clerk.get("/staff/clients?sought=c-3").text) == ["Globex"]
    assert "begins like this" in desk_clerk.get("/staff/clients?sought=zzz").text


def listed(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', page)
