"""Measurements for those who size a machine."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from notifier.bench import delivery
from notifier.bench.child import BenchFailed
from notifier.cli.shared import Refused, data_dir_option
from notifier.settings import load


@click.group("bench")
def bench_group() -> None:
    """How fast this machine is.  Nothing leaves it, and no table of yours is touched."""


@bench_group.command("delivery")
@click.option("--notices", default=5_000, show_default=True, help="How many clients to tell.")
@click.option("--sessions", default=delivery.SESSIONS, show_default=True, help="Mails in one round.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@data_dir_option
def delivery_command(data_dir: Path, notices: int, sessions: int, *, as_json: bool) -> None:
    """Publish to made-up clients and send to a sink on this machine, beside the fastest a bare sender can do here."""
    _refuse_beyond("--notices", notices, delivery.MOST)
    _refuse_beyond("--sessions", sessions, delivery.SESSIONS)
    with _ended_like_ctrl_c():
        try:
            measured = delivery.measure(load(data_dir), notices=notices, sessions=sessions)
        except BenchFailed as failed:
            raise Refused(str(failed)) from None
    click.echo(json.dumps(measured.as_json()) if as_json else words(measured))
    if measured.lost or measured.twice:
        raise SystemExit(1)


def _refuse_beyond(option: str, number: int, most: int) -> None:
    if not 1 <= number <= most:
        raise Refused(f"{option}: write a number from 1 to {most:,}")


def words(measured: delivery.Measured) -> str:
    """Say it for people."""
    return (
        f"{measured.notices:,} notices in {measured.seconds:.1f} s, {measured.publishing:.1f} s of it for publishing: "
        f"{measured.rate:,.0f} a second ({measured.database})\n"
        f"A bare sender of the same mails over as many sessions: {measured.ceiling_rate:,.0f} a second; "
        f"{measured.ratio:.2f} of that was reached\n"
        f"The worker held {measured.peak_rss_mb:.0f} MB at most\n"
        f"Lost: {measured.lost}   Sent twice: {measured.twice}"
    )


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Whoever is asked to end leaves nothing behind either.

    Python drops what is raised in a finalizer or a callback of a weak reference, an interruption too: it comes again.
    """
    before, hook = signal.signal(signal.SIGTERM, signal.default_int_handler), sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is KeyboardInterrupt:
            threading.Timer(0.1, signal.raise_signal, [signal.SIGTERM]).start()
        else:
            hook(what)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)
