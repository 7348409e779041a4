"""Announcements, by command: writing, publishing, the gate's choices, and going live."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from sqlmodel import Session

from notifier.cli.shared import (
    Refused,
    headed,
    instant,
    operator,
    print_changes,
    print_preview,
    reason_options,
    say,
    with_session,
)
from notifier.models import Announcement, AnnouncementKind, Notice, OverrideKind, Version
from notifier.rules.kinds import OF_THE_REGISTRY
from notifier.runtime import Runtime, now
from notifier.services import (
    announcements,
    boards,
    clients,
    corrections,
    going_live,
    notices,
    overrides,
    previews,
    registry,
)

DAY = click.DateTime(["%Y-%m-%d"])
DAY_WANTED = "write effective_on as a day, such as effective_on = 2027-01-15"
EXAMPLE = """kind = "service", aspect = "maintenance", effective_on = 2027-01-15, [facts] service = "…", what_en = "…",
what_fr = "…", impact_en = "…", impact_fr = "…", [reasons] en = "…", fr = "…"; optional: per_client = true,
[cause] from = "…", reference = "…", received_on = "2027-01-02"."""


@click.group("announcements")
def announcements_group() -> None:
    """Announcements, and where each client stands."""


@announcements_group.command("list")
@with_session
def announcements_list(runtime: Runtime, session: Session) -> None:
    """List the announcements, newest first."""
    del runtime
    for one in announcements.newest(session):
        say(f"{one.reference}  {one.state}  from {one.effective_on}  {one.id}")


@announcements_group.command("show")
@click.argument("reference")
@with_session
def announcements_show(runtime: Runtime, session: Session, reference: str) -> None:
    """Show the board of an announcement."""
    del runtime
    one = announcements.by_reference(session, reference)
    board = boards.board(session, one.id, now=now())
    say(f"{one.reference}, {one.state}, from {one.effective_on}")
    say("  ".join(f"{status} {count}" for status, count in board.counts.items()))
    opens = instant(board.gate.opens_at) if board.gate.opens_at else "when a person has settled what holds it"
    say(
        "The gate is open."
        if board.gate.is_open
        else f"The gate is closed ({', '.join(board.gate.holds)}); it opens {opens}"
    )
    table = headed("Client", "Status", "Received on", "May object until", "Holds")
    for row in board.rows:
        holds = ", ".join(row.gate.holds) or "-"
        table.add_row(
            row.client.company, row.status, str(row.notice.received_on or "-"), str(row.notice.object_by), holds
        )
    say(table)


@announcements_group.command("draft", help=f"Write an announcement from a TOML file; nobody is told yet.  {EXAMPLE}")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--over", "reference", default="", help="The reference of a draft to write anew.")
@with_session
def announcements_draft(runtime: Runtime, session: Session, file: Path, reference: str) -> None:
    del runtime
    written = _announced(file)
    kind = written.pop("kind")
    if reference:
        one = announcements.by_reference(session, reference)
        if kind and kind != one.kind:
            raise Refused(
                f"{reference} is of the kind {one.kind}, and {file.name} of {kind}: write another draft of it"
            )
        announcements.revise(session, one.id, **written, by=operator(), now=now())
    else:
        one = announcements.draft(session, kind=_kind(kind), **written, by=operator(), now=now())
    say(f"{one.reference} is written. `notifier announcements preview {one.reference}` shows what publishing would do.")


@announcements_group.command("preview")
@click.argument("reference")
@with_session
def announcements_preview(runtime: Runtime, session: Session, reference: str) -> None:
    """Show what publishing a draft would do."""
    one = announcements.by_reference(session, reference)
    print_preview(previews.preview(session, runtime.desk, now=now(), announcement=one))


@announcements_group.command("publish")
@click.argument("reference")
@with_session
def announcements_publish(runtime: Runtime, session: Session, reference: str) -> None:
    """Publish a draft to every affected client."""
    one = announcements.by_reference(session, reference)
    announcements.publish_draft(session, runtime.desk, one.id, by=operator(), now=now())
    session.flush()
    board = boards.board(session, one.id, now=now())
    say(f"{one.reference} is published: {len(board.rows)} clients, {board.in_flight} mails in the outbox.")


@announcements_group.command("discard")
@click.argument("reference")
@with_session
def announcements_discard(runtime: Runtime, session: Session, reference: str) -> None:
    """Throw a draft away."""
    del runtime
    announcements.discard(session, announcements.by_reference(session, reference).id, by=operator(), now=now())
    say(f"{reference} is gone; its reference is not given again.")


@announcements_group.command("correct")
@click.argument("reference")
@click.option("--why", required=True, help="Why it is corrected; kept with both editions.")
@click.option("--effective", "day", type=DAY, help="Another day from which the change is to hold.")
@click.option("--from", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Facts and reasons.")
@click.option("--take-draft", is_flag=True, help="Take the registry's draft in: it says what was meant.")
@click.option("--wording", is_flag=True, help="Only the writing is mended: nobody is told anew, no clock begins again.")
@with_session
def announcements_correct(
    runtime: Runtime,
    session: Session,
    reference: str,
    why: str,
    day: datetime | None,
    file: Path | None,
    *,
    take_draft: bool,
    wording: bool,
) -> None:
    """Correct in substance: everybody is told anew, every clock begins again.

    What is not given stays, whether in the file or on the line.
    """
    one = announcements.by_reference(session, reference)
    written = _read(file) if file else {}
    said = {name: written.get(name) for name in ("facts", "reasons")}
    if wording:
        if day or take_draft:
            raise Refused("another day or list is no matter of wording: leave --wording out, or postpone it")
        corrections.respell(session, one.id, **said, why=why, by=operator(), now=now())
        say(f"The wording of {one.reference} is mended; nobody is told anew.")
        return
    effective_on = day.date() if day else written.get("effective_on")
    revision = _revision_of_draft(session, one) if take_draft else None
    corrections.correct(
        session,
        runtime.desk,
        one.id,
        **said,
        effective_on=effective_on,
        take_draft=revision,
        why=why,
        by=operator(),
        now=now(),
    )
    say(f"{one.reference} is corrected (edition {one.edition}); everybody is told anew.")


@announcements_group.command("postpone")
@click.argument("reference")
@click.option("--effective", "day", type=DAY, required=True, help="The later day.")
@reason_options
@with_session
def announcements_postpone(
    runtime: Runtime, session: Session, reference: str, day: datetime, reason_en: str, reason_fr: str
) -> None:
    """Make the change later than announced; whoever was told is told."""
    one = announcements.by_reference(session, reference)
    reasons = {"en": reason_en, "fr": reason_fr}
    corrections.postpone(
        session, runtime.desk, one.id, effective_on=day.date(), reasons=reasons, by=operator(), now=now()
    )
    say(f"{one.reference} is postponed to {one.effective_on}.")


@announcements_group.command("withdraw")
@click.argument("reference")
@reason_options
@with_session
def announcements_withdraw(runtime: Runtime, session: Session, reference: str, reason_en: str, reason_fr: str) -> None:
    """Take an announcement back; whoever was told is told."""
    one = announcements.by_reference(session, reference)
    reasons = {"en": reason_en, "fr": reason_fr}
    corrections.withdraw(session, runtime.desk, one.id, reasons=reasons, by=operator(), now=now())
    say(f"{one.reference} is withdrawn.")


@announcements_group.command("exclude")
@click.argument("reference")
@click.argument("client")
@click.option("--why", required=True, help="Why the change is not made for this client.")
@with_session
def announcements_exclude(runtime: Runtime, session: Session, reference: str, client: str, why: str) -> None:
    """Decide that the change is not made for CLIENT (its key)."""
    del runtime
    one = announcements.by_reference(session, reference)
    going_live.exclude(session, _notice(session, one, client).id, why=why, by=operator(), now=now())
    say(f"{one.reference} is not made for {client}.")


@announcements_group.command("breach")
@click.argument("reference")
@reason_options
@click.option("--measures-en", default="", help="What protects the data meanwhile, in English.")
@click.option("--measures-fr", default="", help="What protects the data meanwhile, in French.")
@click.option("--started", metavar="INSTANT", help="When it was really made, such as 2027-01-15T09:00+01:00.")
@with_session
def announcements_breach(
    runtime: Runtime,
    session: Session,
    reference: str,
    reason_en: str,
    reason_fr: str,
    measures_en: str,
    measures_fr: str,
    started: str | None,
) -> None:
    """Ask a second person to confirm that the change is made against a closed gate."""
    del runtime
    one = announcements.by_reference(session, reference)
    overrides.ask(
        session,
        one.id,
        OverrideKind.BREACH,
        reasons={"en": reason_en, "fr": reason_fr},
        measures={"en": measures_en, "fr": measures_fr},
        started_at=_instant(started) if started else None,
        by=operator(),
        now=now(),
    )
    say(
        f"Asked. Another person confirms with `notifier announcements decide {one.reference} confirm`, or on the board."
    )


@announcements_group.command("late")
@click.argument("reference")
@reason_options
@with_session
def announcements_late(runtime: Runtime, session: Session, reference: str, reason_en: str, reason_fr: str) -> None:
    """Ask a second person to confirm the legal reason for which a draft is told later than the contracts say."""
    del runtime
    one = announcements.by_reference(session, reference)
    reasons = {"en": reason_en, "fr": reason_fr}
    overrides.ask(session, one.id, OverrideKind.LATE, reasons=reasons, by=operator(), now=now())
    say(f"Asked. Another person confirms with `notifier announcements decide {one.reference} confirm`, or on its page.")


@announcements_group.command("decide")
@click.argument("reference")
@click.argument("decision", type=click.Choice(["confirm", "reject"]))
@with_session
def announcements_decide(runtime: Runtime, session: Session, reference: str, decision: str) -> None:
    """Decide, as the second person, what somebody else has asked for."""
    one = announcements.by_reference(session, reference)
    asked = next((found for kind in OverrideKind if (found := overrides.open_for(session, one.id, kind))), None)
    if asked is None:
        raise overrides.NoSuchOverride
    if decision == "reject":
        overrides.reject(session, asked.id, by=operator(), now=now())
        say("Rejected.")
    elif asked.kind is OverrideKind.BREACH:
        going_live.breach(session, runtime.desk, asked.id, by=operator(), now=now())
        say(f"{one.reference} is recorded as live, in breach; the clients concerned are told.")
    else:
        overrides.confirm(session, asked.id, by=operator(), now=now())
        say(f"Confirmed: {one.reference} may be published late, and its letters say why.")


@announcements_group.command("live")
@click.argument("reference")
@click.option("--proof", default="", help="What shows it: a ticket, a line of a log.")
@with_session
def announcements_live(runtime: Runtime, session: Session, reference: str, proof: str) -> None:
    """Record that the change has gone live: for all, or for each client whose gate is open."""
    del runtime
    one = announcements.by_reference(session, reference)
    going_live.go_live(session, one.id, by=operator(), now=now(), proof=proof)
    session.flush()
    board = boards.board(session, one.id, now=now())
    made = sum(row.notice.live_at is not None for row in board.rows)
    say(f"{one.reference} is recorded as live for {made} of {len(board.rows)} clients.")


def _announced(file: Path) -> dict[str, Any]:
    """Read a whole announcement from a TOML file, in the shape of `announcements.draft`."""
    written = _read(file)
    if written["effective_on"] is None:
        raise Refused(f"{file.name}: {DAY_WANTED}")
    return {**written, **{name: written[name] or {} for name in ("facts", "reasons", "cause")}}


def _read(file: Path) -> dict[str, Any]:
    """Read what a TOML file says of an announcement; a table or a day that is not there is None."""
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise Refused(f"{file.name} cannot be read: {wrong}") from None
    effective_on = written.get("effective_on")
    if effective_on is not None and (not isinstance(effective_on, date) or isinstance(effective_on, datetime)):
        raise Refused(f"{file.name}: {DAY_WANTED}")
    return {
        "kind": str(written.get("kind", "")),
        "aspect": str(written.get("aspect", "")),
        "facts": _texts(file, written, "facts"),
        "reasons": _texts(file, written, "reasons"),
        "effective_on": effective_on,
        "per_client": written.get("per_client") is True,
        "cause": _texts(file, written, "cause"),
    }


def _texts(file: Path, written: Mapping[str, Any], name: str) -> dict[str, str] | None:
    found = written.get(name)
    if found is None:
        return None
    if not isinstance(found, dict) or not all(isinstance(text, str | date) for text in found.values()):
        raise Refused(f"{file.name}: [{name}] is a table of texts, one a line")
    return {key: str(text) for key, text in found.items()}


def _revision_of_draft(session: Session, one: Announcement) -> int:
    """Print what the registry's draft would have the announcement say, and return its revision."""
    if one.kind not in OF_THE_REGISTRY:
        raise Refused(f"{one.reference} is no change of the registry: leave --take-draft out")
    draft = registry.draft(session)
    if draft is None:
        raise registry.NoDraft
    print_changes(registry.changes(session, session.get(Version, one.version_id), draft))
    return draft.revision


def _kind(name: str) -> AnnouncementKind:
    try:
        return AnnouncementKind(name)
    except ValueError:
        raise Refused(f'there is no kind "{name}": write one of {", ".join(AnnouncementKind)}') from None


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f'there is no instant "{text}": write one such as 2027-01-15T09:00+01:00') from None
    if at.tzinfo is None:
        raise Refused(f"{text} has no offset: write it with one, such as {text}+01:00")
    return at.astimezone(UTC)


def _notice(session: Session, announcement: Announcement, key: str) -> Notice:
    client = clients.by_key(session, key)
    return notices.of_client(session, announcement.id, client.id)
