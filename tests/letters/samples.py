"""What the letters are tried with: scenes, each a letter with one context and one recipient's facts, all invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Any
from uuid import UUID

from notifier.adapters.dates import end_of_day, instant, mail_date, plain_date
from notifier.adapters.letters import LETTERS, Attachment, LetterHead
from notifier.models import Announcement, AnswerKind, Edition, Notice, Provider
from notifier.rules.entries import Entry
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.moulds import Fact
from notifier.rules.periods import Backward, Counting, Period
from notifier.rules.registry_diff import as_json, diff, from_json
from notifier.rules.scope import Reason
from notifier.rules.terms import Addressees, Channel, Mode, ReceiptPolicy, Rule, Silence, Unclaimed
from notifier.services import entry_words, forwarding, letter_notes, letter_words, reminders, subscriptions

PARIS = "Europe/Paris"
PUBLISHED_AT = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
ANSWERED_AT = datetime(2026, 11, 24, 15, 2, tzinfo=UTC)
LINK = "https://notices.hebergement.example/n/Zx0aVq3m8sKf2Jb7-YtR4wLc9EhUo1Dp6Ng5Xi_QrM"
HEAD = LetterHead(
    name="Hébergement Exemple",
    address="notices@hebergement.example",
    reply_to="privacy@hebergement.example",
    domain="notices.hebergement.example",
)
PROFILE = Provider(
    legal_name="Hébergement Exemple",
    address="12, rue des Exemples, 92210 Saint-Exemple, France",
    privacy_contact="privacy@hebergement.example",
    reply_to="privacy@hebergement.example",
    base_url="https://notices.hebergement.example",
)
PROVIDER = MappingProxyType(
    {name: getattr(PROFILE, name) for name in ("legal_name", "address", "privacy_contact", "reply_to")}
)
FIRST, SECOND = "Clinique du Lac & Fils", "Laboratoire “Étoile” SARL"
_LABELS = {
    "en": ("Name", "Address", "Country", "Activity"),
    "fr": ("Nom", "Adresse", "Pays", "Prestations sous-traitées"),
}
REASONS = {
    "en": "The lease of the Villeneuve site ends on 31 January 2027.\n\n"
    "The machines move to a site of the same certification; no data leave the country.",
    "fr": "Le bail du site de Villeneuve prend fin le 31 janvier 2027.\n\n"
    "Les machines rejoignent un site de même certification\xa0; aucune donnée ne quitte le pays.",
}
_TEXTS = {
    "en": {
        "country": "France",
        "activity": "Hosting of machines (colocation)",
        "clause": "Article 5 of the special conditions",
        "silence": "If you do not answer by your last day, the change takes effect on the day stated.",
        "remedy": "If you disagree, you may terminate the contract; Article 6 then says how your data come back.",
        "note": "30 days from receipt, under your contract of 17 August 2022",
        "reasons_given": "The new site is outside the perimeter that our auditor accepted.\nPlease call us.",
    },
    "fr": {
        "country": "France",
        "activity": "Hébergement de machines (colocation)",
        "clause": "article 5 des conditions particulières",
        "silence": "Sans réponse de votre part au dernier jour, le changement prend effet à la date indiquée.",
        "remedy": "En cas de désaccord, vous pouvez résilier le contrat\xa0; l’article 6 règle alors "
        "le retour de vos données.",
        "note": "30 jours à compter de la réception, selon votre contrat du 17 août 2022",
        "reasons_given": "Le nouveau site est hors du périmètre accepté par notre auditeur.\nMerci de nous appeler.",
    },
}

# --- what is announced -----------------------------------------------------------------------------------------------

_OLD = Entry(key="a", name="Datacentre Alpha SAS", town="Villeneuve", country="FR", activities=("Colocation",))
_NEW = Entry(
    key="b", name="Data & Centre Beta SAS", town="Bellerive", country="FR", activities=("Colocation",), replaces="a"
)
_OTHER = replace(_NEW, key="c", name="Centre Gamma SA", town="Hautmont", country="BE")
_SILENCE = {
    "en": "If you say nothing, the change takes effect on the day announced.",
    "fr": "Sans réponse de votre part, le changement prend effet à la date annoncée.",
}
_REMEDY = {
    "en": "If you disagree, you may object; Article 6 of your contract then applies.",
    "fr": "En cas de désaccord, vous pouvez vous opposer\xa0; l’article 6 de votre contrat s’applique alors.",
}


def an_announcement(
    kind: str = "subprocessor",
    aspect: str = "",
    **fields: Any,  # noqa: ANN401 - columns of any type
) -> Announcement:
    changes = [as_json(change) for change in diff([_OLD], [_NEW])] if kind in {"subprocessor", "emergency"} else []
    written = {
        "reference": "2026-03",
        "facts": {},
        "changes": changes,
        "reasons": REASONS,
        "effective_on": date(2027, 1, 15),
        "published_at": PUBLISHED_AT,
    }
    return Announcement(kind=AnnouncementKind(kind), aspect=aspect, **{**written, **fields})


def a_rule(**fields: Any) -> Rule:  # noqa: ANN401 - fields of any type
    written: dict[str, Any] = {
        "mode": Mode.NOTICE,
        "period": Period.parse("30 days"),
        "window": None,
        "window_holds": True,
        "counting": Counting.CAL_STRICT,
        "calendar": "FR",
        "timezone": PARIS,
        "margin_days": 2,
        "paper_margin_days": 10,
        "receipt": ReceiptPolicy.DEEMED,
        "cutoff": time(18),
        "unclaimed": Unclaimed.NEVER,
        "addressees": Addressees.ALL,
        "roles": ("dpo",),
        "mandatory_roles": (),
        "channels": (Channel.MAIL,),
        "silence": Silence.ACCEPTANCE,
        "clause": "Art. 5",
        "prevails": False,
        "forward_days": 0,
        "downstream_period": None,
        "says": _saying(),
        "unconfirmed": (),
        "overridden": (),
    }
    return Rule(**{**written, **fields})


def _saying(
    silence: Mapping[str, str] = MappingProxyType(_SILENCE),
    remedy: Mapping[str, str] = MappingProxyType(_REMEDY),
    confirmation: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, dict[str, str]]:
    return {
        one: {"silence": silence[one], "remedy": remedy[one], "confirmation": confirmation.get(one, "")}
        for one in ("en", "fr")
    }


MAINTENANCE = an_announcement(
    "service",
    "maintenance",
    reference="SV-2026-002",
    effective_on=date(2026, 12, 5),
    facts={
        "service": "Object storage, region West",
        "what_en": "The storage controllers are replaced, one after the other.",
        "what_fr": "Les contrôleurs de stockage sont remplacés l’un après l’autre.",
        "impact_en": "Reading stays possible; writing may fail for up to two minutes at a time.",
        "impact_fr": "La lecture reste possible\xa0; l’écriture peut échouer deux minutes au plus à chaque fois.",
        "window_en": "Saturday, 02:00 to 05:00 (Paris time)",
        "window_fr": "Samedi, de 2 h à 5 h (heure de Paris)",
    },
    reasons={
        "en": "The present controllers reach the end of their support.",
        "fr": "Les contrôleurs actuels arrivent en fin de support.",
    },
)
NEW_SERVICE = an_announcement(
    "service",
    "new",
    reference="SV-2026-003",
    effective_on=date(2026, 11, 23),
    facts={
        "service": "Key management",
        "what_en": "Encryption keys can be kept in a service of their own.",
        "what_fr": "Les clés de chiffrement peuvent être gardées dans un service distinct.",
        "impact_en": "None for those who do not use it.",
        "impact_fr": "Aucun pour qui ne l’utilise pas.",
    },
    reasons={"en": "Clients asked for it.", "fr": "Des clients l’ont demandé."},
)
LOCATION = an_announcement(
    "location",
    "storage",
    reference="LO-2026-001",
    facts={
        "place": "Hautmont 2",
        "country": "BE",
        "what_en": "Backups are kept at a second site.",
        "what_fr": "Les sauvegardes sont conservées sur un second site.",
    },
    reasons={"en": "The first site is full.", "fr": "Le premier site est complet."},
)
SECURITY = an_announcement(
    "security",
    reference="SE-2026-001",
    facts={
        "measure": "Tests d’intrusion",
        "before_en": "Twice a year",
        "before_fr": "Deux fois par an",
        "after_en": "Once a year",
        "after_fr": "Une fois par an",
    },
    reasons={"en": "The auditor’s new cycle is yearly.", "fr": "Le nouveau cycle de l’auditeur est annuel."},
)
LOST = an_announcement(
    "certification",
    "lost",
    reference="CE-2026-001",
    effective_on=date(2026, 11, 20),
    facts={
        "certificate": "ISO 27001",
        "holder": "Datacentre Alpha SAS",
        "since": "2026-11-18",
        "what_en": "The Villeneuve site is no longer certified.",
        "what_fr": "Le site de Villeneuve n’est plus certifié.",
    },
    reasons={
        "en": "The holder did not pass its surveillance audit.",
        "fr": "Le titulaire n’a pas réussi son audit de surveillance.",
    },
)
CONSULTATION = an_announcement(
    "disclosure",
    "consultation",
    reference="DI-2026-001",
    effective_on=date(2026, 12, 7),
    facts={
        "authority": "Tribunal judiciaire de Saint-Exemple",
        "basis_en": "Order of 17 November 2026, article 99-3 of the Code of criminal procedure",
        "basis_fr": "Réquisition du 17 novembre 2026, article 99-3 du Code de procédure pénale",
        "scope_en": "Connection logs of one account, from 1 to 30 September 2026",
        "scope_fr": "Journaux de connexion d’un compte, du 1er au 30 septembre 2026",
    },
    reasons={
        "en": "The order binds us; it does not forbid us to tell you.",
        "fr": "La réquisition s’impose à nous\xa0; elle ne nous interdit pas de vous en informer.",
    },
)
DOCUMENT = an_announcement(
    "document",
    reference="DO-2026-001",
    effective_on=date(2026, 11, 20),
    facts={
        "document": "ISO 27001 certificate",
        "edition": "2026-11",
        "valid_from": "2026-11-20",
        "valid_until": "2029-11-19",
        "address": "https://hebergement.example/certificates",
        "what_en": "The certificate is renewed, with the same perimeter.",
        "what_fr": "Le certificat est renouvelé, pour le même périmètre.",
    },
    reasons={"en": "The old one expired.", "fr": "Le précédent est arrivé à échéance."},
)
SUPPORT = an_announcement(
    "support",
    reference="SU-2026-001",
    facts={
        "before": "Assistance Delta SARL",
        "after": "Assistance Epsilon SAS",
        "country": "FR",
        "what_en": "First-line support, by telephone and by ticket.",
        "what_fr": "Support de premier niveau, par téléphone et par ticket.",
    },
    reasons={"en": "The contract with the old one ends.", "fr": "Le contrat avec la précédente prend fin."},
)
EMERGENCY = an_announcement(
    "emergency",
    reference="EM-2026-001",
    effective_on=date(2026, 11, 27),
    facts={
        "measures_en": "The data stays encrypted with keys that the new site does not hold.",
        "measures_fr": "Les données restent chiffrées avec des clés que le nouveau site ne détient pas.",
    },
    reasons={
        "en": "The Villeneuve site was flooded on 18 November 2026.",
        "fr": "Le site de Villeneuve a été inondé le 18 novembre 2026.",
    },
)
CORRECTED = an_announcement(
    edition=2, effective_on=date(2027, 1, 29), changes=[as_json(one) for one in diff([_OLD], [_OTHER])]
)
BEFORE = Edition(
    announcement_id=UUID(int=1),
    number=1,
    in_substance=True,
    changes=an_announcement().changes,
    facts={},
    reasons={one: text.split("\n")[0] for one, text in REASONS.items()},
    effective_on=date(2027, 1, 15),
    made_at=datetime(2026, 11, 16, 9, 0, tzinfo=UTC),
    made_by="user:1",
)
AT_ONCE = {
    "en": "You are told so that you can draw your own conclusions; silence has no consequence.",
    "fr": "Cette information vous permet d’en tirer vos propres conclusions\xa0; le silence est sans conséquence.",
}
RIGHT_TO_LEAVE = {
    "en": "You may terminate the contract without penalty.",
    "fr": "Vous pouvez résilier le contrat sans pénalité.",
}
WELCOME = {"en": "Questions are welcome at any time.", "fr": "Vos questions sont bienvenues à tout moment."}
INFORMED = a_rule(mode=Mode.INFORMATION, period=None, clause="Art. 8", says=_saying(AT_ONCE, WELCOME))
A_WEEK_BEFORE = a_rule(
    mode=Mode.INFORMATION,
    period=Period.parse("1 week"),
    counting=Backward.BACK_CLEAR_SAFE,
    clause="Art. 7",
    says=_saying(_SILENCE, WELCOME),
)
CONSENT = a_rule(
    mode=Mode.CONSENT,
    period=None,
    clause="Art. 9.2",
    silence=Silence.REFUSAL,
    says=_saying(
        {
            "en": "If you say nothing, you have refused, and nothing changes for you.",
            "fr": "Votre silence vaut refus, et rien ne change pour vous.",
        },
        {"en": "You may consent at any time.", "fr": "Vous pouvez donner votre accord à tout moment."},
    ),
)
CONFIRMING = a_rule(
    mode=Mode.INFORMATION,
    period=None,
    clause="Art. 11",
    says=_saying(
        AT_ONCE,
        RIGHT_TO_LEAVE,
        {
            "en": "We have stopped sending health data to the services concerned.",
            "fr": "Nous avons cessé d’envoyer des données de santé vers les services concernés.",
        },
    ),
)
LEAVING = a_rule(mode=Mode.NOTICE_WITH_EXIT, period=None, clause="Art. 6", says=_saying(AT_ONCE, RIGHT_TO_LEAVE))
HEARD = a_rule(
    mode=Mode.CONSULTATION,
    period=Period.parse("5 business days"),
    counting=Counting.BUSINESS,
    clause="Art. 12",
    says=_saying(
        {
            "en": "If you say nothing, we answer the authority after your last day.",
            "fr": "Sans réponse de votre part, nous répondons à l’autorité après votre dernier jour.",
        },
        {
            "en": "Your view is weighed before anything is disclosed.",
            "fr": "Votre avis est examiné avant toute divulgation.",
        },
    ),
)
TWO_CLOCKS = a_rule(window=Period.parse("60 days"), clause="Art. 4")
EXIT = a_rule(mode=Mode.NOTICE_WITH_EXIT)
RESELLING = replace(EXIT, downstream_period=Period.parse("30 days"), forward_days=15)

# --- scenes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One letter as it is tried: what it is about, what all its recipients share besides, and one recipient's facts."""

    letter: str
    shared: Callable[[str], Mapping[str, object]]
    facts: Callable[[str], Mapping[str, Fact]]
    about: Announcement | None = None
    attachments: Callable[[str], Sequence[Attachment]] = lambda _language: ()


def letter_of(scene: str) -> str:
    return SCENES[scene].letter


def context(scene: str, language: str) -> dict[str, object]:
    """Return what all recipients of a letter share."""
    found = SCENES[scene]
    announced = letter_words.announced(found.about, PROFILE, language) if found.about else {}
    about = {"announcement": announced} if announced else {}
    return {"provider": PROVIDER, **about, **found.shared(language)}


def facts(scene: str, language: str) -> dict[str, Fact]:
    """Return what one recipient's mail has of its own."""
    common: dict[str, Fact] = {
        "to_name": "Anaïs Müller-Lefèvre",
        "to_address": "anais.muller@clinique.example",
        "date": mail_date(PUBLISHED_AT),
        "message_id": str(UUID(int=7)),
        **({"link": LINK} if "link" in LETTERS[letter_of(scene)].once else {}),
    }
    return {**common, **SCENES[scene].facts(language)}


def attachments(scene: str, language: str) -> Sequence[Attachment]:
    return SCENES[scene].attachments(language)


def changes(language: str) -> list[dict[str, object]]:
    """Return one change, a replacement."""
    name, address, country, activity = _LABELS[language]
    text = _TEXTS[language]
    old = {name: "Datacentre Alpha SAS", address: "3, avenue du Port, 93000 Villeneuve", country: text["country"]}
    new = {name: "Data & Centre Beta SAS", address: "8, quai Neuf, 94000 Bellerive", country: text["country"]}
    return [
        {
            "kind": "replaced",
            "stays": False,
            "sentence": letter_words.what(an_announcement(), language),
            "before": {**old, activity: text["activity"]},
            "after": {**new, activity: text["activity"]},
            "fields": [],
        }
    ]


def every_change(language: str) -> list[dict[str, object]]:
    """Return a change of each kind."""
    [replaced] = changes(language)
    _, address, country, _ = _LABELS[language]
    moved = {"label": address, "before": "1, rue Basse, 1000 Exempleville", "after": "2, rue Haute, 1000 Exempleville"}
    told = {"label": country, "before": "", "after": "Luxembourg"}
    plain: dict[str, object] = {"before": None, "after": None, "fields": [], "stays": False}
    return [
        replaced,
        {**plain, "kind": "added", "sentence": "Réseau Gamma", "after": replaced["after"]},
        {**plain, "kind": "removed", "sentence": "Fibre Delta", "before": replaced["before"]},
        {**plain, "kind": "moved", "stays": True, "sentence": "Interconnexion Epsilon", "fields": [moved, told]},
    ]


def _first_notice(language: str) -> dict[str, object]:
    """Return a notice as the first version of the product wrote it."""
    rule = {"runs": True, "consent": False, **{key: _TEXTS[language][key] for key in ("clause", "silence", "remedy")}}
    return {**_notice(an_announcement(), EXIT, language), "changes": changes(language), "rules": [rule]}


def _notice(
    announcement: Announcement, rule: Rule, language: str, *, courtesy: str = "", **fields: object
) -> dict[str, object]:
    timed = courtesy != "all" and letter_notes.has_last_day(announcement, rule)
    return {
        "changes": [entry_words.describe(from_json(change), language) for change in announcement.changes],
        "facts": letter_words.facts_of(announcement, language),
        "rules": [letter_notes.said(rule, language)],
        "acts": letter_notes.acts(announcement, [rule], language),
        "runs": rule.runs and courtesy != "all",
        "timed": timed,
        "told_only": courtesy != "all" and not timed,
        "courtesy": courtesy,
        "repeat_of": "",
        "scoped": False,
        "late_reason": "",
        "correction": None,
        "forwarding": [],
        **fields,
    }


def _scene(
    announcement: Announcement,
    rule: Rule,
    fields: Callable[[str], Mapping[str, object]] = lambda _language: {},
    rows: Callable[[str], Mapping[str, Fact]] = lambda _language: {},
    attached: Callable[[str], Sequence[Attachment]] = lambda _language: (),
) -> Scene:
    def shared(language: str) -> Mapping[str, object]:
        return {**_notice(announcement, rule, language), **fields(language)}

    def one(language: str) -> Mapping[str, Fact]:
        return {**_rows(announcement, rule, language), **rows(language)}

    return Scene(letter="notice", about=announcement, shared=shared, facts=one, attachments=attached)


def _rows(announcement: Announcement, rule: Rule, language: str) -> dict[str, Fact]:
    empty: dict[str, Fact] = {"entities": [], "told": [], "courtesy": [], "forwards": [], "concerned": []}
    if not letter_notes.has_last_day(announcement, rule):
        note = letter_notes.note_without_last_day(rule, language)
        return {**empty, "told": [{"company": company, "rule_note": note} for company in (FIRST, SECOND)]}
    notice = a_notice(announcement, rule)
    entity = {
        "last_day": end_of_day(notice.object_by, PARIS, language),
        "rule_note": letter_notes.note_of_clock(announcement, notice, rule, language),
        "ics_date": notice.object_by.strftime("%Y%m%d"),
    }
    return {**empty, "entities": [{"company": FIRST, **entity, "ics_uid": str(UUID(int=8))}]}


def a_notice(announcement: Announcement, rule: Rule) -> Notice:
    reckoned = rule.promise(PUBLISHED_AT, effective_on=announcement.effective_on)
    return Notice(
        object_by=reckoned.last_day,
        object_until=reckoned.until,
        holds_until=reckoned.opens_at,
        channel=Channel.PAPER,
        announcement_id=UUID(int=1),
        client_id=UUID(int=1),
        terms_id=UUID(int=1),
        sealed_id=UUID(int=1),
        raised_at=PUBLISHED_AT,
    )


def _first_rows(language: str) -> Mapping[str, Fact]:
    last_day = end_of_day(date(2026, 12, 21), PARIS, language)
    first = {"company": FIRST, "last_day": last_day, "rule_note": _TEXTS[language]["note"]}
    second = {"company": SECOND, "last_day": last_day, "rule_note": ""}
    return {
        "entities": [
            {**first, "ics_date": "20261221", "ics_uid": str(UUID(int=8))},
            {**second, "ics_date": "20261221", "ics_uid": str(UUID(int=9))},
        ],
        "told": [],
        "courtesy": [],
        "forwards": [],
        "concerned": [],
    }


def _late(language: str) -> Mapping[str, object]:
    reasons = {
        "en": "Article 7, paragraph 3: a service that is needed to remedy a security fault may be told later.",
        "fr": "Article 7, alinéa 3\xa0: un service nécessaire pour corriger une faille de sécurité peut être annoncé "
        "plus tard.",
    }
    return {"late_reason": reasons[language]}


def _corrected(language: str) -> Mapping[str, object]:
    told_on = plain_date(BEFORE.made_at.date(), language)
    return {"correction": {"told_on": told_on, "differences": letter_words.differences(BEFORE, CORRECTED, language)}}


def _copied(language: str) -> Mapping[str, object]:
    return _notice(an_announcement(), EXIT, language, courtesy="all")


def _concerning(_language: str) -> Mapping[str, object]:
    return {"scoped": True}


def _concerned(language: str) -> Mapping[str, Fact]:
    reason = Reason(services=("Archivage", "Calcul"), regions=("Europe & Suisse",))
    unsaid = Reason(unstated=("services",))
    notes = zip((FIRST, SECOND), (reason, unsaid), strict=True)
    return {
        "concerned": [{"company": company, "rule_note": letter_notes.because(one, language)} for company, one in notes]
    }


def _copied_rows(language: str) -> Mapping[str, Fact]:
    note = letter_notes.note_of_letter(a_notice(an_announcement(), EXIT), EXIT, language)
    return {"entities": [], "courtesy": [{"company": FIRST, "rule_note": note}]}


def _forwarded(_language: str) -> Mapping[str, object]:
    told = an_announcement()
    texts = [{"language": one, "text": forwarding.neutral_text(told, PROFILE, one)} for one in ("en", "fr")]
    return {"forwarding": texts}


def _forwarded_rows(language: str) -> Mapping[str, Fact]:
    told, received_on = an_announcement(), RESELLING.received_on(PUBLISHED_AT)
    note = forwarding.forward_note(RESELLING, told, PROFILE, language, received_on=received_on)
    return {"forwards": [{"company": FIRST, "forward_note": note}]}


def _json_to_forward(_language: str) -> Sequence[Attachment]:
    told = forwarding.forwarding(an_announcement(), PROFILE)
    text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
    return [Attachment(filename="notice.json", content_type="application/json", text=text)]


def _answered(language: str) -> dict[str, Fact]:
    return {
        "answered_at": instant(ANSWERED_AT, PARIS, language),
        "reference": "R-2026-000117",
        "signed_name": "Anaïs Müller-Lefèvre",
    }


def _receipt(announcement: Announcement, kind: str, statement: Callable[[str], str] = lambda _language: "") -> Scene:
    def one(language: str) -> Mapping[str, Fact]:
        return {**_answered(language), "entities": [{"company": company} for company in (FIRST, SECOND)]}

    def shared(language: str) -> Mapping[str, object]:
        return {"answer_kind": kind, "statement": statement(language)}

    return Scene(letter="receipt", about=announcement, shared=shared, facts=one)


def _alert(announcement: Announcement, kind: str) -> Scene:
    def one(language: str) -> Mapping[str, Fact]:
        return {**_answered(language), "company": FIRST, "reasons": _TEXTS[language]["reasons_given"]}

    return Scene(letter="objection", about=announcement, shared=lambda _language: {"answer_kind": kind}, facts=one)


def _later(announcement: Announcement, rule: Rule) -> Scene:
    def one(language: str) -> Mapping[str, Fact]:
        old, new = (end_of_day(date(2026, 12, day), PARIS, language) for day in (21, 28))
        return {"entities": [{"company": FIRST, "old_last_day": old, "last_day": new}]}

    def shared(language: str) -> Mapping[str, object]:
        return {"acts": letter_notes.acts(announcement, [rule], language)}

    return Scene(letter="later_last_day", about=announcement, shared=shared, facts=one)


def _companies(_language: str) -> Mapping[str, Fact]:
    return {"entities": [{"company": company} for company in (FIRST, SECOND)]}


def _postponed(language: str) -> Mapping[str, object]:
    why = {
        "en": "The new site is ready two weeks later than planned.",
        "fr": "Le nouveau site sera prêt deux semaines plus tard que prévu.",
    }
    return {"old_day": plain_date(date(2027, 1, 1), language), "why": why[language]}


def _withdrawn(language: str) -> Mapping[str, object]:
    why = {"en": "The lease has been prolonged.", "fr": "Le bail a été prolongé."}
    return {"why": why[language]}


def _breach(announcement: Announcement, rule: Rule) -> Scene:
    def shared(language: str) -> Mapping[str, object]:
        return _breached(announcement, rule, language)

    def one(language: str) -> Mapping[str, Fact]:
        note = letter_notes.note_of_breach(announcement, a_notice(announcement, rule), rule, language)
        return {"entities": [{"company": FIRST, "note": note}]}

    return Scene(letter="breach", about=announcement, shared=shared, facts=one)


def _breached(announcement: Announcement, rule: Rule, language: str) -> Mapping[str, object]:
    why = {
        "en": "The Villeneuve site was evacuated by order of the prefect.",
        "fr": "Le site de Villeneuve a été évacué par arrêté préfectoral.",
    }
    measures = {
        "en": "The machines were moved switched off; their disks are encrypted.",
        "fr": "Les machines ont été déplacées éteintes\xa0; leurs disques sont chiffrés.",
    }
    return {
        "acts": letter_notes.acts(announcement, [rule], language, made=True),
        "rules": [letter_notes.said(rule, language)],
        "started_at": instant(ANSWERED_AT, PARIS, language),
        "why": why[language],
        "measures": measures[language],
    }


def _reminded(language: str) -> Mapping[str, object]:
    return {"rules": [letter_notes.said(EXIT, language)]}


def _reminded_twice(language: str) -> Mapping[str, object]:
    return {"rules": [letter_notes.said(rule, language) for rule in (EXIT, CONSENT)]}


def _closing(language: str) -> Mapping[str, Fact]:
    last_day = end_of_day(date(2026, 12, 22), PARIS, language)
    silent, objecting = reminders.SILENT[language], reminders.AGAINST[AnswerKind.OBJECTION][language]
    return {
        "entities": [
            {"company": FIRST, "last_day": last_day, "standing": silent},
            {"company": SECOND, "last_day": last_day, "standing": objecting},
        ]
    }


def _came_back(language: str) -> Mapping[str, Fact]:
    then = {
        "en": "The notice has been sent again, to protection@clinic.example.",
        "fr": "La notification a été renvoyée, à protection@clinic.example.",
    }
    return {
        "company": FIRST,
        "returned_from": "dpo@clinic.example",
        "returned_at": instant(ANSWERED_AT, PARIS, language),
        "why": "550 5.1.1 <dpo@clinic.example>: user unknown",
        "then": then[language],
    }


def _last_days(language: str) -> Mapping[str, Fact]:
    last_day = end_of_day(date(2026, 12, 22), PARIS, language)
    return {"entities": [{"company": FIRST, "last_day": last_day}]}


def _news(announcement: Announcement, happened: str, *, old_day: date | None = None) -> Scene:
    def shared(language: str) -> Mapping[str, object]:
        said = subscriptions.news_of(announcement, language)
        return {"happened": happened, "old_day": plain_date(old_day, language) if old_day else "", **said}

    return Scene(letter="subscription_news", about=announcement, shared=shared, facts=lambda _l: {"unsubscribe": LINK})


SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "notice": Scene(letter="notice", about=an_announcement(), shared=_first_notice, facts=_first_rows),
        "notice-concerning": _scene(an_announcement(), EXIT, _concerning, _concerned),
        "notice-maintenance": _scene(MAINTENANCE, A_WEEK_BEFORE),
        "notice-service-late": _scene(NEW_SERVICE, A_WEEK_BEFORE, _late),
        "notice-location-consent": _scene(LOCATION, CONSENT),
        "notice-security-consent": _scene(SECURITY, CONSENT),
        "notice-certification-confirm": _scene(LOST, CONFIRMING),
        "notice-certification-exit": _scene(LOST, LEAVING),
        "notice-disclosure": _scene(CONSULTATION, HEARD),
        "notice-document": _scene(DOCUMENT, INFORMED),
        "notice-support": _scene(SUPPORT, TWO_CLOCKS),
        "notice-emergency": _scene(EMERGENCY, EXIT),
        "notice-correction": _scene(CORRECTED, EXIT, _corrected),
        "notice-courtesy": _scene(an_announcement(), EXIT, _copied, _copied_rows),
        "notice-reseller": _scene(an_announcement(), RESELLING, _forwarded, _forwarded_rows, _json_to_forward),
        "receipt": _receipt(an_announcement(), "acknowledgement"),
        "receipt-consent": _receipt(EMERGENCY, "consent"),
        "receipt-refusal": _receipt(LOCATION, "refusal"),
        "receipt-confirmation": _receipt(
            LOST, "confirmation", lambda language: CONFIRMING.says[language]["confirmation"]
        ),
        "objection": _alert(an_announcement(), "objection"),
        "objection-refusal": _alert(LOCATION, "refusal"),
        "objection-termination": _alert(LOST, "termination"),
        "later_last_day": _later(an_announcement(), EXIT),
        "later_last_day-disclosure": _later(CONSULTATION, HEARD),
        "postponed": Scene(letter="postponed", about=an_announcement(), shared=_postponed, facts=_companies),
        "withdrawn": Scene(letter="withdrawn", about=an_announcement(), shared=_withdrawn, facts=_companies),
        "breach": _breach(an_announcement(), EXIT),
        "breach-consent": _breach(LOCATION, CONSENT),
        "reminder": Scene(letter="reminder", about=an_announcement(), shared=_reminded, facts=_last_days),
        "reminder-emergency": Scene(letter="reminder", about=EMERGENCY, shared=_reminded_twice, facts=_last_days),
        "closing": Scene(letter="closing", about=an_announcement(), shared=lambda _language: {}, facts=_closing),
        "bounced": Scene(letter="bounced", about=an_announcement(), shared=lambda _language: {}, facts=_came_back),
        "sign_in": Scene(
            letter="sign_in",
            shared=lambda _language: {},
            facts=lambda language: {"valid_until": instant(ANSWERED_AT, PARIS, language)},
        ),
        "subscription_confirm": Scene(
            letter="subscription_confirm",
            shared=lambda _language: {"list_url": letter_words.list_url(PROFILE)},
            facts=lambda language: {"valid_until": instant(ANSWERED_AT, PARIS, language)},
        ),
        "subscription_news": _news(an_announcement(), "announced"),
        "subscription_news-postponed": _news(SUPPORT, "postponed", old_day=date(2027, 1, 1)),
        "subscription_news-live": _news(LOCATION, "live"),
    }
)
