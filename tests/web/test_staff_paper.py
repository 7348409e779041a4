"""Letters of paper on the staff pages: printing, handing over, receipts with proofs, and letters that come back."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select
from werkzeug.test import TestResponse

from notifier.models import PaperState, Role, Terms
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.services import paper
from notifier.services.paper import Shown
from tests.factories import make_announcement, make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

STREET: Mapping[str, Any] = {
    "email_accepted": False,
    "address": "3, avenue de la Gare",
    "postcode": "38000",
    "town": "Grenoble",
}
SLIP = b"%PDF-1.7 the post's slip"
TODAY = "2026-03-02"


@pytest.fixture
def with_letters(desk_clerk: Staffer) -> tuple[Staffer, str]:
    """Two clients who are told by letter; the path of the page on which their letters stand."""
    return desk_clerk, desk_clerk.announce(STREET, STREET) + "/paper"


def letters_of(clerk: Staffer) -> list[Shown]:
    with clerk.runtime.reading() as session:
        return paper.letters_of(session, clerk.announcement().id)


def printed(clerk: Staffer, page: str) -> list[Shown]:
    clerk.send(page, "/batches")
    return letters_of(clerk)


def hand_over(clerk: Staffer, page: str, typed: Mapping[str, object]) -> TestResponse:
    ticked = {"letters": [str(one.letter.id) for one in letters_of(clerk)]}
    return clerk.send(page, "/hand-overs", {**ticked, **typed})


def handed_over(clerk: Staffer, page: str) -> list[Shown]:
    numbers = {tracking(one.letter.id): f"1A {place}" for place, one in enumerate(printed(clerk, page))}
    hand_over(clerk, page, {"handed_over_on": TODAY, **numbers})
    return letters_of(clerk)


def tracking(letter_id: UUID) -> str:
    return f"tracking-{letter_id}"


def file(content: bytes = SLIP, name: str = "slip.pdf") -> tuple[BytesIO, str]:
    return BytesIO(content), name


def own(page: str, one: Shown) -> str:
    return f"{page}/letters/{one.letter.id}"


# --- printing --------------------------------------------------------------------------------------------------------


def test_the_letters_that_wait_become_one_file_to_download(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    assert "Acme 0" in clerk.get(page).text

    done = clerk.send(page, "/batches")

    assert (done.status_code, done.location) == (303, page)
    shown = clerk.get(page).text
    assert "2 letters are ready." in shown
    (path,) = {part.partition('"')[0] for part in shown.split('href="') if part.startswith(f"{page}/batches/")}
    download = clerk.get(path)
    assert download.data.startswith(b"%PDF-")
    assert download.headers["Content-Disposition"].startswith("attachment; filename=SP-2026-0002-")
    assert download.headers["X-Content-Type-Options"] == "nosniff"
    assert download.headers["Cache-Control"] == "no-store"


def test_printing_twice_says_that_nothing_is_left(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    shown = clerk.get(page)
    clerk.send(shown, "/batches")

    again = clerk.send(shown, "/batches")

    assert again.status_code == 409
    assert "No letter waits to be printed." in again.text


def test_what_was_printed_is_printed_again_on_request(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    printed(clerk, page)

    done = clerk.send(page, "/reprints")

    assert done.status_code == 303
    assert clerk.get(page).text.count("Download the PDF") == 2


def test_an_address_that_no_window_shows_is_said_of_its_letter(desk_clerk: Staffer) -> None:
    page = desk_clerk.announce({**STREET, "address": "\n".join("abcdefg")}) + "/paper"

    refused = desk_clerk.send(page, "/batches")

    assert refused.status_code == 422
    assert "The letter SP-2026-0002/C-000 cannot be printed" in refused.text


def test_whoever_only_reads_may_download_and_change_nothing(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]
    auditor = clerk.as_role(Role.AUDITOR)

    assert "<form method" not in auditor.get(page).text.partition("<main")[2].partition("<footer")[0]
    assert auditor.get(f"{page}/batches/{one.letter.batch_id}").status_code == 200
    assert "<form method" not in auditor.get(own(page, one)).text.partition("<main")[2].partition("<footer")[0]


def test_a_stranger_signs_in_first(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]
    stranger = replace(clerk, browser=clerk.browser.application.test_client())

    for path in (page, own(page, one), f"{own(page, one)}/proof", f"{page}/batches/{one.letter.batch_id}"):
        assert "/sign-in" in (stranger.get(path).location or "")


# --- handing over ----------------------------------------------------------------------------------------------------


def test_letters_are_handed_over_together_each_with_its_number(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters

    letters = handed_over(clerk, page)

    assert [one.letter.tracking for one in letters] == ["1A 0", "1A 1"]
    assert "2 letters are on their way." in clerk.get(page).text


def test_numbers_may_be_pasted_by_client(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    printed(clerk, page)

    hand_over(clerk, page, {"handed_over_on": TODAY, "pasted": "C-001;1A 1\nc-000\t1A 0\n"})

    assert [(one.client.key, one.letter.tracking) for one in letters_of(clerk)] == [
        ("C-000", "1A 0"),
        ("C-001", "1A 1"),
    ]


def test_a_letter_without_a_number_is_said_beside_it_and_nothing_typed_is_lost(
    with_letters: tuple[Staffer, str],
) -> None:
    clerk, page = with_letters
    first, second = printed(clerk, page)

    refused = hand_over(clerk, page, {"handed_over_on": "2026-03-03", tracking(first.letter.id): "1A 0"})

    assert refused.status_code == 422
    assert f'id="{tracking(second.letter.id)}-error"' in refused.text
    assert 'id="handed_over_on-error"' in refused.text
    assert f'id="{tracking(first.letter.id)}-error"' not in refused.text
    assert 'value="1A 0"' in refused.text
    assert 'value="2026-03-03"' in refused.text
    assert "autofocus" in refused.text


def test_a_letter_whose_tick_is_taken_away_waits_for_another_day(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    first, second = printed(clerk, page)
    typed = {"handed_over_on": TODAY, tracking(first.letter.id): "1A 0", "letters": [str(first.letter.id)]}

    hand_over(clerk, page, typed)

    assert [one.letter.state for one in letters_of(clerk)] == [PaperState.HANDED_OVER, PaperState.PRINTED]
    assert second.client.company in clerk.get(page).text


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("C-000;1A 0\nC-777;1A 7", "Line 2: no printed letter is for the client C-777."),
        ("C-000", "Line 1: write the client’s key, a semicolon, and the number."),
    ],
)
def test_a_pasted_line_that_names_nobody_is_refused_by_its_number(
    with_letters: tuple[Staffer, str], pasted: str, sentence: str
) -> None:
    clerk, page = with_letters
    printed(clerk, page)

    refused = hand_over(clerk, page, {"handed_over_on": TODAY, "pasted": pasted})

    assert refused.status_code == 422
    assert sentence in refused.text
    assert pasted.splitlines()[-1] in refused.text


def test_a_pasted_number_that_differs_from_the_typed_one_is_asked_about(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    first, _ = printed(clerk, page)
    typed = {"handed_over_on": TODAY, "pasted": "C-000;1A 0", tracking(first.letter.id): "1A 9"}

    refused = hand_over(clerk, page, typed)

    assert "The list that you pasted gives this letter another number." in refused.text


def test_handing_over_no_letter_is_refused(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    printed(clerk, page)

    refused = hand_over(clerk, page, {"handed_over_on": TODAY, "letters": []})

    assert "Tick the letters that were handed over." in refused.text


def test_a_number_typed_wrongly_is_corrected_on_the_page_of_the_letter(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]

    refused = clerk.send(own(page, one), "/hand-over", {tracking(one.letter.id): " "})
    done = clerk.send(own(page, one), "/hand-over", {tracking(one.letter.id): "1A 7"})

    assert f'id="{tracking(one.letter.id)}-error"' in refused.text
    assert done.status_code == 303
    assert letters_of(clerk)[0].letter.tracking == "1A 7"


# --- what becomes of a letter ----------------------------------------------------------------------------------------


def test_a_receipt_starts_the_period_and_its_proof_can_be_downloaded(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]

    done = clerk.send(own(page, one), "/receipt", {"received_on": TODAY, "proof": file()})

    assert (done.status_code, done.location) == (303, own(page, one))
    assert clerk.notice("Acme 0").state is NoticeState.RUNNING
    proof = clerk.get(f"{own(page, one)}/proof")
    assert (proof.data, proof.mimetype) == (SLIP, "application/pdf")
    assert proof.headers["Content-Disposition"] == "attachment; filename=SP-2026-0002-C-000-slip.pdf"
    assert proof.headers["X-Content-Type-Options"] == "nosniff"


def test_a_proof_that_is_no_picture_of_one_is_refused_beside_its_field(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]

    refused = clerk.send(own(page, one), "/receipt", {"received_on": TODAY, "proof": file(b"<html>", "slip.html")})

    assert refused.status_code == 422
    assert 'id="proof-error"' in refused.text
    assert f'value="{TODAY}"' in refused.text
    assert "Choose the file again" in refused.text
    assert clerk.notice("Acme 0").state is NoticeState.RAISED


def test_a_letter_that_came_back_is_followed_by_another(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]

    clerk.send(own(page, one), "/return", {"why": "unknown_address"})
    assert clerk.notice("Acme 0").state is NoticeState.UNREACHED
    assert "unknown at the address" in clerk.get(own(page, one)).text
    again = clerk.send(own(page, one), "/again")

    assert (again.status_code, again.location) == (303, page)
    assert [item.letter.number for item in letters_of(clerk) if item.client.key == "C-000"] == [1, 2]
    assert 'action="' + own(page, one) not in clerk.get(own(page, one)).text  # the other one counts now


def test_what_was_recorded_meanwhile_by_somebody_else_is_said(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]
    clerk.send(own(page, one), "/return", {"why": "refused"})
    shown = clerk.get(own(page, one))
    clerk.send(shown, "/again")

    late = clerk.send(shown, "/again")

    assert late.status_code == 409
    assert "Another letter has been written to this client since" in late.text


def test_an_e_letter_is_recorded_as_its_certificate_says(desk_clerk: Staffer) -> None:
    own_terms: dict[str, dict[str, Any]] = {"all": {"channels": ["e_letter"], "unclaimed": "window_end"}}
    page = announce_under(desk_clerk, own_terms)
    (one,) = handed_over(desk_clerk, page)
    form = own(page, one)
    assert "received when the fifteen days end" in desk_clerk.get(form).text

    refused = desk_clerk.send(form, "/e-letter", {"informed_on": TODAY, "outcome": "accepted"})
    assert refused.status_code == 422
    assert 'id="accepted_at-error"' in refused.text

    typed = {"informed_on": TODAY, "outcome": "accepted", "accepted_at": "2026-03-02T12:30", "proof": file()}
    desk_clerk.send(form, "/e-letter", typed)
    assert letters_of(desk_clerk)[0].letter.state is PaperState.RECEIVED


def announce_under(clerk: Staffer, overrides: dict[str, dict[str, Any]]) -> str:
    """Announce a change to one client whose own terms say this."""
    with clerk.runtime.transaction() as session:
        client = make_client(session, "C-000", **{"company": "Acme 0", **STREET, "email_accepted": True})
        terms = session.exec(select(Terms).where(Terms.client_id == client.id)).one()
        terms.overrides = overrides
        session.add(terms)
        session.flush()
        made = make_announcement(session, clerk.runtime.desk, now=now())
        return f"/staff/announcements/{made.id}/paper"


def test_a_letter_of_another_announcement_is_not_found(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]
    elsewhere = page.replace(str(clerk.announcement().id), "00000000-0000-7000-8000-000000000000")

    assert clerk.get(own(elsewhere, one)).status_code == 404
    assert clerk.get(f"{elsewhere}/batches/{one.letter.batch_id}").status_code == 404
    assert clerk.get(f"{own(page, one)}/proof").status_code == 404
    assert clerk.get(elsewhere).status_code == 404


def test_the_pages_speak_french(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    one = handed_over(clerk, page)[0]

    assert clerk.get(f"{page}?lang=fr").status_code == 200
    assert clerk.get(f"{own(page, one)}?lang=fr").status_code == 200


def test_the_board_says_how_many_letters_are_where_and_leads_to_them(with_letters: tuple[Staffer, str]) -> None:
    clerk, page = with_letters
    board = page.removesuffix("/paper")
    assert f'<a href="{page}">Letters of paper: 2 to print, 0 on their way</a>' in clerk.get(board).text

    handed_over(clerk, page)

    assert "Letters of paper: 0 to print, 2 on their way" in clerk.get(board).text
