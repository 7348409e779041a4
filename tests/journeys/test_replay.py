"""Two lists that companies keep in public repositories, through all their years, against what a person read in them.

The files are not part of the product: NOTIFIER_TEST_HISTORIES says in which folder they are.  Each line of the tables
was written by reading the edits, and names the instant of the last commit of a version with all that it changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import Session

from notifier import resources
from notifier.adapters import histories
from notifier.services import registry, replay
from tests.conftest import MISSING
from tests.factories import NOON

NOW = NOON
Kinds = Mapping[str, Sequence[str]]  # kind → names

HOSTING_RELAYS = ["AWS", "DigitalOcean", "Vultr"]

BASECAMP: Sequence[tuple[str, Kinds]] = [
    ("2018-12-17T09:20:46-08:00", {"added": ["TaxJar"]}),
    (
        "2020-01-06T13:48:28-08:00",
        {"added": ["Mailchimp"], "removed": ["Clicky", "Google Analytics"], "scope_changed": ["Customer.io"]},
    ),
    ("2020-02-11T08:32:34-05:00", {"added": ["Zapier"]}),  # put into another order two minutes before
    ("2020-03-27T17:14:23-05:00", {"added": ["HelloSign", "Wufoo"], "removed": ["Zapier"]}),
    ("2020-06-03T17:49:52-05:00", {"removed": ["HelloSign", "Wufoo"], "scope_changed": ["Mailchimp"]}),
    ("2020-08-14T11:47:15-05:00", {"removed": ["Twilio"]}),
    ("2020-12-09T09:42:46-06:00", {"added": ["Google reCAPTCHA"]}),
    ("2021-07-12T22:00:58+02:00", {"added": ["hCaptcha"], "removed": ["Google reCAPTCHA"]}),
    ("2022-05-18T14:54:57+01:00", {"added": ["Datadog"]}),
    ("2022-07-05T16:49:28+02:00", {"added": ["Convert.com"]}),
    ("2023-02-27T10:31:59-08:00", {"added": ["Cloudflare"]}),
    ("2023-06-08T09:59:17+01:00", {"added": ["AppSignal"], "removed": ["Customer.io", "Datadog"]}),
]
TAILSCALE: Sequence[tuple[str, Kinds]] = [
    (
        "2023-08-16T11:44:58-04:00",
        {
            "added": ["Salesforce"],
            "removed": [
                *("Confluence", "Customer.io", "Discourse", "Fivetran", "GitHub", "Google Workspace", "Hightouch"),
                *("Honeycomb", "Notion", "Outreach", "Pipedrive", "Postmark", "Roam Research", "Stripe", "TimescaleDB"),
            ],
            # a column of purposes appears
            "scope_changed": [*HOSTING_RELAYS, "Fly", "HelpScout", "Rudderstack", "Segment", "Snowflake"],
        },
    ),
    # Europe becomes the European Economic Area, misspelt for a quarter of an hour
    ("2023-12-03T10:43:27-05:00", {"moved": [*HOSTING_RELAYS, "HelpScout"]}),
    (
        "2024-04-01T15:51:01-04:00",
        {
            "added": ["Jira Service Management", "NetActuate"],
            "removed": ["Fly", "Rudderstack", "Salesforce", "Segment"],
        },
    ),
    (
        "2024-04-11T12:24:45-04:00",  # what data is processed is said in other words for all
        {"scope_changed": [*HOSTING_RELAYS, "HelpScout", "Jira Service Management", "NetActuate", "Snowflake"]},
    ),
    ("2024-04-11T18:23:16-04:00", {"removed": ["HelpScout"]}),
    ("2024-10-28T12:59:31-04:00", {"added": ["Hetzner"]}),
    ("2025-08-29T14:09:34-04:00", {"added": ["Linode"]}),
]
# List → its first commit, how many entries it began with, all edits, those that change nothing in it, and the rest.
HISTORIES = {
    "basecamp": ("2018-05-24T19:48:38-07:00", 9, 23, 11, BASECAMP),
    "tailscale": ("2023-06-30T19:59:07-04:00", 23, 10, 2, TAILSCALE),
}


def history(name: str) -> histories.History:
    given = os.environ.get("NOTIFIER_TEST_HISTORIES")
    folder = Path(given) if given else resources.folder("config").resolve().parents[1] / "shared" / "histories"
    if not (folder / name / histories.INDEX).is_file():
        pytest.skip(f"{MISSING}: the history of {name} in {folder} (NOTIFIER_TEST_HISTORIES)")
    return histories.from_folder(folder / name, now=NOW)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_real_list_has_the_past_that_a_person_reads_in_it(session: Session, name: str) -> None:
    began, entries, edits, idle, expected = HISTORIES[name]
    past = replay.read(history(name).states, now=NOW)

    replay.take(session, past, by="test", now=NOW)

    first, *later = reversed(registry.versions(session))
    assert (first.published_at, len(registry.entries(session, first))) == (datetime.fromisoformat(began), entries)
    assert (len(past.edits) - 1, past.idle) == (edits, idle)
    assert [edit.not_understood for edit in past.edits if edit.not_understood] == []
    found = []
    for before, version in zip([first, *later], later, strict=False):
        kinds: dict[str, list[str]] = {}
        for change in registry.changes(session, before, version):
            kinds.setdefault(change.kind.value, []).append(change.name)
        found.append((version.published_at, {kind: sorted(names) for kind, names in kinds.items()}))
    assert found == [
        (datetime.fromisoformat(at), {kind: sorted(names) for kind, names in kinds.items()}) for at, kinds in expected
    ]


def test_the_fields_that_changed_are_those_that_a_person_reads() -> None:
    steps = replay.read(history("tailscale").states, now=NOW).steps
    fields = [{change.name: [one.field for one in change.fields] for change in step.changes} for step in steps]

    assert fields[1]["AWS"] == ["purposes"]  # a comma that got lost is only writing
    assert fields[1]["HelpScout"] == ["purposes", "data_categories"]
    assert fields[2]["AWS"] == fields[2]["HelpScout"] == ["places"]
    assert fields[4]["Snowflake"] == ["data_categories"]
