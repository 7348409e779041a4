"""What the provider says of itself as a host, and where everybody reads it."""

from __future__ import annotations

from notifier.models import Role
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

HOST = "/staff/provider/host"


def test_what_the_host_is_stands_in_the_table_that_everybody_reads(desk_clerk: Staffer) -> None:
    typed = {"hds": "yes", "secnumcloud": "no", "hds_activities_2": "yes", "places": "France: Pantin (production)"}

    saved = desk_clerk.send(HOST, "/host", typed)

    assert saved.status_code == 303
    assert "FR: Pantin (production)" in desk_clerk.get(HOST).text
    row = desk_clerk.get("/subprocessors/hds").text.partition("<tbody>")[2].partition("</tr>")[0]
    assert ("yes" in row, "not stated" in row) == (True, True)


def test_what_cannot_be_read_is_refused_beside_its_field_and_kept(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(HOST, "/host", {"hds": "yes", "outside_countries": "Atlantis"})

    assert refused.status_code == 422
    assert 'id="outside_countries-error"' in refused.text
    assert "Atlantis" in refused.text
    assert 'value="yes" checked' not in desk_clerk.get(HOST).text


def test_only_an_administrator_says_it(desk_clerk: Staffer) -> None:
    manager = desk_clerk.as_role(Role.ACCOUNT_MANAGER)

    assert manager.post(HOST, HOST, {"hds": "yes"}).status_code == 403
    assert "Only an administrator can change this." in manager.get(HOST).text
