"""Settings come from defaults, a file and the environment; all faults are said at once, secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from playbook_service.settings import SETTINGS, SettingsErrors, load
from playbook_service.settings.value import READERS


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "propolis.yml"
    path.write_text(text)
    return path


def faults(environment: dict[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsErrors) as caught:
        load(environment, file)
    return [str(fault) for fault in caught.value.faults]


def test_without_anything_the_defaults_hold_and_they_are_safe():
    settings = load({})
    assert settings["listen"] == ("127.0.0.1", 8080)
    assert settings["mode"] == "observe"
    assert settings["webhook_token"] == ()
    assert set(settings.origins.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path):
    file = written(tmp_path, "mode: approve\nretention: 7d\nbody_limit: 512k\n")
    settings = load({"PROPOLIS_MODE": "enforce", "PROPOLIS_LISTEN": "[::1]:9000"}, file)
    assert (settings["mode"], settings["retention"], settings["body_limit"]) == ("enforce", 604800, 524288)
    assert settings["listen"] == ("::1", 9000)
    assert settings.origins["mode"] == "PROPOLIS_MODE"
    assert settings.origins["retention"] == str(file)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path):
    (tmp_path / "key").write_text("s3cret-key\n")
    settings = load({"PROPOLIS_THEHIVE_KEY_FILE": str(tmp_path / "key"), "PROPOLIS_WEBHOOK_TOKEN": "one, two"})
    assert settings["thehive_key"] == "s3cret-key"
    assert settings["webhook_token"] == ("one", "two")
    assert set(settings.secrets()) == {"s3cret-key", "one", "two"}


def test_secrets_are_masked_wherever_settings_are_shown():
    settings = load({"PROPOLIS_THEHIVE_KEY": "s3cret-key", "PROPOLIS_WEBHOOK_TOKEN": "t0ken"})
    for shown in (str(settings.masked()), repr(settings)):
        assert "s3cret-key" not in shown
        assert "t0ken" not in shown


def test_all_faults_are_said_at_once_with_their_places(tmp_path: Path):
    file = written(tmp_path, "mode: maximal\nlisten: here\nweb_hook_token: x\n")
    said = faults({"PROPOLIS_RETENTION": "soon", "PROPOLIS_THEHIVE_URL": "ftp://x"}, file)
    assert len(said) == 5
    assert any("must be one of observe, approve, enforce" in line and "mode" in line for line in said)
    assert any("did you mean webhook_token?" in line for line in said)
    assert any(line.startswith("PROPOLIS_RETENTION: retention: must be a duration") for line in said)


@pytest.mark.parametrize(
    "text", ["- a\n", "just text", "a: [", "[" * 200_000, "a: &x 1\nb: *x\n", "mode: a\nmode: b\n"]
)
def test_a_file_that_holds_no_settings_is_refused_in_one_sentence(tmp_path: Path, text: str):
    (said,) = faults({}, written(tmp_path, text))
    assert "propolis.yml" in said
    assert "\n" not in said


def test_a_named_file_that_is_missing_is_an_error_and_the_usual_one_is_not(tmp_path: Path):
    assert faults({"PROPOLIS_CONFIG": str(tmp_path / "missing.yml")}) == [
        f"{tmp_path / 'missing.yml'}: cannot be read: there is no such file; "
        "name the settings file by --config or PROPOLIS_CONFIG."
    ]
    assert faults({"PROPOLIS_THEHIVE_KEY_FILE": str(tmp_path / "missing")}) == [
        f"PROPOLIS_THEHIVE_KEY_FILE: thehive_key: {tmp_path / 'missing'} cannot be read: there is no such file; "
        "put the secret there, or unset it."
    ]
    load({})


def test_a_file_that_is_none_or_no_text_is_said_to_be_so_without_the_systems_numbers(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "it is a folder" in faults({"PROPOLIS_CONFIG": str(tmp_path)})[0]
    assert "it is no UTF-8 text" in faults({"PROPOLIS_CORTEX_KEY_FILE": str(tmp_path / "bytes")})[0]
    (said,) = faults({"PROPOLIS_CONFIG": str(tmp_path / "bytes" / "below")})
    assert "Errno" not in said


@pytest.mark.parametrize(("kind", "bad"), [
    ("count", "0"), ("count", "many"), ("size", "1T"), ("size", "-1"), ("flag", "maybe"), ("duration", "5"),
    ("address", "8080"), ("address", "host:99999"), ("url", "https://user:pw@host"), ("url", "host"),
    ("networks", "192.0.2.1/24"), ("text", [1]), ("texts", {"a": 1}),
])  # fmt: skip
def test_a_value_that_is_none_of_its_kind_is_refused(kind: str, bad: object):
    with pytest.raises(ValueError, match=r"^must"):
        READERS[kind](bad)


def test_every_setting_is_of_a_known_kind_has_a_help_and_a_default_that_can_be_written():
    for row in SETTINGS:
        assert row.type in READERS
        assert row.help.endswith((".", "."))
        assert row.variable == f"PROPOLIS_{row.name.upper()}"
