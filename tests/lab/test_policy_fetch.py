# SPDX-License-Identifier: Apache-2.0
"""Fetching MTA-STS policies from real HTTPS servers on loopback.

Covers: every outcome, from a policy to each kind of certificate, redirect, status, media type and
endless body; the dial guard and the pinning of judged addresses; what is verified, sent and left
out; memory, single flight, the bound per address, deadlines, and ending gracefully.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Sequence

import pytest
import trustme

from lab.hostile import Hostile, Step
from lab.mail_probing import (
    AUTHORITY,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
)
from postroom.controller.policy_fetch import HttpsPolicyFetcher
from postroom.controller.policy_memory import PolicyMemory
from postroom.dns.tls.mta_sts_host import (
    POLICY_BYTES_LIMIT,
    CertificateFault,
    FetchedPolicy,
    PolicyFetchOutcome,
)
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy

DOMAIN, HOST = "example.com", "mta-sts.example.com"
TEXT = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"
LOOPBACK = DialPolicy((ipaddress.ip_network("127.0.0.0/8"),))


def response(status: str = "200 OK", body: str = TEXT, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more]
    if not any(one.startswith("Content-Type") for one in more):
        head.append("Content-Type: text/plain; charset=utf-8")
    return "\r\n".join([*head, "", body]).encode("latin-1")


def serving(*steps: Step, made: ssl.SSLContext | None = None) -> Hostile:
    """A server that reads the head of a request, then plays these steps."""
    return Hostile(*["read"] * 6, *steps, context=made or context(HOST), implicit=True)


def resolving(*addresses: str) -> Resolve:
    async def resolve(host: str) -> tuple[str, ...]:
        assert host == HOST
        return addresses

    return resolve


def fetcher(
    port: int,
    resolve: Resolve | None = None,
    guard: DialPolicy = LOOPBACK,
    *,
    limit: float = 30.0,
    memory: PolicyMemory | None = None,
) -> HttpsPolicyFetcher:
    bundle = AUTHORITY.cert_pem.bytes().decode()
    resolve = resolve or resolving("127.0.0.1")
    return HttpsPolicyFetcher(
        guard, resolve, port=port, ca_bundle=bundle, limit=limit, memory=memory
    )


async def fetched(server: Hostile, limit: float = 30.0) -> FetchedPolicy:
    async with server:
        return await fetcher(server.port, limit=limit).fetch(DOMAIN)


async def test_a_policy_is_fetched() -> None:
    server = serving(response())
    assert await fetched(server) == FetchedPolicy(PolicyFetchOutcome.FETCHED, TEXT, 200)
    lines = {one.strip().lower() for one in server.received}
    assert b"get /.well-known/mta-sts.txt http/1.1" in lines
    assert f"host: {HOST}:{server.port}".encode() in lines
    assert not any(line.startswith((b"cookie", b"authorization")) for line in lines)


RESPONSES: list[tuple[str, Sequence[Step], PolicyFetchOutcome, int | None]] = [
    ("moved", [response("301 Moved", "", "Location: /x")], PolicyFetchOutcome.REDIRECT, 301),
    (
        "found",
        [response("302 Found", "", "Location: https://127.0.0.1/")],
        PolicyFetchOutcome.REDIRECT,
        302,
    ),
    ("no page", [response("404 Not Found")], PolicyFetchOutcome.NOT_FOUND, 404),
    ("forbidden", [response("403 Forbidden")], PolicyFetchOutcome.NOT_FOUND, 403),
    ("no content", [response("204 No Content", "")], PolicyFetchOutcome.NOT_FOUND, 204),
    ("in trouble", [response("503 Busy")], PolicyFetchOutcome.UNREACHABLE, 503),
    ("too many", [response("429 Slow Down")], PolicyFetchOutcome.UNREACHABLE, 429),
    (
        "a page",
        [response("200 OK", TEXT, "Content-Type: text/html")],
        PolicyFetchOutcome.WRONG_MEDIA_TYPE,
        200,
    ),
    (
        "no media type",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"],
        PolicyFetchOutcome.WRONG_MEDIA_TYPE,
        200,
    ),
    (
        "large",
        [response("200 OK", "x" * (POLICY_BYTES_LIMIT + 1))],
        PolicyFetchOutcome.TOO_LARGE,
        200,
    ),
    (
        "endless",
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "endless"],
        PolicyFetchOutcome.TOO_LARGE,
        200,
    ),
    ("not http", [b"220 mail.example.com ESMTP\r\n"], PolicyFetchOutcome.UNREACHABLE, None),
    ("endless head", [b"HTTP/1.1 200 OK\r\nx: ", "endless"], PolicyFetchOutcome.UNREACHABLE, None),
    ("reset", ["reset"], PolicyFetchOutcome.UNREACHABLE, None),
    ("closed", ["close"], PolicyFetchOutcome.UNREACHABLE, None),
    (
        "half",
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nx", "close"],
        PolicyFetchOutcome.UNREACHABLE,
        None,
    ),
]


#: What has neither a length nor chunks ends with the connection (RFC 9112 section 6.3).
UNMEASURED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
CHUNK = f"{len(TEXT):x}\r\n{TEXT}\r\n".encode()
CHUNKED = UNMEASURED.replace(b"Connection: close", b"Transfer-Encoding: chunked") + CHUNK


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([UNMEASURED + TEXT.encode(), "end"], PolicyFetchOutcome.FETCHED),
        ([UNMEASURED + TEXT.encode(), "close"], PolicyFetchOutcome.UNREACHABLE),
        ([UNMEASURED + TEXT[:40].encode(), "close"], PolicyFetchOutcome.UNREACHABLE),
        ([UNMEASURED, "close"], PolicyFetchOutcome.UNREACHABLE),
        ([CHUNKED, "close"], PolicyFetchOutcome.UNREACHABLE),
        ([CHUNKED, "end"], PolicyFetchOutcome.UNREACHABLE),
        ([CHUNKED + b"0\r\n\r\n", "close"], PolicyFetchOutcome.FETCHED),
        ([response(), "close"], PolicyFetchOutcome.FETCHED),
    ],
)
async def test_a_policy_that_may_have_been_cut_is_none(
    steps: Sequence[Step], outcome: PolicyFetchOutcome
) -> None:
    found = await fetched(serving(*steps))
    assert found.outcome is outcome
    assert found.text == (TEXT if outcome is PolicyFetchOutcome.FETCHED else "")


@pytest.mark.parametrize(
    ("steps", "outcome", "status"),
    [one[1:] for one in RESPONSES],
    ids=[one[0] for one in RESPONSES],
)
async def test_what_a_response_amounts_to(
    steps: Sequence[Step], outcome: PolicyFetchOutcome, status: int | None
) -> None:
    found = await fetched(serving(*steps))
    assert (found.outcome, found.status, found.text) == (outcome, status, "")


async def test_a_body_may_be_as_large_as_the_limit() -> None:
    found = await fetched(serving(response("200 OK", "x" * POLICY_BYTES_LIMIT)))
    assert (found.outcome, len(found.text)) == (PolicyFetchOutcome.FETCHED, POLICY_BYTES_LIMIT)


async def test_a_body_is_taken_byte_by_byte() -> None:
    found = await fetched(serving(response("200 OK", "version: \xff\x00")))
    assert found.text == "version: \xff\x00"


async def test_a_compressed_body_is_not_unpacked() -> None:
    found = await fetched(serving(response("200 OK", "\x1f\x8b", "Content-Encoding: gzip")))
    assert found.text == "\x1f\x8b"


CERTIFICATES = [
    ("other name", lambda: context("example.com"), CertificateFault.OTHER_NAME),
    ("address", lambda: context("127.0.0.1"), CertificateFault.OTHER_NAME),
    ("expired", lambda: context(HOST, days=-1), CertificateFault.EXPIRED),
    ("other authority", lambda: context(HOST, ca=trustme.CA()), CertificateFault.UNTRUSTED),
]


@pytest.mark.parametrize("case", CERTIFICATES, ids=[one[0] for one in CERTIFICATES])
async def test_a_bad_certificate_is_named(case: tuple[str, object, CertificateFault]) -> None:
    _, made, fault = case
    assert callable(made)
    server = serving(response(), made=made())
    found = await fetched(server)
    assert (found.outcome, found.certificate) == (PolicyFetchOutcome.CERTIFICATE, fault)
    assert server.received in ([], [b""] * len(server.received))


async def test_a_wildcard_certificate_counts() -> None:
    found = await fetched(serving(response(), made=context("*.example.com")))
    assert found.outcome is PolicyFetchOutcome.FETCHED


async def test_only_the_alternative_names_count() -> None:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("other.example.com", common_name=HOST).configure_cert(made)
    found = await fetched(serving(response(), made=made))
    assert found.certificate is CertificateFault.OTHER_NAME


async def test_a_server_without_tls_is_a_fault() -> None:
    found = await fetched(Hostile(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert found.outcome is PolicyFetchOutcome.HANDSHAKE


async def test_a_handshake_that_is_broken_off_is_no_verdict() -> None:
    for step in ("close", "reset"):
        found = await fetched(Hostile(step))
        assert found.outcome is PolicyFetchOutcome.UNREACHABLE


async def test_silence_ends_at_the_deadline() -> None:
    for server in (Hostile("stall"), serving("stall"), serving(response()[:-9], "stall")):
        began = asyncio.get_running_loop().time()
        assert (await fetched(server, 0.3)).outcome is PolicyFetchOutcome.UNREACHABLE
        assert asyncio.get_running_loop().time() - began < 20


async def test_a_refused_connection_is_no_verdict() -> None:
    async with Hostile() as server:
        port = server.port
    found = await fetcher(port).fetch(DOMAIN)
    assert (found.outcome, found.conclusive) == (PolicyFetchOutcome.UNREACHABLE, False)


async def test_the_host_must_have_an_address() -> None:
    assert (await fetcher(1, resolving()).fetch(DOMAIN)).outcome is (
        PolicyFetchOutcome.HOST_NOT_FOUND
    )


async def test_a_lookup_that_fails_is_no_verdict() -> None:
    async def nothing(host: str) -> None:
        return None

    async def never(host: str) -> None:
        await asyncio.sleep(3600)

    for resolve in (nothing, never):
        found = await fetcher(1, resolve, limit=0.1).fetch(DOMAIN)
        assert found.outcome is PolicyFetchOutcome.UNREACHABLE


@pytest.mark.parametrize(
    "addresses",
    [("10.0.0.1",), ("169.254.169.254",), ("::1",), ("192.0.2.1", "127.0.0.1"), ("fe80::1%lo",)],
)
async def test_the_guard_judges_every_address(addresses: tuple[str, ...]) -> None:
    async with serving(response()) as server:
        guard = DialPolicy((ipaddress.ip_network("192.0.2.0/24"),))
        found = await fetcher(server.port, resolving(*addresses), guard).fetch(DOMAIN)
    assert (found.outcome, server.connections) == (PolicyFetchOutcome.DENIED, 0)


async def test_the_host_is_resolved_once_and_the_next_address_tried() -> None:
    asked = []

    async def resolve(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("127.254.254.254", "127.0.0.1")

    async with serving(response()) as server:
        found = await fetcher(server.port, resolve).fetch(DOMAIN)
    assert (found.outcome, asked) == (PolicyFetchOutcome.FETCHED, [HOST])


async def test_the_environment_does_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert (await fetched(serving(response()))).outcome is PolicyFetchOutcome.FETCHED


async def test_a_policy_is_remembered_and_a_fault_for_less_long() -> None:
    now = [0.0]
    memory = PolicyMemory(policy_ttl=300, fault_ttl=10, clock=lambda: now[0])
    async with serving(response("404 Not Found"), "close") as server:
        one = fetcher(server.port, memory=memory)
        for after, connections in ((0, 1), (9, 1), (10, 2)):
            now[0] = after
            await one.fetch(DOMAIN)
            assert server.connections == connections
    async with serving(response(), "close") as server:
        one = fetcher(server.port, memory=PolicyMemory(clock=lambda: now[0]))
        for after, connections in ((0, 1), (299, 1), (301, 2)):
            now[0] = after
            await one.fetch(DOMAIN)
            assert server.connections == connections


async def test_who_asks_at_the_same_time_shares_one_fetch() -> None:
    async with serving(response()) as server:
        one = fetcher(server.port)
        first = asyncio.create_task(one.fetch(DOMAIN))
        await asyncio.sleep(0)
        first.cancel()
        found = await asyncio.gather(*(one.fetch(DOMAIN) for _ in range(50)))
    assert {each.outcome for each in found} == {PolicyFetchOutcome.FETCHED}
    assert (server.connections, first.cancelled()) == (1, True)


async def test_a_provider_of_many_domains_is_not_stormed() -> None:
    async def resolve(host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)

    domains = [f"d{number}.example.com" for number in range(20)]
    async with serving("stall", made=context(*(f"mta-sts.{one}" for one in domains))) as server:
        one = fetcher(server.port, resolve)
        under_way = [asyncio.create_task(one.fetch(domain)) for domain in domains]
        async with asyncio.timeout(20):
            while server.connections < 4:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert server.connections == 4
        for each in under_way:
            each.cancel()
        await one.close()


async def test_closing_ends_what_is_under_way() -> None:
    async with serving("stall") as server:
        one = fetcher(server.port)
        waiting = asyncio.create_task(one.fetch(DOMAIN))
        await asyncio.sleep(0.1)
        await one.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
