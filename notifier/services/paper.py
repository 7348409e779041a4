"""Letters of paper and registered e-letters: printed, handed over, received or returned, each with its proof.

Where a client's terms refuse mail, the letter alone starts its clock: on the day of its handing over to the addressee
(CPC 669), or of its acceptance (CPCE R.53-3).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from notifier.adapters import documents
from notifier.models import (
    Announcement,
    Client,
    Contact,
    Delivery,
    DeliveryNotice,
    Edition,
    Event,
    EventKind,
    ItemKind,
    Notice,
    OverrideKind,
    PaperLetter,
    PaperState,
    PrintBatch,
    Sealed,
)
from notifier.rules.deadlines import LRE_WINDOW
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import local_day, zone
from notifier.rules.terms import Channel, Rule, Unclaimed
from notifier.services import announcements, events, items, letters, notices, overrides, paper_words, provider
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.paper_words import Addressed

MOST_IN_A_BATCH = 200
MOST_FILES = 20  # e-letters made at once: a file of its own for each, while the database waits
LARGEST_PROOF = 5 * 1024 * 1024
LONGEST_TRACKING = 60
LONGEST_NAME = 120
WINDOW = timedelta(days=LRE_WINDOW.days)
PROOFS: Mapping[bytes, str] = MappingProxyType(
    {b"%PDF-": "application/pdf", b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
)
UNDER_WAY = (PaperState.PRINTED, PaperState.HANDED_OVER)
CARRIED = (PaperState.HANDED_OVER, PaperState.RECEIVED, PaperState.RETURNED)  # what the post, or the service, has had
UNHEARD = frozenset({NoticeState.RAISED, NoticeState.UNREACHED})


class Return(StrEnum):
    """Why a letter came back."""

    UNCLAIMED = "unclaimed"
    REFUSED = "refused"
    UNKNOWN_ADDRESS = "unknown_address"
    OTHER = "other"


BY_CONTRACT = frozenset({Return.UNCLAIMED, Return.REFUSED})  # of an e-letter, the contract says what these mean


class Fault(StrEnum):
    """What is wrong with something that was written of a letter."""

    MISSING = "missing"
    IN_FUTURE = "in_future"
    BEFORE_LETTER = "before_letter"
    BEFORE_HAND_OVER = "before_hand_over"
    NO_TRACKING = "no_tracking"
    TRACKING_TOO_LONG = "tracking_too_long"
    TRACKING_TWICE = "tracking_twice"
    BEFORE_INFORMED = "before_informed"
    AFTER_WINDOW = "after_window"
    WINDOW_RUNS = "window_runs"
    PROOF_TOO_LARGE = "proof_too_large"
    PROOF_UNREADABLE = "proof_unreadable"


SENTENCES: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.MISSING: "write it",
        Fault.IN_FUTURE: "this has not come yet: write a day that has",
        Fault.BEFORE_LETTER: "this lies before the letter was raised: write a later day",
        Fault.BEFORE_HAND_OVER: "this lies before the letter was handed over: write a later day",
        Fault.NO_TRACKING: "write the tracking number of the letter",
        Fault.TRACKING_TOO_LONG: f"a tracking number has at most {LONGEST_TRACKING} characters",
        Fault.TRACKING_TWICE: "another letter has this tracking number: correct one of them",
        Fault.BEFORE_INFORMED: "this lies before the addressee was told of the e-letter: correct one of them",
        Fault.AFTER_WINDOW: "an e-letter is accepted within fifteen days after its addressee was told of it",
        Fault.WINDOW_RUNS: "the fifteen days in which the e-letter may be accepted are not over",
        Fault.PROOF_TOO_LARGE: "choose a file of at most 5 MB",
        Fault.PROOF_UNREADABLE: "choose a PDF, a PNG or a JPEG file",
    }
)


class BadPaper(ValueError):
    """What was written cannot be taken; `faults`: field, or id of a letter → what is wrong with it."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        super().__init__("; ".join(f"{field}: {SENTENCES[fault]}" for field, fault in faults.items()))
        self.faults = dict(faults)


class NoSuchLetter(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such letter")


class NoSuchBatch(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such batch")


class NothingToPrint(Exception):
    def __init__(self) -> None:
        super().__init__("no letter waits to be printed: one that was printed is printed again on request alone")


class NotPrintable(Exception):
    """`reference`: of the letter that cannot be printed; empty where the template is at fault."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(why)
        self.reference = reference


class NotNow(Exception):
    """What is asked for cannot be done to the letter as it stands."""

    def __init__(self, state: PaperState) -> None:
        super().__init__(f"this cannot be done to a letter that is {state}")
        self.state = state


class Superseded(Exception):
    """Another letter has been written to the client since, and that one counts."""

    def __init__(self) -> None:
        super().__init__("another letter has been written since, and that one counts: record this of the other one")


class Settled(Exception):
    """The change has been made for this client, or is not made for it: what is recorded stays as it is."""

    def __init__(self) -> None:
        super().__init__("the change has been made for this client, or is not made for it: nothing moves any more")


@dataclass(frozen=True, slots=True)
class Proof:
    """A file that shows what became of a letter: the post's slip, the service's certificate."""

    name: str
    content: bytes

    @property
    def content_type(self) -> str:
        """By content; empty for what is no proof."""
        return type_of(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One letter with whom it is for.  `why`: it came back; the letter's proof is left in the database."""

    letter: PaperLetter
    notice: Notice
    client: Client
    contact: Contact | None
    reference: str
    why: str


@dataclass(frozen=True, slots=True)
class _Case:
    """A letter of which something is recorded, with whose it is and what its contract says."""

    letter: PaperLetter
    notice: Notice
    client: Client
    rule: Rule


# --- looking ---------------------------------------------------------------------------------------------------------


def waiting(session: Session, announcement_id: UUID) -> list[Shown]:
    """Return what is to be printed, or to be made for the e-letter service."""
    found = letters_of(session, announcement_id)
    return [one for one in found if one.letter.state is PaperState.WAITING and one.notice.excluded_at is None]


def letters_of(session: Session, announcement_id: UUID) -> list[Shown]:
    """Return every letter of an announcement, by company, in the order in which they were written."""
    announcement = announcements.get(session, announcement_id)
    return _shown(session, announcement, select(PaperLetter.id).where(_is_of(announcement_id)))


def letter(session: Session, letter_id: UUID) -> tuple[Shown, Rule]:
    """Return one letter and the rule that its client is under."""
    row = session.exec(_without_proof().where(PaperLetter.id == letter_id)).first()
    if row is None:
        raise NoSuchLetter
    notice = notices.get(session, row.notice_id)
    announcement = announcements.get(session, notice.announcement_id)
    (shown,) = _shown(session, announcement, select(PaperLetter.id).where(PaperLetter.id == letter_id))
    return shown, letters.rule_of(session, notice)


def counts(session: Session, announcement_id: UUID) -> Mapping[PaperState, int]:
    """Return how many letters of an announcement are in which state, less those that are not to be printed."""
    query = (
        select(PaperLetter.state, sa.func.count())
        .where(_is_of(announcement_id))
        .where(sa.or_(col(PaperLetter.state) != PaperState.WAITING, ~_is_excluded()))
        .group_by(col(PaperLetter.state))
    )
    return Counter({PaperState(state): number for state, number in session.exec(query)})


def batches_of(session: Session, announcement_id: UUID) -> list[PrintBatch]:
    """Return the batches of an announcement, newest first, without their files."""
    query = select(PrintBatch).where(PrintBatch.announcement_id == announcement_id)
    return list(session.exec(query.options(defer(_column(PrintBatch.pdf))).order_by(col(PrintBatch.id).desc())))


def batch(session: Session, batch_id: UUID) -> PrintBatch:
    """Return a batch with its file."""
    found = session.get(PrintBatch, batch_id)
    if found is None:
        raise NoSuchBatch
    return found


def proof(session: Session, letter_id: UUID) -> Proof:
    """Return the proof kept of a letter; NoSuchLetter where there is none."""
    row = session.get(PaperLetter, letter_id)
    if row is None or row.proof is None:
        raise NoSuchLetter
    return Proof(name=row.proof_name, content=row.proof)


def type_of(content: bytes) -> str:
    """Return the type of a proof by its first bytes; empty for anything else."""
    return next((kind for first, kind in PROOFS.items() if content.startswith(first)), "")


# --- printing --------------------------------------------------------------------------------------------------------


def print_batch(session: Session, desk: Desk, announcement_id: UUID, *, by: str, now: datetime) -> PrintBatch:
    """Print the letters of paper that wait, as many as one batch takes, into one file that is kept."""
    return _print_waiting(session, desk, announcement_id, Channel.PAPER, limit=MOST_IN_A_BATCH, by=by, now=now)[0]


def make_e_letters(session: Session, desk: Desk, announcement_id: UUID, *, by: str, now: datetime) -> list[PrintBatch]:
    """Make a file for each e-letter that waits: the service takes them one by one, and none may show another's name."""
    return _print_waiting(session, desk, announcement_id, Channel.E_LETTER, limit=MOST_FILES, by=by, now=now)


def reprint(session: Session, desk: Desk, batch_id: UUID, *, by: str, now: datetime) -> PrintBatch:
    """Print anew what was printed in a batch and has not been handed over: the sheets were spoilt, or lost."""
    before = batch(session, batch_id)
    query = select(PaperLetter).where(PaperLetter.batch_id == batch_id, PaperLetter.state == PaperState.PRINTED)
    rows = session.exec(_locked(query)).all()
    if not rows:
        raise NothingToPrint
    announcement = announcements.get(session, before.announcement_id)
    return _print(session, desk, announcement, rows, by=by, now=now)


def _print_waiting(
    session: Session, desk: Desk, announcement_id: UUID, channel: Channel, *, limit: int, by: str, now: datetime
) -> list[PrintBatch]:
    announcement = announcements.get(session, announcement_id)
    query = (
        select(PaperLetter)
        .join(Notice, col(Notice.id) == PaperLetter.notice_id)
        .where(_of(announcement_id), PaperLetter.state == PaperState.WAITING, PaperLetter.channel == channel)
        .where(col(Notice.excluded_at).is_(None))
        .limit(limit)
    )
    rows = session.exec(_locked(query)).all()
    if not rows:
        raise NothingToPrint
    together = [rows] if channel is Channel.PAPER else [[row] for row in rows]
    made = [_print(session, desk, announcement, some, by=by, now=now) for some in together]
    if not waiting(session, announcement_id):
        items.close_items(session, ItemKind.PAPER_TO_PRINT, about=announcement_id, by=by, now=now, note="printed")
    return made


def _print(
    session: Session, desk: Desk, announcement: Announcement, rows: Sequence[PaperLetter], *, by: str, now: datetime
) -> PrintBatch:
    profile = provider.require_complete(session)
    today = local_day(now, zone(profile.timezone))
    addressed = _addressed(session, announcement, rows)
    sayings = letters.Sayings(session, announcement)
    written = [paper_words.written(sayings.to([one.notice]), profile, one, written_on=today) for one in addressed]
    title = paper_words.title_of_batch(announcement, today, profile.languages.split()[0])
    try:
        pdf = documents.print_batch(written, search_path=desk.templates, title=title)
    except documents.BadLetter as bad:
        named = [one.reference for one in written if one.reference in str(bad).split()]
        raise NotPrintable(named[0] if named else "", str(bad)) from bad
    made = PrintBatch(
        announcement_id=announcement.id,
        letters=len(rows),
        pdf=pdf,
        sha256=hashlib.sha256(pdf).hexdigest(),
        made_at=now,
        made_by=by,
    )
    session.add(made)
    session.flush()
    for row in rows:
        row.state, row.batch_id = PaperState.PRINTED, made.id
        session.add(row)
    facts = {"letters": made.letters, "channel": rows[0].channel.value, "sha256": made.sha256}
    kind, about = EventKind.PAPER_PRINTED, announcement.id
    events.record(session, kind, about=made.id, announcement=about, by=by, now=now, **facts)
    return made


# --- what becomes of a letter ----------------------------------------------------------------------------------------


def hand_over(
    session: Session, tracking: Mapping[UUID, str], *, handed_over_on: date | None, by: str, now: datetime
) -> list[PaperLetter]:
    """Record that letters were handed over to the post, or to the e-letter service, on a day, each with its number.

    `tracking`: letter → number.  What was recorded may be corrected until the letter is received or comes back.
    """
    today = local_day(now, zone(provider.get(session).timezone))
    rows = session.exec(_locked(select(PaperLetter).where(col(PaperLetter.id).in_(tracking)))).all()
    if not rows or len(rows) < len(tracking):
        raise NoSuchLetter
    for row in rows:
        if row.state not in UNDER_WAY:
            raise NotNow(row.state)
    numbers = {row.id: " ".join(tracking[row.id].split()) for row in rows}
    faults = _faults_of_numbers(session, numbers)
    if fault := _fault_of_day(session, handed_over_on, rows, today):
        faults["handed_over_on"] = fault
    if faults or handed_over_on is None:
        raise BadPaper(faults)
    for row in rows:
        row.state, row.tracking, row.handed_over_on = PaperState.HANDED_OVER, numbers[row.id], handed_over_on
        session.add(row)
    happened = [
        _happened(
            EventKind.PAPER_HANDED_OVER, case, tracking=case.letter.tracking, handed_over_on=handed_over_on.isoformat()
        )
        for case in _cases(session, rows)
    ]
    events.record_all(session, happened, by=by, now=now)
    return list(rows)


def record_receipt(
    session: Session,
    desk: Desk,
    letter_id: UUID,
    *,
    received_on: date | None,
    proof: Proof | None = None,
    by: str,
    now: datetime,
) -> PaperLetter:
    """Record the day on which a letter was handed to its addressee, or correct it: the client's clock runs from it.

    The last day that the client was told is never taken back, and once the change is made for it nothing moves.
    """
    case = _opened(session, letter_id)
    faults = _faults_of_proof(proof)
    if received_on is None:
        faults["received_on"] = Fault.MISSING
    elif received_on > case.rule.day_of(now):
        faults["received_on"] = Fault.IN_FUTURE
    elif case.letter.handed_over_on and received_on < case.letter.handed_over_on:
        faults["received_on"] = Fault.BEFORE_HAND_OVER
    if faults or received_on is None:
        raise BadPaper(faults)
    _receive(session, desk, case, received_on, proof=proof, by=by, now=now)
    return case.letter


def record_return(
    session: Session, desk: Desk, letter_id: UUID, *, why: Return, proof: Proof | None = None, by: str, now: datetime
) -> PaperLetter:
    """Record that a letter came back: it starts no clock, and a person must reach the client.

    Of an e-letter that was refused or unclaimed, the contract says what follows: `record_e_letter`.
    """
    case = _opened(session, letter_id)
    if case.letter.channel is Channel.E_LETTER and why in BY_CONTRACT:
        raise NotNow(case.letter.state)
    if faults := _faults_of_proof(proof):
        raise BadPaper(faults)
    _return(session, desk, case, why=why, proof=proof, by=by, now=now)
    return case.letter


def record_e_letter(
    session: Session,
    desk: Desk,
    letter_id: UUID,
    *,
    informed_on: date | None,
    outcome: datetime | Return | None,
    proof: Proof | None = None,
    by: str,
    now: datetime,
) -> PaperLetter:
    """Record how an e-letter ended: the instant (aware) of its acceptance, or that it was refused or unclaimed.

    Accepted, it is received on that day; else when the contract says so, and where it says nothing, never.
    """
    case = _opened(session, letter_id)
    if case.letter.channel is not Channel.E_LETTER:
        raise NotNow(case.letter.state)
    faults = _faults_of_proof(proof) | _faults_of_e_letter(case, informed_on, outcome, now)
    if faults or informed_on is None or outcome is None:
        raise BadPaper(faults)
    case.letter.informed_on = informed_on
    facts = {"informed_on": informed_on.isoformat()}
    if isinstance(outcome, datetime):
        facts["accepted_at"] = outcome.isoformat()
        _receive(session, desk, case, case.rule.day_of(outcome), proof=proof, by=by, now=now, **facts)
    elif deemed := _deemed(case.rule.unclaimed, informed_on):
        facts["why"] = outcome.value
        _receive(session, desk, case, deemed, proof=proof, by=by, now=now, **facts)
    else:
        _return(session, desk, case, why=outcome, proof=proof, by=by, now=now, **facts)
    return case.letter


def write_again(session: Session, letter_id: UUID, *, on_paper: bool = False, by: str, now: datetime) -> PaperLetter:
    """Raise another letter to a client whose letter came back; its whole period is presumed anew.

    `on_paper`: by post, after an e-letter that nobody accepted.
    """
    case = _opened(session, letter_id, states=(PaperState.RETURNED,))
    before, notice = case.letter, case.notice
    if notice.live_at or notice.excluded_at or before.edition != notice.edition:
        raise Settled
    if notice.state not in UNHEARD:
        raise NotNow(before.state)
    contact = session.get(Contact, before.contact_id) if before.contact_id else None
    again = PaperLetter(
        notice_id=notice.id,
        contact_id=contact.id if contact and not contact.left_at else None,
        channel=Channel.PAPER if on_paper else before.channel,
        edition=before.edition,
        number=before.number + 1,
        language=before.language,
        raised_at=now,
    )
    notice.channel = again.channel
    session.add_all([again, notice])
    notices.postpone_unreached(session, notice, case.rule, by=by, now=now)
    items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note="written again")
    about = notice.announcement_id
    items.open_item(session, ItemKind.PAPER_TO_PRINT, about=about, announcement=about, now=now)
    session.flush()
    raised = _happened(EventKind.PAPER_RAISED, replace(case, letter=again), after=str(before.id))
    events.record_all(session, [raised], by=by, now=now)
    return again


def _receive(
    session: Session,
    desk: Desk,
    case: _Case,
    received_on: date,
    *,
    proof: Proof | None,
    by: str,
    now: datetime,
    **facts: str,
) -> None:
    """An earlier day than the one recorded takes that receipt back first: by itself, a receipt moves later alone."""
    row, notice = case.letter, case.notice
    was = row.received_on
    if was and received_on < was:
        row.state, row.received_on = PaperState.HANDED_OVER, None
        session.add(row)
        notices.reckon_all(session, desk, [notice.id], by=by, now=now)
    row.state, row.received_on = PaperState.RECEIVED, received_on
    _keep(row, proof)
    session.add(row)
    facts |= {"received_on": received_on.isoformat(), "proof_sha256": row.proof_sha256}
    if was and was != received_on:
        facts["corrected"] = was.isoformat()
    events.record_all(session, [_happened(EventKind.PAPER_RECEIVED, case, **facts)], by=by, now=now)
    notices.reckon_all(session, desk, [notice.id], by=by, now=now)
    if notice.state not in UNHEARD:
        items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note="received")


def _return(
    session: Session,
    desk: Desk,
    case: _Case,
    *,
    why: Return,
    proof: Proof | None,
    by: str,
    now: datetime,
    **facts: str,
) -> None:
    row, notice = case.letter, case.notice
    row.state, row.received_on = PaperState.RETURNED, None
    _keep(row, proof)
    session.add(row)
    facts |= {"why": why.value, "proof_sha256": row.proof_sha256}
    events.record_all(session, [_happened(EventKind.PAPER_RETURNED, case, **facts)], by=by, now=now)
    notices.reckon_all(session, desk, [notice.id], by=by, now=now)
    if notice.state is NoticeState.UNREACHED:
        about = notice.announcement_id
        items.open_item(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, announcement=about, now=now)


def _deemed(unclaimed: Unclaimed, informed_on: date) -> date | None:
    """Return when an e-letter that nobody accepted is received; where the contract does not say, it is not."""
    return {Unclaimed.WINDOW_END: informed_on + WINDOW, Unclaimed.FIRST_PRESENTATION: informed_on}.get(unclaimed)


def _keep(row: PaperLetter, proof: Proof | None) -> None:
    if proof is None:
        return
    name = proof.name.replace("\\", "/").rpartition("/")[2]
    row.proof, row.proof_sha256 = proof.content, hashlib.sha256(proof.content).hexdigest()
    row.proof_name = "".join(sign for sign in name if sign.isprintable())[-LONGEST_NAME:]


# --- what is refused -------------------------------------------------------------------------------------------------


def _faults_of_numbers(session: Session, numbers: Mapping[UUID, str]) -> dict[str, Fault]:
    """Say of each letter what is wrong with its number: none, too long, or that of another letter."""
    query = select(PaperLetter.tracking).where(
        col(PaperLetter.tracking).in_(set(numbers.values())), col(PaperLetter.id).not_in(numbers)
    )
    taken = {*session.exec(query)} | {number for number, times in Counter(numbers.values()).items() if times > 1}
    wrong: dict[str, Fault] = {}
    for letter_id, number in numbers.items():
        if not number:
            wrong[str(letter_id)] = Fault.NO_TRACKING
        elif len(number) > LONGEST_TRACKING:
            wrong[str(letter_id)] = Fault.TRACKING_TOO_LONG
        elif number in taken:
            wrong[str(letter_id)] = Fault.TRACKING_TWICE
    return wrong


def _fault_of_day(session: Session, day: date | None, rows: Sequence[PaperLetter], today: date) -> Fault | None:
    if day is None:
        return Fault.MISSING
    if day > today:
        return Fault.IN_FUTURE
    tz = zone(provider.get(session).timezone)
    return Fault.BEFORE_LETTER if day < max(local_day(row.raised_at, tz) for row in rows) else None


def _faults_of_e_letter(
    case: _Case, informed_on: date | None, outcome: datetime | Return | None, now: datetime
) -> dict[str, Fault]:
    """An e-letter may be accepted or refused for fifteen days after the one on which its addressee was told of it."""
    rule, today = case.rule, case.rule.day_of(now)
    if informed_on is None or outcome is None:
        missing = {"informed_on": informed_on, "accepted_at": outcome}
        return {name: Fault.MISSING for name, said in missing.items() if said is None}
    if informed_on > today:
        return {"informed_on": Fault.IN_FUTURE}
    if informed_on < rule.day_of(case.letter.raised_at):
        return {"informed_on": Fault.BEFORE_LETTER}
    if isinstance(outcome, Return):
        early = outcome is Return.UNCLAIMED and today <= informed_on + WINDOW
        return {"outcome": Fault.WINDOW_RUNS} if early else {}
    return _faults_of_acceptance(informed_on, outcome, rule.day_of(outcome), now)


def _faults_of_acceptance(informed_on: date, at: datetime, accepted_on: date, now: datetime) -> dict[str, Fault]:
    if at > now:
        return {"accepted_at": Fault.IN_FUTURE}
    if accepted_on < informed_on:
        return {"accepted_at": Fault.BEFORE_INFORMED}
    return {"accepted_at": Fault.AFTER_WINDOW} if accepted_on > informed_on + WINDOW else {}


def _faults_of_proof(proof: Proof | None) -> dict[str, Fault]:
    if proof is None:
        return {}
    if len(proof.content) > LARGEST_PROOF:
        return {"proof": Fault.PROOF_TOO_LARGE}
    return {} if proof.content_type else {"proof": Fault.PROOF_UNREADABLE}


# --- rows ------------------------------------------------------------------------------------------------------------


def _is_of(announcement_id: UUID) -> Any:  # noqa: ANN401 - as _of
    """For letters, which are few beside notices: asked of each letter, not of each notice."""
    told = select(Notice.id).where(col(Notice.id) == PaperLetter.notice_id, _of(announcement_id))
    return told.exists()


def _is_excluded() -> Any:  # noqa: ANN401 - as _of
    excluded = select(Notice.id).where(col(Notice.id) == PaperLetter.notice_id, col(Notice.excluded_at).is_not(None))
    return excluded.exists()


def _of(announcement_id: UUID) -> Any:  # noqa: ANN401 - a condition
    return col(Notice.announcement_id) == announcement_id


def _column(attribute: Any) -> Any:  # noqa: ANN401 - SQLModel types a column as its value
    return attribute


def _without_proof() -> Any:  # noqa: ANN401 - a query
    return select(PaperLetter).options(defer(_column(PaperLetter.proof)))


def _locked(query: Any) -> Any:  # noqa: ANN401 - a query on PaperLetter
    ordered = query.order_by(col(PaperLetter.id)).with_for_update(of=PaperLetter)
    return ordered.options(defer(_column(PaperLetter.proof))).execution_options(populate_existing=True)


def _opened(session: Session, letter_id: UUID, *, states: Sequence[PaperState] = CARRIED) -> _Case:
    """Lock a letter and its notice, to record what became of it; the latest letter to the client alone."""
    found = session.exec(select(PaperLetter.notice_id).where(PaperLetter.id == letter_id)).first()
    if found is None:
        raise NoSuchLetter
    notice = notices.get(session, found, lock=True)
    row: PaperLetter = session.exec(_locked(select(PaperLetter).where(PaperLetter.id == letter_id))).one()
    if row.state not in states:
        raise NotNow(row.state)
    later = select(PaperLetter.id).where(PaperLetter.notice_id == notice.id, PaperLetter.edition == row.edition)
    if session.exec(later.where(PaperLetter.number > row.number)).first():
        raise Superseded
    if row.received_on and (notice.live_at or notice.excluded_at):
        raise Settled
    return _Case(row, notice, session.get_one(Client, notice.client_id), letters.rule_of(session, notice))


def _shown(session: Session, announcement: Announcement, which: Any) -> list[Shown]:  # noqa: ANN401 - ids of letters
    query = (
        select(PaperLetter, Notice, Client, Contact)
        .join(Notice, col(Notice.id) == PaperLetter.notice_id)
        .join(Client, col(Client.id) == Notice.client_id)
        .outerjoin(Contact, col(Contact.id) == PaperLetter.contact_id)
        .where(col(PaperLetter.id).in_(which))
        .order_by(col(Client.company), col(PaperLetter.edition), col(PaperLetter.number))
        .options(defer(_column(PaperLetter.proof)))
    )
    returned = select(Event).where(Event.announcement_id == announcement.id, Event.kind == EventKind.PAPER_RETURNED)
    why = {event.data["letter"]: event.data["why"] for event in session.exec(returned.order_by(col(Event.id)))}
    return [
        Shown(
            letter=row,
            notice=notice,
            client=client,
            contact=contact,
            reference=paper_words.reference_of(announcement, client, row),
            why=why.get(str(row.id), "") if row.state is PaperState.RETURNED else "",
        )
        for row, notice, client, contact in session.exec(query)
    ]


def _addressed(session: Session, announcement: Announcement, rows: Sequence[PaperLetter]) -> list[Addressed]:
    """Return what each letter says to whom, by company: the sheets lie in the order of the list on the page."""
    shown = _shown(session, announcement, [row.id for row in rows])
    notice_ids = [row.notice_id for row in rows]
    mailed, told = _mailed(session, notice_ids), _editions_told(session, notice_ids)
    sealed = session.exec(select(Sealed).where(Sealed.announcement_id == announcement.id))
    rules = {one.id: one.counted for one in sealed}
    late = overrides.lateness(session, announcement)
    breach = overrides.confirmed(session, announcement.id, OverrideKind.BREACH)
    return [
        Addressed(
            letter=one.letter,
            notice=one.notice,
            client=one.client,
            contact=one.contact,
            rule=rules[one.notice.sealed_id],
            mailed=one.notice.id in mailed,
            replaces=_edition_before(session, announcement, one, told.get(one.notice.id, set())),
            repeats=_returned_before(session, one.letter),
            late_reason=late.reasons[one.letter.language] if late else "",
            breach=breach if one.notice.live_in_breach else None,
        )
        for one in shown
    ]


def _mailed(session: Session, notice_ids: Sequence[UUID]) -> set[UUID]:
    """Return the notices of which a copy is with the contacts, or on its way."""
    query = (
        select(DeliveryNotice.notice_id)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(col(DeliveryNotice.notice_id).in_(notice_ids), col(DeliveryNotice.courtesy).is_(True))
        .where(Delivery.letter == letters.NOTICE, col(Delivery.state).not_in(letters.NEVER_READ))
    )
    return set(session.exec(query))


def _editions_told(session: Session, notice_ids: Sequence[UUID]) -> Mapping[UUID, set[int]]:
    """Return which editions each client was told, by letter or by mail."""
    posted = select(PaperLetter.notice_id, PaperLetter.edition).where(
        col(PaperLetter.notice_id).in_(notice_ids), PaperLetter.state != PaperState.WAITING
    )
    mailed = (
        select(DeliveryNotice.notice_id, DeliveryNotice.edition)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(col(DeliveryNotice.notice_id).in_(notice_ids), Delivery.letter == letters.NOTICE)
        .where(col(Delivery.state).not_in(letters.NEVER_READ))
    )
    told: dict[UUID, set[int]] = {}
    for notice_id, edition in [*session.exec(posted), *session.exec(mailed)]:
        told.setdefault(notice_id, set()).add(edition)
    return told


def _edition_before(session: Session, announcement: Announcement, one: Shown, told: set[int]) -> Edition | None:
    """Return the edition that a client was told before the one of a letter, with what of it concerns the client."""
    number = max((edition for edition in told if edition < one.letter.edition), default=0)
    if not number:
        return None
    query = select(Edition).where(Edition.announcement_id == announcement.id, Edition.number == number)
    before = session.exec(query.order_by(col(Edition.made_at).desc())).first()
    return letters.as_seen(before, [one.client.scope]) if before else None


def _returned_before(session: Session, row: PaperLetter) -> date | None:
    """Return the day on which the letter before this one was handed over."""
    query = _without_proof().where(
        PaperLetter.notice_id == row.notice_id,
        PaperLetter.edition == row.edition,
        PaperLetter.number == row.number - 1,
    )
    before: PaperLetter | None = session.exec(query).first()
    return before.handed_over_on if before else None


def _cases(session: Session, rows: Sequence[PaperLetter]) -> list[_Case]:
    found = {row.id: notices.get(session, row.notice_id) for row in rows}
    return [
        _Case(
            row,
            found[row.id],
            session.get_one(Client, found[row.id].client_id),
            letters.rule_of(session, found[row.id]),
        )
        for row in rows
    ]


def _happened(kind: EventKind, case: _Case, **facts: str) -> Happened:
    letter = {"letter": str(case.letter.id), "number": case.letter.number}
    data = {"client": case.client.key, "company": case.client.company, **letter, **facts}
    return Happened(kind=kind, about=case.notice.id, announcement=case.notice.announcement_id, data=data)
