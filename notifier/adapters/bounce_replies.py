"""What answers for a person or is one: out of the office, has left the company, prove that you are human, we object."""

from __future__ import annotations

import re
from typing import Final

from notifier.adapters.bounce_parts import Headers, addresses

MOST_READ: Final = 20_000  # characters of a reply

_AUTOMATIC_SUBJECT: Final = re.compile(
    r"(?i)^\W*(?:auto(?:matic|mated|matische|matisk)?\W{0,3}(?:e-?mail\W{0,2})?(?:re(?:ply|sponse|sponder)|antwort|"
    r"response|:)|"
    r"out[ -]of[ -](?:the[ -])?office|ooo\b|vacation|away from|on (?:holiday|vacation|leave)|(?:i am|i'm) (?:away|out)|"
    r"r[ée]ponse automatique|absen(?:ce|t)\b|absent du bureau|en cong[ée]s?|message d'absence|"
    r"automatische? (?:antwort|abwesenheit)|abwesenheit|nicht im (?:büro|haus)|abwezig|afwezig|"
    r"respuesta autom|fuera de (?:la )?oficina|ausen[ct]|risposta automatica|fuori (?:sede|ufficio)|assente|"
    r"respost[ae] autom|fora do escrit|fuori (?:sede|ufficio)|automatisch (?:antwoord|bericht)|autosvar|"
    r"automatisk svar|"
    r"frånvaro|fraværende|automaat\w* (?:vastus|vastaus)|automaattinen|poissa|automatyczna odpowied|"
    r"odpowied\w* automat|"
    r"automatick[áaé] odpov|automatikus v[áa]lasz|r[ăa]spuns automat|otomatik yan|automatski odgovor|samodejni odgovor|"
    r"αυτόματη απάντηση|автомат\w+ (?:ответ|відповідь|отговор)|автоответ|自動(?:応答|返信|回覆|回复)|自动(?:答复|回复|"
    r"回覆)|"
    r"不在|자동 ?(?:회신|응답)|מענה אוטומטי|رد تلقائي|accus[ée] de r[ée]ception|eingangsbest[äa]tigung|(?:not )?read:|"
    r"(?:non )?lu ?:|(?:un)?gelesen:|(?:no )?le[íi]do:|letto:|gelezen:)"
)
_AUTOMATIC_WORDS: Final = re.compile(
    r"(?i)out of (?:the )?office|on (?:annual |maternity |parental |sick )?(?:vacation|holidays?|leave)\b|"
    r"away from (?:the office|my (?:desk|e-?mail))|"
    r"limited access to (?:my )?e-?mail|i (?:will|shall) (?:be back|return)|"
    r"(?<!your )automat(?:ic|ed) (?:reply|response|answer)|this is an auto|this automat(?:ic|ed) message|"
    r"this (?:message|e-?mail|mail|answer) (?:was|is|has been) automatically (?:generated|sent|created)|"
    r"this (?:message|e-?mail|mail|answer) (?:was|is|has been) (?:generated|sent|created) automatically|"
    r"(?:ceci|c['’]) ?est un (?:message|e-?mail|mail|courriel) automatique|(?:message|e-?mail|mail|courriel)"
    r" (?:a [ée]t[ée] )?(?:g[ée]n[ée]r[ée]|envoy[ée]) automatiquement|"
    r"diese (?:nachricht|e-?mail|mail) w[iu]rde? automatisch|dies ist eine automatisch|"
    r"(?:este es un|esta é uma|questo è un) (?:mensaje|mensagem|messaggio) autom|dit is een automatisch|"
    r"r[ée]ponse automatique|(?:suis|serai|serais) (?:actuellement )?(?:absente?|"
    r"en (?:cong|d[ée]placement|vacances|arr[êe]t))|absente? (?:du bureau|jusqu|du \d)|en cong[ée]s?\b|de retour le|"
    r"nicht im (?:büro|haus)|abwesend|im urlaub|zurück am|"
    r"ich bin\b.{0,60}\bnicht (?:per e-?mail |telefonisch )?erreichbar|"
    r"(?:estoy|estar[ée]) (?:de vacaciones|fuera|ausente)|fuera de la oficina|"
    r"(?:sono|sar[òo]) (?:assente|in ferie|fuori)|(?:ben ik|ik ben) (?:afwezig|met verlof|op vakantie)|ben ik niet|"
    r"met vakantie|estou (?:ausente|de f[ée]rias)|jestem na urlopie|przebywam na urlopie|jag är (?:på semester|ledig)|"
    r"jeg er (?:på ferie|ikke på kontoret)|olen (?:lomalla|vuosilomalla)|jsem na dovolené|szabadságon vagyok|"
    r"я (?:нахожусь )?в отпуске|sunt în concediu"
)
# People ask for it too, of an address that they seldom read: it says something only where nobody can answer.
_NO_ANSWER: Final = re.compile(
    r"(?i)do not (?:reply|respond) to this (?:message|e-?mail|mail)|"
    r"ne pas (?:y r[ée]pondre|r[ée]pondre (?:directement )?[àa] (?:ce|cet|cette) "
    r"(?:message|e-?mail|mail|courriel|adresse))"
)
_NOBODY: Final = re.compile(r"(?i)\b(?:no|do-?not|ne-?pas)[-_.]?(?:reply|respond|r[ée]pondre|answer)")
# Whoever takes a stand is a person, also one who goes on holiday tomorrow, or who calls our own mail automatic.
_TAKES_A_STAND: Final = re.compile(
    r"(?i)\bobject(?:s|ed|ion|ions|ing)?\b|\b(?:we|i) (?:do not |don't |cannot |can't )?(?:refuse|reject|accept|"
    r"consent|agree|disagree|terminate)\b|\b(?:not|un)[- ]?acceptable\b|inacceptable|\b(?:are|am|is) against\b|"
    r"notre (?:position|accord)\b|\b(?:sommes|suis) (?:contre|oppos)|pas d['’]accord|d[ée]saccord|"
    r"\boppos(?:ition|ons)\b|"
    r"nicht einverstanden|no estamos de acuerdo|non siamo d['’]accordo|niet akkoord|"
    r"\b(?:nous nous|m['’]|je m['’]|s['’])oppos|\bopposons|\brefus(?:e|ons)\b|r[ée]sili|"
    r"widersprechen|widerspreche\b|widerspruch|einspruch|\blehnen .{0,60}\bab\b|kündig|"
    r"nos oponemos|me opongo|rechazamos|ci opponiamo|mi oppongo|rifiutiamo|maken bezwaar|maak bezwaar|weigeren"
)
_CHALLENGE: Final = re.compile(
    r"(?i)mail ?in ?black|captcha|spam ?arrest|boxtrapper|bluebottle|challenge[- /]response|mailblocks|vanquish|sendio|"
    r"(?:prove|confirm|verify|show|(?:en|make |be )sure)\b.{0,40}\b(?:you(?:'re| are)? (?:a |not a )?(?:human|person|"
    r"robot|real|"
    r"legitimate)|your (?:identity|(?:e-?mail )?address|message|e-?mail|humanity))|"
    r"requires verification|sender verification|whitelist (?:request|yourself)|"
    r"protecting (?:\w+self|themselves) from (?:receiving )?(?:junk|spam|unwanted)|verify yourself|"
    r"to be (?:added to|put on) .{0,30}(?:approved|allowed|white) ?list|approved sender|"
    r"(?:prouve[rz]|confirme[rz]|authentifie[rz]|valide[rz]|v[ée]rifie[rz])\b.{0,60}\b(?:humain|robot|identit[ée]|"
    r"exp[ée]diteur|adresse|votre (?:message|e-?mail|envoi|courriel)|authenti)|"
    r"vous authentifier|(?:[êe]tes|soyez) (?:pas )?(?:bien )?un (?:humain|robot)|"
    r"liste (?:blanche|des exp[ée]diteurs autoris)|"
    r"premier (?:message|envoi|e-?mail|contact).{0,60}(?:clique|valide|authent)|"
    r"best[äa]tigen sie\b.{0,60}(?:absender|adresse|nachricht|mensch|roboter)|kein roboter|"
    r"conf[ei]rm[ae]\b.{0,40}(?:remitente|direcci[óo]n|persona|humano|robot|remetente|rob[ôo]|umano|mittente)|"
    r"bevestig\b.{0,40}(?:robot|mens\b|afzender|identiteit)|non (?:sei|è) un robot"
)
_LEFT: Final = re.compile(
    r"(?i)no longer (?:works?|working|with|at|employed|part of|an employee|a member|available at|reachable|in the|"
    r"belongs)|(?:has|have|had) (?:now |recently |already )?left (?:the |our |this |us\b|my )|"
    r"(?:left|leaving|departed) (?:the |our )?(?:us\b|company|organi[sz]ation|firm|business|group|employ)|"
    r"not (?:work|employed) .{0,30}any ?(?:more|longer)|retired (?:from|on|and|as)|"
    r"i have left (?!(?:an?|it|you|some|your|the (?:file|document|message))\b)|(?:is|am|have|has) (?:now )?retired|"
    r"(?:address|mailbox|account|inbox|adresse|bo[îi]te|"
    r"messagerie)\b.{0,60}\b(?:will (?:soon )?be (?:closed|deleted|deactivated|removed|shut)|"
    r"(?:is )?no longer (?:used|in use|active|valid|monitored|read|checked|in service)|"
    r"not (?:monitored|in use|read) any|"
    r"(?:sera|va [êe]tre|a [ée]t[ée]) (?:bient[ôo]t |prochainement |d[ée]finitivement )?(?:ferm|supprim|d[ée]sactiv|"
    r"cl[ôo]tur)|n['’]est plus (?:utilis|activ|valid|en service|consult|relev|lue|surveill|suivie|op[ée]rationnel|"
    r"en usage))|"
    r"ne (?:fait|font|fais) plus partie|"
    r"n['’](?:est|es|[êe]tes|[ée]tait|suis) (?:d[ée]sormais )?plus (?:en poste|dans|chez|salari|joignable|employ|"
    r"collaborat|au sein|pr[ée]sente?|membre|affect|à cette adresse|en fonction|en activit|à la)|"
    r"(?:a|ai|ont|ayant) (?:d[ée]sormais |d[ée]finitivement |r[ée]cemment )?quitt[ée]|ne travaille(?:nt)? plus|"
    r"départ (?:de l'entreprise|de la soci[ée]t[ée]|à la retraite)|à la retraite|"
    r"nicht mehr (?:f[üu]r|bei|im unternehmen|in unserem|t[äa]tig|erreichbar|besch[äa]ftigt|aktiv|g[üu]ltig)|"
    r"nicht mehr (?:gelesen|abgerufen|verwendet|genutzt|bearbeitet|betreut)|im ruhestand|in rente\b|ausgeschieden|"
    r"(?:unternehmen|firma)\b.{0,30}verlassen|"
    r"ya no (?:trabaja|forma|pertenece|est[áa])|ha dejado (?:la|de)|non (?:lavora|fa|collabora) pi[ùu]|"
    r"non [èe] pi[ùu]|werkt niet (?:meer|langer)|"
    r"ha lasciato|(?:niet (?:meer|langer)) (?:werkzaam|in dienst|actief)|n[ãa]o (?:trabalha|faz) mais|"
    r"j[áa] n[ãa]o (?:trabalha|faz)|deixou (?:a |de trabalhar)|nie pracuje ju[żz]|ju[żz] nie pracuje|(?:arbetar|"
    r"jobbar) inte längre|"
    r"har slutat|arbejder ikke længere|er fratrådt|(?:jobber|arbeider) ikke lenger|har sluttet|ei (?:ole|"
    r"työskentele) enää|"
    r"больше не работает|退職|离职|離職"
)
_QUOTED: Final = re.compile(
    r"(?im)^\s*>|^-{2,}\s*(?:original|forwarded|message d'origine|ursprüngliche|mensaje original|"
    r"messaggio originale|oorspronkelijk)|"
    r"^_{10,}\s*$|^(?:on|le|am|el|il|op|em)\b.{5,200}(?:wrote|écrit|schrieb|escribió|scritto|schreef|escreveu)\s*:\s*$|"
    r"^(?:from|de|von|da|van)\s*:\s.*\n(?:\s*(?:sent|date|envoyé|gesendet|enviado|inviato|verzonden|to|à|an|objet|"
    r"subject)\s*:)"
)


def own_words(text: str) -> str:
    """What the writer wrote, without the mail below that is quoted."""
    cut = text[:MOST_READ]
    for found in _QUOTED.finditer(cut):
        if cut[: found.start()].strip():
            return cut[: found.start()].strip()
    return cut.strip()


def answers_by_itself(headers: Headers, subject: str, words: str) -> bool:
    """A program answered, by the headers that such programs set (RFC 3834 and their own) or by what it says.

    `Auto-Submitted: auto-replied` alone is no proof, since Exim sets it on its bounces: those must be read before.
    """
    if "disposition-notification" in headers.get("content-type").lower():  # a receipt of reading (RFC 8098)
        return True
    said = headers.get("auto-submitted").lower()
    if (said and not said.startswith("no")) or headers.get("precedence").lower().startswith("auto"):
        return True
    if headers.all(
        "x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-auto-response-from", "x-vacation"
    ):
        return True
    if headers.get("x-apple-action").lower() == "vacation" or "inoffice" in headers.get(
        "x-ms-exchange-inbox-rules-loop"
    ):
        return True
    looks_so = _AUTOMATIC_SUBJECT.search(subject) or _AUTOMATIC_WORDS.search(words[:2000])
    if not looks_so and _NOBODY.search(headers.get("from")):
        looks_so = _NO_ANSWER.search(words[:2000])
    return bool(looks_so) and not _TAKES_A_STAND.search(f"{subject}\n{words}")


def is_automatic_subject(subject: str) -> bool:
    return bool(_AUTOMATIC_SUBJECT.search(subject))


def asks_for_proof(subject: str, sender: str, words: str) -> bool:
    """It wants the sender to show that a human wrote (Mailinblack and its kind)."""
    return bool(_CHALLENGE.search(f"{subject}\n{sender}\n{words[:4000]}"))


def says_left(subject: str, words: str) -> bool:
    """Somebody has left the company, or the address is given up."""
    return bool(_LEFT.search(" ".join(f"{subject} . {words[:4000]}".split())))


def proposed(words: str, known: frozenset[str]) -> tuple[str, ...]:
    """Addresses that a reply names, without its author's and ours."""
    return tuple(one for one in addresses(words) if one.lower() not in known)[:10]
