"""Lists in the pages that publish them: what is taken, what is left out, and by which line."""

import pytest

from notifier.adapters.register_files import RegisterFile
from notifier.adapters.registers import read_register
from notifier.adapters.remarks import BadList
from notifier.rules.entries import Entry, Place

US, EU, IE = Place(country="US"), Place(site="EU"), Place(country="IE")


def page(text: str, filename: str = "list.md") -> RegisterFile:
    return read_register(text.encode(), filename=filename)


def names(found: RegisterFile) -> list[str]:
    return [entry.name for entry in found.entries]


def test_a_table_is_read_with_its_links_and_without_the_page_around_it() -> None:
    found = page(
        "---\n"
        "title: Sub-processors\n"
        "---\n"
        "import Callout from '../callout'\n"
        "\n"
        "export const meta = {\n"
        "  name: 'Nobody',\n"
        "}\n"
        "\n"
        "<Callout\n"
        '  kind="info"\n'
        ">\n"
        "We tell you before we change this list. **Last updated: 1 May**\n"
        "| Sub-processor | Service provided | Location | Notes |\n"
        "| :--- | --- | --- | --- |\n"
        "| [Alpha, Inc.](https://alpha.example/gdpr) | Hosting<br>Backup | United States, the EEA | x |\n"
        "| **Beta** \\| Co | Mail | [Ireland](https://maps.example) | |\n"
        "</Callout>\n"
        "\n"
        "{/* | Gamma | Hidden | */}\n"
        "Ask [our team](mailto:team@provider.example).\n",
        "list.mdx",
    )

    alpha = Entry(
        key="alpha-inc",
        name="Alpha, Inc.",
        website="https://alpha.example/gdpr",
        activities=("Hosting", "Backup"),
        places=(US, Place(site="EEA")),
    )
    assert found.entries == (alpha, Entry(key="beta-co", name="Beta | Co", activities=("Mail",), places=(IE,)))
    assert found.mapping == {
        "Sub-processor": "name",
        "Service provided": "activities",
        "Location": "places",
        "Notes": "",
    }
    assert [(said.row, said.column, said.code) for said in found.not_understood] == [(14, "Notes", "column_unused")]


def test_bullets_are_where_the_sentence_above_them_says() -> None:
    found = page(
        "# Our subprocessors\n\n"
        "We use third parties, such as [providers](../index.md), to run the service.\n\n"
        "These subprocessors are all located in the United States:\n"
        "* [Alpha](https://alpha.example/gdpr). Cloud hosting.\n"
        "* [Beta.io](/relative). A/B testing, of pages.\n\n"
        "These are located in the EU:\n\n"
        "- **Gamma** – Monitoring\n"
        "- Delta: Mail (Ireland)\n\n"
        "To be told of changes, subscribe to our [repository](https://code.example). [Here's how](../how.md).\n"
    )

    assert [(e.name, e.website, e.activities, e.places) for e in found.entries] == [
        ("Alpha", "https://alpha.example/gdpr", ("Cloud hosting",), (US,)),
        ("Beta.io", "", ("A/B testing, of pages",), (US,)),
        ("Gamma", "", ("Monitoring",), (EU,)),
        ("Delta", "", ("Mail",), (IE,)),
    ]
    assert found.not_understood == ()


def test_bullets_are_where_their_heading_or_the_bullet_above_them_says() -> None:
    found = page(
        "# Sous-traitants\n\n"
        "## États-Unis\n\n- Alpha (hébergement)\n\n"
        "## Infrastructure\n\n- Beta : sauvegarde\n\n"
        "## Others\n\n"
        "* Ireland\n  * Gamma - mail\n"
        "* Delta. Telephony.\n  * Location: Germany; France\n  * Purpose: Support\n"
    )

    by_name = {entry.name: entry for entry in found.entries}
    assert (by_name["Alpha"].activities, by_name["Alpha"].places) == (("hébergement",), (US,))
    assert (by_name["Beta"].activities, by_name["Beta"].places) == (("sauvegarde",), ())
    assert by_name["Gamma"].places == (IE,)
    assert by_name["Delta"].places == (Place(country="DE"), Place(country="FR"))
    assert by_name["Delta"].purposes == ("Support",)


def test_lists_that_are_not_of_subprocessors_are_left_out_and_told_by_line() -> None:
    found = page(
        "# Subprocessors\n\n"
        "Before we engage anybody:\n\n"
        "* We review their security.\n"
        "* We sign a contract with them.\n\n"
        "| Date | Change |\n| --- | --- |\n| 1 May | none |\n\n"
        "Our subprocessors:\n\n"
        "* Alpha. Hosting.\n"
        "* Beta. Mail.\n"
        "* more of them will be told of here as soon as we have engaged them, if ever we do.\n"
    )

    assert names(found) == ["Alpha", "Beta"]
    assert [(said.row, said.code) for said in found.not_understood] == [
        (5, "list_skipped"),
        (8, "list_skipped"),
        (16, "item_skipped"),
    ]


def test_a_page_without_a_list_is_refused() -> None:
    with pytest.raises(BadList) as bad:
        page("# Privacy\n\n* We care.\n* You matter.\n")

    assert [problem.code for problem in bad.value.problems] == ["no_list"]


def test_several_tables_are_one_list_and_each_is_where_its_heading_says() -> None:
    found = page(
        "# Sub-processors\n\n## In the EU\n\n| Name | Purpose |\n|---|---|\n| Alpha | Hosting |\n\n"
        "## Support\n\n| Company | Country of processing |\n|---|---|\n| Beta | US |\n| ALPHA | US |\n"
    )

    alpha, beta = found.entries
    assert (alpha.purposes, alpha.places) == (("Hosting",), (EU, US))
    assert (beta.name, beta.places) == ("Beta", (US,))


HTML = """<!doctype html><html><head><title>Sub-processors</title><style>td { color: red }</style></head><body>
<nav><ul><li><a href="/">Home</a></li></ul></nav>
<!-- <table><tr><th>Name</th></tr><tr><td>Hidden</td></tr></table> -->
<h2>Sub-processors</h2>
<table>
 <thead><tr><th>Name<th>Purpose<th>Location</tr></thead>
 <tr><td rowspan="2"><a href="https://alpha.example">Alpha&nbsp;SAS</a></td><td>Hosting</td><td>France</td></tr>
 <tr><td>Backup</td><td><p>Germany</p><p>Ireland</p></td></tr>
 <tr><td>Beta</td><td colspan="2">Mail</td></tr>
</table>
<p>Subprocessors located in Ireland:</p>
<ol><li><b>Gamma</b>. Telephony</ol>
<script>document.write("<table><tr><th>Name</th></tr></table>")</script>
</body></html>"""


@pytest.mark.parametrize("filename", ["list.html", "subprocessors"])
def test_html_is_read_as_it_is_shown(filename: str) -> None:
    found = page(HTML, filename)

    alpha, beta, gamma = found.entries
    assert (alpha.name, alpha.website, alpha.purposes) == ("Alpha SAS", "https://alpha.example", ("Hosting", "Backup"))
    assert alpha.places == (Place(country="FR"), Place(country="DE"), IE)
    assert (beta.purposes, beta.places) == (("Mail",), ())
    assert (gamma.name, gamma.activities, gamma.places) == ("Gamma", ("Telephony",), (IE,))


def test_html_inside_markdown_is_read_too_and_keeps_its_lines() -> None:
    found = page(
        "# Sub-processors\n\n<div>\n\n<table>\n<tr><th>Name</th><th>HDS</th></tr>\n\n"
        "    <tr><td>Alpha</td><td>perhaps</td></tr>\n</table>\n</div>\n\n| Vendor |\n| --- |\n| Beta |\n"
    )

    assert names(found) == ["Alpha", "Beta"]
    assert [(said.row, said.code) for said in found.not_understood] == [(8, "choice_unknown")]


def test_bullets_below_a_name_say_what_they_tell_or_are_told() -> None:
    found = page(
        "# Our subprocessors\n"
        "\n"
        "- **Alpha SAS**\n"
        "    - Location\n"
        "        - Ireland\n"
        "        - United States\n"
        "    - Purpose: tickets\n"
        "    - Hosted by us in Paris\n"
        "- **Beta SAS**\n"
        "    - Location:\n"
        "        - Ireland\n"
    )

    assert found.entries == (
        Entry(key="alpha-sas", name="Alpha SAS", purposes=("tickets",), places=(IE, US)),
        Entry(key="beta-sas", name="Beta SAS", places=(IE,)),
    )
    assert [(said.row, said.code) for said in found.not_understood] == [(8, "bullet_skipped")]


def test_the_form_of_the_standard_contractual_clauses_is_read() -> None:
    found = page(
        "## Annex III: list of sub-processors\n"
        "\n"
        "1. Name: Alpha Ltd\n"
        "   Location: Ireland\n"
        "   Contact person's name, position and contact details: Ana Costa\n"
        "   Description of the processing: Hosting\n"
        "   and backup\n"
        "2. **Name:** Beta GmbH<br>**Description of processing:** Support\n"
    )

    alpha = Entry(
        key="alpha-ltd", name="Alpha Ltd", contact="Ana Costa", activities=("Hosting and backup",), places=(IE,)
    )
    assert found.entries == (alpha, Entry(key="beta-gmbh", name="Beta GmbH", activities=("Support",)))
    assert not found.not_understood


def test_a_comment_within_a_row_is_not_the_list() -> None:
    found = page("| Vendor | Location |\n| --- | --- |\n| Alpha {/* soon */} | Ireland |\n", "list.mdx")

    assert found.entries == (Entry(key="alpha", name="Alpha", places=(IE,)),)


def test_titles_within_a_table_are_no_companies_and_may_stand_above_its_headings() -> None:
    found = page(
        "<h1>Subprocessors</h1>\n"
        "<table>\n"
        "<tr><th colspan=2>Subprocessors</th></tr>\n"
        "<tr><th>Name</th><th>Location</th></tr>\n"
        "<tr><td>Alpha<sup>1</sup></td><td>Ireland</td></tr>\n"
        "<tr><td colspan=2>Support</td></tr>\n"
        "<tr><td>Beta<sup><a href='#2'>2</a></sup></td><td>Ireland</td></tr>\n"
        "</table>\n",
        "list.html",
    )

    assert found.entries == (
        Entry(key="alpha", name="Alpha", places=(IE,)),
        Entry(key="beta", name="Beta", places=(IE,)),
    )
    assert [(said.row, said.code) for said in found.not_understood] == [(6, "title_skipped")]


def test_a_note_is_no_part_of_a_name() -> None:
    found = page("| Vendor | Location |\n| --- | --- |\n| Alpha [^1] | Ireland |\n\n[^1]: until May\n")

    assert found.entries == (Entry(key="alpha", name="Alpha", places=(IE,)),)


def test_a_place_in_brackets_may_stand_before_what_is_done() -> None:
    found = page("Our subprocessors:\n\n- **Alpha** (Ireland): hosting\n- Beta (EU, US) - support\n")

    assert [entry.places for entry in found.entries] == [(IE,), (EU, US)]
    assert [entry.activities for entry in found.entries] == [("hosting",), ("support",)]
