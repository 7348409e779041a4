from __future__ import annotations

import re
from pathlib import Path

import pytest

from notifier import resources
from notifier.settings import BadSettings, RelaySettings, load


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own variables are not settings; a developer's are not the tests'."""
    monkeypatch.delenv("NOTIFIER_DATA_DIR", raising=False)


def write_own(data_dir: Path, text: str) -> None:
    file = data_dir / "own" / "config" / "notifier.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")


def test_without_a_word_from_the_operator_everything_is_inside_the_data_folder(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.database == f"sqlite:///{tmp_path / 'notifier.db'}"
    assert (settings.broker_url, settings.mail.sender) == ("", "mailbox")
    assert settings.own == tmp_path / "own"
    assert settings.search_path("templates") == [tmp_path / "own" / "templates", resources.folder("templates")]


def test_the_operators_file_wins_key_by_key(tmp_path: Path) -> None:
    write_own(tmp_path, '[mail]\nhost = "relay.hosting.example"\nport = 587\n')

    mail = load(tmp_path).mail

    assert (mail.host, mail.port, mail.security) == ("relay.hosting.example", 587, "starttls")


def test_the_environment_wins_over_the_operators_file_key_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(tmp_path, '[mail]\nhost = "relay.hosting.example"\nport = 587\n')
    monkeypatch.setenv("NOTIFIER_MAIL__HOST", "other.hosting.example")
    monkeypatch.setenv("NOTIFIER_TRUSTED_HOSTS", '["notices.hosting.example"]')

    settings = load(tmp_path)

    assert (settings.mail.host, settings.mail.port) == ("other.hosting.example", 587)
    assert settings.trusted_hosts == ["notices.hosting.example"]


def test_a_folder_named_in_the_environment_holds_the_operators_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(tmp_path / "elsewhere", "sweep_seconds = 3\n")
    monkeypatch.setenv("NOTIFIER_OWN_FOLDER", str(tmp_path / "elsewhere" / "own"))

    settings = load(tmp_path / "data")

    assert (settings.sweep_seconds, settings.own) == (3, tmp_path / "elsewhere" / "own")


def test_what_the_command_line_says_wins_over_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_DATA_DIR", str(tmp_path / "environment"))
    monkeypatch.setenv("NOTIFIER_MAIL__PORT", "2525")

    settings = load(tmp_path / "said", {"mail": {"port": 1025}, "broker_url": "redis://localhost"})

    assert (settings.data_dir, settings.mail.port) == (tmp_path / "said", 1025)
    assert (settings.broker_url, settings.mail.host) == ("redis://localhost", "localhost")


def test_an_unknown_variable_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_MAIL__HSOT", "relay.hosting.example")
    monkeypatch.setenv("NOTIFIER_BROKER", "redis://localhost")

    with pytest.raises(
        BadSettings, match="no setting is called NOTIFIER_BROKER, NOTIFIER_MAIL__HSOT: correct the name"
    ):
        load(tmp_path)


def test_variables_of_the_tests_and_of_others_are_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_TEST_DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("MAIL__HOST", "relay.hosting.example")

    assert load(tmp_path).mail.host == "localhost"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sweep = 3\n", "sweep: Extra inputs are not permitted"),
        ('[mail]\nhsot = "relay"\n', "mail.hsot: Extra inputs are not permitted"),
        ("[mail]\nport = 0\n", "mail.port: Input should be greater than 0"),
        ('[mail]\nbounce_address = "bounces"\n', "mail.bounce_address: String should match pattern"),
        ('[mail]\nbounce_address = "a b@hosting.example"\n', "mail.bounce_address: String should match pattern"),
        ('[mail]\nbounce_address = "mails-that-come-back@hosting.example"\n', "room for 15 characters at most"),
        ('[bounces]\nimap_password = "é"\n', "bounces.imap_password: Value error, a password may hold printable ASCII"),
        ('[bounces]\nwebhook_secret = "short"\n', "bounces.webhook_secret: Value error, a token needs at least 24"),
        ("sweep_seconds = 31\n", "sweep_seconds: Input should be less than or equal to 30"),
        ('[mail]\nsecurity = "ssl"\n', "mail.security: Input should be 'none', 'starttls' or 'tls'"),
        ("[webhooks]\nretry_schedule = []\n", "webhooks.retry_schedule: List should have at least 1 item"),
        ('[webhooks]\nallowed_networks = ["office"]\n', "webhooks.allowed_networks.0"),
    ],
)
def test_a_key_or_value_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    write_own(tmp_path, text)

    with pytest.raises(BadSettings, match="these settings cannot be used") as refused:
        load(tmp_path)
    assert sentence in str(refused.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    write_own(tmp_path, "mail = [")

    with pytest.raises(BadSettings, match=r"notifier\.toml cannot be read"):
        load(tmp_path)


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_SECRET_KEY", "correct horse battery staple")
    monkeypatch.setenv("NOTIFIER_MAIL__PASSWORD", "open sesame")

    printed = repr(load(tmp_path))

    assert "horse" not in printed
    assert "sesame" not in printed


# --- relays ----------------------------------------------------------------------------------------------------------


def test_the_defaults_of_a_relay_are_the_same_in_the_file_and_for_one_of_several(tmp_path: Path) -> None:
    mail = load(tmp_path).mail

    assert RelaySettings(**{name: getattr(mail, name) for name in RelaySettings.model_fields}) == RelaySettings()


def test_a_preset_fills_what_is_not_said_of_the_only_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, '[mail]\npreset = "microsoft365"\nper_minute = 20\n')

    mail = load(tmp_path).mail
    monkeypatch.setenv("NOTIFIER_MAIL__PRESET", "ovh")
    other = load(tmp_path).mail

    assert (mail.host, mail.port, mail.sessions, mail.per_minute) == ("smtp.office365.com", 587, 3, 20)
    assert (mail.per_day, mail.envelope, mail.oauth.scope[-9:]) == (10_000, "fixed", "/.default")
    assert (other.host, other.security, other.per_minute) == ("ssl0.ovh.net", "tls", 20)


def test_several_relays_are_named_in_the_file_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(
        tmp_path,
        '[[mail.relays]]\nname = "first"\npreset = "postfix"\nweight = 3\n'
        '[[mail.relays]]\nname = "second"\nhost = "relay.hosting.example"\nper_minute = 10\n'
        '[mail.domains."Client.example"]\nsessions = 2\n',
    )

    mail = load(tmp_path).mail
    monkeypatch.setenv("NOTIFIER_MAIL__RELAYS", '[{"name": "only", "preset": "ovh"}]')
    said = load(tmp_path).mail

    assert [(relay.name, relay.security, relay.weight) for relay in mail.all_relays] == [
        ("first", "none", 3),
        ("second", "starttls", 1),
    ]
    assert mail.domains["client.example"].sessions == 2
    assert [relay.host for relay in said.all_relays] == ["ssl0.ovh.net"]


def test_a_secret_of_a_table_within_a_table_may_stand_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(
        tmp_path,
        '[mail]\nusername = "notices@hosting.example"\n'
        '[mail.oauth]\ntoken_url = "https://login.example/token"\nclient_id = "us"\n',
    )
    monkeypatch.setenv("NOTIFIER_MAIL__OAUTH__CLIENT_SECRET", "a secret")

    mail = load(tmp_path).mail

    assert mail.oauth.client_secret.get_secret_value() == "a secret"
    assert "a secret" not in repr(mail)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('[[mail.relays]]\nname = "a"\n[[mail.relays]]\nname = "a"\n', "two relays are called a"),
        ('[[mail.relays]]\nname = "A relay"\n', "mail.relays.0.name"),
        ('[[mail.relays]]\nname = "a"\npreset = "gmail"\n', "mail.relays.0.preset"),
        ('[mail.oauth]\ntoken_url = "https://login.example/token"\n', "oauth needs username"),
        ('[mail.oauth]\ntoken_url = "http://login.example/token"\n', "mail.oauth.token_url"),
        ('[mail]\nusername = "us"\nsecurity = "none"\n', 'needs security "starttls" or "tls"'),
        ('[mail]\nidempotency_header = "X-Idempotency-Key"\n', "belong together"),
        ('[mail]\nidempotency_header = "X-Idempotency-Key"\nidempotency_seconds = 60\n', "of no use"),
        ('[mail]\nidempotency_header = "Subject"\nidempotency_seconds = 600\n', "mail.idempotency_header"),
        ('[mail.domains."client.example"]\nper_minute = -1\n', "mail.domains.client.example.per_minute"),
    ],
)
def test_a_relay_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, said: str, words: str) -> None:
    write_own(tmp_path, said)

    with pytest.raises(BadSettings, match=re.escape(words)):
        load(tmp_path)
