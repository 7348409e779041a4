"""What one contract says about being told of a change: contract packs, and what follows from them for one notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from notifier.rules.calendars import Calendar
from notifier.rules.periods import Count, Counting, Period, Step, count, deemed_receipt, refuse_misfit, zone

LANGUAGES = ("en", "fr")


class BadPack(ValueError):
    """A contract pack that cannot be used; the message names the pack, the key, and what to write."""


class Mode(StrEnum):
    """What a client is owed before a change."""

    NOTICE = "notice"
    NOTICE_WITH_EXIT = "notice_with_exit"


class ReceiptPolicy(StrEnum):
    """What counts as the receipt of a notice sent by mail."""

    DEEMED = "deemed"  # accepted by the recipient's relay, on a working day up to the cut-off


class Addressees(StrEnum):
    """Whose receipt starts the client's clock, when a client has several contacts."""

    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a contract says for one kind of announcement.  `unconfirmed` lists the keys that are defaults of ours."""

    mode: Mode
    period: Period
    counting: Counting
    calendar: str
    timezone: str
    margin_days: int
    receipt: ReceiptPolicy
    cutoff: time
    addressees: Addressees
    clause: str
    says: Mapping[str, Mapping[str, str]]  # language → {"silence": sentence, "remedy": sentence}
    unconfirmed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "period": str(self.period),
            "counting": self.counting.value,
            "calendar": self.calendar,
            "timezone": self.timezone,
            "margin_days": self.margin_days,
            "receipt": self.receipt.value,
            "cutoff": self.cutoff.isoformat("minutes"),
            "addressees": self.addressees.value,
            "clause": self.clause,
            "says": {language: dict(sentences) for language, sentences in self.says.items()},
            "unconfirmed": list(self.unconfirmed),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rule:
        """Read a rule back; a value that cannot be counted with raises ValueError, a missing one KeyError."""
        rule = cls(
            mode=Mode(data["mode"]),
            period=Period.parse(data["period"]),
            counting=Counting(data["counting"]),
            calendar=data["calendar"],
            timezone=data["timezone"],
            margin_days=int(data["margin_days"]),
            receipt=ReceiptPolicy(data["receipt"]),
            cutoff=time.fromisoformat(data["cutoff"]),
            addressees=Addressees(data["addressees"]),
            clause=data["clause"],
            says={language: dict(data["says"][language]) for language in LANGUAGES},
            unconfirmed=tuple(data["unconfirmed"]),
        )
        Calendar.named(rule.calendar)
        zone(rule.timezone)
        refuse_misfit(rule.period, rule.counting)
        if rule.margin_days < 0:
            raise ValueError("a margin_days below 0 would promise less than the contract: write 0 or more")
        return rule

    def presume(self, sent_at: datetime) -> Reckoning:
        """Count the guaranteed last day to object, before anything is sent.

        It runs from the presumed day of receipt plus the margin; the actual receipt may only move it later.
        """
        received_on = self.received_on(sent_at)
        day_zero = received_on + timedelta(days=self.margin_days)
        counted = self.count_from(day_zero)
        steps = (Step("presumed_receipt", received_on), Step("margin", day_zero, why=f"{self.margin_days} days"))
        return Reckoning(
            received_on=received_on, last_day=counted.last_day, until=counted.until, steps=(*steps, *counted.steps)
        )

    def received_on(self, accepted_at: datetime) -> date:
        """Return the day on which a mail accepted at that instant is deemed received under this contract."""
        calendar = Calendar.named(self.calendar)
        return deemed_receipt(accepted_at, calendar=calendar, tz=zone(self.timezone), cutoff=self.cutoff)

    def count_from(self, day_zero: date) -> Count:
        """Count the period from a day of receipt."""
        calendar = Calendar.named(self.calendar)
        return count(day_zero, self.period, rule=self.counting, calendar=calendar, tz=zone(self.timezone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """One computed deadline: the day of receipt it runs from, its last day, the first instant (UTC) too late, and the
    arithmetic.
    """

    received_on: date
    last_day: date
    until: datetime
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The rules of one contract version, by kind of announcement."""

    name: str
    title: Mapping[str, str]
    version: str
    rules: Mapping[str, Rule]

    @classmethod
    def parse(cls, name: str, data: Mapping[str, Any]) -> Pack:
        """Read a pack from its file's tables; anything missing, empty or unknown raises BadPack."""
        try:
            shared = data["defaults"]
            rules = {kind: _rule(name, kind, {**shared, **written}) for kind, written in data["rules"].items()}
            return cls(
                name=name,
                title={language: data["title"][language] for language in LANGUAGES},
                version=data["version"],
                rules=rules,
            )
        except KeyError as missing:
            raise BadPack(
                f"contract pack {name}: the key {missing} is missing: write it, or take the pack away"
            ) from None

    def rule_for(self, kind: str) -> Rule:
        """Return the rule for one kind of announcement; a pack without one raises BadPack."""
        try:
            return self.rules[kind]
        except KeyError:
            raise BadPack(
                f'contract pack {self.name} has no rule for announcements of the kind "{kind}": write [rules.{kind}]'
            ) from None


def _rule(pack: str, kind: str, written: Mapping[str, Any]) -> Rule:
    _refuse_unknown(pack, kind, written.keys())
    try:
        return Rule.from_json({**written, "unconfirmed": written.get("unconfirmed", ())})
    except KeyError as missing:
        raise BadPack(f"contract pack {pack}, [rules.{kind}]: the key {missing} is missing: write it") from None
    except ValueError as wrong:
        raise BadPack(f"contract pack {pack}, [rules.{kind}] cannot be used: {wrong}") from None


def _refuse_unknown(pack: str, kind: str, keys: Iterable[str]) -> None:
    unknown = sorted(set(keys) - set(Rule.__dataclass_fields__))
    if unknown:
        raise BadPack(f"contract pack {pack}, [rules.{kind}]: unknown key {', '.join(unknown)}: correct the spelling")
