# SPDX-License-Identifier: Apache-2.0
"""Signing in on another device (RFC 8628): codes as servers write them, and how often we ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.token_server import unsigned_jwt
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.device_code import DeviceCode, begin, finish
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form
from postroom.mail.oauth.login import LoginRequest, SignedIn
from postroom.mail.oauth.reasons import OAuthReason

MAILBOX = "jane@example.com"
GIVEN: dict[str, object] = {
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example.com/device",
    "device_code": "canary",
    "interval": 7,
    "expires_in": 900,
}
CODE = DeviceCode("WDJB-MJHT", "https://login.example.com/device", Masked("canary"), 5, 60)
PENDING = TokenAnswer(400, {"error": "authorization_pending"})
SLOWER = TokenAnswer(400, {"error": "slow_down"})
DONE = TokenAnswer(200, {"access_token": "a", "token_type": "Bearer", "refresh_token": "new",
                         "id_token": unsigned_jwt({"email": MAILBOX})})  # fmt: skip


class Scripted:
    """Gives answers in their order, the last one again and again; a clock goes with our sleep."""

    def __init__(self, *answers: TokenAnswer | NoAnswer) -> None:
        self._answers: Iterator[TokenAnswer | NoAnswer] = iter(answers)
        self._last = answers[-1]
        self.asked: list[tuple[str, Form]] = []
        self.slept: list[float] = []

    async def post(
        self, url: str, form: Form, *, namespace: str = "", ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer | NoAnswer:  # fmt: skip
        self.asked.append((url, form))
        return next(self._answers, self._last)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> float:
        return sum(self.slept)


def request() -> LoginRequest:
    endpoints = endpoints_of(OAuthProvider.MICROSOFT)
    assert endpoints is not None
    return LoginRequest(OAuthProvider.MICROSOFT, endpoints, "id", MAILBOX, tenant="contoso.example")


async def begun(changes: dict[str, object]) -> DeviceCode | TokenFailure:
    return await begin(Scripted(TokenAnswer(200, GIVEN | changes)), request())


async def test_a_code_is_asked_for_at_the_tenant() -> None:
    server = Scripted(TokenAnswer(200, GIVEN))
    code = await begin(server, request())
    assert code == DeviceCode(CODE.user_code, CODE.verification_uri, CODE.device_code, 7, 900)
    ((url, form),) = server.asked
    assert "/contoso.example/" in url
    assert form.open == {"client_id": "id", "scope": request().asked_scopes}
    assert "canary" not in repr(code)


@pytest.mark.parametrize(
    ("said", "interval", "lasts"),
    [
        ({"interval": None, "expires_in": None}, 5, 1800),
        ({"interval": 0.1, "expires_in": 9e8}, 1, 1800),
        ({"interval": 3600, "expires_in": 10**400}, 60, 1800),
        ({"interval": -1, "expires_in": 0}, 5, 1800),
        ({"interval": True, "expires_in": "900"}, 5, 1800),
    ],
)
async def test_times_are_bounded(said: dict[str, object], interval: float, lasts: float) -> None:
    code = await begun(said)
    assert isinstance(code, DeviceCode)
    assert (code.interval, code.lasts) == (interval, lasts)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_code": ""},
        {"user_code": "a\x1b[2J"},
        {"user_code": "a" * 257},
        {"user_code": "\u202ecode"},
        {"verification_uri": "http://login.example.com"},
        {"verification_uri": "javascript:alert(1)"},
        {"device_code": None},
    ],
)
async def test_nothing_that_misleads_is_shown(changes: dict[str, object]) -> None:
    assert isinstance(await begun(changes), TokenFailure)


async def polled(*answers: TokenAnswer | NoAnswer) -> tuple[SignedIn | TokenFailure, list[float]]:
    server = Scripted(*answers)
    got = await finish(server, request(), CODE, sleep=server.sleep, clock=server.clock)
    for url, form in server.asked:
        assert url.endswith("/token")
        assert form.open["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"
        assert form.masked["device_code"] == CODE.device_code
    return got, server.slept


async def test_we_ask_slower_when_told_so_and_after_an_outage() -> None:
    got, slept = await polled(PENDING, PENDING, SLOWER, PENDING, NoAnswer("It is so."), DONE)
    assert got == SignedIn(Masked("new"))
    assert slept == [5, 5, 5, 10, 10, 15]


async def test_a_pause_that_a_server_names_is_kept_up_to_a_minute() -> None:
    for named, kept in ((30.0, 30), (3600.0, 60)):
        _, slept = await polled(TokenAnswer(429, {"error": "slow_down"}, named), DONE)
        assert slept == [5, kept]


async def test_a_refusal_ends_it_at_once() -> None:
    got, slept = await polled(PENDING, TokenAnswer(400, {"error": "access_denied"}), DONE)
    assert isinstance(got, TokenFailure)
    assert got.reason is OAuthReason.ACCESS_DECLINED
    assert len(slept) == 2


async def test_patience_ends_with_the_code() -> None:
    got, slept = await polled(PENDING)
    assert isinstance(got, TokenFailure)
    assert got.reason is OAuthReason.LOGIN_EXPIRED
    assert sum(slept) == CODE.lasts
