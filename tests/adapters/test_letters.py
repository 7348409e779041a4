from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from jinja2 import UndefinedError

from notifier.adapters.letters import LETTERS, Attachment, LetterHead, LetterPress, Texts, UnknownLetter, WriteRow
from notifier.rules.moulds import Fact, Mould, MouldError, clean
from tests.letters.samples import HEAD, SCENES, attachments, changes, context, every_change, facts, letter_of

TEMPLATES = Path(__file__).parents[2] / "templates"
GOLDEN = Path(__file__).parents[1] / "letters" / "golden"
REWRITE = "NOTIFIER_REWRITE_GOLDEN"  # set it to write the golden files anew, then read the difference
PRESS = LetterPress([TEMPLATES])
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
]
ONE_CLICK = ["List-Unsubscribe", "List-Unsubscribe-Post"]
EACH_SCENE = pytest.mark.parametrize(
    ("scene", "language"), [(scene, language) for scene in sorted(SCENES) for language in ("en", "fr")]
)
HOSTILE = [
    "Zoé\r\nBcc: everyone@list.example",
    "=?utf-8?q?=0D=0ABcc:?=",
    'a"b\\c, <e@f.example>; \\n',
    "\u202ehtlaeH\u202c \x00",
    "\ue000\ue001\ue00a",
    "مستشفى الشرق",
    "👩‍⚕️" * 40,
    "x" * 1200,
    "a\u2028b\x85c",
    "</td></table><script>alert(1)</script>",
    "{{ provider }}{% raw %}",
    "<!--\ue000-->",
    "--=_boundary",
    "END:VEVENT\nBEGIN:VEVENT",
]
ANY_TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=100))
LOCAL_PARTS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/_`{|}~-]{1,30}(\.[A-Za-z0-9+_-]{1,20})?", fullmatch=True)


def press(scene: str, language: str, given_context: Mapping[str, object] | None = None) -> Mould:
    shared = context(scene, language) if given_context is None else given_context
    attached = attachments(scene, language)
    return PRESS.mould(letter_of(scene), language, shared, envelope=HEAD, attachments=attached)


MOULDS = {(scene, language): press(scene, language) for scene in SCENES for language in ("en", "fr")}


def read(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def bodies(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")


def whole(scene: str, language: str, given_facts: Mapping[str, Fact]) -> Texts:
    """Write a letter out with the facts themselves, with no mould between."""

    def rows(key: str, write_row: WriteRow, _mark: object) -> Sequence[str]:
        found = given_facts[key]
        assert not isinstance(found, str)
        return [write_row({one: clean(value) for one, value in row.items()}) for row in found]

    once = {key: clean(value) for key, value in given_facts.items() if isinstance(value, str)}
    return PRESS.texts(letter_of(scene), language, context(scene, language), once=once, rows=rows)


class Shape(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[object] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        if self.seen and isinstance(self.seen[-1], str):
            self.seen[-1] += data
        else:
            self.seen.append(data)


def filled_with(scene: str, language: str, text: str) -> dict[str, Fact]:
    """Return the facts of a sample with every free text replaced."""
    kept = {"to_address", "date", "message_id", "ics_date", "ics_uid", "unsubscribe"}

    def replaced(row: Mapping[str, str]) -> dict[str, str]:
        return {key: value if key in kept else text for key, value in row.items()}

    return {
        key: (value if key in kept else text) if isinstance(value, str) else [replaced(row) for row in value]
        for key, value in facts(scene, language).items()
    }


@EACH_SCENE
def test_a_letter_looks_as_its_golden_file(scene: str, language: str) -> None:
    mail = MOULDS[scene, language].fill(facts(scene, language))
    golden = GOLDEN / f"{scene}.{language}.eml"
    if os.environ.get(REWRITE):
        golden.write_bytes(mail)

    assert mail == golden.read_bytes()


@EACH_SCENE
@settings(max_examples=25)
@given(text=ANY_TEXT, local_part=LOCAL_PARTS)
def test_a_filled_mail_is_the_letter_written_whole(scene: str, language: str, text: str, local_part: str) -> None:
    given_facts = {**filled_with(scene, language, text), "to_address": f"{local_part}@client.example"}

    raw = MOULDS[scene, language].fill(given_facts)

    mail = read(raw)
    written = whole(scene, language, given_facts)
    text_part, html_part = bodies(mail)
    assert [one for one, _ in mail.items() if one not in ONE_CLICK] == HEADERS
    assert [one.addr_spec for one in mail["To"].addresses] == [f"{local_part}@client.example"]
    assert not [part.defects for part in mail.walk() if part.defects]
    assert mail["Subject"].split() == written.subject.replace("=?", "= ?").split()
    assert text_part == written.text
    assert Shape(html_part).seen == Shape(written.html).seen
    assert max(len(line) for line in raw.split(b"\r\n") if not line.startswith(b" <http")) <= 78  # RFC 2369: not folded
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")


@settings(max_examples=40)
@given(data=st.data())
def test_a_mail_says_of_each_of_many_companies_what_is_said_of_it_alone(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries({"company": ANY_TEXT, "rule_note": ANY_TEXT}), max_size=12))
    dated = {"last_day": "Monday 21 December 2026", "ics_date": "20261221", "ics_uid": "0" * 32}
    given_facts = {
        **facts("notice", "en"),
        "to_name": data.draw(ANY_TEXT),
        "entities": [{**row, **dated} for row in rows],
        "concerned": rows[:3],
    }

    raw = MOULDS["notice", "en"].fill(given_facts)

    mail, written = read(raw), whole("notice", "en", given_facts)
    text_part, html_part = bodies(mail)
    assert text_part == written.text
    assert Shape(html_part).seen == Shape(written.html).seen
    assert (mail.keys(), len(mail["To"].addresses), len(mail["From"].addresses)) == (HEADERS, 1, 1)
    assert max(map(len, raw.split(b"\r\n"))) <= 78


@EACH_SCENE
def test_a_letter_without_one_of_its_facts_is_not_written(scene: str, language: str) -> None:
    mould = MOULDS[scene, language]
    complete = facts(scene, language)

    for key in complete:
        with pytest.raises(MouldError):
            mould.fill({other: value for other, value in complete.items() if other != key})
    for key, rows in complete.items():
        row = {} if isinstance(rows, str) or not rows else rows[0]
        for fact in row:
            with pytest.raises(MouldError):
                mould.fill({**complete, key: [{other: value for other, value in row.items() if other != fact}]})


def paths(tree: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    branches: Iterable[tuple[str | int, object]] = ()
    if isinstance(tree, Mapping):
        branches = tree.items()
        yield from ((*above, key) for key in tree)
    elif isinstance(tree, list):
        branches = enumerate(tree)
    for key, inner in branches:
        yield from paths(inner, (*above, key))


def thawed(value: object) -> Any:  # noqa: ANN401 - a tree
    if isinstance(value, Mapping):
        return {key: thawed(inner) for key, inner in value.items()}
    return [thawed(inner) for inner in value] if isinstance(value, list) else deepcopy(value)


@EACH_SCENE
def test_a_letter_without_a_key_that_it_uses_is_not_written(scene: str, language: str) -> None:
    complete = thawed(context(scene, language))
    used = set()

    for *above, last in paths(complete):
        lacking = thawed(complete)
        branch = lacking
        for key in above:
            branch = branch[key]
        del branch[last]
        try:
            written = press(scene, language, lacking)
        except UndefinedError:
            used.add(last)
        else:
            labels = {"before", "after"} & set(map(str, above))  # an entry has the rows that it has
            assert labels or written == MOULDS[scene, language]

    assert "legal_name" in used


def test_each_letter_is_tried() -> None:
    assert {letter_of(scene) for scene in SCENES} == set(LETTERS)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("key", ["stays", "sentence", "before", "after"])
def test_a_change_without_one_of_its_keys_is_not_announced(language: str, key: str) -> None:
    lacking = [{other: value for other, value in change.items() if other != key} for change in changes(language)]

    with pytest.raises(UndefinedError):
        PRESS.mould("notice", language, {**context("notice", language), "changes": lacking}, envelope=HEAD)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_kind_of_change_says_what_was_and_what_will_be(language: str) -> None:
    several = {**context("notice", language), "changes": every_change(language)}
    mail = read(PRESS.mould("notice", language, several, envelope=HEAD).fill(facts("notice", language)))

    for body in bodies(mail):
        for told in ("Alpha SAS", "Réseau Gamma", "Fibre Delta", "1, rue Basse", "2, rue Haute", "Luxembourg"):
            assert told in body


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    "answer_kind", ["acknowledgement", "objection", "consent", "refusal", "confirmation", "termination", "withdrawal"]
)
def test_a_receipt_names_the_answer_it_is_for(language: str, answer_kind: str) -> None:
    given_context = {**context("receipt", language), "answer_kind": answer_kind}
    mail = read(PRESS.mould("receipt", language, given_context, envelope=HEAD).fill(facts("receipt", language)))

    text, _ = bodies(mail)
    only_receipt = {"en": "and nothing else", "fr": "et rien d’autre"}[language]
    assert (only_receipt in " ".join(text.split())) == (answer_kind == "acknowledgement")


def test_an_answer_that_we_do_not_know_has_no_receipt() -> None:
    with pytest.raises(UndefinedError):
        PRESS.mould("receipt", "en", {**context("receipt", "en"), "answer_kind": "shrug"}, envelope=HEAD)


def test_termination_is_offered_only_where_the_contract_offers_it() -> None:
    given_context = thawed(context("notice", "en"))
    given_context["acts"]["terminate"] = False
    mail = read(PRESS.mould("notice", "en", given_context, envelope=HEAD).fill(facts("notice", "en")))

    assert not any("- terminate the contract" in body or "<strong>terminate" in body for body in bodies(mail))
    assert any(
        "- terminate the contract" in body for body in bodies(read(MOULDS["notice", "en"].fill(facts("notice", "en"))))
    )


@given(text=ANY_TEXT)
@settings(max_examples=25)
def test_the_calendar_has_one_day_for_each_company(text: str) -> None:
    complete = facts("notice", "fr")
    rows = complete["entities"]
    assert not isinstance(rows, str)
    entities = [{**row, "company": text} for row in rows]

    mail = read(MOULDS["notice", "fr"].fill({**complete, "entities": entities}))

    [attached] = list(mail.iter_attachments())
    events = Calendar.from_ical(attached.get_content()).walk("VEVENT")
    assert [str(event["uid"]).split("@")[0] for event in events] == [row["ics_uid"] for row in rows]
    assert {event["dtstart"].to_ical() for event in events} == {b"20261221"}
    assert all(str(event["summary"]).count(f"({clean(text)})") == 1 for event in events)
    assert [len(event.walk("VALARM")) for event in events] == [1, 1]


@given(text=ANY_TEXT)
@settings(max_examples=25)
def test_a_file_that_goes_with_a_letter_reads_back_and_changes_nothing_else(text: str) -> None:
    shared = context("sign_in", "en")
    attached = Attachment(filename="notice.json", content_type="application/json", text=text)

    mould = PRESS.mould("sign_in", "en", shared, envelope=HEAD, attachments=[attached])
    mail = read(mould.fill(facts("sign_in", "en")))

    [part] = list(mail.iter_attachments())
    assert (part.get_filename(), part.get_content_type()) == ("notice.json", "application/json")
    assert part.get_content().decode().replace("\r\n", "\n") == clean(text)
    assert bodies(mail) == bodies(read(MOULDS["sign_in", "en"].fill(facts("sign_in", "en"))))


def test_a_file_whose_name_could_break_its_header_is_refused() -> None:
    attached = Attachment(filename='a"; x="b', content_type="application/json", text="{}")

    with pytest.raises(MouldError):
        PRESS.mould("sign_in", "en", context("sign_in", "en"), envelope=HEAD, attachments=[attached])


def test_the_calendar_of_a_correction_takes_the_place_of_the_one_before() -> None:
    [attached] = read(MOULDS["notice-correction", "en"].fill(facts("notice-correction", "en"))).iter_attachments()

    [event] = Calendar.from_ical(attached.get_content()).walk("VEVENT")
    assert event["sequence"] == 1


@pytest.mark.parametrize("scene", ["notice-maintenance", "notice-courtesy", "notice-document"])
def test_where_there_is_no_last_day_there_is_no_calendar(scene: str) -> None:
    assert not list(read(MOULDS[scene, "fr"].fill(facts(scene, "fr"))).iter_attachments())


def test_the_same_announcement_gives_the_same_mould() -> None:
    again = LetterPress([TEMPLATES]).mould("notice", "fr", context("notice", "fr"), envelope=HEAD)

    assert again == MOULDS["notice", "fr"]
    assert Mould.from_json(again.to_json()).fill(facts("notice", "fr")) == again.fill(facts("notice", "fr"))


@given(text=ANY_TEXT)
@settings(max_examples=25)
def test_what_is_announced_is_escaped_and_never_a_template(text: str) -> None:
    given_context = thawed(context("notice", "en"))
    given_context["announcement"] |= {"reasons": text, "reference": text}
    given_context["provider"]["legal_name"] = text
    given_context["announcement"]["what"] = text
    given_context["changes"][0] |= {"sentence": text, "before": {text: text}}

    mail = read(PRESS.mould("notice", "en", given_context, envelope=HEAD).fill(facts("notice", "en")))

    assert mail.keys() == HEADERS
    _, html = bodies(mail)
    assert not {seen[0] for seen in Shape(html).seen if isinstance(seen, tuple)} & {"script", "img"}


def test_an_operators_folder_wins_file_by_file(tmp_path: Path) -> None:
    own = tmp_path / "email" / "sign_in" / "en"
    own.mkdir(parents=True)
    (own / "subject.txt").write_text("Our own words\n")

    mould = LetterPress([tmp_path, TEMPLATES]).mould("sign_in", "en", context("sign_in", "en"), envelope=HEAD)

    mail = read(mould.fill(facts("sign_in", "en")))
    assert mail["Subject"] == "Our own words"
    assert "It works once" in bodies(mail)[0]


@pytest.mark.parametrize(
    "template",
    [
        '{% call(entity) each("entities") %}{{ entity.link }}{% endcall %}',
        '{% call(row) each("lines") %}{% endcall %}',
        "{{ link | wrap }}",
        "{{ no_such_fact }}",
    ],
)
def test_a_template_that_uses_a_fact_wrongly_is_refused(tmp_path: Path, template: str) -> None:
    own = tmp_path / "email" / "notice" / "en"
    own.mkdir(parents=True)
    (own / "body.txt").write_text(template)

    with pytest.raises((MouldError, UndefinedError)):
        LetterPress([tmp_path, TEMPLATES]).mould("notice", "en", context("notice", "en"), envelope=HEAD)


@pytest.mark.parametrize(("letter", "language"), [("no_such", "en"), ("notice", "de")])
def test_an_unknown_letter_or_language_is_refused(letter: str, language: str) -> None:
    with pytest.raises(UnknownLetter):
        PRESS.mould(letter, language, context("notice", "en"), envelope=HEAD)


def test_a_letter_head_that_is_no_address_is_refused() -> None:
    head = LetterHead(name="A", address="a@b.example, c@d.example", reply_to=HEAD.reply_to, domain=HEAD.domain)

    with pytest.raises(MouldError):
        PRESS.mould("sign_in", "en", context("sign_in", "en"), envelope=head)


@EACH_SCENE
def test_the_html_is_light_and_loads_nothing(scene: str, language: str) -> None:
    _, html = bodies(read(MOULDS[scene, language].fill(facts(scene, language))))

    assert len(html.encode()) < 60_000
    assert f'lang="{language}"' in html
    assert "prefers-color-scheme: dark" in html
    for loads in ("<img", "src=", "url(", "<link", "@import", "<script"):
        assert loads not in html
