# SPDX-License-Identifier: Apache-2.0
"""What an access token's claims and scopes tell of a refusal, and who signed in."""

from __future__ import annotations

from typing import Any

import pytest

from lab.oauth_lab import MAILBOX
from lab.token_server import unsigned_jwt
from postroom.api.masked import Masked
from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider
from postroom.mail.oauth.answers import AccessToken
from postroom.mail.oauth.diagnosis import fault_of, signed_in_as
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import Protocol


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
