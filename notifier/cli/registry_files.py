"""The registry of subprocessors and files, by command: read, compare, plan, apply, take the past, write."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
from sqlmodel import Session

from notifier.adapters import histories
from notifier.adapters.exports import FORMATS, export
from notifier.adapters.register_files import RegisterFile, read_list
from notifier.adapters.tables import read_file
from notifier.cli.shared import (
    Refused,
    data_dir_option,
    opened,
    operator,
    print_changes,
    print_what_was_said,
    say,
)
from notifier.models import Version
from notifier.rules import registry_diff
from notifier.rules.entries import Entry
from notifier.rules.identity import Match
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import Change
from notifier.runtime import now
from notifier.services import plans, provider, registry, replay, timeline

CHANGES_FOUND = 3  # exit code of `plan`; 2 is for what cannot be read
NAMED = 4  # names in a line
YEARS = range(1900, 2999)
TITLES = {"en": "Subprocessors", "fr": "Sous-traitants"}

Command = Callable[..., Any]


class Day(click.DateTime):
    """A day that has one after it, whatever the zone."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's own signature
        found = super().convert(value, param, ctx)
        if found.year not in YEARS:
            self.fail(f"write a day from {YEARS[0]} to {YEARS[-1]}", param, ctx)
        return found.date()


A_DAY = Day(["%Y-%m-%d"])
a_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


def _pairs(_context: click.Context, option: click.Parameter, said: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(old.strip(), new.strip()) for old, _, new in (one.partition("=") for one in said)]
    if not all(old and new for old, new in pairs):
        raise Refused(f"write --{option.name} with two keys: OLD=NEW, as the question shows them")
    return pairs


def identity_options(command: Command) -> Command:
    """Who is who, where nobody has said so by a key."""
    for name, what in (("apart", "Two companies, however alike"), ("same", "One company, however it is written")):
        command = click.option(
            f"--{name}", multiple=True, metavar="OLD=NEW", callback=_pairs, help=f"{what}: their keys; may be repeated."
        )(command)
    return command


def mapping_option(command: Command) -> Command:
    return click.option(
        "--mapping",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Which field each column is: TOML or JSON, heading = field.",
    )(command)


@click.command("import")
@a_file
@click.option("--dry-run", is_flag=True, help="Show what was read and what it would change, and keep nothing.")
@mapping_option
@click.option("--save-mapping", "saved", type=click.Path(path_type=Path, dir_okay=False), help="Keep it for next time.")
@identity_options
@data_dir_option
def registry_import(
    data_dir: Path,
    file: Path,
    mapping: Path | None,
    saved: Path | None,
    same: plans.Pairs,
    apart: plans.Pairs,
    *,
    dry_run: bool,
) -> None:
    """Read a list of any format and make it the draft; nothing is published."""
    listed = read(file, mapping)
    with opened(data_dir) as runtime, runtime.reading() if dry_run else runtime.transaction() as session:
        planned = plans.plan(session, listed.entries, same=same, apart=apart)
        if not dry_run:
            registry.replace_draft(session, planned.entries, by=operator(), now=now())
    if saved:
        _save_mapping(saved, listed.mapping)
    _print_reading(file, listed)
    if not dry_run:
        say(f"The draft has {len(planned.entries)} entries.")
    _print_plan(planned)
    print_what_was_said()


@click.command("plan")
@a_file
@click.option("--json", "as_json", is_flag=True)
@mapping_option
@identity_options
@data_dir_option
@click.pass_context
def registry_plan(
    context: click.Context,
    data_dir: Path,
    file: Path,
    mapping: Path | None,
    same: plans.Pairs,
    apart: plans.Pairs,
    *,
    as_json: bool,
) -> None:
    """Show what a list kept in a file would change.  Ends with 0: nothing; 3: something; 2: it cannot be read."""
    listed = read(file, mapping)
    with opened(data_dir) as runtime, runtime.reading() as session:
        planned = plans.plan(session, listed.entries, same=same, apart=apart)
        is_other_draft = plans.is_other_draft(session, planned)
    if as_json:
        said = {"not_understood": [one.text("en") for one in listed.not_understood], "other_draft": is_other_draft}
        _print_json(planned.as_json() | said)
    else:
        _print_reading(file, listed)
        _print_plan(planned)
        if is_other_draft:
            say("A draft that says something else is open: `notifier registry draft` shows it.")
    print_what_was_said()
    context.exit(CHANGES_FOUND if planned.changes else 0)


@click.command("apply")
@a_file
@click.option("--replace-draft", is_flag=True, help="Throw a draft away that says something else.")
@mapping_option
@identity_options
@data_dir_option
def registry_apply(
    data_dir: Path,
    file: Path,
    mapping: Path | None,
    same: plans.Pairs,
    apart: plans.Pairs,
    *,
    replace_draft: bool,
) -> None:
    """Make a list kept in a file the draft; nothing is published, and a second time nothing changes."""
    listed = read(file, mapping)
    with opened(data_dir) as runtime, runtime.transaction() as session:
        planned = plans.plan(session, listed.entries, same=same, apart=apart)
        draft = plans.apply(session, planned, by=operator(), now=now(), replace_draft=replace_draft)
    _print_reading(file, listed)
    say(
        f"The draft has {len(planned.entries)} entries."
        if draft
        else "The list says what is published: no draft is kept."
    )
    _print_plan(planned)
    print_what_was_said()


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True)
@mapping_option
@identity_options
@data_dir_option
def registry_diff_command(
    data_dir: Path, old: str, new: str, mapping: Path | None, same: plans.Pairs, apart: plans.Pairs, *, as_json: bool
) -> None:
    """Show what changes in meaning from OLD to NEW; each is a version's number, "draft", or a file of any format."""
    if _is_kept(old) or _is_kept(new):
        with opened(data_dir) as runtime, runtime.reading() as session:
            before, after = (_entries_of(session, one, mapping) for one in (old, new))
    else:
        before, after = (read(Path(one), mapping).entries for one in (old, new))
    planned = (
        plans.between(before, after)
        if _is_kept(old) and _is_kept(new)
        else plans.compare(before, after, same=same, apart=apart)
    )
    if as_json:
        _print_json(planned.as_json())
    else:
        _print_plan(planned)
    print_what_was_said()


@click.command("replay")
@click.argument("where", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("paths", nargs=-1)
@click.option("--branch", default="HEAD", show_default=True, help="Of the repository.")
@click.option("--dry-run", is_flag=True, help="Show the versions that it would make, and make none.")
@click.option("--skip-unreadable", is_flag=True, help="Leave states out that cannot be read.")
@mapping_option
@identity_options
@data_dir_option
def registry_replay(  # noqa: PLR0913 - the options of one verb
    data_dir: Path,
    where: Path,
    paths: tuple[str, ...],
    branch: str,
    mapping: Path | None,
    same: plans.Pairs,
    apart: plans.Pairs,
    *,
    dry_run: bool,
    skip_unreadable: bool,
) -> None:
    """Make the past of a list the versions of an empty registry.

    WHERE is a git repository, and PATHS the list's names in it through time; or a folder of files whose names begin
    with their days.
    """
    if not paths and (where / ".git").exists():
        raise Refused("say which file of this repository is the list: write its path after the repository")
    at = now()
    history = histories.from_git(where, paths, branch=branch) if paths else histories.from_folder(where, now=at)
    past = replay.read(
        history.states,
        now=at,
        mapping=_mapping(mapping),
        same=same,
        apart=apart,
        skip_unreadable=skip_unreadable,
    )
    if not dry_run:
        with opened(data_dir) as runtime, runtime.transaction() as session:
            replay.take(session, past, by=operator(), now=now())
    _print_past(past, history.passed_over)
    print_what_was_said()


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Unless the file's name says it.")
@click.option("--version", "number", type=int, help="A version by its number.")
@click.option("--on", "day", type=A_DAY, help="The list in force at the end of that day.")
@click.option("--draft", "drafted", is_flag=True, help="The draft.")
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of the headings.")
@data_dir_option
def registry_export(
    data_dir: Path,
    file: Path,
    form: str | None,
    number: int | None,
    day: date | None,
    language: str,
    *,
    drafted: bool,
) -> None:
    """Write the list in force, or a version, or the draft, to FILE ("-": standard output)."""
    if sum((number is not None, day is not None, drafted)) > 1:
        raise Refused("write one of --version, --on and --draft")
    form = form or _format_of(file)
    with opened(data_dir) as runtime:
        with runtime.reading() as session:
            own, kept = provider.get(session), "draft" if drafted else str(number or "")
            entries = registry.entries(session, _kept(session, kept)) if kept else _in_force(session, day)
        on = day or local_day(now(), zone(own.timezone))
        title = " ".join(filter(None, (TITLES[language], own.legal_name and f"({own.legal_name})")))
        made = export(entries, form, language=language, title=title, on=on, search_path=runtime.desk.templates)
    if str(file) == "-":
        sys.stdout.buffer.write(made)
        return
    file.write_bytes(made)
    click.echo(f"{file} has {len(entries)} entries.")


COMMANDS = (
    registry_import,
    registry_plan,
    registry_apply,
    registry_diff_command,
    registry_replay,
    registry_export,
)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(file: Path, mapping: Path | None = None) -> RegisterFile:
    """Read a list in a process of its own; no more of it is read than a list may have."""
    if not file.is_file():
        raise Refused(f'"{file}" is neither a version, nor "draft", nor a file')
    return read_list(read_file(file), filename=file.name, mapping=_mapping(mapping))


def _mapping(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        said = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as trouble:
        raise Refused(f"{file.name} cannot be read: {trouble}") from None
    if not isinstance(said, dict) or not all(isinstance(name, str) for name in said.values()):
        raise Refused(f'{file.name}: write each heading with its field, as in "Data processed" = "data_categories"')
    return said


def _save_mapping(file: Path, mapping: Mapping[str, str]) -> None:
    """A string of JSON is one of TOML."""
    if file.suffix == ".json":
        text = json.dumps(mapping, ensure_ascii=False, indent=2)
    else:
        text = "\n".join(" = ".join(json.dumps(one, ensure_ascii=False) for one in pair) for pair in mapping.items())
    file.write_text(f"{text}\n", encoding="utf-8")


def _is_kept(name: str) -> bool:
    return name == "draft" or name.isdecimal()


def _kept(session: Session, name: str) -> Version:
    if name != "draft":
        return registry.get(session, int(name))
    found = registry.draft(session)
    if found is None:
        raise registry.NoDraft
    return found


def _entries_of(session: Session, name: str, mapping: Path | None) -> Sequence[Entry]:
    return registry.entries(session, _kept(session, name)) if _is_kept(name) else read(Path(name), mapping).entries


def _in_force(session: Session, day: date | None) -> Sequence[Entry]:
    if day is None:
        return timeline.in_force(session, now())
    return timeline.as_of(session, on=day, now=now()).entries


def _format_of(file: Path) -> str:
    form = {"yml": "yaml", "markdown": "md"}.get(file.suffix[1:].lower(), file.suffix[1:].lower())
    if form not in FORMATS:
        raise Refused(f"say in which format: --format {', '.join(FORMATS)}")
    return form


# --- saying ----------------------------------------------------------------------------------------------------------


def _print_reading(file: Path, listed: RegisterFile) -> None:
    say(f"{file.name}: {len(listed.entries)} entries.")
    for heading, name in listed.mapping.items():
        if registry_diff.slug(heading) != registry_diff.slug(name):
            say(f"    column “{heading}”: {name or 'left out'}")
    for remark in listed.not_understood:
        say(f"Not understood: {remark.text('en')}")
    for question in listed.questions:
        say(f"Question: {question.message}")


def _print_plan(planned: plans.Plan) -> None:
    for one in planned.made:
        say(f"Match: {_pair(one)} are taken for one company; --apart {one.old_key}={one.new_key} undoes it")
    for one in planned.asked:
        say(f"Question: are {_pair(one)} one company? Taken as two; --same {one.old_key}={one.new_key} joins them")
    print_changes(planned.changes)
    if planned.cosmetic:
        say(f"{planned.cosmetic} entries are only written differently.")


def _pair(match: Match) -> str:
    return f"“{match.old_name}” and “{match.new_name}” (likeness {match.score:.2f})"


def _print_json(data: Mapping[str, Any]) -> None:
    say(json.dumps(data, ensure_ascii=False, indent=2))


def _print_past(past: replay.Past, passed_over: Iterable[str]) -> None:
    for number, step in enumerate(past.steps, 1):
        what = in_short(step.changes) if number > 1 else f"{len(step.entries)} entries"
        say(f"{number:>4}  {step.at:%Y-%m-%d %H:%M}Z  {replay.short(step.source)}  {what}")
    for edit in past.edits:
        for match in edit.matches:
            told = "taken for one company" if match.sure else "taken as two"
            say(f"{replay.short(edit.source)}: {_pair(match)}: {told} ({match.old_key}={match.new_key})")
        for remark in edit.not_understood:
            say(f"{replay.short(edit.source)}: not understood: {remark.text('en')}")
    for left_out in (*passed_over, *past.unreadable):
        say(f"Left out: {left_out}")
    edits = max(len(past.edits) - 1, 0)
    say(f"{edits} edits: {past.idle} change nothing in the list; {len(past.steps)} versions")


def in_short(changes: Sequence[Change]) -> str:
    """Return changes in one line: "added TaxJar; removed Clicky, Google Analytics"."""
    by_kind: dict[str, list[str]] = {}
    for change in changes:
        by_kind.setdefault(change.kind.value, []).append(change.name)
    return "; ".join(f"{kind} {_named(names)}" for kind, names in by_kind.items())


def _named(names: Sequence[str]) -> str:
    further = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {further} more" if further > 0 else "")
