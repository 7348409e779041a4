from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from notifier.adapters.sending import Blame, Mail, Outcome, Verdict
from notifier.models import Attempt, Delivery, DomainState, Event, EventKind, ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.limits import Allowance, DomainPlan, RelayPlan
from notifier.services import items, outbox, relays
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_provider

A_SECOND = timedelta(seconds=1)
RESTS = (10 * A_SECOND, 30 * A_SECOND, 60 * A_SECOND)
RELAY = RelayPlan(name="main", at_once=3)
SLOW = RelayPlan(name="main", at_once=3, per_minute=30)


def at(desk: Desk, *plans: RelayPlan, **domains: DomainPlan) -> Desk:
    """A desk with these relays; a domain is written client_example."""
    named = {name.replace("_", "."): plan for name, plan in domains.items()}
    return replace(desk, relays=plans, mail_domains=named, mail_rests=RESTS)


def allow(session: Session, desk: Desk, now: datetime = NOON, *, worker: str = "w", mails: int = 100) -> Allowance:
    return relays.allow(session, desk, {plan.name: mails for plan in desk.relays}, worker=worker, now=now)


def a_mail(domain: str = "client.example") -> Mail:
    return Mail(delivery_id=uuid4(), attempt=1, sender="", recipient=f"ana@{domain}", content=b"", sha256="")


def take(session: Session, desk: Desk, mails: int, now: datetime, *, domain: str = "client.example") -> Allowance:
    allowance = allow(session, desk, now)
    relays.take(session, desk, allowance, [a_mail(domain) for _ in range(mails)], worker="w", now=now)
    return allowance


def outcome(
    verdict: Verdict = Verdict.ACCEPTED,
    code: int | None = 250,
    *,
    blame: Blame = Blame.NONE,
    domain: str = "client.example",
) -> Outcome:
    return Outcome(
        delivery_id=uuid4(), attempt=1, verdict=verdict, code=code, reply="said so", peer="relay.example:25", tls="",
        domain=domain, blame=blame,
    )  # fmt: skip


HANGS_UP = outcome(Verdict.DEFERRED, 421, blame=Blame.RELAY)
NOT_REACHED = outcome(Verdict.DEFERRED, None, blame=Blame.RELAY)
SIGN_IN_REFUSED = outcome(Verdict.DEFERRED, 535, blame=Blame.SETUP)


def later(domain: str) -> Outcome:
    return outcome(Verdict.DEFERRED, 450, domain=domain)


def open_items(session: Session) -> list[ItemKind]:
    return [item.kind for item in items.open_items(session)]


# --- a rate and a cap ------------------------------------------------------------------------------------------------


def test_at_thirty_a_minute_about_thirty_leave_in_a_minute(session: Session, desk: Desk) -> None:
    desk, now, left = at(desk, SLOW), NOON, 0
    while now < NOON + 60 * A_SECOND:
        allowance = allow(session, desk, now)
        relays.take(session, desk, allowance, [a_mail()] * allowance.mails, worker="w", now=now)
        left += allowance.mails
        now = allow(session, desk, now).next_at or now

    assert 30 <= left <= 33


def test_workers_share_one_rate_and_what_is_not_taken_is_not_used_up(session: Session, desk: Desk) -> None:
    desk = at(desk, replace(SLOW, per_minute=None, per_day=5))

    assert allow(session, desk, worker="a").mails == 5
    take(session, desk, 3, NOON)
    assert allow(session, desk, worker="b").mails == 2


def test_a_relay_with_a_rate_is_used_by_one_worker_at_a_time(session: Session, desk: Desk) -> None:
    desk = at(desk, SLOW)
    take(session, desk, 1, NOON)

    other = allow(session, desk, NOON + A_SECOND, worker="other")
    much_later = allow(session, desk, NOON + relays.USE + A_SECOND, worker="other")

    assert (other.relay, other.elsewhere, other.next_at) == (None, frozenset({"main"}), None)
    assert much_later.relay == SLOW


def test_mails_that_no_session_carried_are_given_back(session: Session, desk: Desk) -> None:
    desk = at(desk, SLOW)
    allowance = take(session, desk, 3, NOON)
    assert allow(session, desk, NOON).mails == 0

    relays.give_back(session, desk, allowance, [a_mail(), a_mail()], now=NOON)

    assert allow(session, desk, NOON).mails == 2
    assert relays.health(session, desk, now=NOON)[0].mails == 1


def test_a_daily_cap_holds_for_a_rolling_day(session: Session, desk: Desk) -> None:
    desk = at(desk, replace(RELAY, per_day=4))
    take(session, desk, 4, NOON)

    at_midnight = allow(session, desk, NOON + timedelta(hours=12, minutes=1))
    at_next_noon = allow(session, desk, NOON + timedelta(hours=25))

    assert (at_midnight.mails, at_midnight.next_at) == (0, NOON + timedelta(hours=25))
    assert at_next_noon.mails == 4


def test_a_domain_has_its_own_rate_and_its_own_place_in_a_round(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY, client_example=DomainPlan(at_once=2, per_minute=60))

    allowance = allow(session, desk, mails=3)
    take(session, desk, 2, NOON)
    after = allow(session, desk)

    assert (allowance.at_most, allowance.at_once) == ({"client.example": 2}, {"client.example": 2})
    assert after.relay == RELAY
    assert (after.avoid, after.next_at) == (frozenset({"client.example"}), NOON + A_SECOND)


# --- rests -----------------------------------------------------------------------------------------------------------


def test_a_relay_that_hangs_up_rests_longer_each_time_and_is_tried_with_one_mail(session: Session, desk: Desk) -> None:
    desk, now = at(desk, RELAY), NOON
    for pause in (*RESTS, RESTS[-1]):
        allowance = take(session, desk, 1, now)
        relays.note(session, desk, allowance, [HANGS_UP, NOT_REACHED], now=now)
        assert allow(session, desk, now + pause - A_SECOND).next_at == now + pause
        now += pause
        assert allow(session, desk, now).mails == 1

    relays.note(session, desk, take(session, desk, 1, now), [outcome()], now=now)

    assert allow(session, desk, now).mails == 100
    assert relays.health(session, desk, now=now)[0].why == ""


def test_while_one_worker_tries_a_relay_again_no_other_does(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)
    relays.note(session, desk, allow(session, desk), [NOT_REACHED], now=NOON)
    take(session, desk, 1, NOON + RESTS[0])

    assert allow(session, desk, NOON + RESTS[0] + A_SECOND).mails == 0


def test_a_relay_that_takes_some_mails_does_not_rest(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)

    relays.note(session, desk, allow(session, desk), [HANGS_UP, outcome()], now=NOON)

    assert allow(session, desk).mails == 100


def test_a_refused_sign_in_is_put_before_a_person_until_it_works(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)

    relays.note(session, desk, allow(session, desk), [SIGN_IN_REFUSED], now=NOON)
    relays.note(session, desk, take(session, desk, 1, NOON + RESTS[-1]), [SIGN_IN_REFUSED], now=NOON + RESTS[-1])
    [health] = relays.health(session, desk, now=NOON + RESTS[-1])
    assert open_items(session) == [ItemKind.RELAY_FAILING]
    assert (health.needs_mending, health.why) == (True, "535 said so")
    assert allow(session, desk, NOON + RESTS[-1] + A_SECOND).mails == 0

    relays.wake(session, desk, "main")
    mended = NOON + RESTS[-1] + 2 * A_SECOND
    relays.note(session, desk, take(session, desk, 1, mended), [outcome()], now=mended)

    assert open_items(session) == []
    kinds = session.exec(select(Event.kind).where(Event.about_id == relays.item_of("main"))).all()
    assert kinds == [EventKind.RELAY_FAILING, EventKind.RELAY_RECOVERED]


def test_a_relay_that_rests_is_passed_over(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY, RelayPlan(name="other"))
    relays.note(session, desk, allow(session, desk), [NOT_REACHED], now=NOON)

    allowance = allow(session, desk)

    assert allowance.relay == desk.relays[1]
    assert allowance.skipped == {"main"}


def test_a_domain_that_puts_off_one_mail_after_the_other_rests_alone(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)
    for _ in range(2):
        relays.note(session, desk, allow(session, desk), [later("slow.example")] * 3, now=NOON)

    allowance = allow(session, desk)
    after = allow(session, desk, NOON + RESTS[0])

    assert (allowance.mails, allowance.avoid, allowance.next_at) == (100, frozenset({"slow.example"}), NOON + RESTS[0])
    assert (after.avoid, after.at_most) == (frozenset(), {"slow.example": 1})


def test_a_domain_that_takes_mails_in_between_does_not_rest(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)
    taken = outcome(domain="slow.example")
    for _ in range(9):
        relays.note(session, desk, allow(session, desk), [later("slow.example")] * 2 + [taken], now=NOON)

    assert allow(session, desk).avoid == frozenset()
    assert session.exec(select(DomainState)).all() == []


def test_what_is_known_of_a_domain_is_forgotten_in_time(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)
    relays.note(session, desk, allow(session, desk), [later("slow.example")], now=NOON)

    relays.forget(session, desk, now=NOON + timedelta(minutes=5))
    assert len(session.exec(select(DomainState)).all()) == 1
    relays.forget(session, desk, now=NOON + timedelta(hours=2))
    assert session.exec(select(DomainState)).all() == []


def test_a_relay_that_the_settings_do_not_name_is_unknown(session: Session, desk: Desk) -> None:
    with pytest.raises(relays.UnknownRelay, match="the settings name main"):
        relays.wake(session, at(desk, RELAY), "mian")


# --- what is claimed -------------------------------------------------------------------------------------------------


def owe(session: Session, desk: Desk, domains: Sequence[str]) -> None:
    make_provider(session)
    for number, domain in enumerate(domains):
        make_client(session, f"C-{number:03d}", contacts=[{"email": f"dpo{number}@{domain}"}])
    make_announcement(session, desk)


def claim(session: Session, desk: Desk, allowance: Allowance, *, limit: int = 100) -> list[Mail]:
    return outbox.claim(session, desk, worker="w", limit=limit, now=NOON, allowance=allowance)


def test_a_slow_domain_never_holds_the_others(session: Session, desk: Desk) -> None:
    owe(session, desk, ["slow.example"] * 6 + ["Full.example"] * 6 + ["client.example"] * 4)
    allowance = Allowance(relay=RELAY, mails=6, avoid=frozenset({"slow.example"}), at_most={"full.example": 2})

    mails = claim(session, desk, allowance, limit=6)

    domains = sorted(mail.recipient.rpartition("@")[2].lower() for mail in mails)
    assert domains == ["client.example"] * 4 + ["full.example"] * 2


def test_an_urgent_mail_leaves_next_although_a_thousand_wait(session: Session, desk: Desk) -> None:
    owe(session, desk, [f"client-{number}.example" for number in range(40)])
    urgent = session.exec(select(Delivery.id).order_by(Delivery.id.desc()).limit(1)).one()  # type: ignore[attr-defined] # a column
    session.execute(sa.update(Delivery).where(Delivery.id == urgent).values(lane=0, due_at=NOON))  # type: ignore[arg-type] # SQL

    [mail] = claim(session, at(desk, SLOW), Allowance(relay=SLOW, mails=1), limit=1)

    assert mail.delivery_id == urgent


def test_a_fixed_sender_is_the_profiles_and_no_report_is_asked_for_that_nobody_reads(
    session: Session, desk: Desk
) -> None:
    owe(session, desk, ["one.example", "two.example"])
    desk = replace(desk, bounce_address="bounces@hosting.example")

    [fixed] = claim(session, desk, Allowance(relay=replace(RELAY, fixed_sender=True), mails=1), limit=1)
    [tagged] = claim(session, desk, Allowance(relay=RELAY, mails=1), limit=1)

    assert (fixed.sender, fixed.tag) == ("notices@hosting.example", "")
    assert tagged.sender == f"bounces+{tagged.tag}@hosting.example"


def test_where_the_senders_own_mailbox_is_read_a_report_is_asked_for(session: Session, desk: Desk) -> None:
    owe(session, desk, ["one.example"])
    desk = replace(desk, takes_in_replies=True)

    [mail] = claim(session, desk, Allowance(relay=replace(RELAY, fixed_sender=True), mails=1), limit=1)

    assert mail.sender == "notices@hosting.example"
    assert desk.keyring.read_envelope_tag(mail.tag) == (mail.delivery_id, 1)


def test_what_the_relay_is_to_blame_for_burns_no_retry(session: Session, desk: Desk) -> None:
    desk = at(desk, RELAY)
    owe(session, desk, ["one.example"])
    allowance = allow(session, desk)
    for number in (1, 2):
        [mail] = claim(session, desk, Allowance(relay=RELAY, mails=1))
        blamed = replace(HANGS_UP, delivery_id=mail.delivery_id, attempt=number)
        outbox.settle(session, desk, [blamed], worker="w", now=NOON, allowance=allowance)

    delivery = session.exec(select(Delivery)).one()
    assert (delivery.state, delivery.attempt, delivery.deferrals) == (DeliveryState.WAITING, 2, 0)
    assert (delivery.due_at, delivery.relay) == (NOON, "main")


# --- a key under which a relay knows a mail again --------------------------------------------------------------------

KEYED = replace(RELAY, key_life=timedelta(hours=24))


def lose(session: Session, desk: Desk, *, attempt: int = 1) -> Delivery:
    """Let the answer to the only mail be lost."""
    [mail] = claim(session, desk, Allowance(relay=KEYED, mails=1))
    outbox.hand_over(session, desk, [mail], worker="w")
    lost = replace(outcome(Verdict.UNKNOWN, None), delivery_id=mail.delivery_id, attempt=attempt)
    outbox.settle(session, desk, [lost], worker="w", now=NOON)
    return session.exec(select(Delivery).execution_options(populate_existing=True)).one()


def due_now(session: Session) -> None:
    session.execute(sa.update(Delivery).values(due_at=NOON))
    session.expire_all()


def test_under_a_key_a_lost_mail_goes_again_through_the_same_relay_alone(session: Session, desk: Desk) -> None:
    desk = at(desk, KEYED, RelayPlan(name="other"))
    owe(session, desk, ["one.example"])
    delivery = lose(session, desk)
    assert open_items(session) == [ItemKind.UNKNOWN_DELIVERY]

    assert outbox.send_again(session, desk, now=NOON) == 1

    due_now(session)
    assert (delivery.state, open_items(session)) == (DeliveryState.WAITING, [])
    assert claim(session, desk, Allowance(relay=desk.relays[1], mails=9)) == []
    assert claim(session, desk, Allowance(relay=replace(KEYED, key_life=None), mails=9)) == []
    [again] = claim(session, desk, Allowance(relay=KEYED, mails=9))
    assert again.attempt == 2
    assert outbox.hand_over(session, desk, [again], worker="w") == {again.delivery_id}


def test_without_a_key_a_lost_mail_stays_a_persons(session: Session, desk: Desk) -> None:
    desk = at(desk, KEYED)
    owe(session, desk, ["one.example"])
    lose(session, desk)

    assert outbox.send_again(session, at(desk, RELAY), now=NOON) == 0
    assert outbox.send_again(session, desk, now=NOON + timedelta(hours=23, minutes=50)) == 0
    assert session.exec(select(Delivery)).one().state is DeliveryState.UNKNOWN


def test_a_dead_workers_mail_is_taken_to_have_left_before_its_lease(session: Session, desk: Desk) -> None:
    desk = at(desk, KEYED)
    owe(session, desk, ["one.example"])
    lose(session, desk)
    session.execute(sa.update(Attempt).values(peer=""))
    session.expire_all()

    assert outbox.send_again(session, desk, now=NOON + timedelta(hours=24) - 2 * desk.mail_lease) == 0
    assert outbox.send_again(session, desk, now=NOON) == 1


def test_when_the_keys_life_ends_before_the_mail_went_again_a_person_decides(session: Session, desk: Desk) -> None:
    desk = at(desk, KEYED)
    owe(session, desk, ["one.example"])
    delivery = lose(session, desk)
    outbox.send_again(session, desk, now=NOON)
    due_now(session)
    [held] = claim(session, desk, Allowance(relay=KEYED, mails=9))
    session.execute(sa.update(Delivery).values(same_until=outbox.database_now(session) - A_SECOND))

    assert outbox.hand_over(session, desk, [held], worker="w") == set()
    outbox.release(session, [held], worker="w")
    session.expire_all()
    outbox.send_again(session, at(desk, RELAY), now=NOON + timedelta(days=2))

    assert delivery.state is DeliveryState.UNKNOWN
    assert open_items(session) == [ItemKind.UNKNOWN_DELIVERY]
