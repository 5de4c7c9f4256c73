"""Secrets are recognised by the name of their setting and blanked wherever they turn up."""

from __future__ import annotations

import pytest

from propolis.worker.secrets import blank, blank_config, secret_values, sounds_secret


@pytest.mark.parametrize("name", [
    "key", "api_key", "apikey", "apiKey", "API_KEY", "thehive_key", "password", "ad_bind_password", "passphrase",
    "clientSecret", "client_secret", "token", "accessToken", "authorization", "credentials", "cookie", "private_key",
    "keycloak_client_secret", "PASSWD", "api_keys", "smtp_pwd", "proxyPass", "role_secret_id",
])  # fmt: skip
def test_what_sounds_secret(name: str):
    assert sounds_secret(name)


@pytest.mark.parametrize("name", [
    "keycloak_url", "keyboard", "url", "nft_ssh_key_file", "token_url", "api_key_id", "monkeys", "host", "policy",
    "mark_attribute", "", "42",
])  # fmt: skip
def test_what_does_not(name: str):
    assert not sounds_secret(name)


CONFIG = {
    "api_key": "abcd-efgh",
    "nested": {"list": [{"token": "t0ken-one"}], "password": {"old": "0ldpass", "new": ["n3wpass"]}},
    "proxy": {"https": "http://user:pr0xypass@proxy.example.org:3128"},
    "private_key": "-----BEGIN-----\nline-one-of-it\nline-two-of-it\n-----END-----",
    "pin_key": "12",
    "url": "https://example.org",
}


def test_every_secret_is_found_however_deep_it_lies():
    found = secret_values(CONFIG)
    for secret in ("abcd-efgh", "t0ken-one", "0ldpass", "n3wpass", "pr0xypass", "line-two-of-it"):
        assert secret in found
    assert "https://example.org" not in found
    assert "12" not in found


def test_secrets_are_blanked_in_keys_values_and_inside_texts():
    report = {"message": "401 for token=t0ken-one", "list": ["abcd-efgh", 7, None], "abcd-efgh": True}
    assert blank(report, secret_values(CONFIG)) == {
        "message": "401 for token=REMOVED", "list": ["REMOVED", 7, None], "REMOVED": True,
    }  # fmt: skip


def test_a_secret_inside_another_is_blanked_whole():
    assert (
        blank("longsecret-and-more", secret_values({"a_key": "longsecret", "b_key": "longsecret-and"}))
        == "REMOVED-more"
    )


def test_a_configuration_is_shown_without_its_secrets_and_with_everything_else():
    shown = blank_config(CONFIG)
    assert shown["api_key"] == "REMOVED"
    assert shown["pin_key"] == "REMOVED"
    assert shown["nested"] == {"list": [{"token": "REMOVED"}], "password": {"old": "REMOVED", "new": ["REMOVED"]}}
    assert shown["url"] == "https://example.org"
