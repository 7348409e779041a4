"""Publishing a change of the registry, the board, and going live."""

import re
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from notifier.adapters.sending import Verdict
from notifier.models import AnnouncementKind, AnnouncementState, Attempt, Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.services import keyset, registry
from tests.factories import REASONS, make_client
from tests.web.staffing import Staffer, clock, deliver, desk_clerk, runtime
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

WHY = {"reasons_en": REASONS["en"], "reasons_fr": REASONS["fr"]}
PREVIEW = "/staff/registry/draft/preview"
OPTIC = {"activities": "Fibre noire", "country": "France"}


@pytest.fixture
def with_draft(desk_clerk: Staffer) -> Staffer:
    """A client, and a draft in which a new entry takes the place of another."""
    with desk_clerk.runtime.transaction() as session:
        make_client(session, company="Acme 0")
    typed = {"name": "Optexemple", "activities": "Fibre noire", "country": "France"}
    desk_clerk.send("/staff/registry/draft/entries?replaces=fibrexemple", "/entries", typed)
    return desk_clerk


# --- publishing ------------------------------------------------------------------------------------------------------


def test_the_preview_says_who_is_told_until_when_and_how_that_was_counted(with_draft: Staffer) -> None:
    page = with_draft.get(PREVIEW).text

    assert "Acme 0" in page
    assert "Wednesday 1 April 2026" not in page.partition("<ol>")[0]
    assert "The notice is presumed to be received on " in page
    assert "With a margin of 2 days, that is " in page
    assert "30 days later is " in page
    assert "to be confirmed by counsel" in page
    assert "Publish and send 1 mail" in page


def test_publishing_leads_to_the_board(with_draft: Staffer) -> None:
    done = with_draft.send(PREVIEW, "/announcements", WHY)

    assert (done.status_code, done.location) == (303, f"/staff/announcements/{with_draft.announcement().id}")
    assert "Published." in with_draft.get(done.location).text


def test_a_date_that_is_too_early_is_refused_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "effective_on": "2026-03-10"})

    assert refused.status_code == 422
    assert "Too early: these clients may still object then: Acme 0 (until" in refused.text
    assert 'value="2026-03-10"' in refused.text
    assert REASONS["en"] in refused.text
    assert "autofocus" in refused.text


def test_a_change_without_its_reason_in_both_languages_is_refused(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "reasons_fr": " "})

    assert refused.status_code == 422
    assert 'id="reasons_fr-error"' in refused.text
    assert 'id="reasons_en-error"' not in refused.text


def test_publishing_twice_says_that_there_is_nothing_left_to_publish(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with_draft.send(shown, "/announcements", WHY)

    again = with_draft.send(shown, "/announcements", WHY)

    assert again.status_code == 409
    assert "There is no draft" in again.text


def test_a_day_that_has_passed_is_refused_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "effective_on": "2026-03-01"})

    assert refused.status_code == 422
    assert "This day has passed." in refused.text
    assert 'value="2026-03-01"' in refused.text
    assert REASONS["fr"] in refused.text


def test_a_draft_that_is_not_the_one_previewed_is_previewed_anew_before_it_is_published(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with_draft.send("/staff/registry/draft/entries/equinix", "/equinix", {"town": "Lyon"})

    refused = with_draft.send(shown, "/announcements", {**WHY, "effective_on": "2027-01-15"})

    assert refused.status_code == 409
    assert "Somebody else has changed the draft since you looked." in refused.text
    assert "<td>Paris</td><td>Lyon</td>" in refused.text
    assert 'value="2027-01-15"' in refused.text
    assert REASONS["en"] in refused.text
    assert with_draft.send(refused, "/announcements").status_code == 303


# --- the board -------------------------------------------------------------------------------------------------------


def test_the_board_shows_where_each_client_stands(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {"contacts": []})

    page = desk_clerk.get(board).text

    assert "<strong>1</strong> not reached" in page
    assert "<strong>1</strong> being sent" in page
    assert "a client was not reached" in page
    assert "It does not open by itself" in page


def test_the_board_updates_itself_while_mails_are_in_flight_and_then_stops(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    before = desk_clerk.get(f"{board}/progress")
    desk_clerk.deliver()

    after = desk_clerk.get(f"{board}/progress")

    assert (before.status_code, after.status_code) == (200, 286)
    assert "hx-get" in before.text
    assert "hx-get" not in after.text
    assert "<strong>1</strong> told, no answer" in after.text


def test_the_board_tells_what_the_mail_server_said_to_mails_that_wait(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver(Verdict.DEFERRED, code=451, reply="try again later")

    page = desk_clerk.get(board).text

    assert "1 mail: <code>451 try again later</code>" in page


def test_only_the_board_may_run_our_script(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    assert "script-src 'self'" in desk_clerk.get(board).headers["Content-Security-Policy"]
    assert "script" not in desk_clerk.get("/staff/clients").headers["Content-Security-Policy"]


# --- going live ------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O5.4")
def test_nothing_goes_live_against_a_closed_gate(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    refused = desk_clerk.send(board, "/live", {"proof": "change 4711"})

    assert refused.status_code == 422
    assert "The gate is closed." in refused.text
    assert "change 4711" in refused.text
    assert desk_clerk.announcement().state is AnnouncementState.PUBLISHED


def test_a_closed_gate_says_until_when_and_what_can_be_done(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()

    page = desk_clerk.get(board).text

    assert "By itself, it opens" in page
    for choice in ("Wait", "Postpone", "Withdraw", "Go live all the same"):
        assert f"<dt>{choice}</dt>" in page
    assert "<dt>Exclude a client</dt>" not in page
    assert f"{board}/decisions/breach" in page


def test_an_objection_is_among_what_can_be_settled(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    desk_clerk.objects()

    page = desk_clerk.get(board).text

    assert "an objection is open" in page
    assert f'<a href="{board}/clients/{desk_clerk.notice().id}#answers">Acme 0</a>' in page


def test_it_goes_live_once_every_right_has_run(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()

    desk_clerk.on_the_day().send(board, "/live")

    assert desk_clerk.announcement().state is AnnouncementState.LIVE
    assert desk_clerk.announcement().breach_reason == ""


def test_when_it_really_went_live_is_recorded_in_the_providers_time_with_what_shows_it(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    effective_at = desk_clerk.announcement().effective_at
    manager = desk_clerk.on_the_day(after=timedelta(hours=9))

    local = (effective_at + timedelta(hours=5)).astimezone(ZoneInfo("Europe/Paris"))
    done = manager.send(board, "/live", {"at": local.strftime("%Y-%m-%dT%H:%M"), "proof": "change 4711"})

    assert done.status_code == 303
    assert desk_clerk.announcement().live_at == effective_at + timedelta(hours=5)
    assert "What shows it: change 4711" in manager.get(board).text


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("yesterday", "Write a day and a time"),
        ("0001-01-01T00:00", "Write a day and a time"),
        ("2030-01-01T00:00", "Write an instant that has passed"),
        ("2026-03-01T00:00", "Write an instant that has passed"),
    ],
)
def test_an_instant_at_which_it_cannot_have_gone_live_is_refused(
    desk_clerk: Staffer, typed: str, sentence: str
) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()

    refused = desk_clerk.on_the_day().send(board, "/live", {"at": typed})

    assert refused.status_code == 422
    assert sentence in refused.text
    assert f'value="{typed}"' in refused.text


def test_client_by_client_it_goes_live_for_those_that_are_ticked(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {}, {}, per_client=True)
    desk_clerk.deliver()
    desk_clerk.objects("Acme 2")
    manager = desk_clerk.on_the_day()
    before = manager.get(board)

    done = manager.send(before, "/live", {"clients": str(desk_clerk.notice("Acme 1").id)})

    assert "Open for 2 clients, closed for the others:" in before.text
    assert done.status_code == 303
    assert [desk_clerk.notice(f"Acme {number}").live_at is not None for number in range(3)] == [False, True, False]
    page = manager.get(board).text
    assert "It waits for the others." in page
    assert "Live for 1 client." in page


def test_client_by_client_with_none_ticked_it_goes_live_for_all_whose_gate_is_open(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {}, per_client=True)
    desk_clerk.deliver()
    desk_clerk.objects("Acme 1")

    desk_clerk.on_the_day().send(board, "/live")

    assert [desk_clerk.notice(f"Acme {number}").live_at is not None for number in range(2)] == [True, False]


def test_an_earlier_announcement_goes_live_first(with_draft: Staffer) -> None:
    first = with_draft.send(PREVIEW, "/announcements", WHY).location
    with_draft.clock.shift(timedelta(hours=1))
    with_draft.send("/staff/registry/draft/entries/optexemple", "/optexemple", {"town": "Lyon"})
    second = with_draft.send(PREVIEW, "/announcements", WHY).location

    refused = with_draft.send(second, "/live", {"proof": "change 4711"})

    assert refused.status_code == 409
    assert "SP-2026-0002 was announced earlier, changes the same, and must go live first." in refused.text
    assert "change 4711" in refused.text
    assert with_draft.send(first, "/live").status_code == 422


# --- an emergency ----------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O5.4")
def test_an_emergency_asks_for_consent_and_shortens_nobodys_period(with_draft: Staffer) -> None:
    shown = with_draft.get(f"{PREVIEW}?kind=emergency")
    typed = {**WHY, "measures_en": "The data is encrypted.", "measures_fr": "Les données sont chiffrées."}

    done = with_draft.send(shown, "/announcements", {**typed, "effective_on": "2026-03-03"})

    assert "An emergency shortens nobody’s period." in shown.text
    assert done.status_code == 303
    made = with_draft.announcement()
    assert (made.kind, made.reference) == (AnnouncementKind.EMERGENCY, "EM-2026-0002")
    with_draft.deliver()
    manager = with_draft.on_the_day(after=timedelta(days=2))
    assert manager.send(done.location, "/live").status_code == 422
    assert "a client may still object" in manager.get(done.location).text


def test_an_emergency_says_what_protects_the_data_meanwhile(with_draft: Staffer) -> None:
    refused = with_draft.send(f"{PREVIEW}?kind=emergency", "/announcements", WHY)

    assert refused.status_code == 422
    assert 'id="measures_en-error"' in refused.text
    assert "An emergency shortens nobody’s period." in refused.text


def test_the_notice_that_brought_a_change_about_is_kept_with_it(with_draft: Staffer) -> None:
    typed = {"cause_from": "Upstream Ltd", "cause_reference": "UP-7", "cause_received_on": "2026-02-27"}

    board = with_draft.send(PREVIEW, "/announcements", {**WHY, **typed}).location

    assert "Upstream Ltd, UP-7" in with_draft.get(board).text
    assert '<time datetime="2026-02-27">' in with_draft.get(board).text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"cause_reference": "UP-7"}, "cause_from"),
        ({"cause_from": "Up", "cause_received_on": "then"}, "cause_received_on"),
    ],
)
def test_a_cause_that_says_too_little_is_refused(with_draft: Staffer, typed: dict[str, str], field: str) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, **typed})

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text


# --- clients who come later ------------------------------------------------------------------------------------------


def test_a_client_that_came_after_the_announcement_holds_the_gate_until_it_is_told(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-900", company="Latecomer")
    desk_clerk.clock.shift(timedelta(hours=1))

    before = desk_clerk.get(board)
    told = desk_clerk.send(before, "/latecomers")

    assert "a client under contract has not been told" in before.text
    assert "<li>Latecomer</li>" in before.text
    assert (told.status_code, told.location) == (303, board)
    after = desk_clerk.get(board).text
    assert "1 more client is told." in after
    assert "Clients who have not been told" not in after
    assert desk_clerk.notice("Latecomer").state is NoticeState.RAISED


# --- refusals that keep what was typed -------------------------------------------------------------------------------


def test_clients_are_not_chosen_where_it_is_made_for_all_and_the_proof_is_kept(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    manager = desk_clerk.on_the_day(after=timedelta(days=1))

    refused = manager.send(board, "/live", {"proof": "CHG-77", "clients": str(manager.notice().id)})

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "This change cannot be made for one client and not for another." in refused.text
    assert "CHG-77" in refused.text


def test_what_somebody_else_has_recorded_as_live_is_said_and_the_proof_is_kept(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    manager = desk_clerk.on_the_day(after=timedelta(days=1))
    shown = manager.get(board)
    manager.send(shown, "/live", {"proof": "CHG-76"})

    refused = manager.send(shown, "/live", {"proof": "CHG-77"})

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "This announcement has gone live already." in refused.text
    assert "CHG-77</textarea>" in refused.text


def test_a_draft_that_says_nothing_new_is_refused_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with with_draft.runtime.transaction() as session:
        base = registry.entries(session, registry.published(session))
        draft = registry.replace_draft(session, base, by="test", now=now())
        revision = str(draft.revision)

    refused = with_draft.send(shown, "/announcements", {**WHY, "revision": revision, "effective_on": "2027-01-15"})

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "there is nothing to publish." in refused.text
    assert REASONS["en"] in refused.text
    assert 'value="2027-01-15"' in refused.text


def test_a_period_that_a_contract_leaves_blank_is_said_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with with_draft.runtime.transaction() as session:
        make_client(session, "C-900", company="Blank", pack="gdpr-scc-2021-915")

    refused = with_draft.send(shown, "/announcements", {**WHY, "effective_on": "2027-01-15"})

    assert refused.status_code == 409
    assert "Please correct this" in refused.text
    assert "A contract pack leaves this period blank." in refused.text
    assert REASONS["en"] in refused.text
    assert 'value="2027-01-15"' in refused.text


# --- how fast, and until when ----------------------------------------------------------------------------------------


def left_yesterday(desk_clerk: Staffer, *, mails: int = 30) -> None:
    """Mails of a minute each three seconds have left before: twenty a minute."""
    with desk_clerk.runtime.transaction() as session:
        some = session.exec(select(Delivery)).first()
        assert some
        for number in range(mails):
            names = {"purpose": f"old {number}", "message_id": f"<{number}@hosting.example>", "announcement_id": None}
            written = {**some.model_dump(exclude={"id"}), **names, "state": DeliveryState.ACCEPTED}
            old = Delivery(**written)
            session.add(old)
            session.flush()
            at = now() - timedelta(days=1, seconds=3 * number)
            session.add(Attempt(delivery_id=old.id, number=1, verdict=Verdict.ACCEPTED, code=250, peer="relay", at=at))


def test_the_board_says_how_many_have_left_and_when_the_last_one_will_have(desk_clerk: Staffer) -> None:
    path = desk_clerk.announce(*({} for _ in range(5)))
    left_yesterday(desk_clerk)
    deliver(desk_clerk.runtime, Verdict.ACCEPTED, limit=2)

    for page in (desk_clerk.get(path).text, desk_clerk.get(f"{path}/progress").text):
        said = " ".join(page.split())
        assert '<progress max="5" value="2" aria-label="Mails that have left"></progress>' in said
        assert "2 of 5 mails have left. 2 within the last 5 minutes. At 20 a minute, the last will have left" in said
        assert re.search(r"14:0\d \(Paris time\)</time>, in about \d+ (second|minute)", said)


def test_the_board_says_that_all_have_left(desk_clerk: Staffer) -> None:
    path = desk_clerk.announce({}, {})
    desk_clerk.deliver()

    said = " ".join(desk_clerk.get(path).text.split())

    assert "2 of 2 mails have left. All have left." in said
    assert "within the last 5 minutes" not in said


def test_the_board_says_that_nothing_leaves(desk_clerk: Staffer) -> None:
    path = desk_clerk.announce({}, {})
    desk_clerk.clock.shift(timedelta(minutes=6))

    said = " ".join(desk_clerk.get(path).text.split())

    assert "0 of 2 mails have left. None has left within the last 5 minutes." in said
    assert "a minute" not in said


def test_the_board_says_what_came_to_another_end(desk_clerk: Staffer) -> None:
    path = desk_clerk.announce({}, {})
    desk_clerk.deliver(Verdict.REFUSED, reply="no such user", code=550)

    said = " ".join(desk_clerk.get(path).text.split())

    assert "0 of 2 mails have left. None is still to leave: the others were refused" in said


def test_the_preview_says_how_long_sending_would_take(with_draft: Staffer) -> None:
    before = " ".join(with_draft.get(PREVIEW).text.split())
    with_draft.send(PREVIEW, "/announcements", WHY)
    left_yesterday(with_draft)
    with_draft.send("/staff/registry/draft/entries?replaces=optexemple", "/entries", {**OPTIC, "name": "Troisfibres"})
    after = " ".join(with_draft.get(PREVIEW).text.split())

    assert "If it is published now: 1 mail. How fast they leave is not known before some have left." in before
    assert "If it is published now: 1 mail. At 20 a minute, the last will have left" in after


# --- by the page -----------------------------------------------------------------------------------------------------


def test_a_long_board_is_walked_by_links_that_keep_the_status_asked_for(
    desk_clerk: Staffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "SIZE", 2)
    board = desk_clerk.announce(*({} for _ in range(5)))
    desk_clerk.deliver()
    desk_clerk.objects("Acme 4")

    first = desk_clerk.get(f"{board}?status=silent").text
    (following,) = [link for link in Page(first).links if "after=" in link]
    second = desk_clerk.get(following).text
    (preceding,) = [link for link in Page(second).links if "before=" in link]

    assert listed(first) == ["Acme 0", "Acme 1"]
    assert listed(second) == ["Acme 2", "Acme 3"]
    assert 'rel="next"' not in second
    assert listed(desk_clerk.get(preceding).text) == ["Acme 0", "Acme 1"]
    assert "Only: told, no answer." in second
    for page in (first, second):  # the numbers are those of the whole
        assert "<strong>4</strong> told, no answer" in page
        assert "<strong>1</strong> objected" in page


def test_a_number_beside_the_bar_leads_to_those_clients(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {})
    desk_clerk.deliver()
    desk_clerk.objects("Acme 1")

    (link,) = [link for link in Page(desk_clerk.get(board).text).links if "status=objected" in link]

    assert listed(desk_clerk.get(link).text) == ["Acme 1"]


@pytest.mark.parametrize("asked", ["status=nonsense", "after=nobody", f"before={UUID(int=1)}", "status=&after="])
def test_an_address_that_asks_for_nothing_known_shows_the_first_page(desk_clerk: Staffer, asked: str) -> None:
    board = desk_clerk.announce()

    page = desk_clerk.get(f"{board}?{asked}")

    assert page.status_code == 200
    assert listed(page.text) == ["Acme 0"]


def test_what_must_be_settled_stands_on_every_page(desk_clerk: Staffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "SIZE", 1)
    board = desk_clerk.announce({}, {})
    desk_clerk.deliver()
    desk_clerk.objects("Acme 1")

    page = desk_clerk.get(board).text

    assert listed(page) == ["Acme 0"]
    assert f"{desk_clerk.notice('Acme 1').id}#answers" in page


def listed(page: str) -> list[str]:
    """The companies in the table of a board."""
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a></th>', page)
