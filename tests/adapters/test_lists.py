"""Files as people make them: two encodings, three separators, and every kind of slip."""

import csv
import io
from dataclasses import fields, replace
from datetime import date

import pytest

from notifier.adapters.lists import BadList, ClientRow, ContactRow, is_address, read_clients
from notifier.adapters.remarks import TEXTS
from notifier.rules.terms import Pack

CLIENT_HEADINGS = [
    "client_key",
    "company",
    "group",
    "account_manager",
    "account_manager_name",
    "address",
    "postcode",
    "town",
    "country",
    "reseller",
    "services",
    "regions",
    "options",
    "contract_pack",
    "signed_on",
    "own_terms",
    "email_accepted",
    "contact_name",
    "contact_role",
    "contact_email",
    "contact_phone",
    "contact_language",
]

CLINIC = {
    "client_key": "c-1",
    "company": "Clinique Exemple",
    "account_manager": "ana@hebergement.example",
    "contract_pack": "hds",
    "signed_on": "2024-03-01",
    "contact_name": "Zoé Martin",
    "contact_role": "dpo",
    "contact_email": "dpo@clinique.example",
    "contact_language": "fr",
}
SECOND_CONTACT = {"client_key": "c-1"} | {name: cell for name, cell in CLINIC.items() if name.startswith("contact_")}


def pack(name: str, **rule: str) -> Pack:
    """Return a contract that owes a notice before a change of subprocessor."""
    sentences = {"silence": "Silence.", "remedy": "Remedy."}
    written = {
        "clause": "9",
        "mode": "notice",
        "period": "30 days",
        "receipt": "deemed",
        "addressees": "all",
        "says": {"en": sentences, "fr": sentences},
        **rule,
    }
    data = {
        "title": {"en": name, "fr": name},
        "version": "1",
        "defaults": {"timezone": "Europe/Paris", "calendar": "FR"},
        "rules": {"subprocessor": written},
    }
    return Pack.parse(name, data)


PACKS = {"hds": pack("hds"), "saas": pack("saas", period="")}


def sheet(*rows: dict[str, str]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, CLIENT_HEADINGS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def clients(text: str | bytes) -> tuple[ClientRow, ...]:
    data = text.encode() if isinstance(text, str) else text
    return read_clients(data, filename="clients.csv", packs=PACKS, roles={"dpo", "contractual"}, languages={"en", "fr"})


def faults(bad: pytest.ExceptionInfo[BadList]) -> list[tuple[int, str, str]]:
    return [(problem.row, problem.column, problem.code) for problem in bad.value.problems]


# --- clients ---------------------------------------------------------------------------------------------------------


def test_a_client_is_read_with_all_its_contacts_from_one_row_each() -> None:
    full = CLINIC | {
        "group": "Groupe Exemple",
        "account_manager_name": "Ana Costa",
        "address": "1 rue de l'Exemple",
        "postcode": "75000",
        "town": "Paris",
        "country": "france",
        "reseller": "Oui",
        "services": "compute | backup|compute",
        "regions": "eu-west|eu-south",
        "options": "gpu",
        "signed_on": "1/3/2024",
        "own_terms": "subprocessor.period = 45 days; all.calendar = FR-57",
        "email_accepted": "1",
    }
    other = SECOND_CONTACT | {"contact_role": "Contractual", "contact_phone": "'+33 1 00 00 00 00", "reseller": "yes"}
    plain = {name: cell for name, cell in CLINIC.items() if not name.startswith("contact_")} | {"client_key": "c-2"}

    first, second = clients(sheet(full, plain, other))

    contact = ContactRow(name="Zoé Martin", role="dpo", email="dpo@clinique.example", phone="", language="fr")
    assert first == ClientRow(
        key="c-1",
        company="Clinique Exemple",
        group="Groupe Exemple",
        account_manager="ana@hebergement.example",
        account_manager_name="Ana Costa",
        address="1 rue de l'Exemple",
        postcode="75000",
        town="Paris",
        country="FR",
        reseller=True,
        services=("compute", "backup"),
        regions=("eu-west", "eu-south"),
        options=("gpu",),
        pack="hds",
        signed_on=date(2024, 3, 1),
        email_accepted=True,
        contacts=(contact, replace(contact, role="contractual", phone="+33 1 00 00 00 00")),
        first_row=2,
        own_terms={"subprocessor": {"period": "45 days"}, "all": {"calendar": "FR-57"}},
    )
    assert (second.key, second.contacts, second.first_row) == ("c-2", (), 3)
    assert (second.services, second.reseller, second.email_accepted) == ((), False, False)
    assert second.own_terms == {}


def test_clients_may_come_under_french_headings_in_a_file_from_a_french_spreadsheet() -> None:
    text = (
        "Clé client;Société;Chargé de compte;Modèle de contrat;Signé le;Conditions propres;Revendeur;"
        "Nom du contact;Rôle du contact;E-mail du contact;Langue du contact\r\n"
        "c-1;Clinique Exemple;ana@hebergement.example;HDS;01/03/2024;all.channels = paper;FAUX;"
        "Zoé Martin;DPO;dpo@clinique.example;FR\r\n"
    )

    (client,) = clients(text.encode("windows-1252"))

    assert (client.company, client.pack, client.signed_on) == ("Clinique Exemple", "hds", date(2024, 3, 1))
    assert client.contacts[0].language == "fr"
    assert client.own_terms == {"all": {"channels": ["paper"]}}


def test_a_file_with_seventeen_kinds_of_fault_tells_each_by_row_and_column() -> None:
    rows = [
        CLINIC | {"company": ""},
        CLINIC | {"client_key": "c-3", "contract_pack": "gold"},
        CLINIC | {"client_key": "c-4", "signed_on": "1 March 2024"},
        CLINIC | {"client_key": "c-5", "signed_on": "31/02/2024"},
        CLINIC | {"client_key": "c-6", "contact_email": "dpo@clinique"},
        CLINIC | {"client_key": "c-7", "reseller": "perhaps"},
        CLINIC | {"client_key": "c-8", "contact_role": "boss"},
        CLINIC | {"client_key": "c-9", "contact_language": "de"},
        CLINIC | {"client_key": "c-10"},
        CLINIC | {"client_key": "c-10", "contact_email": "DPO@clinique.example"},
        CLINIC | {"client_key": "c-10", "contact_role": "contractual", "signed_on": "2025-03-01"},
        CLINIC | {"client_key": "c-10", "contact_role": "", "group": "Groupe Exemple"},
        CLINIC | {"client_key": "c-11", "country": "Syldavia"},
        CLINIC | {"client_key": "c-12", "address": "x" * 301},
        CLINIC | {"client_key": "c-13", "town": "Par\0is"},
        CLINIC | {"client_key": ""},
    ]

    with pytest.raises(BadList) as bad:
        clients(sheet(*rows) + "c-14,one cell too few\r\nc-15,Autre\0 Exemple" + "," * 20 + "\r\n")

    assert faults(bad) == [
        (2, "company", "missing"),
        (3, "contract_pack", "unknown_pack"),
        (4, "signed_on", "date_format"),
        (5, "signed_on", "date_impossible"),
        (6, "contact_email", "email"),
        (7, "reseller", "yes_no"),
        (8, "contact_role", "unknown_role"),
        (9, "contact_language", "unknown_language"),
        (11, "contact_email", "contact_twice"),
        (12, "signed_on", "contradiction"),
        (13, "group", "not_in_first_row"),
        (13, "contact_role", "missing"),
        (14, "country", "country_unknown"),
        (15, "address", "too_long"),
        (16, "town", "not_text"),
        (17, "client_key", "missing"),
        (18, "", "cells"),
        (19, "company", "not_text"),
        (19, "account_manager", "missing"),
        (19, "contract_pack", "missing"),
        (19, "signed_on", "missing"),
    ]


def test_the_whole_report_can_be_read_in_both_languages() -> None:
    with pytest.raises(BadList) as bad:
        clients(sheet(CLINIC | {"signed_on": "31/02/2024", "reseller": "perhaps"}))

    assert str(bad.value).splitlines() == [
        "clients.csv was not read:",
        "row 2, reseller: “perhaps” is neither yes nor no; write one of them",
        "row 2, signed_on: 31/02/2024 is not in the calendar; correct the day or the month",
    ]
    assert bad.value.text("fr").replace("\u00a0", " ").splitlines() == [
        "clients.csv n'a pas été lu :",
        "ligne 2, reseller : « perhaps » n'est ni oui ni non ; écrivez l'un des deux",
        "ligne 2, signed_on : le 31/02/2024 n'existe pas dans le calendrier ; corrigez le jour ou le mois",
    ]


def test_a_fault_in_the_first_row_of_a_client_is_not_told_again_for_its_other_rows() -> None:
    with pytest.raises(BadList) as bad:
        clients(sheet(CLINIC | {"signed_on": "31/02/2024"}, SECOND_CONTACT | {"contact_role": "contractual"}))

    assert faults(bad) == [(2, "signed_on", "date_impossible")]


def test_a_row_with_a_stray_separator_still_counts_as_the_first_of_its_client() -> None:
    broken = "c-1,Clinique,Exemple" + "," * 18

    with pytest.raises(BadList) as bad:
        clients(sheet() + f"{broken}\r\n" + sheet(SECOND_CONTACT).partition("\r\n")[2])

    assert faults(bad) == [(2, "", "cells")]


def test_every_text_is_written_in_both_languages_with_the_same_facts() -> None:
    for english, french in TEXTS.values():
        assert english != french
        assert set(_holes(english)) == set(_holes(french))


def _holes(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]]


def test_the_headings_tested_here_are_all_there_are() -> None:
    client = {field.name for field in fields(ClientRow)} - {"key", "pack", "contacts", "first_row"}
    contact = {f"contact_{field.name}" for field in fields(ContactRow)}

    assert set(CLIENT_HEADINGS) == client | contact | {"client_key", "contract_pack"}


# --- a client's own terms --------------------------------------------------------------------------------------------


def test_a_file_without_the_column_says_nothing_of_own_terms() -> None:
    headings, _, row = sheet(CLINIC).partition("\r\n")
    (client,) = clients(headings.replace("own_terms,", "") + "\r\n" + row.replace("2024-03-01,,", "2024-03-01,"))

    assert client.own_terms is None


def test_own_terms_may_be_repeated_in_another_order_on_a_client_s_further_rows() -> None:
    terms = "subprocessor.period = 45 days; all.calendar = FR-57"
    again = "all.calendar=FR-57 ; subprocessor.period=45 days"

    (client,) = clients(
        sheet(CLINIC | {"own_terms": terms}, SECOND_CONTACT | {"contact_role": "contractual", "own_terms": again})
    )

    assert client.own_terms == {"subprocessor": {"period": "45 days"}, "all": {"calendar": "FR-57"}}


def test_faults_in_own_terms_are_told_by_row_all_of_them() -> None:
    rows = [
        CLINIC | {"own_terms": "subprocessor.periode = 45 days; subprocessor.period = 45 jours"},
        CLINIC | {"client_key": "c-2", "own_terms": "subprocessor.period = 15 business days"},
        CLINIC | {"client_key": "c-3", "own_terms": "subprocessor.roles = lawyer"},
        CLINIC | {"client_key": "c-4", "contract_pack": "saas"},
        CLINIC | {"client_key": "c-5", "contract_pack": "saas", "own_terms": "subprocessor.period = 30 days"},
        CLINIC | {"client_key": "c-6", "contract_pack": "gold", "own_terms": "subprocessor.period = 30 days"},
        CLINIC | {"client_key": "c-7"},
        SECOND_CONTACT | {"client_key": "c-7", "contact_role": "contractual", "own_terms": "all.calendar = FR"},
        CLINIC | {"client_key": "c-8", "own_terms": "x" * 5001},
    ]

    with pytest.raises(BadList) as bad:
        clients(sheet(*rows))

    assert faults(bad) == [
        (2, "own_terms", "field"),
        (2, "own_terms", "period"),
        (3, "own_terms", "contradiction"),
        (4, "own_terms", "choice"),
        (5, "own_terms", "period_blank"),
        (7, "contract_pack", "unknown_pack"),
        (9, "own_terms", "not_in_first_row"),
        (10, "own_terms", "too_long"),
    ]


def test_a_period_that_the_contract_leaves_blank_is_asked_for_in_both_languages() -> None:
    with pytest.raises(BadList) as bad:
        clients(sheet(CLINIC | {"contract_pack": "saas"}))

    (problem,) = bad.value.problems
    assert problem.text("en") == (
        "row 2, own_terms: the contract pack saas leaves the period of subprocessor blank: write the client’s own, "
        "such as subprocessor.period = 30 days"
    )
    assert problem.text("fr").replace("\u00a0", " ") == (
        "ligne 2, own_terms : le modèle de contrat saas laisse en blanc le délai de subprocessor : écrivez celui du "
        "client, par exemple subprocessor.period = 30 days"
    )


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["a@b.example", "o'neil+dpo@sous-domaine.societe.example", "zoe@xn--socit-esab.example", "a@1.example"]
)
def test_a_plain_address_is_taken(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "@b.example",
        "a@",
        "a@b",
        "a@b@c.example",
        "a b@c.example",
        "a@b.example,c@d.example",
        '"a b"@c.example',
        "Ana <a@b.example>",
        "a@b..example",
        ".a@b.example",
        "a.@b.example",
        "a@-b.example",
        "a@b_c.example",
        "a@[192.0.2.1]",
        "a@192.0.2.1",
        "a@b.example\r\nBcc:c@d.example",
        "a\0@b.example",
        "a\u202e@b.example",
        "a\u00a0@b.example",
        "=?utf-8?q?a?=@b.example",
        f"{'a' * 65}@b.example",
        f"a@{'b' * 64}.example",
        f"a@{'b.' * 125}example",
    ],
)
def test_what_is_not_one_plain_address_is_refused(address: str) -> None:
    assert not is_address(address)
