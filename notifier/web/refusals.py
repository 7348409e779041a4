"""What a service refuses of an announcement, as sentences beside the fields of the form that was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as later

from notifier.adapters import dates
from notifier.rules.kinds import BadFacts
from notifier.rules.notice_states import IllegalNoticeStep
from notifier.rules.terms import BadPack, PeriodBlank
from notifier.services import announcements, answers, corrections, going_live, overrides, registry
from notifier.web import words
from notifier.web.current import language, timezone
from notifier.web.forms import Form

NAMED = 5  # clients named in a sentence; the table names the rest

# Refused with one sentence beside one field.
SENTENCES: Mapping[type[Exception], tuple[str, Any]] = MappingProxyType(
    {
        announcements.EffectiveInPast: (
            "effective_on",
            later("This day has passed. Write today’s date or a later one."),
        ),
        announcements.NotPublished: (
            "",
            later("This announcement is not under way: it is a draft, has gone live, or has been withdrawn."),
        ),
        announcements.DraftChanged: (
            "",
            later("Somebody else has changed it since you looked. This is what publishing it would do now."),
        ),
        corrections.WhyMissing: ("why", later("Write why it is corrected: the reason is kept with both editions.")),
        corrections.NothingCorrected: (
            "",
            later("This says the same as what clients have been told. Change something, or leave it as it is."),
        ),
        corrections.NotWording: ("", later("Only the wording can be mended here; correct it in substance.")),
        corrections.NotEarlier: (
            "effective_on",
            later(
                "Write a later day than the one announced. To make it sooner, correct the announcement in substance."
            ),
        ),
        corrections.BegunAlready: (
            "",
            later("The change has been made for some clients already. Exclude the others, or announce another change."),
        ),
        going_live.LiveAtWrongTime: (
            "at",
            later("Write an instant that has passed, and that lies after the announcement."),
        ),
        going_live.ExclusionReasonMissing: ("excluded_why", later("Write why the change is not made for this client.")),
        going_live.AlreadyLive: ("", later("This announcement has gone live already.")),
        going_live.NotPerClient: ("", later("This change cannot be made for one client and not for another.")),
        going_live.NobodyLeft: (
            "",
            later("Every client is excluded or has the change already: there is nobody left to make it for."),
        ),
        going_live.UntoldClients: (
            "",
            later("Clients under contract have not been told of it yet: tell them first, then confirm."),
        ),
        going_live.NothingBreached: (
            "",
            later("Every client’s right had run by then: reject this, and record that it has gone live."),
        ),
        registry.DraftLeans: (
            "",
            later("The draft needs what this announcement adds: change the draft, or discard it, first."),
        ),
        registry.NothingChanged: (
            "",
            later("The draft says the same as the published version: there is nothing to publish."),
        ),
        IllegalNoticeStep: (
            "",
            later("This cannot be done to the notice as it stands now. Look at its page again."),
        ),
        PeriodBlank: (
            "",
            later(
                "A contract pack leaves this period blank. Write it in the terms of each client under it: the list of "
                "clients says whose is missing."
            ),
        ),
        BadPack: (
            "",
            later(
                "A contract pack that clients are under is missing, or says nothing of this kind of announcement. Mend "
                "it in the folder of contracts."
            ),
        ),
        overrides.StartedInFuture: ("started_at", later("Write an instant that has passed.")),
        overrides.SamePerson: ("", later("You have asked for this yourself: a second person must confirm it.")),
        answers.ReplyMissing: ("text", later("Write down what the client said.")),
    }
)
CONFLICTS = (
    announcements.DraftChanged,
    announcements.NotPublished,
    corrections.BegunAlready,
    corrections.BuiltUpon,
    going_live.AlreadyLive,
    going_live.EarlierNotLive,
    going_live.NobodyLeft,
    going_live.NotPerClient,
    going_live.NothingBreached,
    going_live.UntoldClients,
    overrides.SamePerson,
    registry.DraftLeans,
    registry.NothingChanged,
    BadPack,
    IllegalNoticeStep,
)


def explain(form: Form, trouble: Exception) -> HTTPStatus:
    """Say in the form what was refused, and return the status of the page that shows it again."""
    known = next(kind for kind in type(trouble).__mro__ if kind in DETAILED or kind in SENTENCES)
    if known in DETAILED:
        DETAILED[known](form, trouble)
    else:
        form.refuse(*SENTENCES[known])
    return HTTPStatus.CONFLICT if isinstance(trouble, CONFLICTS) else HTTPStatus.UNPROCESSABLE_ENTITY


def refuse_blank(form: Form, name: str) -> None:
    """Refuse what is not written in every language of the letters."""
    for one, text in form.both(name).items():
        if not text.strip():
            form.refuse(f"{name}_{one}", _("Say why the change is made: every letter gives its reason."))


def _bad_facts(form: Form, bad: BadFacts) -> None:
    for name, code in bad.problems.items():
        form.refuse(name, words.word(code, "fault"))


def _blank_reasons(form: Form, _missing: announcements.ReasonMissing) -> None:
    refuse_blank(form, "reasons")


def _blank_texts(form: Form, missing: overrides.WhyMissing) -> None:
    for name in missing.fields:
        form.refuse(name, _("Write this in both languages: it stands in the letters."))


def _too_early(form: Form, early: announcements.EffectiveTooEarly) -> None:
    named = ", ".join(
        _(
            "%(company)s (until %(day)s)",
            company=one.client.company,
            day=dates.plain_date(one.reckoning.last_day_of_waiting, language()),
        )
        for one in early.late[:NAMED]
    )
    more = len(early.late) - NAMED
    if more > 0:
        named += _(" and %(num)d more", num=more)
    sentence = _(
        "Too early: these clients may still object then: %(named)s. %(day)s or later would do.",
        named=named,
        day=_long(early.earliest),
    )
    form.refuse("effective_on", sentence)


def _sent_too_late(form: Form, late: announcements.SentTooLate) -> None:
    sentence = _(
        "Too late for this day: the notices had to leave by %(instant)s. If they leave now, %(day)s is the first "
        "lawful day. Change the day, or ask for a late notice on a legal ground, which a second person confirms.",
        instant=_instant(late.latest_sending_at),
        day=_long(late.earliest_effective_on),
    )
    form.refuse("effective_on", sentence)


def _prohibited(form: Form, held: announcements.Prohibited) -> None:
    sentence = _(
        "Telling clients of this is prohibited until %(day)s. It stays a draft, and is put before you when that day "
        "has passed.",
        day=_long(held.until),
    )
    form.refuse("prohibited_until", sentence)


def _built_upon(form: Form, later_one: corrections.BuiltUpon) -> None:
    sentence = _(
        "%(reference)s was announced after it and contains its change. Withdraw or finish that one first.",
        reference=later_one.reference,
    )
    form.refuse("", sentence)


def _earlier_not_live(form: Form, earlier: going_live.EarlierNotLive) -> None:
    sentence = _(
        "%(reference)s was announced earlier, changes the same, and must go live first.", reference=earlier.reference
    )
    form.refuse("", sentence)


def _gate_closed(form: Form, _closed: going_live.GateClosed) -> None:
    form.refuse(
        "at",
        _("The gate is closed. Wait, choose what to do below, or let two persons record a breach with its reason."),
    )


DETAILED: Mapping[type[Exception], Callable[[Form, Any], None]] = MappingProxyType(
    {
        BadFacts: _bad_facts,
        announcements.ReasonMissing: _blank_reasons,
        announcements.EffectiveTooEarly: _too_early,
        announcements.SentTooLate: _sent_too_late,
        announcements.Prohibited: _prohibited,
        corrections.BuiltUpon: _built_upon,
        going_live.EarlierNotLive: _earlier_not_live,
        going_live.GateClosed: _gate_closed,
        overrides.WhyMissing: _blank_texts,
    }
)
REFUSED: tuple[type[Exception], ...] = (*SENTENCES, *DETAILED)


def _long(day: date) -> str:
    return dates.long_date(day, language())


def _instant(at: datetime) -> str:
    return dates.instant(at, timezone(), language())
