"""What a letter of paper says to one client: all that its mail would, and that time runs from the letter's receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from notifier.adapters import documents
from notifier.adapters.countries import country_name
from notifier.adapters.dates import plain_date
from notifier.adapters.documents import Section, Table
from notifier.models import Announcement, Client, Contact, Edition, Notice, Override, PaperLetter, Provider
from notifier.rules.kinds import KINDS, AnnouncementKind
from notifier.rules.periods import Counting, local_day, zone
from notifier.rules.registry_diff import Change, from_json
from notifier.rules.terms import Channel, Rule, Unclaimed
from notifier.rules.wording import NBSP, period_in_words
from notifier.services import entry_words, forwarding, letter_notes, letter_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """One letter and whom it goes to.

    `mailed`: a copy went by mail; `replaces`: what the client was told before; `repeats`: the day of a letter that came
    back; `late_reason`: why it is told later than contracts say, decided by two persons; `breach`: what two persons
    decided where the change has been made before this client's right had run.
    """

    letter: PaperLetter
    notice: Notice
    client: Client
    contact: Contact | None
    rule: Rule
    mailed: bool = False
    replaces: Edition | None = None
    repeats: date | None = None
    late_reason: str = ""
    breach: Override | None = None

    def is_made(self, announcement: Announcement) -> bool:
        """Say whether a change that was to wait has been made for this client before its letter was printed."""
        waited = self.notice.live_in_breach or self.rule.waits
        return self.notice.live_at is not None and waited and not KINDS[announcement.kind].at_once


_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "paper": "Registered letter with acknowledgement of receipt",
            "e_letter": "Registered electronic letter",
            "attention": "For the attention of {name}",
            "batch": "{reference}: letters of {day}",
            "greeting": "Dear Sir or Madam,",
            "repeats": "This letter repeats ours of {day}, which came back to us. Time runs from this one.",
            "replaces": "This letter replaces our notice of {day}. What that notice said no longer holds. If you "
            "acknowledged its receipt, consented or confirmed, that answer has lapsed: please answer again. If you "
            "objected, refused or terminated, your answer stands.",
            "differences": "What is different",
            "lead": "{provider} informs you {of}.",
            "duty": "Your contract requires us to tell you ({clause}).",
            "consult": "Your contract requires us to consult you beforehand ({clause}).",
            "late": "This letter reaches you later than your contract provides for. Two persons at {provider} have "
            "decided so, on this ground:",
            "made": "The change has been made",
            "made_on": "The change was made for you on {day}.",
            "breached": "{provider} has gone ahead with {the} on {day}, before the right that your contract gives you "
            "had run ({clause}). Two persons at {provider} have decided so, for this reason:",
            "protects": "What protects your data:",
            "kept": "You keep every right that you had.",
            "rights": "Your rights",
            "what": "What",
            "when": "When",
            "reference": "Our reference",
            "changes": "What changes",
            "happened": "What happened",
            "measures": "What protects your data meanwhile",
            "why": "Why",
            "list": "The list of our subprocessors: {address}",
            "until_object": "Until when you may object",
            "until_view": "Until when you may give your view",
            "until_answer": "Until when you may answer",
            "contract": "What your contract provides for",
            "object": "object",
            "view": "give your view",
            "answer": "answer",
            "from_paper": "the day on which this letter is handed to you",
            "from_e_letter": "the day on which you accept this letter",
            "time": "You may {act} within {period}, counted from {start}. That day itself does not count ({clause}).",
            "FR_CAL": "A last day that is a Saturday, a Sunday or a holiday moves to the next working day.",
            "EU_1182": "A last day that is a Saturday, a Sunday or a holiday moves to the next working day, and at "
            "least two working days lie within the time.",
            "CLEAR": "The last day does not count either, and one that is a Saturday, a Sunday or a holiday moves to "
            "the next working day.",
            "window_end": "If nobody accepts it, the time runs from the end of the fifteen days in which it may be "
            "accepted.",
            "first_presentation": "If nobody accepts it, the time runs from the day on which you were told of it.",
            "waits": "The change does not start for you before that time is over, nor before {day}.",
            "waits_period": "The change does not start for you before the end of a period of {period}, counted in the "
            "same way, nor before {day}.",
            "waits_both": "The change does not start for you before that time is over, nor before the end of a period "
            "of {period}, counted in the same way, nor before {day}.",
            "waits_emergency": "We ask for your consent to start on {day}. Without it, the change does not start for "
            "you before the end of a period of {period}, counted in the same way.",
            "waits_consent": "Nothing starts for you without your consent.",
            "how": "How to answer",
            "how_post": "Answer by letter to the address at the head of this one, and name our reference {reference}. "
            "Say in whose name you write, and whether you:",
            "acknowledge": "acknowledge receipt: this confirms that you received this letter, and nothing else",
            "do_object": "object {to}",
            "do_view": "give your view, or object to the disclosure",
            "do_terminate": "terminate the contract",
            "do_consent_start": "consent to the start on {day}, or refuse it; silence is not consent",
            "do_consent": "consent {to}, or refuse it; silence is not consent",
            "do_confirm": "confirm: “{statement}”",
            "mailed": "A copy of this notice goes to your contacts by mail, with a link to a page on which you may "
            "answer as well.",
            "mailed_no_clock": "That copy starts no period: this letter does.",
            "questions": "For questions, you may also write to {address}.",
            "silence": "If you do not answer",
            "silence_emergency": "Silence is not consent: without your consent, your period runs as usual, and the "
            "change does not start for you before it is over.",
            "forward": "To tell your own clients",
            "closing": "Yours faithfully,",
        },
        "fr": {
            "paper": "Lettre recommandée avec accusé de réception",
            "e_letter": "Lettre recommandée électronique",
            "attention": "À l’attention de {name}",
            "batch": f"{{reference}}{NBSP}: lettres du {{day}}",
            "greeting": "Madame, Monsieur,",
            "repeats": "Cette lettre répète la nôtre du {day}, qui nous est revenue. Le délai court à compter de "
            "celle-ci.",
            "replaces": "Cette lettre remplace notre notification du {day}. Ce que disait cette notification n’est "
            "plus valable. Si vous en avez accusé réception, ou donné un accord ou une confirmation, cette réponse est "
            f"caduque{NBSP}: merci de répondre à nouveau. Si vous vous êtes opposé, avez refusé ou résilié, votre "
            "réponse demeure.",
            "differences": "Ce qui diffère",
            "lead": "{provider} vous informe {of}.",
            "duty": "Votre contrat prévoit que nous vous en informions ({clause}).",
            "consult": "Votre contrat prévoit que nous vous consultions au préalable ({clause}).",
            "late": "Cette lettre vous parvient plus tard que ne le prévoit votre contrat. Deux personnes de "
            f"{{provider}} en ont décidé ainsi, pour le motif suivant{NBSP}:",
            "made": "Le changement est fait",
            "made_on": "Le changement a été fait pour vous le {day}.",
            "breached": "{provider} a mis en œuvre {the} le {day}, avant que les droits que vous donne votre contrat "
            "aient pu s’exercer pleinement ({clause}). Deux personnes de {provider} en ont décidé ainsi, pour le motif "
            f"suivant{NBSP}:",
            "protects": f"Ce qui protège vos données{NBSP}:",
            "kept": "Vous conservez tous vos droits.",
            "rights": "Vos droits",
            "what": "Objet",
            "when": "Quand",
            "reference": "Notre référence",
            "changes": "Ce qui change",
            "happened": "De quoi il s’agit",
            "measures": "Ce qui protège vos données entre-temps",
            "why": "Pourquoi",
            "list": f"La liste de nos sous-traitants{NBSP}: {{address}}",
            "until_object": "Jusqu’à quand vous pouvez vous opposer",
            "until_view": "Jusqu’à quand vous pouvez donner votre avis",
            "until_answer": "Jusqu’à quand vous pouvez répondre",
            "contract": "Ce que prévoit votre contrat",
            "object": "vous opposer",
            "view": "donner votre avis",
            "answer": "répondre",
            "from_paper": "du jour où cette lettre vous est remise",
            "from_e_letter": "du jour où vous acceptez cette lettre",
            "time": "Vous pouvez {act} dans un délai de {period} à compter {start}. Ce jour lui-même n’est pas compté "
            "({clause}).",
            "FR_CAL": "Si le dernier jour est un samedi, un dimanche ou un jour férié, il est reporté au jour ouvré "
            "suivant.",
            "EU_1182": "Si le dernier jour est un samedi, un dimanche ou un jour férié, il est reporté au jour ouvré "
            "suivant, et le délai comprend au moins deux jours ouvrés.",
            "CLEAR": "Le dernier jour n’est pas compté non plus et, si c’est un samedi, un dimanche ou un jour férié, "
            "il est reporté au jour ouvré suivant.",
            "window_end": "Si personne ne l’accepte, le délai court à compter de la fin des quinze jours pendant "
            "lesquels elle peut être acceptée.",
            "first_presentation": "Si personne ne l’accepte, le délai court à compter du jour où vous en avez été "
            "avisé.",
            "waits": "Le changement ne commence pas pour vous avant la fin de ce délai, ni avant le {day}.",
            "waits_period": "Le changement ne commence pas pour vous avant la fin d’un délai de {period}, compté de la "
            "même manière, ni avant le {day}.",
            "waits_both": "Le changement ne commence pas pour vous avant la fin de ce délai, ni avant la fin d’un "
            "délai de {period}, compté de la même manière, ni avant le {day}.",
            "waits_emergency": "Nous vous demandons votre accord pour commencer le {day}. Sans votre accord, le "
            "changement ne commence pas pour vous avant la fin d’un délai de {period}, compté de la même manière.",
            "waits_consent": "Rien ne commence pour vous sans votre accord.",
            "how": "Comment répondre",
            "how_post": "Répondez par lettre à l’adresse qui figure en tête de celle-ci, en rappelant notre "
            f"référence {{reference}}. Dites au nom de qui vous écrivez et si vous entendez{NBSP}:",
            "acknowledge": f"accuser réception{NBSP}: cela confirme que vous avez reçu cette lettre, et rien d’autre",
            "do_object": "vous opposer {to}",
            "do_view": "donner votre avis, ou vous opposer à la divulgation",
            "do_terminate": "résilier le contrat",
            "do_consent_start": f"donner votre accord pour commencer le {{day}}, ou le refuser{NBSP}; le silence ne "
            "vaut pas accord",
            "do_consent": f"donner votre accord, ou le refuser{NBSP}; le silence ne vaut pas accord",
            "do_confirm": f"confirmer{NBSP}: «{NBSP}{{statement}}{NBSP}»",
            "mailed": "Une copie de cette notification est adressée par courriel à vos contacts, avec un lien vers une "
            "page où vous pouvez aussi répondre.",
            "mailed_no_clock": f"Cette copie ne fait courir aucun délai{NBSP}: seule cette lettre le fait.",
            "questions": "Pour toute question, vous pouvez aussi écrire à {address}.",
            "silence": "Si vous ne répondez pas",
            "silence_emergency": f"Le silence ne vaut pas accord{NBSP}: sans votre accord, votre délai court comme à "
            "l’ordinaire et le changement ne commence pas pour vous avant la fin de ce délai.",
            "forward": "Pour informer vos propres clients",
            "closing": "Nous vous prions d’agréer, Madame, Monsieur, l’expression de nos salutations distinguées.",
        },
    }
)
_ENDS = MappingProxyType({"en": (";", "."), "fr": (f"{NBSP};", ".")})
_CONSULTATION = "consultation"


def title_of_batch(announcement: Announcement, written_on: date, language: str) -> str:
    """Return what a file of letters calls itself."""
    day = plain_date(written_on, language)
    return _WORDS[language]["batch"].format(reference=announcement.reference, day=day)


def reference_of(announcement: Announcement, client: Client, letter: PaperLetter) -> str:
    """Return what tells one letter from all others: the announcement's reference and the client's number."""
    written = f"{announcement.reference}/{client.key}"
    parts = [f"e{letter.edition}"] if letter.edition > 1 else []
    return "/".join([written, *parts, *([str(letter.number)] if letter.number > 1 else [])])


def written(
    announcement: Announcement, profile: Provider, one: Addressed, *, written_on: date
) -> documents.PaperLetter:
    """Write one letter in its language."""
    language = one.letter.language
    say = _WORDS[language]
    name, what = letter_words.title(announcement, language), letter_words.what(announcement, language)
    return documents.PaperLetter(
        language=language,
        sender=(profile.legal_name, profile.address),
        recipient=_recipient(one, language),
        mark=say[one.letter.channel.value],
        reference=reference_of(announcement, one.client, one.letter),
        written_on=plain_date(written_on, language),
        subject=f"{name}{letter_words.COLON[language]} {what}" if what else name,
        sections=(
            _opening(announcement, profile, one, language),
            *_made(announcement, profile, one, language),
            *_differences(announcement, one, language),
            _what(announcement, profile, one, language),
            *_measures(announcement, language),
            _why(announcement, profile, language),
            *_time(announcement, one, language),
            _how(announcement, profile, one, language),
            *_forward(announcement, profile, one, written_on, language),
            _silence(announcement, one, language),
        ),
        signature=(profile.legal_name,),
    )


def _recipient(one: Addressed, language: str) -> tuple[str, ...]:
    client, contact = one.client, one.contact
    attention = _WORDS[language]["attention"].format(name=contact.name) if contact and contact.name else ""
    town = f"{client.postcode} {client.town}".strip()
    return client.company, attention, client.address, town, country_name(client.country, language)


def _opening(announcement: Announcement, profile: Provider, one: Addressed, language: str) -> Section:
    say = _WORDS[language]
    duty = say["consult" if announcement.aspect == _CONSULTATION else "duty"].format(clause=one.rule.clause)
    of = letter_words.names(announcement, language)["of"]
    paragraphs = [say["greeting"]]
    if one.repeats:
        paragraphs.append(say["repeats"].format(day=plain_date(one.repeats, language)))
    if one.replaces:
        told_on = local_day(one.replaces.made_at, zone(profile.timezone))
        paragraphs.append(say["replaces"].format(day=plain_date(told_on, language)))
    paragraphs.append(f"{say['lead'].format(provider=profile.legal_name, of=of)} {duty}")
    if one.late_reason:
        paragraphs += [say["late"].format(provider=profile.legal_name), one.late_reason]
    rows = (
        (say["what"], letter_words.what(announcement, language)),
        (say["when"], letter_words.when(announcement, profile, language)),
        (say["reference"], reference_of(announcement, one.client, one.letter)),
    )
    told = tuple(row for row in rows if row[1])
    table = Table(caption=letter_words.title(announcement, language), rows=told)
    return Section(heading="", paragraphs=tuple(paragraphs), tables=(table,))


def _differences(announcement: Announcement, one: Addressed, language: str) -> tuple[Section, ...]:
    if one.replaces is None:
        return ()
    differing = letter_words.differences(one.replaces, announcement, language)
    before, after = letter_words.BEFORE_AND_AFTER[language]
    tables = tuple(
        Table(caption=row["label"], rows=((before, row["before"]), (after, row["after"]))) for row in differing
    )
    return (Section(heading=_WORDS[language]["differences"], tables=tables),) if tables else ()


def _what(announcement: Announcement, profile: Provider, one: Addressed, language: str) -> Section:
    say = _WORDS[language]
    why = letter_notes.why_in_a_sentence(announcement, one.client, language)
    happened = letter_words.has_happened(announcement, profile) or announcement.kind is AnnouncementKind.DISCLOSURE
    heading = say["happened" if happened else "changes"]
    if announcement.changes:
        changes = [from_json(change) for change in announcement.changes]
        tables = tuple(table for change in changes for table in _tables(change, language))
        said = letter_words.facts_of(announcement, language)
        written = (
            said[1:] if announcement.kind is AnnouncementKind.EMERGENCY else said
        )  # its measures stand by themselves
        guarantees = tuple(Table(caption=row["label"], rows=(("", row["value"]),)) for row in written)
        return Section(heading=heading, paragraphs=(why,) if why else (), tables=(*tables, *guarantees))
    facts = tuple((row["label"], row["value"]) for row in letter_words.facts_of(announcement, language))
    return Section(heading=heading, tables=(Table(caption=letter_words.title(announcement, language), rows=facts),))


def _tables(change: Change, language: str) -> tuple[Table, ...]:
    """One table for what changes within an entry; of a replacement, what was and what will be."""
    told = entry_words.describe(change, language)
    if change.stays:
        rows = tuple((field["label"], f"{field['before']} → {field['after']}") for field in told["fields"])
        return (Table(caption=told["sentence"], rows=rows),)
    both = zip(letter_words.BEFORE_AND_AFTER[language], (told["before"], told["after"]), strict=True)
    entries = [(word, entry) for word, entry in both if entry]
    if len(entries) == 1:
        return (Table(caption=told["sentence"], rows=tuple(entries[0][1].items())),)
    return tuple(
        Table(caption=f"{told['sentence']} – {word.lower()}", rows=tuple(entry.items())) for word, entry in entries
    )


def _measures(announcement: Announcement, language: str) -> tuple[Section, ...]:
    if announcement.kind is not AnnouncementKind.EMERGENCY:
        return ()
    measures = letter_words.facts_of(announcement, language)[0]["value"]
    return (Section(heading=_WORDS[language]["measures"], paragraphs=(measures,)),)


def _why(announcement: Announcement, profile: Provider, language: str) -> Section:
    listed = _WORDS[language]["list"].format(address=letter_words.list_url(profile))
    reasons = announcement.reasons[language].split("\n")
    paragraphs = (*reasons, listed) if announcement.changes else tuple(reasons)
    return Section(heading=_WORDS[language]["why"], paragraphs=paragraphs)


def _made(announcement: Announcement, profile: Provider, one: Addressed, language: str) -> tuple[Section, ...]:
    """Say of a change that no longer waits when it was made, and of one that did not wait its time why."""
    if one.notice.live_at is None or not one.is_made(announcement):
        return ()
    say, day = _WORDS[language], plain_date(local_day(one.notice.live_at, zone(profile.timezone)), language)
    if one.breach is None:
        return (Section(heading=say["made"], paragraphs=(say["made_on"].format(day=day),)),)
    breached = say["breached"].format(
        provider=profile.legal_name,
        the=letter_words.names(announcement, language)["the"],
        day=day,
        clause=one.rule.clause,
    )
    measures = one.breach.measures.get(language, "")
    protects = (say["protects"], *measures.split("\n")) if measures else ()
    paragraphs = (breached, *one.breach.reasons[language].split("\n"), *protects, say["kept"])
    return (Section(heading=say["made"], paragraphs=paragraphs),)


def _time(announcement: Announcement, one: Addressed, language: str) -> tuple[Section, ...]:
    """Say until when one may answer, counted from the receipt of the letter, and what waits for that."""
    say, rule, made = _WORDS[language], one.rule, one.is_made(announcement)
    if made and not _has_time_to_act(rule):
        return ()
    if not letter_notes.has_last_day(announcement, rule):
        note = letter_notes.note_without_last_day(rule, language)
        return (Section(heading=say["contract"], paragraphs=(f"{note[0].upper()}{note[1:]}.",)),)
    if not rule.runs or rule.period is None:
        return (Section(heading=say["until_answer"], paragraphs=(say["waits_consent"],)),)
    act = _act(announcement, rule, made=made)
    allowed = say["time"].format(
        act=say[act],
        period=_in_words(rule, language, window=True),
        start=say[f"from_{one.letter.channel.value}"],
        clause=rule.clause,
    )
    unclaimed = rule.unclaimed if one.letter.channel is Channel.E_LETTER else Unclaimed.NEVER
    sentences = (allowed, say.get(rule.counting.value, ""), say.get(unclaimed.value, ""))
    waits = () if made else _waits(announcement, rule, language)
    paragraphs = (" ".join(sentence for sentence in sentences if sentence), *waits)
    return (Section(heading=say[f"until_{act}"], paragraphs=paragraphs),)


def _has_time_to_act(rule: Rule) -> bool:
    """Say whether there is something else than a consent to be given within the client's time."""
    return rule.runs and (rule.may_object or rule.may_terminate or rule.asks_confirmation)


def _act(announcement: Announcement, rule: Rule, *, made: bool) -> str:
    if announcement.aspect == _CONSULTATION:
        return "view"
    asked = rule.asks_consent or (announcement.kind is AnnouncementKind.EMERGENCY and not made)
    return "object" if rule.may_object and not asked else "answer"


def _waits(announcement: Announcement, rule: Rule, language: str) -> tuple[str, ...]:
    say = _WORDS[language]
    if rule.asks_consent:
        return (say["waits_consent"],)
    if not rule.waits or KINDS[announcement.kind].at_once:
        return ()
    key = "waits_emergency" if announcement.kind is AnnouncementKind.EMERGENCY else "waits"
    if key == "waits" and rule.window:
        key = "waits_both" if rule.window_holds else "waits_period"
    day = plain_date(announcement.effective_on, language)
    return (say[key].format(day=day, period=_in_words(rule, language, window=False)),)


def _in_words(rule: Rule, language: str, *, window: bool) -> str:
    period = (rule.window if window else None) or rule.period
    counting = rule.counting if isinstance(rule.counting, Counting) else None
    return period_in_words(period, language, counting) if period else ""


def _how(announcement: Announcement, profile: Provider, one: Addressed, language: str) -> Section:
    say = _WORDS[language]
    between, last = _ENDS[language]
    points = _points(announcement, one, language)
    listed = [f"– {point}{last if point is points[-1] else between}" for point in points]
    asked = "\n".join([say["how_post"].format(reference=reference_of(announcement, one.client, one.letter)), *listed])
    copied = [say["mailed"], *([say["mailed_no_clock"]] if one.rule.runs else [])] if one.mailed else []
    questions = say["questions"].format(address=profile.reply_to)
    paragraphs = (asked, " ".join(copied), questions)
    return Section(heading=say["how"], paragraphs=tuple(text for text in paragraphs if text))


def _points(announcement: Announcement, one: Addressed, language: str) -> Sequence[str]:
    say, made = _WORDS[language], one.notice.live_at is not None
    acts = letter_notes.acts(announcement, [one.rule], language, made=made)
    to = letter_words.names(announcement, language)["to_short"]
    day = plain_date(announcement.effective_on, language)
    start = "do_consent_start" if announcement.kind is AnnouncementKind.EMERGENCY else "do_consent"
    objects = "do_view" if announcement.aspect == _CONSULTATION else "do_object"
    offered: dict[str, Any] = {
        "acknowledge": True,
        objects: acts["object"],
        "do_terminate": acts["terminate"],
        start: acts["consent"],
    }
    points = [say[key].format(to=to, day=day) for key, may in offered.items() if may]
    return points + [say["do_confirm"].format(statement=statement) for statement in acts["confirm"]]


def _forward(
    announcement: Announcement, profile: Provider, one: Addressed, written_on: date, language: str
) -> tuple[Section, ...]:
    """Give a client that is itself a processor the text for its own clients."""
    if not one.client.reseller:
        return ()
    note = forwarding.forward_note(one.rule, announcement, profile, language, received_on=written_on)
    text = forwarding.neutral_text(announcement, profile, language)
    paragraphs = (f"{note[0].upper()}{note[1:]}.", *text.split("\n\n"))
    return (Section(heading=_WORDS[language]["forward"], paragraphs=paragraphs),)


def _silence(announcement: Announcement, one: Addressed, language: str) -> Section:
    say, says = _WORDS[language], one.rule.says[language]
    if one.is_made(announcement):  # then silence means nothing any more, and there is nothing left to consent to
        remedy = () if one.rule.asks_consent else (says["remedy"],)
        return Section(heading=say["rights"] if remedy else "", paragraphs=(*remedy, say["closing"]))
    emergency = announcement.kind is AnnouncementKind.EMERGENCY and one.rule.runs
    silence = say["silence_emergency"] if emergency else says["silence"]
    paragraphs = (silence, says["remedy"], say["closing"])
    return Section(heading=say["silence"], paragraphs=paragraphs)
