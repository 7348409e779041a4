"""How much cheaper a mail is from a mould than from Jinja and EmailMessage."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from statistics import median

from benchmarks import common
from benchmarks.common import Ratio
from notifier import resources
from notifier.adapters.letters import LetterPress
from tests.letters.samples import HEAD, context, facts

MAILS = 200
GOAL = 60


def main() -> None:
    asked = common.options(__doc__)
    press = LetterPress([resources.folder("templates")])
    shared, one = context("notice", "en"), facts("notice", "en")
    mould = press.mould("notice", "en", shared, envelope=HEAD)
    ratios, poured = [], []
    for _ in range(asked.runs):
        whole = seconds(lambda: whole_mail(press, shared), MAILS // 10) * 10
        poured.append(seconds(lambda: mould.fill(one), MAILS))
        ratios.append(whole / poured[-1])
    figures: dict[str, object] = {"us_of_a_mould": median(poured) / MAILS * 1e6}
    what = "a mail from Jinja and EmailMessage against one from a mould"
    common.record("letters", [Ratio(what=what, ratios=ratios, goal=GOAL, figures=figures)], asked=asked)


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
