"""The words on the pages for what the code calls by a short name: states, kinds, roles, steps of an arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as later

from notifier.models import Announcement
from notifier.rules.periods import Step
from notifier.rules.registry_diff import ChangeKind
from notifier.rules.wording import clauses
from notifier.services import announcements

SIGNS = MappingProxyType(
    {
        ChangeKind.ADDED: "+ {name}",
        ChangeKind.REMOVED: "− {name}",
        ChangeKind.REPLACED: "{left} → {name}",
        ChangeKind.AMENDED: "{name}",
    }
)
MOST_NAMED = 3
WORDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "status": {
            "acknowledged": later("acknowledged"),
            "objected": later("objected"),
            "terminated": later("terminated"),
            "silent": later("told, no answer"),
            "unreached": later("not reached"),
            "unknown": later("arrival unknown"),
            "sending": later("being sent"),
        },
        "notice": {
            "raised": later("in the outbox"),
            "running": later("received, period running"),
            "lapsed": later("period over"),
            "unreached": later("not reached"),
        },
        "delivery": {
            "waiting": later("waiting"),
            "claimed": later("being sent"),
            "handing_over": later("being handed over"),
            "accepted": later("accepted by the mail server"),
            "refused": later("refused by the mail server"),
            "unknown": later("unknown: the answer of the mail server was lost"),
        },
        "verdict": {
            "accepted": later("accepted"),
            "deferred": later("not taken yet"),
            "refused": later("refused"),
            "unknown": later("no answer"),
        },
        "hold": {
            "objection": later("an objection is open"),
            "termination": later("a termination is open"),
            "unreached": later("a client was not reached"),
            "unknown": later("a mail may or may not have arrived"),
            "not_received": later("a notice has not been received yet"),
            "period": later("a client may still object"),
            "not_told": later("a client under contract has not been told"),
        },
        "announcement": {"published": later("announced"), "live": later("live")},
        "answer": {
            "acknowledgement": later("acknowledgement"),
            "objection": later("objection"),
            "termination": later("termination"),
        },
        "change": {
            "added": later("added"),
            "removed": later("removed"),
            "replaced": later("replaced"),
            "amended": later("amended"),
        },
        "item": {
            "unreachable_client": later("Nobody can be told by mail"),
            "unknown_delivery": later("A mail may or may not have arrived"),
            "refused_delivery": later("A mail was refused"),
            "objection": later("Objection to be settled"),
            "termination": later("Termination to be settled"),
            "machine_like_answer": later("Answer that looks like a machine’s"),
            "endpoint_failing": later("Webhooks do not arrive"),
        },
        "role": {
            "auditor": later("auditor: reads everything, changes nothing"),
            "account_manager": later("account manager: edits, announces, settles"),
            "administrator": later("administrator: also users, profile and webhooks"),
        },
        "webhook": {
            "waiting": later("waiting"),
            "claimed": later("being sent"),
            "delivered": later("delivered"),
            "exhausted": later("given up"),
        },
        "how": {"relay": later("accepted by the client’s mail server")},
        "mode": {
            "notice": later("notice"),
            "notice_with_exit": later("notice, with the right to terminate"),
        },
        "counting": {
            "CAL_STRICT": later("calendar days; the last day is never moved"),
            "FR_CAL": later("calendar days; a last day that is no working day moves to the next one"),
            "EU_1182": later(
                "calendar days with at least two working days; a last day that is no working day moves on"
            ),
            "BUSINESS": later("Mondays to Fridays that are no holidays"),
            "OUVRABLE": later("Mondays to Saturdays that are no holidays"),
            "CLEAR": later("clear days: the last day does not count either, and moves off days that are not worked"),
        },
        "receipt": {
            "deemed": later(
                "when the client’s mail server takes the mail up to the cut-off of a working day; else on the next one"
            ),
        },
        "addressees": {
            "first": later("the first contact who receives it"),
            "all": later("every contact has received it"),
        },
        "rule": {
            "mode": later("What is owed"),
            "period": later("Period to object"),
            "counting": later("Counting"),
            "calendar": later("Holidays of"),
            "timezone": later("Time zone"),
            "margin_days": later("Margin"),
            "receipt": later("Receipt"),
            "cutoff": later("Cut-off"),
            "addressees": later("The period starts when"),
            "clause": later("Clause"),
            "says": later("What the letters say"),
        },
        "event": {
            "provider.changed": later("Profile changed"),
            "user.created": later("User added"),
            "user.invited": later("User given a sign-in link"),
            "user.signed_in": later("User signed in"),
            "user.changed": later("User changed"),
            "clients.imported": later("Clients imported"),
            "draft.changed": later("Draft changed"),
            "draft.discarded": later("Draft discarded"),
            "version.published": later("Version published"),
            "version.live": later("Version went live"),
            "announcement.published": later("Announcement published"),
            "announcement.live": later("Announcement went live"),
            "announcement.breached": later("Went live against a closed gate"),
            "notice.raised": later("Notice put in the outbox"),
            "notice.sent": later("Notice accepted by the client’s mail server"),
            "notice.received": later("Notice received: the period starts"),
            "notice.postponed": later("Last day moved later"),
            "notice.unreached": later("Client not reached"),
            "notice.lapsed": later("Period over"),
            "delivery.deferred": later("Mail not taken yet: to be tried again"),
            "delivery.refused": later("Mail refused"),
            "delivery.unknown": later("Mail handed over, answer lost"),
            "delivery.settled": later("Arrival of a mail proved"),
            "delivery.repeated": later("Mail sent again"),
            "letter.accepted": later("Letter accepted by the mail server"),
            "answer.recorded": later("Answer recorded"),
            "answer.doubted": later("Withdrawal that looks like a machine’s: the objection stands"),
            "answer.closed": later("Answer closed"),
            "answer.reviewed": later("Answer looked at"),
            "item.noted": later("Noted by a person"),
            "endpoint.added": later("Webhook endpoint added"),
            "endpoint.disabled": later("Webhook endpoint switched off"),
            "endpoint.tested": later("Webhook endpoint tested"),
            "webhook.exhausted": later("Webhook given up"),
        },
        "field": {
            "legal_name": later("Legal name"),
            "address": later("Address"),
            "timezone": later("Time zone"),
            "sender_name": later("Name of the sender"),
            "sender_address": later("Address of the sender"),
            "reply_to": later("Address for replies"),
            "privacy_contact": later("Contact for data protection"),
            "base_url": later("Address of these pages"),
            "languages": later("Languages"),
        },
    }
)


def word(value: str, family: str) -> Any:  # noqa: ANN401 - a string, lazy or not
    """Return the words for a short name; the name itself where it has none."""
    return WORDS[family].get(str(value), str(value))


def steps_in_words(steps: Iterable[Step | Mapping[str, str]], language: str) -> list[str]:
    """Say the arithmetic of a deadline, as it was just computed or as it is sealed."""
    counted = (step if isinstance(step, Step) else Step.from_json(step) for step in steps)
    return [said[0].upper() + said[1:] for said in clauses(counted, language)]


def gist(announcement: Announcement) -> str:
    """What an announcement is about, in names and signs that need no language: "A → B", "+ C", "− D"."""
    named = [
        SIGNS[change.kind].format(name=change.name, left=change.before.name if change.before else "")
        for change in announcements.changes_of(announcement)
    ]
    return ", ".join(named[:MOST_NAMED]) + (", …" if len(named) > MOST_NAMED else "")
