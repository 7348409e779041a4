"""Sent is not received: what counts as a receipt, whose counts, and what takes it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session

from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Client, Delivery, EventKind, Notice
from notifier.rules.gate import Hold
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import Counting, Period
from notifier.rules.terms import Addressees, Channel, ReceiptPolicy
from notifier.services import answers, boards, corrections, going_live, notices, outbox
from notifier.services.answers import NotDisplayed
from notifier.services.desk import Desk
from tests.factories import NOON, PACK, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, happened, kinds_of_items, notice_of, send_due, token_for, with_pack

A_DAY = timedelta(days=1)
A_WEEK = 7 * A_DAY
LEGAL, DPO, OTHER = "legal@client.example", "dpo@client.example", "other@client.example"
TWO = ({"email": LEGAL, "role": "contractual"}, {"email": DPO, "role": "dpo"})
YES = Verdict.ACCEPTED
BOTH = {"en": "A reason.", "fr": "Un motif."}


@dataclass(frozen=True)
class Story:
    session: Session
    desk: Desk
    client: Client
    announcement: Announcement

    @property
    def notice(self) -> Notice:
        return notice_of(self.session, self.client)

    def known(self) -> tuple[str, date | None]:
        return self.notice.state.value, self.notice.received_on

    def send(self, now: datetime = NOON, *, legal: Verdict = YES, dpo: Verdict = YES) -> None:
        send_due(self.session, self.desk, now=now, verdicts={LEGAL: legal, DPO: dpo})

    def mail_to(self, address: str) -> Delivery:
        return next(mail for mail in deliveries(self.session) if mail.address == address)

    def comes_back(self, address: str, *, now: datetime) -> bool:
        mail = self.mail_to(address)
        return outbox.returned(self.session, self.desk, mail.id, by="relay", evidence="5.1.1", now=now)

    def repeat(self, address: str, *, to: str, now: datetime) -> None:
        mail = self.mail_to(address)
        outbox.repeat(self.session, self.desk, mail.id, address=to, notice_id=self.notice.id, by="user:1", now=now)

    def acknowledge(self, address: str, *, now: datetime, machine_like: bool = False) -> str:
        token = token_for(self.session, self.desk, address)
        return answers.acknowledge(
            self.session, self.desk, token, [self.notice.id], name="C. Roy", machine_like=machine_like, now=now
        )

    def display(self, address: str, *, now: datetime, letter: str = "notice") -> None:
        answers.display(self.session, self.desk, token_for(self.session, self.desk, address, letter), now=now)

    def holds(self, now: datetime) -> tuple[Hold, ...]:
        return boards.board(self.session, self.announcement.id, now=now).gate.holds


def tell(
    session: Session, desk: Desk, *, contacts: tuple[dict[str, str], ...] = TWO, client: dict[str, Any] | None = None,
    **rule: Any,  # noqa: ANN401 - fields of a rule
) -> Story:  # fmt: skip
    desk = with_pack(desk, PACK, **rule)
    make_provider(session)
    told = make_client(session, contacts=list(contacts), **(client or {}))
    return Story(session, desk, told, make_announcement(session, desk))


MANDATORY: dict[str, Any] = {"addressees": Addressees.LAST_MANDATORY, "mandatory_roles": ("contractual",)}
MONDAY, WEDNESDAY = NOON.date(), NOON.date() + 2 * A_DAY


# --- whose receipt ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "refused", "known"),
    [
        ({"addressees": Addressees.FIRST}, "legal", ("running", MONDAY)),
        ({"addressees": Addressees.FIRST}, "dpo", ("running", MONDAY)),
        (MANDATORY, "dpo", ("running", MONDAY)),
        (MANDATORY, "legal", ("unreached", None)),
        ({"addressees": Addressees.ALL}, "dpo", ("unreached", None)),
        ({"addressees": Addressees.LAST_MANDATORY, "mandatory_roles": ()}, "dpo", ("unreached", None)),
    ],
    ids=["first", "first", "mandatory", "mandatory", "all", "none named"],
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_mail_that_fails_counts_by_the_policy_whether_at_once_or_late(
    session: Session, desk: Desk, *, rule: dict[str, Any], refused: str, known: tuple[str, date | None], late: bool
) -> None:
    story = tell(session, desk, **rule)

    if late:
        story.send()
        assert story.known() == ("running", MONDAY)
        assert story.comes_back({"legal": LEGAL, "dpo": DPO}[refused], now=NOON + A_WEEK)
    else:
        said = {who: Verdict.REFUSED if who == refused else YES for who in ("legal", "dpo")}
        story.send(legal=said["legal"], dpo=said["dpo"])

    assert story.known() == known
    if known[0] == "unreached":
        assert kinds_of_items(session) == ["refused_delivery"]


def test_a_contact_that_no_contract_names_counts_where_the_client_has_none_of_those_named(
    session: Session, desk: Desk
) -> None:
    story = tell(session, desk, contacts=(TWO[1],), **MANDATORY)

    story.send(dpo=Verdict.REFUSED)

    assert story.known() == ("unreached", None)


def test_one_address_in_two_roles_is_written_to_once_and_counts_as_both(session: Session, desk: Desk) -> None:
    twice = ({"email": LEGAL, "role": "dpo"}, {"email": LEGAL.upper(), "role": "contractual"})
    story = tell(session, desk, contacts=(*twice, {"email": OTHER, "role": "contractual"}), **MANDATORY)
    assert [mail.address for mail in deliveries(session)] == [LEGAL, OTHER]

    story.send(legal=Verdict.REFUSED)

    assert story.known() == ("unreached", None)


def test_under_the_first_the_receipt_of_another_contact_takes_over(session: Session, desk: Desk) -> None:
    story = tell(session, desk, addressees=Addressees.FIRST)
    story.send(dpo=Verdict.DEFERRED)
    story.send(NOON + 10 * A_DAY)
    assert story.known() == ("running", MONDAY)

    story.comes_back(LEGAL, now=NOON + 11 * A_DAY)

    assert story.known() == ("running", date(2026, 3, 12))
    assert story.notice.object_by == date(2026, 4, 13)  # 12 March and 30 days, off a Saturday
    assert story.notice.holds_until == story.notice.object_until
    assert len(deliveries(session, "later_last_day")) == 1


def test_under_the_first_a_receipt_is_waited_for_while_another_mail_is_on_its_way(session: Session, desk: Desk) -> None:
    story = tell(session, desk, addressees=Addressees.FIRST)
    story.send(dpo=Verdict.DEFERRED)

    story.comes_back(LEGAL, now=NOON + A_DAY)
    assert story.known() == ("raised", None)
    assert Hold.NOT_RECEIVED in story.holds(NOON + 365 * A_DAY)

    story.send(NOON + 2 * A_DAY)
    assert story.known() == ("running", WEDNESDAY)


# --- what takes it back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [MANDATORY, {"addressees": Addressees.ALL}], ids=["mandatory", "all"])
def test_a_mail_that_comes_back_after_the_period_reopens_it(session: Session, desk: Desk, rule: dict[str, Any]) -> None:
    story = tell(session, desk, **rule)
    story.send()
    after = story.notice.object_until
    told = story.notice.object_by
    notices.lapse_due(session, now=after)
    assert story.holds(after) == ()

    story.comes_back(LEGAL, now=after)

    assert story.known() == ("unreached", None)
    assert story.holds(after) == (Hold.UNREACHED,)
    assert story.notice.object_by == told

    story.repeat(LEGAL, to=OTHER, now=after)
    story.send(after)
    notice = story.notice
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 4, 7))  # after Easter Monday
    assert notice.object_by == date(2026, 5, 11)
    assert story.holds(after) == (Hold.PERIOD,)
    assert story.holds(notice.object_until) == ()


def test_the_same_return_twice_has_one_effect(session: Session, desk: Desk) -> None:
    story = tell(session, desk, addressees=Addressees.ALL)
    story.send()

    assert [story.comes_back(LEGAL, now=NOON + A_DAY) for _ in range(2)] == [True, False]

    assert len(happened(session, EventKind.DELIVERY_RETURNED)) == 1
    assert len(happened(session, EventKind.NOTICE_UNREACHED)) == 1


def test_a_mailbox_of_two_clients_that_fails_counts_for_each_by_its_own_contract(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "first", addressees=Addressees.FIRST)
    make_provider(session)
    shared = {"email": LEGAL, "role": "contractual"}
    strict = make_client(session, "C-1", contacts=[shared])
    lenient = make_client(session, "C-2", pack="first", contacts=[shared, {"email": DPO, "role": "dpo"}])
    story = Story(session, desk, strict, make_announcement(session, desk))
    story.send()

    story.comes_back(LEGAL, now=NOON + A_DAY)

    assert {notice_of(session, one).state for one in (strict,)} == {NoticeState.UNREACHED}
    assert notice_of(session, lenient).state is NoticeState.RUNNING


def test_after_going_live_nothing_waits_to_be_caught_up_for_ever(session: Session, desk: Desk) -> None:
    story = tell(session, desk)
    story.send()
    end = story.announcement.effective_at
    notices.lapse_due(session, now=end)
    going_live.go_live(session, story.announcement.id, by="ana", now=end)

    story.comes_back(LEGAL, now=end + A_DAY)

    assert story.known() == ("lapsed", MONDAY)
    assert outbox.catch_up(session, story.desk, now=end + A_DAY) == 0


# --- acknowledged ----------------------------------------------------------------------------------------------------


def test_where_the_contract_asks_for_it_an_acknowledgement_alone_starts_the_clock(session: Session, desk: Desk) -> None:
    story = tell(session, desk, receipt=ReceiptPolicy.ACKNOWLEDGED, addressees=Addressees.ALL)
    story.send()
    assert story.known() == ("raised", None)

    story.acknowledge(LEGAL, now=NOON + A_DAY)
    assert story.known() == ("raised", None)
    story.acknowledge(DPO, now=NOON + 2 * A_DAY)

    assert story.known() == ("running", WEDNESDAY)


def test_of_those_named_the_last_to_acknowledge_starts_the_clock(session: Session, desk: Desk) -> None:
    story = tell(session, desk, receipt=ReceiptPolicy.ACKNOWLEDGED, **MANDATORY)
    story.send()

    story.acknowledge(DPO, now=NOON + A_DAY)
    assert story.known() == ("raised", None)
    story.acknowledge(LEGAL, now=NOON + 2 * A_DAY)

    assert story.known() == ("running", WEDNESDAY)


def test_an_acknowledgement_on_a_sunday_night_counts_as_of_that_day(session: Session, desk: Desk) -> None:
    story = tell(session, desk, receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()

    sunday = datetime(2026, 3, 8, 22, 59, tzinfo=UTC)  # 23:59 in Paris
    for address in (LEGAL, DPO):
        story.acknowledge(address, now=sunday)

    assert story.known() == ("running", date(2026, 3, 8))


def test_whoever_objects_has_read_the_notice(session: Session, desk: Desk) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()

    token = token_for(session, desk, LEGAL)
    answers.object_to(session, story.desk, token, story.notice.id, name="C. Roy", reasons="No.", now=NOON + A_DAY)

    assert story.known() == ("running", MONDAY + A_DAY)
    assert story.holds(NOON + 365 * A_DAY)[0] is Hold.OBJECTION


def test_a_period_of_a_client_that_never_acknowledges_never_ends(session: Session, desk: Desk) -> None:
    story = tell(session, desk, receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()

    ages_later = NOON + 3650 * A_DAY
    assert notices.lapse_due(session, now=ages_later) == 0
    assert story.holds(ages_later) == (Hold.NOT_RECEIVED,)
    assert outbox.catch_up(session, story.desk, now=ages_later) == 0


def test_an_acknowledgement_that_looks_like_a_machines_starts_no_clock_and_a_persons_does(
    session: Session, desk: Desk
) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()

    first = story.acknowledge(LEGAL, now=NOON, machine_like=True)
    assert story.known() == ("raised", None)
    assert story.acknowledge(LEGAL, now=NOON, machine_like=True) == first

    assert story.acknowledge(LEGAL, now=NOON + 2 * A_DAY) != first
    assert story.known() == ("running", WEDNESDAY)
    assert kinds_of_items(session) == []


def test_an_acknowledged_mail_that_comes_back_was_read_all_the_same(session: Session, desk: Desk) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()
    story.acknowledge(LEGAL, now=NOON)

    story.comes_back(LEGAL, now=NOON + A_DAY)

    assert story.known() == ("running", MONDAY)


def test_an_acknowledgement_of_what_was_corrected_since_starts_no_clock(session: Session, desk: Desk) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.ACKNOWLEDGED)
    story.send()
    story.acknowledge(LEGAL, now=NOON)
    reasons = {"en": "Other reasons.", "fr": "D’autres motifs."}
    corrections.correct(
        session, story.desk, story.announcement.id, effective_on=date(2026, 7, 1), reasons=reasons, why="Wrong.",
        by="ana", now=NOON + A_DAY,
    )  # fmt: skip
    story.send(NOON + A_DAY)
    assert story.known() == ("raised", None)

    story.acknowledge(LEGAL, now=NOON + 2 * A_DAY)

    assert story.known() == ("running", WEDNESDAY)


# --- displayed -------------------------------------------------------------------------------------------------------


def test_where_the_contract_says_so_the_clock_starts_when_a_person_has_the_notice_shown(
    session: Session, desk: Desk
) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.DISPLAY)
    story.send()
    token = token_for(session, desk, LEGAL)
    answers.record_fetch(session, story.desk, token, method="GET", agent="Scanner", prefetch=False, now=NOON)
    assert answers.open_link(session, token, now=NOON).told[0].must_display
    assert story.known() == ("raised", None)
    with pytest.raises(NotDisplayed):
        story.acknowledge(LEGAL, now=NOON + A_DAY)

    story.display(LEGAL, now=NOON + 2 * A_DAY)
    story.display(LEGAL, now=NOON + 9 * A_DAY)

    assert story.known() == ("running", WEDNESDAY)
    assert not answers.open_link(session, token, now=NOON).told[0].must_display
    assert len(happened(session, EventKind.NOTICE_DISPLAYED)) == 1


def test_the_button_behind_another_letters_link_shows_the_same_notice(session: Session, desk: Desk) -> None:
    story = tell(session, desk, contacts=(TWO[0],), receipt=ReceiptPolicy.DISPLAY)
    story.send()
    an_hour_later = NOON + timedelta(hours=1)
    corrections.postpone(
        session, story.desk, story.announcement.id, effective_on=date(2026, 7, 1), reasons=BOTH, by="ana",
        now=an_hour_later,
    )  # fmt: skip

    story.display(LEGAL, now=NOON + 2 * A_DAY, letter="postponed")

    assert story.known() == ("running", WEDNESDAY)


def test_everybody_has_it_shown_where_everybody_must_be_told(session: Session, desk: Desk) -> None:
    story = tell(session, desk, receipt=ReceiptPolicy.DISPLAY, addressees=Addressees.ALL)
    story.send()

    story.display(DPO, now=NOON)
    assert story.known() == ("raised", None)
    story.display(LEGAL, now=NOON + 2 * A_DAY)

    assert story.known() == ("running", WEDNESDAY)


# --- by letter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "client"),
    [({"channels": (Channel.PAPER,)}, {}), ({}, {"email_accepted": False})],
    ids=["the contract", "the client"],
)
def test_where_mail_is_refused_its_copy_neither_starts_nor_stops_a_clock(
    session: Session, desk: Desk, rule: dict[str, Any], client: dict[str, Any]
) -> None:
    lives = {"address": "1 rue des Essais", "town": "Lille", **client}
    story = tell(session, desk, client=lives, **rule)
    story.send(dpo=Verdict.REFUSED)
    assert (story.notice.channel, story.known()) == (Channel.PAPER, ("raised", None))

    story.comes_back(LEGAL, now=NOON + A_DAY)
    story.acknowledge(LEGAL, now=NOON + A_DAY)

    assert story.known() == ("raised", None)
    assert story.holds(NOON + 365 * A_DAY) == (Hold.NOT_RECEIVED,)
    assert story.notice.object_by > date(2026, 4, 3)  # paper takes its time


# --- what is sealed --------------------------------------------------------------------------------------------------


def test_neither_a_contract_nor_a_table_that_changes_moves_a_running_clock(session: Session, desk: Desk) -> None:
    story = tell(session, desk, contacts=(TWO[0],))
    changed = with_pack(
        desk, PACK, period=Period(90), counting=Counting.CAL_STRICT, receipt=ReceiptPolicy.ACKNOWLEDGED,
        addressees=Addressees.FIRST,
    )  # fmt: skip

    send_due(session, changed, now=NOON)

    assert story.known() == ("running", MONDAY)
    assert story.notice.object_by == date(2026, 4, 3)


def test_a_clock_of_the_machine_that_was_set_back_shortens_nothing(session: Session, desk: Desk) -> None:
    story = tell(session, desk)
    before = (story.notice.object_by, story.notice.object_until, story.notice.holds_until)

    story.send(NOON + timedelta(seconds=1))
    notices.lapse_due(session, now=NOON - A_WEEK)
    story.comes_back(LEGAL, now=NOON - A_WEEK)
    story.repeat(LEGAL, to=OTHER, now=NOON - A_WEEK)
    story.send(NOON - 2 * A_DAY)

    assert story.notice.state is NoticeState.RUNNING
    assert (story.notice.object_by, story.notice.object_until, story.notice.holds_until) == before
