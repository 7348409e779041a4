"""What services work with besides the database: contract packs, letters, keys, schedules.  Wiring fills it once."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from cryptography.fernet import Fernet, MultiFernet

from notifier.adapters.dkim import DkimSigner
from notifier.adapters.http import GuardedClient
from notifier.adapters.letters import LetterPress
from notifier.rules.limits import DomainPlan, RelayPlan
from notifier.rules.links import Keyring
from notifier.rules.moulds import Mould
from notifier.rules.pace import Limits
from notifier.rules.reminders import Schedule
from notifier.rules.terms import Pack, Reckoning, Rule

Key = TypeVar("Key")
Value = TypeVar("Value")


KEPT = 2000  # of each kind; more than any announcement has, and a few megabytes


class Memory(dict[Key, Value]):
    """What was worked out from what never changes, for the life of a process; it forgets all of it when it is full."""

    def keep(self, key: Key, value: Value) -> Value:
        if len(self) >= KEPT:
            self.clear()
        self[key] = value
        return value


class Apart(NamedTuple):
    """What is said to some clients of an announcement: changes, and what marks them; None and "" for all there are."""

    mark: str
    changes: list[dict[str, Any]] | None


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
    relays: tuple[RelayPlan, ...] = ()
    mail_domains: Mapping[str, DomainPlan] = field(default_factory=dict)
    mail_rests: tuple[timedelta, ...] = (timedelta(seconds=10),)  # of a relay or a domain that takes nothing, in turn
    takes_in_replies: bool = False  # what comes back to the sender's own mailbox
    mail_limits: Limits = field(default_factory=Limits)  # of all relays together
    dkim: DkimSigner | None = None  # where no relay signs
    moulds: Memory[str, Mould] = field(default_factory=Memory)  # by digest
    # Digests and rows of moulds, by what they were written of.
    written: Memory[str, tuple[str, Mapping[str, Any]]] = field(default_factory=Memory)
    apart: Memory[UUID, Apart] = field(default_factory=Memory)  # by what was sealed
    rules: Memory[UUID, Rule] = field(default_factory=Memory)  # by what was sealed
    reckonings: Memory[tuple[UUID, date], Reckoning] = field(default_factory=Memory)  # by that, and a day of receipt
    counted: Memory[Hashable, tuple[Hashable, Any]] = field(
        default_factory=Memory
    )  # with its stamps (services/stamps.py)

    @property
    def vault(self) -> MultiFernet:
        """For secrets at rest; reads what was sealed under old keys too."""
        return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in self.keyring.derive_all("secrets at rest")])
