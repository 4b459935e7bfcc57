# SPDX-License-Identifier: Apache-2.0
"""Signing in with the browser: PKCE (RFC 7636), and strangers who knock at the loopback port."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from lab.token_server import unsigned_jwt
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form
from postroom.mail.oauth.login import LoginRequest, SignedIn
from postroom.mail.oauth.loopback import LoopbackLogin
from postroom.mail.oauth.reasons import OAuthReason

MAILBOX = "jane@example.com"
DONE = TokenAnswer(200, {"access_token": "a", "token_type": "Bearer", "refresh_token": "new",
                         "id_token": unsigned_jwt({"email": MAILBOX})})  # fmt: skip


class Endpoint:
    """Redeems whatever it is sent, and remembers it."""

    def __init__(self) -> None:
        self.forms: list[Form] = []

    async def post(
        self, url: str, form: Form, *, namespace: str = "", ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer:  # fmt: skip
        self.forms.append(form)
        return DONE


def login(endpoint: Endpoint, provider: OAuthProvider = OAuthProvider.GOOGLE) -> LoopbackLogin:
    known = endpoints_of(provider)
    assert known is not None
    return LoopbackLogin(endpoint, LoginRequest(provider, known, "id", MAILBOX))


async def knock(entered: LoopbackLogin, **query: str) -> int:
    port = urlsplit(entered.redirect_uri).port
    async with (
        aiohttp.ClientSession() as browser,
        browser.get(f"http://127.0.0.1:{port}/", params=query) as response,
    ):
        assert "canary" not in await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        return response.status


def asked(entered: LoopbackLogin) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(entered.url).query))


@pytest.mark.parametrize("provider", [OAuthProvider.GOOGLE, OAuthProvider.MICROSOFT])
async def test_the_code_is_redeemed_with_what_proves_that_we_asked(provider: OAuthProvider) -> None:
    endpoint = Endpoint()
    async with login(endpoint, provider) as entered:
        question = asked(entered)
        assert await knock(entered, state=question["state"], code="canary") == 200
        assert await entered.finish(5) == SignedIn(Masked("new"))
    (form,) = endpoint.forms
    assert form.open["grant_type"] == "authorization_code"
    assert form.open["redirect_uri"] == question["redirect_uri"] == entered.redirect_uri
    assert form.masked["code"] == Masked("canary")
    # RFC 7636 section 4.2.
    digest = hashlib.sha256(form.masked["code_verifier"].reveal().encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert (question["code_challenge"], question["code_challenge_method"]) == (challenge, "S256")
    assert question["login_hint"] == MAILBOX


async def test_where_the_browser_is_sent() -> None:
    async with login(Endpoint()) as google, login(Endpoint(), OAuthProvider.MICROSOFT) as microsoft:
        assert google.redirect_uri.startswith("http://127.0.0.1:")
        # Microsoft ignores the port of this name alone.
        assert microsoft.redirect_uri.startswith("http://localhost:")
        assert asked(google)["access_type"] == "offline"
        assert "access_type" not in asked(microsoft)
        assert asked(google)["state"] != asked(microsoft)["state"]


async def test_who_does_not_know_the_state_is_nobody() -> None:
    endpoint = Endpoint()
    async with login(endpoint) as entered:
        state = asked(entered)["state"]
        for wrong in ({}, {"state": ""}, {"state": state[:-1]}, {"state": f"{state}x"}):
            assert await knock(entered, code="canary", **wrong) == 400
        assert await knock(entered, state=state, code="ours") == 200
        # The first answer to our question counts, and no other.
        assert await knock(entered, state=state, code="canary") == 400
        await entered.finish(5)
    assert [form.masked["code"] for form in endpoint.forms] == [Masked("ours")]


@pytest.mark.parametrize("query", [{"error": "access_denied"}, {"code": "x" * 4097}, {}])
async def test_without_a_code_nothing_is_redeemed(query: dict[str, str]) -> None:
    endpoint = Endpoint()
    async with login(endpoint) as entered:
        assert await knock(entered, state=asked(entered)["state"], **query) == 200
        got = await entered.finish(5)
    assert isinstance(got, TokenFailure)
    assert endpoint.forms == []
    assert (got.reason is OAuthReason.ACCESS_DECLINED) is ("error" in query)


async def test_patience_ends_and_so_does_listening() -> None:
    async with login(Endpoint()) as entered:
        got = await entered.finish(0.01)
        port = urlsplit(entered.redirect_uri).port
    assert isinstance(got, TokenFailure)
    assert got.reason is OAuthReason.LOGIN_EXPIRED
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
