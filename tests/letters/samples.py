"""What the letters are tried with: one context and one recipient's facts for each letter and language, all invented."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from uuid import UUID

from notifier.adapters.dates import end_of_day, instant, mail_date, plain_date
from notifier.adapters.letters import LetterHead
from notifier.rules.moulds import Fact

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
PROVIDER = MappingProxyType(
    {
        "legal_name": "Hébergement Exemple",
        "address": "12, rue des Exemples, 92210 Saint-Exemple, France",
        "privacy_contact": "privacy@hebergement.example",
        "reply_to": "privacy@hebergement.example",
    }
)
_LABELS = {
    "en": ("Name", "Address", "Country", "Activity"),
    "fr": ("Nom", "Adresse", "Pays", "Prestations sous-traitées"),
}
_TEXTS = {
    "en": {
        "country": "France",
        "activity": "Hosting of machines (colocation)",
        "reasons": "The lease of the Villeneuve site ends on 31 January 2027.\n\n"
        "The machines move to a site of the same certification; no data leave the country.",
        "clause": "Article 5 of the special conditions",
        "silence": "If you do not answer by your last day, the change takes effect on the day stated.",
        "remedy": "If you disagree, you may terminate the contract; Article 6 then says how your data come back.",
        "note": "30 days from receipt, under your contract of 17 August 2022",
        "reasons_given": "The new site is outside the perimeter that our auditor accepted.\nPlease call us.",
    },
    "fr": {
        "country": "France",
        "activity": "Hébergement de machines (colocation)",
        "reasons": "Le bail du site de Villeneuve prend fin le 31 janvier 2027.\n\n"
        "Les machines rejoignent un site de même certification\xa0; aucune donnée ne quitte le pays.",
        "clause": "article 5 des conditions particulières",
        "silence": "Sans réponse de votre part au dernier jour, le changement prend effet à la date indiquée.",
        "remedy": "En cas de désaccord, vous pouvez résilier le contrat\xa0; l\u2019article 6 règle alors "
        "le retour de vos données.",
        "note": "30 jours à compter de la réception, selon votre contrat du 17 août 2022",
        "reasons_given": "Le nouveau site est hors du périmètre accepté par notre auditeur.\nMerci de nous appeler.",
    },
}


def context(letter: str, language: str) -> dict[str, object]:
    """Return what all recipients of a letter share: exactly the keys that it shows."""
    to_staff = {key: PROVIDER[key] for key in ("legal_name", "address", "privacy_contact")}
    short = {"reference": "2026-03", "effective_on": plain_date(date(2027, 1, 15), language)}
    full = {
        **short,
        "reasons": _TEXTS[language]["reasons"],
        "list_url": "https://notices.hebergement.example/subprocessors",
        "published_at": PUBLISHED_AT,
    }
    contexts: dict[str, dict[str, object]] = {
        "notice": {
            "provider": PROVIDER,
            "announcement": full,
            "changes": changes(language),
            "rules": [_rule(language)],
            "repeat_of": "",
        },
        "receipt": {"provider": PROVIDER, "announcement": short, "answer_kind": "acknowledgement"},
        "objection": {"provider": to_staff, "announcement": short, "answer_kind": "objection"},
        "later_last_day": {"provider": PROVIDER, "announcement": short},
        "sign_in": {"provider": to_staff},
    }
    return contexts[letter]


def _rule(language: str) -> dict[str, object]:
    return {"mode": "notice_with_exit", **{key: _TEXTS[language][key] for key in ("clause", "silence", "remedy")}}


def changes(language: str) -> list[dict[str, object]]:
    """Return one change of each kind, the first one a replacement."""
    name, address, country, activity = _LABELS[language]
    text = _TEXTS[language]
    old = {name: "Datacentre Alpha SAS", address: "3, avenue du Port, 93000 Villeneuve", country: text["country"]}
    new = {name: "Data & Centre Beta SAS", address: "8, quai Neuf, 94000 Bellerive", country: text["country"]}
    return [
        {
            "kind": "replaced",
            "name": "Datacentre Alpha SAS",
            "new_name": "Data & Centre Beta SAS",
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
    plain: dict[str, object] = {"new_name": "", "before": None, "after": None, "fields": []}
    return [
        replaced,
        {**plain, "kind": "added", "name": "Réseau Gamma", "after": replaced["after"]},
        {**plain, "kind": "removed", "name": "Fibre Delta", "before": replaced["before"]},
        {**plain, "kind": "amended", "name": "Interconnexion Epsilon", "fields": [moved, told]},
    ]


def facts(letter: str, language: str) -> dict[str, Fact]:
    """Return what one recipient's mail has of its own."""
    common: dict[str, Fact] = {
        "to_name": "Anaïs Müller-Lefèvre",
        "to_address": "anais.muller@clinique.example",
        "date": mail_date(PUBLISHED_AT),
        "message_id": str(UUID(int=7)),
        "link": LINK,
    }
    return {**common, **_OF_LETTER[letter](language)}


def _notice(language: str) -> Mapping[str, Fact]:
    last_day = end_of_day(date(2026, 12, 21), PARIS, language)
    note = _TEXTS[language]["note"]
    first = {"company": "Clinique du Lac & Fils", "last_day": last_day, "rule_note": note}
    second = {"company": "Laboratoire “Étoile” SARL", "last_day": last_day, "rule_note": ""}
    return {
        "entities": [
            {**first, "ics_date": "20261221", "ics_uid": str(UUID(int=8))},
            {**second, "ics_date": "20261221", "ics_uid": str(UUID(int=9))},
        ]
    }


def _answered(language: str) -> dict[str, Fact]:
    return {
        "answered_at": instant(ANSWERED_AT, PARIS, language),
        "reference": "R-2026-000117",
        "signed_name": "Anaïs Müller-Lefèvre",
    }


def _receipt(language: str) -> Mapping[str, Fact]:
    companies = ("Clinique du Lac & Fils", "Laboratoire “Étoile” SARL")
    return {**_answered(language), "entities": [{"company": company} for company in companies]}


def _objection(language: str) -> Mapping[str, Fact]:
    text = _TEXTS[language]
    return {**_answered(language), "company": "Clinique du Lac & Fils", "reasons": text["reasons_given"]}


def _later(language: str) -> Mapping[str, Fact]:
    old, new = (end_of_day(date(2026, 12, day), PARIS, language) for day in (21, 28))
    return {"entities": [{"company": "Clinique du Lac & Fils", "old_last_day": old, "last_day": new}]}


def _sign_in(language: str) -> Mapping[str, Fact]:
    return {"valid_until": instant(ANSWERED_AT, PARIS, language)}


_OF_LETTER = MappingProxyType(
    {"notice": _notice, "receipt": _receipt, "objection": _objection, "later_last_day": _later, "sign_in": _sign_in}
)
