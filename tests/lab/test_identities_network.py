# SPDX-License-Identifier: Apache-2.0
"""Asking Gmail and Microsoft Graph over the wire, from the grant to the list.

Covers: whole documents of both APIs behind a token server that checks what it is shown, which token
is sent where, replaced tokens, every failure of the way (answers, sizes, times, certificates,
redirects, the dial guard), and the hunt for canary tokens.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_plus

import pytest
import trustme
from aiohttp import web

from lab.hostile import Hostile, Step
from lab.mail_probing import (
    AUTHORITY,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
)
from lab.oauth_lab import (
    LOOPBACK,
    MAILBOX,
    at,
    google_user,
    microsoft_application,
    microsoft_user,
    source,
)
from lab.token_server import Client, Refresh, Scripted, TokenServer, microsoft_error
from postroom.api.masked import Masked
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.identities.asking import BODY_LIMIT, ApiReply, BearerExchange
from postroom.mail.identities.providers import Apis, directory
from postroom.mail.identities.source import NetworkIdentities, Tokens
from postroom.mail.identities.values import Discovered, DiscoveryFailure, NoIdentities
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant

HOST = "api.example.com"
BUNDLE = AUTHORITY.cert_pem.bytes().decode()
GMAIL_PATH = "/gmail/v1/users/me/settings/sendAs"
GMAIL: dict[str, Any] = {
    "sendAs": [
        {
            "sendAsEmail": MAILBOX,
            "displayName": "Alice",
            "replyToAddress": "",
            "signature": "",
            "isPrimary": True,
            "isDefault": True,
        },
        {
            "sendAsEmail": "billing@example.com",
            "displayName": "Billing",
            "replyToAddress": "",
            "signature": "",
            "treatAsAlias": True,
            "verificationStatus": "accepted",
        },
        {
            "sendAsEmail": "owner@example.org",
            "displayName": "",
            "treatAsAlias": False,
            "smtpMsa": {"host": "smtp.example.org", "port": 587, "securityMode": "starttls"},
            "verificationStatus": "pending",
        },
    ]
}
GRAPH: dict[str, Any] = {
    "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(mail)/$entity",
    "mail": MAILBOX,
    "userPrincipalName": MAILBOX,
    "proxyAddresses": [f"SMTP:{MAILBOX}", "smtp:billing@example.com"],
}


class Api:
    """Serves both APIs on 127.0.0.1 and notes who asked for what with which token."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []
        self.script: list[tuple[int, Mapping[str, Any]]] = []
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context(HOST))
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append((request.raw_path, request.headers["Host"], token))
        if self.script:
            status, document = self.script.pop(0)
            return web.json_response(document, status=status)
        return web.json_response(GMAIL if request.path == GMAIL_PATH else GRAPH)


def apis(port: int) -> Apis:
    """The built-in places, but at a server of ours."""
    text = directory().apis.model_dump_json()
    for host in ("gmail.googleapis.com", "graph.microsoft.com"):
        text = text.replace(f"https://{host}/v1.0/", f"https://{HOST}:{port}/v1.0/")
        text = text.replace(f"https://{host}/gmail/", f"https://{HOST}:{port}/gmail/")
    return Apis.model_validate_json(text)


async def loopback(host: str) -> tuple[str, ...]:
    assert host == HOST
    return ("127.0.0.1",)


def identities(
    port: int, tokens: Tokens, resolve: Resolve = loopback, limit: float = 30.0
) -> NetworkIdentities:
    guard = DialPolicy(LOOPBACK, frozenset({port}))
    exchange = BearerExchange(guard, resolve, ca_bundle=BUNDLE, limit=limit)
    return NetworkIdentities(exchange, tokens, apis(port))


class Given:
    """Hands out tokens without a server; `fresh` ones from the second on."""

    def __init__(self, value: str = "token", *, kept: bool = False) -> None:
        self.value, self.kept = value, kept
        self.asked: list[Grant] = []
        self.dropped = 0

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        self.asked.append(grant)
        fresh = not self.kept or len(self.asked) > 1
        return AccessToken(Masked(self.value), 3600.0, fresh=fresh)

    def drop(self, grant: Grant) -> None:
        self.dropped += 1


def listed(found: Discovered | DiscoveryFailure) -> list[tuple[str, str]]:
    assert isinstance(found, Discovered), found
    return [(one.address, one.state.value) for one in found.listed]


async def test_gmail_is_asked_with_the_token_for_mail() -> None:
    async with TokenServer() as server, Api() as api:
        server.clients["gid"] = Client(secret="gs")
        server.refreshes["gr"] = Refresh("gid", MAILBOX, "https://mail.google.com/")
        tokens, grant = source(server.port), at(server, google_user())
        mail = await tokens.token(grant)
        found = await identities(api.port, tokens).identities(grant, None)
    assert listed(found) == [
        (MAILBOX, "Verified"),
        ("billing@example.com", "Verified"),
        ("owner@example.org", "Pending"),
    ]
    assert isinstance(mail, AccessToken)
    assert api.asked == [(GMAIL_PATH, f"{HOST}:{api.port}", mail.value.reveal())]
    assert len(server.forms) == 1, "one token serves mail and the list"


async def test_graph_is_asked_with_another_token_of_the_same_person() -> None:
    async with TokenServer() as server, Api() as api:
        server.clients["mid"] = Client()
        server.refreshes["mr"] = Refresh("mid", MAILBOX, "")
        tokens, grant = source(server.port), at(server, microsoft_user())
        mail = await tokens.token(grant)
        found = await identities(api.port, tokens).identities(grant, None)
    assert listed(found) == [(MAILBOX, "Verified"), ("billing@example.com", "Verified")]
    assert [form["refresh_token"] for form in server.forms] == ["mr", "mr"]
    assert server.forms[1]["scope"] == "https://graph.microsoft.com/User.Read"
    path, _, token = api.asked[0]
    assert path == "/v1.0/me?$select=mail,userPrincipalName,proxyAddresses"
    assert isinstance(mail, AccessToken)
    assert token != mail.value.reveal(), "the token for mail is not shown to Graph"


async def test_an_application_asks_graph_for_the_mailbox() -> None:
    async with TokenServer() as server, Api() as api:
        server.clients["aid"] = Client(secret="ms")
        grant = at(server, microsoft_application())
        found = await identities(api.port, source(server.port)).identities(grant, None)
    assert isinstance(found, Discovered)
    assert server.forms[0]["scope"] == "https://graph.microsoft.com/.default"
    assert api.asked[0][0].startswith("/v1.0/users/alice%40example.com?$select=")


async def test_a_mailbox_stays_one_segment_of_the_path() -> None:
    async with Api() as api:
        grant = replace(microsoft_application(), subject="a/b?c#d@example.com")
        await identities(api.port, Given()).identities(grant, None)
    assert api.asked[0][0].startswith("/v1.0/users/a%2Fb%3Fc%23d%40example.com?$select=")


async def test_without_consent_for_graph_the_permission_is_named() -> None:
    async with TokenServer() as server, Api() as api:
        server.script.append(Scripted(400, microsoft_error("invalid_grant", 65001)))
        grant = at(server, microsoft_user())
        found = await identities(api.port, source(server.port)).identities(grant, None)
    assert isinstance(found, DiscoveryFailure)
    assert (found.reason.value, found.passing) == ("OAuthConsentRequired", False)
    assert "User.Read" in found.message
    assert api.asked == []


async def test_a_kept_token_that_is_refused_is_replaced_once() -> None:
    tokens = Given(kept=True)
    async with Api() as api:
        api.script.append((401, {"error": {"code": 401}}))
        found = await identities(api.port, tokens).identities(google_user(), None)
    assert isinstance(found, Discovered)
    assert (len(tokens.asked), tokens.dropped, len(api.asked)) == (2, 1, 2)


@pytest.mark.parametrize(("kept", "asked"), [(True, 2), (False, 1)])
async def test_a_fresh_token_that_is_refused_is_not(kept: bool, asked: int) -> None:
    tokens = Given(kept=kept)
    async with Api() as api:
        api.script.extend([(401, {}), (401, {}), (401, {})])
        found = await identities(api.port, tokens).identities(google_user(), None)
    assert isinstance(found, DiscoveryFailure)
    assert (found.reason.value, found.passing) == ("OAuthTokenRejected", False)
    assert len(api.asked) == asked


async def test_where_nobody_may_be_asked_nobody_is() -> None:
    found = await NoIdentities().identities(google_user(), None)
    assert isinstance(found, DiscoveryFailure)
    assert not found.passing


def response(status: str = "200 OK", body: str = json.dumps(GMAIL), *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more]
    if not any(one.startswith("Content-Type") for one in more):
        head.append("Content-Type: application/json; charset=UTF-8")
    return "\r\n".join([*head, "", body]).encode("latin-1")


def serving(*steps: Step, made: ssl.SSLContext | None = None) -> Hostile:
    """A server that reads the head of a request, plays these steps, then says nothing more."""
    script = [*["read"] * 6, *steps, "stall"]
    return Hostile(*script, context=made or context(HOST), implicit=True)


async def answered(server: Hostile, limit: float = 30.0) -> Discovered | DiscoveryFailure:
    async with server:
        asker = identities(server.port, Given("hunter2-token"), limit=limit)
        return await asker.identities(google_user(), None)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
RESPONSES: list[tuple[str, Sequence[Step]]] = [
    ("moved", [response("301 Moved", "", "Location: https://127.0.0.1/")]),
    ("kept method", [response("307 Go", "", "Location: https://x.example/")]),
    ("a page", [response("200 OK", "<html>", "Content-Type: text/html")]),
    ("a captive portal", [response("511 Sign in", "<html>", "Content-Type: text/html")]),
    ("bad json", [response("200 OK", '{"sendAs": [')]),
    ("deep json", [response("200 OK", "[" * 50_000)]),
    ("no object", [response("200 OK", "[]")]),
    ("empty", [response("200 OK", "")]),
    ("nothing in it", [response("200 OK", "{}")]),
    ("in trouble", [response("500 Oops", "{}")]),
    ("busy", [response("503 Busy", "{}")]),
    ("too many", [response("429 Slow", "{}")]),
    ("huge", [response("200 OK", json.dumps(GMAIL) + " " * BODY_LIMIT)]),
    ("chunked", [CHUNKED, *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 40]),
    ("compressed", [response("200 OK", "\x1f\x8bxxxx", "Content-Encoding: gzip")]),
    ("not http", [b"220 mail.example.com ESMTP\r\n"]),
    ("huge head", [b"HTTP/1.1 200 OK\r\nx: " + b"x" * 2**20]),
    ("reset", ["reset"]),
    ("closed", ["close"]),
    ("half", [response()[:-40], "close"]),
]


@pytest.mark.parametrize("steps", [one[1] for one in RESPONSES], ids=[one[0] for one in RESPONSES])
async def test_what_is_no_answer_says_nothing(steps: Sequence[Step]) -> None:
    server = serving(*steps)
    found = await answered(server)
    assert isinstance(found, DiscoveryFailure)
    assert (found.reason.value, found.passing) == ("ProbeInconclusive", True)
    # aiohttp repeats a GET once whose connection broke off.
    assert server.connections <= 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Go", "308 Go"])
async def test_no_redirect_is_followed(status: str) -> None:
    async with Api() as api:
        target = f"Location: https://{HOST}:{api.port}{GMAIL_PATH}"
        server = serving(response(status, "", target))
        assert isinstance(await answered(server), DiscoveryFailure)
    assert (server.connections, api.asked) == (1, [])


async def test_a_sound_answer_is_read() -> None:
    """So that the table above proves something."""
    assert isinstance(await answered(serving(response())), Discovered)


@pytest.mark.parametrize(
    ("header", "pause"), [("120", 120.0), ("99999999999", 86400.0), ("soon", None), ("-1", None)]
)
async def test_the_pause_that_is_asked_for(header: str, pause: float | None) -> None:
    found = await answered(serving(response("429 Slow", "{}", f"Retry-After: {header}")))
    assert isinstance(found, DiscoveryFailure)
    assert found.retry_after == pause


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [b"HTTP/1.1 200 OK\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"],
    ],
)
async def test_slowness_is_bounded(steps: Sequence[Step]) -> None:
    began = asyncio.get_running_loop().time()
    found = await answered(serving(*steps), limit=0.4)
    assert isinstance(found, DiscoveryFailure)
    assert "does not answer in time" in found.message
    assert asyncio.get_running_loop().time() - began < 20


CERTIFICATES = [
    ("other host", lambda: context("other.example.com")),
    ("expired", lambda: context(HOST, days=-1)),
    ("other authority", lambda: context(HOST, ca=trustme.CA())),
]


@pytest.mark.parametrize("made", [one[1] for one in CERTIFICATES], ids=[x[0] for x in CERTIFICATES])
async def test_no_token_is_sent_without_a_good_certificate(made: Any) -> None:
    server = serving(response(), made=made())
    found = await answered(server)
    assert isinstance(found, DiscoveryFailure)
    assert "certificate" in found.message
    assert server.received == []


def answering(addresses: tuple[str, ...] | None) -> Resolve:
    async def resolve(host: str) -> tuple[str, ...] | None:
        return addresses

    return resolve


@pytest.mark.parametrize("addresses", [None, ()])
async def test_dns_that_does_not_answer(addresses: tuple[str, ...] | None) -> None:
    asker = identities(443, Given(), answering(addresses))
    found = await asker.identities(google_user(), None)
    assert isinstance(found, DiscoveryFailure)
    assert found.passing


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
async def test_what_may_not_be_dialled_is_not(address: str) -> None:
    async with serving(response()) as server:
        guard = DialPolicy((), frozenset({server.port}))
        exchange = BearerExchange(guard, answering((address,)), ca_bundle=BUNDLE)
        found = await exchange.get(f"https://{HOST}:{server.port}/", Masked("x"))
        assert server.connections == 0
    assert isinstance(found, NoAnswer)
    assert found.denied


@pytest.mark.parametrize("port", [25, 587, 8443])
async def test_only_ports_of_https_are_dialled(port: int) -> None:
    exchange = BearerExchange(DialPolicy(), loopback)
    found = await exchange.get(f"https://{HOST}:{port}/", Masked("x"))
    assert isinstance(found, NoAnswer)
    assert found.denied


async def test_a_bundle_that_cannot_be_read() -> None:
    async with serving(response()) as server:
        guard = DialPolicy(LOOPBACK, frozenset({server.port}))
        exchange = BearerExchange(guard, loopback, ca_bundle="no bundle")
        found = await exchange.get(f"https://{HOST}:{server.port}/", Masked("x"))
    assert isinstance(found, NoAnswer)
    assert server.connections == 0


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
async def test_no_token_shows(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A token that the API repeats wherever it can, in every form."""
    caplog.set_level(logging.DEBUG)
    secret = "ya29.Secret-Gs8_Canary~x+/="
    forms = [secret, quote_plus(secret), base64.b64encode(secret.encode()).decode()[:20]]
    echo = {
        "error": {
            "code": secret,
            "message": secret,
            "status": secret,
            "errors": [{"reason": secret}],
        },
        "sendAs": [{"sendAsEmail": secret, "displayName": secret}],
        "mail": secret,
    }
    async with Api() as api:
        for grant in (google_user(), microsoft_user(), microsoft_application()):
            api.script.append((status, echo))
            tokens = Given(secret)
            asker = identities(api.port, tokens)
            found = await asker.identities(grant, None)
            seen = f"{found!r} {asker!r} {grant!r} {caplog.text}"
            assert not [form for form in forms if form in seen]
        assert {one[2] for one in api.asked} == {secret}, "it was sent"


async def test_no_token_shows_where_the_connection_breaks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for steps in (["reset"], ["close"], [b"220 hello\r\n"], [b"HTTP/1.1 200 OK\r\nx\r\n\r\n"]):
        found = await answered(serving(*steps))
        assert "hunter2" not in f"{found!r} {caplog.text}"


async def test_what_the_api_answers_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Api() as api:
        guard = DialPolicy(LOOPBACK, frozenset({api.port}))
        exchange = BearerExchange(guard, loopback, ca_bundle=BUNDLE)
        reply = await exchange.get(f"https://{HOST}:{api.port}{GMAIL_PATH}", Masked("x"))
    assert isinstance(reply, ApiReply)
    assert reply.document == GMAIL
    assert "billing@example.com" not in caplog.text
