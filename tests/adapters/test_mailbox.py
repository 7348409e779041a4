from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from notifier.adapters.mailbox import Mailbox, MailboxSender, NoSuchMail
from notifier.adapters.sending import Mail, Outcome, Sender, Verdict

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def make_mail(subject: str = "Hello", delivery_id: UUID | None = None, recipient: str = "ana@client.example") -> Mail:
    content = (
        f"Subject: {subject}\r\nTo: Ana <ana@client.example>\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour à tous.\r\n"
    )
    return Mail(
        delivery_id=delivery_id or uuid4(),
        attempt=1,
        sha256="",
        sender="bounces+token@notifier.example",
        recipient=recipient,
        content=content.encode(),
    )


@pytest.fixture
def sender(tmp_path: Path) -> MailboxSender:
    ticks = count()
    return MailboxSender(tmp_path, lambda: NOON + timedelta(seconds=next(ticks)))


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    yield Mailbox(tmp_path)
    assert list((tmp_path / "tmp").glob("*")) == []


def send(sender: Sender, *mails: Mail) -> list[Outcome]:
    held, outcomes = sender.hold(mails)
    return outcomes + sender.release(held)


def test_a_mail_is_kept_byte_for_byte_with_its_envelope(sender: MailboxSender, mailbox: Mailbox) -> None:
    mail = make_mail("=?utf-8?q?Caf=C3=A9?=")

    [outcome] = send(sender, mail)
    [kept] = mailbox.list()
    opened = mailbox.read(kept.name)

    assert (outcome.delivery_id, outcome.verdict, outcome.code) == (mail.delivery_id, Verdict.ACCEPTED, 250)
    assert (outcome.peer, outcome.reply) == ("mailbox", f"kept as {kept.name}")
    assert (kept.sender, kept.recipient) == (mail.sender, mail.recipient)
    assert (kept.subject, kept.to, kept.date) == ("Café", "Ana <ana@client.example>", NOON)
    assert (kept.size, opened.kept, opened.content) == (len(mail.content), kept, mail.content)
    assert (opened.text.strip(), opened.html) == ("Bonjour à tous.", "")


def test_nothing_is_kept_before_it_is_released(sender: MailboxSender, mailbox: Mailbox) -> None:
    held, outcomes = sender.hold([make_mail()])
    assert (len(held), outcomes, mailbox.count()) == (1, [], 0)

    sender.release(held)
    assert mailbox.count() == 1


def test_a_dropped_mail_leaves_no_trace(sender: MailboxSender, mailbox: Mailbox) -> None:
    held, _ = sender.hold([make_mail()])

    sender.drop(held)

    assert mailbox.count() == 0


def test_a_second_copy_of_one_delivery_is_a_second_file(tmp_path: Path, mailbox: Mailbox) -> None:
    stopped = MailboxSender(tmp_path, lambda: NOON)
    mail = make_mail()

    send(stopped, mail)
    send(stopped, mail, mail)

    assert mailbox.count() == 3


def test_a_held_mail_can_be_let_go_only_once(sender: MailboxSender, mailbox: Mailbox) -> None:
    held, _ = sender.hold([make_mail()])
    sender.release(held)

    for again in (sender.release, sender.drop):
        with pytest.raises(ValueError, match="already"):
            again(held)
    assert mailbox.count() == 1


def test_what_no_relay_would_be_given_is_refused_here_too(sender: MailboxSender, mailbox: Mailbox) -> None:
    [outcome] = send(sender, make_mail(recipient="ana@client.example\r\nRCPT TO:<eve@x.example>"))

    assert (outcome.verdict, mailbox.count()) == (Verdict.REFUSED, 0)


def test_too_many_mails_at_once_are_a_mistake_of_the_caller(sender: MailboxSender) -> None:
    with pytest.raises(ValueError, match="51 mails"):
        sender.hold([make_mail() for _ in range(51)])


def test_a_folder_that_went_away_defers(sender: MailboxSender, tmp_path: Path) -> None:
    (tmp_path / "tmp").rmdir()

    [outcome] = send(sender, make_mail())

    assert outcome.verdict == Verdict.DEFERRED


def test_the_newest_mail_is_listed_first_page_by_page(sender: MailboxSender, mailbox: Mailbox) -> None:
    for number in range(5):
        send(sender, make_mail(f"mail {number}"))

    assert [kept.subject for kept in mailbox.list(limit=2)] == ["mail 4", "mail 3"]
    assert [kept.subject for kept in mailbox.list(offset=2, limit=2)] == ["mail 2", "mail 1"]
    assert [kept.subject for kept in mailbox.list(offset=4, limit=2)] == ["mail 0"]
    assert mailbox.list(offset=5) == []
    assert mailbox.count() == 5


@pytest.mark.parametrize("name", ["../secret.eml", "/etc/passwd", "", ".", "x.eml", "20260302T120000000000Z-..-.eml"])
def test_only_names_of_kept_mails_are_opened(sender: MailboxSender, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.eml").write_text("secret")
    (tmp_path / "new" / "x.eml").write_text("not ours")
    send(sender, make_mail())

    with pytest.raises(NoSuchMail):
        Mailbox(tmp_path).read(name)
    assert Mailbox(tmp_path).count() == 1


def test_a_mail_that_was_thrown_away_is_missing_and_not_a_crash(sender: MailboxSender, tmp_path: Path) -> None:
    send(sender, make_mail())
    [kept] = Mailbox(tmp_path).list()
    (tmp_path / "new" / kept.name).unlink()

    with pytest.raises(NoSuchMail, match="no mail named"):
        Mailbox(tmp_path).read(kept.name)


def test_a_folder_that_is_not_there_is_an_empty_mailbox(tmp_path: Path) -> None:
    nowhere = Mailbox(tmp_path / "nowhere")

    assert (nowhere.count(), nowhere.list()) == (0, [])


def test_a_mail_without_headers_can_still_be_listed(sender: MailboxSender, mailbox: Mailbox) -> None:
    bare = replace(make_mail(), sender="", content=b"Date: tomorrow\r\n\r\nx")

    send(sender, bare)
    [kept] = mailbox.list()

    assert (kept.sender, kept.subject, kept.to, kept.date) == ("", "", "", None)
