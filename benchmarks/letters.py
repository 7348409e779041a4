"""How much cheaper a mail is from a mould than from Jinja and EmailMessage: a ratio, the median of five runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP

from notifier import resources
from notifier.adapters.letters import LetterPress
from tests.letters.samples import HEAD, context, facts

MAILS = 200
RUNS = 5
GOAL = 60


def main() -> None:
    press = LetterPress([resources.folder("templates")])
    shared, one = context("notice", "en"), facts("notice", "en")
    mould = press.mould("notice", "en", shared, envelope=HEAD)
    ratios = []
    for _ in range(RUNS):
        whole = seconds(lambda: whole_mail(press, shared), MAILS // 10) * 10
        ratios.append(whole / seconds(lambda: mould.fill(one), MAILS))
    print(f"a mail from a mould costs 1/{statistics.median(ratios):.0f} of Jinja and EmailMessage (goal 1/{GOAL})")


def whole_mail(press: LetterPress, shared: dict[str, object]) -> bytes:
    """Render and build one mail as mailers usually do: templates compiled once, everything else per recipient."""
    marks = dict.fromkeys(("to_name", "to_address", "date", "message_id", "link"), "")
    texts = press.texts("notice", "en", shared, once=marks, rows=lambda _key, _row, _mark: [])
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = HEAD.address, "camille@clinique.example", texts.subject
    message.set_content(texts.text)
    message.add_alternative(texts.html, subtype="html")
    return message.as_bytes()


def seconds(act: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
