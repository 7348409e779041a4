"""Files as people make them: two encodings, three separators, and every kind of slip."""

import csv
import io
import unicodedata
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.lists import (
    MOST_BYTES,
    MOST_ROWS,
    TEXTS,
    BadList,
    ClientRow,
    ContactRow,
    RegisterFile,
    country_code,
    is_address,
    read_clients,
    read_register,
    write_register,
)
from notifier.rules.registry_diff import COMPARED, Entry, meaning, slug
from notifier.rules.terms import Pack

REGISTERS = Path(__file__).parents[2] / "config" / "registers"

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


def register(text: str | bytes) -> RegisterFile:
    return read_register(text.encode() if isinstance(text, str) else text, filename="list.csv")


def faults(bad: pytest.ExceptionInfo[BadList]) -> list[tuple[int, str, str]]:
    return [(problem.row, problem.column, problem.code) for problem in bad.value.problems]


# --- a register ------------------------------------------------------------------------------------------------------


def test_the_list_of_2022_asks_in_which_country_lumen_is_and_guesses_nothing() -> None:
    found = register((REGISTERS / "outscale-hds-2022-08-17.csv").read_bytes())

    (question,) = found.questions
    assert (question.row, question.column, question.code) == (11, "country", "country_missing")
    assert "LUMEN" in question.text("en")
    assert question.text("fr").startswith("ligne 11, country\u00a0: dans quel pays se trouve LUMEN\u00a0?")
    assert [entry.country for entry in found.entries] == ["FR"] * 9 + [""]
    assert [entry.site_kind for entry in found.entries].count("dark_fibre") == 6
    assert found.entries[2].activity == "Datacenter (site d\u2019interconnexion)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_both_encodings_and_all_separators_give_the_same_entries(encoding: str, separator: str, line_end: str) -> None:
    rows = [
        ["Nom", "Code postal", "PAYS", "Activité", "Type de site", "Clé"],
        ["Hébergeur Exemple", "75000", "Allemagne", '"Œuvres, textes; etc."', "production", "h-1"],
    ]

    found = register((line_end.join(separator.join(row) for row in rows) + line_end).encode(encoding))

    assert found.entries == (
        Entry(
            key="h-1",
            name="Hébergeur Exemple",
            postcode="75000",
            country="DE",
            activity="Œuvres, textes; etc.",
            site_kind="production",
        ),
    )


def test_rows_without_a_key_get_one_from_name_then_town_then_a_number() -> None:
    found = register(
        "key,name,address,town,activity\n"
        ",Alpha,1 rue A,Paris,hosting\n"
        ",ALPHA,2 rue B,Lyon,hosting\n"
        ",Alpha,3 rue C,Lyon,hosting\n"
        ",Alpha,,,support\n"
        "beta,Other,,,hosting\n"
        ",Beta,,,hosting\n"
    )

    assert [entry.key for entry in found.entries] == [
        "alpha",
        "alpha-lyon",
        "alpha-lyon-2",
        "alpha-2",
        "beta",
        "beta-2",
    ]


def test_a_register_with_ten_kinds_of_fault_tells_each_by_row_and_column() -> None:
    with pytest.raises(BadList) as bad:
        register(
            "key,name,town,country,activity,\n"
            ",,Paris,FR,hosting,\n"
            ",Alpha,Paris,FR,,\n"
            ",…,Paris,FR,hosting,\n"
            ",Beta,Paris,Syldavia,hosting,\n"
            f",Gamma,{'x' * 301},FR,hosting,\n"
            ",Delta,Par\0is,FR,hosting,\n"
            "d,Epsilon,Paris,FR,hosting,\n"
            "d,Zeta,Paris,FR,hosting,\n"
            "\n"
            ",EPSILON,Paris,fr,Hosting.,\n"
            ",Eta,Paris,FR\n"
            ",Theta,Paris,FR,hosting,seen by Ana\n"
            ',Iota,"Paris,FR,hosting,\n'
        )

    assert faults(bad) == [
        (2, "name", "missing"),
        (3, "activity", "missing"),
        (4, "name", "no_letters"),
        (5, "country", "country_unknown"),
        (6, "town", "too_long"),
        (7, "town", "not_text"),
        (9, "key", "key_twice"),
        (11, "name", "row_twice"),
        (12, "", "cells"),
        (13, "", "no_heading"),
        (14, "", "quotes"),
    ]


def test_headings_that_are_missing_unknown_or_there_twice_are_told_together() -> None:
    with pytest.raises(BadList) as bad:
        register("nom;Name;colour\nAlpha;Alpha;red\n")

    assert faults(bad) == [
        (1, "Name", "column_twice"),
        (1, "colour", "column_unknown"),
        (1, "activity", "column_missing"),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"x" * (MOST_BYTES + 1), "too_large"),
        ("name,activity\nAlpha,hosting\n".encode("utf-16"), "not_a_text_file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "not_a_text_file"),
        (b"name,activity\nAlpha\x81,hosting\n", "encoding"),
        (b"name,activity\n" + b"\n" * (MOST_ROWS + 1), "too_many_rows"),
        (b"", "column_missing"),
        (b"x" * 1_000_000, "column_missing"),
    ],
)
def test_what_is_no_list_at_all_is_refused_with_what_to_do(data: bytes, code: str) -> None:
    with pytest.raises(BadList) as bad:
        register(data)

    assert code in {problem.code for problem in bad.value.problems}


def test_a_line_break_inside_a_cell_becomes_a_space_and_does_not_shift_the_row_numbers() -> None:
    with pytest.raises(BadList) as bad:
        register('name,activity\n"Alpha\nBeta",hosting\n,hosting\n')

    assert faults(bad) == [(3, "name", "missing")]
    assert register('name,activity\n"Alpha\nBeta",hosting\n').entries[0].name == "Alpha Beta"


@pytest.mark.parametrize("cell", ["=1+1", "+33 1", "-", "@x", "'=1", "''+1", "'quoted'"])
def test_a_spreadsheet_finds_no_formula_in_a_register_and_reading_takes_the_guard_away(cell: str) -> None:
    entry = Entry(key="a", name="Alpha", country="FR", activity=cell)

    written = write_register([entry])

    assert not any(c.startswith(("=", "+", "-", "@")) for row in csv.reader(io.StringIO(written)) for c in row)
    assert register(written).entries == (entry,)


def one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


CELLS = st.text(
    st.one_of(st.characters(exclude_categories=["Cc", "Cs"]), st.sampled_from("=+-@'\",;\t\u00a0é")), max_size=20
).map(one_line)
ENTRIES = st.builds(
    Entry,
    key=CELLS.filter(bool),
    name=CELLS.filter(slug),
    address=CELLS,
    postcode=CELLS,
    town=CELLS,
    country=st.sampled_from(["", "FR", "DE", "XK"]),
    activity=CELLS.filter(bool),
    site_kind=CELLS,
    replaces=CELLS,
)


@given(
    st.lists(
        ENTRIES,
        unique_by=(lambda entry: entry.key, lambda entry: tuple(meaning(getattr(entry, field)) for field in COMPARED)),
    )
)
def test_a_register_is_read_back_exactly_as_it_was_written(entries: list[Entry]) -> None:
    assert register(write_register(entries)).entries == tuple(entries)
    assert register("\ufeff" + write_register(entries)).entries == tuple(entries)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"name,activity\n{text}".encode()))
def test_no_bytes_at_all_do_worse_than_a_bad_list(data: bytes) -> None:
    found = read_or_refused(data)

    if isinstance(found, BadList):
        assert found.problems
        assert all(problem.en and problem.fr for problem in found.problems)
    else:
        assert all(entry.key and entry.name and entry.activity for entry in found.entries)


def read_or_refused(data: bytes) -> RegisterFile | BadList:
    try:
        return register(data)
    except BadList as bad:
        return bad


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
        clients(sheet(*rows) + "c-14,one cell too few\r\nc-15,Autre\0 Exemple" + "," * 18 + "\r\n")

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


# --- countries and addresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("France", "FR"),
        ("Allemagne", "DE"),
        ("germany", "DE"),
        ("de", "DE"),
        ("ETATS-UNIS", "US"),
        ("Royaume Uni", "GB"),
        ("UK", "GB"),
        ("Türkiye", "TR"),
        ("EU", None),
        ("ZZ", None),
        ("Europe", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_its_code_and_by_its_name_in_both_languages(text: str, code: str | None) -> None:
    assert country_code(text) == code


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
