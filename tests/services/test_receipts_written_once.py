"""A receipt's mould is written once for all who are told the same, and anew when anything changes that it says."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier import resources
from notifier.adapters.letters import LetterPress
from notifier.models import Announcement, Delivery, Endpoint, Link, MouldRow, WebhookDelivery
from notifier.rules.moulds import Mould
from notifier.runtime import Runtime
from notifier.services import answers, corrections, letters, provider
from notifier.services.desk import Desk, Memory
from notifier.services.letters import Filler, Matter
from tests.factories import NOON, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, notice_of, send_due, statements, token_for

NEXT_DAY = NOON + timedelta(days=1)


class CountingPress(LetterPress):
    """Counts the moulds that it writes."""

    written = 0

    def mould(self, letter: str, language: str, *args: object, **kwargs: object) -> Mould:
        self.written += 1
        return super().mould(letter, language, *args, **kwargs)  # type: ignore[arg-type] # as it was given them


@dataclass(frozen=True)
class House:
    """Some clients with a contact each, who acknowledge one after the other."""

    session: Session
    desk: Desk
    press: CountingPress
    addresses: tuple[str, ...]

    def acknowledge(self, number: int) -> list[Delivery]:
        """Let one client acknowledge; returns the receipts of this one act."""
        token = token_for(self.session, self.desk, self.addresses[number])
        (told,) = answers.open_link(self.session, token, now=NEXT_DAY).told
        by = {"name": "Camille Roy", "now": NEXT_DAY}
        reference = answers.acknowledge(self.session, self.desk, token, [told.notice.id], **by)  # type: ignore[arg-type]
        return [one for one in deliveries(self.session, "receipt") if one.facts["reference"] == reference]

    def text(self, receipt: Delivery) -> str:
        return Filler(self.session, self.desk).content(receipt).decode()


def counting(desk: Desk, *folders: Path) -> tuple[Desk, CountingPress]:
    press = CountingPress([*folders, resources.folder("templates")])
    return replace(desk, press=press, moulds=Memory(), written=Memory()), press


def a_house(session: Session, desk: Desk, *folders: Path, languages: str = "en en en") -> House:
    desk, press = counting(desk, *folders)
    make_provider(session)
    addresses = tuple(f"dpo@c{n}.example" for n, _ in enumerate(languages.split()))
    for n, language in enumerate(languages.split()):
        make_client(session, f"C-{n}", contacts=[{"email": addresses[n], "language": language}])
    make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    press.written = 0
    return House(session, desk, press, addresses)


def test_one_mould_serves_the_receipts_of_all_clients(session: Session, desk: Desk) -> None:
    house = a_house(session, desk)

    moulds = {receipt.mould_digest for number in range(3) for receipt in house.acknowledge(number)}

    assert (len(moulds), house.press.written) == (1, 1)
    assert session.exec(select(sa.func.count()).where(MouldRow.letter == "receipt")).one() == 1
    assert len(send_due(session, house.desk, now=NEXT_DAY)) == 3


def test_each_language_has_a_mould_of_its_own(session: Session, desk: Desk) -> None:
    house = a_house(session, desk, languages="en fr en fr")

    receipts = [receipt for number in range(4) for receipt in house.acknowledge(number)]

    assert house.press.written == 2
    assert [one.mould_digest for one in receipts[:2]] == [one.mould_digest for one in receipts[2:]]
    assert receipts[0].mould_digest != receipts[1].mould_digest
    assert ["acknowledgement of receipt is recorded" in house.text(one) for one in receipts] == [True, False] * 2


def test_each_kind_of_answer_has_a_mould_of_its_own(session: Session, desk: Desk) -> None:
    house = a_house(session, desk)
    token = token_for(session, house.desk, house.addresses[0])
    (told,) = answers.open_link(session, token, now=NEXT_DAY).told

    (first,) = house.acknowledge(0)
    reasons, name = "Too far away.", "Camille Roy"
    answers.object_to(session, house.desk, token, told.notice.id, name=name, reasons=reasons, now=NEXT_DAY)

    receipts = deliveries(session, "receipt")
    assert len({one.mould_digest for one in receipts}) == 2
    assert [one.mould_digest for one in house.acknowledge(1)] == [first.mould_digest]


@pytest.mark.parametrize(
    ("file", "was"),
    [
        ("email/receipt/en/body.txt", "Hello,"),
        ("email/receipt/en/_words.txt", "nothing else"),
        ("email/_layout.txt", "--"),
    ],
)
def test_a_template_that_is_changed_is_noticed(
    session: Session, desk: Desk, tmp_path: Path, file: str, was: str
) -> None:
    own = tmp_path / file
    own.parent.mkdir(parents=True)
    shutil.copy(resources.folder("templates") / file, own)
    house = a_house(session, desk, tmp_path)

    (before,) = house.acknowledge(0)
    own.write_text(own.read_text("utf-8").replace(was, "GOOD DAY"), "utf-8")
    (after,) = house.acknowledge(1)

    assert ["GOOD DAY" in house.text(one) for one in (before, after)] == [False, True]
    assert house.acknowledge(2)[0].mould_digest == after.mould_digest
    assert house.press.written == 2


def test_a_receipt_says_what_the_profile_and_the_announcement_say_by_then(session: Session, desk: Desk) -> None:
    house = a_house(session, desk, languages="en en en en")
    announcement = session.exec(select(Announcement)).one()

    digests = [house.acknowledge(0)[0].mould_digest]
    provider.change(session, {"legal_name": "Hébergement Nouveau SAS"}, by="user:ana", now=NEXT_DAY)
    digests.append(house.acknowledge(1)[0].mould_digest)
    corrections.postpone(
        session,
        house.desk,
        announcement.id,
        effective_on=announcement.effective_on + timedelta(days=40),
        reasons=REASONS,
        by="user:ana",
        now=NEXT_DAY,
    )
    digests.append(house.acknowledge(2)[0].mould_digest)

    assert len(set(digests)) == 3
    assert house.acknowledge(3)[0].mould_digest == digests[-1]


def test_what_a_letter_is_written_of_is_all_that_it_says(session: Session, desk: Desk) -> None:
    """What the mould's key leaves out, the copy that the mould is written of leaves out too."""
    a_house(session, desk)
    announcement, profile = session.exec(select(Announcement)).one(), provider.get(session)

    matter = Matter.of(announcement, profile)

    for language in ("en", "fr"):
        said = letters._shared(profile, announcement, language)  # noqa: SLF001 - what every letter may say
        assert letters._shared(matter.profile, matter.announcement, language) == said  # noqa: SLF001


def test_what_was_rolled_back_is_not_taken_for_kept(runtime: Runtime) -> None:
    desk, press = counting(runtime.desk)
    with runtime.transaction() as session:
        make_provider(session)
        client = make_client(session)
        make_announcement(session, desk)
        send_due(session, desk, now=NOON)
        token, notice_id = token_for(session, desk, "dpo@c-001.example"), notice_of(session, client).id
    press.written = 0

    def acknowledge(session: Session) -> None:
        answers.acknowledge(session, desk, token, [notice_id], name="Camille Roy", now=NEXT_DAY)

    with runtime.transaction() as session:
        acknowledge(session)
        session.rollback()
    with runtime.transaction() as session:
        acknowledge(session)
        (receipt,) = deliveries(session, "receipt")
        assert session.get(MouldRow, receipt.mould_digest) is not None
    assert press.written == 1


def test_an_acknowledgement_takes_a_few_statements(session: Session, desk: Desk) -> None:
    house = a_house(session, desk)
    house.acknowledge(0)
    token = token_for(session, house.desk, house.addresses[1])
    notice_id = answers.open_link(session, token, now=NEXT_DAY).told[0].notice.id

    with statements(session) as heard:
        answers.acknowledge(session, house.desk, token, [notice_id], name="Camille Roy", now=NEXT_DAY)

    together = session.get_bind().dialect.name == "postgresql"  # the mould, the mail, whom it tells, its link
    assert len(heard) == (6 if together else 9), heard


def test_whoever_listens_is_owed_the_acknowledgement(session: Session, desk: Desk) -> None:
    house = a_house(session, desk)
    kinds = ["answer.recorded"]
    session.add(Endpoint(url="https://hook.example", sealed_secret="", kinds=kinds, created_at=NOON, created_by="test"))
    session.flush()

    (receipt,) = house.acknowledge(0)

    (owed,) = session.exec(select(WebhookDelivery)).all()
    assert f'"reference":"{receipt.facts["reference"]}"' in owed.body
    assert session.exec(select(Link).where(col(Link.delivery_id) == receipt.id)).one().purpose == "notice"
