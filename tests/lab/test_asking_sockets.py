# SPDX-License-Identifier: Apache-2.0
"""The UDP transport at real servers on loopback: ports, ids, what is left open, and the loop's end.

Covers: many queries over one socket, change of source ports, queries with one id at a time, the
number of open sockets, closing while somebody waits, TCP that says something else first.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import warnings
from contextlib import suppress
from pathlib import Path

import dns.message
import pytest

from lab.asking_lab import DEAD, EXAMPLE, NS1, dns_lab, question, running
from lab.scripted_dns import ScriptedServer, serves, silent
from postroom.dns.answers import Outcome
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.sockets import SocketTransport
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import View, is_reply, make_query

QUERY = make_query(question("txt.example.test"), View.NAMESERVER, edns=True)


def open_sockets() -> int:
    """How many sockets this process has."""
    gc.collect()
    count = 0
    for link in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # the listing itself needs one that is gone by now
            count += str(link.readlink()).startswith("socket:")
    return count


async def test_many_queries_share_one_socket_and_keep_apart() -> None:
    server = ScriptedServer(NS1, serves(EXAMPLE), delay=0.02)
    async with running([server]) as port:
        transport, address = SocketTransport(), ServerAddress(NS1, port)
        names = [f"n{n}.example.test" for n in range(30)]
        queries = [make_query(question(name), View.NAMESERVER, edns=True) for name in names]
        replies = await asyncio.gather(*(transport.udp(address, one, 1.0) for one in queries))
        transport.close()
    assert all(is_reply(query, reply) for query, reply in zip(queries, replies, strict=True))
    assert len({port for _, port in server.peers}) == 1


async def test_equal_ids_at_the_same_time_are_told_apart() -> None:
    async with running([ScriptedServer(NS1, serves(EXAMPLE), delay=0.02)]) as port:
        transport, address = SocketTransport(), ServerAddress(NS1, port)
        replies = await asyncio.gather(*(transport.udp(address, QUERY, 1.0) for _ in range(5)))
        transport.close()
    assert all(is_reply(QUERY, reply) for reply in replies)


async def test_source_ports_change() -> None:
    server = ScriptedServer(NS1, serves(EXAMPLE))
    async with running([server]) as port:
        transport, address = SocketTransport(), ServerAddress(NS1, port)
        for _ in range(300):
            await transport.udp(address, QUERY, 1.0)
        transport.close()
    assert len({port for _, port in server.peers}) == 5


async def test_sockets_to_many_servers_do_not_pile_up() -> None:
    before = open_sockets()
    transport = SocketTransport()
    for number in range(1, 400):
        address = ServerAddress(f"127.30.{number >> 8}.{number & 255}", 9)
        with pytest.raises(OSError, match="refused"):
            await transport.udp(address, QUERY, 0.5)
    assert open_sockets() - before <= 128
    transport.close()
    assert open_sockets() == before


async def test_closing_ends_the_wait() -> None:
    async with running([ScriptedServer(NS1, silent)]) as port:
        transport = SocketTransport()
        waiting = asyncio.ensure_future(transport.udp(ServerAddress(NS1, port), QUERY, 5.0))
        await asyncio.sleep(0.01)
        transport.close()
        with pytest.raises(ConnectionAbortedError):
            await waiting


async def test_silence_is_a_timeout() -> None:
    async with running([ScriptedServer(NS1, serves(EXAMPLE), delay=0.5)]) as port:
        transport, address = SocketTransport(), ServerAddress(NS1, port)
        with pytest.raises(TimeoutError):
            await transport.udp(address, QUERY, 0.05)
        with pytest.raises(TimeoutError):
            await transport.tcp(address, QUERY, 0.05)
        transport.close()


def test_the_end_of_the_loop_leaves_nothing_open() -> None:
    async def look() -> Outcome:
        async with dns_lab() as lab:
            answer = await lab.asker.authoritative(question("big.example.test"))
            await asyncio.sleep(0.05)  # for the server's side of the TCP connection
            return answer.outcome

    before = open_sockets()
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        assert asyncio.run(look()) is Outcome.FOUND
    assert open_sockets() == before
    assert [
        str(complaint.message) for complaint in complaints if "unclosed" in str(complaint.message)
    ] == []


async def test_an_asker_can_be_closed_and_used_again() -> None:
    async with dns_lab() as lab:
        for _ in range(2):
            answer = await lab.asker.authoritative(question("txt.example.test"))
            assert answer.outcome is Outcome.FOUND
            await lab.asker.close()


async def test_over_tcp_only_the_reply_counts() -> None:
    other = dns.message.make_response(dns.message.make_query("other.test.", "TXT")).to_wire()
    reply = dns.message.make_response(dns.message.from_wire(QUERY)).to_wire()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(QUERY) + 2)
        for message in (other, b"", reply):
            writer.write(struct.pack("!H", len(message)) + message)
        writer.close()

    server = await asyncio.start_server(converse, NS1, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await SocketTransport().tcp(ServerAddress(NS1, port), QUERY, 1.0) == reply
    finally:
        server.close()


async def test_a_stream_that_ends_early_is_no_reply() -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(struct.pack("!H", 500) + b"x" * 20)
        writer.close()

    server = await asyncio.start_server(converse, NS1, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConnectionResetError):
            await SocketTransport().tcp(ServerAddress(NS1, port), QUERY, 1.0)
    finally:
        server.close()


def test_one_asker_serves_one_loop_after_another() -> None:
    async def look(asker: DnsAsker) -> Outcome:
        return (await asker.recursive(question("txt.example.test"))).outcome

    asker = DnsAsker([(DEAD, 9)])
    assert {asyncio.run(look(asker)) for _ in range(2)} == {Outcome.TIMEOUT}
