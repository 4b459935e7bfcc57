# SPDX-License-Identifier: Apache-2.0
"""How much work a message is: honest ones pass, and whatever passes is parsed with little work.

Covers: ordinary replies, broken and cut off messages, names made of pointers, records of types
that nobody asked for, and any bytes at all against the parser.
"""

from __future__ import annotations

import cProfile
import struct

import dns.message
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.asking.bounds import LABELS_LIMIT, RECORDS_LIMIT, is_bounded
from postroom.dns.asking.wire import answer_of, is_reply, read_reply

LONGEST = b"\x01x" * 126 + b"\x00"
ASKED = LONGEST + struct.pack("!HH", 16, 1)
POINTER = b"\xc0\x0c"
#: The heaviest that passes takes 1.1 million; RECORDS_LIMIT records of longest names take 21.
CALLS_LIMIT = 1_500_000


def message(*records: tuple[bytes, int, bytes], count: int | None = None) -> bytes:
    """A reply to a question for the longest name, with (owner, type, data)."""
    body = b"".join(
        owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for owner, kind, data in records
    )
    counts = struct.pack("!HHHH", 1, len(records) if count is None else count, 0, 0)
    return b"\x00\x01\x84\x00" + counts + ASKED + body


def calls_to_read(wire: bytes) -> int:
    """How many functions are called to read a message: work that no busy machine makes more."""
    profile = cProfile.Profile()
    profile.runcall(read_reply, wire)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("TXT", ['"v=DKIM1; p=' + "x" * 200 + '"']),
        ("MX", [f"{n} mx{n}.mail.provider.example." for n in range(100)]),
        ("NS", [f"ns{n}.dns.provider.example." for n in range(13)]),
        ("SOA", ["ns.example. host.example. 1 2 3 4 5"]),
        ("TLSA", ["3 1 1 " + "ab" * 32]),
        ("RRSIG", ["A 8 2 60 20300101000000 20200101000000 1 example. " + "A" * 88]),
        ("HTTPS", ["1 . alpn=h2"]),
    ],
)
def test_honest_replies_pass(kind: str, values: list[str]) -> None:
    reply = dns.message.make_response(dns.message.make_query("a.b.c.example.", "TXT", use_edns=0))
    reply.answer.append(dns.rrset.from_text_list("a.b.c.example.", 60, "IN", kind, values))
    wire = reply.to_wire(max_size=65535)
    assert is_bounded(wire)
    assert isinstance(read_reply(wire), dns.message.Message)


@pytest.mark.parametrize("kind", [1, 2, 6, 15, 16, 17, 36, 46, 55, 65534])
def test_a_mass_of_long_names_is_refused(kind: int) -> None:
    data = {1: b"\x01\x02\x03\x04", 15: b"\x00\x01" + POINTER}.get(kind, POINTER * 2)
    wire = message(*[(POINTER, kind, data)] * RECORDS_LIMIT)
    assert not is_bounded(wire)
    assert read_reply(wire) is Outcome.MALFORMED


@pytest.mark.parametrize("kind", [17, 35, 45, 55, 58])
def test_one_record_full_of_pointers_is_refused(kind: int) -> None:
    assert not is_bounded(message((POINTER, kind, POINTER * 500)))


def test_the_heaviest_that_passes_is_light() -> None:
    many = [(POINTER, 2, POINTER)] * (LABELS_LIMIT // 127 // 2 - 2)
    wire = message(*many)
    assert is_bounded(wire)
    assert calls_to_read(wire) < CALLS_LIMIT


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\x00" * 11,
        b"\x00\x01\x84\x00" + struct.pack("!HHHH", 2, 0, 0, 0) + ASKED,
        message((b"\xc0\xff", 1, b"")),
        message((b"\x80", 1, b"")),
        message((struct.pack("!H", 0xC000 | 12 + len(ASKED)), 1, b"")),
        message(count=1),
        message(count=RECORDS_LIMIT + 1),
    ],
    ids=["nothing", "header", "questions", "outside", "kind", "circle", "cut off", "records"],
)
def test_broken_messages_are_refused(wire: bytes) -> None:
    assert not is_bounded(wire)
    assert read_reply(wire) is Outcome.MALFORMED


@pytest.mark.parametrize(
    ("records", "count", "outcome"),
    [
        (RECORDS_LIMIT + 1, RECORDS_LIMIT + 1, Outcome.TOO_LARGE),
        (RECORDS_LIMIT + 9, RECORDS_LIMIT + 9, Outcome.TOO_LARGE),
        (RECORDS_LIMIT, RECORDS_LIMIT + 1, Outcome.MALFORMED),
        (1, 65_535, Outcome.MALFORMED),
    ],
)
def test_more_records_than_are_parsed_are_there_and_not_only_counted(
    records: int, count: int, outcome: Outcome
) -> None:
    wire = message(*[(b"\x01a\x00", 16, b"\x01x")] * records, count=count)
    assert read_reply(wire) is outcome


QUESTION = Question("a.example", RecordType.TXT)
QUERY = dns.message.make_query("a.example.", "TXT", id=1).to_wire()


@settings(max_examples=500)
@given(st.binary(max_size=600), st.binary(min_size=8, max_size=8))
def test_any_bytes_are_an_answer(body: bytes, counts: bytes) -> None:
    for wire in (body, QUERY[:2] + b"\x84\x00" + counts + body, QUERY[:12] + body):
        assert is_reply(QUERY, wire) in (True, False)
        assert answer_of(read_reply(wire), QUESTION, "server").question == QUESTION


RECORD = st.tuples(
    st.sampled_from([POINTER, b"\x01a" + POINTER, b"\x00", b"\xc0\x0e"]),
    st.integers(min_value=1, max_value=300),
    st.binary(max_size=60) | st.just(POINTER * 20),
)


@settings(max_examples=300)
@given(st.lists(RECORD, max_size=60))
def test_whatever_passes_is_read_with_little_work(records: list[tuple[bytes, int, bytes]]) -> None:
    assert calls_to_read(message(*records)) < CALLS_LIMIT
