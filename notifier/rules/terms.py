"""What one contract says about being told of a change: contract packs, and what follows from them for one notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from notifier.rules.calendars import ONE_DAY, BadPeriod, Calendar
from notifier.rules.completeness import Asks
from notifier.rules.kinds import KINDS, LANGUAGES, AnnouncementKind
from notifier.rules.periods import (
    Backward,
    Count,
    Counting,
    Period,
    Step,
    count,
    deemed_receipt,
    first_day_from,
    latest_before,
    local_day,
    refuse_misfit,
    start_of_day,
    to_earlier_working_day,
    zone,
)

AT_ONCE = "none"  # how a pack writes that no period is owed
EVERY_KIND = "all"  # how a client's own terms name what holds for every kind of announcement
FARTHEST = 3660  # days ahead that a day to go live is looked for


class BadPack(ValueError):
    """A contract pack that cannot be used; the message names the pack, the key, and what to write."""


class PeriodBlank(BadPack):
    """The contract leaves the period open, and nobody has filled it in for this client."""

    def __init__(self, pack: str, kind: str) -> None:
        super().__init__(
            f'contract pack {pack} leaves the period of "{kind}" blank, as the text it follows does: write it in the '
            f'terms of each client, such as {kind}.period = "30 days"'
        )


class Mode(StrEnum):
    """What a client is owed before a change."""

    INFORMATION = "information"  # to know
    NOTICE = "notice"  # to know beforehand, and to be able to object
    NOTICE_WITH_EXIT = "notice_with_exit"  # the same, and to be able to leave
    CONSULTATION = "consultation"  # to be heard beforehand
    CONSENT = "consent"  # nothing may happen before it agrees


class Channel(StrEnum):
    """By what a client may be told with effect."""

    MAIL = "mail"
    PAPER = "paper"  # a registered letter with acknowledgement of receipt
    E_LETTER = "e_letter"  # a registered electronic letter (eIDAS art. 43, CPCE R.53-3)


class ReceiptPolicy(StrEnum):
    """What counts as the receipt of a notice."""

    DEEMED = "deemed"  # accepted by the recipient's relay, on a working day up to the cut-off
    ACKNOWLEDGED = "acknowledged"  # the contact's own answer, and nothing else (Code civil 1127-4)
    DISPLAY = "display"  # the contact's own pressing of the button that shows the notice
    LRE = "lre"  # acceptance of a registered e-letter
    LRAR = "lrar"  # handing over of a registered letter (CPC 669)


class Unclaimed(StrEnum):
    """When a registered e-letter that nobody claims is received, where the contract says so."""

    NEVER = ""
    WINDOW_END = "window_end"
    FIRST_PRESENTATION = "first_presentation"


class Addressees(StrEnum):
    """Whose receipt starts the client's clock, when a client has several contacts."""

    FIRST = "first"
    LAST_MANDATORY = (
        "last_mandatory"  # of the contacts in the roles that the contract names; of all where it names none
    )
    ALL = "all"


class Silence(StrEnum):
    """What it means that a client says nothing."""

    ACCEPTANCE = "acceptance"
    REFUSAL = "refusal"


HEARD = frozenset({Mode.NOTICE, Mode.NOTICE_WITH_EXIT, Mode.CONSULTATION})
BY_LETTER = frozenset({ReceiptPolicy.LRE, ReceiptPolicy.LRAR})
SENTENCES = frozenset({"silence", "remedy", "confirmation"})  # that a rule may say
# What a rule says unless a pack writes otherwise; also what rules sealed by earlier versions of this product left out.
UNSAID: Mapping[str, Any] = MappingProxyType(
    {
        "window": "",
        "window_holds": True,
        "counting": Counting.CAL_STRICT.value,
        "margin_days": 0,
        "paper_margin_days": 10,
        "cutoff": "18:00",
        "unclaimed": "",
        "roles": ("contractual", "dpo"),
        "mandatory_roles": (),
        "channels": (Channel.MAIL.value,),
        "silence": Silence.ACCEPTANCE.value,
        "prevails": False,
        "forward_days": 0,
        "downstream_period": "",
        "unconfirmed": (),
        "overridden": (),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a contract says for one kind of announcement.

    `unconfirmed` lists the keys that are defaults of ours, to be confirmed by counsel; `overridden` those that the
    client's own terms say.
    """

    mode: Mode
    period: Period | None  # before the change may take effect; None: it is told at once and nothing is waited for
    window: Period | None  # to object, where the contract gives another time for it than the period
    window_holds: bool  # whether the change waits for the window too
    counting: Counting | Backward
    calendar: str
    timezone: str
    margin_days: int  # added to the presumed day of receipt before the guaranteed last day is counted
    paper_margin_days: int  # the same, for a letter of paper
    receipt: ReceiptPolicy
    cutoff: time
    unclaimed: Unclaimed
    addressees: Addressees
    roles: tuple[str, ...]  # of the contacts who are told
    mandatory_roles: tuple[str, ...]
    channels: tuple[Channel, ...]
    silence: Silence
    clause: str
    prevails: bool  # over the general terms, where they say otherwise
    forward_days: int  # a processor above us needs to pass the notice on
    downstream_period: Period | None  # that its own clients have
    says: Mapping[str, Mapping[str, str]]  # language → {"silence": sentence, "remedy": sentence, "confirmation": …}
    unconfirmed: tuple[str, ...]
    overridden: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "period": str(self.period or AT_ONCE),
            "window": str(self.window or ""),
            "window_holds": self.window_holds,
            "counting": self.counting.value,
            "calendar": self.calendar,
            "timezone": self.timezone,
            "margin_days": self.margin_days,
            "paper_margin_days": self.paper_margin_days,
            "receipt": self.receipt.value,
            "cutoff": self.cutoff.isoformat("minutes"),
            "unclaimed": self.unclaimed.value,
            "addressees": self.addressees.value,
            "roles": list(self.roles),
            "mandatory_roles": list(self.mandatory_roles),
            "channels": [channel.value for channel in self.channels],
            "silence": self.silence.value,
            "clause": self.clause,
            "prevails": self.prevails,
            "forward_days": self.forward_days,
            "downstream_period": str(self.downstream_period or ""),
            "says": {language: dict(sentences) for language, sentences in self.says.items()},
            "unconfirmed": list(self.unconfirmed),
            "overridden": list(self.overridden),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rule:
        """Read a rule back; what cannot be counted with raises ValueError or TypeError, a missing key KeyError."""
        data = {**UNSAID, **data}
        rule = cls(
            mode=Mode(data["mode"]),
            period=None if data["period"] == AT_ONCE else _period("period", data["period"]),
            window=_period("window", data["window"]) if data["window"] else None,
            window_holds=_yes_or_no("window_holds", data["window_holds"]),
            counting=_counting(data["counting"]),
            calendar=data["calendar"],
            timezone=data["timezone"],
            margin_days=int(data["margin_days"]),
            paper_margin_days=int(data["paper_margin_days"]),
            receipt=ReceiptPolicy(data["receipt"]),
            cutoff=time.fromisoformat(data["cutoff"]),
            unclaimed=Unclaimed(data["unclaimed"]),
            addressees=Addressees(data["addressees"]),
            roles=_names("roles", data["roles"]),
            mandatory_roles=_names("mandatory_roles", data["mandatory_roles"]),
            channels=tuple(Channel(channel) for channel in _names("channels", data["channels"])),
            silence=Silence(data["silence"]),
            clause=data["clause"],
            prevails=_yes_or_no("prevails", data["prevails"]),
            forward_days=int(data["forward_days"]),
            downstream_period=(
                _period("downstream_period", data["downstream_period"]) if data["downstream_period"] else None
            ),
            says={language: dict(data["says"][language]) for language in LANGUAGES},
            unconfirmed=tuple(data["unconfirmed"]),
            overridden=tuple(data["overridden"]),
        )
        rule.refuse_contradictions()
        return rule

    def refuse_contradictions(self) -> None:
        """Raise ValueError, with what to write, for values that do not go together."""
        Calendar.named(self.calendar)
        zone(self.timezone)
        if min(self.margin_days, self.paper_margin_days, self.forward_days) < 0:
            raise ValueError("a margin_days below 0 would promise less than the contract: write 0 or more")
        if (self.mode is Mode.CONSENT) != (self.silence is Silence.REFUSAL):
            raise ValueError(
                'silence is "refusal" where the mode is "consent", and "acceptance" elsewhere: correct one'
            )
        if not self.roles or not self.channels or not set(self.mandatory_roles) <= set(self.roles):
            raise ValueError("write at least one of roles and of channels, and mandatory_roles among the roles")
        if isinstance(self.counting, Backward):
            if self.period is None or self.mode not in {Mode.INFORMATION, Mode.NOTICE} or self.window:
                raise ValueError(
                    f"{self.counting} counts a period of a notice back from an event: write those, no window"
                )
            latest_before(date(2026, 6, 1), self.period, self.counting, Calendar.named("none"))  # refuses a misfit
            return
        for period in (self.period, self.window):
            if period:
                refuse_misfit(period, self.counting)
        if self.period is None and self.window:
            raise ValueError("a window to object needs a period besides: write both, or the period alone")
        if self.period is None and self.mode in {Mode.NOTICE, Mode.CONSULTATION}:
            raise ValueError(f'the mode "{self.mode}" needs a period: write one, or the mode "information"')

    # --- what a client may do --------------------------------------------------------------------------------------

    @property
    def counts_back(self) -> bool:
        """Say whether the period is counted back from the day of going live: then no client's receipt moves a clock."""
        return isinstance(self.counting, Backward)

    @property
    def runs(self) -> bool:
        """Say whether each client has a clock of its own, that starts with its receipt."""
        return self.period is not None and not self.counts_back

    @property
    def waits(self) -> bool:
        """Say whether the change waits for each client."""
        return self.mode is Mode.CONSENT or (self.runs and self.mode is not Mode.INFORMATION)

    @property
    def may_object(self) -> bool:
        """Of what is told at once nothing is left to object to: one may leave, where the contract says so."""
        return self.mode in HEARD and self.runs

    @property
    def may_terminate(self) -> bool:
        return self.mode is Mode.NOTICE_WITH_EXIT

    @property
    def asks_consent(self) -> bool:
        return self.mode is Mode.CONSENT

    @property
    def asks_confirmation(self) -> bool:
        """Say whether the client is to confirm that it has done something (that it stopped exporting, say)."""
        return all(self.says[language].get("confirmation") for language in LANGUAGES)

    # --- clocks ----------------------------------------------------------------------------------------------------

    def promise(
        self, sent_at: datetime, *, effective_on: date | None = None, channel: Channel | None = None
    ) -> Reckoning:
        """Count what a letter may promise, before anything is sent.

        It runs from the presumed day of receipt plus the margin; the actual receipt may only move it later.  Where no
        clock of the client's runs, the last day is the eve of the day on which the change takes effect.
        """
        channel = channel or self.channels[0]
        presumed = self.received_on(sent_at)
        if not self.runs:
            return self._until_the_eve(presumed, effective_on or self.earliest_effective_on(sent_at))
        margin = self.paper_margin_days if channel is Channel.PAPER else self.margin_days
        day_zero = presumed + timedelta(days=margin)
        steps = (Step("presumed_receipt", presumed), Step("margin", day_zero, why=f"{margin} days"))
        return self._reckoned(presumed, day_zero, steps)

    def reckon(self, received_on: date) -> Reckoning:
        """Count both clocks from an actual day of receipt.  Only for a rule that `runs`."""
        return self._reckoned(received_on, received_on, ())

    def received_on(self, accepted_at: datetime) -> date:
        """Return the day on which a mail accepted at that instant is deemed received under this contract."""
        return deemed_receipt(accepted_at, calendar=self._holidays, tz=zone(self.timezone), cutoff=self.cutoff)

    def day_of(self, instant: datetime) -> date:
        """Return the local day of an instant in the contract's zone."""
        return local_day(instant, zone(self.timezone))

    def latest_receipt(self, effective_on: date) -> tuple[Step, ...]:
        """Count back from the day of going live to the last day on which a client may receive the notice."""
        if self.period is None or not isinstance(self.counting, Backward):
            raise TypeError("this period is not counted back from a day")
        return tuple(latest_before(effective_on, self.period, self.counting, self._holidays))

    def latest_sending_at(self, effective_on: date) -> datetime:
        """Return the last instant (UTC) at which a notice may leave for a change that goes live on that day."""
        day = self.latest_receipt(effective_on)[-1].day - timedelta(days=self.margin_days)
        day = to_earlier_working_day([Step("sent", day)], self._holidays)[-1].day
        return datetime.combine(day, self.cutoff, tzinfo=zone(self.timezone)).astimezone(UTC)

    def earliest_effective_on(self, sent_at: datetime, *, acknowledged_on: date | None = None) -> date:
        """Return the first day of the contract's zone on which the change may take effect if the notice leaves now.

        With `acknowledged_on`, the receipt is that day and no presumption.
        """
        if self.runs and self.waits:
            reckoned = self.reckon(acknowledged_on) if acknowledged_on else self.promise(sent_at)
            return max(first_day_from(reckoned.opens_at, zone(self.timezone)), reckoned.last_day_of_waiting + ONE_DAY)
        if not self.counts_back:
            return self.day_of(sent_at)
        received = acknowledged_on or self.received_on(sent_at) + timedelta(days=self.margin_days)
        day = received + ONE_DAY
        for _ in range(FARTHEST):
            if self.latest_receipt(day)[-1].day >= received:
                return day
            day += ONE_DAY
        raise BadPeriod(f'"{self.period}" leads further ahead than {FARTHEST} days: write a shorter period')

    def last_day_to_forward(self, effective_on: date) -> date | None:
        """Return the last day on which a processor above us may tell its own clients, for them to have their period."""
        if self.downstream_period is None:
            return None
        rule = Backward.BACK_BUSINESS if self.downstream_period.business_days else Backward.BACK_CLEAR_SAFE
        return latest_before(effective_on, self.downstream_period, rule, self._holidays)[-1].day

    @property
    def _holidays(self) -> Calendar:
        return Calendar.named(self.calendar)

    def _count(self, day_zero: date, period: Period) -> Count:
        return count(
            day_zero, period, rule=Counting(self.counting.value), calendar=self._holidays, tz=zone(self.timezone)
        )

    def _reckoned(self, received_on: date, day_zero: date, before: tuple[Step, ...]) -> Reckoning:
        if self.period is None:
            raise TypeError("no period is owed, so that none can be counted")
        period = self._count(day_zero, self.period)
        window = self._count(day_zero, self.window) if self.window else period
        waits = max(period, window, key=lambda counted: counted.until) if self.window_holds else period
        steps = (*before, *period.steps)
        if self.window:
            steps = (*steps, Step("window", day_zero), *window.steps[1:])
        return Reckoning(
            received_on=received_on,
            last_day=window.last_day,
            until=window.until,
            last_day_of_waiting=waits.last_day,
            opens_at=waits.until,
            steps=steps,
        )

    def _until_the_eve(self, presumed: date, effective_on: date) -> Reckoning:
        eve = effective_on - ONE_DAY
        until = start_of_day(effective_on, zone(self.timezone))
        back = self.latest_receipt(effective_on) if self.counts_back else ()
        steps = (Step("presumed_receipt", presumed), *back)
        return Reckoning(
            received_on=presumed, last_day=eve, until=until, last_day_of_waiting=eve, opens_at=until, steps=steps
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """One computed deadline: the day of receipt it runs from, the last day to answer, the first instant (UTC) too late,
    the instant (UTC) from which the change need not wait any more, and the arithmetic.
    """

    received_on: date
    last_day: date
    until: datetime
    last_day_of_waiting: date
    opens_at: datetime
    steps: tuple[Step, ...]


# A kind for which a pack writes no rule of its own follows that of another.
FOLLOWS: Mapping[str, str] = MappingProxyType(
    {
        AnnouncementKind.EMERGENCY: AnnouncementKind.SUBPROCESSOR,
        AnnouncementKind.SUPPORT: AnnouncementKind.SUBPROCESSOR,
    }
)
WITHIN = "within"  # the aspect of a place inside the territory that the contract names


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The rules of one contract version, by kind of announcement, or by kind and aspect ("certification.renewed").

    `territory` lists the countries (ISO 3166) in which a place of hosting may change without being a move, `asks` whose
    questions about each subprocessor the list has to answer.
    """

    name: str
    title: Mapping[str, str]
    version: str
    territory: tuple[str, ...]
    asks: tuple[Asks, ...]
    written: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @classmethod
    def parse(cls, name: str, data: Mapping[str, Any], *, general: Mapping[str, Any] | None = None) -> Pack:
        """Read a pack from its file's tables; anything missing, empty or unknown raises BadPack.

        What it leaves unsaid, the general terms say (`general`, a pack's tables too): it prevails where both speak.
        A period that is left blank is refused only when somebody is to be told under it.
        """
        try:
            pack = cls(
                name=name,
                title={language: data["title"][language] for language in LANGUAGES},
                version=data["version"],
                territory=_names("territory", data.get("territory", (general or {}).get("territory", ()))),
                asks=_asks(data.get("asks", (general or {}).get("asks", (Asks.GDPR,)))),
                written=_written(data, general or {"defaults": {}, "rules": {}}),
            )
        except KeyError as missing:
            raise BadPack(
                f"contract pack {name}: the key {missing} is missing: write it, or take the pack away"
            ) from None
        except (ValueError, AttributeError, TypeError) as wrong:
            raise BadPack(f"contract pack {name} is not laid out as a pack is: {wrong}") from None
        for key, rule in pack.written.items():
            if not _is_kind(key):
                raise BadPack(f"contract pack {name}: [rules.{key}] is no kind of announcement: correct the spelling")
            if rule.get("period") != "":
                _rule(name, key, rule)
        return pack

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules that are complete as the contract writes them."""
        return {key: _rule(self.name, key, rule) for key, rule in self.written.items() if rule.get("period") != ""}

    def rule_for(
        self, kind: str, aspect: str = "", overrides: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    ) -> Rule:
        """Return the rule for one kind of announcement; what the client's own terms say takes the place of the pack's.

        `overrides`: kind, or kind and aspect, or "all" → field → value.  A pack without a rule, a value that cannot be
        used, or a period left blank raises BadPack.
        """
        key = self.key_for(kind, aspect)
        own = self._own(key, kind, aspect, overrides)
        rule = {**self.written[key], **own, "overridden": tuple(sorted(own))}
        rule["unconfirmed"] = [name for name in rule.get("unconfirmed", ()) if name not in own]
        if rule.get("period") == "":
            raise PeriodBlank(self.name, key)
        return _rule(self.name, key, rule)

    def _own(self, key: str, kind: str, aspect: str, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the client's own terms say, the more special above; also of the kind whose rule is followed.

        Where the pack has a rule for the aspect itself, terms for the kind change neither its mode nor its clocks.
        """
        own = dict(overrides.get(EVERY_KIND, {}))
        of_the_kind = FOR_EVERY_KIND if "." in key else OVERRIDABLE
        for one in (key.partition(".")[0], kind):
            own |= {name: value for name, value in overrides.get(one, {}).items() if name in of_the_kind}
        return own | dict(overrides.get(f"{kind}.{aspect}", {}))

    def key_for(self, kind: str, aspect: str = "") -> str:
        """Return under which name the pack has the rule for a kind."""
        wanted = (f"{kind}.{aspect}", kind, FOLLOWS.get(kind, ""))
        for key in wanted:
            if key in self.written:
                return key
        raise BadPack(
            f'contract pack {self.name} has no rule for announcements of the kind "{kind}": write [rules.{kind}]'
        )

    def speaks_of(self, kind: str, aspect: str = "") -> bool:
        """Say whether the pack has a rule for a kind itself, and not only that of another kind which it follows."""
        return bool({f"{kind}.{aspect}", kind} & self.written.keys())

    def aspect_of_place(self, country: str, aspect: str) -> str:
        """Return the aspect of a change of place: a place inside the contract's territory is "within"."""
        return (
            WITHIN if country in self.territory and f"{AnnouncementKind.LOCATION}.{WITHIN}" in self.written else aspect
        )


def refuse_bad_overrides(pack: Pack, overrides: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise BadPack for terms of a client's own that cannot be used with its contract pack."""
    for kind, fields in overrides.items():
        if kind != EVERY_KIND and not _is_kind(kind):
            raise BadPack(
                f'"{kind}" is no kind of announcement: write one of {", ".join(AnnouncementKind)}, or {EVERY_KIND}'
            )
        known = FOR_EVERY_KIND if kind == EVERY_KIND else OVERRIDABLE
        if unknown := sorted(set(fields) - known):
            raise BadPack(f"{kind} has no field {', '.join(unknown)}: write one of {', '.join(sorted(known))}")
    blank = any(fields.get("period") == "" for fields in overrides.values())
    for one in {**pack.written, **overrides}:
        kind, _, aspect = one.partition(".")
        if one == EVERY_KIND:
            continue
        try:
            rule = pack.rule_for(kind, aspect, overrides)
        except PeriodBlank:
            if blank:
                raise
            continue  # not filled in yet, which is refused when somebody is to be told under it
        if rule.silence != pack.written[pack.key_for(kind, aspect)].get("silence", UNSAID["silence"]):
            raise BadPack(
                f"{kind}.silence: the sentences of contract pack {pack.name} tell a client otherwise: write a pack of "
                f'its own for it, with general_terms = "{pack.name}"'
            )


OVERRIDABLE = frozenset(Rule.__dataclass_fields__) - {"says", "unconfirmed", "overridden"}
# A week before maintenance and a month before a change of subprocessor have one calendar, not one period.
FOR_EVERY_KIND = OVERRIDABLE - {"mode", "period", "window", "window_holds", "counting", "silence", "clause"}


def _is_kind(key: str) -> bool:
    """Say whether a key names a kind of announcement, and an aspect that it has; a registry's changes are free to have
    any (the data concerned, say).
    """
    kind, dot, aspect = key.partition(".")
    if kind not in set(AnnouncementKind):
        return False
    known = KINDS[AnnouncementKind(kind)].aspects
    return not dot or not known or aspect in known or (kind, aspect) == (AnnouncementKind.LOCATION, WITHIN)


def _written(data: Mapping[str, Any], general: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Lay a pack over its general terms, field by field; the defaults of both lie below the rules of both.

    What the general terms say of one aspect of a kind falls where the contract speaks of the kind as a whole.
    """
    spoken_of = data["rules"].keys()
    below = {
        key: rule
        for key, rule in general["rules"].items()
        if key in spoken_of or key.partition(".")[0] not in spoken_of
    }
    return {
        key: _laid(general["defaults"], data["defaults"], below.get(key, {}), data["rules"].get(key, {}))
        for key in {**below, **data["rules"]}
    }


def _laid(
    general_defaults: Mapping[str, Any], defaults: Mapping[str, Any], below: Mapping[str, Any], above: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay one rule: the general terms' defaults at the bottom, what the contract writes for it on top."""
    says = {one: {**below.get("says", {}).get(one, {}), **above.get("says", {}).get(one, {})} for one in LANGUAGES}
    left_by_general = [
        name
        for name in _unconfirmed(general_defaults, below)
        if name not in above and (name not in defaults or name in below)
    ]
    unconfirmed = list(dict.fromkeys([*left_by_general, *_unconfirmed(defaults, above)]))
    return {**general_defaults, **defaults, **below, **above, "says": says, "unconfirmed": unconfirmed}


def _unconfirmed(defaults: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
    """Return what one pack lists for a rule.  A default's entry falls with the default where the rule writes anew."""
    listed = [name for name in defaults.get("unconfirmed", ()) if name not in defaults or name not in rule]
    return [*listed, *rule.get("unconfirmed", ())]


def _rule(pack: str, kind: str, written: Mapping[str, Any]) -> Rule:
    _refuse_unknown(pack, kind, written)
    try:
        return Rule.from_json(written)
    except KeyError as missing:
        raise BadPack(f"contract pack {pack}, [rules.{kind}]: the key {missing} is missing: write it") from None
    except (ValueError, TypeError) as wrong:
        raise BadPack(f"contract pack {pack}, [rules.{kind}] cannot be used: {wrong}") from None


def _refuse_unknown(pack: str, kind: str, written: Mapping[str, Any]) -> None:
    unknown = sorted(set(written) - set(Rule.__dataclass_fields__))
    if unknown:
        raise BadPack(f"contract pack {pack}, [rules.{kind}]: unknown key {', '.join(unknown)}: correct the spelling")
    said = {key for language in LANGUAGES for key, text in written["says"][language].items() if text}
    if strange := sorted(said - SENTENCES):
        raise BadPack(
            f"contract pack {pack}, [rules.{kind}.says]: unknown key {', '.join(strange)}: correct the spelling"
        )
    for language in LANGUAGES:
        missing = [key for key in sorted({"silence", "remedy"} | said) if not written["says"][language].get(key)]
        if missing:
            table = f"[rules.{kind}.says.{language}]"
            keys = ", ".join(missing)
            raise BadPack(f"contract pack {pack}, {table}: the key {keys} is missing: write it")


def _counting(written: str) -> Counting | Backward:
    names = [*Counting, *Backward]
    if written not in names:
        raise ValueError(f'no rule to count by is called "{written}": write one of {", ".join(names)}')
    return Backward(written) if written in set(Backward) else Counting(written)


def _period(key: str, written: object) -> Period:
    if not isinstance(written, str):
        raise TypeError(f'{key} is a text: write a number and a unit, such as "30 days"')
    return Period.parse(written)


def _names(key: str, written: Sequence[str]) -> tuple[str, ...]:
    if isinstance(written, str):
        raise TypeError(f'{key} is a list: write ["{written}"]')
    return tuple(written)


def _asks(written: Sequence[str]) -> tuple[Asks, ...]:
    names = _names("asks", written)
    if unknown := sorted(set(names) - set(Asks)):
        raise ValueError(f"asks has no {', '.join(unknown)}: write any of {', '.join(Asks)}")
    return tuple(Asks(name) for name in names)


def _yes_or_no(key: str, written: object) -> bool:
    if not isinstance(written, bool):
        raise TypeError(f"{key} is true or false: write one of them")
    return written
