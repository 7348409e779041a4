"""Every setting, typed.  config/default.toml holds each key with its default; the operator's file and the environment
win over it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.networks import IPvAnyNetwork
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from notifier import resources

PREFIX = "NOTIFIER_"
ELSEWHERE = (  # for tests and doors
    "NOTIFIER_TEST_",
    "NOTIFIER_EXAMPLES",
    "NOTIFIER_FAULTS",
    "NOTIFIER_REQUIRE_",
    "NOTIFIER_DATA_DIR",
    "NOTIFIER_MUTANTS",
)
LONGEST_BOUNCE_NAME = 15  # characters
SHORTEST_TOKEN = 24  # characters
SHORTEST_KEY_LIFE = 120  # seconds
PRINTABLE = r"^[ -~]*$"  # what may stand on a line of IMAP
Seconds = float


# What each says of its own limits; docs/relays.md names the pages.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "microsoft365": {
            "host": "smtp.office365.com",
            "port": 587,
            "security": "starttls",
            "sessions": 3,
            "per_minute": 30,
            "per_day": 10_000,
            "envelope": "fixed",
            "oauth": {"scope": "https://outlook.office365.com/.default"},
        },
        "ovh": {
            "host": "ssl0.ovh.net",
            "port": 465,
            "security": "tls",
            "sessions": 2,
            "per_minute": 3.25,  # 200 an hour, and what a silence saves up
            "envelope": "fixed",
        },
        "postfix": {
            "host": "localhost",
            "port": 25,
            "security": "none",
            "sessions": 10,
            "mails_per_session": 100,
            "envelope": "per_attempt",
        },
    }
)


class BadSettings(Exception):
    """Settings that cannot be used; the message names each key and what is wrong with it."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _with_room_for_a_tag(address: str) -> str:
    """A local part has 64 octets at most (RFC 5321), and "+" with a tag takes 49 of them."""
    if len(address.partition("@")[0]) > LONGEST_BOUNCE_NAME:
        raise ValueError(
            f"before the @ there is room for {LONGEST_BOUNCE_NAME} characters at most, since each mail adds a tag of "
            "its own: write a shorter name, such as bounces"
        )
    return address


def _printable(secret: SecretStr) -> SecretStr:
    if re.fullmatch(PRINTABLE, secret.get_secret_value()) is None:
        raise ValueError("a password may hold printable ASCII characters only")
    return secret


def _not_guessed(token: SecretStr) -> SecretStr:
    if 0 < len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"a token needs at least {SHORTEST_TOKEN} characters; empty is none")
    return token


class OAuthSettings(Strict):
    """Where access tokens come from (RFC 6749): a refresh token is used where there is one, else the application's own
    name and secret.  An empty address is off.
    """

    token_url: str = Field(default="", pattern=r"^(https://[!-~]+)?$")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scope: str = ""
    refresh_token: SecretStr = SecretStr("")


class RelaySettings(Strict):
    """One relay; a limit of 0 is none.  A preset fills what is not said."""

    name: str = Field(default="main", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    preset: Literal["", "microsoft365", "ovh", "postfix"] = ""
    host: str = "localhost"
    port: int = Field(default=25, gt=0, lt=65536)
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str = Field(default="", pattern=r"^[^\x00-\x1f\x7f]*$")
    password: SecretStr = SecretStr("")
    oauth: OAuthSettings = OAuthSettings()
    ca_file: str = ""
    sessions: int = Field(default=10, gt=0, le=128)
    mails_per_session: int = Field(default=100, gt=0)
    seconds_per_session: Seconds = Field(default=300, gt=0)
    per_minute: float = Field(default=0, ge=0)
    per_day: int = Field(default=0, ge=0)
    weight: int = Field(default=1, gt=0, le=1000)
    envelope: Literal["per_attempt", "fixed"] = "per_attempt"
    dkim: bool = True
    idempotency_header: str = Field(default="", pattern=r"^([A-Za-z0-9-]*[Ii]dempotency[A-Za-z0-9-]*)?$", max_length=70)
    idempotency_seconds: Seconds = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, said: Any) -> Any:  # noqa: ANN401 - whatever a file says
        is_table = isinstance(said, Mapping)
        return _merged(PRESETS.get(str(said.get("preset", "")), {}), said) if is_table else said

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.oauth.token_url and not (self.username and self.oauth.client_id):
            raise ValueError("oauth needs username (the mailbox that sends) and client_id")
        if (self.username or self.oauth.token_url) and self.security == "none":
            raise ValueError('a relay with a sign-in needs security "starttls" or "tls"')
        if bool(self.idempotency_header) != bool(self.idempotency_seconds):
            raise ValueError("idempotency_header and idempotency_seconds belong together; leave both out, or set both")
        if 0 < self.idempotency_seconds < SHORTEST_KEY_LIFE:
            raise ValueError(f"idempotency_seconds: a key with less than {SHORTEST_KEY_LIFE} seconds is of no use")
        return self


class DomainSettings(Strict):
    """What is kept to for the mails to one domain; 0 is no limit."""

    sessions: int = Field(default=0, ge=0)
    per_minute: float = Field(default=0, ge=0)


class MailSettings(RelaySettings):
    """Keys of a relay describe the only one, unless `relays` names several."""

    sender: Literal["mailbox", "smtp"]
    relays: list[RelaySettings]
    domains: dict[str, DomainSettings]
    rest_schedule: list[Seconds] = Field(min_length=1)
    bounce_address: Annotated[str, AfterValidator(_with_room_for_a_tag)] = Field(
        pattern=r"^([!-9;-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$"
    )
    open_mailbox: bool
    dkim_domain: str
    dkim_selector: str
    dkim_key_file: str
    retry_schedule: list[Seconds] = Field(min_length=1)
    lease_seconds: Seconds = Field(ge=8)  # a hand-over needs 5 seconds of lease left

    @field_validator("relays")
    @classmethod
    def _have_names(cls, relays: list[RelaySettings]) -> list[RelaySettings]:
        names = [relay.name for relay in relays]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two relays are called {twice[0]}: give each a name of its own")
        return relays

    @field_validator("domains")
    @classmethod
    def _in_small_letters(cls, domains: dict[str, DomainSettings]) -> dict[str, DomainSettings]:
        return {domain.lower(): limit for domain, limit in domains.items()}

    @property
    def all_relays(self) -> Sequence[RelaySettings]:
        return self.relays or [self]


class BounceSettings(Strict):
    """Where mails that come back are taken in; an empty host, a port of 0 or an empty secret is off."""

    imap_host: str
    imap_port: int = Field(gt=0, lt=65536)
    imap_security: Literal["none", "starttls", "tls"]
    imap_user: str = Field(pattern=PRINTABLE)
    imap_password: Annotated[SecretStr, AfterValidator(_printable)]
    imap_oauth: OAuthSettings
    imap_folder: str = Field(pattern=PRINTABLE, min_length=1)
    imap_done_folder: str = Field(pattern=PRINTABLE)
    imap_seconds: Seconds = Field(ge=1)
    lmtp_host: str = Field(min_length=1)
    lmtp_port: int = Field(ge=0, lt=65536)
    webhook_secret: Annotated[SecretStr, AfterValidator(_not_guessed)]


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


class MetricsSettings(Strict):
    """Whoever asks for /metrics brings this token; where it is empty, only this machine may ask."""

    token: Annotated[SecretStr, AfterValidator(_not_guessed)]


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
    log_format: Literal["auto", "json", "console"]
    mail: MailSettings
    bounces: BounceSettings
    webhooks: WebhookSettings
    watch: WatchSettings
    portal: PortalSettings
    reminders: ReminderSettings
    security: SecuritySettings
    metrics: MetricsSettings

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
    said = _read(file) if file.exists() else {}
    values = _merged(_merged(values, {"mail": _preset(said)}), said)
    _refuse_unknown(os.environ, values)
    try:
        settings = Settings(**{**values, "data_dir": data_dir})
        return _overridden(settings, {"data_dir": data_dir, **(overrides or {})})  # a door has said which folder
    except ValidationError as wrong:
        lines = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in wrong.errors()]
        raise BadSettings("these settings cannot be used: " + "; ".join(lines)) from None


def _preset(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a preset of the only relay fills in, before anything else is said of it."""
    mail = said.get("mail")
    named = os.environ.get(f"{PREFIX}MAIL__PRESET") or (mail.get("preset", "") if isinstance(mail, Mapping) else "")
    return PRESETS.get(str(named), {})


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
    names = set(_names(known, PREFIX))
    unknown = sorted(
        name for name in environment if name.startswith(PREFIX) and name not in names and not name.startswith(ELSEWHERE)
    )
    if unknown:
        raise BadSettings(f"no setting is called {', '.join(unknown)}: correct the name of the variable, or unset it")


def _names(table: Mapping[str, Any], before: str) -> Iterator[str]:
    """Yield the names of all variables that set something in a table, or in one within it."""
    for key, value in table.items():
        yield f"{before}{key}".upper()
        if isinstance(value, Mapping):
            yield from _names(value, f"{before}{key}__")
