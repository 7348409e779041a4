"""Each kind of announcement, from what a person writes to the letters, the rights and the gate that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    AnswerKind,
    Client,
    EventKind,
    Notice,
)
from notifier.rules.entries import Place
from notifier.rules.gate import Hold
from notifier.rules.kinds import BadFacts
from notifier.rules.notice_states import NoticeState
from notifier.services import announcements, answers, boards, going_live, notices, outbox, previews, registry
from notifier.services.announcements import EffectiveInPast, NotADraft, NotPublished, Prohibited, WrongKind
from notifier.services.answers import NotAsked
from notifier.services.desk import Desk
from notifier.services.going_live import GateClosed
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_client,
    make_contact,
    make_entry,
    make_provider,
    make_version,
)
from tests.services.stories import (
    breach,
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    token_for,
)

K = AnnouncementKind
A_DAY = timedelta(days=1)
SELLIGENT = "selligent-health-2020"
BOTH = {"en": "in English", "fr": "en français"}
OBJECT, LEAVE = AnswerKind.OBJECTION, AnswerKind.TERMINATION
AGREE = {AnswerKind.CONSENT, AnswerKind.REFUSAL}


def in_both(*names: str) -> dict[str, str]:
    return {f"{name}_{language}": f"The {name} {words}" for name in names for language, words in BOTH.items()}


SERVICE = {"service": "Object storage", **in_both("what", "impact")}
SECURITY = {"measure": "Encryption at rest", **in_both("before", "after")}
CERTIFICATE = {"certificate": "HDS", "holder": "Us", "since": "2026-02-27", **in_both("what")}
DISCLOSURE = {"authority": "Tribunal judiciaire de Paris", **in_both("basis", "scope")}
DOCUMENT = {"document": "Statement of applicability", "edition": "7", **in_both("what")}


def place(country: str) -> dict[str, str]:
    return {"place": "Hall 2", "country": country, **in_both("what")}


def support(country: str = "FR") -> dict[str, str]:
    return {"after": "Aide Exemple SAS", "country": country, **in_both("what")}


def written(
    session: Session,
    kind: AnnouncementKind,
    facts: Mapping[str, str],
    *,
    aspect: str = "",
    on: date = date(2026, 6, 1),
    per_client: bool = False,
    now: datetime = NOON,
) -> Announcement:
    return announcements.draft(
        session, kind=kind, aspect=aspect, facts=facts, reasons=REASONS, effective_on=on, per_client=per_client,
        by="ana", now=now,
    )  # fmt: skip


def told(session: Session, desk: Desk, draft: Announcement, *, now: datetime = NOON) -> Announcement:
    found = announcements.publish_draft(session, desk, draft.id, by="ana", now=now)
    send_due(session, desk, now=now)
    return found


def rights(
    session: Session, desk: Desk, address: str = "dpo@c-001.example", *, now: datetime = NOON
) -> set[AnswerKind]:
    """What the notice behind the link offers besides confirming its receipt."""
    (one,) = answers.open_link(session, token_for(session, desk, address), now=now).told
    return {kind for kind in AnswerKind if one.offers(kind)} - {AnswerKind.ACKNOWLEDGEMENT}


def text_of(mail: bytes) -> str:
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


# --- what each kind asks of whom -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A kind, and what a client under a contract has of it."""

    kind: AnnouncementKind
    facts: Mapping[str, str]
    may: set[AnswerKind]
    holds: tuple[Hold, ...]
    aspect: str = ""
    pack: str = "outscale-hds-2022"
    live: bool = False  # when it is told


CASES = [
    pytest.param(case, id=name, marks=[pytest.mark.obligation(row) for row in rows])
    for name, case, rows in (
        ("maintenance", Case(K.SERVICE, SERVICE, set(), (), "maintenance"), ["O15.2"]),
        ("abroad", Case(K.LOCATION, place("BE"), AGREE, (Hold.CONSENT,), "storage"), ["O4.1", "O4.2"]),
        ("within", Case(K.LOCATION, place("FR"), {OBJECT, LEAVE}, (Hold.PERIOD,), "storage"), ["O4.1"]),
        ("security", Case(K.SECURITY, SECURITY, AGREE, (Hold.CONSENT,)), ["O5.5", "O19.1"]),
        ("lost", Case(K.CERTIFICATION, CERTIFICATE, {LEAVE}, (), "lost", live=True), ["O1.3"]),
        ("renewed", Case(K.CERTIFICATION, CERTIFICATE, set(), (), "renewed", live=True), []),
        ("disclosed", Case(K.DISCLOSURE, DISCLOSURE, set(), (), "notice", live=True), []),
        ("consulted", Case(K.DISCLOSURE, DISCLOSURE, {OBJECT}, (Hold.PERIOD,), "consultation"), []),
        ("document", Case(K.DOCUMENT, DOCUMENT, set(), (), live=True), []),
        ("support", Case(K.SUPPORT, support(), {OBJECT, LEAVE}, (Hold.PERIOD,)), []),
        ("SEL abroad", Case(K.LOCATION, place("FR"), {OBJECT}, (Hold.PERIOD,), "storage", SELLIGENT), ["S7a", "S7b"]),
        ("SEL within", Case(K.LOCATION, place("NL"), set(), (), "storage", SELLIGENT), ["S7a"]),
        ("SEL support", Case(K.SUPPORT, support(), AGREE, (Hold.CONSENT,), "", SELLIGENT), ["S7c"]),
        (
            "SEL lost",
            Case(K.CERTIFICATION, CERTIFICATE, {AnswerKind.CONFIRMATION}, (), "lost", SELLIGENT, live=True),
            ["S6b"],
        ),
    )
]


@pytest.mark.parametrize("case", CASES)
def test_each_kind_is_told_by_mail_with_the_rights_that_the_contract_gives(
    session: Session, desk: Desk, case: Case
) -> None:
    make_provider(session)
    client = make_client(session, pack=case.pack)
    draft = written(session, case.kind, case.facts, aspect=case.aspect)
    assert deliveries(session) == []
    assert session.exec(select(Notice)).all() == []

    announcement = told(session, desk, draft)

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, NOON.date())  # everybody's receipt is recorded
    assert rights(session, desk) == case.may
    board = boards.board(session, announcement.id, now=NOON)
    assert (board.gate.holds, board.counts["silent"]) == (case.holds, 1)
    assert announcement.state is (AnnouncementState.LIVE if case.live else AnnouncementState.PUBLISHED)
    assert bool(notice.live_at) == case.live
    refuse_what_is_not_offered(session, desk, notice, case.may)


def refuse_what_is_not_offered(session: Session, desk: Desk, notice: Notice, may: set[AnswerKind]) -> None:
    token, notice_id = token_for(session, desk, "dpo@c-001.example"), notice.id
    verbs = {
        OBJECT: lambda: answers.object_to(session, desk, token, notice_id, name="C. Roy", reasons="No.", now=NOON),
        LEAVE: lambda: answers.terminate(session, desk, token, notice_id, name="C. Roy", now=NOON),
        AnswerKind.CONSENT: lambda: answers.consent(session, desk, token, notice_id, name="C. Roy", now=NOON),
        AnswerKind.REFUSAL: lambda: answers.refuse(session, desk, token, notice_id, name="C. Roy", now=NOON),
        AnswerKind.CONFIRMATION: lambda: answers.confirm(session, desk, token, notice_id, name="C. Roy", now=NOON),
    }
    for kind in verbs.keys() - may:
        with pytest.raises(NotAsked):
            verbs[kind]()
    assert happened(session, EventKind.ANSWER_RECORDED) == []


@pytest.mark.obligation("S6b")
def test_a_client_confirms_that_it_has_stopped_exporting_health_data(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session, pack=SELLIGENT)
    announcement = told(session, desk, written(session, K.CERTIFICATION, CERTIFICATE, aspect="lost"))
    said = desk.packs[SELLIGENT].rule_for("certification", "lost").says["en"]["confirmation"]

    answers.confirm(
        session, desk, token_for(session, desk, "dpo@c-001.example"), notice_of(session, client).id, name="C. Roy",
        statement=said, now=NOON + A_DAY,
    )  # fmt: skip

    (row,) = boards.board(session, announcement.id, now=NOON + A_DAY).rows
    assert row.status == "confirmed"
    assert [answer.statement for answer in row.answers] == [said]
    assert len(deliveries(session, "receipt")) == 1


@pytest.mark.obligation("O1.3")
def test_the_loss_of_a_certificate_that_reaches_nobody_at_a_client_is_put_before_a_person(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    client = make_client(session)
    draft = written(session, K.CERTIFICATION, CERTIFICATE, aspect="lost")
    announcement = announcements.publish_draft(session, desk, draft.id, by="ana", now=NOON)

    send_due(session, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.REFUSED})

    assert notice_of(session, client).state is NoticeState.UNREACHED
    assert kinds_of_items(session, announcement) == ["refused_delivery"]
    assert boards.board(session, announcement.id, now=NOON).gate.is_open  # it has happened all the same


def test_a_mail_about_a_lost_certificate_that_comes_back_takes_its_receipt_with_it(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    client = make_client(session)
    told(session, desk, written(session, K.CERTIFICATION, CERTIFICATE, aspect="lost"))
    (mail,) = deliveries(session)

    outbox.returned(session, desk, mail.id, by="relay", evidence="5.1.1", now=NOON + A_DAY)

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.UNREACHED, None)
    assert notice.live_at is not None


def test_what_happened_long_ago_is_told_with_a_link_that_opens(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    draft = written(session, K.CERTIFICATION, CERTIFICATE, aspect="lost", on=date(2025, 6, 1))

    told(session, desk, draft)

    in_a_week = NOON + 7 * A_DAY
    assert rights(session, desk, now=in_a_week) == {LEAVE}


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O4.1", "S7a")
@pytest.mark.parametrize("country", ["US", "GB", "CH"])
def test_a_place_of_storage_outside_the_eea_cannot_even_be_written(session: Session, country: str) -> None:
    make_provider(session)

    with pytest.raises(BadFacts) as refused:
        written(session, K.LOCATION, place(country), aspect="storage")

    assert refused.value.problems == {"country": "outside_eea"}


def test_access_from_outside_the_eea_says_by_which_safeguards(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    with pytest.raises(BadFacts) as refused:
        written(session, K.LOCATION, place("US"), aspect="access")
    assert set(refused.value.problems) == {"safeguards_en", "safeguards_fr"}

    draft = written(session, K.LOCATION, {**place("US"), **in_both("safeguards")}, aspect="access")
    announcement = announcements.publish_draft(session, desk, draft.id, by="ana", now=NOON)
    (mail,) = send_due(session, desk, now=NOON)

    assert "The safeguards in English" in text_of(mail.content)
    a_year_later = NOON + 365 * A_DAY
    notices.lapse_due(session, now=a_year_later)
    assert boards.board(session, announcement.id, now=a_year_later).gate.holds == (Hold.CONSENT,)  # silence is no
    assert notice_of(session, client).live_at is None


@pytest.mark.parametrize("kind", [K.SUBPROCESSOR, K.EMERGENCY])
def test_a_change_of_the_registry_is_not_written_by_hand(session: Session, kind: AnnouncementKind) -> None:
    make_provider(session)

    with pytest.raises(WrongKind):
        written(session, kind, {})


def test_a_draft_is_published_once_and_edited_no_more(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    draft = written(session, K.SUPPORT, support())
    told(session, desk, draft)

    with pytest.raises(NotADraft):
        announcements.publish_draft(session, desk, draft.id, by="ana", now=NOON)
    with pytest.raises(NotADraft):
        announcements.revise(
            session, draft.id, facts=support(), reasons=REASONS, effective_on=date(2026, 7, 1), by="ana", now=NOON
        )
    with pytest.raises(NotADraft):
        announcements.discard(session, draft.id, by="ana", now=NOON)

    assert len(deliveries(session)) == 1


def test_a_draft_that_lay_too_long_is_not_told_for_a_day_that_has_passed(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    draft = written(session, K.SUPPORT, support(), on=date(2026, 6, 1))

    with pytest.raises(EffectiveInPast):
        announcements.publish_draft(session, desk, draft.id, by="ana", now=datetime(2026, 6, 2, tzinfo=UTC))


def test_references_count_within_a_kind_and_are_never_given_again(session: Session) -> None:
    make_provider(session)
    first, second = (written(session, K.SERVICE, SERVICE, aspect="new") for _ in range(2))
    announcements.discard(session, second.id, by="ana", now=NOON)

    third = written(session, K.SERVICE, SERVICE, aspect="new")
    other = written(session, K.SUPPORT, support())

    assert [one.reference for one in (first, third, other)] == ["SV-2026-0001", "SV-2026-0003", "SU-2026-0001"]
    assert second not in announcements.newest(session)


# --- a disclosure that may not be told -------------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["20270115", "2027-W02-5", "2027-1-15", "tomorrow"])
def test_the_end_of_a_prohibition_is_written_in_one_way_alone(session: Session, until: str) -> None:
    make_provider(session)

    with pytest.raises(BadFacts) as refused:
        written(session, K.DISCLOSURE, {**DISCLOSURE, "prohibited_until": until}, aspect="notice")

    assert refused.value.problems == {"prohibited_until": "no_day"}


def test_a_disclosure_is_held_until_its_prohibition_has_ended_and_then_put_before_a_person(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session)
    facts = {**DISCLOSURE, "prohibited_until": "2026-04-30"}
    draft = written(session, K.DISCLOSURE, facts, aspect="notice", on=date(2026, 2, 20))
    last_instant, the_day_after = (datetime(2026, 4, 30, hour, 0, tzinfo=UTC) for hour in (21, 22))

    with pytest.raises(Prohibited, match="prohibited until 2026-04-30"):
        announcements.publish_draft(session, desk, draft.id, by="ana", now=last_instant)
    assert announcements.announce_ended_prohibitions(session, now=last_instant) == 0
    assert (draft.state, deliveries(session), kinds_of_items(session)) == (AnnouncementState.DRAFT, [], [])

    assert announcements.announce_ended_prohibitions(session, now=the_day_after) == 1
    assert announcements.announce_ended_prohibitions(session, now=the_day_after) == 1
    assert kinds_of_items(session, draft) == ["prohibition_ended"]

    told(session, desk, draft, now=the_day_after)
    assert kinds_of_items(session) == []
    assert rights(session, desk, now=the_day_after + A_DAY) == set()


# --- an emergency ----------------------------------------------------------------------------------------------------


MEASURES = in_both("measures")
CONSENTING, SILENT, REFUSING = "yes@c-1.example", "hm@c-2.example", "no@c-3.example"


@pytest.fixture
def emergency(session: Session, desk: Desk) -> Announcement:
    """Three clients are told today of a replacement that is to begin tomorrow."""
    make_provider(session)
    for key, email in (("C-1", CONSENTING), ("C-2", SILENT), ("C-3", REFUSING)):
        make_client(session, key, contacts=[{"email": email}])
    make_version(session, now=NOON - A_DAY)
    registry.add_entry(session, replace(make_entry("Secours"), replaces="fibrexemple"), by="ana", now=NOON)
    announcement = announcements.publish(
        session, desk, kind=K.EMERGENCY, facts=MEASURES, effective_on=NOON.date() + A_DAY, reasons=REASONS,
        per_client=True, by="ana", now=NOON,
    )  # fmt: skip
    send_due(session, desk, now=NOON)
    return announcement


def say(
    session: Session, desk: Desk, address: str, kind: AnswerKind, *, now: datetime, machine_like: bool = False
) -> str:
    token = token_for(session, desk, address)
    (one,) = answers.open_link(session, token, now=now).told
    verb = {AnswerKind.CONSENT: answers.consent, AnswerKind.REFUSAL: answers.refuse}[kind]
    return verb(session, desk, token, one.notice.id, name="Camille Roy", machine_like=machine_like, now=now)


def by_key(session: Session, announcement: Announcement, *, now: datetime) -> dict[str, boards.Row]:
    return {row.client.key: row for row in boards.board(session, announcement.id, now=now).rows}


def test_an_emergency_states_what_protects_the_data(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_version(session)
    registry.add_entry(session, make_entry("Secours"), by="ana", now=NOON)

    with pytest.raises(BadFacts) as refused:
        announcements.publish(
            session, desk, kind=K.EMERGENCY, effective_on=date(2026, 6, 1), reasons=REASONS, by="ana", now=NOON
        )

    assert refused.value.problems == {"measures_en": "missing", "measures_fr": "missing"}


@pytest.mark.obligation("O5.4")
def test_an_emergency_asks_each_client_for_its_consent_and_shortens_nobodys_period(
    session: Session, desk: Desk, emergency: Announcement
) -> None:
    tomorrow = emergency.effective_at
    say(session, desk, CONSENTING, AnswerKind.CONSENT, now=NOON)
    say(session, desk, REFUSING, AnswerKind.REFUSAL, now=NOON)

    rows = by_key(session, emergency, now=tomorrow)
    assert {key: row.gate.holds for key, row in rows.items()} == {
        "C-1": (),
        "C-2": (Hold.PERIOD,),
        "C-3": (Hold.PERIOD,),
    }
    assert {key: row.status for key, row in rows.items()} == {"C-1": "consented", "C-2": "silent", "C-3": "refused"}
    assert rows["C-2"].notice.object_by == date(2026, 4, 3)  # as for any change of subprocessor

    going_live.go_live(session, emergency.id, by="ana", now=tomorrow)
    rows = by_key(session, emergency, now=tomorrow)
    assert {key for key, row in rows.items() if row.notice.live_at} == {"C-1"}
    assert announcements.upcoming(session) == [emergency]

    end = rows["C-2"].notice.object_until
    notices.lapse_due(session, now=end)
    going_live.go_live(session, emergency.id, by="ana", now=end)
    assert emergency.state is AnnouncementState.LIVE
    assert not any(row.notice.live_in_breach for row in by_key(session, emergency, now=end).values())


def test_without_every_consent_an_emergency_begins_only_as_a_breach_for_those_whose_right_had_not_run(
    session: Session, desk: Desk, emergency: Announcement
) -> None:
    tomorrow = emergency.effective_at
    say(session, desk, CONSENTING, AnswerKind.CONSENT, now=NOON)
    with pytest.raises(GateClosed):
        going_live.go_live(
            session, emergency.id, by="ana", now=tomorrow,
            notice_ids=[row.notice.id for row in by_key(session, emergency, now=tomorrow).values()],
        )  # fmt: skip

    breach(session, desk, emergency, now=tomorrow)

    rows = by_key(session, emergency, now=tomorrow)
    assert {key for key, row in rows.items() if row.notice.live_in_breach} == {"C-2", "C-3"}
    assert {mail.address for mail in deliveries(session, "breach")} == {SILENT, REFUSING}
    assert emergency.state is AnnouncementState.LIVE


def test_a_consent_that_looks_like_a_machines_opens_nothing_until_somebody_has_looked(
    session: Session, desk: Desk, emergency: Announcement
) -> None:
    tomorrow = emergency.effective_at
    say(session, desk, CONSENTING, AnswerKind.CONSENT, now=NOON, machine_like=True)
    row = by_key(session, emergency, now=tomorrow)["C-1"]
    assert row.gate.holds == (Hold.PERIOD,)
    assert kinds_of_items(session, emergency) == ["machine_like_answer"]

    answers.review(session, row.answers[0].id, note="Telephoned: it was Ms Roy.", by="user:ana", now=tomorrow)

    assert by_key(session, emergency, now=tomorrow)["C-1"].gate.is_open
    assert kinds_of_items(session, emergency) == []


def test_a_client_that_objects_after_agreeing_holds_its_gate(
    session: Session, desk: Desk, emergency: Announcement
) -> None:
    say(session, desk, CONSENTING, AnswerKind.CONSENT, now=NOON)
    token = token_for(session, desk, CONSENTING)
    (one,) = answers.open_link(session, token, now=NOON).told
    answers.object_to(session, desk, token, one.notice.id, name="C. Roy", reasons="On reflection.", now=NOON)

    assert by_key(session, emergency, now=emergency.effective_at)["C-1"].gate.holds == (Hold.OBJECTION,)


# --- the list alone --------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O5.1", "S4")
def test_a_subprocessor_that_leaves_or_moves_its_office_is_told_for_information(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    make_version(session, now=NOON - A_DAY)
    registry.remove_entry(session, "fibrexemple", by="ana", now=NOON)
    today = NOON.date()

    assert previews.preview(session, desk, now=NOON).earliest_effective_on == today
    announcement = announcements.publish(session, desk, effective_on=today, reasons=REASONS, by="ana", now=NOON)
    send_due(session, desk, now=NOON)

    assert rights(session, desk) == set()
    going_live.go_live(session, announcement.id, by="ana", now=NOON)
    assert notice_of(session, client).live_at == NOON
    assert announcement.state is AnnouncementState.LIVE


@pytest.mark.obligation("O5.2", "O18")
def test_a_provider_that_is_listed_is_not_authorised_for_another_service_or_for_receiving_data(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session)
    make_version(session, now=NOON - A_DAY)
    amended = {"activities": ("Datacenter; receives the data",), "places": (Place(country="FR", kind="production"),)}
    registry.amend_entry(session, "fibrexemple", amended, by="ana", now=NOON)

    with pytest.raises(announcements.EffectiveTooEarly), session.begin_nested():
        announcements.publish(session, desk, effective_on=NOON.date(), reasons=REASONS, by="ana", now=NOON)
    announcements.publish(session, desk, effective_on=date(2026, 6, 1), reasons=REASONS, by="ana", now=NOON)
    (mail,) = send_due(session, desk, now=NOON)

    assert rights(session, desk) == {OBJECT, LEAVE}
    assert "Datacenter; receives the data" in text_of(mail.content)


# --- whom it tells ---------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O9.1", "O9.2", "S4")
def test_a_lost_certificate_is_told_to_the_contact_for_incidents_of_today(session: Session, desk: Desk) -> None:
    make_provider(session)
    client: Client = make_client(session, contacts=[{"role": "contractual", "email": "legal@c.example"}])
    make_contact(session, client, role="incident", email="old@c.example").left_at = NOON - A_DAY
    make_contact(session, client, role="incident", email="night@c.example", name="Dr Sol", phone="+33 1 23 45 67 89")

    told(session, desk, written(session, K.CERTIFICATION, CERTIFICATE, aspect="lost"))

    assert [mail.address for mail in deliveries(session)] == ["legal@c.example", "night@c.example"]


def test_a_change_of_nobodys_concern_takes_effect_on_its_day(session: Session, desk: Desk) -> None:
    make_provider(session)
    announcement = told(session, desk, written(session, K.SUPPORT, support(), on=NOON.date()))

    going_live.go_live(session, announcement.id, by="ana", now=NOON)

    assert announcement.state is AnnouncementState.LIVE
    with pytest.raises(NotPublished):
        announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=NOON)


def test_a_sealed_rule_outlives_the_contract_it_was_read_from(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    announcement = make_announcement(session, desk)
    end = announcement.effective_at
    gone = replace(desk, packs={})

    send_due(session, gone, now=NOON)
    notices.lapse_due(session, now=end)
    going_live.go_live(session, announcement.id, by="ana", now=end)

    assert announcement.state is AnnouncementState.LIVE
