"""Every setting, typed.  config/default.toml holds each key with its default; the operator's file and the environment
win over it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.networks import IPvAnyNetwork
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from notifier import resources

PREFIX = "NOTIFIER_"
ELSEWHERE = ("NOTIFIER_TEST_", "NOTIFIER_EXAMPLES", "NOTIFIER_REQUIRE_", "NOTIFIER_DATA_DIR")  # for tests and doors
Seconds = float


class BadSettings(Exception):
    """Settings that cannot be used; the message names each key and what is wrong with it."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MailSettings(Strict):
    sender: Literal["mailbox", "smtp"]
    host: str
    port: int = Field(gt=0, lt=65536)
    security: Literal["none", "starttls", "tls"]
    username: str
    password: SecretStr
    ca_file: str
    sessions: int = Field(gt=0, le=128)
    bounce_address: str = Field(pattern=r"^([!-9;-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$")
    open_mailbox: bool
    retry_schedule: list[Seconds] = Field(min_length=1)
    lease_seconds: Seconds = Field(ge=8)  # a hand-over needs 5 seconds of lease left


class WebhookSettings(Strict):
    retry_schedule: list[Seconds] = Field(min_length=1)
    lease_seconds: Seconds = Field(gt=0)
    allowed_networks: list[IPvAnyNetwork]
    allowed_ports: list[int]


class WatchSettings(Strict):
    files: str


class PortalSettings(Strict):
    link_days: int = Field(ge=0)


class SecuritySettings(Strict):
    """What security.txt says (RFC 9116): an address, or a URI of https, mailto or tel; and where the policy stands."""

    contact: str = Field(pattern=r"^((https://|mailto:|tel:)[!-~]+|[!-9;-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$")
    policy: str = Field(pattern=r"^(https://[!-~]+)?$")


class ReminderSettings(Strict):
    """Days before a last day, the farthest first (rules/reminders.py)."""

    clients: list[int]
    account_managers: list[int]


class Settings(BaseSettings):
    """All settings.  `data_dir` comes from the command line (or NOTIFIER_DATA_DIR), everything else from files and
    environment.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", env_ignore_empty=False
    )

    data_dir: Path
    database_url: str
    broker_url: str
    secret_key: SecretStr
    old_secret_keys: list[SecretStr]
    own_folder: str
    sweep_seconds: Seconds = Field(gt=0, le=30)
    trusted_hosts: list[str]
    proxies: int = Field(ge=0)
    contact_roles: list[str]
    secure_cookies: Literal["auto", "yes", "no"]
    mail: MailSettings
    webhooks: WebhookSettings
    watch: WatchSettings
    portal: PortalSettings
    reminders: ReminderSettings
    security: SecuritySettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then what the files say (handed in by `load`)."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @property
    def own(self) -> Path:
        return Path(self.own_folder) if self.own_folder else self.data_dir / "own"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'notifier.db'}"

    def search_path(self, kind: resources.Kind) -> list[Path]:
        """Where to look for templates or configuration: the operator's folder, then ours."""
        return resources.search_path(kind, self.own / kind)


def load(data_dir: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read all settings; BadSettings says what is wrong with which key.

    `overrides` win over everything: they are what a command line says.
    """
    data_dir = data_dir.resolve()
    own = Path(os.environ.get(f"{PREFIX}OWN_FOLDER") or data_dir / "own")
    values = _read(resources.folder("config") / "default.toml")
    file = own / "config" / "notifier.toml"
    if file.exists():
        values = _merged(values, _read(file))
    _refuse_unknown(os.environ, values)
    try:
        settings = Settings(**{**values, "data_dir": data_dir})
        return _overridden(settings, {"data_dir": data_dir, **(overrides or {})})  # a door has said which folder
    except ValidationError as wrong:
        lines = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in wrong.errors()]
        raise BadSettings("these settings cannot be used: " + "; ".join(lines)) from None


def _overridden(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    said = {}
    for key, value in overrides.items():
        table = getattr(settings, key)
        said[key] = type(table).model_validate({**table.model_dump(), **value}) if isinstance(table, Strict) else value
    return settings.model_copy(update=said)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
        raise BadSettings(f"{file} cannot be read: {trouble}") from None


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(under[key], over[key])
        for key in under.keys() & over.keys()
        if isinstance(under[key], Mapping) and isinstance(over[key], Mapping)
    }
    return {**under, **over, **both}


def _refuse_unknown(environment: Iterable[str], known: Mapping[str, Any]) -> None:
    """pydantic-settings ignores a misspelt variable; somebody who wrote one believes that it holds."""
    names = {f"{PREFIX}{key}".upper() for key in known} | {
        f"{PREFIX}{key}__{inner}".upper()
        for key, table in known.items()
        if isinstance(table, Mapping)
        for inner in table
    }
    unknown = sorted(
        name for name in environment if name.startswith(PREFIX) and name not in names and not name.startswith(ELSEWHERE)
    )
    if unknown:
        raise BadSettings(f"no setting is called {', '.join(unknown)}: correct the name of the variable, or unset it")
