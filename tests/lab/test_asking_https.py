# SPDX-License-Identifier: Apache-2.0
"""DNS over HTTPS (RFC 8484) against a real HTTPS server on loopback.

Covers: requests as the standard wants them, kept connections, certificates that are not trusted,
redirects, wrong types, statuses and sizes, silence, and addresses beside URLs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import pytest
import trustme
from aiohttp import web

from lab.asking_lab import EXAMPLE, TIMING, dns_lab, question
from lab.scripted_dns import resolves
from postroom.dns.answers import Outcome
from postroom.dns.asking.https import MEDIA_TYPE, HttpsClient, HttpsServer
from postroom.dns.asking.resolver import DnsAsker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASKED = question("txt.example.test")
TRUTH = "v=spf1 include:provider.test -all"


@dataclass
class Https:
    """The server: what it answers with, and what it saw."""

    url: str
    trust: ssl.SSLContext
    handler: Handler
    queries: list[bytes] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)

    def asker(self, *, trusting: bool = True) -> DnsAsker:
        return DnsAsker([(self.url, 0)], timing=TIMING, tls=self.trust if trusting else None)

    async def outcome(self) -> Outcome:
        return (await self.asker().recursive(ASKED)).outcome


def reply_to(query: bytes) -> bytes:
    reply = resolves(EXAMPLE)(dns.message.from_wire(query))
    assert reply is not None
    return reply.to_wire(max_size=65535)


async def honest(request: web.Request) -> web.StreamResponse:
    return web.Response(body=reply_to(await request.read()), content_type=MEDIA_TYPE)


@pytest.fixture
async def https() -> AsyncIterator[Https]:
    authority = trustme.CA()
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    server = Https("", trust, honest)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        server.connections.add(request.transport)
        assert isinstance(request, web.Request)
        server.queries.append(await request.read())
        return await server.handler(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"https://127.0.0.1:{port}/dns-query"
        yield server
    finally:
        await runner.cleanup()


async def test_an_answer_is_as_over_udp(https: Https) -> None:
    answer = await https.asker().recursive(ASKED)
    assert (answer.outcome, answer.values) == (Outcome.FOUND, (TRUTH,))
    assert (answer.server, answer.authoritative) == (https.url, False)


async def test_requests_are_as_the_standard_wants_them(https: Https) -> None:
    seen = list[web.Request]()

    async def look(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await honest(request)

    https.handler = look
    await https.asker().recursive(ASKED)
    (request,), (query,) = seen, map(dns.message.from_wire, https.queries)
    assert (request.method, request.path) == ("POST", "/dns-query")
    assert request.headers["content-type"] == request.headers["accept"] == MEDIA_TYPE
    assert (query.id, query.flags) == (0, dns.flags.RD | dns.flags.AD)
    assert query.question[0].name.to_text() == "txt.example.test."


async def test_a_large_answer_needs_no_other_way(https: Https) -> None:
    answer = await https.asker().recursive(question("big.example.test"))
    assert answer.outcome is Outcome.FOUND


async def test_connections_are_kept_and_can_be_closed(https: Https) -> None:
    asker = https.asker()
    for name in ("a", "b", "c"):
        await asker.recursive(question(f"{name}.example.test"))
    assert len(https.connections) == 1
    await asker.close()
    assert (await asker.recursive(ASKED)).outcome is Outcome.FOUND
    assert len(https.connections) == 2
    await asker.close()


@pytest.mark.parametrize("read", [True, False])
async def test_what_a_resolver_says_unasked_is_no_answer_to_what_follows(
    https: Https, read: bool
) -> None:
    client, server = HttpsClient(https.trust), HttpsServer(https.url)
    first, second = (
        dns.message.make_query(f"{name}.example.test.", "TXT", id=0) for name in ("a", "txt")
    )
    await client.ask(server, first.to_wire(), TIMING.look)
    lie = dns.message.make_response(second)
    lie.set_rcode(dns.rcode.NXDOMAIN)
    body = lie.to_wire()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    (transport,) = https.connections
    assert isinstance(transport, asyncio.Transport)

    def lies() -> None:
        transport.write(head.encode() + body)

    # What is not read lies in the kernel: the server's loop is ours.
    await told(client, lies) if read else lies()
    reply = dns.message.from_wire(await client.ask(server, second.to_wire(), TIMING.look))
    assert (reply.rcode(), len(https.connections)) == (dns.rcode.NOERROR, 2)
    await client.close()


async def told(client: HttpsClient, tell: Callable[[], None]) -> None:
    """Have the one kept connection told something, and wait until it has heard it."""
    assert client._session is not None
    assert client._session.connector is not None
    (((protocol, _),),) = client._session.connector._conns.values()
    heard, hear = asyncio.Event(), protocol.data_received

    def listen(data: bytes) -> None:
        hear(data)
        heard.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "data_received", listen)
        tell()
        await heard.wait()


async def test_a_certificate_that_is_not_trusted_is_no_answer(https: Https) -> None:
    answer = await https.asker(trusting=False).recursive(ASKED)
    assert answer.outcome is Outcome.TIMEOUT
    assert https.queries == []


async def redirects(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(request.path)


async def errs(request: web.Request) -> web.StreamResponse:
    return web.Response(status=503, body=reply_to(await request.read()), content_type=MEDIA_TYPE)


async def explains(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<p>no</p>", content_type="text/html")


async def floods(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = MEDIA_TYPE
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"\x00" * 65536)
    return response


@pytest.mark.parametrize("handler", [redirects, errs, explains, floods])
async def test_anything_but_a_message_is_no_answer(https: Https, handler: Handler) -> None:
    https.handler = handler
    assert await https.outcome() is Outcome.TIMEOUT
    assert len(https.queries) == 1


async def empty(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type=MEDIA_TYPE)


async def another(request: web.Request) -> web.StreamResponse:
    other = dns.message.make_query("other.test.", "TXT", id=0)
    return web.Response(body=reply_to(other.to_wire()), content_type=MEDIA_TYPE)


@pytest.mark.parametrize("handler", [empty, another])
async def test_a_message_that_is_no_reply_is_malformed(https: Https, handler: Handler) -> None:
    https.handler = handler
    assert await https.outcome() is Outcome.MALFORMED


async def test_silence_is_bounded(https: Https) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    https.handler = silent
    started = asyncio.get_running_loop().time()
    assert await https.outcome() is Outcome.TIMEOUT
    assert asyncio.get_running_loop().time() - started < TIMING.question + 0.5
    assert len(https.queries) == 1


async def test_the_next_resolver_stands_in(https: Https) -> None:
    https.handler = errs
    async with dns_lab() as lab:
        resolvers = [(https.url, 0), (lab.resolver.address, lab.port)]
        asker = DnsAsker(resolvers, timing=TIMING, tls=https.trust)
        answer = await asker.recursive(ASKED)
        assert (answer.outcome, answer.values) == (Outcome.FOUND, (TRUTH,))


async def test_zones_are_found_over_https(https: Https) -> None:
    async with dns_lab() as lab:
        asker = DnsAsker(
            [(https.url, 0)], authoritative_port=lab.port, timing=TIMING, tls=https.trust
        )
        answer = await asker.authoritative(ASKED)
        assert (answer.values, answer.authoritative) == ((TRUTH,), True)
