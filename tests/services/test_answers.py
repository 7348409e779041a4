from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session, col, select

from notifier.adapters.sending import Verdict
from notifier.models import Announcement, AnnouncementKind, Answer, AnswerKind, Delivery, EventKind, Fetch, Item, Link
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Gate, Hold
from notifier.rules.links import Keyring, digest
from notifier.runtime import Runtime
from notifier.services import announcements, answers, boards, going_live, notices
from notifier.services.answers import (
    LinkInvalid,
    NameMissing,
    NoSuchAnswer,
    NoteMissing,
    NothingChosen,
    NotYours,
    ReasonsMissing,
    TooLateToConsent,
)
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, happened, kinds_of_items, notice_of, send_due, token_for

NEXT_DAY = NOON + timedelta(days=1)
CAMILLE, DOMINIQUE = "camille@acme.example", "dominique@acme.example"


@dataclass(frozen=True)
class Told:
    """A client's two contacts have a mail each; what they do with it is said in verbs."""

    session: Session
    desk: Desk
    announcement: Announcement
    notice_id: UUID

    def token(self, address: str = CAMILLE) -> str:
        return token_for(self.session, self.desk, address)

    def acknowledge(self, address: str = CAMILLE) -> str:
        return answers.acknowledge(
            self.session, self.desk, self.token(address), [self.notice_id], name="Camille Roy", now=NEXT_DAY
        )

    def object_to(self, address: str = CAMILLE, reasons: str = "Too far away.") -> str:
        return answers.object_to(
            self.session, self.desk, self.token(address), self.notice_id, name="C. Roy", reasons=reasons, now=NEXT_DAY
        )

    def terminate(self, address: str = CAMILLE) -> str:
        return answers.terminate(
            self.session, self.desk, self.token(address), self.notice_id, name="Camille Roy", now=NEXT_DAY
        )

    def withdraw(self, address: str = CAMILLE) -> str:
        return answers.withdraw(
            self.session, self.desk, self.token(address), self.notice_id, name="D. Blanc", now=NEXT_DAY
        )

    def gate(self) -> Gate:
        end = self.announcement.effective_at
        return boards.board(self.session, self.announcement.id, now=end).gate

    def status(self) -> str:
        return boards.board(self.session, self.announcement.id, now=NEXT_DAY).rows[0].status

    def standing(self) -> list[str]:
        query = select(Answer).where(col(Answer.standing).is_(True)).order_by(col(Answer.id))
        return [answer.kind.value for answer in self.session.exec(query)]


@pytest.fixture
def told(session: Session, desk: Desk) -> Told:
    make_provider(session)
    client = make_client(session, contacts=[{"email": CAMILLE}, {"email": DOMINIQUE, "language": "fr"}])
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    return Told(session, desk, announcement, notice_of(session, client).id)


# --- what an answer does ---------------------------------------------------------------------------------------------


def test_acknowledging_confirms_receipt_and_ends_nothing(told: Told) -> None:
    before = notices.get(told.session, told.notice_id).model_copy()

    told.acknowledge()

    after = notices.get(told.session, told.notice_id)
    assert (after.state, after.object_by) == (before.state, before.object_by)
    assert (told.status(), told.standing()) == ("acknowledged", ["acknowledgement"])
    assert kinds_of_items(told.session) == []


def test_objecting_and_terminating_stay_open_after_acknowledging(told: Told) -> None:
    told.acknowledge()
    told.object_to()
    told.terminate()

    assert told.standing() == ["acknowledgement", "objection", "termination"]
    assert told.status() == "terminated"
    assert kinds_of_items(told.session) == ["objection", "termination"]
    assert told.gate().holds[:2] == (Hold.OBJECTION, Hold.TERMINATION)


def test_an_objection_keeps_its_reasons_and_who_signed_it(told: Told) -> None:
    told.object_to(reasons="  Too far\naway.  ")

    (answer,) = told.session.exec(select(Answer)).all()
    assert (answer.signed_name, answer.reasons, answer.answered_at) == ("C. Roy", "Too far\naway.", NEXT_DAY)
    assert (answer.late, answer.machine_like) == (False, False)


@pytest.mark.parametrize("act", [Told.acknowledge, Told.object_to, Told.terminate])
def test_the_same_answer_twice_is_one_with_one_reference(told: Told, act: Callable[[Told], str]) -> None:
    first, mails = act(told), len(told.session.exec(select(Delivery)).all())

    assert act(told) == first
    assert len(told.session.exec(select(Answer)).all()) == 1
    assert len(told.session.exec(select(Delivery)).all()) == mails
    assert len(happened(told.session, EventKind.ANSWER_RECORDED)) == 1


def test_an_objection_of_another_contact_stands_on_its_own(told: Told) -> None:
    told.acknowledge(CAMILLE)
    told.object_to(CAMILLE)
    told.object_to(DOMINIQUE)

    assert told.standing() == ["acknowledgement", "objection", "objection"]
    assert kinds_of_items(told.session) == ["objection", "objection"]


def test_a_contact_who_only_acknowledges_takes_no_objection_away(told: Told) -> None:
    told.object_to(DOMINIQUE)
    told.acknowledge(CAMILLE)

    assert (told.status(), told.gate().opens_at) == ("objected", None)


def test_references_can_be_read_out(told: Told) -> None:
    references = {told.acknowledge(), told.object_to(), told.terminate()}

    assert len(references) == 3
    assert all(len(reference) == 9 and set(reference) <= {*answers.ALPHABET, "-"} for reference in references)


def test_a_reference_shows_its_answers_through_the_links_of_the_same_client_alone(told: Told) -> None:
    reference = told.object_to(CAMILLE)

    colleague = answers.open_link(told.session, told.token(DOMINIQUE), now=NEXT_DAY)
    stranger = replace(colleague, told=())

    assert [answer.reference for answer in answers.by_reference(told.session, colleague, reference)] == [reference]
    assert answers.by_reference(told.session, stranger, reference) == []


# --- who is told of an answer ----------------------------------------------------------------------------------------


def test_every_contact_who_was_told_gets_a_receipt_in_their_language(told: Told) -> None:
    reference = told.acknowledge()

    receipts = deliveries(told.session, "receipt")
    assert [(mail.address, mail.language) for mail in receipts] == [(CAMILLE, "en"), (DOMINIQUE, "fr")]
    assert {mail.facts["reference"] for mail in receipts} == {reference}
    assert {mail.facts["signed_name"] for mail in receipts} == {"Camille Roy"}
    assert deliveries(told.session, "objection") == []


@pytest.mark.parametrize("act", [Told.object_to, Told.terminate])
def test_the_account_manager_is_told_of_an_objection_and_of_a_termination(
    told: Told, act: Callable[[Told], str]
) -> None:
    reference = act(told)

    (alert,) = deliveries(told.session, "objection")
    assert (alert.address, alert.lane) == ("ana@hosting.example", 0)
    assert (alert.facts["reference"], alert.facts["company"]) == (reference, "Company C-001")
    assert alert.facts["link"] == f"http://localhost/staff/announcements/{told.announcement.id}"


def test_without_an_account_manager_the_privacy_contact_is_told(session: Session, desk: Desk) -> None:
    make_provider(session, privacy_contact="privacy@hosting.example")
    client = make_client(session, account_manager="")
    make_announcement(session, desk)
    token = token_for(session, desk, "dpo@c-001.example")

    answers.terminate(session, desk, token, notice_of(session, client).id, name="Camille Roy", now=NOON)

    assert [alert.address for alert in deliveries(session, "objection")] == ["privacy@hosting.example"]


def test_receipts_and_alerts_are_mails_that_can_be_sent(told: Told) -> None:
    told.acknowledge()
    told.object_to()
    told.withdraw()
    told.terminate()

    mails = send_due(told.session, told.desk, now=NEXT_DAY)

    assert len(mails) == 10  # four receipts for two contacts, two alerts


def test_an_answer_that_looks_like_a_machines_counts_and_is_put_before_a_person(told: Told) -> None:
    answers.acknowledge(
        told.session, told.desk, told.token(), [told.notice_id], name="Camille", machine_like=True, now=NEXT_DAY
    )

    assert (told.status(), kinds_of_items(told.session)) == ("acknowledged", ["machine_like_answer"])
    assert happened(told.session, EventKind.ANSWER_RECORDED)[0].data["machine_like"] is True


# --- several companies behind one address ----------------------------------------------------------------------------


@pytest.fixture
def group(session: Session, desk: Desk) -> tuple[str, UUID, UUID]:
    """A token of the one mail that tells of two companies, and the notice of each."""
    make_provider(session)
    shared = [{"email": "legal@group.example"}]
    acme, globex = (make_client(session, key, contacts=shared) for key in ("C-1", "C-2"))
    make_announcement(session, desk)
    token = token_for(session, desk, "legal@group.example")
    return token, notice_of(session, acme).id, notice_of(session, globex).id


def test_one_act_acknowledges_for_several_companies(
    session: Session, desk: Desk, group: tuple[str, UUID, UUID]
) -> None:
    token, acme, globex = group

    reference = answers.acknowledge(session, desk, token, [acme, globex], name="Camille Roy", now=NOON)

    assert [answer.reference for answer in session.exec(select(Answer))] == [reference, reference]
    (receipt,) = deliveries(session, "receipt")
    assert [entity["company"] for entity in receipt.facts["entities"]] == ["Company C-1", "Company C-2"]


def test_each_company_answers_for_itself(session: Session, desk: Desk, group: tuple[str, UUID, UUID]) -> None:
    token, acme, globex = group

    first = answers.acknowledge(session, desk, token, [acme], name="Camille Roy", now=NOON)
    answers.object_to(session, desk, token, globex, name="Camille Roy", reasons="No.", now=NOON)
    second = answers.acknowledge(session, desk, token, [acme, globex], name="Camille Roy", now=NOON)

    found = {(answer.notice_id, answer.kind): answer.reference for answer in session.exec(select(Answer))}
    assert len(found) == 3
    assert found[acme, AnswerKind.ACKNOWLEDGEMENT] == first
    assert found[globex, AnswerKind.ACKNOWLEDGEMENT] == second
    rows = boards.board(session, _announcement(session).id, now=NOON).rows
    assert [row.status for row in rows] == ["acknowledged", "objected"]


def _announcement(session: Session) -> Announcement:
    return session.exec(select(Announcement)).one()


# --- refused ---------------------------------------------------------------------------------------------------------


def test_a_link_that_is_not_ours_opens_nothing(told: Told) -> None:
    forged = Keyring.of(b"x" * 32).token(told.session.exec(select(Delivery.id)).first() or uuid4(), "notice")

    for token in (forged, told.token()[:-1], told.token() + "A", "", "\0", digest(told.token())):
        with pytest.raises(LinkInvalid, match="this link is not valid or no longer valid"):
            answers.open_link(told.session, token, now=NEXT_DAY)


def test_a_link_lives_thirty_days_after_the_last_day_and_not_longer(told: Told) -> None:
    end = notices.get(told.session, told.notice_id).object_until + timedelta(days=30)

    assert answers.open_link(told.session, told.token(), now=end - timedelta(seconds=1)).told
    with pytest.raises(LinkInvalid):
        answers.open_link(told.session, told.token(), now=end)


def test_a_link_that_was_revoked_opens_nothing(told: Told) -> None:
    link = told.session.get(Link, digest(told.token()))
    assert link is not None
    link.revoked_at = NOON

    with pytest.raises(LinkInvalid):
        told.acknowledge()


def test_a_link_does_not_open_another_clients_notice(told: Told) -> None:
    acts: list[Callable[[], object]] = [
        lambda: answers.acknowledge(told.session, told.desk, told.token(), [uuid4()], name="Camille", now=NEXT_DAY),
        lambda: answers.withdraw(told.session, told.desk, told.token(), uuid4(), name="Camille", now=NEXT_DAY),
    ]
    for act in acts:
        with pytest.raises(NotYours):
            act()
    assert told.session.exec(select(Answer)).all() == []


def test_an_act_without_its_words_is_refused(told: Told) -> None:
    with pytest.raises(NothingChosen):
        answers.acknowledge(told.session, told.desk, told.token(), [], name="Camille Roy", now=NEXT_DAY)
    with pytest.raises(ReasonsMissing):
        told.object_to(reasons=" \n ")
    for name in ("", "  ", "123", "..."):
        with pytest.raises(NameMissing):
            answers.acknowledge(told.session, told.desk, told.token(), [told.notice_id], name=name, now=NEXT_DAY)
    assert told.session.exec(select(Answer)).all() == []


def test_an_answer_after_the_last_day_is_taken_and_marked_late(told: Told) -> None:
    end = notices.get(told.session, told.notice_id).object_until
    notices.lapse_due(told.session, now=end)

    answers.object_to(
        told.session, told.desk, told.token(), told.notice_id, name="Camille", reasons="I was away.", now=end
    )

    (answer,) = told.session.exec(select(Answer)).all()
    assert answer.late
    assert happened(told.session, EventKind.ANSWER_RECORDED)[0].data["late"] is True
    assert told.gate().opens_at is None


def test_an_answer_in_the_last_instant_is_in_time(told: Told) -> None:
    just_before = notices.get(told.session, told.notice_id).object_until - timedelta(microseconds=1)

    answers.terminate(told.session, told.desk, told.token(), told.notice_id, name="Camille", now=just_before)

    assert [answer.late for answer in told.session.exec(select(Answer))] == [False]


# --- taken back, settled ---------------------------------------------------------------------------------------------


def test_withdrawing_an_objection_opens_the_gate_again(told: Told) -> None:
    told.object_to()
    assert told.gate().opens_at is None

    told.withdraw()

    notices.lapse_due(told.session, now=told.announcement.effective_at)
    assert told.gate().is_open
    assert (told.status(), kinds_of_items(told.session)) == ("silent", [])


def test_what_was_withdrawn_is_kept_with_who_did_it_when_and_through_which_link(told: Told) -> None:
    told.object_to(CAMILLE)

    told.withdraw(DOMINIQUE)

    through = answers.open_link(told.session, told.token(DOMINIQUE), now=NEXT_DAY).delivery.id
    (answer,) = told.session.exec(select(Answer)).all()
    assert (answer.standing, answer.closed_at, answer.closing_note) == (None, NEXT_DAY, "withdrawn by D. Blanc")
    assert answer.closed_by == f"link:{through}"
    assert happened(told.session, EventKind.ANSWER_CLOSED)[0].by == f"link:{through}"
    withdrawals = [mail for mail in deliveries(told.session, "receipt") if "withdrawal" in mail.purpose]
    assert [mail.address for mail in withdrawals] == [CAMILLE, DOMINIQUE]
    assert {mail.facts["signed_name"] for mail in withdrawals} == {"D. Blanc"}


def test_after_withdrawing_one_may_object_anew(told: Told) -> None:
    first = told.object_to()
    told.withdraw()

    second = told.object_to()

    assert first != second
    assert len(told.session.exec(select(Answer)).all()) == 2
    assert (told.status(), kinds_of_items(told.session)) == ("objected", ["objection"])


def test_withdrawing_nothing_does_nothing(told: Told) -> None:
    told.terminate()

    assert told.withdraw() == ""
    assert told.standing() == ["termination"]
    assert happened(told.session, EventKind.ANSWER_CLOSED) == []


def test_a_person_settles_a_termination_with_a_note(told: Told) -> None:
    told.terminate()
    (answer,) = told.session.exec(select(Answer)).all()

    with pytest.raises(NoteMissing):
        answers.settle(told.session, answer.id, note=" ", by="user:1", now=NEXT_DAY)
    for _ in range(2):
        answers.settle(told.session, answer.id, note="Contract ended on 31 March.", by="user:1", now=NEXT_DAY)

    assert (answer.standing, answer.closed_by, answer.closing_note) == (None, "user:1", "Contract ended on 31 March.")
    assert kinds_of_items(told.session) == []
    assert told.session.exec(select(Item.note)).one() == "Contract ended on 31 March."
    assert len(happened(told.session, EventKind.ANSWER_CLOSED)) == 1


def test_an_acknowledgement_is_nothing_to_settle(told: Told) -> None:
    told.acknowledge()
    (answer,) = told.session.exec(select(Answer)).all()

    for answer_id in (answer.id, uuid4()):
        with pytest.raises(NoSuchAnswer):
            answers.settle(told.session, answer_id, note="Done.", by="user:1", now=NEXT_DAY)


def test_a_withdrawal_that_looks_like_a_machines_leaves_the_objection_standing_and_is_put_before_a_person(
    told: Told,
) -> None:
    told.object_to()
    told.terminate()
    mails = len(told.session.exec(select(Delivery)).all())

    reference = answers.withdraw(
        told.session, told.desk, told.token(), told.notice_id, name="Camille", machine_like=True, now=NEXT_DAY
    )

    assert (reference, told.standing()) == ("", ["objection", "termination"])
    assert (Hold.OBJECTION in told.gate().holds, told.gate().opens_at) == (True, None)
    assert kinds_of_items(told.session) == ["machine_like_answer", "objection", "termination"]
    (doubted,) = happened(told.session, EventKind.ANSWER_DOUBTED)
    assert (doubted.about_id, doubted.data["answer"]) == (told.notice_id, "withdrawal")
    assert len(told.session.exec(select(Delivery)).all()) == mails
    told.withdraw()
    assert told.standing() == ["termination"]  # a person may still do it


# --- proof of arrival ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evidence", ["fetch", "answer"])
def test_what_comes_through_a_link_proves_that_its_mail_arrived(session: Session, desk: Desk, evidence: str) -> None:
    make_provider(session)
    client = make_client(session)
    make_announcement(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.UNKNOWN})
    token, notice_id = token_for(session, desk, "dpo@c-001.example"), notice_of(session, client).id

    if evidence == "fetch":
        answers.record_fetch(session, desk, token, method="GET", agent="Browser", prefetch=False, now=NEXT_DAY)
    else:
        answers.acknowledge(session, desk, token, [notice_id], name="Camille Roy", now=NEXT_DAY)

    (mail,) = deliveries(session)
    assert (mail.state, mail.last_reply) == (DeliveryState.ACCEPTED, f"proved: {evidence}")
    assert kinds_of_items(session) == []
    assert notice_of(session, client).state == "running"


def test_opening_a_link_is_kept_and_answers_nothing(told: Told) -> None:
    answers.record_fetch(
        told.session, told.desk, told.token(), method="GET", agent="x" * 1000, prefetch=True, now=NEXT_DAY
    )
    answers.record_fetch(told.session, told.desk, "wrong", method="GET", agent="", prefetch=False, now=NEXT_DAY)

    (fetch,) = told.session.exec(select(Fetch)).all()
    assert (fetch.method, fetch.prefetch, len(fetch.agent), fetch.at) == ("GET", True, 200, NEXT_DAY)
    assert (told.status(), told.session.exec(select(Answer)).all()) == ("silent", [])


# --- at once ---------------------------------------------------------------------------------------------------------


def two_at_once(runtime: Runtime, act: Callable[[Session], str]) -> tuple[str, str]:
    """Act, and a second time before the first is committed; returns what each got."""
    found = list[str]()

    def second() -> None:
        with runtime.transaction() as session:
            found.append(act(session))

    thread = threading.Thread(target=second)
    with runtime.transaction() as session:
        first = act(session)
        thread.start()
        thread.join(timeout=0.3)
        assert thread.is_alive()  # the second waits for the first
    thread.join()
    return first, found[0]


@pytest.fixture
def sent(runtime: Runtime) -> tuple[str, UUID]:
    """A committed story: the token of a client's mail, and its notice."""
    with runtime.transaction() as session:
        make_provider(session)
        client = make_client(session, contacts=[{"email": CAMILLE}])
        make_announcement(session, runtime.desk)
        return token_for(session, runtime.desk, CAMILLE), notice_of(session, client).id


def test_two_clicks_at_once_are_one_answer(runtime: Runtime, sent: tuple[str, UUID]) -> None:
    token, notice_id = sent

    def click(session: Session) -> str:
        return answers.object_to(session, runtime.desk, token, notice_id, name="Camille", reasons="No.", now=NEXT_DAY)

    first, second = two_at_once(runtime, click)

    with runtime.reading() as session:
        assert [answer.reference for answer in session.exec(select(Answer))] == [first]
        assert first == second
        assert len(deliveries(session, "receipt")) == 1
        assert len(deliveries(session, "objection")) == 1


def test_two_who_withdraw_at_once_withdraw_once(runtime: Runtime, sent: tuple[str, UUID]) -> None:
    token, notice_id = sent
    with runtime.transaction() as session:
        reference = answers.object_to(
            session, runtime.desk, token, notice_id, name="Camille", reasons="No.", now=NEXT_DAY
        )

    def click(session: Session) -> str:
        return answers.withdraw(session, runtime.desk, token, notice_id, name="Camille", now=NEXT_DAY)

    assert two_at_once(runtime, click) == (reference, "")
    with runtime.reading() as session:
        assert len(happened(session, EventKind.ANSWER_CLOSED)) == 1


# --- consent ---------------------------------------------------------------------------------------------------------

PLACE = {"place": "Hall 2", "country": "BE", "what_en": "A hall.", "what_fr": "Une salle."}


@dataclass(frozen=True)
class Asked(Told):
    """The same two contacts are asked to agree to a place abroad."""

    def consent(self, address: str = CAMILLE, *, machine_like: bool = False, now: datetime = NEXT_DAY) -> str:
        return answers.consent(
            self.session, self.desk, self.token(address), self.notice_id, name="Camille Roy", machine_like=machine_like,
            now=now,
        )  # fmt: skip

    def refuse(self, address: str = CAMILLE, *, machine_like: bool = False, now: datetime = NEXT_DAY) -> str:
        return answers.refuse(
            self.session, self.desk, self.token(address), self.notice_id, name="Camille Roy", machine_like=machine_like,
            now=now,
        )  # fmt: skip

    def holds(self) -> tuple[Hold, ...]:
        return self.gate().holds


@pytest.fixture
def asked(session: Session, desk: Desk) -> Asked:
    make_provider(session)
    client = make_client(session, contacts=[{"email": CAMILLE}, {"email": DOMINIQUE, "language": "fr"}])
    announcement = announcements.draft(
        session, kind=AnnouncementKind.LOCATION, aspect="storage", facts=PLACE, reasons=REASONS,
        effective_on=date(2026, 6, 1), by="ana", now=NOON,
    )  # fmt: skip
    announcements.publish_draft(session, desk, announcement.id, by="ana", now=NOON)
    send_due(session, desk, now=NOON)
    return Asked(session, desk, announcement, notice_of(session, client).id)


@pytest.mark.obligation("O4.2")
def test_silence_is_a_refusal_however_long_it_lasts_and_a_late_yes_is_a_yes(asked: Asked) -> None:
    end = notices.get(asked.session, asked.notice_id).object_until
    notices.lapse_due(asked.session, now=end)
    assert asked.holds() == (Hold.CONSENT,)

    asked.consent(now=end)

    (answer,) = asked.session.exec(select(Answer)).all()
    assert answer.late
    assert asked.holds() == ()


@pytest.mark.obligation("O4.2")
def test_a_consent_a_refusal_and_a_consent_take_each_others_place(asked: Asked) -> None:
    first = asked.consent()
    assert (asked.holds(), asked.status()) == ((), "consented")

    asked.refuse()
    assert (asked.holds(), asked.status()) == ((Hold.REFUSAL,), "refused")
    assert kinds_of_items(asked.session) == ["refusal"]

    again = asked.consent()
    assert (asked.holds(), asked.status(), asked.standing()) == ((), "consented", ["consent"])
    assert again != first
    assert kinds_of_items(asked.session) == []
    assert len(happened(asked.session, EventKind.ANSWER_CLOSED)) == 2


def test_whoever_of_a_client_speaks_last_is_heard(asked: Asked) -> None:
    asked.consent(CAMILLE)
    asked.refuse(DOMINIQUE)

    assert asked.holds() == (Hold.REFUSAL,)
    asked.consent(CAMILLE)
    assert asked.holds() == ()


def test_a_consent_that_looks_like_a_machines_takes_no_refusals_place(asked: Asked) -> None:
    asked.refuse()

    asked.consent(machine_like=True)

    assert asked.holds() == (Hold.REFUSAL,)
    assert asked.standing() == ["refusal", "consent"]


def test_a_person_who_agrees_after_something_that_looked_like_a_machine_is_heard(asked: Asked) -> None:
    doubtful = asked.consent(machine_like=True)
    assert asked.holds() == (Hold.CONSENT,)

    assert asked.consent() != doubtful

    assert (asked.holds(), asked.standing()) == ((), ["consent"])
    assert kinds_of_items(asked.session) == []


def test_a_person_who_agrees_again_after_a_doubtful_refusal_is_heard(asked: Asked) -> None:
    asked.consent()
    asked.refuse(machine_like=True)
    assert asked.holds() == (Hold.REFUSAL,)  # whoever said it: nothing is done against a no

    asked.consent()

    assert asked.holds() == ()
    assert asked.standing() == ["consent"]


def test_a_doubtful_consent_that_was_refused_since_opens_nothing_when_it_is_reviewed(asked: Asked) -> None:
    asked.consent(machine_like=True)
    (doubtful,) = asked.session.exec(select(Answer)).all()
    asked.refuse()

    answers.review(asked.session, doubtful.id, note="It was Ms Roy.", by="user:1", now=NEXT_DAY)

    assert asked.holds() == (Hold.REFUSAL,)


def test_what_has_been_made_can_neither_be_agreed_to_nor_refused(asked: Asked) -> None:
    asked.consent()
    end = asked.announcement.effective_at
    going_live.go_live(asked.session, asked.announcement.id, by="ana", now=end)

    with pytest.raises(TooLateToConsent):
        asked.refuse(now=end)
    with pytest.raises(TooLateToConsent):
        asked.consent(DOMINIQUE, now=end)


def test_an_unread_reply_holds_the_gate_of_a_client_that_agreed(asked: Asked) -> None:
    asked.consent()
    answers.record_reply(asked.session, asked.notice_id, text="But not before June!", by="user:1", now=NEXT_DAY)
    answers.record_reply(asked.session, asked.notice_id, text="I mean it.", by="user:1", now=NEXT_DAY)
    assert asked.holds() == (Hold.REPLY,)

    (item,) = asked.session.exec(select(Item)).all()
    assert item.note == "But not before June!\n\nI mean it."
    with pytest.raises(NoteMissing):
        answers.read_reply(asked.session, asked.notice_id, note=" ", by="user:1", now=NEXT_DAY)
    answers.read_reply(asked.session, asked.notice_id, note="June it is.", by="user:1", now=NEXT_DAY)

    assert asked.holds() == ()
    assert kinds_of_items(asked.session) == []
