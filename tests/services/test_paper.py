"""Clients whose terms refuse mail: a courtesy copy that starts no clock, and a letter that does."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pypdf import PdfReader
from sqlmodel import Session, select

from notifier.models import Announcement, Client, EventKind, PaperLetter, PaperState, PrintBatch
from notifier.rules.gate import Hold
from notifier.rules.notice_states import NoticeState
from notifier.rules.terms import Channel, Unclaimed
from notifier.services import boards, corrections, going_live, outbox, paper
from notifier.services.desk import Desk
from notifier.services.paper import BadPaper, Fault, NotNow, Proof, Return, Shown
from tests.factories import NOON, PACK, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import breach, deliveries, happened, kinds_of_items, notice_of, send_due, with_pack

STREET = {"address": "3, avenue de la Gare", "postcode": "38000", "town": "Grenoble", "country": "FR"}
MONDAY = date(2026, 3, 2)
PROMISED = date(2026, 4, 13)  # the last day that a letter raised on that Monday is presumed to leave, at the latest
SLIP = Proof(name="slip.pdf", content=b"%PDF-1.7 the post's slip")


def by_letter(session: Session, key: str = "C-001", **fields: Any) -> Client:  # noqa: ANN401 - fields of any type
    return make_client(session, key, **{"email_accepted": False, **STREET, **fields})


def announce(session: Session, desk: Desk, **client: Any) -> tuple[Client, Announcement]:  # noqa: ANN401 - as by_letter
    make_provider(session)
    told = by_letter(session, **client)
    return told, make_announcement(session, desk)


def at(day: int, *, hour: int = 12) -> datetime:
    """Return an hour (UTC) of a day in March 2026, or after it."""
    return datetime(2026, 3, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)


SOON, LATER, MUCH_LATER = at(20), at(30), at(60)


def letters_of(session: Session, announcement: Announcement) -> Sequence[Shown]:
    return paper.letters_of(session, announcement.id)


def letter_of(session: Session, client: Client) -> PaperLetter:
    """Return the newest letter to a client."""
    query = select(PaperLetter).where(PaperLetter.notice_id == notice_of(session, client).id)
    return max(session.exec(query), key=lambda row: (row.edition, row.number))


def print_all(session: Session, desk: Desk, announcement: Announcement, *, now: datetime = NOON) -> PrintBatch:
    return paper.print_batch(session, desk, announcement.id, by="user:ana", now=now)


def hand_over(session: Session, letter: PaperLetter, *, on: date = MONDAY, now: datetime = NOON) -> None:
    paper.hand_over(session, {letter.id: f"1A {letter.id.hex}"}, handed_over_on=on, by="user:ana", now=now)


def send_letter(session: Session, desk: Desk, client: Client, announcement: Announcement) -> PaperLetter:
    """Print the one letter and hand it to the post, on the Monday."""
    letter = letter_of(session, client)
    if letter.channel is Channel.E_LETTER:
        paper.make_e_letters(session, desk, announcement.id, by="user:ana", now=NOON)
    else:
        print_all(session, desk, announcement)
    hand_over(session, letter)
    return letter


def receive(
    session: Session,
    desk: Desk,
    letter: PaperLetter,
    on: date,
    *,
    now: datetime = MUCH_LATER,
    proof: Proof | None = None,
) -> None:
    paper.record_receipt(session, desk, letter.id, received_on=on, proof=proof, by="user:ana", now=now)


def pages(batch: PrintBatch) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(batch.pdf)).pages]


# --- the story -------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O10.2", "O6.5")
def test_a_client_that_refuses_mail_has_its_period_from_its_letter_and_not_from_the_copy(
    session: Session, desk: Desk
) -> None:
    client, announcement = announce(session, desk)
    send_due(session, desk, now=NOON)
    notice = notice_of(session, client)
    assert [copy.address for copy in deliveries(session)] == ["dpo@c-001.example"]
    assert (notice.state, notice.received_on, notice.object_by) == (NoticeState.RAISED, None, PROMISED)
    assert kinds_of_items(session, announcement) == ["paper_to_print"]

    letter = send_letter(session, desk, client, announcement)
    waiting = boards.row(session, notice.id, now=MUCH_LATER)
    assert Hold.NOT_RECEIVED in waiting.gate.holds
    assert kinds_of_items(session, announcement) == []

    receive(session, desk, letter, date(2026, 3, 18), now=at(19), proof=SLIP)

    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 3, 18))
    assert notice.object_by == date(2026, 4, 17)  # 30 days from the handing over
    row = boards.row(session, notice.id, now=at(19))
    assert (row.gate.holds, row.gate.opens_at) == ((Hold.PERIOD,), notice.object_until)


@pytest.mark.obligation("O10.2")
def test_the_copy_of_a_client_that_refuses_mail_neither_reaches_it_nor_fails_to(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    send_due(session, desk, now=NOON)
    (copy,) = deliveries(session)

    outbox.returned(session, desk, copy.id, by="user:ana", evidence="no such user", now=at(3))

    assert notice_of(session, client).state is NoticeState.RAISED
    assert Hold.UNREACHED not in boards.board(session, announcement.id, now=at(3)).gate.holds


def test_a_client_without_any_contact_is_told_by_letter_all_the_same(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk, contacts=[])

    batch = print_all(session, desk, announcement)

    assert deliveries(session) == []
    assert "A copy of this notice goes to your contacts by mail" not in " ".join(pages(batch))
    assert letter_of(session, client).language == "en"


# --- printing --------------------------------------------------------------------------------------------------------


def test_the_letters_that_wait_are_printed_into_one_file_that_is_kept(session: Session, desk: Desk) -> None:
    make_provider(session)
    by_letter(session, "C-1", company="Clinique Exemple", contacts=[{"language": "fr"}])
    by_letter(session, "C-2", company="Example Hospital")
    announcement = make_announcement(session, desk)

    batch = print_all(session, desk, announcement)

    french, english = pages(batch)[0], pages(batch)[2]
    assert "Clinique Exemple À l’attention de Camille Roy 3, avenue de la Gare 38000 Grenoble" in french
    assert "Lettre recommandée avec accusé de réception" in french
    assert "Registered letter with acknowledgement of receipt" in english
    assert "Fibrexemple is replaced by Optexemple" in english
    assert REASONS["en"] in " ".join(pages(batch))
    (printed,) = happened(session, EventKind.PAPER_PRINTED)
    assert printed.data == {"letters": 2, "channel": "paper", "sha256": batch.sha256}
    assert {one.letter.state for one in letters_of(session, announcement)} == {PaperState.PRINTED}


def test_a_letter_says_that_time_runs_from_the_day_on_which_it_is_handed_over(session: Session, desk: Desk) -> None:
    _, announcement = announce(session, desk)

    text = " ".join(pages(print_all(session, desk, announcement)))

    assert "within 30 days, counted from the day on which this letter is handed to you" in text
    assert "If you say nothing by your last day" in text
    assert "That copy starts no period: this letter does." in text
    assert f"name our reference {announcement.reference}/C-001" in text
    assert "13 April" not in text  # a presumed last day would promise more, or less, than the receipt


def test_a_letter_is_printed_once(session: Session, desk: Desk) -> None:
    _, announcement = announce(session, desk)
    print_all(session, desk, announcement)

    with pytest.raises(paper.NothingToPrint):
        print_all(session, desk, announcement)


def test_what_was_spoilt_is_printed_again_on_request_until_it_is_handed_over(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    first = print_all(session, desk, announcement)

    again = paper.reprint(session, desk, first.id, by="user:ana", now=at(3))

    letter = letter_of(session, client)
    assert (again.letters, letter.batch_id, letter.state) == (1, again.id, PaperState.PRINTED)
    assert [one.id for one in paper.batches_of(session, announcement.id)] == [again.id, first.id]
    hand_over(session, letter, now=at(3))
    with pytest.raises(paper.NothingToPrint):
        paper.reprint(session, desk, again.id, by="user:ana", now=at(3))


def test_an_address_that_no_window_shows_names_the_letter_and_prints_nothing(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk, address="\n".join("abcdefg"))

    with pytest.raises(paper.NotPrintable) as refused:
        print_all(session, desk, announcement)

    assert refused.value.reference == f"{announcement.reference}/C-001"
    assert letter_of(session, client).state is PaperState.WAITING


def test_a_client_for_whom_the_change_is_not_made_gets_no_letter(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    announcement.per_client = True
    going_live.exclude(session, notice_of(session, client).id, why="It leaves.", by="user:ana", now=NOON)

    assert paper.waiting(session, announcement.id) == []
    with pytest.raises(paper.NothingToPrint):
        print_all(session, desk, announcement)


def test_a_letter_that_still_waits_when_the_change_is_made_says_so_and_why(session: Session, desk: Desk) -> None:
    _, announcement = announce(session, desk)
    breach(session, desk, announcement, now=at(3))

    text = " ".join(pages(print_all(session, desk, announcement, now=at(3))))

    assert "on 3 March 2026, before the right that your contract gives you had run" in text
    assert "The old site burnt down." in text
    assert "The data is encrypted." in text
    assert "does not start for you" not in text


def test_a_letter_of_a_corrected_announcement_says_what_it_replaces(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    sent = send_letter(session, desk, client, announcement)
    corrections.correct(
        session,
        desk,
        announcement.id,
        effective_on=announcement.effective_on + timedelta(days=30),
        reasons={"en": "It closes sooner.", "fr": "Il ferme plus tôt."},
        why="the site was closed",
        by="user:ana",
        now=at(3),
    )

    text = " ".join(pages(print_all(session, desk, announcement, now=at(3))))
    receive(session, desk, sent, date(2026, 3, 5))

    assert "This letter replaces our notice of 2 March 2026." in text
    assert "What is different" in text
    assert notice_of(session, client).state is NoticeState.RAISED  # the letter of the edition before starts nothing


# --- handing over ----------------------------------------------------------------------------------------------------


def test_letters_are_handed_over_on_a_day_each_with_its_number(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = letter_of(session, client)
    print_all(session, desk, announcement)

    paper.hand_over(session, {letter.id: " 1A 234  567 "}, handed_over_on=MONDAY, by="user:ana", now=NOON)

    assert (letter.state, letter.tracking, letter.handed_over_on) == (PaperState.HANDED_OVER, "1A 234 567", MONDAY)
    (event,) = happened(session, EventKind.PAPER_HANDED_OVER)
    assert event.about_id == notice_of(session, client).id
    assert (event.data["client"], event.data["tracking"], event.data["handed_over_on"]) == (
        "C-001",
        "1A 234 567",
        "2026-03-02",
    )


@pytest.mark.parametrize(
    ("number", "day", "faults"),
    [
        ("1A", date(2026, 3, 3), {"handed_over_on": Fault.IN_FUTURE}),
        ("1A", date(2026, 3, 1), {"handed_over_on": Fault.BEFORE_LETTER}),
        ("1A", None, {"handed_over_on": Fault.MISSING}),
        (" ", MONDAY, {"letter": Fault.NO_TRACKING}),
        ("1" * 61, MONDAY, {"letter": Fault.TRACKING_TOO_LONG}),
    ],
)
def test_a_hand_over_that_cannot_be_is_refused_row_by_row(
    session: Session, desk: Desk, number: str, day: date | None, faults: dict[str, Fault]
) -> None:
    client, announcement = announce(session, desk)
    letter = letter_of(session, client)
    print_all(session, desk, announcement)

    with pytest.raises(BadPaper) as refused:
        paper.hand_over(session, {letter.id: number}, handed_over_on=day, by="user:ana", now=NOON)

    assert refused.value.faults == {str(letter.id) if key == "letter" else key: fault for key, fault in faults.items()}
    assert letter.state is PaperState.PRINTED


def test_two_letters_have_two_numbers(session: Session, desk: Desk) -> None:
    make_provider(session)
    one, other = (letter_to for letter_to in (by_letter(session, "C-1"), by_letter(session, "C-2")))
    announcement = make_announcement(session, desk)
    print_all(session, desk, announcement)
    first, second = letter_of(session, one), letter_of(session, other)

    with pytest.raises(BadPaper) as refused:
        paper.hand_over(session, {first.id: "1A", second.id: "1A"}, handed_over_on=MONDAY, by="user:ana", now=NOON)
    paper.hand_over(session, {first.id: "1A"}, handed_over_on=MONDAY, by="user:ana", now=NOON)
    with pytest.raises(BadPaper) as refused_again:
        paper.hand_over(session, {second.id: "1A"}, handed_over_on=MONDAY, by="user:ana", now=NOON)

    twice = Fault.TRACKING_TWICE
    assert refused.value.faults == {str(first.id): twice, str(second.id): twice}
    assert refused_again.value.faults == {str(second.id): twice}


def test_a_letter_that_was_not_printed_cannot_be_handed_over(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk)

    with pytest.raises(NotNow):
        hand_over(session, letter_of(session, client))


def test_a_number_typed_wrongly_is_corrected_while_the_letter_is_on_its_way(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)

    paper.hand_over(session, {letter.id: "1A 9"}, handed_over_on=date(2026, 3, 3), by="user:ana", now=at(3))

    assert (letter.tracking, letter.handed_over_on) == ("1A 9", date(2026, 3, 3))


# --- receipt ---------------------------------------------------------------------------------------------------------


def test_the_proof_of_a_receipt_is_kept_with_its_digest(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)

    receive(session, desk, letter, date(2026, 3, 5), proof=Proof(name="C:\\scans\\slip.pdf", content=SLIP.content))

    kept = paper.proof(session, letter.id)
    assert (kept.name, kept.content, kept.content_type) == ("slip.pdf", SLIP.content, "application/pdf")
    (event,) = happened(session, EventKind.PAPER_RECEIVED)
    assert event.data["proof_sha256"] == letter.proof_sha256 != ""
    assert "slip" not in str(event.data)


@pytest.mark.parametrize(
    ("day", "proof", "faults"),
    [
        (date(2026, 3, 6), None, {"received_on": Fault.IN_FUTURE}),
        (date(2026, 3, 1), None, {"received_on": Fault.BEFORE_HAND_OVER}),
        (None, None, {"received_on": Fault.MISSING}),
        (MONDAY, Proof(name="slip.pdf", content=b"<html>"), {"proof": Fault.PROOF_UNREADABLE}),
        (MONDAY, Proof(name="slip.pdf", content=b"%PDF-" + bytes(5 * 1024 * 1024)), {"proof": Fault.PROOF_TOO_LARGE}),
    ],
)
def test_a_receipt_that_cannot_be_starts_no_clock(
    session: Session, desk: Desk, day: date | None, proof: Proof | None, faults: dict[str, Fault]
) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)

    with pytest.raises(BadPaper) as refused:
        paper.record_receipt(session, desk, letter.id, received_on=day, proof=proof, by="user:ana", now=at(5))

    assert refused.value.faults == faults
    assert notice_of(session, client).state is NoticeState.RAISED


def test_a_receipt_corrected_to_a_later_day_moves_the_last_day_later(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    receive(session, desk, letter, date(2026, 3, 18), now=SOON)

    receive(session, desk, letter, date(2026, 3, 19), now=SOON)

    notice = notice_of(session, client)
    assert (notice.received_on, notice.object_by) == (date(2026, 3, 19), date(2026, 4, 20))  # off a Saturday
    assert happened(session, EventKind.PAPER_RECEIVED)[-1].data["corrected"] == "2026-03-18"


def test_a_receipt_corrected_to_an_earlier_day_takes_no_last_day_back(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    receive(session, desk, letter, date(2026, 3, 18), now=SOON)

    receive(session, desk, letter, date(2026, 3, 4), now=SOON)

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 3, 4))
    assert notice.object_by == date(2026, 4, 17)


def test_a_receipt_stays_as_it_is_once_the_change_has_been_made(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    receive(session, desk, letter, date(2026, 3, 4))
    going_live.go_live(session, announcement.id, by="user:ana", now=MUCH_LATER)

    with pytest.raises(paper.Settled):
        receive(session, desk, letter, date(2026, 3, 5))

    assert letter.received_on == date(2026, 3, 4)


def test_nothing_is_received_before_it_was_handed_over(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    print_all(session, desk, announcement)

    with pytest.raises(NotNow):
        receive(session, desk, letter_of(session, client), MONDAY)


# --- letters that come back ------------------------------------------------------------------------------------------


def test_a_letter_that_comes_back_leaves_the_client_unreached_and_before_a_person(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)

    paper.record_return(session, desk, letter.id, why=Return.UNKNOWN_ADDRESS, proof=SLIP, by="user:ana", now=at(12))

    assert notice_of(session, client).state is NoticeState.UNREACHED
    assert kinds_of_items(session, announcement) == ["unreachable_client"]
    assert Hold.UNREACHED in boards.board(session, announcement.id, now=MUCH_LATER).gate.holds
    (shown,) = letters_of(session, announcement)
    assert (shown.letter.state, shown.why) == (PaperState.RETURNED, "unknown_address")


def test_a_receipt_that_was_recorded_by_mistake_is_taken_back_by_a_return(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    receive(session, desk, letter, date(2026, 3, 4))

    paper.record_return(session, desk, letter.id, why=Return.REFUSED, by="user:ana", now=MUCH_LATER)

    assert (notice_of(session, client).state, notice_of(session, client).received_on) == (NoticeState.UNREACHED, None)


def test_another_letter_gives_the_client_its_whole_period_anew(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    paper.record_return(session, desk, letter.id, why=Return.UNCLAIMED, by="user:ana", now=SOON)

    again = paper.write_again(session, letter.id, by="user:ana", now=SOON)

    notice = notice_of(session, client)
    assert (again.number, again.state, again.channel) == (2, PaperState.WAITING, Channel.PAPER)
    assert notice.object_by > PROMISED
    assert kinds_of_items(session, announcement) == ["paper_to_print"]
    text = " ".join(pages(print_all(session, desk, announcement, now=SOON)))
    assert "This letter repeats ours of 2 March 2026, which came back to us." in text
    assert f"{announcement.reference}/C-001/2" in text
    with pytest.raises(paper.Superseded):
        receive(session, desk, letter, date(2026, 3, 5))
    hand_over(session, again, on=date(2026, 3, 20), now=SOON)
    receive(session, desk, again, date(2026, 3, 24))
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 3, 24))


def test_whoever_left_since_is_not_written_to_again(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)
    paper.record_return(session, desk, letter.id, why=Return.REFUSED, by="user:ana", now=SOON)
    (shown,) = letters_of(session, announcement)
    assert shown.contact is not None
    shown.contact.left_at = at(19)
    session.flush()

    assert paper.write_again(session, letter.id, by="user:ana", now=SOON).contact_id is None


def test_a_letter_that_has_not_come_back_is_not_followed_by_another(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    letter = send_letter(session, desk, client, announcement)

    with pytest.raises(NotNow):
        paper.write_again(session, letter.id, by="user:ana", now=SOON)


# --- registered e-letters --------------------------------------------------------------------------------------------


def e_letter(
    session: Session, desk: Desk, unclaimed: Unclaimed = Unclaimed.NEVER
) -> tuple[Client, Announcement, PaperLetter, Desk]:
    desk = with_pack(desk, PACK, channels=(Channel.E_LETTER,), unclaimed=unclaimed)
    client, announcement = announce(session, desk, email_accepted=True)
    return client, announcement, send_letter(session, desk, client, announcement), desk


def end(
    session: Session, desk: Desk, letter: PaperLetter, outcome: datetime | Return | None, *, now: datetime = LATER
) -> None:
    paper.record_e_letter(
        session, desk, letter.id, informed_on=date(2026, 3, 3), outcome=outcome, by="user:ana", now=now
    )


def test_an_e_letter_is_received_on_the_local_day_of_its_acceptance(session: Session, desk: Desk) -> None:
    client, _, letter, desk = e_letter(session, desk)

    end(session, desk, letter, datetime(2026, 3, 4, 23, 30, tzinfo=UTC))  # 00:30 of the next day in Paris

    assert letter.state is PaperState.RECEIVED
    assert notice_of(session, client).received_on == date(2026, 3, 5)


@pytest.mark.parametrize(
    ("unclaimed", "received_on"),
    [
        (Unclaimed.WINDOW_END, date(2026, 3, 18)),
        (Unclaimed.FIRST_PRESENTATION, date(2026, 3, 3)),
    ],
)
@pytest.mark.parametrize("outcome", [Return.UNCLAIMED, Return.REFUSED])
def test_an_e_letter_that_nobody_accepts_is_received_when_the_contract_says_so(
    session: Session, desk: Desk, unclaimed: Unclaimed, received_on: date, outcome: Return
) -> None:
    client, _, letter, desk = e_letter(session, desk, unclaimed)

    end(session, desk, letter, outcome)

    assert (letter.state, notice_of(session, client).received_on) == (PaperState.RECEIVED, received_on)


def test_an_e_letter_that_nobody_accepts_is_not_received_where_the_contract_is_silent(
    session: Session, desk: Desk
) -> None:
    client, announcement, letter, desk = e_letter(session, desk)

    end(session, desk, letter, Return.UNCLAIMED)

    assert (letter.state, notice_of(session, client).state) == (PaperState.RETURNED, NoticeState.UNREACHED)
    assert kinds_of_items(session, announcement) == ["unreachable_client"]


def test_what_becomes_of_an_unclaimed_e_letter_is_left_to_its_contract(session: Session, desk: Desk) -> None:
    client, _, letter, desk = e_letter(session, desk, Unclaimed.WINDOW_END)

    with pytest.raises(NotNow):
        paper.record_return(session, desk, letter.id, why=Return.UNCLAIMED, by="user:ana", now=LATER)

    assert notice_of(session, client).state is NoticeState.RAISED


def test_after_an_e_letter_that_nobody_accepted_a_letter_of_paper_is_written(session: Session, desk: Desk) -> None:
    client, announcement, letter, desk = e_letter(session, desk)
    end(session, desk, letter, Return.REFUSED)

    again = paper.write_again(session, letter.id, on_paper=True, by="user:ana", now=LATER)

    assert (again.channel, notice_of(session, client).channel) == (Channel.PAPER, Channel.PAPER)
    assert "Registered letter" in pages(print_all(session, desk, announcement, now=LATER))[0]


@pytest.mark.parametrize(
    ("outcome", "now", "faults"),
    [
        (at(2), LATER, {"accepted_at": Fault.BEFORE_INFORMED}),
        (at(19), LATER, {"accepted_at": Fault.AFTER_WINDOW}),
        (at(6), at(5), {"accepted_at": Fault.IN_FUTURE}),
        (None, at(5), {"accepted_at": Fault.MISSING}),
        (at(3), at(2), {"informed_on": Fault.IN_FUTURE}),
        (Return.UNCLAIMED, at(18), {"outcome": Fault.WINDOW_RUNS}),
    ],
)
def test_what_cannot_have_happened_to_an_e_letter_is_refused(
    session: Session, desk: Desk, outcome: datetime | Return | None, now: datetime, faults: dict[str, Fault]
) -> None:
    client, _, letter, desk = e_letter(session, desk)

    with pytest.raises(BadPaper) as refused:
        end(session, desk, letter, outcome, now=now)

    assert refused.value.faults == faults
    assert notice_of(session, client).state is NoticeState.RAISED


def test_each_e_letter_has_a_file_of_its_own_and_paper_stays_apart(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "electronic", channels=(Channel.E_LETTER,))
    make_provider(session)
    for key in ("C-1", "C-2"):
        by_letter(session, key, pack="electronic", email_accepted=True)
    by_letter(session, "C-3")
    announcement = make_announcement(session, desk)

    made = paper.make_e_letters(session, desk, announcement.id, by="user:ana", now=NOON)

    assert [batch.letters for batch in made] == [1, 1]
    assert "Registered electronic letter" in pages(made[0])[0]
    assert "from the day on which you accept this letter" in " ".join(pages(made[0]))
    named = [{key for key in ("C-1", "C-2") if f"Company {key}" in " ".join(pages(batch))} for batch in made]
    assert sorted(map(sorted, named)) == [["C-1"], ["C-2"]]
    assert [one.client.key for one in paper.waiting(session, announcement.id)] == ["C-3"]
    assert kinds_of_items(session, announcement) == ["paper_to_print"]


# --- what is not there -----------------------------------------------------------------------------------------------


def test_a_letter_or_a_file_that_is_not_there_is_said_to_be_missing(session: Session, desk: Desk) -> None:
    for ask in (paper.letter, paper.proof):
        with pytest.raises(paper.NoSuchLetter):
            ask(session, uuid4())
    with pytest.raises(paper.NoSuchLetter):
        paper.record_return(session, desk, uuid4(), why=Return.OTHER, by="user:ana", now=NOON)
    with pytest.raises(paper.NoSuchLetter):
        paper.hand_over(session, {}, handed_over_on=MONDAY, by="user:ana", now=NOON)
    with pytest.raises(paper.NoSuchBatch):
        paper.batch(session, uuid4())


def test_how_many_letters_are_where_is_counted(session: Session, desk: Desk) -> None:
    make_provider(session)
    first, _second = by_letter(session, "C-1"), by_letter(session, "C-2")
    announcement = make_announcement(session, desk)
    assert paper.counts(session, announcement.id) == {PaperState.WAITING: 2}

    print_all(session, desk, announcement)
    hand_over(session, letter_of(session, first))

    assert paper.counts(session, announcement.id) == {PaperState.PRINTED: 1, PaperState.HANDED_OVER: 1}
