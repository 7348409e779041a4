"""Mails that come back, written for these tests in the forms that mail systems use. Lines end in LF."""

# ruff: noqa: E501, RUF001 - a mail is easier to read on one line, and comes in any script

from __future__ import annotations

from dataclasses import dataclass

from notifier.rules.bounces import BounceKind

OURS = "bounce+2f9c@notifier.hosting.example"
ANNE = "anne@clinic.example"
BORIS = "boris@lab.example"
MESSAGE_ID = "<n-17@notifier.hosting.example>"
HARD, SOFT = True, False


@dataclass(frozen=True)
class Example:
    name: str
    mail: str
    kind: BounceKind
    recipients: tuple[tuple[str, bool], ...] = ()


def returned(to: str = ANNE) -> str:
    return (
        f"Return-Path: <{OURS}>\nReceived: from notifier.hosting.example by mx.relay.example; Tue, 3 Mar 2026 10:00:00 +0100\n"
        f"From: Hosting Example <notices@hosting.example>\nTo: {to}\nSubject: A new subprocessor\nMessage-ID: {MESSAGE_ID}\n"
    )


def plain(
    body: str,
    *,
    subject: str = "Mail delivery failed: returning message to sender",
    sender: str = "Mail Delivery System <MAILER-DAEMON@mx.relay.example>",
    more: str = "Return-Path: <>\n",
) -> str:
    return (
        f"{more}From: {sender}\nTo: <{OURS}>\nSubject: {subject}\nDate: Tue, 3 Mar 2026 10:01:00 +0100\n"
        f"Message-ID: <report-1@mx.relay.example>\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
    )


def report(
    fields: str,
    *,
    said: str = "Your message could not be delivered.",
    subject: str = "Undelivered Mail Returned to Sender",
    kind: str = "multipart/report; report-type=delivery-status",
    sender: str = "MAILER-DAEMON@mx.relay.example (Mail Delivery System)",
    more: str = "Return-Path: <>\n",
) -> str:
    return (
        f'{more}From: {sender}\nTo: {OURS}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: {kind}; boundary="=_b1"\n'
        f"Message-ID: <report-2@mx.relay.example>\n\nThis is a MIME-encapsulated message.\n\n"
        f"--=_b1\nContent-Type: text/plain; charset=utf-8\n\n{said}\n\n"
        f"--=_b1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.relay.example\n"
        f"Original-Envelope-Id: 2f9c+2Bid\n\n{fields}\n"
        f"--=_b1\nContent-Type: message/rfc822\n\n{returned()}\nThe notice.\n\n--=_b1--\n"
    )


def failed(status: str, diagnostic: str, *, to: str = ANNE, action: str = "failed") -> str:
    return (
        f"Final-Recipient: rfc822; {to}\nOriginal-Recipient: rfc822;{to}\nAction: {action}\nStatus: {status}\n"
        f"Remote-MTA: dns; mx.clinic.example\nDiagnostic-Code: smtp; {diagnostic}\n"
    )


def postfix(status: str, answer: str, command: str) -> str:
    said = (
        "This is the mail system at host mx.relay.example.\n\nI'm sorry to have to inform you that your message could not\n"
        f"be delivered to one or more recipients.\n\n<{ANNE}>: host mx.clinic.example[192.0.2.25] said: {answer}\n"
        f"    (in reply to {command} command)"
    )
    return report(failed(status, answer), said=said, more="Auto-Submitted: auto-replied\n")


def exim(why: str, *, subject: str = "Mail delivery failed: returning message to sender") -> str:
    body = (
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered "
        "to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"
        f"  {ANNE}\n    {why}\n\n------ This is a copy of the message, including all the headers. ------\n\n{returned()}\nHello\n"
    )
    more = f"Return-path: <>\nX-Failed-Recipients: {ANNE}\nAuto-Submitted: auto-replied\n"
    return plain(body, subject=subject, more=more)


def qmail(why: str) -> str:
    body = (
        "Hi. This is the qmail-send program at mx.relay.example.\nI'm afraid I wasn't able to deliver your message to the "
        f"following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<{ANNE}>:\n{why}\n\n"
        f"--- Below this line is a copy of the message.\n\n{returned()}\nHello\n"
    )
    return plain(body, subject="failure notice", sender="MAILER-DAEMON@mx.relay.example")


def sendmail(reason: str, session: str, fields: str, *, heading: str = "permanent fatal errors") -> str:
    said = (
        "The original message was received at Tue, 3 Mar 2026 10:00:00 +0100\nfrom notifier.hosting.example [192.0.2.9]\n\n"
        f"   ----- The following addresses had {heading} -----\n<{ANNE}>\n    (reason: {reason})\n\n"
        f"   ----- Transcript of session follows -----\n... while talking to mx.clinic.example.:\n{session}"
    )
    return report(fields, said=said, subject="Returned mail: see transcript for details")


def reply(body: str, *, subject: str, sender: str = "Anne Durand <anne@clinic.example>", more: str = "") -> str:
    return plain(body, subject=subject, sender=sender, more=more)


FAILED, DELAYED, DELIVERED = BounceKind.FAILED, BounceKind.DELAYED, BounceKind.DELIVERED
COMPLAINT, AUTO = BounceKind.COMPLAINT, BounceKind.AUTO_REPLY
ANNE_HARD, ANNE_SOFT = ((ANNE, HARD),), ((ANNE, SOFT),)

REPORTS = [
    Example(
        "postfix unknown",
        postfix("5.1.1", f"550 5.1.1 <{ANNE}>: Recipient address rejected: User unknown", "RCPT TO"),
        FAILED,
        ANNE_HARD,
    ),
    Example("postfix unknown without a code", postfix("5.0.0", "550 No such user", "RCPT TO"), FAILED, ANNE_HARD),
    Example("postfix unknown after data", postfix("5.0.0", "550 User unknown", "end of DATA"), FAILED, ANNE_SOFT),
    Example("postfix full", postfix("5.2.2", "552 5.2.2 Mailbox full", "RCPT TO"), FAILED, ANNE_SOFT),
    Example(
        "postfix full under another code",
        postfix("5.1.1", "550 5.1.1 User is over quota", "RCPT TO"),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix blocked",
        postfix(
            "5.7.1", "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using list.example", "RCPT TO"
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix relay", postfix("5.7.1", f"554 5.7.1 <{ANNE}>: Relay access denied", "RCPT TO"), FAILED, ANNE_SOFT
    ),
    Example(
        "postfix spam",
        postfix("5.0.0", "550 Message rejected as spam by content filtering", "end of DATA"),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix sender",
        postfix("5.1.0", "550 5.1.0 <x@y.example>: Sender address rejected: Domain not found", "RCPT TO"),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix disabled",
        postfix("5.2.1", "550 5.2.1 The email account that you tried to reach is disabled", "RCPT TO"),
        FAILED,
        ANNE_SOFT,
    ),
    Example("postfix moved", postfix("5.1.6", "550 5.1.6 Recipient no longer on server", "RCPT TO"), FAILED, ANNE_HARD),
    Example(
        "postfix greylisted", postfix("4.7.1", "450 4.7.1 Greylisted, try again later", "RCPT TO"), FAILED, ANNE_SOFT
    ),
    Example(
        "postfix no host",
        report(
            failed(
                "5.4.4",
                "Host or domain name not found. Name service error for name=clinic.example type=A: Host not found",
            )
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "postfix no answer of names",
        report(
            failed(
                "4.4.3",
                "Host or domain name not found. Name service error for name=clinic.example type=MX: Host not found, try again",
            )
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix null mx",
        report(failed("5.1.0", "Domain clinic.example does not accept mail (nullMX)")),
        FAILED,
        ANNE_HARD,
    ),
    Example("postfix loop", report(failed("5.4.6", "mail for clinic.example loops back to myself")), FAILED, ANNE_SOFT),
    Example(
        "postfix timed out",
        report(failed("4.4.1", "connect to mx.clinic.example[192.0.2.25]:25: Connection timed out")),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "postfix delayed",
        report(
            failed("4.4.1", "connect to mx.clinic.example[192.0.2.25]:25: Connection refused", action="delayed"),
            subject="Delayed Mail (still being retried)",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "delayed with a code of the fifth class",
        report(failed("5.4.7", "still trying", action="delayed"), subject="Warning: could not send message"),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "postfix delivered",
        report(
            failed("2.0.0", "250 2.0.0 Ok: queued as 4F2", action="relayed"), subject="Successful Mail Delivery Report"
        ),
        DELIVERED,
        ANNE_SOFT,
    ),
    Example(
        "delivered under multipart/mixed",
        report(failed("2.1.5", "250 OK", action="delivered"), kind="multipart/mixed"),
        DELIVERED,
        ANNE_SOFT,
    ),
    Example("expanded", report(failed("2.0.0", "250 OK", action="expanded")), DELIVERED, ANNE_SOFT),
    Example(
        "two recipients, one delivered",
        report(
            failed("2.0.0", "250 OK", action="delivered", to=BORIS) + "\n" + failed("5.1.1", "550 5.1.1 User unknown")
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "two recipients, both failed",
        report(failed("5.2.2", "552 5.2.2 Mailbox full", to=BORIS) + "\n" + failed("5.1.1", "550 5.1.1 User unknown")),
        FAILED,
        ((BORIS, SOFT), (ANNE, HARD)),
    ),
    Example(
        "expired by its own action", report(failed("", "Connection timed out", action="expired")), FAILED, ANNE_SOFT
    ),
    Example(
        "lines not indented",
        report(
            f"Final-Recipient: rfc822; {ANNE}\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-Please turn on SMTP Authentication\n550-mail is not permitted to\n550 relay through this server without authentication.\n"
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "without a final recipient",
        report(f"Original-Recipient: <{ANNE}>\nAction: failed\nDiagnostic-Code: smtp; 550 {ANNE}... No such user\n"),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a final recipient within their network",
        report(
            f"Original-Recipient: rfc822;{ANNE}\nFinal-Recipient: rfc822;anne@inside\nAction: failed\nStatus: 5.1.1\n"
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a category",
        report(
            f"Final-Recipient: rfc822;{ANNE}\nAction: failed\nStatus: 5.0.0 (undefined)\nDiagnostic-Code: smtp;550 refused\nX-PowerMTA-BounceCategory: bad-mailbox\n"
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "sendmail unknown",
        sendmail(
            "550 5.1.1 User unknown",
            f">>> RCPT To:<{ANNE}>\n<<< 550 5.1.1 <{ANNE}>... User unknown\n550 5.1.1 <{ANNE}>... User unknown",
            failed("5.1.1", "550 5.1.1 User unknown"),
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "sendmail unknown after data",
        sendmail(
            "550 : User unknown",
            ">>> DATA\n<<< 550 : User unknown\n554 5.0.0 Service unavailable",
            failed("5.2.0", "550 : User unknown"),
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "sendmail blocked under 5.1.3",
        sendmail(
            "553 list",
            f">>> RCPT To:<{ANNE}>\n<<< 553 https://www.spamhaus.org/query\n550 5.1.1 <{ANNE}>... User unknown",
            failed("5.1.3", "553 https://www.spamhaus.org/query?ip=192.0.2.9"),
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "sendmail gave up",
        sendmail(
            "Deferred",
            "<<< 421 busy\nMessage could not be delivered for 5 days\nMessage will be deleted from queue",
            failed("4.4.7", "421 4.3.2 busy"),
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "office 365 unknown",
        report(
            failed(
                "5.1.10",
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient anne@clinic.example not found by SMTP address lookup",
            )
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "office 365 edge",
        report(failed("5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)")),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "office 365 domain",
        report(
            failed("5.4.310", "550 5.4.310 DNS domain clinic.example does not exist [Message=InfoDomainNonexistent]")
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "office 365 group",
        report(
            failed(
                "5.7.133",
                "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed",
            )
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "office 365 expired",
        report(failed("5.4.316", "550 5.4.316 Message expired, connection refused(Socket error code 10061)")),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "ses",
        report(
            failed(
                "5.1.1",
                "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address",
            )
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "ses expired",
        report(failed("4.4.7", "Delivery expired: retry time exceeded", action="failed")),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "dmarc",
        report(
            failed(
                "5.7.26",
                "550-5.7.26 Unauthenticated email from hosting.example is not accepted due to domain's DMARC policy",
            )
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "preferences",
        report(failed("5.1.1", "550 5.1.1 RCP-P2 Refused due to recipient preferences")),
        FAILED,
        ANNE_SOFT,
    ),
    Example("too big", report(failed("5.3.4", "552 5.3.4 Message size exceeds fixed limit")), FAILED, ANNE_SOFT),
    Example(
        "too many connections",
        report(failed("4.7.0", "421 4.7.0 Too many connections from your host")),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "a system that takes no mail",
        report(failed("5.3.2", "521 5.3.2 Server does not accept mail")),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a system that takes no mail now",
        report(failed("4.3.2", "421 4.3.2 System not accepting network messages")),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "gmail delayed",
        report(
            failed("4.4.1", "The recipient server did not accept our requests to connect.", action="delayed"),
            subject="Delivery Status Notification (Delay)",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "a report within a report",
        f"From: postmaster@gate.example\nTo: {OURS}\nSubject: Returned mail: User unknown\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\nContent-Type: text/plain\n\n----- The following addresses had permanent delivery errors -----\n\n--xx\nContent-Type: message/rfc822\n\n{report(failed('5.1.1', '550 5.1.1 User unknown'))}\n--xx--\n",
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "fields in a text",
        plain(
            f"An error occurred while trying to deliver the mail to the following recipients:\n{ANNE}\n\nTechnical report:\n\nReporting-MTA: dsn; out.relay.example\n\nAction: failed\nFinal-Recipient: rfc822; {ANNE}\nDiagnostic-Code: smtp; 550 5.2.2 Mailbox Full\nStatus: 5.2.2\n"
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "a French relay",
        report(
            failed("5.1.1", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416"),
            said="Votre message n'a pas pu être remis.",
        ),
        FAILED,
        ANNE_HARD,
    ),
]

TEXTS = [
    Example("exim unroutable", exim("Unrouteable address"), FAILED, ANNE_HARD),
    Example("exim no host", exim("all relevant MX records point to non-existent hosts"), FAILED, ANNE_HARD),
    Example(
        "exim rcpt",
        exim(
            f"host mx.clinic.example [192.0.2.25]\n    SMTP error from remote mail server after RCPT TO:<{ANNE}>:\n    550 No such user here"
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "exim data",
        exim(
            "SMTP error from remote mail server after end of data:\n    host mx.clinic.example [192.0.2.25]: 554 message is spam"
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example("exim full", exim("mailbox is full: retry timeout exceeded"), FAILED, ANNE_SOFT),
    Example("exim expired", exim("retry timeout exceeded"), FAILED, ANNE_SOFT),
    Example("exim no service", exim("an MX or SRV record indicated no SMTP service"), FAILED, ANNE_HARD),
    Example(
        "exim delayed",
        plain(
            f"This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue on mx.relay.example.\n\nThe message identifier is: 1abc\n\nThe address to which the message has not yet been delivered is:\n\n  {ANNE}\n    Delay reason: SMTP error from remote mail server after RCPT TO:<{ANNE}>: 450 4.2.0 Greylisted\n\nNo action is required on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated.\n",
            subject="Warning: message 1abc delayed 24 hours",
            more="Auto-Submitted: auto-replied\n",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example("qmail unknown", qmail("Sorry, no mailbox here by that name. (#5.1.1)"), FAILED, ANNE_HARD),
    Example(
        "qmail remote",
        qmail("192.0.2.25 does not like recipient.\nRemote host said: 550 unknown user\nGiving up on 192.0.2.25."),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "qmail data",
        qmail("192.0.2.25 failed after I sent the message.\nRemote host said: 550 user unknown"),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "qmail no host", qmail("Sorry, I couldn't find any host named clinic.example. (#5.1.2)"), FAILED, ANNE_HARD
    ),
    Example(
        "qmail gave up",
        qmail(
            "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\nI'm not going to try again; this message has been in the queue too long."
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "qmail locked", qmail("vdelivermail: account is locked email bounced anne@clinic.example"), FAILED, ANNE_SOFT
    ),
    Example(
        "gmail unknown",
        plain(
            f"Delivery to the following recipient failed permanently:\n\n     {ANNE}\n\nTechnical details of permanent failure:\nThe error that the other server returned was: 550 550 5.1.1 <{ANNE}>: User unknown (state 14).\n\n----- Original message -----\n\n{returned()}",
            subject="Delivery Status Notification (Failure)",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "gmail delay",
        plain(
            f"This is an automatically generated Delivery Status Notification\n\nTHIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following recipient has been delayed:\n\n     {ANNE}\n\nMessage will be retried for 2 more day(s)\n\n   ----- Original message -----\n\n{returned()}",
            subject="Delivery Status Notification (Delay)",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "yahoo",
        plain(
            f"Sorry, we were unable to deliver your message to the following address.\n\n<{ANNE}>:\n550: 5.1.1 <{ANNE}>: Recipient address rejected: User unknown in virtual mailbox table\n\n--- Below this line is a copy of the message.\n\n{returned()}",
            subject="Failure Notice",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "opensmtpd",
        plain(
            f"    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\n{ANNE}: 550 5.2.2 <{ANNE}>... Mailbox Full\n\n    Below is a copy of the original message:\n\n{returned()}",
            subject="Delivery status notification: error",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "opensmtpd expired",
        plain(
            f"    Hi!\n\n    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\n{ANNE}: Envelope expired\n\n    Below is a copy of the original message:\n\n{returned()}",
            subject="Delivery status notification: error",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "opensmtpd delayed",
        plain(
            f"    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.\n\n    A message is delayed for more than 4 hours for the following\n    list of recipients:\n\n{ANNE}: Network error on destination MXs\n\n    Please note that this is only a temporary failure report.\n    The message is kept in the queue for up to 5 days.\n    You DO NOT NEED to re-send the message to these recipients.\n\n    Below is a copy of the original message:\n\n{returned()}",
            subject="Delivery status notification: warning",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "dragonfly",
        plain(
            f"This is the DragonFly Mail Agent v0.13 at mx.relay.example.\n\nThere was an error delivering your mail to <{ANNE}>.\n\nmx.clinic.example [192.0.2.25] did not like our RCPT TO:\n550 5.1.1 <{ANNE}>... User Unknown\n\nMessage headers follow.\n\n{returned()}",
            subject="Mail delivery failed",
            sender="MAILER-DAEMON <>",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "domino",
        plain(
            f"Your message\n\n  Subject: A new subprocessor\n\nwas not delivered to:\n\n  {ANNE}\n\nbecause:\n\n  User anne (anne@clinic.example) not listed in Domino Directory\n",
            subject="DELIVERY FAILURE: User anne not listed in Domino Directory",
            sender="postmaster@clinic.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "domino in French",
        plain(
            f"Votre message\n\n  Objet : A new subprocessor\n\nn'a pas été remis à :\n\n  {ANNE}\n\ncar :\n\n  Utilisateur anne ({ANNE}) non répertorié dans l'annuaire Domino\n",
            subject="DELIVERY FAILURE: anne",
            sender="postmaster@clinic.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "exchange 2003",
        plain(
            f"Your message\n\n  To:      {ANNE}\n  Subject: A new subprocessor\n  Sent:    Tue, 3 Mar 2026 10:00:00 +0100\n\ndid not reach the following recipient(s):\n\n{ANNE} on Tue, 3 Mar 2026 10:00:05 +0100\n    The recipient name is not recognized\n    MSEXCH:IMS:CLINIC:SITE:SERVER 0 (000C05A6) Unknown Recipient\n",
            subject="Undeliverable: A new subprocessor",
            sender="System Administrator <postmaster@clinic.example>",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "exchange text",
        plain(
            f"Delivery has failed to these recipients or groups:\n\n{ANNE}<mailto:{ANNE}>\nThe recipient's mailbox is full.\n\nDiagnostic information for administrators:\n\nGenerating server: mx.clinic.example\n\n{ANNE}\n#550 5.2.2 STOREDRV.Deliver; mailbox full ##\n\nOriginal message headers:\n\n{returned()}",
            subject="Undeliverable: A new subprocessor",
            sender="<postmaster@clinic.example>",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "exchange in French",
        plain(
            f"Échec de la remise pour ces destinataires ou groupes :\n\n{ANNE}\nL'adresse de messagerie que vous avez entrée est introuvable.\n\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n",
            subject="Non remis : A new subprocessor",
            sender="<postmaster@clinic.example>",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "notes quota",
        plain(
            f"------- Failure Reasons  --------\n\nRouter: Database disk quota exceeded\n{ANNE}\n\n------- Returned Message --------\n{returned()}",
            subject="Undeliverable message",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "smtp32",
        plain(
            f"User mailbox exceeds allowed size: {ANNE}\n\nOriginal message follows.\n\n{returned()}",
            subject="Undeliverable Mail",
            sender='"Postmaster" <postmaster@relay.example>',
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "smtp32 gave up",
        plain(
            f"Delivery failed 20 attempts: {ANNE}\n\nOriginal message follows.\n\n{returned()}",
            subject="Undeliverable Mail",
            sender='"Postmaster" <postmaster@relay.example>',
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "courier",
        plain(
            f"This is a delivery status notification from mx.relay.example,\nrunning the Courier mail server, version 1.0.\n\n                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<{ANNE}>:\n    mx.clinic.example [192.0.2.25]:\n>>> RCPT TO:<{ANNE}>\n<<< 550 User unknown.\n\n---------\n",
            subject="NOTICE: mail delivery status.",
            sender="postmaster@relay.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "courier domain",
        plain(
            f"                           UNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<{ANNE}>:\n<<< No such domain.\n\n---------\n",
            subject="NOTICE: mail delivery status.",
            sender="postmaster@relay.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "courier delayed",
        plain(
            f"                           DELAYED MAIL\n\nYour message to the following recipients has been delayed:\n\n<{ANNE}>:\n    mx.clinic.example [192.0.2.25]: Connection refused\n\nWe will continue to try\n",
            subject="WARNING: mail delayed",
            sender="postmaster@relay.example",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "old sendmail",
        plain(
            f"   ----- Transcript of session follows -----\n550 clinic.example (smtp)... 550 Host unknown\n554 <{ANNE}>... 550 Host unknown (Authoritative answer from name server)\n\n   ----- Unsent message follows -----\n{returned()}",
            subject="Returned mail: Host unknown",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "old sendmail warning",
        plain(
            f"    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n    **********************************************\n\n   ----- The following addresses had transient non-fatal errors -----\n<{ANNE}>\n\n   ----- Transcript of session follows -----\n<{ANNE}>... Deferred: Connection refused by mx.clinic.example.\nWarning: message still undelivered after 4 hours\nWill keep trying until message is 5 days old\n",
            subject="Warning: could not send message for past 4 hours",
        ),
        DELAYED,
        ANNE_SOFT,
    ),
    Example(
        "a gateway",
        plain(
            f"Your message:\n   From:    {OURS}\n   Subject: A new subprocessor\n\nCould not be delivered because of\n\n550 5.1.1 User unknown\n\nThe following recipients were affected: \n    {ANNE}\n\nAdditional Information\nOriginal Sender:    <{OURS}>\n",
            subject='Undeliverable Mail: "A new subprocessor"',
            sender="postmaster@gate.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a content filter",
        plain(
            f"A message from <{OURS}> to:\n-> {ANNE}\n\nwas considered unsolicited bulk e-mail (UBE).\n\nDelivery of the email was stopped!\n",
            subject="Considered UNSOLICITED BULK EMAIL, apparently from you",
            sender='"Content-filter at clinic.example" <postmaster@clinic.example>',
            more="",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "a phone company",
        plain(
            f"Each of the following recipients was rejected by a remote\nmail server.\n\n    Recipient: <{ANNE}>\n    >>> RCPT TO:<{ANNE}>\n    <<< 550 <{ANNE}>: User unknown\n",
            subject="Mail System Error - Returned Mail",
            sender="Postmaster@phone.example",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a shared host",
        plain(
            f'This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of\nits recipients. This is a permanent error. The following address\nfailed:\n\n"{ANNE}":\nSMTP error from remote server after RCPT command:\nhost: mx.clinic.example\n5.1.1 <{ANNE}>... User Unknown\n\n--- The header of the original message is following. ---\n\n{returned()}'
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "a list",
        plain(
            "You are not a member of this mailing list <board@lists.example>.\n\nIf you know the general guide of this list, please send mail to\nboard-ctl@lists.example\n",
            subject="You are not member (board ML)",
            sender="board-admin@lists.example",
            more="Return-Path: <board-admin@lists.example>\n",
        ),
        FAILED,
        (("board@lists.example", SOFT),),
    ),
    Example(
        "a session's transcript",
        plain(
            f"Transcript of session follows.\n\n Out: 220 mx.relay.example ESMTP\n In:  EHLO notifier.hosting.example\n Out: 250-mx.relay.example\n Out: 250 DSN\n In:  MAIL FROM:<{OURS}>\n Out: 250 2.1.0 Ok\n In:  RCPT TO:<{ANNE}>\n Out: 550 5.1.1 <{ANNE}>: Recipient address rejected: User unknown in local recipient table\n In:  QUIT\n Out: 221 2.0.0 Bye\n",
            subject="Postfix SMTP server: errors from notifier.hosting.example[192.0.2.9]",
        ),
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "only a header",
        plain(
            "Vážený odesílateli, skupina neexistuje.\n",
            subject="Delivery Status Notification (Failure)",
            more=f"X-Failed-Recipients: {ANNE}\nAuto-Submitted: auto-replied\n",
        ),
        FAILED,
        ANNE_SOFT,
    ),
    Example(
        "html alone",
        f"From: MAILER-DAEMON@relay.example\nTo: {OURS}\nSubject: Undeliverable\nContent-Type: text/html\n\n<html><style>p {{ x: 550 }}</style><body><p>Your message could not be delivered to:</p><p>&lt;{ANNE}&gt;</p><p>550 5.1.1 User unknown</p></body></html>\n",
        FAILED,
        ANNE_HARD,
    ),
    Example(
        "an unknown wording behind an empty sender",
        plain(
            f"Hark, the pigeon returned.\n\n--- Original message ---\n{returned()}",
            subject="Alas",
            sender="pigeons@relay.example",
        ),
        FAILED,
        ANNE_SOFT,
    ),
]


def told(
    name: str,
    body: str,
    subject: str,
    recipients: tuple[tuple[str, bool], ...] = ANNE_HARD,
    *,
    kind: BounceKind = FAILED,
    sender: str = "postmaster@clinic.example",
) -> Example:
    return Example(name, plain(body, subject=subject, sender=sender), kind, recipients)


OTHER_LANGUAGES = [
    told(
        "exchange in German",
        f"Ihre Nachricht hat einige oder alle Empfänger nicht erreicht.\n\n      Betreff:\tA new subprocessor\n\nFolgende(r) Empfänger kann/können nicht erreicht werden:\n\n      {ANNE} am 03.03.2026 10:01\n            Die E-Mail-Adresse konnte nicht gefunden werden.\n            <mx.clinic.example #5.1.1>\n",
        "Unzustellbar: A new subprocessor",
        sender="Systemadministrator <exch@clinic.example>",
    ),
    told(
        "exchange in French, old",
        f"Votre message n'est pas parvenu à certains des destinataires ou à aucun d'entre eux.\n\nImpossible de contacter le(s) destinataire(s) suivant(s) :\n\n      {ANNE} le 03/03/2026 10:01\n            <mx.clinic.example #5.1.1>\n",
        "Non remis : A new subprocessor",
    ),
    told(
        "exchange in Spanish",
        f"El mensaje no llegó a algunos o a todos los destinatarios.\n\nNo se ha podido encontrar a los destinatarios siguientes:\n\n      '{ANNE}' en 03/03/2026 10:01\n            <mx.clinic.example #5.1.1>\n",
        "No se puede entregar: A new subprocessor",
        sender="Administrador del sistema <exch@clinic.example>",
    ),
    told(
        "exchange in Italian",
        f"Il messaggio non è stato recapitato ad alcuni o a tutti i destinatari previsti.\n\nImpossibile recapitare il messaggio ai seguenti destinatari:\n\n      {ANNE} il 03/03/2026 10:01\n            <mx.clinic.example #5.1.1>\n",
        "Non recapitabile: A new subprocessor",
    ),
    told(
        "exchange in Dutch",
        f"Uw bericht heeft enkele of alle geadresseerden niet bereikt.\n\nDe volgende geadresseerde(n) kan/kunnen niet worden bereikt:\n\n      {ANNE} op 3-3-2026 10:01\n            <mx.clinic.example #5.1.1>\n",
        "Onbestelbaar: A new subprocessor",
    ),
    told(
        "exchange in Portuguese",
        f"A sua mensagem não alcançou alguns ou todos os destinatários.\n\nNão foi possível contactar os seguintes destinatários:\n\n      '{ANNE}' em 03/03/2026 10:01\n            <mx.clinic.example #5.1.1>\n",
        "Não foi possível entregar: A new subprocessor",
    ),
    told(
        "exchange, HTML alone",
        f"Delivery has failed to these recipients or groups:\n\n{ANNE}\nThe e-mail address you entered couldn't be found. Please check the address.\n",
        "Undeliverable: A new subprocessor",
    ),
    told(
        "a full box in German",
        f"Fehler bei der Nachrichtenzustellung an folgende Empfänger:\n\n{ANNE}\nDas Postfach des Empfängers ist voll und nimmt keine Nachrichten an.\n",
        "Unzustellbar: A new subprocessor",
        ANNE_SOFT,
    ),
    told(
        "domino in German",
        f"Zustellfehlerbericht\nIhr Dokument:\tA new subprocessor\nkonnte nicht zugestellt werden an:\t{ANNE}\nGrund:\tBenutzer {ANNE} nicht im Domino Verzeichnis aufgeführt\n",
        "ZUSTELLFEHLER: Benutzer nicht im Domino Verzeichnis",
    ),
    told(
        "gmail in Spanish",
        f"** No se ha encontrado la dirección **\n\nTu mensaje no se ha entregado a {ANNE} porque no se ha encontrado la dirección.\n",
        "Delivery Status Notification (Failure)",
    ),
    told(
        "gmail in French, delayed",
        f"** Remise incomplète **\n\nUn problème temporaire est survenu lors de la remise de votre message à {ANNE}. Gmail va réessayer pendant encore 46 heures.\n",
        "Delivery Status Notification (Delay)",
        ANNE_SOFT,
        kind=DELAYED,
    ),
    told(
        "qmail in Spanish",
        f"Hola, soy el programa qmail-send de mx.relay.example.\nLo siento, no he podido entregar su mensaje a las siguientes direcciones.\n\n<{ANNE}>:\nLo siento, no existe ese buzón aquí. (#5.1.1)\n",
        "aviso de fallo",
    ),
    told(
        "icewarp",
        f"Message delivery to '{ANNE}' failed\nSMTP module(domain clinic.example) reports:\n recipient <{ANNE}> unknown\n",
        "Mail Delivery",
    ),
    told(
        "a relay in Dutch",
        f"Uw bericht kon niet worden afgeleverd bij de volgende ontvanger:\n\n{ANNE}\n\nReden: onbekende ontvanger\n",
        "Mislukte aflevering",
    ),
    told(
        "a relay in Polish",
        f"Twoja wiadomość nie została dostarczona do następującego odbiorcy:\n\n<{ANNE}>\n\nAdres odbiorcy nie istnieje.\n",
        "Niedostarczona wiadomość",
    ),
    told(
        "a relay in Swedish",
        f"Meddelandet kunde inte levereras till följande mottagare:\n\n{ANNE}\nAdressen hittades inte.\n",
        "Kan inte levereras: A new subprocessor",
    ),
    told(
        "a relay in Danish",
        f"Meddelelsen kunne ikke leveres til:\n\n{ANNE}\nModtageren findes ikke.\n",
        "Kan ikke leveres: A new subprocessor",
    ),
    told(
        "a relay in Portuguese",
        f"Sua mensagem não pôde ser entregue ao seguinte destinatário:\n\n{ANNE}\nEndereço inexistente.\n",
        "Falha na entrega",
    ),
    told(
        "a relay in Japanese",
        f"The following addresses had delivery problems:\n\n  <{ANNE}>\n    宛先のメールアドレスが存在しません\n",
        "Mail System Error - Returned Mail",
    ),
    told(
        "a relay in Chinese",
        f"很抱歉您的邮件被退回，原因：收件人邮件地址（{ANNE}）不存在，邮件无法送达。\n",
        "系统退信",
    ),
    told(
        "a full box in Russian",
        f"Ваше письмо не может быть доставлено:\n\n{ANNE}\nПочтовый ящик переполнен.\n",
        "Недоставленное сообщение",
        ANNE_SOFT,
    ),
    told(
        "exchange's notification in German",
        f"Dies ist eine automatisch erstellte Benachrichtigung über den Zustellstatus.\n\nÜbermittlung an folgende Empfänger fehlgeschlagen.\n\n       {ANNE}\n",
        "Benachrichtigung zum Übermittlungsstatus (Fehlgeschlagen)",
        ANNE_SOFT,
    ),
    told(
        "exchange's notification in French, delayed",
        f"CECI N'EST QU'UN MESSAGE D'AVERTISSEMENT.\n\nLa remise aux destinataires suivants a été retardée.\n\n       {ANNE}\n",
        "Notification d'état de remise (Délai)",
        ANNE_SOFT,
        kind=DELAYED,
    ),
    told(
        "a person's own filter",
        f"Your message to <{ANNE}> was automatically rejected:\nI do not accept mail from this sender.\n",
        "Rejected: A new subprocessor",
        ANNE_SOFT,
    ),
    told(
        "an unknown language behind an empty sender",
        f"Ez az üzenet visszajött:\n\n<{ANNE}>\n",
        "Visszajött",
        ANNE_SOFT,
        sender="posta@relay.example",
    ),
    Example(
        "a report that a person passes on",
        f'From: Clara <clara@clinic.example>\nTo: {OURS}\nSubject: Fwd: Undelivered Mail\nContent-Type: multipart/mixed; boundary="zz"\n\n--zz\nContent-Type: text/plain\n\nThis came back to me.\n\n--zz\nContent-Type: message/rfc822\n\n{report(failed("5.1.1", "550 5.1.1 User unknown"))}\n--zz--\n',
        FAILED,
        ANNE_HARD,
    ),
]

# An answer to RCPT TO, and whether it says that the address is there no more: (code of the report, words, hard).
REFUSALS = [
    (
        "5.0.0",
        "550-Verification failed for <x@y.example>\n    550-Unrouteable address\n    550 Sender verify failed",
        SOFT,
    ),
    ("5.0.0", "550 Unrouteable address", HARD),
    ("5.0.0", "550-unable to find a valid MX record for the sender's domain", SOFT),
    ("5.1.7", "550 5.1.7 Invalid address", SOFT),
    ("5.1.8", "550 5.1.8 Access denied, bad outbound sender", SOFT),
    (
        "4.1.1",
        f"450 4.1.1 <{ANNE}>: Recipient address rejected: unverified address: Address verification in progress",
        SOFT,
    ),
    (
        "5.1.1",
        f"550 5.1.1 <{ANNE}>: Recipient address rejected: unverified address: host mx said: 550 5.1.1 User unknown",
        HARD,
    ),
    ("5.1.1", f"550 permanent failure for one or more recipients ({ANNE}:blocked)", SOFT),
    ("5.1.2", "5.1.2 (bad destination host 'DNS Soft Error looking up clinic.example (MX): timeout')", SOFT),
    ("5.1.2", "5.1.2 (bad destination host 'DNS Hard Error looking up clinic.example (MX): NXDomain')", HARD),
    ("5.0.350", "550 5.0.350 Remote server returned an error -> 550 5.1.1 User unknown", HARD),
    ("5.0.0", "550 Recipient verification failed", HARD),
    ("5.0.0", "550 Buzón no encontrado", HARD),
    ("5.0.0", "550 Benutzer unbekannt", HARD),
    ("5.0.0", "550 Destinatario sconosciuto", HARD),
    ("5.0.0", "550 Użytkownik nie istnieje", HARD),
    ("5.0.0", "550 Brevlådan är full", SOFT),
    ("5.0.0", "550 Casella piena", SOFT),
    ("5.0.0", "550 Buzón lleno", SOFT),
]

COMPLAINTS = [
    Example(
        "a feedback report",
        f'From: <abuse@provider.example>\nTo: {OURS}\nSubject: FW: A new subprocessor\nContent-Type: multipart/report; report-type=feedback-report; boundary="f1"\n\n--f1\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n--f1\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Provider/1.0\nVersion: 1\nOriginal-Rcpt-To: <{ANNE}>\n\n--f1\nContent-Type: message/rfc822\n\n{returned()}\nHello\n--f1--\n',
        COMPLAINT,
        ANNE_SOFT,
    ),
    Example(
        "a feedback report that hides the address",
        f'From: <abuse@provider.example>\nTo: {OURS}\nSubject: Email Feedback Report\nContent-Type: multipart/report; report-type="feedback-report"; boundary="f1"\n\n--f1\nContent-Type: text/plain\n\nAbuse.\n\n--f1\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 0.1\n\n--f1\nContent-Type: text/rfc822-headers\n\nFrom: notices@hosting.example\nTo: redacted\nMessage-ID: {MESSAGE_ID}\n--f1--\n',
        COMPLAINT,
        (),
    ),
    Example(
        "hotmail",
        f"From: staff@provider.example\nTo: {OURS}\nSubject: complaint about message from 192.0.2.9\nContent-Type: multipart/mixed; boundary=f2\n\n--f2\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: {ANNE}\n{returned('someone@else.example')}\nHello\n--f2--\n",
        COMPLAINT,
        ANNE_SOFT,
    ),
    Example(
        "apple",
        f"From: {ANNE}\nTo: {OURS}\nSubject: unsubscribe\nAuto-Submitted: auto-replied\nX-Apple-Unsubscribe: true\nContent-Type: text/plain\n\nApple Mail sent this email to unsubscribe.\n",
        COMPLAINT,
        ANNE_SOFT,
    ),
]

AUTOMATIC = [
    Example(
        "english",
        reply(
            "I am out of the office until 9 March.",
            subject="Automatic reply: A new subprocessor",
            more="Auto-Submitted: auto-replied\nReturn-Path: <>\n",
        ),
        AUTO,
    ),
    Example(
        "no header",
        reply("I am on annual leave and will return on Monday.", subject="Out of office: A new subprocessor"),
        AUTO,
    ),
    Example(
        "french",
        reply(
            "Bonjour,\n\nJe suis absente jusqu'au 9 mars et vous répondrai à mon retour.",
            subject="Réponse automatique : A new subprocessor",
        ),
        AUTO,
    ),
    Example(
        "french without a subject",
        reply(
            "Je suis actuellement en congés, de retour le 9 mars.",
            subject="Re: A new subprocessor",
            more="X-Autoreply: yes\n",
        ),
        AUTO,
    ),
    Example(
        "german", reply("Ich bin bis zum 9. März nicht im Büro.", subject="Abwesenheitsnotiz: A new subprocessor"), AUTO
    ),
    Example("spanish", reply("Estoy fuera de la oficina.", subject="Respuesta automática: A new subprocessor"), AUTO),
    Example("italian", reply("Sono in ferie.", subject="Risposta automatica: A new subprocessor"), AUTO),
    Example(
        "dutch",
        reply("Ik ben afwezig.", subject="Automatisch antwoord: A new subprocessor", more="Precedence: auto_reply\n"),
        AUTO,
    ),
    Example(
        "ticket",
        reply(
            "We have received your request #552.",
            subject="[#552] A new subprocessor",
            sender="desk@clinic.example",
            more="Auto-Submitted: auto-generated\n",
        ),
        AUTO,
    ),
    *(
        Example(f"by its subject, {number}", reply("…", subject=f"{subject} A new subprocessor"), AUTO)
        for number, subject in enumerate(
            (
                *("Automatisch antwoord:", "Automatyczna odpowiedź:", "Autosvar:", "Automatisk svar:"),
                *("Automaattinen vastaus:", "Automatická odpověď:", "Automatikus válasz:", "Otomatik Yanıt:"),
                *("Автоматический ответ:", "Răspuns automat:", "Αυτόματη απάντηση:", "Resposta automàtica:"),
                *(
                    "自動応答:",
                    "自动回复:",
                    "自動回覆:",
                    "자동 회신:",
                    "Read:",
                    "Lu :",
                    "Gelesen:",
                    "Eingangsbestätigung:",
                ),
            )
        )
    ),
    *(
        Example(f"by its words, {number}", reply(words, subject="Re: A new subprocessor"), AUTO)
        for number, words in enumerate(
            (
                "Ich bin bis einschließlich 9. März nicht erreichbar. Ihre E-Mail wird nicht weitergeleitet.",
                "Gracias por su mensaje. Estaré ausente hasta el 9 de marzo.",
                "Bedankt voor uw bericht. Ik ben met verlof tot 9 maart.",
                "Jestem na urlopie do 9 marca.",
                "Nous avons bien reçu votre message. Ceci est un message automatique, merci de ne pas y répondre.",
                "Diese Nachricht wurde automatisch erstellt.",
            )
        )
    ),
    Example(
        "with an empty sender",
        reply(
            "I am out of the office. For urgent matters write to boris@lab.example.",
            subject="Out of the office",
            more="Return-Path: <>\nX-Autoreply: yes\n",
        ),
        AUTO,
    ),
]

CHALLENGES = [
    reply(
        "Bonjour,\n\nVotre message est en attente. Merci de vous authentifier : https://mailinblack.example/valider?x=1",
        subject="Votre message à anne@clinic.example",
        sender="Mailinblack <noreply@protect.example>",
    ),
    reply(
        "To make sure that you are not a robot, please solve this captcha: https://wall.example/1",
        subject="Re: A new subprocessor",
        more="Auto-Submitted: auto-replied\n",
    ),
    reply(
        "Please prove that you are human: https://wall.example/2",
        subject="Verify your message",
        sender="gate@clinic.example",
    ),
    reply(
        "Afin de prouver que vous êtes bien un humain, cliquez ici : https://wall.example/3",
        subject="Validation de votre e-mail",
        sender="filtre@clinic.example",
    ),
    *(
        reply(f"{words} https://wall.example/4", subject="Re: A new subprocessor")
        for words in (
            "Bitte bestätigen Sie, dass Sie ein Mensch sind:",
            "Su mensaje está retenido. Confirme que usted es una persona:",
            "Conferma di non essere un robot:",
            "Bevestig dat u geen robot bent via",
            "Anne is protecting herself from receiving junk mail. Just this once, click",
            "Your message is held until you verify yourself as a sender:",
        )
    ),
]

LEFT = [
    reply(
        "Anne Durand has left the company. Please write to boris@lab.example.",
        subject="Automatic reply: A new subprocessor",
        more="Auto-Submitted: auto-replied\n",
    ),
    reply(
        "Bonjour,\nAnne Durand n'est plus dans la société. Merci de contacter boris@lab.example.",
        subject="Réponse automatique : A new subprocessor",
    ),
    reply(
        "Anne Durand ne fait plus partie de nos effectifs, contactez boris@lab.example",
        subject="Absence",
        more="Auto-Submitted: auto-replied\n",
    ),
    reply(
        "Cette adresse n’est plus utilisée. Écrivez à boris@lab.example.",
        subject="Re: A new subprocessor",
        more="Auto-Submitted: auto-replied\n",
    ),
    reply(
        "I no longer work at Clinic Example. Contact boris@lab.example instead.",
        subject="Re: A new subprocessor",
        more="X-Autoreply: yes\n",
    ),
    reply(
        "Frau Durand ist nicht mehr im Unternehmen. Bitte wenden Sie sich an boris@lab.example.",
        subject="Automatische Antwort: A new subprocessor",
    ),
    reply(
        "This mailbox will be closed on 1 April. New contact: boris@lab.example",
        subject="Automatic reply",
        more="Return-Path: <>\nAuto-Submitted: auto-replied\n",
    ),
    reply(
        "Anne a quitté l'entreprise. Son successeur : boris@lab.example",
        subject="Message automatique",
        more="Auto-Submitted: auto-generated\n",
    ),
    *(
        reply(f"{words} boris@lab.example", subject="Re: A new subprocessor", more="Auto-Submitted: auto-replied\n")
        for words in (
            "I have left Clinic Example. Please write to",
            "Anne is retired. Please write to",
            "Dieses Postfach wird nicht mehr gelesen. Neu:",
            "Anne Durand non collabora più con noi:",
            "Anne Durand werkt niet meer bij ons. Mail",
            "Anne Durand deixou a clínica:",
            "Anne Durand już nie pracuje w naszej firmie:",
            "Anne Durand har slutat:",
        )
    ),
]

HUMAN_WORDS = [
    "We object!",
    "We object to this subprocessor, for reasons that our counsel will send you.",
    "Nous nous opposons à ce changement.",
    "Bonjour,\n\nNous refusons ce sous-traitant : il est hors de l'Union européenne.\n\nCordialement,\nAnne Durand",
    "Could you tell us where the data will be?",
    "Please call me, I do not understand why the address of the plant was rejected in the annex.",
    "Who is this? The last mail was not delivered to our DPO, so please write to boris@lab.example.",
    "Merci, bien reçu.",
    "OK for us.",
    "Wir widersprechen.",
    "No nos oponemos.",
    "Our policy forbids spam lists; is your new provider one of those?",
    "I confirm receipt. Please confirm the day it takes effect.",
    "Your notice reached 550 of our staff; why?",
    "Objection. The account of this provider with us is closed.",
    "We will answer after the board, on 12 March.",
    "Please send a signed contract with the new subprocessor.",
    "The deadline is too short for us.",
    "Stop this change until the audit has ended.",
    "See the attached letter.",
    "We received your automated message, and we object.",
    "We cannot agree to the new subprocessor.\n\nThis e-mail was sent by Client SA, RCS Paris 1.",
    "This change is not acceptable to us.\n\nThis message was sent from my mobile device.",
    "Nous ne pouvons pas donner notre accord. Merci de ne pas répondre à cette adresse mais à dpo@clinic.example.",
    "Is the data encrypted there? This email is sent in confidence. Do not reply to this message, call me.",
    "Nous sommes contre ce changement. Je serai en congés demain.",
    "Ich bin nächste Woche nicht im Büro, daher heute schon: wir widersprechen.",
    "Je suis absente à partir de demain : nous nous opposons dès aujourd'hui.",
    "Estaré fuera la semana próxima; nos oponemos.",
]
HUMAN = [
    reply(
        f"{words}\n\nOn Tue, 3 Mar 2026 at 10:00, Hosting Example <notices@hosting.example> wrote:\n> A new subprocessor\n> 550 5.1.1 User unknown\n",
        subject="Re: A new subprocessor",
        more=f"In-Reply-To: {MESSAGE_ID}\n",
    )
    for words in HUMAN_WORDS
] + [
    reply(words, subject=subject, more=f"In-Reply-To: {MESSAGE_ID}\n")
    for subject, words in (
        ("Accusé de réception et opposition à l'annonce 2026-3", "Nous nous opposons."),
        ("Eingangsbestätigung und Widerspruch", "Wir widersprechen."),
        ("Read: your notice", "We do not accept it."),
    )
]
EVERY = [*REPORTS, *TEXTS, *OTHER_LANGUAGES, *COMPLAINTS, *AUTOMATIC]
