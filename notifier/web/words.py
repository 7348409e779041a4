"""The words on the pages for what the code calls by a short name: states, kinds, roles, steps of an arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as later

from notifier.models import Announcement
from notifier.rules.kinds import OF_THE_REGISTRY
from notifier.rules.periods import Step
from notifier.rules.registry_diff import ChangeKind
from notifier.rules.wording import clauses
from notifier.services import announcements, letter_words

SIGNS = MappingProxyType(
    {
        ChangeKind.ADDED: "+ {name}",
        ChangeKind.REMOVED: "− {name}",
        ChangeKind.REPLACED: "{left} → {name}",
    }
)
MOST_NAMED = 3
WORDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "status": {
            "acknowledged": later("acknowledged"),
            "consented": later("agreed"),
            "confirmed": later("confirmed"),
            "objected": later("objected"),
            "refused": later("refused to agree"),
            "terminated": later("terminated"),
            "silent": later("told, no answer"),
            "unreached": later("not reached"),
            "unknown": later("arrival unknown"),
            "sending": later("being sent"),
            "excluded": later("excluded"),
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
            "dropped": later("dropped: what it tells has been corrected or withdrawn"),
        },
        "bounce": {
            "failed": later("not delivered"),
            "delayed": later("delayed: the mail server still tries"),
            "delivered": later("delivered"),
            "complaint": later("reported as unwanted"),
            "auto_reply": later("automatic reply"),
            "human_reply": later("reply of a person"),
            "unreadable": later("not understood"),
        },
        "matched": {
            "tag": later("by the address it came back to"),
            "message_id": later("by the Message-ID that it quotes"),
        },
        "verdict": {
            "accepted": later("accepted"),
            "deferred": later("not taken yet"),
            "refused": later("refused"),
            "unknown": later("no answer"),
        },
        "hold": {
            "refusal": later("a client refuses to agree"),
            "objection": later("an objection is open"),
            "termination": later("a termination is open"),
            "consent": later("a client has not agreed"),
            "reply": later("nobody has read what a client wrote"),
            "unreached": later("a client was not reached"),
            "unknown": later("a mail may or may not have arrived"),
            "not_received": later("a notice has not been received yet"),
            "period": later("a client may still object"),
            "not_told": later("a client under contract has not been told"),
        },
        "announcement": {
            "draft": later("draft"),
            "published": later("announced"),
            "live": later("live"),
            "withdrawn": later("withdrawn"),
        },
        "answer": {
            "acknowledgement": later("acknowledgement"),
            "objection": later("objection"),
            "termination": later("termination"),
            "consent": later("agreement"),
            "refusal": later("refusal"),
            "confirmation": later("confirmation"),
        },
        "edition": {
            "published": later("First published"),
            "corrected": later("Corrected in substance: everybody was told anew, and every period began again"),
            "widened": later("Told anew to the clients whom more of it has come to concern"),
            "postponed": later("Postponed: whoever was told has been told of the new day"),
            "respelt": later("Wording mended: nobody was told anew"),
        },
        "override": {
            "late": later("Telling it late"),
            "breach": later("Going live against a closed gate"),
        },
        "kind": {
            "subprocessor": later("Change of subprocessor"),
            "emergency": later("Urgent change of subprocessor"),
            "service": later("Service or maintenance"),
            "location": later("Place of hosting or of access"),
            "security": later("Lower level of security"),
            "certification": later("Certification"),
            "disclosure": later("Disclosure to an authority"),
            "document": later("New edition of a document"),
            "support": later("Change of support entity"),
        },
        "purpose": {
            "subprocessor": later("A provider is added, replaced or removed, or what the list says of it changes."),
            "emergency": later("A provider has failed and another one must take its place at once."),
            "service": later("A new service, a change of one, or a maintenance."),
            "location": later("Data is to be stored in another place, or reached from there."),
            "security": later("A change that lowers the level of security."),
            "certification": later("A certification, yours or a provider’s, is lost, suspended or renewed."),
            "disclosure": later("An authority or a court asks for data."),
            "document": later("A certificate, a statement of applicability or another annex has a new edition."),
            "support": later("Another entity gives support and may see health data."),
        },
        "asked": {
            "subprocessor": later(
                "GDPR, article 28(2), and the contracts: each client is told beforehand and may object within its "
                "period."
            ),
            "emergency": later(
                "No contract shortens a period for an emergency: each client is asked to agree to an early start, and "
                "whoever does not keeps its whole period."
            ),
            "service": later(
                "The contracts ask for a notice some time before the day, a week for instance: it is counted back."
            ),
            "location": later(
                "Most contracts ask for the client’s agreement, and silence is a refusal. Health data is stored within "
                "the EEA alone (HDS, requirement 28)."
            ),
            "security": later("The contracts ask for the client’s agreement beforehand: silence is a refusal."),
            "certification": later("It is told at once. A loss may let clients leave, or end the contract."),
            "disclosure": later(
                "Clients are told, or heard beforehand, unless that is prohibited: then it is held until the "
                "prohibition ends."
            ),
            "document": later("It is told for information, and nothing waits for it."),
            "support": later("The contracts treat it as a change of subprocessor unless they say otherwise."),
        },
        "aspect": {
            "listing": later("correction of the list"),
            "new": later("new service"),
            "modified": later("modified service"),
            "maintenance": later("maintenance"),
            "storage": later("storage"),
            "access": later("access from a place"),
            "within": later("within the territory of the contract"),
            "lost": later("lost"),
            "suspended": later("suspended"),
            "renewed": later("renewed"),
            "notice": later("told beforehand"),
            "consultation": later("consultation"),
        },
        "fact": {
            "measures": later("Measures that protect the data meanwhile"),
            "service": later("Service"),
            "what": later("What it means"),
            "impact": later("Effect on clients"),
            "window": later("Hours"),
            "place": later("Place"),
            "country": later("Country"),
            "safeguards": later("Safeguards for the transfer"),
            "measure": later("Measure"),
            "before": later("Before"),
            "after": later("From then on"),
            "certificate": later("Certificate"),
            "holder": later("Holder"),
            "since": later("Since"),
            "authority": later("Authority"),
            "basis": later("Legal basis"),
            "scope": later("Data concerned"),
            "prohibited_until": later("Telling clients is prohibited until"),
            "document": later("Document"),
            "edition": later("Edition"),
            "valid_from": later("Valid from"),
            "valid_until": later("Valid until"),
            "address": later("Where to find it"),
        },
        "fault": {
            "missing": later("Write this: it stands in every letter."),
            "too_long": later("Shorten this to 5000 characters."),
            "no_country": later("Write the country’s name in English or French, or its two letters."),
            "no_day": later("Write a day that exists, such as 2027-01-15."),
            "no_url": later("Write an address that begins with https://."),
            "no_aspect": later("Choose one."),
            "outside_eea": later(
                "Health data is stored within the European Economic Area alone (HDS, requirement 28). Choose a place "
                "there."
            ),
            "no_safeguards": later(
                "Write which adequacy decision or safeguards allow the access from outside the EEA (GDPR, articles 45 "
                "and 46)."
            ),
            "before_start": later("This day lies before the one on which it begins. Correct one of them."),
            "unknown": later("This kind of announcement has no such field. Leave it empty."),
        },
        "change": {
            "added": later("added"),
            "removed": later("removed"),
            "replaced": later("replaced"),
            "renamed": later("renamed"),
            "taken_over": later("taken over"),
            "moved": later("moved"),
            "scope_changed": later("scope changed"),
            "safeguards_changed": later("safeguards changed"),
            "security_changed": later("level of security changed"),
            "contact_changed": later("details changed"),
        },
        "item": {
            "unreachable_client": later("Nobody can be told by mail"),
            "unknown_delivery": later("A mail may or may not have arrived"),
            "refused_delivery": later("A mail was refused"),
            "objection": later("Objection to be settled"),
            "termination": later("Termination to be settled"),
            "machine_like_answer": later("Answer that looks like a machine’s"),
            "endpoint_failing": later("Webhooks do not arrive"),
            "tell_by_letter": later("To be told by letter: the announcement was postponed, withdrawn, or made early"),
            "refusal": later("Refusal to be settled"),
            "unread_reply": later("Reply to be read"),
            "override_asked": later("A second person must decide"),
            "paper_to_print": later("Letters to be printed"),
            "prohibition_ended": later("Disclosure that may be told now"),
            "suggestion": later("A subprocessor’s own list has changed"),
            "source_failing": later("A watched list cannot be read"),
            "returned_mail": later("A mail came back, to be read by a person"),
            "auto_reply": later("A machine answers that a notice is not read"),
            "complaint": later("A notice was reported as unwanted"),
            "relay_failing": later("A mail relay asks for something that must be mended"),
            "sending_on_hold": later("Sending is on hold: nothing leaves"),
            "doubted_mails": later("Mails that may have left before a copy was made: settle each on its client’s page"),
        },
        "hold_kind": {
            "person": later("Somebody stopped it."),
            "strange_folder": later(
                "The data folder and the database do not belong together: one of them is a copy, or was restored."
            ),
            "older_database": later(
                "The database is older than what the data folder has seen: a backup of it was restored."
            ),
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
        "suggestion": {
            "open": later("to be decided"),
            "taken": later("taken"),
            "dismissed": later("dismissed"),
        },
        "sighting": {
            "read": later("read"),
            "unreadable": later("not readable"),
        },
        "how": {
            "relay": later("accepted by the client’s mail server"),
            "acknowledged": later("answered by the client’s contacts"),
            "display": later("displayed by the client’s contacts"),
            "paper": later("registered letter handed over"),
            "e_letter": later("registered e-letter accepted, or received as the contract says"),
        },
        "mode": {
            "information": later("information"),
            "notice": later("notice"),
            "notice_with_exit": later("notice, with the right to terminate"),
            "consultation": later("consultation: the client is heard first"),
            "consent": later("consent: nothing happens before the client agrees"),
        },
        "paper": {
            "waiting": later("to be printed"),
            "printed": later("printed, to be handed over"),
            "handed_over": later("handed over, on its way"),
            "received": later("received by the addressee"),
            "returned": later("came back"),
        },
        "paper_return": {
            "unclaimed": later("unclaimed"),
            "refused": later("refused by the addressee"),
            "unknown_address": later("unknown at the address"),
            "other": later("for another reason"),
        },
        "paper_unclaimed": {
            "": later("Its contract does not say when an e-letter that nobody accepts is received: it is not."),
            "window_end": later("Its contract takes one that nobody accepts for received when the fifteen days end."),
            "first_presentation": later(
                "Its contract takes one that nobody accepts for received on the day on which the addressee was told."
            ),
        },
        "paper_fault": {
            "missing": later("Write this."),
            "in_future": later("This has not come yet. Write a day that has."),
            "before_letter": later("This lies before the letter was raised. Write that day or a later one."),
            "before_hand_over": later("This lies before the letter was handed over. Write that day or a later one."),
            "no_tracking": later("Write the tracking number of the letter, or take the tick away."),
            "tracking_too_long": later("A tracking number is shorter. Write the number alone."),
            "tracking_twice": later("Another letter has this tracking number. Correct one of them."),
            "before_informed": later("This lies before the addressee was told of the e-letter. Correct one of them."),
            "after_window": later(
                "An e-letter can be accepted in the fifteen days after its addressee was told of it. Correct one day."
            ),
            "window_runs": later("The fifteen days in which it may be accepted are not over yet. Wait for their end."),
            "proof_too_large": later("This file is too large. Choose one of at most 5 MB."),
            "proof_unreadable": later("This is no PDF, PNG or JPEG. Choose another file."),
        },
        "channel": {
            "mail": later("e-mail"),
            "paper": later("registered letter"),
            "e_letter": later("registered e-letter"),
        },
        "silence": {
            "acceptance": later("counts as acceptance"),
            "refusal": later("counts as refusal"),
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
            "BACK_CLEAR": later("clear days, counted back from the day on which the change takes effect"),
            "BACK_CLEAR_SAFE": later(
                "clear days, counted back from the day on which the change takes effect, to a working day"
            ),
            "BACK_BUSINESS": later("working days, counted back from the day on which the change takes effect"),
        },
        "receipt": {
            "deemed": later(
                "when the client’s mail server takes the mail up to the cut-off of a working day; else on the next one"
            ),
            "acknowledged": later("when the contact acknowledges it"),
            "display": later("when the contact presses the button that shows the notice"),
            "lre": later("when the registered e-letter is accepted"),
            "lrar": later("when the registered letter is handed over"),
        },
        "addressees": {
            "first": later("the first contact who receives it"),
            "all": later("every contact has received it"),
            "last_mandatory": later("every contact in a mandatory role has received it"),
        },
        "rule": {
            "mode": later("What is owed"),
            "period": later("Period"),
            "window": later("Time to answer"),
            "window_holds": later("Waiting for the time to answer"),
            "counting": later("Counting"),
            "calendar": later("Holidays of"),
            "timezone": later("Time zone"),
            "margin_days": later("Margin"),
            "paper_margin_days": later("Margin of a letter"),
            "receipt": later("Receipt"),
            "cutoff": later("Cut-off"),
            "unclaimed": later("An e-letter that nobody claims"),
            "addressees": later("The period starts when"),
            "roles": later("Roles that are told"),
            "mandatory_roles": later("Mandatory roles"),
            "channels": later("Told by"),
            "silence": later("Silence"),
            "clause": later("Clause"),
            "prevails": later("Precedence over the general terms"),
            "forward_days": later("Days to pass it on"),
            "downstream_period": later("Period of the client’s own clients"),
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
            "announcement.drafted": later("Announcement written"),
            "announcement.discarded": later("Draft of an announcement thrown away"),
            "announcement.corrected": later("Announcement corrected in substance"),
            "announcement.respelt": later("Wording of an announcement mended"),
            "announcement.postponed": later("Announcement postponed"),
            "announcement.withdrawn": later("Announcement withdrawn"),
            "override.asked": later("Second person asked to decide"),
            "override.confirmed": later("Confirmed by a second person"),
            "override.rejected": later("Rejected, or taken back"),
            "notice.raised": later("Notice put in the outbox"),
            "notice.sent": later("Notice accepted by the client’s mail server"),
            "notice.received": later("Notice received: the period starts"),
            "notice.postponed": later("Last day moved later"),
            "notice.unreached": later("Client not reached"),
            "notice.lapsed": later("Period over"),
            "notice.restarted": later("Told anew: the period begins again"),
            "notice.live": later("Change made for the client"),
            "notice.excluded": later("Client excluded from the change"),
            "notice.displayed": later("Contact pressed the button that shows the notice"),
            "reminder.sent": later("Reminder sent"),
            "reply.recorded": later("Reply recorded"),
            "reply.read": later("Reply read"),
            "paper.raised": later("Another letter to be printed"),
            "paper.printed": later("Letter printed"),
            "paper.handed_over": later("Letter handed over"),
            "paper.received": later("Letter received"),
            "paper.returned": later("Letter came back"),
            "terms.changed": later("Client’s own terms changed"),
            "delivery.deferred": later("Mail not taken yet: to be tried again"),
            "delivery.refused": later("Mail refused"),
            "delivery.unknown": later("Mail handed over, answer lost"),
            "delivery.pressing": later("Nobody knows whether a mail arrived, and it presses"),
            "delivery.settled": later("Arrival of a mail proved"),
            "delivery.returned": later("Mail came back"),
            "delivery.dropped": later("Mail dropped before it left"),
            "delivery.repeated": later("Mail sent again"),
            "send.paused": later("Send paused"),
            "send.resumed": later("Send resumed"),
            "send.cancelled": later("Rest of a send cancelled"),
            "relay.failing": later("A mail relay refuses us: sending through it pauses"),
            "relay.recovered": later("A mail relay takes mails again"),
            "hold.set": later("All sending put on hold"),
            "hold.released": later("Sending released"),
            "instance.joined": later("Machine joined to the instance"),
            "bounce.received": later("Something came back for a mail"),
            "bounce.read": later("What came back was read by a person"),
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
            "subscriber.asked": later("Somebody asked for mails about the public list"),
            "subscriber.confirmed": later("Subscription confirmed"),
            "subscriber.ended": later("Subscription ended"),
            "subscriber.told": later("Subscribers told"),
            "source.added": later("List of a subprocessor watched"),
            "source.changed": later("Watch on a list changed"),
            "source.removed": later("List watched no more"),
            "sighting.kept": later("What a watched list says has been kept"),
            "suggestion.opened": later("Change of a subprocessor’s list found"),
            "suggestion.taken": later("Change of a subprocessor’s list taken into the draft"),
            "suggestion.dismissed": later("Change of a subprocessor’s list dismissed"),
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


def gist(announcement: Announcement, language: str) -> str:
    """What an announcement is about: "A → B", "+ C", "− D" of the registry; "Maintenance: object storage" of others."""
    if announcement.kind not in OF_THE_REGISTRY:
        colon = letter_words.COLON[language]
        return f"{letter_words.title(announcement, language)}{colon} {letter_words.what(announcement, language)}"
    named = [
        SIGNS.get(change.kind, "{name}").format(name=change.name, left=change.before.name if change.before else "")
        for change in announcements.changes_of(announcement)
    ]
    return ", ".join(named[:MOST_NAMED]) + (", …" if len(named) > MOST_NAMED else "")
