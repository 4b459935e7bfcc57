# SPDX-License-Identifier: Apache-2.0
"""Token endpoints and APIs of identities that answer as nobody foresaw, drawn by hypothesis.

Whatever comes: a value in time, no exception; a token only where the server gave that one; never a
verdict on the credentials but from a document that says so; no redirect followed, no cookie kept;
bounded octets; nothing of what was told in a log or a message. `make fuzz` does many times as much.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given

from lab.http_machine import HttpMachine, objects_of
from lab.mail_machine import Drawing, drawings, fuzzed
from lab.mail_probing import AUTHORITY, context
from lab.mail_scene import played
from lab.oauth_lab import LOOPBACK, google_user, resolving
from lab.test_identities_network import HOST as API_HOST
from lab.token_server import HOST
from postroom.api.masked import Masked
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.https import OCTETS_LIMIT
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.connect.tls import TrustStore
from postroom.mail.identities.asking import ApiReply, BearerExchange
from postroom.mail.oauth.answers import AccessToken
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.tokens import TokenSource

CLIENT_SECRET, REFRESH, GOOD = "Gs8kQ2vT9zbXw4Lm", "1//Zk3mW8qRt5Yx1Np7Vb", "ya29.Qw3rTy5uI7op"
BUNDLE = AUTHORITY.cert_pem.bytes().decode()
#: Building a context for each example would cost most of the time.
_TRUST = TrustStore()
#: Seconds for all of one answer, and what waits for a turn comes to nothing here.
LIMIT = 10.0
#: What is heard of a connection, and what sockets and buffers on both sides hold besides.
MOST = OCTETS_LIMIT + 10 * 1024 * 1024
TOKEN: dict[str, object] = {"access_token": GOOD, "token_type": "Bearer", "expires_in": 3599}
REFUSED = {"error": "invalid_grant", "error_description": f"{REFRESH} is {CLIENT_SECRET}"}
_ODD: dict[str, Sequence[object]] = {
    "expires_in": (-1, "99", 1e400, None, [1], True, 10**400),
    "access_token": ("", 7, "a b", "ä" * 9, {}, None),
    "token_type": ("mac", 7, None, ["Bearer"]),
    "scope": (7, None, {REFRESH: REFRESH}, REFRESH),
    "refresh_token": ("n3w", REFRESH, 7, "a\nb"),
}
_ODD_ERRORS: Sequence[object] = (7, None, {}, [], "x" * 99, CLIENT_SECRET)
DOCUMENTS: Sequence[bytes] = (
    json.dumps(TOKEN).encode(),
    json.dumps(REFUSED).encode(),
    *(json.dumps({**TOKEN, key: odd}).encode() for key, odds in _ODD.items() for odd in odds),
    *(json.dumps({"error": odd}).encode() for odd in _ODD_ERRORS),
    json.dumps({"error": {"status": "UNAUTHENTICATED", "message": CLIENT_SECRET}}).encode(),
    b'{"access_token": "first", "access_token": "' + GOOD.encode() + b'", "token_type": "bearer"}',
    *(b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b'{"expires_in": ' + b"9" * 5000 + b"}"),
    *(b"\xff\xfe\xfa", b'"\xc3\x28"', b"null", b"", b"{}", b"[]", b"NaN", b'{"error": "\\ud800"}'),
    b"\xef\xbb\xbf" + json.dumps(TOKEN).encode(),
    json.dumps(TOKEN).encode("utf-16"),
)


async def served(
    machine: HttpMachine, ask: Callable[[], Awaitable[Any]], times: int
) -> list[tuple[Any, float]]:
    """What comes of asking so often, and after how many seconds."""
    servers = await machine.start()
    now = asyncio.get_running_loop().time
    made = []
    try:
        for _ in range(times):
            begun = now()
            made.append((await ask(), now() - begun))
    finally:
        await machine.end(servers)
    return made


def machine_for(drawing: Drawing, host: str) -> HttpMachine:
    return HttpMachine(drawing, context(host), DOCUMENTS, (CLIENT_SECRET, REFRESH))


def judge(machine: HttpMachine, shown: str, told: str) -> None:
    """What holds of every exchange."""
    assert machine.strays == 0, "a redirect was followed"
    assert machine.written <= MOST * max(len(machine.given), 1)
    assert not any(b"cookie" in head.lower() for head in machine.heads)
    for secret in (CLIENT_SECRET, REFRESH, GOOD):
        for at in range(len(secret) - 8):
            assert secret[at : at + 9] not in shown
            assert secret[at : at + 9] not in told


@fuzzed
@given(drawings)
def test_whatever_a_token_endpoint_answers(drawing: Drawing) -> None:
    machine = machine_for(drawing, HOST)
    grant = replace(google_user(CLIENT_SECRET, REFRESH), ca_bundle=BUNDLE)

    async def scene() -> list[tuple[Any, float]]:
        now = asyncio.get_running_loop().time
        source: TokenSource | None = None

        async def ask() -> Any:
            nonlocal source
            if source is None:
                guard = DialPolicy(LOOPBACK, frozenset({machine.port}))
                asking = HttpsExchange(
                    guard, resolving("127.0.0.1"), generic_hosts=(HOST,), trust=_TRUST
                )
                source = TokenSource(asking, clock=now, spread=lambda: 0.0)
            await asyncio.sleep(61)  # no pause of the last answer holds it back
            url = f"https://{HOST}:{machine.port}/token"
            return await source.token(replace(grant, token_url=url))

        made = await served(machine, ask, 2)
        if source is not None:
            await source.close()
        return made

    made, shown = played(scene())
    judge(machine, "\n".join(shown.lines), repr(made))
    assert shown.complaints == []
    sound = (objects_of(given.body) for given in machine.given if given.sound)
    documents = [document for document in sound if document]
    for got, took in made:
        assert took <= 61 + 2 * LIMIT + 1
        if isinstance(got, AccessToken):
            given = [document.get("access_token") for document in documents if document]
            assert got.value.reveal() in given
        elif got.conclusive:
            assert any("error" in document for document in documents)


@fuzzed
@given(drawings)
def test_whatever_an_api_answers(drawing: Drawing) -> None:
    machine = machine_for(drawing, API_HOST)

    async def scene() -> list[tuple[Any, float]]:
        async def resolve(_: str) -> tuple[str, ...]:
            return ("127.0.0.1",)

        async def ask() -> Any:
            guard = DialPolicy(LOOPBACK, frozenset({machine.port}))
            asking = BearerExchange(guard, resolve, ca_bundle=BUNDLE, trust=_TRUST)
            return await asking.get(f"https://{API_HOST}:{machine.port}/list", Masked(GOOD))

        return await served(machine, ask, 2)

    made, shown = played(scene())
    judge(machine, "\n".join(shown.lines), repr(made))
    assert shown.complaints == []
    answers = [(given.status, objects_of(given.body)) for given in machine.given]
    for got, took in made:
        assert took <= LIMIT + 1
        assert isinstance(got, ApiReply | NoAnswer)
        if isinstance(got, ApiReply) and got.document is not None:
            pairs = zip(answers, machine.given, strict=True)
            whole = [answer for answer, given in pairs if given.sound]
            odd = any(not given.sound for given in machine.given)
            assert odd or (got.status, got.document) in whole
