"""Each client's own list: what was really made for it, as of any day."""

import pytest

from notifier.models import Role
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]


def own_list(clerk: Staffer, company: str = "Acme 0", on: str = "") -> str:
    address = f"/staff/clients/{clerk.notice(company).client_id}/list"
    return f"{address}?on={on}" if on else address


@pytest.mark.obligation("O5.1")
def test_a_clients_list_is_what_was_made_for_it_and_not_what_was_announced(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    before = desk_clerk.get(own_list(desk_clerk)).text
    manager = desk_clerk.on_the_day()
    manager.send(board, "/live")

    after = manager.get(own_list(manager)).text
    earlier = manager.get(own_list(manager, on="2026-03-10")).text

    assert ("Fibrexemple" in before, "Optexemple" in before) == (True, False)
    assert ("Fibrexemple" in after, "Optexemple" in after) == (False, True)
    assert ("Fibrexemple" in earlier, "Optexemple" in earlier) == (True, False)
    assert 'value="2026-03-10"' in earlier


def test_what_began_before_a_clients_period_ended_is_marked(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    why = {"reasons_en": "Fire.", "reasons_fr": "Un incendie.", "measures_en": "Keys.", "measures_fr": "Des clés."}
    desk_clerk.send(f"{board}/decisions/breach", "/breach", why)
    desk_clerk.as_role(Role.ACCOUNT_MANAGER).send(f"{board}/decisions/breach", "/confirmation")

    assert "began before its period ended" in desk_clerk.get(own_list(desk_clerk)).text


def test_a_client_that_was_excluded_keeps_its_list_and_is_told_from_which_change(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {}, per_client=True)
    desk_clerk.deliver()
    excluded = {"excluded_why": "It stays on the old site."}
    desk_clerk.send(f"{board}/clients/{desk_clerk.notice().id}", "/exclusion", excluded)
    manager = desk_clerk.on_the_day()
    manager.send(board, "/live")

    mine, other = (manager.get(own_list(manager, company)).text for company in ("Acme 0", "Acme 1"))

    assert ("Fibrexemple" in mine, "Optexemple" in mine) == (True, False)
    assert "It was excluded from these announcements: SP-2026-0002." in mine
    assert ("Fibrexemple" in other, "Optexemple" in other) == (False, True)


@pytest.mark.parametrize(
    ("on", "sentence"),
    [
        ("2026-12-24", "This day has not come yet."),
        ("soon", "Write a day that exists"),
        ("0001-01-01", "Write a day that exists"),
    ],
)
def test_a_day_that_has_not_come_or_is_none_is_refused(desk_clerk: Staffer, on: str, sentence: str) -> None:
    desk_clerk.announce()

    refused = desk_clerk.get(own_list(desk_clerk, on=on))

    assert refused.status_code == 422
    assert sentence in refused.text
    assert "Fibrexemple" in refused.text


def test_before_there_was_a_list_there_is_none(desk_clerk: Staffer) -> None:
    desk_clerk.announce()

    assert "No list was in force on that day." in desk_clerk.get(own_list(desk_clerk, on="2026-01-01")).text


def test_a_client_of_nobody_has_no_list(desk_clerk: Staffer) -> None:
    desk_clerk.announce()

    strange = desk_clerk.get(f"/staff/clients/{desk_clerk.notice().id}/list")

    assert strange.status_code == 404
    assert "There is no such client." in strange.text


def test_the_list_is_reached_from_the_clients_pages(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    assert f'href="{own_list(desk_clerk)}"' in desk_clerk.get(f"{board}/clients/{desk_clerk.notice().id}").text
    assert f'href="{own_list(desk_clerk)}"' in desk_clerk.get(f"/staff/clients/{desk_clerk.notice().client_id}").text


def test_a_day_to_come_shows_what_had_been_announced_for_it_by_the_day_that_is_named(desk_clerk: Staffer) -> None:
    desk_clerk.announce({"services": ["Compute"]})

    page = desk_clerk.get(f"{own_list(desk_clerk)}?on=2027-01-15&known_on=2026-03-02").text
    refused = desk_clerk.get(f"{own_list(desk_clerk)}?on=2027-01-15&known_on=2027-01-14")

    assert ("Fibrexemple" in page, "Optexemple" in page, "announced</span>" in page) == (False, True, True)
    assert "used by every service" in page
    assert (refused.status_code, "This day has not come yet." in refused.text) == (422, True)
