# SPDX-License-Identifier: Apache-2.0
"""Token endpoints that misbehave, or are somebody else: no verdict, bounded, and nothing leaks.

Covers: what every answer amounts to, time and size bounds, redirects, certificates, the dial guard
and pinning, every row of the table of errors over the wire, and the hunt for canary secrets.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import random
import socket
import ssl
import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote_plus

import pytest
import trustme

from lab.hostile import Hostile, Step
from lab.mail_probing import (
    AUTHORITY,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
)
from lab.oauth_lab import (
    LOOPBACK,
    at,
    exchange,
    google_account,
    google_user,
    microsoft_application,
    microsoft_user,
    resolving,
    source,
)
from lab.token_server import HOST, Scripted, TokenServer, google_error, microsoft_error
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.errors import table
from postroom.mail.oauth.exchange import BODY_LIMIT, HttpsExchange, TokenAnswer
from postroom.mail.oauth.grant import Form, Grant
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.tokens import TokenSource

BUNDLE = AUTHORITY.cert_pem.bytes().decode()
DOCUMENT = '{"access_token": "x", "token_type": "Bearer", "expires_in": 3599}'
UNAVAILABLE = OAuthReason.ENDPOINT_UNAVAILABLE
UNEXPECTED = OAuthReason.ENDPOINT_UNEXPECTED


def response(status: str = "200 OK", body: str = DOCUMENT, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more]
    if not any(one.startswith("Content-Type") for one in more):
        head.append("Content-Type: application/json; charset=utf-8")
    return "\r\n".join([*head, "", body]).encode("latin-1")


def serving(*steps: Step, made: ssl.SSLContext | None = None) -> Hostile:
    """A server that reads the head of a request, plays these steps, then says nothing more."""
    script = [*["read"] * 6, *steps, "stall"]
    return Hostile(*script, context=made or context(HOST), implicit=True)


def grant_at(port: int) -> Grant:
    url = f"https://{HOST}:{port}/token"
    return replace(google_user(), token_url=url, ca_bundle=BUNDLE)


async def asked(server: Hostile, limit: float = 30.0) -> AccessToken | TokenFailure:
    async with server:
        return await source(server.port, limit=limit).token(grant_at(server.port))


INVALID = '{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}'
CHUNKED = (
    b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
RESPONSES: list[tuple[str, Sequence[Step], OAuthReason]] = [
    ("moved", [response("301 Moved", "", "Location: /x")], UNEXPECTED),
    ("found", [response("302 Found", "", "Location: https://127.0.0.1/")], UNEXPECTED),
    ("kept method", [response("307 Go", INVALID, "Location: https://x.example/")], UNEXPECTED),
    ("a page", [response("200 OK", "<html>", "Content-Type: text/html")], UNEXPECTED),
    ("a portal", [response("403 No", "<html>", "Content-Type: text/html")], UNEXPECTED),
    ("other type", [response("400 Bad", INVALID, "Content-Type: text/plain")], UNEXPECTED),
    ("no type", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], UNEXPECTED),
    ("bad json", [response("400 Bad", '{"error": "invalid_gr')], UNEXPECTED),
    ("deep json", [response("400 Bad", "[" * 50_000)], UNEXPECTED),
    ("no object", [response("400 Bad", '"invalid_grant"')], UNEXPECTED),
    ("empty", [response("400 Bad", "")], UNEXPECTED),
    ("no content", [response("204 No Content", "")], UNEXPECTED),
    ("success with error", [response("200 OK", INVALID)], UNEXPECTED),
    ("in trouble", [response("500 Oops", INVALID)], UNAVAILABLE),
    ("gateway", [response("502 Bad Gateway", "<html>", "Content-Type: text/html")], UNAVAILABLE),
    ("busy", [response("503 Busy", INVALID)], UNAVAILABLE),
    ("request timeout", [response("408 Timeout", INVALID)], UNAVAILABLE),
    ("too many", [response("429 Slow Down", INVALID)], OAuthReason.THROTTLED),
    ("huge", [response("400 Bad", INVALID + " " * BODY_LIMIT)], UNEXPECTED),
    ("chunked", [CHUNKED, *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 100], UNEXPECTED),
    ("compressed", [response("200 OK", "\x1f\x8bxxxx", "Content-Encoding: gzip")], UNEXPECTED),
    ("not http", [b"220 mail.example.com ESMTP\r\n"], UNAVAILABLE),
    ("huge head", [b"HTTP/1.1 200 OK\r\nx: " + b"x" * 2**20], UNAVAILABLE),
    ("many heads", [b"HTTP/1.1 200 OK\r\n" + b"x: x\r\n" * 2**17], UNAVAILABLE),
    ("reset", ["reset"], UNAVAILABLE),
    ("closed", ["close"], UNAVAILABLE),
    (
        "half",
        [
            b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
            "close",
        ],
        UNAVAILABLE,
    ),
]


@pytest.mark.parametrize(
    ("steps", "reason"), [one[1:] for one in RESPONSES], ids=[one[0] for one in RESPONSES]
)
async def test_what_is_no_answer_is_no_verdict(steps: Sequence[Step], reason: OAuthReason) -> None:
    server = serving(*steps)
    got = await asked(server)
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive) == (reason, False)
    assert server.connections == 1, "no redirect is followed, nothing is repeated"


async def test_a_success_with_an_error_is_no_verdict_and_says_what_the_error_is() -> None:
    got = await asked(serving(response("200 OK", INVALID)))
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive, got.error) == (UNEXPECTED, False, "invalid_grant")
    assert "answers invalid_grant" in got.wrong and "It is asked again" in got.fix
    got = await asked(serving(response("200 OK", '{"error": "canary of ours"}')))
    assert isinstance(got, TokenFailure) and (got.reason, got.error) == (UNEXPECTED, "")


async def test_a_sound_answer_is_read() -> None:
    """So that the table above proves something."""
    assert isinstance(await asked(serving(response())), AccessToken)
    got = await asked(serving(response("400 Bad", INVALID)))
    assert isinstance(got, TokenFailure)
    assert got.conclusive


SLOW: list[tuple[str, Sequence[Step]]] = [
    ("silent", []),
    ("slow head", [b"HTTP/1.1 200 OK\r\n"]),
    ("slow body", [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"]),
]


@pytest.mark.parametrize("steps", [one[1] for one in SLOW], ids=[one[0] for one in SLOW])
async def test_slowness_is_bounded(steps: Sequence[Step]) -> None:
    began = asyncio.get_running_loop().time()
    got = await asked(serving(*steps), limit=0.4)
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive) == (UNAVAILABLE, False)
    assert asyncio.get_running_loop().time() - began < 20


def self_signed() -> ssl.SSLContext:
    return context(HOST, ca=trustme.CA())


CERTIFICATES = [
    ("other host", lambda: context("other.example.com")),
    ("expired", lambda: context(HOST, days=-1)),
    ("other authority", self_signed),
]


@pytest.mark.parametrize("made", [one[1] for one in CERTIFICATES], ids=[x[0] for x in CERTIFICATES])
async def test_nothing_is_sent_without_a_good_certificate(made: object) -> None:
    assert callable(made)
    server = serving(response(), made=made())
    got = await asked(server)
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive) == (UNAVAILABLE, False)
    assert "certificate" in got.message
    assert server.received == []


async def test_what_speaks_no_tls_gets_nothing() -> None:
    server = Hostile("read", response())
    got = await asked(server)
    assert isinstance(got, TokenFailure)
    assert got.reason is UNAVAILABLE
    assert b"gr" not in b"".join(server.received)


async def test_a_bundle_that_cannot_be_read_is_no_verdict() -> None:
    async with serving(response()) as server:
        grant = replace(grant_at(server.port), ca_bundle="no bundle")
        got = await source(server.port).token(grant)
    assert isinstance(got, TokenFailure)
    assert not got.conclusive
    assert server.connections == 0


async def posted(
    port: int,
    resolve: Resolve,
    guard: DialPolicy | None = None,
    url: str = "",
    limit: float = 30.0,
) -> TokenAnswer | NoAnswer:
    policy = guard or DialPolicy(LOOPBACK, frozenset({port}))
    through = HttpsExchange(policy, resolve, limit=limit)
    return await through.post(
        url or f"https://{HOST}:{port}/token", Form({"a": "b"}), ca_bundle=BUNDLE
    )


def failing(answer: tuple[str, ...] | None, stall: bool = False) -> Resolve:
    async def resolve(host: str) -> tuple[str, ...] | None:
        if stall:
            await asyncio.sleep(60)
        return answer

    return resolve


@pytest.mark.parametrize(
    "resolve", [failing(()), failing(None), failing(None, stall=True)], ids=["none", "now", "slow"]
)
async def test_dns_that_does_not_answer_is_no_verdict(resolve: Resolve) -> None:
    got = await posted(HTTPS, resolve, limit=0.4)
    assert isinstance(got, NoAnswer)
    assert not got.denied


HTTPS = 443


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.0.0.1",),
        ("169.254.169.254",),
        ("::1",),
        ("8.8.8.8", "127.0.0.1"),
        ("::ffff:127.0.0.1",),
    ],
)
async def test_what_may_not_be_dialled_is_not(addresses: tuple[str, ...]) -> None:
    async with serving(response()) as server:
        guard = DialPolicy((), frozenset({server.port}))
        got = await posted(server.port, resolving(*addresses), guard)
        assert server.connections == 0
    assert isinstance(got, NoAnswer)
    assert got.denied
    assert not any(address in got.sentence for address in addresses)


async def test_only_judged_addresses_are_dialled() -> None:
    """The name is looked up once: another answer a moment later changes nothing."""
    asked_for: list[str] = []

    async def rebinding(host: str) -> tuple[str, ...]:
        asked_for.append(host)
        return ("127.0.0.1",) if len(asked_for) == 1 else ("127.9.9.9",)

    async with serving(response()) as server:
        got = await posted(server.port, rebinding)
    assert isinstance(got, TokenAnswer)
    assert asked_for == [HOST]


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "https://user:pw@login.example.com/token",
        "https://127.0.0.1/token",
        "https://[::1]/token",
        "https://login.example.com:25/token",
        "https://login.example.com:99999/token",
        "https:///token",
        "file:///etc/passwd",
    ],
)
async def test_urls_that_are_never_dialled(url: str) -> None:
    got = await posted(HTTPS, failing(("127.0.0.1",)), url=url)
    assert isinstance(got, NoAnswer)
    assert got.denied


async def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    got = await posted(port, resolving("127.0.0.1"))
    assert isinstance(got, NoAnswer)
    assert not got.denied
    assert "cannot be connected to" in got.sentence


async def test_private_addresses_are_for_services_of_the_own_namespace() -> None:
    guard = DialPolicy((), frozenset({HTTPS}))
    url = "https://keycloak.mail.svc/token"
    for namespace, denied in (("mail", False), ("other", True)):
        through = HttpsExchange(guard, failing(("10.255.255.1",)), limit=0.2)
        got = await through.post(url, Form({}), namespace=namespace)
        assert isinstance(got, NoAnswer)
        assert got.denied is denied


NOW, LATER = timedelta(), timedelta(hours=1)


def date_in(header: str | timedelta) -> str:
    """Write how long from now a header speaks of; counted when the test runs."""
    if isinstance(header, str):
        return header
    return format_datetime(datetime.now(UTC) + header, usegmt=True)


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999999999", 86400.0),
        (LATER, 3600.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
    ],
)
async def test_retry_after(header: str | timedelta, pause: float | None) -> None:
    text = response("503 Busy", "{}").replace(
        b"\r\n\r\n", b"\r\nRetry-After: " + date_in(header).encode() + b"\r\n\r\n"
    )
    async with serving(text) as server:
        got = await posted(server.port, resolving("127.0.0.1"))
    assert isinstance(got, TokenAnswer)
    assert got.retry_after == (pytest.approx(pause, abs=60) if pause else pause)


@pytest.mark.parametrize(
    ("header", "differs"),
    [
        (NOW, False),
        (LATER, True),
        ("nonsense", False),
    ],
)
async def test_clocks_that_differ(header: str | timedelta, differs: bool) -> None:
    async with serving(response("400 Bad", INVALID, f"Date: {date_in(header)}")) as server:
        got = await posted(server.port, resolving("127.0.0.1"))
    assert isinstance(got, TokenAnswer)
    assert got.clock_differs is differs


async def test_every_row_of_the_table_over_the_wire() -> None:
    wrong = []
    async with TokenServer() as server:
        through = exchange(server.port)
        for number, row in enumerate(table().rows):
            microsoft = row.provider is not None and row.provider.value == "Microsoft"
            grant = microsoft_user() if microsoft else google_user()
            if row.flow is not None and row.flow.value == "ServiceAccount":
                grant = google_account()
            document = google_error(row.error, row.text, row.suberror)
            if microsoft:
                document = microsoft_error(row.error or "invalid_grant", row.code)
            server.script.append(Scripted(400, document))
            grant = replace(at(server, grant), version=str(number))
            got = await TokenSource(through).token(grant)
            assert isinstance(got, TokenFailure)
            # Google has rows of its own for some words that all have.
            if row.provider is not None and got.reason is not row.reason:
                wrong.append((row, got))
    assert wrong == []


ALPHABETS = [string.ascii_letters, string.printable[:94], "äöü€"]


def canary(seed: int) -> str:
    chosen = random.Random(seed)  # noqa: S311 - no secret, a test
    return "".join(chosen.choices(ALPHABETS[seed % 3], k=24))


def forms_of(secret: str) -> list[str]:
    """A secret as it could show."""
    octets = secret.encode()
    return [secret, quote_plus(secret), repr(secret)[1:-1], base64.b64encode(octets).decode()[:20]]


ECHOES: list[tuple[int, str]] = [(200, "echo"), (400, "echo"), (401, "html"), (500, "echo")]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("status", "kind"), ECHOES)
async def test_no_secret_shows(
    seed: int, status: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = canary(seed)
    echo = dict.fromkeys(("error", "error_description", "suberror", "error_uri"), secret)
    body = f"<html>{secret}</html>".encode() if kind == "html" else None
    async with TokenServer() as server:
        for grant in (
            google_user(secret, secret),
            microsoft_application(secret),
            microsoft_user(secret),
        ):
            server.script.append(
                Scripted(status, echo, body=body, headers={"X-Echo": quote_plus(secret)})
            )
            grant = at(server, grant)
            got = await source(server.port).token(grant)
            assert isinstance(got, TokenFailure)
            assert secret in server.forms[-1].values(), "it was sent"
            seen = f"{got!r} {got.message} {grant!r} {caplog.text}"
            assert not [form for form in forms_of(secret) if form in seen]


async def test_no_token_shows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with TokenServer() as server:
        said = {
            "access_token": "canary-access",
            "refresh_token": "canary-refresh",
            "token_type": "Bearer",
        }
        server.script.append(Scripted(document=said))
        tokens = source(server.port)
        got = await tokens.token(at(server, google_user()))
        assert isinstance(got, AccessToken)
        assert got.rotated is not None
        assert "canary" not in f"{got!r} {tokens!r} {vars(tokens)!r} {caplog.text}"


async def test_one_bad_endpoint_does_not_hold_up_another() -> None:
    async with serving() as dead, TokenServer() as server:
        guard = DialPolicy(
            (ipaddress.ip_network("127.0.0.0/8"),), frozenset({dead.port, server.port})
        )
        tokens = TokenSource(HttpsExchange(guard, resolving("127.0.0.1"), limit=30))
        server.script.append(Scripted(body=DOCUMENT.encode()))
        waiting = asyncio.create_task(tokens.token(grant_at(dead.port)))
        await asyncio.sleep(0.05)
        assert isinstance(await tokens.token(at(server, google_user())), AccessToken)
        assert not waiting.done()
        await tokens.close()
        await asyncio.gather(waiting, return_exceptions=True)
