from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlmodel import Session, select

from notifier.adapters.dates import plain_date
from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Delivery, DeliveryNotice, Link, MouldRow, Notice, OverrideKind
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.links import Keyring, UnknownKey, digest
from notifier.rules.moulds import Mould
from notifier.rules.periods import Period
from notifier.rules.registry_diff import as_json, diff, from_json
from notifier.rules.terms import Mode, Rule
from notifier.services import (
    announcements,
    answers,
    corrections,
    forwarding,
    letters,
    outbox,
    overrides,
    previews,
    provider,
    registry,
)
from notifier.services.desk import Desk, Memory
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_client,
    make_entry,
    make_provider,
    make_version,
)
from tests.services.stories import breach, deliveries, notice_of, send_due, token_for, with_pack


def in_both(field: str) -> dict[str, str]:
    """Return a text in each language."""
    return {f"{field}_en": f"The {field} in English.", f"{field}_fr": f"En français, {field}."}


def notice_of_only(session: Session) -> Notice:
    return session.exec(select(Notice)).one()


def announced(session: Session, desk: Desk, *contacts: dict[str, str]) -> list[Delivery]:
    make_provider(session)
    make_client(session, contacts=contacts or [{}])
    make_announcement(session, desk)
    return deliveries(session)


def read(content: bytes) -> tuple[EmailMessage, str]:
    """Return a mail and its text."""
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    assert part is not None
    return message, str(part.get_content()).replace("\r\n", "\n")


def test_the_link_in_a_mail_opens_the_notice_it_tells_of(session: Session, desk: Desk) -> None:
    (delivery,) = announced(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    message, text = read(mail.content)
    token = text.partition("http://localhost/notice/")[2].split()[0]

    opened = answers.open_link(session, token, now=NOON)
    assert (opened.delivery, opened.told[0].client.key) == (delivery, "C-001")
    assert message["Message-ID"] == delivery.message_id
    assert message["To"] == "Camille Roy <dpo@c-001.example>"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["until Friday 3 April 2026 at 23:59 (Paris time)", REASONS["en"], "Art. 5", "terminate the contract"]),
        ("fr", ["vendredi 3 avril 2026", REASONS["fr"], "Art. 5", "résilier le contrat"]),
    ],
)
def test_a_notice_says_until_when_why_and_what_one_may_do(
    session: Session, desk: Desk, language: str, words: list[str]
) -> None:
    announced(session, desk, {"language": language})
    (mail,) = send_due(session, desk, now=NOON)

    text = " ".join(read(mail.content)[1].split())

    assert [word for word in words if word not in text] == []
    assert "Optexemple" in text


def test_one_letter_is_written_once_for_all_who_share_language_and_contract(session: Session, desk: Desk) -> None:
    make_provider(session)
    for n in range(5):
        make_client(session, f"C-{n}", contacts=[{}, {"email": f"fr{n}@client.example", "language": "fr"}])

    make_announcement(session, desk)

    assert sorted(row.language for row in session.exec(select(MouldRow))) == ["en", "fr"]
    assert len(deliveries(session)) == 10


def test_nobody_reads_what_another_clients_contract_says(session: Session, desk: Desk) -> None:
    shipped = desk.packs["outscale-hds-2022"].rule_for("subprocessor")
    desk = with_pack(desk, "secret", clause="Art. 99", says=_saying(shipped, "A private arrangement."))
    make_provider(session)
    make_client(session, "C-1")
    make_client(session, "C-2", pack="secret")
    make_announcement(session, desk)

    texts = {mail.recipient: read(mail.content)[1] for mail in send_due(session, desk, now=NOON)}

    assert "A private arrangement." in texts["dpo@c-2.example"]
    assert "A private arrangement." not in texts["dpo@c-1.example"]
    assert "Art. 99" not in texts["dpo@c-1.example"]


def _saying(rule: Rule, sentence: str) -> dict[str, dict[str, str]]:
    return {language: {**words, "remedy": sentence} for language, words in rule.says.items()}


def test_the_same_bytes_leave_on_every_attempt_and_are_rebuilt_from_mould_and_facts(
    session: Session, desk: Desk
) -> None:
    (delivery,) = announced(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    again = letters.Filler(session, desk).content(delivery)

    assert again == mail.content
    mould = session.exec(select(MouldRow)).one()
    assert (mould.digest, Mould.from_json(mould.content).digest()) == (delivery.mould_digest, delivery.mould_digest)


def test_a_mail_written_under_an_old_key_is_rebuilt_as_long_as_that_key_is_kept(session: Session, desk: Desk) -> None:
    (delivery,) = announced(session, desk)
    before = letters.Filler(session, desk).content(delivery)
    old = desk.keyring.keys[desk.keyring.current]

    changed = replace(desk, keyring=Keyring.of(b"n" * 32, old))
    assert letters.Filler(session, changed).content(delivery) == before

    with pytest.raises(UnknownKey):
        letters.Filler(session, replace(desk, keyring=Keyring.of(b"n" * 32))).content(delivery)


def test_what_was_sent_is_rebuilt_after_a_restart_and_a_new_key_to_the_digest_that_was_kept(
    session: Session, desk: Desk
) -> None:
    hostile = "Zoé \u202e“Nan”\r\nBcc: everyone@list.example 👩‍⚕️ مستشفى " + "x" * 300
    announced(session, desk, {"name": hostile}, {"email": "fr@client.example", "language": "fr"})
    sent = {mail.recipient: mail for mail in send_due(session, desk, now=NOON)}
    old = desk.keyring.keys[desk.keyring.current]
    session.expire_all()

    restarted = replace(desk, keyring=Keyring.of(b"n" * 32, old), moulds=Memory())
    filler = letters.Filler(session, restarted)

    for delivery in deliveries(session):
        content = filler.content(delivery)
        assert hashlib.sha256(content).hexdigest() == delivery.sha256
        assert content == sent[delivery.address].content
        message, _ = read(content)
        assert [one.addr_spec for one in message["To"].addresses] == [sent[delivery.address].recipient]
        assert not {"Bcc", "Cc"} & set(message.keys())
    assert len(sent) == 2


def test_the_database_keeps_no_token_but_its_digest(session: Session, desk: Desk) -> None:
    (delivery,) = announced(session, desk)
    token = token_for(session, desk, delivery.address)

    (link,) = session.exec(select(Link)).all()
    assert link.token_digest == digest(token)
    assert token not in repr(delivery.model_dump()) + repr(session.exec(select(MouldRow.content)).all())


def test_a_repeat_says_that_it_is_one_and_opens_the_same_notice(session: Session, desk: Desk) -> None:
    (first,) = announced(session, desk)
    send_due(session, desk, now=NOON, verdicts={first.address: Verdict.REFUSED})
    (told,) = answers.open_link(session, token_for(session, desk, first.address), now=NOON).told

    again = outbox.repeat(
        session, desk, first.id, address="other@client.example", notice_id=told.notice.id, by="user:1", now=NOON
    )
    (mail,) = send_due(session, desk, now=NOON)

    assert (again.purpose, mail.recipient) == ("notice.repeat.1", "other@client.example")
    assert again.message_id != first.message_id
    assert "2 March 2026" in read(mail.content)[1]
    opened = answers.open_link(session, token_for(session, desk, "other@client.example"), now=NOON)
    assert [one.notice.id for one in opened.told] == [told.notice.id]


def test_receipts_go_before_notices(session: Session, desk: Desk) -> None:
    (delivery,) = announced(session, desk, {"email": "first@client.example"})
    token = token_for(session, desk, delivery.address)
    notice_id = answers.open_link(session, token, now=NOON).told[0].notice.id

    answers.acknowledge(session, desk, token, [notice_id], name="Camille Roy", now=NOON)

    mails = send_due(session, desk, now=NOON)
    assert [b"RECEIPT NUMBER" in mail.content for mail in mails] == [True, False]


@pytest.mark.parametrize(
    ("language", "label", "country", "not_said"),
    [("en", "Country", "Germany", "not stated"), ("fr", "Pays", "Allemagne", "non précisé")],
)
def test_a_change_is_described_in_the_words_of_its_reader(
    language: str, label: str, country: str, not_said: str
) -> None:
    (change,) = diff([make_entry("Equinix", country="")], [make_entry("Equinix", country="DE")])

    told = letters.describe(change, language)

    assert told["fields"] == [{"label": label, "before": not_said, "after": country}]
    assert (told["kind"], told["name"], told["after"][label]) == ("moved", "Equinix", country)


def test_links_are_built_from_the_configured_address(session: Session, desk: Desk) -> None:
    make_provider(session, base_url="https://notices.hosting.example/outscale")
    client = make_client(session)
    make_announcement(session, desk)

    (mail,) = send_due(session, desk, now=NOON)

    text = read(mail.content)[1]
    assert "https://notices.hosting.example/outscale/notice/" in text
    assert "https://notices.hosting.example/outscale/subprocessors" in text
    assert notice_of(session, client).state == "running"


# --- every kind of announcement --------------------------------------------------------------------------------------

WRITTEN = {
    "service": ("maintenance", {"service": "Storage", **in_both("what"), **in_both("impact")}),
    "location": ("storage", {"place": "Hautmont 2", "country": "BE", **in_both("what")}),
    "security": ("", {"measure": "Intrusion tests", **in_both("before"), **in_both("after")}),
    "certification": (
        "lost",
        {"certificate": "ISO 27001", "holder": "Fibrexemple", "since": "2026-02-27", **in_both("what")},
    ),
    "disclosure": ("consultation", {"authority": "A court", **in_both("basis"), **in_both("scope")}),
    "document": ("", {"document": "HDS certificate", "edition": "2026", **in_both("what")}),
    "support": ("", {"after": "Assistexemple", "country": "FR", **in_both("what")}),
}


def told_of(session: Session, desk: Desk, kind: str, *, late: str = "") -> Announcement:
    """Publish an announcement of a kind, on the first day that contracts allow, or at once with a ground for it."""
    aspect, facts = WRITTEN[kind]
    draft = announcements.draft(
        session,
        kind=AnnouncementKind(kind),
        aspect=aspect,
        facts=facts,
        reasons=REASONS,
        effective_on=NOON.date(),
        by="test",
        now=NOON,
    )
    if late:
        ground = {"en": late, "fr": f"fr {late}"}
        asked = overrides.ask(session, draft.id, OverrideKind.LATE, reasons=ground, by="user:ana", now=NOON)
        overrides.confirm(session, asked.id, by="user:bob", now=NOON)
    else:
        found = previews.preview(session, desk, now=NOON, announcement=draft)
        draft.effective_on = found.earliest_effective_on or NOON.date()
    return announcements.publish_draft(session, desk, draft.id, by="test", now=NOON)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", sorted(WRITTEN))
def test_every_kind_of_announcement_is_told_with_its_facts_reasons_and_clause(
    session: Session, desk: Desk, kind: str, language: str
) -> None:
    make_provider(session)
    make_client(session, contacts=[{"language": language, "role": role} for role in ("contractual", "incident")])

    announcement = told_of(session, desk, kind)
    (mail,) = send_due(session, desk, now=NOON)

    message, text = read(mail.content)
    flat = " ".join(text.split())
    rule = letters.rule_of(session, notice_of_only(session))
    facts = [row["value"] for row in letters.facts_of(announcement, language)]
    assert [told for told in (*facts, REASONS[language], f"({rule.clause})") if told not in flat] == []
    assert letters.title(announcement, language) in message["Subject"]
    assert ("since" in message["Subject"] or "depuis" in message["Subject"]) == (kind in {"certification", "document"})


def test_a_maintenance_has_no_last_day_and_says_how_long_beforehand_it_is_told(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)

    told_of(session, desk, "service")
    (mail,) = send_due(session, desk, now=NOON)

    message, text = read(mail.content)
    assert "at least 1 week beforehand" in text
    assert "until" not in text.partition("WHAT CHANGES")[0]
    assert not list(message.iter_attachments())


def test_a_service_change_told_late_says_on_what_ground(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)

    told_of(session, desk, "service", late="A security fault must be mended.")
    (mail,) = send_due(session, desk, now=NOON)

    text = read(mail.content)[1]
    assert "later than your contract provides for" in " ".join(text.split())
    assert "A security fault must be mended." in text


def test_an_emergency_asks_for_consent_and_says_what_holds_without_it(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    measures = {"measures_en": "The data stays encrypted.", "measures_fr": "Les données restent chiffrées."}
    make_version(session, now=NOON - timedelta(days=1))
    registry.add_entry(session, replace(make_entry("Optexemple"), replaces="fibrexemple"), by="test", now=NOON)

    announcements.publish(
        session,
        desk,
        kind=AnnouncementKind.EMERGENCY,
        facts=measures,
        effective_on=date(2026, 3, 9),
        reasons=REASONS,
        by="test",
        now=NOON,
    )
    (mail,) = send_due(session, desk, now=NOON)

    text = " ".join(read(mail.content)[1].split())
    for told in ("consent to the start on 9 March 2026", "Silence is not consent", "The data stays encrypted."):
        assert told in text
    assert "without your consent the change does not start for you before" in text


def test_where_a_contract_has_two_clocks_the_letter_names_both_days(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "two", period=Period.parse("30 days"), window=Period.parse("90 days"), window_holds=False)
    make_provider(session)
    make_client(session, pack="two")
    make_announcement(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    text = read(mail.content)[1]

    assert "90 days from receipt" in text
    assert "the change does not start for you before 4 April 2026" in text


# --- corrections and copies ------------------------------------------------------------------------------------------


def test_a_correction_says_what_it_replaces_and_what_is_different(session: Session, desk: Desk) -> None:
    announced(session, desk)
    send_due(session, desk, now=NOON)
    announcement = session.exec(select(Announcement)).one()
    later, now = announcement.effective_on + timedelta(days=30), NOON + timedelta(days=1)
    other = {"en": "The old provider is insolvent.", "fr": "L’ancien prestataire est en liquidation."}

    corrections.correct(
        session, desk, announcement.id, effective_on=later, reasons=other, why="a new fact", by="user:1", now=now
    )
    (mail,) = send_due(session, desk, now=now)

    message, text = read(mail.content)
    assert "(correction)" in message["Subject"]
    assert "REPLACES OUR NOTICE OF 2 MARCH 2026" in text
    assert f"Before: {REASONS['en']}" in text
    assert f"After: {other['en']}" in text
    assert "that answer has lapsed" in " ".join(text.split())


def test_a_repeat_of_a_correction_says_that_it_is_both(session: Session, desk: Desk) -> None:
    announced(session, desk)
    send_due(session, desk, now=NOON)
    announcement = session.exec(select(Announcement)).one()
    now = NOON + timedelta(days=1)
    later = announcement.effective_on + timedelta(days=30)
    corrections.correct(session, desk, announcement.id, effective_on=later, why="a new day", by="user:1", now=now)
    (mail,) = send_due(session, desk, now=now, verdicts={"dpo@c-001.example": Verdict.REFUSED})
    notice = notice_of_only(session)

    outbox.repeat(
        session, desk, mail.delivery_id, address="o@client.example", notice_id=notice.id, by="user:1", now=now
    )
    (again,) = send_due(session, desk, now=now)

    text = read(again.content)[1]
    assert "This message repeats our notice of 3 March 2026" in text
    assert "REPLACES OUR NOTICE OF 2 MARCH 2026" in text


def test_a_copy_of_a_registered_letter_names_no_last_day(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, email_accepted=False, address="1 rue Haute", postcode="75000", town="Paris")
    make_announcement(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    message, text = read(mail.content)

    assert "THIS MESSAGE IS A COPY FOR INFORMATION" in text
    assert "30 days counted from receipt of the letter" in text
    assert "23:59" not in text
    assert not list(message.iter_attachments())
    assert session.exec(select(DeliveryNotice.courtesy)).all() == [True]


def test_a_mail_for_several_companies_names_each_where_it_belongs(session: Session, desk: Desk) -> None:
    shared = {"email": "group@client.example"}
    at_once = with_pack(desk, "informed", mode=Mode.INFORMATION, period=None)
    make_provider(session)
    make_client(session, "C-1", contacts=[shared])
    make_client(session, "C-2", contacts=[shared], pack="informed")
    make_client(session, "C-3", contacts=[shared], email_accepted=False, address="1 rue Haute", town="Paris")
    make_announcement(session, at_once)
    (mail,) = send_due(session, at_once, now=NOON)

    text = read(mail.content)[1]

    copy, timed, informed = (text.index(f"* Company C-{n}\n") for n in (3, 1, 2))
    assert text.index("FOR INFORMATION") < copy < text.index("UNTIL WHEN") < timed < text.index("FROM WHEN") < informed
    assert "For the companies below, the notice itself comes by registered letter." in " ".join(text.split())


# --- to be passed on -------------------------------------------------------------------------------------------------


def test_a_reseller_is_given_a_day_a_text_in_both_languages_and_the_facts_for_programs(
    session: Session, desk: Desk
) -> None:
    desk = with_pack(desk, "above", downstream_period=Period.parse("30 days"), forward_days=5)
    make_provider(session)
    make_client(session, pack="above", reseller=True)
    announcement = make_announcement(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    message, text = read(mail.content)

    assert "last day to forward: " in text
    assert "our notice leaves you" in text.lower()
    for language in ("en", "fr"):
        neutral = forwarding.neutral_text(announcement, provider.get(session), language)
        assert neutral in text
        assert "/notice/" not in neutral
    attached = {part.get_filename(): part for part in message.iter_attachments()}
    told = json.loads(attached["notice.json"].get_content())
    assert told == forwarding.forwarding(announcement, provider.get(session))
    assert (told["provider"], told["reasons"]) == ("Hébergement Exemple SAS", REASONS)


def test_where_the_contract_gives_no_time_below_a_reseller_is_told_to_keep_its_own(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session, reseller=True)
    make_announcement(session, desk)
    (mail,) = send_due(session, desk, now=NOON)

    assert "in the time that you owe your own clients" in read(mail.content)[1]


@pytest.mark.parametrize(
    ("days", "received_on", "said"),
    [
        (0, date(2026, 3, 3), "last day to forward: Tuesday 31 March 2026"),
        (30, date(2026, 3, 3), "leaves you 28 days for it, less than the 30 days of your contract"),
        (0, date(2026, 3, 31), "forward it at once"),
    ],
)
def test_a_reseller_learns_whether_it_has_the_time_that_its_contract_counts_on(
    session: Session, desk: Desk, days: int, received_on: date, said: str
) -> None:
    profile = make_provider(session)
    announcement = make_announcement(session, desk, effective_on=date(2026, 5, 1))
    shipped = desk.packs["outscale-hds-2022"].rule_for("subprocessor")
    rule = replace(shipped, downstream_period=Period.parse("30 days"), forward_days=days)

    assert said in forwarding.forward_note(rule, announcement, profile, "en", received_on=received_on)


def test_what_has_happened_is_forwarded_at_once(session: Session, desk: Desk) -> None:
    profile = make_provider(session)
    make_client(session)
    announcement = told_of(session, desk, "certification")
    rule = letters.rule_of(session, notice_of_only(session))

    note = forwarding.forward_note(rule, announcement, profile, "fr", received_on=NOON.date())

    assert note == "à transmettre sans attendre"


def test_the_mail_of_others_is_the_same_whether_there_is_a_reseller_or_not(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, "C-1")
    make_client(session, "C-2", reseller=True)
    make_announcement(session, desk)

    texts = {mail.recipient: mail.content for mail in send_due(session, desk, now=NOON)}

    assert b"notice.json" in texts["dpo@c-2.example"]
    assert b"notice.json" not in texts["dpo@c-1.example"]
    assert b"forward" not in texts["dpo@c-1.example"]


# --- what follows a notice -------------------------------------------------------------------------------------------


def test_a_postponement_goes_to_all_who_were_told_and_names_both_days(session: Session, desk: Desk) -> None:
    announced(session, desk, {"email": "a@client.example"}, {"email": "b@client.example", "language": "fr"})
    send_due(session, desk, now=NOON, verdicts={"b@client.example": Verdict.REFUSED})
    announcement = session.exec(select(Announcement)).one()
    told, new = announcement.effective_on, announcement.effective_on + timedelta(days=7)

    corrections.postpone(
        session, desk, announcement.id, effective_on=new, reasons=REASONS, by="user:1", now=NOON + timedelta(days=1)
    )
    mails = [mail for mail in send_due(session, desk, now=NOON + timedelta(days=1)) if b"ANNOUNCED FOR" in mail.content]

    assert [mail.recipient for mail in mails] == ["a@client.example"]
    text = read(mails[0].content)[1]
    assert f"{plain_date(told, 'en')}" in text
    assert f"{plain_date(new, 'en')}" in text
    assert REASONS["en"] in text


def test_a_withdrawal_says_that_earlier_answers_have_no_object(session: Session, desk: Desk) -> None:
    announced(session, desk)
    send_due(session, desk, now=NOON)
    announcement = session.exec(select(Announcement)).one()

    corrections.withdraw(session, desk, announcement.id, reasons=REASONS, by="user:1", now=NOON + timedelta(days=1))
    (mail,) = send_due(session, desk, now=NOON + timedelta(days=1))

    text = " ".join(read(mail.content)[1].split())
    assert "does not take place" in text
    assert "has no object any more" in text


def test_a_breach_is_told_with_its_reason_its_measures_and_what_one_may_do(session: Session, desk: Desk) -> None:
    announced(session, desk)
    send_due(session, desk, now=NOON)
    announcement = session.exec(select(Announcement)).one()

    breach(session, desk, announcement, now=NOON + timedelta(days=1))
    (mail,) = send_due(session, desk, now=NOON + timedelta(days=1))

    text = " ".join(read(mail.content)[1].split())
    for told in ("The old site burnt down.", "The data is encrypted.", "terminate the contract", "Two persons"):
        assert told in text
    assert "Tuesday 3 March 2026 at 13:00" in text


def test_a_breach_offers_no_consent_to_what_has_been_made(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    told = told_of(session, desk, "location")
    send_due(session, desk, now=NOON)

    breach(session, desk, told, now=NOON + timedelta(days=1))
    (mail,) = send_due(session, desk, now=NOON + timedelta(days=1))

    may = " ".join(read(mail.content)[1].split()).partition("There you may:")[2]
    assert "acknowledge receipt" in may
    for offer in ("consent", "refuse", "agreement"):
        assert offer not in may


def test_a_copy_that_is_sent_again_after_the_change_offers_no_consent(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session, email_accepted=False, address="1 rue Haute", postcode="75000", town="Paris")
    told = told_of(session, desk, "location")
    send_due(session, desk, now=NOON)
    (copy,) = deliveries(session)
    breach(session, desk, told, now=NOON + timedelta(days=1))

    again = letters.post_repeat(
        session, desk, copy, letters.carried_by(session, copy.id), address=copy.address, now=NOON + timedelta(days=2)
    )

    text = read(letters.Filler(session, desk).content(again))[1]
    may = text.partition("There you may:")[2].partition("IF YOU DO NOT ANSWER")[0]
    assert "acknowledge receipt" in may
    assert "or refuse it" not in may


def test_a_refusal_has_its_receipt_and_tells_the_account_manager(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    told_of(session, desk, "location")
    (mail,) = send_due(session, desk, now=NOON)
    notice, token = notice_of_only(session), token_for(session, desk, mail.recipient)

    answers.refuse(session, desk, token, notice.id, name="Camille Roy", statement="We refuse.", now=NOON)
    texts = {mail.recipient: read(mail.content) for mail in send_due(session, desk, now=NOON)}

    assert "We refuse." in texts["dpo@c-001.example"][1]
    assert texts["ana@hosting.example"][0]["Subject"].startswith("Refusal: Company C-001")


def test_whoever_engages_an_entry_is_named_also_where_nothing_of_it_changes(session: Session) -> None:
    make_version(session, [make_entry("Equinix"), make_entry("Zayo")])
    registry.amend_entry(session, "zayo", {"parent": "equinix"}, by="ana", now=NOON)
    registry.add_entry(session, make_entry("Optexemple", parent="equinix"), by="ana", now=NOON)

    told = {change.name: letters.describe(change, "en") for change in registry.draft_changes(session)}

    assert told["Zayo"]["fields"] == [{"label": "Engaged by", "before": "not stated", "after": "Equinix"}]
    assert told["Optexemple"]["after"]["Engaged by"] == "Equinix"
    stored = [from_json(as_json(change)) for change in registry.draft_changes(session)]
    assert {letters.describe(change, "en")["name"]: change.parents for change in stored} == {
        "Zayo": {"equinix": "Equinix"}, "Optexemple": {"equinix": "Equinix"},
    }  # fmt: skip
