# SPDX-License-Identifier: Apache-2.0
"""Signing in as a person: what is asked for, and that the answer is of the right account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.token_server import unsigned_jwt
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.login import LoginRequest, SignedIn, signed_in, too_late
from postroom.mail.oauth.reasons import OAuthReason

MAILBOX = "jane@example.com"


def request(provider: OAuthProvider, **changes: Any) -> LoginRequest:
    endpoints = endpoints_of(provider)
    assert endpoints is not None
    return replace(LoginRequest(provider, endpoints, "id", MAILBOX), **changes)


GOOGLE, MICROSOFT = request(OAuthProvider.GOOGLE), request(OAuthProvider.MICROSOFT)
GIVEN: dict[str, object] = {
    "access_token": "a",
    "token_type": "Bearer",
    "refresh_token": "new",
    "id_token": unsigned_jwt({"email": MAILBOX}),
}


def ended(changes: dict[str, object], asked: LoginRequest = GOOGLE) -> SignedIn | TokenFailure:
    return signed_in(TokenAnswer(200, GIVEN | changes), asked)


def test_what_tells_who_signed_in_is_asked_for_as_well_and_once() -> None:
    assert GOOGLE.asked_scopes.split() == ["https://mail.google.com/", "openid", "email"]
    own = request(OAuthProvider.GOOGLE, scopes=("email", "https://mail.google.com/"))
    assert own.asked_scopes == "email https://mail.google.com/ openid"


def test_the_secret_of_a_client_is_masked() -> None:
    form = request(OAuthProvider.GOOGLE, client_secret=Masked("canary")).form("g", {})
    assert form.open == {"client_id": "id", "grant_type": "g"}
    assert form.masked == {"client_secret": Masked("canary")}
    assert GOOGLE.form("", {"code": Masked("c")}).open == {"client_id": "id"}


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        (GOOGLE, None),
        (GOOGLE, "https://mail.google.com/"),
        (GOOGLE, "openid https://www.googleapis.com/auth/userinfo.email https://mail.google.com/"),
        # Microsoft leaves the host of some scopes out.
        (MICROSOFT, "IMAP.AccessAsUser.All SMTP.Send"),
        (MICROSOFT, "https://outlook.office.com/imap.accessasuser.all SMTP.Send openid"),
    ],
)
def test_the_refresh_token_of_the_right_account(asked: LoginRequest, scope: str | None) -> None:
    assert ended({"scope": scope}, asked) == SignedIn(Masked("new"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"refresh_token": None}, OAuthReason.SCOPE_MISSING),
        ({"refresh_token": ""}, OAuthReason.SCOPE_MISSING),
        ({"scope": "openid email"}, OAuthReason.SCOPE_MISSING),
        ({"scope": ""}, OAuthReason.SCOPE_MISSING),
        ({"id_token": None}, OAuthReason.WRONG_ACCOUNT),
        ({"id_token": 7}, OAuthReason.WRONG_ACCOUNT),
        ({"id_token": unsigned_jwt({"email": "joe@example.com"})}, OAuthReason.WRONG_ACCOUNT),
        ({"id_token": unsigned_jwt({"email": MAILBOX, "email_verified": False})},
         OAuthReason.WRONG_ACCOUNT),
        ({"access_token": None}, OAuthReason.ENDPOINT_UNEXPECTED),
    ],
)  # fmt: skip
def test_what_is_no_sign_in(changes: dict[str, object], reason: OAuthReason) -> None:
    got = ended(changes)
    assert isinstance(got, TokenFailure)
    assert got.reason is reason


def test_half_of_what_mail_needs_is_too_little() -> None:
    got = ended({"scope": "IMAP.AccessAsUser.All"}, MICROSOFT)
    assert isinstance(got, TokenFailure)
    assert "leave every box ticked" in got.message


def test_no_answer_is_no_verdict_and_lateness_is_one() -> None:
    got = signed_in(NoAnswer("It is so."), GOOGLE)
    assert isinstance(got, TokenFailure)
    assert not got.conclusive
    assert (too_late().reason, too_late().conclusive) == (OAuthReason.LOGIN_EXPIRED, True)
