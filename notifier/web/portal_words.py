"""The words of the portal: what each kind of announcement says first; each act, with the statement that is signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as later

from notifier.adapters.dates import end_of_day, plain_date
from notifier.models import Announcement, AnnouncementKind, Answer, AnswerKind
from notifier.rules.gate import Waits
from notifier.rules.kinds import KINDS
from notifier.services import letter_words
from notifier.services.answers import Told

CONSULTATION = "disclosure.consultation"
# What a correction takes back: it was said of another text.
LAPSING = frozenset({AnswerKind.ACKNOWLEDGEMENT, AnswerKind.CONSENT, AnswerKind.CONFIRMATION})

LEADS: Mapping[str, Any] = MappingProxyType(
    {
        "subprocessor": later("%(provider)s will change its list of subprocessors from %(day)s."),
        "emergency": later(
            "%(provider)s must change its list of subprocessors urgently, and asks for your consent to start on "
            "%(day)s."
        ),
        "service.new": later("%(provider)s will start a new service on %(day)s."),
        "service.modified": later("%(provider)s will change a service that you use from %(day)s."),
        "service.maintenance": later("%(provider)s will carry out maintenance on %(day)s."),
        "location.storage": later("%(provider)s plans to change the place where your data is hosted, from %(day)s."),
        "location.access": later("%(provider)s plans to allow access to your data from another place, from %(day)s."),
        "security": later("%(provider)s plans to lower the level of a security measure, from %(day)s."),
        "certification.lost": later(
            "%(provider)s informs you that a certification that covers its services is lost, since %(day)s."
        ),
        "certification.suspended": later(
            "%(provider)s informs you that a certification that covers its services is suspended, since %(day)s."
        ),
        "certification.renewed": later(
            "%(provider)s informs you that a certification that covers its services is renewed, since %(day)s."
        ),
        "disclosure.notice": later(
            "An authority requires %(provider)s to disclose data that it hosts for you. Day of the disclosure: %(day)s."
        ),
        CONSULTATION: later(
            "An authority requires %(provider)s to disclose data that it hosts for you. We ask for your view before we "
            "disclose anything. The disclosure is planned for %(day)s."
        ),
        "document": later("%(provider)s informs you of the new edition of a document, which applies from %(day)s."),
        "support": later("%(provider)s plans to change the entity that gives you support, from %(day)s."),
    }
)
# Where a contract asks for the client's consent to a change of subprocessor: one that lowers the security, say.
ASKED = later("%(provider)s plans to change its list of subprocessors from %(day)s, and asks for your consent.")


def key_of(announcement: Announcement) -> str:
    return letter_words.key_of(announcement.kind, announcement.aspect)


def lead(announcement: Announcement, told: Sequence[Told]) -> Any:  # noqa: ANN401 - a lazy string
    """Return the first sentence of a notice, with holes for `provider` and `day`."""
    asked = announcement.kind is AnnouncementKind.SUBPROCESSOR and any(one.asks_consent for one in told)
    return ASKED if asked else LEADS[key_of(announcement)]


def heading(announcement: Announcement, *, past: bool) -> str:
    """Return what stands above the facts."""
    if past:
        return str(_("What happened"))
    asked = announcement.kind is AnnouncementKind.DISCLOSURE
    return str(_("What we are asked for") if asked else _("What changes"))


def goes_live(announcement: Announcement) -> bool:
    """Say whether being made, later than it was told, means anything for this kind."""
    return not KINDS[announcement.kind].at_once or key_of(announcement) == CONSULTATION


def until(announcement: Announcement, told: Told) -> Any:  # noqa: ANN401 - a lazy string
    """Return the sentence of a client's last day, with a hole for `day`."""
    if announcement.kind is AnnouncementKind.EMERGENCY:
        return later("Your period runs until %(day)s.")
    if key_of(announcement) == CONSULTATION:
        return later("You may give your view until %(day)s.")
    if told.asks_consent:
        return later("You may consent or refuse until %(day)s.")
    return later("You may object until %(day)s.") if told.may_object else later("You may answer until %(day)s.")


# --- answers ---------------------------------------------------------------------------------------------------------


def answered(announcement: Announcement, answer: Answer) -> str:
    """Return what kind of answer it is."""
    view = key_of(announcement) == CONSULTATION
    named = {
        AnswerKind.ACKNOWLEDGEMENT: _("Receipt confirmed"),
        AnswerKind.OBJECTION: _("View given") if view else _("Objection"),
        AnswerKind.TERMINATION: _("Termination of the contract"),
        AnswerKind.CONSENT: _("Consent"),
        AnswerKind.REFUSAL: _("Refusal of consent"),
        AnswerKind.CONFIRMATION: _("Confirmation"),
    }
    return str(named[answer.kind])


def recorded(announcement: Announcement, answer: Answer) -> str:
    """Return the heading of a receipt."""
    if not answer.standing:
        return str(_("This answer no longer stands"))
    view = key_of(announcement) == CONSULTATION
    headings = {
        AnswerKind.ACKNOWLEDGEMENT: _("Your acknowledgement of receipt is recorded"),
        AnswerKind.OBJECTION: _("Your view is recorded") if view else _("Your objection is recorded"),
        AnswerKind.TERMINATION: _("Your termination of the contract is recorded"),
        AnswerKind.CONSENT: _("Your consent is recorded"),
        AnswerKind.REFUSAL: _("Your refusal is recorded"),
        AnswerKind.CONFIRMATION: _("Your confirmation is recorded"),
    }
    return str(headings[answer.kind])


def has_lapsed(answer: Answer, told: Told) -> bool:
    """Say whether a correction took this answer back."""
    return not answer.standing and answer.kind in LAPSING and answer.edition < told.notice.edition


def is_doubted(answer: Answer) -> bool:
    """Say whether a consent opens nothing until a person has looked at it."""
    return bool(answer.standing) and answer.kind is AnswerKind.CONSENT and answer.machine_like


# --- acts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The words of one act for one company.  `reasons` asks for them, where there is a field for them."""

    offer: str  # on the notice's page
    title: str
    statement: str  # what is signed
    effect: str
    button: str
    reasons: str = ""


def act(name: str, announcement: Announcement, told: Told, language: str) -> Act:
    """Return the words of an act: "objection", "termination", "withdrawal", "consent", "refusal", "confirmation"."""
    return _ACTS[name](_Subject(announcement, told, language))


class _Subject:
    """What the sentences of an act name."""

    def __init__(self, announcement: Announcement, told: Told, language: str) -> None:
        self.told = told
        self.company = told.client.company
        self.reference = announcement.reference
        self.names = letter_words.names(announcement, language)
        self.day = plain_date(announcement.effective_on, language)
        self.last_day = end_of_day(told.notice.object_by, told.rule.timezone, language)
        self.starts_on = plain_date(told.rule.day_of(told.notice.holds_until), language)
        self.confirmation = told.rule.says[language].get("confirmation", "")
        self.is_consultation = key_of(announcement) == CONSULTATION
        self.is_emergency = announcement.kind is AnnouncementKind.EMERGENCY

    def fill(self, *names: str) -> dict[str, str]:
        """Return company and reference, and these names of the announcement."""
        return {"company": self.company, "reference": self.reference, **{name: self.names[name] for name in names}}


def _objection(one: _Subject) -> Act:
    if one.is_consultation:
        return Act(
            offer=_("Give your view"),
            title=_("Give the view of %(company)s", company=one.company),
            statement=_("This is the view of %(company)s on %(the)s %(reference)s.", **one.fill("the")),
            effect=_(
                "We record your view and weigh it before we answer the authority. You may withdraw it later through "
                "the same link."
            ),
            button=_("Record the view"),
            reasons=_("What is your view?"),
        )
    effect = _(
        "We record your objection and come back to you about it. You may withdraw it later through the same link."
    )
    leave = _("You may still terminate the contract.") if one.told.may_terminate else ""
    return Act(
        offer=_("Object %(to_short)s", to_short=one.names["to_short"]),
        title=_("Object %(to_short)s for %(company)s", to_short=one.names["to_short"], company=one.company),
        statement=_("%(company)s objects %(to)s %(reference)s.", **one.fill("to")),
        effect=f"{effect} {leave}".strip(),
        button=_("Record the objection"),
        reasons=_("Why do you object?"),
    )


def _termination(one: _Subject) -> Act:
    return Act(
        offer=_("Terminate the contract"),
        title=_("Terminate the contract of %(company)s", company=one.company),
        statement=_("%(company)s terminates the contract because %(of)s %(reference)s.", **one.fill("of")),
        effect=_(
            "We record that you terminate the contract, and come back to you about what follows. This cannot be taken "
            "back through the link."
        ),
        button=_("Record the termination"),
        reasons=_("Your reasons (optional)"),
    )


def _withdrawal(one: _Subject) -> Act:
    if one.is_consultation:
        return Act(
            offer=_("Withdraw the view"),
            title=_("Withdraw the view of %(company)s", company=one.company),
            statement=_("%(company)s withdraws its view on %(the)s %(reference)s.", **one.fill("the")),
            effect=_("Your view no longer counts. What we recorded of it is kept."),
            button=_("Record the withdrawal"),
        )
    return Act(
        offer=_("Withdraw the objection"),
        title=_("Withdraw the objection of %(company)s", company=one.company),
        statement=_("%(company)s withdraws its objection %(to)s %(reference)s.", **one.fill("to")),
        effect=(
            _("Your objection no longer counts. What we recorded of it is kept.")
            if one.told.waits is Waits.NOTHING
            else _(
                "Your objection no longer counts, and the change may take effect for you as announced. What we "
                "recorded of the objection is kept."
            )
        ),
        button=_("Record the withdrawal"),
    )


def _consent(one: _Subject) -> Act:
    if one.is_emergency:
        return Act(
            offer=_("Consent to an early start"),
            title=_("Consent to an early start for %(company)s", company=one.company),
            statement=_(
                "%(company)s consents that %(the)s %(reference)s starts on %(day)s, without waiting for the end of its "
                "period.",
                day=one.day,
                **one.fill("the"),
            ),
            effect=_(
                "With your consent, the change may start for you on %(day)s. Silence is not consent: without it, "
                "nothing starts for you before %(starts_on)s. You may refuse later, as long as the change has not been "
                "made.",
                day=one.day,
                starts_on=one.starts_on,
            ),
            button=_("Record the consent"),
        )
    return Act(
        offer=_("Give consent"),
        title=_("Give consent for %(company)s", company=one.company),
        statement=_("%(company)s consents %(to)s %(reference)s.", **one.fill("to")),
        effect=_(
            "With your consent, this may be done for you from %(day)s on. Silence is not consent: without it, nothing "
            "is done for you. You may refuse later, as long as it has not been done.",
            day=one.day,
        ),
        button=_("Record the consent"),
    )


def _refusal(one: _Subject) -> Act:
    if one.is_emergency:
        return Act(
            offer=_("Refuse an early start"),
            title=_("Refuse an early start for %(company)s", company=one.company),
            statement=_(
                "%(company)s does not consent to an early start %(of)s %(reference)s, and keeps its whole period.",
                **one.fill("of"),
            ),
            effect=_(
                "You keep your whole period, until %(last_day)s, and nothing starts for you before %(starts_on)s. You "
                "may consent later through the same link.",
                last_day=one.last_day,
                starts_on=one.starts_on,
            ),
            button=_("Record the refusal"),
            reasons=_("Your reasons (optional)"),
        )
    return Act(
        offer=_("Refuse consent"),
        title=_("Refuse consent for %(company)s", company=one.company),
        statement=_("%(company)s does not consent %(to)s %(reference)s.", **one.fill("to")),
        effect=_(
            "Nothing is done for you, and we come back to you. Silence would mean the same. You may consent later "
            "through the same link."
        ),
        button=_("Record the refusal"),
        reasons=_("Your reasons (optional)"),
    )


def _confirmation(one: _Subject) -> Act:
    return Act(
        offer=_("Confirm that it is done"),
        title=_("Confirm for %(company)s that it is done", company=one.company),
        statement=one.confirmation,
        effect=_(
            "We record that you have done what your contract asks of you (%(clause)s).", clause=one.told.rule.clause
        ),
        button=_("Record the confirmation"),
    )


_ACTS: Mapping[str, Callable[[_Subject], Act]] = MappingProxyType(
    {
        "objection": _objection,
        "termination": _termination,
        "withdrawal": _withdrawal,
        "consent": _consent,
        "refusal": _refusal,
        "confirmation": _confirmation,
    }
)
