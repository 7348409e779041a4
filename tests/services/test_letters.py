from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Verdict
from notifier.models import Delivery, Link, MouldRow
from notifier.rules.links import Keyring, UnknownKey, digest
from notifier.rules.moulds import Mould
from notifier.rules.registry_diff import diff
from notifier.rules.terms import Rule
from notifier.services import answers, letters, outbox
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_announcement, make_client, make_entry, make_provider
from tests.services.stories import deliveries, notice_of, send_due, token_for, with_pack


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
    return message, str(part.get_content())


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
    assert (told["kind"], told["name"], told["after"][label]) == ("amended", "Equinix", country)


def test_links_are_built_from_the_configured_address(session: Session, desk: Desk) -> None:
    make_provider(session, base_url="https://notices.hosting.example/outscale")
    client = make_client(session)
    make_announcement(session, desk)

    (mail,) = send_due(session, desk, now=NOON)

    text = read(mail.content)[1]
    assert "https://notices.hosting.example/outscale/notice/" in text
    assert "https://notices.hosting.example/outscale/subprocessors" in text
    assert notice_of(session, client).state == "running"
