"""Reading the mails that come back. What can be read with the most certainty is tried first:

a delivery status notification (RFC 3464), a feedback report (RFC 5965), codes and phrases in a relay's text,
flufl.bounce, the empty sender; then programs that answer for people, then people. Everything else is UNREADABLE, which
a person looks at. Nothing is thrown away, and nothing here believes that a mail is what it says it is: whose mail came
back is told by our own tag in the address it came back to.
"""

from __future__ import annotations

import email
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final

from flufl.bounce import all_failures

from notifier.adapters import bounce_replies, bounce_words
from notifier.adapters.bounce_parts import (
    MOST_TEXT,
    Headers,
    Part,
    addresses,
    clean,
    open_mail,
    with_plain_lines,
)
from notifier.adapters.bounce_reports import (
    RETURNED_PARTS,
    Named,
    Notification,
    is_status,
    read_complaint,
    read_notification,
    read_text,
    read_transcript,
    returned_headers,
    section,
    split_returned,
)
from notifier.rules.bounces import MOST_NAMED, BounceKind, Report, Returned

MOST_RECIPIENTS: Final = 100
MOST_FOR_FLUFL: Final = 30_000  # bytes: its regular expressions were not made for more
SENT_TO: Final = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "to", "x-apparently-to", "cc")
RETURNED_TO: Final = ("to", "x-original-to", "delivered-to", "cc")

_MESSAGE_ID: Final = re.compile(r"<[^<>\s]{3,250}@[^<>\s]{1,250}>")
_SYSTEM: Final = re.compile(
    r"(?i)mailer[-_. ]?daemon|post[-_ ]?master|"
    r"mail(?:er)?[-_. ](?:delivery|service|system|subsystem|daemon|router|administrator)|"
    r"mail deliver|delivery[-_. ]?(?:system|subsystem|service|agent|status|notification)|system administrator|"
    r"mdaemon|interscan|(?:no|do-?not)-?reply|content-filter|sysadmin|mmsc|exchange@|smtp[-_. ]?(?:server|gateway)|"
    r"mailgateway|bounces?[-+@]|"
    r"(?:-admin|-request|-owner|listserv|majordomo|ezmlm|-help|root|daemon|nobody|mail|smtp)@|^<>$|^$|"
    r"systemadministrator|administrateur syst|administra(?:dor|tore) d[eio] s?istema|systeembeheerder"
)
_DAEMON: Final = re.compile(r"(?i)mailer[-_. ]?daemon|mail delivery (?:sub)?system")
_ANSWER: Final = re.compile(r"\s*(?:re|aw|sv|rif|antw)\s*:", re.IGNORECASE)
_FAILED_SUBJECT: Final = re.compile(
    r"(?i)undeliver|non-?deliver|unzustell|returned (?:mail|to sender|message)|"
    r"fail(?:ed|ure)[ :-]{1,3}(?:notice|delivery|mail|message)|"
    r"deliver(?:y|ed)?\b.{0,30}(?:status|fail|problem|notification|error|report|delay|incomplete|unsuccessful|"
    r"impossible)|"
    r"(?:mail|message|e-?mail)\b.{0,40}(?:failure|could not|not (?:be )?(?:sent|delivered)|cannot be|error|rejected|"
    r"blocked|returned|has failed|delayed|undeliver)|"
    r"delayed mail|delivery warning|mail delivery|warning: (?:could not|message)|error sending your|bounce|"
    r"failure notice|nondelivery|problem(?:e)? de (?:livraison|distribution)|"
    r"non (?:remis|distribu|délivr)|[ée]chec d|недостав|не доставлен|не может быть доставлен|mail status report|"
    r"unsolicited bulk|apparently from you|user unknown|not (?:a )?member|"
    r"unable to deliver|can(?:no|')t deliver|sorry, your message|rejected (?:mail|message)|blocked by|host unknown|"
    r"mailbox|message frozen|mail failure|transaction failed|while delivering|banned contents|in mail from you|"
    r"(?:übermittlungs|zustell)status|fehlgeschlagen|état de remise|estado de (?:la )?entrega|stato (?:del |della )?"
    r"(?:recapito|consegna)|bezorgingsstatus|"
    r"no (?:se )?(?:ha )?(?:puede|pudo|podido) (?:ser )?entreg|(?:fallo|error) (?:de|en) (?:la )?entrega|no entregad|"
    r"non recapit|mancat[ao] (?:consegna|recapito)|impossibile (?:recapit|consegn)|errore di consegna|"
    r"onbestelbaar|mislukte aflevering|niet (?:worden )?(?:afgeleverd|bezorgd)|"
    r"não (?:foi possível|pôde ser) entreg|falha na entrega|não entregue|"
    r"niedostarczon|niedor[ęe]czon|nie dostarczono|kan inte levereras|kunde inte levereras|olevererbar|"
    r"kan ikke leveres|kunne ikke leveres|ikke (?:leveret|levert)|uanbringelig|ei voi(?:tu|da)? toimittaa|nedoručiteln|"
    r"kézbesíthetetlen|teslim edilem|配信|配送不能|送信エラー|宛先不明|退信|无法(?:投递|送达|传递)|無法(?:傳遞|投遞)|"
    r"投递失败|"
    r"반송|배달되지|전달되지"
)
_MACHINE_WORDS: Final = re.compile(  # sentences that mail systems print and people do not write
    r"(?i)created automatically by mail delivery software|this is (?:the|an?) (?:mail system at|postfix program|"
    r"qmail-send program|mail server (?:on|at)|mail delivery agent|dragonfly mail agent|james mail server|"
    r"automatically generated delivery status|delivery status notification from)|sorry to have to inform you that|"
    r"following address(?:es|\(es\))? (?:had|failed)|transcript of session follows|warning message only|"
    r"delivery (?:has failed )?to (?:the following|these) recipients?\b.{0,20}(?:failed|delayed|or groups)|"
    r"deliver your message to the following|not delivered to the following|"
    r"did not reach the following recipient|following recipients? (?:was|were) (?:rejected|affected)|"
    r"failure reasons|an error has occurred while attempting to deliver"
)
_FAILED_WORDS: Final = re.compile(
    r"(?i)(?:could|can|was|were|has|have|is|did)(?: ?not|n['’]t)(?: been| be)? (?:delivered|deliver\w*|sent|"
    r"reach\w*|accepted|completed)|unable to (?:be )?(?:deliver|send|relay|reach)|undeliver|"
    r"(?:deliver\w*|message|mail|recipients?|address(?:es|\(es\))?|attempts?|e-?mail)\b.{0,60}\b(?:has |have |had |"
    r"was |were )?(?:failed|fatal errors?|delivery errors?|permanent errors?|"
    r"been (?:blocked|rejected|refused|returned)|rejected|was refused|problems?|errors)\b|"
    r"wasn['’]t able to deliver|failed to deliver|fail(?:ed|ure) to send|"
    r"delivery (?:failure|failed|error|to the following)|permanent (?:fatal )?(?:error|failure)|returned to sender|"
    r"bounced|"
    r"problem delivering|trouble delivering|"
    r"error (?:has )?(?:occurred )?(?:while |in )?(?:attempting to |trying to )?deliver|invalid user address|"
    r"not a member of this|"
    r"n['’]a (?:pas )?pu [êe]tre (?:remis|délivr|distribu|envoy)|n['’]a pas été (?:remis|délivr|distribu)|"
    r"impossible de (?:remettre|délivrer|distribuer)|nicht zugestellt|"
    r"(?:übermittlung|zustellung)\b.{0,60}fehlgeschlagen|échec de la remise|"
    r"не (?:может быть|было) доставлен|送信できません|"
    r"配信できません|存在しません|宛先不明|no (?:se )?(?:ha )?(?:pudo|podido|puede) (?:ser )?entreg|no (?:se ha|"
    r"ha sido) entreg|"
    r"no lleg[óo] a|no he podido entregar|no se ha podido (?:encontrar|contactar)|"
    r"non è stato (?:possibile )?(?:recapit|consegn)|impossibile (?:recapit|consegn)|"
    r"niet (?:worden )?(?:afgeleverd|bezorgd|bereikt)|não (?:foi possível|pôde ser) entreg|não alcançou|"
    r"não foi entregue|"
    r"nie (?:została|mogła być) dostarczon|kunde inte levereras|kunne ikke leveres|nicht erreicht|退回|无法(?:投递|"
    r"送达|传递)|"
    r"無法(?:傳遞|投遞)|전달되지|배달되지|could not send|not been delivered|gave this error|"
    r"the response was|following reason"
)
_DELAYED: Final = re.compile(
    r"(?i)(?:has|have|was|is|been|mail|message|delivery|action)\b.{0,40}\b(?:delayed|deferred)\b|"
    r"will (?:continue|keep|be) (?:to )?(?:try|retry|attempt|trying|retried|retrying|attempted)|"
    r"(?:not (?:yet )?(?:been )?delivered|undelivered)\b.{0,80}\b(?:after|yet|still|more than|for)|"
    r"no action is required|do not need to resend|no need to re-?(?:send|submit)|"
    r"still (?:being re|trying|in the queue|undelivered)|"
    r"postponed|advisory-only|warning message only|this is (?:only )?a warning|delivery incomplete|delay reason|"
    r"temporary problem delivering|attempts will continue|will retry|retry for|transient failure|"
    r"delayed mail|warning: could not send|retardé|remise (?:incompl|diff[ée]r)|pas encore (?:été |pu )|va réessayer|"
    r"verzögert|noch nicht (?:zugestellt|ausgeliefert)|weiterhin versuch|retrasad|(?:aún|todavía) no se ha|"
    r"seguir[áa] intentando|volver[áa] a intentar|non è (?:stato )?ancora|in ritardo|ulteriori tentativi|vertraagd|"
    r"nog niet (?:afgeleverd|bezorgd)|ainda não (?:foi|pôde)|continuar[áã]o? a tentar|tentar(?:á|emos) novamente|"
    r"opóźnion|försenad|forsinket|отложен|задерж|遅延|再送を|再試行|延迟|延遲|지연"
)
_SUCCESS: Final = re.compile(
    r"(?i)success|\brelayed\b|\bexpanded\b|return receipt|^delivered\b|delivery (?:receipt|confirm)"
)
_FINAL: Final = re.compile(
    r"(?i)returned mail|unsent message|cannot send message|given up|giving up|gave up|"
    r"not (?:be retried|going to try|retry|try)|no further (?:delivery )?attempts|"
    r"will not (?:continue|be|keep|retry|attempt)|permanent (?:error|failure)|expired|failed permanently|"
    r"(?<!non-)fatal error|too long|could not be delivered for"
)


@dataclass(frozen=True)
class _Mail:
    """One mail that came back, opened."""

    data: bytes
    headers: Headers
    parts: Sequence[Part]
    known: dict[tuple[str, ...], bool] = field(default_factory=dict)

    @cached_property
    def subject(self) -> str:
        return self.headers.get("subject")

    @cached_property
    def sender(self) -> str:
        return self.headers.get("from")

    @cached_property
    def level(self) -> int:
        """How deep the report lies: 0, or 1 where a gateway or a person passes on another's as an attachment."""
        if any(is_status(one) and one.level == 0 for one in self.parts):
            return 0
        passed_on = [one for one in self.parts if is_status(one) and one.level == 1]
        is_forwarded = bool(_FAILED_SUBJECT.search(self.subject)) and not _ANSWER.match(self.subject)
        return 1 if passed_on and (self.is_of_system or is_forwarded) else 0

    @cached_property
    def texts(self) -> list[str]:
        """What is written, of one kind: plain text where there is any, else what HTML shows."""
        for kind in ("text/plain", "text/html", "text/", "multipart/"):
            found = [one.text for one in self.parts if one.kind.startswith(kind) and one.level == self.level]
            found = [one for one in found if one.strip()]
            if found:
                return found
        return []

    @cached_property
    def said_and_returned(self) -> tuple[str, str]:
        return split_returned("\n\n".join(self.texts)[:MOST_TEXT])

    @property
    def said(self) -> str:
        return self.said_and_returned[0]

    @cached_property
    def returned(self) -> Headers:
        """The headers of our mail, as far as they came back."""
        attached = [one.headers for one in self.parts if one.kind in RETURNED_PARTS and one.level == self.level]
        named = next((one for one in attached if one.all("message-id", "to", "from")), None)
        return named or returned_headers(self.said_and_returned[1])

    @cached_property
    def is_of_system(self) -> bool:
        """A mail system sent it, by its name."""
        return bool(_SYSTEM.search(self.sender) or _SYSTEM.search(self.headers.get("return-path") or "unknown"))

    @cached_property
    def has_no_sender(self) -> bool:
        """The empty reverse path of notifications (RFC 5321, section 6.1), or what is put in its place."""
        paths = self.headers.all("return-path")
        return any(re.fullmatch(r"(?i)<?\s*(?:null|mailer-daemon(?:@.*)?)?\s*>?", one) for one in paths)

    @cached_property
    def is_named_report(self) -> bool:
        """A notification by its own name (RFC 6522), whatever became of its parts."""
        return "report-type=delivery-status" in re.sub(r"[\s\"']", "", self.headers.get("content-type").lower())

    @cached_property
    def asks_for_proof(self) -> bool:
        words = bounce_replies.own_words("\n\n".join(self.texts))
        return "http" in words and bounce_replies.asks_for_proof(self.subject, self.sender, words)

    @cached_property
    def told(self) -> list[str]:
        return [one for value in self.headers.all("x-failed-recipients") for one in addresses(value)]

    @cached_property
    def has_codes(self) -> bool:
        return bool(bounce_words.status_in("", self.said) or bounce_words.reply_in(self.said))

    @cached_property
    def command(self) -> str:
        """The SMTP command that the text says was refused."""
        return bounce_words.command_in(self.said)

    def is_hard(self, *weighed: str) -> bool:
        """As `bounce_words.is_hard`; a report that says the same of many recipients is weighed once."""
        if weighed not in self.known:
            self.known[weighed] = bounce_words.is_hard(*weighed)
        return self.known[weighed]

    @cached_property
    def is_failure(self) -> bool:
        """Whether the text, which is no notification by form, says that a mail was not delivered."""
        if self.told or self.is_named_report:
            return True
        said = bounce_replies.own_words(self.said)[:6000]
        if _MACHINE_WORDS.search(" ".join(said[:3000].split())):
            return True
        subject = bool(_FAILED_SUBJECT.search(self.subject))
        words = bool(_FAILED_WORDS.search(said))
        if not self.has_codes and (bounce_replies.is_automatic_subject(self.subject) or self.asks_for_proof):
            return False
        if self.is_of_system:
            return subject or words or (self.has_codes and bool(self.returned.pairs))
        answers = bounce_replies.answers_by_itself(self.headers, "", "")
        if subject and (words or self.has_codes or any(one.kind in RETURNED_PARTS for one in self.parts)):
            # A person who answers repeats our subject, which may speak of mail and of delivery too.
            is_answer = bool(self.headers.get("in-reply-to")) and bool(_ANSWER.match(self.subject))
            return self.has_codes or self.has_no_sender or not is_answer
        return bool(self.has_no_sender and not answers and (words or subject))

    @cached_property
    def ours(self) -> frozenset[str]:
        values = (
            *self.headers.all(*SENT_TO),
            *self.headers.all("from", "sender", "reply-to"),
            *self.returned.all("from"),
        )
        return frozenset(one.lower() for value in values for one in addresses(value))

    @cached_property
    def sent_to(self) -> list[str]:
        return list(dict.fromkeys(one for value in self.returned.all(*RETURNED_TO) for one in addresses(value)))


def read_bounce(data: bytes) -> Report:
    """What a mail says that came back. It holds whatever a stranger wrote: see `bounce_reader`."""
    headers, parts = open_mail(data)
    mail = _Mail(data, headers, parts)
    notification = _notification(mail)
    if notification.recipients:
        return _reported(mail, notification.recipients, notification.envelope_id)
    if transcript := read_transcript(mail.said):
        return _reported(mail, transcript)
    complainants = read_complaint(headers, parts)
    if complainants is not None:
        returned = tuple(Returned(address=clean(one), status="", hard=False) for one in complainants)
        return _report(mail, BounceKind.COMPLAINT, returned, words=mail.said or mail.subject)
    if mail.is_failure:
        return _failure(mail)
    return _reply(mail)


def read_bounce_as_json(data: bytes) -> dict[str, Any]:
    """For `bounce_reader.BounceReader`: the fields of `Report`."""
    return asdict(read_bounce(data))


# --- By form -------------------------------------------------------------------------------------------------------


def _notification(mail: _Mail) -> Notification:
    """From its own part, or from fields that stand in a text, as some systems write them."""
    texts = [one.text for one in mail.parts if is_status(one) and one.level == mail.level]
    texts = texts or [
        one for one in mail.texts if re.search(r"(?im)^[ \t>]*(?:final|original)-recipient:", split_returned(one)[0])
    ]
    return read_notification(texts)


def _reported(mail: _Mail, named: Sequence[Named], envelope_id: str = "") -> Report:
    """Where recipients fared differently, the report is of those who fared worst: failed, delayed, delivered."""
    order = (BounceKind.FAILED, BounceKind.DELAYED, BounceKind.DELIVERED)
    kind = next(one for one in order if any(each.kind is one for each in named))
    chosen = [one for one in named if one.kind is kind][:MOST_RECIPIENTS]
    judged = dict.fromkeys(_judged(mail, one) for one in chosen)
    words = next((one.text for one in chosen if one.text), "") or mail.said
    return _report(mail, kind, tuple(judged), words=words, envelope_id=envelope_id)


def _judged(mail: _Mail, one: Named) -> Returned:
    """Weighed by the relay's words; where those say nothing, by the lines of the text at that address."""
    around = section(mail.said, one.address)
    words = f"{one.text} {one.hint}" if one.text.strip() else f"{around or mail.said} {one.hint}"
    command = bounce_words.command_in(one.text) or bounce_words.command_in(around) or mail.command
    hard = one.kind is BounceKind.FAILED and mail.is_hard(one.status, words, command)
    return Returned(address=clean(one.address), status=one.status, hard=hard)


# --- By words ------------------------------------------------------------------------------------------------------


def _named_in_text(mail: _Mail) -> Sequence[Named]:
    sent_to = {one.lower() for one in mail.sent_to}
    return read_text(mail.said, told=mail.told, ours=mail.ours - sent_to, sent_to=sent_to)


def _failure(mail: _Mail) -> Report:
    sent_to = {one.lower() for one in mail.sent_to}
    named: Sequence[Named] = _named_in_text(mail)
    if not any(one.address.lower() in sent_to or one.address in mail.told for one in named):
        named = _second_opinion(mail, named)
    kind = BounceKind.DELAYED if _is_delay(mail) else BounceKind.FAILED
    if _SUCCESS.search(mail.subject) and not _FAILED_WORDS.search(mail.said[:6000]):
        kind = BounceKind.DELIVERED
    judged = [_judged_by_text(mail, one, failed=kind is BounceKind.FAILED) for one in named[:MOST_RECIPIENTS]]
    return _report(mail, kind, tuple(dict.fromkeys(judged)), words=_essence(mail))


def _is_delay(mail: _Mail) -> bool:
    """The relay still tries. A code of the fifth class ends it, whatever a subject says."""
    text = f"{mail.subject}\n{mail.said[:3000]}"
    ended = _FINAL.search(text) or bounce_words.reply_in(mail.said).startswith("5")
    return bool(_DELAYED.search(text)) and not ended


def _judged_by_text(mail: _Mail, one: Named, *, failed: bool) -> Returned:
    words = one.text or mail.said
    command = bounce_words.command_in(words) or mail.command
    hard = failed and mail.is_hard(one.status, words, command)
    return Returned(address=clean(one.address), status=one.status, hard=hard)


def _second_opinion(mail: _Mail, named: Sequence[Named]) -> Sequence[Named]:
    """flufl.bounce knows some more wordings; then whom our mail was for; never its word on how lasting a failure is."""
    if named:
        return named
    text = mail.said
    status = bounce_words.status_in("", text)
    found = _flufl(mail) or mail.sent_to
    return [Named(one, BounceKind.FAILED, status, text) for one in found]


def _flufl(mail: _Mail) -> list[str]:
    """Recipients by flufl.bounce, which raises on real mails and logs it."""
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)
    try:
        found = all_failures(email.message_from_bytes(with_plain_lines(mail.data[:MOST_FOR_FLUFL])))
    except Exception:  # noqa: BLE001 - IndexError, AttributeError, RecursionError and more, by what a stranger wrote
        return []
    texts = [one.decode("utf-8", "replace") for failures in found for one in failures]
    return [one for text in sorted(texts) for one in addresses(text) if one.lower() not in mail.ours]


def _essence(mail: _Mail) -> str:
    """The lines of a report that say why: from the first code or phrase of a cause on."""
    lines = [one for one in mail.said.split("\n") if one.strip()]
    for number, line in enumerate(lines):
        if bounce_words.REPLY.search(line) or bounce_words.STATUS.search(line):
            return " ".join(lines[max(number - 1, 0) : number + 4])
    return mail.said or mail.subject


# --- Replies -------------------------------------------------------------------------------------------------------


def _reply(mail: _Mail) -> Report:
    words = bounce_replies.own_words("\n\n".join(mail.texts))
    by_itself = bounce_replies.answers_by_itself(mail.headers, mail.subject, words)
    challenge = mail.asks_for_proof or (by_itself and bounce_replies.asks_for_proof(mail.subject, mail.sender, words))
    left = bounce_replies.says_left(mail.subject, words)
    if by_itself or challenge or (left and mail.has_no_sender):
        kind = BounceKind.AUTO_REPLY
    elif found := _unclear_failure(mail):
        return found
    elif words and _is_of_person(mail):
        kind = BounceKind.HUMAN_REPLY
    else:
        return _report(mail, BounceKind.UNREADABLE, (), words=words or mail.subject)
    return _report(
        mail,
        kind,
        (),
        words=words or mail.subject,
        proposed_contacts=bounce_replies.proposed(words, mail.ours),
        is_challenge=challenge,
        has_left=left,
    )


def _unclear_failure(mail: _Mail) -> Report | None:
    """The last signs of a failure: a wording that flufl.bounce knows, or the empty sender of notifications."""
    if not (mail.is_of_system or mail.has_no_sender or not addresses(mail.sender)):
        return None
    found = _flufl(mail)
    if not (found or mail.has_no_sender or _DAEMON.search(mail.sender)):
        return None
    kind = BounceKind.DELAYED if _is_delay(mail) else BounceKind.FAILED
    named: Sequence[Named] = [Named(one, kind, "", mail.said) for one in found] or _named_in_text(mail)
    named = named or [Named(one, kind, "", mail.said) for one in mail.sent_to]
    judged = [_judged_by_text(mail, one, failed=kind is BounceKind.FAILED) for one in named]
    return _report(mail, kind, tuple(dict.fromkeys(judged)), words=mail.said or mail.subject)


def _is_of_person(mail: _Mail) -> bool:
    bulk = mail.headers.get("precedence").lower() in ("bulk", "list", "junk") or mail.headers.all(
        "list-id", "list-post"
    )
    return bool(addresses(mail.sender)) and not bulk


# --- What identifies our mail --------------------------------------------------------------------------------------


def _report(
    mail: _Mail,
    kind: BounceKind,
    recipients: tuple[Returned, ...],
    *,
    words: str,
    envelope_id: str = "",
    **more: Any,  # noqa: ANN401 - the further fields of Report
) -> Report:
    return Report(
        kind=kind,
        recipients=recipients[:MOST_RECIPIENTS],
        tokens=_tokens(mail, envelope_id),
        message_ids=_message_ids(mail),
        words=clean(words),
        **more,
    )


def _tokens(mail: _Mail, envelope_id: str) -> tuple[str, ...]:
    """What stands after the last `+` of each address this mail was sent to, then ENVID, then our envelope sender."""
    sent_to = [one for value in mail.headers.all(*SENT_TO) for one in addresses(value)]
    senders = [one for value in mail.returned.all("return-path") for one in addresses(value)]
    tags = [*_tags(sent_to), clean(_from_xtext(envelope_id), 200), *_tags(senders)]
    return tuple(dict.fromkeys(one for one in tags if one))[:MOST_NAMED]


def _tags(found: Iterable[str]) -> list[str]:
    return [local.rpartition("+")[2] for one in found if "+" in (local := one.rpartition("@")[0])]


def _from_xtext(text: str) -> str:
    """RFC 3461, section 4."""
    return re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text[:500])


def _message_ids(mail: _Mail) -> tuple[str, ...]:
    values = [*mail.returned.all("message-id"), *mail.headers.all("in-reply-to")]
    values += [
        one[1] for one in re.finditer(r"(?im)^[ \t>]*(?:original[- ])?message[- ]?id: ?([^\n]{1,500})", mail.said)
    ]
    references = [one for value in mail.headers.all("references") for one in _MESSAGE_ID.findall(value)]
    found = [*(one for value in values for one in _MESSAGE_ID.findall(value)), *reversed(references)]
    return tuple(dict.fromkeys(clean(one) for one in found))[:MOST_NAMED]
