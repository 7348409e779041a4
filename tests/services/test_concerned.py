"""Whom a change concerns, as what it is told to each, and what happens when a client comes to use something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlmodel import Session, select

from notifier.models import Announcement, AnnouncementKind, AnnouncementState, AnswerKind, Client, Notice, Sealed
from notifier.rules.entries import Entry, Place
from notifier.rules.gate import Hold, Waits
from notifier.rules.periods import Period
from notifier.rules.registry_diff import LISTED, TOLD, Need, diff
from notifier.rules.scope import Scope
from notifier.rules.terms import Mode
from notifier.services import (
    announcements,
    answers,
    boards,
    clients,
    corrections,
    going_live,
    letters,
    notices,
    own_lists,
    paper,
    paper_words,
    previews,
    provider,
    registry,
    reminders,
    timeline,
)
from notifier.services.affected import Subject, rules_under
from notifier.services.desk import Desk
from notifier.services.own_lists import OwnList
from notifier.services.previews import Concern
from tests.factories import NOON, PACK, REASONS, make_client, make_entry, make_provider, make_version
from tests.services.stories import deliveries, notice_of, send_due, the_draft, token_for, with_pack

A_DAY = timedelta(days=1)
THE_DAY = date(2026, 6, 10)
COMPUTE, BACKUP = ("Compute",), ("Backup",)


@dataclass(frozen=True)
class Story:
    session: Session
    desk: Desk

    def client(self, key: str, *services: str, **fields: Any) -> Client:  # noqa: ANN401 - columns of any type
        return make_client(self.session, key, services=list(services), **fields)

    def add(self, name: str, *, now: datetime = NOON, **fields: Any) -> Entry:  # noqa: ANN401 - fields of any type
        entry = replace(make_entry(name), **fields)
        registry.add_entry(self.session, entry, by="ana", now=now)
        return entry

    def publish(self, on: date = THE_DAY, *, now: datetime = NOON, **options: Any) -> Announcement:  # noqa: ANN401 - as above
        made = announcements.publish(
            self.session, self.desk, effective_on=on, reasons=REASONS, by="ana", now=now, **options
        )
        self.session.flush()
        return made

    def told(self, announcement: Announcement) -> set[str]:
        rows = boards.board(self.session, announcement.id, now=NOON).rows
        return {row.client.key for row in rows}

    def texts(self, letter: str = "notice") -> dict[str, str]:
        """Return the text of each mail of a letter, by address."""
        filler = letters.Filler(self.session, self.desk)
        mails = {one.address: message_from_bytes(filler.content(one), policy=default) for one in self.mails(letter)}
        return {address: mail.get_body(("plain",)).get_content() for address, mail in mails.items()}  # type: ignore[union-attr] # every mail has a text

    def mails(self, letter: str) -> list[Any]:
        return deliveries(self.session, letter)

    def names(self, client: Client, on: date, known_on: date | None = None) -> list[str]:
        found = own_lists.own_list(self.session, client.id, on=on, known_on=known_on)
        return sorted(one.entry.name for one in found.entries)


@pytest.fixture
def story(session: Session, desk: Desk) -> Story:
    make_provider(session)
    make_version(session, now=NOON - A_DAY)
    return Story(session, desk)


# --- as what a change is told ----------------------------------------------------------------------------------------


def rule_of(session: Session, client: Client) -> Any:  # noqa: ANN401 - a rule
    return session.get_one(Sealed, notice_of(session, client).sealed_id).counted


@pytest.mark.obligation("O5.5", "O19.1")
def test_a_subprocessor_that_lowers_the_security_needs_each_clients_consent(story: Story) -> None:
    client = story.client("C-1")
    registry.amend_entry(story.session, "equinix", {"security": "lower"}, by="ana", now=NOON)
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)

    (row,) = boards.board(story.session, announcement.id, now=NOON).rows
    assert (announcement.kind, row.waits, row.gate.holds) == (
        AnnouncementKind.SUBPROCESSOR, Waits.CONSENT, (Hold.CONSENT,)
    )  # fmt: skip
    text = story.texts()["dpo@c-1.example"]
    assert "that is a refusal" in " ".join(text.split())
    opened = answers.open_link(story.session, token_for(story.session, story.desk, "dpo@c-1.example"), now=NOON)
    offered = {kind for kind in AnswerKind if opened.told[0].offers(kind)}
    assert offered == {AnswerKind.ACKNOWLEDGEMENT, AnswerKind.CONSENT, AnswerKind.REFUSAL}
    with pytest.raises(going_live.GateClosed):
        going_live.go_live(story.session, announcement.id, by="ana", now=announcement.effective_at)
    answers.consent(
        story.session, story.desk, token_for(story.session, story.desk, "dpo@c-1.example"),
        notice_of(story.session, client).id, name="C. Roy", statement="We agree.", machine_like=False, now=NOON,
    )  # fmt: skip
    going_live.go_live(story.session, announcement.id, by="ana", now=announcement.effective_at)


@pytest.mark.obligation("O4.1", "O4.2")
def test_a_new_country_needs_what_each_contract_says_of_a_move_to_it(story: Story) -> None:
    """Consent outside the territory of the contract; notice where the contract lets a place change within Europe."""
    strict, open_to_europe = story.client("C-1"), story.client("C-2", pack="selligent-health-2020")
    there = (Place(country="FR", site="Paris"), Place(country="DE", site="Berlin"))
    registry.amend_entry(story.session, "equinix", {"places": (there[0],)}, by="ana", now=NOON)
    going_live.go_live(story.session, story.publish().id, by="ana", now=NOON + 365 * A_DAY)
    registry.amend_entry(story.session, "equinix", {"places": there}, by="ana", now=NOON + 365 * A_DAY)
    story.publish(date(2027, 12, 1), now=NOON + 365 * A_DAY)

    by_client = {one.client_id: one for one in story.session.exec(select(Notice).order_by(Notice.raised_at))}  # type: ignore[arg-type] # a column
    modes = [
        story.session.get_one(Sealed, by_client[one.id].sealed_id).counted.mode for one in (strict, open_to_europe)
    ]
    assert modes[0] is Mode.CONSENT
    assert modes[1] is not Mode.CONSENT


def test_the_needs_are_kept_with_the_announcement_and_a_correction_keeps_them_right(story: Story) -> None:
    client = story.client("C-1")
    story.add("Optexemple", security="lower")
    announcement = story.publish()
    assert Subject.of(announcement).parts[0].needs == (Need("security"), TOLD)[:2]
    assert rule_of(story.session, client).mode is Mode.CONSENT

    registry.amend_entry(story.session, "optexemple", {"security": "equal"}, by="ana", now=NOON)
    corrections.correct(
        story.session, story.desk, announcement.id, take_draft=the_draft(story.session), why="It is not lower.",
        by="ana", now=NOON + A_DAY,
    )  # fmt: skip

    assert Subject.of(announcement).parts[0].needs == (TOLD,)
    assert rule_of(story.session, client).mode is not Mode.CONSENT


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({"mode": Mode.NOTICE, "period": Period(60)}, 60),  # what comes later is stricter
        ({"mode": Mode.NOTICE, "period": Period(10)}, 30),
        ({"mode": Mode.NOTICE, "period": Period(30)}, 30),
    ],
)
def test_of_several_rules_the_one_that_comes_latest_holds_and_a_tie_keeps_the_ordinary_one(
    session: Session, desk: Desk, security: Mapping[str, Any], expected: int
) -> None:
    ordinary = desk.packs[PACK].rule_for("subprocessor")
    written = {**replace(ordinary, **security).as_json(), "clause": "Art. of security"}
    pack = replace(desk.packs[PACK], name="own", written={**desk.packs[PACK].written, "security": written})
    desk = replace(desk, packs={**desk.packs, "own": pack})
    make_provider(session)
    make_version(session, now=NOON - A_DAY)
    client = make_client(session, pack="own")
    registry.amend_entry(session, "equinix", {"security": "lower"}, by="ana", now=NOON)

    Story(session, desk).publish(date(2026, 9, 1))

    rule = rule_of(session, client)
    assert str(rule.period) == f"{expected} days"
    assert rule.clause == ("Art. of security" if expected == 60 else ordinary.clause)


def test_a_contract_that_does_not_speak_of_it_is_told_by_its_rule_for_subprocessors(desk: Desk) -> None:
    shipped = desk.packs[PACK]
    silent = replace(shipped, written={"subprocessor": shipped.written["subprocessor"]})
    desk = replace(desk, packs={**desk.packs, PACK: silent})

    rules = rules_under(desk, PACK, {}, AnnouncementKind.SUBPROCESSOR, [TOLD, Need("security")])

    assert rules == (silent.rule_for("subprocessor"),)


def test_an_emergency_that_lowers_the_security_waits_for_consent_alone(story: Story) -> None:
    story.client("C-1")
    story.add("Optexemple", security="lower")
    measures = {"measures_en": "Keys.", "measures_fr": "Des clés."}
    announcement = story.publish(date(2026, 3, 5), kind=AnnouncementKind.EMERGENCY, facts=measures)

    (row,) = boards.board(story.session, announcement.id, now=NOON).rows

    assert row.waits is Waits.CONSENT


# --- whom it concerns ------------------------------------------------------------------------------------------------


def test_only_the_clients_that_use_an_entry_are_told_and_the_gate_waits_for_nobody_else(story: Story) -> None:
    story.client("C-1", "compute")
    story.client("C-2", "Backup")
    story.client("C-3")
    story.add("Optexemple", services=COMPUTE)

    seen = previews.preview(story.session, story.desk, now=NOON)
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)

    assert story.told(announcement) == {"C-1", "C-3"}
    board = boards.board(story.session, announcement.id, now=NOON)
    assert board.untold == ()
    assert (seen.clients, seen.unconcerned) == (2, 1)
    assert {(one.reason.services, one.reason.unstated, one.clients) for one in seen.reasons} == {
        (("compute",), (), 1),
        ((), ("services",), 1),
    }
    assert [one.clients for one in seen.warnings if one.concern is Concern.NO_SERVICES] == [1]
    notices.lapse_due(story.session, now=announcement.effective_at)
    going_live.go_live(story.session, announcement.id, by="ana", now=announcement.effective_at)
    assert announcement.state is AnnouncementState.LIVE


def test_a_service_that_no_entry_names_may_be_misspelt_and_is_shown_before_publishing(story: Story) -> None:
    story.client("C-1", "Compute")
    story.client("C-2", "Compte")
    story.client("C-3", "Backup")
    story.add("Stockexemple", services=("Backup",))
    story.publish()
    story.add("Optexemple", services=COMPUTE)

    seen = previews.preview(story.session, story.desk, now=NOON)

    warned = [(one.clients, one.details) for one in seen.warnings if one.concern is Concern.UNKNOWN_SERVICES]
    assert (seen.unconcerned, warned) == (2, [(1, ("Compte",))])


def test_what_concerns_nobody_is_published_and_goes_live(story: Story) -> None:
    story.client("C-1", "Backup")
    story.add("Optexemple", services=COMPUTE)
    seen = previews.preview(story.session, story.desk, now=NOON)
    announcement = story.publish(NOON.date())

    going_live.go_live(story.session, announcement.id, by="ana", now=NOON)

    assert (seen.clients, seen.addresses, seen.unconcerned, seen.groups) == (0, 0, 1, ())
    assert announcement.state is AnnouncementState.LIVE


def test_a_client_is_told_of_the_changes_that_concern_it_and_of_no_other(story: Story) -> None:
    for key, services in (("C-1", ["Compute"]), ("C-2", ["Backup"]), ("C-3", ["Compute", "Backup"])):
        story.client(key, *services)
    story.add("Calculexemple", services=COMPUTE)
    story.add("Sauvexemple", services=BACKUP)

    announcement = story.publish()

    texts = story.texts()
    named = {
        address: {name for name in ("Calculexemple", "Sauvexemple") if name in text} for address, text in texts.items()
    }
    assert named == {
        "dpo@c-1.example": {"Calculexemple"},
        "dpo@c-2.example": {"Sauvexemple"},
        "dpo@c-3.example": {"Calculexemple", "Sauvexemple"},
    }
    assert "used by your service Compute" in texts["dpo@c-1.example"]
    assert "used by your services Compute and Backup" in texts["dpo@c-3.example"]
    for key, changes in (("c-1", ["Calculexemple"]), ("c-3", ["Calculexemple", "Sauvexemple"])):
        token = token_for(story.session, story.desk, f"dpo@{key}.example")
        opened = answers.open_link(story.session, token, now=NOON)
        assert [one.name for one in announcements.changes_of(opened.announcement)] == changes
        assert opened.announcement.id == announcement.id
    assert not story.session.dirty
    assert story.session.get_one(Announcement, announcement.id).changes == announcement.changes


def test_letters_that_follow_name_only_what_concerns_their_reader(story: Story) -> None:
    client = story.client("C-1", "Compute")
    story.client("C-3", "Compute", "Backup")
    story.add("Calculexemple", services=COMPUTE)
    story.add("Sauvexemple", services=BACKUP)
    story.publish()
    send_due(story.session, story.desk, now=NOON)

    last = notice_of(story.session, client).object_until
    reminders.send_due(story.session, story.desk, now=last - 3 * A_DAY)

    texts = {address: " ".join(text.split()) for address, text in story.texts("reminder").items()}
    assert "Calculexemple" in texts["dpo@c-1.example"]
    assert "2 changes" not in texts["dpo@c-1.example"]
    assert "2 changes" in texts["dpo@c-3.example"]


def test_one_mailbox_of_two_clients_has_a_mail_for_each_set_of_changes(story: Story) -> None:
    mailbox = [{"email": "legal@group.example"}]
    story.client("C-1", "Compute", contacts=mailbox)
    story.client("C-2", "Backup", contacts=mailbox)
    story.client("C-3", "Backup", contacts=mailbox)
    story.add("Calculexemple", services=COMPUTE)
    story.add("Sauvexemple", services=BACKUP)
    seen = previews.preview(story.session, story.desk, now=NOON)

    story.publish()

    mails = story.mails("notice")
    assert seen.addresses == len(mails) == 2
    assert sorted(len(one.facts["entities"]) for one in mails) == [1, 2]


def test_a_letter_of_paper_tells_only_what_concerns_the_client_and_why(story: Story) -> None:
    lives = {"address": "1 rue des Essais", "town": "Lille", "country": "FR", "email_accepted": False}
    story.client("C-1", "Compute", **lives)
    story.add("Calculexemple", services=COMPUTE)
    story.add("Sauvexemple", services=BACKUP)
    announcement = story.publish()
    (shown,) = paper.waiting(story.session, announcement.id)

    (addressed,) = paper._addressed(story.session, announcement, [shown.letter])  # noqa: SLF001 - what a printer is given
    told = letters.Sayings(story.session, announcement).to([addressed.notice])
    profile = provider.get(story.session)
    written = paper_words.written(told, profile, addressed, written_on=NOON.date())

    said = "\n".join(text for section in written.sections for text in section.paragraphs)
    assert "Why this concerns you: used by your service Compute." in said
    assert "Calculexemple" in written.subject
    assert "Sauvexemple" not in str(written)


def test_one_announcement_is_ordinary_for_one_client_and_of_the_list_alone_for_another(story: Story) -> None:
    first, second = story.client("C-1", "Compute"), story.client("C-2", "Backup")
    story.add("Calculexemple", services=COMPUTE)
    registry.remove_entry(story.session, "fibrexemple", by="ana", now=NOON)
    story.publish()

    rules = [rule_of(story.session, client) for client in (first, second)]

    assert [rule.mode is Mode.INFORMATION for rule in rules] == [False, True]


# --- what changes of scope do ----------------------------------------------------------------------------------------


def live_entry(story: Story, **fields: Any) -> None:  # noqa: ANN401 - fields of any type
    """Put an entry in force before the story begins."""
    story.add("Optexemple", now=NOON - A_DAY, **fields)
    made = announcements.publish(
        story.session, story.desk, effective_on=NOON.date(), reasons=REASONS, by="ana", now=NOON - A_DAY
    )
    going_live.go_live(story.session, made.id, by="ana", now=NOON - timedelta(hours=12), at=made.effective_at)


def test_an_entry_that_more_services_come_to_use_is_new_to_their_clients_and_told_in_full(story: Story) -> None:
    live_entry(story, services=COMPUTE, outside_access="yes", outside_countries=("US",))
    old, new = story.client("C-1", "Compute"), story.client("C-2", "Backup")
    registry.amend_entry(story.session, "optexemple", {"services": ("Compute", "Backup")}, by="ana", now=NOON)

    announcement = story.publish()

    assert story.told(announcement) == {"C-1", "C-2"}
    texts = story.texts()
    assert "Fibre noire" not in texts["dpo@c-1.example"]
    assert "Fibre noire" in texts["dpo@c-2.example"]  # the whole entry, not only that it is used more
    assert rule_of(story.session, old).mode is not Mode.CONSENT
    assert rule_of(story.session, new).mode is Mode.CONSENT  # to it, the access from outside is new too
    going_live_at = announcement.effective_at
    assert "Optexemple" not in story.names(new, going_live_at.date())


def test_a_client_that_comes_to_use_a_service_is_told_as_a_latecomer(story: Story) -> None:
    story.client("C-1", "Compute")
    late = story.client("C-2", "Backup")
    story.add("Optexemple", services=COMPUTE)
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)
    later = NOON + 90 * A_DAY
    notices.lapse_due(story.session, now=later)

    late.services = ["Backup", "Compute"]
    story.session.add(late)
    story.session.flush()

    assert [one.key for one in boards.board(story.session, announcement.id, now=later).untold] == ["C-2"]
    with pytest.raises(going_live.GateClosed, match="not_told"):
        going_live.go_live(story.session, announcement.id, by="ana", now=announcement.effective_at + 60 * A_DAY)
    assert announcements.tell_latecomers(story.session, story.desk, announcement.id, by="ana", now=later) == 1
    assert (announcement.edition, notice_of(story.session, late).edition) == (1, 1)
    assert boards.board(story.session, announcement.id, now=later).untold == ()


def test_a_client_whom_more_of_an_announcement_comes_to_concern_is_told_anew_with_its_whole_period(
    story: Story,
) -> None:
    other, widened = story.client("C-1", "Compute"), story.client("C-2", "Compute")
    story.add("Calculexemple", services=COMPUTE)
    story.add("Sauvexemple", services=BACKUP)
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)
    token = token_for(story.session, story.desk, "dpo@c-2.example")
    answers.acknowledge(
        story.session, story.desk, token, [notice_of(story.session, widened).id], name="C. Roy", machine_like=False,
        now=NOON,
    )  # fmt: skip
    before = notice_of(story.session, widened).object_by

    widened.services = ["Compute", "Backup"]
    story.session.add(widened)
    story.session.flush()
    later = NOON + 60 * A_DAY
    notices.lapse_due(story.session, now=later)
    board = boards.board(story.session, announcement.id, now=later)
    assert [one.key for one in board.untold] == ["C-2"]
    assert {row.client.key: row.gate.holds for row in board.rows} == {"C-1": (), "C-2": (Hold.NOT_TOLD,)}

    announcements.tell_latecomers(story.session, story.desk, announcement.id, by="ana", now=later)
    send_due(story.session, story.desk, now=later)

    notice = notice_of(story.session, widened)
    assert (announcement.edition, notice.edition, notice_of(story.session, other).edition) == (2, 2, 1)
    assert notice.object_by > before
    (row,) = (row for row in boards.board(story.session, announcement.id, now=later).rows if row.client.key == "C-2")
    assert row.gate.holds == (Hold.PERIOD,)
    assert not [answer for answer in row.answers if answer.standing]
    newest = max(story.mails("notice"), key=lambda one: one.created_at)
    text = message_from_bytes(letters.Filler(story.session, story.desk).content(newest), policy=default)
    said = " ".join(text.get_body(("plain",)).get_content().split())  # type: ignore[union-attr] # every mail has a text
    assert "REPLACES OUR NOTICE" in said
    assert "Sauvexemple" in said
    assert [one.in_substance for one in announcements.editions(story.session, announcement.id)] == [True, False]


def test_a_correction_lets_go_of_the_clients_whom_nothing_concerns_any_more_and_tells_them(story: Story) -> None:
    story.client("C-1", "Compute")
    gone = story.client("C-2", "Backup")
    story.add("Optexemple")
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)

    registry.amend_entry(story.session, "optexemple", {"services": COMPUTE}, by="ana", now=NOON)
    corrections.correct(
        story.session, story.desk, announcement.id, take_draft=the_draft(story.session), why="Compute alone.",
        by="ana", now=NOON + A_DAY,
    )  # fmt: skip

    statuses = {row.client.key: row.status for row in boards.board(story.session, announcement.id, now=NOON).rows}
    assert statuses == {"C-1": "sending", "C-2": "excluded"}
    assert list(story.texts("withdrawn")) == ["dpo@c-2.example"]
    assert "concerns nothing any more that you use" in " ".join(story.texts("withdrawn")["dpo@c-2.example"].split())
    assert own_lists.own_list(story.session, gone.id, on=THE_DAY).excluded == ()


# --- own lists -------------------------------------------------------------------------------------------------------


def test_a_client_has_on_its_list_what_it_uses_and_why(story: Story) -> None:
    live_entry(story, services=COMPUTE, regions=("Paris",))
    user, other = story.client("C-1", "Compute"), story.client("C-2", "Backup")

    mine: OwnList = own_lists.own_list(story.session, user.id, on=NOON.date())

    reasons = {one.entry.name: one.reason for one in mine.entries}
    assert sorted(reasons) == ["Equinix", "Fibrexemple", "Optexemple"]
    assert (reasons["Optexemple"].services, reasons["Optexemple"].unstated) == (("Compute",), ("regions",))
    assert story.names(other, NOON.date()) == ["Equinix", "Fibrexemple"]


def test_an_own_list_as_known_on_a_day_holds_what_had_been_recorded_and_announced_by_then(story: Story) -> None:
    client = story.client("C-1")
    story.add("Optexemple")
    announcement = story.publish()
    send_due(story.session, story.desk, now=NOON)
    recorded = announcement.effective_at + 10 * A_DAY
    going_live.go_live(story.session, announcement.id, by="ana", at=announcement.effective_at, now=recorded)

    before, both = ["Equinix", "Fibrexemple"], ["Equinix", "Fibrexemple", "Optexemple"]
    assert story.names(client, THE_DAY) == both
    assert story.names(client, THE_DAY, known_on=THE_DAY) == before  # it had not been written down yet
    assert story.names(client, THE_DAY, known_on=(recorded + A_DAY).date()) == both
    assert story.names(client, THE_DAY, known_on=NOON.date() - A_DAY) == before  # nothing had been announced
    assert story.names(client, THE_DAY - A_DAY, known_on=NOON.date()) == before
    expected = own_lists.own_list(story.session, client.id, on=THE_DAY, known_on=NOON.date())
    assert (expected.expected, {one.entry.name for one in expected.entries if one.expected}) == (True, {"Optexemple"})


def test_a_past_that_was_taken_from_elsewhere_is_on_every_own_list(session: Session) -> None:
    make_provider(session)
    for days, names in ((400, ["A"]), (300, ["A", "B"])):
        content = [make_entry(name) for name in names]
        at = NOON - days * A_DAY
        registry.take_past(session, content, published_at=at, source="a commit", by="ana", now=NOON)
    client = make_client(session)

    lists = [own_lists.own_list(session, client.id, on=(NOON - days * A_DAY).date()) for days in (401, 350, 1)]

    since = [{one.entry.name: one.since for one in found.entries} for found in lists]
    first, second = NOON - 400 * A_DAY, NOON - 300 * A_DAY
    assert since == [{}, {"A": first}, {"A": first, "B": second}]
    assert clients.by_key(session, client.key).scope.services == ()


# --- one upon another ------------------------------------------------------------------------------------------------


def test_a_later_faster_change_goes_live_first_and_every_list_is_right_on_each_side_of_every_edge(
    session: Session, desk: Desk
) -> None:
    """A slow change of one client's contract, and a quick one that has nothing to do with it."""
    story = Story(session, with_pack(desk, "ninety-days", period=Period(90)))
    make_provider(session)
    make_version(session, now=NOON - A_DAY)
    slow, fast = story.client("C-1", "Compute", pack="ninety-days"), story.client("C-2", "Backup")
    story.add("Lentexemple", services=COMPUTE)
    second = story.publish(date(2026, 6, 10))
    story.add("Viteexemple", services=BACKUP, now=NOON + A_DAY)
    third = story.publish(date(2026, 4, 15), now=NOON + A_DAY)
    send_due(session, story.desk, now=NOON + A_DAY)

    assert {address: "Lentexemple" in text for address, text in story.texts().items()} == {
        "dpo@c-1.example": True, "dpo@c-2.example": False
    }  # fmt: skip
    made = third.effective_at + timedelta(hours=3)
    notices.lapse_due(session, now=made)
    going_live.go_live(session, third.id, by="ana", now=made)
    later = second.effective_at + timedelta(hours=3)
    known = timeline.as_of(session, on=date(2026, 6, 10), known_on=date(2026, 5, 1), now=later)
    assert known.expected
    assert {one.name for one in known.entries} == {"Equinix", "Fibrexemple", "Lentexemple", "Viteexemple"}
    notices.lapse_due(session, now=later)
    going_live.go_live(session, second.id, by="ana", now=later)

    base = {"Equinix", "Fibrexemple"}
    edges = [
        (made - timedelta(microseconds=1), base),
        (made, base | {"Viteexemple"}),
        (later - timedelta(microseconds=1), base | {"Viteexemple"}),
        (later, base | {"Viteexemple", "Lentexemple"}),
    ]
    for at, names in edges:
        assert {one.name for one in timeline.in_force(session, at)} == names
    days = [date(2026, 4, 14), date(2026, 4, 15), date(2026, 6, 9), date(2026, 6, 10)]
    both = sorted(base)
    with_slow, with_fast = [*both, "Lentexemple"], [*both, "Viteexemple"]
    assert [story.names(slow, day) for day in days] == [both, both, both, with_slow]
    assert [story.names(fast, day) for day in days] == [both, with_fast, with_fast, with_fast]
    expected = own_lists.own_list(session, slow.id, on=days[-1], known_on=days[1])
    assert {one.entry.name: one.expected for one in expected.entries} == dict.fromkeys(both, False) | {
        "Lentexemple": True
    }
    assert LISTED not in {need for part in Subject.of(third).parts for need in part.needs}


# --- what concerns a client again, and what is new to it alone -------------------------------------------------------


@pytest.mark.parametrize("told_before", [True, False])
def test_whom_a_correction_left_out_is_told_when_a_later_one_concerns_it_again(
    story: Story, *, told_before: bool
) -> None:
    story.client("C-1", "Compute")
    story.client("C-2", "Backup")
    story.add("Optexemple", services=("Compute", "Backup"))
    announcement = story.publish()
    if told_before:
        send_due(story.session, story.desk, now=NOON)
    for days, services in ((1, COMPUTE), (2, ("Compute", "Backup"))):
        registry.amend_entry(story.session, "optexemple", {"services": services}, by="ana", now=NOON + days * A_DAY)
        corrections.correct(
            story.session, story.desk, announcement.id, take_draft=the_draft(story.session), why="Which service.",
            by="ana", now=NOON + days * A_DAY,
        )  # fmt: skip

    board = boards.board(story.session, announcement.id, now=NOON + 2 * A_DAY)
    assert board.untold == ()
    assert {row.client.key: row.gate.is_open for row in board.rows} == {"C-1": False, "C-2": False}
    waiting = [one.address for one in story.mails("notice") if one.state.value == "waiting"]
    assert sorted(waiting) == ["dpo@c-1.example", "dpo@c-2.example"]


def test_whom_a_correction_left_out_is_told_when_it_comes_to_use_what_changes(story: Story) -> None:
    story.client("C-1", "Compute")
    client = story.client("C-2", "Backup")
    story.add("Optexemple", services=("Compute", "Backup"))
    announcement = story.publish()
    registry.amend_entry(story.session, "optexemple", {"services": COMPUTE}, by="ana", now=NOON + A_DAY)
    corrections.correct(
        story.session, story.desk, announcement.id, take_draft=the_draft(story.session), why="Which service.",
        by="ana", now=NOON + A_DAY,
    )  # fmt: skip
    client.services = ["Backup", "Compute"]
    story.session.flush()

    assert [one.key for one in boards.board(story.session, announcement.id, now=NOON + A_DAY).untold] == ["C-2"]
    later = NOON + 2 * A_DAY
    assert announcements.tell_latecomers(story.session, story.desk, announcement.id, by="ana", now=later) == 1
    board = boards.board(story.session, announcement.id, now=later)
    assert (board.untold, notice_of(story.session, client).excluded_at) == ((), None)
    assert not any(row.gate.is_open for row in board.rows)


AMERICA = (Place(country="US", site="Ashburn"),)


@pytest.mark.parametrize("way", ["widened", "added"])
def test_a_country_is_new_to_the_clients_of_a_service_whatever_another_service_uses(way: str) -> None:
    before = [make_entry("Equinix"), make_entry("Amexemple", services=COMPUTE, places=AMERICA)]
    if way == "widened":
        after = [before[0], replace(before[1], services=("Compute", "Backup"))]
    else:
        after = [*before, make_entry("Usexemple", services=BACKUP, places=AMERICA)]

    subject = Subject.of_registry(AnnouncementKind.SUBPROCESSOR, diff(before, after), before)

    seen = subject.seen_by(Scope(services=BACKUP))
    assert seen
    assert Need("location", "storage", "US") in seen.needs


def test_a_country_that_was_announced_and_not_begun_is_still_a_new_one(story: Story) -> None:
    story.client("C-1")
    story.add("Amexemple", places=AMERICA)
    first = story.publish()
    story.add("Usexemple", places=AMERICA, now=NOON + A_DAY)
    second = story.publish(now=NOON + A_DAY)

    for announcement in (first, second):
        needs = {need for part in Subject.of(announcement).parts for need in part.needs}
        assert Need("location", "storage", "US") in needs
