"""Importing the clients from the CRM's list."""

from io import BytesIO

from notifier.services import clients
from tests.factories import PACK, make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

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
        return [client.company for client, _contacts, _pack in clients.everyone(session)]


def test_checking_a_file_shows_what_would_happen_and_changes_nothing(desk_clerk: Staffer) -> None:
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-9", company="Initech")

    page = desk_clerk.send(PAGE, "/import", {**file(HEAD + ACME + SILENT), "act": "check"})

    assert "Nothing has been changed yet." in page.text
    assert "<dt>Added</dt><dd><strong>2</strong>: C-1, C-2</dd>" in page.text
    assert "<dt>Known, and not in the file (left alone)</dt><dd><strong>1</strong>: C-9</dd>" in page.text
    assert "<dt>Nobody can be told by mail</dt><dd><strong>1</strong>: C-2</dd>" in page.text
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
