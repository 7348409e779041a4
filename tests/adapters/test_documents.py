"""Paper, read back by another program than the one that set it."""

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from notifier.adapters.documents import BadLetter, PaperLetter, Section, Table, print_batch

TEMPLATES = Path(__file__).parents[2] / "templates"
MILLIMETRE = 72 / 25.4
# Of an envelope, over a sheet folded for it: millimetres from the left and from the top.
WINDOW = ((100, 200), (43, 82))

CHANGE = Table(
    caption="Ajouté : Sauvegarde Exemple GmbH",
    rows=(("Adresse", "Beispielstraße 1, 10115 Berlin"), ("Activité", "Sauvegarde chiffrée hors site")),
)
FRENCH = PaperLetter(
    language="fr",
    sender=("Hébergement Exemple SAS", "12, rue des Lilas", "69003 Lyon"),
    recipient=("Clinique Exemple", "À l’attention de Zoé Martin", "3, avenue de la Gare", "38000 Grenoble", "France"),
    mark="Lettre recommandée avec accusé de réception",
    reference="A-42/7",
    written_on="Lyon, le 3 mars 2026",
    subject="changement de sous-traitant ultérieur",
    sections=(
        Section(heading="", paragraphs=("Madame, Monsieur,",)),
        Section(heading="Ce qui change", tables=(CHANGE,)),
        Section(heading="Vos droits", paragraphs=("Vous pouvez vous opposer jusqu’au 4 avril 2026.",)),
    ),
    signature=("Ana Dupont", "Directrice générale"),
)
ENGLISH = replace(
    FRENCH,
    language="en",
    recipient=("Example Hospital Ltd", "1 Example Street", "London SW1A 1AA", "United Kingdom"),
    reference="A-42/8",
    subject="change of a subprocessor",
)


def printed(*letters: PaperLetter) -> PdfReader:
    return PdfReader(io.BytesIO(print_batch(letters, search_path=[TEMPLATES], title="Letters of 3 March 2026")))


def told(letter: PaperLetter, *paragraphs: str) -> PaperLetter:
    return replace(letter, sections=(Section(heading="", paragraphs=paragraphs),))


def text(letter: PaperLetter) -> str:
    """What stands on a letter's pages, its lines joined."""
    return " ".join(" ".join(page.extract_text() for page in printed(letter).pages).split())


def pieces(pdf: PdfReader, page: int = 0) -> Sequence[tuple[float, float, str]]:
    """Each piece of text on a page, with where its base line begins: millimetres from the left and from the top."""
    sheet = pdf.pages[page]
    found: list[tuple[float, float, str]] = []

    def see(text: str, cm: Sequence[float], tm: Sequence[float], *_: object) -> None:
        x = cm[0] * tm[4] + cm[2] * tm[5] + cm[4]
        y = cm[1] * tm[4] + cm[3] * tm[5] + cm[5]
        if text.strip():
            found.append((x / MILLIMETRE, (float(sheet.mediabox.height) - y) / MILLIMETRE, text.strip()))

    sheet.extract_text(visitor_text=see)
    return found


def in_the_window(pdf: PdfReader) -> Sequence[str]:
    (left, right), (top, bottom) = WINDOW
    return [text for x, y, text in pieces(pdf) if left < x < right and top < y < bottom]


def elements(pdf: PdfReader) -> Iterator[Any]:
    """The parts of a document as a screen reader goes through them."""

    def within(element: Any) -> Iterator[Any]:  # noqa: ANN401  # pypdf hands out dictionaries of anything
        for one in element if isinstance(element, list) else [element]:
            found = one.get_object()
            if isinstance(found, dict):
                yield found
                if "/K" in found:
                    yield from within(found["/K"])

    root: Any = pdf.trailer["/Root"]
    yield from within(root["/StructTreeRoot"]["/K"])


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_pdf_of_a4_pages_under_its_title() -> None:
    printed_letters = print_batch([FRENCH, ENGLISH], search_path=[TEMPLATES], title="Letters of 3 March 2026")

    pdf = PdfReader(io.BytesIO(printed_letters))

    assert printed_letters.startswith(b"%PDF")
    assert pdf.metadata is not None
    assert pdf.metadata.title == "Letters of 3 March 2026"
    assert {
        (round(page.mediabox.width / MILLIMETRE), round(page.mediabox.height / MILLIMETRE)) for page in pdf.pages
    } == {(210, 297)}


def test_the_same_letters_give_the_same_bytes() -> None:
    first, second = (print_batch([FRENCH, ENGLISH], search_path=[TEMPLATES], title="Letters") for _ in range(2))

    assert first == second


def test_the_file_is_fit_for_archives_and_screen_readers() -> None:
    pdf = printed(FRENCH, ENGLISH)

    said_of_itself = pdf.xmp_metadata
    assert said_of_itself is not None
    written = said_of_itself.stream.get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in written
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in written
    assert "<pdfuaid:part>1</pdfuaid:part>" in written


def test_a_screen_reader_is_told_each_letters_language_its_headings_and_its_table() -> None:
    pdf = printed(FRENCH, ENGLISH)

    heard = list(elements(pdf))
    kinds = [element.get("/S") for element in heard]
    root: Any = pdf.trailer["/Root"]
    assert root["/Lang"] == "fr"  # of whatever does not say otherwise
    assert {element["/Lang"] for element in heard if "/Lang" in element} == {"en"}
    assert (kinds.count("/H1"), kinds.count("/H2"), kinds.count("/Table"), kinds.count("/TH")) == (2, 4, 2, 2)


# --- sheets and pages ------------------------------------------------------------------------------------------------


def test_each_letter_begins_on_a_sheet_of_its_own_and_is_found_by_company_and_reference() -> None:
    two_pages = told(ENGLISH, *["We tell you of a change in the list of our subprocessors. " * 8] * 12)

    pdf = printed(FRENCH, two_pages, FRENCH)

    bookmarks = [
        (mark.title, pdf.get_destination_page_number(mark)) for mark in pdf.outline if not isinstance(mark, list)
    ]
    assert len(pdf.pages) == 5
    assert pdf.pages[1].extract_text() == ""  # the back of the first letter
    assert bookmarks == [
        ("Clinique Exemple – A-42/7", 0),
        ("Example Hospital Ltd – A-42/8", 2),
        ("Clinique Exemple – A-42/7", 4),
    ]


@pytest.mark.parametrize(
    ("letter", "counted"),
    [
        (FRENCH, ["Notre référence\u00a0: A-42/7", "page {} sur 3"]),
        (ENGLISH, ["Our reference: A-42/8", "page {} of 3"]),
    ],
)
def test_every_page_says_its_number_within_the_letter_and_the_reference(
    letter: PaperLetter, counted: Sequence[str]
) -> None:
    long = told(letter, *["Nothing else about the service changes for you or for those whose data you keep. " * 6] * 20)

    pages = [page.extract_text().replace("\u200b", "") for page in printed(FRENCH, long).pages[2:]]

    assert [[words.format(number) in page for words in counted] for number, page in enumerate(pages, start=1)] == [
        [True, True]
    ] * 3


def test_a_letter_of_one_page_says_so() -> None:
    assert "page 1 sur 1" in text(FRENCH)


def test_no_signature_stands_alone_on_a_page() -> None:
    endings = [
        printed(told(FRENCH, *["Une ligne."] * lines, "Veuillez agréer nos salutations.")).pages[-1].extract_text()
        for lines in range(15, 26)
    ]

    assert all("salutations" in ending for ending in endings if "Ana Dupont" in ending)
    assert len({"Une ligne." in ending for ending in endings}) == 2  # some fit on one page, and some do not


# --- the envelope ----------------------------------------------------------------------------------------------------


def test_the_address_and_nothing_else_shows_in_the_window() -> None:
    assert in_the_window(printed(FRENCH)) == list(FRENCH.recipient)


def test_a_sender_with_a_lot_to_say_stays_out_of_the_window() -> None:
    talkative = replace(FRENCH, sender=("Société d’hébergement de données de santé des régions de l’Exemple",) * 20)

    assert in_the_window(printed(talkative)) == list(FRENCH.recipient)


@pytest.mark.parametrize(
    "recipient",
    [
        ("Clinique Exemple", *(f"Ligne {number} de l’adresse" for number in range(2, 8))),
        ("Société civile de moyens de l’hôpital privé et des cliniques associées de la région de l’Exemple",) * 5,
        ("Clinique Exemple", "W" * 80, "x" * 120, "38000 Grenoble"),
    ],
)
def test_seven_lines_and_long_ones_stay_within_the_window(recipient: tuple[str, ...]) -> None:
    pdf = printed(replace(FRENCH, recipient=recipient))

    shown = in_the_window(pdf)
    below = [(x, y) for x, y, text in pieces(pdf) if text == FRENCH.written_on]
    assert "".join("".join(shown).split()) == "".join("".join(recipient).split())
    assert max(len(words) for words in shown) < 80  # 90 millimetres in the smallest type
    assert [(round(x), y > 85) for x, y in below] == [(105, True)]


def test_empty_lines_of_an_address_are_left_out() -> None:
    sparse = ("Clinique Exemple", "", "3, avenue de la Gare", " ", "", "38000 Grenoble", "", "", "France")

    assert in_the_window(printed(replace(FRENCH, recipient=sparse))) == [line for line in sparse if line.strip()]


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        ((), "letter A-42/7 has no address"),
        (("", " "), "letter A-42/7 has no address"),
        (("Clinique Exemple",) * 8, "the address of letter A-42/7 has 8 lines, and the window of the envelope shows 7"),
        (("Clinique\nExemple",) * 4, "the address of letter A-42/7 has 8 lines"),
        (("Clinique Exemple des régions " * 20,) * 7, "the address of letter A-42/7 is too long for the window"),
    ],
)
def test_an_address_that_would_not_show_whole_is_refused(recipient: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadLetter, match=why):
        printed(ENGLISH, replace(FRENCH, recipient=recipient))


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_letter_says_all_it_was_given_in_order() -> None:
    said = text(FRENCH)

    wanted = [
        *FRENCH.sender,
        *FRENCH.recipient,
        FRENCH.written_on,
        FRENCH.mark,
        f"Objet : {FRENCH.subject}",
        "Madame, Monsieur,",
        "Ce qui change",
        CHANGE.caption,
        *("Adresse Beispielstraße 1, 10115 Berlin", "Activité Sauvegarde chiffrée hors site"),
        "Vos droits",
        "Vous pouvez vous opposer jusqu’au 4 avril 2026.",
        *FRENCH.signature,
    ]
    places = [said.index(words) for words in wanted[: len(FRENCH.sender)]]
    for words in wanted[len(FRENCH.sender) :]:
        places.append(said.index(words, places[-1]))
    assert places == sorted(places)


@pytest.mark.parametrize(
    "signs",
    [
        "#panic() #{1 + 1} #sys.inputs",
        "$x^2$ @someone <label> *bold* _slanted_ `code`",
        r"back\slash \n \u{41} \# //comment /* one */",
        "\"double\" 'single' -- --- ... ~",
        "= heading - list + list / term: [content] {code}",
        "{{ provider }} {% raw %} </script>",
    ],
)
def test_signs_that_mean_something_to_a_typesetter_are_printed_as_they_are(signs: str) -> None:
    table = Table(caption=f"caption {signs}", rows=((f"label {signs}", f"value {signs}"),))
    section = Section(heading=f"heading {signs}", paragraphs=(f"paragraph {signs}",), tables=(table,))
    letter = replace(
        FRENCH,
        sender=(f"sender {signs}",),
        recipient=(f"company {signs}",),
        mark=f"mark {signs}",
        reference=f"reference {signs}",
        written_on=f"written {signs}",
        subject=f"subject {signs}",
        sections=(section,),
        signature=(f"signature {signs}",),
    )

    said = "".join(text(letter).replace("\u200b", "").split())

    assert said.count("".join(signs.split())) == 12  # the reference stands at the foot too


def test_a_line_break_in_a_text_is_kept() -> None:
    lines = [words for _, _, words in pieces(printed(told(FRENCH, "First ground\r\nSecond ground\u2028Third ground")))]

    assert {"First ground", "Second ground", "Third ground"} <= set(lines)


@pytest.mark.parametrize(
    "name",
    [
        "Clinique 🏥 Exemple",
        "👩‍⚕️ Dr Martin 🇫🇷",
        "مستشفى الشرق",
        "בית חולים",
        "東京病院",
        "\u202ehtlaeH\u202c \x00\x07 \ue000 \ud800 \ufffe",
        "Z\u0323\u1acc\u1de1oé 1\u20e3",
    ],
)
def test_a_name_that_no_font_of_ours_can_write_holds_no_letter_back(name: str) -> None:
    odd = replace(told(FRENCH, f"Madame, Monsieur, {name},"), recipient=(name, "38000 Grenoble"), signature=(name,))

    pdf = printed(FRENCH, odd)

    assert len(pdf.pages) == 3
    assert "38000 Grenoble" in pdf.pages[2].extract_text()


def test_hebrew_is_printed_in_letters_that_can_be_read_back() -> None:
    assert "חולים" in text(told(FRENCH, "בית חולים"))


@pytest.mark.parametrize(
    "long",
    [
        "https://subprocessors.hosting.example/registers/versions/2026-03/?language=fr&document=complete&"
        + "x=1&" * 25,
        "x" * 200,
        "hôpital-privé-" * 14,
    ],
)
def test_a_long_word_goes_on_in_the_next_line_whole(long: str) -> None:
    table = Table(caption="caption", rows=(("label", long), (long, "value")))
    letter = replace(FRENCH, sections=(Section(heading=long, paragraphs=(long,), tables=(table,)),))

    said = "".join(text(letter).replace("\u200b", "").split())
    longest = max(len(line) for page in printed(letter).pages for line in page.extract_text().splitlines())

    assert said.count(long) == 4
    assert longest < 120


@pytest.mark.parametrize(
    "sections",
    [
        (),
        (Section(heading=""),),
        (Section(heading="Ce qui change"), Section(heading="", paragraphs=("",), tables=(Table(caption="", rows=()),))),
    ],
)
def test_empty_sections_are_no_trouble(sections: tuple[Section, ...]) -> None:
    bare = replace(FRENCH, sections=sections, mark="", signature=())

    assert "Objet : changement de sous-traitant ultérieur" in text(bare)


ANY_TEXT = st.text(max_size=60)


@settings(max_examples=25)
@given(st.lists(ANY_TEXT, min_size=5, max_size=5), st.lists(ANY_TEXT, max_size=5))
def test_whatever_a_letter_says_it_is_printed(words: list[str], lines: list[str]) -> None:
    table = Table(caption=words[0], rows=((words[1], words[2]),))
    section = Section(heading=words[3], paragraphs=tuple(lines), tables=(table,))
    letter = replace(
        FRENCH,
        recipient=("Clinique Exemple", words[4].replace("\n", " ")[:30]),
        subject=words[0],
        reference=words[1],
        sections=(section,),
        signature=tuple(lines),
    )

    assert print_batch([letter], search_path=[TEMPLATES], title=words[2]).startswith(b"%PDF")


# --- the template ----------------------------------------------------------------------------------------------------


def test_no_letters_are_refused() -> None:
    with pytest.raises(BadLetter, match="there are no letters"):
        print_batch([], search_path=[TEMPLATES], title="Letters")


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(BadLetter, match="letter A-42/7 is in a language that the template does not know"):
        printed(replace(FRENCH, language="de"))


def test_the_operators_own_paper_wins(tmp_path: Path) -> None:
    own = tmp_path / "documents" / "letter.typ"
    own.parent.mkdir()
    own.write_text("Our own paper, for #json(bytes(sys.inputs.batch)).letters.first().recipient.first()")

    pdf = PdfReader(io.BytesIO(print_batch([FRENCH], search_path=[tmp_path, TEMPLATES], title="Letters")))

    assert pdf.pages[0].extract_text() == "Our own paper, for Clinique Exemple"


def test_a_folder_without_the_template_leaves_it_to_the_next(tmp_path: Path) -> None:
    assert print_batch([FRENCH], search_path=[tmp_path, TEMPLATES], title="Letters").startswith(b"%PDF")
    with pytest.raises(FileNotFoundError, match=r"documents/letter\.typ"):
        print_batch([FRENCH], search_path=[tmp_path], title="Letters")


def test_a_template_with_a_mistake_is_said(tmp_path: Path) -> None:
    own = tmp_path / "documents" / "letter.typ"
    own.parent.mkdir()
    own.write_text("#mistake")

    with pytest.raises(BadLetter, match="unknown variable: mistake"):
        print_batch([FRENCH], search_path=[tmp_path, TEMPLATES], title="Letters")


# --- over many batches -----------------------------------------------------------------------------------------------


def test_what_a_batch_took_is_given_back_before_the_next() -> None:
    """In a process of its own, whose memory nothing else grows; what is not given back more than doubles it."""
    script = f"""
from resource import RUSAGE_SELF, getrusage
from dataclasses import replace
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.adapters.test_documents import FRENCH, TEMPLATES, print_batch
for batch in range(9):
    letters = [replace(FRENCH, reference=f"A-{{batch}}/{{number}}") for number in range(40)]
    print_batch(letters, search_path=[TEMPLATES], title="Letters")
    print(getrusage(RUSAGE_SELF).ru_maxrss)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    taken = [int(line) for line in ran.stdout.split()]
    assert taken[-1] < 1.4 * taken[0], taken
