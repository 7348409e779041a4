"""Every page speaks French as well as English, and the compiled catalogue is the one that can be read."""

import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
TRANSLATIONS = ROOT / "notifier" / "web" / "translations"
FRENCH = TRANSLATIONS / "fr" / "LC_MESSAGES"


def extracted() -> set[str | tuple[str, ...]]:
    with (TRANSLATIONS / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call] # has no types
    found = extract_from_dir(ROOT, methods, options, keywords={**DEFAULT_KEYWORDS, "later": None})
    return {message for _file, _line, message, _comments, _context in found}


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (FRENCH / "messages.po").open("rb") as file:
        return read_po(file, locale="fr")


def messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def test_every_sentence_of_the_pages_has_its_french(catalogue: Catalog) -> None:
    translated = {message.id for message in messages(catalogue) if all(forms(message))}

    assert extracted() == translated, "run `make translations`, then write what is missing"


def test_no_translation_is_only_guessed(catalogue: Catalog) -> None:
    assert [message.id for message in messages(catalogue) if message.fuzzy] == []


def test_translations_name_the_same_facts_as_their_sentences(catalogue: Catalog) -> None:
    def facts(text: str) -> set[str]:
        return set(re.findall(r"%\(\w+\)[sd]", text))

    wrong = [
        message.id
        for message in messages(catalogue)
        if any(facts(form) != facts(first(message)) for form in forms(message))
    ]

    assert wrong == []


def test_french_sets_its_spaces_before_signs(catalogue: Catalog) -> None:
    wrong = [form for message in messages(catalogue) for form in forms(message) if re.search(r" [:;?!»]|« ", form)]

    assert wrong == []


def test_the_compiled_catalogue_is_in_step_with_the_readable_one(catalogue: Catalog) -> None:
    with (FRENCH / "messages.mo").open("rb") as file:
        compiled = GNUTranslations(file)

    behind = [message.id for message in messages(catalogue) if spoken(compiled, message) != forms(message)]

    assert behind == [], "run `make translations`"


def spoken(compiled: GNUTranslations, message: Message) -> tuple[str, ...]:
    if isinstance(message.id, str):
        return (compiled.gettext(message.id),)
    one, many = message.id
    return tuple(compiled.ngettext(one, many, number) for number in (1, 2))


def forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[-1]
