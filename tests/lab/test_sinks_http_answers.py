# SPDX-License-Identifier: Apache-2.0
"""What applications answer, and what they do instead: nothing counts as taken but their word."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lab.mail_probing import left_behind
from lab.sink_world import (
    KEY,
    MESSAGE,
    SHORT,
    Application,
    Script,
    answering,
    read_request,
    scripted,
    send,
    serving,
    sink,
)
from postroom.delivery import signing
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.sinks import http
from postroom.lab.operator_process import free_port

LARGE = b"l" * (25 * 1024 * 1024)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def answer_of(
    script: Script, message: bytes = MESSAGE, limits: http.Limits = SHORT
) -> Answer:
    async with scripted(script) as port, sink(port, limits=limits) as to:
        return await send(to, message)


async def test_every_status_means_what_the_table_says() -> None:
    statuses = [status for status in range(1000) if not 100 <= status < 200 or status == 101]
    raw = [f"HTTP/1.1 {status:03} x\r\nContent-Length: 0\r\n\r\n".encode() for status in statuses]
    async with scripted(answering(*raw, close=False)) as port, sink(port) as to:
        for status in statuses:
            answer = await send(to)
            if answer.status is None:  # what the client takes for no HTTP
                assert status < 100, status
                assert answer.meaning is Meaning.LATER
                continue
            assert answer.status == status
            expected = Meaning.LATER
            if 200 <= status < 300:
                expected = Meaning.HANDED_OVER
            elif status == 410:
                expected = Meaning.STOP
            elif 400 <= status < 500 and status not in (408, 425, 429):
                expected = Meaning.REFUSED
            assert answer.meaning is expected, status


@pytest.mark.parametrize(
    "raw",
    [
        OK,
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + OK,
        # The rest of it does not matter: the status was said.
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nless",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x00\x00\x00\x00",
    ],
)
async def test_what_is_taken_is_taken(raw: bytes) -> None:
    assert (await answer_of(answering(raw))).meaning is Meaning.HANDED_OVER


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ends the connection without an answer"),
        (b"HTTP/1.1 20", "ends the connection"),
        (b"HTTP/1.1 200 OK\r\n", "ends the connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "ends the connection"),
        (b"\x00\xff\r\n\r\n", "does not answer as HTTP asks"),
        (b"220 mail.example.com ESMTP\r\n", "does not answer as HTTP asks"),
        (b"* OK IMAP4rev1\r\n", "does not answer as HTTP asks"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "does not answer as HTTP asks"),
        (b"HTTP/1.1 -20 OK\r\n\r\n", "does not answer as HTTP asks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "as HTTP asks"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "does not answer as HTTP asks"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n", "as HTTP asks"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "more than 8 KiB"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 5_000 + b"\r\n", "more than 128"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "does not answer as HTTP asks"),
    ],
)
async def test_what_is_no_answer_is_no_yes(raw: bytes, words: str) -> None:
    answer = await answer_of(answering(raw))
    assert (answer.status, answer.meaning) == (None, Meaning.LATER)
    assert words in answer.trouble


async def test_silence_ends() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(60)

    answer = await answer_of(script)
    assert answer.trouble == "The application does not answer in time"


async def test_an_answer_that_trickles_does_not_put_its_end_off() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert (await answer_of(script)).trouble == "The application does not answer in time"


@pytest.mark.parametrize("message", [MESSAGE, LARGE], ids=["small", "large"])
async def test_an_application_is_not_heard_that_is_about_to_answer_for_ever(message: bytes) -> None:
    """However fast it says so: each time costs the worker CPU."""
    patient = http.Limits(connect=60.0, silence=600.0, total=600.0)
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000)
                await writer.drain()
        finally:
            ended.set()

    answer = await answer_of(script, message, patient)
    assert (answer.status, answer.meaning) == (None, Meaning.LATER)
    assert "more than 64 interim answers" in answer.trouble
    await ended.wait()


async def test_interim_answers_are_counted_for_each_message_anew() -> None:
    some = b"HTTP/1.1 100 Continue\r\n\r\n" * 64 + OK
    many = b"HTTP/1.1 100 Continue\r\n\r\n" * 65 + OK
    async with scripted(answering(some, some, many, close=False)) as port, sink(port) as to:
        meanings = [(await send(to)).meaning for _ in range(3)]
    assert meanings == [Meaning.HANDED_OVER, Meaning.HANDED_OVER, Meaning.LATER]


async def test_who_reads_nothing_is_left() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    answer = await answer_of(script, LARGE)
    assert answer.trouble == "The application does not read the message in time"


async def test_who_reads_slowly_has_a_time_that_its_size_allows() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.read(65536)
            await asyncio.sleep(0.05)

    limits = http.Limits(silence=5.0, total=0.2, slowest=100 * 1024 * 1024)
    answer = await answer_of(script, LARGE, limits)
    assert answer.trouble == "The application does not read the message in time"


async def test_slow_is_not_too_slow_while_it_goes_on() -> None:
    size = 4 * 1024 * 1024

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % size in head
        left = size
        while left:
            left -= len(await reader.read(min(left, 262144)))
            await asyncio.sleep(0.03)
        writer.write(OK)
        await writer.drain()

    limits = http.Limits(silence=0.3, slowest=1024 * 1024)
    answer = await answer_of(script, b"s" * size, limits)
    assert answer.meaning is Meaning.HANDED_OVER


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_who_says_yes_before_it_has_read_all_has_not_taken_it(status: int) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(60)

    answer = await answer_of(script, LARGE)
    assert answer.meaning is Meaning.LATER
    assert answer.trouble == "The application answers 2xx before it has read the whole message"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(413, Meaning.REFUSED), (503, Meaning.LATER), (410, Meaning.STOP), (307, Meaning.LATER)],
)
async def test_a_no_may_come_early(status: int, meaning: Meaning) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(60)

    answer = await answer_of(script, LARGE)
    assert (answer.status, answer.meaning) == (status, meaning)


async def test_a_connection_is_not_kept_after_an_early_answer() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
            await asyncio.sleep(60)
        await answering(OK)(reader, writer)

    async with scripted(script) as port, sink(port, limits=SHORT) as to:
        assert (await send(to, LARGE)).status == 503
        assert (await send(to)).status == 200
    assert connections == 2


async def test_no_more_of_an_answer_is_read_than_its_head() -> None:
    written, connections = 0, 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written, connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"e" * 65536 + b"\r\n")
            await writer.drain()
            written += 65536

    async with scripted(script) as port, sink(port, limits=SHORT) as to:
        for _ in range(2):
            assert (await send(to)).meaning is Meaning.HANDED_OVER
    assert connections == 2
    assert written < 64 * 1024 * 1024, "the socket buffers of two connections hold no more"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    elsewhere = Application()
    async with serving(elsewhere) as other:
        location = {"Location": f"http://127.0.0.1:{other}/"}
        application = Application(status, location)
        async with serving(application) as port, sink(port) as to:
            answer = await send(to)
    assert (answer.status, answer.meaning) == (status, Meaning.LATER)
    assert (len(application.hits), len(elsewhere.hits)) == (1, 0)


async def test_a_connection_that_was_cut_while_it_was_kept_costs_nothing() -> None:
    ids = list[bytes]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        ids.append(next(line for line in head.split(b"\r\n") if line.startswith(b"webhook-id")))
        writer.write(OK)
        await writer.drain()
        # The next request is read, and then there is no answer: it came too late.
        await read_request(reader)

    async with scripted(script) as port, sink(port, limits=SHORT) as to:
        answers = [await send(to) for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert len(ids) == 4
    assert len(set(ids)) == 1


async def test_a_kept_connection_is_of_the_service_that_it_was_opened_for() -> None:
    """An address may be given to another Service, and the connection leads to the old one."""
    application = Application()
    async with serving(application) as port, http.open_session() as session:
        key, now = (signing.parse_key(KEY),), lambda: datetime.now(UTC)
        for name in ("tickets.mail.svc", "tickets.mail.svc", "tickets.shop.svc"):
            to = http.HttpSink(session, http.Destination("127.0.0.1", port, name, "/"), key, now)
            assert (await send(to)).status == 204
    assert len(application.connections) == 2


async def test_who_always_ends_the_connection_is_asked_a_few_times_only() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1

    answer = await answer_of(script)
    assert answer.meaning is Meaning.LATER
    assert requests == 1, "the first connection was new: nothing tells that another would do"


async def test_what_an_application_says_unasked_is_no_answer_to_what_follows() -> None:
    connections, said = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        if connections == 1:
            await asyncio.sleep(0.05)
            writer.write(OK)
            await writer.drain()
            said.set()
        await asyncio.sleep(60)

    async with scripted(script) as port, sink(port, limits=SHORT) as to:
        assert (await send(to)).status == 200
        await said.wait()
        await asyncio.sleep(0.05)  # what is there is read before this is over
        assert (await send(to)).status == 200
    assert connections == 2


async def test_nobody_listens() -> None:
    async with sink(free_port(), limits=SHORT) as to:
        answer = await send(to)
    assert answer.trouble.startswith("The Service refuses the connection")


@pytest.mark.parametrize(
    ("value", "pause"),
    [("7", 7), ("0", 0), ("99999999999999999999", 3600), ("soon", None), ("-1", None)],
)
async def test_a_pause_is_asked_for(value: str, pause: int | None) -> None:
    raw = f"HTTP/1.1 503 x\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
    answer = await answer_of(answering(raw))
    assert answer.retry_after == (timedelta(seconds=pause) if pause is not None else None)


async def test_a_sending_that_is_given_up_leaves_nothing_behind() -> None:
    begun = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await asyncio.sleep(60)

    before = asyncio.all_tasks()
    async with scripted(script) as port, sink(port) as to:
        sending = asyncio.create_task(send(to, LARGE))
        await begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert await left_behind(before) == set()
