# SPDX-License-Identifier: Apache-2.0
"""From spec and Secrets to a request: scopes, keys of the cache, and the mistakes in Secrets that
are named before anything is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.oauth_lab import (
    MAILBOX,
    REFERENCE,
    google_account,
    google_user,
    granted,
    identity,
    microsoft_application,
    microsoft_user,
    service_account_key,
)
from postroom.api.masked import Masked
from postroom.api.oauth import OAuth
from postroom.mail.oauth.grant import BadGrant, Grant, OAuthSecrets, grant_of
from postroom.mail.oauth.jwt import UnusableKey

GOOGLE = {
    "provider": "Google",
    "clientID": "gid",
    "clientSecretRef": REFERENCE,
    "refreshTokenRef": REFERENCE,
}


ACCOUNT = {"provider": "Google", "flow": "ServiceAccount", "serviceAccountKeyRef": REFERENCE}


CERTIFICATE = {
    "provider": "Microsoft",
    "flow": "ClientCredentials",
    "clientID": "aid",
    "tenant": "contoso.example",
    "certificateRef": {"name": "cert"},
}


def made(spec: dict[str, Any], secrets: OAuthSecrets) -> Grant | BadGrant:
    return grant_of(
        OAuth.model_validate(spec), secrets, address=MAILBOX, version="1", namespace="mail"
    )


def sentence(spec: dict[str, Any], secrets: OAuthSecrets) -> str:
    got = made(spec, secrets)
    assert isinstance(got, BadGrant)
    return got.sentence


def test_an_application_asks_for_all_that_it_was_given() -> None:
    assert microsoft_application().scopes == ("https://outlook.office365.com/.default",)


def test_the_scopes_of_the_spec_win() -> None:
    spec = GOOGLE | {"scopes": ["a", "b"]}
    grant = granted(spec, OAuthSecrets(Masked("s"), Masked("r")))
    assert grant.form(0).open["scope"] == "a b"


def test_the_subject_of_the_spec_wins() -> None:
    secrets = OAuthSecrets(service_account_key=Masked(service_account_key(identity().key_pem)))
    assert granted(ACCOUNT, secrets).subject == MAILBOX
    assert granted(ACCOUNT | {"subject": "b@example.com"}, secrets).subject == "b@example.com"


def test_an_assertion_goes_to_google_whatever_the_key_says() -> None:
    assert google_account().token_url == "https://oauth2.googleapis.com/token"


def test_what_changes_a_grant_changes_its_key() -> None:
    grant = google_user()
    others = [
        replace(grant, version="2"),
        replace(grant, namespace="other"),
        replace(grant, subject="b@example.com"),
        replace(grant, client_id="x"),
        replace(grant, scopes=("x",)),
        replace(grant, token_url="https://login.example.com/x"),
        replace(grant, ca_bundle="x"),
        microsoft_user(),
    ]
    assert len({one.key for one in (grant, *others)}) == 9


def test_the_key_holds_no_secret() -> None:
    assert google_user(refresh="one").key == google_user(refresh="two").key


def test_line_ends_of_editors_are_dropped() -> None:
    grant = granted(GOOGLE, OAuthSecrets(Masked("s\r\n"), Masked("r\n")))
    shown = {name: value.reveal() for name, value in grant.form(0).masked.items()}
    assert shown == {"client_secret": "s", "refresh_token": "r"}


BAD: list[tuple[OAuthSecrets, str]] = [
    (OAuthSecrets(), "the client secret is missing or empty"),
    (OAuthSecrets(Masked("\n"), Masked("r")), "the client secret is missing or empty"),
    (OAuthSecrets(Masked("s"), None), "the refresh token is missing or empty"),
    (OAuthSecrets(Masked("s"), Masked(" r")), "the refresh token holds a space"),
    (OAuthSecrets(Masked("s"), Masked("r\nr")), "the refresh token holds a space"),
    (OAuthSecrets(Masked("s"), Masked("r" * 20_000)), "the refresh token is longer than any"),
]


@pytest.mark.parametrize(("secrets", "start"), BAD)
def test_mistakes_in_a_secret_are_named(secrets: OAuthSecrets, start: str) -> None:
    assert sentence(GOOGLE, secrets).startswith(start)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no json",
        "[]",
        "[" * 5000,
        '{"type": "authorized_user"}',
        service_account_key("x", client_email=None),
        service_account_key("x", client_email="evil\r\nheader@x"),
        service_account_key("x", private_key=5),
        "x" * 20_000,
    ],
)
def test_what_is_no_key_of_a_service_account(key: str) -> None:
    said = sentence(ACCOUNT, OAuthSecrets(service_account_key=Masked(key)))
    assert said.startswith("the service account's key ")


def test_a_certificate_needs_both_parts() -> None:
    secrets = OAuthSecrets(certificate=Masked("x"))
    assert sentence(CERTIFICATE, secrets).startswith("tls.key is missing")
    secrets = OAuthSecrets(private_key=Masked("x"))
    assert sentence(CERTIFICATE, secrets).startswith("tls.crt is missing")


def test_a_certificate_must_be_readable() -> None:
    secrets = OAuthSecrets(certificate=Masked("x"), private_key=Masked(identity().key_pem))
    with pytest.raises(UnusableKey, match="certificate that is no readable PEM"):
        granted(CERTIFICATE, secrets).form(0)


def test_what_the_spec_does_not_reference_is_not_sent() -> None:
    spec = {name: value for name, value in GOOGLE.items() if name != "clientSecretRef"}
    grant = granted(spec, OAuthSecrets(Masked("unasked"), Masked("r")))
    assert set(grant.form(0).masked) == {"refresh_token"}


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=200))
def test_any_secret_ends_in_a_value(secret: str, token: str, key: str) -> None:
    for spec in (GOOGLE, ACCOUNT):
        secrets = OAuthSecrets(Masked(secret), Masked(token), Masked(key))
        got = made(spec, secrets)
        if isinstance(got, BadGrant):
            assert got.sentence.endswith(".")


def test_nothing_secret_is_shown() -> None:
    for grant in (google_user("canary", "canary"), microsoft_application("canary")):
        assert "canary" not in f"{grant!r} {grant} {grant.form(0)!r} {grant.secrets}"
