# SPDX-License-Identifier: Apache-2.0
"""Tokens: our own assertions as another library would verify them, and what foreign ones claim.

Covers: headers, claims and signatures of assertions, keys that cannot be used, claims of any shape,
and the diagnosis from them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from lab.oauth_lab import MAILBOX, SERVICE_ACCOUNT, google_account, identity, microsoft_application
from lab.token_server import unsigned_jwt
from postroom.api.masked import Masked
from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider
from postroom.mail.oauth.answers import AccessToken
from postroom.mail.oauth.diagnosis import fault_of, signed_in_as
from postroom.mail.oauth.jwt import (
    Claims,
    UnusableKey,
    claims_of,
    decoded,
    encoded,
    private_key,
    signed,
)
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import Protocol

NOW = 1_800_000_000.5
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)


def parts_of(assertion: Masked) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what was signed, and the signature."""
    content, _, signature = assertion.reveal().rpartition(".")
    header, claims = (json.loads(decoded(one)) for one in content.split("."))
    return header, claims, content.encode(), decoded(signature)


def pem_of(key: Any, protection: KeySerializationEncryption | None = None) -> Masked:
    made = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection or NoEncryption())
    return Masked(made.decode())


def test_the_assertion_of_a_service_account() -> None:
    form = google_account().form(NOW)
    header, claims, content, signature = parts_of(form.masked["assertion"])
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef"}
    assert claims == {
        "iss": SERVICE_ACCOUNT,
        "sub": MAILBOX,
        "scope": "https://mail.google.com/",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_799_999_970,
        "exp": 1_800_003_570,
    }
    identity().key.public_key().verify(signature, content, padding.PKCS1v15(), hashes.SHA256())


def test_the_assertion_of_a_certificate() -> None:
    form = microsoft_application(client_secret=None).form(NOW)
    header, claims, content, signature = parts_of(form.masked["client_assertion"])
    assert header == {"alg": "PS256", "typ": "JWT", "x5t#S256": identity().thumbprint}
    assert claims["aud"] == (
        "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
    )
    assert (claims["iss"], claims["sub"]) == ("aid", "aid")
    assert claims["exp"] - claims["nbf"] == 600
    identity().key.public_key().verify(signature, content, PSS, hashes.SHA256())


def test_no_two_assertions_have_one_name() -> None:
    grant = microsoft_application(client_secret=None)
    names = {parts_of(grant.form(NOW).masked["client_assertion"])[1]["jti"] for _ in range(3)}
    assert len(names) == 3


def test_a_changed_assertion_does_not_verify() -> None:
    _, _, content, signature = parts_of(signed({"alg": "RS256"}, {"a": 1}, identity().key))
    with pytest.raises(InvalidSignature):
        identity().key.public_key().verify(
            signature, content + b"x", padding.PKCS1v15(), hashes.SHA256()
        )


SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the point
KEYS = [
    (Masked("no key"), "is no readable private key in PEM"),
    (Masked(""), "is no readable private key in PEM"),
    (Masked("\ud800"), "is no readable private key in PEM"),
    (pem_of(identity().key, BestAvailableEncryption(b"x")), "is protected by a password"),
    (pem_of(ec.generate_private_key(ec.SECP256R1())), "is no RSA key"),
    (pem_of(SHORT), "is shorter than 2048 bits"),
]


@pytest.mark.parametrize(("pem", "why"), KEYS)
def test_keys_that_cannot_be_used(pem: Masked, why: str) -> None:
    with pytest.raises(UnusableKey, match=why):
        private_key(pem)


@given(st.binary(max_size=100))
def test_base64url_goes_there_and_back(data: bytes) -> None:
    assert decoded(encoded(data)) == data
    assert "=" not in encoded(data)


@given(st.text(max_size=100))
def test_any_text_is_a_token_or_none(text: str) -> None:
    assert claims_of(Masked(text)) in (None, Claims())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = ("aud", "scp", "scope", "roles", "email", "upn", "preferred_username")


@given(st.dictionaries(st.sampled_from((*NAMES, "email_verified")), JSON, max_size=6))
def test_any_claims_can_be_read(claims: dict[str, Any]) -> None:
    found = claims_of(Masked(unsigned_jwt(claims)))
    assert found is not None
    assert all(isinstance(one, str) for one in (*found.audience, *found.scopes, *found.roles))


@pytest.mark.parametrize("body", ["[1]", "null", "{", '{"exp": 1e999}', "[" * 20_000])
def test_absurd_claims(body: str) -> None:
    token = f"{encoded(b'{}')}.{encoded(body.encode())}.x"
    assert claims_of(Masked(token)) in (None, Claims())


def test_what_is_too_long_is_not_read() -> None:
    assert claims_of(Masked(unsigned_jwt({"aud": "x" * 40_000}))) is None


def access(claims: dict[str, Any] | None, scopes: tuple[str, ...] | None = None) -> AccessToken:
    return AccessToken(Masked(unsigned_jwt(claims) if claims else "opaque"), 3600, scopes)


USER, APPLICATION = OAuthFlow.REFRESH_TOKEN, OAuthFlow.CLIENT_CREDENTIALS
OUTLOOK = "https://outlook.office.com"
MICROSOFT: list[tuple[dict[str, Any] | None, OAuthFlow, OAuthReason | None]] = [
    (None, USER, None),
    ({"aud": OUTLOOK, "scp": "IMAP.AccessAsUser.All SMTP.Send"}, USER, None),
    ({"aud": f"{OUTLOOK}/", "scp": f"{OUTLOOK}/IMAP.AccessAsUser.All"}, USER, None),
    ({"aud": "00000002-0000-0ff1-ce00-000000000000", "scp": "IMAP.AccessAsUser.All"}, USER, None),
    ({"aud": OUTLOOK, "scp": "SMTP.Send"}, USER, OAuthReason.SCOPE_MISSING),
    ({"aud": "https://graph.microsoft.com", "scp": "x"}, USER, OAuthReason.WRONG_AUDIENCE),
    ({"aud": "00000003-0000-0000-c000-000000000000"}, USER, OAuthReason.WRONG_AUDIENCE),
    ({"aud": "https://vault.azure.net"}, USER, OAuthReason.WRONG_AUDIENCE),
    ({"aud": "https://outlook.office365.com", "roles": ["IMAP.AccessAsApp"]}, APPLICATION, None),
    (
        {"aud": "https://outlook.office365.com", "roles": ["Mail.Read"]},
        APPLICATION,
        OAuthReason.SCOPE_MISSING,
    ),
]


@pytest.mark.parametrize(("claims", "flow", "reason"), MICROSOFT)
def test_what_the_claims_of_microsoft_tell(
    claims: dict[str, Any] | None, flow: OAuthFlow, reason: OAuthReason | None
) -> None:
    fault = fault_of(access(claims), Protocol.IMAP, OAuthProvider.MICROSOFT, flow)
    assert (fault.reason if fault else None) == reason


def test_a_token_for_graph_is_named_as_such() -> None:
    token = access({"aud": "https://graph.microsoft.com"})
    fault = fault_of(token, Protocol.IMAP, OAuthProvider.MICROSOFT, USER)
    assert fault is not None
    assert fault.sentence.startswith("The token is for Microsoft Graph, not for IMAP: ")


def test_a_token_of_another_cloud_is_for_another_service() -> None:
    token = access({"aud": OUTLOOK, "scp": "IMAP.AccessAsUser.All"})
    fault = fault_of(token, Protocol.IMAP, OAuthProvider.MICROSOFT, USER, MicrosoftCloud.CHINA)
    assert fault is not None
    assert fault.reason is OAuthReason.WRONG_AUDIENCE


@pytest.mark.parametrize(
    ("scopes", "reason"),
    [
        (None, None),
        (("https://mail.google.com/", "openid"), None),
        (("https://www.googleapis.com/auth/gmail.send",), OAuthReason.SCOPE_MISSING),
    ],
)
def test_what_the_scopes_of_google_tell(
    scopes: tuple[str, ...] | None, reason: OAuthReason | None
) -> None:
    fault = fault_of(access(None, scopes), Protocol.SMTP, OAuthProvider.GOOGLE, USER)
    assert (fault.reason if fault else None) == reason


def test_nothing_is_known_of_generic_tokens() -> None:
    assert fault_of(access({"aud": "x"}), Protocol.IMAP, OAuthProvider.GENERIC, USER) is None


@pytest.mark.parametrize(
    ("claims", "fits"),
    [
        ({"email": "Alice@Example.com"}, True),
        ({"preferred_username": "alice@example.com", "email": "a@other.example"}, True),
        ({"email": "alice@example.com", "email_verified": False}, False),
        ({"email": "bob@example.com"}, False),
        ({"sub": "1234"}, False),
    ],
)
def test_who_signed_in(claims: dict[str, Any], fits: bool) -> None:
    assert (signed_in_as(Masked(unsigned_jwt(claims)), "alice@example.com") is None) is fits


def test_the_other_account_is_named() -> None:
    fault = signed_in_as(Masked(unsigned_jwt({"email": "bob@example.com"})), MAILBOX)
    assert fault is not None
    assert fault.sentence.startswith("bob@example.com signed in, not alice@example.com: ")


def test_without_an_id_token_nobody_is_trusted() -> None:
    assert signed_in_as(Masked(""), MAILBOX) is not None
