# SPDX-License-Identifier: Apache-2.0
"""The SASL messages that carry a token, and the challenges that refuse it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth.sasl import (
    FAREWELL,
    OAUTHBEARER,
    XOAUTH2,
    mechanism_for,
    message_for,
    refusal_from,
)

TOKEN = Masked("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")


def test_xoauth2() -> None:
    said = message_for(XOAUTH2, "user@example.com", TOKEN, "imap.example.com", 993)
    assert said.reveal() == f"user=user@example.com\x01auth=Bearer {TOKEN.reveal()}\x01\x01"


def test_oauthbearer_as_in_its_rfc() -> None:
    token = Masked("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    said = message_for(OAUTHBEARER, "user@example.com", token, "server.example.com", 143)
    assert said.reveal() == (
        "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        f"auth=Bearer {token.reveal()}\x01\x01"
    )


def test_what_would_end_the_name_is_escaped() -> None:
    said = message_for(OAUTHBEARER, "a=b,c@example.com", TOKEN, "h", 1).reveal()
    assert said.startswith("n,a=a=3Db=2Cc@example.com,\x01")


@pytest.mark.parametrize("address", ["", "a\x01auth=Bearer x@b", "a b@c", "a\r\n@b", "\ud800@b"])
def test_addresses_that_no_message_can_carry(address: str) -> None:
    for mechanism in (XOAUTH2, OAUTHBEARER):
        with pytest.raises(ValueError, match="the address holds"):
            message_for(mechanism, address, TOKEN, "h", 1)


def test_tokens_that_no_message_can_carry() -> None:
    for bad in ("", "a\x01b", "a b"):
        with pytest.raises(ValueError, match="the token holds"):
            message_for(XOAUTH2, "a@b", Masked(bad), "h", 1)


def test_other_mechanisms_carry_none() -> None:
    with pytest.raises(ValueError, match="PLAIN carries no token"):
        message_for("PLAIN", "a@b", TOKEN, "h", 1)


@pytest.mark.parametrize(
    ("offered", "provider", "chosen"),
    [
        (["PLAIN", "XOAUTH2", "OAUTHBEARER"], OAuthProvider.GOOGLE, OAUTHBEARER),
        (["XOAUTH2", "OAUTHBEARER"], OAuthProvider.MICROSOFT, XOAUTH2),
        (["xoauth2"], OAuthProvider.GENERIC, XOAUTH2),
        (["OAUTHBEARER"], OAuthProvider.MICROSOFT, OAUTHBEARER),
        (["PLAIN"], OAuthProvider.GOOGLE, None),
        ([], OAuthProvider.GENERIC, None),
    ],
)
def test_the_choice(offered: list[str], provider: OAuthProvider, chosen: str | None) -> None:
    assert mechanism_for(offered, provider) == chosen


def test_the_challenge_of_gmail() -> None:
    refusal = refusal_from(
        b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}'
    )
    assert refusal is not None
    assert (refusal.status, refusal.scopes) == ("400", ("https://mail.google.com/",))
    assert not refusal.wants_other_scope


def test_the_challenge_of_the_rfc() -> None:
    refusal = refusal_from(b'{"status":"insufficient_scope","scope":"mail openid"}')
    assert refusal is not None
    assert refusal.wants_other_scope


@pytest.mark.parametrize("challenge", [b"", b"VXNlcm5hbWU6", b"[1]", b"{", b"[" * 5000])
def test_what_is_no_refusal(challenge: bytes) -> None:
    assert refusal_from(challenge) is None


def test_a_number_as_status_is_read() -> None:
    refusal = refusal_from(b'{"status": 401}')
    assert refusal is not None
    assert refusal.status == "401"


@given(st.binary(max_size=300) | st.text().map(lambda text: f'{{"status":"{text}"}}'.encode()))
def test_any_challenge_can_be_read(challenge: bytes) -> None:
    refusal = refusal_from(challenge)
    assert refusal is None or refusal.status.replace("_", "").isalnum() or refusal.status == ""


def test_how_to_say_farewell() -> None:
    assert FAREWELL == {XOAUTH2: b"", OAUTHBEARER: b"\x01"}
