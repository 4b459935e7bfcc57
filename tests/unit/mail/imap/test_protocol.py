# SPDX-License-Identifier: Apache-2.0
"""The guarded protocol of IMAP, fed by hand: any bytes in any pieces end in an answer or in
`ConnectionEnded`, within bounds, and say nothing to any log."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
import weakref
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import calls_of
from postroom.mail.imap.protocol import (
    AT_REST_LIMIT,
    CONVERSATION_LIMIT,
    LINE_LIMIT,
    LINES_LIMIT,
    TOTAL_LIMIT,
    ConnectionEnded,
    Ending,
    GuardedProtocol,
)
from postroom.mail.imap.values import without_literals

#: Bytes that look like IMAP more often than random ones do.
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [b"* OK hi\r\n", b"* ", b"\r\n", b"\r", b"\n", b"{3}\r\n", b"{0}\r\n", b"{99}\r\n"]
        ),
        st.sampled_from([b"* BYE\r\n", b"+ go\r\n", b"TAG OK done\r\n", b"TAG NO [X] y\r\n"]),
        st.sampled_from([b"A1 OK x\r\n", b"* 1 FETCH (\r\n", b"* CAPABILITY IMAP4rev1\r\n"]),
        st.sampled_from([b"{99999999999}\r\n", b"TAG OK {2}\r\n", b"* STATUS {5}\r\nINBOX (A 1)"]),
    ),
    max_size=12,
)


class Wire(asyncio.Transport):
    """Takes what is written; an abort is told to the protocol like asyncio does."""

    def __init__(self, protocol: GuardedProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.aborted = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


def connected() -> tuple[GuardedProtocol, Wire]:
    protocol = GuardedProtocol()
    wire = Wire(protocol)
    protocol.connection_made(wire)
    return protocol, wire


async def converse(pieces: list[bytes]) -> tuple[str, list[bytes]] | Ending:
    """Greet, run a command, and answer it with these pieces, then with the end."""
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    await protocol.greeting
    running = asyncio.create_task(protocol.run("LOGIN", '"user"', '"canary"', answers=[b"x"]))
    await asyncio.sleep(0)
    tag = re.match(rb"\S+", bytes(wire.written))
    assert tag
    for piece in pieces:
        protocol.data_received(piece.replace(b"TAG", tag[0]))
    protocol.connection_lost(None)
    try:
        return await running
    except ConnectionEnded as ended:
        return ended.ending
    finally:
        protocol.abort()
        await asyncio.sleep(0)


@given(PIECES)
def test_any_answer_ends(pieces: list[bytes]) -> None:
    found = asyncio.run(converse(pieces))
    assert isinstance(found, Ending) or found[0].startswith(("OK", "NO", "BAD"))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_the_pieces_do_not_matter(noise: bytes, cuts: list[int]) -> None:
    whole = (
        b"* STATUS {5}\r\nINBOX (MESSAGES 3)\r\n* X "
        + noise.replace(b"\r", b"")
        + b"\r\nTAG OK y\r\n"
    )
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    if any(b"TAG" in whole[max(0, at - 2) : at + 2] for at in edges):
        return  # the tag itself was cut, which `converse` fills in
    assert asyncio.run(converse(pieces)) == asyncio.run(converse([whole]))


async def test_what_follows_a_literal_belongs_to_its_response() -> None:
    found = await converse([b"* STATUS {5}\r\nINBOX (MESSAGES 3)\r\nTAG OK done\r\n"])
    assert found == ("OK", [b"STATUS {5}", b"INBOX", b" (MESSAGES 3)", b"done"])


@pytest.mark.parametrize(
    "pieces",
    [
        [b"* X {5}\r\nINBOX\r\n"],
        [b"* X {5}\r\nINBOX TAG OK in\r\n"],
        [b"* X {5}\r\nINBOXTAG OK in\r\n"],
        [b"* X {5}\r\nINBOX* BYE\r\n"],
        [b"* X {5}\r\nINBOX+ go\r\n"],
        [b"* X {8}\r\nTAG OK x\r\n"],
        [b"* X {3}\r\nabc {3}\r\ndef* 3 EXISTS\r\n"],
        [b"* X {0}\r\nTAG OK in\r\n"],
    ],
)
async def test_nothing_within_a_response_is_a_result(pieces: list[bytes]) -> None:
    found = await converse([*pieces, b"TAG NO done\r\n"])
    assert isinstance(found, tuple)
    assert (found[0], found[1][-1]) == ("NO", b"done")


async def test_a_literal_is_told_from_what_the_server_says() -> None:
    like = b"OK [UIDVALIDITY 9] x"
    found = await converse([b"* X {%d}\r\n" % len(like) + like + b")\r\nTAG OK done\r\n"])
    assert isinstance(found, tuple)
    assert found[1][1] == like
    assert list(without_literals(found[1])) == [b"X {20}", b")", b"done"]


@pytest.mark.parametrize(
    "line",
    [
        *(b"* OK see {5}\r\n", b"* NO [ALERT] {5}\r\n", b"* bad {5}\r\n", b"* PREAUTH {1}\r\n"),
        *(b"+ {5}\r\n", b"+ {99}\r\n"),
    ],
)
async def test_a_brace_in_a_text_for_humans_announces_nothing(line: bytes) -> None:
    found = await converse([line + b"TAG NO mailbox x {7}\r\n"])
    assert isinstance(found, tuple)
    assert (found[0], found[1][-1]) == ("NO", b"mailbox x {7}")
    assert await converse([b"* BYE {7}\r\n"]) is Ending.GOODBYE
    protocol, _ = connected()
    protocol.data_received(b"* OK hello {7}\r\n")
    assert await protocol.greeting == b"* OK hello {7}"
    protocol.abort()


@pytest.mark.parametrize("result", [b"OKAY", b"NOT", b"BADGER", b"", b"OK2", b"PREAUTH", b"BYE"])
async def test_what_begins_like_a_result_is_none(result: bytes) -> None:
    """Nor is the command taken for refused."""
    assert await converse([b"TAG " + result + b" x\r\n"]) is Ending.MALFORMED


@pytest.mark.parametrize(
    "result", [b"tag ok x\r\n", b"TAG Ok x\r\n", b"TAG OK\r\n", b"TAG OK \r\n"]
)
async def test_a_result_may_be_in_either_case_and_without_a_text(result: bytes) -> None:
    found = await converse([result.replace(b"tag", b"TAG")])
    assert isinstance(found, tuple)
    assert found[0] == "OK"


async def test_nobody_is_answered_who_asks_when_nothing_goes_on() -> None:
    """Least of all with what was left of a password."""
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n+ go\r\n")
    assert wire.written == b""
    for result in (b"OK", b"NO"):
        running = asyncio.create_task(protocol.run("AUTHENTICATE", "PLAIN", answers=[b"canary"]))
        await asyncio.sleep(0)
        tag = bytes(wire.written).split(b"\r\n")[-2].split()[0]
        protocol.data_received(tag + b" " + result + b" x\r\n+ go\r\n")
        assert (await running)[0].encode() == result
        protocol.data_received(b"+ go\r\n")
    running = asyncio.create_task(protocol.run_all(("NOOP",)))
    await asyncio.sleep(0)
    protocol.data_received(b"+ go\r\n")
    assert b"canary" not in wire.written
    running.cancel()
    protocol.abort()


@pytest.mark.parametrize(
    ("pieces", "ending"),
    [
        ([], Ending.CLOSED),
        ([b"* BYE now\r\n"], Ending.GOODBYE),
        ([b"A999999 OK not yours\r\n"], Ending.MALFORMED),
        ([b"* X", b"x" * LINE_LIMIT], Ending.MALFORMED),
        ([b"* X" + b"x" * LINE_LIMIT + b"\r\nTAG OK\r\n"], Ending.MALFORMED),
        ([b"* X {%d}\r\n" % TOTAL_LIMIT], Ending.MALFORMED),
        ([b"* X\r\n" * (LINES_LIMIT + 1)], Ending.MALFORMED),
        ([b"* " + b"x" * 60_000 + b"\r\n"] * 20, Ending.MALFORMED),
    ],
)
async def test_endings(pieces: list[bytes], ending: Ending) -> None:
    assert await converse(pieces) is ending


async def test_a_megabyte_of_short_lines_costs_little() -> None:
    lines = b"\r\n" * (512 * 1024)
    protocol, _ = connected()
    # Of each line some twenty calls, and of no more lines than are read of one answer.
    assert calls_of(lambda: protocol.data_received(lines)) < 30 * LINES_LIMIT
    protocol.abort()
    assert await converse([lines]) is Ending.MALFORMED


async def test_a_line_that_comes_byte_by_byte_costs_little() -> None:
    protocol, _ = connected()
    # In time of this process alone: what could be much of it is no call.
    began = time.process_time()
    for _ in range(LINE_LIMIT):
        protocol.data_received(b"x")
    assert time.process_time() - began < 2
    protocol.abort()


async def test_bye_may_be_part_of_a_literal() -> None:
    found = await converse([b"* X {7}\r\n* BYE\r\n\r\nTAG OK done\r\n"])
    assert isinstance(found, tuple)
    assert found[0] == "OK"


async def test_the_greeting_can_be_given_up() -> None:
    protocol, wire = connected()
    waiting = asyncio.create_task(asyncio.wait_for(asyncio.shield(protocol.greeting), 0.01))
    with pytest.raises(TimeoutError):
        await waiting
    protocol.abort()
    assert wire.aborted


async def asked_for_tls(*pieces: bytes) -> tuple[GuardedProtocol, tuple[str, list[bytes]]]:
    """Ask for TLS, and answer with these pieces."""
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    running = asyncio.create_task(protocol.run("STARTTLS"))
    await asyncio.sleep(0)
    for piece in pieces:
        protocol.data_received(piece.replace(b"TAG", bytes(wire.written).split()[0]))
    return protocol, await running


@pytest.mark.parametrize(
    "pieces",
    [
        (b"TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",),
        (b"TAG OK go\r\n", b"* CAPABILITY IMAP4rev1\r\n"),
        (b"TAG OK go\r\n*",),
        (b"TAG OK go\r\n", b"x"),
        (b"TAG OK go\r", b"\nx"),
    ],
)
async def test_nothing_may_follow_the_answer_to_starttls(pieces: tuple[bytes, ...]) -> None:
    protocol, _ = await asked_for_tls(*pieces)
    with pytest.raises(ConnectionEnded) as ended:
        await protocol.secure(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "mail.example.com")
    assert ended.value.ending is Ending.INJECTED


async def test_what_comes_before_the_answer_to_starttls_is_no_injection() -> None:
    protocol, answered = await asked_for_tls(b"* OK wait\r\n", b"TAG OK go\r\n")
    assert answered == ("OK", [b"OK wait", b"go"])
    protocol.abort()


async def test_what_a_server_asks_last_is_kept() -> None:
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    running = asyncio.create_task(protocol.run("AUTHENTICATE", "XOAUTH2", answers=[b"x"]))
    await asyncio.sleep(0)
    protocol.data_received(b"+ \r\n+ eyJ9 \r\n")
    assert protocol.challenge == b"eyJ9"
    assert wire.written.endswith(b"\r\nx\r\n*\r\n")
    running.cancel()
    protocol.abort()


async def test_nothing_runs_on_a_lost_connection() -> None:
    protocol, _ = connected()
    protocol.connection_lost(None)
    with pytest.raises(ConnectionEnded):
        await protocol.run("CAPABILITY")


async def test_arguments_with_line_ends_are_refused() -> None:
    protocol, wire = connected()
    with pytest.raises(ValueError, match="LOGIN"):
        await protocol.run("LOGIN", '"a\r\nb"')
    assert wire.written == b""
    protocol.abort()


async def test_no_log_tells_anything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await converse([b"* canary\r\n", b"canary\r\n", b"+ canary\r\n", b"Z1 OK canary\r\n"])
    assert "canary" not in caplog.text


async def test_a_farewell_is_kept() -> None:
    protocol, _ = connected()
    protocol.data_received(b"* OK ready\r\n")
    running = asyncio.create_task(protocol.run("NOOP"))
    await asyncio.sleep(0)
    protocol.data_received(b"* 1 EXISTS\r\n* BYE [UNAVAILABLE] later\r\n")
    with pytest.raises(ConnectionEnded) as ended:
        await running
    assert protocol.farewell == b"[UNAVAILABLE] later"
    assert "later" not in f"{ended.value!r} {ended.value}"
    protocol.abort()


async def test_only_the_mark_of_a_line_is_taken_away() -> None:
    assert await converse([b'* LIST () "/" "a* b"\r\nTAG OK x\r\n']) == (
        "OK",
        [b'LIST () "/" "a* b"', b"x"],
    )


async def pipelined(*answers: bytes) -> list[tuple[str, list[bytes]]] | Ending:
    """Send three commands at once, and answer with these, where T0 to T2 stand for their tags."""
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    running = asyncio.create_task(protocol.run_all(("ID", "NIL"), ("NOOP",), ("UID FETCH", "*")))
    await asyncio.sleep(0)
    sent = bytes(wire.written).split(b"\r\n")
    assert [one.partition(b" ")[2] for one in sent] == [b"ID NIL", b"NOOP", b"UID FETCH *", b""]
    for piece in answers:
        for number in range(3):
            piece = piece.replace(b"T%d" % number, sent[number].split()[0])
        protocol.data_received(piece)
    protocol.connection_lost(None)
    try:
        return await running
    except ConnectionEnded as ended:
        return ended.ending
    finally:
        protocol.abort()
        await asyncio.sleep(0)


async def test_commands_that_are_sent_at_once() -> None:
    found = await pipelined(b"* ID NIL\r\nT0 OK a\r\nT1 NO b\r\n* 3 FETCH (UID 4)\r\nT2 BAD c\r\n")
    assert found == [
        ("OK", [b"ID NIL", b"a"]),
        ("NO", [b"b"]),
        ("BAD", [b"3 FETCH (UID 4)", b"c"]),
    ]


async def test_answers_in_another_order() -> None:
    found = await pipelined(b"T2 OK c\r\n", b"T0 OK a\r\n* X\r\n", b"T1 OK b\r\n")
    assert found == [("OK", [b"a"]), ("OK", [b"X", b"b"]), ("OK", [b"c"])]


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (b"T0 OK a\r\nT0 OK a\r\n", Ending.MALFORMED),
        (b"T0 OK a\r\n* BYE\r\n", Ending.GOODBYE),
        (b"T0 OK a\r\nT1 OK b\r\n", Ending.CLOSED),
    ],
)
async def test_one_answer_too_many_or_too_few(answer: bytes, ending: Ending) -> None:
    assert await pipelined(answer) is ending


@given(st.permutations([b"T0 OK a\r\n", b"T1 NO b\r\n", b"T2 BAD c\r\n"]), PIECES)
def test_any_answers_to_several_commands_end(tagged: list[bytes], noise: list[bytes]) -> None:
    pieces = [one for pair in zip(noise, tagged, strict=False) for one in pair]
    found = asyncio.run(pipelined(*pieces, *tagged[len(noise) :]))
    assert isinstance(found, Ending) or len(found) == 3


async def test_bounds_are_those_of_a_command_and_of_the_conversation() -> None:
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    commands = 0
    with pytest.raises(ConnectionEnded):
        while True:
            running = asyncio.create_task(protocol.run("NOOP"))
            await asyncio.sleep(0)
            tag = bytes(wire.written).split(b"\r\n")[-2].split()[0]
            for _ in range(15):
                protocol.data_received(b"* " + b"x" * 60_000 + b"\r\n")
            protocol.data_received(tag + b" OK x\r\n")
            await running
            commands += 1
    assert commands == CONVERSATION_LIMIT // (15 * 60_004 + 15)


async def test_a_command_may_have_a_longer_line() -> None:
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    running = asyncio.create_task(protocol.run("UID SEARCH", "ALL", line_limit=LINE_LIMIT * 2))
    await asyncio.sleep(0)
    line = b"SEARCH " + b"1 " * (LINE_LIMIT // 2)
    protocol.data_received(b"* " + line + b"\r\n" + bytes(wire.written).split()[0] + b" OK x\r\n")
    assert await running == ("OK", [line, b"x"])
    protocol.abort()


async def test_of_what_is_told_while_it_idles_nothing_is_kept() -> None:
    protocol, _ = connected()
    protocol.data_received(b"* OK ready\r\n")
    idling = asyncio.create_task(protocol.idle(2, 60, 60))
    await asyncio.sleep(0.001)
    command = protocol.pending_sync_command
    protocol.data_received(b"+ idling\r\n")
    for line in (b"* OK still here\r\n", b"* 1 FETCH (X {3}\r\nabc)\r\n", b"* 1 EXISTS\r\n"):
        protocol.data_received(1000 * line)
        assert not command.lines
        if b"EXISTS" not in line:
            assert protocol.arrivals == 0 and not idling.done()
    assert protocol.arrivals == 1000
    protocol.data_received(f"{command.tag} OK done\r\n".encode())
    assert await idling


@pytest.mark.parametrize("idles", [False, True])
@pytest.mark.parametrize("more", [b"." * AT_REST_LIMIT, b"{%d}\r\nabc" % AT_REST_LIMIT])
async def test_little_is_kept_of_who_has_nothing_to_answer(idles: bool, more: bytes) -> None:
    protocol, wire = connected()
    protocol.data_received(b"* OK ready\r\n")
    idling = asyncio.create_task(protocol.idle(9, 60, 60)) if idles else None
    await asyncio.sleep(0.001)
    protocol.data_received(b"* 1 FETCH (X ")
    assert not wire.aborted
    protocol.data_received(more)
    assert wire.aborted
    if idling is not None:
        with pytest.raises(ConnectionEnded):
            await idling


async def test_a_lost_connection_is_let_go_of_and_its_certificate_is_not() -> None:
    """asyncio keeps 256 KiB for each TLS connection, which nothing frees while we hold it."""
    protocol = GuardedProtocol()
    wire = Wire(protocol)
    secured = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="imap.example.org"
    )
    wire._extra = {"ssl_object": secured}
    protocol.connection_made(wire)
    gone = weakref.ref(wire)
    protocol.data_received(b"* OK hi\r\n")
    protocol.connection_lost(None)
    del wire
    assert gone() is None
    assert protocol.secured is secured
    protocol.keep_alive()
    protocol.abort()
    protocol.send("NOOP")
    with pytest.raises(ConnectionEnded):
        await protocol.run("NOOP")
