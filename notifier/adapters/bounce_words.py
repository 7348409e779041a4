"""What a relay's words and codes mean: whether the address is there no more, or is there and did not get the mail.

A refusal is hard only where it says that the mailbox or the domain does not exist, has moved or takes no mail, *and*
what says so can know it: an enhanced code of the address (RFC 3463, x.1.x), an answer to RCPT TO, or the directory of
the recipient's own system. "User unknown" in answer to DATA is what filters say of content they do not want. Many
relays give 5.0.0, 5.1.1 or 550 for everything, so a text that names another cause is believed before any code.
"""

from __future__ import annotations

import re
from typing import Final

from notifier.adapters.bounce_parts import ADDRESS

STATUS: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
REPLY: Final = re.compile(r"(?<![\d.\w/=+-])([45]\d\d)(?:[- :,;)\]\"']|$)")
UNSAID: Final = frozenset({"", "4.0.0", "5.0.0", "5.0.350"})  # the last: "remote server returned an error"
MOST_WORDS: Final = 4000  # characters of a report that are weighed


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one})" for one in phrases))


# Texts are weighed in lower case on one line, with `<>` in the place of each address.
FULL: Final = _any(
    r"(?:mail ?box|mail ?folder|in-?box|account|maildrop|storage|mail ?dir|disk|boite|boîte)\b.{0,40}\b(?:full|"
    r"plein\w*)\b",
    r"\bfull (?:mail ?box|in-?box)",
    r"\bover ?(?:disk |mail |storage |the |its |his |her |their |allotted |allowed )*quota",
    r"over the (?:maximum )?allowed quota",
    r"quota (?:has been |is |was )?(?:exceed|full|reached|limit|violat|error|overrun)",
    r"exceed\w* .{0,40}\bquota",
    r"exceed\w* .{0,20}\b(?:mailbox|storage|space|disk)\b.{0,20}(?:limit|size|space|allocation|allowance)",
    r"(?:mailbox|disk|storage) (?:size |space )?(?:limit |quota )?(?:is |has been )?(?:exceed|reached|exhaust)",
    r"insufficient (?:disk |system |mailbox |storage )*(?:space|storage|quota|resources)",
    r"(?:not enough|no more|no|out of) (?:available |free )?(?:disk|storage|mailbox)? ?(?:space|storage|"
    r"room)\b(?! character)",
    r"exceeded (?:the |its |their )?(?:local|storage|email|message|mailbox) ?(?:limit|quota|space)",
    r"too (?:many|much) (?:messages|mails?|data)\b.{0,30}\b(?:in|on|for) .{0,30}mailbox",
    r"recipient storage|recipstoragequota|mailbox_?full|mbox_?full|overquota|over quota|disk quota|mailboxfull",
    r"quota (?:de la bo[iî]te )?(?:dépassé|depasse)|user has too many messages|delivery failed: over",
    r"maildir (?:has )?overdrawn|mailbox size|postfach\b.{0,40}\bvoll\b|(?:casella|caselle)\b.{0,40}\bpien|"
    r"(?:buz[oó]n|bandeja|cuenta)\b.{0,40}\bllen|(?:caixa|conta)\b.{0,40}\b(?:chei|lotad)|"
    r"(?:postvak|mailbox|postbus)\b.{0,40}\bvol\b|(?:brevlåda|inkorg|postboks|postkasse|indbakke)\w*\b.{0,30}\bful|"
    r"skrzynka\b.{0,40}pełn|schránka\b.{0,40}pln|переполнен|превы\w+ .{0,20}квот|容量|邮箱已?满|空间不足|信箱已?滿|"
    r"용량|가득",
)
SIZE: Final = _any(
    r"message (?:is |was |file |has been )?(?:too|larger) (?:large|big|long|than)",
    r"\b(?:message|mail|content|e-?mail)\b.{0,20}\bsize (?:limit|exceed)",
    r"size (?:of (?:the|this|your) (?:message|e?-?mail) )?(?:is |was )?exceed",
    r"exceed\w* .{0,30}(?:maximum|fixed|allowed|permitted|administrative|message).{0,20}(?:size|length|limit)",
    r"(?:max(?:imum)?|over(?:size)?)[ -]?(?:message|mail)[ -]?(?:size|length)?(?: exceed|\b.{0,12}limit)",
    r"too (?:big|large) for|size limit (?:is |has been )?exceed|message length exceeds|recipsizelimit",
    r"recipientsizelimit",
)
SUSPENDED: Final = _any(
    r"(?:account|mailbox|user|address|recipient|inbox|utilisateur|compte)\b.{0,50}\b(?:suspend|disabled|deactivat|"
    r"locked|frozen|inactive|inactif|discontinued|désactivé|bloqué|archivé)",
    r"(?:account|mailbox|user|address|recipient)\b.{0,15}\b(?:terminated|closed|expired)",
    r"(?:inactive|suspended|disabled|deactivated|locked|expired|archived|dormant) (?:user|account|mailbox|recipient|"
    r"e?-?mail)",
    r"suspend the service|temporarily inactive|unavailable or access denied|is a deactivated|not active anymore",
    r"no longer accepts? (?:e-?)?mail|is on vacation|account.{0,20}not (?:activated|paid)|unpaid",
)
MOVED: Final = _any(
    r"\bhas moved\b|user (?:has )?moved|mailbox (?:has )?moved|moved to (?:an)?other (?:server|host|address)",
    r"no longer on (?:this )?server|has been replaced by|new address (?:is|:)|address (?:has )?changed to",
    r"please (?:use|try) <>",
    r"has (?:been )?changed .{0,20}e?-?mail address|account.{0,20}has (?:been )?moved",
)
RELAYING: Final = _any(
    r"relay(?:ing)?\b.{0,20}(?:denied|not (?:permitted|allowed)|prohibited|forbidden|disabled|refused|blocked)",
    r"(?:unable|not permitted|cannot|can't|not allowed|refus\w+|won't|authenticat\w+) to relay",
    r"\b(?:no|denied|illegal) relay",
    r"relay(?:ing)? (?:access|operation|attempt|rejected)|we (?:do not|don't) relay|insecure mail relay|not relayed",
    r"(?:doesn't|does not|don't|do not|not) (?:handle|host|serve|take) (?:mail |e-?mail |messages? )?for (?:that|this|"
    r"the|local|<>|\w+\.)",
    r"not (?:a|one of our) (?:gateway|local domains?)|isn't in my list of allowed rcpthosts|rcpthosts",
    r"must authenticate",
    r"domain isn't (?:allowed|permitted) to be relayed|not (?:a )?local(?:ly)? (?:domain|host)",
    r"authentication required for relay",
)
UNPROVEN: Final = _any(
    r"\bdmarc\b|\bspf\b|\bdkim\b|sender policy framework|domainkeys|unauthenticated (?:e?-?mail|sender|message)",
    r"sender ?id\b",
    r"authentication (?:failed|failure|required)|mail must be authenticated|failed .{0,20}authentication check",
)
BLOCKED: Final = _any(
    r"black ?list|block ?list|deny ?list|dnsb?l|dnswl|\brbl\b|spamhaus|spamcop|sorbs|barracudacentral|senderbase",
    r"spamrl|sender score",
    r"reputation|blocked (?:using|by|for|due|because|at|until|-)|block(?:ed)? (?:ip|sender|address|listed)|banned",
    r"bl=|ips? (?:is )?blocked|<>:blocked",
    r"client host .{0,80}(?:reject|block|denied)",
    r"(?:client|your) (?:host|ip|address|server|network|domain|isp).{0,60}(?:reject|block|denied|refus|listed|"
    r"not (?:allowed|permitted|accepted|authorized))",
    r"\bip(?: address)?\b.{0,60}(?:reject|block|denied|refus|listed|not allowed|limit)|access denied.{0,20}\bip\b",
    r"(?:reverse|ptr|rdns)\b.{0,40}(?:record|lookup|dns|entry|missing|required|fail|not)",
    r"cannot find your (?:reverse|hostname)",
    r"(?:helo|ehlo)\b.{0,25}(?:reject|denied|invalid|mismatch|refus|not accepted|required)|my name was rejected",
    r"dynamic (?:ip|addr|dial)",
    r"too many (?:connections|sessions|errors|invalid|bad|unknown|recipients|messages|concurrent|mails|hops)",
    r"rate limit|throttl|(?:ip|sending) frequency",
    r"grey ?list|gray ?list|temporarily deferred|user complaints|unusual rate",
    r"service refus",
    r"access denied|connections? (?:not )?(?:accepted|refused|dropped|rejected) from",
    r"no(?:t)? (?:permitted|allowed) to connect",
)
SENDER: Final = _any(
    r"sender\b.{0,60}(?:reject|denied|refus|verif|invalid|unknown|"
    r"not (?:found|exist|allowed|accepted|permitted|authori[sz]ed|valid|known)|blocked|bad|does not|unresolv|"
    r"doesn't)",
    r"(?:bad|invalid|unknown|unverif\w+|unresolvable|illegal|fake|forged|rejected|unable to verify|could not verify|"
    r"null|empty) (?:the )?(?:envelope )?(?:sender|from|return|originator)",
    r"(?:mail ?from|from (?:address|domain|header)|envelope from|return[- ]path|reverse[- ]path|"
    r"originator)\b.{0,60}(?:reject|denied|refus|invalid|not|unresolv|bad|block|does)",
    r"reply command for mail|domain of (?:the )?sender|purported responsible|backscatter|not (?:a )?members?\b",
    r"members? only",
    r"not (?:allowed|permitted|authori[sz]ed) to (?:send|post|mail)|permission to (?:send|post)",
    r"does ?n[o']t like (?:the )?sender|you are not (?:on|allowed)|"
    r"(?:only|requires) (?:authenticated|authori[sz]ed)|restricted|notauthorized|authrequired|customfromdenied",
    r"send ?mail as",
    r"(?:for|of) (?:the |your )?send(?:er|ing)(?:'s)? (?:domain|address|host)|sender verif|verification failed for <>|"
    r"(?:mail|messages?) from (?:this|that|your) ",
)
UNWANTED: Final = _any(
    r"spam|\bjunk|unsolicited|\bube\b|\buce\b|bulk (?:e?-?mail|filter)|virus|malware|phish|infected",
    r"illegal attachment|attachment",
    r"content (?:was |is |of (?:the|this) message )?(?:reject|block|filter|restrict|refus|not)",
    r"message (?:content )?(?:was |has been |is )?(?:reject|block|refus|filtered|considered|identified|looks|"
    r"contains)|header error",
    r"polic(?:y|ies)|security|protocol violation|prohibited|suspicious|cloudmark|recipient preferences",
    r"email preferences|not wanted|unacceptable",
    r"rejected by (?:the )?(?:recipient|user|filter|domain|mail)|domain filter|mail rejected|filtered",
)
UNKNOWN: Final = _any(
    r"\b(?:user|recipient|mailbox|account|address(?:ee)?|login|name|alias)s? (?:is |was |were |are )?(?:unknown|"
    r"not known)",
    r"unknown (?:or (?:invalid|illegal) )?(?:virtual |local[- ]?|e-?mail |recipient |destination )*(?:user|part|"
    r"recipient|mailbox|address(?:ee)?|account|alias|login)s?\b",
    r"no[ _-]?such[ _-]?(?:\w+ )?(?:user|recipient|mailbox|mail ?box|person|address|account|mail ?drop|id|e-?mail|"
    r"local|"
    r"in-?box|name|alias|customer)",
    r"\b(?:user|recipient|mail ?box|account|address(?:ee)?|e-?mail|in-?box|login|spectator|person|"
    r"<>).{0,70}\b(?:does ?n[o']t|do not|doesn.t|not) exist",
    r"\b(?:user|recipient|mail ?box|account|address|e-?mail|in-?box|<>).{0,60}(?:\bnot|n't|\bnor) (?:be )?(?:found|"
    r"present|recogni[sz]ed|listed|located|available)\b(?! temp)",
    r"<> not found|(?:couldn't|could not|cannot|can't|unable to|we did not|didn't) (?:be )?(?:find|found|locate|"
    r"recogni[sz]e|resolve) (?:a |an |the |your |this )?(?:user|recipient|mailbox|account|address|e-?mail|<>)",
    r"(?:invalid|bad|illegal|incorrect|wrong|non[- ]?existent|nonexistent|inexistent|undeliverable|"
    r"fictitious)[- _]*(?:or \w+ )?(?:final |delivery |destination |e-?mail |mailbox |user |virtual )*(?:user|"
    r"recipient|mailbox|address|account|rcpt|path|destination(?! (?:host|system|domain))|adresse)",
    r"\b(?:recipient|user|mailbox|address) <> (?:is |was )?(?:unknown|not known)",
    r"recipient verif\w+ (?:has )?failed|recip(?:ient)?notfound",
    r"\b(?:user|recipient|mail ?box|account|address|e-?mail)(?: address)? (?:is |isn't |"
    r"was )?(?:not (?:a )?)?(?:in)?valid\b(?! sender)",
    r"not (?:a |an )?(?:valid|local|known|active|existing|e-?mail) (?:local )?(?:user|recipient|mailbox|address|"
    r"account|e-?mail)",
    r"mail ?box (?:is )?(?:currently )?(?:unavailable|not available|invalid|not found|is inactive)",
    r"action not taken: mailbox",
    r"no (?:mail ?box|account|user|recipient|one|e-?mail)\w* (?:here|by that|with that|found|matching|at this|"
    r"available|of that|name|under)|is no one at",
    r"no longer (?:exists?|valid|with|employed|available|in use|works?|here|an? (?:valid|active))|never existed",
    r"has left|not an? (?:active|valid) (?:address|recipient|user)",
    r"not listed in (?:the )?(?:domino|public|name|local|directory|notes)|dans l'annuaire|domino directory",
    r"name (?:&|and) address book|recipient name is not recogni[sz]ed|badrcptto",
    r"does ?n[o']t have an? .{0,40}account|not (?:our|an?) (?:customer|user|subscriber)|no mailbox",
    r"no valid recipients?|no recipients? (?:were )?(?:accepted|found)",
    r"check (?:if |that |whether )?(?:the |this )?(?:e-?mail )?address(?:es)? (?:is|are) (?:correct|valid)",
    r"resolver\.adr\.(?:ex)?recip(?:ient)?notfound|000c05a6|bad-mailbox|recipnotfound",
    r"address rejected: access denied|destination server rejected recipients|destination addresses were unknown",
    r"(?:utilisateur|destinataire|adresse|bo[iî]te|compte|correspondant)\b.{0,40}(?:inconnu|n'existe|inexistant|"
    r"invalide|introuvable|erron)",
    r"(?:unbekannt|existiert nicht|nicht gefunden|nicht bekannt|empfänger.{0,30}ung[uü]ltig)|"
    r"nicht im .{0,30}verzeichnis|(?:utilisateur|destinataire|adresse).{0,40}ne figure pas",
    r"(?:usuario|destinatario|direcci[oó]n|buz[oó]n|cuenta|casella|utente|indirizzo|account|conta|endereço|usuário|"
    r"destinatário)\b.{0,60}(?:no existe|desconocid|no (?:se )?(?:ha |pudo )?(?:ser )?encontr|inesistente|sconosciut|"
    r"inexistente|não existe|não (?:foi )?encontrad|desconhecid|non esiste|non (?:è stato )?trovat|non valid)",
    r"no (?:se ha )?encontrado (?:la |el )?(?:direcci[oó]n|buz[oó]n|usuario|destinatario)|no existe (?:la |el |ese |"
    r"ning[uú]n )?(?:direcci[oó]n|buz[oó]n|usuario|cuenta)",
    r"(?:gebruiker|adres|ontvanger|postvak|e-?mailaccount).{0,40}(?:onbekend|bestaat niet|niet gevonden)|"
    r"onbekende (?:gebruiker|ontvanger)|address unknown",
    r"(?:adres|odbiorc|użytkownik|konto|skrzynka)\w*\b.{0,40}(?:nie istnieje|nieznan|nie (?:został\w* )?znalezion)",
    r"(?:adress|mottagar|användar|konto|postlåda)\w*\b.{0,40}(?:finns inte|hittades inte|kunde inte hittas|okänd)",
    r"(?:adresse|modtager|mottaker|bruger|bruker|konto)\w*\b.{0,40}(?:findes ikke|finnes ikke|ikke fundet|"
    r"ikke funnet|ukendt|ukjent)",
    r"(?:osoit|vastaanottaj|käyttäj)\w*\b.{0,40}(?:ei löyd|ei ole olemassa|tuntemat)|(?:adres|uživatel|příjemc)\w*\b"
    r".{0,40}(?:neexistuje|neznám)",
    r"не (?:найден|существует|зарегистрирован)|нет такого|неизвестн\w+ (?:пользовател|получател|адрес)",
    r"存在しません|存在しない|宛先不明|見つかりません|不存在|查无此|無此|无此|找不到.{0,12}(?:收件|用[户戶]|地址|信箱|"
    r"邮箱)|"
    r"존재하지 않|찾을 수 없",
    r"rejected address|recipient rejected|bad address|archived recipient|missing home directory|unroutable user",
)
NO_DOMAIN: Final = _any(
    r"host unknown|unknown (?:host|domain|mail host|mail server)|no such (?:domain|host)",
    r"bad destination (?:host|system|domain)|illegal host",
    r"(?:host|domain)(?: name)?(?: or domain)?(?: name)? (?:was |is |could |can )?(?:not|n't)(?: be)? (?:found|"
    r"known|exist|resolved|resolvable)(?!, try)",
    r"\bdomain\b.{0,60}\b(?:does ?n[o']t exist|not exist|couldn't be found|could not be found|was not found|"
    r"not found|is not reachable|is invalid|inexistent|n'existe|nonexist)",
    r"nonexistent ?domain|non[- ]?existent (?:domain|host)|nxdomain",
    r"unrout(?:e)?able(?: mail domain| address| domain)?\b|host/domain does not|invalid (?:host|domain)",
    r"mx records point to non-existent|lookups? failed permanently|lookup of host .{0,60}failed permanently",
    r"no (?:ip|mx|mail exchanger)\b.{0,30}(?:address |record |host )?(?:found|exist|available)? ?(?:for|in)\b",
    r"couldn't find (?:any )?(?:host|a mail exchanger)",
    r"(?:cannot|unable to|can't|could not) (?:find|resolve)\b.{0,30}(?:host|domain|exchanger|server)|bad-domain",
    r"name or service not known|no matches to nameserver query",
)
NETWORK: Final = _any(
    r"(?<!and )try again|temporar|lookup (?:timed|fail)|timed? ?out|connection refused|unreachable|servfail",
    r"malformed (?:or unexpected )?name server|name server (?:reply|time)|loop|hop count|no route",
    r"lookup failure|dns (?:server|query|records?) .{0,30}(?:fail|could not)|no relevant answers|dns soft error",
)
UNVERIFIED: Final = _any(  # a relay that asks the next one about an address, and had no answer
    r"unverified address: (?:address verification in progress|.{0,200}(?:timed? ?out|refused|unreachable|try again))",
)
NO_MAIL: Final = _any(
    r"null ?mx|no smtp service",
    r"(?:does ?n[o']t|do not|not|never|no longer) (?:accept\w*|receiv\w+|allow\w*) (?:any |incoming |inbound |"
    r"network )*(?:e-?mail|messages|mail|deliver)",
    r"smtp service (?:is )?(?:not|disabled)|mail (?:service )?(?:is )?not accepted (?:here|for)",
    r"not a mail (?:server|host)|system not accepting",
)
SOFT_CAUSES: Final = (FULL, SIZE, SUSPENDED)
EXCUSES: Final = (RELAYING, UNPROVEN, BLOCKED, SENDER)

HARD_CATEGORIES: Final = ("bad-mailbox", "bad-domain")  # as PowerMTA sorts failures

# Enhanced codes (RFC 3463, 7505) that speak of the address or its domain.
OF_ADDRESS: Final = frozenset({"5.1.0", "5.1.1", "5.1.3", "4.1.1", "5.1.10", "5.1.351"})
OF_DOMAIN: Final = frozenset({"5.1.2", "5.4.4", "5.4.310"})
TAKES_NONE: Final = frozenset({"5.3.2", "5.7.27"})
HAS_MOVED: Final = frozenset({"5.1.6", "5.7.17", "5.7.18"})
OF_SENDER: Final = frozenset({"5.1.7", "5.1.8"})
NO_MAIL_REPLIES: Final = frozenset({"521", "556"})  # RFC 7504

RCPT: Final = "RCPT"
_COMMANDS: Final = _any(
    r"in reply to (?:end of )?(?P<postfix>rcpt|mail|data|ehlo|helo|starttls|auth)",
    r"(?:after|following|response to|reply to|error (?:on|to|in)|our|smtp:|step: ?|while (?:sending|transmitting) |"
    r"during |"
    r"failed (?:on|after) )\s?(?:pipelined |sending |end of |final |the )?[\"'(<\[]?(?P<after>rcpt|mail from|data|ehlo|"
    r"helo)\b",
    r"[\[(](?P<bracket>rcpt_to|rcpt to|rcpt|mail_from|mail from|data|ehlo|helo)\b[^\])]{0,60}[\])]",
    r"\(state (?P<state>1[3-8]|9)\)",
    r"does not like (?P<likes>recipient)|but (?P<but>sender|my name) was rejected",
    r"failed after i (?P<sent>sent the message)|giving up (?:after|on) (?P<giving>data)",
    r">>> (?P<shown>rcpt|mail|data|ehlo|helo|bdat)\b(?:(?!>>> ).){0,400}?<<< [45]\d\d",
    r"\b(?P<plain>rcpt) to:? ?<>",
    # Wordings that are used for nothing but an answer to RCPT TO: Sendmail's, Exchange Online's, Outlook's.
    r"<>(?P<sendmail>\.\.\. )(?:user unknown|no such user|unknown user)",
    r"(?P<edge>recipient address rejected: access denied)",
    r"5\.5\.0 (?P<outlook>requested action not taken: mailbox unavailable)",
)
_MEANS: Final = {
    "recipient": RCPT,
    "... ": RCPT,
    "recipient address rejected: access denied": RCPT,
    "requested action not taken: mailbox unavailable": RCPT,
    "14": RCPT,
    "sender": "MAIL",
    "my name": "EHLO",
    "13": "EHLO",
    "9": "MAIL",
}


def command_in(text: str) -> str:
    """The SMTP command that was answered with the refusal: RCPT, MAIL, EHLO or DATA; empty where nothing tells."""
    found = _COMMANDS.search(weighed(text))
    if not found:
        return ""
    said = next(one for one in found.groups() if one)
    return _MEANS.get(said) or (RCPT if said.startswith("rcpt") else "MAIL" if said.startswith("mail") else "DATA")


def weighed(text: str) -> str:
    """A text as the phrases here expect it."""
    return " ".join(ADDRESS.sub("<>", text[:MOST_WORDS]).lower().replace("’", "'").replace("<<>>", "<>").split())


def status_in(status: str, text: str) -> str:
    """The more telling of a report's own code and the one in a relay's words, such as `5.1.1`; empty where none is."""
    own = STATUS.search(status)
    code = own[1] if own else ""
    if code not in UNSAID and not (code.startswith("4.") and re.search(r"(?<![\d.])5\d\d[- ]5\.\d", text)):
        return code
    said = [one[1] for one in STATUS.finditer(ADDRESS.sub("<>", text[:MOST_WORDS])) if not one[1].startswith("2.")]
    return next((one for one in said if one not in UNSAID), said[0] if said else code)


def reply_in(text: str) -> str:
    """The first negative reply code (RFC 5321) in a text, such as `550`; empty where none is."""
    found = REPLY.search(ADDRESS.sub("<>", text[:MOST_WORDS]))
    return found[1] if found else ""


def is_hard(status: str, text: str, command: str = "") -> bool:
    """Whether a refusal says that the address or its domain is not there, has moved, or takes no mail."""
    words = weighed(text)
    if status in OF_SENDER or any(cause.search(words) for cause in SOFT_CAUSES):
        return False
    if MOVED.search(words) or status in HAS_MOVED or any(category in words for category in HARD_CATEGORIES):
        return True
    if any(cause.search(words) for cause in EXCUSES) and not _names_the_unknown(words):
        return False
    return _is_gone(status, words, command)


def _is_gone(status: str, words: str, command: str) -> bool:
    if UNVERIFIED.search(words):
        return False
    if UNKNOWN.search(words):
        return status in OF_ADDRESS or _knows_its_users(words, command)
    if NO_DOMAIN.search(words) or status in OF_DOMAIN:
        return not status.startswith("4.") and not NETWORK.search(words)
    if NO_MAIL.search(words) or status in TAKES_NONE or reply_in(words) in NO_MAIL_REPLIES:
        return not (status or reply_in(words)).startswith("4")
    return status in OF_ADDRESS and not UNWANTED.search(words)


def _knows_its_users(words: str, command: str) -> bool:
    """Answered to RCPT TO, or said by a system of its own users, which quotes no relay's reply."""
    return command == RCPT or (not command and not reply_in(words))


def _names_the_unknown(words: str) -> bool:
    """Some phrases of refusal stand in the usual words for a user who does not exist."""
    of_sender = "sender" in words or "verification failed for" in words
    return "address rejected: access denied" in words or ("unrouteable address" in words and not of_sender)
