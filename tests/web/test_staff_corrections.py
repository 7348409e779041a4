"""What can still be done to an announcement that clients have been told of."""

from datetime import timedelta

import pytest
from sqlmodel import select

from notifier.models import AnnouncementState, Delivery, Role
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.services import registry
from tests.factories import REASONS, make_client
from tests.web.staffing import MOVE, Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

WHY = {"reasons_en": "We are not ready.", "reasons_fr": "Nous ne sommes pas prêts."}


@pytest.fixture
def board(desk_clerk: Staffer) -> str:
    """A move of the hosting, of which the one client has been told."""
    there = desk_clerk.announce_move()
    desk_clerk.deliver()
    desk_clerk.clock.shift(timedelta(hours=1))
    return there


def letters(clerk: Staffer, letter: str) -> list[Delivery]:
    with clerk.runtime.reading() as session:
        found = list(session.exec(select(Delivery).where(Delivery.letter == letter)))
        session.expunge_all()
        return found


# --- correcting ------------------------------------------------------------------------------------------------------


def test_a_correction_in_substance_tells_everybody_anew(desk_clerk: Staffer, board: str) -> None:
    typed = {"what_en": "The data is stored in Frankfurt and in Paris.", "why": "A site was forgotten."}

    done = desk_clerk.send(f"{board}/correction", "/correction", typed)

    assert (done.status_code, done.location) == (303, board)
    page = desk_clerk.get(board).text
    assert "The data is stored in Frankfurt and in Paris." in page
    assert "Corrected in substance: everybody was told anew, and every period began again (Ana)." in page
    assert "Why: A site was forgotten." in page
    assert desk_clerk.notice().state is NoticeState.RAISED
    assert len(letters(desk_clerk, "notice")) == 2


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"what_en": "Something else.", "why": " "}, "why"),
        ({"what_en": "", "why": "A slip."}, "what_en"),
        ({"reasons_fr": "", "why": "A slip."}, "reasons_fr"),
        ({"effective_on": "", "why": "A slip."}, "effective_on"),
        ({"effective_on": "2026-03-01", "why": "A slip."}, "effective_on"),
        ({"country": "US", "why": "A slip."}, "country"),
    ],
)
def test_a_correction_that_cannot_be_taken_says_why_and_keeps_what_was_typed(
    desk_clerk: Staffer, board: str, typed: dict[str, str], field: str
) -> None:
    refused = desk_clerk.send(f"{board}/correction", "/correction", typed)

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    assert 'value="Frankfurt"' in refused.text
    assert desk_clerk.announcement().edition == 1


def test_a_correction_that_corrects_nothing_is_refused(desk_clerk: Staffer, board: str) -> None:
    refused = desk_clerk.send(f"{board}/correction", "/correction", {"why": "To be sure."})

    assert refused.status_code == 422
    assert "This says the same as what clients have been told." in refused.text


def test_the_draft_of_the_registry_says_what_was_meant(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    desk_clerk.clock.shift(timedelta(hours=1))
    assert "There is no draft of the registry" in desk_clerk.get(f"{board}/correction").text
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})

    shown = desk_clerk.get(f"{board}/correction")
    done = desk_clerk.send(
        shown, "/correction", {"take_draft": "yes", "why": "The town was wrong.", "effective_on": "2026-06-01"}
    )

    assert "Against what was announced, it changes this:" in shown.text
    assert "<td>Lyon</td>" in shown.text
    assert done.status_code == 303
    assert "Lyon" in desk_clerk.get(board).text
    assert '<span class="badge">withdrawn</span>' in desk_clerk.get("/staff/registry").text
    assert "it never holds" in desk_clerk.get("/staff/registry/versions/2").text


def test_what_a_later_announcement_touches_is_not_withdrawn_before_it(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.clock.shift(timedelta(hours=1))
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})
    why = {"reasons_en": REASONS["en"], "reasons_fr": REASONS["fr"]}
    desk_clerk.send("/staff/registry/draft/preview", "/announcements", why)

    refused = desk_clerk.send(f"{board}/withdrawal", "/withdrawal", WHY)

    assert refused.status_code == 409
    assert "SP-2026-0003 was announced after it and contains its change." in refused.text
    assert "Nous ne sommes pas prêts." in refused.text


def test_a_slip_of_the_pen_is_mended_and_nobody_is_told_anew(desk_clerk: Staffer, board: str) -> None:
    typed = {"what_en": "The data is kept in Frankfurt.", "why": "A better word."}

    done = desk_clerk.send(f"{board}/wording", "/wording", typed)

    assert done.status_code == 303
    assert "Wording mended: nobody was told anew (Ana)." in desk_clerk.get(board).text
    assert len(letters(desk_clerk, "notice")) == 1
    assert desk_clerk.send(f"{board}/wording", "/wording", {"why": ""}).status_code == 422


# --- postponing ------------------------------------------------------------------------------------------------------


def test_a_postponement_tells_the_new_day(desk_clerk: Staffer, board: str) -> None:
    done = desk_clerk.send(f"{board}/postponement", "/postponement", {**WHY, "effective_on": "2026-10-01"})

    assert done.status_code == 303
    page = desk_clerk.get(board).text
    assert "Postponed: whoever was told has been told of the new day (Ana)." in page
    assert '<time datetime="2026-10-01">' in page
    assert len(letters(desk_clerk, "postponed")) == 1


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({**WHY, "effective_on": "2026-08-01"}, "effective_on"),
        ({**WHY, "effective_on": ""}, "effective_on"),
        ({**WHY, "effective_on": "2026-10-01", "reasons_fr": ""}, "reasons_fr"),
    ],
)
def test_a_postponement_to_no_later_day_or_without_its_reason_is_refused(
    desk_clerk: Staffer, board: str, typed: dict[str, str], field: str
) -> None:
    refused = desk_clerk.send(f"{board}/postponement", "/postponement", typed)

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text


# --- withdrawing -----------------------------------------------------------------------------------------------------


def test_what_withdrawing_does_is_said_before_and_done_after(desk_clerk: Staffer, board: str) -> None:
    shown = desk_clerk.get(f"{board}/withdrawal")

    without = desk_clerk.send(shown, "/withdrawal", {"reasons_en": "No.", "reasons_fr": ""})
    done = desk_clerk.send(shown, "/withdrawal", WHY)

    assert "This cannot be undone" in shown.text
    assert (without.status_code, done.status_code) == (422, 303)
    page = desk_clerk.get(board).text
    assert "by Ana: the change is not made." in page
    assert "The gate" not in page
    assert desk_clerk.announcement().state is AnnouncementState.WITHDRAWN
    assert len(letters(desk_clerk, "withdrawn")) == 1
    again = desk_clerk.send(shown, "/withdrawal", WHY)
    assert again.status_code == 409
    assert "This announcement is not under way" in again.text


def test_only_who_may_publish_changes_what_was_told(desk_clerk: Staffer, board: str) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)

    for act in ("correction", "wording", "postponement", "withdrawal"):
        assert auditor.get(f"{board}/{act}").status_code == 403
        assert f"{board}/{act}" not in auditor.get(board).text


def test_a_board_says_what_was_told_of_other_kinds(desk_clerk: Staffer, board: str) -> None:
    page = desk_clerk.get(board).text

    assert MOVE["what_en"] in page
    assert "Germany" in page
    assert "a client has not agreed" in page


# --- refusals that keep what was typed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "typed"),
    [
        ("correction", {"what_en": "In Paris too.", "why": "A site was forgotten."}),
        ("wording", {"what_en": "In Paris too.", "why": "A better word."}),
        ("postponement", {**WHY, "effective_on": "2026-10-01"}),
        ("withdrawal", WHY),
    ],
)
def test_what_is_not_under_way_any_more_is_changed_by_nobody_and_what_was_typed_is_kept(
    desk_clerk: Staffer, board: str, form: str, typed: dict[str, str]
) -> None:
    shown = desk_clerk.get(f"{board}/{form}")
    desk_clerk.send(f"{board}/withdrawal", "/withdrawal", WHY)

    refused = desk_clerk.send(shown, f"/{form}", typed)

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "This announcement is not under way" in refused.text
    assert all(text in refused.text for text in typed.values())


def test_a_registry_draft_that_undoes_everything_is_not_taken_in_and_what_was_typed_is_kept(
    desk_clerk: Staffer,
) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    with desk_clerk.runtime.transaction() as session:
        first = registry.get(session, 1)
        registry.replace_draft(session, registry.entries(session, first), by="test", now=now())

    typed = {"take_draft": "yes", "why": "All of it was wrong.", "effective_on": "2026-06-01"}
    refused = desk_clerk.send(f"{board}/correction", "/correction", typed)

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "there is nothing to publish." in refused.text
    assert "All of it was wrong." in refused.text


def test_a_period_left_blank_is_said_beside_the_correction_that_was_typed(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-900", company="Blank", pack="gdpr-scc-2021-915")

    typed = {"reasons_en": "The lease ended.", "why": "A site was forgotten."}
    refused = desk_clerk.send(f"{board}/correction", "/correction", typed)

    assert refused.status_code == 409
    assert "A contract pack leaves this period blank." in refused.text
    assert "A site was forgotten." in refused.text


# --- only the wording ------------------------------------------------------------------------------------------------


def test_names_and_countries_are_shown_and_not_written_where_only_the_wording_is_mended(
    desk_clerk: Staffer, board: str
) -> None:
    shown = desk_clerk.get(f"{board}/wording")

    refused = desk_clerk.send(shown, "/wording", {"country": "FR", "why": "A slip."})

    assert 'name="place" value="Frankfurt" readonly' in shown.text
    assert 'name="country" value="DE" readonly' in shown.text
    assert refused.status_code == 422
    assert "Only the wording can be mended here; correct it in substance." in refused.text
    assert desk_clerk.announcement().facts["country"] == "DE"


# --- the draft of the registry ---------------------------------------------------------------------------------------


def test_a_correction_leaves_the_registrys_draft_alone_unless_it_is_taken_in(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    desk_clerk.clock.shift(timedelta(hours=1))
    assert "take_draft" not in desk_clerk.get(f"{board}/correction").text
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})

    typed = {"reasons_en": "The lease ended.", "why": "The reason was wrong.", "effective_on": "2026-06-01"}
    done = desk_clerk.send(f"{board}/correction", "/correction", typed)

    assert done.status_code == 303
    assert "Lyon" not in desk_clerk.get(board).text
    assert "Lyon" in desk_clerk.get("/staff/registry/draft").text


def test_a_registry_draft_that_has_moved_is_shown_anew_before_it_is_taken_in(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    desk_clerk.clock.shift(timedelta(hours=1))
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})
    shown = desk_clerk.get(f"{board}/correction")
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Nantes"})

    typed = {"take_draft": "yes", "why": "The town was wrong.", "effective_on": "2026-06-01"}
    refused = desk_clerk.send(shown, "/correction", typed)

    assert refused.status_code == 409
    assert "Somebody else has changed the draft since you opened this form." in refused.text
    assert "The town was wrong." in refused.text
    assert "Nantes" in refused.text
    assert desk_clerk.send(refused, "/correction").status_code == 303
    assert "Nantes" in desk_clerk.get(board).text


def test_a_registry_draft_that_is_gone_is_not_taken_in_and_what_was_typed_is_kept(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})
    shown = desk_clerk.get(f"{board}/correction")
    desk_clerk.send("/staff/registry/draft", "/discard")

    refused = desk_clerk.send(shown, "/correction", {"take_draft": "yes", "why": "The town was wrong."})

    assert refused.status_code == 409
    assert "There is no draft of the registry" in refused.text
    assert "The town was wrong." in refused.text
