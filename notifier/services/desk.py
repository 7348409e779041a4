"""What services work with besides the database: contract packs, letters, keys, schedules.  Wiring fills it once."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from notifier.adapters.http import GuardedClient
from notifier.adapters.letters import LetterPress
from notifier.rules.links import Keyring
from notifier.rules.reminders import Schedule
from notifier.rules.terms import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    packs: Mapping[str, Pack]
    press: LetterPress
    templates: tuple[Path, ...]  # folders of templates, the operator's own first
    http: GuardedClient
    keyring: Keyring
    mail_schedule: tuple[timedelta, ...]
    mail_lease: timedelta
    webhook_schedule: tuple[timedelta, ...]
    webhook_lease: timedelta
    link_life: timedelta  # after the last day to object
    client_reminders: Schedule
    account_manager_reminders: Schedule
    watched_files: Path | None  # the folder below which lists of subprocessors are watched, if any
    bounce_address: str  # empty: the envelope sender is the sender's own address

    @property
    def vault(self) -> MultiFernet:
        """For secrets at rest; reads what was sealed under old keys too."""
        return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in self.keyring.derive_all("secrets at rest")])
