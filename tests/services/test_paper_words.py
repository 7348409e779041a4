"""What letters of paper say, for every kind of announcement under the contracts that come with the product."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest

from notifier.adapters.documents import PaperLetter as Printed
from notifier.models import Announcement, Client, Edition, Notice, Override, OverrideKind, PaperLetter, Provider
from notifier.rules.kinds import KINDS, LANGUAGES, AnnouncementKind, Shape, keys_of
from notifier.rules.periods import Counting, Period
from notifier.rules.registry_diff import as_json, diff
from notifier.rules.terms import BadPack, Channel, Rule, Unclaimed
from notifier.services import paper_words
from notifier.services.desk import Desk
from notifier.services.paper_words import Addressed
from tests.factories import NOON, PACK, REASONS, make_entry

MONDAY = date(2026, 3, 2)
PROFILE = Provider(
    legal_name="Hébergement Exemple SAS",
    address="1 rue des Essais, 75000 Paris",
    reply_to="privacy@hosting.example",
    base_url="https://hosting.example",
)
WRITTEN = {Shape.COUNTRY: "FR", Shape.DAY: "2026-02-27", Shape.URL: "https://hosting.example/certificate"}
CHANGES = diff(
    [make_entry("Equinix"), make_entry("Fibrexemple"), make_entry("Vieillexemple")],
    [
        make_entry("Equinix", town="Lyon"),
        replace(make_entry("Optexemple"), replaces="fibrexemple"),
        make_entry("Nouvelexemple"),
    ],
)


def announced(kind: AnnouncementKind = AnnouncementKind.SUBPROCESSOR, aspect: str = "") -> Announcement:
    facts = {
        key: WRITTEN.get(field.shape, f"{key} as it was written")
        for field in KINDS[kind].fields
        for key in keys_of(field)
    }
    registry = kind in {AnnouncementKind.SUBPROCESSOR, AnnouncementKind.EMERGENCY}
    return Announcement(
        kind=kind,
        aspect=aspect,
        reference="SP-2026-0002",
        facts=facts,
        changes=[as_json(change) for change in CHANGES] if registry else [],
        reasons=REASONS,
        effective_on=date(2026, 6, 1),
        effective_at=NOON,
        published_at=NOON,
        published_by="test",
    )


def addressed(
    rule: Rule, language: str = "en", *, channel: Channel = Channel.PAPER, reseller: bool = False
) -> Addressed:
    client = Client(
        key="C-001",
        company="Clinique Exemple",
        address="3, avenue de la Gare",
        postcode="38000",
        town="Grenoble",
        reseller=reseller,
        created_at=NOON,
    )
    notice = Notice(
        announcement_id=uuid4(),
        client_id=client.id,
        terms_id=uuid4(),
        sealed_id=uuid4(),
        object_by=MONDAY,
        object_until=NOON,
        holds_until=NOON,
        raised_at=NOON,
    )
    letter = PaperLetter(notice_id=notice.id, channel=channel, edition=1, language=language, raised_at=NOON)
    return Addressed(letter=letter, notice=notice, client=client, contact=None, rule=rule)


def said(announcement: Announcement, one: Addressed) -> str:
    return text(paper_words.written(announcement, PROFILE, one, written_on=MONDAY))


def text(letter: Printed) -> str:
    return "\n".join(everything(letter))


def everything(letter: Printed) -> Iterator[str]:
    yield from (letter.mark, letter.subject, *letter.recipient)
    for section in letter.sections:
        yield from (section.heading, *section.paragraphs)
        for table in section.tables:
            yield table.caption
            yield from (f"{label}: {value}" for label, value in table.rows)


def rules_of(desk: Desk, kind: AnnouncementKind, aspect: str) -> Iterator[Rule]:
    for pack in desk.packs.values():
        try:
            yield pack.rule_for(kind, aspect)
        except BadPack:  # it has no rule for this kind, or leaves its period blank
            continue


EVERY = [(kind, aspect) for kind in AnnouncementKind for aspect in KINDS[kind].aspects or ("",)]


@pytest.mark.parametrize(("kind", "aspect"), EVERY)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_is_told_on_paper_under_every_contract(
    desk: Desk, kind: AnnouncementKind, aspect: str, language: str
) -> None:
    announcement = announced(kind, aspect)

    told = [said(announcement, addressed(rule, language)) for rule in rules_of(desk, kind, aspect)]

    assert told
    for one in told:
        assert REASONS[language] in one
        assert "SP-2026-0002/C-001" in one
        assert not {"{", "}"} & set(one)


@pytest.fixture
def rule(desk: Desk) -> Rule:
    return desk.packs[PACK].rule_for(AnnouncementKind.SUBPROCESSOR)


def test_each_change_of_the_registry_stands_in_a_table(rule: Rule) -> None:
    told = said(announced(), addressed(rule))

    assert "Fibrexemple is replaced by Optexemple – before\nName: Fibrexemple" in told
    assert "Fibrexemple is replaced by Optexemple – after\nName: Optexemple" in told
    assert "Nouvelexemple is added\nName: Nouvelexemple" in told
    assert "Vieillexemple is removed\nName: Vieillexemple" in told
    assert "Equinix (places of processing change)\nTown: Paris → Lyon" in told


@pytest.mark.parametrize(
    ("counting", "sentence"),
    [
        (Counting.FR_CAL, "moves to the next working day."),
        (Counting.EU_1182, "at least two working days lie within the time."),
        (Counting.CLEAR, "The last day does not count either"),
        (Counting.CAL_STRICT, ""),
    ],
)
def test_a_letter_says_what_becomes_of_a_last_day_that_is_not_worked(
    rule: Rule, counting: Counting, sentence: str
) -> None:
    told = said(announced(), addressed(replace(rule, counting=counting)))

    assert sentence in told
    assert bool(sentence) == ("The last day" in told or "A last day" in told)


def test_a_letter_says_both_times_where_the_contract_gives_another_one_to_object(rule: Rule) -> None:
    two = replace(rule, period=Period(days=90), window=Period(days=30))

    both = said(announced(), addressed(two))
    period_alone = said(announced(), addressed(replace(two, window_holds=False)))

    assert "You may object within 30 days" in both
    assert (
        "before that time is over, nor before the end of a period of 90 days, counted in the same way, nor before"
        in both
    )
    assert "before the end of a period of 90 days, counted in the same way, nor before 1 June 2026" in period_alone


def test_silence_on_an_emergency_is_not_consent(rule: Rule) -> None:
    told = said(announced(AnnouncementKind.EMERGENCY), addressed(rule))

    assert "We ask for your consent to start on 1 June 2026." in told
    assert "the change does not start for you before the end of a period of 30 days" in told
    assert "Silence is not consent" in told
    assert "measures_en as it was written" in told


def test_where_consent_is_owed_nothing_starts_without_it(desk: Desk) -> None:
    consent = desk.packs[PACK].rule_for(AnnouncementKind.SECURITY)

    told = said(announced(AnnouncementKind.SECURITY), addressed(consent))

    assert "You may answer within 30 days" in told
    assert "Nothing starts for you without your consent." in told
    assert "Silence is not consent" not in told.partition("How to answer")[0]


def test_whoever_is_consulted_gives_its_view(desk: Desk) -> None:
    kind = AnnouncementKind.DISCLOSURE
    told = said(announced(kind, "consultation"), addressed(desk.packs[PACK].rule_for(kind, "consultation")))

    assert "Your contract requires us to consult you beforehand" in told
    assert "give your view, or object to the disclosure" in told


@pytest.mark.parametrize(
    ("unclaimed", "sentence"),
    [
        (Unclaimed.WINDOW_END, "the time runs from the end of the fifteen days"),
        (Unclaimed.FIRST_PRESENTATION, "the time runs from the day on which you were told of it"),
        (Unclaimed.NEVER, ""),
    ],
)
def test_an_e_letter_says_when_it_counts_as_received_unclaimed(rule: Rule, unclaimed: Unclaimed, sentence: str) -> None:
    told = said(announced(), addressed(replace(rule, unclaimed=unclaimed), channel=Channel.E_LETTER))

    assert "counted from the day on which you accept this letter" in told
    assert sentence in told
    assert bool(sentence) == ("If nobody accepts it" in told)


def test_a_letter_told_late_says_on_what_ground_two_persons_decided_so(rule: Rule) -> None:
    told = said(announced(), replace(addressed(rule), late_reason="A court has ordered it."))

    assert "Two persons at Hébergement Exemple SAS have decided so, on this ground:\nA court has ordered it." in told


def test_a_letter_that_replaces_another_shows_what_differs(rule: Rule) -> None:
    now = announced()
    before = Edition(
        announcement_id=now.id,
        number=1,
        in_substance=True,
        changes=now.changes,
        facts={},
        reasons=REASONS,
        effective_on=now.effective_on - timedelta(days=30),
        made_at=NOON,
        made_by="test",
    )

    told = said(now, replace(addressed(rule), replaces=before))

    assert "This letter replaces our notice of 2 March 2026." in told
    assert "Day of effect\nBefore: 2 May 2026\nAfter: 1 June 2026" in told


def test_a_client_that_is_itself_a_processor_gets_the_text_for_its_own_clients(rule: Rule) -> None:
    told = said(announced(), addressed(rule, reseller=True))

    assert "To tell your own clients" in told
    assert "Hébergement Exemple SAS: notice SP-2026-0002" in told


def test_a_period_of_one_week_is_not_said_in_the_plural(rule: Rule) -> None:
    two = replace(rule, period=Period(weeks=1), window=Period(days=3))

    assert "nor before the end of a period of 1 week, counted in the same way" in said(announced(), addressed(two))
    french = said(announced(), addressed(two, "fr"))
    assert "ni avant la fin d’un délai de 1 semaine, compté de la même manière" in french


def test_what_is_told_at_once_offers_to_leave_and_nothing_to_object_to(desk: Desk) -> None:
    kind = AnnouncementKind.CERTIFICATION

    told = said(announced(kind, "lost"), addressed(desk.packs[PACK].rule_for(kind, "lost")))

    assert "terminate the contract" in told
    assert "object" not in told


def breached(rule: Rule, language: str = "en") -> Addressed:
    """Return a letter that was not printed yet when two persons decided not to wait."""
    one = addressed(rule, language)
    one.notice.live_at, one.notice.live_in_breach = NOON, True
    decided = Override(
        announcement_id=one.notice.announcement_id,
        kind=OverrideKind.BREACH,
        reasons={"en": "The old site burnt down.", "fr": "L’ancien site a brûlé."},
        measures={"en": "The data is encrypted.", "fr": "Les données sont chiffrées."},
        asked_by="user:ana",
        asked_at=NOON,
    )
    return replace(one, breach=decided)


@pytest.mark.parametrize(("kind", "aspect"), [one for one in EVERY if not KINDS[one[0]].at_once])
def test_a_letter_promises_nothing_of_a_change_that_has_been_made(
    desk: Desk, kind: AnnouncementKind, aspect: str
) -> None:
    for rule in rules_of(desk, kind, aspect):
        told = said(announced(kind, aspect), breached(rule))

        assert "on 2 March 2026, before the right that your contract gives you had run" in told
        assert "for this reason:\nThe old site burnt down.\nWhat protects your data:\nThe data is encrypted." in told
        assert rule.says["en"]["silence"] not in told
        for promise in ("does not start for you", "starts for you without", "We ask for your consent", "or refuse it"):
            assert promise not in told
        assert ("object to the" in told.partition("How to answer")[2]) >= rule.may_object


def test_a_french_letter_says_that_the_change_is_made(rule: Rule) -> None:
    told = said(announced(), breached(rule, "fr"))

    assert "a mis en œuvre le changement de sous-traitant le 2 mars 2026, avant que les droits" in told
    assert "L’ancien site a brûlé." in told
    assert "Les données sont chiffrées." in told
    assert "ne commence pas pour vous" not in told
    assert "Vous pouvez vous opposer dans un délai de 30 jours" in told


def test_a_letter_to_a_client_that_has_consented_meanwhile_says_that_the_change_is_made(desk: Desk) -> None:
    one = addressed(desk.packs[PACK].rule_for(AnnouncementKind.SECURITY))
    one.notice.live_at = NOON

    told = said(announced(AnnouncementKind.SECURITY), one)

    assert "The change was made for you on 2 March 2026." in told
    assert "without your consent" not in told
    assert "Two persons" not in told


def test_french_letters_are_french(rule: Rule) -> None:
    told = said(announced(), replace(addressed(rule, "fr"), mailed=True, repeats=date(2026, 2, 1)))

    assert "Cette lettre répète la nôtre du 1er février 2026, qui nous est revenue." in told
    assert "dans un délai de 30 jours à compter du jour où cette lettre vous est remise" in told
    assert "Cette copie ne fait courir aucun délai\N{NO-BREAK SPACE}: seule cette lettre le fait." in told
    assert "vous opposer au changement\N{NO-BREAK SPACE};" in told
