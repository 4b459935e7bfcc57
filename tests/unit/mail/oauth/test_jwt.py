# SPDX-License-Identifier: Apache-2.0
"""Tokens: our own assertions as another library would verify them, and what foreign ones claim.

Covers: headers, claims and signatures of assertions, keys that cannot be used, and claims of any
shape.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
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
from postroom.api.oauth import OAuthFlow
from postroom.mail.oauth.jwt import (
    Claims,
    UnusableKey,
    claims_of,
    decoded,
    encoded,
    private_key,
    signed,
)
from unit.rsa_keys import rsa_pair

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


SHORT = rsa_pair(bits=1024)


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


USER, APPLICATION = OAuthFlow.REFRESH_TOKEN, OAuthFlow.CLIENT_CREDENTIALS
