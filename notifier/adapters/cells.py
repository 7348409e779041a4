"""What a field of an entry looks like in one cell of a sheet, and what a cell means.

`read(name, written(name, value))` is `value`, so that a list that was exported and read again has not changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from babel import Locale

from notifier.adapters.remarks import BadCell
from notifier.rules.entries import FIELDS, HDS_ACTIVITIES, TEXT, Certificate, FieldSpec, Place, Shape
from notifier.rules.registry_diff import slug

LONGEST_TEXT = 300
LONGEST_NOTE = 3_000
LONGEST_CELL = 10_000  # of several texts, places or certificates
NOTES = frozenset({"third_country_laws", "security_note"})

BETWEEN = "; "

# Field → its heading in English and in French; `key` and `replaces` say which entry it is.
HEADINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "key": ("Key", "Clé"),
        "name": ("Name", "Nom"),
        "trading_name": ("Trading name", "Nom commercial"),
        "legal_form": ("Legal form", "Forme juridique"),
        "registration_number": ("Registration number", "Numéro d’immatriculation"),
        "address": ("Address", "Adresse"),
        "postcode": ("Postcode", "Code postal"),
        "town": ("Town", "Ville"),
        "country": ("Country", "Pays"),
        "contact": ("Contact person", "Personne à contacter"),
        "website": ("Website", "Site web"),
        "parent": ("Engaged by", "Engagé par"),
        "activities": ("Activity", "Prestation"),
        "hds_activities": ("HDS activities", "Activités HDS"),
        "purposes": ("Purposes", "Finalités"),
        "data_categories": ("Categories of data", "Catégories de données"),
        "persons": ("Persons concerned", "Personnes concernées"),
        "access": ("Access to data", "Accès aux données"),
        "places": ("Places of processing", "Lieux de traitement"),
        "outside_access": ("Access from outside the EEA", "Accès depuis l’extérieur de l’EEE"),
        "outside_countries": ("Countries of that access", "Pays de cet accès"),
        "transfer": ("Transfer mechanism", "Mécanisme de transfert"),
        "assessment": ("Transfer assessment", "Analyse du transfert"),
        "hds": ("HDS certified", "Certifié HDS"),
        "secnumcloud": ("SecNumCloud qualified", "Qualifié SecNumCloud"),
        "certificates": ("Certificates", "Certificats"),
        "third_country_law": ("Exposed to third-country law", "Exposé au droit d’un pays tiers"),
        "third_country_laws": ("Third-country laws, measures and risks", "Lois de pays tiers, mesures et risques"),
        "services": ("Services", "Services"),
        "regions": ("Regions", "Régions"),
        "options": ("Options", "Options"),
        "engaged_since": ("Engaged since", "Engagé depuis le"),
        "engaged_until": ("Engaged until", "Engagé jusqu’au"),
        "security": ("Security compared with before", "Sécurité par rapport à avant"),
        "security_note": ("About the level of security", "À propos du niveau de sécurité"),
        "replaces": ("Replaces", "Remplace"),
    }
)

# What Babel lists among the countries and ISO 3166 does not: groups, dependencies with a reserved code, inventions.
NOT_COUNTRIES = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"])

OTHER_NAMES = MappingProxyType(
    {
        "czech-republic": "CZ",
        "england": "GB",
        "etats-unis-d-amerique": "US",
        "grande-bretagne": "GB",
        "great-britain": "GB",
        "hong-kong": "HK",
        "macao": "MO",
        "macau": "MO",
        "northern-ireland": "GB",
        "republic-of-ireland": "IE",
        "republic-of-korea": "KR",
        "republique-tcheque": "CZ",
        "russian-federation": "RU",
        "scotland": "GB",
        "slovak-republic": "SK",
        "the-netherlands": "NL",
        "turkey": "TR",
        "u-k": "GB",
        "u-s": "US",
        "u-s-a": "US",
        "uae": "AE",
        "uk": "GB",
        "united-states-of-america": "US",
        "usa": "US",
        "viet-nam": "VN",
        "wales": "GB",
    }
)

# States of the United States with the letters of a country: "Wilmington, DE, US" is not in Germany.
STATES = frozenset(
    [
        *("AL", "AR", "AZ", "CA", "CO", "DE", "GA", "ID", "IL", "IN", "KY", "LA", "MA", "MD", "ME", "MN", "MO", "MS"),
        *("MT", "NC", "NE", "PA", "SC", "SD", "TN", "VA"),
    ]
)

# Areas wider than a country that have a short name; the others are those that Babel numbers (UN M49), in words.
AREAS = MappingProxyType(
    {
        **dict.fromkeys(("eea", "eee", "european-economic-area", "espace-economique-europeen"), "EEA"),
        **dict.fromkeys(("eu", "ue", "european-union", "union-europeenne"), "EU"),
    }
)
OTHER_AREAS = frozenset(["apac", "asia-pacific", "asie-pacifique", "emea", "global", "latam", "mena", "worldwide"])

# What a bracket after a country or a site may say; any other word of the operator's own stands after a colon.
KINDS = MappingProxyType(
    {
        **{kind: kind for kind in ("production", "backup", "interconnection", "support")},
        **dict.fromkeys(("sauvegarde", "secours"), "backup"),
        "interconnexion": "interconnection",
        **dict.fromkeys(("dark-fibre", "dark-fiber", "fibre-noire"), "dark_fibre"),
    }
)

YES_NO = MappingProxyType(
    dict.fromkeys(("yes", "oui", "true", "vrai", "1", "y", "o"), "yes")
    | dict.fromkeys(("no", "non", "false", "faux", "0", "n"), "no")
)

# Field → what people write instead of its choices, as `slug` writes it.
ANSWERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "access": {
            **dict.fromkeys(("recoit", "receives-data", "recoit-des-donnees", "recoit-les-donnees"), "receives"),
            **dict.fromkeys(("physique", "physical-access", "acces-physique", "physical-access-only"), "physical"),
            **dict.fromkeys(("transport", "carries", "carrier", "achemine", "acheminement"), "transit"),
        },
        "transfer": {
            **dict.fromkeys(("aucun", "no", "non", "no-transfer", "pas-de-transfert", "not-applicable"), "none"),
            **dict.fromkeys(("adequation", "adequacy-decision", "decision-d-adequation"), "adequacy"),
            **dict.fromkeys(("data-privacy-framework", "dpf", "eu-us-data-privacy-framework"), "adequacy"),
            **dict.fromkeys(("sccs", "cct", "standard-contractual-clauses"), "scc"),
            **dict.fromkeys(("clauses-contractuelles-types", "eu-standard-contractual-clauses"), "scc"),
            **dict.fromkeys(("bcrs", "binding-corporate-rules", "regles-d-entreprise-contraignantes"), "bcr"),
            **dict.fromkeys(("derogations", "article-49", "art-49"), "derogation"),
        },
        "hds": {
            **YES_NO,
            **dict.fromkeys(("exempte", "exemptee", "exemption", "dispense", "dispensee"), "exempt"),
            **dict.fromkeys(("certified", "certifie", "certifiee"), "yes"),
            **dict.fromkeys(("not-certified", "non-certifie", "non-certifiee"), "no"),
        },
        "outside_access": YES_NO,
        "secnumcloud": {**YES_NO, "qualified": "yes", "qualifie": "yes", "qualifiee": "yes"},
        "third_country_law": YES_NO,
        "security": {
            **dict.fromkeys(("higher", "meilleur", "meilleure", "superieur", "superieure"), "better"),
            **dict.fromkeys(("same", "equivalent", "equivalente", "egal", "egale", "identique"), "equal"),
            **dict.fromkeys(("worse", "inferieur", "inferieure", "moindre"), "lower"),
        },
    }
)

CERTIFICATE_PARTS = MappingProxyType(
    {
        "edition": "edition",
        "version": "edition",
        "number": "number",
        "numero": "number",
        "scope": "scope",
        "portee": "scope",
        "perimetre": "scope",
        "issuer": "issuer",
        "emetteur": "issuer",
        "organisme": "issuer",
        "expires": "expires_on",
        "expire": "expires_on",
        "expire-le": "expires_on",
    }
)


def read(name: str, text: str) -> Any:  # noqa: ANN401 - whatever a field holds
    """What a cell says of a field of FIELDS, of `key` or of `replaces`; an empty cell is the field's empty value.

    BadCell says why a cell cannot be taken.
    """
    if len(text) > (
        longest := LONGEST_CELL if _spec(name).is_many else LONGEST_NOTE if name in NOTES else LONGEST_TEXT
    ):
        raise BadCell("too_long", found=len(text), limit=longest)
    if any(unicodedata.category(sign) == "Cc" and not sign.isspace() for sign in text):
        raise BadCell("not_text")
    if _spec(name).is_many:
        return tuple(dict.fromkeys(_MANY[_spec(name).shape](name, text)))
    cell = one_line(text)
    return _ONE[_spec(name).shape](name, cell) if cell else ""


def written(name: str, value: Any) -> str:  # noqa: ANN401 - as read
    """Return what a field holds as the text of one cell."""
    writer = _WRITTEN.get(_spec(name).shape, str)
    return BETWEEN.join(map(writer, value)) if _spec(name).is_many else str(value)


def one_line(text: str) -> str:
    """The text with composed accents, and one space where there were several or a line ended."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def country_code(text: str) -> str | None:
    """ISO 3166 alpha-2 of a country given by that code or by its name in English or French."""
    if text.upper() in _countries().values():
        return text.upper()
    return _countries().get(slug(text))


def areas(text: str) -> tuple[Place, ...]:
    """The countries and wider areas that a text names and nothing else; none if it says anything more."""
    found = [_known_places(part.strip()) for part in re.split(r"[,;|]", one_line(text)) if part.strip()]
    return tuple(chain.from_iterable(found)) if all(found) else ()


def day(cell: str) -> str:
    """Return an ISO 8601 day from one, or from day, month and year with strokes between them."""
    parts = re.fullmatch(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})", cell) or re.fullmatch(
        r"(?P<d>[0-9]{1,2})/(?P<m>[0-9]{1,2})/(?P<y>[0-9]{4})", cell
    )
    if parts is None:
        raise BadCell("date_format", value=cell)
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"])).isoformat()
    except ValueError:
        raise BadCell("date_impossible", value=cell) from None


def country(cell: str) -> str:
    code = country_code(cell)
    if code is None:
        raise BadCell("country_unknown", value=cell)
    return code


def url(cell: str) -> str:
    try:
        parts = urlsplit(cell)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and " " not in cell and "\\" not in cell
    except ValueError:
        sound = False
    if not sound:
        raise BadCell("url", value=cell)
    return cell


def _spec(name: str) -> FieldSpec:
    return FIELDS.get(name, TEXT)


# --- one value -------------------------------------------------------------------------------------------------------


def _text(name: str, cell: str) -> str:
    if name in {"name", "key"} and not slug(cell):
        raise BadCell("no_letters", value=cell)
    return cell


def _choice(name: str, cell: str) -> str:
    choices, word = _spec(name).choices, slug(cell)
    answer = word if word in choices else ANSWERS[name].get(word)
    if answer is None:
        raise BadCell("choice_unknown", value=cell, known=", ".join(choices))
    return answer


_ONE: Mapping[Shape, Callable[[str, str], str]] = MappingProxyType(
    {
        Shape.TEXT: _text,
        Shape.CHOICE: _choice,
        Shape.COUNTRY: lambda _, cell: country(cell),
        Shape.DAY: lambda _, cell: day(cell),
        Shape.URL: lambda _, cell: url(cell),
    }
)


# --- several values --------------------------------------------------------------------------------------------------


def _items(text: str) -> list[str]:
    """The parts of a cell; a comma is part of a text, and what stood apart in one version must not in the next."""
    return list(filter(None, map(one_line, re.split(r"[;|\n\r]", text))))


def _texts(name: str, text: str) -> Iterable[str]:
    if name != "hds_activities":
        yield from _items(text)
        return
    for item in _items(text.replace(",", ";")):
        ends = re.fullmatch(r"([1-6])(?: ?(?:-|–|to|à) ?([1-6]))?", item)
        if ends is None:
            raise BadCell("hds_activity", value=item)
        first, last = int(ends[1]), int(ends[2] or ends[1])
        yield from (number for number in HDS_ACTIVITIES if first <= int(number) <= last)


def _country_list(_: str, text: str) -> Iterable[str]:
    for item in _items(text.replace(",", ";")):
        known = _known_places(item)
        if not known or not all(place.country for place in known):
            raise BadCell("country_unknown", value=item)
        yield from (place.country for place in known)


def _places(_: str, text: str) -> Iterable[Place]:
    for item in _items(text):
        head, colon, tail = map(str.strip, item.partition(":"))
        code = country_code(head)
        if colon and (code or not head):
            site, bracketed = _bracketed(tail)
            yield Place(country=code or "", site=site, kind=kind(bracketed))
        else:
            yield from _known_places(item) or _listed_places(item)


def kind(text: str) -> str:
    """What happens at a site: one of the kinds that the product names, in either language, or the operator's own."""
    return KINDS.get(slug(text), text)


def _listed_places(item: str) -> Iterator[Place]:
    """What commas separate: "Pantin, France" is one place, "United States, Europe" two."""
    towns: list[str] = []
    one_by_one = False  # a country stood alone: the next one is not that of the text between them
    tokens = [*filter(None, map(str.strip, re.findall(r"(?:\([^()]*\)|[^,(]|\()+", item)))]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        known = _known_places(token)
        if not known or (towns and _is_region(token, following)):
            towns.append(token)
            continue
        first, *others = known
        joined = bool(towns and first.country and not first.site and not others and not one_by_one)
        one_by_one = one_by_one or not joined
        yield from [replace(first, site=", ".join(towns))] if joined else [*_unknown_place(towns), *known]
        towns = []
    yield from _unknown_place(towns)


def _is_region(token: str, following: str) -> bool:
    """Whether two letters after a town are those of a state or province: "Bergamo, BG, Italy" is not in Bulgaria."""
    code, whole = country_code(following), re.sub(r"\W", "", following)
    if not re.fullmatch("[A-Z]{2}", token) or code is None or code == token:
        return False
    return len(whole) > len(token) or (code == "US" and token in STATES)


def _unknown_place(towns: list[str]) -> Iterator[Place]:
    if towns:
        site, bracketed = _bracketed(", ".join(towns))
        known = KINDS.get(slug(bracketed))
        yield Place(site=site, kind=known) if known else Place(site=", ".join(towns))


def _known_places(text: str) -> list[Place]:
    """The countries and areas that a text names and nothing else; none if it says anything more."""
    whole = _known_place(text)
    if whole is not None:
        return [whole]
    parts = [_known_place(part) for part in re.split(r" (?:and|et|or|ou|&|\+) | ?/ ?", text)]
    return [part for part in parts if part is not None] if len(parts) > 1 and None not in parts else []


def _known_place(text: str) -> Place | None:
    head, bracketed = _bracketed(text)
    head = re.sub(r"^(?:(?:and|et|in|en|au|aux|the|le|la|les) |l['’])+", "", head, flags=re.IGNORECASE)
    code, word = country_code(head), slug(head)
    known = KINDS.get(slug(bracketed), "")
    if code:
        return Place(country=code, site="" if known else bracketed, kind=known)
    if head and (within := country_code(bracketed)):
        return Place(country=within, site=head)  # "Pantin (France)"
    if (bracketed and not known) or not (word in AREAS or word in OTHER_AREAS or word in _wide_areas()):
        return None
    return Place(site=AREAS.get(word, head), kind=known)


def _bracketed(text: str) -> tuple[str, str]:
    """What stands before the brackets that end a text, and what in them."""
    depth = 0
    for index in range(len(text) - 1, -1, -1) if text.endswith(")") else ():
        depth += (text[index] == ")") - (text[index] == "(")
        if depth == 0:
            return text[:index].strip(), text[index + 1 : -1].strip()
    return text, ""


def _certificates(_: str, text: str) -> Iterable[Certificate]:
    for item in filter(None, map(one_line, re.findall(r"(?:\[[^\[\]]*\]|[^;|,\n\r\[]|\[)+", text))):
        head, *brackets = re.split(r"\s*\[([^\[\]]*)\]\s*", item)
        said = dict(_certificate_part(item, part) for part in brackets[::2])
        if any(brackets[1::2]) or not head or "[" in head or "]" in head:
            raise BadCell("certificate", value=item)
        standard, _colon, edition = (head, "", "") if "edition" in said else map(str.strip, head.partition(":"))
        yield Certificate(**{"standard": standard, "edition": edition, **said})


def _certificate_part(item: str, part: str) -> tuple[str, str]:
    word, equals, value = map(str.strip, part.partition("="))
    name = CERTIFICATE_PARTS.get(slug(word))
    if name is None or not equals:
        raise BadCell("certificate", value=item)
    return name, day(value) if name == "expires_on" else value


_MANY: Mapping[Shape, Callable[[str, str], Iterable[Any]]] = MappingProxyType(
    {
        Shape.LIST: _texts,
        Shape.COUNTRIES: _country_list,
        Shape.PLACES: _places,
        Shape.CERTIFICATES: _certificates,
    }
)


def _written_place(place: Place) -> str:
    """As a person would write it, unless that would be read as another place: the colon alone says "no country"."""
    where = ": ".join(filter(None, (place.country, place.site)))
    plain = " ".join(filter(None, (where, place.kind and f"({place.kind})")))
    if list(_places("", plain)) == [place]:
        return plain
    brackets = f"({place.kind})" if place.kind or place.site.endswith(")") else ""
    return " ".join(filter(None, (f"{place.country}:", place.site, brackets)))


def _written_certificate(certificate: Certificate) -> str:
    standard, edition = certificate.standard, certificate.edition
    apart = ":" in standard or re.search(r"[:;,|]", edition)
    brackets = {
        "edition": edition if apart else "",
        "number": certificate.number,
        "scope": certificate.scope,
        "issuer": certificate.issuer,
        "expires": certificate.expires_on,
    }
    head = standard if apart or not edition else f"{standard}:{edition}"
    needed = {name: value for name, value in brackets.items() if value or (apart and name == "edition")}
    return " ".join([head, *(f"[{name}={value}]" for name, value in needed.items())])


_WRITTEN: Mapping[Shape, Callable[[Any], str]] = MappingProxyType(
    {Shape.PLACES: _written_place, Shape.CERTIFICATES: _written_certificate}
)


# --- countries and areas ---------------------------------------------------------------------------------------------


@cache
def _countries() -> Mapping[str, str]:
    """Names of countries, as `slug` writes them → ISO 3166 alpha-2."""
    names = {
        slug(spelled): code
        for code, name in _territories()
        for spelled in (name, name.replace("&", "and"))
        if re.fullmatch("[A-Z]{2}", code) and code not in NOT_COUNTRIES
    }
    return MappingProxyType(names | OTHER_NAMES)


@cache
def _wide_areas() -> frozenset[str]:
    return frozenset(slug(name) for code, name in _territories() if code.isdecimal())


def _territories() -> Iterator[tuple[str, str]]:
    return chain.from_iterable(Locale(language).territories.items() for language in ("en", "fr"))
