"""What relays report, by form: delivery status notifications (RFC 3464), feedback reports (RFC 5965), plain text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notifier.adapters import bounce_words
from notifier.adapters.bounce_parts import ADDRESS, Headers, Part, addresses, plain_address, read_headers
from notifier.rules.bounces import BounceKind

AT_ITS_PLACE: Final = 5  # the weight of an address that stands where a report names whom it could not reach
MOST_LINES: Final = 2000  # of one text
MOST_RECIPIENTS: Final = 100
RETURNED_PARTS: Final = ("message/rfc822", "text/rfc822-headers", "message/partial", "message/global")

ACTIONS: Final = {
    "failed": BounceKind.FAILED,
    "failure": BounceKind.FAILED,
    "undeliverable": BounceKind.FAILED,
    "expired": BounceKind.FAILED,  # the relay's queue has given up, which ends the attempt
    "delayed": BounceKind.DELAYED,
    "deferred": BounceKind.DELAYED,
    "transient": BounceKind.DELAYED,
    "delivered": BounceKind.DELIVERED,
    "deliverable": BounceKind.DELIVERED,
    "relayed": BounceKind.DELIVERED,
    "expanded": BounceKind.DELIVERED,
}
_FIELD: Final = re.compile(
    r"[ \t>]{0,8}(reporting-mta|dsn-gateway|received-from-mta|arrival-date|original-envelope-id|final-recipient|"
    r"original-recipient|action|status|remote-mta|diagnostic-code|last-attempt-date|final-log-id|will-retry-until|"
    r"x-[a-z0-9-]{1,60}):[ \t]*(.*)",
    re.IGNORECASE,
)
_OF_RECIPIENT: Final = ("final-recipient", "original-recipient", "x-actual-recipient", "action", "status")

# Where the mail that came back begins within a text: a line that announces it, or its first header.
_RETURNED: Final = re.compile(
    r"(?im)^[ \t>|*=_-]{0,80}(?:"
    r"(?:included is |below (?:this line )?(?:is )?|this is |here is |the |a |your |first \d+ \w+ of )*"
    r"(?:copy of|headers? (?:of|from)|begin(?:ning)? of|start of|text of|lines of|original|returned|unsent|"
    r"undelivered|old|dropped|rejected|non-delivered)"
    r"(?: (?:the|your|original|returned|undelivered|unsent|failed|rejected|message|mail|header|text|source|from|of|"
    r"this))*"
    r" (?:message|mail|e-?mail|headers?|letter)\b"
    r"(?:[ ,.:;=*_()|-]|\b(?:headers?|text|source|body|content|follow(?:s|ing)?|is|are|included|including|all|the|"
    r"below|attached|as|an?|separate|"
    r"attachment|here|enclosed|information|details?|in|its|entirety|for|your|reference|begins?|only|message|mail|of|"
    r"first|part|lines?|\d+)\b){0,25}$"
    r"|message headers? follows?\b.*$|(?:the )?message text follows.*$|message d['’]origine\b.*$|"
    r"исходное (?:сообщение|письмо).*$)"
    r"|^(?:received: (?:from|by|\()|return-path: ?<|x-received: by )"
)
_RETURNED_RUN: Final = re.compile(
    r"(?m)^(?:(?:from|to|subject|date|message-id|mime-version|x-[\w-]+): ?[^\n]*\n){3}", re.IGNORECASE
)

_NOT_OF_RECIPIENT: Final = re.compile(
    r"(?i)\b(?:mail[ _]from|envelope[ -]from|from|sender|reply-?to|return-?path|errors-to|contact|help|assistance|"
    r"questions?|"
    r"send (?:an? )?(?:e-?)?mail|e-?mail us|please (?:e-?)?mail|write to|message-?id|references|in-reply-to|"
    r"identifier|administrator|"
    r"support|list-\w+|unsubscribe|abuse|cc|x-[\w-]+|sent by|originator|subject|admin)\b[^@<]{0,40}[<\"'\[(:]*\s*$"
)
_SAID_TO_BE: Final = re.compile(
    r"(?i)(?:rcpt to:?|recipients?(?: address(?:es)?)?:?|addressed to:?|delivery failed:|for:?|intended for|"
    r"failed recipient:?|"
    r"(?:deliver\w*|sent|reach\w*|send\w*|mail|message|messages|relay\w*)\b.{0,60}?\bto:?|"
    r"(?:user|users|user\(s\)|account|mailbox|address|addresses|errors?|list|group|recipient\(s\)):?)"
    r"\s*[<\"'\[(*]*\s*$"
)
_AT_START: Final = re.compile(
    r"^[\s>*|•·-]*(?:\d{1,3}[.):]\s+)?(?:(?:failed|rcpt|smtp)[: ]\s*|"
    r"[45]\d\d[- ](?:[45]\.\d{1,3}\.\d{1,3} )?)?[<\"'\[(]*$",
    re.IGNORECASE,
)
_WRITTEN_TO: Final = re.compile(r"(?i)^[\s>*|]*to:\s*[^@]{0,80}$")  # a header of the mail that came back
_NOBODY: Final = re.compile(
    r"(?i)^(?:mailer[-_.]?daemon|postmaster|post_master|mail[-_.]?delivery|mdaemon|no-?reply|do-?not-?reply|abuse|"
    r"hostmaster|mail\.daemon|[^@]*-owner|owner-[^@]*|listserv|majordomo|"
    r"[^@]*-(?:ctl|request|help|admin|subscribe|unsubscribe))@"
)


@dataclass(frozen=True, slots=True)
class Named:
    """One recipient that a report names, with what it says of it."""

    address: str
    kind: BounceKind
    status: str = ""
    text: str = ""
    """The relay's own words (Diagnostic-Code, or the lines below the address)."""
    hint: str = ""
    """Words of the reporting system itself, such as a category."""


@dataclass(frozen=True, slots=True)
class Notification:
    recipients: tuple[Named, ...]
    envelope_id: str = ""


# --- RFC 3464 ------------------------------------------------------------------------------------------------------


def is_status(part: Part) -> bool:
    """It holds a notification's fields; `global-delivery-status` (RFC 6533) and `xdelivery-status` do too."""
    return part.kind.startswith("message/") and part.kind.endswith("delivery-status")


def read_notification(texts: Sequence[str]) -> Notification:
    """The recipients in the fields of delivery status notifications, each with its action."""
    envelope_id = ""
    named: list[Named] = []
    for text in texts:
        for block in _blocks(text):
            envelope_id = envelope_id or block.get("original-envelope-id", "")
            if any(one in block for one in ("action", "status", "diagnostic-code")) and (address := _recipient(block)):
                named.append(_named(address, block))
    return Notification(tuple(dict.fromkeys(named[:MOST_RECIPIENTS])), envelope_id)


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Fields by recipient: a blank line or a field that comes again begins the next one."""
    block: dict[str, list[str]] = {}
    last = ""
    for line in text.split("\n", MOST_LINES)[:MOST_LINES]:
        found = _FIELD.match(line)
        name = found[1].lower() if found else ""
        if not line.strip() or (name in _OF_RECIPIENT and name in block):
            if any(one in block for one in _OF_RECIPIENT):
                yield {one: " ".join(lines) for one, lines in block.items()}
                block = {}
            last = ""
        if found:
            block.setdefault(name, []).append(found[2].strip())
            last = name
        elif last and line.strip():  # folded, or a relay's second line that was not indented
            block[last].append(line.strip())
    if block:
        yield {one: " ".join(lines) for one, lines in block.items()}


def _recipient(block: Mapping[str, str]) -> str:
    """The final recipient, whom the relay could not reach; the original one where that is a program or a file."""
    named = [addresses(block.get(one, "").rpartition(";")[2]) for one in ("final-recipient", "original-recipient")]
    found = [one[0] for one in (*named, addresses(block.get("x-actual-recipient", "").rpartition(";")[2])) if one]
    if found:
        return next((one for one in found if "." in one.rpartition("@")[2]), found[0])
    raw = block.get("final-recipient", block.get("original-recipient", "")).partition(";")[2].strip(" <>\"'")
    return raw if re.fullmatch(r"[^\s@<>]{1,64}(?:@[^\s@<>]{1,255})?", raw) else ""


def _named(address: str, block: Mapping[str, str]) -> Named:
    kind_of_code, _, words = block.get("diagnostic-code", "").partition(";")
    text = words if words and re.fullmatch(r"[\w -]{1,40}", kind_of_code) else block.get("diagnostic-code", "")
    status = bounce_words.status_in(block.get("status", ""), text)
    action = re.match(r"[a-z]*", block.get("action", "").lower())
    kind = ACTIONS.get(action[0] if action else "")
    if kind is None:
        is_retried = status.startswith("4.") and "will-retry-until" in block
        kind = BounceKind.DELAYED if is_retried else BounceKind.FAILED
        kind = BounceKind.DELIVERED if status.startswith("2.") else kind
    if kind is BounceKind.DELIVERED and status[:1] in ("4", "5"):  # a relay that says both has not delivered
        kind = BounceKind.FAILED
    return Named(address, kind, status, text.strip(), block.get("x-powermta-bouncecategory", ""))


# --- RFC 5965 ------------------------------------------------------------------------------------------------------


def read_complaint(headers: Headers, parts: Sequence[Part]) -> tuple[str, ...] | None:
    """Who complains, as far as the report does not hide it; None where this is no report of a complaint.

    Before RFC 5965 and beside it: Hotmail's reports, and Apple Mail's request to be written to no more.
    """
    returned = next((one.headers for one in parts if one.kind in RETURNED_PARTS), Headers())
    feedback = next((one for one in parts if one.kind == "message/feedback-report"), None)
    told = "report-type=feedback-report" in headers.get("content-type").replace('"', "").replace(" ", "").lower()
    if feedback or told:
        fields = read_headers(feedback.text if feedback else "\n".join(one.text for one in parts[:2]))
        for source in (
            fields.all("original-rcpt-to", "removal-recipient"),
            returned.all("x-hmxmroriginalrecipient", "x-original-rcpt", "to", "delivered-to"),
        ):
            if found := _each(source):
                return found
        return ()
    if headers.get("x-apple-unsubscribe"):
        return _each([headers.get("from")])
    if hidden := returned.get("x-hmxmroriginalrecipient"):
        return _each([hidden])
    abuse = re.search(
        r"(?i)^(?:complaint about message|email (?:abuse|feedback) report|abuse report|fbl report|spam complaint)",
        headers.get("subject"),
    )
    return _each(returned.all("to")) if abuse and returned.pairs else None


def _each(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for value in values for address in addresses(value)[:5]))


# --- Plain text ----------------------------------------------------------------------------------------------------


def split_returned(text: str) -> tuple[str, str]:
    """What a report says itself, and what it returns of our mail."""
    for pattern in (_RETURNED, _RETURNED_RUN):
        found = next((one for one in pattern.finditer(text) if text[: one.start()].strip(" \n\t-=*_")), None)
        if found:
            return text[: found.start()], text[found.start() :]
    return text, ""


def returned_headers(text: str) -> Headers:
    """The headers in what a report returns as text, which may be indented or quoted."""
    lines = [re.sub(r"^[ \t>|]+(?=[\w-]+:)", "", one) for one in text.split("\n", MOST_LINES)[:MOST_LINES]]
    return read_headers("\n".join(one for one in lines if one.strip()))


def read_transcript(text: str) -> tuple[Named, ...]:
    """A transcript that Postfix sends to its postmaster ("In:" is what the client said, "Out:" the answers)."""
    if not re.search(r"(?m)^\s?Out: [245]\d\d", text):
        return ()
    said, refused, recipients = "", "", []
    for way, line in re.findall(r"(?m)^\s?(In|Out): +(.*)", text):
        if way == "In":
            said = line.upper()
            recipients += addresses(line)[:1] if said.startswith("RCPT") else []
        elif line[:1] in "45" and not refused and not said.startswith(("QUIT", "STARTTLS")):
            refused = f"{line} (in reply to {said[:4]} command)"
    named = recipients[-1:] if refused else []
    return tuple(Named(one, BounceKind.FAILED, bounce_words.status_in("", refused), refused) for one in named)


def read_text(text: str, *, told: Sequence[str], ours: Collection[str], sent_to: Collection[str]) -> tuple[Named, ...]:
    """The recipients that a text says could not be reached.

    `told` are those that a header names (X-Failed-Recipients), `ours` the addresses that this report was sent to and
    from, `sent_to` those that the returned mail was for.
    """
    lines = text.split("\n", MOST_LINES)[:MOST_LINES]
    found = _weigh(lines, ours, sent_to)
    chosen = list(dict.fromkeys(told)) or _best(found)
    where = {address: number for number, address, _ in reversed(found) if address in chosen}
    starts = sorted(where.values())
    named = []
    for address in chosen[:MOST_RECIPIENTS]:
        start = where.get(address)
        end = next((one for one in starts if start is not None and one > start), len(lines))
        own = "\n".join(lines[start:end]) if start is not None and len(chosen) > 1 else "\n".join(lines)
        named.append(Named(address, BounceKind.FAILED, bounce_words.status_in("", own), own))
    return tuple(named)


def section(text: str, address: str) -> str:
    """The lines of a text around an address, up to the next blank line."""
    at = text.lower().find(address.lower())
    if at < 0:
        return ""
    end = text.find("\n\n", at)
    return text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else None]


def _weigh(lines: Sequence[str], ours: Collection[str], sent_to: Collection[str]) -> list[tuple[int, str, int]]:
    """Each address with its line and how likely it is meant (1 to 6)."""
    weighed = []
    for number, line in enumerate(lines):
        taken = False
        for one in ADDRESS.finditer(line[:1000]):
            address, before = plain_address(one[1]), line[: one.start()]
            if before.rstrip().endswith(("mailto:", "(expanded from: <", "(expanded from <")) or address.startswith(
                "@"
            ):
                continue
            weight = _weight(before, address, ours, first=not taken)
            if weight:
                taken = True
                weighed.append((number, address, weight + (address.lower() in sent_to)))
    return weighed


def _weight(before: str, address: str, ours: Collection[str], *, first: bool) -> int:
    if address.lower() in ours or _NOBODY.match(address):
        return 0 if _NOT_OF_RECIPIENT.search(before) else 1
    if _NOT_OF_RECIPIENT.search(before):
        return 0
    if _WRITTEN_TO.match(before):
        return 2
    if first and (_AT_START.match(before) or _SAID_TO_BE.search(before)):
        return AT_ITS_PLACE
    return 3


def _best(found: Sequence[tuple[int, str, int]]) -> list[str]:
    """The addresses at the likeliest places; a plain mention counts only where there is nothing better."""
    most = max((weight for _, _, weight in found), default=0)
    least = min(most, AT_ITS_PLACE)
    return list(dict.fromkeys(address for _, address, weight in found if weight >= least))
